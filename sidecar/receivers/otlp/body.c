/* SPDX-License-Identifier: Apache-2.0 */
/* Memory grows with what came, not with what was announced: whoever announces eight megabytes and sends none
 * holds none. It is asked for at the sink before it is taken, so that all receivers together stay within
 * their bound; who finds no room is told to come back, and keeps nothing. */
#include "sidecar/receivers/otlp/body.h"

#include "proto/otlp_from_json.h"

#include <stdlib.h>

enum { FIRST_BYTES = 16 * 1024, LEAST_PLAIN = 4096 };

void wb_body_init(wb_body *b, const wb_export_sink *sink, size_t most, uint64_t expected)
{
    *b = (wb_body){.sink = sink, .most = most, .expected = expected};
    wb_buffer_init(&b->plain, 0);
}

static void drop_arrived(wb_body *b)
{
    free(b->ptr);
    if (b->cap > 0) b->sink->release(b->sink->self, b->cap);
    b->ptr = NULL;
    b->len = b->cap = 0;
}

static void drop_plain(wb_body *b)
{
    wb_buffer_done(&b->plain);
    if (b->plain_reserved > 0) b->sink->release(b->sink->self, b->plain_reserved);
    b->plain_reserved = 0;
}

void wb_body_drop(wb_body *b)
{
    drop_arrived(b);
    wb_inflated_free(&b->inflated, b->sink);
    drop_plain(b);
}

void wb_body_done(wb_body *b) { wb_body_drop(b); }

/* All that is announced where that is little, else twice as much as before. */
static size_t next_cap(const wb_body *b, size_t need)
{
    size_t cap = b->cap * 2 > FIRST_BYTES ? b->cap * 2 : FIRST_BYTES;
    if (cap < need) cap = need;
    if (b->expected >= need && cap > b->expected) cap = (size_t)b->expected;
    return cap > b->most ? b->most : cap;
}

static wb_status grow(wb_body *b, size_t need, wb_error *err)
{
    size_t cap = next_cap(b, need), more = cap - b->cap;
    if (!b->sink->reserve(b->sink->self, more))
        return wb_fail(err, WB_ERR_UNAVAILABLE, "no room for this now: send it again later");
    uint8_t *ptr = realloc(b->ptr, cap);
    if (!ptr) {
        b->sink->release(b->sink->self, more);
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for this now: send it again later");
    }
    b->ptr = ptr;
    b->cap = cap;
    return WB_OK;
}

wb_status wb_body_add(wb_body *b, const void *bytes, size_t len, wb_error *err)
{
    if (len > b->most - b->len)
        return wb_fail(err, WB_ERR_REJECTED, "a body may have %zu bytes: send fewer items at once",
                       b->most);
    if (b->len + len > b->cap) WB_TRY(grow(b, b->len + len, err));
    memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    return WB_OK;
}

wb_status wb_body_inflate(wb_body *b, size_t most, wb_error *err)
{
    WB_TRY(wb_inflate_gzip(wb_slice_of(b->ptr, b->len), most, b->sink, &b->inflated, err));
    drop_arrived(b);
    return WB_OK;
}

/* As it came, or as gzip had it. Never NULL: who walks it adds to the pointer. */
static wb_slice arrived(const wb_body *b)
{
    if (b->inflated.ptr) return wb_slice_of(b->inflated.ptr, b->inflated.len);
    return b->ptr ? wb_slice_of(b->ptr, b->len) : WB_S("");
}

/* One attempt with room for `most` bytes. */
static wb_status transcode(wb_body *b, wb_signal signal, size_t most, wb_error *err)
{
    if (!b->sink->reserve(b->sink->self, most))
        return wb_fail(err, WB_ERR_UNAVAILABLE, "no room for this now: send it again later");
    b->plain_reserved = most;
    wb_buffer_init(&b->plain, most);
    return wb_otlp_from_json(signal, arrived(b), &b->plain, err);
}

/* Protobuf takes less than half of what its JSON does, but for lists of short numbers. */
wb_status wb_body_from_json(wb_body *b, wb_signal signal, wb_error *err)
{
    size_t len = arrived(b).len, most = WB_EXPORT_ROOM_BYTES - len;
    if (most > b->most) most = b->most;
    size_t first = len < LEAST_PLAIN ? LEAST_PLAIN : len;
    wb_status status = transcode(b, signal, first < most ? first : most, err);
    if (status == WB_ERR_FULL && b->plain.limit < most) {
        drop_plain(b);
        status = transcode(b, signal, most, err);
    }
    if (status == WB_ERR_FULL) /* for ever: later would be no better */
        return wb_fail(err, WB_ERR_REJECTED,
                       "this JSON makes more than %zu bytes: send fewer items", most);
    WB_TRY(status);
    drop_arrived(b);
    wb_inflated_free(&b->inflated, b->sink);
    b->sink->release(b->sink->self, b->plain_reserved - b->plain.cap);
    b->plain_reserved = b->plain.cap;
    b->is_plain = true;
    return WB_OK;
}

wb_slice wb_body_bytes(const wb_body *b)
{
    if (!b->is_plain) return arrived(b);
    return b->plain.len > 0 ? wb_buffer_slice(&b->plain) : WB_S("");
}
