/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/grpc_host.h: a gRPC receiver with a sink that a test holds in its hand. */
#ifndef WAYBILL_TESTS_SUPPORT_GRPC_HOST_H
#define WAYBILL_TESTS_SUPPORT_GRPC_HOST_H

#include "sidecar/receivers/otlp/grpc.h"

typedef struct grpc_host grpc_host;

typedef struct grpc_host_options {
    bool at_once;      /* answer within on_export; else a thread does */
    bool held;         /* that thread waits for grpc_host_let_go */
    bool narrow;       /* the system takes hardly anything that a client does not read */
    size_t room_bytes; /* 0: 12 MiB */
    uint32_t stall_ms, idle_ms, streams; /* 0: 5000, 60000, 100 */
    wb_export_answer answer;
    const char *bearer; /* NULL: our own uid is the agent; else only who has it */
} grpc_host_options;

/** NULL: no memory. */
grpc_host *grpc_host_start(const grpc_host_options *options);
uint16_t grpc_host_port(const grpc_host *host);
wb_otlp_grpc *grpc_host_receiver(grpc_host *host);
/** Answer what is held, and all that comes from now on. */
void grpc_host_let_go(grpc_host *host);
/** Wait until so many exports have come to the sink since the start; false: they have not in 5 s. */
bool grpc_host_wait(grpc_host *host, unsigned exports);
/** Of the last export: its signal, the length and a simple sum of its bytes, whether it is the agent's. */
typedef struct grpc_host_seen {
    unsigned exports;
    wb_signal signal;
    size_t len;
    uint32_t sum;
    bool is_agent;
    size_t held, most_held; /* of the budget */
} grpc_host_seen;
grpc_host_seen grpc_host_look(grpc_host *host);
/** Let go, close, join. The budget that was not given back, in bytes. */
size_t grpc_host_stop(grpc_host *host);

uint32_t grpc_host_sum(wb_slice bytes);

#endif
