/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/delivery/runner_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- refusals ------------------------------------------------------------------------------- */

static void settings_that_the_exporter_refuses_make_no_runner(void **state)
{
    fixture *f = *state;
    wb_error err = {0};
    f->script.open_status = WB_ERR_CONFIG;
    assert_int_equal(wb_runner_new(&f->options, &f->runner, &err), WB_ERR_CONFIG);
    assert_null(f->runner);
    assert_false(f->script.closed);
}

static void a_refused_record_is_parked_alone(void **state)
{
    fixture *f = *state;
    char line[400] = "";
    for (int i = 0; i < 64; i++) (void)spans(f);
    f->script.bad_seq[0] = 23;
    start(f);
    EVENTUALLY(cursor_is(f, 64));
    wb_runner_stats s = stats(f);
    assert_int_equal(s.parked_records, 1);
    assert_int_equal(s.sent_records, 63);
    assert_true(f->script.n_sends <= 2 * 6 + 4); /* halving, not one by one */
    assert_int_equal(f->script.n_taken, 63);
    assert_taken_once_in_order(f);
    FILE *file = fopen(f->parked, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_non_null(
        strstr(line, "\"seq\":23,\"entry\":0,\"kind\":1,\"reason\":\"bad, as the script says\""));
    assert_non_null(strstr(line, "\"payload_hex\":\"7070"));
    assert_int_equal(parked_lines(f), 1);
    struct stat st;
    assert_int_equal(stat(f->parked, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(f->parked_dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void neighbours_within_the_frame_of_a_refused_record_get_through(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind kinds[] = {WB_ENTRY_SPANS, WB_ENTRY_REPLAY, WB_ENTRY_DELEGATION,
                                          WB_ENTRY_SPANS};
    for (int i = 0; i < 3; i++) (void)frame(f, kinds, 4, 10);
    f->script.bad_seq[0] = 2;
    f->script.bad_entry[0] = 2;
    start(f);
    EVENTUALLY(cursor_is(f, 3));
    assert_int_equal(f->script.n_taken, 8);
    assert_taken_once_in_order(f);
    assert_int_equal(stats(f).parked_records, 1);
}

static void a_far_side_that_refuses_everything_parks_everything_and_stops_nothing(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 40; i++) (void)spans(f);
    f->script.all_bad = true;
    start(f);
    EVENTUALLY(cursor_is(f, 40));
    assert_int_equal(stats(f).parked_records, 40);
    assert_int_equal(parked_lines(f), 40);
    assert_true(f->script.n_sends <= 40 + 8);
}

static off_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void parked_records_that_make_room_are_counted(void **state)
{
    enum { MAX_BYTES = 8192, RECORDS = 100 };
    fixture *f = *state;
    char old[sizeof f->parked + 8];
    (void)snprintf(old, sizeof old, "%s.old", f->parked);
    f->options.parked_max_bytes = MAX_BYTES;
    f->script.all_bad = true;
    start(f);
    uint64_t seq = spans(f);
    while (size_of(old) < 0 && seq < RECORDS) {
        seq = spans(f);
        EVENTUALLY(cursor_is(f, seq));
    }
    assert_int_equal(parked_lines(f), 1); /* all others are in the older one */
    assert_int_equal(stats(f).unparked_records, 0);
    while (seq < RECORDS) seq = spans(f);
    EVENTUALLY(cursor_is(f, seq));
    size_t kept = parked_lines(f);
    assert_true(size_of(f->parked) > 0 && size_of(f->parked) <= MAX_BYTES);
    assert_true(size_of(old) > 0 && size_of(old) <= MAX_BYTES);
    kept += lines_in(old);
    wb_runner_stats s = stats(f);
    assert_int_equal(s.parked_records, RECORDS);
    assert_true(s.unparked_records > 0);
    assert_int_equal(s.unparked_records + kept, RECORDS);
}

static void a_record_larger_than_the_parked_file_is_parked_all_the_same(void **state)
{
    fixture *f = *state;
    f->options.parked_max_bytes = 1024;
    f->script.all_bad = true;
    for (int i = 0; i < 3; i++) (void)spans(f);
    start(f);
    EVENTUALLY(cursor_is(f, 3));
    assert_int_equal(parked_lines(f), 1);
    assert_int_equal(stats(f).parked_records, 3);
    assert_int_equal(stats(f).unparked_records, 1);
}

static void what_cannot_be_counted_is_not_removed(void **state)
{
    fixture *f = *state;
    char old[sizeof f->parked + 8];
    (void)snprintf(old, sizeof old, "%s.old", f->parked);
    f->options.parked_max_bytes = 1024;
    f->script.all_bad = true;
    assert_int_equal(mkdir(f->parked_dir, 0700), 0);
    assert_int_equal(mkdir(old, 0700), 0); /* in the way */
    for (int i = 0; i < 3; i++) (void)spans(f);
    start(f);
    EVENTUALLY(cursor_is(f, 3));
    assert_int_equal(parked_lines(f), 3);
    assert_int_equal(stats(f).unparked_records, 0);
}

static void a_record_that_cannot_be_parked_keeps_its_place(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 4; i++) (void)spans(f);
    f->script.bad_seq[0] = 3;
    int fd = open(f->parked_dir, O_CREAT | O_WRONLY, 0600); /* a file where the directory goes */
    assert_true(fd >= 0);
    close(fd);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF && stats(f).cursor == 2);
    usleep(50000);
    assert_true(cursor_is(f, 2));
    assert_int_equal(stats(f).parked_records, 0);
    assert_int_equal(unlink(f->parked_dir), 0);
    EVENTUALLY(cursor_is(f, 4));
    assert_int_equal(stats(f).parked_records, 1);
    assert_int_equal(f->script.n_taken, 3);
}

static void dropped_records_are_counted(void **state)
{
    fixture *f = *state;
    (void)spans(f);
    f->script.drops = 1;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_int_equal(stats(f).dropped_records, 1);
}

/* ---- outage --------------------------------------------------------------------------------- */

static void an_outage_loses_and_doubles_nothing(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 10; i++) (void)spans(f);
    f->script.failures = 7;
    f->script.failure = WB_ERR_UNAVAILABLE;
    start(f);
    for (int i = 0; i < 10; i++) (void)spans(f);
    EVENTUALLY(cursor_is(f, 20));
    assert_int_equal(f->script.n_taken, 20);
    assert_taken_once_in_order(f);
    wb_runner_stats s = stats(f);
    assert_int_equal(s.failed_sends, 7);
    assert_int_equal(s.parked_records, 0);
    assert_int_equal(s.last_error.status, WB_OK);
}

static void while_the_far_side_is_away_the_cursor_stays_and_says_why(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 3; i++) (void)spans(f);
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_TIMEOUT;
    start(f);
    EVENTUALLY(stats(f).failed_sends > 4);
    wb_runner_stats s = stats(f);
    assert_int_equal(s.cursor, 0);
    assert_int_equal(s.lag_seq, 3);
    assert_true(s.lag_ns > 0);
    assert_int_equal(s.last_error.status, WB_ERR_TIMEOUT);
    assert_string_equal(s.last_error.detail, "away, as the script says");
    assert_int_equal(advances(f), 0);
}

