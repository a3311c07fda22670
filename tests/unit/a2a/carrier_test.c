/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier's exact shape; and that what is large is counted, not kept. */
#include "a2a/carrier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define SALT "AAECAwQFBgcICQoLDA0ODw"
#define CARRIER(v, chain, salt) "{\"v\":" v ",\"chain\":" chain ",\"salt\":" salt "}"

static wb_token_code parse(const char *text, wb_arena *arena, wb_carrier *out)
{
    wb_token_code code = WB_E_POLICY;
    assert_int_equal(wb_carrier_parse(wb_slice_str(text), arena, out, &code), WB_OK);
    return code;
}

static void other_shapes_are_refused(void **state)
{
    static const struct {
        const char *text;
        wb_token_code expected;
    } cases[] = {
        {"", WB_E_MISSING},
        {"null", WB_E_MISSING},
        {"{}", WB_E_CARRIER},
        {"[]", WB_E_CARRIER},
        {"1", WB_E_CARRIER},
        {" null", WB_E_CARRIER},
        {CARRIER("\"2\"", "[\"a\"]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("2", "[\"a\"]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("1.5", "[\"a\"]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("-1", "[\"a\"]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("true", "[\"a\"]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("\"1.0\"", "[\"a\"]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "\"a\"", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "[1]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "[[]]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"a\",null]", "\"" SALT "\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",9]", "\"" SALT "\""),
         WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"a\"]", "\"AAECAwQFBgcICQoLDA0OD\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"a\"]", "\"AAECAwQFBgcICQoLDA0ODwAA\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"a\"]", "\"AAECAwQFBgcICQoLDA0ODx\""), WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"a\"]", "null"), WB_E_CARRIER},
        {"{\"v\":\"1\",\"chain\":[\"a\"]}", WB_E_CARRIER},
        {"{\"v\":\"1\",\"salt\":\"" SALT "\"}", WB_E_CARRIER},
        {"{\"chain\":[\"a\"],\"salt\":\"" SALT "\"}", WB_E_CARRIER},
        {"{\"v\":\"1\",\"receipts\":[\"a\"]}", WB_E_CARRIER},
        {"{\"v\":\"1\",\"v\":\"1\",\"chain\":[\"a\"],\"salt\":\"" SALT "\"}", WB_E_CARRIER},
        {"{\"v\":\"1\",\"chain\":[\"a\"],\"salt\":\"" SALT "\",\"x\":1}", WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"a\"]", "\"" SALT "\"") "x", WB_E_CARRIER},
        {CARRIER("\"1\"", "[\"\xff\"]", "\"" SALT "\""), WB_E_CARRIER},
    };
    WB_AUTO(wb_arena) arena = wb_arena_new(65536);
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_carrier out = {.chain = {.n = 77}};
        wb_token_code code = parse(cases[i].text, arena, &out);
        if (code != cases[i].expected) fail_msg("%s: %s", cases[i].text, wb_token_code_name(code));
        assert_int_equal(out.chain.n, 77); /* untouched */
    }
}

static void version_1_has_many_spellings(void **state)
{
    static const char *const spellings[] = {"\"1\"", "1",     "1.0",     "1e0",
                                            "10E-1", "0.1e1", "1.00000", "\"\\u0031\""};
    WB_AUTO(wb_arena) arena = wb_arena_new(65536);
    (void)state;
    for (size_t i = 0; i < WB_COUNT(spellings); i++) {
        char text[128];
        wb_carrier out;
        (void)snprintf(text, sizeof text, CARRIER("%s", "[\"a\"]", "\"" SALT "\""), spellings[i]);
        if (parse(text, arena, &out) != WB_E_NONE) fail_msg("%s", spellings[i]);
    }
}

static void any_order_and_any_escaping_is_read(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(65536);
    wb_carrier out;
    (void)state;
    assert_int_equal(parse(" {\"salt\":\"" SALT "\", \"ch\\u0061in\" :[\"root\",\"le\\u0061f\"],"
                           "\"v\":1.0}\n",
                           arena, &out),
                     WB_E_NONE);
    assert_int_equal(out.chain.n, 2);
    assert_true(wb_slice_eq(out.chain.links[0], WB_S("root")));
    assert_true(wb_slice_eq(out.chain.links[1], WB_S("leaf")));
    for (size_t i = 0; i < sizeof out.salt; i++) assert_int_equal(out.salt[i], i);
}

static void what_is_written_is_read_back(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(65536);
    WB_AUTO_BUFFER text;
    const wb_carrier in = {.chain = {{WB_S("a.b.c"), WB_S("d.e.f")}, 2},
                           .salt = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    wb_carrier out;
    wb_token_code code;
    (void)state;
    wb_buffer_init(&text, 4096);
    assert_int_equal(wb_carrier_format(&in, &text), WB_OK);
    assert_true(
        wb_slice_eq(wb_buffer_slice(&text),
                    WB_S("{\"v\":\"1\",\"chain\":[\"a.b.c\",\"d.e.f\"],\"salt\":\"" SALT "\"}")));
    assert_int_equal(wb_carrier_parse(wb_buffer_slice(&text), arena, &out, &code), WB_OK);
    assert_int_equal(code, WB_E_NONE);
    assert_true(wb_slice_eq(out.chain.links[1], in.chain.links[1]));
    assert_memory_equal(out.salt, in.salt, sizeof in.salt);
}

static void a_carrier_of_ten_megabytes_takes_no_memory(void **state)
{
    enum { HUGE_BYTES = 10 * 1000 * 1000 };
    WB_AUTO(wb_arena) arena = wb_arena_new(16384);
    WB_AUTO_BUFFER text;
    wb_carrier out;
    wb_token_code code;
    uint8_t *at;
    (void)state;
    wb_buffer_init(&text, HUGE_BYTES + 1000);
    assert_int_equal(wb_buffer_add_slice(&text, WB_S("{\"v\":\"1\",\"chain\":[\"")), WB_OK);
    assert_int_equal(wb_buffer_reserve(&text, HUGE_BYTES, &at), WB_OK);
    memset(at, 'A', HUGE_BYTES);
    assert_int_equal(wb_buffer_add_slice(&text, WB_S("\"],\"salt\":\"" SALT "\"}")), WB_OK);
    assert_int_equal(wb_carrier_parse(wb_buffer_slice(&text), arena, &out, &code), WB_OK);
    assert_int_equal(code, WB_E_NONE); /* its shape is good; its size is the next step's */
    assert_int_equal(out.chain.links[0].len, HUGE_BYTES);
    assert_null(out.chain.links[0].ptr);
    for (size_t i = 0; i + 2 < HUGE_BYTES; i += 3) at[i] = at[i + 2] = '"', at[i + 1] = ',';
    assert_int_equal(wb_carrier_parse(wb_buffer_slice(&text), arena, &out, &code), WB_OK);
    assert_int_equal(code, WB_E_NONE);
    assert_int_equal(out.chain.n, HUGE_BYTES / 3 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(version_1_has_many_spellings),
        cmocka_unit_test(any_order_and_any_escaping_is_read),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_carrier_of_ten_megabytes_takes_no_memory),
    };
    return cmocka_run_group_tests_name("carrier", tests, NULL, NULL);
}
