/* SPDX-License-Identifier: Apache-2.0 */
#include "core/jcs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

typedef struct fixture {
    wb_arena *arena;
    wb_buffer out;
    wb_error err;
} fixture;

static void set_up(fixture *f)
{
    *f = (fixture){.arena = wb_arena_new(1 << 24)};
    assert_non_null(f->arena);
    wb_buffer_init(&f->out, 1 << 20);
}

static void tear_down(fixture *f)
{
    wb_arena_free(f->arena);
    wb_buffer_done(&f->out);
}

static void check_refused(wb_slice text, const char *reason)
{
    fixture f;
    set_up(&f);
    wb_status st = wb_jcs_format(text, f.arena, &f.out, &f.err);
    if (st != WB_ERR_MALFORMED) fail_msg("%.*s: %s", WB_SLICE_ARG(text), wb_status_name(st));
    assert_string_equal(f.err.detail, reason);
    tear_down(&f);
}

static void check_canonical(wb_slice text, wb_slice expected)
{
    fixture f;
    set_up(&f);
    if (wb_jcs_format(text, f.arena, &f.out, &f.err) != WB_OK)
        fail_msg("%.*s: %s", WB_SLICE_ARG(text), f.err.detail);
    if (!wb_slice_eq(wb_buffer_slice(&f.out), expected))
        fail_msg("%.*s instead of %.*s", WB_SLICE_ARG(wb_buffer_slice(&f.out)),
                 WB_SLICE_ARG(expected));
    tear_down(&f);
}

static void what_is_not_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",    " ",   "{",   "[1,]",   "01",   "1.", "+1",    "NaN",     "[-]",     "nul",
        "'a'", "1 2", "{}x", "\"\t\"", "[1e]", ".5", "{1:2}", "{\"a\"}", "\"\\x\"", "[Infinity]"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++) check_refused(wb_slice_str(bad[i]), "not JSON");
}

