/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/requests.h: the ids of acknowledged Record requests, so that one resent after a
 * lost reply is answered and not journalled twice. Delegate, Accept, Finish and Settle need no row
 * here: their own rows are named by ids that the client made. Not thread-safe: the owner locks. */
#ifndef WAYBILL_SIDECAR_DELEGATION_REQUESTS_H
#define WAYBILL_SIDECAR_DELEGATION_REQUESTS_H

#include "core/entry.h"
#include "core/ids.h"

/* The newest this many are remembered; a client resends within seconds. */
enum { WB_REQUESTS_KEPT = 65536 };

typedef struct wb_requests wb_requests;

WB_MUST_USE wb_requests *wb_requests_new(uint32_t kept);
void wb_requests_free(wb_requests *requests);
/** Takes WB_ENTRY_REQUEST. */
extern const wb_state_ops wb_requests_ops;

/** What was answered to this request; false if it is not remembered. */
bool wb_requests_find(const wb_requests *requests, const wb_id *id, uint32_t *accepted,
                      uint32_t *rejected);

#endif
