/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_export.h: OTLP messages in OTLP's own JSON, as other backends take it. (For the JSON that
 * the stores and `trace show` have: proto/otlp_json.h.) */
#ifndef WAYBILL_PROTO_OTLP_EXPORT_H
#define WAYBILL_PROTO_OTLP_EXPORT_H

#include "core/buffer.h"

/* A message's known fields, in the order of their numbers: names in lowerCamelCase, ids as hex, 64-bit
 * integers as strings, enums as numbers. Fields that opentelemetry-proto 1.11.0 does not have are left
 * out; a field twice counts as its last; text that is no text is repaired with U+FFFD; a value nested
 * deeper than 64 is empty.
 * Errors  NO_MEMORY the buffer's limit; it then holds a part of the text
 * Source  OTLP specification 1.11, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format" */
WB_MUST_USE wb_status wb_otlp_export_span(wb_slice message, wb_buffer *out);
WB_MUST_USE wb_status wb_otlp_export_resource(wb_slice message, wb_buffer *out);
WB_MUST_USE wb_status wb_otlp_export_scope(wb_slice message, wb_buffer *out);

#endif
