/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's files as somebody else might have left them. The first byte chooses:
 *
 *   frame      bytes become a frame with a right CRC. If it parses, building it again from its entries
 *              gives the same bytes
 *   snapshot   bytes become a file with right CRCs. If it loads, writing the tables and loading that
 *              gives the same tables
 *   journal    bytes say which bytes of a good journal are damaged, which files cut or removed. It
 *              starts all the same, and every frame that it hands out is one that was written, under
 *              its own sequence, each at most once */
#include "core/crc32c.h"
#include "tests/support/journal_kit.h"

#include <stdlib.h>

enum { FRAME, SNAPSHOT, JOURNAL, MODES };
enum { MAX_INPUT = 4096, FRAMES = 300 };

static const wb_frame_home home = {{1, 2, 3, 4, 5, 6, 7, 8}, {{7}}, 1};

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* ---- frames ---- */

static void rebuild(const wb_frame_view *frame, const uint8_t *bytes)
{
    static wb_entry entries[MAX_INPUT / 8];
    wb_buffer buf;
    size_t at = 0, n = 0;
    while (wb_frame_next_entry(frame, &at, &entries[n])) n++;
    WB_ASSERT(n == frame->n_entries);
    wb_buffer_init(&buf, WB_FRAME_MAX_BYTES);
    wb_status status = wb_frame_build(&buf, frame->seq, entries, n);
    WB_ASSERT(status == WB_OK);
    wb_frame_seal(buf.ptr, &home, frame->durable_seq);
    WB_ASSERT(buf.len == frame->bytes && memcmp(buf.ptr, bytes, buf.len) == 0);
    wb_buffer_done(&buf);
}

static void fuzz_frame(const uint8_t *data, size_t size)
{
    static uint8_t bytes[MAX_INPUT];
    wb_frame_view frame;
    size_t need;
    memcpy(bytes, data, size);
    (void)wb_frame_parse((wb_slice){bytes, size}, size, &home, &frame, &need);
    if (size < WB_FRAME_HEADER) return;
    size_t len = size / WB_FRAME_ALIGN * WB_FRAME_ALIGN;
    put_u32(bytes + 8, (uint32_t)len);
    bytes[16] |= 2; /* a sequence that is not 0 */
    uint64_t durable_seq = data[24] & 1;
    wb_frame_seal(bytes, &home, durable_seq);
    if (wb_frame_parse((wb_slice){bytes, size}, size, &home, &frame, &need) == WB_FRAME_GOOD)
        rebuild(&frame, bytes);
}

/* ---- snapshots ---- */

/* Right CRCs, wherever the lengths lead. */
static void fix_snapshot(uint8_t *bytes, size_t size)
{
    size_t at = 48;
    if (size < at) return;
    memcpy(bytes, "WBSNAPS\n\1\0\0", 12);
    memset(bytes + 32, 0, 8);
    bytes[32] = 5;
    put_u32(bytes + 44, wb_crc32c(0, bytes, 44));
    uint32_t crc = get_u32(bytes + 44);
    while (size - at >= 16) {
        uint64_t len = UINT64_C(16) + get_u32(bytes + at + 4) + get_u32(bytes + at + 8);
        len = (len + 7) / 8 * 8;
        if (len > size - at) return;
        crc = wb_crc32c(crc, bytes + at, 12);
        crc = wb_crc32c(crc, bytes + at + 16, (size_t)len - 16);
        put_u32(bytes + at + 12, crc);
        at += (size_t)len;
    }
}

/* Enough of a journal around the snapshot that it is looked at; then write what was loaded. */
static void fuzz_snapshot(const uint8_t *data, size_t size)
{
    static uint8_t bytes[MAX_INPUT];
    wb_journal_kit kit;
    memcpy(bytes, data, size);
    fix_snapshot(bytes, size);
    wb_kit_init(&kit);
    wb_model_disk_put(kit.disk, "snapshot-0000000000000005", bytes, size);
    wb_status status = wb_kit_open(&kit);
    WB_ASSERT(status == WB_OK);
    wb_kv_table loaded = kit.table;
    for (uint32_t i = 0; i < 40; i++) (void)wb_kit_commit(&kit, i, UINT64_MAX, 3000);
    while (wb_kit_idle(kit.journal)) continue;
    for (uint32_t i = 0; i < WB_KV_KEYS; i++)
        WB_ASSERT(kit.table.values[i] == (i < 40 ? UINT64_MAX : loaded.values[i]));
    wb_kv_table before = kit.table;
    wb_kit_close(&kit);
    status = wb_kit_open(&kit);
    WB_ASSERT(status == WB_OK);
    WB_ASSERT(memcmp(before.values, kit.table.values, sizeof before.values) == 0);
    wb_kit_done(&kit);
}

