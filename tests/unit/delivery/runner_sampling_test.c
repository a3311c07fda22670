/* SPDX-License-Identifier: Apache-2.0 */
/* What a runner sends of a real journal when it is asked to sample, to hold and to add. */
#include "core/clock.h"
#include "proto/log_batch.h"
#include "proto/span_batch.h"
#include "sidecar/delivery/keep_table.h"
#include "tests/support/records.h"
#include "tests/unit/delivery/runner_kit.h"

#include <stdlib.h>

/* Randomness: of any ratio below 1 the first is left out and the second kept. */
#define LOW UINT64_C(0x00000000000000)
#define HIGH UINT64_C(0xffffffffffff00)

#define WORD(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
static const wb_slice keep_errors[] = {WORD("error")};
static const wb_slice keep_delegations[] = {WORD("delegation")};

static wb_delivery_config sampled(const char *ratio, const char *hold)
{
    return (wb_delivery_config){
        .ratio = ratio, .keep = keep_errors, .n_keep = 1, .slow_ms = 1000, .hold = hold};
}

static uint64_t one(fixture *f, uint64_t trace, uint64_t span, bool error)
{
    const span_spec spec = {.trace = trace, .span = span, .error = error};
    return record_of(f, &spec, 1);
}

static const char *state_of(const fixture *f, uint64_t span)
{
    for (size_t i = 0; i < f->script.n_spans; i++)
        if (f->script.spans[i].span == span) return f->script.spans[i].trace_state;
    return NULL;
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void a_delivery_that_means_nothing_makes_no_runner(void **state)
{
    fixture *f = *state;
    wb_error err = {0};
    const wb_delivery_config config = {.ratio = "many"};
    f->options.delivery = &config;
    assert_int_equal(wb_runner_new(&f->options, &f->runner, &err), WB_ERR_CONFIG);
    assert_null(f->runner);
    assert_non_null(strstr(err.detail, "sampling.ratio"));
}

/* ---- sampling ------------------------------------------------------------------------------- */

static void what_is_left_out_is_passed_and_counted(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.25", "0");
    f->options.delivery = &config;
    for (uint64_t i = 0; i < 50; i++) {
        (void)one(f, LOW + 1 + i, 100 + i, false);
        (void)one(f, HIGH + i, 200 + i, false);
    }
    start(f);
    EVENTUALLY(cursor_is(f, 100));
    assert_int_equal(taken(f), 50);
    assert_int_equal(spans_taken(f), 50);
    for (uint64_t i = 0; i < 50; i++) assert_string_equal(state_of(f, 200 + i), "ot=th:c");
    assert_int_equal(stats(f).unsampled_spans, 50);
    assert_int_equal(stats(f).unsure_spans, 0);
    assert_taken_once_in_order(f);
}

static void within_a_record_spans_are_chosen_one_by_one(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.5", "0");
    const span_spec mixed[] = {{.trace = LOW + 1, .span = 1},
                               {.trace = HIGH, .span = 2},
                               {.trace = LOW + 2, .span = 3},
                               {.trace = LOW + 3, .span = 4, .error = true},
                               {.trace = LOW + 3, .span = 5},
                               {.trace = HIGH + 1, .span = 6, .trace_state = "ot=th:f,x=y"}};
    f->options.delivery = &config;
    (void)record_of(f, mixed, WB_COUNT(mixed));
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_int_equal(spans_taken(f), 4);
    assert_string_equal(state_of(f, 2), "ot=th:8");
    assert_string_equal(state_of(f, 4), "ot=th:0");
    assert_string_equal(state_of(f, 5), "ot=th:0");
    assert_string_equal(state_of(f, 6), "ot=th:f,x=y");
}

static void other_kinds_are_not_sampled(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0", "0");
    static const wb_entry_kind kinds[] = {WB_ENTRY_DELEGATION, WB_ENTRY_SPANS};
    f->options.delivery = &config;
    (void)frame(f, kinds, 2, 30); /* the second is no span batch: that is the far side's to say */
    (void)one(f, HIGH, 1, false);
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(taken(f), 2);
    assert_int_equal(f->script.taken[0].len, 30);
    assert_int_equal(f->script.taken[1].len, 30);
}

static void without_a_wish_bytes_go_on_as_they_are(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = {.ratio = "1.0", .keep = keep_errors, .n_keep = 1};
    WB_AUTO_BUFFER payload;
    const span_spec spec[] = {{.trace = LOW + 1, .span = 1}, {.trace = HIGH, .span = 2}};
    wb_buffer_init(&payload, 1 << 20);
    make_spans(&payload, spec, 2);
    f->options.delivery = &config;
    (void)frame_of(f, WB_ENTRY_SPANS, wb_buffer_slice(&payload));
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_int_equal(f->script.taken[0].len, payload.len);
    assert_string_equal(state_of(f, 1), "");
    assert_int_equal(spans_taken(f), 2);
}

/* Two sidecars with ratios of their own, one journal: what the one keeps by chance the other keeps. */
static void two_of_different_ratios_agree(void **state)
{
    fixture *f = *state;
    wb_delivery_config config = sampled("0.1", "0");
    uint64_t seq = 0;
    static bool first[1000];
    for (uint64_t i = 0; i < 1000; i++)
        seq = one(f, (i * UINT64_C(0x9E3779B97F4A7C15)) >> 8, i + 1, false);
    f->options.delivery = &config;
    start(f);
    EVENTUALLY(cursor_is(f, seq));
    size_t few = spans_taken(f);
    for (uint64_t i = 0; i < 1000; i++) first[i] = has_span(f, i + 1);
    finish(f);
    f->script.n_spans = f->script.n_taken = f->script.n_sends = 0;
    config.ratio = "0.4";
    start(f);
    EVENTUALLY(cursor_is(f, seq));
    for (uint64_t i = 0; i < 1000; i++)
        if (first[i]) assert_true(has_span(f, i + 1));
    assert_true(few > 50 && few < 150);
    assert_true(spans_taken(f) > 330 && spans_taken(f) < 470);
}

/* ---- hold ----------------------------------------------------------------------------------- */

static void nothing_is_sent_before_it_is_old_enough(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = {.hold = "400ms"};
    f->options.delivery = &config;
    start(f);
    uint64_t written_at[20];
    for (uint64_t i = 0; i < 20; i++) {
        written_at[i] = wb_mono(&wb_system_clock);
        (void)one(f, HIGH, i + 1, false);
        usleep(20000);
    }
    EVENTUALLY(cursor_is(f, 20));
    assert_int_equal(taken(f), 20);
    assert_taken_once_in_order(f);
    for (size_t i = 0; i < f->script.n_sends; i++) {
        uint64_t youngest = written_at[f->script.sends[i].last_seq - 1];
        assert_true(f->script.sends[i].at_ns - youngest >= 400 * WB_NS_PER_MS);
    }
}

static void what_is_held_is_no_lag_in_time(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = {.hold = "60s"};
    f->options.delivery = &config;
    start(f);
    (void)one(f, HIGH, 1, false);
    usleep(1500000);
    wb_runner_stats s = stats(f);
    assert_int_equal(s.cursor, 0);
    assert_int_equal(s.lag_seq, 1);
    assert_true(s.lag_ns < 1500 * WB_NS_PER_MS);
    assert_int_equal(s.state, WB_RUNNER_IDLE);
    assert_int_equal(advances(f), 0);
}

static void a_late_error_keeps_the_early_spans_of_its_trace(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.01", "500ms");
    f->options.delivery = &config;
    start(f);
    (void)one(f, LOW + 1, 1, false);
    (void)one(f, LOW + 2, 2, false);
    usleep(150000);
    (void)one(f, LOW + 1, 3, true);
    EVENTUALLY(cursor_is(f, 3));
    assert_int_equal(spans_taken(f), 2);
    assert_string_equal(state_of(f, 1), "ot=th:0");
    assert_string_equal(state_of(f, 3), "ot=th:0");
    (void)one(f, LOW + 1, 4, false); /* and what comes after it */
    (void)one(f, LOW + 2, 5, false);
    EVENTUALLY(cursor_is(f, 5));
    assert_true(has_span(f, 4));
    assert_false(has_span(f, 5));
}

static void an_error_that_comes_too_late_keeps_only_what_follows(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.01", "50ms");
    f->options.delivery = &config;
    start(f);
    (void)one(f, LOW + 1, 1, false);
    EVENTUALLY(cursor_is(f, 1));
    (void)one(f, LOW + 1, 2, true);
    (void)one(f, LOW + 1, 3, false);
    EVENTUALLY(cursor_is(f, 3));
    assert_false(has_span(f, 1));
    assert_true(has_span(f, 2) && has_span(f, 3));
}

static void filler(fixture *f, size_t mib)
{
    static const wb_entry_kind nobodys = WB_ENTRY_OWNER;
    for (size_t i = 0; i < mib; i++) (void)frame(f, &nobodys, 1, 1 << 20);
}

/* More than the lookahead reads at once: still, what delivery does next is seen from far enough. */
static void behind_a_backlog_an_error_some_way_ahead_is_seen(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.01", "0");
    f->options.delivery = &config;
    filler(f, 50);
    (void)one(f, LOW + 1, 1, false);
    (void)one(f, LOW + 2, 2, false);
    filler(f, 25);
    uint64_t last = one(f, LOW + 1, 3, true);
    start(f);
    EVENTUALLY(cursor_is(f, last));
    assert_int_equal(spans_taken(f), 2);
    assert_true(has_span(f, 1) && has_span(f, 3));
}

static void a_delegation_that_opens_keeps_its_trace(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = {
        .ratio = "0", .keep = keep_delegations, .n_keep = 1, .hold = "200ms"};
    WB_AUTO_BUFFER row;
    wb_buffer_init(&row, 1 << 20);
    test_delegation_payload(&row, &(test_delegation_spec){.id = 1, .trace = 7, .span = 2});
    const wb_delivery_config *delivery = &config;
    f->options.delivery = delivery;
    const test_span_spec early[] = {{.trace = 7, .span = 1, .name = "a"},
                                    {.trace = 8, .span = 3, .name = "b"}};
    WB_AUTO_BUFFER payload;
    wb_buffer_init(&payload, 1 << 20);
    test_spans_payload(&payload, early, 2);
    (void)frame_of(f, WB_ENTRY_SPANS, wb_buffer_slice(&payload));
    (void)frame_of(f, WB_ENTRY_DELEGATION, wb_buffer_slice(&row));
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(spans_taken(f), 1);
    assert_true(has_span(f, 1));
}

static void a_drain_holds_nothing_back(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.5", "60s");
    f->options.delivery = &config;
    start(f);
    (void)one(f, HIGH, 1, false);
    (void)one(f, LOW + 1, 2, false);
    usleep(50000);
    (void)one(f, LOW + 1, 3, true);
    assert_int_equal(taken(f), 0);
    wb_runner_drain(f->runner, 5000);
    join(f);
    assert_int_equal(stats(f).cursor, 3);
    assert_int_equal(spans_taken(f), 3);
    assert_int_equal(last_advance(f), 3);
}

static void what_is_held_can_be_skipped(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.5", "300ms");
    f->options.delivery = &config;
    start(f);
    for (uint64_t i = 1; i <= 10; i++) (void)one(f, HIGH, i, false);
    usleep(50000);
    assert_int_equal(wb_runner_skip_begin(f->runner), 0);
    wb_runner_skip_end(f->runner, 6, 6);
    EVENTUALLY(cursor_is(f, 10));
    assert_int_equal(taken(f), 4);
    assert_false(has_span(f, 6));
    assert_true(has_span(f, 7));
    assert_int_equal(stats(f).skipped_records, 6);
}

static void after_a_restart_the_same_is_decided_anew(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.01", "300ms");
    f->options.delivery = &config;
    start(f);
    (void)one(f, LOW + 1, 1, false);
    (void)one(f, LOW + 2, 2, false);
    usleep(50000);
    finish(f); /* as a crash would: no record was sent, the cursor is where it was */
    assert_int_equal(taken(f), 0);
    (void)one(f, LOW + 1, 3, true);
    start(f);
    EVENTUALLY(cursor_is(f, 3));
    assert_int_equal(spans_taken(f), 2);
    assert_true(has_span(f, 1) && has_span(f, 3));
    finish(f);
    f->options.cursor = 3; /* the next one begins behind it */
    (void)one(f, LOW + 2, 4, true);
    start(f);
    EVENTUALLY(cursor_is(f, 4));
    assert_int_equal(spans_taken(f), 3);
}

static void an_outage_does_not_change_what_was_chosen(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.5", "50ms");
    f->options.delivery = &config;
    f->script.failures = 5;
    f->script.failure = WB_ERR_UNAVAILABLE;
    (void)one(f, LOW + 1, 1, false);
    (void)one(f, HIGH, 2, false);
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    (void)one(f, LOW + 1, 3, true);
    EVENTUALLY(cursor_is(f, 3));
    assert_int_equal(spans_taken(f), 2);
    assert_taken_once_in_order(f);
}

/* More traces to keep than can be known: what nobody knows is kept, and says that it does not know. */
static void too_many_traces_to_know_are_all_kept(void **state)
{
    fixture *f = *state;
    const wb_delivery_config config = sampled("0.01", "100ms");
    enum { RECORD = 8192 };
    f->options.delivery = &config;
    span_spec *errors = calloc(RECORD, sizeof *errors);
    assert_non_null(errors);
    for (uint64_t i = 0; i < 100; i++) (void)one(f, LOW + 1 + i, 1 + i, false);
    for (uint64_t i = 0, n = 0; i < 9; i++) {
        for (size_t k = 0; k < RECORD; k++, n++)
            errors[k] = (span_spec){.trace = LOW + 1000 + n, .span = 1000000 + n, .error = true};
        (void)record_of(f, errors, RECORD);
    }
    free(errors);
    (void)one(f, LOW + 500, 500, false); /* behind what it is blind for */
    start(f);
    EVENTUALLY(cursor_is(f, 110));
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(has_span(f, 1 + i));
        assert_string_equal(state_of(f, 1 + i), "");
    }
    assert_false(has_span(f, 500));
    wb_runner_stats s = stats(f);
    assert_true(s.unsure_spans >= 100);
    assert_int_equal(s.unsampled_spans, 1);
}

