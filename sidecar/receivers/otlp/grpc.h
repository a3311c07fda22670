/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/grpc.h: OTLP over gRPC: unary Export of the three signals, HTTP/2 with prior
 * knowledge, or over TLS. docs/otlp.md says it to users.
 *
 * One thread of the caller's serves all connections and calls the sink. An answer may come from any
 * thread. A request whose client is gone stays until the sink has answered it. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_H

#include "core/clock.h"
#include "sidecar/receivers/otlp/access.h"
#include "sidecar/receivers/otlp/counters.h"
#include "sidecar/receivers/otlp/export.h"

typedef struct wb_otlp_grpc wb_otlp_grpc;

/* PEM text, copied; without a certificate there is no TLS. */
typedef struct wb_otlp_grpc_tls {
    wb_slice cert, key;
    wb_slice client_ca; /* not empty: a client needs a certificate that these vouch for */
} wb_otlp_grpc_tls;

typedef struct wb_otlp_grpc_options {
    int listen_fd; /* listening, non-blocking; taken, also on failure */
    wb_export_sink sink;
    wb_otlp_access *access;
    const wb_clock *clock;
    wb_otlp_grpc_tls tls;
    size_t max_message_bytes; /* as it arrives, and inflated */
    size_t arena_bytes;       /* limit of each request's arena */
    uint32_t connections;     /* at once */
    uint32_t streams;         /* requests at once of one connection */
    uint32_t stall_ms;        /* a request of which nothing comes, a client that reads nothing */
    uint32_t arrive_ms;       /* for a request to arrive whole */
    uint32_t idle_ms;         /* a connection without requests */
    /* A connection was closed because of what its client did: `why` is static. On the receiver's thread; may
     * be NULL. */
    void (*on_closed_out)(void *self, const char *why, uint64_t uid);
    /* A request of one who may not send was refused: `todo` is static. As above. */
    void (*on_denied)(void *self, const char *todo, uint64_t uid);
    void *self;
} wb_otlp_grpc_options;

/** Errors  CONFIG certificate or key are none, or do not match | NO_MEMORY | UNAVAILABLE */
WB_MUST_USE wb_status wb_otlp_grpc_open(const wb_otlp_grpc_options *options, wb_otlp_grpc **out,
                                        wb_error *err);
/** The body of one thread of the caller's, until wb_otlp_grpc_close. */
void wb_otlp_grpc_run(wb_otlp_grpc *grpc);
/** Begin to drain; any thread. No new connections; clients are told by GOAWAY, in two steps, so that what
 *  they sent meanwhile is still served; a connection is closed when its last answer has left. */
void wb_otlp_grpc_stop(wb_otlp_grpc *grpc);
/** Connections that are open, and requests that the sink has. Any thread. */
uint32_t wb_otlp_grpc_in_hand(const wb_otlp_grpc *grpc);
const wb_otlp_counters *wb_otlp_grpc_counters(const wb_otlp_grpc *grpc);
/** Let wb_otlp_grpc_run return: connections are cut, requests that the sink has are waited for. Any
 *  thread, once; then join the one that runs. */
void wb_otlp_grpc_close(wb_otlp_grpc *grpc);
/** After wb_otlp_grpc_run returned, or was never called; NULL is fine. */
void wb_otlp_grpc_free(wb_otlp_grpc *grpc);
WB_DEFINE_AUTO(wb_otlp_grpc)

#endif
