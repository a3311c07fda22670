/* SPDX-License-Identifier: Apache-2.0 */
/* The reader apart from tokens: which of several faults counts, both number profiles, counting without
 * keeping, the memory it takes, and the one escaping of strings. */
#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static const wb_json_limits strict = {.depth = 3, .members = 4, .elements = 4, .string_bytes = 8};

static wb_json_fault parse(wb_slice text, const wb_json_limits *limits, wb_arena *arena,
                           const wb_json **root)
{
    wb_json_fault fault = WB_JSON_SIZE;
    assert_int_equal(wb_json_parse(text, limits, arena, root, &fault), WB_OK);
    return fault;
}

static void check_faults(const wb_json_limits *limits, const char *const *texts, size_t n,
                         wb_json_fault expected)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 20);
    assert_non_null(arena);
    for (size_t i = 0; i < n; i++) {
        const wb_json *root = NULL;
        wb_json_fault got = parse(wb_slice_str(texts[i]), limits, arena, &root);
        if (got != expected)
            fail_msg("%s: \"%s\" instead of \"%s\"", texts[i], wb_json_fault_text(got),
                     wb_json_fault_text(expected));
        assert_true((got == WB_JSON_NO_FAULT) == (root != NULL));
    }
}
#define CHECK(limits, expected, ...)                                                               \
    do {                                                                                           \
        static const char *const texts_[] = {__VA_ARGS__};                                         \
        check_faults(limits, texts_, WB_COUNT(texts_), expected);                                  \
    } while (0)

static void text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    CHECK(&strict, WB_JSON_UTF8, "\xff", "{\"a\":\"\xc0\x80\"}", "{\"\xed\xa0\x80\":1}",
          "{\"a\":\"\xf4\x90\x80\x80\"}", "\xef\xbb\xbf{}", "{}\x80", "nonsense \xfe",
          "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\\ud800\\u0041\"}",
          "{\"a\":\"\\ud800x\"}", "{\"a\":\"\\u0000\"}", "{\"\\u0000\":1}");
}

static void what_is_not_one_object_is_refused(void **state)
{
    (void)state;
    CHECK(&strict, WB_JSON_SYNTAX, "", " ", "1", "\"a\"", "[]", "null", "{", "}", "{}{}", "{},",
          "{}x", "{a:1}", "{'a':1}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\":1,}", "{,}",
          "{\"a\":1 \"b\":2}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":[1}",
          "{\"a\":tru}", "{\"a\":nul}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":undefined}",
          "{\"a\":\"\\x41\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\",
          "{\"a\":\"unended", "{\"a\":\"tab\t\"}", "{\"a\":\"nl\n\"}", "{/**/}", "{}//", "\f{}",
          "\xc2\xa0{}", "{\"a\":truefalse}", "{\"a\":1_000}");
    const wb_json *root = NULL;
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    assert_non_null(arena);
    assert_int_equal(parse(wb_slice_of("{}\0", 3), &strict, arena, &root), WB_JSON_SYNTAX);
    assert_int_equal(parse(wb_slice_of("{\"a\":\"\0\"}", 9), &strict, arena, &root),
                     WB_JSON_SYNTAX);
    assert_int_equal(parse((wb_slice){0}, &strict, arena, &root), WB_JSON_SYNTAX);
}

static void limits_are_exact(void **state)
{
    (void)state;
    CHECK(&strict, WB_JSON_DEPTH, "{\"a\":{\"b\":{\"c\":{", "{\"a\":[[[", "{\"a\":[[{}]]}");
    CHECK(&strict, WB_JSON_SIZE, "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\"", "{\"a\":[1,2,3,4,5",
          "{\"123456789", "{\"a\":\"123456789", "{\"a\":\"1234567\\u00e9",
          "{\"a\":\"12345\\ud83d\\ude00");
    CHECK(&strict, WB_JSON_NO_FAULT, "{\"a\":{\"b\":[1]}}", "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}",
          "{\"a\":[1,2,3,4]}", "{\"12345678\":\"12345678\"}", "{\"a\":\"123456\\u00e9\"}",
          "{\"a\":\"1234\\ud83d\\ude00\"}", " {\t\"a\"\r\n: [ ] , \"b\" :{ } } \n");
}

