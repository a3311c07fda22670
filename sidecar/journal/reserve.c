/* SPDX-License-Identifier: Apache-2.0 */
/* Space that is held: one segment and two snapshots, as files whose blocks are set aside. Who needs one
 * of them renames it, so that nobody else on the disk can be quicker, as somebody could be if a file
 * were removed and another made.
 *
 * A new segment takes the held one when neither the disk nor the limit has room for another, and never
 * for new work. A snapshot always takes a held piece as its draft and is cut to its length at the end;
 * the snapshot that it makes superfluous becomes the piece again. So snapshots go on at a full disk,
 * and the space goes round.
 *
 * What is missing is made again as soon as there is room, off the writer. Until all of it is there new
 * work is refused: the journal is full, whatever else is free.
 *
 * What a crash leaves: a name less or the old one back, both found at the next start; and a draft or a
 * segment that was never begun, which then becomes what is missing. A held segment keeps the header of
 * the segment it was, as the spare does, with the same care for its number (segment.c). */
#include "sidecar/journal/internal.h"

#include <errno.h>

static const char *const names[WB_RESERVE_PIECES] = {
    [WB_RESERVE_SEGMENT] = "reserve-segment",
    [WB_RESERVE_SNAPSHOT_A] = "reserve-snapshot-a",
    [WB_RESERVE_SNAPSHOT_B] = "reserve-snapshot-b",
};

enum { PAGE = 4096, LEAST_PART = 16 };

const char *wb_reserve_name(unsigned piece) { return names[piece]; }

bool wb_journal_no_room(int rv) { return rv == -ENOSPC || rv == -EDQUOT; }

/* The lock is held. The next snapshot is about as large as the last one, which is a quarter more. */
static uint64_t wanted_bytes(const wb_journal *j, unsigned piece)
{
    if (piece == WB_RESERVE_SEGMENT) return j->segment_bytes;
    uint64_t last = j->n_kept ? j->kept[j->n_kept - 1].bytes : 0;
    uint64_t bytes = last + last / 4, least = j->segment_bytes / LEAST_PART;
    if (bytes < least) bytes = least;
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

uint64_t wb_reserve_bytes(const wb_journal *j)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < WB_RESERVE_PIECES; i++) bytes += j->reserve[i].bytes;
    return bytes;
}

bool wb_reserve_is_whole(const wb_journal *j)
{
    for (unsigned i = WB_RESERVE_SEGMENT + 1; i < WB_RESERVE_PIECES; i++)
        if (j->reserve[i].state == WB_PIECE_NONE) return false;
    return j->reserve[WB_RESERVE_SEGMENT].state == WB_PIECE_READY;
}

bool wb_reserve_take(wb_journal *j, unsigned piece)
{
    pthread_mutex_lock(&j->lock);
    bool ready = j->reserve[piece].state == WB_PIECE_READY;
    if (ready) j->reserve[piece].state = WB_PIECE_BUSY;
    pthread_mutex_unlock(&j->lock);
    return ready;
}

static void put_bytes(wb_journal *j, unsigned piece, uint64_t bytes)
{
    pthread_mutex_lock(&j->lock);
    j->reserve[piece] = (wb_piece){bytes > 0 ? WB_PIECE_READY : WB_PIECE_NONE, bytes};
    pthread_mutex_unlock(&j->lock);
}

static uint64_t size_of(const wb_journal *j, const char *name)
{
    uint64_t bytes = 0;
    int file = j->ops->open(j->ops, j->dir, name, WB_FILE_READ);
    if (file < 0) return 0;
    int rv = j->ops->size(j->ops, file, &bytes);
    j->ops->close(j->ops, file);
    return rv == 0 ? bytes : 0;
}

void wb_reserve_put(wb_journal *j, unsigned piece, const char *from)
{
    int rv = from ? j->ops->rename(j->ops, j->dir, from, names[piece]) : 0;
    put_bytes(j, piece, rv == 0 ? size_of(j, names[piece]) : 0);
}

void wb_reserve_gone(wb_journal *j, unsigned piece) { put_bytes(j, piece, 0); }

/* ---- start-up ---- */

static bool is_listed(const wb_journal *j, uint64_t number)
{
    for (size_t i = 0; i < j->n_segments; i++)
        if (j->segments[i]->home.segment == number) return true;
    return false;
}

bool wb_journal_may_reuse(wb_journal *j, int file)
{
    uint64_t numbers[WB_SEGMENT_COPIES];
    if (!wb_segment_fits_as_spare(j->ops, file, j->segment_bytes, j->id, numbers)) return false;
    for (size_t i = 0; i < WB_COUNT(numbers); i++) {
        if (is_listed(j, numbers[i])) return false; /* it is that segment, under a second name */
        if (numbers[i] >= j->next_number) j->next_number = numbers[i] + 1;
    }
    return true;
}

static void adopt_segment(wb_journal *j)
{
    int file = j->ops->open(j->ops, j->dir, names[WB_RESERVE_SEGMENT], WB_FILE_READ);
    if (file < 0) return;
    bool fits = wb_journal_may_reuse(j, file);
    j->ops->close(j->ops, file);
    if (fits)
        put_bytes(j, WB_RESERVE_SEGMENT, j->segment_bytes);
    else
        (void)j->ops->remove(j->ops, j->dir, names[WB_RESERVE_SEGMENT]);
}

