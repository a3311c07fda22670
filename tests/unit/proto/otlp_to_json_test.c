/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is held against texts written by hand, and against the reader of the same JSON
 * (proto/otlp_from_json.h): back in protobuf it is what it was. */
#include "proto/otlp_to_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/arena.h"
#include "proto/otlp_from_json.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, OUT_BYTES = 64 * 1024 * 1024, SEEDS = 300 };

static void writes(wb_signal signal, wb_slice request, const char *text)
{
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, OUT_BYTES);
    assert_int_equal(wb_otlp_to_json(signal, request, &out), WB_OK);
    assert_int_equal(wb_buffer_add(&out, "", 1), WB_OK);
    assert_string_equal((const char *)out.ptr, text);
}

#define BYTES(text) WB_S(text)

static void an_empty_request_is_an_empty_object(void **state)
{
    (void)state;
    writes(WB_SIGNAL_TRACES, (wb_slice){0}, "{}");
    writes(WB_SIGNAL_LOGS, BYTES("\xFF"), "{}");
}

static void ids_are_hex_and_long_numbers_text(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    (void)state;
    assert_non_null(arena);
    maker m = {arena};
    const wb_slice fields[] = {
        make_len(&m, 1, BYTES("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")),
        make_len(&m, 2, BYTES("\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7")),
        make_len(&m, 5, BYTES("a \"name\"\xFF")),
        make_raw(&m, 6, 0, BYTES("\x03")),
        make_raw(&m, 7, 1, BYTES("\xff\xff\xff\xff\xff\xff\xff\x7f")),
        make_len(&m, 15, make_raw(&m, 3, 0, BYTES("\x02"))),
        make_raw(&m, 16, 5, BYTES("\x01\x03\x00\x00")),
        make_raw(&m, 999, 0, BYTES("\x01")),
    };
    wb_slice span = make_joined(&m, fields, WB_COUNT(fields));
    writes(WB_SIGNAL_TRACES, in_envelope(&m, span),
           "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{"
           "\"traceId\":\"000102030405060708090a0b0c0d0e0f\",\"spanId\":\"a0a1a2a3a4a5a6a7\","
           "\"name\":\"a \\\"name\\\"\xEF\xBF\xBD\",\"kind\":3,"
           "\"startTimeUnixNano\":\"9223372036854775807\","
           "\"status\":{\"code\":2},\"flags\":769}]}]}]}");
}

/* One data point of a gauge: NaN in a double, and of a oneof the last. */
static void numbers_of_metrics_have_their_forms(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    (void)state;
    assert_non_null(arena);
    maker m = {arena};
    const wb_slice point_fields[] = {make_raw(&m, 3, 1, BYTES("\x2a\0\0\0\0\0\0\0")),
                                     make_raw(&m, 6, 1, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff")),
                                     make_raw(&m, 4, 1, BYTES("\0\0\0\0\0\0\xf8\x7f"))};
    const wb_slice histogram_fields[] = {
        make_raw(&m, 4, 1, BYTES("\x03\0\0\0\0\0\0\0")),
        make_len(&m, 6, BYTES("\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0")), /* packed */
        make_raw(&m, 7, 1, BYTES("\0\0\0\0\0\0\xe0\x3f"))};             /* not packed */
    wb_slice gauge = make_len(&m, 5, make_len(&m, 1, make_joined(&m, point_fields, 3)));
    wb_slice histogram = make_len(&m, 9, make_len(&m, 1, make_joined(&m, histogram_fields, 3)));
    const wb_slice metrics[] = {make_len(&m, 2, gauge), make_len(&m, 2, histogram)};
    wb_slice request =
        make_len(&m, 1, make_len(&m, 2, make_joined(&m, metrics, WB_COUNT(metrics))));
    writes(WB_SIGNAL_METRICS, request,
           "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":["
           "{\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"42\",\"asDouble\":\"NaN\"}]}},"
           "{\"histogram\":{\"dataPoints\":[{\"count\":\"3\",\"bucketCounts\":[\"1\",\"2\"],"
           "\"explicitBounds\":[0.5]}]}}]}]}]}");
}

static void signed_numbers_keep_their_sign(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    (void)state;
    assert_non_null(arena);
    maker m = {arena};
    const wb_slice point[] = {
        make_raw(&m, 6, 0, BYTES("\x03")), /* scale, zigzag: -2 */
        make_len(&m, 8, make_len(&m, 2, BYTES("\x01\xac\x02"))),
    };
    wb_slice metric = make_len(&m, 10, make_len(&m, 1, make_joined(&m, point, 2)));
    writes(
        WB_SIGNAL_METRICS, make_len(&m, 1, make_len(&m, 2, make_len(&m, 2, metric))),
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"exponentialHistogram\":"
        "{\"dataPoints\":[{\"scale\":-2,\"positive\":{\"bucketCounts\":[\"1\",\"300\"]}}]}}]}]}]}");
}

/* Protobuf to JSON to protobuf to JSON: the second JSON is the first. */
static void what_is_read_back_is_written_as_before(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER first;
    WB_AUTO_BUFFER wire;
    WB_AUTO_BUFFER second;
    (void)state;
    wb_buffer_init(&first, OUT_BYTES);
    wb_buffer_init(&wire, OUT_BYTES);
    wb_buffer_init(&second, OUT_BYTES);
    assert_non_null(arena);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        wb_error err = {0};
        wb_arena_reset(arena);
        wb_buffer_clear(&first);
        wb_buffer_clear(&wire);
        wb_buffer_clear(&second);
        wb_slice body = wb_sample_random(seed, false, arena);
        assert_int_equal(wb_otlp_to_json(WB_SIGNAL_TRACES, body, &first), WB_OK);
        if (wb_otlp_from_json(WB_SIGNAL_TRACES, wb_buffer_slice(&first), &wire, &err) != WB_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, err.detail);
        assert_int_equal(wb_otlp_to_json(WB_SIGNAL_TRACES, wb_buffer_slice(&wire), &second), WB_OK);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.ptr, second.ptr, first.len);
    }
}

