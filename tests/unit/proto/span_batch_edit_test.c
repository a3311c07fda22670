/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/span_batch_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_edit.h"
#include "proto/otlp_walk.h"
#include "tests/support/otlp_compare.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, OUT_BYTES = 64 * 1024 * 1024, SEEDS = 800 };

typedef struct fixture {
    wb_arena *arena;
    wb_buffer stored, out;
    wb_span_batch read;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    wb_buffer_init(&f->stored, OUT_BYTES);
    wb_buffer_init(&f->out, OUT_BYTES);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->stored);
    wb_buffer_done(&f->out);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static void store(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    wb_buffer_clear(&f->stored);
    assert_int_equal(wb_otlp_walk(body, NULL, f->arena, &batch, NULL), WB_OK);
    assert_int_equal(wb_span_batch_write(batch, &f->stored, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->stored), &f->read, NULL), WB_OK);
}

static wb_batch *edit(fixture *f, const bool *left_out)
{
    wb_batch *batch = NULL;
    wb_error err = {0};
    if (wb_span_batch_edit(&f->read, left_out, f->arena, &batch, &err) != WB_OK)
        fail_msg("%s", err.detail);
    return batch;
}

static wb_span_batch written(fixture *f, const wb_batch *batch)
{
    wb_span_batch again;
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_span_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &again, NULL), WB_OK);
    return again;
}

static void assert_same_row(const wb_span_row *a, const wb_span_row *b)
{
    assert_true(WB_ID_EQ(a->trace_id, b->trace_id) && WB_ID_EQ(a->span_id, b->span_id) &&
                WB_ID_EQ(a->parent_id, b->parent_id));
    assert_true(a->start_ns == b->start_ns && a->end_ns == b->end_ns && a->flags == b->flags &&
                a->kind == b->kind && a->status_code == b->status_code);
    assert_true(wb_slice_eq(a->name, b->name) && wb_slice_eq(a->span, b->span));
    assert_true(wb_slice_eq(a->scope, b->scope) && wb_slice_eq(a->resource, b->resource));
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_body_that_is_not_what_the_index_says_is_refused(void **state)
{
    fixture *f = *state;
    wb_batch *batch = NULL;
    store(f, wb_sample_llm_spans(3, 1, f->arena));
    size_t index = f->stored.len - f->read.body.len, refused = 0;
    static const uint8_t flips[] = {0x01, 0x80, 0xFF};
    for (size_t at = index; at < f->stored.len; at++) {
        for (size_t k = 0; k < WB_COUNT(flips); k++) {
            f->stored.ptr[at] ^= flips[k];
            batch = NULL;
            if (wb_span_batch_edit(&f->read, NULL, f->arena, &batch, NULL) != WB_OK) {
                assert_null(batch);
                refused++;
            } else {
                (void)written(f, batch);
            }
            f->stored.ptr[at] ^= flips[k];
        }
        wb_arena_reset(f->arena);
    }
    assert_true(refused > 10); /* the envelopes' heads */
}

static void an_index_with_more_or_fewer_spans_than_the_body_is_refused(void **state)
{
    fixture *f = *state;
    wb_batch *batch = NULL;
    store(f, wb_sample_llm_spans(4, 1, f->arena));
    wb_span_batch other = f->read;
    other.span_count = 3;
    assert_int_equal(wb_span_batch_edit(&other, NULL, f->arena, &batch, NULL), WB_ERR_CORRUPT);
    other = f->read;
    other.scope_count = 0;
    assert_int_equal(wb_span_batch_edit(&other, NULL, f->arena, &batch, NULL), WB_ERR_CORRUPT);
    other = f->read;
    other.resource_count = 0;
    assert_int_equal(wb_span_batch_edit(&other, NULL, f->arena, &batch, NULL), WB_ERR_CORRUPT);
    other = f->read;
    other.body.len -= 600; /* without its last span */
    assert_int_equal(wb_span_batch_edit(&other, NULL, f->arena, &batch, NULL), WB_ERR_CORRUPT);
    assert_null(batch);
}

static void an_arena_at_its_limit_is_no_memory(void **state)
{
    fixture *f = *state;
    wb_batch *batch = NULL;
    store(f, wb_sample_llm_spans(50, 1, f->arena));
    for (size_t limit = 64; limit < 6000; limit += 512) {
        WB_AUTO(wb_arena) small = wb_arena_new(limit);
        assert_non_null(small);
        assert_int_equal(wb_span_batch_edit(&f->read, NULL, small, &batch, NULL), WB_ERR_NO_MEMORY);
    }
    assert_null(batch);
}

/* ---- random batches -------------------------------------------------------------------------- */

static void a_batch_that_nobody_touches_comes_out_byte_for_byte(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        store(f, wb_sample_random(seed, false, f->arena));
        (void)written(f, edit(f, NULL));
        assert_true(wb_slice_eq(wb_buffer_slice(&f->out), wb_buffer_slice(&f->stored)));
        wb_arena_reset(f->arena);
    }
}

