/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/watch.h"

#include "core/slice.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LATER_S = 60 };

/* Of the working directory, long after its last change. */
static uint64_t look(void)
{
    bool settled = true;
    uint64_t seen =
        wb_watch_signature(".", wb_now(&wb_system_clock) + LATER_S * WB_NS_PER_S, &settled);
    assert_true(settled);
    return seen;
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

/* A file system's clock ticks every few milliseconds; the test does not wait for it. */
static void age(const char *path, long s)
{
    const struct timespec times[2] = {{.tv_sec = s}, {.tv_sec = s}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int setup(void **state)
{
    static char dir[32];
    (void)snprintf(dir, sizeof dir, "/tmp/wb-watch-XXXXXX");
    *state = dir;
    return mkdtemp(dir) ? chdir(dir) : -1;
}

static int teardown(void **state)
{
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", (const char *)*state);
    return chdir("/") | system(command); /* NOLINT(cert-env33-c): our own directory */
}

static void what_stays_is_the_same(void **state)
{
    (void)state;
    put("a", "1");
    assert_int_equal(mkdir("sub", 0700), 0);
    put("sub/b", "2");
    uint64_t seen = look();
    assert_true(seen != 0 && look() == seen);
}

static void every_kind_of_change_shows(void **state)
{
    (void)state;
    put("a", "1");
    age("a", 1000);
    uint64_t before = look();
    put("a", "22"); /* in place, as long as before or not */
    age("a", 1000);
    assert_true(look() != before);
    before = look();
    age("a", 1001);
    assert_true(look() != before);
    before = look();
    put("new", "22");
    assert_int_equal(rename("new", "a"), 0);
    assert_true(look() != before);
    before = look();
    assert_int_equal(chmod("a", 0644), 0);
    assert_true(look() != before);
    before = look();
    put("b", "");
    assert_true(look() != before);
    before = look();
    assert_int_equal(unlink("b"), 0);
    assert_true(look() != before);
}

static void a_swapped_link_shows_though_its_name_starts_with_a_dot(void **state)
{
    (void)state;
    assert_int_equal(mkdir("..one", 0700) | mkdir("..two", 0700), 0);
    put("..one/a", "1");
    put("..two/a", "1");
    assert_int_equal(symlink("..one", "..data") | symlink("..data/a", "a"), 0);
    uint64_t before = look();
    assert_int_equal(symlink("..two", "..tmp") | rename("..tmp", "..data"), 0);
    assert_true(look() != before);
}

static void a_directory_that_comes_and_goes_shows(void **state)
{
    bool settled = true;
    (void)state;
    assert_int_equal(wb_watch_signature("gone", 0, &settled), 0);
    assert_int_equal(mkdir("gone", 0700), 0);
    assert_true(wb_watch_signature("gone", 0, &settled) != 0);
}

static void a_change_of_this_moment_is_not_settled(void **state)
{
    bool settled = true;
    (void)state;
    put("a", "1");
    (void)wb_watch_signature(".", wb_now(&wb_system_clock), &settled);
    assert_false(settled);
    settled = true; /* written by a clock that is ahead: must not be looked at for ever */
    (void)wb_watch_signature(".", wb_now(&wb_system_clock) - LATER_S * WB_NS_PER_S, &settled);
    assert_true(settled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_stays_is_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(every_kind_of_change_shows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_swapped_link_shows_though_its_name_starts_with_a_dot,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_comes_and_goes_shows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_of_this_moment_is_not_settled, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
