/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's calls: limits, failing disks, cursors, trimming, the spare. */
#include "tests/support/journal_kit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static wb_journal_stats stats_of(wb_journal_kit *kit)
{
    wb_journal_stats stats;
    wb_journal_get_stats(kit->journal, &stats);
    return stats;
}

/* ---- refusals ---- */

static void more_than_a_frame_can_hold_is_never_accepted(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq = 77;
    assert_int_equal(wb_kit_append(kit, 1, 5, WB_KIT_SEGMENT, &seq), WB_ERR_REJECTED);
    assert_int_equal(wb_kit_append(kit, 1, 5, 3 * WB_FRAME_MAX_BYTES, &seq), WB_ERR_REJECTED);
    assert_int_equal(seq, 77);
    assert_int_equal(kit->table.values[1], 0);
    assert_int_equal(wb_kit_commit(kit, 1, 5, WB_KIT_SEGMENT - 9000), 1);
}

static void a_full_journal_refuses_until_it_was_delivered(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, last = 0, value = 1;
    wb_status status;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    while ((status = wb_kit_append(kit, 1, value, 3000, &seq)) == WB_OK) {
        assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
        (void)wb_kit_idle(kit->journal);
        last = seq;
        value++;
    }
    assert_int_equal(status, WB_ERR_FULL);
    assert_int_equal(kit->table.values[1], value - 1); /* nothing was changed */
    assert_true(stats_of(kit).used_bytes <= kit->options.limit_bytes);
    assert_true(stats_of(kit).used_bytes > kit->options.limit_bytes / 2);
    wb_kit_move_cursor(kit, "store", last); /* still taken */
    while (wb_kit_idle(kit->journal)) continue;
    assert_true(stats_of(kit).first_seq > 1);
    wb_journal_upkeep(kit->journal); /* what the snapshots used of the reserve */
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_NOT);
    assert_int_equal(wb_kit_append(kit, 1, value, 3000, &seq), WB_OK);
}

static void pending_memory_is_bounded(void **state)
{
    (void)state;
    wb_journal_kit kit;
    uint64_t seq, value = 0;
    wb_status status;
    wb_kit_init(&kit);
    kit.options.segment_bytes = UINT64_C(16) << 20;
    kit.options.limit_bytes = UINT64_C(1) << 30;
    assert_int_equal(wb_kit_open(&kit), WB_OK);
    while ((status = wb_kit_append(&kit, 1, ++value, 1 << 20, &seq)) == WB_OK) continue;
    assert_int_equal(status, WB_ERR_FULL);
    assert_in_range(value, 31, 32);
    assert_int_equal(wb_journal_commit(kit.journal, NULL), WB_OK);
    assert_int_equal(kit.table.values[1], value - 1);
    assert_int_equal(wb_kit_append(&kit, 1, value, 1 << 20, &seq), WB_OK);
    wb_kit_done(&kit);
}

static void what_a_table_refuses_fails_the_group_and_is_taken_back(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    (void)wb_kit_commit(kit, 1, 10, 0);
    assert_int_equal(wb_kit_append(kit, 2, 20, 0, &seq), WB_OK);
    kit->table.refuse_after = 1;
    assert_int_equal(wb_kit_append(kit, 3, 30, 0, &seq), WB_ERR_FULL);
    assert_int_equal(wb_kit_append(kit, 4, 40, 0, &seq), WB_ERR_UNAVAILABLE);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_ERR_UNAVAILABLE);
    assert_true(stats_of(kit).failed);
    (void)wb_kit_idle(kit->journal);
    assert_false(stats_of(kit).failed);
    assert_int_equal(kit->table.values[1], 10);
    assert_int_equal(kit->table.values[2], 0);
    assert_int_equal(wb_kit_commit(kit, 2, 21, 0), 2);
}

