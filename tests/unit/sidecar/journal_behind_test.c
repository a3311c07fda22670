/* SPDX-License-Identifier: Apache-2.0 */
/* How far somebody is behind, to where he gives up, and how many records that costs him. */
#include "tests/support/journal_kit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FRAMES = 200, STEP = 7 };

static const uint64_t spans = WB_KIND_BIT(WB_ENTRY_SPANS), rows = WB_KIND_BIT(WB_ENTRY_DELEGATION);

static void who_gives_up_keeps_as_much_as_he_may(void **state)
{
    wb_journal_kit *kit = *state;
    for (uint64_t i = 1; i <= 200; i++) (void)wb_kit_commit(kit, 1, i, 2000);
    uint64_t all = wb_journal_bytes_after(kit->journal, 0);
    assert_in_range(all, 200 * 2000, 220 * 2200);
    assert_int_equal(wb_journal_bytes_after(kit->journal, 200), 0);
    assert_true(wb_journal_bytes_after(kit->journal, 199) > 0);
    for (uint64_t bytes = 0; bytes < all; bytes += 5000) {
        uint64_t seq = wb_journal_give_up_to(kit->journal, bytes);
        uint64_t kept = wb_journal_bytes_after(kit->journal, seq);
        assert_in_range(kept, 0, bytes);
        assert_true(kept + 4400 > bytes / 2);
        assert_true(kept + WB_KIT_SEGMENT > bytes);
    }
    assert_int_equal(wb_journal_give_up_to(kit->journal, all), 0);
}

/* Every third has no spans. */
static uint64_t frames_with_spans(uint64_t upto) { return upto - upto / 3; }

static void fill(wb_journal_kit *kit)
{
    for (uint64_t seq = 1; seq <= FRAMES; seq++)
        assert_int_equal(wb_kit_commit(kit, 1, seq, seq % 3 ? 2000 : 0), seq);
    wb_journal_stats stats;
    wb_journal_get_stats(kit->journal, &stats);
    assert_true(stats.segments >= 4);
}

static uint64_t count(wb_journal_kit *kit, uint64_t after, uint64_t upto, uint64_t kinds)
{
    uint64_t n = 0;
    assert_int_equal(wb_journal_count_records(kit->journal, after, upto, kinds, &n, NULL), WB_OK);
    return n;
}

static void check_counts(wb_journal_kit *kit)
{
    for (uint64_t after = 0; after <= FRAMES; after += STEP)
        for (uint64_t upto = after; upto <= FRAMES; upto++) {
            uint64_t with = frames_with_spans(upto) - frames_with_spans(after);
            assert_int_equal(count(kit, after, upto, spans), with);
            assert_int_equal(count(kit, after, upto, rows), upto - after);
            assert_int_equal(count(kit, after, upto, spans | rows), with + upto - after);
            assert_int_equal(count(kit, after, upto, 0), 0);
        }
    assert_int_equal(count(kit, 0, FRAMES + 50, spans), frames_with_spans(FRAMES));
    assert_int_equal(count(kit, 9, 5, spans), 0);
}

static void records_between_two_places_are_counted(void **state)
{
    wb_journal_kit *kit = *state;
    fill(kit);
    check_counts(kit);
}

static void a_start_counts_what_it_finds(void **state)
{
    wb_journal_kit *kit = *state;
    fill(kit);
    wb_kit_kill(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    check_counts(kit);
}

static void what_was_written_twice_counts_once(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t seq;
    for (uint64_t i = 1; i <= 5; i++) assert_int_equal(wb_kit_append(kit, 1, i, 100, &seq), WB_OK);
    wb_model_disk_fail(kit->disk, WB_MODEL_SYNC_FILE, 0, 1, EIO);
    assert_int_equal(wb_journal_commit(kit->journal, NULL), WB_OK);
    assert_true(wb_model_disk_faults(kit->disk) > 0);
    assert_int_equal(count(kit, 0, 5, spans), 5);
    wb_kit_kill(kit);
    assert_int_equal(wb_kit_open(kit), WB_OK);
    assert_int_equal(count(kit, 0, 5, spans), 5);
}

static void whole_segments_are_counted_without_reading(void **state)
{
    wb_journal_kit *kit = *state;
    uint64_t n = 7;
    fill(kit);
    uint64_t end = wb_journal_give_up_to(kit->journal, 3 * WB_KIT_SEGMENT);
    assert_in_range(end, 10, FRAMES - 10);
    wb_model_disk_fail(kit->disk, WB_MODEL_OPEN, 0, 2, EIO);
    assert_int_equal(count(kit, 0, end, spans), frames_with_spans(end));
    assert_int_equal(wb_journal_count_records(kit->journal, 1, end, spans, &n, NULL),
                     WB_ERR_UNAVAILABLE);
    assert_int_equal(wb_journal_count_records(kit->journal, 0, end - 1, spans, &n, NULL),
                     WB_ERR_UNAVAILABLE);
    assert_int_equal(n, 7);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, wb_kit_start, wb_kit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(who_gives_up_keeps_as_much_as_he_may),
        WITH_KIT(records_between_two_places_are_counted),
        WITH_KIT(a_start_counts_what_it_finds),
        WITH_KIT(what_was_written_twice_counts_once),
        WITH_KIT(whole_segments_are_counted_without_reading),
    };
    return cmocka_run_group_tests_name("journal_behind", tests, NULL, NULL);
}
