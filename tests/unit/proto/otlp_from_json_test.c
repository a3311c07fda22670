/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/otlp_from_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_to_json.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, OUT_BYTES = 16 * 1024 * 1024, SEEDS = 1000 };

typedef struct fixture {
    wb_arena *arena;
    maker m;
    wb_buffer out;
    wb_buffer text;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, OUT_BYTES);
    wb_buffer_init(&f->text, OUT_BYTES);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->out);
    wb_buffer_done(&f->text);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

/* The body that `json` says, in f->out. */
static wb_status make(fixture *f, wb_signal signal, wb_slice json, wb_error *err)
{
    wb_buffer_clear(&f->out);
    return wb_otlp_from_json(signal, json, &f->out, err);
}

/* ---- refusals -------------------------------------------------------------------------------- */

typedef struct refusal {
    const char *json;
    const char *reason; /* with the byte */
} refusal;

static void assert_refusals(fixture *f, wb_signal signal, const refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wb_error err = {0};
        wb_status status = make(f, signal, wb_slice_str(cases[i].json), &err);
        if (status != WB_ERR_MALFORMED || !strstr(err.detail, cases[i].reason))
            fail_msg("%s: %s, %s", cases[i].json, wb_status_name(status), err.detail);
        assert_int_equal(f->out.len, 0);
    }
}

static void refuses_what_is_no_json(void **state)
{
    static const refusal cases[] = {
        {"", "byte 0: no JSON object"},
        {"  ", "byte 2: no JSON object"},
        {"null", "byte 0: no JSON object"},
        {"[]", "byte 0: no JSON object"},
        {"\xef\xbb\xbf{}", "byte 0: no JSON object"},
        {"{} x", "byte 3: something behind"},
        {"{}{}", "byte 2: something behind"},
        {"{", "byte 1: no name"},
        {"{,}", "byte 1: no name"},
        {"{\"a\"}", "byte 4: no colon"},
        {"{\"a\":}", "byte 5: no value"},
        {"{\"a\":1", "byte 6: no comma or bracket"},
        {"{\"a\":1,}", "byte 7: no name"},
        {"{\"a\":1 \"b\":2}", "byte 7: no comma or bracket"},
        {"{'a':1}", "byte 1: no name"},
        {"{\"a\":01}", "byte 5: no value"},
        {"{\"a\":-}", "byte 5: no value"},
        {"{\"a\":1.}", "byte 5: no value"},
        {"{\"a\":.5}", "byte 5: no value"},
        {"{\"a\":1e}", "byte 5: no value"},
        {"{\"a\":+1}", "byte 5: no value"},
        {"{\"a\":NaN}", "byte 5: no value"},
        {"{\"a\":tru}", "byte 5: no value"},
        {"{\"a\":falsey}", "byte 10: no comma"},
        {"{\"a\":nul}", "byte 5: no value"},
        {"{\"a\":[1,]}", "byte 8: no value"},
        {"{\"a\":[1}", "byte 7: no comma or bracket"},
        {"{\"a\":{\"b\":1]}", "byte 11: no comma or bracket"},
        {"{\"a\":{\"b\" 1}}", "byte 10: no colon"},
        {"{\"a\":{b:1}}", "byte 6: no name"},
        {"{\"a\":\"x", "byte 7: a string has no end"},
        {"{\"a\":\"x\n\"}", "byte 7: a control character"},
        {"{\"a\":\"\\x\"}", "byte 6: no such escape"},
        {"{\"a\":\"\\u12g4\"}", "byte 6: no such escape"},
        {"{\"a\":\"\\u12", "byte 6: no such escape"},
        {"{\"a\":\"\\", "byte 6: no such escape"},
        {"{\"a", "byte 3: a string has no end"},
    };
    assert_refusals(*state, WB_SIGNAL_TRACES, cases, WB_COUNT(cases));
}

#define SPAN(members) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" members "}]}]}]}"
#define VALUE(member) SPAN("\"attributes\":[{\"key\":\"k\",\"value\":{" member "}}]")

