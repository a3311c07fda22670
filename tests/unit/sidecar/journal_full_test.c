/* SPDX-License-Identifier: Apache-2.0 */
/* Full disks, a full limit, and the reserve that lets finishing work go on; each call of the disk failing
 * once and for good. */
#include "tests/support/journal_kit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SNAPSHOT_A "reserve-snapshot-a"
#define SEGMENT "reserve-segment"

static wb_journal_stats stats_of(wb_journal_kit *kit)
{
    wb_journal_stats stats;
    wb_journal_get_stats(kit->journal, &stats);
    return stats;
}

/* Whatever is appended until it is refused; returns with what. */
static wb_status append_until_refused(wb_journal_kit *kit, wb_work work, size_t len,
                                      uint64_t *value)
{
    wb_status status = WB_OK;
    uint64_t seq;
    kit->work = work;
    while ((status = wb_kit_append(kit, 1, *value + 1, len, &seq)) == WB_OK) {
        assert_int_equal(wb_journal_commit(kit->journal, &kit->err), WB_OK);
        while (wb_kit_idle(kit->journal)) continue;
        ++*value;
    }
    kit->work = WB_WORK_NEW;
    return status;
}

static void fill_disk(wb_journal_kit *kit)
{
    wb_model_disk_limit(kit->disk, wb_model_disk_used(kit->disk));
}

static void empty_disk(wb_journal_kit *kit) { wb_model_disk_limit(kit->disk, UINT64_MAX); }

static void finishing_work_goes_on_at_a_full_disk(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t value = 0, refused_at;
    fill_disk(kit);
    assert_int_equal(append_until_refused(kit, WB_WORK_NEW, 3000, &value), WB_ERR_FULL);
    assert_string_equal(kit->err.detail, "journal: the disk is full");
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_DISK);
    refused_at = value;
    assert_int_equal(append_until_refused(kit, WB_WORK_FINISHING, 3000, &value), WB_ERR_FULL);
    assert_in_range(value - refused_at, 15, 40); /* what is left, and most of the held one */
    assert_false(stats_of(kit).reserve_whole);
    wb_kit_move_cursor(kit, "store", value); /* house-keeping has the rest */
    assert_int_equal(kit->table.values[1], value);
}

static void delivery_makes_room_at_a_disk_that_stays_full(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t value = 0, seq;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    for (int i = 0; i < 60; i++) (void)wb_kit_commit(kit, 1, ++value, 3000);
    while (wb_kit_idle(kit->journal)) continue;
    fill_disk(kit);
    assert_int_equal(append_until_refused(kit, WB_WORK_NEW, 3000, &value), WB_ERR_FULL);
    assert_int_equal(append_until_refused(kit, WB_WORK_FINISHING, 3000, &value), WB_ERR_FULL);
    uint32_t snapshots = stats_of(kit).snapshots_taken;
    wb_kit_move_cursor(kit, "store", stats_of(kit).durable_seq);
    while (wb_kit_idle(kit->journal)) continue;
    assert_true(stats_of(kit).snapshots_taken > snapshots);
    assert_true(stats_of(kit).first_seq > 1);
    wb_journal_upkeep(kit->journal);
    assert_true(stats_of(kit).reserve_whole); /* of what was trimmed */
    (void)wb_kit_idle(kit->journal);
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_NOT);
    (void)wb_kit_commit(kit, 1, ++value, 3000);
}

static void what_was_used_of_the_reserve_is_made_again_when_there_is_room(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t value = 0;
    fill_disk(kit);
    assert_int_equal(append_until_refused(kit, WB_WORK_FINISHING, 3000, &value), WB_ERR_FULL);
    assert_int_equal(append_until_refused(kit, WB_WORK_NEW, 10, &value), WB_ERR_FULL);
    wb_journal_upkeep(kit->journal);
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_DISK); /* it still is */
    assert_int_equal(append_until_refused(kit, WB_WORK_NEW, 10, &value), WB_ERR_FULL);
    empty_disk(kit);
    wb_journal_upkeep(kit->journal);
    (void)wb_kit_idle(kit->journal);
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_NOT);
    assert_int_equal(wb_model_disk_size_of(kit->disk, SEGMENT), WB_KIT_SEGMENT);
    (void)wb_kit_commit(kit, 1, ++value, 3000);
}

