/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/pipeline/preview.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/status.h"
#include "core/utf8.h"

enum { TEXT_MAX = 4096 };

#define CUT "\xE2\x80\xA6"

typedef struct row {
    const char *text;
    wb_preview_limit limit;
    const char *preview;
} row;

static void cuts(const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[TEXT_MAX];
        size_t len = strlen(rows[i].text);
        memcpy(text, rows[i].text, len);
        wb_preview made = wb_preview_cut((uint8_t *)text, len, rows[i].limit);
        text[made.len] = '\0';
        assert_string_equal(text, rows[i].preview);
        assert_true(made.characters <= rows[i].limit.characters && made.len <= rows[i].limit.bytes);
        assert_int_equal(made.was_cut, strcmp(text, rows[i].text) != 0);
        assert_true(wb_utf8_valid(wb_slice_str(text)));
    }
}

static void a_text_is_cut_between_characters(void **state)
{
    static const row rows[] = {
        {"short", {8, SIZE_MAX}, "short"},
        {"exactly8", {8, SIZE_MAX}, "exactly8"},
        {"exactly 9", {8, SIZE_MAX}, "exactly" CUT},
        {"h\xC3\xA9llo w\xC3\xB6rld", {8, SIZE_MAX}, "h\xC3\xA9llo w" CUT},
        {"h\xC3\xA9llo w\xC3\xB6rld", {SIZE_MAX, 11}, "h\xC3\xA9llo w" CUT},
        {"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80",
         {SIZE_MAX, 12},
         "\xF0\x9F\x98\x80\xF0\x9F\x98\x80" CUT},
        {"no room at all", {7, SIZE_MAX}, ""},
        {"", {8, 8}, ""},
    };
    (void)state;
    cuts(rows, WB_COUNT(rows));
}

static void json_stays_json(void **state)
{
    static const row rows[] = {
        {"{\"a\":\"0123456789\"}", {12, SIZE_MAX}, "{\"a\":\"012" CUT "\"}"},
        {"[1,2,3,4,5,6,7,8,9]", {10, SIZE_MAX}, "[1,2,3,4]"},
        {"[[1],{\"key\":\"too long to stand here\"}]", {12, SIZE_MAX}, "[[1],{}]"},
        {"{\"a\":1,\"a long name that is cut off\":2}", {20, SIZE_MAX}, "{\"a\":1}"},
        {"[\"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\"]",
         {20, SIZE_MAX},
         "[\"\\ud83d\\ude00" CUT "\"]"},
        {"[\"a\\\\\\\\\\\\\\\\\\\\\"]", {10, SIZE_MAX}, "[\"a\\\\\\\\" CUT "\"]"},
        {"[true , false , null , -1.5e9 ]", {16, SIZE_MAX}, "[true , false]"},
        {"{ \"a\" : { } , \"b\" : [ ] }", {16, SIZE_MAX}, "{ \"a\" : { }}"},
    };
    (void)state;
    cuts(rows, WB_COUNT(rows));
}

static void what_is_no_json_is_cut_as_text(void **state)
{
    static const row rows[] = {
        {"[oops, this is a text]", {10, SIZE_MAX}, "[oops, th" CUT},
        {"{'role': 'user', 'content': 'x'}", {10, SIZE_MAX}, "{'role': " CUT},
        {"[1,2] and more", {10, SIZE_MAX}, "[1,2] and" CUT},
        {"{\"a\" 1,\"b\":2,\"c\":3}", {10, SIZE_MAX}, "{\"a\" 1,\"b" CUT},
        {"[\"never ends", {10, SIZE_MAX}, "[\"never" CUT "\"]"},
    };
    (void)state;
    cuts(rows, WB_COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(json_stays_json),
        cmocka_unit_test(what_is_no_json_is_cut_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
