/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/segment.h: one file of frames and its header. Private to the journal. */
#ifndef WAYBILL_SIDECAR_JOURNAL_SEGMENT_H
#define WAYBILL_SIDECAR_JOURNAL_SEGMENT_H

#include "core/file_ops.h"
#include "sidecar/journal/frame.h"
#include "sidecar/journal/layout.h"

enum {
    WB_SEGMENT_SECTOR = 512,     /* a header; the unit a disk writes whole or not at all */
    WB_SEGMENT_SECOND = 4096,    /* where its copy is */
    WB_SEGMENT_FRAMES_AT = 8192, /* where frames begin */
    WB_SEGMENT_MIN_BYTES = 64 * 1024,
    WB_SEGMENT_MAX_BYTES = 1 << 30,
};

/* How many records of each kind the frames that count have. */
typedef struct wb_tally {
    uint32_t of[WB_RECORD_KIND_MAX + 1];
} wb_tally;

/** Count what is in one more frame. */
void wb_tally_frame(wb_tally *tally, const wb_frame_view *frame);
void wb_tally_add(wb_tally *tally, const wb_tally *more);
/** Records of these kinds, as bits. */
uint64_t wb_tally_of(const wb_tally *tally, uint64_t kinds);

typedef struct wb_segment {
    wb_frame_home home;
    uint64_t first_seq; /* of its first frame */
    uint64_t skipped;  /* sequences just below first_seq that were left out; from the first of them,
                         * or first_seq, on, whatever older segments have is void */
    uint64_t bytes;    /* of the file */
    uint64_t last_seq; /* of what counts in it; first_seq - 1: nothing */
    uint64_t end;      /* behind the last frame that counts */
    wb_tally tally;    /* of what counts in it */
    bool damaged;      /* frames are missing in it: set aside when trimmed */
    uint32_t readers;  /* it is not recycled under them; guarded by the journal's lock */
    bool trimmed;      /* out of the list, freed by its last reader; guarded likewise */
} wb_segment;

typedef enum wb_segment_look {
    WB_SEGMENT_GOOD,
    WB_SEGMENT_UNBORN,  /* a crash stopped its making: nothing was ever safe in it */
    WB_SEGMENT_DAMAGED, /* both copies of its header are */
    WB_SEGMENT_NEWER,   /* a later version of Waybill wrote it */
} wb_segment_look;

/** Write both copies of the header. 0 or -errno. */
int wb_segment_write_header(const wb_file_ops *ops, int file, const wb_segment *segment);

/** Read the header of the file whose name says `number`, and the file's size; home, first_seq,
 *  skipped, bytes, last_seq and end of *out are set if GOOD.
 *  Errors  UNAVAILABLE the disk fails */
WB_MUST_USE wb_status wb_segment_read_header(const wb_file_ops *ops, int file, uint64_t number,
                                             wb_segment *out, wb_segment_look *look, wb_error *err);

enum { WB_SEGMENT_COPIES = 2 };
/** May the file become a segment of this journal? It has that size, and its header is empty or of this
 *  journal; `numbers` are those there, 0 for none. */
bool wb_segment_fits_as_spare(const wb_file_ops *ops, int file, uint64_t bytes, wb_id journal_id,
                              uint64_t numbers[WB_SEGMENT_COPIES]);

static inline void wb_segment_name(char name[WB_FILE_NAME], uint64_t number)
{
    wb_numbered_name(name, WB_SEGMENT_PREFIX, number);
}

#endif
