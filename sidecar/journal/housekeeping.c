/* SPDX-License-Identifier: Apache-2.0 */
/* What happens between commits: snapshots, trimming, the spare, and getting up after a failed disk.
 *
 * A segment may go when every registered cursor and the older of the two snapshots are past it: then
 * the newer one can be damaged and still nothing is missing. One segment goes at a time, oldest first,
 * and the directory is synced before the next may go, so that a crash can bring back the last one
 * removed but never leave a hole before one that came back. It becomes the spare if none is there,
 * since a file whose blocks are all written is what the next segment wants to be. */
#include "sidecar/journal/internal.h"

#include <errno.h>
#include <stdlib.h>

enum { SHRINK_EVERY_MS = 2000 }; /* snapshots of a journal that is full */

/* ---- snapshots ---- */

wb_snapshot_place wb_journal_snapshot_place(const wb_journal *j)
{
    return (wb_snapshot_place){j->ops, j->dir, j->tables, j->n_tables};
}

static const wb_snapshot_info *newest(const wb_journal *j)
{
    return j->n_kept ? &j->kept[j->n_kept - 1] : NULL;
}

/* All at or below it may be trimmed as far as snapshots go. */
static uint64_t snapshots_allow(const wb_journal *j)
{
    return j->n_kept == WB_SNAPSHOTS_KEPT ? j->kept[0].base_seq : 0;
}

/* What the journal holds for the next snapshot, or -1. */
static int take_piece(wb_journal *j)
{
    for (int i = WB_RESERVE_SEGMENT + 1; i < WB_RESERVE_PIECES; i++)
        if (wb_reserve_take(j, (unsigned)i)) return i;
    return -1;
}

/* The draft is a snapshot now, or abandoned; `from` is a file that is superfluous or NULL. */
static void give_piece_back(wb_journal *j, const char *from)
{
    if (j->draft_piece >= 0)
        wb_reserve_put(j, (unsigned)j->draft_piece, from);
    else if (from)
        (void)j->ops->remove(j->ops, j->dir, from); /* or the next start does */
    j->draft_piece = -1;
}

static void keep_snapshot(wb_journal *j, wb_snapshot_info info)
{
    char name[WB_FILE_NAME];
    uint64_t leaving = 0;
    pthread_mutex_lock(&j->lock);
    if (j->n_kept == WB_SNAPSHOTS_KEPT) {
        leaving = j->kept[0].base_seq;
        memmove(&j->kept[0], &j->kept[1], sizeof j->kept - sizeof j->kept[0]);
        j->n_kept--;
    }
    j->kept[j->n_kept++] = info;
    j->stats.snapshots_taken++;
    pthread_mutex_unlock(&j->lock);
    wb_snapshot_name(name, leaving);
    if (leaving != 0)
        give_piece_back(j, name);
    else if (j->draft_piece >= 0)
        wb_reserve_gone(j, (unsigned)j->draft_piece);
    j->draft_piece = -1;
}

static bool oldest_is_delivered(const wb_journal *j)
{
    return j->n_segments > 1 && j->segments[0]->last_seq <= wb_cursors_lowest(&j->cursors);
}

/* Is a full segment delivered to everybody, but above the snapshot at `base`? */
static bool delivered_above(const wb_journal *j, uint64_t base)
{
    uint64_t delivered = wb_cursors_lowest(&j->cursors);
    for (size_t i = j->n_segments - 1; i > 0 && j->segments[i - 1]->last_seq > base; i--)
        if (j->segments[i - 1]->last_seq <= delivered) return true;
    return false;
}

static bool nearly_full(wb_journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool near = j->full || wb_journal_used_bytes(j) + 2 * j->segment_bytes > j->limit_bytes;
    pthread_mutex_unlock(&j->lock);
    return near;
}

/* Rows that were closed and purged are still in the snapshots, which may be what fills the journal. */
static bool may_shrink(wb_journal *j, uint64_t base)
{
    pthread_mutex_lock(&j->lock);
    bool full = j->full == WB_JOURNAL_FULL_LIMIT;
    pthread_mutex_unlock(&j->lock);
    return full && j->safe_seq > base &&
           wb_mono(j->clock) - j->snapshot_mono >= SHRINK_EVERY_MS * WB_NS_PER_MS;
}