/* ---- additions ------------------------------------------------------------------------------ */

/* Keeps a copy of the first payload. */
static wb_slice first_payload(fixture *f)
{
    assert_true(f->script.n_taken > 0 && f->script.first_payload.len > 0);
    return wb_buffer_slice(&f->script.first_payload);
}

static void every_span_and_resource_gets_what_is_added(void **state)
{
    fixture *f = *state;
    static const wb_slice spans_get[] = {WORD("team=red"), WORD("own=ours")};
    static const wb_slice resources_get[] = {WORD("deployment=eu=1"), WORD("service.name=x")};
    const wb_delivery_config config = {.attributes = spans_get,
                                       .n_attributes = 2,
                                       .resource_attributes = resources_get,
                                       .n_resource_attributes = 2};
    const span_spec spec[] = {{.trace = LOW + 1, .span = 1, .attr = "own"},
                              {.trace = HIGH, .span = 2, .attr = "other"}};
    f->options.delivery = &config;
    (void)record_of(f, spec, 2);
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    wb_span_batch batch;
    assert_int_equal(wb_span_batch_open(first_payload(f), &batch, NULL), WB_OK);
    for (uint32_t i = 0; i < 2; i++) {
        wb_span_row row = wb_span_batch_row(&batch, i);
        const wb_slice team = wb_otlp_find_text(row.span, WB_OTLP_SPAN, WB_S("team")),
                       own = wb_otlp_find_text(row.span, WB_OTLP_SPAN, WB_S("own"));
        assert_true(wb_slice_eq(team, WB_S("red")) && wb_slice_eq(own, WB_S("ours")));
        assert_true(wb_slice_eq(
            wb_otlp_find_text(row.resource, WB_OTLP_RESOURCE, WB_S("deployment")), WB_S("eu=1")));
        assert_true(wb_slice_eq(
            wb_otlp_find_text(row.resource, WB_OTLP_RESOURCE, WB_S("service.name")), WB_S("x")));
    }
    wb_span_row second = wb_span_batch_row(&batch, 1);
    assert_true(
        wb_slice_eq(wb_otlp_find_text(second.span, WB_OTLP_SPAN, WB_S("other")), WB_S("value")));
    assert_string_equal(state_of(f, 1), "");
}

