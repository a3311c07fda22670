/* SPDX-License-Identifier: Apache-2.0 */
/* Where a command looks: what the running sidecar of a name says comes before what the environment would
 * make of it. */
#include "cli/probe.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };

typedef struct run_dir {
    char root[32], waybill[48], own[64], file[96];
} run_dir;

/* Root has its places without HOME, so these tests are another user's. */
static int setup(void **state)
{
    static const char *const variables[] = {"WAYBILL_NAME",
                                            "OTEL_SERVICE_NAME",
                                            "WAYBILL_STORE",
                                            "WAYBILL_STORE_SQLITE_PATH",
                                            "WAYBILL_STATE_DIR",
                                            "WAYBILL_SOCKET",
                                            "XDG_STATE_HOME",
                                            "XDG_DATA_HOME",
                                            "HOME"};
    run_dir *r = calloc(1, sizeof *r);
    *state = r;
    for (size_t i = 0; i < WB_COUNT(variables); i++)
        (void)unsetenv(variables[i]); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (!r || (geteuid() == 0 && seteuid(NOBODY) != 0)) return -1;
    (void)snprintf(r->root, sizeof r->root, "/tmp/wb-probe-XXXXXX");
    if (!mkdtemp(r->root)) return -1;
    (void)snprintf(r->waybill, sizeof r->waybill, "%s/waybill", r->root);
    (void)snprintf(r->own, sizeof r->own, "%s/a", r->waybill);
    (void)snprintf(r->file, sizeof r->file, "%s/status.json", r->own);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    return setenv("XDG_RUNTIME_DIR", r->root, 1) | mkdir(r->waybill, 0700) | mkdir(r->own, 0700);
}

static int teardown(void **state)
{
    run_dir *r = *state;
    (void)unlink(r->file);
    int failed = rmdir(r->own) | rmdir(r->waybill) | rmdir(r->root);
    free(r);
    return failed | (getuid() == 0 ? seteuid(0) : 0);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static void a_running_sidecar_is_found_without_a_home(void **state)
{
    run_dir *r = *state;
    wb_paths paths;
    const wb_paths_choice choice = {.name = "a"};
    put(r->file, "{\"state_dir\":\"/there/state\",\"store\":\"/there/store.db\"}");
    assert_int_equal(wb_probe_places(&choice, &paths, NULL), WB_OK);
    assert_string_equal(paths.status_file, r->file);
    assert_string_equal(paths.state_dir, "/there/state");
    assert_string_equal(paths.trust_dir, "/there/state/trust.d");
    assert_string_equal(paths.store, "/there/store.db");
}

static void without_a_sidecar_the_missing_home_is_said(void **state)
{
    wb_paths paths = {.name = "untouched"};
    const wb_paths_choice choice = {.name = "a"};
    wb_error err = {0};
    (void)state;
    assert_int_equal(wb_probe_places(&choice, &paths, &err), WB_ERR_CONFIG);
    assert_non_null(strstr(err.detail, "nor HOME is set"));
}

static void what_is_chosen_comes_before_what_the_sidecar_says(void **state)
{
    run_dir *r = *state;
    wb_paths paths;
    const wb_paths_choice choice = {.name = "a", .state_dir = "/mine"};
    put(r->file, "{\"state_dir\":\"/there/state\",\"store\":\"/there/store.db\"}");
    assert_int_equal(wb_probe_places(&choice, &paths, NULL), WB_OK);
    assert_string_equal(paths.state_dir, "/mine");
    assert_string_equal(paths.store, "/there/store.db");
}

static void a_state_directory_is_its_own_by_whatever_name(void **state)
{
    run_dir *r = *state;
    char dotted[96];
    wb_probe probe = {.state_dir = wb_slice_str(r->own)};
    (void)snprintf(dotted, sizeof dotted, "%s/../a", r->own);
    assert_true(wb_probe_keeps(&probe, r->own));
    assert_true(wb_probe_keeps(&probe, dotted));
    assert_false(wb_probe_keeps(&probe, r->waybill));
    assert_false(wb_probe_keeps(&probe, "/nowhere"));
    probe.state_dir = WB_S("");
    assert_false(wb_probe_keeps(&probe, r->own));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_running_sidecar_is_found_without_a_home),
        TEST(without_a_sidecar_the_missing_home_is_said),
        TEST(what_is_chosen_comes_before_what_the_sidecar_says),
        TEST(a_state_directory_is_its_own_by_whatever_name),
    };
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
