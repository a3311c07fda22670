/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/delegations.h: the delegations that this sidecar opened, as durable state.
 * A row is the packed waybill.v1.DelegationRow of the journal. Not thread-safe: the owner locks. */
#ifndef WAYBILL_SIDECAR_DELEGATION_DELEGATIONS_H
#define WAYBILL_SIDECAR_DELEGATION_DELEGATIONS_H

#include "core/clock.h"
#include "core/delegation_state.h"
#include "core/entry.h"
#include "core/ids.h"

enum { WB_FACTS_BYTES = 32 };
/* Closed rows stay this long, so that a repeated Settle finds its answer. */
#define WB_CLOSED_KEPT_NS (3600 * WB_NS_PER_S)
/* Lost ones longer: their answer may yet come. */
#define WB_LOST_KEPT_NS (24 * 3600 * WB_NS_PER_S)

typedef struct wb_delegations wb_delegations;

WB_MUST_USE wb_delegations *wb_delegations_new(uint32_t max_rows);
void wb_delegations_free(wb_delegations *delegations);
/** Takes WB_ENTRY_DELEGATION (insert or replace; an older version changes nothing), WB_ENTRY_PURGE
 *  (closed rows past their time leave) and WB_ENTRY_MARKERS (which markers were written). */
extern const wb_state_ops wb_delegations_ops;

/** The packed row, borrowed until the next apply; false if there is none. */
bool wb_delegations_get(const wb_delegations *delegations, const wb_id *id, wb_slice *packed);

/** What makes two Delegate calls the same one (TOKENS.md section 7, rule 5): a hash over parent
 *  acceptance (NULL: none), audience, message id and body digest. */
void wb_delegation_facts(const wb_id *parent, wb_slice audience, wb_slice message_id,
                         wb_slice digest, uint8_t facts[WB_FACTS_BYTES]);
/** The open delegation one of whose held turns has these facts; false if there is none. */
bool wb_delegations_find(const wb_delegations *delegations, const uint8_t facts[WB_FACTS_BYTES],
                         wb_id *id);
/** The open delegation to which the client's id of a later turn belongs. */
bool wb_delegations_of_turn(const wb_delegations *delegations, const wb_id *turn, wb_id *id);
/** The open delegation, the newest, of that task of that agent (its URL, if it has no agent id). */
bool wb_delegations_of_task(const wb_delegations *delegations, wb_slice audience, wb_slice task_id,
                            wb_id *id);

/** Up to `max` open delegations whose deadline + grace lies at or before `now`. Returns how many.
 *  oldest_ns  when the open one that was opened first was; 0: none is open. May be NULL */
size_t wb_delegations_due(const wb_delegations *delegations, wb_time_ns now, uint64_t grace_ns,
                          wb_id *out, size_t max, wb_time_ns *oldest_ns);

/* A marker that is due: the n-th of its delegation, from 0. */
typedef struct wb_marker_due {
    wb_id id;
    uint32_t n;
} wb_marker_due;

/** Up to `max` open delegations that have been so for long enough to be marked again, each with the
 *  latest marker that is due; those before it are passed over. Returns how many. */
size_t wb_delegations_unmarked(wb_delegations *delegations, wb_time_ns now, wb_marker_due *out,
                               size_t max);

uint32_t wb_delegations_count(const wb_delegations *delegations);
/** Open ones, kept as a running count. */
uint32_t wb_delegations_open(const wb_delegations *delegations);
/** Those of one state that is not terminal, kept as a running count. */
uint32_t wb_delegations_in(const wb_delegations *delegations, wb_delegation_state state);
/** New delegations that still fit: closed ones make room, the oldest first. */
uint32_t wb_delegations_room(const wb_delegations *delegations);

#endif
