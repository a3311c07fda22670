/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/otlp/inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <libdeflate.h>

#include <cmocka.h>

enum { LIMIT = 64 * 1024, ROOM = 1024 * 1024 };

/* A sink of so much room. */
typedef struct room {
    size_t held, most, limit;
} room;

static bool reserve(void *self, size_t bytes)
{
    room *r = self;
    if (bytes > r->limit - r->held) return false;
    r->held += bytes;
    if (r->held > r->most) r->most = r->held;
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

/* Append one member over `len` bytes of `fill` to `out`. */
static size_t add_member(uint8_t *out, size_t at, size_t room_left, int fill, size_t len)
{
    uint8_t *plain = malloc(len + 1);
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    assert_non_null(plain);
    assert_non_null(c);
    memset(plain, fill, len);
    size_t n = libdeflate_gzip_compress(c, plain, len, out + at, room_left - at);
    assert_true(n > 0);
    libdeflate_free_compressor(c);
    free(plain);
    return at + n;
}

static void what_is_whole_comes_out(void **state)
{
    static const size_t lens[] = {0, 1, 4095, 4096, 4097, 20000, LIMIT};
    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        uint8_t zipped[4096];
        room r = {.limit = ROOM};
        wb_export_sink sink = sink_of(&r);
        wb_inflated out;
        size_t n = add_member(zipped, 0, sizeof zipped, 'a', lens[i]);
        wb_status status = wb_inflate_gzip(wb_slice_of(zipped, n), LIMIT, &sink, &out, NULL);
        if (status == WB_ERR_NO_MEMORY) continue; /* only where allocations are made to fail */
        assert_int_equal(status, WB_OK);
        assert_int_equal(out.len, lens[i]);
        for (size_t k = 0; k < out.len; k++) assert_int_equal(out.ptr[k], 'a');
        assert_int_equal(r.held, out.reserved);
        wb_inflated_free(&out, &sink);
        assert_int_equal(r.held, 0);
    }
}

static void members_are_joined(void **state)
{
    (void)state;
    uint8_t zipped[4096];
    room r = {.limit = ROOM};
    wb_export_sink sink = sink_of(&r);
    wb_inflated out;
    size_t n = add_member(zipped, 0, sizeof zipped, 'a', 30000);
    n = add_member(zipped, n, sizeof zipped, 'b', 0);
    n = add_member(zipped, n, sizeof zipped, 'c', 10); /* whose length is the first guess */
    wb_status status = wb_inflate_gzip(wb_slice_of(zipped, n), LIMIT, &sink, &out, NULL);
    if (status == WB_ERR_NO_MEMORY) return;
    assert_int_equal(status, WB_OK);
    assert_int_equal(out.len, 30010);
    assert_int_equal(out.ptr[29999], 'a');
    assert_int_equal(out.ptr[30000], 'c');
    wb_inflated_free(&out, &sink);
    assert_int_equal(r.held, 0);
}

static wb_status try(wb_slice in, size_t room_bytes, size_t *most)
{
    room r = {.limit = room_bytes};
    wb_export_sink sink = sink_of(&r);
    wb_inflated out = {.len = 77};
    wb_error err = {.status = WB_OK};
    wb_status status = wb_inflate_gzip(in, LIMIT, &sink, &out, &err);
    *most = r.most;
    if (status == WB_OK) {
        wb_inflated_free(&out, &sink);
    } else {
        assert_int_equal(out.len, 77); /* untouched */
        assert_int_equal(err.status, status);
        assert_true(err.detail[0]);
    }
    assert_int_equal(r.held, 0);
    return status;
}

static void what_is_too_large_is_refused_within_bounds(void **state)
{
    (void)state;
    uint8_t zipped[16384];
    size_t most;
    size_t n = add_member(zipped, 0, sizeof zipped, 0, LIMIT + 1);
    wb_status status = try(wb_slice_of(zipped, n), ROOM, &most);
    assert_true(status == WB_ERR_REJECTED || status == WB_ERR_NO_MEMORY);
    assert_true(most <= LIMIT);
    n = add_member(zipped, 0, sizeof zipped, 0, 8 * 1024 * 1024); /* a bomb */
    memset(zipped + n - 4, 0, 4);                                 /* that says it is empty */
    status = try(wb_slice_of(zipped, n), ROOM, &most);
    assert_true(status == WB_ERR_REJECTED || status == WB_ERR_NO_MEMORY);
    assert_true(most <= LIMIT);
    n = add_member(zipped, 0, sizeof zipped, 0,
                   LIMIT - 1); /* two within bounds, their sum beyond */
    n = add_member(zipped, n, sizeof zipped, 0, 2);
    status = try(wb_slice_of(zipped, n), ROOM, &most);
    assert_true(status == WB_ERR_REJECTED || status == WB_ERR_NO_MEMORY);
}

static void without_room_it_is_later(void **state)
{
    (void)state;
    uint8_t zipped[4096];
    size_t most, n = add_member(zipped, 0, sizeof zipped, 0, 20000);
    wb_status status = try(wb_slice_of(zipped, n), 19999, &most);
    assert_true(status == WB_ERR_UNAVAILABLE || status == WB_ERR_NO_MEMORY);
    memset(zipped + n - 4, 0, 4); /* found out on the way */
    status = try(wb_slice_of(zipped, n), 8191, &most);
    assert_true(status == WB_ERR_UNAVAILABLE || status == WB_ERR_NO_MEMORY);
}

static void what_is_cut_or_spoilt_is_refused(void **state)
{
    (void)state;
    uint8_t zipped[4096], copy[4096];
    size_t most, n = add_member(zipped, 0, sizeof zipped - 100, 'x', 5000);
    for (size_t len = 0; len < n; len++) {
        wb_status status = try(wb_slice_of(zipped, len), ROOM, &most);
        assert_true(status == WB_ERR_MALFORMED || status == WB_ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < n;
         i++) { /* some bytes, as MTIME, say nothing; none changes what comes out */
        room r = {.limit = ROOM};
        wb_export_sink sink = sink_of(&r);
        wb_inflated out;
        memcpy(copy, zipped, n);
        copy[i] ^= 0x55;
        if (wb_inflate_gzip(wb_slice_of(copy, n), LIMIT, &sink, &out, NULL) != WB_OK) continue;
        assert_int_equal(out.len, 5000);
        for (size_t k = 0; k < out.len; k++) assert_int_equal(out.ptr[k], 'x');
        wb_inflated_free(&out, &sink);
    }
    zipped[n] = 'x'; /* something behind the last member */
    assert_int_not_equal(try(wb_slice_of(zipped, n + 1), ROOM, &most), WB_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_comes_out),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(what_is_too_large_is_refused_within_bounds),
        cmocka_unit_test(without_room_it_is_later),
        cmocka_unit_test(what_is_cut_or_spoilt_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
