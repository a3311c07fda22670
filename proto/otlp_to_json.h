/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_to_json.h: Export requests and their parts in OTLP's own JSON. (For the JSON that the stores and
 * `trace show` have: proto/otlp_json.h.) */
#ifndef WAYBILL_PROTO_OTLP_TO_JSON_H
#define WAYBILL_PROTO_OTLP_TO_JSON_H

#include "core/buffer.h"
#include "proto/signal.h"

/** Append `request`, an Export<signal>ServiceRequest, as JSON: names in lowerCamelCase, trace and span ids
 *  as hex, 64-bit integers as strings, enums as numbers. Fields that opentelemetry-proto 1.11.0 does not
 *  have are left out; a field twice counts as its last; text that is no UTF-8 is repaired with U+FFFD, and
 *  NUL in it is "\u0000"; what does not parse ends its message; a value nested too deep is empty.
 *  Errors  NO_MEMORY the buffer's limit; it then holds a part of the text
 *  Source  OTLP specification 1.11, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format" */
WB_MUST_USE wb_status wb_otlp_to_json(wb_signal signal, wb_slice request, wb_buffer *out);
/** The same of a Span, a Resource and an InstrumentationScope alone. */
WB_MUST_USE wb_status wb_otlp_span_to_json(wb_slice message, wb_buffer *out);
WB_MUST_USE wb_status wb_otlp_resource_to_json(wb_slice message, wb_buffer *out);
WB_MUST_USE wb_status wb_otlp_scope_to_json(wb_slice message, wb_buffer *out);

#endif