static void names_are_compared_after_unescaping(void **state)
{
    (void)state;
    CHECK(&strict, WB_JSON_DUPLICATE, "{\"a\":1,\"a\"", "{\"a\":1,\"\\u0061\":2}",
          "{\"\":1,\"\":2}", "{\"b\":{\"a\":1,\"a\":1}}", "{\"/\":1,\"\\/\":2}",
          "{\"\xc3\xa9\":1,\"\\u00E9\":2}");
    CHECK(&strict, WB_JSON_NO_FAULT, "{\"a\":1,\"A\":2}", "{\"a\":{\"a\":1}}",
          "{\"e\\u0301\":1,\"\\u00e9\":2}"); /* alike to the eye, other bytes */
}

static void the_leftmost_fault_counts(void **state)
{
    (void)state;
    CHECK(&strict, WB_JSON_NUMBER, "{\"a\":-1,\"a\":1}", "{\"a\":1.5,", "{\"a\":01,[[[[");
    CHECK(&strict, WB_JSON_DUPLICATE, "{\"a\":1,\"a\":-1}", "{\"a\":1,\"a\":[[[[");
    CHECK(&strict, WB_JSON_DEPTH, "{\"a\":[[[-1", "{\"a\":[[[\"123456789\"");
    CHECK(&strict, WB_JSON_SIZE, "{\"a\":\"123456789\\ud800", "{\"a\":[1,2,3,4,-5",
          "{\"a\":[1,2,3,4,[[[");
    CHECK(&strict, WB_JSON_SYNTAX, "{\"a\":[1,2,3,4,]", "{\"a\":1,,\"a\"");
    CHECK(&strict, WB_JSON_UTF8, "{\"a\":-1,\"b\":\"\x80\"}", "{\"a\":\"1234567\\ud8009\"");
}

static void integers_are_plain_and_below_2_to_the_53(void **state)
{
    (void)state;
    CHECK(&strict, WB_JSON_NUMBER, "{\"a\":1.0}", "{\"a\":1e3}", "{\"a\":-0}", "{\"a\":-1}",
          "{\"a\":00}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":0x1}",
          "{\"a\":9007199254740992}", "{\"a\":99999999999999999}", "{\"a\":18446744073709551616}",
          "{\"a\":1E400}", "{\"a\":-Infinity}", "{\"a\":1a}", "{\"a\":-}");
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    assert_non_null(arena);
    const wb_json *root = NULL;
    assert_int_equal(
        parse(WB_S("{\"a\":0,\"b\":9007199254740991,\"c\":10}"), &strict, arena, &root),
        WB_JSON_NO_FAULT);
    assert_true(wb_json_member(root, WB_S("a"))->number == 0);
    assert_true(wb_json_member(root, WB_S("b"))->number == WB_JSON_INT_MAX);
    assert_true(wb_json_member(root, WB_S("c"))->number == 10);
}

static void any_number_means_any_of_rfc_8259(void **state)
{
    wb_json_limits any = strict;
    any.any_number = true;
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    assert_non_null(arena);
    const wb_json *root = NULL;
    (void)state;
    assert_int_equal(
        parse(WB_S("{\"a\":-1.5e+7,\"b\":0.0,\"c\":1E400,\"d\":12}"), &any, arena, &root),
        WB_JSON_NO_FAULT);
    assert_int_equal(wb_json_member(root, WB_S("a"))->type, WB_JSON_REAL);
    assert_true(wb_slice_eq(wb_json_member(root, WB_S("a"))->text, WB_S("-1.5e+7")));
    assert_int_equal(wb_json_member(root, WB_S("d"))->type, WB_JSON_INT);
    static const char *const bad[] = {"{\"a\":01}", "{\"a\":1.}",  "{\"a\":.5}",  "{\"a\":+1}",
                                      "{\"a\":1e}", "{\"a\":--1}", "{\"a\":1e+}", "{\"a\":-}"};
    check_faults(&any, bad, WB_COUNT(bad), WB_JSON_NUMBER);
}

