/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/replay.h: which tokens were accepted (TOKENS.md section 11), as durable state.
 * Not thread-safe: the owner locks. */
#ifndef WAYBILL_SIDECAR_DELEGATION_REPLAY_H
#define WAYBILL_SIDECAR_DELEGATION_REPLAY_H

#include "core/entry.h"
#include "core/ids.h"

enum { WB_REPLAY_HASH_BYTES = 32 };

typedef struct wb_replay wb_replay;

WB_MUST_USE wb_replay *wb_replay_new(uint32_t max_rows);
void wb_replay_free(wb_replay *replay);
/** Takes WB_ENTRY_REPLAY, WB_ENTRY_PURGE (rows with exp + skew <= now leave, the highest such exp
 *  is kept for ever) and WB_ENTRY_GAP (rows were lost: tokens from before it are expired). */
extern const wb_state_ops wb_replay_ops;

/** The row of (issuer, jti); false if there is none. Live rows are never evicted. */
bool wb_replay_find(const wb_replay *replay, wb_slice issuer, wb_slice jti,
                    uint8_t hash[WB_REPLAY_HASH_BYTES], wb_id *acceptance);
/** Rows that still fit; at 0 Accept answers WB_E_REPLAY_FULL. */
uint32_t wb_replay_room(const wb_replay *replay);
uint32_t wb_replay_count(const wb_replay *replay);
/** Highest `exp` ever purged, Unix seconds; 0 before the first purge. It only rises. */
uint64_t wb_replay_purged_exp_s(const wb_replay *replay);
/** When the journal last started with a gap, Unix seconds; 0: never. */
uint64_t wb_replay_recovered_s(const wb_replay *replay);
/** True if some row would leave at a purge at `now_s`. */
bool wb_replay_has_ended(const wb_replay *replay, uint64_t now_s, uint64_t skew_s);

#endif
