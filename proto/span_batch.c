/* SPDX-License-Identifier: Apache-2.0 */
/* The payload, all numbers little-endian, offsets counted from the start of the body:
 *
 *   header     32 bytes   0 magic "WSB1"; 4 spans; 8 scopes; 12 resources; 16 body bytes; 20 zero
 *   resources   8 each    0 offset, 4 length of the Resource message; 0, 0: there is none
 *   scopes     12 each    0 index of its resource; 4 offset, 8 length of the InstrumentationScope
 *   spans      80 each    0 trace id; 16 span id; 24 parent id; 32 start; 40 end (8 each); 48
 *              flags;
 *                         52 index of its scope; 56 offset, 60 length of the Span message; 64
 *                         offset, 68 length of its name; 72 kind (1); 73 status code (1); 74 zero
 *                         (6)
 *   body                  an ExportTraceServiceRequest
 *
 * Rows are read byte by byte, so a payload may stand at any address. The journal's CRC guards it;
 * the reader still checks every offset, because a reader that trusts a checksum trusts every writer
 * that ever made one. Zero bytes are room for later fields, and are not looked at. */
#include "proto/span_batch.h"

#include "proto/otlp_render.h"
#include "proto/span_batch_rows.h"
#include "proto/wire.h"

enum {
    HEADER_BYTES = 32,
    RESOURCE_ROW_BYTES = 8,
    SCOPE_ROW_BYTES = 12,
    SPAN_ROW_BYTES = 80,
};

static const uint8_t magic[4] = {'W', 'S', 'B', '1'};

/* ---- writing --------------------------------------------------------------------------------- */

static uint8_t *put_u32(uint8_t *at, uint32_t value) { return wb_wire_put_fixed(at, 4, value); }

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

size_t wb_span_batch_index_size(wb_span_batch_counts counts)
{
    return HEADER_BYTES + (size_t)counts.resources * RESOURCE_ROW_BYTES +
           (size_t)counts.scopes * SCOPE_ROW_BYTES + (size_t)counts.spans * SPAN_ROW_BYTES;
}

uint8_t *wb_span_batch_put_header(uint8_t *at, wb_span_batch_counts counts, size_t body_len)
{
    memset(at, 0, HEADER_BYTES);
    uint8_t *next = put_bytes(at, magic, sizeof magic);
    next = put_u32(next, counts.spans);
    next = put_u32(next, counts.scopes);
    next = put_u32(next, counts.resources);
    (void)put_u32(next, (uint32_t)body_len);
    return at + HEADER_BYTES;
}

uint8_t *wb_span_batch_put_resource(uint8_t *at, wb_render_place resource)
{
    return put_u32(put_u32(at, resource.at), resource.len);
}

uint8_t *wb_span_batch_put_scope(uint8_t *at, uint32_t resource_index, wb_render_place scope)
{
    return put_u32(put_u32(put_u32(at, resource_index), scope.at), scope.len);
}

uint8_t *wb_span_batch_put_span(uint8_t *at, const wb_span *span, wb_render_place message,
                                wb_render_place name)
{
    at = put_bytes(at, span->trace_id.b, sizeof span->trace_id.b);
    at = put_bytes(at, span->span_id.b, sizeof span->span_id.b);
    at = put_bytes(at, span->parent_id.b, sizeof span->parent_id.b);
    at = wb_wire_put_fixed(at, 8, span->start_ns);
    at = wb_wire_put_fixed(at, 8, span->end_ns);
    at = put_u32(at, span->flags);
    at = put_u32(at, span->scope);
    at = put_u32(put_u32(at, message.at), message.len);
    at = put_u32(put_u32(at, name.at), name.len);
    return wb_wire_put_fixed(at, 8, span->kind | (uint64_t)span->status_code << 8);
}

/* Where the name of an arrived span comes to be: as far into the message as it was, less what is
 * masked before it. */
static wb_render_place name_place(const wb_batch *batch, const wb_span *span,
                                  wb_render_place message)
{
    if (span->name.len == 0) return (wb_render_place){message.at, 0};
    size_t at = (size_t)(span->name.ptr - batch->body.ptr) - span->extent.message_at;
    for (const wb_attr *a = span->attrs.first; span->attrs.edited && a; a = a->next)
        if (a->state == WB_ATTR_MASKED && a->field.ptr && a->field.ptr < span->name.ptr)
            at -= a->field.len;
    return (wb_render_place){message.at + (uint32_t)at, (uint32_t)span->name.len};
}