static void resources_of_logs_and_metrics_get_theirs_too(void **state)
{
    fixture *f = *state;
    static const wb_slice added[] = {WORD("deployment=eu")};
    const wb_delivery_config config = {
        .ratio = "0", .hold = "0", .resource_attributes = added, .n_resource_attributes = 1};
    const wb_span_origin origin = {.scope_name = WB_S("x")};
    const wb_log_draft log = {.time_ns = 5, .body = WB_S("text")};
    static const char metrics[] = "\x0a\x05\x12\x03\x12\x01\x0a";
    wb_exporter_ops ops = script_ops;
    WB_AUTO_BUFFER logs;
    wb_buffer_init(&logs, 1 << 20);
    assert_int_equal(wb_log_batch_build(&origin, &log, 1, &logs, NULL), WB_OK);
    ops.takes |= WB_KIND_BIT(WB_ENTRY_LOGS) | WB_KIND_BIT(WB_ENTRY_METRICS);
    f->options.ops = &ops;
    f->options.delivery = &config;
    (void)frame_of(f, WB_ENTRY_LOGS, wb_buffer_slice(&logs));
    (void)frame_of(f, WB_ENTRY_METRICS, wb_slice_of(metrics, 7));
    (void)frame_of(f, WB_ENTRY_METRICS, WB_S("no metrics"));
    start(f);
    EVENTUALLY(cursor_is(f, 3));
    wb_log_batch batch;
    assert_int_equal(wb_log_batch_open(first_payload(f), &batch, NULL), WB_OK);
    wb_log_row row = wb_log_batch_row(&batch, 0);
    assert_true(wb_slice_eq(wb_otlp_find_text(row.resource, WB_OTLP_RESOURCE, WB_S("deployment")),
                            WB_S("eu")));
    /* 2 of a Resource, 2 of an attribute, 12 of the key, 6 of the value */
    assert_int_equal(f->script.taken[1].len, 7 + 2 + 2 + 12 + 6);
    assert_int_equal(f->script.taken[2].len, 10);
    finish(f);
}

