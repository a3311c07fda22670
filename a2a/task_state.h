/* SPDX-License-Identifier: Apache-2.0 */
/* a2a/task_state.h: A2A task states, and what they make of a delegation. Source: A2A 1.0
 * specification/a2a.proto TaskState; states of a delegation: DESIGN section 3. Thread-safe. */
#ifndef WAYBILL_A2A_TASK_STATE_H
#define WAYBILL_A2A_TASK_STATE_H

#include "core/delegation_state.h"

/** What a TASK_STATE_* seen by the client agent makes of the delegation; NONE for an unknown or
 *  unspecified one, which changes nothing. */
wb_delegation_state wb_delegation_state_of_task(wb_slice task_state);

#endif
