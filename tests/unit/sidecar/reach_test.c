/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/reach.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static wb_listen at(const char *text)
{
    wb_listen where;
    assert_int_equal(wb_listen_make("key", text, 4318, true, &where, NULL), WB_OK);
    return where;
}

static void an_address_that_leads_here_is_known(void **state)
{
    static const struct {
        const char *listen, *host;
        bool reached;
    } cases[] = {
        {"127.0.0.1:4318", "127.0.0.1", true},
        {"127.0.0.1:4318", "localhost", true},
        {"127.0.0.1:4318", "LOCALHOST.", true},
        {"127.0.0.1:4318", "any.localhost", true},
        {"127.0.0.1:4318", "0.0.0.0", true},
        {"127.0.0.1:4318", "::", true},
        {"127.0.0.1:4318", "::ffff:127.0.0.1", true},
        {"127.0.0.1:4318", "::1", false},
        {"127.0.0.1:4318", "127.0.0.2", false},
        {"127.0.0.1:4318", "notlocalhost", false},
        {"127.0.0.1:4318", "otel-collector", false},
        {"127.0.0.1:4318", "192.0.2.1", false},
        {"[::1]:4318", "::1", true},
        {"[::1]:4318", "localhost", true},
        {"[::1]:4318", "127.0.0.1", false},
        {"0.0.0.0:4318", "127.0.0.2", true},
        {"0.0.0.0:4318", "192.0.2.1", false},
        {"0.0.0.0:4318", "::1", false},
        {"[::]:4318", "::1", true},
        {"[::]:4318", "127.0.0.1", true},
        {"[::]:4318", "192.0.2.1", false},
        {"192.0.2.1:4318", "192.0.2.1", true},
        {"192.0.2.1:4318", "localhost", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wb_listen where = at(cases[i].listen);
        assert_int_equal(wb_listen_is_reached(&where, cases[i].host, 4318), cases[i].reached);
        assert_false(wb_listen_is_reached(&where, cases[i].host, 4317));
        where.off = true;
        assert_false(wb_listen_is_reached(&where, cases[i].host, 4318));
    }
    wb_listen any = at("127.0.0.1:0");
    assert_false(wb_listen_is_reached(&any, "127.0.0.1", 0));
}

static void our_own_name_is_this_machine_but_not_its_loopback(void **state)
{
    char name[HOST_NAME_MAX + 1] = "";
    wb_listen all = at("0.0.0.0:4318"), near = at("127.0.0.1:4318");
    (void)state;
    assert_int_equal(gethostname(name, sizeof name - 1), 0);
    if (strcmp(name, "localhost") == 0) return;
    assert_true(wb_listen_is_reached(&all, name, 4318));
    assert_false(wb_listen_is_reached(&near, name, 4318));
}

static void two_at_one_port_are_the_same_if_either_takes_all(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {{"127.0.0.1:1", "127.0.0.1:1", true},  {"127.0.0.1:1", "127.0.0.1:2", false},
                 {"127.0.0.1:1", "127.0.0.2:1", false}, {"0.0.0.0:1", "127.0.0.2:1", true},
                 {"[::]:1", "127.0.0.1:1", true},       {"0.0.0.0:1", "[::1]:1", false},
                 {"127.0.0.1:0", "127.0.0.1:0", false}, {"off", "127.0.0.1:4318", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wb_listen a = at(cases[i].a), b = at(cases[i].b);
        assert_int_equal(wb_listen_is_same(&a, &b), cases[i].same);
        assert_int_equal(wb_listen_is_same(&b, &a), cases[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_leads_here_is_known),
        cmocka_unit_test(our_own_name_is_this_machine_but_not_its_loopback),
        cmocka_unit_test(two_at_one_port_are_the_same_if_either_takes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
