/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/otlp_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/utf8.h"
#include "proto/otlp_read.h"
#include "tests/support/otlp_compare.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, SEEDS = 3000 };

static const wb_slice prefixes[] = {{(const uint8_t *)"waybill.", 8}};
static const wb_slice keys[] = {{(const uint8_t *)"service.name", 12}};

typedef struct fixture {
    wb_arena *arena;
    wb_key_set *keys;
    maker m; /* builds bodies by hand */
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    assert_int_equal(wb_key_set_new(keys, 1, prefixes, 1, &f->keys, NULL), WB_OK);
    f->m = (maker){.arena = f->arena};
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
    return wb_otlp_walk(body, f->keys, f->arena, batch, NULL);
}

/* ---- refusals of the body -------------------------------------------------------------------- */

static void assert_malformed(fixture *f, const char *what, wb_slice body)
{
    wb_batch *batch;
    wb_status status = walk(f, body, &batch);
    if (status != WB_ERR_MALFORMED || batch) fail_msg("%s: %s", what, wb_status_name(status));
}

static void walk_refuses_what_is_no_protobuf(void **state)
{
    static const struct {
        const char *what;
        wb_slice body;
    } cases[] = {
        {"a tag alone", {(const uint8_t *)"\x0a", 1}},
        {"a length beyond the end", {(const uint8_t *)"\x0a\x05\x00", 3}},
        {"a length of 2^35", {(const uint8_t *)"\x0a\x80\x80\x80\x80\x80\x01", 7}},
        {"a length of 2^32 - 1", {(const uint8_t *)"\x0a\xff\xff\xff\xff\x0f", 6}},
        {"field number 0", {(const uint8_t *)"\x02\x00", 2}},
        {"a tag of six bytes", {(const uint8_t *)"\x8a\x80\x80\x80\x80\x00\x00", 7}},
        {"a tag above 32 bits", {(const uint8_t *)"\x8a\x80\x80\x80\x10\x00", 6}},
        {"a group", {(const uint8_t *)"\x0b\x0c", 2}},
        {"an unknown group", {(const uint8_t *)"\x2b\x2c", 2}},
        {"the end of a group", {(const uint8_t *)"\x0c", 1}},
        {"wire type 6", {(const uint8_t *)"\x0e\x00", 2}},
        {"wire type 7", {(const uint8_t *)"\x0f\x00", 2}},
        {"a varint of eleven bytes",
         {(const uint8_t *)"\x28\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12}},
        {"a varint of 65 bits",
         {(const uint8_t *)"\x28\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 11}},
        {"a varint cut off", {(const uint8_t *)"\x28\x80", 2}},
        {"a fixed32 cut off", {(const uint8_t *)"\x2d\x00\x00\x00", 4}},
        {"a fixed64 cut off", {(const uint8_t *)"\x29\x00\x00\x00\x00\x00\x00\x00", 8}},
        {"resource_spans as a varint", {(const uint8_t *)"\x08\x00", 2}},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        assert_malformed(*state, cases[i].what, cases[i].body);
}

/* A span with one more field, in its envelope. */
static wb_slice with_field(fixture *f, uint32_t number, unsigned type, wb_slice bytes)
{
    wb_slice fields[] = {good_ids(&f->m), make_raw(&f->m, number, type, bytes)};
    return in_envelope(&f->m, make_joined(&f->m, fields, 2));
}

static void walk_refuses_a_known_field_of_another_wire_type(void **state)
{
    fixture *f = *state;
    static const struct {
        uint32_t number;
        unsigned type; /* the right one */
    } fields[] = {{1, 2}, {2, 2},  {3, 2},  {4, 2},  {5, 2},  {6, 0},  {7, 1},  {8, 1},
                  {9, 2}, {10, 0}, {11, 2}, {12, 0}, {13, 2}, {14, 0}, {15, 2}, {16, 5}};
    static const unsigned types[] = {0, 1, 2, 5};
    for (size_t i = 0; i < WB_COUNT(fields); i++) {
        for (size_t t = 0; t < WB_COUNT(types); t++) {
            char what[64];
            wb_slice body = with_field(f, fields[i].number, types[t], WB_S("\0\0\0\0\0\0\0\0"));
            if (types[t] == fields[i].type) continue;
            (void)snprintf(what, sizeof what, "field %u as type %u", fields[i].number, types[t]);
            assert_malformed(f, what, body);
            assert_false(wb_oracle_unpacks(body));
        }
    }
}

static void walk_refuses_garbage_at_every_depth(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice bad = WB_S("\x0a\x7f");
    wb_slice any_array = make_len(m, 5, make_len(m, 1, bad));
    wb_slice any_list = make_len(m, 6, make_len(m, 1, bad));
    wb_slice empty_key = make_len(m, 1, WB_S(""));
    wb_slice in_array[] = {empty_key, make_len(m, 2, any_array)};
    wb_slice in_list[] = {empty_key, make_len(m, 2, any_list)};
    assert_malformed(f, "ResourceSpans", make_len(m, 1, bad));
    assert_malformed(f, "Resource", make_len(m, 1, make_len(m, 1, bad)));
    assert_malformed(f, "ScopeSpans", make_len(m, 1, make_len(m, 2, bad)));
    assert_malformed(f, "Scope", make_len(m, 1, make_len(m, 2, make_len(m, 1, bad))));
    assert_malformed(f, "Span", in_envelope(m, bad));
    assert_malformed(f, "attribute", with_field(f, 9, 2, bad));
    assert_malformed(f, "value", with_field(f, 9, 2, make_len(m, 2, bad)));
    assert_malformed(f, "array", with_field(f, 9, 2, make_joined(m, in_array, 2)));
    assert_malformed(f, "key-value list", with_field(f, 9, 2, make_joined(m, in_list, 2)));
    assert_malformed(f, "event", with_field(f, 11, 2, bad));
    assert_malformed(f, "event's attribute", with_field(f, 11, 2, make_len(m, 3, bad)));
    assert_malformed(f, "link", with_field(f, 13, 2, bad));
    assert_malformed(f, "link's attribute", with_field(f, 13, 2, make_len(m, 4, bad)));
    assert_malformed(f, "status", with_field(f, 15, 2, bad));
}

static void walk_refuses_what_protobuf_would_merge(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice none = WB_S(""), x = make_len(m, 1, WB_S("x")), y = make_len(m, 1, WB_S("y"));
    wb_slice two_keys[] = {x, y}, two_values[] = {x, make_len(m, 2, x), make_len(m, 2, y)};
    wb_slice two_heads[] = {make_len(m, 1, none), make_len(m, 1, none)};
    wb_slice two_status[] = {good_ids(m), make_len(m, 15, none), make_len(m, 15, none)};
    assert_malformed(f, "two resources", make_len(m, 1, make_joined(m, two_heads, 2)));
    assert_malformed(f, "two scopes", make_len(m, 1, make_len(m, 2, make_joined(m, two_heads, 2))));
    assert_malformed(f, "two status", in_envelope(m, make_joined(m, two_status, 3)));
    assert_malformed(f, "two keys", with_field(f, 9, 2, make_joined(m, two_keys, 2)));
    assert_malformed(f, "two values", with_field(f, 9, 2, make_joined(m, two_values, 3)));
    wb_slice both[] = {x, make_len(m, 2, make_joined(m, two_keys, 2))};
    assert_malformed(f, "two kinds of value", with_field(f, 9, 2, make_joined(m, both, 2)));
    static const wb_slice pairs[] = {
        {(const uint8_t *)"\x21\0\0\0\0\0\0\0\0\x10\1", 11}, /* a double and a bool */
        {(const uint8_t *)"\x18\1\x18\1", 4},                /* two integers */
        {(const uint8_t *)"\x10\x81\1\x10\1", 5},            /* two bools */
    };
    for (size_t i = 0; i < WB_COUNT(pairs); i++) {
        wb_slice pair[] = {x, make_len(m, 2, pairs[i])};
        assert_malformed(f, "two numbers", with_field(f, 9, 2, make_joined(m, pair, 2)));
    }
}

/* 0x18: an AnyValue's integer */
static void walk_refuses_integers_above_64_bits(void **state)
{
    fixture *f = *state;
    static const struct {
        wb_slice value;
        bool good;
    } cases[] = {
        {{(const uint8_t *)"\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10}, true},
        {{(const uint8_t *)"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, true},
        {{(const uint8_t *)"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, false},
        {{(const uint8_t *)"\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12}, false},
        {{(const uint8_t *)"\x18\x80", 2}, false},
        {{(const uint8_t *)"\x18", 1}, false},
        {{(const uint8_t *)"\x21\0\0\0\0\0\0\0", 8}, false},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_batch *batch;
        wb_slice kv[] = {make_len(&f->m, 1, WB_S("k")), make_len(&f->m, 2, cases[i].value)};
        wb_slice body = with_field(f, 9, 2, make_joined(&f->m, kv, 2));
        assert_int_equal(walk(f, body, &batch), cases[i].good ? WB_OK : WB_ERR_MALFORMED);
        assert_true(wb_oracle_unpacks(body) || !cases[i].good);
    }
}

static void walk_refuses_a_body_above_its_limits(void **state)
{
    fixture *f = *state;
    wb_slice large = make_fill(&f->m, WB_OTLP_BODY_MAX_BYTES + 1, 0);
    assert_malformed(f, "8 MiB and a byte", large);
    wb_slice many = make_repeated(&f->m, WB_S("\x0a\x00"), WB_OTLP_SPANS_MAX + 1);
    assert_malformed(f, "65537 resources", many);
    assert_malformed(
        f, "65537 scopes",
        make_len(&f->m, 1, make_repeated(&f->m, WB_S("\x12\x00"), WB_OTLP_SPANS_MAX + 1)));
    assert_malformed(
        f, "65537 spans",
        in_envelope_all(&f->m, make_repeated(&f->m, WB_S("\x12\x00"), WB_OTLP_SPANS_MAX + 1)));
    wb_batch *batch;
    assert_int_equal(walk(f, (wb_slice){many.ptr, many.len - 2}, &batch), WB_OK);
    assert_int_equal(batch->resource_count, WB_OTLP_SPANS_MAX);
}

static void walk_stops_at_the_arenas_limit(void **state)
{
    fixture *f = *state;
    wb_slice body = wb_sample_llm_spans(100, 1, f->arena);
    for (size_t limit = 0; limit < 40000; limit += 1000) {
        wb_batch *batch = NULL;
        WB_AUTO(wb_arena) small = wb_arena_new(limit);
        assert_non_null(small);
        wb_status status = wb_otlp_walk(body, f->keys, small, &batch, NULL);
        assert_true(status == WB_ERR_NO_MEMORY || status == WB_OK);
        assert_true((status == WB_OK) == (batch != NULL));
        assert_true(status != WB_OK || limit > 10000);
    }
}

/* ---- rejections of a span -------------------------------------------------------------------- */

/* The body holds the span and a good one behind it: only the first is left out. */
static void assert_rejected(fixture *f, const char *what, wb_slice span)
{
    wb_batch *batch;
    wb_slice both[] = {make_len(&f->m, 2, span), make_len(&f->m, 2, good_ids(&f->m))};
    wb_slice body = in_envelope_all(&f->m, make_joined(&f->m, both, 2));
    if (walk(f, body, &batch) != WB_OK) fail_msg("%s: refused the body", what);
    if (batch->span_count != 1 || batch->rejected_count != 1) fail_msg("%s: not rejected", what);
    assert_non_null(batch->first_rejection);
    assert_null(wb_oracle_differs(batch, true));
}

static void walk_rejects_spans_with_wrong_ids(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const struct {
        const char *what;
        uint32_t number;
        wb_slice id;
    } cases[] = {
        {"trace id of 15", 1, {(const uint8_t *)"123456789012345", 15}},
        {"trace id of 17", 1, {(const uint8_t *)"12345678901234567", 17}},
        {"empty trace id", 1, {(const uint8_t *)"", 0}},
        {"zero trace id", 1, {(const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16}},
        {"span id of 7", 2, {(const uint8_t *)"1234567", 7}},
        {"span id of 16", 2, {(const uint8_t *)"1234567890123456", 16}},
        {"empty span id", 2, {(const uint8_t *)"", 0}},
        {"zero span id", 2, {(const uint8_t *)"\0\0\0\0\0\0\0\0", 8}},
        {"parent id of 9", 4, {(const uint8_t *)"123456789", 9}},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_slice trace = make_len(m, 1, WB_S("abcdefghijklmnop"));
        wb_slice span = make_len(m, 2, WB_S("ABCDEFGH"));
        wb_slice id = make_len(m, cases[i].number, cases[i].id);
        wb_slice fields[] = {cases[i].number == 1 ? id : trace, cases[i].number == 2 ? id : span,
                             cases[i].number == 4 ? id : WB_S("")};
        assert_rejected(f, cases[i].what, make_joined(m, fields, 3));
    }
    assert_rejected(f, "no ids at all", WB_S(""));
    wb_slice link = make_len(m, 13, make_len(m, 1, WB_S("short")));
    wb_slice linked[] = {good_ids(m), link};
    assert_rejected(f, "link's trace id of 5", make_joined(m, linked, 2));
}

static void walk_rejects_spans_with_text_that_is_not_utf8(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice bad = WB_S("12345678\xc3("), bad1 = make_len(m, 1, bad);
    wb_slice key = make_len(m, 1, WB_S("k"));
    wb_slice kv[] = {key, make_len(m, 2, bad1)};
    wb_slice bad_value = make_joined(m, kv, 2);
    wb_slice array[] = {key, make_len(m, 2, make_len(m, 5, make_len(m, 1, bad1)))};
    wb_slice list[] = {key, make_len(m, 2, make_len(m, 6, make_len(m, 1, bad_value)))};
    const struct {
        const char *what;
        wb_slice field;
    } cases[] = {
        {"trace state", make_len(m, 3, bad)},
        {"name", make_len(m, 5, bad)},
        {"key", make_len(m, 9, bad1)},
        {"value", make_len(m, 9, bad_value)},
        {"value in an array", make_len(m, 9, make_joined(m, array, 2))},
        {"value in a list", make_len(m, 9, make_joined(m, list, 2))},
        {"event's name", make_len(m, 11, make_len(m, 2, bad))},
        {"event's key", make_len(m, 11, make_len(m, 3, bad1))},
        {"link's trace state", make_len(m, 13, make_len(m, 3, bad))},
        {"link's key", make_len(m, 13, make_len(m, 4, bad1))},
        {"status message", make_len(m, 15, make_len(m, 2, bad))},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_slice fields[] = {good_ids(m), cases[i].field};
        assert_rejected(f, cases[i].what, make_joined(m, fields, 2));
    }
}

/* The one bad byte is found wherever it stands, in a name, a key and a value of every length. */
static void walk_rejects_a_bad_byte_anywhere_in_a_text(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    for (size_t len = 1; len <= 70; len++) {
        for (size_t at = 0; at < len; at++) {
            uint8_t bytes[70];
            wb_batch *batch;
            memset(bytes, 'x', len);
            bytes[at] = 0xFF;
            wb_slice text = {bytes, len};
            wb_slice kv[] = {make_len(m, 1, WB_S("k")), make_len(m, 2, make_len(m, 1, text))};
            wb_slice fields[] = {make_len(m, 5, text), make_len(m, 9, make_len(m, 1, text)),
                                 make_len(m, 9, make_joined(m, kv, 2))};
            for (size_t i = 0; i < WB_COUNT(fields); i++) {
                wb_slice span[] = {good_ids(m), fields[i]};
                wb_slice body = in_envelope(m, make_joined(m, span, 2));
                assert_int_equal(walk(f, body, &batch), WB_OK);
                if (batch->rejected_count != 1) fail_msg("%zu of %zu, field %zu", at, len, i);
            }
        }
        wb_arena_reset(f->arena);
    }
}

/* `depth` AnyValues inside each other, as an attribute. */
static wb_slice nested(maker *m, unsigned depth)
{
    wb_slice value = make_len(m, 1, WB_S("x"));
    for (unsigned i = 1; i < depth; i++) value = make_len(m, 5, make_len(m, 1, value));
    wb_slice kv[] = {make_len(m, 1, WB_S("k")), make_len(m, 2, value)};
    return make_len(m, 9, make_joined(m, kv, 2));
}

static void walk_rejects_spans_above_their_limits(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch;
    wb_slice attr = make_len(m, 9, make_len(m, 1, WB_S("k")));
    wb_slice many[] = {good_ids(m), make_repeated(m, attr, WB_OTLP_ATTRS_MAX + 1)};
    wb_slice deep[] = {good_ids(m), nested(m, WB_OTLP_DEPTH_MAX + 1)};
    assert_rejected(f, "1025 attributes", make_joined(m, many, 2));
    assert_rejected(f, "65 levels", make_joined(m, deep, 2));
    wb_slice most[] = {good_ids(m), make_repeated(m, attr, WB_OTLP_ATTRS_MAX),
                       nested(m, WB_OTLP_DEPTH_MAX)};
    most[1].len -= attr.len; /* nested is one more */
    assert_int_equal(walk(f, in_envelope(m, make_joined(m, most, 3)), &batch), WB_OK);
    assert_int_equal(batch->span_count, 1);
}

static void walk_survives_half_a_million_levels(void **state)
{
    fixture *f = *state;
    wb_batch *batch;
    wb_slice value = make_deep_value(&f->m, 500000);
    wb_slice span[] = {good_ids(&f->m), make_len(&f->m, 9, make_len(&f->m, 2, value))};
    assert_int_equal(walk(f, in_envelope(&f->m, make_joined(&f->m, span, 2)), &batch), WB_OK);
    assert_int_equal(batch->rejected_count, 1);
}

static void walk_rejects_all_spans_of_a_bad_resource_or_scope(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch;
    wb_slice span = make_len(m, 2, good_ids(m));
    wb_slice bad_key = make_len(m, 1, WB_S("\xff"));
    wb_slice scope[] = {span, make_len(m, 1, make_len(m, 1, WB_S("\xff"))), span};
    wb_slice resource[] = {make_len(m, 2, span), make_len(m, 1, make_len(m, 1, bad_key))};
    wb_slice schema[] = {make_len(m, 2, span), make_len(m, 3, WB_S("\xff"))};
    wb_slice groups[] = {make_len(m, 1, make_len(m, 2, make_joined(m, scope, 3))),
                         make_len(m, 1, make_joined(m, resource, 2)),
                         make_len(m, 1, make_joined(m, schema, 2)),
                         make_len(m, 1, make_len(m, 2, span))};
    assert_int_equal(walk(f, make_joined(m, groups, 4), &batch), WB_OK);
    assert_int_equal(batch->rejected_count, 4);
    assert_int_equal(batch->span_count, 1);
    assert_null(wb_oracle_differs(batch, true));
}

/* ---- what is taken --------------------------------------------------------------------------- */

static void walk_takes_an_empty_body(void **state)
{
    wb_batch *batch;
    assert_int_equal(walk(*state, WB_S(""), &batch), WB_OK);
    assert_int_equal(batch->span_count, 0);
    assert_int_equal(walk(*state, WB_S("\x0a\x00"), &batch), WB_OK);
    assert_int_equal(batch->resource_count, 1);
}

static void walk_passes_unknown_fields_and_long_winded_varints(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch;
    /* dropped counts, a link without ids, key_strindex and string_value_strindex, which are profiles' */
    wb_slice event[] = {make_len(m, 2, WB_S("e")), WB_S("\x20\x05"), make_len(m, 900, WB_S(""))};
    wb_slice link[] = {make_len(m, 1, WB_S("")), make_len(m, 2, WB_S("")), WB_S("\x28\x05"),
                       WB_S("\x35\0\x03\0\0"), make_len(m, 900, WB_S(""))};
    wb_slice attr[] = {WB_S("\x18\x07"), make_len(m, 2, WB_S("\x40\x07"))};
    wb_slice fields[] = {good_ids(m),
                         make_len(m, 900, WB_S("new")),
                         WB_S("\xa8\x06\x01"),
                         make_long_name(m, WB_S("abc")),
                         WB_S("\xb0\x80\x00\x84\x80\x00"), /* kind: PRODUCER */
                         make_len(m, 11, make_joined(m, event, 3)),
                         make_len(m, 13, make_joined(m, link, 5)),
                         make_len(m, 9, make_joined(m, attr, 2))};
    wb_slice span = make_joined(m, fields, WB_COUNT(fields));
    assert_int_equal(walk(f, in_envelope(m, span), &batch), WB_OK);
    assert_int_equal(batch->span_count, 1);
    assert_memory_equal(batch->spans[0].name.ptr, "abc", 3);
    assert_int_equal(batch->spans[0].kind, 4);
    assert_null(wb_oracle_differs(batch, true));
}

static void walk_indexes_the_attributes_asked_for_and_no_others(void **state)
{
    fixture *f = *state;
    wb_batch *batch;
    wb_slice body = wb_sample_llm_spans(3, 7, f->arena);
    assert_int_equal(walk(f, body, &batch), WB_OK);
    assert_int_equal(batch->span_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const wb_attr *a = batch->spans[i].attrs.first;
        assert_non_null(a);
        assert_true(wb_slice_eq(a->key, WB_S("waybill.acceptance.id")));
        assert_true(
            wb_slice_eq(wb_otlp_value(a->value).text, WB_S("0123456789abcdef0123456789abcdef")));
        assert_int_equal(a->field.ptr[0], 9 << 3 | 2);
        assert_null(a->next);
    }
    const wb_attr *service = batch->resources[0].attrs.first;
    assert_true(wb_slice_eq(service->key, WB_S("service.name")));
    assert_null(service->next);
    assert_ptr_equal(wb_attrs_find(&batch->resources[0].attrs, WB_S("service.name")), service);
    assert_null(wb_attrs_find(&batch->resources[0].attrs, WB_S("service")));
}

/* ---- rows ---- */

static wb_slice key_value(maker *m, const char *key, wb_slice any_value)
{
    wb_slice kv[] = {make_len(m, 1, wb_slice_str(key)), make_len(m, 2, any_value)};
    return make_len(m, 9, make_joined(m, kv, 2));
}

/* An attribute in one of the ways in which it may be written. */
static wb_slice attr_somehow(maker *m, const char *key, unsigned way, uint64_t *seed)
{
    static const uint8_t lengths[] = {0, 1, 1, 20, 200};
    wb_slice text =
        make_len(m, 1, make_fill(m, lengths[wb_sample_next(seed) % sizeof lengths], 'v'));
    wb_slice kv[] = {make_len(m, 2, text), make_len(m, 1, wb_slice_str(key))};
    switch (way) {
    case 0: return make_len(m, 9, make_joined(m, kv, 2)); /* the value first */
    case 1: return make_len(m, 9, kv[1]);                 /* no value */
    case 2: return make_len(m, 9, kv[0]);                 /* no key */
    case 3: return key_value(m, "\xff", text);            /* no text: the span is left out */
    default: return key_value(m, key, text);
    }
}

static wb_slice row_span(maker *m, uint64_t *seed, size_t shape)
{
    static const char *const used[] = {
        "a",
        "waybill.x",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "",
        "a key that is longer than thirty-two bytes, and so is compared in another way"};
    enum { MOST = 70 };
    wb_slice parts[MOST + 1] = {good_ids(m)};
    size_t n = shape == 7 ? 63 + wb_sample_next(seed) % 4 : 2 + shape;
    for (size_t i = 0; i < n; i++) {
        unsigned way = wb_sample_next(seed) % 16 ? 4 : (unsigned)(wb_sample_next(seed) % 4);
        if (i == 1 && shape < 4) way = (unsigned)shape; /* of all of this shape */
        parts[1 + i] = attr_somehow(m, used[(i * 5 + shape) % WB_COUNT(used)], way, seed);
    }
    return make_len(m, 2, make_joined(m, parts, n + 1));
}

static bool has_same_keys(wb_slice a, wb_slice b)
{
    wb_otlp_iter left = {a}, right = {b};
    wb_slice key, other, value;
    while (wb_otlp_next_pair(&left, WB_OTLP_SPAN, &key, &value))
        if (!wb_otlp_next_pair(&right, WB_OTLP_SPAN, &other, &value) || !wb_slice_eq(key, other))
            return false;
    return !wb_otlp_next_pair(&right, WB_OTLP_SPAN, &other, &value);
}

/* Returns how many spans are of the row of the span before. */
static size_t assert_rows(const wb_batch *batch)
{
    size_t in_rows = 0;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        const wb_span *span = &batch->spans[i];
        wb_slice key, value, message = wb_batch_bytes(batch, span->extent);
        wb_otlp_iter it = {message};
        size_t nth = 0, indexed = 0;
        if (!span->values) continue;
        while (wb_otlp_next_pair(&it, WB_OTLP_SPAN, &key, &value)) {
            wb_slice kept = wb_batch_value(batch, span->values[nth++]);
            assert_true(wb_slice_eq(kept, value) && (kept.len == 0 || kept.ptr == value.ptr));
            indexed += wb_slice_starts(key, prefixes[0]);
            assert_true(wb_utf8_valid(key));
        }
        for (const wb_attr *a = span->attrs.first; a; a = a->next) indexed--;
        assert_int_equal(indexed, 0);
        assert_true(span->like <= i);
        assert_true(has_same_keys(message, wb_batch_bytes(batch, batch->spans[span->like].extent)));
        in_rows += i > 0 && span->like == batch->spans[i - 1].like;
    }
    return in_rows;
}

static void rows_are_of_spans_with_the_same_keys(void **state)
{
    enum { SPANS = 20 };
    fixture *f = *state;
    size_t in_rows = 0, rejected = 0;
    for (uint64_t round = 1; round <= SEEDS; round++) {
        uint64_t seed = round;
        size_t shape = 0, n = 1 + wb_sample_next(&seed) % SPANS;
        wb_slice spans[SPANS];
        wb_batch *batch;
        for (size_t i = 0; i < n; i++) {
            if (wb_sample_next(&seed) % 4 == 0) shape = wb_sample_next(&seed) % 8;
            spans[i] = row_span(&f->m, &seed, shape);
        }
        wb_slice body = in_envelope_all(&f->m, make_joined(&f->m, spans, n));
        assert_int_equal(walk(f, body, &batch), WB_OK);
        in_rows += assert_rows(batch);
        rejected += batch->rejected_count;
        wb_arena_reset(f->arena);
    }
    assert_true(in_rows > SEEDS && rejected > SEEDS);
}

static void spans_of_one_instrumentation_are_one_row(void **state)
{
    fixture *f = *state;
    wb_batch *batch;
    assert_int_equal(walk(f, wb_sample_llm_spans(200, 1, f->arena), &batch), WB_OK);
    assert_int_equal(assert_rows(batch), 199);
    for (uint32_t i = 0; i < batch->span_count; i++) assert_non_null(batch->spans[i].values);
}

static void values_of_more_than_there_is_room_for_are_not_kept(void **state)
{
    enum { SPANS = 20000 };
    fixture *f = *state;
    wb_batch *batch;
    size_t kept = 0;
    wb_slice parts[] = {good_ids(&f->m), make_repeated(&f->m, key_value(&f->m, "a", WB_S("")), 12)};
    wb_slice span = make_len(&f->m, 2, make_joined(&f->m, parts, 2));
    wb_slice body = in_envelope_all(&f->m, make_repeated(&f->m, span, SPANS));
    assert_int_equal(walk(f, body, &batch), WB_OK);
    for (uint32_t i = 0; i < SPANS; i++) kept += batch->spans[i].values != NULL;
    assert_true(kept > SPANS / 4 && kept < SPANS);
    assert_int_equal(assert_rows(batch), kept - 1);
}

static void walk_agrees_with_protobuf_c_on_random_bodies(void **state)
{
    fixture *f = *state;
    size_t spans = 0, rejected = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        wb_batch *batch = NULL;
        WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
        assert_non_null(arena);
        wb_slice body = wb_sample_random(seed, seed % 2 == 1, arena);
        assert_int_equal(wb_otlp_walk(body, f->keys, arena, &batch, NULL), WB_OK);
        const char *differs = wb_oracle_differs(batch, true);
        if (differs) fail_msg("seed %lu: %s", (unsigned long)seed, differs);
        spans += batch->span_count;
        rejected += batch->rejected_count;
    }
    assert_true(spans > SEEDS && rejected > SEEDS / 10); /* the samples are not trivial */
}

static void walk_and_protobuf_c_refuse_the_same_cut_bodies(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        wb_slice body = wb_sample_random(seed, false, f->arena);
        for (size_t len = 0; len < body.len && len < 400; len++) {
            wb_batch *batch;
            uint8_t *exact = malloc(len + 1); /* so that a sanitizer sees one byte too far */
            assert_non_null(exact);
            memcpy(exact + 1, body.ptr, len);
            wb_slice cut = {exact + 1, len};
            assert_int_equal(walk(f, cut, &batch) == WB_OK, wb_oracle_unpacks(cut));
            free(exact);
        }
        wb_arena_reset(f->arena);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(walk_refuses_what_is_no_protobuf),
        CASE(walk_refuses_a_known_field_of_another_wire_type),
        CASE(walk_refuses_garbage_at_every_depth),
        CASE(walk_refuses_what_protobuf_would_merge),
        CASE(walk_refuses_integers_above_64_bits),
        CASE(walk_refuses_a_body_above_its_limits),
        CASE(walk_stops_at_the_arenas_limit),
        CASE(walk_rejects_spans_with_wrong_ids),
        CASE(walk_rejects_spans_with_text_that_is_not_utf8),
        CASE(walk_rejects_a_bad_byte_anywhere_in_a_text),
        CASE(walk_rejects_spans_above_their_limits),
        CASE(walk_survives_half_a_million_levels),
        CASE(walk_rejects_all_spans_of_a_bad_resource_or_scope),
        CASE(walk_takes_an_empty_body),
        CASE(walk_passes_unknown_fields_and_long_winded_varints),
        CASE(walk_indexes_the_attributes_asked_for_and_no_others),
        CASE(rows_are_of_spans_with_the_same_keys),
        CASE(spans_of_one_instrumentation_are_one_row),
        CASE(values_of_more_than_there_is_room_for_are_not_kept),
        CASE(walk_agrees_with_protobuf_c_on_random_bodies),
        CASE(walk_and_protobuf_c_refuse_the_same_cut_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
