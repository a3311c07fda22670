/* SPDX-License-Identifier: Apache-2.0 */
/* What log batches share with span batches (rendering, resource and scope rows): span_batch_test.c. Random
 * bodies and their rows, read by the published layout: tests/vectors/test_otlp_oracle.py. */
#include "proto/log_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_edit.h"
#include "proto/otlp_walk.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, OUT_BYTES = 1024 * 1024 };

static const wb_slice prefixes[] = {{(const uint8_t *)"k", 1}};

typedef struct fixture {
    wb_arena *arena;
    wb_key_set *keys;
    wb_buffer out;
    wb_log_batch read;
    maker m;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, OUT_BYTES);
    assert_int_equal(wb_key_set_new(NULL, 0, prefixes, 1, &f->keys, NULL), WB_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_key_set_free(f->keys);
    wb_buffer_done(&f->out);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_batch *walked(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    assert_int_equal(wb_otlp_walk_logs(body, f->keys, f->arena, &batch, NULL), WB_OK);
    return batch;
}

static void write_and_open(fixture *f, const wb_batch *batch)
{
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_log_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
}

/* Three records under a resource and a scope: one with ids and an event name, one that is rejected, one that
 * is empty. */
static wb_slice sample(fixture *f)
{
    maker *m = &f->m;
    wb_slice attr[] = {make_len(m, 1, WB_S("key")), make_len(m, 2, make_len(m, 1, WB_S("value")))};
    wb_slice fields[] = {WB_S("\x09\1\0\0\0\0\0\0\0"),
                         make_len(m, 6, make_joined(m, attr, 2)),
                         WB_S("\x10\x09"),
                         make_len(m, 12, WB_S("event")),
                         make_len(m, 9, WB_S("abcdefghijklmnop")),
                         make_len(m, 10, WB_S("ABCDEFGH")),
                         WB_S("\x59\2\0\0\0\0\0\0\0")};
    wb_slice scope[] = {make_len(m, 1, make_len(m, 1, WB_S("scope"))),
                        make_len(m, 2, make_joined(m, fields, WB_COUNT(fields))),
                        make_len(m, 2, make_len(m, 3, WB_S("\xff"))), WB_S("\x12\0")};
    wb_slice group[] = {make_len(m, 1, make_len(m, 1, make_joined(m, attr, 2))),
                        make_len(m, 2, make_joined(m, scope, WB_COUNT(scope)))};
    return make_len(m, 1, make_joined(m, group, 2));
}

static bool within(wb_slice outer, wb_slice inner)
{
    return inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len;
}

static void open_refuses_what_is_no_log_batch(void **state)
{
    fixture *f = *state;
    wb_log_batch untouched = {.log_count = 77};
    write_and_open(f, walked(f, sample(f)));
    wb_slice good = wb_buffer_slice(&f->out);
    for (size_t len = 0; len < good.len; len++)
        assert_int_equal(wb_log_batch_open((wb_slice){good.ptr, len}, &untouched, NULL),
                         WB_ERR_CORRUPT);
    wb_span_batch spans;
    assert_int_equal(wb_span_batch_open(good, &spans, NULL), WB_ERR_CORRUPT);
    f->out.ptr[1] = 'S';
    assert_int_equal(wb_log_batch_open(good, &untouched, NULL), WB_ERR_CORRUPT);
    assert_int_equal(untouched.log_count, 77);
}

static void open_never_lets_a_row_point_outside(void **state)
{
    fixture *f = *state;
    static const uint8_t hostile[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    write_and_open(f, walked(f, sample(f)));
    size_t index = f->out.len - f->read.body.len, refused = 0;
    for (size_t at = 0; at < index * WB_COUNT(hostile); at++) {
        wb_log_batch read;
        uint8_t *byte = &f->out.ptr[at / WB_COUNT(hostile)], was = *byte;
        *byte = hostile[at % WB_COUNT(hostile)];
        bool opens = wb_log_batch_open(wb_buffer_slice(&f->out), &read, NULL) == WB_OK;
        refused += !opens;
        for (uint32_t i = 0; opens && i < read.log_count; i++) {
            wb_log_row row = wb_log_batch_row(&read, i);
            assert_true(within(read.body, row.log) && within(row.log, row.event_name));
            assert_true(within(read.body, row.scope) && within(read.body, row.resource));
            assert_true(row.severity <= WB_SEVERITY_MAX);
        }
        *byte = was;
    }
    assert_true(refused > index / 2); /* some values are good in some places */
}

static void rows_say_what_the_records_say(void **state)
{
    fixture *f = *state;
    const wb_batch *batch = walked(f, sample(f));
    assert_int_equal(batch->rejected_count, 1);
    write_and_open(f, batch);
    assert_true(f->read.log_count == 2 && f->read.scope_count == 1 && f->read.resource_count == 1);
    wb_log_row row = wb_log_batch_row(&f->read, 0);
    assert_memory_equal(row.trace_id.b, "abcdefghijklmnop", 16);
    assert_memory_equal(row.span_id.b, "ABCDEFGH", 8);
    assert_true(row.time_ns == 1 && row.observed_ns == 2 && row.severity == WB_SEVERITY_INFO);
    assert_true(wb_slice_eq(row.event_name, WB_S("event")));
    assert_true(wb_slice_eq(wb_otlp_find_text(row.log, WB_OTLP_LOG, WB_S("key")), WB_S("value")));
    assert_true(
        wb_slice_eq(wb_otlp_find_text(row.resource, WB_OTLP_RESOURCE, WB_S("key")), WB_S("value")));
    assert_true(wb_slice_eq(wb_otlp_read_scope(row.scope).name, WB_S("scope")));
    row = wb_log_batch_row(&f->read, 1);
    assert_true(WB_ID_ABSENT(row.trace_id) && row.log.len == 0 && row.event_name.len == 0);
    assert_true(row.scope_index == 0 && row.resource_index == 0);
    const wb_batch *again = walked(f, f->read.body);
    assert_true(again->span_count == 2 && again->rejected_count == 0);
}

static void an_untouched_batch_keeps_its_bytes(void **state)
{
    fixture *f = *state;
    /* an unknown field whose tag and length take three bytes each */
    wb_slice body = in_envelope(&f->m, WB_S("\xa2\x81\0\x83\x80\0xyz"));
    write_and_open(f, walked(f, body));
    assert_true(wb_slice_eq(f->read.body, body));
    assert_int_equal(f->read.log_count, 1);
    write_and_open(f, walked(f, WB_S("")));
    assert_true(f->read.log_count == 0 && f->read.body.len == 0);
}

/* An attribute before the event name goes: the row still finds the name. */
static void masked_attributes_move_the_event_name(void **state)
{
    fixture *f = *state;
    wb_batch *batch = walked(f, sample(f));
    wb_attr *attr = wb_attrs_find(&batch->spans[0].attrs, WB_S("key"));
    assert_non_null(attr);
    wb_batch_mask(batch, &batch->spans[0].attrs, attr);
    write_and_open(f, batch);
    wb_log_row row = wb_log_batch_row(&f->read, 0);
    assert_true(wb_slice_eq(row.event_name, WB_S("event")));
    assert_int_equal(wb_otlp_find_text(row.log, WB_OTLP_LOG, WB_S("key")).len, 0);
}

static void write_changes_nothing_when_the_buffer_is_full(void **state)
{
    fixture *f = *state;
    const wb_batch *batch = walked(f, sample(f));
    WB_AUTO_BUFFER small;
    wb_error err;
    wb_buffer_init(&small, 100);
    assert_int_equal(wb_log_batch_write(batch, &small, &err), WB_ERR_NO_MEMORY);
    assert_int_equal(small.len, 0);
}

/* ---- log records that the sidecar writes ----------------------------------------------------- */

static const wb_otlp_attr resource_attrs[] = {WB_ATTR_TEXT("service.name", WB_S("planner"))};
static const wb_span_origin origin = {.resource = resource_attrs,
                                      .resource_count = 1,
                                      .scope_name = {(const uint8_t *)"waybill", 7},
                                      .scope_version = {(const uint8_t *)"0.2.0", 5}};

static wb_log_draft full_draft(void)
{
    static const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("waybill.task.id", WB_S("t-1")),
                                         WB_ATTR_INT("depth", 2),
                                         WB_ATTR_TEXT("nothing", WB_S("")),
                                         {.key = WB_S("empty")}};
    return (wb_log_draft){.trace_id = {"trace id of this"},
                          .span_id = {"span id."},
                          .flags = 1,
                          .time_ns = 1000,
                          .observed_ns = 2000,
                          .severity = WB_SEVERITY_WARN,
                          .severity_text = WB_S("WARN"),
                          .event_name = WB_S("waybill.delegation.lost"),
                          .body = WB_S("nobody answered"),
                          .attrs = attrs,
                          .attr_count = WB_COUNT(attrs)};
}

static void a_built_record_reads_back(void **state)
{
    fixture *f = *state;
    const wb_log_draft drafts[2] = {full_draft()};
    assert_int_equal(wb_log_batch_build(&origin, drafts, 2, &f->out, NULL), WB_OK);
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
    const wb_batch *batch = walked(f, f->read.body);
    assert_true(batch->span_count == 2 && batch->rejected_count == 0 && f->read.log_count == 2);
    for (uint32_t i = 0; i < 2; i++) {
        wb_log_row row = wb_log_batch_row(&f->read, i);
        const wb_span *log = &batch->spans[i];
        assert_true(WB_ID_EQ(row.trace_id, log->trace_id) && WB_ID_EQ(row.span_id, log->span_id));
        assert_true(row.time_ns == log->start_ns && row.observed_ns == log->end_ns);
        assert_true(row.severity == log->kind && row.flags == log->flags);
        assert_true(wb_slice_eq(row.event_name, log->name));
        assert_true(wb_slice_eq(row.log, wb_batch_bytes(batch, log->extent)));
    }
    wb_log_row row = wb_log_batch_row(&f->read, 0);
    assert_true(row.time_ns == 1000 && row.observed_ns == 2000 && row.flags == 1);
    assert_true(wb_slice_eq(row.event_name, WB_S("waybill.delegation.lost")));
    wb_otlp_log_detail detail = wb_otlp_read_log(row.log);
    assert_true(wb_slice_eq(detail.severity_text, WB_S("WARN")));
    assert_true(wb_slice_eq(detail.body.text, WB_S("nobody answered")));
    wb_otlp_iter it = {row.log};
    wb_otlp_attr attr;
    assert_true(wb_otlp_next_attr(&it, WB_OTLP_LOG, &attr));
    assert_true(wb_slice_eq(attr.value.text, WB_S("t-1")));
    assert_true(wb_otlp_next_attr(&it, WB_OTLP_LOG, &attr) && attr.value.integer == 2);
    assert_false(wb_otlp_next_attr(&it, WB_OTLP_LOG, &attr));
    assert_true(wb_slice_eq(wb_otlp_read_scope(row.scope).version, WB_S("0.2.0")));
    assert_int_equal(wb_otlp_read_log(wb_log_batch_row(&f->read, 1).log).body.type, WB_VALUE_EMPTY);
}

static void build_refuses_text_that_is_none(void **state)
{
    fixture *f = *state;
    wb_error err;
    wb_otlp_attr bad_attr[] = {WB_ATTR_TEXT("k", WB_S("\xff"))};
    wb_log_draft good = full_draft(), cases[] = {good, good, good, good};
    cases[0].body = WB_S("\xff");
    cases[1].event_name = WB_S("\xff");
    cases[2].severity_text = WB_S("\xff");
    cases[3].attrs = bad_attr;
    cases[3].attr_count = 1;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_log_draft two[] = {good, cases[i]};
        assert_int_equal(wb_log_batch_build(&origin, two, 2, &f->out, &err), WB_ERR_MALFORMED);
    }
    wb_span_origin bad = origin;
    bad.scope_version = WB_S("\xff");
    assert_int_equal(wb_log_batch_build(&bad, &good, 1, &f->out, &err), WB_ERR_MALFORMED);
    WB_AUTO_BUFFER small;
    wb_buffer_init(&small, 100);
    assert_int_equal(wb_log_batch_build(&origin, &good, 1, &small, &err), WB_ERR_NO_MEMORY);
    assert_int_equal(small.len + f->out.len, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(open_refuses_what_is_no_log_batch),
        CASE(open_never_lets_a_row_point_outside),
        CASE(rows_say_what_the_records_say),
        CASE(an_untouched_batch_keeps_its_bytes),
        CASE(masked_attributes_move_the_event_name),
        CASE(write_changes_nothing_when_the_buffer_is_full),
        CASE(a_built_record_reads_back),
        CASE(build_refuses_text_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
