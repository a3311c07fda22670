/* SPDX-License-Identifier: Apache-2.0 */
#include "core/secret_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char folder[32], path[48];
    wb_arena *arena;
    wb_error err;
    wb_slice out;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    *state = f;
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/wb-secret-XXXXXX");
    f->arena = wb_arena_new(1 << 20);
    if (!mkdtemp(f->folder) || !f->arena) return -1;
    (void)snprintf(f->path, sizeof f->path, "%s/secret", f->folder);
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    (void)unlink(f->path);
    (void)rmdir(f->folder);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static void put(fixture *f, const void *bytes, size_t len, mode_t mode)
{
    int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static wb_status read_it(fixture *f)
{
    return wb_secret_file_read("a.key", f->path, f->arena, &f->out, &f->err);
}

static void refused(fixture *f, const char *says)
{
    assert_int_equal(read_it(f), WB_ERR_CONFIG);
    assert_non_null(strstr(f->err.detail, "a.key: "));
    if (!strstr(f->err.detail, says)) fail_msg("%s", f->err.detail);
}

static void its_end_is_cut_and_the_rest_is_as_it_is(void **state)
{
    fixture *f = *state;
    put(f, " a\0b \r\n\n\t", 9, 0600);
    wb_status status = read_it(f);
    if (status == WB_ERR_NO_MEMORY) return; /* only on purpose */
    assert_int_equal(status, WB_OK);
    assert_true(wb_slice_eq(f->out, WB_S(" a\0b")));
    assert_int_equal(f->out.ptr[f->out.len], '\0');
}

static void a_group_may_read_it_and_others_may_not(void **state)
{
    static const mode_t open_to_others[] = {0644, 0604, 0602, 0601, 0666};
    fixture *f = *state;
    put(f, "x", 1, 0640);
    wb_status status = read_it(f);
    assert_true(status == WB_OK || status == WB_ERR_NO_MEMORY);
    for (size_t i = 0; i < sizeof open_to_others / sizeof open_to_others[0]; i++) {
        put(f, "x", 1, open_to_others[i]);
        refused(f, "others can read");
    }
    status = wb_public_file_read("a.key", f->path, f->arena, &f->out, &f->err);
    assert_true(status == WB_OK || status == WB_ERR_NO_MEMORY);
}

static void somebody_elses_is_no_secret_of_ours(void **state)
{
    fixture *f = *state;
    put(f, "x", 1, 0600);
    if (geteuid() != 0) return;
    assert_int_equal(chown(f->path, 4242, 4242), 0);
    refused(f, "belongs to uid 4242");
}

static void what_is_no_file_or_holds_nothing_is_refused(void **state)
{
    static char big[WB_SECRET_FILE_MAX + 1];
    fixture *f = *state;
    refused(f, "No such file");
    put(f, "", 0, 0600);
    wb_status status = read_it(f);
    assert_true(status == WB_ERR_CONFIG || status == WB_ERR_NO_MEMORY);
    put(f, " \n", 2, 0600);
    status = read_it(f);
    assert_true(status == WB_ERR_CONFIG || status == WB_ERR_NO_MEMORY);
    memset(big, 'x', sizeof big);
    put(f, big, sizeof big, 0600);
    refused(f, "is too large");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    refused(f, "is no regular file"); /* and nobody waits for a writer */
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(its_end_is_cut_and_the_rest_is_as_it_is),
        WITH(a_group_may_read_it_and_others_may_not),
        WITH(somebody_elses_is_no_secret_of_ours),
        WITH(what_is_no_file_or_holds_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
