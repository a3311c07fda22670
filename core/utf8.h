/* SPDX-License-Identifier: Apache-2.0 */
/* core/utf8.h: is this text? */
#ifndef WAYBILL_CORE_UTF8_H
#define WAYBILL_CORE_UTF8_H

#include "core/slice.h"

/** Well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. The empty slice is.
 *  Source  Unicode 15, table 3-7; RFC 3629 section 4 */
bool wb_utf8_valid(wb_slice s);

/** Bytes of the well-formed character that `s` starts with, 1 to 4; 0 if it starts with none. */
size_t wb_utf8_char(wb_slice s);

/** Bytes of the character U+`c`, 1 to 4; `c` is at most 0x10FFFF. */
static inline size_t wb_utf8_len(uint32_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}
/** Write it; returns that number. Half a surrogate pair, which the caller may pass, makes no good UTF-8. */
size_t wb_utf8_put(uint32_t c, uint8_t *out);

/** The order of two well-formed texts by their UTF-16 code units: below, equal to or above 0. It differs
 *  from that of the bytes where one has a character above U+FFFF and the other one from U+E000 on.
 *  Source  RFC 8785 section 3.2.3 */
int wb_utf16_compare(wb_slice a, wb_slice b);

#endif
