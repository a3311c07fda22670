/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/select.h: what of each record goes to one exporter, and in which dress. One thread.
 *
 * Spans may be sampled, have less in them and get attributes, in this order, in records of SPANS and MARKERS; LOGS and
 * METRICS may have less in them, and their resources get attributes too. All other records go on as they are. */
#ifndef WAYBILL_SIDECAR_DELIVERY_SELECT_H
#define WAYBILL_SIDECAR_DELIVERY_SELECT_H

#include "proto/signal.h"
#include "sidecar/delivery/rules.h"

typedef struct wb_select wb_select;

/* Takes out what an exporter may not have (sidecar/pipeline/redact.h). */
typedef struct wb_less {
    /* 0: there is nothing that it may not have, now. Else a number; other rules have another one. */
    uint64_t (*rules)(const void *self);
    /* *out is the request without it, in `room` or, if it has nothing of it, `request` itself: the same items in the
     * same order. NO_MEMORY */
    wb_status (*take_out)(const void *self, wb_signal signal, wb_slice request, wb_buffer *room,
                          wb_slice *out, wb_error *err);
    const void *self;
} wb_less;

/** *out is NULL if nothing of this is asked for: then records go on without a look.
 *  config  borrowed
 *  rules   of `config`
 *  less    borrowed; NULL: it may have all
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_select_new(const wb_delivery_config *config,
                                    const wb_delivery_rules *rules, const wb_less *less,
                                    wb_select **out, wb_error *err);
void wb_select_free(wb_select *select);
WB_DEFINE_AUTO(wb_select)

/** Whether what comes later can change what becomes of a record: whether wb_select_note has a use. */
bool wb_select_looks_ahead(const wb_select *select);
/** WB_KIND_BIT of the kinds that wb_select_note looks at. */
uint64_t wb_select_notes(const wb_select *select);
/** Look at an entry of frame `seq` that is not to be sent yet, while delivery stands at `passed`. */
void wb_select_note(wb_select *select, const wb_entry *entry, uint64_t seq, uint64_t passed);

/** Append to `out` what goes on of an entry of frame `seq`. *any: false if nothing does.
 *  Errors  NO_MEMORY; nothing was appended, and it may be repeated: what could not be taken out does not go on */
WB_MUST_USE wb_status wb_select_apply(wb_select *select, const wb_entry *entry, uint64_t seq,
                                      wb_buffer *out, bool *any, wb_error *err);

/** The number of the rules of `less` that hold now. */
uint64_t wb_select_rules(const wb_select *select);

typedef struct wb_select_stats {
    uint64_t spans_left_out; /* by sampling */
    uint64_t spans_kept;     /* of those that were looked at */
    uint64_t spans_unsure;   /* kept because too many traces are to be kept to know them all */
} wb_select_stats;
wb_select_stats wb_select_get_stats(const wb_select *select);

#endif
