/* SPDX-License-Identifier: Apache-2.0 */
#include "core/paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const variables[] = {
    "WAYBILL_NAME",    "OTEL_SERVICE_NAME", "WAYBILL_STORE", "WAYBILL_SOCKET",
    "XDG_RUNTIME_DIR", "XDG_STATE_HOME",    "XDG_DATA_HOME", "HOME"};

static void set(const char *variable, const char *value)
{
    if (value)
        assert_int_equal(setenv(variable, value, 1), 0); /* NOLINT(concurrency-mt-unsafe) */
    else
        assert_int_equal(unsetenv(variable), 0); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static int clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(variables); i++) set(variables[i], NULL);
    return 0;
}

static wb_status resolve(const wb_paths_choice *choice, wb_paths *out)
{
    wb_error err = {0};
    wb_status status = wb_paths_resolve(choice, out, &err);
    if (status != WB_OK) assert_true(err.detail[0] != '\0');
    return status;
}

static void a_name_that_is_a_path_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "..",
        ".hidden",
        "a/b",
        "a b",
        "\xC3\xA4",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    wb_paths paths = {.name = "untouched"};
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        assert_int_equal(resolve(&(wb_paths_choice){.name = bad[i]}, &paths), WB_ERR_CONFIG);
        assert_string_equal(paths.name, "untouched");
    }
    set("WAYBILL_NAME", "../etc");
    assert_int_equal(resolve(NULL, &paths), WB_ERR_CONFIG);
}

static void a_socket_path_that_no_address_can_hold_is_refused(void **state)
{
    (void)state;
    char dir[150] = "/";
    memset(dir + 1, 'd', 120);
    wb_paths paths;
    set("XDG_RUNTIME_DIR", dir);
    assert_int_equal(resolve(NULL, &paths), WB_ERR_CONFIG);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char dir[WB_PATH_MAX + 10];
    memset(dir, 'd', sizeof dir - 1);
    dir[0] = '/';
    dir[sizeof dir - 1] = '\0';
    wb_paths paths;
    assert_int_equal(resolve(&(wb_paths_choice){.state_dir = dir}, &paths), WB_ERR_CONFIG);
    assert_int_equal(resolve(&(wb_paths_choice){.store = dir}, &paths), WB_ERR_CONFIG);
}

static void xdg_variables_come_first(void **state)
{
    (void)state;
    wb_paths paths;
    set("XDG_RUNTIME_DIR", "/r");
    set("XDG_STATE_HOME", "/s");
    set("XDG_DATA_HOME", "/d");
    assert_int_equal(resolve(&(wb_paths_choice){.name = "planner"}, &paths), WB_OK);
    assert_string_equal(paths.run_dir, "/r/waybill/planner");
    assert_string_equal(paths.socket, "/r/waybill/planner/ipc.sock");
    assert_string_equal(paths.status_file, "/r/waybill/planner/status.json");
    assert_string_equal(paths.state_dir, "/s/waybill/planner");
    assert_string_equal(paths.journal_dir, "/s/waybill/planner/journal");
    assert_string_equal(paths.keys_dir, "/s/waybill/planner/keys");
    assert_string_equal(paths.trust_dir, "/s/waybill/planner/trust.d");
    assert_string_equal(paths.store, "/d/waybill/store.db");
}

static void without_xdg_root_uses_the_system_and_others_their_home(void **state)
{
    (void)state;
    wb_paths paths;
    set("HOME", "/home/u");
    set("XDG_STATE_HOME", "relative/is/ignored");
    assert_int_equal(resolve(NULL, &paths), WB_OK);
    assert_string_equal(paths.name, "default");
    assert_string_equal(paths.run_dir, "/run/waybill/default");
    if (geteuid() == 0) {
        assert_string_equal(paths.state_dir, "/var/lib/waybill/default");
        assert_string_equal(paths.store, "/var/lib/waybill/store.db");
    } else {
        assert_string_equal(paths.state_dir, "/home/u/.local/state/waybill/default");
        assert_string_equal(paths.store, "/home/u/.local/share/waybill/store.db");
    }
}

static void what_is_chosen_beats_the_environment(void **state)
{
    (void)state;
    wb_paths paths;
    set("HOME", "/home/u");
    set("WAYBILL_NAME", "env");
    set("WAYBILL_STORE", "/env/store.db");
    set("WAYBILL_SOCKET", "/env/sock");
    assert_int_equal(resolve(NULL, &paths), WB_OK);
    assert_string_equal(paths.name, "env");
    assert_string_equal(paths.store, "/env/store.db");
    assert_string_equal(paths.socket, "/env/sock");
    wb_paths_choice choice = {.name = "cli", .state_dir = "/cli/state", .store = "/cli/store.db"};
    assert_int_equal(resolve(&choice, &paths), WB_OK);
    assert_string_equal(paths.name, "cli");
    assert_string_equal(paths.state_dir, "/cli/state");
    assert_string_equal(paths.store, "/cli/store.db");
    assert_string_equal(paths.socket, "/run/waybill/cli/ipc.sock"); /* the other was env's */
    choice.name = "env";
    assert_int_equal(resolve(&choice, &paths), WB_OK);
    assert_string_equal(paths.socket, "/env/sock");
    set("WAYBILL_NAME", "");
    choice.name = "cli";
    assert_int_equal(resolve(&choice, &paths), WB_OK);
    assert_string_equal(paths.socket, "/env/sock"); /* nobody says whose it is */
}

static void a_service_name_is_made_a_name(void **state)
{
    (void)state;
    wb_paths paths;
    set("HOME", "/home/u");
    set("OTEL_SERVICE_NAME", "../my agent/1");
    assert_int_equal(resolve(NULL, &paths), WB_OK);
    assert_string_equal(paths.name, "-.-my-agent-1");
    assert_true(wb_name_is_valid(wb_slice_str(paths.name)));
    set("WAYBILL_NAME", "first");
    assert_int_equal(resolve(NULL, &paths), WB_OK);
    assert_string_equal(paths.name, "first");
}

static void directories_are_made_private_and_existing_ones_are_left(void **state)
{
    (void)state;
    char root[] = "/tmp/wb-paths-XXXXXX", path[96];
    struct stat st;
    wb_error err = {0};
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/a/b", root);
    mode_t before = umask(0);
    assert_int_equal(wb_make_dirs(path, &err), WB_OK);
    assert_int_equal(wb_make_dirs(path, &err), WB_OK);
    (void)umask(before);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(root, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(wb_make_dirs("", &err), WB_ERR_CONFIG);
    assert_int_equal(wb_make_dirs("/dev/null/x", &err), WB_ERR_CONFIG);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/a", root);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_name_that_is_a_path_is_refused, clear),
        cmocka_unit_test_setup(a_socket_path_that_no_address_can_hold_is_refused, clear),
        cmocka_unit_test_setup(a_path_that_is_too_long_is_refused, clear),
        cmocka_unit_test_setup(xdg_variables_come_first, clear),
        cmocka_unit_test_setup(without_xdg_root_uses_the_system_and_others_their_home, clear),
        cmocka_unit_test_setup(what_is_chosen_beats_the_environment, clear),
        cmocka_unit_test_setup(a_service_name_is_made_a_name, clear),
        cmocka_unit_test_setup(directories_are_made_private_and_existing_ones_are_left, clear),
    };
    return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
