/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's path. A transaction is built into the pending buffer and applied to the tables at once;
 * commit seals the pending frames for the segment they go to, writes them in one call, syncs, and only
 * then lets durable_seq rise, which is what readers look at and what acknowledgements wait for.
 *
 * When the write or the sync fails, the file keeps what was synced before and is not written again:
 * after a failed fdatasync the kernel may hold clean pages that never reached the disk, so a second
 * attempt on the same file could succeed and mean nothing. The frames go, with the same sequences, to
 * a new segment, whose first_seq voids whatever of them the old file may still show after a crash. If
 * that fails too, the group is refused, the tables are ahead of the disk, and wb_journal_idle puts both
 * right again. docs/design/journal.md has the whole argument. */
#include "sidecar/journal/internal.h"

#include <time.h>

/* ---- append ---- */

wb_status wb_journal_apply(wb_journal *j, const wb_entry *entry, wb_error *err)
{
    bool wanted = false;
    for (size_t i = 0; i < j->n_tables; i++) {
        const wb_state_table *table = &j->tables[i];
        if (!(table->ops->kinds & WB_KIND_BIT(entry->kind))) continue;
        WB_TRY(table->ops->apply(table->self, entry, err));
        wanted = true;
    }
    if (wanted) j->state_bytes += entry->payload.len;
    return WB_OK;
}

uint64_t wb_journal_used_bytes(const wb_journal *j)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < j->n_segments; i++) bytes += j->segments[i]->bytes;
    for (size_t i = 0; i < j->n_kept; i++) bytes += j->kept[i].bytes;
    if (j->spare == WB_SPARE_BUILDING || j->spare == WB_SPARE_READY) bytes += j->segment_bytes;
    if (j->secured.file >= 0) bytes += j->segment_bytes;
    return bytes + wb_reserve_bytes(j) + j->quarantined_bytes;
}

void wb_journal_plan_anew(wb_journal *j)
{
    const wb_segment *current = wb_journal_current(j);
    j->planned_rolls = 0;
    j->planned_end = current && !j->must_roll ? current->end : UINT64_MAX;
}

/* The last eighth of a segment is for house-keeping while there is no held one behind it. */
static uint64_t room_in(wb_journal *j, uint64_t bytes, wb_work work)
{
    pthread_mutex_lock(&j->lock);
    bool last = j->reserve[WB_RESERVE_SEGMENT].state != WB_PIECE_READY && j->secured.file < 0;
    pthread_mutex_unlock(&j->lock);
    return last && work == WB_WORK_FINISHING ? bytes - bytes / 8 : bytes;
}

/* The first segment that a group begins is secured, so that what is promised a place there has one;
 * groups that begin another are rare, and only the limit is looked at. */
static wb_status plan_segment(wb_journal *j, wb_work work, wb_error *err)
{
    if (j->planned_rolls == 0) return wb_journal_secure(j, work, err);
    if (work != WB_WORK_NEW || wb_journal_limit_allows(j, j->planned_rolls, work)) return WB_OK;
    return wb_journal_say_full(j, WB_JOURNAL_FULL_LIMIT, err);
}

static wb_status admit(wb_journal *j, wb_error *err)
{
    pthread_mutex_lock(&j->lock);
    wb_journal_full full = j->full;
    pthread_mutex_unlock(&j->lock);
    return full ? wb_journal_say_full(j, full, err) : WB_OK;
}

/* Where will the frame go? Its segment is not chosen yet, but whether it begins one is. */
static wb_status plan(wb_journal *j, wb_work work, size_t bytes, wb_error *err)
{
    uint64_t room = j->planned_rolls > 0 ? j->segment_bytes : wb_journal_current(j)->bytes;
    if (bytes > WB_PENDING_MAX - j->pending.len)
        return wb_fail(err, WB_ERR_FULL, "journal: %d bytes are pending", WB_PENDING_MAX);
    if (work == WB_WORK_NEW) WB_TRY(admit(j, err));
    room = room_in(j, room, work);
    if (j->planned_end <= room && bytes <= room - j->planned_end) {
        j->planned_end += bytes;
        return WB_OK;
    }
    WB_TRY(plan_segment(j, work, err));
    j->planned_rolls++;
    j->planned_end = WB_SEGMENT_FRAMES_AT + bytes;
    return WB_OK;
}

static wb_status failed_text(const wb_journal *j, wb_error *err)
{
    if (j->no_room) return wb_fail(err, WB_ERR_FULL, "journal: the disk is full");
    return wb_fail(err, WB_ERR_UNAVAILABLE, "journal: the disk failed");
}

