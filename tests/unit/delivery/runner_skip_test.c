/* SPDX-License-Identifier: Apache-2.0 */
/* An exporter that is too far behind gives up its oldest: whatever it is doing at that moment, each record is
 * taken, or counted from the moment on at which the cursor is behind it. */
#include "tests/unit/delivery/runner_kit.h"

static void journal_of(fixture *f, size_t n)
{
    for (size_t i = 0; i < n; i++) (void)spans(f);
}

static void give_up(fixture *f, uint64_t seq, uint64_t from, uint64_t n)
{
    assert_int_equal(wb_runner_skip_begin(f->runner), from);
    wb_runner_skip_end(f->runner, seq, n);
}

static void start_stuck(fixture *f, uint32_t batch_records)
{
    f->options.batch_records = batch_records;
    set_stuck(f, true);
    start(f);
    EVENTUALLY(send_count(f) == 1);
}

/* The cursor, and behind it what a crash now would lose without a trace. */
static void assert_counted(fixture *f, uint64_t cursor, uint64_t skipped, uint64_t undecided)
{
    wb_runner_stats s = stats(f);
    assert_int_equal(s.cursor, cursor);
    assert_int_equal(s.skipped_records, skipped);
    assert_int_equal(s.undecided_records, undecided);
}

static void what_is_given_up_behind_the_batch_in_hand_is_counted_with_it(void **state)
{
    fixture *f = *state;
    journal_of(f, 10);
    start_stuck(f, 4);
    give_up(f, 7, 4, 3);
    assert_counted(f, 7, 3, 4);
    set_stuck(f, false); /* it goes through after all */
    EVENTUALLY(cursor_is(f, 10));
    assert_counted(f, 10, 3, 0);
    assert_int_equal(taken(f), 7);
}

static void what_is_given_up_within_the_batch_in_hand_is_counted_at_once(void **state)
{
    fixture *f = *state;
    journal_of(f, 10);
    start_stuck(f, 8);
    give_up(f, 5, 8, 0);
    assert_counted(f, 5, 0, 5);
    give_up(f, 6, 8, 0);
    assert_counted(f, 6, 0, 6);
    give_up(f, 9, 8, 1);
    assert_counted(f, 9, 1, 8);
    set_stuck(f, false);
    EVENTUALLY(cursor_is(f, 10));
    assert_counted(f, 10, 1, 0);
    assert_int_equal(taken(f), 9);
}

static void what_did_not_go_through_is_counted_and_the_rest_is_sent(void **state)
{
    fixture *f = *state;
    journal_of(f, 10);
    f->script.failures = 1;
    f->script.failure = WB_ERR_TIMEOUT;
    start_stuck(f, 8);
    give_up(f, 5, 8, 0);
    set_stuck(f, false);
    EVENTUALLY(cursor_is(f, 10));
    assert_counted(f, 10, 5, 0);
    assert_int_equal(taken(f), 5);
    assert_int_equal(f->script.taken[0].seq, 6);
}

static void a_stop_in_the_middle_leaves_nothing_uncounted(void **state)
{
    fixture *f = *state;
    journal_of(f, 10);
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    start_stuck(f, 8);
    give_up(f, 5, 8, 0);
    wb_runner_stop(f->runner);
    set_stuck(f, false);
    join(f);
    assert_counted(f, 5, 5, 0);
    assert_int_equal(last_advance(f), 5);
}

static void nothing_more_is_taken_in_hand_while_somebody_counts(void **state)
{
    fixture *f = *state;
    journal_of(f, 10);
    start_stuck(f, 4);
    assert_int_equal(wb_runner_skip_begin(f->runner), 4);
    set_stuck(f, false);
    EVENTUALLY(cursor_is(f, 4));
    usleep(100000); /* time enough to go on, if it would */
    assert_int_equal(taken(f), 4);
    assert_counted(f, 4, 0, 0);
    wb_runner_skip_end(f->runner, 7, 3);
    EVENTUALLY(cursor_is(f, 10));
    assert_counted(f, 10, 3, 0);
    assert_int_equal(taken(f), 7);
}

static void what_could_not_be_counted_is_not_given_up(void **state)
{
    fixture *f = *state;
    journal_of(f, 10);
    start_stuck(f, 4);
    give_up(f, 0, 4, 0);
    assert_counted(f, 0, 0, 0);
    set_stuck(f, false);
    EVENTUALLY(cursor_is(f, 10));
    assert_counted(f, 10, 0, 0);
    assert_int_equal(taken(f), 10);
    assert_int_equal(stats(f).skipped_ns, 0);
}

#define SKIP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SKIP_TEST(what_is_given_up_behind_the_batch_in_hand_is_counted_with_it),
        SKIP_TEST(what_is_given_up_within_the_batch_in_hand_is_counted_at_once),
        SKIP_TEST(what_did_not_go_through_is_counted_and_the_rest_is_sent),
        SKIP_TEST(a_stop_in_the_middle_leaves_nothing_uncounted),
        SKIP_TEST(nothing_more_is_taken_in_hand_while_somebody_counts),
        SKIP_TEST(what_could_not_be_counted_is_not_given_up),
    };
    return cmocka_run_group_tests_name("runner_skip", tests, NULL, NULL);
}