static void cursors_have_names_and_there_are_not_too_many(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    char name[WB_CURSOR_NAME_MAX + 2] = "";
    assert_int_equal(wb_journal_register_cursor(kit->journal, name, &seq, NULL), WB_ERR_CONFIG);
    memset(name, 'x', WB_CURSOR_NAME_MAX + 1);
    assert_int_equal(wb_journal_register_cursor(kit->journal, name, &seq, NULL), WB_ERR_CONFIG);
    for (int i = 0; i < WB_JOURNAL_CURSORS; i++) {
        char own[] = {'e', (char)('0' + i), '\0'};
        assert_int_equal(wb_journal_register_cursor(kit->journal, own, &seq, NULL), WB_OK);
        assert_int_equal(seq, 0);
    }
    assert_int_equal(wb_journal_register_cursor(kit->journal, "more", &seq, NULL), WB_ERR_FULL);
}

/* ---- failing disks ---- */

static void one_failed_sync_moves_on_to_a_new_segment(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t values[8];
    (void)wb_kit_commit(kit, 1, 10, 100);
    wb_model_disk_fail(kit->disk, WB_MODEL_SYNC_FILE, 0, 1, EIO);
    assert_int_equal(wb_kit_commit(kit, 2, 20, 100), 2); /* the same sequence */
    assert_int_equal(stats_of(kit).failed_syncs, 1);
    assert_int_equal(stats_of(kit).segments, 2);
    assert_int_equal(wb_kit_read(kit, 0, values, 8), 2);
    assert_int_equal(values[1], 20);
    wb_kit_kill(kit);
    wb_model_disk_power_cut(kit->disk);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_frames, 0);
    assert_int_equal(kit->table.values[2], 20);
}

static uint64_t commits_timed(const wb_journal_kit *kit)
{
    wb_histogram_view view;
    wb_histogram_read(wb_journal_commit_time(kit->journal), &wb_bounds_short, &view);
    return view.count;
}

static void every_group_that_became_durable_is_timed_once(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, before = commits_timed(kit);
    assert_int_equal(wb_kit_append(kit, 1, 10, 100, &seq), WB_OK);
    assert_int_equal(wb_kit_append(kit, 2, 20, 100, &seq), WB_OK);
    assert_int_equal(commits_timed(kit), before);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
    assert_int_equal(commits_timed(kit), before + 1);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK); /* of nothing */
    assert_int_equal(commits_timed(kit), before + 1);
    wb_model_disk_fail(kit->disk, WB_MODEL_WRITE, 0, 100, EIO);
    assert_int_equal(wb_kit_append(kit, 1, 11, 100, &seq), WB_OK);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_ERR_UNAVAILABLE);
    assert_int_equal(commits_timed(kit), before + 1);
}

static void a_full_disk_refuses_the_group_and_says_why(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    (void)wb_kit_commit(kit, 1, 10, 100);
    wb_model_disk_fail(kit->disk, WB_MODEL_WRITE, 0, 100, ENOSPC);
    assert_int_equal(wb_kit_append(kit, 1, 11, 100, &seq), WB_OK);
    assert_int_equal(wb_journal_commit(kit->journal, &kit->err), WB_ERR_UNAVAILABLE);
    assert_string_equal(kit->err.detail, "journal: new segment: No space left on device");
    assert_int_equal(kit->table.values[1], 11); /* ahead of the disk until it is put right */
    (void)wb_kit_idle(kit->journal);
    assert_int_equal(kit->table.values[1], 10);
    assert_true(stats_of(kit).failed); /* there is still no room */
    assert_int_equal(wb_kit_append(kit, 1, 12, 100, &seq), WB_ERR_FULL);
    wb_model_disk_fail(kit->disk, WB_MODEL_WRITE, 0, 0, 0);
    (void)wb_kit_idle(kit->journal);
    assert_false(stats_of(kit).failed);
    assert_int_equal(wb_kit_commit(kit, 1, 13, 100), 2);
    wb_kit_kill(kit);
    wb_model_disk_power_cut(kit->disk);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->table.values[1], 13);
    assert_false(kit->report.gap);
}

static void a_part_that_was_safe_before_the_disk_failed_stays(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, values[8];
    assert_int_equal(wb_kit_append(kit, 1, 10, 30000, &seq), WB_OK);
    assert_int_equal(wb_kit_append(kit, 2, 20, 30000, &seq), WB_OK);
    wb_model_disk_fail(kit->disk, WB_MODEL_SYNC_DIR, 0, 2, EIO); /* the roll, and its repeat */
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_ERR_UNAVAILABLE);
    (void)wb_kit_idle(kit->journal);
    assert_int_equal(kit->table.values[1], 10);
    assert_int_equal(kit->table.values[2], 0);
    assert_int_equal(wb_kit_read(kit, 0, values, 8), 1);
    assert_int_equal(wb_kit_commit(kit, 2, 21, 0), 2);
}

