/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/refusals.h: what became of what we refused: a ref for the peer, a line in the log, a record for
 * `waybill token why`, a count. A flood of refusals costs none of the three much, and does not
 * push out the records of others. */
#ifndef WAYBILL_SIDECAR_REFUSALS_H
#define WAYBILL_SIDECAR_REFUSALS_H

#include "propagation/refusal.h"

typedef struct wb_refusals wb_refusals;

/** Open STATE_DIR/refusals.ring, while the process may still open files. One that cannot be used is logged
 *  and done without: refusals still have refs and lines.
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_refusals_open(const char *state_dir, const wb_clock *clock,
                                       wb_refusals **out, wb_error *err);
/** Start the thread that writes to the file; nothing is kept before. NO_MEMORY */
WB_MUST_USE wb_status wb_refusals_start(wb_refusals *refusals, wb_error *err);
/** Write what is queued, stop, free. NULL is fine. */
void wb_refusals_close(wb_refusals *refusals);

/** Make the refusal's ref and time, log it, queue its record; returns at once. Any thread, also with
 *  locks held: waits for no disk.
 *  peer_key  of sidecar/peer_key.h: whose share of file and queue this uses
 *  ref       the ref in hex, NUL-terminated */
void wb_refusals_add(wb_refusals *refusals, uint64_t peer_key, wb_refusal *refusal,
                     char ref[WB_REF_HEX + 1]);

/** Keep a record of what was let in although `require` would refuse it, for `waybill doctor`: its ref is
 *  told to nobody. In areas of its own, so that it pushes out no refusal. */
void wb_refusals_note(wb_refusals *refusals, uint64_t peer_key, wb_refusal *lenience);

/** Say in the log what was held back there, and notice a file that somebody removed. Call about every second, from one thread. */
void wb_refusals_tick(wb_refusals *refusals);

typedef struct wb_refusals_stats {
    uint64_t kept;     /* records written */
    uint64_t not_kept; /* beyond a peer's share, pushed out of the queue, or the disk failed */
    wb_time_ns last_not_kept_ns; /* 0: none */
    bool file_gone;              /* somebody removed it: only a start makes it again */
} wb_refusals_stats;
void wb_refusals_get_stats(wb_refusals *refusals, wb_refusals_stats *out);

#endif