static void any_value_means_other_than_objects_too(void **state)
{
    wb_json_limits any = strict;
    any.any_value = true;
    (void)state;
    CHECK(&any, WB_JSON_SYNTAX, "", " ", "[", "1 2", "nul", "]", "\"a\"x");
    CHECK(&any, WB_JSON_DEPTH, "[[[[");
    CHECK(&any, WB_JSON_NUMBER, "-1");
    CHECK(&any, WB_JSON_NO_FAULT, "1", " \"a\" ", "[[[]]]", "null", "{\"a\":[[1]]}");
}

static void any_char_means_u_0000_too(void **state)
{
    wb_json_limits any = strict;
    any.any_char = true;
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    assert_non_null(arena);
    const wb_json *root = NULL;
    (void)state;
    CHECK(&any, WB_JSON_UTF8, "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}");
    assert_int_equal(parse(WB_S("{\"a\\u0000\":\"\\u0000b\"}"), &any, arena, &root),
                     WB_JSON_NO_FAULT);
    assert_true(wb_slice_eq(wb_json_member(root, WB_S("a\0"))->text, WB_S("\0b")));
}

static void members_can_be_sorted(void **state)
{
    wb_json_limits sorting = strict;
    sorting.sort_members = true;
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    assert_non_null(arena);
    const wb_json *root = NULL;
    (void)state;
    CHECK(&sorting, WB_JSON_DUPLICATE, "{\"a\":1,\"a\":1}", "{\"b\":1,\"a\":1,\"\\u0062\":1}",
          "{\"a\":{\"\":1,\"\":1},");
    CHECK(&sorting, WB_JSON_NUMBER, "{\"a\":1,\"a\":-1}"); /* met before the object's end */
    assert_int_equal(parse(WB_S("{\"c\":1,\"\xef\xac\xb3\":2,\"a\":{},\"\xf0\x9f\x98\x80\":4}"),
                           &sorting, arena, &root),
                     WB_JSON_NO_FAULT);
    const wb_json *m = root->first;
    assert_true(wb_slice_eq(m->name, WB_S("a")) && m->type == WB_JSON_OBJECT);
    assert_true(wb_slice_eq(m->next->name, WB_S("c")) && m->next->number == 1);
    assert_true(m->next->next->number == 4 && m->next->next->next->number == 2);
    assert_null(m->next->next->next->next);
}

static void excess_is_counted_without_memory(void **state)
{
    wb_json_limits counting = strict;
    counting.count_excess = true;
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    assert_non_null(arena);
    wb_buffer text;
    const wb_json *root = NULL;
    (void)state;
    wb_buffer_init(&text, 16 << 20);
    assert_int_equal(wb_buffer_add_slice(&text, WB_S("{\"a\":[")), WB_OK);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(wb_buffer_add_slice(&text, WB_S("\"one\\u0020two three\",")), WB_OK);
    assert_int_equal(wb_buffer_add_slice(&text, WB_S("\"\"],\"b\":\"")), WB_OK);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(wb_buffer_add_slice(&text, WB_S("\\u0041")), WB_OK);
    assert_int_equal(wb_buffer_add_slice(&text, WB_S("\"}")), WB_OK);
    assert_int_equal(parse(wb_buffer_slice(&text), &counting, arena, &root), WB_JSON_NO_FAULT);
    assert_int_equal(wb_json_member(root, WB_S("a"))->n, 100001);
    assert_int_equal(wb_json_member(root, WB_S("b"))->text.len, 100000);
    assert_null(wb_json_member(root, WB_S("b"))->text.ptr);
    assert_int_equal(wb_json_member(root, WB_S("a"))->first->text.len, 13);
    assert_null(wb_json_member(root, WB_S("a"))->first->text.ptr);
    wb_buffer_done(&text);
    static const char *const bad[] = {"{\"a\":[1,2,3,4,5]}", "{\"a\":[1,2,3,4,[]]}",
                                      "{\"123456789\":1}",
                                      "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}"};
    check_faults(&counting, bad, WB_COUNT(bad), WB_JSON_SIZE); /* strings alone are counted */
}

