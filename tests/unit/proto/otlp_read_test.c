/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_read.c and proto/otlp_json.c, which is its largest user. */
#include "proto/otlp_read.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/json.h"
#include "proto/otlp_json.h"
#include "proto/otlp_walk.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, SEEDS = 500 };

static int setup(void **state)
{
    maker *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->arena = wb_arena_new(ARENA_BYTES);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    maker *m = *state;
    wb_arena_free(m->arena);
    free(m);
    return 0;
}

/* A span's attribute field with that value message. */
static wb_slice attr(maker *m, wb_slice key, wb_slice any_value)
{
    wb_slice kv[] = {make_len(m, 1, key), make_len(m, 2, any_value)};
    return make_len(m, 9, make_joined(m, kv, 2));
}

static void reading_stops_quietly_at_garbage(void **state)
{
    maker *m = *state;
    wb_otlp_attr a;
    wb_otlp_event event;
    wb_otlp_link link;
    wb_value value;
    wb_slice parts[] = {attr(m, WB_S("k"), make_len(m, 1, WB_S("v"))), WB_S("\x0b\xff")};
    wb_slice message = make_joined(m, parts, 2);
    wb_otlp_iter it = {message}, again = {message}, links = {message};
    assert_true(wb_otlp_next_attr(&it, WB_OTLP_SPAN, &a));
    assert_false(wb_otlp_next_attr(&it, WB_OTLP_SPAN, &a));
    assert_false(wb_otlp_next_attr(&it, WB_OTLP_SPAN, &a));
    assert_false(wb_otlp_next_event(&again, &event));
    assert_false(wb_otlp_next_link(&links, &link));
    assert_int_equal(wb_otlp_value(WB_S("\x0a\x7f")).type, WB_VALUE_EMPTY);
    assert_int_equal(wb_otlp_value(WB_S("\x08\x01")).type, WB_VALUE_EMPTY); /* text as a varint */
    assert_false(wb_otlp_find_attr(WB_S("\xff"), WB_OTLP_SPAN, WB_S("k"), &value));
    assert_int_equal(wb_otlp_find_text(message, WB_OTLP_SPAN, WB_S("none")).len, 0);
}

