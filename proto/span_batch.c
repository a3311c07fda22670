/* SPDX-License-Identifier: Apache-2.0 */
/* The payload is that of batch_index.c, with magic "WSB1" and one row for each span:
 *
 *   spans      80 each    0 trace id; 16 span id; 24 parent id; 32 start; 40 end (8 each); 48 flags;
 *                         52 index of its scope; 56 offset, 60 length of the Span message; 64
 *                         offset, 68 length of its name; 72 kind (1); 73 status code (1); 74 zero
 *                         (6)
 *   body                  an ExportTraceServiceRequest */
#include "proto/span_batch.h"

#include "proto/span_batch_rows.h"
#include "proto/wire.h"

enum { SPAN_ROW_BYTES = 80 };

/* ---- writing --------------------------------------------------------------------------------- */

static uint8_t *put_u32(uint8_t *at, uint32_t value) { return wb_wire_put_fixed(at, 4, value); }

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
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

wb_status wb_span_batch_write(const wb_batch *batch, wb_buffer *out, wb_error *err)
{
    wb_render_plan plan;
    uint8_t *at;
    WB_TRY(wb_index_write(batch, &wb_span_index, out, &plan, &at, err));
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_render_place name = wb_index_name_place(batch, &batch->spans[i], plan.spans[i]);
        at = wb_span_batch_put_span(at, &batch->spans[i], plan.spans[i], name);
    }
    return WB_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool good_span(const wb_batch_index *index, const uint8_t *row)
{
    size_t at = wb_index_u32(row + 56), len = wb_index_u32(row + 60);
    return !wb_id_is_zero(row, 16) && !wb_id_is_zero(row + 16, 8) &&
           wb_index_u32(row + 52) < index->counts.scopes &&
           wb_index_inside(0, index->body.len, at, len) &&
           wb_index_inside(at, len, wb_index_u32(row + 64), wb_index_u32(row + 68)) &&
           row[72] <= WB_SPAN_CONSUMER && row[73] <= WB_SPAN_ERROR;
}

const wb_index_kind wb_span_index = {"span batch", {'W', 'S', 'B', '1'}, SPAN_ROW_BYTES, good_span};

wb_status wb_span_batch_open(wb_slice payload, wb_span_batch *out, wb_error *err)
{
    wb_batch_index index;
    WB_TRY(wb_index_open(payload, &wb_span_index, &index, err));
    *out = (wb_span_batch){.body = index.body,
                           .span_count = index.counts.items,
                           .scope_count = index.counts.scopes,
                           .resource_count = index.counts.resources,
                           .span_rows = index.item_rows,
                           .scope_rows = index.scope_rows,
                           .resource_rows = index.resource_rows};
    return WB_OK;
}

wb_span_row wb_span_batch_row(const wb_span_batch *batch, uint32_t i)
{
    WB_ASSERT(i < batch->span_count);
    const wb_batch_index index = {.body = batch->body,
                                  .scope_rows = batch->scope_rows,
                                  .resource_rows = batch->resource_rows};
    const uint8_t *p = batch->span_rows + (size_t)i * SPAN_ROW_BYTES;
    const wb_index_scope above = wb_index_scope_at(&index, wb_index_u32(p + 52));
    wb_span_row row = {.start_ns = wb_index_u64(p + 32),
                       .end_ns = wb_index_u64(p + 40),
                       .flags = wb_index_u32(p + 48),
                       .scope_index = wb_index_u32(p + 52),
                       .span = wb_index_part(&index, p + 56),
                       .name = wb_index_part(&index, p + 64),
                       .kind = p[72],
                       .status_code = p[73],
                       .scope = above.scope,
                       .resource = above.resource,
                       .resource_index = above.resource_index};
    memcpy(row.trace_id.b, p, sizeof row.trace_id.b);
    memcpy(row.span_id.b, p + 16, sizeof row.span_id.b);
    memcpy(row.parent_id.b, p + 24, sizeof row.parent_id.b);
    return row;
}