static void set_failed(wb_journal *j)
{
    wb_journal_abandon_snapshot(j);
    j->tables_stale = true;
    pthread_mutex_lock(&j->lock);
    j->stats.failed = true;
    pthread_mutex_unlock(&j->lock);
}

wb_status wb_journal_append(wb_journal *j, wb_work work, const wb_entry *entries, size_t n,
                            uint64_t *seq, wb_error *err)
{
    if (j->tables_stale || j->must_roll) return failed_text(j, err);
    size_t bytes = wb_frame_bytes(entries, n);
    if (bytes == 0 || bytes > j->segment_bytes - WB_SEGMENT_FRAMES_AT)
        return wb_fail(err, WB_ERR_REJECTED, "journal: more than a frame can hold");
    if (j->pending.len == 0) j->group_mono = wb_mono(j->clock);
    uint64_t end_before = j->planned_end;
    uint32_t rolls_before = j->planned_rolls;
    WB_TRY(plan(j, work, bytes, err));
    if (wb_frame_build(&j->pending, j->next_seq, entries, n) != WB_OK) {
        j->planned_end = end_before;
        j->planned_rolls = rolls_before;
        return wb_fail(err, WB_ERR_FULL, "journal: no memory for the frame");
    }
    for (size_t i = 0; i < n; i++) {
        wb_status status = wb_journal_apply(j, &entries[i], err);
        if (status == WB_OK) continue;
        set_failed(j); /* half a transaction is in the tables */
        return status;
    }
    *seq = j->next_seq++;
    return WB_OK;
}

/* ---- commit ---- */

/* Frames from `at` on that the current segment still has room for, sealed. */
static size_t seal_what_fits(wb_journal *j, size_t at)
{
    const wb_segment *current = wb_journal_current(j);
    uint64_t room = current->bytes - current->end;
    size_t to = at;
    while (to < j->pending.len) {
        uint8_t *frame = j->pending.ptr + to;
        uint32_t bytes = wb_frame_built_bytes(frame);
        if (to - at + bytes > room) break;
        wb_frame_seal(frame, &current->home, j->safe_seq);
        to += bytes;
    }
    return to;
}

typedef struct part {
    size_t bytes;
    uint64_t last_seq;
    wb_tally tally;
} part;

static part look_at_part(const uint8_t *frames, size_t bytes)
{
    part p = {.bytes = bytes};
    for (size_t at = 0; at < bytes; at += wb_frame_built_bytes(frames + at)) {
        wb_frame_view frame = wb_frame_built_view(frames + at);
        p.last_seq = frame.seq;
        wb_tally_frame(&p.tally, &frame);
    }
    return p;
}

static void publish(wb_journal *j, const part *p, uint64_t took_ns)
{
    wb_segment *current = wb_journal_current(j);
    pthread_mutex_lock(&j->lock);
    current->end += p->bytes;
    current->last_seq = p->last_seq;
    wb_tally_add(&current->tally, &p->tally);
    j->stats.durable_seq = p->last_seq;
    j->stats.commits++;
    j->stats.last_commit_ns = took_ns;
    /* Not while the next segment is secured: soon the oldest one is trimmed, and is a spare for nothing. */
    if (j->spare == WB_SPARE_NONE && j->secured.file < 0 && current->end > current->bytes / 2) {
        j->spare = WB_SPARE_WANTED;
        pthread_cond_broadcast(&j->spare_changed);
    }
    pthread_cond_broadcast(&j->committed);
    pthread_mutex_unlock(&j->lock);
    j->safe_seq = p->last_seq;
    j->proven = false;
}

