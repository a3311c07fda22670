/* SPDX-License-Identifier: Apache-2.0 */
/* The tables from the disk: at start-up, and when a failed disk left them ahead of what is durable. */
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/journal/internal.h"
#include "sidecar/journal/scan.h"

enum { READ_CHUNK = 1024 * 1024 };

static void reset_tables(wb_journal *j)
{
    for (size_t i = 0; i < j->n_tables; i++) j->tables[i].ops->reset(j->tables[i].self);
}

/* The newest snapshot that loads; *base stays 0 if none does. */
static wb_status load_snapshot(wb_journal *j, uint64_t *base, wb_error *err)
{
    wb_snapshot_place place = wb_journal_snapshot_place(j);
    for (size_t i = j->n_kept; i > 0; i--) {
        reset_tables(j);
        wb_status status = wb_snapshot_load(&place, j->kept[i - 1].base_seq, err);
        if (status == WB_ERR_NO_MEMORY || status == WB_ERR_UNAVAILABLE) return status;
        if (status == WB_OK) {
            *base = j->kept[i - 1].base_seq;
            return WB_OK;
        }
        pthread_mutex_lock(&j->lock);
        j->n_kept = i - 1; /* it is no snapshot to rely on */
        pthread_mutex_unlock(&j->lock);
    }
    reset_tables(j);
    return WB_OK;
}

static wb_status replay_frame(wb_journal *j, const wb_frame_view *frame, wb_replay_count *count,
                              wb_error *err)
{
    wb_entry entry;
    size_t at = 0;
    while (wb_frame_next_entry(frame, &at, &entry)) {
        wb_status status = wb_journal_apply(j, &entry, err);
        if (status == WB_ERR_NO_MEMORY) return status;
        if (status != WB_OK) count->refused++;
    }
    count->applied++;
    return WB_OK;
}

typedef struct replay_range {
    uint64_t expected; /* the next frame's sequence, if nothing is missing */
    uint64_t upto;
} replay_range;

static wb_status replay_segment(wb_journal *j, const wb_segment *segment, int file,
                                replay_range *range, wb_replay_count *count, wb_error *err)
{
    wb_scan scan;
    wb_frame_view frame;
    wb_status status;
    wb_scan_init(&scan, j->ops, file, &segment->home, WB_SEGMENT_FRAMES_AT, segment->end,
                 READ_CHUNK);
    while ((status = wb_scan_next(&scan, &frame, err)) == WB_OK) {
        if (frame.seq < range->expected || frame.seq > segment->last_seq) continue;
        if (frame.seq > range->upto) break;
        count->missing += frame.seq - range->expected;
        status = replay_frame(j, &frame, count, err);
        if (status != WB_OK) break;
        range->expected = frame.seq + 1;
    }
    wb_scan_done(&scan);
    return status == WB_ERR_NOT_FOUND ? WB_OK : status;
}

static wb_status replay(wb_journal *j, replay_range *range, wb_replay_count *count, wb_error *err)
{
    for (size_t i = 0; i < j->n_segments; i++) {
        char name[WB_FILE_NAME];
        const wb_segment *segment = j->segments[i];
        if (range->expected >= segment->first_seq - segment->skipped &&
            range->expected < segment->first_seq)
            range->expected = segment->first_seq;
        if (segment->last_seq < range->expected) continue;
        wb_segment_name(name, segment->home.segment);
        int file = j->ops->open(j->ops, j->dir, name, WB_FILE_READ);
        if (file < 0)
            return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -file, "journal: open %s", name);
        wb_status status = replay_segment(j, segment, file, range, count, err);
        j->ops->close(j->ops, file);
        if (status != WB_OK) return status;
    }
    return WB_OK;
}

wb_status wb_journal_load_state(wb_journal *j, uint64_t upto_seq, wb_replay_count *count,
                                wb_error *err)
{
    wb_replay_count found = {.applied = 0};
    WB_TRY(load_snapshot(j, &found.from, err));
    j->state_bytes = 0;
    replay_range range = {.expected = found.from + 1, .upto = upto_seq};
    WB_TRY(replay(j, &range, &found, err));
    if (range.expected <= upto_seq) found.missing += upto_seq + 1 - range.expected;
    *count = found;
    return WB_OK;
}

wb_status wb_journal_note_gap(wb_journal *j, wb_error *err)
{
    uint64_t seq;
    uint8_t packed[32];
    Waybill__V1__GapRow row = WAYBILL__V1__GAP_ROW__INIT;
    row.recovered_s = wb_now(j->clock) / WB_NS_PER_S;
    row.lost_frames = j->gap;
    size_t len = waybill__v1__gap_row__get_packed_size(&row);
    WB_ASSERT(len <= sizeof packed);
    (void)waybill__v1__gap_row__pack(&row, packed);
    wb_entry entry = {WB_ENTRY_GAP, {packed, len}};
    if (wb_journal_append(j, WB_WORK_HOUSE, &entry, 1, &seq, err) != WB_OK)
        return WB_ERR_UNAVAILABLE;
    WB_TRY(wb_journal_commit(j, err));
    j->gap = 0;
    wb_status status = wb_journal_snapshot_now(j, err);
    (void)status; /* without it the next start finds the same gap and fails closed once more */
    return WB_OK;
}