static void what_is_left_out_is_gone_and_the_rest_is_as_it_was(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t dice = seed;
        bool left_out[4096] = {false};
        store(f, wb_sample_random(seed, seed % 2 == 0, f->arena));
        assert_true(f->read.span_count <= WB_COUNT(left_out));
        for (uint32_t i = 0; i < f->read.span_count; i++)
            left_out[i] = wb_sample_next(&dice) % 3 != 0;
        wb_span_batch again = written(f, edit(f, left_out));
        wb_batch *walked = NULL;
        assert_int_equal(wb_otlp_walk(again.body, NULL, f->arena, &walked, NULL), WB_OK);
        assert_null(wb_oracle_differs(walked, true));
        uint32_t kept = 0;
        for (uint32_t i = 0; i < f->read.span_count; i++) {
            if (left_out[i]) continue;
            wb_span_row was = wb_span_batch_row(&f->read, i);
            wb_span_row is = wb_span_batch_row(&again, kept++);
            assert_same_row(&was, &is);
        }
        assert_int_equal(again.span_count, kept);
        assert_int_equal(walked->span_count, kept);
        wb_arena_reset(f->arena);
    }
}

static wb_slice copy_of(fixture *f, wb_slice body)
{
    wb_slice copy;
    assert_int_equal(wb_arena_dup(f->arena, body, &copy), WB_OK);
    return copy;
}

static void a_copy_of_the_body_gets_the_same_index(void **state)
{
    fixture *f = *state;
    wb_error err = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        wb_batch *batch = NULL;
        bool left_out[4096] = {false};
        store(f, wb_sample_random(seed, false, f->arena));
        wb_slice copy = copy_of(f, f->read.body);
        if (wb_span_batch_edit_copy(&f->read, copy, NULL, f->arena, &batch, &err) != WB_OK)
            fail_msg("%s", err.detail);
        (void)written(f, batch);
        assert_true(wb_slice_eq(wb_buffer_slice(&f->out), wb_buffer_slice(&f->stored)));
        for (uint32_t i = 0; i < f->read.span_count; i++) left_out[i] = i % 2;
        assert_int_equal(wb_span_batch_edit_copy(&f->read, copy, left_out, f->arena, &batch, &err),
                         WB_OK);
        assert_int_equal(written(f, batch).span_count, (f->read.span_count + 1) / 2);
        wb_arena_reset(f->arena);
    }
}