static void values_are_what_the_text_says(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(8192);
    assert_non_null(arena);
    const wb_json_limits roomy = {.depth = 4, .members = 9, .elements = 9, .string_bytes = 99};
    const wb_json *root = NULL;
    (void)state;
    assert_int_equal(
        parse(
            WB_S("{\"s\":\"q\\\"b\\\\s\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00\",\"t\":true,"
                 "\"f\":false,\"n\":null,\"a\":[1,\"x\",{\"y\":[]}],\"\":7}"),
            &roomy, arena, &root),
        WB_JSON_NO_FAULT);
    assert_int_equal(root->n, 6);
    assert_true(wb_slice_eq(wb_json_member(root, WB_S("s"))->text,
                            WB_S("q\"b\\s/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    assert_true(wb_json_member(root, WB_S("t"))->truth);
    assert_false(wb_json_member(root, WB_S("f"))->truth);
    assert_int_equal(wb_json_member(root, WB_S("n"))->type, WB_JSON_NULL);
    assert_true(wb_json_member(root, WB_S(""))->number == 7);
    const wb_json *a = wb_json_member(root, WB_S("a"));
    assert_int_equal(a->n, 3);
    assert_int_equal(wb_json_member(a->first->next->next, WB_S("y"))->type, WB_JSON_ARRAY);
    assert_null(wb_json_member(root, WB_S("z")));
    assert_null(wb_json_member(a, WB_S("y")));
    assert_null(wb_json_member(NULL, WB_S("y")));
}

static void an_arena_that_is_full_says_so(void **state)
{
    const wb_json *root = NULL;
    wb_json_fault fault;
    (void)state;
    size_t limit = 0;
    wb_status st = WB_ERR_NO_MEMORY;
    for (; st == WB_ERR_NO_MEMORY; limit += 16) {
        WB_AUTO(wb_arena) arena = wb_arena_new(limit);
        assert_non_null(arena);
        assert_null(root);
        st = wb_json_parse(WB_S("{\"a\":[\"\\n\",{}],\"b\":1}"), &strict, arena, &root, &fault);
    }
    assert_int_equal(st, WB_OK);
    assert_int_equal(fault, WB_JSON_NO_FAULT);
    assert_in_range(limit, 5 * sizeof(wb_json), 1024); /* it failed at least once a node */
}

static void every_fault_has_words_of_its_own(void **state)
{
    (void)state;
    for (int a = WB_JSON_NO_FAULT; a <= WB_JSON_SIZE + 1; a++)
        for (int b = WB_JSON_NO_FAULT; b < a; b++)
            assert_string_not_equal(wb_json_fault_text((wb_json_fault)a),
                                    wb_json_fault_text((wb_json_fault)b));
}

static void strings_are_escaped_no_more_than_they_must(void **state)
{
    static const struct {
        wb_slice text;
        const char *expected;
    } cases[] = {
        {WB_S(""), "\"\""},
        {{NULL, 0}, "\"\""},
        {WB_S("a/b"), "\"a/b\""},
        {WB_S("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {WB_S("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {WB_S("\x01\x1f\0"), "\"\\u0001\\u001f\\u0000\""},
        {WB_S("\x7f\xc3\xa9\xe2\x80\xa8"), "\"\x7f\xc3\xa9\xe2\x80\xa8\""},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, 256);
        assert_int_equal(wb_json_add_string(&out, cases[i].text), WB_OK);
        assert_true(wb_slice_eq(wb_buffer_slice(&out), wb_slice_str(cases[i].expected)));
    }
    WB_AUTO_BUFFER small;
    wb_buffer_init(&small, 4);
    assert_int_equal(wb_json_add_string(&small, WB_S("abc")), WB_ERR_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(what_is_not_one_object_is_refused),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(names_are_compared_after_unescaping),
        cmocka_unit_test(the_leftmost_fault_counts),
        cmocka_unit_test(integers_are_plain_and_below_2_to_the_53),
        cmocka_unit_test(any_number_means_any_of_rfc_8259),
        cmocka_unit_test(any_value_means_other_than_objects_too),
        cmocka_unit_test(any_char_means_u_0000_too),
        cmocka_unit_test(members_can_be_sorted),
        cmocka_unit_test(excess_is_counted_without_memory),
        cmocka_unit_test(values_are_what_the_text_says),
        cmocka_unit_test(an_arena_that_is_full_says_so),
        cmocka_unit_test(every_fault_has_words_of_its_own),
        cmocka_unit_test(strings_are_escaped_no_more_than_they_must),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
