/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/parked.h: records that a far side will never take, kept for a human. */
#ifndef WAYBILL_SIDECAR_DELIVERY_PARKED_H
#define WAYBILL_SIDECAR_DELIVERY_PARKED_H

#include "core/clock.h"
#include "core/entry.h"

/** No file is larger; there are two of an exporter at most, NAME.parked and the older NAME.parked.old. */
enum { WB_PARKED_MAX_BYTES = 64 * 1024 * 1024 };

typedef struct wb_parking {
    const char *dir, *exporter; /* borrowed */
    uint64_t max_bytes; /* of each file, if a single record is not larger; 0: WB_PARKED_MAX_BYTES */
} wb_parking;

/** If NAME.parked has no room for `record`, it becomes NAME.parked.old, whose predecessor is removed. Returns
 *  how many records were removed with that: nobody has them any more. What cannot be counted or renamed stays,
 *  and the file grows, which is the lesser evil. */
uint64_t wb_parked_make_room(const wb_parking *place, const wb_record_view *record);

/** Append `record` to NAME.parked and sync it. Makes the directory (0700) and the file (0600) when missing.
 *  The file's format is in parked.c.
 *  Errors  UNAVAILABLE the disk; try again later */
WB_MUST_USE wb_status wb_park(const wb_parking *place, const wb_record_view *record, wb_time_ns now,
                              const wb_error *why, wb_error *err);

#endif