static void refuses_values_of_another_kind(void **state)
{
    static const refusal cases[] = {
        {"{\"resourceSpans\":{}}", "byte 17: resourceSpans: no array"},
        {"{\"resourceSpans\":[1]}", "byte 18: resourceSpans: no object"},
        {"{\"resourceSpans\":[null]}", "byte 18: resourceSpans: null in an array"},
        {"{\"resourceSpans\":[{}", "no comma or bracket"},
        {"{\"resourceSpans\":[{} {}]}", "byte 21: no comma or bracket"},
        {"{\"resourceSpans\":[{\"resource\":[]}]}", "resource: no object"},
        {SPAN("\"name\":1"), "name: no string"},
        {SPAN("\"traceId\":1"), "traceId: no string"},
        {SPAN("\"traceId\":\"0g\""), "traceId: not hex"},
        {SPAN("\"spanId\":\"abc\""), "spanId: not hex"},
        {SPAN("\"kind\":\"SPAN_KIND_CLIENT\""), "kind: no number"},
        {SPAN("\"kind\":\"2\""), "kind: no number"},
        {SPAN("\"kind\":2.5"), "kind: no whole number"},
        {SPAN("\"kind\":2147483648"), "kind: out of range"},
        {SPAN("\"kind\":-2147483649"), "kind: out of range"},
        {SPAN("\"kind\":true"), "kind: no number"},
        {SPAN("\"flags\":-1"), "flags: out of range"},
        {SPAN("\"flags\":4294967296"), "flags: out of range"},
        {SPAN("\"startTimeUnixNano\":\"\""), "startTimeUnixNano: no whole number"},
        {SPAN("\"startTimeUnixNano\":\" 1\""), "startTimeUnixNano: no whole number"},
        {SPAN("\"startTimeUnixNano\":\"-1\""), "startTimeUnixNano: out of range"},
        {SPAN("\"startTimeUnixNano\":18446744073709551616"), "no whole number"},
        {SPAN("\"startTimeUnixNano\":1e20"), "startTimeUnixNano: no whole number"},
        {SPAN("\"startTimeUnixNano\":01"), "byte 64: no number"},
        {SPAN("\"status\":{\"code\":null,\"code\":1}"), "code: a name twice"},
        {SPAN("\"name\":\"a\",\"nam\\u0065\":\"b\""), "name: a name twice"},
        {VALUE("\"boolValue\":1"), "boolValue: neither true nor false"},
        {VALUE("\"boolValue\":\"true\""), "boolValue: neither true nor false"},
        {VALUE("\"intValue\":9223372036854775808"), "intValue: out of range"},
        {VALUE("\"intValue\":\"-9223372036854775809\""), "intValue: out of range"},
        {VALUE("\"intValue\":\"0x1\""), "intValue: no whole number"},
        {VALUE("\"doubleValue\":\"nan\""), "doubleValue: no number"},
        {VALUE("\"doubleValue\":1e309"), "doubleValue: out of range"},
        {VALUE("\"doubleValue\":\"1,5\""), "doubleValue: no number"},
        {VALUE("\"bytesValue\":\"AAA=A\""), "bytesValue: not base64"},
        {VALUE("\"bytesValue\":\"A\""), "bytesValue: not base64"},
        {VALUE("\"bytesValue\":\"AA=\""), "bytesValue: not base64"},
        {VALUE("\"bytesValue\":\"A?==\""), "bytesValue: not base64"},
        {VALUE("\"stringValue\":\"a\",\"intValue\":1"), "intValue: a second value of one"},
        {VALUE("\"arrayValue\":{\"values\":[null]}"), "values: null in an array"},
        {VALUE("\"stringValue\":\"a"), "a string has no end"},
    };
    assert_refusals(*state, WB_SIGNAL_TRACES, cases, WB_COUNT(cases));
}

