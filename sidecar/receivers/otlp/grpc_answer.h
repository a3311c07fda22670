/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/grpc_answer.h: how an answer to an Export is said in gRPC.
 * Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Responses; OTLP specification 1.11.0, Failures and Partial
 * Success; googleapis google/rpc/status.proto, google/rpc/error_details.proto. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_ANSWER_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_ANSWER_H

#include "sidecar/receivers/otlp/export.h"
#include "sidecar/receivers/otlp/grpc_code.h"

enum {
    WB_GRPC_MESSAGE_MAX = 240,   /* bytes of an explanation; the rest is cut */
    WB_GRPC_RETRY_AFTER_S = 1,   /* where nobody says how long */
    WB_GRPC_REPLY_MAX = 5 + 272, /* prefix and Export<signal>ServiceResponse */
    WB_GRPC_DETAILS_MAX = 340,
};

typedef struct wb_grpc_answer {
    uint16_t http; /* not 200: no gRPC, `message` is the body's text */
    wb_grpc_code code;
    char message[3 * WB_GRPC_MESSAGE_MAX + 1];           /* grpc-message: percent-encoded */
    char details[(WB_GRPC_DETAILS_MAX + 2) / 3 * 4 + 1]; /* grpc-status-details-bin; "": none */
    char retry_info[33];                                 /* google.rpc.retryinfo-bin; "": none */
    uint8_t reply[WB_GRPC_REPLY_MAX];                    /* the message with its prefix; OK only */
    size_t reply_len;
} wb_grpc_answer;

/** The sink's answer. Nothing of it is kept. */
void wb_grpc_answer_of(const wb_export_answer *said, wb_grpc_answer *out);
/** What we refuse ourselves. */
void wb_grpc_answer_refuse(const wb_grpc_refusal *refusal, wb_grpc_answer *out);
/** What the sink's answer counts as; not for WB_OK. */
wb_otlp_refusal wb_grpc_why(wb_status status);

#endif