static void a_body_of_other_spans_is_no_copy(void **state)
{
    fixture *f = *state;
    wb_batch *batch = NULL;
    store(f, wb_sample_llm_spans(4, 1, f->arena));
    wb_slice copy = copy_of(f, f->read.body);
    for (uint32_t i = 0; i < f->read.span_count; i++) {
        const wb_span_row row = wb_span_batch_row(&f->read, i);
        uint8_t *id = memmem(copy.ptr, copy.len, row.span_id.b, sizeof row.span_id.b);
        assert_non_null(id);
        *id ^= 1;
        assert_int_equal(wb_span_batch_edit_copy(&f->read, copy, NULL, f->arena, &batch, NULL),
                         WB_ERR_CORRUPT);
        *id ^= 1;
    }
    copy.len -= 600;
    assert_int_equal(wb_span_batch_edit_copy(&f->read, copy, NULL, f->arena, &batch, NULL),
                     WB_ERR_CORRUPT);
    assert_null(batch);
}

static void it_can_be_cut_again_and_again(void **state)
{
    fixture *f = *state;
    bool left_out[8] = {true};
    store(f, wb_sample_llm_spans(8, 1, f->arena));
    for (uint32_t left = 8; left > 1; left--) {
        wb_span_row second = wb_span_batch_row(&f->read, 1);
        wb_span_id id = second.span_id;
        wb_span_batch again = written(f, edit(f, left_out));
        assert_int_equal(again.span_count, left - 1);
        wb_buffer_clear(&f->stored);
        assert_int_equal(wb_buffer_add_slice(&f->stored, wb_buffer_slice(&f->out)), WB_OK);
        assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->stored), &f->read, NULL), WB_OK);
        second = wb_span_batch_row(&f->read, 0);
        assert_true(WB_ID_EQ(second.span_id, id));
    }
}

/* ---- edits ----------------------------------------------------------------------------------- */

static void a_trace_state_is_replaced_and_erased(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 1; seed <= SEEDS / 4; seed++) {
        store(f, wb_sample_random(seed, false, f->arena));
        wb_batch *batch = edit(f, NULL);
        for (uint32_t i = 0; i < batch->span_count; i++) {
            wb_slice text = i % 2 ? WB_S("ot=th:c,a=b") : WB_S("");
            assert_int_equal(wb_otlp_set_trace_state(batch, &batch->spans[i], WB_S("x=y")), WB_OK);
            assert_int_equal(wb_otlp_set_trace_state(batch, &batch->spans[i], text), WB_OK);
        }
        wb_span_batch again = written(f, batch);
        assert_true(wb_oracle_unpacks(again.body));
        for (uint32_t i = 0; i < again.span_count; i++) {
            wb_span_row row = wb_span_batch_row(&again, i);
            wb_span_row was = wb_span_batch_row(&f->read, i);
            wb_slice got = wb_otlp_read_span(row.span).trace_state;
            assert_true(wb_slice_eq(got, i % 2 ? WB_S("ot=th:c,a=b") : WB_S("")));
            assert_true(wb_slice_eq(row.name, was.name));
        }
        wb_arena_reset(f->arena);
    }
}

static size_t count_key(wb_slice message, wb_otlp_owner owner, wb_slice key)
{
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    size_t n = 0;
    while (wb_otlp_next_attr(&it, owner, &attr)) n += wb_slice_eq(attr.key, key);
    return n;
}

static void an_attribute_replaces_those_of_its_key(void **state)
{
    fixture *f = *state;
    const wb_value value = {.type = WB_VALUE_TEXT, .text = WB_S("ours")};
    store(f, wb_sample_llm_spans(3, 1, f->arena));
    wb_span_row first = wb_span_batch_row(&f->read, 0);
    wb_otlp_iter it = {first.span};
    wb_otlp_attr attr;
    assert_true(wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr));
    wb_batch *batch = edit(f, NULL);
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_span *span = &batch->spans[i];
        assert_int_equal(
            wb_otlp_mask_key(batch, &span->attrs, WB_OTLP_SPAN, span->extent, attr.key), WB_OK);
        assert_int_equal(wb_otlp_append_attr(batch, &span->attrs, WB_OTLP_SPAN, attr.key, value),
                         WB_OK);
    }
    wb_span_batch again = written(f, batch);
    assert_true(wb_oracle_unpacks(again.body));
    for (uint32_t i = 0; i < again.span_count; i++) {
        wb_span_row row = wb_span_batch_row(&again, i);
        assert_int_equal(count_key(row.span, WB_OTLP_SPAN, attr.key), 1);
        assert_true(wb_slice_eq(wb_otlp_find_text(row.span, WB_OTLP_SPAN, attr.key), WB_S("ours")));
    }
}

