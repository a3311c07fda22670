/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent sent as text need not be text, and a double need not be a number that JSON has. */
#include "proto/json_scalar.h"

#include "core/json.h"
#include "core/text_code.h"
#include "core/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static wb_status add(wb_buffer *out, wb_slice s) { return wb_buffer_add_slice(out, s); }

bool wb_json_is_whole(wb_slice text)
{
    return text.len == 0 || (memchr(text.ptr, 0, text.len) == NULL && wb_utf8_valid(text));
}

static wb_slice take_utf8(wb_slice *text)
{
    size_t n = wb_utf8_char(*text);
    wb_slice written = n > 0 ? (wb_slice){text->ptr, n} : WB_S("\xEF\xBF\xBD");
    size_t step = n > 0 ? n : 1;
    *text = (wb_slice){text->ptr + step, text->len - step};
    return written;
}

wb_slice wb_json_take_char(wb_slice *text)
{
    bool is_nul = text->ptr[0] == 0;
    wb_slice written = take_utf8(text);
    return is_nul ? WB_S("\xEF\xBF\xBD") : written;
}

static wb_status add_repaired(wb_buffer *out, wb_slice text, wb_slice (*take)(wb_slice *text))
{
    WB_AUTO_BUFFER repaired;
    wb_buffer_init(&repaired, out->limit);
    while (text.len > 0) WB_TRY(add(&repaired, take(&text)));
    return wb_json_add_string(out, wb_buffer_slice(&repaired));
}

wb_status wb_json_put_text(wb_buffer *out, wb_slice text)
{
    return wb_json_is_whole(text) ? wb_json_add_string(out, text)
                                  : add_repaired(out, text, wb_json_take_char);
}

wb_status wb_json_put_utf8(wb_buffer *out, wb_slice text)
{
    return text.len == 0 || wb_utf8_valid(text) ? wb_json_add_string(out, text)
                                                : add_repaired(out, text, take_utf8);
}

wb_status wb_json_put_double(wb_buffer *out, double x)
{
    char text[40];
    if (isnan(x)) return add(out, WB_S("\"NaN\""));
    if (isinf(x)) return add(out, x > 0 ? WB_S("\"Infinity\"") : WB_S("\"-Infinity\""));
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same */
        (void)snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    return add(out, wb_slice_str(text));
}

wb_status wb_json_put_base64(wb_buffer *out, wb_slice bytes)
{
    size_t padded = (bytes.len + 2) / 3 * 4;
    uint8_t *to;
    WB_TRY(wb_buffer_reserve(out, padded + 2, &to));
    *to++ = '"';
    size_t len = wb_base64_format(bytes, (char *)to);
    memset(to + len, '=', padded - len);
    to[padded] = '"';
    return WB_OK;
}