/* ---- journals ---- */

/* Several segments and two snapshots; the row of the n-th frame with one has the value n. */
static const wb_model_disk *good_journal(uint64_t seq_of[FRAMES + 1])
{
    static wb_model_disk *disk;
    static uint64_t seqs[FRAMES + 1];
    if (!disk) {
        static wb_journal_kit kit;
        uint64_t seq;
        wb_kit_init(&kit);
        wb_status status = wb_kit_open(&kit);
        WB_ASSERT(status == WB_OK);
        status = wb_journal_register_cursor(kit.journal, "store", &seq, NULL);
        WB_ASSERT(status == WB_OK);
        for (uint64_t i = 1; i <= FRAMES; i++) {
            seqs[i] = wb_kit_commit(&kit, (uint32_t)(i % WB_KV_KEYS), i, i * 31 % 1500);
            if (i == FRAMES / 2) wb_kit_move_cursor(&kit, "store", seqs[i]);
            while (wb_kit_idle(kit.journal)) continue;
        }
        wb_kit_close(&kit);
        disk = kit.disk;
    }
    memcpy(seq_of, seqs, sizeof seqs);
    return disk;
}

/* Five bytes each: file, place (3), what to do. */
static void damage(wb_model_disk *disk, const uint8_t *data, size_t size)
{
    for (; size >= 5; data += 5, size -= 5) {
        const char *names[64];
        size_t n = wb_model_disk_names(disk, names, WB_COUNT(names));
        const char *name = names[data[0] % n];
        uint64_t at = data[1] | (uint64_t)data[2] << 8 | (uint64_t)(data[3] & 1) << 16;
        uint64_t bytes = wb_model_disk_size_of(disk, name);
        if (data[3] >> 1 == 1) {
            wb_model_disk_drop(disk, name);
        } else if (data[3] >> 1 == 2 && at < bytes) {
            uint8_t *kept = malloc(at + 1);
            WB_ASSERT(kept != NULL);
            wb_model_disk_get(disk, name, 0, kept, at);
            wb_model_disk_put(disk, name, kept, at);
            free(kept);
        } else {
            (void)wb_model_disk_damage(disk, name, at, data[4]);
        }
        if (wb_model_disk_names(disk, names, WB_COUNT(names)) == 0) return;
    }
}

static void check_frames(wb_journal_kit *kit, const uint64_t seq_of[FRAMES + 1])
{
    wb_journal_reader *reader;
    wb_frame_view frame;
    uint64_t last_seq = 0;
    wb_status status = wb_journal_reader_open(kit->journal, 0, &reader, NULL);
    WB_ASSERT(status == WB_OK);
    while ((status = wb_journal_reader_next(reader, &frame, NULL)) == WB_OK) {
        uint64_t value = wb_kit_value(&frame);
        WB_ASSERT(frame.seq > last_seq);
        WB_ASSERT(value == 0 || (value <= FRAMES && seq_of[value] == frame.seq));
        last_seq = frame.seq;
    }
    WB_ASSERT(status == WB_ERR_NOT_FOUND);
    wb_journal_reader_close(reader);
    for (uint64_t i = 0; i < WB_KV_KEYS; i++) {
        uint64_t value = kit->table.values[i];
        WB_ASSERT(value == 0 || (value <= FRAMES && value % WB_KV_KEYS == i));
    }
}

static void fuzz_journal(const uint8_t *data, size_t size)
{
    wb_journal_kit kit;
    uint64_t seq_of[FRAMES + 1];
    const wb_model_disk *good = good_journal(seq_of);
    wb_kit_init(&kit);
    wb_model_disk_free(kit.disk);
    kit.disk = wb_model_disk_clone(good);
    kit.options.ops = wb_model_disk_ops(kit.disk);
    damage(kit.disk, data, size);
    for (int i = 0; i < 2; i++) { /* what the first start made of it must start as well */
        wb_status status = wb_kit_open(&kit);
        WB_ASSERT(status == WB_OK);
        check_frames(&kit, seq_of);
        WB_ASSERT(i == 0 || !kit.report.gap);
        wb_kit_close(&kit);
    }
    wb_kit_done(&kit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > MAX_INPUT) return 0;
    switch (data[0] % MODES) {
    case FRAME: fuzz_frame(data + 1, size - 1); break;
    case SNAPSHOT: fuzz_snapshot(data + 1, size - 1); break;
    default: fuzz_journal(data + 1, size - 1); break;
    }
    return 0;
}
