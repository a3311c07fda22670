/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/measure.h: what the spans of one batch measure, noted on their way through the normalise stage
 * and counted once the batch is durable (series.h): a batch that is refused counts nothing.
 *
 * Lives in the batch's arena. One thread at a time. */
#ifndef WAYBILL_SIDECAR_PIPELINE_MEASURE_H
#define WAYBILL_SIDECAR_PIPELINE_MEASURE_H

#include "core/arena.h"
#include "sidecar/pipeline/streams.h"

enum {
    WB_LABEL_BYTES_MAX = 128, /* of a value; a longer one is cut between characters */
    WB_MEASURED_SLOTS = 32,
    WB_OBSERVATIONS = 16, /* in a block */
};

/* Spans of one kind whose labels are the same. */
typedef struct wb_measured_group {
    wb_slice labels[WB_LABELS]; /* in the arena; empty: they have not this one */
    uint64_t hashes[WB_LABELS];
    uint8_t kind;
    bool resolved;               /* the rest is series.c's */
    uint32_t streams;            /* that it goes to */
    uint16_t series[WB_STREAMS]; /* of each; 0: not looked up */
} wb_measured_group;

/* What one span measures. */
typedef struct wb_observation {
    wb_measured_group *group;
    uint32_t has; /* bits of wb_quantity */
    uint64_t of[WB_QUANTITIES];
} wb_observation;

typedef struct wb_observations {
    struct wb_observations *next;
    size_t n;
    wb_observation all[WB_OBSERVATIONS];
} wb_observations;

typedef struct wb_measured {
    wb_arena *arena;
    wb_observations *first, *last;
    wb_measured_group
        *latest[WB_MEASURED_KINDS]; /* spans of a kind mostly come with the same labels */
    wb_measured_group
        *slots[WB_MEASURED_SLOTS]; /* else one of these; whoever is not found is made anew */
} wb_measured;

static inline void wb_measured_init(wb_measured *measured, wb_arena *arena)
{
    *measured = (wb_measured){.arena = arena};
}

struct wb_said; /* said.h */

/** Note a span that has been normalised. Where the arena has no room it is not: the batch will not get far either. */
void wb_measure_span(wb_measured *measured, const struct wb_said *said);

#endif
