/* SPDX-License-Identifier: Apache-2.0 */
/* A segment's header, one 512-byte sector, little-endian; the same again at 4096, so that no single
 * damaged sector makes a whole segment unreadable. Frames begin at 8192.
 *
 *    0  8  "WBSEGMT\n"
 *    8  4  format version; this, the text before it and the CRC's place hold for all versions
 *   12  4  0
 *   16 16  journal id
 *   32  8  segment number, as in the file's name
 *   40  8  first_seq: of the first frame
 *   48  8  skipped: sequences just below first_seq that were left out. Frames at or above
 *          first_seq - skipped in older segments are void
 *   56  8  bytes of the file
 *   64  8  magic of its frames
 *   72     zeros
 *  508  4  CRC32C of the 508 bytes before it
 *
 * A segment is made in this order: its name (a rename of the spare, or a new file), the header, a sync
 * of the file, a sync of the directory; only then the first frame. A crash in between leaves a file
 * whose header is all zeros or, if it was recycled, carries another number: unborn. A header that is
 * neither of these nor whole has been damaged since.
 *
 * The crash may also keep the new header and take back the name: the file is the spare again, with the
 * header of a segment that never was. So the number in a spare's header is never given out again; else
 * the next segment made of it could, by a second crash, get the old header back, and void with the old
 * first_seq what was acknowledged in between.
 *
 * Or it may keep a name that was given up and the one that came after it: one file under two names, of
 * which the header makes one a segment. The other one must not be used: whatever is to become a
 * segment and has the number of one that is there is that one. */
#include "sidecar/journal/segment.h"

#include "core/crc32c.h"

#include <errno.h>

static const char file_magic[8] = {'W', 'B', 'S', 'E', 'G', 'M', 'T', '\n'};

enum { AT_VERSION = 8, AT_ID = 16, AT_NUMBER = 32, AT_FIRST = 40, AT_SKIPPED = 48, AT_BYTES = 56 };
enum { AT_MAGIC = 64, AT_CRC = WB_SEGMENT_SECTOR - 4 };

int wb_segment_write_header(const wb_file_ops *ops, int file, const wb_segment *segment)
{
    uint8_t sector[WB_SEGMENT_SECTOR] = {0};
    memcpy(sector, file_magic, sizeof file_magic);
    wb_put_u32(sector + AT_VERSION, WB_JOURNAL_VERSION);
    memcpy(sector + AT_ID, segment->home.journal_id.b, sizeof segment->home.journal_id.b);
    wb_put_u64(sector + AT_NUMBER, segment->home.segment);
    wb_put_u64(sector + AT_FIRST, segment->first_seq);
    wb_put_u64(sector + AT_SKIPPED, segment->skipped);
    wb_put_u64(sector + AT_BYTES, segment->bytes);
    memcpy(sector + AT_MAGIC, segment->home.magic, sizeof segment->home.magic);
    wb_put_u32(sector + AT_CRC, wb_crc32c(0, sector, AT_CRC));
    int rv = ops->write_at(ops, file, sector, sizeof sector, 0);
    return rv != 0 ? rv : ops->write_at(ops, file, sector, sizeof sector, WB_SEGMENT_SECOND);
}

static wb_segment_look look_at_sector(const uint8_t *sector, uint64_t file_bytes, wb_segment *out)
{
    if (wb_id_is_zero(sector, WB_SEGMENT_SECTOR)) return WB_SEGMENT_UNBORN;
    if (wb_get_u32(sector + AT_CRC) != wb_crc32c(0, sector, AT_CRC)) return WB_SEGMENT_DAMAGED;
    if (memcmp(sector, file_magic, sizeof file_magic) != 0) return WB_SEGMENT_DAMAGED;
    if (wb_get_u32(sector + AT_VERSION) > WB_JOURNAL_VERSION) return WB_SEGMENT_NEWER;
    wb_segment found = {
        .home.segment = wb_get_u64(sector + AT_NUMBER),
        .first_seq = wb_get_u64(sector + AT_FIRST),
        .skipped = wb_get_u64(sector + AT_SKIPPED),
        .bytes = wb_get_u64(sector + AT_BYTES),
        .end = WB_SEGMENT_FRAMES_AT,
    };
    if (found.first_seq == 0 || found.skipped >= found.first_seq) return WB_SEGMENT_DAMAGED;
    if (found.first_seq > WB_JOURNAL_NUMBER_MAX || found.home.segment > WB_JOURNAL_NUMBER_MAX)
        return WB_SEGMENT_DAMAGED;
    if (found.bytes > WB_SEGMENT_MAX_BYTES || file_bytes > WB_SEGMENT_MAX_BYTES)
        return WB_SEGMENT_DAMAGED;
    memcpy(found.home.journal_id.b, sector + AT_ID, sizeof found.home.journal_id.b);
    memcpy(found.home.magic, sector + AT_MAGIC, sizeof found.home.magic);
    found.last_seq = found.first_seq - 1;
    *out = found;
    return WB_SEGMENT_GOOD;
}

