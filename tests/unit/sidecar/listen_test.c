/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/listen.h"
#include "sidecar/receivers/otlp/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void an_address_is_numeric_and_has_a_port(void **state)
{
    static const char *const wrong[] = {
        "",           "4318",       ":4318",         "localhost:4318",
        "127.0.0.1",  "127.0.0.1:", "127.0.0.1:x",   "127.0.0.1:65536",
        "::1:4318",   "[::1]",      "[127.0.0.1]:1", "[]:1",
        "1.2.3.4:-1", "1.2.3.4:1 ", "off "};
    wb_listen where;
    wb_error err;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(wb_listen_make("key", wrong[i], 1, true, &where, &err), WB_ERR_CONFIG);
        assert_non_null(strstr(err.detail, "key: "));
    }
    assert_int_equal(wb_listen_make("key", "off", 1, false, &where, &err), WB_ERR_CONFIG);
    assert_int_equal(wb_listen_make("key", "off", 1, true, &where, &err), WB_OK);
    assert_true(where.off);
    assert_int_equal(wb_listen_make("key", "[::1]:80", 1, true, &where, &err), WB_OK);
    assert_string_equal(where.host, "::1");
    assert_true(where.port == 80 && !where.defaulted && !where.off);
    assert_int_equal(wb_listen_make("key", NULL, 7, true, &where, &err), WB_OK);
    assert_string_equal(where.host, "127.0.0.1");
    assert_true(where.port == 7 && where.defaulted);
}

static void loopback_has_three_faces(void **state)
{
    static const struct {
        const char *at;
        bool loopback;
    } cases[] = {{"127.0.0.1:1", true},          {"127.9.9.9:1", true},  {"[::1]:1", true},
                 {"[::ffff:127.0.0.1]:1", true}, {"0.0.0.0:1", false},   {"[::]:1", false},
                 {"[::ffff:10.0.0.1]:1", false}, {"128.0.0.1:1", false}, {"[fe80::1]:1", false}};
    wb_listen where;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(wb_listen_make("key", cases[i].at, 1, false, &where, NULL), WB_OK);
        assert_int_equal(wb_listen_is_loopback(&where), cases[i].loopback);
    }
}

static void a_defaulted_port_gives_way_and_a_configured_one_does_not(void **state)
{
    wb_listen where, same;
    wb_error err;
    uint16_t port, other;
    int first, second;
    (void)state;
    assert_int_equal(wb_listen_make("key", "127.0.0.1:0", 1, false, &where, &err), WB_OK);
    assert_int_equal(wb_listen_open("key", &where, 4, &first, &port, &err), WB_OK);
    assert_true(port != 0);
    assert_int_equal(wb_listen_make("key", NULL, port, false, &same, &err), WB_OK);
    assert_int_equal(wb_listen_open("key", &same, 4, &second, &other, &err), WB_OK);
    assert_true(other != 0 && other != port);
    (void)close(second);
    same.defaulted = false;
    assert_int_equal(wb_listen_open("key", &same, 4, &second, &other, &err), WB_ERR_CONFIG);
    assert_non_null(strstr(err.detail, "key: cannot listen on 127.0.0.1"));
    (void)close(first);
}

static void reach_asks_for_a_secret(void **state)
{
    static const struct {
        wb_otlp_config config;
        const char *says; /* NULL: well */
    } cases[] = {
        {{.http_listen = "127.0.0.1:1"}, NULL},
        {{.http_listen = "off", .grpc_listen = "off"}, NULL},
        {{.http_listen = "0.0.0.0:1"}, "otlp.http.listen: 0.0.0.0 is reached"},
        {{.grpc_listen = "[::]:1"}, "otlp.grpc.listen: :: is reached"},
        {{.http_listen = "0.0.0.0:1", .bearer_file = "b"}, NULL},
        {{.http_listen = "0.0.0.0:1", .tls_cert_file = "c", .tls_key_file = "k"}, "is reached"},
        {{.http_listen = "0.0.0.0:1",
          .tls_cert_file = "c",
          .tls_key_file = "k",
          .tls_client_ca_file = "a"},
         NULL},
        {{.tls_cert_file = "c"}, "belong together"},
        {{.tls_key_file = "k"}, "belong together"},
        {{.tls_client_ca_file = "a"}, "needs otlp.tls.cert_file"},
        {{.http_listen = "nowhere:1"}, "is no address:port"},
        {{.grpc_listen = "nowhere:1"}, "is no address:port"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wb_otlp_config config = cases[i].config;
        wb_error err = {.status = WB_OK};
        wb_status status = wb_otlp_config_make(&config, &err);
        assert_int_equal(status, cases[i].says ? WB_ERR_CONFIG : WB_OK);
        if (cases[i].says) assert_non_null(strstr(err.detail, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_numeric_and_has_a_port),
        cmocka_unit_test(loopback_has_three_faces),
        cmocka_unit_test(a_defaulted_port_gives_way_and_a_configured_one_does_not),
        cmocka_unit_test(reach_asks_for_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