/* The oldest segment is delivered, and the older of two snapshots holds it. Soon the next one will free it, but
 * not where space is short; nor where somebody far behind gives up: there the newest is past segments that are
 * still to be delivered, so that none is due for their sake, and all of them would wait for the last. */
static bool older_holds_too_much(wb_journal *j, uint64_t base)
{
    if (!oldest_is_delivered(j) || j->segments[0]->last_seq <= snapshots_allow(j)) return false;
    return j->segments[1]->last_seq <= base || nearly_full(j);
}

/* DESIGN section 4: when state bytes exceed 4 times its size, or when it alone blocks trimming. Since
 * the older of two must be past a segment before that goes, one is taken for each delivered segment. */
static bool snapshot_is_due(wb_journal *j)
{
    const wb_snapshot_info *last = newest(j);
    uint64_t base = last ? last->base_seq : 0;
    uint64_t enough = 4 * (last ? last->bytes : 0);
    if (enough < j->segment_bytes / 4) enough = j->segment_bytes / 4;
    if (j->state_bytes > enough || delivered_above(j, base) || may_shrink(j, base)) return true;
    return older_holds_too_much(j, base);
}

static wb_status begin_snapshot(wb_journal *j, wb_error *err)
{
    const wb_snapshot_info *last = newest(j);
    wb_snapshot_place place = wb_journal_snapshot_place(j);
    j->state_bytes = 0; /* if it fails, the next attempt is not at once */
    j->snapshot_mono = wb_mono(j->clock);
    if (last && last->base_seq == j->safe_seq)
        WB_TRY(wb_journal_mark(j, err)); /* else it would replace the last one, not join it */
    wb_snapshot_info info = {.journal_id = j->id, .base_seq = j->safe_seq};
    j->draft_through = false;
    j->draft_piece = take_piece(j);
    const char *from = j->draft_piece >= 0 ? wb_reserve_name((unsigned)j->draft_piece) : NULL;
    wb_status status = wb_snapshot_begin(&j->draft, &place, info, from, err);
    if (status != WB_OK) give_piece_back(j, NULL);
    return status;
}

void wb_journal_abandon_snapshot(wb_journal *j)
{
    wb_snapshot_place place = wb_journal_snapshot_place(j);
    if (!j->draft.active) return;
    wb_snapshot_abandon(&j->draft, &place); /* it will be due again */
    give_piece_back(j, NULL);
}

static wb_status copy_slice(wb_journal *j, wb_error *err)
{
    wb_snapshot_place place = wb_journal_snapshot_place(j);
    return wb_snapshot_slice(&j->draft, &place, &j->draft_through, err);
}

static wb_status finish_snapshot(wb_journal *j, wb_error *err)
{
    wb_snapshot_info info;
    wb_snapshot_place place = wb_journal_snapshot_place(j);
    wb_status status = wb_snapshot_finish(&j->draft, &place, j->safe_seq, &info, err);
    if (status == WB_OK)
        keep_snapshot(j, info);
    else
        give_piece_back(j, NULL);
    return status;
}

/* One slice, if a snapshot is being taken or due. Returns whether there is more to do. */
static bool snapshot_step(wb_journal *j)
{
    wb_status status = WB_OK;
    if (!j->draft.active) {
        if (!snapshot_is_due(j)) return false;
        status = begin_snapshot(j, NULL);
    }
    if (status == WB_OK && !j->draft_through) status = copy_slice(j, NULL);
    if (status != WB_OK) wb_journal_abandon_snapshot(j);
    return status == WB_OK;
}

wb_status wb_journal_snapshot_now(wb_journal *j, wb_error *err)
{
    wb_journal_abandon_snapshot(j);
    WB_TRY(begin_snapshot(j, err));
    wb_status status = WB_OK;
    while (status == WB_OK && !j->draft_through) status = copy_slice(j, err);
    if (status == WB_OK) return finish_snapshot(j, err);
    wb_journal_abandon_snapshot(j);
    return status;
}

/* ---- trimming ---- */

typedef struct quarantined {
    const wb_journal *j;
    size_t n;
    uint64_t lowest, bytes;
} quarantined;

