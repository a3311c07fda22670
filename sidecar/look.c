/* SPDX-License-Identifier: Apache-2.0 */
/* Counting is reading a few running counts, so the lock is held for less than a microsecond, and for that
 * it is tried rather than waited for: a pthread mutex has no time limit by monotonic time that every
 * tool of ours understands. */
#include "sidecar/look.h"

#include <time.h>

enum { TRIES = 100, PAUSE_NS = 1000 * 1000 };

void wb_look_init(wb_look *look, wb_state *state, wb_journal *journal, const wb_clock *clock)
{
    *look = (wb_look){.state = state, .journal = journal, .clock = clock};
    pthread_mutex_init(&look->lock, NULL);
}

void wb_look_done(wb_look *look)
{
    if (look->state) pthread_mutex_destroy(&look->lock);
    look->state = NULL;
}

/* The state's lock is held. */
static void see(wb_look *look)
{
    const wb_state *state = look->state;
    pthread_mutex_lock(&look->lock);
    wb_seen *seen = &look->seen;
    seen->seen_mono = wb_mono(look->clock);
    seen->delegations_open = wb_delegations_open(state->delegations);
    seen->delegations_kept = wb_delegations_count(state->delegations);
    seen->acceptances_open = wb_acceptances_open(state->acceptances);
    seen->acceptances_kept = wb_acceptances_count(state->acceptances);
    seen->replay_rows = wb_replay_count(state->replay);
    seen->recovered_s = wb_replay_recovered_s(state->replay);
    for (unsigned i = 0; i < WB_COUNT(seen->open_in); i++)
        seen->open_in[i] = wb_delegations_in(state->delegations, (wb_delegation_state)i);
    seen->n_cursors = wb_journal_cursors(look->journal, seen->cursors);
    pthread_mutex_unlock(&look->lock);
}

static bool try_lock(wb_state *state)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int i = 0; i < TRIES; i++) {
        if (pthread_mutex_trylock(&state->lock) == 0) return true;
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

void wb_look_at(wb_look *look, wb_seen *out)
{
    if (try_lock(look->state)) {
        see(look);
        wb_state_unlock(look->state);
    }
    pthread_mutex_lock(&look->lock);
    *out = look->seen;
    pthread_mutex_unlock(&look->lock);
}

void wb_look_renew(wb_look *look)
{
    wb_state_lock(look->state);
    see(look);
    wb_state_unlock(look->state);
}
