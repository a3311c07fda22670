/* SPDX-License-Identifier: Apache-2.0 */
/* An interrupted task (INPUT_, AUTH_REQUIRED) is not over: A2A lets it resume, so the delegation
 * waits. A state this version does not know changes nothing, since A2A may add some. */
#include "a2a/task_state.h"

#include "core/status.h"

static const struct {
    const char *name;
    wb_delegation_state state;
} task_states[] = {
    {"TASK_STATE_SUBMITTED", WB_DELEGATION_IN_FLIGHT},
    {"TASK_STATE_WORKING", WB_DELEGATION_IN_FLIGHT},
    {"TASK_STATE_INPUT_REQUIRED", WB_DELEGATION_WAITING_INPUT},
    {"TASK_STATE_AUTH_REQUIRED", WB_DELEGATION_WAITING_AUTH},
    {"TASK_STATE_COMPLETED", WB_DELEGATION_COMPLETED},
    {"TASK_STATE_FAILED", WB_DELEGATION_FAILED},
    {"TASK_STATE_CANCELED", WB_DELEGATION_CANCELED},
    {"TASK_STATE_REJECTED", WB_DELEGATION_REJECTED},
};

wb_delegation_state wb_delegation_state_of_task(wb_slice task_state)
{
    for (size_t i = 0; i < WB_COUNT(task_states); i++)
        if (wb_slice_eq(task_state, wb_slice_str(task_states[i].name))) return task_states[i].state;
    return WB_DELEGATION_NONE;
}