static int note_quarantined(void *arg, const char *name)
{
    quarantined *found = arg;
    const wb_file_ops *ops = found->j->ops;
    uint64_t number, bytes = 0;
    if (!wb_numbered_parse(name, WB_QUARANTINE_PREFIX, &number)) return 0;
    if (found->n == 0 || number < found->lowest) found->lowest = number;
    found->n++;
    int file = ops->open(ops, found->j->dir, name, WB_FILE_READ);
    if (file < 0) return 0;
    if (ops->size(ops, file, &bytes) == 0) found->bytes += bytes;
    ops->close(ops, file);
    return 0;
}

static quarantined look_at_quarantine(wb_journal *j)
{
    quarantined found = {.j = j};
    (void)j->ops->list(j->ops, j->dir, note_quarantined, &found);
    pthread_mutex_lock(&j->lock);
    j->quarantined_bytes = found.bytes;
    pthread_mutex_unlock(&j->lock);
    return found;
}

void wb_journal_count_quarantined(wb_journal *j) { (void)look_at_quarantine(j); }

/* The oldest makes room, so that four are left at most, and a quarter of the limit. */
void wb_journal_quarantine(wb_journal *j, uint64_t number)
{
    char from[WB_FILE_NAME], to[WB_FILE_NAME];
    wb_segment_name(from, number);
    wb_numbered_name(to, WB_QUARANTINE_PREFIX, number);
    (void)j->ops->rename(j->ops, j->dir, from, to);
    for (quarantined found = look_at_quarantine(j);
         found.n > WB_QUARANTINE_KEPT || (found.n > 1 && found.bytes > j->limit_bytes / 4);) {
        size_t before = found.n;
        wb_numbered_name(to, WB_QUARANTINE_PREFIX, found.lowest);
        (void)j->ops->remove(j->ops, j->dir, to);
        found = look_at_quarantine(j);
        if (found.n >= before) return; /* the disk refuses: the next one tries again */
    }
}

/* Out of the list. Returns whether nobody reads it any more. */
static bool unlist_oldest(wb_journal *j, bool *becomes_spare, bool *becomes_held)
{
    pthread_mutex_lock(&j->lock);
    wb_segment *oldest = j->segments[0];
    j->n_segments--;
    memmove(&j->segments[0], &j->segments[1], j->n_segments * sizeof j->segments[0]);
    bool free_of_readers = oldest->readers == 0;
    oldest->trimmed = true;
    wb_piece *held = &j->reserve[WB_RESERVE_SEGMENT];
    bool usable = free_of_readers && !oldest->damaged && oldest->bytes == j->segment_bytes;
    *becomes_held = usable && held->state == WB_PIECE_NONE;
    *becomes_spare =
        usable && !*becomes_held && j->spare != WB_SPARE_READY && j->spare != WB_SPARE_BUILDING;
    if (*becomes_held) *held = (wb_piece){WB_PIECE_BUSY, j->segment_bytes};
    if (*becomes_spare) j->spare = WB_SPARE_BUILDING;
    pthread_mutex_unlock(&j->lock);
    return free_of_readers;
}

static void set_spare(wb_journal *j, wb_spare spare)
{
    pthread_mutex_lock(&j->lock);
    j->spare = spare;
    pthread_cond_broadcast(&j->spare_changed);
    pthread_mutex_unlock(&j->lock);
}

/* The names that a trim left are gone for good. Until then nothing younger may go: a start that found
 * an old segment without those behind it would take them for lost. */
static bool finish_trim(wb_journal *j)
{
    const wb_file_ops *ops = j->ops;
    if (j->untrimmed != 0) {
        char name[WB_FILE_NAME];
        wb_segment_name(name, j->untrimmed);
        int rv = ops->remove(ops, j->dir, name);
        if (rv != 0 && rv != -ENOENT) return false;
        j->untrimmed = 0;
    }
    j->trim_unsynced = ops->sync_dir(ops, j->dir, "trim") != 0;
    return !j->trim_unsynced;
}

/* Where a trimmed segment goes, by whether it can be of use. */
static void put_away(wb_journal *j, const wb_segment *oldest, bool spare, bool held)
{
    char name[WB_FILE_NAME];
    const wb_file_ops *ops = j->ops;
    wb_segment_name(name, oldest->home.segment);
    j->untrimmed = oldest->home.segment; /* a name that is gone is no hindrance */
    if (oldest->damaged) {
        wb_journal_quarantine(j, oldest->home.segment);
    } else if (held) {
        wb_reserve_put(j, WB_RESERVE_SEGMENT, name);
    } else if (spare) {
        int rv = ops->rename(ops, j->dir, name, WB_SPARE_FILE);
        set_spare(j, rv == 0 ? WB_SPARE_READY : WB_SPARE_NONE);
    }
}