/* Make durable what fits into the current segment, or begin the next one. */
static wb_status commit_part(wb_journal *j, size_t *at, wb_error *err)
{
    uint8_t *from = j->pending.ptr + *at;
    if (j->must_roll) return wb_journal_roll(j, wb_frame_built_seq(from), 0, err);
    uint64_t started = wb_mono(j->clock);
    size_t to = seal_what_fits(j, *at);
    if (to == *at) return wb_journal_roll(j, wb_frame_built_seq(from), 0, err);
    part p = look_at_part(from, to - *at);
    int rv = j->ops->write_at(j->ops, j->file, from, p.bytes, wb_journal_current(j)->end);
    if (rv == 0) rv = j->ops->sync_file(j->ops, j->file, "commit");
    j->no_room = wb_journal_no_room(rv);
    if (rv != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: commit");
    publish(j, &p, wb_mono(j->clock) - started);
    *at = to;
    return WB_OK;
}

void wb_journal_forget_pending(wb_journal *j)
{
    if (j->pending.cap > WB_PENDING_KEPT)
        wb_buffer_done(&j->pending);
    else
        wb_buffer_clear(&j->pending);
    j->next_seq = j->safe_seq + 1;
    wb_journal_plan_anew(j);
}

wb_status wb_journal_commit(wb_journal *j, wb_error *err)
{
    wb_status status = j->tables_stale ? failed_text(j, err) : WB_OK;
    unsigned failures = 0;
    bool any = j->pending.len > 0;
    for (size_t at = 0; status == WB_OK && at < j->pending.len;) {
        if (commit_part(j, &at, err) == WB_OK) continue;
        j->must_roll = true; /* nothing unsynced in the old file is trusted again */
        pthread_mutex_lock(&j->lock);
        j->stats.failed_syncs++;
        pthread_mutex_unlock(&j->lock);
        if (++failures < 2) continue;
        set_failed(j);
        status = WB_ERR_UNAVAILABLE;
    }
    if (any && status == WB_OK)
        wb_histogram_observe(&j->commit_time, &wb_bounds_short, wb_mono(j->clock) - j->group_mono);
    wb_journal_forget_pending(j);
    return status;
}

bool wb_journal_is_unlinked(const wb_journal *j)
{
    return j->file >= 0 && j->ops->names(j->ops, j->file) == 0;
}

wb_status wb_journal_mark(wb_journal *j, wb_error *err)
{
    uint64_t seq;
    WB_TRY(wb_journal_append(j, WB_WORK_HOUSE, NULL, 0, &seq, err));
    return wb_journal_commit(j, err);
}

/* ---- looking and waiting ---- */

wb_id wb_journal_id(const wb_journal *j) { return j->id; }

wb_status wb_journal_register_cursor(wb_journal *j, const char *name, uint64_t *seq, wb_error *err)
{
    return wb_cursors_register(&j->cursors, name, j->segments[0]->first_seq - 1, seq, err);
}

size_t wb_journal_cursors(wb_journal *j, wb_cursor_row out[WB_JOURNAL_CURSORS])
{
    return wb_cursors_rows(&j->cursors, out);
}

static struct timespec deadline_after(uint32_t timeout_ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

wb_status wb_journal_wait(wb_journal *j, uint64_t after_seq, uint32_t timeout_ms)
{
    struct timespec until = deadline_after(timeout_ms);
    wb_status status = WB_OK;
    int rv = 0;
    pthread_mutex_lock(&j->lock);
    while (j->stats.durable_seq <= after_seq && !j->stopping && rv == 0)
        rv = pthread_cond_timedwait(&j->committed, &j->lock, &until);
    if (j->stats.durable_seq <= after_seq)
        status = j->stopping ? WB_ERR_UNAVAILABLE : WB_ERR_TIMEOUT;
    pthread_mutex_unlock(&j->lock);
    return status;
}

void wb_journal_stop_waits(wb_journal *j)
{
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_broadcast(&j->committed);
    pthread_cond_broadcast(&j->spare_changed);
    pthread_mutex_unlock(&j->lock);
}

/* Until a spare is wanted or, `wanted` being false, is not. Whether one is. */
static bool wait_spare(wb_journal *j, bool wanted, uint32_t timeout_ms)
{
    struct timespec until = deadline_after(timeout_ms);
    int rv = 0;
    pthread_mutex_lock(&j->lock);
    while ((j->spare == WB_SPARE_WANTED) != wanted && !j->stopping && rv == 0)
        rv = pthread_cond_timedwait(&j->spare_changed, &j->lock, &until);
    bool is = j->spare == WB_SPARE_WANTED && !j->stopping;
    pthread_mutex_unlock(&j->lock);
    return is;
}

bool wb_journal_wait_spare_wanted(wb_journal *j, uint32_t timeout_ms)
{
    return wait_spare(j, true, timeout_ms);
}

bool wb_journal_wait_spare_left(wb_journal *j, uint32_t timeout_ms)
{
    return !wait_spare(j, false, timeout_ms);
}

void wb_journal_get_stats(wb_journal *j, wb_journal_stats *out)
{
    pthread_mutex_lock(&j->lock);
    *out = j->stats;
    out->first_seq = j->segments[0]->first_seq;
    out->segments = (uint32_t)j->n_segments;
    out->used_bytes = wb_journal_used_bytes(j);
    out->limit_bytes = j->limit_bytes;
    out->reserve_bytes = wb_reserve_bytes(j);
    out->quarantined_bytes = j->quarantined_bytes;
    out->snapshot_bytes = j->n_kept ? j->kept[j->n_kept - 1].bytes : 0;
    out->reserve_whole = wb_reserve_is_whole(j);
    out->full = j->full;
    pthread_mutex_unlock(&j->lock);
}

const wb_histogram *wb_journal_commit_time(const wb_journal *j) { return &j->commit_time; }
