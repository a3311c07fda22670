/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/otlp/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <libdeflate.h>

#include <cmocka.h>

enum { MOST = 1024 * 1024 };

typedef struct room {
    size_t held, limit;
} room;

static bool reserve(void *self, size_t bytes)
{
    room *r = self;
    if (bytes > r->limit - r->held) return false;
    r->held += bytes;
    return true;
}

static void release(void *self, size_t bytes)
{
    room *r = self;
    assert_true(bytes <= r->held);
    r->held -= bytes;
}

static wb_export_sink sink_of(room *r)
{
    return (wb_export_sink){.reserve = reserve, .release = release, .self = r};
}

/* As many bytes, in pieces; the first failure ends it. */
static wb_status pour(wb_body *b, size_t bytes, size_t piece)
{
    static const uint8_t zeros[65536];
    wb_error err;
    for (size_t n; bytes > 0; bytes -= n) {
        n = bytes < piece ? bytes : piece;
        WB_TRY(wb_body_add(b, zeros, n, &err));
    }
    return WB_OK;
}

static void what_is_announced_is_not_held_before_it_comes(void **state)
{
    (void)state;
    room r = {.limit = 4 * MOST};
    wb_export_sink sink = sink_of(&r);
    wb_body b;
    wb_body_init(&b, &sink, MOST, MOST);
    assert_int_equal(r.held, 0);
    if (pour(&b, 100, 10) == WB_OK) assert_true(r.held <= 16384);
    wb_body_done(&b);
    assert_int_equal(r.held, 0);
}

static void what_is_short_takes_what_it_takes(void **state)
{
    (void)state;
    room r = {.limit = 4 * MOST};
    wb_export_sink sink = sink_of(&r);
    wb_body b;
    wb_body_init(&b, &sink, MOST, 700);
    if (pour(&b, 700, 700) == WB_OK) {
        assert_int_equal(r.held, 700);
        assert_int_equal(wb_body_bytes(&b).len, 700);
    }
    wb_body_done(&b);
    assert_int_equal(r.held, 0);
}

static void more_than_may_be_is_refused_whatever_was_said(void **state)
{
    static const uint64_t said[] = {10, MOST, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        room r = {.limit = 4 * MOST};
        wb_export_sink sink = sink_of(&r);
        wb_body b;
        wb_body_init(&b, &sink, MOST, said[i]);
        wb_status whole = pour(&b, MOST, 65536);
        assert_true(whole == WB_OK || whole == WB_ERR_NO_MEMORY);
        if (whole == WB_OK) assert_int_equal(pour(&b, 1, 1), WB_ERR_REJECTED);
        assert_true(r.held <= MOST);
        wb_body_drop(&b);
        assert_int_equal(r.held, 0);
        wb_body_done(&b);
    }
}

static void without_room_it_is_later(void **state)
{
    (void)state;
    room r = {.limit = 100 * 1024};
    wb_export_sink sink = sink_of(&r);
    wb_body b;
    wb_body_init(&b, &sink, MOST, UINT64_MAX);
    wb_status status = pour(&b, MOST, 1000);
    assert_true(status == WB_ERR_UNAVAILABLE || status == WB_ERR_NO_MEMORY);
    wb_body_done(&b);
    assert_int_equal(r.held, 0);
}

