/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/export.h: one Export request of OTLP, and where it goes.
 *
 * A receiver (HTTP or gRPC) reads bytes: it undoes framing, compression and JSON, holds the limits, and
 * asks who is talking. What is left is an Export: a protobuf body of one signal. The sink walks it, runs
 * the pipeline over it and commits it; it answers from whatever thread and whenever that is, for a body
 * that was taken not before the commit is durable. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_EXPORT_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_EXPORT_H

#include "core/arena.h"
#include "core/slice.h"
#include "core/status.h"
#include "proto/signal.h"

typedef struct wb_export wb_export;

/** What became of it. Source for how each is said on the wire: OTLP specification 1.11.0, Failures. */
typedef struct wb_export_answer {
    wb_status
        status; /* OK: durable, but for `rejected` of its items. MALFORMED, REJECTED: never send it
                             again. FULL, UNAVAILABLE, NO_MEMORY: send it again later */
    uint64_t rejected;      /* spans, log records or data points that were left out */
    const char *message;    /* why; NULL or in the export's arena, or static */
    uint32_t retry_after_s; /* 0: the receiver's own idea */
} wb_export_answer;

/* Embedded in the receiver's own request. */
struct wb_export {
    wb_signal signal;
    wb_slice body;   /* an Export<signal>ServiceRequest; stays until answered */
    bool is_agent;   /* of the agent's own uid or bearer: what it says is metered, else asserted */
    wb_arena *arena; /* for the sink; reset or freed by the receiver once answered */
    /* Exactly once; from any thread, also before on_export returns. The answer is read before it returns. */
    void (*answer)(wb_export *export, const wb_export_answer *answer);
    void *sink; /* the sink's own, from the arena */
};

enum { WB_EXPORT_ROOM_BYTES = 12 * 1024 * 1024 }; /* DESIGN section 4: of all receivers */

typedef struct wb_export_sink {
    /* On a thread of the receiver, which serves no other connection meanwhile: walk, submit, return. */
    void (*on_export)(void *self, wb_export *export);
    /* WB_EXPORT_ROOM_BYTES are what all receivers together may hold: bodies as they arrive, and what they are inflated to. False:
     * there is no room now (HTTP 503, gRPC UNAVAILABLE). Any thread. */
    bool (*reserve)(void *self, size_t bytes);
    void (*release)(void *self, size_t bytes);
    void *self;
} wb_export_sink;

#endif