static void refuses_bad_lists_of_numbers(void **state)
{
#define POINT(members)                                                                             \
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"histogram\":{\"dataPoints\":["      \
    "{" members "}]}}]}]}]}"
    static const refusal cases[] = {
        {POINT("\"bucketCounts\":[1,null]"), "bucketCounts: null in an array"},
        {POINT("\"bucketCounts\":[-1]"), "bucketCounts: out of range"},
        {POINT("\"bucketCounts\":[1 2]"), "no comma or bracket"},
        {POINT("\"bucketCounts\":\"1\""), "bucketCounts: no array"},
        {POINT("\"explicitBounds\":[[]]"), "explicitBounds: no number"},
        {POINT("\"explicitBounds\":["), "explicitBounds: no number"},
    };
    assert_refusals(*state, WB_SIGNAL_METRICS, cases, WB_COUNT(cases));
}

/* `n` times `part`, between `before` and `after`. */
static wb_slice repeated(fixture *f, const char *before, const char *part, size_t n,
                         const char *after)
{
    wb_slice parts[] = {wb_slice_str(before), make_repeated(&f->m, wb_slice_str(part), n),
                        wb_slice_str(after)};
    return make_joined(&f->m, parts, 3);
}

static void refuses_what_is_too_large(void **state)
{
    fixture *f = *state;
    wb_error err;
    wb_slice json = repeated(f, "{}", " ", WB_OTLP_BODY_MAX_BYTES - 1, "");
    assert_int_equal(make(f, WB_SIGNAL_LOGS, json, &err), WB_ERR_MALFORMED);
    assert_non_null(strstr(err.detail, "at most 8388608"));
    json.len--;
    assert_int_equal(make(f, WB_SIGNAL_LOGS, json, &err), WB_OK);
    json = repeated(f,
                    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"histogram\":"
                    "{\"dataPoints\":[{\"bucketCounts\":[",
                    "1,", 1100000, "1]}]}}]}]}]}");
    assert_int_equal(make(f, WB_SIGNAL_METRICS, json, &err), WB_ERR_MALFORMED);
    assert_non_null(strstr(err.detail, "more protobuf than is taken"));
}

static void keeps_the_buffer_where_it_stops(void **state)
{
    (void)state;
    wb_slice json = wb_slice_str(SPAN("\"name\":\"0123456789\",\"attributes\":[{\"key\":\"key\","
                                      "\"value\":{\"bytesValue\":\"AAAA\\u0041AAA\"}},{}]"));
    size_t stopped = 0;
    for (size_t limit = 6; limit < 200; limit++) {
        WB_AUTO_BUFFER small;
        wb_buffer_init(&small, limit);
        if (wb_buffer_add(&small, "before", 6) != WB_OK) continue;
        wb_status status = wb_otlp_from_json(WB_SIGNAL_TRACES, json, &small, NULL);
        assert_true(status == WB_OK || status == WB_ERR_FULL || status == WB_ERR_NO_MEMORY);
        assert_memory_equal(small.ptr, "before", 6);
        assert_true((small.len == 6) == (status != WB_OK));
        stopped += status != WB_OK;
    }
    assert_true(stopped > 20 && stopped < 190);
}

/* ---- depth ----------------------------------------------------------------------------------- */

static void skips_unknown_values_to_a_depth(void **state)
{
    fixture *f = *state;
    wb_error err;
    for (size_t levels = 255; levels <= 257; levels++) {
        wb_slice parts[] = {WB_S("{\"x\":"), make_repeated(&f->m, WB_S("["), levels),
                            make_repeated(&f->m, WB_S("]"), levels), WB_S("}")};
        wb_status status = make(f, WB_SIGNAL_TRACES, make_joined(&f->m, parts, 4), &err);
        assert_int_equal(status, levels <= 256 ? WB_OK : WB_ERR_MALFORMED);
    }
    assert_non_null(strstr(err.detail, "byte 261: an unknown value is nested too deep"));
    wb_slice open = repeated(f, "{\"x\":", "{\"a\":[", 4000000 / 6, "");
    assert_int_equal(make(f, WB_SIGNAL_TRACES, open, &err), WB_ERR_MALFORMED);
}