/* ---- markers -------------------------------------------------------------------------------- */

static void markers_go_to_those_who_ask(void **state)
{
    fixture *f = *state;
    WB_AUTO_BUFFER payload;
    const span_spec marker = {.trace = HIGH, .span = 1};
    wb_delivery_config config = {.markers = false};
    wb_buffer_init(&payload, 1 << 20);
    make_spans(&payload, &marker, 1);
    f->options.ops = &script_parts_ops;
    f->options.delivery = &config;
    uint64_t seq = frame_of(f, WB_ENTRY_MARKERS, wb_buffer_slice(&payload));
    start(f);
    EVENTUALLY(cursor_is(f, seq));
    assert_int_equal(taken(f), 0);
    finish(f);
    config.markers = true;
    start(f);
    EVENTUALLY(cursor_is(f, seq));
    assert_int_equal(taken(f), 1);
    assert_true(has_span(f, 1));
}

#define RUNNER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNER_TEST(a_delivery_that_means_nothing_makes_no_runner),
        RUNNER_TEST(what_is_left_out_is_passed_and_counted),
        RUNNER_TEST(within_a_record_spans_are_chosen_one_by_one),
        RUNNER_TEST(other_kinds_are_not_sampled),
        RUNNER_TEST(without_a_wish_bytes_go_on_as_they_are),
        RUNNER_TEST(two_of_different_ratios_agree),
        RUNNER_TEST(nothing_is_sent_before_it_is_old_enough),
        RUNNER_TEST(what_is_held_is_no_lag_in_time),
        RUNNER_TEST(a_late_error_keeps_the_early_spans_of_its_trace),
        RUNNER_TEST(an_error_that_comes_too_late_keeps_only_what_follows),
        RUNNER_TEST(behind_a_backlog_an_error_some_way_ahead_is_seen),
        RUNNER_TEST(a_delegation_that_opens_keeps_its_trace),
        RUNNER_TEST(a_drain_holds_nothing_back),
        RUNNER_TEST(what_is_held_can_be_skipped),
        RUNNER_TEST(after_a_restart_the_same_is_decided_anew),
        RUNNER_TEST(an_outage_does_not_change_what_was_chosen),
        RUNNER_TEST(too_many_traces_to_know_are_all_kept),
        RUNNER_TEST(every_span_and_resource_gets_what_is_added),
        RUNNER_TEST(resources_of_logs_and_metrics_get_theirs_too),
        RUNNER_TEST(markers_go_to_those_who_ask),
    };
    return cmocka_run_group_tests_name("runner_sampling", tests, NULL, NULL);
}
