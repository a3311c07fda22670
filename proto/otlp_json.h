/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_json.h: OTLP attributes, events and links as JSON text, for the stores. */
#ifndef WAYBILL_PROTO_OTLP_JSON_H
#define WAYBILL_PROTO_OTLP_JSON_H

#include "core/buffer.h"
#include "proto/otlp_read.h"

/* Values: text as string, int and double as number (a double that is not finite as "NaN",
 * "Infinity", "-Infinity"), bool, array, key-value list as object, bytes as base64 string, empty as
 * null. Of a repeated key only the first is written. A value nested deeper than 64 becomes null.
 * Bytes that are not UTF-8 become U+FFFD, and so does U+0000, which Postgres cannot keep.
 * Errors of all: NO_MEMORY, the buffer's limit; it then holds a part of the text. */

/** {"key":value,...} of a message's attributes. */
WB_MUST_USE wb_status wb_otlp_attrs_json(wb_slice message, wb_otlp_owner owner, wb_buffer *out);
/** [{"name":"..","time_ns":"..","attributes":{..}},...] of a Span message's events. */
WB_MUST_USE wb_status wb_otlp_events_json(wb_slice span_message, wb_buffer *out);
/** [{"trace_id":"hex","span_id":"hex","trace_state":"..","flags":n,"attributes":{..}},...] */
WB_MUST_USE wb_status wb_otlp_links_json(wb_slice span_message, wb_buffer *out);
/** One value. */
WB_MUST_USE wb_status wb_otlp_value_json(wb_value value, wb_buffer *out);

#endif