static void any_other_failure_is_waited_out_too(void **state)
{
    fixture *f = *state;
    static const wb_status failures[] = {WB_ERR_NO_MEMORY, WB_ERR_CONFIG, WB_ERR_CORRUPT,
                                         WB_ERR_FULL, WB_ERR_DENIED};
    start(f);
    for (size_t i = 0; i < WB_COUNT(failures); i++) {
        pthread_mutex_lock(&f->script.lock);
        f->script.failures = 2;
        f->script.failure = failures[i];
        pthread_mutex_unlock(&f->script.lock);
        uint64_t seq = spans(f);
        EVENTUALLY(cursor_is(f, seq));
    }
    assert_int_equal(f->script.n_taken, WB_COUNT(failures));
    assert_int_equal(stats(f).parked_records, 0);
}

static void an_unknown_outcome_is_sent_again_whole(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 5; i++) (void)spans(f);
    f->script.failures = 1;
    f->script.failure = WB_ERR_TIMEOUT;
    f->script.took_anyway = true;
    start(f);
    EVENTUALLY(cursor_is(f, 5));
    assert_int_equal(f->script.n_sends, 2);
    assert_int_equal(f->script.sends[0].n, 5);
    assert_int_equal(f->script.sends[1].n, 5);
    assert_int_equal(f->script.sends[1].first_seq, 1);
}

static void waits_double_up_to_the_bound(void **state)
{
    fixture *f = *state;
    (void)spans(f);
    f->options.backoff_min_ms = 8;
    f->options.backoff_max_ms = 64;
    f->script.failures = 8;
    f->script.failure = WB_ERR_UNAVAILABLE;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    static const uint32_t bounds_ms[] = {8, 16, 32, 64, 64, 64, 64, 64};
    for (size_t i = 0; i < WB_COUNT(bounds_ms); i++) {
        uint64_t waited_ms =
            (f->script.sends[i + 1].at_ns - f->script.sends[i].at_ns) / WB_NS_PER_MS;
        assert_true(waited_ms + 1 >= bounds_ms[i] / 2); /* jitter takes at most half */
    }
}

static void a_far_side_that_asks_for_time_gets_it(void **state)
{
    fixture *f = *state;
    (void)spans(f);
    f->script.failures = 1;
    f->script.failure = WB_ERR_UNAVAILABLE;
    f->script.retry_after_ms = 120;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_true(f->script.sends[1].at_ns - f->script.sends[0].at_ns >= 119 * WB_NS_PER_MS);
}

