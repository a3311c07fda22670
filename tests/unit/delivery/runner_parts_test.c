/* SPDX-License-Identifier: Apache-2.0 */
/* A record with a span that the far side will never take: the search goes on among its spans. */
#include "tests/unit/delivery/runner_kit.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t record(fixture *f, uint64_t first_span, size_t n)
{
    static span_spec specs[1024];
    assert_true(n <= WB_COUNT(specs));
    for (size_t i = 0; i < n; i++) specs[i] = (span_spec){.trace = 5 + i, .span = first_span + i};
    return record_of(f, specs, n);
}

static void parts(fixture *f) { f->options.ops = &script_parts_ops; }

/* Each span of [first, first + n) once, but for the bad ones; in order. */
static void assert_spans(fixture *f, uint64_t first, size_t n)
{
    uint64_t want = first;
    for (size_t i = 0; i < f->script.n_spans; i++) {
        for (size_t k = 0; k < WB_COUNT(f->script.bad_span); k++)
            if (f->script.bad_span[k] == want) {
                want++;
                k = (size_t)-1;
            }
        assert_int_equal(f->script.spans[i].span, want++);
    }
    for (size_t k = 0; k < WB_COUNT(f->script.bad_span); k++)
        if (f->script.bad_span[k] == want) want++;
    assert_int_equal(want, first + n);
}

static void the_one_bad_span_is_parked_and_named(void **state)
{
    fixture *f = *state;
    char line[2000] = "";
    parts(f);
    (void)record(f, 1000, 3);
    (void)record(f, 1003, 500);
    (void)record(f, 1503, 3);
    f->script.bad_span[0] = 1234;
    start(f);
    EVENTUALLY(cursor_is(f, 3));
    assert_spans(f, 1000, 506);
    wb_runner_stats s = stats(f);
    assert_int_equal(s.parked_records, 1);
    assert_int_equal(s.sent_records, 3);
    assert_true(f->script.n_sends <= 2 * 2 + 2 * 9 + 10); /* halving, not one by one */
    assert_int_equal(parked_lines(f), 1);
    FILE *file = fopen(f->parked, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_non_null(strstr(line, "\"seq\":2,\"entry\":0,\"kind\":1,"));
    assert_non_null(strstr(line, "\"trace_id\":\"aa0000000000000000000000000000ec\""));
    assert_non_null(strstr(line, "\"span_id\":\"00000000000004d2\""));
    assert_non_null(strstr(line, "\"payload_hex\":\"57534231"
                                 "01000000")); /* one span */
}

static void one_that_takes_whole_records_only_loses_the_record(void **state)
{
    fixture *f = *state;
    (void)record(f, 1, 10);
    (void)record(f, 11, 10);
    f->script.bad_span[0] = 3;
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(spans_taken(f), 10);
    assert_false(has_span(f, 1));
    assert_int_equal(stats(f).parked_records, 1);
}

static void a_record_of_which_nothing_is_taken_was_not_sent(void **state)
{
    fixture *f = *state;
    const uint64_t bad[] = {1, 2, 3};
    parts(f);
    (void)record(f, 1, 3);
    memcpy(f->script.bad_span, bad, sizeof bad);
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    wb_runner_stats s = stats(f);
    assert_int_equal(s.parked_records, 3);
    assert_int_equal(s.sent_records, 0);
    assert_int_equal(s.last_error.status, WB_OK); /* nothing waits for it */
}

static void several_bad_spans_are_all_found(void **state)
{
    fixture *f = *state;
    static const uint64_t bad[] = {1, 2, 50, 51, 52, 99, 100};
    parts(f);
    (void)record(f, 1, 100);
    memcpy(f->script.bad_span, bad, sizeof bad);
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_spans(f, 1, 100);
    assert_int_equal(stats(f).parked_records, WB_COUNT(bad));
    assert_int_equal(parked_lines(f), WB_COUNT(bad));
}

static void a_record_whose_every_span_is_bad_is_parked_span_by_span(void **state)
{
    fixture *f = *state;
    parts(f);
    (void)record(f, 1, 8);
    for (uint64_t i = 0; i < 8; i++) f->script.bad_span[i] = 1 + i;
    (void)record(f, 9, 8);
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(stats(f).parked_records, 8);
    assert_int_equal(spans_taken(f), 8);
    assert_true(has_span(f, 9));
}

static void what_is_refused_and_is_no_span_batch_is_parked_whole(void **state)
{
    fixture *f = *state;
    parts(f);
    (void)spans(f);
    (void)record(f, 1, 1);
    f->script.bad_seq[0] = 1;
    f->script.bad_span[0] = 1;
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(stats(f).parked_records, 2);
    assert_int_equal(taken(f), 0);
}

static void an_outage_among_the_parts_loses_and_doubles_nothing(void **state)
{
    fixture *f = *state;
    parts(f);
    (void)record(f, 1, 200);
    (void)record(f, 201, 5);
    f->script.bad_span[0] = 77;
    f->script.fail_send_from = 4;
    f->script.failures = 6;
    f->script.failure = WB_ERR_UNAVAILABLE;
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_spans(f, 1, 205);
    assert_int_equal(stats(f).parked_records, 1);
    assert_int_equal(stats(f).failed_sends >= 6, 1);
}

static void a_stop_among_the_parts_repeats_the_record_the_same_way(void **state)
{
    fixture *f = *state;
    size_t before;
    parts(f);
    (void)record(f, 1, 64);
    f->script.bad_span[0] = 40;
    f->script.slow_ms = 20;
    start(f);
    EVENTUALLY(spans_taken(f) > 0);
    finish(f);
    before = spans_taken(f);
    assert_true(before > 0 && before < 63);
    assert_int_equal(last_advance(f), 0);
    /* Again from the cursor, as after a crash: the same parts, so the same requests. */
    f->script.slow_ms = 0;
    size_t sends = f->script.n_sends;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_int_equal(spans_taken(f), before + 63);
    for (size_t i = 0; i < before; i++)
        assert_int_equal(f->script.spans[i].span, f->script.spans[before + i].span);
    for (size_t i = 0; i < sends; i++)
        assert_int_equal(f->script.sends[i].bytes, f->script.sends[sends + i].bytes);
    assert_int_equal(stats(f).parked_records, 1);
}

static void a_record_can_be_given_up_among_its_parts(void **state)
{
    fixture *f = *state;
    parts(f);
    (void)record(f, 1, 64);
    (void)record(f, 65, 2);
    f->script.bad_span[0] = 40;
    f->script.fail_send_from = 4;
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF);
    (void)wb_runner_skip_begin(f->runner);
    wb_runner_skip_end(f->runner, 1, 0);
    pthread_mutex_lock(&f->script.lock);
    f->script.failures = 0;
    pthread_mutex_unlock(&f->script.lock);
    EVENTUALLY(cursor_is(f, 2));
    assert_true(has_span(f, 65) && has_span(f, 66));
    assert_false(has_span(f, 64));
    assert_int_equal(stats(f).skipped_records, 1);
    assert_int_equal(stats(f).undecided_records, 0);
}

