/* SPDX-License-Identifier: Apache-2.0 */
/* The row caps bound memory: with rows of usual size full tables take about 260 MiB
 * (docs/design/journal.md has each); they start empty and allocate as rows come. */
#include "sidecar/state.h"

#include <string.h>

enum {
    DELEGATIONS_MAX = 65536,
    ACCEPTANCES_MAX = 65536,
    REPLAY_MAX = 262144,
    OWNERS_MAX = 262144,
};

wb_status wb_state_init(wb_state *state, wb_error *err)
{
    memset(state, 0, sizeof *state);
    pthread_mutex_init(&state->lock, NULL);
    state->delegations = wb_delegations_new(DELEGATIONS_MAX);
    state->acceptances = wb_acceptances_new(ACCEPTANCES_MAX);
    state->replay = wb_replay_new(REPLAY_MAX);
    state->owners = wb_owners_new(OWNERS_MAX);
    state->requests = wb_requests_new(WB_REQUESTS_KEPT);
    if (!state->delegations || !state->acceptances || !state->replay || !state->owners ||
        !state->requests)
        return wb_fail(err, WB_ERR_NO_MEMORY, "state tables");
    state->tables[0] = (wb_state_table){&wb_delegations_ops, state->delegations};
    state->tables[1] = (wb_state_table){&wb_acceptances_ops, state->acceptances};
    state->tables[2] = (wb_state_table){&wb_replay_ops, state->replay};
    state->tables[3] = (wb_state_table){&wb_owners_ops, state->owners};
    state->tables[4] = (wb_state_table){&wb_requests_ops, state->requests};
    return WB_OK;
}

void wb_state_done(wb_state *state)
{
    wb_delegations_free(state->delegations);
    wb_acceptances_free(state->acceptances);
    wb_replay_free(state->replay);
    wb_owners_free(state->owners);
    wb_requests_free(state->requests);
    pthread_mutex_destroy(&state->lock);
}