/* ---- selecting and batching ----------------------------------------------------------------- */

static void only_the_kinds_it_takes_are_sent_and_the_cursor_passes_the_others(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind mixed[] = {WB_ENTRY_REPLAY, WB_ENTRY_DELEGATION, WB_ENTRY_ACCEPTANCE,
                                          WB_ENTRY_SPANS};
    static const wb_entry_kind state_only = WB_ENTRY_OWNER;
    (void)frame(f, mixed, 4, 20);
    (void)frame(f, &state_only, 1, 20);
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(f->script.n_taken, 2);
    assert_int_equal(f->script.taken[0].entry, 1);
    assert_int_equal(f->script.taken[1].entry, 3);
}

static void a_batch_ends_at_its_limits_and_never_within_a_frame(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind two[] = {WB_ENTRY_SPANS, WB_ENTRY_SPANS};
    for (int i = 0; i < 30; i++) (void)frame(f, two, 2, 1000);
    f->options.batch_records = 7;
    start(f);
    EVENTUALLY(cursor_is(f, 30));
    for (size_t i = 0; i < f->script.n_sends; i++) assert_true(f->script.sends[i].n <= 8);
    assert_int_equal(f->script.sends[0].n, 8); /* the frame that passed the limit is whole */
    finish(f);
    f->script.n_sends = f->script.n_taken = 0;
    f->options.batch_records = 0;
    f->options.batch_bytes = 5000;
    start(f);
    EVENTUALLY(cursor_is(f, 30));
    for (size_t i = 0; i < f->script.n_sends; i++) {
        assert_true(f->script.sends[i].bytes <= 6000);
        if (i > 0) assert_true(f->script.sends[i].first_seq > f->script.sends[i - 1].last_seq);
    }
}

static void a_frame_larger_than_a_batch_travels_alone(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind kind = WB_ENTRY_SPANS;
    (void)frame(f, &kind, 1, 1 << 20);
    (void)spans(f);
    f->options.batch_bytes = 4096;
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(f->script.taken[0].len, 1 << 20);
    assert_int_equal(f->script.sends[0].n, 1);
}

/* ---- the cursor ----------------------------------------------------------------------------- */

static void delivery_begins_behind_the_cursor(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 9; i++) (void)spans(f);
    f->options.cursor = 6;
    start(f);
    EVENTUALLY(cursor_is(f, 9));
    assert_int_equal(f->script.n_taken, 3);
    assert_int_equal(f->script.taken[0].seq, 7);
}

static void the_cursor_is_told_seldom_and_at_the_end(void **state)
{
    fixture *f = *state;
    start(f);
    for (uint64_t i = 1; i <= 40; i++) {
        (void)spans(f);
        EVENTUALLY(cursor_is(f, i));
    }
    assert_true(advances(f) <= 8); /* one a second at most, on a slow machine */
    wb_runner_stop(f->runner);
    join(f);
    assert_int_equal(last_advance(f), 40);
}

static void a_pause_tells_the_cursor_within_two_seconds(void **state)
{
    fixture *f = *state;
    start(f);
    (void)spans(f);
    int left_ms = 2500;
    while (last_advance(f) != 1 && left_ms-- > 0) usleep(1000);
    assert_int_equal(last_advance(f), 1);
}

/* Each cursor is itself a frame; if that counted as news the journal would grow by itself. */
static void a_cursor_frame_is_not_a_reason_for_another(void **state)
{
    fixture *f = *state;
    start(f);
    (void)spans(f);
    for (size_t seen = 0, ms = 0; ms < 3500; ms++, usleep(1000)) {
        if (advances(f) == seen) continue;
        seen = advances(f);
        WB_AUTO_BUFFER payload;
        wb_entry entry;
        uint64_t seq;
        wb_error err = {0};
        wb_buffer_init(&payload, 256);
        assert_int_equal(wb_cursor_entry("main", last_advance(f), &payload, &entry), WB_OK);
        assert_int_equal(wb_journal_append(f->journal, WB_WORK_NEW, &entry, 1, &seq, &err), WB_OK);
        assert_int_equal(wb_journal_commit(f->journal, &err), WB_OK);
    }
    assert_int_equal(advances(f), 1);
    assert_int_equal(stats(f).lag_seq, 0);
}

