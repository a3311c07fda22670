/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/look.h: what the state holds, for those who only report it.
 *
 * The writer has the state's lock while it takes a snapshot or puts the tables back behind a failed disk, so
 * it may be held for as long as a disk stalls. Whoever must answer then too (/metrics, /readyz, /status)
 * asks here, and gets what was seen last. */
#ifndef WAYBILL_SIDECAR_LOOK_H
#define WAYBILL_SIDECAR_LOOK_H

#include "core/delegation_state.h"
#include "sidecar/journal/journal.h"
#include "sidecar/state.h"

typedef struct wb_seen {
    uint64_t seen_mono; /* when; 0: never yet */
    uint32_t delegations_open, delegations_kept, acceptances_open, acceptances_kept, replay_rows;
    uint32_t open_in[WB_DELEGATION_ANSWERED]; /* open delegations by state */
    uint64_t recovered_s;                     /* wb_replay_recovered_s */
    wb_cursor_row cursors[WB_JOURNAL_CURSORS];
    size_t n_cursors;
} wb_seen;

typedef struct wb_look {
    wb_state *state;
    wb_journal *journal;
    const wb_clock *clock;
    pthread_mutex_t lock; /* guards `seen`; taken last, held for a copy */
    wb_seen seen;
} wb_look;

/** All three are borrowed until wb_look_done. */
void wb_look_init(wb_look *look, wb_state *state, wb_journal *journal, const wb_clock *clock);
/** One that was never begun is fine. */
void wb_look_done(wb_look *look);

/** As it is now, or, when the state's lock is not free within a tenth of a second, as it was seen last. Any
 *  thread that does not hold the state's lock. */
void wb_look_at(wb_look *look, wb_seen *out);

/** Keep what is seen now for later; waits for the state's lock. About every second, so that what was seen
 *  last is not old. */
void wb_look_renew(wb_look *look);

#endif
