/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot is fuzzy: it notes the sequence S0 at which it began and then copies the tables in slices,
 * between commits. A slice may hold rows newer than S0; replaying the frames above S0 on top brings
 * every row to its last after-image, whichever it had. What was copied was durable when it was copied,
 * so the frames that such a row came from are there too.
 *
 * The file, little-endian:
 *
 *    0  8  "WBSNAPS\n"
 *    8  4  format version
 *   12  4  0
 *   16 16  journal id
 *   32  8  S0, as in the file's name
 *   40  4  0
 *   44  4  CRC32C of the 44 bytes before it
 *   48     chunks, each a multiple of 8 long:
 *            0  4  kind: 1 slice, 2 end
 *            4  4  length of the name
 *            8  4  length of the payload, at most 4 MiB
 *           12  4  CRC32C of this chunk without these 4 bytes, begun with the CRC before it, so that
 *                  chunks cannot change places or files
 *           16     name of the table, payload, zeros
 *          the last is the end: payload durable_seq (8), number of slices (8); the file ends with it
 *
 * It is written under another name, synced, renamed, and the directory synced; a crash before that
 * leaves a draft, which the next start removes or holds as space. A draft may be a file that was
 * larger (reserve.c): it is cut before the sync. */
#include "sidecar/journal/snapshot.h"

#include "core/crc32c.h"

#include <errno.h>
#include <stdlib.h>

static const char file_magic[8] = {'W', 'B', 'S', 'N', 'A', 'P', 'S', '\n'};

enum { HEADER = 48, AT_VERSION = 8, AT_ID = 16, AT_BASE = 32, AT_HEADER_CRC = 44 };
enum { CHUNK = 16, AT_KIND = 0, AT_NAME_LEN = 4, AT_PAYLOAD_LEN = 8, AT_CHUNK_CRC = 12 };
enum { KIND_SLICE = 1, KIND_END = 2, END_PAYLOAD = 16 };
enum { CHUNK_MAX = CHUNK + WB_SNAPSHOT_NAME_MAX + WB_SNAPSHOT_SLICE_MAX + 8 };

/* ---- writing ---- */

static wb_status disk_failed(wb_error *err, int rv, const char *what)
{
    return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "snapshot: %s", what);
}

static uint32_t chunk_crc(uint32_t before, const uint8_t *chunk, size_t len)
{
    uint32_t crc = wb_crc32c(before, chunk, AT_CHUNK_CRC);
    return wb_crc32c(crc, chunk + CHUNK, len - CHUNK);
}

void wb_snapshot_abandon(wb_snapshot_draft *draft, const wb_snapshot_place *place)
{
    const wb_file_ops *ops = place->ops;
    if (!draft->active) return;
    ops->close(ops, draft->file);
    if (draft->from)
        (void)ops->rename(ops, place->dir, WB_SNAPSHOT_DRAFT, draft->from);
    else
        (void)ops->remove(ops, place->dir, WB_SNAPSHOT_DRAFT); /* or the next start does */
    wb_buffer_done(&draft->slice);
    *draft = (wb_snapshot_draft){.active = false};
}

static int new_draft(const wb_snapshot_place *place, const char *from)
{
    const wb_file_ops *ops = place->ops;
    int rv = from ? ops->rename(ops, place->dir, from, WB_SNAPSHOT_DRAFT)
                  : ops->remove(ops, place->dir, WB_SNAPSHOT_DRAFT);
    if (rv != 0 && (from || rv != -ENOENT)) return rv;
    int file = ops->open(ops, place->dir, WB_SNAPSHOT_DRAFT, from ? WB_FILE_WRITE : WB_FILE_CREATE);
    if (file < 0 && from) (void)ops->rename(ops, place->dir, WB_SNAPSHOT_DRAFT, from);
    return file;
}