/* Returns whether a segment went. */
static bool trim_step(wb_journal *j)
{
    bool becomes_spare, becomes_held;
    if (!oldest_is_delivered(j) || j->segments[0]->last_seq > snapshots_allow(j)) return false;
    if (j->trim_unsynced && !finish_trim(j)) return false;
    wb_segment *oldest = j->segments[0], was = *oldest;
    if (unlist_oldest(j, &becomes_spare, &becomes_held)) free(oldest);
    j->trim_unsynced = true;
    put_away(j, &was, becomes_spare, becomes_held);
    pthread_mutex_lock(&j->lock);
    wb_journal_settle_full(j);
    pthread_mutex_unlock(&j->lock);
    return finish_trim(j);
}

/* ---- getting up ---- */

static bool get_up(wb_journal *j)
{
    wb_replay_count count;
    if (j->tables_stale) {
        if (wb_journal_load_state(j, j->safe_seq, &count, NULL) != WB_OK) return false;
        j->tables_stale = false;
        j->gap = count.missing + count.refused;
    }
    if (j->must_roll && wb_journal_roll(j, j->safe_seq + 1, 0, NULL) != WB_OK) return false;
    wb_journal_plan_anew(j);
    if (j->gap > 0 && wb_journal_note_gap(j, NULL) != WB_OK) return false;
    j->no_room = false;
    pthread_mutex_lock(&j->lock);
    j->stats.failed = false;
    pthread_mutex_unlock(&j->lock);
    return true;
}

/* A disk was full. That it took a spare is no proof that the next segment will be had: being full ends when
 * that has its file and its name. */
static void secure_again(wb_journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool due = j->full == WB_JOURNAL_FULL_DISK && j->spare == WB_SPARE_READY &&
               j->secured.file < 0 && wb_reserve_is_whole(j);
    pthread_mutex_unlock(&j->lock);
    if (!due) return;
    wb_status status = wb_journal_secure(j, WB_WORK_NEW, NULL);
    (void)status; /* it is still full, then */
    pthread_mutex_lock(&j->lock);
    wb_journal_settle_full(j);
    pthread_mutex_unlock(&j->lock);
}

bool wb_journal_idle(wb_journal *j)
{
    if (j->pending.len > 0) return false; /* the tables are ahead of the disk */
    if ((j->tables_stale || j->must_roll) && !get_up(j)) return false;
    secure_again(j);
    return snapshot_step(j);
}

bool wb_journal_tidy(wb_journal *j)
{
    if (j->pending.len > 0 || j->tables_stale || j->must_roll) return false;
    bool finished = j->draft.active && j->draft_through && finish_snapshot(j, NULL) == WB_OK;
    return trim_step(j) || finished;
}

/* ---- the spare ---- */

static int build_spare(wb_journal *j)
{
    const wb_file_ops *ops = j->ops;
    (void)ops->remove(ops, j->dir, WB_SPARE_FILE); /* one of another size, or half made */
    int file = ops->open(ops, j->dir, WB_SPARE_FILE, WB_FILE_CREATE);
    if (file < 0) return file;
    int rv = ops->allocate(ops, file, j->segment_bytes); /* says at once that there is no room */
    if (rv == 0) rv = ops->zero_fill(ops, file, j->segment_bytes);
    ops->close(ops, file);
    if (rv != 0) (void)ops->remove(ops, j->dir, WB_SPARE_FILE);
    return rv;
}

wb_status wb_journal_prepare_spare(wb_journal *j, wb_error *err)
{
    pthread_mutex_lock(&j->lock);
    bool wanted = j->spare == WB_SPARE_WANTED;
    if (wanted && wb_journal_used_bytes(j) + j->segment_bytes > j->limit_bytes) {
        j->spare = WB_SPARE_REFUSED;
        wanted = false;
    }
    if (wanted) j->spare = WB_SPARE_BUILDING;
    pthread_mutex_unlock(&j->lock);
    if (!wanted) return WB_OK;
    int rv = build_spare(j);
    set_spare(j, rv == 0 ? WB_SPARE_READY : WB_SPARE_REFUSED);
    if (rv == 0) return WB_OK;
    return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: spare segment");
}
