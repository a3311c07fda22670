/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/answer.h: bodies of answers over OTLP/HTTP, as protobuf and as JSON.
 * Source: OTLP specification 1.11.0, OTLP/HTTP Response; google/rpc/status.proto. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_ANSWER_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_ANSWER_H

#include "core/buffer.h"
#include "sidecar/receivers/otlp/counters.h"
#include "sidecar/receivers/otlp/export.h"

typedef enum wb_otlp_encoding { WB_OTLP_PROTOBUF, WB_OTLP_JSON } wb_otlp_encoding;

/** The encoding that a Content-Type names, parameters and case aside; false: none of ours. `text` may be
 *  NULL: the request has none. */
bool wb_otlp_encoding_of(const char *text, wb_otlp_encoding *out);
const char *wb_otlp_content_type(wb_otlp_encoding encoding);

/** The signal of a path, "/v1/traces" and so on; false: none of ours. */
bool wb_otlp_signal_of(const char *path, wb_signal *out);

/** HTTP's status code for what became of an Export, and by which cause it is counted where it is not 200. */
unsigned wb_otlp_http_code(wb_status status, wb_otlp_refusal *why);

/** Append an Export...ServiceResponse; without rejected items and message that is an empty one.
 *  Errors  NO_MEMORY the buffer's limit */
WB_MUST_USE wb_status wb_otlp_answer_success(wb_otlp_encoding encoding, wb_signal signal,
                                             uint64_t rejected, const char *message,
                                             wb_buffer *out);

/** Append a google.rpc.Status with the code that belongs to `http_code`. `message` is text, not NULL; bytes that
 *  are not UTF-8 become question marks. NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_answer_failure(wb_otlp_encoding encoding, unsigned http_code,
                                             const char *message, wb_buffer *out);

#endif
