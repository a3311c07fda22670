/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/owners.h: who owns a trace id and who a task (TOKENS.md section 10), as durable
 * state. Not thread-safe: the owner locks. */
#ifndef WAYBILL_SIDECAR_DELEGATION_OWNERS_H
#define WAYBILL_SIDECAR_DELEGATION_OWNERS_H

#include "core/arena.h"
#include "core/entry.h"
#include "core/ids.h"

/* Rows live this long after their last use. */
enum { WB_OWNER_KEPT_S = 24 * 3600 };

typedef struct wb_owners wb_owners;

/** Who is recorded; `issuer` is empty for a trace, whose owner is `subject` alone. */
typedef struct wb_owner {
    wb_slice subject, issuer;
    uint64_t used_s;
} wb_owner;

WB_MUST_USE wb_owners *wb_owners_new(uint32_t max_rows);
void wb_owners_free(wb_owners *owners);
/** Takes WB_ENTRY_OWNER and WB_ENTRY_PURGE. */
extern const wb_state_ops wb_owners_ops;

/** Look up; the slices are copied into `arena`. False if nobody is recorded (or memory is out: then
 *  the caller's own put fails soon enough). */
bool wb_owners_of_trace(const wb_owners *owners, const wb_trace_id *trace, wb_arena *arena,
                        wb_owner *owner);
bool wb_owners_of_task(const wb_owners *owners, wb_slice task_id, wb_arena *arena, wb_owner *owner);
bool wb_owners_has_trace(const wb_owners *owners, const wb_trace_id *trace);

/* A use is written down when the last one on record is this old, so that a row costs a write an hour. */
enum { WB_OWNER_USE_S = 3600 };
/** If the trace has an owner whose last use on record is that old: the packed row, in `arena`, that says
 *  it is used now. False: nothing to write (or memory is out). */
bool wb_owners_use_trace(const wb_owners *owners, const wb_trace_id *trace, uint64_t now_s,
                         wb_arena *arena, wb_slice *packed);
uint32_t wb_owners_room(const wb_owners *owners);
uint32_t wb_owners_count(const wb_owners *owners);

#endif
