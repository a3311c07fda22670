/* SPDX-License-Identifier: Apache-2.0 */
/* The guard stage, run as receivers run it: walk with the pipeline's keys, run, render. */
#include "sidecar/pipeline/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/log_batch.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/pipeline.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, SEEDS = 500 };

typedef struct fixture {
    wb_pipeline *pipeline;
    wb_arena *arena;
    wb_buffer out;
    wb_span_batch read;
    maker m;
} fixture;

static const wb_stage_view no_view = {.rehome = NULL}; /* no span moves */

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, ARENA_BYTES);
    assert_int_equal(wb_pipeline_new(&f->pipeline, NULL), WB_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->out);
    wb_pipeline_free(f->pipeline);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static void pass(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_pipeline_run(f->pipeline, &no_view, batch, NULL), WB_OK);
    assert_int_equal(wb_span_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
}

static wb_slice text_attr(maker *m, uint32_t field, wb_slice key, wb_slice value)
{
    wb_slice kv[] = {make_len(m, 1, key), make_len(m, 2, make_len(m, 1, value))};
    return make_len(m, field, make_joined(m, kv, 2));
}

/* The attributes of a span that arrived with these. */
static wb_slice guarded_span(fixture *f, const wb_slice *attrs, size_t n)
{
    wb_slice fields[8] = {good_ids(&f->m)};
    memcpy(fields + 1, attrs, n * sizeof *attrs);
    pass(f, in_envelope(&f->m, make_joined(&f->m, fields, n + 1)));
    assert_int_equal(f->read.span_count, 1);
    return wb_span_batch_row(&f->read, 0).span;
}

static bool has(wb_slice message, wb_otlp_owner owner, wb_slice key)
{
    wb_value value;
    return wb_otlp_find_attr(message, owner, key, &value);
}

static void guard_takes_waybills_name_from_what_arrives(void **state)
{
    fixture *f = *state;
    static const wb_slice keys[] = {WB_S("waybill."),
                                    WB_S("waybill.token.verdict"),
                                    WB_S("waybill.cost.own_micros"),
                                    WB_S("waybill.span.types"),
                                    WB_S("waybill.acceptance.id.x"),
                                    WB_S("waybill.claimed"),
                                    WB_S("waybill.claimed.trace_id")};
    for (size_t i = 0; i < WB_COUNT(keys); i++) {
        wb_slice attr = text_attr(&f->m, 9, keys[i], WB_S("forged"));
        wb_slice span = guarded_span(f, &attr, 1);
        const wb_slice claimed[] = {WB_S("claimed."), keys[i]};
        assert_false(has(span, WB_OTLP_SPAN, keys[i]));
        assert_true(wb_slice_eq(
            wb_otlp_find_text(span, WB_OTLP_SPAN, make_joined(&f->m, claimed, 2)), WB_S("forged")));
    }
}

static void guard_takes_it_from_resources_without_exception(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice attrs[] = {text_attr(m, 1, WB_S("waybill.span.type"), WB_S("agent")),
                        text_attr(m, 1, WB_S("service.name"), WB_S("planner"))};
    wb_slice group[] = {make_len(m, 1, make_joined(m, attrs, 2)),
                        make_len(m, 2, make_len(m, 2, good_ids(m)))};
    pass(f, make_len(m, 1, make_joined(m, group, 2)));
    wb_slice resource = wb_span_batch_row(&f->read, 0).resource;
    assert_false(has(resource, WB_OTLP_RESOURCE, WB_S("waybill.span.type")));
    assert_true(has(resource, WB_OTLP_RESOURCE, WB_S("claimed.waybill.span.type")));
    assert_true(has(resource, WB_OTLP_RESOURCE, WB_S("service.name")));
}

static void guard_takes_an_acceptance_id_that_is_no_id(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const wb_slice bad[] = {WB_S(""), WB_S("0123"), WB_S("0123456789ABCDEF0123456789abcdef"),
                                   WB_S("0123456789abcdef0123456789abcdef0"),
                                   WB_S("0123456789abcdef0123456789abcdeg")};
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        wb_slice attr = text_attr(m, 9, WB_S("waybill.acceptance.id"), bad[i]);
        wb_slice span = guarded_span(f, &attr, 1);
        assert_false(has(span, WB_OTLP_SPAN, WB_S("waybill.acceptance.id")));
        assert_true(has(span, WB_OTLP_SPAN, WB_S("claimed.waybill.acceptance.id")));
    }
    wb_slice kv[] = {make_len(m, 1, WB_S("waybill.acceptance.id")),
                     make_len(m, 2, WB_S("\x18\x01"))};
    wb_slice number = make_len(m, 9, make_joined(m, kv, 2));
    assert_false(has(guarded_span(f, &number, 1), WB_OTLP_SPAN, WB_S("waybill.acceptance.id")));
}

static void guard_leaves_a_span_its_type_and_acceptance(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice fields[] = {
        good_ids(m), text_attr(m, 9, WB_S("waybill.span.type"), WB_S("tool_call")),
        text_attr(m, 9, WB_S("waybill.acceptance.id"), WB_S("0123456789abcdef0123456789abcdef")),
        text_attr(m, 9, WB_S("claimed.waybill.x"), WB_S("said so itself"))};
    wb_slice body = in_envelope(m, make_joined(m, fields, 4));
    pass(f, body);
    assert_true(wb_slice_eq(f->read.body, body));
}

