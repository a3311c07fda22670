/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, in this order:
 *
 *  1. List the directory. Read every segment's header: good, unborn, damaged. A newer version ends it
 *     here, before anything was written.
 *  2. Check the snapshots; the two newest good ones are kept.
 *  3. Look at every frame of every segment, for D, the highest sequence known to have been durable:
 *     frames say so (durable_seq), snapshots do, and a segment's header does for all before it.
 *  4. Settle the last segment: up to D everything counts, whatever is missing; behind D frames count
 *     as long as none is missing. The rest is the torn tail. Only the last segment can have one, since
 *     the header of the next says that everything before was durable.
 *  5. Tables: newest snapshot, frames above it.
 *  6. Make sure of what was found. Frames behind D, and the last header, may be in the page cache only
 *     (the process was killed, the machine was not), and after a failed sync such pages may even look
 *     clean: they are written again, as they are, and synced, and the directory is.
 *  7. A torn tail, or damage in the last segment: begin a new segment, whose first_seq voids the rest;
 *     if there is no room for one, wipe the tail. Else go on behind the last frame.
 *  8. A gap in the state: say so durably, take a snapshot. Only now set damaged files aside and remove
 *     what is of no use: until here a crash leaves all the evidence in place. */
#include "sidecar/journal/internal.h"
#include "sidecar/journal/scan.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_CHUNK = 1024 * 1024, REWRITE_CHUNK = 256 * 1024 };
enum { FILES_MAX = 1 << 20 };

typedef struct numbers {
    uint64_t *list; /* owned */
    size_t n, cap;
} numbers;

typedef struct recovery {
    wb_journal *j;
    numbers segment_files, snapshot_files; /* by name */
    numbers unborn, damaged;               /* segments that will be held or removed, set aside */
    numbers useless_snapshots;             /* bad ones, and the third and older */
    bool spare_file;
    bool lost_end;        /* the last segment is one of the damaged: who knows what it had */
    uint64_t durable_seq; /* D */
    uint64_t last_seq;    /* the last frame that counts */
    uint64_t scanned_to;  /* in the last segment: nothing that looks like a frame is behind it */
    uint64_t unproven_at; /* in the last segment: from here to its end, frames behind D */
    uint64_t torn_bytes;  /* behind the end of the last segment: to be voided */
    uint64_t *found;      /* good frames of each segment that was there; owned */
    size_t n_found;
} recovery;