wb_status wb_snapshot_begin(wb_snapshot_draft *draft, const wb_snapshot_place *place,
                            wb_snapshot_info info, const char *from, wb_error *err)
{
    uint8_t header[HEADER] = {0};
    const wb_file_ops *ops = place->ops;
    int file = new_draft(place, from);
    if (file < 0) return disk_failed(err, file, "draft");
    memcpy(header, file_magic, sizeof file_magic);
    wb_put_u32(header + AT_VERSION, WB_JOURNAL_VERSION);
    memcpy(header + AT_ID, info.journal_id.b, sizeof info.journal_id.b);
    wb_put_u64(header + AT_BASE, info.base_seq);
    wb_put_u32(header + AT_HEADER_CRC, wb_crc32c(0, header, AT_HEADER_CRC));
    info.bytes = HEADER;
    *draft = (wb_snapshot_draft){.active = true,
                                 .from = from,
                                 .file = file,
                                 .info = info,
                                 .crc = wb_get_u32(header + AT_HEADER_CRC)};
    wb_buffer_init(&draft->slice, CHUNK_MAX);
    int rv = ops->write_at(ops, file, header, sizeof header, 0);
    if (rv == 0) return WB_OK;
    wb_snapshot_abandon(draft, place);
    return disk_failed(err, rv, "write");
}

/* The slice buffer holds CHUNK bytes of room, the name, and the payload. */
static wb_status write_chunk(wb_snapshot_draft *draft, const wb_snapshot_place *place,
                             uint32_t kind, size_t name_len, wb_error *err)
{
    static const uint8_t zeros[8];
    wb_buffer *b = &draft->slice;
    size_t payload_len = b->len - CHUNK - name_len;
    WB_TRY(wb_buffer_add(b, zeros, (size_t)wb_align8(b->len) - b->len));
    wb_put_u32(b->ptr + AT_KIND, kind);
    wb_put_u32(b->ptr + AT_NAME_LEN, (uint32_t)name_len);
    wb_put_u32(b->ptr + AT_PAYLOAD_LEN, (uint32_t)payload_len);
    draft->crc = chunk_crc(draft->crc, b->ptr, b->len);
    wb_put_u32(b->ptr + AT_CHUNK_CRC, draft->crc);
    int rv = place->ops->write_at(place->ops, draft->file, b->ptr, b->len, draft->info.bytes);
    if (rv != 0) return disk_failed(err, rv, "write");
    draft->info.bytes += b->len;
    draft->chunks++;
    return WB_OK;
}

static wb_status start_chunk(wb_buffer *b, const char *name)
{
    uint8_t *room;
    wb_buffer_clear(b);
    WB_TRY(wb_buffer_reserve(b, CHUNK, &room));
    return wb_buffer_add(b, name, strlen(name));
}

wb_status wb_snapshot_slice(wb_snapshot_draft *draft, const wb_snapshot_place *place, bool *through,
                            wb_error *err)
{
    if (draft->table < place->n_tables) {
        const wb_state_table *table = &place->tables[draft->table];
        size_t name_len = strlen(table->ops->name);
        WB_ASSERT(name_len > 0 && name_len <= WB_SNAPSHOT_NAME_MAX);
        WB_TRY(start_chunk(&draft->slice, table->ops->name));
        WB_TRY(table->ops->snapshot(table->self, &draft->slice, &draft->resume_at));
        if (draft->slice.len > CHUNK + name_len + WB_SNAPSHOT_SLICE_MAX)
            return wb_fail(err, WB_ERR_NO_MEMORY, "snapshot: slice of %s", table->ops->name);
        if (draft->slice.len > CHUNK + name_len)
            WB_TRY(write_chunk(draft, place, KIND_SLICE, name_len, err));
        if (draft->resume_at == 0) draft->table++;
    }
    *through = draft->table == place->n_tables;
    return WB_OK;
}

