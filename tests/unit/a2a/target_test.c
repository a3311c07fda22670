/* SPDX-License-Identifier: Apache-2.0 */
#include "a2a/target.h"
#include "a2a/task_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void an_origin_is_scheme_host_and_port(void **state)
{
    static const struct {
        const char *url, *origin; /* NULL: refused */
    } cases[] = {
        {"", NULL},
        {"ftp://a.example/", NULL},
        {"http://", NULL},
        {"http://:80/", NULL},
        {"http://user@a.example/", NULL},
        {"http://a.example\\@evil.example/", NULL},
        {"http://a b/", NULL},
        {"//a.example", NULL},
        {"http://a:80:80", NULL},
        {"http://a:", NULL},
        {"http://a:123456", NULL},
        {"http://[::1", NULL},
        {"http://[]:80", NULL},
        {"http://127.0.0.1:9001/rpc", "http://127.0.0.1:9001"},
        {"HTTP://A.Example:80/x?y#z", "http://a.example"},
        {"https://a.example:443", "https://a.example"},
        {"https://a.example:80/", "https://a.example:80"},
        {"http://[::1]:8080/", "http://[::1]:8080"},
        {"http://a.example?x", "http://a.example"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char out[WB_ORIGIN_MAX + 1] = "untouched";
        wb_status status = wb_origin_of(wb_slice_str(cases[i].url), out);
        assert_int_equal(status, cases[i].origin ? WB_OK : WB_ERR_MALFORMED);
        assert_string_equal(out, cases[i].origin ? cases[i].origin : "untouched");
    }
}

static void an_origin_of_any_length_stays_in_its_room(void **state)
{
    char url[1024] = "http://", out[WB_ORIGIN_MAX + 1];
    (void)state;
    memset(url + 7, 'a', sizeof url - 8);
    for (size_t len = 8; len < sizeof url; len++) {
        wb_status status = wb_origin_of(wb_slice_of(url, len), out);
        if (status == WB_OK) assert_int_equal(strlen(out), len);
        assert_true(status == WB_OK || len > WB_ORIGIN_MAX - 10);
    }
}

static const wb_slice origins[] = {WB_S("http://127.0.0.1:9001")};
static const wb_peer peers[] = {{WB_S("spiffe://example.org/b"), origins, 1}};

static void configuration_decides_before_the_card(void **state)
{
    const char *why = NULL;
    wb_slice audience;
    (void)state;
    const wb_target liar = {WB_S("http://127.0.0.1:9001/rpc"), WB_S("https://evil.example/a"),
                            true};
    assert_int_equal(wb_target_audience(peers, 1, &liar, &audience, &why), WB_OK);
    assert_true(wb_slice_eq(audience, WB_S("spiffe://example.org/b")));
}

static void a_card_speaks_for_its_own_https_origin_only(void **state)
{
    static const struct {
        wb_target target;
        bool found;
    } cases[] = {
        {{WB_S("https://a.example/rpc"), WB_S("spiffe://example.org/b"), true}, false},
        {{WB_S("https://a.example/rpc"), WB_S("https://b.example/agent"), true}, false},
        {{WB_S("http://a.example/rpc"), WB_S("https://a.example/agent"), true}, false},
        {{WB_S("https://a.example/rpc"), WB_S("https://a.example/agent"), false}, false},
        {{WB_S("https://a.example/rpc"), WB_S(""), true}, false},
        {{WB_S("not a url"), WB_S("https://a.example/agent"), true}, false},
        {{WB_S("https://a.example/rpc"), WB_S("https://a.example/agent"), true}, true},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        const char *why = NULL;
        wb_slice audience = WB_S("");
        wb_status status = wb_target_audience(peers, 1, &cases[i].target, &audience, &why);
        assert_int_equal(status, cases[i].found ? WB_OK : WB_ERR_NOT_FOUND);
        assert_int_equal(audience.len > 0, cases[i].found);
        assert_non_null(why);
    }
}

static void a_sender_is_known_by_its_name_or_by_a_host_of_its_own(void **state)
{
    static const wb_slice at_b[] = {{(const uint8_t *)"http://10.0.0.7:9001", 20},
                                    {(const uint8_t *)"http://[fd00::7]:9001", 21}};
    static const wb_slice at_c[] = {{(const uint8_t *)"https://c.example", 17},
                                    {(const uint8_t *)"http://10.0.0.8", 15}};
    static const wb_slice at_d[] = {{(const uint8_t *)"http://10.0.0.8:9002", 20}};
    const wb_peer known[] = {{WB_S("spiffe://example.org/b"), at_b, 2},
                             {WB_S("spiffe://example.org/c"), at_c, 2},
                             {WB_S("spiffe://example.org/d"), at_d, 1}};
    static const struct {
        const char *sender, *id;
    } cases[] = {
        {"", ""},
        {"10.0.0.9", ""},
        {"10.0.0", ""},
        {"10.0.0.8", ""}, /* two peers are there */
        {"alice", ""},
        {"spiffe://EXAMPLE.org/b", ""}, /* no id */
        {"10.0.0.7", "spiffe://example.org/b"},
        {"fd00::7", "spiffe://example.org/b"},
        {"c.example", "spiffe://example.org/c"},
        {"spiffe://example.org/x", "spiffe://example.org/x"}, /* authenticated */
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        assert_true(wb_slice_eq(wb_peer_of_sender(known, 3, wb_slice_str(cases[i].sender)),
                                wb_slice_str(cases[i].id)));
}

static void task_states_map_to_delegation_states(void **state)
{
    (void)state;
    assert_int_equal(wb_delegation_state_of_task(WB_S("")), WB_DELEGATION_NONE);
    assert_int_equal(wb_delegation_state_of_task(WB_S("TASK_STATE_UNSPECIFIED")),
                     WB_DELEGATION_NONE);
    assert_int_equal(wb_delegation_state_of_task(WB_S("completed")), WB_DELEGATION_NONE);
    assert_int_equal(wb_delegation_state_of_task(WB_S("TASK_STATE_WORKING")),
                     WB_DELEGATION_IN_FLIGHT);
    assert_int_equal(wb_delegation_state_of_task(WB_S("TASK_STATE_INPUT_REQUIRED")),
                     WB_DELEGATION_WAITING_INPUT);
    assert_int_equal(wb_delegation_state_of_task(WB_S("TASK_STATE_CANCELED")),
                     WB_DELEGATION_CANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(an_origin_of_any_length_stays_in_its_room),
        cmocka_unit_test(configuration_decides_before_the_card),
        cmocka_unit_test(a_card_speaks_for_its_own_https_origin_only),
        cmocka_unit_test(a_sender_is_known_by_its_name_or_by_a_host_of_its_own),
        cmocka_unit_test(task_states_map_to_delegation_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