/* A sector beyond the end reads as zeros, one that the disk cannot read as damaged. */
static int read_sector(const wb_file_ops *ops, int file, uint64_t at, uint64_t file_bytes,
                       wb_segment *out, wb_segment_look *look)
{
    uint8_t sector[WB_SEGMENT_SECTOR] = {0};
    size_t got = 0;
    int rv = ops->read_at(ops, file, sector, sizeof sector, at, &got);
    *look = rv == 0 ? look_at_sector(sector, file_bytes, out) : WB_SEGMENT_DAMAGED;
    return rv == -EIO ? 0 : rv;
}

static const uint64_t places[WB_SEGMENT_COPIES] = {0, WB_SEGMENT_SECOND};

wb_status wb_segment_read_header(const wb_file_ops *ops, int file, uint64_t number, wb_segment *out,
                                 wb_segment_look *look, wb_error *err)
{
    wb_segment found;
    uint64_t file_bytes;
    bool damaged = false;
    int rv = ops->size(ops, file, &file_bytes);
    for (size_t i = 0; rv == 0 && i < WB_COUNT(places); i++) {
        rv = read_sector(ops, file, places[i], file_bytes, &found, look);
        if (rv != 0) break;
        damaged |= *look == WB_SEGMENT_DAMAGED;
        if (*look == WB_SEGMENT_NEWER) return WB_OK;
        if (*look != WB_SEGMENT_GOOD || found.home.segment != number) continue;
        *out = found;
        return WB_OK;
    }
    if (rv != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: segment header");
    *look = damaged ? WB_SEGMENT_DAMAGED : WB_SEGMENT_UNBORN;
    return WB_OK;
}

bool wb_segment_fits_as_spare(const wb_file_ops *ops, int file, uint64_t bytes, wb_id journal_id,
                              uint64_t numbers[WB_SEGMENT_COPIES])
{
    wb_segment found;
    uint64_t file_bytes;
    if (ops->size(ops, file, &file_bytes) != 0 || file_bytes != bytes) return false;
    for (size_t i = 0; i < WB_COUNT(places); i++) {
        wb_segment_look look;
        numbers[i] = 0;
        if (read_sector(ops, file, places[i], file_bytes, &found, &look) != 0) return false;
        if (look == WB_SEGMENT_UNBORN) continue;
        if (look != WB_SEGMENT_GOOD || !WB_ID_EQ(found.home.journal_id, journal_id)) return false;
        numbers[i] = found.home.segment;
    }
    return true;
}

void wb_tally_frame(wb_tally *tally, const wb_frame_view *frame)
{
    wb_entry entry;
    for (size_t at = 0; wb_frame_next_entry(frame, &at, &entry);)
        if ((int)entry.kind <= WB_RECORD_KIND_MAX) tally->of[entry.kind]++;
}

void wb_tally_add(wb_tally *tally, const wb_tally *more)
{
    for (int kind = 1; kind <= WB_RECORD_KIND_MAX; kind++) tally->of[kind] += more->of[kind];
}

uint64_t wb_tally_of(const wb_tally *tally, uint64_t kinds)
{
    uint64_t n = 0;
    for (unsigned kind = 1; kind <= WB_RECORD_KIND_MAX; kind++)
        if (kinds & WB_KIND_BIT(kind)) n += tally->of[kind];
    return n;
}