static wb_status make_durable(wb_snapshot_draft *draft, const wb_snapshot_place *place,
                              wb_error *err)
{
    char name[WB_FILE_NAME];
    const wb_file_ops *ops = place->ops;
    uint8_t end[END_PAYLOAD];
    wb_put_u64(end, draft->info.durable_seq);
    wb_put_u64(end + 8, draft->chunks);
    WB_TRY(start_chunk(&draft->slice, ""));
    WB_TRY(wb_buffer_add(&draft->slice, end, sizeof end));
    WB_TRY(write_chunk(draft, place, KIND_END, 0, err));
    int rv = draft->from ? ops->cut(ops, draft->file, draft->info.bytes) : 0;
    if (rv == 0) rv = ops->sync_file(ops, draft->file, "snapshot.data");
    if (rv != 0) return disk_failed(err, rv, "sync");
    wb_snapshot_name(name, draft->info.base_seq);
    rv = ops->rename(ops, place->dir, WB_SNAPSHOT_DRAFT, name);
    if (rv != 0) return disk_failed(err, rv, "rename");
    rv = ops->sync_dir(ops, place->dir, "snapshot.name");
    return rv != 0 ? disk_failed(err, rv, "directory") : WB_OK;
}

wb_status wb_snapshot_finish(wb_snapshot_draft *draft, const wb_snapshot_place *place,
                             uint64_t durable_seq, wb_snapshot_info *out, wb_error *err)
{
    draft->info.durable_seq = durable_seq;
    wb_status status = make_durable(draft, place, err);
    if (status == WB_OK) *out = draft->info;
    wb_snapshot_abandon(draft, place);
    return status;
}

/* ---- reading ---- */

typedef wb_status (*chunk_fn)(void *arg, wb_slice name, wb_slice payload, wb_error *err);

static wb_status corrupt(wb_error *err, const char *what)
{
    return wb_fail(err, WB_ERR_CORRUPT, "snapshot: %s", what);
}

static wb_status read_exactly(const wb_file_ops *ops, int file, void *out, size_t len, uint64_t at,
                              wb_error *err)
{
    size_t got = 0;
    int rv = ops->read_at(ops, file, out, len, at, &got);
    if (rv == -EIO) return corrupt(err, "a block that the disk cannot read");
    if (rv != 0) return disk_failed(err, rv, "read");
    return got < len ? corrupt(err, "ends early") : WB_OK;
}

static wb_status read_header(const wb_file_ops *ops, int file, uint64_t base_seq,
                             wb_snapshot_info *info, uint32_t *crc, bool *newer, wb_error *err)
{
    uint8_t header[HEADER];
    *newer = false;
    WB_TRY(read_exactly(ops, file, header, sizeof header, 0, err));
    *crc = wb_get_u32(header + AT_HEADER_CRC);
    if (memcmp(header, file_magic, sizeof file_magic) != 0 ||
        *crc != wb_crc32c(0, header, AT_HEADER_CRC))
        return corrupt(err, "header");
    *newer = wb_get_u32(header + AT_VERSION) > WB_JOURNAL_VERSION;
    if (*newer) return corrupt(err, "newer version");
    memcpy(info->journal_id.b, header + AT_ID, sizeof info->journal_id.b);
    info->base_seq = wb_get_u64(header + AT_BASE);
    info->bytes = HEADER;
    return info->base_seq == base_seq ? WB_OK : corrupt(err, "another file's name");
}

/* One chunk into `buf`: its whole length is checked before memory is taken. */
static wb_status read_chunk(const wb_file_ops *ops, int file, uint64_t at, uint64_t file_bytes,
                            wb_buffer *buf, wb_error *err)
{
    uint8_t fixed[CHUNK], *whole;
    WB_TRY(read_exactly(ops, file, fixed, sizeof fixed, at, err));
    uint64_t name_len = wb_get_u32(fixed + AT_NAME_LEN), len = wb_get_u32(fixed + AT_PAYLOAD_LEN);
    if (name_len > WB_SNAPSHOT_NAME_MAX || len > WB_SNAPSHOT_SLICE_MAX)
        return corrupt(err, "length of a chunk");
    uint64_t bytes = wb_align8(CHUNK + name_len + len);
    if (bytes > file_bytes - at) return corrupt(err, "ends early");
    wb_buffer_clear(buf);
    WB_TRY(wb_buffer_reserve(buf, (size_t)bytes, &whole));
    return read_exactly(ops, file, whole, (size_t)bytes, at, err);
}

