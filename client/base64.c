/* SPDX-License-Identifier: Apache-2.0 */
/* All characters are looked at before memory is taken for the bytes; then four at a time become three
 * bytes, and the two or three left over become one or two. */
#include "client/base64.h"

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

static bool in_alphabet(wb_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (value_of(text.ptr[i]) < 0) return false;
    return true;
}

wb_status wb_base64_parse(wb_slice text, wb_buffer *out)
{
    uint8_t *to;
    uint32_t bits = 0;
    unsigned waiting = 0; /* low bits of `bits` that are no byte yet */
    while (text.len > 0 && text.ptr[text.len - 1] == '=') text.len--;
    if (text.len % 4 == 1 || !in_alphabet(text)) return WB_ERR_MALFORMED;
    if (text.len == 0) return WB_OK;
    WB_TRY(wb_buffer_reserve(out, text.len / 4 * 3 + text.len % 4 * 3 / 4, &to));
    for (size_t i = 0; i < text.len; i++) {
        bits = bits << 6 | (uint32_t)value_of(text.ptr[i]);
        waiting += 6;
        if (waiting < 8) continue;
        waiting -= 8;
        *to++ = (uint8_t)(bits >> waiting);
    }
    return WB_OK;
}