static void every_type_of_value_reads_back(void **state)
{
    (void)state;
    assert_true(wb_slice_eq(wb_otlp_value(WB_S("\x0a\x02hi")).text, WB_S("hi")));
    assert_true(wb_otlp_value(WB_S("\x10\x01")).boolean);
    assert_false(wb_otlp_value(WB_S("\x10\x00")).boolean);
    assert_int_equal(wb_otlp_value(WB_S("\x18\x96\x01")).integer, 150);
    wb_value minus = wb_otlp_value(WB_S("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    assert_true(minus.type == WB_VALUE_INT && minus.integer == -1);
    wb_value half = wb_otlp_value(WB_S("\x21\0\0\0\0\0\0\xe0\x3f"));
    assert_true(half.type == WB_VALUE_DOUBLE && half.real == 0.5);
    assert_int_equal(wb_otlp_value(WB_S("\x2a\x00")).type, WB_VALUE_ARRAY);
    assert_int_equal(wb_otlp_value(WB_S("\x32\x00")).type, WB_VALUE_KVLIST);
    assert_int_equal(wb_otlp_value(WB_S("\x3a\x00")).type, WB_VALUE_BYTES);
    assert_int_equal(wb_otlp_value(WB_S("")).type, WB_VALUE_EMPTY);
}

static void the_first_of_two_equal_keys_counts(void **state)
{
    maker *m = *state;
    wb_slice two[] = {attr(m, WB_S("k"),
                           WB_S("\x0a\x01"
                                "1")),
                      attr(m, WB_S("k"),
                           WB_S("\x0a\x01"
                                "2"))};
    wb_slice message = make_joined(m, two, 2);
    WB_AUTO_BUFFER json;
    wb_buffer_init(&json, 1000);
    assert_true(wb_slice_eq(wb_otlp_find_text(message, WB_OTLP_SPAN, WB_S("k")), WB_S("1")));
    assert_int_equal(wb_otlp_attrs_json(message, WB_OTLP_SPAN, &json), WB_OK);
    assert_true(wb_slice_eq(wb_buffer_slice(&json), WB_S("{\"k\":\"1\"}")));
}

/* What is no text becomes U+FFFD, and two such keys would then stand in one object twice. */
static void keys_that_are_written_alike_are_one(void **state)
{
    maker *m = *state;
    const wb_slice keys[] = {WB_S("k\xff"), WB_S("k\xfe"),     WB_S("k\xef\xbf\xbd"),
                             WB_S("k\0"),   WB_S("k\xff\xff"), WB_S("k")};
    wb_slice attrs[WB_COUNT(keys)];
    for (size_t i = 0; i < WB_COUNT(keys); i++) attrs[i] = attr(m, keys[i], WB_S("\x10\x01"));
    WB_AUTO_BUFFER json;
    wb_buffer_init(&json, 1000);
    wb_slice message = make_joined(m, attrs, WB_COUNT(attrs));
    assert_int_equal(wb_otlp_attrs_json(message, WB_OTLP_SPAN, &json), WB_OK);
    assert_true(wb_slice_eq(wb_buffer_slice(&json),
                            WB_S("{\"k\xEF\xBF\xBD\":true,\"k\xEF\xBF\xBD\xEF\xBF\xBD\":true,"
                                 "\"k\":true}")));
}

/* Behind a thousand keys another way finds them. */
static void of_many_keys_the_first_counts_as_well(void **state)
{
    enum { N = 3000, DIFFERENT = 1500 };
    maker *m = *state;
    static wb_slice attrs[N];
    static char names[N][12];
    static const wb_json_limits limits = {
        .depth = 4, .members = N, .elements = 4, .string_bytes = 100, .any_number = true};
    for (size_t i = 0; i < N; i++) { /* every one twice, the second time with another value */
        size_t k = i * 7 % DIFFERENT;
        (void)snprintf(names[i], sizeof names[i], k % 100 ? "k%zu" : "\xff%zu", k);
        attrs[i] =
            attr(m, wb_slice_str(names[i]), i < DIFFERENT ? WB_S("\x10\x01") : WB_S("\x10\x00"));
    }
    const wb_json *root = NULL;
    wb_json_fault fault;
    WB_AUTO_BUFFER json;
    wb_buffer_init(&json, 1 << 20);
    wb_slice message = make_joined(m, attrs, N);
    wb_status status = wb_otlp_attrs_json(message, WB_OTLP_SPAN, &json);
    if (status == WB_ERR_NO_MEMORY) return; /* an allocation was made to fail */
    assert_int_equal(status, WB_OK);
    status = wb_json_parse(wb_buffer_slice(&json), &limits, m->arena, &root, &fault);
    assert_int_equal(status, WB_OK);
    assert_int_equal(fault, WB_JSON_NO_FAULT); /* which no key twice is */
    size_t n = 0;
    for (const wb_json *one = root->first; one; one = one->next, n++)
        assert_true(one->type == WB_JSON_BOOL && one->truth);
    assert_int_equal(n, DIFFERENT);
}

/* The quick way and the long way read the same, whatever the bytes. */
static void those_of_some_first_bytes_are_those_of_all(wb_slice message, wb_otlp_owner owner)
{
    static const uint8_t starts[256] = {['k'] = 1, ['g'] = 1, ['w'] = 1, [0xd0] = 1};
    wb_otlp_iter all = {message}, some = {message};
    wb_slice key, value, quick_key, quick_value;
    while (wb_otlp_next_pair(&all, owner, &key, &value)) {
        if (key.len == 0 || !starts[key.ptr[0]]) continue;
        assert_true(wb_otlp_next_starting(&some, owner, starts, &quick_key, &quick_value));
        assert_ptr_equal(quick_key.ptr, key.ptr);
        assert_int_equal(quick_key.len, key.len);
        assert_ptr_equal(quick_value.ptr, value.ptr);
        assert_int_equal(quick_value.len, value.len);
    }
    assert_false(wb_otlp_next_starting(&some, owner, starts, &quick_key, &quick_value));
}

static void keys_of_some_first_bytes_are_read_quickly(void **state)
{
    maker *m = *state;
    uint64_t random = 7;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        wb_arena_reset(m->arena);
        wb_slice body = seed % 2 ? wb_sample_random(seed, true, m->arena)
                                 : wb_sample_llm_spans(1, seed, m->arena);
        uint8_t *bytes = wb_arena_alloc(m->arena, body.len + 1);
        assert_non_null(bytes);
        memcpy(bytes, body.ptr, body.len);
        /* Any place may be taken for the start of a message, and any byte may be another. */
        for (int i = 0; i < 20 && body.len > 0; i++) {
            size_t at = wb_sample_next(&random) % body.len;
            those_of_some_first_bytes_are_those_of_all(wb_slice_of(bytes + at, body.len - at),
                                                       i % 2 ? WB_OTLP_SPAN : WB_OTLP_RESOURCE);
            bytes[wb_sample_next(&random) % body.len] = (uint8_t)wb_sample_next(&random);
        }
    }
    const wb_slice attrs[] = {attr(m, WB_S(""), WB_S("")), attr(m, WB_S("k"), WB_S("")),
                              attr(m, WB_S("x"), WB_S("")), attr(m, WB_S("g"), WB_S(""))};
    those_of_some_first_bytes_are_those_of_all(make_joined(m, attrs, 4), WB_OTLP_SPAN);
}

static void values_become_the_json_that_means_them(void **state)
{
    maker *m = *state;
    static const struct {
        wb_slice value, json;
    } cases[] = {
        {WB_S(""), WB_S("null")},
        {WB_S("\x0a\x04"
              "a\"\\\n"),
         WB_S("\"a\\\"\\\\\\n\"")},
        {WB_S("\x0a\x03"
              "a\0b"),
         WB_S("\"a\xEF\xBF\xBD"
              "b\"")}, /* U+0000: Postgres has no room for it */
        {WB_S("\x0a\x02"
              "\xC3("),
         WB_S("\"\xEF\xBF\xBD(\"")},
        {WB_S("\x10\x01"), WB_S("true")},
        {WB_S("\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), WB_S("9223372036854775807")},
        {WB_S("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), WB_S("-9223372036854775808")},
        {WB_S("\x21\x66\x66\x66\x66\x66\x66\xe6\x3f"), WB_S("0.7")},
        {WB_S("\x21\x9a\x99\x99\x99\x99\x99\xb9\x3f"), WB_S("0.1")},
        {WB_S("\x21\x01\0\0\0\0\0\xf0\x3f"), WB_S("1.0000000000000002")},
        {WB_S("\x21\0\0\0\0\0\0\xf0\x7f"), WB_S("\"Infinity\"")},
        {WB_S("\x21\0\0\0\0\0\0\xf0\xff"), WB_S("\"-Infinity\"")},
        {WB_S("\x21\0\0\0\0\0\0\xf8\x7f"), WB_S("\"NaN\"")},
        {WB_S("\x3a\x00"), WB_S("\"\"")},
        {WB_S("\x3a\x01"
              "f"),
         WB_S("\"Zg==\"")},
        {WB_S("\x3a\x02"
              "fo"),
         WB_S("\"Zm8=\"")},
        {WB_S("\x3a\x06"
              "foobar"),
         WB_S("\"Zm9vYmFy\"")},
        {WB_S("\x2a\x06\x0a\x02\x18\x01\x0a\x00"), WB_S("[1,null]")},
        {WB_S("\x32\x09\x0a\x07\x0a\x01k\x12\x02\x18\x02"), WB_S("{\"k\":2}")},
        {WB_S("\x2a\x00"), WB_S("[]")},
        {WB_S("\x32\x00"), WB_S("{}")},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        WB_AUTO_BUFFER json;
        wb_buffer_init(&json, 1000);
        assert_int_equal(wb_otlp_value_json(wb_otlp_value(cases[i].value), &json), WB_OK);
        if (!wb_slice_eq(wb_buffer_slice(&json), cases[i].json))
            fail_msg("case %zu: %.*s", i, WB_SLICE_ARG(wb_buffer_slice(&json)));
    }
    wb_slice deep = make_deep_value(m, 100000);
    WB_AUTO_BUFFER json;
    wb_buffer_init(&json, 1000);
    assert_int_equal(wb_otlp_value_json(wb_otlp_value(deep), &json), WB_OK);
    assert_non_null(memmem(json.ptr, json.len, "[null]", 6));
}

static void events_and_links_become_json(void **state)
{
    maker *m = *state;
    wb_slice event[] = {make_raw(m, 1, 1, WB_S("\x05\0\0\0\0\0\0\0")),
                        make_len(m, 2, WB_S("exception")),
                        make_len(m, 3, make_len(m, 1, WB_S("k")))};
    wb_slice link[] = {make_len(m, 1, WB_S("abcdefghijklmnop")), make_len(m, 2, WB_S("ABCDEFGH")),
                       make_len(m, 3, WB_S("a=b")), make_raw(m, 6, 5, WB_S("\x01\x01\0\0"))};
    wb_slice span[] = {make_len(m, 11, make_joined(m, event, 3)),
                       make_len(m, 13, make_joined(m, link, 4)), make_len(m, 11, WB_S(""))};
    wb_slice message = make_joined(m, span, 3);
    WB_AUTO_BUFFER events;
    WB_AUTO_BUFFER links;
    wb_buffer_init(&events, 1000);
    wb_buffer_init(&links, 1000);
    assert_int_equal(wb_otlp_events_json(message, &events), WB_OK);
    assert_int_equal(wb_otlp_links_json(message, &links), WB_OK);
    assert_true(
        wb_slice_eq(wb_buffer_slice(&events),
                    WB_S("[{\"name\":\"exception\",\"time_ns\":\"5\",\"attributes\":{\"k\":null}},"
                         "{\"name\":\"\",\"time_ns\":\"0\",\"attributes\":{}}]")));
    assert_true(wb_slice_eq(wb_buffer_slice(&links),
                            WB_S("[{\"trace_id\":\"6162636465666768696a6b6c6d6e6f70\","
                                 "\"span_id\":\"4142434445464748\",\"trace_state\":\"a=b\","
                                 "\"flags\":257,\"attributes\":{}}]")));
}

/* Our own strict reader takes what is written: no key twice, no raw control byte, UTF-8. */
static void json_of_random_spans_passes_the_strict_reader(void **state)
{
    maker *m = *state;
    static const wb_json_limits limits = {
        .depth = 70, .members = 2000, .elements = 2000, .string_bytes = 100000, .any_number = true};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        wb_batch *batch = NULL;
        wb_slice body = wb_sample_random(seed, false, m->arena);
        assert_int_equal(wb_otlp_walk(body, NULL, m->arena, &batch, NULL), WB_OK);
        for (uint32_t i = 0; i < batch->span_count; i++) {
            const wb_json *root = NULL;
            wb_json_fault fault;
            WB_AUTO_BUFFER json;
            wb_buffer_init(&json, 1 << 20);
            wb_slice span = wb_batch_bytes(batch, batch->spans[i].extent);
            assert_int_equal(wb_otlp_attrs_json(span, WB_OTLP_SPAN, &json), WB_OK);
            assert_int_equal(
                wb_json_parse(wb_buffer_slice(&json), &limits, m->arena, &root, &fault), WB_OK);
            if (fault != WB_JSON_NO_FAULT)
                fail_msg("seed %lu: %s: %.*s", (unsigned long)seed, wb_json_fault_text(fault),
                         WB_SLICE_ARG(wb_buffer_slice(&json)));
        }
        wb_arena_reset(m->arena);
    }
}

static void json_stops_at_the_buffers_limit(void **state)
{
    maker *m = *state;
    wb_slice span = attr(m, WB_S("key"), WB_S("\x0a\x04text"));
    for (size_t limit = 0; limit < 14; limit++) { /* {"key":"text"} */
        WB_AUTO_BUFFER json;
        wb_buffer_init(&json, limit);
        assert_int_equal(wb_otlp_attrs_json(span, WB_OTLP_SPAN, &json), WB_ERR_NO_MEMORY);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(reading_stops_quietly_at_garbage),
        CASE(every_type_of_value_reads_back),
        CASE(the_first_of_two_equal_keys_counts),
        CASE(keys_that_are_written_alike_are_one),
        CASE(of_many_keys_the_first_counts_as_well),
        CASE(keys_of_some_first_bytes_are_read_quickly),
        CASE(values_become_the_json_that_means_them),
        CASE(events_and_links_become_json),
        CASE(json_of_random_spans_passes_the_strict_reader),
        CASE(json_stops_at_the_buffers_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