static wb_status add_number(numbers *set, uint64_t number, wb_error *err)
{
    if (set->n == set->cap) {
        size_t cap = set->cap ? 2 * set->cap : 16;
        uint64_t *list = cap <= FILES_MAX ? reallocarray(set->list, cap, sizeof *list) : NULL;
        if (!list) return wb_fail(err, WB_ERR_NO_MEMORY, "journal: too many files");
        set->list = list;
        set->cap = cap;
    }
    set->list[set->n++] = number;
    return WB_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static void sort_numbers(numbers *set)
{
    if (set->n > 1) qsort(set->list, set->n, sizeof set->list[0], by_number);
}

/* ---- 1. what is there ---- */

static int note_file(void *arg, const char *name)
{
    recovery *r = arg;
    uint64_t number;
    wb_status status = WB_OK;
    if (wb_numbered_parse(name, WB_SEGMENT_PREFIX, &number))
        status = add_number(&r->segment_files, number, NULL);
    else if (wb_numbered_parse(name, WB_SNAPSHOT_PREFIX, &number))
        status = add_number(&r->snapshot_files, number, NULL);
    else if (strcmp(name, WB_SPARE_FILE) == 0)
        r->spare_file = true;
    return status == WB_OK ? 0 : -ENOMEM;
}

static wb_status list_files(recovery *r, wb_error *err)
{
    int rv = r->j->ops->list(r->j->ops, r->j->dir, note_file, r);
    if (rv == -ENOMEM) return wb_fail(err, WB_ERR_NO_MEMORY, "journal: too many files");
    if (rv != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: list");
    sort_numbers(&r->segment_files);
    sort_numbers(&r->snapshot_files);
    return WB_OK;
}

static wb_status newer_version(wb_error *err, const char *name)
{
    return wb_fail(err, WB_ERR_CONFIG, "journal: %s is of a newer version of Waybill", name);
}

/* Called with the newest first: that one says which journal is ours. Segments of another, put here by
 * somebody, are set aside like damaged ones. */
static wb_status read_segment(recovery *r, uint64_t number, wb_error *err)
{
    char name[WB_FILE_NAME];
    wb_journal *j = r->j;
    wb_segment found;
    wb_segment_look look;
    wb_segment_name(name, number);
    int file = j->ops->open(j->ops, j->dir, name, WB_FILE_READ);
    if (file == -EISDIR || file == -ELOOP) return WB_OK; /* not ours, whatever its name */
    if (file < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -file, "journal: open %s", name);
    wb_status status = wb_segment_read_header(j->ops, file, number, &found, &look, err);
    j->ops->close(j->ops, file);
    if (status != WB_OK) return status;
    if (look == WB_SEGMENT_NEWER) return newer_version(err, name);
    if (look == WB_SEGMENT_UNBORN) return add_number(&r->unborn, number, err);
    if (look == WB_SEGMENT_DAMAGED && j->n_segments == 0) r->lost_end = true;
    if (look == WB_SEGMENT_DAMAGED) return add_number(&r->damaged, number, err);
    if (j->n_segments == 0) j->id = found.home.journal_id;
    if (!WB_ID_EQ(j->id, found.home.journal_id)) return add_number(&r->damaged, number, err);
    wb_segment *segment = calloc(1, sizeof *segment);
    if (!segment) return wb_fail(err, WB_ERR_NO_MEMORY, "journal");
    *segment = found;
    status = wb_journal_push_segment(j, &segment);
    free(segment);
    return status;
}

static wb_status read_segments(recovery *r, wb_error *err)
{
    wb_journal *j = r->j;
    for (size_t i = r->segment_files.n; i > 0; i--)
        WB_TRY(read_segment(r, r->segment_files.list[i - 1], err));
    for (size_t a = 0, b = j->n_segments; a + 1 < b; a++) {
        wb_segment *newer = j->segments[a];
        j->segments[a] = j->segments[--b];
        j->segments[b] = newer;
    }
    j->next_number = 1;
    if (r->segment_files.n > 0) j->next_number = r->segment_files.list[r->segment_files.n - 1] + 1;
    return WB_OK;
}

/* ---- 2. snapshots ---- */

/* Called with the newest first. */
static wb_status read_snapshot(recovery *r, uint64_t base_seq, wb_error *err)
{
    bool newer = false;
    char name[WB_FILE_NAME];
    wb_journal *j = r->j;
    wb_snapshot_info info;
    wb_snapshot_place place = wb_journal_snapshot_place(j);
    wb_snapshot_name(name, base_seq);
    wb_status status = wb_snapshot_check(&place, base_seq, &info, &newer, err);
    if (newer) return newer_version(err, name);
    if (status == WB_ERR_NO_MEMORY || status == WB_ERR_UNAVAILABLE) return status;
    if (status == WB_OK && j->n_segments == 0 && j->n_kept == 0) j->id = info.journal_id;
    if (status != WB_OK || !WB_ID_EQ(info.journal_id, j->id) || j->n_kept == WB_SNAPSHOTS_KEPT)
        return add_number(&r->useless_snapshots, base_seq, err);
    if (info.durable_seq > r->durable_seq) r->durable_seq = info.durable_seq;
    memmove(&j->kept[1], &j->kept[0], j->n_kept * sizeof j->kept[0]);
    j->kept[0] = info;
    j->n_kept++;
    return WB_OK;
}

/* ---- 3. every frame ---- */

/* Frames of that sequence and above are void in segments before `index`. */
static uint64_t void_from(const wb_journal *j, size_t index)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = index + 1; i < j->n_segments; i++) {
        uint64_t from = j->segments[i]->first_seq - j->segments[i]->skipped;
        if (from < lowest) lowest = from;
    }
    return lowest;
}

static wb_status open_segment(const wb_journal *j, const wb_segment *segment, wb_file_open how,
                              int *file, wb_error *err)
{
    char name[WB_FILE_NAME];
    wb_segment_name(name, segment->home.segment);
    *file = j->ops->open(j->ops, j->dir, name, how);
    if (*file >= 0) return WB_OK;
    return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -*file, "journal: open %s", name);
}

