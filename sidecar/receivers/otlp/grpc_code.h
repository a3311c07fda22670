/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/grpc_code.h: gRPC's status codes, and a request that is refused by what we read of
 * it. Source: grpc/grpc doc/statuscodes.md, doc/PROTOCOL-HTTP2.md. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_CODE_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_CODE_H

#include "sidecar/receivers/otlp/counters.h"

#include <stdbool.h>
#include <stdint.h>

/* Of the seventeen those that we send. */
typedef enum wb_grpc_code {
    WB_GRPC_OK = 0,
    WB_GRPC_INVALID_ARGUMENT = 3,
    WB_GRPC_DEADLINE_EXCEEDED = 4,
    WB_GRPC_PERMISSION_DENIED = 7,
    WB_GRPC_RESOURCE_EXHAUSTED = 8,
    WB_GRPC_UNIMPLEMENTED = 12,
    WB_GRPC_INTERNAL = 13, /* also: what came is not gRPC's framing */
    WB_GRPC_UNAVAILABLE = 14,
    WB_GRPC_UNAUTHENTICATED = 16,
} wb_grpc_code;

/* Why a request goes no further; static. */
typedef struct wb_grpc_refusal {
    uint16_t http; /* not gRPC at all: the HTTP status that says so; else 0 */
    wb_grpc_code code;
    const char *message;
    wb_otlp_refusal why;    /* what it counts as */
    uint32_t retry_after_s; /* 0: without RetryInfo */
} wb_grpc_refusal;

#endif
