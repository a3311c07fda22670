/* SPDX-License-Identifier: Apache-2.0 */
/* Random bodies, good and bad: tests/vectors/test_otlp_oracle.py. */
#include "proto/otlp_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, OUT_BYTES = 1024 * 1024 };
enum { GAUGE = 5, SUM = 7, HISTOGRAM = 9, EXPONENTIAL = 10, SUMMARY = 11 };

typedef struct fixture {
    wb_arena *arena;
    maker m;
    wb_buffer out;
    wb_metrics_points points;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, OUT_BYTES);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->out);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_status walk(fixture *f, wb_slice body, wb_batch **batch)
{
    *batch = NULL;
    f->points = (wb_metrics_points){77, 77};
    return wb_otlp_walk_metrics(body, f->arena, batch, &f->points, NULL);
}

/* A metric of that kind with one data point. */
static wb_slice metric(fixture *f, uint32_t kind, wb_slice point)
{
    return make_len(&f->m, kind, make_len(&f->m, 1, point));
}

static void assert_malformed(fixture *f, const char *what, wb_slice metric_bytes)
{
    wb_batch *batch;
    wb_status status = walk(f, in_envelope(&f->m, metric_bytes), &batch);
    if (status != WB_ERR_MALFORMED || batch) fail_msg("%s: %s", what, wb_status_name(status));
    assert_int_equal(f->points.accepted, 77);
}

static void walk_refuses_a_known_field_of_another_wire_type(void **state)
{
    fixture *f = *state;
    /* by number from 1; 0 varint, 1 fixed64, 2 bytes, p a packed list of fixed64 */
    static const struct {
        uint32_t kind;
        const char *types;
    } points[] = {{GAUGE, "-1112120"},
                  {SUM, "-1112120"},
                  {HISTOGRAM, "-1111pp22011"},
                  {EXPONENTIAL, "21111012202111"},
                  {SUMMARY, "-1111220"}};
    for (size_t k = 0; k < WB_COUNT(points); k++) {
        for (uint32_t number = 1; number <= strlen(points[k].types); number++) {
            char right = points[k].types[number - 1];
            for (unsigned type = 0; type <= 2; type++) {
                bool fits = right == '-' || right == (char)('0' + type) || (right == 'p' && type);
                wb_slice point = make_raw(&f->m, number, type, WB_S("\0\0\0\0\0\0\0\0"));
                if (type == 2) point = make_len(&f->m, number, WB_S(""));
                wb_batch *batch;
                wb_slice body = in_envelope(&f->m, metric(f, points[k].kind, point));
                if (walk(f, body, &batch) != (fits ? WB_OK : WB_ERR_MALFORMED))
                    fail_msg("kind %u: field %u as %u", points[k].kind, number, type);
            }
        }
    }
}

static void walk_refuses_what_protobuf_would_merge(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice none = WB_S("");
    wb_slice kinds[] = {make_len(m, GAUGE, none), make_len(m, SUM, none)};
    wb_slice same[] = {make_len(m, GAUGE, none), make_len(m, GAUGE, none)};
    wb_slice values[] = {WB_S("\x21\0\0\0\0\0\0\0\0"), WB_S("\x31\0\0\0\0\0\0\0\0")};
    wb_slice buckets[] = {make_len(m, 8, none), make_len(m, 8, none)};
    assert_malformed(f, "two kinds", make_joined(m, kinds, 2));
    assert_malformed(f, "one kind twice", make_joined(m, same, 2));
    assert_malformed(f, "two values", metric(f, GAUGE, make_joined(m, values, 2)));
    assert_malformed(f, "two positive", metric(f, EXPONENTIAL, make_joined(m, buckets, 2)));
}

static void walk_refuses_garbage_at_every_depth(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice bad = WB_S("\x0a\x7f");
    assert_malformed(f, "metric", bad);
    assert_malformed(f, "gauge", make_len(m, GAUGE, bad));
    assert_malformed(f, "point", metric(f, SUM, bad));
    assert_malformed(f, "exemplar", metric(f, GAUGE, make_len(m, 5, bad)));
    assert_malformed(f, "exemplar's attribute",
                     metric(f, GAUGE, make_len(m, 5, make_len(m, 7, bad))));
    assert_malformed(f, "attribute", metric(f, HISTOGRAM, make_len(m, 9, bad)));
    assert_malformed(f, "buckets", metric(f, EXPONENTIAL, make_len(m, 8, bad)));
    assert_malformed(f, "quantile", metric(f, SUMMARY, make_len(m, 6, bad)));
    assert_malformed(f, "metadata", make_len(m, 12, make_len(m, 2, bad)));
    assert_malformed(f, "seven bytes of fixed64",
                     metric(f, HISTOGRAM, make_len(m, 6, WB_S("1234567"))));
    assert_malformed(f, "a varint cut off",
                     metric(f, EXPONENTIAL, make_len(m, 8, make_len(m, 2, WB_S("\1\x80")))));
}

