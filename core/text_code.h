/* SPDX-License-Identifier: Apache-2.0 */
/* core/text_code.h: bytes as characters: hex of either case, base64, percent-encoding. (Ids have one spelling
 * and core/ids.h, tokens propagation/b64url.h.) Any thread may call. */
#ifndef WAYBILL_CORE_TEXT_CODE_H
#define WAYBILL_CORE_TEXT_CODE_H

#include "core/slice.h"

/* What a hex digit of either case is worth; WB_NO_HEX for what is none. */
#define WB_NO_HEX 0x80
extern const uint8_t wb_hex_values[256];

/** The same, -1 for what is none. */
static inline int wb_hex_digit(uint8_t c)
{
    return wb_hex_values[c] == WB_NO_HEX ? -1 : wb_hex_values[c];
}

/** What the four hex digits at `p` say; -1 if they are not there before `end`. */
int32_t wb_hex4(const uint8_t *p, const uint8_t *end);

/** Digits without padding; `out` has room for WB_BASE64_LEN and gets no NUL. Returns how many were written.
 *  Source  RFC 4648 section 4 */
size_t wb_base64_format(wb_slice bytes, char *out);
#define WB_BASE64_LEN(bytes) (((bytes)*4 + 2) / 3)

/** Read digits of the standard and the URL alphabet, also mixed, without padding; unused low bits are not
 *  looked at. `out` has room for 3/4 of them and *len gets how many bytes they spell. False: another
 *  character, or a length that no bytes have; `out` is undefined then.
 *  Source  RFC 4648 sections 4 and 5 */
bool wb_base64_read(wb_slice digits, uint8_t *out, size_t *len);

/** Undo %XX; what is no escape stays. `out` has room for text.len, or is text.ptr. Returns the new length.
 *  Source  RFC 3986 section 2.1 */
size_t wb_percent_read(wb_slice text, uint8_t *out);

#endif
