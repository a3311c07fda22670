/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/batch.h: some whole frames' records, copied out of the journal. */
#ifndef WAYBILL_SIDECAR_DELIVERY_BATCH_H
#define WAYBILL_SIDECAR_DELIVERY_BATCH_H

#include "sidecar/delivery/select.h"
#include "sidecar/journal/journal.h"

/** Embedded: wb_delivery_batch_init / wb_delivery_batch_done. */
typedef struct wb_delivery_batch {
    wb_record_view *records; /* ordered; payloads point into `bytes`; good until the next fill */
    size_t n, cap;
    uint64_t end_seq;    /* the batch is every wanted record up to here */
    uint64_t read_bytes; /* of frames, wanted or not */
    uint64_t missing;    /* frames between its own that cannot be read: lost, or damaged since */
    bool overran;        /* the reader is behind a frame that is not part of it: open it again */
    wb_buffer bytes;
} wb_delivery_batch;

void wb_delivery_batch_init(wb_delivery_batch *batch);
void wb_delivery_batch_done(wb_delivery_batch *batch);

typedef struct wb_delivery_wants {
    uint64_t takes;     /* WB_KIND_BIT of the wanted kinds */
    uint64_t until_seq; /* no frame above it */
    uint32_t max_records, max_bytes;
    uint64_t max_read_bytes; /* of frames, wanted or not; 0: 64 MiB */
    wb_select *select;       /* what of each record; NULL: all, as it is */
} wb_delivery_wants;

/** Read on from `reader`: frames until max_records, max_bytes or max_read_bytes are reached, or until_seq,
 *  or the journal has no more. A frame is never cut, so each limit may be passed by one frame. Nothing new: n is 0 and
 *  end_seq is `after_seq`.
 *  Errors  UNAVAILABLE the disk | NO_MEMORY; the reader then has to be opened again behind `after_seq` */
WB_MUST_USE wb_status wb_delivery_batch_fill(wb_delivery_batch *batch, wb_journal_reader *reader,
                                             uint64_t after_seq, const wb_delivery_wants *wants,
                                             wb_error *err);

#endif
