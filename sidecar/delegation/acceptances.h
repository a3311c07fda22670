/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/acceptances.h: what this sidecar's agent was asked to do, as durable state.
 * A row is the packed waybill.v1.AcceptanceRow of the journal. Not thread-safe: the owner locks. */
#ifndef WAYBILL_SIDECAR_DELEGATION_ACCEPTANCES_H
#define WAYBILL_SIDECAR_DELEGATION_ACCEPTANCES_H

#include "core/arena.h"
#include "core/clock.h"
#include "core/entry.h"
#include "core/ids.h"

/* An acceptance without a grant (no `dln`) that is never finished is given up after this. */
#define WB_UNGRANTED_ACCEPTANCE_NS (24 * 3600 * WB_NS_PER_S)

typedef struct wb_acceptances wb_acceptances;

WB_MUST_USE wb_acceptances *wb_acceptances_new(uint32_t max_rows);
void wb_acceptances_free(wb_acceptances *acceptances);
/** Takes WB_ENTRY_ACCEPTANCE (insert or replace; an older version changes nothing) and
 *  WB_ENTRY_PURGE (finished rows leave an hour later). */
extern const wb_state_ops wb_acceptances_ops;

/** The packed row, borrowed until the next apply; false if there is none. */
bool wb_acceptances_get(const wb_acceptances *acceptances, const wb_id *id, wb_slice *packed);

/** What groups its spans with others: the A2A context of the message, in `arena`; empty if it had none, or there
 *  is no such row. NO_MEMORY */
WB_MUST_USE wb_status wb_acceptances_session(const wb_acceptances *acceptances, const wb_id *id,
                                             wb_arena *arena, wb_slice *session);

/** Up to `max` open acceptances that ended at or before `now` without a Finish: past their deadline
 *  + grace, or past WB_UNGRANTED_ACCEPTANCE_NS without one. Returns how many. */
size_t wb_acceptances_due(const wb_acceptances *acceptances, wb_time_ns now, uint64_t grace_ns,
                          wb_id *out, size_t max);

/** What of a grant is with delegations under it. Until receipts are kept nothing of it comes back: what a
 *  remote agent was allowed to spend counts as spent, however the delegation ended. */
typedef struct wb_handed {
    uint64_t cost, tokens;
} wb_handed;

/** Handed on by the row (`handed_cost`, `handed_tokens`) and held for requests in hand; false if there is
 *  no such row. */
bool wb_acceptances_handed(const wb_acceptances *acceptances, const wb_id *id, wb_handed *out);
/** A request between its look at the grant and its commit holds what it will hand on, so that others who
 *  look meanwhile see it. Not durable, and not for ever: each hold is followed by one let_go. */
/** Returns the table's epoch, which each reset of the table ends, with all that was held in it; what is
 *  let go in a later epoch is not there any more and changes nothing. So behind a failed commit requests in
 *  hand are not seen by others, and must look at the row again before they hand on. */
uint64_t wb_acceptances_hold(wb_acceptances *acceptances, const wb_id *id, wb_handed amount);
void wb_acceptances_let_go(wb_acceptances *acceptances, const wb_id *id, wb_handed amount,
                           uint64_t epoch);

uint32_t wb_acceptances_count(const wb_acceptances *acceptances);
uint32_t wb_acceptances_open(const wb_acceptances *acceptances);
/** New ones that still fit: finished ones make room, the oldest first. */
uint32_t wb_acceptances_room(const wb_acceptances *acceptances);

#endif