/* Count what is good in one segment and raise D by what its frames say. */
static wb_status look_at_frames(recovery *r, size_t index, wb_error *err)
{
    int file;
    wb_scan scan;
    wb_frame_view frame;
    wb_journal *j = r->j;
    wb_segment *segment = j->segments[index];
    uint64_t limit = void_from(j, index), seen_to = WB_SEGMENT_FRAMES_AT;
    if (segment->first_seq - 1 > r->durable_seq) r->durable_seq = segment->first_seq - 1;
    WB_TRY(open_segment(j, segment, WB_FILE_READ, &file, err));
    uint64_t bytes = 0;
    int rv = j->ops->size(j->ops, file, &bytes);
    wb_status status = WB_OK;
    if (rv != 0) status = wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: size");
    if (bytes > segment->bytes) bytes = segment->bytes;
    wb_scan_init(&scan, j->ops, file, &segment->home, WB_SEGMENT_FRAMES_AT, bytes, READ_CHUNK);
    while (status == WB_OK && (status = wb_scan_next(&scan, &frame, err)) == WB_OK) {
        seen_to = scan.at;
        if (frame.durable_seq > r->durable_seq) r->durable_seq = frame.durable_seq;
        if (frame.seq <= segment->last_seq || frame.seq >= limit) continue;
        segment->last_seq = frame.seq;
        segment->end = scan.at;
        wb_tally_frame(&segment->tally, &frame);
        r->found[index]++;
    }
    r->scanned_to = scan.broken_end;
    if (status == WB_ERR_NOT_FOUND && seen_to > r->scanned_to) r->scanned_to = seen_to;
    wb_scan_done(&scan);
    j->ops->close(j->ops, file);
    return status == WB_ERR_NOT_FOUND ? WB_OK : status;
}

static wb_status look_at_segments(recovery *r, wb_error *err)
{
    if (r->j->n_segments == 0) return WB_OK;
    r->found = calloc(r->j->n_segments, sizeof *r->found);
    if (!r->found) return wb_fail(err, WB_ERR_NO_MEMORY, "journal");
    r->n_found = r->j->n_segments;
    for (size_t i = 0; i < r->j->n_segments; i++) WB_TRY(look_at_frames(r, i, err));
    return WB_OK;
}

/* ---- 4. the last segment ---- */

static wb_status settle_scan(recovery *r, wb_scan *scan, wb_error *err)
{
    wb_frame_view frame;
    wb_status status;
    wb_segment *segment = wb_journal_current(r->j);
    uint64_t *found = &r->found[r->j->n_segments - 1], torn_end = 0;
    bool torn = false;
    segment->last_seq = segment->first_seq - 1;
    segment->end = WB_SEGMENT_FRAMES_AT;
    segment->tally = (wb_tally){0};
    *found = 0;
    while ((status = wb_scan_next(scan, &frame, err)) == WB_OK) {
        torn_end = scan->at;
        if (torn || frame.seq <= segment->last_seq) continue;
        torn = frame.seq > r->durable_seq && frame.seq != r->last_seq + 1;
        if (torn) continue;
        if (frame.seq > r->durable_seq) {
            r->last_seq = frame.seq;
            if (r->unproven_at == 0) r->unproven_at = scan->frame_at;
        }
        segment->last_seq = frame.seq;
        segment->end = scan->at;
        wb_tally_frame(&segment->tally, &frame);
        ++*found;
    }
    if (scan->broken_end > torn_end) torn_end = scan->broken_end;
    if (torn_end > segment->end) r->torn_bytes = torn_end - segment->end;
    return status == WB_ERR_NOT_FOUND ? WB_OK : status;
}

static wb_status settle_end(recovery *r, wb_error *err)
{
    int file;
    wb_scan scan;
    wb_journal *j = r->j;
    r->last_seq = r->durable_seq;
    if (j->n_segments == 0) return WB_OK;
    WB_TRY(open_segment(j, wb_journal_current(j), WB_FILE_READ, &file, err));
    wb_scan_init(&scan, j->ops, file, &wb_journal_current(j)->home, WB_SEGMENT_FRAMES_AT,
                 r->scanned_to, READ_CHUNK);
    wb_status status = settle_scan(r, &scan, err);
    wb_scan_done(&scan);
    j->ops->close(j->ops, file);
    return status;
}

/* Frames that should be in a segment and are not mark it as damaged. Returns how many there are in all,
 * those between snapshot and first segment included. */
