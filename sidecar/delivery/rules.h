/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/rules.h: what a wb_delivery_config asks for, read and checked; and which spans make
 * a trace one that is kept whatever its randomness. */
#ifndef WAYBILL_SIDECAR_DELIVERY_RULES_H
#define WAYBILL_SIDECAR_DELIVERY_RULES_H

#include "core/entry.h"
#include "proto/span_batch.h"
#include "sidecar/delivery/delivery_config.h"

/* bits of wb_delivery_rules.keep */
enum {
    WB_KEEP_ERROR = 1,         /* a span whose status is error */
    WB_KEEP_SLOW = 2,          /* a span that lasted slow_ns or longer */
    WB_KEEP_DELEGATION = 4,    /* work was handed on, or taken: waybill.delegation.id,
                                  waybill.token.verdict */
    WB_KEEP_REFUSED_TOKEN = 8, /* a token came that was not believed: waybill.token.error */
    WB_KEEP_OVER_BUDGET = 16, /* error.type `budget`, or waybill.budget.remaining_* at 0 or below */
};

typedef struct wb_delivery_rules {
    uint64_t threshold; /* sampling.h; 0: nothing is left out */
    unsigned keep;
    uint64_t slow_ns, hold_ns;
} wb_delivery_rules;

/** Errors  CONFIG says which key and why */
WB_MUST_USE wb_status wb_delivery_rules_read(const wb_delivery_config *config,
                                             wb_delivery_rules *out, wb_error *err);

/** KEY and VALUE of one of the additions; false unless it is KEY=VALUE. */
bool wb_delivery_attribute(wb_slice text, wb_slice *key, wb_slice *value);

/** Whether this span alone is a reason to keep its trace. */
bool wb_rules_keep_span(const wb_delivery_rules *rules, const wb_span_row *span);

/** Whether a delegation's or acceptance's row is, and of which trace: they are there before the span is.
 *  False for entries of other kinds. */
bool wb_rules_keep_row(const wb_delivery_rules *rules, const wb_entry *entry, wb_trace_id *trace);

#endif