static void of_a_sampled_record_the_parts_are_what_was_kept(void **state)
{
    fixture *f = *state;
    static const wb_slice added[] = {{(const uint8_t *)"team=red", 8}};
    const wb_delivery_config config = {
        .ratio = "0.5", .hold = "0", .attributes = added, .n_attributes = 1};
    static span_spec specs[40];
    parts(f);
    f->options.delivery = &config;
    for (uint64_t i = 0; i < WB_COUNT(specs); i++)
        specs[i] = (span_spec){.trace = i % 2 ? UINT64_C(0xff000000000000) : i, .span = 1 + i};
    (void)record_of(f, specs, WB_COUNT(specs));
    f->script.bad_span[0] = 10;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_int_equal(spans_taken(f), 19);
    for (size_t i = 0; i < 19; i++) {
        assert_int_equal(f->script.spans[i].span % 2, 0);
        assert_string_equal(f->script.spans[i].trace_state, "ot=th:8");
    }
}

#define PARTS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARTS_TEST(the_one_bad_span_is_parked_and_named),
        PARTS_TEST(one_that_takes_whole_records_only_loses_the_record),
        PARTS_TEST(several_bad_spans_are_all_found),
        PARTS_TEST(a_record_of_which_nothing_is_taken_was_not_sent),
        PARTS_TEST(a_record_whose_every_span_is_bad_is_parked_span_by_span),
        PARTS_TEST(what_is_refused_and_is_no_span_batch_is_parked_whole),
        PARTS_TEST(an_outage_among_the_parts_loses_and_doubles_nothing),
        PARTS_TEST(a_stop_among_the_parts_repeats_the_record_the_same_way),
        PARTS_TEST(a_record_can_be_given_up_among_its_parts),
        PARTS_TEST(of_a_sampled_record_the_parts_are_what_was_kept),
    };
    return cmocka_run_group_tests_name("runner_parts", tests, NULL, NULL);
}
