/* SPDX-License-Identifier: Apache-2.0 */
/* What start-up does with directories that are not as a clean stop left them. Crashes are searched in
 * tests/fault/model_disk_test.c. */
#include "core/crc32c.h"
#include "tests/support/journal_kit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECTOR = 512, NAMES = 64 };

static int start(void **state)
{
    wb_journal_kit *kit = malloc(sizeof *kit);
    if (!kit) return -1;
    wb_kit_init(kit);
    *state = kit;
    return 0;
}

static int stop(void **state)
{
    wb_kit_done(*state);
    free(*state);
    return 0;
}

/* ---- refusals ---- */

static void wrong_options_are_refused(void **state)
{
    wb_journal_kit *kit = *state;
    static const uint64_t wrong[][2] = {
        {4096, 1 << 30},              /* segments too small */
        {UINT64_C(2) << 30, 1 << 30}, /* too large */
        {65536 + 512, 1 << 30},       /* no whole pages */
        {65536, 3 * 65536},           /* a limit below four segments */
    };
    for (size_t i = 0; i < WB_COUNT(wrong); i++) {
        kit->options.segment_bytes = wrong[i][0];
        kit->options.limit_bytes = wrong[i][1];
        assert_int_equal(wb_kit_open(kit), WB_ERR_CONFIG);
        assert_null(kit->journal);
    }
}

static void a_second_opener_is_told_which_process_has_it(void **state)
{
    wb_journal_kit *kit = *state;
    char expected[64];
    wb_journal *second = NULL;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(wb_journal_open(&kit->options, &second, NULL, &kit->err), WB_ERR_UNAVAILABLE);
    assert_null(second);
    (void)snprintf(expected, sizeof expected, "journal: process %ld has journal", (long)getpid());
    assert_string_equal(kit->err.detail, expected);
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
}

static int open_read_only(const wb_file_ops *ops, int dir, const char *name, wb_file_open how)
{
    (void)ops;
    (void)dir;
    (void)name;
    return how == WB_FILE_READ ? -ENOENT : -EROFS;
}

static void a_directory_that_cannot_be_written_needs_a_human(void **state)
{
    wb_journal_kit *kit = *state;
    wb_file_ops read_only = wb_real_disk;
    read_only.open = open_read_only;
    kit->options.ops = &read_only;
    kit->options.dir = "/tmp"; /* nothing is made in it */
    assert_int_equal(wb_kit_open(kit), WB_ERR_CONFIG);
    assert_string_equal(kit->err.detail, "journal: cannot write to /tmp: Read-only file system");
    kit->options.ops = &wb_real_disk;
    kit->options.dir = "/proc/waybill-journal";
    assert_int_equal(wb_kit_open(kit), WB_ERR_CONFIG);
    kit->options.dir = "/nowhere/at/all";
    assert_int_equal(wb_kit_open(kit), WB_ERR_CONFIG);
}

/* Rewrite the version in a header whose CRC stands at `crc_at`. */
static void set_version(wb_model_disk *disk, const char *name, uint64_t at, size_t crc_at)
{
    uint8_t header[SECTOR], crc_bytes[4];
    wb_model_disk_get(disk, name, at, header, sizeof header);
    header[8] ^= 1 ^ 2;
    uint32_t crc = wb_crc32c(0, header, crc_at);
    for (size_t i = 0; i < 4; i++) crc_bytes[i] = (uint8_t)(crc >> 8 * i);
    assert_true(wb_model_disk_damage(disk, name, at + 8, 1 ^ 2));
    for (size_t i = 0; i < 4; i++)
        assert_true(
            wb_model_disk_damage(disk, name, at + crc_at + i, header[crc_at + i] ^ crc_bytes[i]));
}

typedef struct listing {
    char names[NAMES][40];
    uint64_t sizes[NAMES];
    uint32_t crcs[NAMES];
    size_t n;
} listing;

static void list_all(const wb_model_disk *disk, listing *out)
{
    const char *names[NAMES];
    out->n = wb_model_disk_names(disk, names, NAMES);
    assert_true(out->n <= NAMES);
    for (size_t i = 0; i < out->n; i++) {
        (void)snprintf(out->names[i], sizeof out->names[i], "%s", names[i]);
        out->sizes[i] = wb_model_disk_size_of(disk, names[i]);
        uint8_t *bytes = malloc(out->sizes[i] + 1);
        assert_non_null(bytes);
        wb_model_disk_get(disk, names[i], 0, bytes, out->sizes[i]);
        out->crcs[i] = wb_crc32c(0, bytes, out->sizes[i]);
        free(bytes);
    }
}

