/* SPDX-License-Identifier: Apache-2.0 */
/* Most text is ASCII: eight bytes at a time are tested for a high bit. From the first byte that has
 * one, a table of lead bytes says how many follow and which range the first of them must be in, which
 * is all of Unicode's table 3-7. */
#include "core/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the sequence that `lead` starts, and the range of its second byte; 0 if none may. */
static size_t sequence(uint8_t lead, uint8_t *least, uint8_t *most)
{
    *least = 0x80;
    *most = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead == 0xE0) *least = 0xA0;  /* overlong below */
    if (lead == 0xED) *most = 0x9F;   /* surrogates above */
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead == 0xF0) *least = 0x90;  /* overlong below */
    if (lead == 0xF4) *most = 0x8F;   /* beyond U+10FFFF above */
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

bool wb_utf8_valid(wb_slice s)
{
    while (s.len > 0) {
        uint64_t word;
        size_t n = sizeof word;
        if (s.len >= n && (memcpy(&word, s.ptr, n), (word & HIGH_BITS) == 0)) {
            s = (wb_slice){s.ptr + n, s.len - n};
            continue;
        }
        n = wb_utf8_char(s);
        if (n == 0) return false;
        s = (wb_slice){s.ptr + n, s.len - n};
    }
    return true;
}