wb_status wb_span_batch_write(const wb_batch *batch, wb_buffer *out, wb_error *err)
{
    wb_render_plan plan;
    uint8_t *at;
    wb_span_batch_counts counts = {batch->span_count, batch->scope_count, batch->resource_count};
    size_t index = wb_span_batch_index_size(counts);
    if (wb_render_plan_make(batch, &plan) != WB_OK ||
        wb_buffer_reserve(out, index + plan.size, &at) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory to render %u spans", batch->span_count);
    wb_render(batch, &plan, at + index);
    at = wb_span_batch_put_header(at, counts, plan.size);
    for (uint32_t i = 0; i < counts.resources; i++)
        at = wb_span_batch_put_resource(at, plan.resources[i]);
    for (uint32_t i = 0; i < counts.scopes; i++)
        at = wb_span_batch_put_scope(at, batch->scopes[i].resource, plan.scopes[i]);
    for (uint32_t i = 0; i < counts.spans; i++) {
        wb_render_place name = name_place(batch, &batch->spans[i], plan.spans[i]);
        at = wb_span_batch_put_span(at, &batch->spans[i], plan.spans[i], name);
    }
    return WB_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static uint32_t get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const uint8_t *at) { return get_u32(at) | (uint64_t)get_u32(at + 4) << 32; }

static bool inside(size_t outer_at, size_t outer_len, size_t at, size_t len)
{
    return at >= outer_at && len <= outer_len && at - outer_at <= outer_len - len;
}

static bool good_span(const wb_span_batch *batch, const uint8_t *row)
{
    size_t at = get_u32(row + 56), len = get_u32(row + 60);
    return !wb_id_is_zero(row, 16) && !wb_id_is_zero(row + 16, 8) &&
           get_u32(row + 52) < batch->scope_count && inside(0, batch->body.len, at, len) &&
           inside(at, len, get_u32(row + 64), get_u32(row + 68)) && row[72] <= WB_SPAN_CONSUMER &&
           row[73] <= WB_SPAN_ERROR;
}

static bool good_rows(const wb_span_batch *batch)
{
    for (uint32_t i = 0; i < batch->resource_count; i++) {
        const uint8_t *row = batch->resource_rows + (size_t)i * RESOURCE_ROW_BYTES;
        if (!inside(0, batch->body.len, get_u32(row), get_u32(row + 4))) return false;
    }
    for (uint32_t i = 0; i < batch->scope_count; i++) {
        const uint8_t *row = batch->scope_rows + (size_t)i * SCOPE_ROW_BYTES;
        if (get_u32(row) >= batch->resource_count) return false;
        if (!inside(0, batch->body.len, get_u32(row + 4), get_u32(row + 8))) return false;
    }
    for (uint32_t i = 0; i < batch->span_count; i++)
        if (!good_span(batch, batch->span_rows + (size_t)i * SPAN_ROW_BYTES)) return false;
    return true;
}

wb_status wb_span_batch_open(wb_slice payload, wb_span_batch *out, wb_error *err)
{
    const uint8_t *p = payload.ptr;
    if (payload.len < HEADER_BYTES || memcmp(p, magic, sizeof magic) != 0)
        return wb_fail(err, WB_ERR_CORRUPT, "not a span batch");
    wb_span_batch_counts counts = {get_u32(p + 4), get_u32(p + 8), get_u32(p + 12)};
    uint64_t body_len = get_u32(p + 16);
    if (wb_span_batch_index_size(counts) + body_len != payload.len)
        return wb_fail(err, WB_ERR_CORRUPT, "span batch: %zu bytes, its counts say otherwise",
                       payload.len);
    wb_span_batch made = {.span_count = counts.spans,
                          .scope_count = counts.scopes,
                          .resource_count = counts.resources};
    made.resource_rows = p + HEADER_BYTES;
    made.scope_rows = made.resource_rows + (size_t)counts.resources * RESOURCE_ROW_BYTES;
    made.span_rows = made.scope_rows + (size_t)counts.scopes * SCOPE_ROW_BYTES;
    made.body = (wb_slice){made.span_rows + (size_t)counts.spans * SPAN_ROW_BYTES, body_len};
    if (!good_rows(&made)) return wb_fail(err, WB_ERR_CORRUPT, "span batch: a row points outside");
    *out = made;
    return WB_OK;
}

static wb_slice body_part(const wb_span_batch *batch, const uint8_t *place)
{
    return (wb_slice){batch->body.ptr + get_u32(place), get_u32(place + 4)};
}

wb_span_row wb_span_batch_row(const wb_span_batch *batch, uint32_t i)
{
    WB_ASSERT(i < batch->span_count);
    const uint8_t *p = batch->span_rows + (size_t)i * SPAN_ROW_BYTES;
    wb_span_row row = {.start_ns = get_u64(p + 32),
                       .end_ns = get_u64(p + 40),
                       .flags = get_u32(p + 48),
                       .scope_index = get_u32(p + 52),
                       .span = body_part(batch, p + 56),
                       .name = body_part(batch, p + 64),
                       .kind = p[72],
                       .status_code = p[73]};
    memcpy(row.trace_id.b, p, sizeof row.trace_id.b);
    memcpy(row.span_id.b, p + 16, sizeof row.span_id.b);
    memcpy(row.parent_id.b, p + 24, sizeof row.parent_id.b);
    const uint8_t *scope = batch->scope_rows + (size_t)row.scope_index * SCOPE_ROW_BYTES;
    row.scope = body_part(batch, scope + 4);
    row.resource_index = get_u32(scope);
    row.resource =
        body_part(batch, batch->resource_rows + (size_t)row.resource_index * RESOURCE_ROW_BYTES);
    return row;
}
