/* SPDX-License-Identifier: Apache-2.0 */
/* core/delegation_state.h: the states of a delegation, their numbers on disk and their names;
 * what "no limit" is. */
#ifndef WAYBILL_CORE_DELEGATION_STATE_H
#define WAYBILL_CORE_DELEGATION_STATE_H

#include "core/slice.h"

/* Stored in the journal: never renumber. From WB_DELEGATION_ANSWERED on a state is terminal. */
typedef enum wb_delegation_state {
    WB_DELEGATION_NONE = 0, /* no such state; also "leave as it is" */
    WB_DELEGATION_SENT = 1,
    WB_DELEGATION_IN_FLIGHT = 2,
    WB_DELEGATION_WAITING_INPUT = 3,
    WB_DELEGATION_WAITING_AUTH = 4,
    WB_DELEGATION_DETACHED = 5,
    WB_DELEGATION_ANSWERED = 16,
    WB_DELEGATION_COMPLETED = 17,
    WB_DELEGATION_FAILED = 18,
    WB_DELEGATION_CANCELED = 19,
    WB_DELEGATION_REJECTED = 20,
    WB_DELEGATION_LOST = 21,
} wb_delegation_state;

static inline bool wb_delegation_is_terminal(wb_delegation_state state)
{
    return state >= WB_DELEGATION_ANSWERED;
}

/* TOKENS section 1, NOLIM: as an amount it is no limit; also the largest number in a token. */
#define WB_NOLIM UINT64_C(9007199254740991)

/** "sent", "in_flight", ...; "none" for anything else. Static, never NULL. */
const char *wb_delegation_state_name(wb_delegation_state state);
/** The state of that name, or NONE. */
wb_delegation_state wb_delegation_state_parse(wb_slice name);

#endif
