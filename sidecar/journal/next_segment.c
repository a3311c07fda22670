/* SPDX-License-Identifier: Apache-2.0 */
/* The next segment: a file for it, then its birth.
 *
 * The file is secured when the first frame is appended that will go there, before anybody is promised a
 * place in it: the spare, else a new one if limit and disk allow, else, for what is not new work, the
 * held one (reserve.c). It has the segment's name already but no header of that number, so a crash
 * leaves a segment that was never begun.
 *
 * Its birth is the header twice, a sync of the file, a sync of the directory; only then its first frame. */
#include "sidecar/journal/internal.h"

#include <errno.h>
#include <stdlib.h>

wb_status wb_journal_push_segment(wb_journal *j, wb_segment **segment)
{
    wb_status status = WB_OK;
    pthread_mutex_lock(&j->lock);
    if (j->n_segments == j->segments_cap) {
        size_t cap = j->segments_cap ? 2 * j->segments_cap : 8;
        wb_segment **list = reallocarray(j->segments, cap, sizeof(wb_segment *));
        if (list) {
            j->segments = list;
            j->segments_cap = cap;
        } else {
            status = WB_ERR_NO_MEMORY;
        }
    }
    if (status == WB_OK) j->segments[j->n_segments++] = WB_STEAL(*segment);
    pthread_mutex_unlock(&j->lock);
    return status;
}

/* New work may not have it while all files together, the spare among them, are beyond the limit: state may
 * have grown since it was made. */
static bool take_spare(wb_journal *j, wb_work work)
{
    pthread_mutex_lock(&j->lock);
    bool ready = j->spare == WB_SPARE_READY;
    if (ready && work == WB_WORK_NEW && wb_journal_used_bytes(j) > j->limit_bytes) {
        pthread_mutex_unlock(&j->lock);
        return false;
    }
    if (ready || j->spare == WB_SPARE_REFUSED) j->spare = WB_SPARE_NONE;
    pthread_mutex_unlock(&j->lock);
    return ready;
}

/* Opened first: a file under the segment's name that cannot be opened would bar the name to every later
 * try (EMFILE is over in a moment; EEXIST would stay). */
static int rename_to(const wb_journal *j, const char *from, const char *name)
{
    int file = j->ops->open(j->ops, j->dir, from, WB_FILE_WRITE);
    if (file < 0) return file;
    int rv = j->ops->rename(j->ops, j->dir, from, name);
    if (rv == 0) return file;
    j->ops->close(j->ops, file);
    return rv;
}

static int fresh_file(const wb_journal *j, const char *name)
{
    const wb_file_ops *ops = j->ops;
    int file = ops->open(ops, j->dir, name, WB_FILE_CREATE);
    if (file < 0) return file;
    int rv = ops->allocate(ops, file, j->segment_bytes);
    if (rv == 0) return file;
    ops->close(ops, file);
    (void)ops->remove(ops, j->dir, name);
    return rv;
}

static int reserved_file(wb_journal *j, const char *name)
{
    if (!wb_reserve_take(j, WB_RESERVE_SEGMENT)) return -ENOSPC;
    int file = rename_to(j, wb_reserve_name(WB_RESERVE_SEGMENT), name);
    wb_reserve_gone(j, WB_RESERVE_SEGMENT);
    return file;
}

/* Is there room for that many segments more? And may house-keeping go beyond the limit? Only when
 * nothing else is left. */
bool wb_journal_limit_allows(wb_journal *j, uint64_t segments, wb_work work)
{
    pthread_mutex_lock(&j->lock);
    bool last_way_out =
        work == WB_WORK_HOUSE && j->reserve[WB_RESERVE_SEGMENT].state != WB_PIECE_READY;
    bool room = wb_journal_used_bytes(j) + segments * j->segment_bytes <= j->limit_bytes;
    pthread_mutex_unlock(&j->lock);
    return room || last_way_out;
}

wb_status wb_journal_say_full(wb_journal *j, wb_journal_full why, wb_error *err)
{
    pthread_mutex_lock(&j->lock);
    j->full = why;
    pthread_mutex_unlock(&j->lock);
    if (why == WB_JOURNAL_FULL_DISK) return wb_fail(err, WB_ERR_FULL, "journal: the disk is full");
    return wb_fail(err, WB_ERR_FULL, "journal: its limit of %llu bytes is reached",
                   (unsigned long long)j->limit_bytes);
}

