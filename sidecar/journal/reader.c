/* SPDX-License-Identifier: Apache-2.0 */
/* A reader walks from segment to segment with a file handle of its own. It holds its segment by a
 * count under the journal's lock: a trimmed segment that somebody still reads is removed but never
 * recycled, so its bytes stay what they were until the handle is closed. How far the segment counts
 * is asked anew before each frame; behind that nothing is read, not even ahead. */
#include "sidecar/journal/internal.h"
#include "sidecar/journal/scan.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_CHUNK = 512 * 1024 };

struct wb_journal_reader {
    wb_journal *journal;
    uint64_t next_seq;
    wb_segment *segment; /* held; NULL: none */
    uint64_t last_seq;   /* of the segment, when last asked */
    int file;            /* of the segment */
    wb_scan scan;
};

wb_status wb_journal_reader_open(wb_journal *journal, uint64_t after_seq, wb_journal_reader **out,
                                 wb_error *err)
{
    wb_journal_reader *r = calloc(1, sizeof *r);
    if (!r) return wb_fail(err, WB_ERR_NO_MEMORY, "journal reader");
    r->journal = journal;
    r->next_seq = after_seq + 1;
    r->file = -1;
    *out = r;
    return WB_OK;
}

static void let_go(wb_journal_reader *r)
{
    wb_journal *j = r->journal;
    bool last = false;
    if (!r->segment) return;
    wb_scan_done(&r->scan);
    if (r->file >= 0) j->ops->close(j->ops, r->file);
    r->file = -1;
    pthread_mutex_lock(&j->lock);
    r->segment->readers--;
    last = r->segment->trimmed && r->segment->readers == 0;
    pthread_mutex_unlock(&j->lock);
    if (last) free(r->segment);
    r->segment = NULL;
}

void wb_journal_reader_close(wb_journal_reader *r)
{
    if (!r) return;
    let_go(r);
    free(r);
}

/* The segment that has next_seq or, if that was lost or trimmed, the first above it. Takes hold of it;
 * the lock is held. */
static wb_segment *segment_of_next(const wb_journal_reader *r)
{
    const wb_journal *j = r->journal;
    for (size_t i = 0; i < j->n_segments; i++)
        if (j->segments[i]->last_seq >= r->next_seq) return j->segments[i];
    return NULL;
}

/* Returns whether the segment was trimmed before its file could be opened. */
static bool let_go_of_unopened(wb_journal_reader *r)
{
    pthread_mutex_lock(&r->journal->lock);
    bool trimmed = r->segment->trimmed;
    pthread_mutex_unlock(&r->journal->lock);
    let_go(r);
    return trimmed;
}

/* Be at the right segment with its present end, or at none if it was trimmed on the way. */
static wb_status find_place(wb_journal_reader *r, wb_error *err)
{
    char name[WB_FILE_NAME];
    wb_journal *j = r->journal;
    pthread_mutex_lock(&j->lock);
    wb_segment *segment = segment_of_next(r);
    bool move = segment && segment != r->segment;
    if (segment) {
        r->last_seq = segment->last_seq;
        if (move) segment->readers++;
        if (!move) r->scan.end = segment->end;
    }
    uint64_t end = segment ? segment->end : 0;
    pthread_mutex_unlock(&j->lock);
    if (!segment) {
        if (r->segment) wb_scan_rest(&r->scan);
        return WB_ERR_NOT_FOUND;
    }
    if (!move) return WB_OK;
    let_go(r);
    r->segment = segment;
    wb_scan_init(&r->scan, j->ops, -1, &segment->home, WB_SEGMENT_FRAMES_AT, end, READ_CHUNK);
    wb_segment_name(name, segment->home.segment);
    r->file = j->ops->open(j->ops, j->dir, name, WB_FILE_READ);
    if (r->file >= 0) {
        r->scan.file = r->file;
        return WB_OK;
    }
    int rv = r->file;
    if (let_go_of_unopened(r) && rv == -ENOENT) return WB_OK;
    return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: open %s", name);
}

wb_status wb_journal_reader_next(wb_journal_reader *r, wb_frame_view *view, wb_error *err)
{
    for (;;) {
        wb_frame_view frame;
        WB_TRY(find_place(r, err));
        if (!r->segment) continue;
        wb_status status = wb_scan_next(&r->scan, &frame, err);
        if (status == WB_ERR_NOT_FOUND) {
            r->next_seq = r->last_seq + 1; /* what is missing there is lost */
            continue;
        }
        if (status != WB_OK) return status;
        if (frame.seq < r->next_seq || frame.seq > r->last_seq) continue;
        r->next_seq = frame.seq + 1;
        *view = frame;
        return WB_OK;
    }
}
