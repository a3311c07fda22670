/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte of a 64 KiB journal, and of its snapshot, is damaged one at a time. It must start each
 * time, keep all other frames, and count the one that was hit. */
#include "tests/support/journal_kit.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FRAMES_MAX = 1024, KEYS = 40 };

/* What was written, and where its frames are. */
typedef struct image {
    wb_journal_kit kit;
    char segment[40];
    uint64_t begin[FRAMES_MAX], end[FRAMES_MAX];
    size_t n; /* frames with a row; the value of number i is i + 1 */
} image;

static void find_frames(image *im, uint64_t *at)
{
    for (size_t i = 0; i < im->n; i++) {
        uint8_t length[4];
        im->begin[i] = *at;
        wb_model_disk_get(im->kit.disk, im->segment, *at + 8, length, sizeof length);
        *at += length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16;
        im->end[i] = *at;
    }
}

/* Frames of several sizes, until the segment is nearly full. */
static void fill(image *im, bool clean_stop)
{
    wb_journal_stats stats = {.segments = 1};
    wb_kit_init(&im->kit);
    assert_int_equal(wb_kit_open(&im->kit), WB_OK);
    size_t used = 8192, len = 0;
    for (im->n = 0; used + 2000 < WB_KIT_SEGMENT; used += 40 + 24 + (len ? len + 16 : 0)) {
        len = im->n % 3 == 0 ? 0 : im->n * 37 % 700;
        wb_kit_commit(&im->kit, (uint32_t)(im->n % KEYS), im->n + 1, len);
        im->n++;
    }
    wb_journal_get_stats(im->kit.journal, &stats);
    assert_int_equal(stats.segments, 1);
    if (clean_stop)
        wb_kit_close(&im->kit);
    else
        wb_kit_kill(&im->kit);
    (void)strcpy(im->segment, "segment-0000000000000001");
    uint64_t at = 8192;
    find_frames(im, &at);
}

typedef struct counts {
    uint64_t starts, kept, lost, cut, harmless, wrong;
} counts;

/* Which frame has the byte; n if none. */
static size_t frame_at(const image *im, uint64_t at)
{
    for (size_t i = 0; i < im->n; i++)
        if (at >= im->begin[i] && at < im->end[i]) return i;
    return im->n;
}

/* The rows that all frames but the one that was hit leave behind. */
static bool table_is_right(const image *im, const wb_kv_table *table, size_t hit)
{
    uint64_t expected[WB_KV_KEYS] = {0};
    for (size_t i = 0; i < im->n; i++)
        if (i != hit) expected[i % KEYS] = i + 1;
    return memcmp(expected, table->values, sizeof expected) == 0;
}

static bool others_are_there(wb_journal_kit *kit, size_t n, size_t hit)
{
    uint64_t values[FRAMES_MAX];
    size_t found = 0, got = wb_kit_read(kit, 0, values, FRAMES_MAX);
    for (size_t i = 0; i < n; i++) {
        while (found < got && values[found] == 0) found++; /* a mark, a gap's entry */
        if (i == hit) continue;
        if (found == got || values[found] != i + 1) return false;
        found++;
    }
    while (found < got && values[found] == 0) found++;
    return found == got;
}

static void flip(const image *im, uint64_t at, counts *c)
{
    wb_journal_kit kit;
    wb_kit_init(&kit);
    wb_model_disk_free(kit.disk);
    kit.disk = wb_model_disk_clone(im->kit.disk);
    kit.options.ops = wb_model_disk_ops(kit.disk);
    size_t hit = frame_at(im, at);
    assert_true(wb_model_disk_damage(kit.disk, im->segment, at, (uint8_t)(1 << at % 8)));
    if (wb_kit_open(&kit) == WB_OK) {
        bool last = hit + 1 == im->n && kit.report.lost_frames == 0;
        c->starts++;
        c->lost += kit.report.lost_frames;
        c->cut += hit < im->n && last;
        c->harmless += hit == im->n;
        c->kept += hit < im->n ? im->n - 1 : im->n;
        bool right = others_are_there(&kit, im->n, hit) && table_is_right(im, &kit.table, hit);
        bool told = kit.report.gap == (kit.report.lost_frames == 1) &&
                    kit.table.gaps == kit.report.lost_frames;
        c->wrong += !right || !told;
    }
    wb_kit_done(&kit);
}

