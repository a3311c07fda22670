/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in is read leniently where its rules leave it open: both base64 alphabets, both cases of hex. */
#include "core/text_code.h"

const uint8_t wb_hex_values[256] = {
    [0 ... '0' - 1] = WB_NO_HEX,
    ['0'] = 0,
    ['1'] = 1,
    ['2'] = 2,
    ['3'] = 3,
    ['4'] = 4,
    ['5'] = 5,
    ['6'] = 6,
    ['7'] = 7,
    ['8'] = 8,
    ['9'] = 9,
    ['9' + 1 ... 'A' - 1] = WB_NO_HEX,
    ['A'] = 10,
    ['B'] = 11,
    ['C'] = 12,
    ['D'] = 13,
    ['E'] = 14,
    ['F'] = 15,
    ['F' + 1 ... 'a' - 1] = WB_NO_HEX,
    ['a'] = 10,
    ['b'] = 11,
    ['c'] = 12,
    ['d'] = 13,
    ['e'] = 14,
    ['f'] = 15,
    ['f' + 1 ... 255] = WB_NO_HEX,
};

int32_t wb_hex4(const uint8_t *p, const uint8_t *end)
{
    int32_t value = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int digit = wb_hex_digit(p[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

size_t wb_base64_format(wb_slice bytes, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = out;
    uint32_t bits = 0;
    int have = 0; /* low bits of `bits` that are no digit yet */
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | bytes.ptr[i];
        for (have += 8; have >= 6; have -= 6) *to++ = digits[bits >> (have - 6) & 63];
    }
    if (have > 0) *to++ = digits[bits << (6 - have) & 63];
    return (size_t)(to - out);
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

bool wb_base64_read(wb_slice digits, uint8_t *out, size_t *len)
{
    uint8_t *to = out;
    uint32_t bits = 0;
    unsigned have = 0; /* low bits of `bits` that are no byte yet */
    if (digits.len % 4 == 1) return false;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = base64_digit(digits.ptr[i]);
        if (digit < 0) return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        *to++ = (uint8_t)(bits >> have);
    }
    *len = (size_t)(to - out);
    return true;
}

size_t wb_percent_read(wb_slice text, uint8_t *out)
{
    size_t to = 0;
    for (size_t at = 0; at < text.len; at++) {
        bool is_escape = text.ptr[at] == '%' && text.len - at > 2;
        int high = is_escape ? wb_hex_digit(text.ptr[at + 1]) : -1;
        int low = high >= 0 ? wb_hex_digit(text.ptr[at + 2]) : -1;
        out[to++] = low >= 0 ? (uint8_t)(high << 4 | low) : text.ptr[at];
        if (low >= 0) at += 2;
    }
    return to;
}
