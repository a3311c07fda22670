/* SPDX-License-Identifier: Apache-2.0 */
/* Most text is ASCII: all of it is tested for a high bit first, a word at a time. Only text that
 * has one is read character by character, where a table of lead bytes says how many bytes follow
 * and which range the first of them must be in; that is all of Unicode's table 3-7. */
#include "core/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint64_t load64(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static uint32_t load32(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* The last word overlaps the one before, so that no byte is tested alone. */
static bool is_ascii(wb_slice s)
{
    uint64_t any = 0;
    if (s.len >= 8) {
        for (size_t i = 0; i + 8 < s.len; i += 8) any |= load64(s.ptr + i);
        any |= load64(s.ptr + s.len - 8);
    } else if (s.len >= 4) {
        any = load32(s.ptr) | load32(s.ptr + s.len - 4);
    } else {
        for (size_t i = 0; i < s.len; i++) any |= s.ptr[i];
    }
    return (any & HIGH_BITS) == 0;
}

/* Length of the sequence that `lead` starts, and the range of its second byte; 0 if none may. */
static size_t sequence(uint8_t lead, uint8_t *least, uint8_t *most)
{
    *least = 0x80;
    *most = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead == 0xE0) *least = 0xA0; /* overlong below */
    if (lead == 0xED) *most = 0x9F;  /* surrogates above */
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead == 0xF0) *least = 0x90; /* overlong below */
    if (lead == 0xF4) *most = 0x8F;  /* beyond U+10FFFF above */
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

size_t wb_utf8_char(wb_slice s)
{
    uint8_t least, most;
    if (s.len == 0) return 0;
    if (s.ptr[0] < 0x80) return 1;
    size_t n = sequence(s.ptr[0], &least, &most);
    if (n == 0 || n > s.len || s.ptr[1] < least || s.ptr[1] > most) return 0;
    for (size_t i = 2; i < n; i++)
        if ((s.ptr[i] & 0xC0) != 0x80) return 0;
    return n;
}

/* Out of line, so that ASCII need not save registers for it. */
__attribute__((noinline)) static bool all_chars_valid(wb_slice s)
{
    while (s.len > 0) {
        size_t n = wb_utf8_char(s);
        if (n == 0) return false;
        s = (wb_slice){s.ptr + n, s.len - n};
    }
    return true;
}

bool wb_utf8_valid(wb_slice s) { return is_ascii(s) || all_chars_valid(s); }

size_t wb_utf8_put(uint32_t c, uint8_t *out)
{
    size_t len = wb_utf8_len(c);
    if (len == 1) {
        out[0] = (uint8_t)c;
        return 1;
    }
    for (size_t i = len - 1; i > 0; i--, c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3f));
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (uint8_t)(lead[len] | c);
    return len;
}

/* Where a byte stands in the order of UTF-16 units. Only lead bytes move: EE and EF, from U+E000 on, go
 * behind F0 to F4, whose characters begin with a surrogate. Two characters that begin alike differ in a
 * later byte, which orders them as it is. */
static int place(uint8_t byte) { return byte == 0xEE || byte == 0xEF ? byte + 0x10 : byte; }

int wb_utf16_compare(wb_slice a, wb_slice b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++)
        if (a.ptr[i] != b.ptr[i]) return place(a.ptr[i]) - place(b.ptr[i]);
    return (a.len > b.len) - (a.len < b.len);
}
