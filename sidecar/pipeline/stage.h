/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/stage.h: what a pipeline stage is. */
#ifndef WAYBILL_SIDECAR_PIPELINE_STAGE_H
#define WAYBILL_SIDECAR_PIPELINE_STAGE_H

#include "core/batch.h"
#include "propagation/rehome.h"
#include "sidecar/pipeline/redact.h"

typedef struct wb_config_section wb_config_section;

/** An acceptance that something in the batch is stamped with: its id, as the span says it, and what the sidecar
 *  knows of it. */
typedef struct wb_stamp {
    wb_slice value; /* the bytes of an AnyValue */
    bool is_known;
    wb_slice session; /* of the acceptance; empty: none is known */
} wb_stamp;

/** What a stage may ask of the sidecar about the batch in hand; it changes nothing there. Lives for
 *  one run. */
typedef struct wb_stage_view {
    const wb_rehome *rehome; /* NULL: no span moves */
    bool observes;           /* trust.mode observe: claimed traces are marked, not left */
    bool as_they_came;       /* spans are not normalised */
    const wb_redactor
        *redactor; /* has gone over what arrived, and goes over what stages make; NULL: not */
    const wb_redact_policy *redact;
    struct wb_measured
        *measured; /* measure.h: gets what they measure, of those that are; NULL: nobody asks */
    /* Does a CONTINUE acceptance or a root of our own own it? */
    bool (*is_owned)(void *ctx, const wb_trace_id *trace);
    /* Fill in what is known of `n` acceptances; sessions live in `arena`. NULL: stamps stay as they are. */
    wb_status (*look_up)(void *ctx, wb_stamp *stamps, size_t n, wb_arena *arena);
    bool inherits; /* the session of an acceptance is handed on to its spans */
    /* Appended to resources in that order, and to spans. NULL: nothing */
    const struct wb_attr_list *to_resources[2], *to_spans;
    void *ctx;
} wb_stage_view;

/** A stage (OpenTelemetry: processor). Stateless: it changes the batch in hand and keeps none of
 *  it, so a crash can lose nothing here. What must be remembered goes into the commit that
 *  follows. Any receiver thread may call apply. */
typedef struct wb_stage_ops {
    const char *name; /* config section and metric label */
    /* Attributes of spans and resources that apply looks at; the walk indexes no others. */
    const wb_slice *keys;
    size_t key_count;
    const wb_slice *prefixes;
    size_t prefix_count;
    /** `cfg` may be NULL: all defaults. NULL as a slot: the stage has no configuration. */
    wb_status (*open)(const wb_config_section *cfg, void **self, wb_error *err);
    /** Append or mask attributes. NO_MEMORY the batch's arena is at its limit. */
    wb_status (*apply)(const void *self, const wb_stage_view *view, wb_batch *batch, wb_error *err);
    void (*close)(void *self); /* NULL is allowed */
} wb_stage_ops;

#endif
