/* SPDX-License-Identifier: Apache-2.0 */
/* Random bodies, good and bad: tests/vectors/test_otlp_oracle.py. What is shared with spans (envelopes, values,
 * limits of the body): otlp_walk_test.c. */
#include "proto/otlp_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_read.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static const wb_slice keys[] = {{(const uint8_t *)"service.name", 12}};

typedef struct fixture {
    wb_arena *arena;
    wb_key_set *keys;
    maker m;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    assert_int_equal(wb_key_set_new(keys, 1, NULL, 0, &f->keys, NULL), WB_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_key_set_free(f->keys);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_status walk(fixture *f, wb_slice body, wb_batch **batch)
{
    *batch = NULL;
    return wb_otlp_walk_logs(body, f->keys, f->arena, batch, NULL);
}

static void assert_malformed(fixture *f, const char *what, wb_slice log)
{
    wb_batch *batch;
    wb_status status = walk(f, in_envelope(&f->m, log), &batch);
    if (status != WB_ERR_MALFORMED || batch) fail_msg("%s: %s", what, wb_status_name(status));
}

static void walk_refuses_a_known_field_of_another_wire_type(void **state)
{
    fixture *f = *state;
    static const unsigned right[] = {[1] = 1, [2] = 0, [3] = 2,  [5] = 2,  [6] = 2, [7] = 0,
                                     [8] = 5, [9] = 2, [10] = 2, [11] = 1, [12] = 2};
    static const unsigned types[] = {0, 1, 2, 5};
    for (uint32_t number = 1; number <= 12; number++) {
        for (size_t t = 0; t < WB_COUNT(types); t++) {
            char what[64];
            wb_batch *batch;
            wb_slice log = make_raw(&f->m, number, types[t], WB_S("\0\0\0\0\0\0\0\0"));
            (void)snprintf(what, sizeof what, "field %u as type %u", number, types[t]);
            if (number == 4) /* reserved: whatever it is, nobody knows it */
                assert_int_equal(walk(f, in_envelope(&f->m, log), &batch), WB_OK);
            else if (types[t] != right[number])
                assert_malformed(f, what, log);
        }
    }
}

static void walk_refuses_what_is_no_log_record(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice bad = WB_S("\x0a\x7f"), none = WB_S("");
    wb_slice bodies[] = {make_len(m, 5, none), make_len(m, 5, none)};
    wb_slice kinds[] = {make_len(m, 1, none), make_len(m, 1, none)};
    assert_malformed(f, "record", bad);
    assert_malformed(f, "body", make_len(m, 5, bad));
    assert_malformed(f, "attribute", make_len(m, 6, bad));
    assert_malformed(f, "two bodies", make_joined(m, bodies, 2));
    assert_malformed(f, "two kinds of body", make_len(m, 5, make_joined(m, kinds, 2)));
    wb_error err;
    wb_batch *batch = NULL;
    wb_slice large = make_fill(m, WB_OTLP_BODY_MAX_BYTES + 1, 0);
    assert_int_equal(wb_otlp_walk_logs(large, NULL, f->arena, &batch, &err), WB_ERR_MALFORMED);
    assert_non_null(strstr(err.detail, "logs: 8388609 bytes"));
}

static void walk_says_when_the_arena_is_full(void **state)
{
    fixture *f = *state;
    wb_slice body = in_envelope_all(&f->m, make_repeated(&f->m, WB_S("\x12\0"), 100));
    for (size_t limit = 0; limit < 16000; limit += 1000) {
        wb_batch *batch = NULL;
        WB_AUTO(wb_arena) small = wb_arena_new(limit);
        assert_non_null(small);
        wb_status status = wb_otlp_walk_logs(body, NULL, small, &batch, NULL);
        assert_true((status == WB_OK) == (batch != NULL) && (limit > 0 || !batch));
        assert_true(status == WB_OK || status == WB_ERR_NO_MEMORY);
    }
}

/* The bad record is left out, a good one beside it stays. */
static void assert_rejected(fixture *f, const char *what, wb_slice log)
{
    wb_batch *batch;
    wb_slice both[] = {make_len(&f->m, 2, log), WB_S("\x12\0")};
    if (walk(f, in_envelope_all(&f->m, make_joined(&f->m, both, 2)), &batch) != WB_OK)
        fail_msg("%s: refused the body", what);
    if (batch->span_count != 1 || batch->rejected_count != 1) fail_msg("%s: not rejected", what);
    assert_non_null(batch->first_rejection);
}

static void walk_rejects_records_that_no_backend_could_take(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice bad = make_len(m, 1, WB_S("\xff")), key = make_len(m, 1, WB_S("k"));
    wb_slice attr = make_len(m, 6, key);
    assert_rejected(f, "trace id of 15", make_len(m, 9, WB_S("123456789012345")));
    assert_rejected(f, "trace id of 8", make_len(m, 9, WB_S("12345678")));
    assert_rejected(f, "span id of 16", make_len(m, 10, WB_S("1234567890123456")));
    assert_rejected(f, "severity text", make_len(m, 3, WB_S("\xff")));
    assert_rejected(f, "event name", make_len(m, 12, WB_S("\xff")));
    assert_rejected(f, "body", make_len(m, 5, bad));
    assert_rejected(f, "key", make_len(m, 6, bad));
    assert_rejected(f, "1025 attributes", make_repeated(m, attr, WB_OTLP_ATTRS_MAX + 1));
    assert_rejected(f, "65 levels of body", make_len(m, 5, make_deep_value(m, 65)));
}

static void walk_takes_records_with_and_without_ids(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch;
    wb_slice fields[] = {WB_S("\x09\1\0\0\0\0\0\0\0"),
                         WB_S("\x59\2\0\0\0\0\0\0\0"),
                         WB_S("\x10\x11"),
                         make_len(m, 3, WB_S("ERROR")),
                         make_len(m, 5, make_len(m, 1, WB_S("went wrong"))),
                         make_len(m, 6, make_len(m, 1, WB_S("k"))),
                         WB_S("\x38\5"),
                         WB_S("\x45\1\0\0\0"),
                         make_len(m, 9, WB_S("abcdefghijklmnop")),
                         make_len(m, 10, WB_S("ABCDEFGH")),
                         make_len(m, 12, WB_S("waybill.delegation"))};
    wb_slice full = make_joined(m, fields, WB_COUNT(fields));
    wb_slice zero = make_len(m, 9, WB_S("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    wb_slice logs[] = {make_len(m, 2, full), WB_S("\x12\0"), make_len(m, 2, zero),
                       make_len(m, 2, WB_S("\x10\x19"))};
    assert_int_equal(walk(f, in_envelope_all(m, make_joined(m, logs, 4)), &batch), WB_OK);
    assert_int_equal(batch->span_count, 4);
    assert_false(batch->edited);
    const wb_span *log = &batch->spans[0];
    assert_true(log->start_ns == 1 && log->end_ns == 2 && log->kind == 17 && log->flags == 1);
    assert_memory_equal(log->trace_id.b, "abcdefghijklmnop", 16);
    assert_memory_equal(log->span_id.b, "ABCDEFGH", 8);
    assert_true(wb_slice_eq(log->name, WB_S("waybill.delegation")));
    for (int i = 1; i < 4; i++) assert_true(WB_ID_ABSENT(batch->spans[i].trace_id));
    assert_int_equal(batch->spans[3].kind, 0); /* 25 is no severity */
    wb_otlp_log_detail detail = wb_otlp_read_log(wb_batch_bytes(batch, log->extent));
    assert_true(wb_slice_eq(detail.severity_text, WB_S("ERROR")));
    assert_true(detail.body.type == WB_VALUE_TEXT && detail.dropped_attributes == 5);
    assert_true(wb_slice_eq(detail.body.text, WB_S("went wrong")));
    assert_int_equal(wb_otlp_read_log(WB_S("\x2a\x7f")).body.type, WB_VALUE_EMPTY);
}

static void walk_indexes_the_attributes_asked_for(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch;
    wb_slice kv[] = {make_len(m, 1, WB_S("service.name")),
                     make_len(m, 2, make_len(m, 1, WB_S("x")))};
    wb_slice attr = make_joined(m, kv, 2);
    wb_slice group[] = {make_len(m, 1, make_len(m, 1, attr)),
                        make_len(m, 2, make_len(m, 2, make_len(m, 6, attr)))};
    assert_int_equal(walk(f, make_len(m, 1, make_joined(m, group, 2)), &batch), WB_OK);
    assert_non_null(wb_attrs_find(&batch->resources[0].attrs, keys[0]));
    assert_null(wb_attrs_find(&batch->spans[0].attrs, WB_S("k")));
    wb_slice record = make_len(m, 2, make_len(m, 6, attr));
    assert_int_equal(walk(f, in_envelope_all(m, record), &batch), WB_OK);
    wb_attr *found = wb_attrs_find(&batch->spans[0].attrs, keys[0]);
    assert_non_null(found);
    assert_true(wb_slice_eq(wb_otlp_value(found->value).text, WB_S("x")));
}

/* ---- entities and numbers of other signals, which all resources and values may have ---------- */

static void walk_checks_entities_and_what_profiles_add(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch;
    wb_slice none = WB_S("\x12\x02\x12\0"); /* a ScopeLogs with a record */
    wb_slice good = make_len(m, 3, make_len(m, 3, WB_S("host.id")));
    wb_slice bad_text = make_len(m, 3, make_len(m, 2, WB_S("\xff")));
    wb_slice bad_type = make_len(m, 3, make_raw(m, 1, 0, WB_S("\0")));
    const struct {
        wb_slice entity;
        wb_status status;
        uint32_t rejected;
    } cases[] = {{good, WB_OK, 0}, {bad_text, WB_OK, 1}, {bad_type, WB_ERR_MALFORMED, 0}};
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_slice group[] = {make_len(m, 1, cases[i].entity), none};
        wb_status status = walk(f, make_len(m, 1, make_joined(m, group, 2)), &batch);
        assert_int_equal(status, cases[i].status);
        if (batch) assert_int_equal(batch->rejected_count, cases[i].rejected);
    }
    assert_malformed(f, "string_value_strindex", make_len(m, 5, make_len(m, 8, WB_S(""))));
    assert_malformed(f, "key_strindex", make_len(m, 6, make_len(m, 3, WB_S(""))));
    wb_slice indexed[] = {make_len(m, 5, WB_S("\x40\1")), make_len(m, 6, WB_S("\x18\1"))};
    assert_int_equal(walk(f, in_envelope(m, make_joined(m, indexed, 2)), &batch), WB_OK);
    assert_int_equal(batch->rejected_count, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(walk_refuses_a_known_field_of_another_wire_type),
        CASE(walk_refuses_what_is_no_log_record),
        CASE(walk_says_when_the_arena_is_full),
        CASE(walk_rejects_records_that_no_backend_could_take),
        CASE(walk_takes_records_with_and_without_ids),
        CASE(walk_indexes_the_attributes_asked_for),
        CASE(walk_checks_entities_and_what_profiles_add),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
