/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/lookahead.h: reads the journal ahead of delivery, for the traces that are to be kept.
 * Embedded; the runner's thread. */
#ifndef WAYBILL_SIDECAR_DELIVERY_LOOKAHEAD_H
#define WAYBILL_SIDECAR_DELIVERY_LOOKAHEAD_H

#include "sidecar/delivery/select.h"
#include "sidecar/journal/journal.h"

/* How far it goes ahead at most. Behind a backlog there is more than `hold` of it; this is what stands
 * for the time then. */
#define WB_LOOKAHEAD_BYTES (UINT64_C(64) << 20)

typedef struct wb_lookahead {
    wb_journal *journal;
    wb_select *select; /* borrowed; NULL: it has nothing to do */
    wb_journal_reader *reader;
    uint64_t seq;         /* looked at up to here */
    uint64_t ahead_bytes; /* of frames between delivery and there */
} wb_lookahead;

/** Nothing to do unless `select` looks ahead. */
void wb_lookahead_init(wb_lookahead *ahead, wb_journal *journal, wb_select *select,
                       uint64_t position);
void wb_lookahead_done(wb_lookahead *ahead);

/** Look at what is new, while delivery stands at `position`.
 *  Errors  UNAVAILABLE the disk | NO_MEMORY; call it again later */
WB_MUST_USE wb_status wb_lookahead_run(wb_lookahead *ahead, uint64_t position, wb_error *err);

/** How many bytes of frames delivery may go on at a time, so that the other half is still ahead of the
 *  last of them; 0: as many as it likes. */
uint64_t wb_lookahead_step(const wb_lookahead *ahead);
/** Delivery came to `position` by `bytes` of frames. */
void wb_lookahead_passed(wb_lookahead *ahead, uint64_t position, uint64_t bytes);
/** Delivery went on to `position` without reading. */
void wb_lookahead_jump(wb_lookahead *ahead, uint64_t position);

#endif