static void guard_leaves_only_the_first_of_two(void **state)
{
    fixture *f = *state;
    wb_slice two[] = {text_attr(&f->m, 9, WB_S("waybill.span.type"), WB_S("agent")),
                      text_attr(&f->m, 9, WB_S("waybill.span.type"), WB_S("llm_call"))};
    wb_slice span = guarded_span(f, two, 2);
    assert_true(wb_slice_eq(wb_otlp_find_text(span, WB_OTLP_SPAN, WB_S("waybill.span.type")),
                            WB_S("agent")));
    assert_true(
        wb_slice_eq(wb_otlp_find_text(span, WB_OTLP_SPAN, WB_S("claimed.waybill.span.type")),
                    WB_S("llm_call")));
}

static void no_forged_name_leaves_the_pipeline(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        pass(f, wb_sample_random(seed, seed % 2 == 0, f->arena));
        for (uint32_t i = 0; i < f->read.span_count; i++) {
            wb_span_row row = wb_span_batch_row(&f->read, i);
            wb_otlp_iter span = {row.span}, resource = {row.resource};
            wb_otlp_attr attr;
            unsigned types = 0, acceptances = 0;
            while (wb_otlp_next_attr(&span, WB_OTLP_SPAN, &attr)) {
                if (wb_slice_eq(attr.key, WB_S("waybill.span.type")))
                    types++;
                else if (wb_slice_eq(attr.key, WB_S("waybill.acceptance.id")))
                    acceptances++;
                else
                    assert_false(wb_slice_starts(attr.key, WB_S("waybill.")));
            }
            assert_true(types <= 1 && acceptances <= 1);
            while (wb_otlp_next_attr(&resource, WB_OTLP_RESOURCE, &attr))
                assert_false(wb_slice_starts(attr.key, WB_S("waybill.")));
        }
        wb_arena_reset(f->arena);
    }
}

static void run_stops_at_the_arenas_limit(void **state)
{
    fixture *f = *state;
    wb_slice attr = text_attr(&f->m, 9, WB_S("waybill.x"), make_fill(&f->m, 3000, 'x'));
    wb_slice fields[] = {good_ids(&f->m), attr};
    wb_slice body = in_envelope(&f->m, make_joined(&f->m, fields, 2));
    WB_AUTO(wb_arena) small = wb_arena_new(7000);
    wb_batch *batch = NULL;
    wb_error err;
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), small, &batch, NULL), WB_OK);
    while (wb_arena_used(small) < 6000) assert_non_null(wb_arena_alloc(small, 16));
    assert_int_equal(wb_pipeline_run(f->pipeline, &no_view, batch, &err), WB_ERR_NO_MEMORY);
}

/* ResourceLogs 1 { ScopeLogs 2 { LogRecord 2 } }, as spans are wrapped. */
static void guard_leaves_a_log_record_its_acceptance_and_nothing_else(void **state)
{
    static const char id[] = "00112233445566778899aabbccddeeff";
    fixture *f = *state;
    const wb_slice attrs[] = {
        text_attr(&f->m, WB_OTLP_LOG, WB_S("waybill.acceptance.id"), wb_slice_str(id)),
        text_attr(&f->m, WB_OTLP_LOG, WB_S("waybill.span.type"), WB_S("llm_call")),
        text_attr(&f->m, WB_OTLP_LOG, WB_S("waybill.delegation.id"), wb_slice_str(id)),
        text_attr(&f->m, WB_OTLP_LOG, WB_S("plain"), WB_S("stays")),
    };
    wb_batch *batch = NULL;
    wb_log_batch read;
    wb_slice record = make_len(&f->m, 2, make_joined(&f->m, attrs, WB_COUNT(attrs)));
    wb_slice body = make_len(&f->m, 1, make_len(&f->m, 2, record));
    assert_int_equal(wb_otlp_walk_logs(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_pipeline_run_logs(f->pipeline, &no_view, batch, NULL), WB_OK);
    assert_int_equal(wb_log_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&f->out), &read, NULL), WB_OK);
    assert_int_equal(read.log_count, 1);
    wb_slice log = wb_log_batch_row(&read, 0).log;
    assert_true(has(log, WB_OTLP_LOG, WB_S("waybill.acceptance.id")));
    assert_true(has(log, WB_OTLP_LOG, WB_S("claimed.waybill.span.type")));
    assert_true(has(log, WB_OTLP_LOG, WB_S("claimed.waybill.delegation.id")));
    assert_true(has(log, WB_OTLP_LOG, WB_S("plain")));
    assert_false(has(log, WB_OTLP_LOG, WB_S("waybill.span.type")));
    assert_false(has(log, WB_OTLP_LOG, WB_S("waybill.delegation.id")));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(guard_takes_waybills_name_from_what_arrives),
        CASE(guard_takes_it_from_resources_without_exception),
        CASE(guard_takes_an_acceptance_id_that_is_no_id),
        CASE(guard_leaves_a_span_its_type_and_acceptance),
        CASE(guard_leaves_only_the_first_of_two),
        CASE(no_forged_name_leaves_the_pipeline),
        CASE(guard_leaves_a_log_record_its_acceptance_and_nothing_else),
        CASE(run_stops_at_the_arenas_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
