/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/intake.h: the way in of spans, log records and metrics, whoever brought them: a body is walked,
 * passed through the pipeline, rendered, and becomes part of a transaction. Used by the verb Record (on_record.c) and by the
 * OTLP receivers (on_export.c). */
#ifndef WAYBILL_SIDECAR_INTAKE_H
#define WAYBILL_SIDECAR_INTAKE_H

#include "core/arena.h"
#include "core/buffer.h"
#include "proto/signal.h"
#include "sidecar/pipeline/measure.h"
#include "sidecar/sidecar.h"

enum { WB_INTAKE_OWNED_MAX = 4 }; /* of a batch; the others are noted when they come again */

/* Embedded in whatever waits for the commit. Zeroed but for the first three and the buffer's limit. */
typedef struct wb_intake {
    wb_sidecar *sidecar;
    const wb_world *world; /* until the intake is done */
    wb_arena *arena;       /* holds what is found in the body */
    wb_entry_kind kind;    /* of the payload */
    wb_buffer redacted;    /* the body, if something had to go */
    wb_buffer payload;     /* empty: nothing is acceptable, so there is nothing to commit */
    uint64_t accepted, rejected;
    const char *first_rejection;            /* why; NULL: none; static */
    wb_trace_id owned[WB_INTAKE_OWNED_MAX]; /* claimed traces that somebody owns: in use */
    size_t n_owned;
    wb_measured measured; /* what its spans say of themselves; counted once it is durable */
} wb_intake;

void wb_intake_init(wb_intake *intake, wb_sidecar *sidecar, const wb_world *world, wb_arena *arena);
/** Free the buffers; the world stays the caller's. */
void wb_intake_done(wb_intake *intake);

/** Take what `body` holds, an Export<signal>ServiceRequest that stays until wb_intake_done. `accepted` and
 *  `rejected` count spans, log records or data points. On a receiver's thread.
 *  Errors  MALFORMED, NO_MEMORY as wb_otlp_walk | REJECTED more than one transaction may hold */
WB_MUST_USE wb_status wb_intake_take(wb_intake *intake, wb_signal signal, wb_slice body,
                                     wb_error *err);

/** In `prepare`, with a payload: its entry, and the owners that were met. */
void wb_intake_add(wb_intake *intake, wb_state *state, wb_txn_entries *out);

/** Once its entry is durable: count what was measured. */
void wb_intake_count(wb_intake *intake);

#endif
