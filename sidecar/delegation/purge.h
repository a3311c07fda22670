/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/purge.h: WB_ENTRY_PURGE, which each table applies to its own rows. */
#ifndef WAYBILL_SIDECAR_DELEGATION_PURGE_H
#define WAYBILL_SIDECAR_DELEGATION_PURGE_H

#include "core/clock.h"
#include "core/slice.h"
#include "core/status.h"

typedef struct wb_purge {
    uint64_t now_s, skew_s; /* Unix seconds, seconds */
    uint32_t kept_divisor;  /* closed rows stay so many times shorter than usual; 0 is 1 */
} wb_purge;

/** Is a row over that ended at `ended_ns` and is usually kept for `kept_ns`? */
bool wb_purge_takes(const wb_purge *purge, wb_time_ns ended_ns, uint64_t kept_ns);

/** Unpack a waybill.v1.PurgeRow. CORRUPT if it is none. */
WB_MUST_USE wb_status wb_purge_unpack(wb_slice packed, wb_purge *purge, wb_error *err);
/** The entry's payload; 32 bytes are always enough. Returns its length. */
size_t wb_purge_pack(const wb_purge *purge, uint8_t out[32]);

#endif
