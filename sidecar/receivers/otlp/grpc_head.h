/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/grpc_head.h: what the header fields of a gRPC request say.
 * Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Requests; OTLP specification 1.11.0. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_HEAD_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_HEAD_H

#include "sidecar/receivers/otlp/export.h"
#include "sidecar/receivers/otlp/grpc_code.h"

typedef enum wb_grpc_encoding {
    WB_GRPC_IDENTITY,
    WB_GRPC_GZIP,
    WB_GRPC_UNKNOWN_ENCODING
} wb_grpc_encoding;

#define WB_GRPC_TIMEOUT_MAX_NS (UINT64_C(86400) * 1000000000) /* longer ones count as this */

/* Embedded; all zero is a head of which nothing came yet. */
typedef struct wb_grpc_head {
    size_t bytes; /* of all fields, as RFC 9113 section 6.5.2 counts them */
    bool is_post, is_grpc, is_known;
    wb_signal signal; /* is_known */
    wb_grpc_encoding encoding;
    bool has_timeout, bad_timeout;
    uint64_t timeout_ns; /* has_timeout */
} wb_grpc_head;

/** Take one field; those that mean nothing here only count. */
void wb_grpc_head_take(wb_grpc_head *head, wb_slice name, wb_slice value);

/** The fields are complete: NULL if they are gRPC's and within the limit, or why the request is refused. */
WB_MUST_USE const wb_grpc_refusal *wb_grpc_head_check_form(const wb_grpc_head *head,
                                                           size_t limit_bytes);
/** Behind it, of one who may send: NULL, or why the request is refused. */
WB_MUST_USE const wb_grpc_refusal *wb_grpc_head_check(const wb_grpc_head *head);

/** "10S", "250m": at most eight digits and a unit of H M S m u n. False: it is none. */
bool wb_grpc_timeout_parse(wb_slice text, uint64_t *out_ns);

#endif
