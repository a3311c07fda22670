/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/state.h: all durable state of the sidecar, under one lock.
 *
 * The writer changes it by applying journal entries while it holds the lock; anyone may read under the
 * lock. What was applied but is not committed yet is visible: whoever tells a peer about state must
 * answer through the writer, behind the commit that made it durable (sidecar/writer.h). */
#ifndef WAYBILL_SIDECAR_STATE_H
#define WAYBILL_SIDECAR_STATE_H

#include "sidecar/delegation/acceptances.h"
#include "sidecar/delegation/delegations.h"
#include "sidecar/delegation/owners.h"
#include "sidecar/delegation/replay.h"
#include "sidecar/delegation/requests.h"

#include <pthread.h>

enum { WB_STATE_TABLES = 5 };

typedef struct wb_state {
    pthread_mutex_t lock;
    wb_delegations *delegations;
    wb_acceptances *acceptances;
    wb_replay *replay;
    wb_owners *owners;
    wb_requests *requests;
    wb_state_table tables[WB_STATE_TABLES]; /* for the journal */
} wb_state;

WB_MUST_USE wb_status wb_state_init(wb_state *state, wb_error *err);
void wb_state_done(wb_state *state);

static inline void wb_state_lock(wb_state *state) { pthread_mutex_lock(&state->lock); }
static inline void wb_state_unlock(wb_state *state) { pthread_mutex_unlock(&state->lock); }

#endif