/* A span with a value of so many levels, and a good one. */
static wb_slice nested(fixture *f, bool lists, size_t levels)
{
    wb_slice open = lists ? WB_S("{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":")
                          : WB_S("{\"arrayValue\":{\"values\":[");
    wb_slice close = lists ? WB_S("}]}}") : WB_S("]}}");
    wb_slice parts[] = {
        WB_S("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{"
             "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\"},{"
             "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203332\","
             "\"attributes\":[{\"key\":\"k\",\"value\":"),
        make_repeated(&f->m, open, levels - 1),
        WB_S("{\"stringValue\":\"x\"}"),
        make_repeated(&f->m, close, levels - 1),
        WB_S("}]}]}]}]}"),
    };
    return make_joined(&f->m, parts, WB_COUNT(parts));
}

static void a_value_nested_too_deep_costs_its_span_alone(void **state)
{
    fixture *f = *state;
    static const size_t levels[] = {1, 2, 63, 64, 65, 66, 100, 128};
    for (size_t i = 0; i < 2 * WB_COUNT(levels); i++) {
        size_t deep = levels[i / 2];
        wb_batch *batch = NULL;
        wb_error err = {0};
        wb_status status = make(f, WB_SIGNAL_TRACES, nested(f, i % 2, deep), &err);
        if (status != WB_OK) fail_msg("%zu levels: %s", deep, err.detail);
        assert_int_equal(wb_otlp_walk(wb_buffer_slice(&f->out), NULL, f->arena, &batch, NULL),
                         WB_OK);
        assert_int_equal(batch->rejected_count, deep > WB_OTLP_DEPTH_MAX ? 1 : 0);
        assert_int_equal(batch->span_count, deep > WB_OTLP_DEPTH_MAX ? 1 : 2);
    }
    wb_error err;
    assert_int_equal(make(f, WB_SIGNAL_TRACES, nested(f, true, 50000), &err), WB_ERR_MALFORMED);
}

/* ---- what is taken --------------------------------------------------------------------------- */

static void assert_makes(fixture *f, const char *json, wb_slice span)
{
    wb_error err = {0};
    wb_status status = make(f, WB_SIGNAL_TRACES, wb_slice_str(json), &err);
    if (status != WB_OK) fail_msg("%s: %s", json, err.detail);
    wb_slice want = make_len(&f->m, 1, make_len(&f->m, 2, make_len(&f->m, 2, span)));
    if (!wb_slice_eq(wb_buffer_slice(&f->out), want)) fail_msg("%s: other bytes", json);
}

/* An attribute "k" of that AnyValue. */
static wb_slice attr_of(fixture *f, wb_slice any_value)
{
    wb_slice kv[] = {make_len(&f->m, 1, WB_S("k")), make_len(&f->m, 2, any_value)};
    return make_len(&f->m, 9, make_joined(&f->m, kv, 2));
}

static void takes_each_kind_of_value(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice none = WB_S("");
    assert_makes(f, VALUE("\"stringValue\":\"\""), attr_of(f, make_len(m, 1, none)));
    assert_makes(f, VALUE("\"stringValue\":null"), attr_of(f, none));
    assert_makes(f, VALUE("\"stringValue\":null,\"intValue\":\"0\""), attr_of(f, WB_S("\x18\0")));
    assert_makes(f, VALUE("\"boolValue\":false"), attr_of(f, WB_S("\x10\0")));
    assert_makes(f, VALUE("\"boolValue\":true"), attr_of(f, WB_S("\x10\1")));
    wb_slice minus_one = WB_S("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    assert_makes(f, VALUE("\"intValue\":-1"), attr_of(f, minus_one));
    assert_makes(f, VALUE("\"intValue\":\"-1.0\""), attr_of(f, minus_one));
    assert_makes(f, VALUE("\"intValue\":-10e-1"), attr_of(f, minus_one));
    assert_makes(f, VALUE("\"intValue\":-0"), attr_of(f, WB_S("\x18\0")));
    wb_slice half = WB_S("\x21\0\0\0\0\0\0\xe0\x3f");
    assert_makes(f, VALUE("\"doubleValue\":0.5"), attr_of(f, half));
    assert_makes(f, VALUE("\"doubleValue\":\"5e-1\""), attr_of(f, half));
    assert_makes(f, VALUE("\"doubleValue\":\"0\\u002e5\""), attr_of(f, half));
    assert_makes(f, VALUE("\"doubleValue\":\"-Infinity\""),
                 attr_of(f, WB_S("\x21\0\0\0\0\0\0\xf0\xff")));
    assert_makes(f, VALUE("\"bytesValue\":\"\""), attr_of(f, make_len(m, 7, none)));
    assert_makes(f, VALUE("\"bytesValue\":\"-_8\""), attr_of(f, make_len(m, 7, WB_S("\xfb\xff"))));
    assert_makes(f, VALUE("\"bytesValue\":\"+\\/8=\""),
                 attr_of(f, make_len(m, 7, WB_S("\xfb\xff"))));
    assert_makes(f, VALUE("\"arrayValue\":{}"), attr_of(f, make_len(m, 5, none)));
    assert_makes(f, VALUE("\"keyStrindex\":1"), attr_of(f, none));
}

