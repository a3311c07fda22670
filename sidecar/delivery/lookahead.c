/* SPDX-License-Identifier: Apache-2.0 */
/* A second reader over the same journal: what is held is not kept in memory but read twice, mostly out
 * of the page cache. All it leaves behind is in the table of traces to keep. */
#include "sidecar/delivery/lookahead.h"

void wb_lookahead_init(wb_lookahead *a, wb_journal *journal, wb_select *select, uint64_t position)
{
    bool looks = select && wb_select_looks_ahead(select);
    *a = (wb_lookahead){.journal = journal, .select = looks ? select : NULL, .seq = position};
}

static void close_reader(wb_lookahead *a)
{
    wb_journal_reader_close(a->reader);
    a->reader = NULL;
}

void wb_lookahead_done(wb_lookahead *a) { close_reader(a); }

static void note(wb_lookahead *a, const wb_frame_view *frame, uint64_t position)
{
    uint64_t kinds = wb_select_notes(a->select);
    wb_entry entry;
    for (size_t at = 0; wb_frame_next_entry(frame, &at, &entry);)
        if ((unsigned)entry.kind < 64 && kinds & WB_KIND_BIT(entry.kind))
            wb_select_note(a->select, &entry, frame->seq, position);
}

wb_status wb_lookahead_run(wb_lookahead *a, uint64_t position, wb_error *err)
{
    wb_status status = WB_OK;
    if (!a->select) return WB_OK;
    if (!a->reader) status = wb_journal_reader_open(a->journal, a->seq, &a->reader, err);
    while (status == WB_OK && a->ahead_bytes < WB_LOOKAHEAD_BYTES) {
        wb_frame_view frame;
        status = wb_journal_reader_next(a->reader, &frame, err);
        if (status != WB_OK) break;
        note(a, &frame, position);
        a->seq = frame.seq;
        a->ahead_bytes += frame.bytes;
    }
    if (status == WB_OK || status == WB_ERR_NOT_FOUND) return WB_OK;
    close_reader(a);
    return status;
}

uint64_t wb_lookahead_step(const wb_lookahead *a) { return a->select ? WB_LOOKAHEAD_BYTES / 2 : 0; }

void wb_lookahead_jump(wb_lookahead *a, uint64_t position)
{
    close_reader(a);
    a->seq = position;
    a->ahead_bytes = 0;
}

void wb_lookahead_passed(wb_lookahead *a, uint64_t position, uint64_t bytes)
{
    if (position > a->seq)
        wb_lookahead_jump(a, position);
    else
        a->ahead_bytes -= bytes < a->ahead_bytes ? bytes : a->ahead_bytes;
}
