/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/isolation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char base[32], above[64], config[64];
    wb_paths paths;
    uid_t agent;
    wb_access access;
    wb_isolation found;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f) return -1;
    (void)snprintf(f->base, sizeof f->base, "/tmp/wb-isolation-XXXXXX");
    if (!mkdtemp(f->base)) return -1;
    (void)snprintf(f->above, sizeof f->above, "%s/above", f->base);
    (void)snprintf(f->config, sizeof f->config, "%s/above/waybill.yaml", f->base);
    (void)snprintf(f->paths.state_dir, sizeof f->paths.state_dir, "%s/state", f->above);
    (void)snprintf(f->paths.keys_dir, sizeof f->paths.keys_dir, "%s/state/keys", f->above);
    (void)snprintf(f->paths.trust_dir, sizeof f->paths.trust_dir, "%s/state/trust.d", f->above);
    FILE *file = NULL;
    bool made = mkdir(f->above, 0755) == 0 && mkdir(f->paths.state_dir, 0700) == 0 &&
                mkdir(f->paths.keys_dir, 0700) == 0 && (file = fopen(f->config, "w")) != NULL;
    if (!made || fclose(file) != 0 || chmod(f->config, 0644) != 0) return -1;
    f->agent = geteuid() + 1;
    return wb_access_init(geteuid(), 65534, &f->agent, 1, &f->access, NULL) == WB_OK ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", f->base);
    int rv = system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): a test's own folder */
    free(f);
    return rv;
}

static const char *look(fixture *f)
{
    wb_isolation_look(&f->access, &f->paths, f->config, &f->found);
    return f->found.mode;
}

static void none_because(fixture *f, const char *words)
{
    assert_string_equal(look(f), "none");
    if (!strstr(f->found.why, words))
        fail_msg("\"%s\" says nothing of \"%s\"", f->found.why, words);
}

static void an_agent_of_our_own_user_or_of_root_is_not_isolated(void **state)
{
    fixture *f = *state;
    f->access.n_allowed = 0;
    none_because(f, "own uid");
    const uid_t with_own[] = {f->agent, f->access.own}, with_root[] = {f->agent, 0};
    f->access.allowed = with_own;
    f->access.n_allowed = 2;
    none_because(f, "own uid");
    f->access.allowed = with_root;
    f->access.own += f->access.own == 0 ? 77 : 0; /* also where the test runs as root */
    none_because(f, "uid 0");
}

static void a_state_directory_that_others_can_enter_is_not_isolated(void **state)
{
    fixture *f = *state;
    static const mode_t open_modes[] = {0750, 0710, 0701, 0770, 0704};
    for (size_t i = 0; i < WB_COUNT(open_modes); i++) {
        assert_int_equal(chmod(f->paths.state_dir, open_modes[i]), 0);
        none_because(f, "read keys and state");
    }
    assert_int_equal(chmod(f->paths.state_dir, 0700), 0);
    assert_string_equal(look(f), "uid");
}

static void a_directory_above_that_others_can_write_to_is_not_isolated(void **state)
{
    fixture *f = *state;
    assert_int_equal(chmod(f->above, 0775), 0);
    none_because(f, "replace what lies below");
    assert_int_equal(chmod(f->above, 0757), 0);
    none_because(f, "replace what lies below");
    assert_int_equal(chmod(f->above, 01777), 0); /* sticky: nobody replaces what is another's */
    assert_string_equal(look(f), "uid");
}

static void what_belongs_to_another_user_is_not_isolated(void **state)
{
    fixture *f = *state;
    if (geteuid() != 0) skip();
    assert_int_equal(chown(f->above, f->agent, (gid_t)-1), 0);
    none_because(f, "belongs to uid");
    assert_int_equal(chown(f->above, 0, (gid_t)-1), 0);
    assert_int_equal(chown(f->config, f->agent, (gid_t)-1), 0);
    none_because(f, "belongs to uid");
}

static void a_configuration_that_others_can_write_is_not_isolated(void **state)
{
    fixture *f = *state;
    assert_int_equal(chmod(f->config, 0664), 0);
    none_because(f, "change who is let in");
    assert_int_equal(chmod(f->config, 0640), 0);
    assert_string_equal(look(f), "uid");
    assert_int_equal(unlink(f->config), 0);
    none_because(f, "cannot be resolved");
    wb_isolation_look(&f->access, &f->paths, NULL, &f->found);
    assert_string_equal(f->found.mode, "uid");
}

static void keys_that_are_a_link_to_elsewhere_are_looked_at_there(void **state)
{
    fixture *f = *state;
    char elsewhere[96];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/secrets", f->base);
    assert_int_equal(rmdir(f->paths.keys_dir), 0);
    assert_int_equal(mkdir(elsewhere, 0750), 0);
    assert_int_equal(symlink(elsewhere, f->paths.keys_dir), 0);
    none_because(f, "read or replace keys");
    assert_int_equal(chmod(elsewhere, 0700), 0);
    assert_string_equal(look(f), "uid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_agent_of_our_own_user_or_of_root_is_not_isolated, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_state_directory_that_others_can_enter_is_not_isolated,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_above_that_others_can_write_to_is_not_isolated,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_belongs_to_another_user_is_not_isolated, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_configuration_that_others_can_write_is_not_isolated,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(keys_that_are_a_link_to_elsewhere_are_looked_at_there,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
