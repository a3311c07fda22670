/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_from_json.h: OTLP/JSON of any signal as OTLP protobuf. */
#ifndef WAYBILL_PROTO_OTLP_FROM_JSON_H
#define WAYBILL_PROTO_OTLP_FROM_JSON_H

#include "core/buffer.h"
#include "proto/signal.h"

/** Append to `out` the Export...ServiceRequest that `json` says, for the walk of that signal
 *  (proto/otlp_walk.h). Any thread with 128 KiB of stack to spare, for 64 values in each other; nothing is
 *  allocated but by `out`.
 *
 *  json    at most WB_OTLP_BODY_MAX_BYTES, one object
 *  out     grows to what the protobuf takes, at most WB_OTLP_BODY_MAX_BYTES more than it held, and by
 *          less than twice `json` where that holds no long lists of numbers
 *
 *  Names are lowerCamelCase; others are unknown, and skipped with their values. null is absent. Trace and
 *  span ids are hex, upper or lower case; other bytes base64, plain or URL-safe, padded or not. Integers
 *  are numbers or strings, whole ones also as 1.0 or 1e3; enums numbers only. Doubles are numbers,
 *  numbers in strings, "NaN", "Infinity", "-Infinity". A name twice in an object and two members of a
 *  oneof are refused, as the walk refuses what protobuf would merge; unknown names may repeat.
 *
 *  What is good JSON and a bad span passes through, and is left to the walk to reject by the span: text
 *  that is not UTF-8 (half a surrogate pair becomes three bytes that are not), ids of a wrong length,
 *  values nested deeper than WB_OTLP_DEPTH_MAX. "\u0000" is a NUL in the text, as in protobuf.
 *
 *  Errors  MALFORMED with the byte and the reason: not JSON, a known field with a value of another kind
 *          or out of range, null in an array, an unknown value nested deeper than 256, larger than the
 *          limit | FULL the buffer's limit | NO_MEMORY; either way nothing was appended
 *  Source  OTLP specification 1.11, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format"; RFC 8259 */
WB_MUST_USE wb_status wb_otlp_from_json(wb_signal signal, wb_slice json, wb_buffer *out,
                                        wb_error *err);

#endif