/* A snapshot's draft, or a snapshot that made room, may still have the piece's name beside its own. */
static bool is_kept_snapshot(const wb_journal *j, const char *name)
{
    bool kept = false;
    for (size_t i = 0; i < j->n_kept; i++)
        kept |= wb_snapshot_is(&(wb_snapshot_place){.ops = j->ops, .dir = j->dir}, name,
                               j->kept[i].base_seq);
    return kept;
}

void wb_reserve_adopt(wb_journal *j)
{
    adopt_segment(j);
    for (unsigned i = WB_RESERVE_SEGMENT + 1; i < WB_RESERVE_PIECES; i++) {
        if (is_kept_snapshot(j, names[i])) (void)j->ops->remove(j->ops, j->dir, names[i]);
        put_bytes(j, i, size_of(j, names[i]));
        if (j->reserve[i].state == WB_PIECE_NONE && !is_kept_snapshot(j, WB_SNAPSHOT_DRAFT))
            wb_reserve_put(j, i, WB_SNAPSHOT_DRAFT);
    }
}

void wb_reserve_adopt_unborn(wb_journal *j, const char *name)
{
    bool wanted = j->reserve[WB_RESERVE_SEGMENT].state == WB_PIECE_NONE;
    int file = j->ops->open(j->ops, j->dir, name, WB_FILE_READ);
    bool fits = wanted && file >= 0 && wb_journal_may_reuse(j, file);
    if (file >= 0) j->ops->close(j->ops, file);
    if (fits)
        wb_reserve_put(j, WB_RESERVE_SEGMENT, name);
    else
        (void)j->ops->remove(j->ops, j->dir, name);
}

/* ---- upkeep ---- */

static int make(const wb_journal *j, const char *name, uint64_t bytes)
{
    const wb_file_ops *ops = j->ops;
    (void)ops->remove(ops, j->dir, name); /* half made, of another size, or none */
    int file = ops->open(ops, j->dir, name, WB_FILE_CREATE);
    if (file < 0) return file;
    int rv = ops->allocate(ops, file, bytes);
    ops->close(ops, file);
    if (rv != 0) (void)ops->remove(ops, j->dir, name);
    return rv;
}

static int resize(const wb_journal *j, const char *name, uint64_t from, uint64_t to)
{
    int file = j->ops->open(j->ops, j->dir, name, WB_FILE_WRITE);
    if (file < 0) return file;
    int rv = from < to ? j->ops->allocate(j->ops, file, to) : j->ops->cut(j->ops, file, to);
    j->ops->close(j->ops, file);
    return rv;
}

/* What must be done about a piece, which is busy until it is. The lock is held. */
static bool must_change(wb_journal *j, unsigned piece, uint64_t *from, uint64_t *to)
{
    wb_piece *p = &j->reserve[piece];
    *from = p->bytes;
    *to = wanted_bytes(j, piece);
    bool missing = p->state == WB_PIECE_NONE;
    bool resized = p->state == WB_PIECE_READY && (p->bytes < *to || p->bytes > 2 * *to);
    if (!missing && !resized) return false;
    if (*to > *from && wb_journal_used_bytes(j) + (*to - *from) > j->limit_bytes) {
        if (missing) j->full = j->full ? j->full : WB_JOURNAL_FULL_LIMIT;
        return false;
    }
    *p = (wb_piece){WB_PIECE_BUSY, *to > *from ? *to : *from};
    return true;
}

static void keep_piece(wb_journal *j, unsigned piece)
{
    uint64_t from, to;
    pthread_mutex_lock(&j->lock);
    bool change = must_change(j, piece, &from, &to);
    pthread_mutex_unlock(&j->lock);
    if (!change) return;
    int rv = from == 0 ? make(j, names[piece], to) : resize(j, names[piece], from, to);
    if (rv == 0)
        put_bytes(j, piece, to);
    else
        put_bytes(j, piece, from); /* as it was, or a little more */
    if (rv == 0 || from != 0) return;
    pthread_mutex_lock(&j->lock);
    if (!j->full) j->full = WB_JOURNAL_FULL_DISK;
    pthread_mutex_unlock(&j->lock);
}

void wb_journal_settle_full(wb_journal *j)
{
    bool next = j->secured.file >= 0;
    if (!j->full || !wb_reserve_is_whole(j)) return;
    if (j->full == WB_JOURNAL_FULL_LIMIT) {
        bool made = next || j->spare == WB_SPARE_READY;
        next = wb_journal_used_bytes(j) + (made ? 0 : j->segment_bytes) <= j->limit_bytes;
    }
    if (next) j->full = WB_JOURNAL_FULL_NOT;
}

void wb_journal_upkeep(wb_journal *j)
{
    for (unsigned i = 0; i < WB_RESERVE_PIECES; i++) keep_piece(j, i);
    pthread_mutex_lock(&j->lock);
    bool room =
        wb_reserve_is_whole(j) && wb_journal_used_bytes(j) + j->segment_bytes <= j->limit_bytes;
    bool retry = j->full == WB_JOURNAL_FULL_DISK && room && j->secured.file < 0 &&
                 j->spare != WB_SPARE_READY && j->spare != WB_SPARE_BUILDING;
    if (retry) j->spare = WB_SPARE_WANTED;
    pthread_mutex_unlock(&j->lock);
    if (retry) {
        wb_status status = wb_journal_prepare_spare(j, NULL);
        (void)status; /* it is still full, then */
    }
    pthread_mutex_lock(&j->lock);
    wb_journal_settle_full(j);
    pthread_mutex_unlock(&j->lock);
}
