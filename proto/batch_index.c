/* SPDX-License-Identifier: Apache-2.0 */
/* The payload, all numbers little-endian, offsets counted from the start of the body:
 *
 *   header     32 bytes   0 magic; 4 items; 8 scopes; 12 resources; 16 body bytes; 20 zero
 *   resources   8 each    0 offset, 4 length of the Resource message; 0, 0: there is none
 *   scopes     12 each    0 index of its resource; 4 offset, 8 length of the InstrumentationScope
 *   items       as their kind has it
 *   body                  an Export...ServiceRequest
 *
 * Rows are read byte by byte, so a payload may stand at any address. The journal's CRC guards it;
 * the reader still checks every offset, because a reader that trusts a checksum trusts every writer
 * that ever made one. Zero bytes are room for later fields, and are not looked at. */
#include "proto/batch_index.h"

#include "proto/wire.h"

enum {
    HEADER_BYTES = 32,
    RESOURCE_ROW_BYTES = 8,
    SCOPE_ROW_BYTES = 12,
};

/* ---- writing --------------------------------------------------------------------------------- */

static uint8_t *put_u32(uint8_t *at, uint32_t value) { return wb_wire_put_fixed(at, 4, value); }

size_t wb_index_size(const wb_index_kind *kind, wb_index_counts counts)
{
    return HEADER_BYTES + (size_t)counts.resources * RESOURCE_ROW_BYTES +
           (size_t)counts.scopes * SCOPE_ROW_BYTES + (size_t)counts.items * kind->item_bytes;
}

uint8_t *wb_index_put_header(uint8_t *at, const wb_index_kind *kind, wb_index_counts counts,
                             size_t body_len)
{
    memset(at, 0, HEADER_BYTES);
    memcpy(at, kind->magic, sizeof kind->magic);
    uint8_t *next = put_u32(at + sizeof kind->magic, counts.items);
    next = put_u32(next, counts.scopes);
    next = put_u32(next, counts.resources);
    (void)put_u32(next, (uint32_t)body_len);
    return at + HEADER_BYTES;
}

uint8_t *wb_index_put_resource(uint8_t *at, wb_render_place resource)
{
    return put_u32(put_u32(at, resource.at), resource.len);
}

uint8_t *wb_index_put_scope(uint8_t *at, uint32_t resource_index, wb_render_place scope)
{
    return put_u32(put_u32(put_u32(at, resource_index), scope.at), scope.len);
}

wb_render_place wb_index_name_place(const wb_batch *batch, const wb_span *item,
                                    wb_render_place message)
{
    if (item->name.len == 0) return (wb_render_place){message.at, 0};
    size_t at = (size_t)(item->name.ptr - batch->body.ptr) - item->extent.message_at;
    for (const wb_attr *a = item->attrs.first; item->attrs.edited && a; a = a->next)
        if (a->state == WB_ATTR_MASKED && a->field.ptr && a->field.ptr < item->name.ptr)
            at -= a->field.len;
    return (wb_render_place){message.at + (uint32_t)at, (uint32_t)item->name.len};
}

wb_status wb_index_write(const wb_batch *batch, const wb_index_kind *kind, wb_buffer *out,
                         wb_render_plan *plan, uint8_t **rows, wb_error *err)
{
    uint8_t *at;
    wb_index_counts counts = {batch->span_count, batch->scope_count, batch->resource_count};
    size_t index = wb_index_size(kind, counts);
    if (wb_render_plan_make(batch, plan) != WB_OK ||
        wb_buffer_reserve(out, index + plan->size, &at) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "%s: no memory to render %u", kind->name,
                       batch->span_count);
    wb_render(batch, plan, at + index);
    at = wb_index_put_header(at, kind, counts, plan->size);
    for (uint32_t i = 0; i < counts.resources; i++)
        at = wb_index_put_resource(at, plan->resources[i]);
    for (uint32_t i = 0; i < counts.scopes; i++)
        at = wb_index_put_scope(at, batch->scopes[i].resource, plan->scopes[i]);
    *rows = at;
    return WB_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool good_rows(const wb_batch_index *index, const wb_index_kind *kind)
{
    const wb_index_counts *counts = &index->counts;
    for (uint32_t i = 0; i < counts->resources; i++) {
        const uint8_t *row = index->resource_rows + (size_t)i * RESOURCE_ROW_BYTES;
        if (!wb_index_inside(0, index->body.len, wb_index_u32(row), wb_index_u32(row + 4)))
            return false;
    }
    for (uint32_t i = 0; i < counts->scopes; i++) {
        const uint8_t *row = index->scope_rows + (size_t)i * SCOPE_ROW_BYTES;
        if (wb_index_u32(row) >= counts->resources) return false;
        if (!wb_index_inside(0, index->body.len, wb_index_u32(row + 4), wb_index_u32(row + 8)))
            return false;
    }
    for (uint32_t i = 0; i < counts->items; i++)
        if (!kind->good_item(index, index->item_rows + (size_t)i * kind->item_bytes)) return false;
    return true;
}

wb_status wb_index_open(wb_slice payload, const wb_index_kind *kind, wb_batch_index *out,
                        wb_error *err)
{
    const uint8_t *p = payload.ptr;
    if (payload.len < HEADER_BYTES || memcmp(p, kind->magic, sizeof kind->magic) != 0)
        return wb_fail(err, WB_ERR_CORRUPT, "not a %s", kind->name);
    wb_index_counts counts = {wb_index_u32(p + 4), wb_index_u32(p + 8), wb_index_u32(p + 12)};
    uint64_t body_len = wb_index_u32(p + 16);
    if (wb_index_size(kind, counts) + body_len != payload.len)
        return wb_fail(err, WB_ERR_CORRUPT, "%s: %zu bytes, its counts say otherwise", kind->name,
                       payload.len);
    wb_batch_index made = {.counts = counts};
    made.resource_rows = p + HEADER_BYTES;
    made.scope_rows = made.resource_rows + (size_t)counts.resources * RESOURCE_ROW_BYTES;
    made.item_rows = made.scope_rows + (size_t)counts.scopes * SCOPE_ROW_BYTES;
    made.body = (wb_slice){made.item_rows + (size_t)counts.items * kind->item_bytes, body_len};
    if (!good_rows(&made, kind))
        return wb_fail(err, WB_ERR_CORRUPT, "%s: a row points outside", kind->name);
    *out = made;
    return WB_OK;
}

wb_index_scope wb_index_scope_at(const wb_batch_index *index, uint32_t i)
{
    const uint8_t *scope = index->scope_rows + (size_t)i * SCOPE_ROW_BYTES;
    uint32_t resource = wb_index_u32(scope);
    return (wb_index_scope){
        .scope = wb_index_part(index, scope + 4),
        .resource =
            wb_index_part(index, index->resource_rows + (size_t)resource * RESOURCE_ROW_BYTES),
        .resource_index = resource};
}
