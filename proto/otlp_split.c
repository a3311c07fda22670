/* SPDX-License-Identifier: Apache-2.0 */
/* A request is three levels of one shape, and at each the interesting field is repeated:
 *
 *   level 0  Export...ServiceRequest  1: Resource{Spans,Logs,Metrics}
 *   level 1  Resource...              2: Scope{Spans,Logs,Metrics}; else: resource, schema_url
 *   level 2  Scope...                 2: the items; else: scope, schema_url
 *
 * One recursion over the levels measures, a second one writes: lengths stand before what they enclose. A
 * message in which no item remains is left out as a whole. Measuring a level anew for each of its messages
 * makes writing three passes over the bytes; this is for the rare request that is too large. */
#include "proto/otlp_split.h"

#include "proto/wire.h"

enum { LEVELS = 3 };
static const uint32_t inner_field[LEVELS] = {1, 2, 2};

/* Which items are wanted, and how many passed already. */
typedef struct cut {
    uint32_t from, end, at;
} cut;

static bool next_field(wb_slice *rest, wb_wire_field *f, wb_slice *whole)
{
    const uint8_t *start = rest->ptr;
    if (rest->len == 0 || !wb_wire_next(rest, f)) return false;
    *whole = (wb_slice){start, (size_t)(rest->ptr - start)};
    return true;
}

static bool is_inner(const wb_wire_field *f, int level)
{
    return f->number == inner_field[level] && f->type == WB_WIRE_LEN;
}

static uint32_t count(wb_slice message, int level)
{
    wb_wire_field f;
    wb_slice whole;
    uint32_t n = 0;
    while (next_field(&message, &f, &whole))
        if (is_inner(&f, level)) n += level == LEVELS - 1 ? 1 : count(f.bytes, level + 1);
    return n;
}

static bool wants(const cut *c) { return c->at >= c->from && c->at < c->end; }

/* Bytes of what remains of a message's content; *kept: items in it. */
static size_t measure(wb_slice message, int level, cut *c, uint32_t *kept)
{
    wb_wire_field f;
    wb_slice whole;
    size_t size = 0;
    *kept = 0;
    while (next_field(&message, &f, &whole)) {
        if (!is_inner(&f, level)) {
            size += whole.len;
        } else if (level == LEVELS - 1) {
            if (wants(c)) size += whole.len;
            *kept += wants(c);
            c->at++;
        } else {
            uint32_t inner;
            size_t len = measure(f.bytes, level + 1, c, &inner);
            if (inner > 0) size += 1 + wb_wire_varint_size(len) + len;
            *kept += inner;
        }
    }
    return size;
}

static uint8_t *put(uint8_t *at, wb_slice bytes)
{
    if (bytes.len > 0) memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

static uint8_t *put_message(uint8_t *at, wb_slice message, int level, cut *c)
{
    wb_wire_field f;
    wb_slice whole;
    while (next_field(&message, &f, &whole)) {
        if (!is_inner(&f, level)) {
            at = put(at, whole);
        } else if (level == LEVELS - 1) {
            if (wants(c)) at = put(at, whole);
            c->at++;
        } else {
            uint32_t inner;
            cut ahead = *c;
            size_t len = measure(f.bytes, level + 1, &ahead, &inner);
            if (inner > 0) {
                *at++ = WB_WIRE_TAG(inner_field[level], WB_WIRE_LEN);
                at = wb_wire_put_varint(at, len);
                at = put_message(at, f.bytes, level + 1, c);
            }
            *c = ahead;
        }
    }
    return at;
}

static cut cut_of(uint32_t from, uint32_t n)
{
    return (cut){.from = from, .end = n > UINT32_MAX - from ? UINT32_MAX : from + n};
}

uint32_t wb_otlp_count_items(wb_slice request) { return count(request, 0); }

size_t wb_otlp_items_size(wb_slice request, uint32_t from, uint32_t n)
{
    cut c = cut_of(from, n);
    uint32_t kept;
    return measure(request, 0, &c, &kept);
}

wb_status wb_otlp_take_items(wb_slice request, uint32_t from, uint32_t n, wb_buffer *out)
{
    uint8_t *at = NULL;
    cut c = cut_of(from, n);
    size_t size = wb_otlp_items_size(request, from, n);
    if (size == 0) return WB_OK;
    WB_TRY(wb_buffer_reserve(out, size, &at));
    const uint8_t *end = put_message(at, request, 0, &c);
    WB_ASSERT(end == at + size);
    return WB_OK;
}

uint32_t wb_otlp_fit_items(wb_slice request, uint32_t from, size_t max_bytes)
{
    uint32_t total = wb_otlp_count_items(request);
    if (from >= total) return 0;
    uint32_t fits = 1, too_many = total - from + 1; /* sizes only grow with the number */
    while (too_many - fits > 1) {
        uint32_t middle = fits + (too_many - fits) / 2;
        if (wb_otlp_items_size(request, from, middle) <= max_bytes)
            fits = middle;
        else
            too_many = middle;
    }
    return fits;
}
