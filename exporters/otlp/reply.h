/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/reply.h: what a backend answered, and what that means for the records. All of it comes
 * from outside. Private to exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_REPLY_H
#define WAYBILL_EXPORTERS_OTLP_REPLY_H

#include "core/buffer.h"
#include "core/clock.h"
#include "exporters/otlp/settings.h"

enum { WB_OTLP_REPLY_MAX_BYTES = 4 * 1024 * 1024 }; /* OTLP specification 1.11.0 */

/** Headers (with gRPC trailers too), cut to what is of use, and the body. */
typedef struct wb_otlp_reply {
    uint32_t status; /* HTTP; 0: none came */
    char retry_after[64], content_type[64];
    char grpc_status[8], grpc_message[256], grpc_details[2048], grpc_encoding[16];
    bool headed; /* the head is over: what comes now are trailers */
    bool trails; /* grpc_status is from a trailer */
    wb_buffer body;
    const wb_slice
        *hidden; /* what an answer may not repeat; borrowed, forgotten by the next request */
    size_t n_hidden;
} wb_otlp_reply;

void wb_otlp_reply_init(wb_otlp_reply *reply);
void wb_otlp_reply_done(wb_otlp_reply *reply);
/** Forget all of it, for the next request. */
void wb_otlp_reply_clear(wb_otlp_reply *reply);
/** One line of the head or of trailers; a status line begins anew, an empty one ends the head. */
void wb_otlp_reply_header(wb_otlp_reply *reply, wb_slice line);

/** What it means. */
typedef struct wb_otlp_answer {
    /* OK: taken, but for `rejected` | UNAVAILABLE, TIMEOUT: later | REJECTED: never, as it is */
    wb_status status;
    bool
        is_server_error; /* UNAVAILABLE, but the request itself may be what its server stumbles over */
    uint64_t rejected; /* spans, log records, data points */
    uint32_t retry_after_ms;
    char text[120]; /* in words, for a log: printable; "" if there is nothing to say */
} wb_otlp_answer;

/** Read an answer. No failure: what cannot be read says nothing. gRPC's OK counts where the answer is whole
 *  only: HTTP 200 of a gRPC server, one message, and the status in a trailer.
 *  now     for a Retry-After that is a date
 *  Source  OTLP specification 1.11.0, "OTLP/HTTP Response", "OTLP/gRPC Response"; RFC 9110 section 10.2.3;
 *          grpc doc/PROTOCOL-HTTP2.md, doc/http-grpc-status-mapping.md; google/rpc/{status,error_details}.proto */
void wb_otlp_reply_read(const wb_otlp_reply *reply, wb_otlp_protocol protocol, wb_signal signal,
                        wb_time_ns now, wb_otlp_answer *out);

#endif