static void text_that_has_no_utf16_is_refused(void **state)
{
    static const char *const bad[] = {"\"\\ud800\"", "\"\\udc00\"",      "{\"\\ud83d\\u0041\":1}",
                                      "\"\xff\"",    "\"\xed\xa0\x80\"", "\xef\xbb\xbf{}"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        check_refused(wb_slice_str(bad[i]), "not UTF-8, or half a surrogate pair");
}

static void a_repeated_name_is_refused(void **state)
{
    static const char *const bad[] = {"{\"a\":1,\"a\":2}", "{\"a\":1,\"b\":2,\"\\u0061\":3}",
                                      "[{\"x\":{\"\":1,\"\":1}}]"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        check_refused(wb_slice_str(bad[i]), "a name twice in one object");
}

static void a_number_beyond_doubles_is_refused(void **state)
{
    (void)state;
    check_refused(WB_S("[1,{\"a\":1e400}]"), "a number beyond doubles");
    check_refused(WB_S("-1e309"), "a number beyond doubles");
}

/* `levels` arrays in each other, in `out`. */
static wb_slice nested(char *out, size_t levels)
{
    memset(out, '[', levels);
    memset(out + levels, ']', levels);
    return wb_slice_of(out, 2 * levels);
}

static void the_limit_of_depth_is_exact(void **state)
{
    char text[2 * (WB_JCS_DEPTH + 1)];
    (void)state;
    check_canonical(nested(text, WB_JCS_DEPTH), nested(text, WB_JCS_DEPTH));
    check_refused(nested(text, WB_JCS_DEPTH + 1), "nested too deeply");
}

/* One that was read as part of something else. */
static void the_writer_knows_the_limit_of_depth_too(void **state)
{
    char text[2 * (WB_JCS_DEPTH + 1)];
    const wb_json *root = NULL;
    fixture f;
    (void)state;
    set_up(&f);
    assert_int_equal(
        wb_jcs_parse(nested(text, WB_JCS_DEPTH + 1), WB_JCS_DEPTH + 1, f.arena, &root, NULL),
        WB_OK);
    assert_int_equal(wb_jcs_add(&f.out, root, f.arena, &f.err), WB_ERR_MALFORMED);
    assert_string_equal(f.err.detail, "nested too deeply");
    wb_buffer_clear(&f.out);
    assert_int_equal(wb_jcs_add(&f.out, root->first, f.arena, &f.err), WB_OK);
    assert_int_equal(f.out.len, 2 * WB_JCS_DEPTH);
    tear_down(&f);
}

static void every_limit_of_memory_is_kept(void **state)
{
    static const wb_slice text = WB_S("{\"a\":[\"\\n\",{},1.5],\"b\":true}");
    wb_status st = WB_ERR_NO_MEMORY;
    size_t limit = 0;
    (void)state;
    for (; st == WB_ERR_NO_MEMORY; limit += 8) {
        wb_error err = {0};
        WB_AUTO(wb_arena) arena = wb_arena_new(limit);
        WB_AUTO_BUFFER out;
        assert_non_null(arena);
        wb_buffer_init(&out, limit < 4096 ? 4096 : limit);
        st = wb_jcs_format(text, arena, &out, &err);
        assert_true(wb_arena_used(arena) <= limit);
        if (st == WB_ERR_NO_MEMORY) assert_non_null(strstr(err.detail, "too much memory"));
    }
    assert_int_equal(st, WB_OK);
    assert_true(limit <= 48 * text.len);
    for (size_t room = 0; room < 28; room++) {
        fixture f;
        set_up(&f);
        f.out.limit = room;
        st = wb_jcs_format(text, f.arena, &f.out, &f.err);
        assert_int_equal(st, WB_ERR_NO_MEMORY);
        assert_string_equal(f.err.detail, "the JSON value takes too much memory");
        tear_down(&f);
    }
}

static void any_value_has_a_form(void **state)
{
    static const char *const same[] = {"null", "true", "false", "0",
                                       "\"\"", "[]",   "{}",    "[null,[],{\"a\":{}}]"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(same); i++)
        check_canonical(wb_slice_str(same[i]), wb_slice_str(same[i]));
    check_canonical(WB_S(" [ 1 ,\t{ \"a\" :\r\n-0 } ] "), WB_S("[1,{\"a\":0}]"));
}

static void numbers_are_doubles(void **state)
{
    (void)state;
    check_canonical(WB_S("[-0,1.0,1E2,9007199254740991,9007199254740993,-1,1e21,0.1e-6,4.50]"),
                    WB_S("[0,1,100,9007199254740991,9007199254740992,-1,1e+21,1e-7,4.5]"));
}

/* RFC 8785 section 3.2.3 */
static void members_are_in_the_order_of_utf16_units(void **state)
{
    (void)state;
    check_canonical(WB_S("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,"
                         "\"\\u0080\":6,\"\\u00f6\":7}"),
                    WB_S("{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,"
                         "\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}"));
    check_canonical(WB_S("{\"b\":1,\"\":2,\"aa\":3,\"a\":{\"d\":4,\"c\":5}}"),
                    WB_S("{\"\":2,\"a\":{\"c\":5,\"d\":4},\"aa\":3,\"b\":1}"));
}

static void strings_have_the_short_escapes(void **state)
{
    (void)state;
    check_canonical(WB_S("\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\\u007f\""),
                    WB_S("\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\x7f\""));
    check_canonical(WB_S("\"\\u0000\\b\\f\\t\\u001F\""), WB_S("\"\\u0000\\b\\f\\t\\u001f\""));
}

/* In an order in which nothing is sorted yet; quadratic comparison would take minutes. */
static void a_hundred_thousand_members_are_sorted_at_once(void **state)
{
    enum { N = 100000 };
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 26);
    WB_AUTO_BUFFER text;
    const wb_json *root = NULL;
    (void)state;
    assert_non_null(arena);
    wb_buffer_init(&text, 1 << 24);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(wb_buffer_printf(&text, "%s\"%05u\":1", i ? "," : "{", i * 7919U % N),
                         WB_OK);
    assert_int_equal(wb_buffer_add(&text, "}", 1), WB_OK);
    assert_int_equal(wb_jcs_parse(wb_buffer_slice(&text), 1, arena, &root, NULL), WB_OK);
    assert_int_equal(root->n, N);
    uint32_t seen = 0;
    for (const wb_json *m = root->first; m; m = m->next, seen++) {
        char name[8];
        (void)snprintf(name, sizeof name, "%05u", seen);
        assert_true(wb_slice_eq(m->name, wb_slice_str(name)));
    }
    assert_int_equal(seen, N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(text_that_has_no_utf16_is_refused),
        cmocka_unit_test(a_repeated_name_is_refused),
        cmocka_unit_test(a_number_beyond_doubles_is_refused),
        cmocka_unit_test(the_limit_of_depth_is_exact),
        cmocka_unit_test(the_writer_knows_the_limit_of_depth_too),
        cmocka_unit_test(every_limit_of_memory_is_kept),
        cmocka_unit_test(any_value_has_a_form),
        cmocka_unit_test(numbers_are_doubles),
        cmocka_unit_test(members_are_in_the_order_of_utf16_units),
        cmocka_unit_test(strings_have_the_short_escapes),
        cmocka_unit_test(a_hundred_thousand_members_are_sorted_at_once),
    };
    return cmocka_run_group_tests_name("jcs", tests, NULL, NULL);
}