static uint64_t count_lost(const recovery *r)
{
    const wb_journal *j = r->j;
    uint64_t lost = 0, base = j->n_kept ? j->kept[j->n_kept - 1].base_seq : 0;
    if (j->n_segments == 0) return r->last_seq > base && j->n_kept ? r->last_seq - base : 0;
    uint64_t before = j->segments[0]->first_seq - 1 - j->segments[0]->skipped;
    if (j->n_kept && before > base) lost = before - base;
    for (size_t i = 0; i < j->n_segments; i++) {
        wb_segment *segment = j->segments[i];
        uint64_t upto = r->last_seq;
        if (i + 1 < j->n_segments)
            upto = j->segments[i + 1]->first_seq - 1 - j->segments[i + 1]->skipped;
        uint64_t should = upto >= segment->first_seq ? upto + 1 - segment->first_seq : 0;
        segment->damaged = should > r->found[i];
        if (segment->damaged) lost += should - r->found[i];
    }
    return lost;
}

/* ---- 6. make sure of it ---- */

static int rewrite(const wb_journal *j, uint64_t from, uint64_t to)
{
    uint8_t *bytes = malloc(REWRITE_CHUNK);
    int rv = bytes ? 0 : -ENOMEM;
    for (uint64_t at = from; rv == 0 && at < to;) {
        size_t n = to - at < REWRITE_CHUNK ? (size_t)(to - at) : REWRITE_CHUNK, got = 0;
        rv = j->ops->read_at(j->ops, j->file, bytes, n, at, &got);
        if (rv == 0 && got < n) rv = -EIO;
        if (rv == 0) rv = j->ops->write_at(j->ops, j->file, bytes, n, at);
        at += n;
    }
    free(bytes);
    return rv;
}

static wb_status make_sure(const recovery *r, wb_error *err)
{
    wb_journal *j = r->j;
    const wb_segment *last = wb_journal_current(j);
    if (!last) return WB_OK;
    WB_TRY(open_segment(j, last, WB_FILE_WRITE, &j->file, err));
    int rv = wb_segment_write_header(j->ops, j->file, last);
    if (rv == 0 && r->unproven_at != 0) rv = rewrite(j, r->unproven_at, last->end);
    if (rv == 0) rv = j->ops->sync_file(j->ops, j->file, "recover.data");
    if (rv == 0) rv = j->ops->sync_dir(j->ops, j->dir, "recover.names");
    if (rv == 0) return WB_OK;
    wb_status status = rv == -EROFS ? WB_ERR_CONFIG : WB_ERR_UNAVAILABLE;
    return wb_fail_errno(err, status, -rv, "journal: cannot write to its last segment");
}

/* ---- 7. where to go on ---- */

/* What readers can reach; when everything was trimmed, where the next frame will be. */
static uint64_t last_frame(const recovery *r)
{
    for (size_t i = r->n_found; i > 0; i--)
        if (r->found[i - 1] > 0) return r->j->segments[i - 1]->last_seq;
    return r->j->safe_seq;
}

/* No room for another segment: the torn tail is wiped, and the last one goes on. Sequences are not left
 * out then; those of frames that nobody was told of are used again. */
