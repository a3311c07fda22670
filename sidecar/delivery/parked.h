/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/parked.h: records that a far side will never take, kept for a human. */
#ifndef WAYBILL_SIDECAR_DELIVERY_PARKED_H
#define WAYBILL_SIDECAR_DELIVERY_PARKED_H

#include "core/clock.h"
#include "core/entry.h"

/** A file takes no more once it has this many bytes; then it becomes NAME.parked.old, whose
 *  predecessor is removed. */
enum { WB_PARKED_MAX_BYTES = 64 * 1024 * 1024 };

/** Append `record` to `dir`/`exporter`.parked and sync it. Makes the directory (0700) and the file
 *  (0600) when missing. The file's format is in parked.c.
 *  Errors  UNAVAILABLE the disk; try again later */
WB_MUST_USE wb_status wb_park(const char *dir, const char *exporter, const wb_record_view *record,
                              wb_time_ns now, const wb_error *why, wb_error *err);

#endif