static void gzip_and_json_are_undone_one_behind_the_other(void **state)
{
    static const char json[] = "{\"resourceSpans\":[{\"schemaUrl\":\"s\"}]}";
    static const uint8_t plain[] = {0x0a, 0x03, 0x1a, 0x01, 's'};
    (void)state;
    uint8_t zipped[256];
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    assert_non_null(c);
    size_t n = libdeflate_gzip_compress(c, json, sizeof json - 1, zipped, sizeof zipped);
    libdeflate_free_compressor(c);
    room r = {.limit = 4 * MOST};
    wb_export_sink sink = sink_of(&r);
    wb_body b;
    wb_body_init(&b, &sink, MOST, n);
    wb_status status = wb_body_add(&b, zipped, n, NULL);
    if (status == WB_OK) status = wb_body_inflate(&b, MOST, NULL);
    if (status == WB_OK) status = wb_body_from_json(&b, WB_SIGNAL_TRACES, NULL);
    assert_true(status == WB_OK || status == WB_ERR_NO_MEMORY);
    if (status == WB_OK) {
        assert_int_equal(wb_body_bytes(&b).len, sizeof plain);
        assert_memory_equal(wb_body_bytes(&b).ptr, plain, sizeof plain);
        assert_true(r.held <= 4096); /* neither the gzip nor the JSON any more */
    }
    wb_body_done(&b);
    assert_int_equal(r.held, 0);
}

static void empty_json_is_an_empty_message(void **state)
{
    (void)state;
    room r = {.limit = 4 * MOST};
    wb_export_sink sink = sink_of(&r);
    wb_body b;
    wb_body_init(&b, &sink, MOST, 2);
    wb_status status = wb_body_add(&b, "{}", 2, NULL);
    if (status == WB_OK) status = wb_body_from_json(&b, WB_SIGNAL_LOGS, NULL);
    assert_true(status == WB_OK || status == WB_ERR_NO_MEMORY);
    if (status == WB_OK) assert_int_equal(wb_body_bytes(&b).len, 0);
    wb_body_done(&b);
    assert_int_equal(r.held, 0);
}

/* Lists of short numbers are the one thing that protobuf writes longer than JSON. */
static void json_that_grows_gets_a_second_try_and_a_bound(void **state)
{
    static const char head[] =
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"histogram\":"
        "{\"dataPoints\":[{\"explicitBounds\":[";
    (void)state;
    for (int big = 0; big < 2; big++) {
        room r = {.limit = WB_EXPORT_ROOM_BYTES};
        wb_export_sink sink = sink_of(&r);
        wb_error err;
        wb_body b;
        size_t most = big ? 100000 : MOST;
        wb_body_init(&b, &sink, most, UINT64_MAX);
        wb_status status = wb_body_add(&b, head, sizeof head - 1, &err);
        for (int i = 0; i < 20000 && status == WB_OK; i++) status = wb_body_add(&b, "1,", 2, &err);
        if (status == WB_OK) status = wb_body_add(&b, "1]}]}}]}]}]}", 12, &err);
        if (status == WB_OK) status = wb_body_from_json(&b, WB_SIGNAL_METRICS, &err);
        if (status != WB_ERR_NO_MEMORY) assert_int_equal(status, big ? WB_ERR_REJECTED : WB_OK);
        if (status == WB_OK) assert_true(wb_body_bytes(&b).len > 160000);
        wb_body_done(&b);
        assert_int_equal(r.held, 0);
    }
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    room r = {.limit = 4 * MOST};
    wb_export_sink sink = sink_of(&r);
    wb_error err;
    wb_body b;
    wb_body_init(&b, &sink, MOST, 3);
    wb_status status = wb_body_add(&b, "{\"a", 3, &err);
    if (status == WB_OK) status = wb_body_from_json(&b, WB_SIGNAL_LOGS, &err);
    assert_true(status == WB_ERR_MALFORMED || status == WB_ERR_NO_MEMORY);
    wb_body_done(&b);
    assert_int_equal(r.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_announced_is_not_held_before_it_comes),
        cmocka_unit_test(what_is_short_takes_what_it_takes),
        cmocka_unit_test(more_than_may_be_is_refused_whatever_was_said),
        cmocka_unit_test(without_room_it_is_later),
        cmocka_unit_test(gzip_and_json_are_undone_one_behind_the_other),
        cmocka_unit_test(empty_json_is_an_empty_message),
        cmocka_unit_test(json_that_grows_gets_a_second_try_and_a_bound),
        cmocka_unit_test(what_is_no_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