static wb_status take_end(wb_snapshot_info *info, wb_slice payload, uint64_t slices,
                          uint64_t file_bytes, wb_error *err)
{
    if (payload.len != END_PAYLOAD || wb_get_u64(payload.ptr + 8) != slices)
        return corrupt(err, "its end");
    info->durable_seq = wb_get_u64(payload.ptr);
    if (info->durable_seq < info->base_seq || info->durable_seq > WB_JOURNAL_NUMBER_MAX)
        return corrupt(err, "its sequences");
    if (info->bytes != file_bytes) return corrupt(err, "its end");
    return WB_OK;
}

static wb_status walk_chunks(const wb_file_ops *ops, int file, wb_snapshot_info *info, uint32_t crc,
                             chunk_fn each, void *arg, wb_error *err)
{
    WB_AUTO_BUFFER buf;
    uint64_t file_bytes, slices = 0;
    wb_buffer_init(&buf, CHUNK_MAX);
    int rv = ops->size(ops, file, &file_bytes);
    if (rv != 0) return disk_failed(err, rv, "size");
    for (;;) {
        if (file_bytes < info->bytes) return corrupt(err, "ends early");
        WB_TRY(read_chunk(ops, file, info->bytes, file_bytes, &buf, err));
        crc = chunk_crc(crc, buf.ptr, buf.len);
        if (wb_get_u32(buf.ptr + AT_CHUNK_CRC) != crc) return corrupt(err, "CRC");
        wb_slice name = {buf.ptr + CHUNK, wb_get_u32(buf.ptr + AT_NAME_LEN)};
        wb_slice payload = {name.ptr + name.len, wb_get_u32(buf.ptr + AT_PAYLOAD_LEN)};
        info->bytes += buf.len;
        if (wb_get_u32(buf.ptr + AT_KIND) == KIND_END)
            return take_end(info, payload, slices, file_bytes, err);
        slices++;
        if (each) WB_TRY(each(arg, name, payload, err));
    }
}

static wb_status read_file(const wb_snapshot_place *place, uint64_t base_seq,
                           wb_snapshot_info *info, bool *newer, chunk_fn each, void *arg,
                           wb_error *err)
{
    char name[WB_FILE_NAME];
    uint32_t crc;
    const wb_file_ops *ops = place->ops;
    wb_snapshot_name(name, base_seq);
    int file = ops->open(ops, place->dir, name, WB_FILE_READ);
    if (file == -EISDIR || file == -ELOOP) return corrupt(err, "no regular file");
    if (file < 0) return disk_failed(err, file, "open");
    wb_status status = read_header(ops, file, base_seq, info, &crc, newer, err);
    if (status == WB_OK) status = walk_chunks(ops, file, info, crc, each, arg, err);
    ops->close(ops, file);
    return status;
}

wb_status wb_snapshot_check(const wb_snapshot_place *place, uint64_t base_seq,
                            wb_snapshot_info *out, bool *newer, wb_error *err)
{
    wb_snapshot_info info = {.bytes = 0};
    WB_TRY(read_file(place, base_seq, &info, newer, NULL, NULL, err));
    *out = info;
    return WB_OK;
}

bool wb_snapshot_is(const wb_snapshot_place *place, const char *name, uint64_t base_seq)
{
    wb_snapshot_info info;
    uint32_t crc;
    bool newer;
    int file = place->ops->open(place->ops, place->dir, name, WB_FILE_READ);
    if (file < 0) return false;
    wb_status status = read_header(place->ops, file, base_seq, &info, &crc, &newer, NULL);
    place->ops->close(place->ops, file);
    return status == WB_OK;
}

static wb_status load_chunk(void *arg, wb_slice name, wb_slice payload, wb_error *err)
{
    const wb_snapshot_place *place = arg;
    for (size_t i = 0; i < place->n_tables; i++) {
        const wb_state_table *table = &place->tables[i];
        if (wb_slice_eq(name, wb_slice_str(table->ops->name)))
            return table->ops->load(table->self, payload, err);
    }
    return WB_OK;
}

wb_status wb_snapshot_load(const wb_snapshot_place *place, uint64_t base_seq, wb_error *err)
{
    wb_snapshot_info info = {.bytes = 0};
    bool newer;
    wb_snapshot_place arg = *place;
    return read_file(place, base_seq, &info, &newer, load_chunk, &arg, err);
}