static void leaves_out_what_is_zero_or_absent(void **state)
{
    fixture *f = *state;
    assert_makes(f, SPAN(""), WB_S(""));
    assert_makes(f,
                 SPAN("\"name\":\"\",\"kind\":0,\"startTimeUnixNano\":\"0\",\"parentSpanId\":\"\","
                      "\"attributes\":[],\"events\":null,\"status\":null,\"flags\":0.0e3"),
                 WB_S(""));
    assert_makes(f, SPAN("\"status\":{}"), WB_S("\x7a\0"));
    assert_makes(f,
                 SPAN("\"attributes\":[{\"key\":\"\",\"value\":{\"intValue\":\"1\"}}],"
                      "\"droppedEventsCount\":0"),
                 make_len(&f->m, 9, make_len(&f->m, 2, WB_S("\x18\1"))));
}

static void takes_ids_names_and_numbers(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice parts[] = {
        make_len(m, 1, WB_S("\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c")),
        make_len(m, 2, WB_S("\xb7\xad")),
        WB_S("\x30\x03"),
        WB_S("\x39\x15\xcd\x5b\x07\0\0\0\0"),
        WB_S("\x50\xff\xff\xff\xff\x0f"),
        WB_S("\x85\x01\x01\x03\0\0"),
        make_len(m, 5, WB_S("a\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0")),
    };
    assert_makes(
        f,
        SPAN("\"traceId\":\"0AF7651916cd43dd8448EB211C80319c\",\"spanId\":\"b7\\u0061d\","
             "\"trace_id\":\"ignored\",\"k\\u0069nd\" : 3 ,\"startTimeUnixNano\":123456789"
             ",\"droppedAttributesCount\":\"4294967295\",\"flags\":769,"
             "\"name\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\uDE00\\u0000\""),
        make_joined(m, parts, WB_COUNT(parts)));
}

static void half_a_pair_is_text_that_the_walk_rejects(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    assert_makes(f, SPAN("\"name\":\"\\ud83d\""), make_len(m, 5, WB_S("\xed\xa0\xbd")));
    assert_makes(f, SPAN("\"name\":\"\\ud83d\\n\\ude00\""),
                 make_len(m, 5, WB_S("\xed\xa0\xbd\n\xed\xb8\x80")));
    assert_makes(f, SPAN("\"name\":\"\\ud83d\\u0041\""),
                 make_len(m, 5,
                          WB_S("\xed\xa0\xbd"
                               "A")));
    assert_makes(f, SPAN("\"name\":\"\xff\""), make_len(m, 5, WB_S("\xff")));
    assert_makes(f, SPAN("\"name\":\"\\ud83d\\ue000\""),
                 make_len(m, 5, WB_S("\xed\xa0\xbd\xee\x80\x80")));
    assert_makes(f, SPAN("\"name\":\"\\ud83d\\ud83d\\ude00\""),
                 make_len(m, 5, WB_S("\xed\xa0\xbd\xf0\x9f\x98\x80")));
}