/* ---- what is promised ---- */

static void readers_see_nothing_before_the_commit(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, values[4];
    assert_int_equal(wb_kit_append(kit, 1, 10, 0, &seq), WB_OK);
    assert_int_equal(kit->table.values[1], 10);
    assert_int_equal(wb_kit_read(kit, 0, values, 4), 0);
    assert_int_equal(wb_journal_wait(kit->journal, 0, 1), WB_ERR_TIMEOUT);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
    assert_int_equal(wb_kit_read(kit, 0, values, 4), 1);
    assert_int_equal(wb_journal_wait(kit->journal, 0, 1), WB_OK);
}

static void a_group_is_one_sync(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    for (uint64_t i = 1; i <= 50; i++) assert_int_equal(wb_kit_append(kit, 1, i, 100, &seq), WB_OK);
    uint64_t before = wb_model_disk_events(kit->disk);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
    assert_int_equal(wb_model_disk_events(kit->disk) - before, 2); /* one write, one sync */
    assert_int_equal(stats_of(kit).commits, 1);
    assert_int_equal(stats_of(kit).durable_seq, 50);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK); /* nothing to do */
    assert_int_equal(wb_model_disk_events(kit->disk) - before, 2);
}

/* ---- trimming ---- */

static void fill_and_deliver(wb_journal_kit *kit, uint64_t frames, const char *name)
{
    for (uint64_t i = 1; i <= frames; i++) {
        uint64_t seq = wb_kit_commit(kit, (uint32_t)(i % WB_KV_KEYS), i, 2000);
        if (name && i % 10 == 0) wb_kit_move_cursor(kit, name, seq);
        while (wb_kit_idle(kit->journal)) continue;
    }
}

static void the_slowest_exporter_holds_the_journal_back(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, values[512];
    assert_int_equal(wb_journal_register_cursor(kit->journal, "fast", &seq, NULL), WB_OK);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "slow", &seq, NULL), WB_OK);
    fill_and_deliver(kit, 200, "fast");
    assert_int_equal(stats_of(kit).first_seq, 1);
    wb_kit_move_cursor(kit, "slow", 100);
    fill_and_deliver(kit, 60, "fast");
    assert_in_range(stats_of(kit).first_seq, 1, 101);
    wb_kit_move_cursor(kit, "slow", 250); /* now the older snapshot is past it too */
    fill_and_deliver(kit, 60, "fast");
    assert_in_range(stats_of(kit).first_seq, 100, 251);
    size_t n = wb_kit_read(kit, 250, values, WB_COUNT(values));
    assert_int_equal(n, stats_of(kit).durable_seq - 250);
}

/* Somebody stays as far behind as he may and gives up a segment whenever one is full: one file goes, and is
 * the next one's. Snapshots must not let several gather. */
static void who_gives_up_segment_by_segment_gets_one_file_each(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, files = 0;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "fast", &seq, NULL), WB_OK);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "stuck", &seq, NULL), WB_OK);
    fill_and_deliver(kit, 200, "fast");
    for (int i = 0; i < 200; i++) {
        uint64_t upto = wb_journal_give_up_to(kit->journal, 6 * WB_KIT_SEGMENT);
        wb_kit_move_cursor(kit, "stuck", upto);
        fill_and_deliver(kit, 10, "fast");
        wb_journal_stats stats = stats_of(kit);
        if (i > 50 && stats.segments > files) files = stats.segments;
    }
    assert_in_range(files, 7, 8);
}

static void segments_are_used_again(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    fill_and_deliver(kit, 1000, "store");
    wb_journal_stats stats = stats_of(kit);
    assert_true(stats.first_seq > 800);
    assert_true(stats.segments <= 4);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "spare"), WB_KIT_SEGMENT);
    wb_kv_table before = kit->table;
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_frames, 0);
    assert_memory_equal(&kit->table, &before, sizeof before);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    assert_true(seq > 1000);
}

