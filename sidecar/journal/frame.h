/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/frame.h: one frame, byte by byte. Format: docs/design/journal.md. */
#ifndef WAYBILL_SIDECAR_JOURNAL_FRAME_H
#define WAYBILL_SIDECAR_JOURNAL_FRAME_H

#include "core/entry.h"
#include "core/ids.h"

enum {
    WB_FRAME_HEADER = 40,
    WB_FRAME_ALIGN = 8,
    WB_FRAME_MAX_BYTES = 16 * 1024 * 1024, /* header and padding included */
};

/* No sequence and no segment number goes beyond: there is room for a frame each nanosecond for 146
 * years, and sums of two cannot overflow. */
#define WB_JOURNAL_NUMBER_MAX (UINT64_C(1) << 62)

/** What a frame belongs to; it makes every other segment's frames fail their check here. */
typedef struct wb_frame_home {
    uint8_t magic[8]; /* random, of the segment */
    wb_id journal_id;
    uint64_t segment; /* its number */
} wb_frame_home;

/** A checked frame, borrowed from the buffer it was read into. */
typedef struct wb_frame_view {
    uint64_t seq;
    uint64_t durable_seq; /* all at or below it were safe when this frame was written */
    uint32_t n_entries;
    uint32_t bytes;   /* whole frame: where the next one starts */
    wb_slice entries; /* walk with wb_frame_next_entry */
} wb_frame_view;

/** The entry at *at (0 at first), and move on; false behind the last. Its payload is borrowed as the
 *  view is. */
bool wb_frame_next_entry(const wb_frame_view *frame, size_t *at, wb_entry *out);

/** Bytes of a frame with these entries; 0 if that exceeds WB_FRAME_MAX_BYTES. */
size_t wb_frame_bytes(const wb_entry *entries, size_t n);

/** Append the unsealed frame: everything but what depends on where and when it is written.
 *  Errors  NO_MEMORY the buffer's limit */
WB_MUST_USE wb_status wb_frame_build(wb_buffer *out, uint64_t seq, const wb_entry *entries,
                                     size_t n);

/** Length and sequence of a frame made by wb_frame_build, sealed or not. */
uint32_t wb_frame_built_bytes(const uint8_t *frame);
uint64_t wb_frame_built_seq(const uint8_t *frame);
/** Its entries, to walk with wb_frame_next_entry; borrowed. */
wb_frame_view wb_frame_built_view(const uint8_t *frame);

/** Finish a built frame for one place; may be repeated for another. */
void wb_frame_seal(uint8_t *frame, const wb_frame_home *home, uint64_t durable_seq);

typedef enum wb_frame_look {
    WB_FRAME_GOOD,
    WB_FRAME_BAD,   /* no frame of this home starts here */
    WB_FRAME_SHORT, /* more bytes are needed to say: *need of them from the start of `bytes` */
} wb_frame_look;

/** Check the frame that starts at `bytes`. `room` is how many bytes the segment has from there: no
 *  frame reaches beyond. All of it is looked at before `out` is written: magic, length, CRC, and that
 *  the entries fill it exactly. */
wb_frame_look wb_frame_parse(wb_slice bytes, uint64_t room, const wb_frame_home *home,
                             wb_frame_view *out, size_t *need);

#endif
