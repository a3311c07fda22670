/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/scan.h: the good frames of one segment, in the order of their bytes, whatever lies
 * between them. Private to the journal. One thread at a time. */
#ifndef WAYBILL_SIDECAR_JOURNAL_SCAN_H
#define WAYBILL_SIDECAR_JOURNAL_SCAN_H

#include "core/file_ops.h"
#include "sidecar/journal/frame.h"

typedef struct wb_scan {
    const wb_file_ops *ops;
    int file;                  /* borrowed */
    const wb_frame_home *home; /* borrowed */
    uint64_t at;               /* what is looked at next; 8-aligned */
    uint64_t end;        /* nothing at or behind it is looked at; may be raised between calls */
    uint64_t frame_at;   /* where the last frame began */
    uint64_t broken_end; /* end of the last thing that began like a frame and was none; 0: none */
    bool lost;           /* no frame began at the last place: looking for the next one */
    size_t chunk;        /* bytes to read at once, unless a frame is larger */
    uint8_t *buf;        /* owned */
    size_t cap, len;
    uint64_t buf_at;
} wb_scan;

/** From `at` to `end`. `chunk` is at least 4096. Allocates when it first reads. */
void wb_scan_init(wb_scan *scan, const wb_file_ops *ops, int file, const wb_frame_home *home,
                  uint64_t at, uint64_t end, size_t chunk);
void wb_scan_done(wb_scan *scan);
/** Give the buffer back; the next call reads anew. */
void wb_scan_rest(wb_scan *scan);

/** The next good frame; *view is borrowed until the next call.
 *  Errors  NOT_FOUND none before `end` | UNAVAILABLE the disk fails (a block that it cannot read counts
 *          as damaged, not as this) | NO_MEMORY */
WB_MUST_USE wb_status wb_scan_next(wb_scan *scan, wb_frame_view *view, wb_error *err);

#endif