static void set_secured(wb_journal *j, wb_secured secured)
{
    pthread_mutex_lock(&j->lock);
    j->secured = secured;
    pthread_mutex_unlock(&j->lock);
}

wb_status wb_journal_secure(wb_journal *j, wb_work work, wb_error *err)
{
    char name[WB_FILE_NAME];
    wb_journal_full why = WB_JOURNAL_FULL_DISK;
    int file = -ENOSPC;
    bool from_reserve = false;
    if (j->secured.file >= 0) return WB_OK;
    wb_segment_name(name, j->next_number);
    if (take_spare(j, work))
        file = rename_to(j, WB_SPARE_FILE, name);
    else if (wb_journal_limit_allows(j, 1, work))
        file = fresh_file(j, name);
    else
        why = WB_JOURNAL_FULL_LIMIT;
    if (file == -EEXIST)
        j->next_number++; /* left by a removal that failed; the next start has it */
    if (wb_journal_no_room(file) && work != WB_WORK_NEW) {
        file = reserved_file(j, name);
        from_reserve = file >= 0;
    }
    if (file < 0 && !wb_journal_no_room(file))
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -file, "journal: new segment");
    if (file < 0) return wb_journal_say_full(j, why, err);
    set_secured(j, (wb_secured){.file = file, .from_reserve = from_reserve});
    if (from_reserve)
        (void)wb_journal_say_full(j, why, NULL); /* new work waits until there is another */
    return WB_OK;
}

/* A file under the name of a segment that was never begun: its space is worth keeping. */
static void put_back(wb_journal *j, uint64_t number, bool from_reserve)
{
    char name[WB_FILE_NAME];
    pthread_mutex_lock(&j->lock);
    bool wanted = j->reserve[WB_RESERVE_SEGMENT].state == WB_PIECE_NONE;
    pthread_mutex_unlock(&j->lock);
    wb_segment_name(name, number);
    if (wanted && from_reserve)
        wb_reserve_put(j, WB_RESERVE_SEGMENT, name);
    else
        (void)j->ops->remove(j->ops, j->dir, name); /* without frames it is harmless */
}

void wb_journal_unsecure(wb_journal *j)
{
    wb_secured had = j->secured;
    if (had.file < 0) return;
    j->ops->close(j->ops, had.file);
    set_secured(j, (wb_secured){.file = -1});
    put_back(j, j->next_number, had.from_reserve);
}

/* The secured file becomes a segment; it is the journal's from then on. */
static int bear_segment(wb_journal *j, const wb_segment *segment)
{
    const wb_file_ops *ops = j->ops;
    int rv = wb_segment_write_header(ops, j->secured.file, segment);
    if (rv == 0) rv = ops->sync_file(ops, j->secured.file, "segment.header");
    if (rv == 0) rv = ops->sync_dir(ops, j->dir, "segment.name");
    return rv;
}

wb_status wb_journal_roll(wb_journal *j, uint64_t first_seq, uint64_t skipped, wb_error *err)
{
    wb_status secured = wb_journal_secure(j, WB_WORK_HOUSE, err);
    j->no_room = secured == WB_ERR_FULL;
    WB_TRY(secured);
    wb_segment *segment = calloc(1, sizeof *segment);
    if (!segment) return wb_fail(err, WB_ERR_UNAVAILABLE, "journal: no memory for a segment");
    *segment = (wb_segment){
        .home = {.journal_id = j->id, .segment = j->next_number},
        .first_seq = first_seq,
        .skipped = skipped,
        .bytes = j->segment_bytes,
        .last_seq = first_seq - 1,
        .end = WB_SEGMENT_FRAMES_AT,
    };
    wb_random(segment->home.magic, sizeof segment->home.magic);
    wb_secured had = j->secured;
    int rv = bear_segment(j, segment);
    wb_status status = WB_OK;
    if (rv != 0)
        status = wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: new segment");
    else if (wb_journal_push_segment(j, &segment) != WB_OK)
        status = wb_fail(err, WB_ERR_UNAVAILABLE, "journal: no memory for a segment");
    set_secured(j, (wb_secured){.file = -1});
    j->next_number++; /* never again, even if it failed: its header may be on the disk */
    if (status != WB_OK) {
        j->no_room = wb_journal_no_room(rv);
        j->ops->close(j->ops, had.file);
        put_back(j, j->next_number - 1, had.from_reserve);
        free(segment);
        return status;
    }
    if (j->file >= 0) j->ops->close(j->ops, j->file);
    j->file = had.file;
    j->must_roll = false;
    return WB_OK;
}
