/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is read by protobuf-c, and by the walk that checks what comes in. */
#include "proto/metric_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/otlp_walk.h"
#include "tests/support/otlp_oracle.pb-c.h"

enum { START = 1000, NOW = 2000, ARENA = 1 << 20 };

static const wb_bounds seconds = {.n = 2, .unit = WB_BOUNDS_NS, .at = {10000000, 20000000}};
static const wb_bounds tokens = {.n = 3, .unit = WB_BOUNDS_NUMBER, .at = {1, 4, 16}};

static const wb_otlp_attr resource[] = {WB_ATTR_TEXT("service.name", WB_S("planner"))};
static const wb_span_origin origin = {.resource = resource,
                                      .resource_count = 1,
                                      .scope_name = WB_S("waybill"),
                                      .scope_version = WB_S("1")};

typedef struct fixture {
    wb_buffer out;
    wb_arena *arena;
} fixture;

static int setup(void **state)
{
    static fixture f;
    wb_buffer_init(&f.out, ARENA);
    f.arena = wb_arena_new(ARENA);
    *state = &f;
    return f.arena ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->out);
    wb_arena_free(f->arena);
    return 0;
}

static Oracle__MetricsRequest *read_back(fixture *f, uint64_t points)
{
    wb_batch *batch;
    wb_metrics_points counted;
    Oracle__MetricsRequest *read = oracle__metrics_request__unpack(NULL, f->out.len, f->out.ptr);
    assert_non_null(read);
    wb_status status =
        wb_otlp_walk_metrics(wb_buffer_slice(&f->out), f->arena, &batch, &counted, NULL);
    if (status != WB_OK || counted.accepted != points || counted.rejected != 0) {
        oracle__metrics_request__free_unpacked(read, NULL);
        fail_msg("walked: %d", status);
    }
    return read;
}

static void a_counter_is_a_cumulative_monotonic_sum(void **state)
{
    fixture *f = *state;
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("gen_ai.agent.name", WB_S("planner")),
                                  WB_ATTR_TEXT("absent", WB_S("")),
                                  WB_ATTR_INT("server.port", 443)};
    const wb_metric_point points[] = {{.attrs = attrs, .attr_count = 3, .value = UINT64_C(1) << 60},
                                      {.value = 0}};
    const wb_metric_draft metric = {.name = WB_S("waybill.x"),
                                    .description = WB_S("What it is."),
                                    .unit = WB_S("{token}"),
                                    .points = points,
                                    .point_count = 2};
    assert_int_equal(wb_metrics_build(&origin, &metric, 1, START, NOW, &f->out, NULL), WB_OK);
    Oracle__MetricsRequest *read = read_back(f, 2);
    Oracle__ScopeMetrics *scope = read->resource_metrics[0]->scope_metrics[0];
    Oracle__Metric *m = scope->metrics[0];
    assert_string_equal(read->resource_metrics[0]->resource->attributes[0]->value->string_value,
                        "planner");
    assert_string_equal(scope->scope->name, "waybill");
    assert_string_equal(m->name, "waybill.x");
    assert_string_equal(m->description, "What it is.");
    assert_string_equal(m->unit, "{token}");
    assert_int_equal(m->data_case, ORACLE__METRIC__DATA_SUM);
    assert_int_equal(m->sum->aggregation_temporality, 2);
    assert_true(m->sum->is_monotonic);
    assert_int_equal(m->sum->n_data_points, 2);
    Oracle__NumberPoint *p = m->sum->data_points[0];
    assert_int_equal(p->start_time_unix_nano, START);
    assert_int_equal(p->time_unix_nano, NOW);
    assert_int_equal(p->as_int, UINT64_C(1) << 60);
    assert_int_equal(p->n_attributes, 2);
    assert_string_equal(p->attributes[0]->key, "gen_ai.agent.name");
    assert_int_equal(p->attributes[1]->value->int_value, 443);
    assert_int_equal(m->sum->data_points[1]->value_case, ORACLE__NUMBER_POINT__VALUE_AS_INT);
    oracle__metrics_request__free_unpacked(read, NULL);
}

