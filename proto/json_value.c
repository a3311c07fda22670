/* SPDX-License-Identifier: Apache-2.0 */
/* Integers never go through a double: 2^63 - 1 has no double of its own. Doubles take the short way where it
 * is exact: up to 2^53 and up to 10^22 are doubles themselves, and one division or multiplication of two
 * doubles is rounded once (W. Clinger, "How to Read Floating Point Numbers Accurately", 1990). That is what
 * people write; the 17 digits that programs write go through strtod. */
#include "proto/json_value.h"

#include "core/number.h"
#include "core/text_code.h"
#include "proto/json_scan.h"

#include <math.h>

/* ---- numbers --------------------------------------------------------------------------------- */

/* A number taken apart: digits (with at most one point among them) and exponent. */
typedef struct parts {
    const uint8_t *digits, *digits_end;
    int64_t exponent; /* of ten, without the fraction's digits; held within 10^9 */
    bool negative;
} parts;

static parts take_apart(wb_slice text)
{
    parts p = {.digits = text.ptr, .digits_end = text.ptr + text.len};
    const uint8_t *end = text.ptr + text.len, *e = text.ptr;
    if (*e == '-') {
        p.negative = true;
        p.digits++;
    }
    while (e < end && *e != 'e' && *e != 'E') e++;
    p.digits_end = e;
    if (e == end) return p;
    bool minus = *++e == '-';
    if (*e == '-' || *e == '+') e++;
    for (; e < end; e++)
        if (p.exponent < 100000000) p.exponent = p.exponent * 10 + (*e - '0');
    if (minus) p.exponent = -p.exponent;
    return p;
}

/* Add one digit. False: the value would pass 2^64 - 1. */
static bool add_digit(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digit, value);
}

/* Digits, a point and an exponent that come to a whole number. Zeros behind the last other digit are held
 * back: they either fill the exponent up or are multiplied in. */
static bool whole_of(const parts *p, uint64_t *out)
{
    uint64_t value = 0;
    int64_t exponent = p->exponent, zeros = 0;
    bool fraction = false;
    for (const uint8_t *d = p->digits; d < p->digits_end; d++) {
        if (*d == '.') {
            fraction = true;
            continue;
        }
        if (fraction) exponent--;
        if (*d == '0') {
            if (value) zeros++;
            continue;
        }
        for (; zeros > 0; zeros--)
            if (!add_digit(&value, 0)) return false;
        if (!add_digit(&value, *d - '0')) return false;
    }
    *out = value;
    if (value == 0) return true;
    exponent += zeros;
    if (exponent < 0) return false;
    for (; exponent > 0; exponent--)
        if (!add_digit(out, 0)) return false;
    return true;
}

/* Eight digits, the first in the lowest byte, as a number: neighbours are joined to pairs, pairs to fours, fours
 * to the whole. False: not all of them are digits. */
static inline bool eight_digits(uint64_t word, uint64_t *out)
{
    const uint64_t high = UINT64_C(0xF0F0F0F0F0F0F0F0), zeros = UINT64_C(0x3030303030303030);
    if (((word & high) | ((word + UINT64_C(0x0606060606060606)) & high) >> 4) !=
        (zeros | zeros >> 4))
        return false;
    word -= zeros;
    word = (word * 10 + (word >> 8)) & UINT64_C(0x00FF00FF00FF00FF);
    word = (word * 100 + (word >> 16)) & UINT64_C(0x0000FFFF0000FFFF);
    *out = (word * 10000 + (word >> 32)) & UINT32_MAX;
    return true;
}

/* Digits and nothing else, as nearly all integers are written. */
static bool plain_digits(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0, eight;
    if (end - p > 19 || p == end || (*p == '0' && end - p > 1)) return false;
    for (; end - p >= 8; p += 8) {
        if (!eight_digits(wb_scan_load(p), &eight)) return false;
        value = value * 100000000 + eight;
    }
    for (; p < end; p++) {
        unsigned digit = *p - (unsigned)'0';
        if (digit > 9) return false;
        value = value * 10 + digit; /* 19 digits stay below 2^64 */
    }
    *out = value;
    return true;
}

bool wb_json_integer_of(wb_slice text, wb_json_integer *out)
{
    bool minus = text.len > 0 && text.ptr[0] == '-';
    uint64_t value;
    if (!plain_digits(text.ptr + minus, text.ptr + text.len, &value)) {
        if (!wb_scan_is_number(text)) return false;
        parts p = take_apart(text);
        if (!whole_of(&p, &value)) return false;
    }
    *out = (wb_json_integer){value, minus && value != 0};
    return true;
}

/* The digits without their point, if they are below 2^53; *exponent is lowered by the fraction's. */
static bool exact_digits(const parts *p, uint64_t *out, int64_t *exponent)
{
    uint64_t value = 0;
    bool fraction = false;
    if (p->digits_end - p->digits > 19) return false;
    for (const uint8_t *d = p->digits; d < p->digits_end; d++) {
        if (*d == '.') {
            fraction = true;
            continue;
        }
        value = value * 10 + (*d - '0');
        *exponent -= fraction;
    }
    *out = value;
    return value <= UINT64_C(1) << 53;
}

bool wb_json_real_of(wb_slice text, char *room, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int64_t most = sizeof powers / sizeof powers[0] - 1;
    parts p = take_apart(text);
    int64_t exponent = p.exponent;
    uint64_t digits;
    if (!exact_digits(&p, &digits, &exponent) || exponent > most || exponent < -most)
        return wb_number_read(text, room, out);
    double value = (double)digits;
    value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
    *out = p.negative ? -value : value;
    return true;
}

bool wb_json_real_word(wb_slice text, double *out)
{
    if (wb_slice_eq(text, WB_S("NaN")))
        *out = (double)NAN;
    else if (wb_slice_eq(text, WB_S("Infinity")))
        *out = (double)INFINITY;
    else if (wb_slice_eq(text, WB_S("-Infinity")))
        *out = -(double)INFINITY;
    else
        return false;
    return true;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

bool wb_json_hex_of(wb_slice text, uint8_t *out)
{
    uint8_t wrong = 0;
    if (text.len % 2) return false;
    for (size_t i = 0; i < text.len; i += 2) {
        uint8_t high = wb_hex_values[text.ptr[i]], low = wb_hex_values[text.ptr[i + 1]];
        wrong |= high | low;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return !(wrong & WB_NO_HEX);
}

bool wb_json_base64_of(wb_slice text, uint8_t *out, size_t *out_len)
{
    size_t len = text.len;
    if (len % 4 == 0 && len > 0 && text.ptr[len - 1] == '=')
        len -= text.ptr[len - 2] == '=' ? 2 : 1;
    return wb_base64_read(wb_slice_of(text.ptr, len), out, out_len);
}