static void assert_same_files(const listing *a, const listing *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->names[i], b->names[i]);
        assert_int_equal(a->sizes[i], b->sizes[i]);
        assert_int_equal(a->crcs[i], b->crcs[i]);
    }
}

static void fill_segments(wb_journal_kit *kit, size_t segments)
{
    wb_journal_stats stats;
    uint64_t seq, value = 1;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    do {
        seq = wb_kit_commit(kit, (uint32_t)(value % WB_KV_KEYS), value, 900);
        value++;
        (void)wb_kit_idle(kit->journal);
        wb_journal_get_stats(kit->journal, &stats);
    } while (stats.segments < segments);
}

static void a_newer_version_is_left_untouched(void **state)
{
    wb_journal_kit *kit = *state;
    static listing before, after;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 3);
    wb_kit_close(kit);
    set_version(kit->disk, "segment-0000000000000002", 0, SECTOR - 4);
    set_version(kit->disk, "segment-0000000000000002", 4096, SECTOR - 4);
    list_all(kit->disk, &before);
    assert_int_equal(wb_kit_open(kit), WB_ERR_CONFIG);
    assert_string_equal(kit->err.detail,
                        "journal: segment-0000000000000002 is of a newer version of "
                        "Waybill");
    list_all(kit->disk, &after);
    assert_same_files(&before, &after);
}

static const char *a_snapshot(const wb_model_disk *disk)
{
    const char *names[NAMES];
    size_t n = wb_model_disk_names(disk, names, NAMES);
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], "snapshot-", 9) == 0) return names[i];
    return NULL;
}

static void a_newer_snapshot_is_left_untouched_too(void **state)
{
    wb_journal_kit *kit = *state;
    static listing before, after;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 2);
    wb_kit_move_cursor(kit, "store", 40);
    for (uint64_t i = 0; !a_snapshot(kit->disk); i++) {
        wb_kit_move_cursor(kit, "store", wb_kit_commit(kit, 1, 1000 + i, 0));
        (void)wb_kit_idle(kit->journal);
    }
    wb_kit_close(kit);
    set_version(kit->disk, a_snapshot(kit->disk), 0, 44);
    list_all(kit->disk, &before);
    assert_int_equal(wb_kit_open(kit), WB_ERR_CONFIG);
    list_all(kit->disk, &after);
    assert_same_files(&before, &after);
}

/* ---- what it makes of rubbish ---- */

static void empty_and_foreign_files_are_no_hindrance(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t values[8];
    uint8_t junk[100] = {1, 2, 3};
    wb_model_disk_put(kit->disk, "segment-0000000000000001", NULL, 0);
    wb_model_disk_put(kit->disk, "snapshot-0000000000000005", NULL, 0);
    wb_model_disk_put(kit->disk, "snapshot.new", junk, sizeof junk);
    wb_model_disk_put(kit->disk, "spare", junk, sizeof junk);
    wb_model_disk_put(kit->disk, "segment-xyz", junk, sizeof junk);
    wb_model_disk_put(kit->disk, "segment-00000000000000AA", junk, sizeof junk);
    wb_model_disk_put(kit->disk, "README", junk, sizeof junk);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_false(kit->report.gap);
    assert_int_equal(kit->report.lost_segments, 0);
    (void)wb_kit_commit(kit, 1, 11, 0);
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_true(wb_kit_read(kit, 0, values, 8) >= 1);
    assert_int_equal(values[0], 11);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "README"), sizeof junk); /* not ours */
    assert_int_equal(wb_model_disk_size_of(kit->disk, "spare"), UINT64_MAX);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "snapshot-0000000000000005"), UINT64_MAX);
}

static void a_directory_named_like_a_segment_is_not_ours(void **state)
{
    (void)state;
    wb_journal_kit kit;
    char path[] = "/tmp/waybill-journal-XXXXXX", inner[96];
    assert_non_null(mkdtemp(path));
    wb_kit_init(&kit);
    kit.options.ops = &wb_real_disk;
    kit.options.dir = path;
    (void)snprintf(inner, sizeof inner, "%s/segment-0000000000000001", path);
    assert_int_equal(mkdir(inner, 0700), 0);
    assert_int_equal(wb_kit_open(&kit), WB_OK);
    assert_true(kit.report.created);
    (void)wb_kit_commit(&kit, 1, 1, 100);
    wb_kit_close(&kit);
    assert_int_equal(wb_kit_open(&kit), WB_OK);
    assert_int_equal(kit.table.values[1], 1);
    wb_kit_done(&kit);
    assert_int_equal(rmdir(inner), 0);
    static const char *const files[] = {"lock", "segment-0000000000000002", "reserve-segment",
                                        "reserve-snapshot-a", "reserve-snapshot-b"};
    for (size_t i = 0; i < WB_COUNT(files); i++) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, files[i]);
        assert_int_equal(unlink(inner), 0);
    }
    assert_int_equal(rmdir(path), 0);
}