/* Of a name, a key and a value; between what is no UTF-8, too. */
static void a_nul_stays_a_nul(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER text;
    WB_AUTO_BUFFER back;
    (void)state;
    wb_buffer_init(&text, OUT_BYTES);
    wb_buffer_init(&back, OUT_BYTES);
    assert_non_null(arena);
    maker m = {arena};
    const wb_slice pair[] = {make_len(&m, 1, BYTES("\0key")),
                             make_len(&m, 2, make_len(&m, 1, BYTES("x\0\0y")))};
    const wb_slice span[] = {make_len(&m, 5, BYTES("name\0")),
                             make_len(&m, 9, make_joined(&m, pair, WB_COUNT(pair)))};
    wb_slice request = in_envelope(&m, make_joined(&m, span, WB_COUNT(span)));
    writes(WB_SIGNAL_TRACES, request,
           "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"name\\u0000\","
           "\"attributes\":[{\"key\":\"\\u0000key\",\"value\":{\"stringValue\":"
           "\"x\\u0000\\u0000y\"}}]}]}]}]}");
    assert_int_equal(wb_otlp_to_json(WB_SIGNAL_TRACES, request, &text), WB_OK);
    assert_int_equal(wb_otlp_from_json(WB_SIGNAL_TRACES, wb_buffer_slice(&text), &back, NULL),
                     WB_OK);
    assert_true(wb_slice_eq(wb_buffer_slice(&back), request));
    writes(WB_SIGNAL_TRACES, in_envelope(&m, make_len(&m, 5, BYTES("a\0\xFF\0"))),
           "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{"
           "\"name\":\"a\\u0000\xEF\xBF\xBD\\u0000\"}]}]}]}");
}

static void nesting_without_end_is_cut(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, OUT_BYTES);
    assert_non_null(arena);
    maker m = {arena};
    wb_slice attr = make_len(&m, 9, make_len(&m, 2, make_deep_value(&m, 5000)));
    assert_int_equal(wb_otlp_to_json(WB_SIGNAL_TRACES, in_envelope(&m, attr), &out), WB_OK);
    assert_true(out.len < 10000);
}

static void the_buffers_limit_holds(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    (void)state;
    assert_non_null(arena);
    wb_slice body = wb_sample_random(7, true, arena);
    for (size_t limit = 0; limit < 600; limit += 7) {
        WB_AUTO_BUFFER small;
        wb_buffer_init(&small, limit);
        (void)!wb_otlp_to_json(WB_SIGNAL_TRACES, body, &small);
        assert_true(small.len <= limit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_request_is_an_empty_object),
        cmocka_unit_test(the_buffers_limit_holds),
        cmocka_unit_test(a_nul_stays_a_nul),
        cmocka_unit_test(nesting_without_end_is_cut),
        cmocka_unit_test(ids_are_hex_and_long_numbers_text),
        cmocka_unit_test(numbers_of_metrics_have_their_forms),
        cmocka_unit_test(signed_numbers_keep_their_sign),
        cmocka_unit_test(what_is_read_back_is_written_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