static void a_cursor_never_moves_back(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    (void)wb_kit_commit(kit, 1, 1, 0);
    wb_kit_move_cursor(kit, "store", 1);
    wb_kit_move_cursor(kit, "store", 0);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    assert_int_equal(seq, 1);
}

static void a_forgotten_exporter_goes_on_where_it_was(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    for (uint64_t i = 1; i <= 5; i++) (void)wb_kit_commit(kit, 1, i, 0);
    wb_kit_move_cursor(kit, "gone", 3);
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "new", &seq, NULL), WB_OK);
    assert_int_equal(seq, 0);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "gone", &seq, NULL), WB_OK);
    assert_int_equal(seq, 3);
}

static bool find_cursor(wb_journal_kit *kit, const char *name, wb_cursor_row *out)
{
    wb_cursor_row rows[WB_JOURNAL_CURSORS];
    size_t n = wb_journal_cursors(kit->journal, rows);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        *out = rows[i];
        return true;
    }
    return false;
}

static void append_entry(wb_journal_kit *kit, const wb_entry *entry)
{
    uint64_t seq;
    assert_int_equal(wb_journal_append(kit->journal, WB_WORK_HOUSE, entry, 1, &seq, NULL), WB_OK);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
}

static void what_an_exporter_dropped_outlives_the_process_and_never_falls(void **state)
{
    wb_journal_kit *kit = *state;
    wb_cursor_row row = {.name = "slow", .seq = 0, .dropped_records = 7, .dropped_ns = 70}, found;
    wb_entry entry;
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1024);
    assert_int_equal(wb_cursor_row_entry(&row, &bytes, &entry), WB_OK);
    append_entry(kit, &entry);
    wb_kit_move_cursor(kit, "slow", 1); /* says nothing of it */
    for (int i = 0; i < 2; i++) {
        assert_true(find_cursor(kit, "slow", &found));
        assert_int_equal(found.dropped_records, 7);
        assert_int_equal(found.dropped_ns, 70);
        assert_int_equal(found.seq, 1);
        assert_false(found.registered);
        wb_kit_kill(kit);
        assert_int_equal(wb_kit_open(kit), WB_OK);
    }
}

static void a_name_is_forgotten_unless_it_is_in_use(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    wb_cursor_row found;
    wb_entry entry;
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1024);
    (void)wb_kit_commit(kit, 1, 1, 0);
    wb_kit_move_cursor(kit, "gone", 1);
    wb_kit_move_cursor(kit, "here", 1);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "here", &seq, NULL), WB_OK);
    assert_int_equal(wb_cursor_forget_entry("gone", &bytes, &entry), WB_OK);
    append_entry(kit, &entry);
    wb_buffer_clear(&bytes);
    assert_int_equal(wb_cursor_forget_entry("here", &bytes, &entry), WB_OK);
    assert_true(find_cursor(kit, "here", &found) && found.registered);
    append_entry(kit, &entry);
    assert_true(find_cursor(kit, "here", &found));
    assert_false(find_cursor(kit, "gone", &found));
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_false(find_cursor(kit, "gone", &found));
}

/* ---- the spare ---- */

static void a_spare_is_wanted_when_half_of_the_segment_is_full(void **state)
{
    wb_journal_kit *kit = *state;
    assert_false(wb_journal_wait_spare_wanted(kit->journal, 0));
    assert_int_equal(wb_journal_prepare_spare(kit->journal, NULL), WB_OK);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "spare"), UINT64_MAX); /* not yet */
    (void)wb_kit_commit(kit, 1, 1, 30000);
    assert_true(wb_journal_wait_spare_wanted(kit->journal, 0));
    assert_int_equal(wb_journal_prepare_spare(kit->journal, NULL), WB_OK);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "spare"), WB_KIT_SEGMENT);
    assert_false(wb_journal_wait_spare_wanted(kit->journal, 0));
    (void)wb_kit_commit(kit, 1, 2, 30000);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "spare"), UINT64_MAX); /* it became this */
    assert_int_equal(stats_of(kit).segments, 2);
}