static void the_limit_holds_with_the_reserve_in_use(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t value = 0, seq;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    assert_int_equal(append_until_refused(kit, WB_WORK_NEW, 3000, &value), WB_ERR_FULL);
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_LIMIT);
    uint64_t refused_at = value;
    assert_int_equal(append_until_refused(kit, WB_WORK_FINISHING, 3000, &value), WB_ERR_FULL);
    assert_true(value > refused_at + 10);
    assert_true(stats_of(kit).used_bytes <= kit->options.limit_bytes);
}

/* As when state has grown since the spare was made: it counts, and is no way around the limit. */
static void a_spare_beyond_the_limit_is_not_for_new_work(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, value = 0;
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    while (stats_of(kit).segments < 8) (void)wb_kit_commit(kit, 1, ++value, 3000);
    while (wb_model_disk_size_of(kit->disk, "spare") != WB_KIT_SEGMENT) {
        (void)wb_kit_commit(kit, 1, ++value, 3000);
        assert_int_equal(wb_journal_prepare_spare(kit->journal, NULL), WB_OK);
    }
    wb_kit_close(kit);
    kit->options.limit_bytes = 6 * (uint64_t)WB_KIT_SEGMENT;
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(wb_journal_register_cursor(kit->journal, "store", &seq, NULL), WB_OK);
    assert_true(stats_of(kit).used_bytes > kit->options.limit_bytes);
    uint64_t before = value;
    assert_int_equal(append_until_refused(kit, WB_WORK_NEW, 3000, &value), WB_ERR_FULL);
    assert_in_range(value - before, 0, WB_KIT_SEGMENT / 3000);
    wb_journal_upkeep(kit->journal);
    assert_int_equal(stats_of(kit).full,
                     WB_JOURNAL_FULL_LIMIT); /* the spare alone does not end it */
    wb_kit_move_cursor(kit, "store", stats_of(kit).durable_seq);
    while (wb_kit_idle(kit->journal)) continue;
    wb_journal_upkeep(kit->journal);
    assert_true(stats_of(kit).used_bytes <= kit->options.limit_bytes);
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_NOT);
    (void)wb_kit_commit(kit, 1, ++value, 3000);
}

/* Whatever part of the last group is on the disk, and however often it comes to that. */
static void a_start_on_a_full_disk_works_also_behind_a_torn_tail(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq, value = 0, torn = 0;
    kit->work = WB_WORK_HOUSE; /* never refused for space */
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 4; i++)
            if (wb_kit_append(kit, 1, value + 1, 1500, &seq) != WB_OK) break;
        wb_model_disk_crash_after(kit->disk, 1);
        (void)!wb_journal_commit(kit->journal, NULL);
        wb_kit_close(kit);
        wb_model_disk_power_cut(kit->disk);
        fill_disk(kit);
        assert_int_equal(wb_kit_open(kit), WB_OK);
        assert_int_equal(kit->report.lost_frames, 0);
        assert_false(kit->report.gap);
        torn += kit->report.torn_bytes > 0;
        assert_true(kit->table.values[1] >= value);
        if (wb_kit_append(kit, 1, value + 1, 10, &seq) == WB_OK &&
            wb_journal_commit(kit->journal, NULL) == WB_OK)
            value++;
    }
    assert_true(torn > 5);
}