static void another_journals_segment_is_set_aside(void **state)
{
    wb_journal_kit *kit = *state;
    wb_journal_kit other;
    static uint8_t bytes[WB_KIT_SEGMENT];
    wb_kit_init(&other);
    assert_int_equal(wb_kit_open(&other), WB_OK);
    (void)wb_kit_commit(&other, 5, 55, 0);
    wb_kit_close(&other);
    wb_model_disk_get(other.disk, "segment-0000000000000001", 0, bytes, sizeof bytes);
    wb_kit_done(&other);

    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 2);
    wb_kit_close(kit);
    wb_model_disk_put(kit->disk, "segment-0000000000000001", bytes, sizeof bytes);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_segments, 1);
    assert_true(kit->report.gap);
    assert_int_equal(kit->table.gaps, 1);
    assert_int_not_equal(kit->table.values[5], 55);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "quarantine-0000000000000001"), sizeof bytes);
}

/* ---- damage and loss ---- */

static void both_headers_damaged_lose_the_segment_and_nothing_else(void **state)
{
    wb_journal_kit *kit = *state;
    static uint64_t values[2048];
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 4);
    wb_kit_close(kit);
    assert_true(wb_model_disk_damage(kit->disk, "segment-0000000000000002", 20, 1));
    assert_int_equal(wb_kit_open(kit), WB_OK); /* one copy is enough */
    assert_int_equal(kit->report.lost_frames, 0);
    size_t all = wb_kit_read(kit, 0, values, WB_COUNT(values));
    wb_kit_close(kit);
    assert_true(wb_model_disk_damage(kit->disk, "segment-0000000000000002", 4096 + 20, 1));
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_segments, 1);
    assert_true(kit->report.lost_frames > 10);
    assert_true(kit->report.gap);
    assert_int_equal(kit->table.gaps, 1);
    size_t left = wb_kit_read(kit, 0, values, WB_COUNT(values));
    assert_int_equal(left, all + 1 - kit->report.lost_frames + 1); /* a stop's mark, the gap */
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK); /* it is told once */
    assert_false(kit->report.gap);
    assert_int_equal(kit->report.lost_segments, 0);
}

static void a_lost_last_segment_fails_closed_and_its_sequences_are_not_used_again(void **state)
{
    wb_journal_kit *kit = *state;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 2);
    uint64_t last = wb_kit_commit(kit, 1, 1, 0);
    wb_kit_close(kit);
    assert_true(wb_model_disk_damage(kit->disk, "segment-0000000000000002", 20, 1));
    assert_true(wb_model_disk_damage(kit->disk, "segment-0000000000000002", 4096 + 20, 1));
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_true(kit->report.gap);
    assert_int_equal(kit->table.gaps, 1);
    assert_true(wb_kit_commit(kit, 1, 2, 0) > last);
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_false(kit->report.gap);
    assert_int_equal(kit->report.lost_frames, 0); /* what was left out is not lost */
    assert_int_equal(kit->table.values[1], 2);
}

static void a_removed_segment_is_counted_and_fails_closed(void **state)
{
    wb_journal_kit *kit = *state;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 4);
    wb_kit_close(kit);
    wb_model_disk_drop(kit->disk, "segment-0000000000000002");
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_true(kit->report.lost_frames > 10);
    assert_true(kit->report.gap);
    assert_int_equal(kit->table.gaps, 1);
}

static void a_block_that_cannot_be_read_costs_its_frames_alone(void **state)
{
    wb_journal_kit *kit = *state;
    static uint64_t values[1024];
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 2);
    wb_kit_close(kit);
    wb_model_disk_break_block(kit->disk, "segment-0000000000000001", 5 * 4096);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_in_range(kit->report.lost_frames, 4, 7); /* of about 1000 bytes each */
    assert_true(kit->report.gap);
    assert_true(wb_kit_read(kit, 0, values, WB_COUNT(values)) > 40);
}

static void without_any_snapshot_or_the_first_segment_state_fails_closed(void **state)
{
    wb_journal_kit *kit = *state;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 3);
    wb_kit_close(kit);
    wb_model_disk_drop(kit->disk, "segment-0000000000000001");
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_true(kit->report.gap);
    assert_int_equal(kit->report.lost_frames, 0); /* they may have been trimmed: who can tell */
}