static void a_resource_that_was_not_there_comes_with_its_attribute(void **state)
{
    fixture *f = *state;
    maker m = {.arena = f->arena};
    const wb_value value = {.type = WB_VALUE_TEXT, .text = WB_S("v")};
    store(f, in_envelope(&m, good_ids(&m)));
    wb_batch *batch = edit(f, NULL);
    wb_resource_spans *group = &batch->resources[0];
    assert_int_equal(group->resource.at, 0);
    assert_int_equal(
        wb_otlp_mask_key(batch, &group->attrs, WB_OTLP_RESOURCE, group->resource, WB_S("k")),
        WB_OK);
    assert_int_equal(wb_otlp_append_attr(batch, &group->attrs, WB_OTLP_RESOURCE, WB_S("k"), value),
                     WB_OK);
    wb_span_batch again = written(f, batch);
    wb_span_row row = wb_span_batch_row(&again, 0);
    assert_true(
        wb_slice_eq(wb_otlp_find_text(row.resource, WB_OTLP_RESOURCE, WB_S("k")), WB_S("v")));
}

/* ---- logs and metrics ------------------------------------------------------------------------ */

static void add_to_resource(wb_batch *batch)
{
    const wb_value value = {.type = WB_VALUE_TEXT, .text = WB_S("v")};
    assert_int_equal(batch->resource_count, 1);
    wb_resource_spans *group = &batch->resources[0];
    assert_int_equal(wb_otlp_append_attr(batch, &group->attrs, WB_OTLP_RESOURCE, WB_S("k"), value),
                     WB_OK);
}

static void log_records_stay_while_their_resource_gets_something(void **state)
{
    fixture *f = *state;
    wb_log_batch stored, again;
    wb_batch *batch = NULL;
    const wb_otlp_attr service = WB_ATTR_TEXT("service.name", WB_S("agent"));
    const wb_span_origin origin = {&service, 1, WB_S("scope"), WB_S("1")};
    const wb_log_draft logs[] = {{.trace_id = {{1}},
                                  .span_id = {{2}},
                                  .time_ns = 5,
                                  .observed_ns = 6,
                                  .severity = WB_SEVERITY_WARN,
                                  .event_name = WB_S("event"),
                                  .body = WB_S("text")},
                                 {.time_ns = 7, .body = WB_S("more")}};
    assert_int_equal(wb_log_batch_build(&origin, logs, 2, &f->stored, NULL), WB_OK);
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&f->stored), &stored, NULL), WB_OK);
    assert_int_equal(wb_log_batch_edit(&stored, f->arena, &batch, NULL), WB_OK);
    assert_int_equal(wb_log_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&f->out), &again, NULL), WB_OK);
    assert_true(wb_slice_eq(again.body, stored.body));
    wb_buffer_clear(&f->out);
    add_to_resource(batch);
    assert_int_equal(wb_log_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&f->out), &again, NULL), WB_OK);
    assert_int_equal(again.log_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        wb_log_row was = wb_log_batch_row(&stored, i), is = wb_log_batch_row(&again, i);
        assert_true(wb_slice_eq(was.log, is.log) && wb_slice_eq(was.event_name, is.event_name));
        assert_true(was.time_ns == is.time_ns && was.observed_ns == is.observed_ns &&
                    was.severity == is.severity && WB_ID_EQ(was.trace_id, is.trace_id));
        assert_true(
            wb_slice_eq(wb_otlp_find_text(is.resource, WB_OTLP_RESOURCE, WB_S("k")), WB_S("v")));
        assert_true(wb_slice_eq(
            wb_otlp_find_text(is.resource, WB_OTLP_RESOURCE, WB_S("service.name")), WB_S("agent")));
    }
    stored.log_count = 1;
    assert_int_equal(wb_log_batch_edit(&stored, f->arena, &batch, NULL), WB_ERR_CORRUPT);
}

