/* SPDX-License-Identifier: Apache-2.0 */
/* One frame, little-endian, 8-aligned in its segment:
 *
 *    0  8  magic: random, of the segment. No payload can know it, so none can pass for a frame
 *    8  4  bytes of the whole frame, a multiple of 8
 *   12  4  CRC32C over journal id, segment number (8 bytes), and the frame without these 4 bytes
 *   16  8  sequence; the first of a journal is 1
 *   24  8  durable_seq: all at or below it were safe when this frame was written
 *   32  4  number of entries
 *   36  4  0
 *   40     entries: kind (4), length (4), payload, zeros up to a multiple of 8
 *
 * A frame is built when its transaction is appended and sealed when it is written, because only then
 * its segment is known; after a failed write it is sealed once more for another segment. The segment
 * number and the journal id stand in the CRC and not in the frame: a block of a recycled segment, or
 * of another journal, fails the check although every one of its bytes is as it was written. */
#include "sidecar/journal/frame.h"

#include "core/crc32c.h"
#include "sidecar/journal/layout.h"

enum {
    AT_LENGTH = 8,
    AT_CRC = 12,
    AT_SEQ = 16,
    AT_DURABLE = 24,
    AT_COUNT = 32,
    AT_ZERO = 36,
    ENTRY_HEADER = 8,
    KIND_MAX = 63,
};

bool wb_frame_next_entry(const wb_frame_view *frame, size_t *at, wb_entry *out)
{
    if (*at >= frame->entries.len) return false;
    const uint8_t *header = frame->entries.ptr + *at;
    size_t len = wb_get_u32(header + 4);
    out->kind = (wb_entry_kind)wb_get_u32(header);
    out->payload = (wb_slice){header + ENTRY_HEADER, len};
    *at += ENTRY_HEADER + (size_t)wb_align8(len);
    return true;
}

size_t wb_frame_bytes(const wb_entry *entries, size_t n)
{
    size_t bytes = WB_FRAME_HEADER;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].payload.len > WB_FRAME_MAX_BYTES) return 0;
        bytes += ENTRY_HEADER + (size_t)wb_align8(entries[i].payload.len);
        if (bytes > WB_FRAME_MAX_BYTES) return 0;
    }
    return bytes;
}

wb_status wb_frame_build(wb_buffer *out, uint64_t seq, const wb_entry *entries, size_t n)
{
    uint8_t *at;
    size_t bytes = wb_frame_bytes(entries, n);
    WB_ASSERT(bytes != 0 && seq != 0);
    WB_TRY(wb_buffer_reserve(out, bytes, &at));
    memset(at, 0, WB_FRAME_HEADER);
    wb_put_u32(at + AT_LENGTH, (uint32_t)bytes);
    wb_put_u64(at + AT_SEQ, seq);
    wb_put_u32(at + AT_COUNT, (uint32_t)n);
    at += WB_FRAME_HEADER;
    for (size_t i = 0; i < n; i++) {
        size_t len = entries[i].payload.len, padded = (size_t)wb_align8(len);
        WB_ASSERT(entries[i].kind > 0 && (int)entries[i].kind <= KIND_MAX);
        wb_put_u32(at, (uint32_t)entries[i].kind);
        wb_put_u32(at + 4, (uint32_t)len);
        if (len > 0) memcpy(at + ENTRY_HEADER, entries[i].payload.ptr, len);
        memset(at + ENTRY_HEADER + len, 0, padded - len);
        at += ENTRY_HEADER + padded;
    }
    return WB_OK;
}

uint32_t wb_frame_built_bytes(const uint8_t *frame) { return wb_get_u32(frame + AT_LENGTH); }
uint64_t wb_frame_built_seq(const uint8_t *frame) { return wb_get_u64(frame + AT_SEQ); }

wb_frame_view wb_frame_built_view(const uint8_t *frame)
{
    uint32_t bytes = wb_get_u32(frame + AT_LENGTH);
    return (wb_frame_view){
        .seq = wb_get_u64(frame + AT_SEQ),
        .durable_seq = wb_get_u64(frame + AT_DURABLE),
        .n_entries = wb_get_u32(frame + AT_COUNT),
        .bytes = bytes,
        .entries = {frame + WB_FRAME_HEADER, bytes - WB_FRAME_HEADER},
    };
}

static uint32_t frame_crc(const uint8_t *frame, size_t bytes, const wb_frame_home *home)
{
    uint8_t number[8];
    wb_put_u64(number, home->segment);
    uint32_t crc = wb_crc32c(0, home->journal_id.b, sizeof home->journal_id.b);
    crc = wb_crc32c(crc, number, sizeof number);
    crc = wb_crc32c(crc, frame, AT_CRC);
    return wb_crc32c(crc, frame + AT_SEQ, bytes - AT_SEQ);
}

void wb_frame_seal(uint8_t *frame, const wb_frame_home *home, uint64_t durable_seq)
{
    memcpy(frame, home->magic, sizeof home->magic);
    wb_put_u64(frame + AT_DURABLE, durable_seq);
    wb_put_u32(frame + AT_CRC, frame_crc(frame, wb_frame_built_bytes(frame), home));
}

/* The entries must fill their space exactly, zeros included, so that a frame has one encoding only. */
static bool entries_fill(wb_slice entries, uint32_t count)
{
    size_t at = 0;
    for (; count > 0; count--) {
        if (entries.len - at < ENTRY_HEADER) return false;
        uint32_t kind = wb_get_u32(entries.ptr + at);
        size_t len = wb_get_u32(entries.ptr + at + 4), padded = (size_t)wb_align8(len);
        at += ENTRY_HEADER;
        if (kind == 0 || kind > KIND_MAX || padded > entries.len - at) return false;
        for (size_t i = len; i < padded; i++)
            if (entries.ptr[at + i] != 0) return false;
        at += padded;
    }
    return at == entries.len;
}

wb_frame_look wb_frame_parse(wb_slice bytes, uint64_t room, const wb_frame_home *home,
                             wb_frame_view *out, size_t *need)
{
    const uint8_t *p = bytes.ptr;
    if (room < WB_FRAME_HEADER) return WB_FRAME_BAD;
    if (bytes.len < WB_FRAME_HEADER) {
        *need = WB_FRAME_HEADER;
        return WB_FRAME_SHORT;
    }
    if (memcmp(p, home->magic, sizeof home->magic) != 0) return WB_FRAME_BAD;
    size_t len = wb_get_u32(p + AT_LENGTH);
    if (len < WB_FRAME_HEADER || len > WB_FRAME_MAX_BYTES || len % WB_FRAME_ALIGN != 0 ||
        len > room)
        return WB_FRAME_BAD;
    if (bytes.len < len) {
        *need = len;
        return WB_FRAME_SHORT;
    }
    if (wb_get_u32(p + AT_CRC) != frame_crc(p, len, home)) return WB_FRAME_BAD;
    wb_frame_view view = wb_frame_built_view(p);
    if (view.durable_seq >= view.seq || wb_get_u32(p + AT_ZERO) != 0) return WB_FRAME_BAD;
    if (view.seq > WB_JOURNAL_NUMBER_MAX) return WB_FRAME_BAD;
    if (!entries_fill(view.entries, view.n_entries)) return WB_FRAME_BAD;
    *out = view;
    return WB_FRAME_GOOD;
}