static wb_status go_on_in_place(recovery *r, wb_error *err)
{
    static const uint8_t zeros[WB_SEGMENT_SECOND];
    wb_journal *j = r->j;
    const wb_segment *last = wb_journal_current(j);
    int rv = 0;
    for (uint64_t left = r->torn_bytes; rv == 0 && left > 0;) {
        size_t n = left < sizeof zeros ? (size_t)left : sizeof zeros;
        rv = j->ops->write_at(j->ops, j->file, zeros, n, last->end + r->torn_bytes - left);
        left -= n;
    }
    if (rv == 0) rv = j->ops->sync_file(j->ops, j->file, "recover.wipe");
    if (rv != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: cut its torn tail");
    j->next_seq = r->last_seq + 1;
    j->safe_seq = r->last_seq;
    j->proven = r->unproven_at == 0;
    return WB_OK;
}

/* Behind a torn tail, or an end that was lost, some sequences are left out: had frames there been
 * delivered before the disk lost them, a store would take new frames under their sequences for
 * repeats. */
static wb_status go_on(recovery *r, wb_error *err)
{
    wb_journal *j = r->j;
    const wb_segment *last = wb_journal_current(j);
    uint64_t skipped = 0;
    if (r->torn_bytes > 0) skipped = r->torn_bytes / WB_FRAME_HEADER + 1;
    if (r->lost_end) skipped = WB_SEGMENT_MAX_BYTES / WB_FRAME_HEADER;
    j->next_seq = r->last_seq + 1 + skipped;
    j->safe_seq = j->next_seq - 1;
    j->stats.durable_seq = last_frame(r);
    j->proven = true;
    wb_status status = WB_OK;
    if (!last || last->damaged || skipped > 0 || last->last_seq != r->last_seq)
        status = wb_journal_roll(j, j->next_seq, skipped, err);
    else
        j->proven = r->unproven_at == 0;
    if (status == WB_ERR_FULL && last) status = go_on_in_place(r, err);
    wb_journal_plan_anew(j);
    return status == WB_ERR_FULL ? WB_ERR_UNAVAILABLE : status;
}

/* ---- 8. tidy up ---- */

static void adopt_spare(const recovery *r)
{
    wb_journal *j = r->j;
    if (!r->spare_file || j->spare != WB_SPARE_NONE) return;
    int file = j->ops->open(j->ops, j->dir, WB_SPARE_FILE, WB_FILE_READ);
    if (file < 0) return;
    if (wb_journal_may_reuse(j, file)) j->spare = WB_SPARE_READY;
    j->ops->close(j->ops, file);
    if (j->spare != WB_SPARE_READY) (void)j->ops->remove(j->ops, j->dir, WB_SPARE_FILE);
}

/* What was held, and what a crash left of it. */
static void adopt_reserve(const recovery *r)
{
    char name[WB_FILE_NAME];
    wb_reserve_adopt(r->j);
    for (size_t i = 0; i < r->unborn.n; i++) {
        wb_segment_name(name, r->unborn.list[i]);
        wb_reserve_adopt_unborn(r->j, name);
    }
}

static void tidy_up(const recovery *r)
{
    char name[WB_FILE_NAME];
    wb_journal *j = r->j;
    for (size_t i = 0; i < r->damaged.n; i++) wb_journal_quarantine(j, r->damaged.list[i]);
    for (size_t i = 0; i < r->useless_snapshots.n; i++) {
        wb_snapshot_name(name, r->useless_snapshots.list[i]);
        (void)j->ops->remove(j->ops, j->dir, name);
    }
    (void)j->ops->remove(j->ops, j->dir, WB_SNAPSHOT_DRAFT);
}

static wb_status find_all(recovery *r, wb_error *err)
{
    WB_TRY(list_files(r, err));
    WB_TRY(read_segments(r, err));
    for (size_t i = r->snapshot_files.n; i > 0; i--)
        WB_TRY(read_snapshot(r, r->snapshot_files.list[i - 1], err));
    WB_TRY(look_at_segments(r, err));
    return settle_end(r, err);
}

static wb_status recover(recovery *r, wb_journal_report *report, wb_error *err)
{
    wb_replay_count count;
    wb_journal *j = r->j;
    WB_TRY(find_all(r, err));
    report->created = j->n_segments == 0 && j->n_kept == 0 && r->damaged.n == 0;
    if (j->n_segments == 0 && j->n_kept == 0) j->id = wb_id_new();
    report->lost_frames = count_lost(r);
    WB_TRY(wb_journal_load_state(j, r->last_seq, &count, err));
    WB_TRY(make_sure(r, err));
    adopt_spare(r);
    adopt_reserve(r);
    WB_TRY(go_on(r, err));
    j->gap = count.missing + count.refused + (r->lost_end ? 1 : 0);
    report->gap = j->gap > 0;
    if (report->gap) WB_TRY(wb_journal_note_gap(j, err));
    tidy_up(r);
    wb_journal_count_quarantined(j);
    wb_journal_upkeep(j);
    for (size_t i = 0; i < r->n_found; i++) report->frames += r->found[i];
    report->replayed = count.applied;
    report->lost_segments = r->damaged.n;
    report->torn_bytes = r->torn_bytes;
    report->journal_id = j->id;
    j->stats.lost_frames = report->lost_frames;
    return WB_OK;
}

wb_status wb_journal_recover(wb_journal *j, wb_journal_report *report, wb_error *err)
{
    recovery r = {.j = j};
    wb_status status = recover(&r, report, err);
    free(r.segment_files.list);
    free(r.snapshot_files.list);
    free(r.unborn.list);
    free(r.damaged.list);
    free(r.useless_snapshots.list);
    free(r.found);
    return status;
}