static void metrics_stay_while_their_resource_gets_something(void **state)
{
    fixture *f = *state;
    maker m = {.arena = f->arena};
    wb_batch *batch = NULL;
    wb_slice metric = make_len(&m, 2, make_len(&m, 1, WB_S("requests")));
    const wb_slice two[] = {metric, metric};
    wb_slice scope = make_len(&m, 2, make_joined(&m, two, 2));
    wb_slice body = make_len(&m, 1, scope);
    assert_int_equal(wb_metrics_edit(body, f->arena, &batch, NULL), WB_OK);
    assert_int_equal(batch->span_count, 2);
    assert_int_equal(wb_metrics_write(batch, &f->out, NULL), WB_OK);
    assert_true(wb_slice_eq(wb_buffer_slice(&f->out), body));
    wb_buffer_clear(&f->out);
    add_to_resource(batch);
    assert_int_equal(wb_metrics_write(batch, &f->out, NULL), WB_OK);
    wb_slice key = make_len(&m, 1, WB_S("k")), value = make_len(&m, 2, make_len(&m, 1, WB_S("v")));
    const wb_slice pair[] = {key, value};
    const wb_slice parts[] = {make_len(&m, 1, make_len(&m, 1, make_joined(&m, pair, 2))), scope};
    assert_true(wb_slice_eq(wb_buffer_slice(&f->out), make_len(&m, 1, make_joined(&m, parts, 2))));
}

static void what_is_no_metrics_request_is_refused(void **state)
{
    fixture *f = *state;
    maker m = {.arena = f->arena};
    wb_batch *batch = NULL;
    const wb_slice bad[] = {WB_S("\xff"), make_len(&m, 1, WB_S("\x0f")),
                            make_len(&m, 1, make_len(&m, 2, WB_S("\x12\x05x"))),
                            make_len(&m, 1, WB_S("\x10\x01"))};
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        assert_int_equal(wb_metrics_edit(bad[i], f->arena, &batch, NULL), WB_ERR_CORRUPT);
    assert_null(batch);
    assert_int_equal(wb_metrics_edit(WB_S(""), f->arena, &batch, NULL), WB_OK);
}

#define EDIT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDIT_TEST(a_body_that_is_not_what_the_index_says_is_refused),
        EDIT_TEST(an_index_with_more_or_fewer_spans_than_the_body_is_refused),
        EDIT_TEST(an_arena_at_its_limit_is_no_memory),
        EDIT_TEST(a_batch_that_nobody_touches_comes_out_byte_for_byte),
        EDIT_TEST(what_is_left_out_is_gone_and_the_rest_is_as_it_was),
        EDIT_TEST(a_copy_of_the_body_gets_the_same_index),
        EDIT_TEST(a_body_of_other_spans_is_no_copy),
        EDIT_TEST(it_can_be_cut_again_and_again),
        EDIT_TEST(a_trace_state_is_replaced_and_erased),
        EDIT_TEST(an_attribute_replaces_those_of_its_key),
        EDIT_TEST(a_resource_that_was_not_there_comes_with_its_attribute),
        EDIT_TEST(log_records_stay_while_their_resource_gets_something),
        EDIT_TEST(metrics_stay_while_their_resource_gets_something),
        EDIT_TEST(what_is_no_metrics_request_is_refused),
    };
    return cmocka_run_group_tests_name("span_batch_edit", tests, NULL, NULL);
}
