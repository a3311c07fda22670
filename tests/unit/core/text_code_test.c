/* SPDX-License-Identifier: Apache-2.0 */
#include "core/status.h"
#include "core/text_code.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void hex_digits_of_either_case_have_a_value_and_nothing_else_has(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char text[] = {(char)c, '\0'};
        int is = c && isxdigit(c) ? (int)strtol(text, NULL, 16) : -1;
        if (wb_hex_digit((uint8_t)c) != is) fail_msg("%d", c);
    }
}

static int32_t hex4(const char *text)
{
    wb_slice s = wb_slice_str(text);
    return wb_hex4(s.ptr, s.ptr + s.len);
}

static void four_digits_are_needed(void **state)
{
    (void)state;
    assert_int_equal(hex4("fFfF"), 0xFFFF);
    assert_int_equal(hex4("00a10"), 0xA1);
    assert_int_equal(hex4("00a"), -1);
    assert_int_equal(hex4("00g1"), -1);
    assert_int_equal(hex4("-001"), -1);
}

static void base64_comes_back_as_it_went(void **state)
{
    static const struct {
        wb_slice bytes;
        const char *digits;
    } cases[] = {
        {WB_S(""), ""},           {WB_S("f"), "Zg"},
        {WB_S("fo"), "Zm8"},      {WB_S("foo"), "Zm9v"},
        {WB_S("foob"), "Zm9vYg"}, {WB_S("fooba"), "Zm9vYmE"},
        {WB_S("\0\0"), "AAA"},    {WB_S("\xfb\xff\xbf"), "+/+/"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char digits[16];
        uint8_t bytes[16];
        size_t n = wb_base64_format(cases[i].bytes, digits), len = 99;
        assert_int_equal(n, WB_BASE64_LEN(cases[i].bytes.len));
        assert_int_equal(n, strlen(cases[i].digits));
        assert_memory_equal(digits, cases[i].digits, n);
        assert_true(wb_base64_read(wb_slice_of(digits, n), bytes, &len));
        assert_true(wb_slice_eq(wb_slice_of(bytes, len), cases[i].bytes));
    }
}

static void what_spells_no_bytes_is_refused(void **state)
{
    static const char *const bad[] = {"A",     "AQIDA",  "AQ==", "A*",
                                      "AQ ID", "AQID\n", "AQ.D", "\xc3\xa4"};
    uint8_t bytes[16];
    size_t len;
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        if (wb_base64_read(wb_slice_str(bad[i]), bytes, &len)) fail_msg("%s", bad[i]);
    assert_true(wb_base64_read(WB_S("-_/+"), bytes, &len));
    assert_memory_equal(bytes, "\xfb\xff\xfe", 3);
}

static void escapes_are_undone_and_what_is_none_stays(void **state)
{
    static const struct {
        const char *text, *is;
    } cases[] = {
        {"", ""},       {"a%20b", "a b"}, {"%41%4a", "AJ"},
        {"%", "%"},     {"%4", "%4"},     {"%4g", "%4g"},
        {"%%41", "%A"}, {"100%", "100%"}, {"%c3%A4", "\xc3\xa4"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char text[16];
        size_t n = strlen(cases[i].text);
        memcpy(text, cases[i].text, n);
        n = wb_percent_read(wb_slice_of(text, n), (uint8_t *)text); /* in place */
        assert_int_equal(n, strlen(cases[i].is));
        assert_memory_equal(text, cases[i].is, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_digits_of_either_case_have_a_value_and_nothing_else_has),
        cmocka_unit_test(four_digits_are_needed),
        cmocka_unit_test(base64_comes_back_as_it_went),
        cmocka_unit_test(what_spells_no_bytes_is_refused),
        cmocka_unit_test(escapes_are_undone_and_what_is_none_stays),
    };
    return cmocka_run_group_tests_name("text_code", tests, NULL, NULL);
}