/* Frames in which it takes nothing must not hold the journal's oldest segment for ever. */
static void much_that_it_does_not_take_moves_the_cursor_too(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind kind = WB_ENTRY_OWNER;
    start(f);
    for (int i = 0; i < 6; i++) (void)frame(f, &kind, 1, 300000);
    EVENTUALLY(last_advance(f) >= 4);
    assert_int_equal(taken(f), 0);
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void a_drain_delivers_what_is_there_and_returns(void **state)
{
    fixture *f = *state;
    f->script.slow_ms = 5;
    f->options.batch_records = 3;
    for (int i = 0; i < 30; i++) (void)spans(f);
    start(f);
    wb_runner_drain(f->runner, PATIENCE_MS);
    join(f);
    assert_int_equal(f->script.n_taken, 30);
    assert_int_equal(last_advance(f), 30);
    assert_int_equal(stats(f).state, WB_RUNNER_STOPPED);
}

static void a_drain_of_a_dead_far_side_ends_at_its_deadline(void **state)
{
    fixture *f = *state;
    f->options.backoff_min_ms = f->options.backoff_max_ms = 30000;
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    (void)spans(f);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF);
    uint64_t before = wb_mono(&wb_system_clock);
    wb_runner_drain(f->runner, 300);
    join(f);
    uint64_t took_ms = (wb_mono(&wb_system_clock) - before) / WB_NS_PER_MS;
    assert_true(took_ms >= 250 && took_ms < 2000);
    assert_int_equal(stats(f).cursor, 0);
}

static void a_drain_tries_at_once_and_does_not_sit_out_a_wait(void **state)
{
    fixture *f = *state;
    f->options.backoff_min_ms = f->options.backoff_max_ms = 30000;
    f->script.failures = 1;
    f->script.failure = WB_ERR_UNAVAILABLE;
    (void)spans(f);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF);
    wb_runner_drain(f->runner, PATIENCE_MS);
    join(f);
    assert_int_equal(f->script.n_taken, 1);
    assert_int_equal(stats(f).cursor, 1);
}

static void a_stop_ends_a_wait_at_once(void **state)
{
    fixture *f = *state;
    f->options.backoff_min_ms = f->options.backoff_max_ms = 30000;
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    (void)spans(f);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF);
    uint64_t before = wb_mono(&wb_system_clock);
    wb_runner_stop(f->runner);
    join(f);
    assert_true(wb_mono(&wb_system_clock) - before < WB_NS_PER_S);
}

static void waits_that_the_journal_ends_do_not_spin(void **state)
{
    fixture *f = *state;
    start(f);
    (void)spans(f);
    EVENTUALLY(cursor_is(f, 1));
    wb_journal_stop_waits(f->journal);
    struct timespec before, after;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(300000);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t cpu_ms =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(cpu_ms < 100);
    (void)spans(f);
    EVENTUALLY(cursor_is(f, 2));
}

#define RUNNER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNER_TEST(settings_that_the_exporter_refuses_make_no_runner),
        RUNNER_TEST(a_refused_record_is_parked_alone),
        RUNNER_TEST(neighbours_within_the_frame_of_a_refused_record_get_through),
        RUNNER_TEST(a_far_side_that_refuses_everything_parks_everything_and_stops_nothing),
        RUNNER_TEST(parked_records_that_make_room_are_counted),
        RUNNER_TEST(a_record_larger_than_the_parked_file_is_parked_all_the_same),
        RUNNER_TEST(what_cannot_be_counted_is_not_removed),
        RUNNER_TEST(a_record_that_cannot_be_parked_keeps_its_place),
        RUNNER_TEST(dropped_records_are_counted),
        RUNNER_TEST(an_outage_loses_and_doubles_nothing),
        RUNNER_TEST(while_the_far_side_is_away_the_cursor_stays_and_says_why),
        RUNNER_TEST(any_other_failure_is_waited_out_too),
        RUNNER_TEST(an_unknown_outcome_is_sent_again_whole),
        RUNNER_TEST(waits_double_up_to_the_bound),
        RUNNER_TEST(a_far_side_that_asks_for_time_gets_it),
        RUNNER_TEST(only_the_kinds_it_takes_are_sent_and_the_cursor_passes_the_others),
        RUNNER_TEST(a_batch_ends_at_its_limits_and_never_within_a_frame),
        RUNNER_TEST(a_frame_larger_than_a_batch_travels_alone),
        RUNNER_TEST(delivery_begins_behind_the_cursor),
        RUNNER_TEST(the_cursor_is_told_seldom_and_at_the_end),
        RUNNER_TEST(a_pause_tells_the_cursor_within_two_seconds),
        RUNNER_TEST(a_cursor_frame_is_not_a_reason_for_another),
        RUNNER_TEST(much_that_it_does_not_take_moves_the_cursor_too),
        RUNNER_TEST(a_drain_delivers_what_is_there_and_returns),
        RUNNER_TEST(a_drain_of_a_dead_far_side_ends_at_its_deadline),
        RUNNER_TEST(a_drain_tries_at_once_and_does_not_sit_out_a_wait),
        RUNNER_TEST(a_stop_ends_a_wait_at_once),
        RUNNER_TEST(waits_that_the_journal_ends_do_not_spin),
    };
    return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