/* Names and texts of all lengths around those where a length grows by a byte. */
static void moves_messages_whose_length_was_guessed_wrong(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const size_t lengths[] = {0,     1,     50,    119,   120,   121,   122,
                                     123,   124,   125,   126,   127,   128,   129,
                                     16370, 16377, 16378, 16379, 16383, 16384, 300000};
    for (size_t i = 0; i < 2 * WB_COUNT(lengths);
         i++) { /* at the end of the text, and far from it */
        wb_slice text = make_fill(m, lengths[i / 2], 'x');
        wb_slice parts[] = {WB_S("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":"
                                 "[{\"key\":\"k\",\"value\":{\"stringValue\":\""),
                            text, WB_S("\"}}]}]}]}]}"), make_repeated(m, WB_S(" "), i % 2 * 40)};
        wb_slice json = make_joined(m, parts, 4);
        assert_int_equal(make(f, WB_SIGNAL_TRACES, json, NULL), WB_OK);
        wb_slice span = attr_of(f, make_len(m, 1, text));
        wb_slice want = make_len(m, 1, make_len(m, 2, make_len(m, 2, span)));
        assert_true(wb_slice_eq(wb_buffer_slice(&f->out), want));
    }
}

static void appends_to_what_the_buffer_holds(void **state)
{
    fixture *f = *state;
    assert_int_equal(wb_buffer_add(&f->out, "before", 6), WB_OK);
    assert_int_equal(
        wb_otlp_from_json(WB_SIGNAL_LOGS, WB_S(" {\"resourceLogs\":[{}]}\r\n"), &f->out, NULL),
        WB_OK);
    assert_int_equal(f->out.len, 8);
    assert_memory_equal(f->out.ptr, "before\x0a\0", 8);
}

/* ---- there and back -------------------------------------------------------------------------- */

static void add(fixture *f, wb_slice text)
{
    assert_int_equal(wb_buffer_add_slice(&f->text, text), WB_OK);
}

/* A span's JSON comes back as its bytes, for what protobuf-c packed in the order of the numbers. */
static void spans_written_as_json_come_back(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        wb_batch *batch = NULL;
        wb_slice body =
            seed ? wb_sample_random(seed, false, f->arena) : wb_sample_llm_spans(20, 1, f->arena);
        assert_int_equal(wb_otlp_walk(body, NULL, f->arena, &batch, NULL), WB_OK);
        for (uint32_t i = 0; i < batch->span_count; i++) {
            wb_slice span = wb_batch_bytes(batch, batch->spans[i].extent);
            wb_buffer_clear(&f->text);
            add(f, WB_S("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":["));
            assert_int_equal(wb_otlp_span_to_json(span, &f->text), WB_OK);
            add(f, WB_S("]}]}]}"));
            wb_error err = {0};
            if (make(f, WB_SIGNAL_TRACES, wb_buffer_slice(&f->text), &err) != WB_OK)
                fail_msg("seed %llu, span %u: %s", (unsigned long long)seed, i, err.detail);
            wb_slice want = make_len(&f->m, 1, make_len(&f->m, 2, make_len(&f->m, 2, span)));
            if (!wb_slice_eq(wb_buffer_slice(&f->out), want))
                fail_msg("seed %llu, span %u", (unsigned long long)seed, i);
        }
        wb_arena_reset(f->arena);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(refuses_what_is_no_json),
        CASE(refuses_values_of_another_kind),
        CASE(refuses_bad_lists_of_numbers),
        CASE(refuses_what_is_too_large),
        CASE(keeps_the_buffer_where_it_stops),
        CASE(skips_unknown_values_to_a_depth),
        CASE(a_value_nested_too_deep_costs_its_span_alone),
        CASE(takes_each_kind_of_value),
        CASE(leaves_out_what_is_zero_or_absent),
        CASE(takes_ids_names_and_numbers),
        CASE(half_a_pair_is_text_that_the_walk_rejects),
        CASE(moves_messages_whose_length_was_guessed_wrong),
        CASE(appends_to_what_the_buffer_holds),
        CASE(spans_written_as_json_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