static void a_table_that_refuses_an_entry_at_start_fails_closed(void **state)
{
    wb_journal_kit *kit = *state;
    wb_entry entry = {WB_ENTRY_DELEGATION, {(const uint8_t *)"short", 5}};
    uint64_t seq;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    (void)wb_kit_commit(kit, 3, 33, 0);
    kit->tables[0].self = &(wb_kv_table){.gaps = 0};
    assert_int_equal(wb_journal_append(kit->journal, WB_WORK_NEW, &entry, 1, &seq, NULL),
                     WB_ERR_CORRUPT);
    assert_int_equal(wb_journal_commit(kit->journal, &kit->err), WB_ERR_UNAVAILABLE);
    kit->tables[0].self = &kit->table;
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_false(kit->report.gap); /* it was never written */
    assert_int_equal(kit->table.values[3], 33);
}

/* ---- good starts ---- */

static void a_fresh_directory_becomes_a_journal(void **state)
{
    wb_journal_kit *kit = *state;
    wb_journal_stats stats;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_true(kit->report.created);
    assert_false(WB_ID_ABSENT(kit->report.journal_id));
    wb_journal_get_stats(kit->journal, &stats);
    assert_int_equal(stats.durable_seq, 0);
    assert_int_equal(stats.first_seq, 1);
    assert_int_equal(stats.segments, 1);
    assert_true(stats.reserve_whole);
    assert_int_equal(stats.reserve_bytes, WB_KIT_SEGMENT + 2 * (WB_KIT_SEGMENT / 16));
    assert_int_equal(stats.used_bytes, WB_KIT_SEGMENT + stats.reserve_bytes);
    assert_int_equal(wb_kit_commit(kit, 0, 1, 0), 1);
}

static void the_id_and_the_state_outlive_the_process(void **state)
{
    wb_journal_kit *kit = *state;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    wb_id id = wb_journal_id(kit->journal);
    for (uint64_t i = 1; i <= 300; i++) (void)wb_kit_commit(kit, (uint32_t)(i % 50), i, 500);
    wb_kv_table before = kit->table;
    wb_kit_kill(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_false(kit->report.created);
    assert_int_equal(kit->report.replayed, 300);
    assert_true(WB_ID_EQ(wb_journal_id(kit->journal), id));
    assert_memory_equal(&kit->table, &before, sizeof before);
}

static void other_segment_sizes_may_be_asked_for_later(void **state)
{
    wb_journal_kit *kit = *state;
    static uint64_t values[1024];
    assert_int_equal(wb_kit_open(kit), WB_OK);
    fill_segments(kit, 2);
    wb_kit_close(kit);
    kit->options.segment_bytes = UINT64_C(2) * WB_KIT_SEGMENT;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_frames, 0);
    fill_segments(kit, 3);
    size_t n = wb_kit_read(kit, 0, values, WB_COUNT(values));
    wb_kit_close(kit);
    kit->options.segment_bytes = WB_KIT_SEGMENT;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_frames, 0);
    assert_int_equal(wb_kit_read(kit, 0, values, WB_COUNT(values)), n + 1); /* and a stop's mark */
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(wrong_options_are_refused),
        WITH_KIT(a_second_opener_is_told_which_process_has_it),
        WITH_KIT(a_directory_that_cannot_be_written_needs_a_human),
        WITH_KIT(a_newer_version_is_left_untouched),
        WITH_KIT(a_newer_snapshot_is_left_untouched_too),
        WITH_KIT(empty_and_foreign_files_are_no_hindrance),
        cmocka_unit_test(a_directory_named_like_a_segment_is_not_ours),
        WITH_KIT(another_journals_segment_is_set_aside),
        WITH_KIT(both_headers_damaged_lose_the_segment_and_nothing_else),
        WITH_KIT(a_lost_last_segment_fails_closed_and_its_sequences_are_not_used_again),
        WITH_KIT(a_removed_segment_is_counted_and_fails_closed),
        WITH_KIT(a_block_that_cannot_be_read_costs_its_frames_alone),
        WITH_KIT(without_any_snapshot_or_the_first_segment_state_fails_closed),
        WITH_KIT(a_table_that_refuses_an_entry_at_start_fails_closed),
        WITH_KIT(a_fresh_directory_becomes_a_journal),
        WITH_KIT(the_id_and_the_state_outlive_the_process),
        WITH_KIT(other_segment_sizes_may_be_asked_for_later),
    };
    return cmocka_run_group_tests_name("journal_open", tests, NULL, NULL);
}