static void a_journal_without_a_reserve_gets_one(void **state)
{
    wb_journal_kit *kit = *state;
    (void)wb_kit_commit(kit, 1, 1, 100);
    wb_kit_close(kit);
    wb_model_disk_drop(kit->disk, SEGMENT);
    wb_model_disk_drop(kit->disk, SNAPSHOT_A);
    const wb_file_ops *ops = wb_model_disk_ops(kit->disk);
    assert_int_equal(ops->sync_dir(ops, ops->open_dir(ops, "journal"), "test"), 0);
    fill_disk(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_false(stats_of(kit).reserve_whole);
    uint64_t seq;
    assert_int_equal(wb_kit_append(kit, 1, 2, 100, &seq), WB_ERR_FULL); /* not before */
    empty_disk(kit);
    wb_journal_upkeep(kit->journal);
    assert_true(stats_of(kit).reserve_whole);
    (void)wb_kit_idle(kit->journal);
    (void)wb_kit_commit(kit, 1, 2, 100);
}

static void a_held_file_of_another_size_is_made_anew(void **state)
{
    wb_journal_kit *kit = *state;
    static const uint8_t half[WB_KIT_SEGMENT / 2];
    wb_kit_close(kit);
    wb_model_disk_put(kit->disk, SEGMENT, half, sizeof half); /* a crash while it was made */
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(wb_model_disk_size_of(kit->disk, SEGMENT), WB_KIT_SEGMENT);
    assert_true(stats_of(kit).reserve_whole);
}

static void a_damaged_segment_counts_until_it_goes(void **state)
{
    wb_journal_kit *kit = *state;
    for (uint64_t i = 1; i < 60; i++) (void)wb_kit_commit(kit, 1, i, 3000);
    wb_kit_close(kit);
    (void)wb_model_disk_damage(kit->disk, "segment-0000000000000001", 0, 0xFF);
    (void)wb_model_disk_damage(kit->disk, "segment-0000000000000001", 4096, 0xFF);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->report.lost_segments, 1);
    assert_int_equal(stats_of(kit).quarantined_bytes, WB_KIT_SEGMENT);
}

/* ---- each call failing ---- */

static void work_a_while(wb_journal_kit *kit, uint64_t *acknowledged, uint64_t *value)
{
    uint64_t seq;
    for (int i = 0; i < 80; i++) {
        wb_status status = wb_kit_append(kit, 1, *value + 1, 2500, &seq);
        if (status == WB_OK) ++*value;
        if (status == WB_OK && wb_journal_commit(kit->journal, NULL) == WB_OK)
            *acknowledged = *value;
        for (int k = 0; k < 4; k++) (void)wb_kit_idle(kit->journal);
        if (i % 8 == 0) (void)!wb_journal_prepare_spare(kit->journal, NULL);
        wb_journal_upkeep(kit->journal);
    }
}

static void whatever_fails_once_or_for_good_nothing_is_lost_and_it_gets_up(void **state)
{
    static const int errnums[] = {EIO, ENOSPC, EMFILE};
    (void)state;
    for (unsigned what = 0; what < WB_MODEL_FAULTS; what++) {
        for (unsigned k = 0; k < 2 * WB_COUNT(errnums); k++) {
            wb_journal_kit kit;
            uint64_t acknowledged = 0, value = 0;
            wb_kit_init(&kit);
            assert_int_equal(wb_kit_open(&kit), WB_OK);
            work_a_while(&kit, &acknowledged, &value);
            wb_model_disk_fail(kit.disk, (wb_model_fault)what, 0, k & 1 ? UINT32_MAX : 1,
                               errnums[k / 2]);
            work_a_while(&kit, &acknowledged, &value);
            wb_model_disk_fail(kit.disk, (wb_model_fault)what, 0, 0, 0);
            for (int i = 0; i < 8; i++) (void)wb_kit_idle(kit.journal);
            wb_journal_upkeep(kit.journal);
            assert_false(stats_of(&kit).failed);
            assert_int_equal(stats_of(&kit).full, WB_JOURNAL_FULL_NOT);
            (void)wb_kit_commit(&kit, 1, ++value, 100);
            wb_kit_kill(&kit);
            wb_model_disk_power_cut(kit.disk);
            assert_int_equal(wb_kit_open(&kit), WB_OK);
            assert_int_equal(kit.table.values[1], value);
            assert_int_equal(kit.report.lost_frames, 0);
            assert_false(kit.report.gap);
            wb_kit_done(&kit);
        }
    }
}

