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

/* The UTF-16 units of one or two characters, by the plain formula. */
static size_t units_of(const uint32_t *chars, size_t n, uint16_t *out)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = chars[i];
        if (c >= 0x10000) {
            out[len++] = (uint16_t)(0xD800 + ((c - 0x10000) >> 10));
            c = 0xDC00 + (c & 0x3FF);
        }
        out[len++] = (uint16_t)c;
    }
    return len;
}

static int order_of_units(const uint32_t *a, size_t na, const uint32_t *b, size_t nb)
{
    uint16_t x[4], y[4];
    size_t nx = units_of(a, na, x), ny = units_of(b, nb, y);
    for (size_t i = 0; i < nx && i < ny; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return (nx > ny) - (nx < ny);
}

static size_t utf8_of(const uint32_t *chars, size_t n, uint8_t *out)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = chars[i];
        size_t bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t k = 0; k < bytes; k++)
            out[len + k] = (uint8_t)(0x80 | (c >> (6 * (bytes - 1 - k)) & 0x3F));
        out[len] =
            bytes == 1 ? (uint8_t)c : (uint8_t)((0xF00 >> bytes & 0xFF) | c >> (6 * (bytes - 1)));
        len += bytes;
    }
    return len;
}

/* All texts of up to two of the characters at the ends of the ranges, each with each. */
static void texts_are_ordered_by_their_utf16_units(void **state)
{
    static const uint32_t ends[] = {0,      0x7F,   0x80,   0x7FF,   0x800,   0xD7FF,
                                    0xE000, 0xFB33, 0xFFFF, 0x10000, 0x1F600, 0x10FFFF};
    enum { N = WB_COUNT(ends), TEXTS = 1 + N + N * N };
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        for (size_t k = 0; k < TEXTS; k++) {
            uint32_t a[2] = {ends[i % N], ends[i / N % N]}, b[2] = {ends[k % N], ends[k / N % N]};
            size_t na = i < N ? 1 : i < N * N + N ? 2 : 0, nb = k < N ? 1 : k < N * N + N ? 2 : 0;
            uint8_t x[8], y[8];
            int got = wb_utf16_compare(wb_slice_of(x, utf8_of(a, na, x)),
                                       wb_slice_of(y, utf8_of(b, nb, y)));
            if ((got > 0) - (got < 0) != order_of_units(a, na, b, nb))
                fail_msg("U+%X U+%X (%zu) and U+%X U+%X (%zu)", a[0], a[1], na, b[0], b[1], nb);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_refuses_what_unicode_table_3_7_refuses),
        cmocka_unit_test(valid_takes_the_ends_of_every_range),
        cmocka_unit_test(valid_takes_exactly_the_scalar_values),
        cmocka_unit_test(texts_are_ordered_by_their_utf16_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
