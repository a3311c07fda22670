/* SPDX-License-Identifier: Apache-2.0 */
/* What lies between a place and the end: bytes, and records. Who gives up the oldest does so to the end of
 * a segment: that sets a whole file free, and what was in it is known without reading. */
#include "sidecar/journal/internal.h"

/* In a segment whose frames are about alike: in proportion, and never 0 while one is missing. */
static uint64_t part_after(const wb_segment *segment, uint64_t seq)
{
    uint64_t bytes = segment->end - WB_SEGMENT_FRAMES_AT;
    if (segment->last_seq <= seq || bytes == 0) return 0;
    if (segment->first_seq > seq) return bytes;
    uint64_t frames = segment->last_seq - segment->first_seq + 1, left = segment->last_seq - seq;
    uint64_t part = (uint64_t)((double)bytes * ((double)left / (double)frames));
    return part > 0 ? part : 1;
}

uint64_t wb_journal_bytes_after(wb_journal *j, uint64_t seq)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&j->lock);
    for (size_t i = j->n_segments; i > 0 && j->segments[i - 1]->last_seq > seq; i--)
        bytes += part_after(j->segments[i - 1], seq);
    pthread_mutex_unlock(&j->lock);
    return bytes;
}

/* The place in a segment that `bytes` of its frames are above. */
static uint64_t place_in(const wb_segment *segment, uint64_t bytes)
{
    uint64_t held = segment->end - WB_SEGMENT_FRAMES_AT;
    double frames = (double)(segment->last_seq + 1 - segment->first_seq);
    return segment->last_seq - (uint64_t)(frames * ((double)bytes / (double)held));
}

uint64_t wb_journal_give_up_to(wb_journal *j, uint64_t bytes)
{
    uint64_t seq = 0, left = bytes;
    pthread_mutex_lock(&j->lock);
    for (size_t i = j->n_segments; i > 0; i--) {
        const wb_segment *segment = j->segments[i - 1];
        uint64_t held = segment->end - WB_SEGMENT_FRAMES_AT;
        if (held > left) {
            seq = left < bytes / 2 ? segment->last_seq : place_in(segment, left);
            break;
        }
        left -= held;
        seq = segment->first_seq - 1;
    }
    pthread_mutex_unlock(&j->lock);
    return seq;
}

/* A part of one segment. */
typedef struct stretch {
    uint64_t upto_seq;
    bool known; /* all of the segment: `records` are in it */
    uint64_t records;
} stretch;

/* The stretch that begins above `seq`; false if there is nothing up to `upto`. */
static bool next_stretch(wb_journal *j, uint64_t seq, uint64_t upto, uint64_t kinds, stretch *out)
{
    bool any = false;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; seq < upto && i < j->n_segments && !any; i++) {
        const wb_segment *segment = j->segments[i];
        if (segment->last_seq <= seq) continue;
        if (segment->first_seq > upto) break;
        any = true;
        out->known = segment->first_seq > seq && segment->last_seq <= upto;
        out->records = wb_tally_of(&segment->tally, kinds);
        out->upto_seq = segment->last_seq < upto ? segment->last_seq : upto;
    }
    pthread_mutex_unlock(&j->lock);
    return any;
}

static wb_status read_stretch(wb_journal *j, uint64_t seq, uint64_t upto, wb_tally *tally,
                              wb_error *err)
{
    wb_frame_view frame;
    wb_journal_reader *reader;
    WB_TRY(wb_journal_reader_open(j, seq, &reader, err));
    wb_status status;
    while ((status = wb_journal_reader_next(reader, &frame, err)) == WB_OK && frame.seq <= upto)
        wb_tally_frame(tally, &frame);
    wb_journal_reader_close(reader);
    return status == WB_ERR_NOT_FOUND ? WB_OK : status;
}

wb_status wb_journal_count_records(wb_journal *j, uint64_t after_seq, uint64_t upto_seq,
                                   uint64_t kinds, uint64_t *n, wb_error *err)
{
    stretch at;
    wb_tally read = {0};
    uint64_t known = 0;
    for (uint64_t seq = after_seq; next_stretch(j, seq, upto_seq, kinds, &at); seq = at.upto_seq) {
        if (at.known)
            known += at.records;
        else
            WB_TRY(read_stretch(j, seq, at.upto_seq, &read, err));
    }
    *n = known + wb_tally_of(&read, kinds);
    return WB_OK;
}
