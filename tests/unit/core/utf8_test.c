/* SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/status.h"

/* As it stands, and with ASCII before and behind it, so that words of 4 and 8 bytes are cut
 * anywhere. */
static bool valid_anywhere(wb_slice s)
{
    uint8_t text[64];
    bool valid = wb_utf8_valid(s);
    for (size_t before = 0; before < 18; before++) {
        for (size_t behind = 0; behind < 18; behind++) {
            memset(text, 'a', sizeof text);
            memcpy(text + before, s.ptr, s.len);
            assert_int_equal(wb_utf8_valid((wb_slice){text, before + s.len + behind}), valid);
        }
    }
    return valid;
}

static void valid_refuses_what_unicode_table_3_7_refuses(void **state)
{
    (void)state;
    static const wb_slice bad[] = {WB_S("\x80"),
                                   WB_S("\xBF"),
                                   WB_S("\xC0\x80"),
                                   WB_S("\xC1\xBF"),
                                   WB_S("\xC2"),
                                   WB_S("\xC2\x7F"),
                                   WB_S("\xC2\xC0"),
                                   WB_S("\xE0\x9F\xBF"),
                                   WB_S("\xE0\xA0"),
                                   WB_S("\xE1\x80\x7F"),
                                   WB_S("\xED\xA0\x80"),
                                   WB_S("\xED\xBF\xBF"),
                                   WB_S("\xEF\xBF\xC0"),
                                   WB_S("\xF0\x8F\xBF\xBF"),
                                   WB_S("\xF0\x90\x80"),
                                   WB_S("\xF4\x90\x80\x80"),
                                   WB_S("\xF5\x80\x80\x80"),
                                   WB_S("\xFE"),
                                   WB_S("\xFF")};
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        if (valid_anywhere(bad[i])) fail_msg("case %zu", i);
}

static void valid_takes_the_ends_of_every_range(void **state)
{
    (void)state;
    static const wb_slice good[] = {WB_S(""),
                                    WB_S("\x7F"),
                                    WB_S("\xC2\x80"),
                                    WB_S("\xDF\xBF"),
                                    WB_S("\xE0\xA0\x80"),
                                    WB_S("\xE0\xBF\xBF"),
                                    WB_S("\xED\x80\x80"),
                                    WB_S("\xED\x9F\xBF"),
                                    WB_S("\xEE\x80\x80"),
                                    WB_S("\xEF\xBF\xBF"),
                                    WB_S("\xF0\x90\x80\x80"),
                                    WB_S("\xF3\xBF\xBF\xBF"),
                                    WB_S("\xF4\x8F\xBF\xBF")};
    for (size_t i = 0; i < WB_COUNT(good); i++)
        if (!valid_anywhere(good[i])) fail_msg("case %zu", i);
    assert_true(wb_utf8_valid(WB_S("a\0b")));
}

/* Encode every number below 2^21 by the plain formula; just the Unicode scalar values may pass. */
static void valid_takes_exactly_the_scalar_values(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x200000; c++) {
        uint8_t b[4];
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--) b[i] = (uint8_t)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3F));
        b[0] = (uint8_t)((0xF00 >> n & 0xFF) | c >> (6 * (n - 1)));
        bool scalar = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        if (wb_utf8_valid((wb_slice){b, n}) != scalar) fail_msg("U+%X", c);
        assert_int_equal(wb_utf8_char((wb_slice){b, n}), scalar ? n : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_refuses_what_unicode_table_3_7_refuses),
        cmocka_unit_test(valid_takes_the_ends_of_every_range),
        cmocka_unit_test(valid_takes_exactly_the_scalar_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
