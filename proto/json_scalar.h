/* SPDX-License-Identifier: Apache-2.0 */
/* proto/json_scalar.h: single values of OTLP messages as JSON. Private to proto/. Errors: NO_MEMORY. */
#ifndef WAYBILL_PROTO_JSON_SCALAR_H
#define WAYBILL_PROTO_JSON_SCALAR_H

#include "core/buffer.h"

/** Text that a store can keep as it is: UTF-8 without U+0000. */
bool wb_json_is_whole(wb_slice text);
/** Take the next character as it is written: what cannot be kept is U+FFFD, byte by byte. */
wb_slice wb_json_take_char(wb_slice *text);
/** A string, repaired by the rule above. */
WB_MUST_USE wb_status wb_json_put_text(wb_buffer *out, wb_slice text);
/** A string for who takes all of UTF-8: U+0000 stays, as \u0000. */
WB_MUST_USE wb_status wb_json_put_utf8(wb_buffer *out, wb_slice text);
/** A number that reads back as the same; "NaN", "Infinity", "-Infinity" as strings. */
WB_MUST_USE wb_status wb_json_put_double(wb_buffer *out, double x);
/** A string: RFC 4648 section 4. */
WB_MUST_USE wb_status wb_json_put_base64(wb_buffer *out, wb_slice bytes);

#endif