static void a_histogram_has_each_bucket_alone_and_its_times_in_seconds(void **state)
{
    fixture *f = *state;
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("gen_ai.operation.name", WB_S("chat"))};
    const wb_metric_point slow = {.attrs = attrs,
                                  .attr_count = 1,
                                  .histogram = {.upto = {3, 4}, .count = 9, .sum = 1500000000}};
    const wb_metric_point used = {.histogram = {.upto = {0, 2, 2}, .count = 2, .sum = 7}};
    const wb_metric_draft metrics[] = {{.name = WB_S("none"), .bounds = &seconds},
                                       {.name = WB_S("d"),
                                        .unit = WB_S("s"),
                                        .bounds = &seconds,
                                        .points = &slow,
                                        .point_count = 1},
                                       {.name = WB_S("t"),
                                        .unit = WB_S("{token}"),
                                        .bounds = &tokens,
                                        .points = &used,
                                        .point_count = 1}};
    assert_int_equal(wb_metrics_build(&origin, metrics, 3, START, NOW, &f->out, NULL), WB_OK);
    Oracle__MetricsRequest *read = read_back(f, 2);
    Oracle__ScopeMetrics *scope = read->resource_metrics[0]->scope_metrics[0];
    assert_int_equal(scope->n_metrics, 2);
    Oracle__Histogram *d = scope->metrics[0]->histogram, *t = scope->metrics[1]->histogram;
    assert_int_equal(d->aggregation_temporality, 2);
    Oracle__HistogramPoint *p = d->data_points[0];
    assert_int_equal(p->start_time_unix_nano, START);
    assert_int_equal(p->time_unix_nano, NOW);
    assert_int_equal(p->count, 9);
    assert_true(p->sum == 1.5);
    assert_int_equal(p->n_bucket_counts, 3);
    assert_int_equal(p->bucket_counts[0], 3);
    assert_int_equal(p->bucket_counts[1], 1);
    assert_int_equal(p->bucket_counts[2], 5);
    assert_int_equal(p->n_explicit_bounds, 2);
    assert_true(p->explicit_bounds[0] == 0.01 && p->explicit_bounds[1] == 0.02);
    assert_string_equal(p->attributes[0]->value->string_value, "chat");
    p = t->data_points[0];
    assert_true(p->sum == 7 && p->explicit_bounds[2] == 16);
    assert_int_equal(p->n_bucket_counts, 4);
    assert_int_equal(p->bucket_counts[1], 2);
    assert_int_equal(p->bucket_counts[3], 0);
    oracle__metrics_request__free_unpacked(read, NULL);
}

static void nothing_to_say_is_no_bytes(void **state)
{
    fixture *f = *state;
    const wb_metric_draft none = {.name = WB_S("none")};
    assert_int_equal(wb_metrics_build(&origin, &none, 1, START, NOW, &f->out, NULL), WB_OK);
    assert_int_equal(f->out.len, 0);
}

static void what_is_no_text_or_does_not_fit_appends_nothing(void **state)
{
    fixture *f = *state;
    wb_buffer small;
    const wb_otlp_attr bad[] = {WB_ATTR_TEXT("k", WB_S("\xff"))};
    const wb_metric_point point = {.attrs = bad, .attr_count = 1}, good = {.value = 1};
    const wb_metric_draft metric = {.name = WB_S("x"), .points = &point, .point_count = 1};
    const wb_metric_draft fine = {.name = WB_S("x"), .points = &good, .point_count = 1};
    assert_int_equal(wb_metrics_build(&origin, &metric, 1, START, NOW, &f->out, NULL),
                     WB_ERR_MALFORMED);
    wb_buffer_init(&small, 16);
    assert_int_equal(wb_metrics_build(&origin, &fine, 1, START, NOW, &small, NULL),
                     WB_ERR_NO_MEMORY);
    assert_int_equal(f->out.len + small.len, 0);
    wb_buffer_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_counter_is_a_cumulative_monotonic_sum, setup, teardown),
        cmocka_unit_test_setup_teardown(a_histogram_has_each_bucket_alone_and_its_times_in_seconds,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_say_is_no_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_text_or_does_not_fit_appends_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