static counts flip_bytes(const image *im, uint64_t from, uint64_t to)
{
    counts c = {.starts = 0};
    for (uint64_t at = from; at < to; at++) flip(im, at, &c);
    print_message("flip: %" PRIu64 " bytes, %" PRIu64 " starts, %zu frames each: %" PRIu64
                  " counted lost, %" PRIu64 " cut as torn, %" PRIu64
                  " bytes outside of frames, %" PRIu64 " wrong\n",
                  to - from, c.starts, im->n, c.lost, c.cut, c.harmless, c.wrong);
    return c;
}

static void a_flipped_byte_costs_its_frame_alone_and_is_counted(void **state)
{
    (void)state;
    image *im = calloc(1, sizeof *im);
    assert_non_null(im);
    fill(im, true);
    counts c = flip_bytes(im, 0, WB_KIT_SEGMENT);
    assert_int_equal(c.starts, WB_KIT_SEGMENT);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(c.cut, 0);
    assert_int_equal(c.lost, im->end[im->n - 1] - im->begin[0]); /* one for each byte of theirs */
    wb_kit_done(&im->kit);
    free(im);
}

/* Without the mark of a clean stop nothing proves that the last frame was ever whole. */
static void after_a_kill_only_the_last_frame_passes_for_torn(void **state)
{
    (void)state;
    image *im = calloc(1, sizeof *im);
    assert_non_null(im);
    fill(im, false);
    const uint64_t begin = im->begin[im->n - 4], last = im->begin[im->n - 1];
    const uint64_t end = im->end[im->n - 1];
    counts c = flip_bytes(im, begin, end);
    assert_int_equal(c.starts, end - begin);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(c.cut, end - last);
    assert_int_equal(c.lost, last - begin);
    wb_kit_done(&im->kit);
    free(im);
}

static const char *newest_snapshot(const wb_model_disk *disk)
{
    const char *names[64], *newest = NULL;
    size_t n = wb_model_disk_names(disk, names, WB_COUNT(names));
    assert_true(n <= WB_COUNT(names));
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], "snapshot-", 9) == 0) newest = names[i];
    return newest;
}

static void a_flipped_byte_of_a_snapshot_costs_nothing(void **state)
{
    (void)state;
    wb_journal_kit kit;
    wb_kit_init(&kit);
    assert_int_equal(wb_kit_open(&kit), WB_OK);
    uint64_t seq;
    assert_int_equal(wb_journal_register_cursor(kit.journal, "store", &seq, NULL), WB_OK);
    for (uint64_t i = 1; i <= 400; i++) {
        seq = wb_kit_commit(&kit, (uint32_t)(i % KEYS), i, 1000);
        if (i % 50 == 0) wb_kit_move_cursor(&kit, "store", seq);
        while (wb_kit_idle(kit.journal)) continue;
    }
    wb_kv_table before = kit.table;
    wb_kit_close(&kit);
    const char *snapshot = newest_snapshot(kit.disk);
    assert_non_null(snapshot);
    uint64_t bytes = wb_model_disk_size_of(kit.disk, snapshot);
    wb_model_disk *whole = kit.disk;
    for (uint64_t at = 0; at < bytes; at++) {
        kit.disk = wb_model_disk_clone(whole);
        kit.options.ops = wb_model_disk_ops(kit.disk);
        assert_true(wb_model_disk_damage(kit.disk, snapshot, at, (uint8_t)(1 << at % 8)));
        assert_int_equal(wb_kit_open(&kit), WB_OK);
        assert_int_equal(kit.report.lost_frames, 0);
        assert_false(kit.report.gap);
        assert_memory_equal(&kit.table, &before, sizeof before);
        wb_kit_close(&kit);
        wb_model_disk_free(kit.disk);
    }
    print_message("flip: %" PRIu64 " bytes of a snapshot, 0 rows lost\n", bytes);
    kit.disk = whole;
    wb_kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_costs_its_frame_alone_and_is_counted),
        cmocka_unit_test(after_a_kill_only_the_last_frame_passes_for_torn),
        cmocka_unit_test(a_flipped_byte_of_a_snapshot_costs_nothing),
    };
    return cmocka_run_group_tests_name("journal_flip", tests, NULL, NULL);
}
