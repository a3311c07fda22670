/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's frame is gone with its next call and a batch is many frames, so payloads are copied:
 * once, into one buffer. Copying also lets a refused or unreachable batch wait for hours without a
 * hold on the journal's buffer. The buffer may move while it grows, so views are made from offsets
 * when the batch is complete. */
#include "sidecar/delivery/batch.h"

#include <stdlib.h>

enum {
    BYTES_MAX = 192 * 1024 * 1024, /* a soft limit of at most 32 MiB, and ten frames */
    READ_MAX = 64 * 1024 * 1024,
    KEPT_BYTES = 4 * 1024 * 1024, /* a larger buffer is given back after use */
};

void wb_delivery_batch_init(wb_delivery_batch *batch)
{
    *batch = (wb_delivery_batch){0};
    wb_buffer_init(&batch->bytes, BYTES_MAX);
}

void wb_delivery_batch_done(wb_delivery_batch *batch)
{
    wb_buffer_done(&batch->bytes);
    free(batch->records);
    batch->records = NULL;
    batch->n = batch->cap = 0;
}

static wb_status grow(wb_delivery_batch *batch)
{
    if (batch->n < batch->cap) return WB_OK;
    size_t cap = batch->cap ? batch->cap * 2 : 64;
    wb_record_view *records = reallocarray(batch->records, cap, sizeof *records);
    if (!records) return WB_ERR_NO_MEMORY;
    batch->records = records;
    batch->cap = cap;
    return WB_OK;
}

static wb_status take_entry(wb_delivery_batch *batch, const wb_entry *entry, uint64_t seq,
                            wb_select *select, size_t *len, bool *any, wb_error *err)
{
    size_t before = batch->bytes.len;
    *any = true;
    if (select)
        WB_TRY(wb_select_apply(select, entry, seq, &batch->bytes, any, err));
    else
        WB_TRY(wb_buffer_add_slice(&batch->bytes, entry->payload));
    *len = batch->bytes.len - before;
    return WB_OK;
}

static wb_status take_frame(wb_delivery_batch *batch, const wb_frame_view *frame,
                            const wb_delivery_wants *wants)
{
    size_t at = 0, len;
    wb_entry entry;
    for (uint32_t i = 0; wb_frame_next_entry(frame, &at, &entry); i++) {
        bool any;
        if ((unsigned)entry.kind > 63 || !(wants->takes & WB_KIND_BIT(entry.kind))) continue;
        WB_TRY(grow(batch));
        WB_TRY(take_entry(batch, &entry, frame->seq, wants->select, &len, &any, NULL));
        if (!any) continue;
        batch->records[batch->n++] = (wb_record_view){
            .kind = entry.kind, .seq = frame->seq, .entry = i, .payload = {NULL, len}};
    }
    return WB_OK;
}

static void point_payloads(wb_delivery_batch *batch)
{
    const uint8_t *at = batch->bytes.ptr;
    for (size_t i = 0; i < batch->n; i++) {
        batch->records[i].payload.ptr = at;
        if (batch->records[i].payload.len > 0) at += batch->records[i].payload.len;
    }
}

static bool is_full(const wb_delivery_batch *batch, const wb_delivery_wants *wants)
{
    uint64_t max_read = wants->max_read_bytes ? wants->max_read_bytes : READ_MAX;
    return batch->n >= wants->max_records || batch->bytes.len >= wants->max_bytes ||
           batch->read_bytes >= max_read || batch->end_seq >= wants->until_seq;
}

wb_status wb_delivery_batch_fill(wb_delivery_batch *batch, wb_journal_reader *reader,
                                 uint64_t after_seq, const wb_delivery_wants *wants, wb_error *err)
{
    if (batch->bytes.cap > KEPT_BYTES) wb_buffer_done(&batch->bytes);
    wb_buffer_clear(&batch->bytes);
    batch->n = 0;
    batch->end_seq = after_seq;
    batch->read_bytes = 0;
    batch->missing = 0;
    batch->overran = false;
    while (!is_full(batch, wants)) {
        wb_frame_view frame;
        wb_status status = wb_journal_reader_next(reader, &frame, err);
        if (status == WB_ERR_NOT_FOUND) break;
        if (status != WB_OK) return status;
        batch->overran = frame.seq > wants->until_seq; /* behind a gap */
        if (batch->overran) break;
        if (take_frame(batch, &frame, wants) != WB_OK)
            return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a batch of records");
        if (frame.seq > batch->end_seq + 1) batch->missing += frame.seq - batch->end_seq - 1;
        batch->end_seq = frame.seq;
        batch->read_bytes += frame.bytes;
    }
    point_payloads(batch);
    return WB_OK;
}