/* That the disk takes a spare is no proof: the next segment needs its name, too. */
static void being_full_ends_with_the_next_segment_in_hand_and_not_before(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t value = 0;
    assert_int_equal(wb_journal_prepare_spare(kit->journal, NULL), WB_OK);
    wb_model_disk_fail(kit->disk, WB_MODEL_RENAME, 0, UINT32_MAX, ENOSPC);
    fill_disk(kit);
    assert_int_equal(append_until_refused(kit, WB_WORK_NEW, 3000, &value), WB_ERR_FULL);
    empty_disk(kit);
    for (int i = 0; i < 4; i++) {
        wb_journal_upkeep(kit->journal);
        (void)wb_kit_idle(kit->journal);
        assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_DISK);
    }
    wb_model_disk_fail(kit->disk, WB_MODEL_RENAME, 0, 0, 0);
    wb_journal_upkeep(kit->journal);
    (void)wb_kit_idle(kit->journal);
    assert_int_equal(stats_of(kit).full, WB_JOURNAL_FULL_NOT);
    (void)wb_kit_commit(kit, 1, ++value, 3000);
}

/* With a name on a file that nobody could open, the next try for a segment would find the name taken, and
 * no request would ever get through that does not fit into the old one. */
static void a_spare_that_cannot_be_opened_once_bars_no_later_segment(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    (void)wb_kit_commit(kit, 1, 1, WB_KIT_SEGMENT / 2);
    assert_int_equal(wb_journal_prepare_spare(kit->journal, NULL), WB_OK);
    assert_int_equal(wb_model_disk_size_of(kit->disk, "spare"), WB_KIT_SEGMENT);
    wb_model_disk_fail(kit->disk, WB_MODEL_OPEN, 0, 1, EMFILE);
    assert_int_equal(wb_kit_append(kit, 1, 2, WB_KIT_SEGMENT / 2, &seq), WB_ERR_UNAVAILABLE);
    assert_int_equal(wb_model_disk_faults(kit->disk), 1);
    assert_int_equal(wb_kit_append(kit, 1, 2, WB_KIT_SEGMENT / 2, &seq), WB_OK);
    assert_int_equal(wb_journal_commit(kit->journal, &kit->err), WB_OK);
}

static void a_name_that_could_not_be_removed_bars_no_later_segment(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    (void)wb_kit_commit(kit, 1, 1, WB_KIT_SEGMENT / 2);
    wb_model_disk_fail(kit->disk, WB_MODEL_ALLOCATE, 0, 1, EIO);
    wb_model_disk_fail(kit->disk, WB_MODEL_REMOVE, 0, 1, EIO);
    assert_int_equal(wb_kit_append(kit, 1, 2, WB_KIT_SEGMENT / 2, &seq), WB_ERR_UNAVAILABLE);
    assert_int_equal(wb_model_disk_faults(kit->disk), 2);
    assert_int_equal(wb_kit_append(kit, 1, 2, WB_KIT_SEGMENT / 2, &seq), WB_ERR_UNAVAILABLE);
    assert_int_equal(wb_kit_append(kit, 1, 2, WB_KIT_SEGMENT / 2, &seq), WB_OK);
    assert_int_equal(wb_journal_commit(kit->journal, &kit->err), WB_OK);
    wb_kit_close(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(kit->table.values[1], 2);
    assert_int_equal(kit->report.lost_segments, 0);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, wb_kit_start, wb_kit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(finishing_work_goes_on_at_a_full_disk),
        WITH_KIT(delivery_makes_room_at_a_disk_that_stays_full),
        WITH_KIT(what_was_used_of_the_reserve_is_made_again_when_there_is_room),
        WITH_KIT(the_limit_holds_with_the_reserve_in_use),
        WITH_KIT(a_spare_beyond_the_limit_is_not_for_new_work),
        WITH_KIT(a_start_on_a_full_disk_works_also_behind_a_torn_tail),
        WITH_KIT(a_journal_without_a_reserve_gets_one),
        WITH_KIT(a_held_file_of_another_size_is_made_anew),
        WITH_KIT(a_damaged_segment_counts_until_it_goes),
        WITH_KIT(being_full_ends_with_the_next_segment_in_hand_and_not_before),
        WITH_KIT(a_spare_that_cannot_be_opened_once_bars_no_later_segment),
        WITH_KIT(a_name_that_could_not_be_removed_bars_no_later_segment),
        cmocka_unit_test(whatever_fails_once_or_for_good_nothing_is_lost_and_it_gets_up),
    };
    return cmocka_run_group_tests_name("journal_full", tests, NULL, NULL);
}
