/* SPDX-License-Identifier: Apache-2.0 */
/* In core, because those who store and show states (exporters, cli) may not see a2a/, which makes
 * them out of task states. */
#include "core/delegation_state.h"

#include "core/status.h"

static const struct {
    const char *name;
    wb_delegation_state state;
} states[] = {
    {"sent", WB_DELEGATION_SENT},
    {"in_flight", WB_DELEGATION_IN_FLIGHT},
    {"waiting_input", WB_DELEGATION_WAITING_INPUT},
    {"waiting_auth", WB_DELEGATION_WAITING_AUTH},
    {"detached", WB_DELEGATION_DETACHED},
    {"answered", WB_DELEGATION_ANSWERED},
    {"completed", WB_DELEGATION_COMPLETED},
    {"failed", WB_DELEGATION_FAILED},
    {"canceled", WB_DELEGATION_CANCELED},
    {"rejected", WB_DELEGATION_REJECTED},
    {"lost", WB_DELEGATION_LOST},
};

const char *wb_delegation_state_name(wb_delegation_state state)
{
    for (size_t i = 0; i < WB_COUNT(states); i++)
        if (states[i].state == state) return states[i].name;
    return "none";
}

wb_delegation_state wb_delegation_state_parse(wb_slice name)
{
    for (size_t i = 0; i < WB_COUNT(states); i++)
        if (wb_slice_eq(name, wb_slice_str(states[i].name))) return states[i].state;
    return WB_DELEGATION_NONE;
}
