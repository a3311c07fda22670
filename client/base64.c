/* SPDX-License-Identifier: Apache-2.0 */
/* Room is taken for what good digits would spell, and given back where they are not. */
#include "client/base64.h"

#include "core/text_code.h"

wb_status wb_base64_parse(wb_slice text, wb_buffer *out)
{
    uint8_t *to;
    size_t before = out->len, len = 0;
    while (text.len > 0 && text.ptr[text.len - 1] == '=') text.len--;
    if (text.len % 4 == 1) return WB_ERR_MALFORMED;
    if (text.len == 0) return WB_OK;
    WB_TRY(wb_buffer_reserve(out, text.len / 4 * 3 + text.len % 4 * 3 / 4, &to));
    if (wb_base64_read(text, to, &len)) return WB_OK;
    out->len = before;
    return WB_ERR_MALFORMED;
}
