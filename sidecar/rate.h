/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/rate.h: token buckets by transport peer (TOKENS section 8, step 11): what a peer may cost us in
 * signature checks. Bounded memory, taken at the start. Any thread. */
#ifndef WAYBILL_SIDECAR_RATE_H
#define WAYBILL_SIDECAR_RATE_H

#include "core/slice.h"
#include "core/status.h"

typedef struct wb_rate wb_rate;

typedef struct wb_rate_limit {
    uint64_t per_s; /* 0: no limit */
    uint64_t burst; /* what a full bucket holds; at least 1 */
} wb_rate_limit;

/** `buckets` is rounded up to whole sets. NO_MEMORY */
WB_MUST_USE wb_status wb_rate_new(size_t buckets, wb_rate **out, wb_error *err);
void wb_rate_free(wb_rate *rate);

/** Take one from the bucket of `key` (sidecar/peer_key.h) at `mono`, monotonic ns; false: it is empty.
 *  `limit` may be another at each call. */
bool wb_rate_take(wb_rate *rate, uint64_t key, const wb_rate_limit *limit, uint64_t mono);

#endif