/* Else the next one would be filled with zeros before trimming can leave one. */
static void no_spare_is_wanted_while_a_group_goes_over_to_the_next_segment(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    (void)wb_kit_commit(kit, 1, 1, 30000);
    assert_int_equal(wb_journal_prepare_spare(kit->journal, NULL), WB_OK);
    assert_int_equal(wb_kit_append(kit, 1, 2, 20000, &seq), WB_OK);
    assert_int_equal(wb_kit_append(kit, 1, 3, 10000, &seq), WB_OK);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
    assert_int_equal(stats_of(kit).segments, 2);
    assert_false(wb_journal_wait_spare_wanted(kit->journal, 0));
    (void)wb_kit_commit(kit, 1, 4, 20000);
    assert_true(wb_journal_wait_spare_wanted(kit->journal, 0));
}

static void a_spare_that_trimming_leaves_is_waited_for(void **state)
{
    wb_journal_kit *kit = *state;
    assert_true(wb_journal_wait_spare_left(kit->journal, 0)); /* none is wanted */
    (void)wb_kit_commit(kit, 1, 1, 40000);
    assert_true(wb_journal_wait_spare_wanted(kit->journal, 0));
    assert_false(wb_journal_wait_spare_left(kit->journal, 1));
    assert_int_equal(wb_journal_prepare_spare(kit->journal, NULL), WB_OK);
    assert_true(wb_journal_wait_spare_left(kit->journal, 0));
}

static void without_a_spare_the_writer_makes_its_segment(void **state)
{
    wb_journal_kit *kit = *state;
    for (uint64_t i = 1; i < 10; i++) (void)wb_kit_commit(kit, 1, i, 30000);
    assert_true(stats_of(kit).segments >= 5);
}

/* ---- waiting ---- */

static void stopped_waits_return_at_once(void **state)
{
    wb_journal_kit *kit = *state;
    wb_journal_stop_waits(kit->journal);
    assert_int_equal(wb_journal_wait(kit->journal, 0, 60000), WB_ERR_UNAVAILABLE);
    assert_false(wb_journal_wait_spare_wanted(kit->journal, 60000));
    (void)wb_kit_commit(kit, 1, 1, 30000);
    assert_int_equal(wb_journal_wait(kit->journal, 0, 60000), WB_OK);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, wb_kit_start, wb_kit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(more_than_a_frame_can_hold_is_never_accepted),
        WITH_KIT(a_full_journal_refuses_until_it_was_delivered),
        cmocka_unit_test(pending_memory_is_bounded),
        WITH_KIT(what_a_table_refuses_fails_the_group_and_is_taken_back),
        WITH_KIT(cursors_have_names_and_there_are_not_too_many),
        WITH_KIT(one_failed_sync_moves_on_to_a_new_segment),
        WITH_KIT(every_group_that_became_durable_is_timed_once),
        WITH_KIT(a_full_disk_refuses_the_group_and_says_why),
        WITH_KIT(a_part_that_was_safe_before_the_disk_failed_stays),
        WITH_KIT(readers_see_nothing_before_the_commit),
        WITH_KIT(a_group_is_one_sync),
        WITH_KIT(the_slowest_exporter_holds_the_journal_back),
        WITH_KIT(who_gives_up_segment_by_segment_gets_one_file_each),
        WITH_KIT(segments_are_used_again),
        WITH_KIT(a_cursor_never_moves_back),
        WITH_KIT(a_forgotten_exporter_goes_on_where_it_was),
        WITH_KIT(what_an_exporter_dropped_outlives_the_process_and_never_falls),
        WITH_KIT(a_name_is_forgotten_unless_it_is_in_use),
        WITH_KIT(a_spare_is_wanted_when_half_of_the_segment_is_full),
        WITH_KIT(no_spare_is_wanted_while_a_group_goes_over_to_the_next_segment),
        WITH_KIT(a_spare_that_trimming_leaves_is_waited_for),
        WITH_KIT(without_a_spare_the_writer_makes_its_segment),
        WITH_KIT(stopped_waits_return_at_once),
    };
    return cmocka_run_group_tests_name("journal_commit", tests, NULL, NULL);
}