/* The bad metric is left out with its points, a good one beside it stays. */
static void assert_rejected(fixture *f, const char *what, wb_slice bad)
{
    maker *m = &f->m;
    wb_batch *batch;
    wb_slice good = make_len(m, 2, metric(f, GAUGE, WB_S("")));
    wb_slice both[] = {make_len(m, 2, bad), good};
    if (walk(f, in_envelope_all(m, make_joined(m, both, 2)), &batch) != WB_OK)
        fail_msg("%s: refused the body", what);
    if (batch->span_count != 1 || batch->rejected_count != 1) fail_msg("%s: not rejected", what);
    assert_int_equal(f->points.accepted, 1);
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_metrics_write(batch, &f->out, NULL), WB_OK);
    assert_true(wb_slice_eq(wb_buffer_slice(&f->out), in_envelope_all(m, good)));
}

static void walk_rejects_metrics_that_no_backend_could_take(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice bad = make_len(m, 1, WB_S("\xff"));
    wb_slice attr = make_len(m, 7, make_len(m, 1, WB_S("k")));
    wb_slice two[] = {make_len(m, 1, WB_S("")), make_len(m, 1, make_len(m, 7, bad))};
    assert_rejected(f, "name", bad);
    assert_int_equal(f->points.rejected, 0);
    assert_rejected(f, "description", make_len(m, 2, WB_S("\xff")));
    assert_rejected(f, "unit", make_len(m, 3, WB_S("\xff")));
    assert_rejected(f, "metadata", make_len(m, 12, bad));
    assert_rejected(f, "point's key", make_len(m, SUM, make_joined(m, two, 2)));
    assert_int_equal(f->points.rejected, 2);
    assert_rejected(f, "1025 attributes",
                    metric(f, GAUGE, make_repeated(m, attr, WB_OTLP_ATTRS_MAX + 1)));
    wb_slice short_id = make_len(m, 5, make_len(m, 4, WB_S("1234567")));
    assert_rejected(f, "exemplar's span id", metric(f, GAUGE, short_id));
    wb_slice long_id = make_len(m, 8, make_len(m, 5, WB_S("12345678901234567")));
    assert_rejected(f, "exemplar's trace id", metric(f, HISTOGRAM, long_id));
    assert_int_equal(f->points.rejected, 1);
}

static void walk_counts_the_points_of_all_kinds(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch;
    static const uint32_t kinds[] = {GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY};
    wb_slice metrics[WB_COUNT(kinds) + 1];
    for (size_t i = 0; i < WB_COUNT(kinds); i++)
        metrics[i] = make_len(m, 2, make_len(m, kinds[i], make_repeated(m, WB_S("\x0a\0"), i + 1)));
    metrics[WB_COUNT(kinds)] = WB_S("\x12\0");
    wb_slice scope = make_joined(m, metrics, WB_COUNT(metrics));
    assert_int_equal(walk(f, in_envelope_all(m, scope), &batch), WB_OK);
    assert_true(f->points.accepted == 15 && f->points.rejected == 0 && batch->span_count == 6);
    wb_slice bad_scope[] = {make_len(m, 1, make_len(m, 1, WB_S("\xff"))), scope};
    wb_slice body = in_envelope_all(m, make_joined(m, bad_scope, 2));
    assert_int_equal(walk(f, body, &batch), WB_OK);
    assert_true(f->points.accepted == 0 && f->points.rejected == 15 && batch->span_count == 0);
}

static void what_is_written_is_what_arrived(void **state)
{
    fixture *f = *state;
    wb_batch *batch;
    wb_slice body = in_envelope(&f->m, metric(f, GAUGE, WB_S("\xba\x3e\1x"))); /* unknown field */
    assert_int_equal(walk(f, body, &batch), WB_OK);
    assert_int_equal(wb_metrics_write(batch, &f->out, NULL), WB_OK);
    assert_true(wb_slice_eq(wb_buffer_slice(&f->out), body));
    wb_buffer_clear(&f->out);
    assert_int_equal(walk(f, WB_S(""), &batch), WB_OK);
    assert_int_equal(wb_metrics_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(f->out.len, 0);
    assert_int_equal(walk(f, body, &batch), WB_OK);
    WB_AUTO_BUFFER small;
    wb_error err;
    wb_buffer_init(&small, body.len - 1);
    assert_int_equal(wb_metrics_write(batch, &small, &err), WB_ERR_NO_MEMORY);
    assert_int_equal(small.len, 0);
    WB_AUTO(wb_arena) none = wb_arena_new(0);
    assert_non_null(none);
    batch = NULL;
    assert_int_equal(wb_otlp_walk_metrics(body, none, &batch, &f->points, NULL), WB_ERR_NO_MEMORY);
    assert_null(batch);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(walk_refuses_a_known_field_of_another_wire_type),
        CASE(walk_refuses_what_protobuf_would_merge),
        CASE(walk_refuses_garbage_at_every_depth),
        CASE(walk_rejects_metrics_that_no_backend_could_take),
        CASE(walk_counts_the_points_of_all_kinds),
        CASE(what_is_written_is_what_arrived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
