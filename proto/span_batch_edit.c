/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a payload says where spans are, but not where the envelopes around them begin, nor what
 * else those hold (a schema URL, fields of a later version). So the envelopes are hopped over once: a
 * few fields for each, and one hop for each span, whose row is already there. Which row a span has is
 * told by its place: rows stand in the order of the body, and each is checked to point where the hop
 * arrived.
 *
 * Resource and scope rows are not used: those of groups that were left out when the payload was written
 * are still counted in it. */
#include "proto/span_batch_edit.h"

#include "proto/wire.h"

typedef struct hop {
    const wb_span_batch *stored;
    const bool *left_out;
    wb_batch *batch;
    uint32_t row; /* of the next span */
} hop;

static wb_extent extent_of(const hop *h, const wb_wire_field *f)
{
    const uint8_t *body = h->batch->body.ptr;
    return (wb_extent){(uint32_t)(f->tag_at - body), (uint32_t)(f->bytes.ptr - body),
                       (uint32_t)f->bytes.len};
}

/* The next field; false at what is no protobuf, or is field 1 or 2 of another wire type. */
static bool next(wb_slice *rest, wb_wire_field *f)
{
    return wb_wire_next(rest, f) && (f->number > 2 || f->type == WB_WIRE_LEN);
}

static bool hop_span(hop *h, const wb_wire_field *f, uint32_t scope)
{
    wb_batch *batch = h->batch;
    if (h->row == h->stored->span_count) return false;
    wb_span_row row = wb_span_batch_row(h->stored, h->row);
    if (row.span.ptr != f->bytes.ptr || row.span.len != f->bytes.len) return false;
    wb_extent extent = extent_of(h, f);
    uint32_t index = h->row++;
    if (h->left_out && h->left_out[index]) {
        batch->rejected[batch->rejected_count++] = extent;
        batch->edited = true;
        return true;
    }
    batch->spans[batch->span_count++] = (wb_span){.trace_id = row.trace_id,
                                                  .span_id = row.span_id,
                                                  .parent_id = row.parent_id,
                                                  .start_ns = row.start_ns,
                                                  .end_ns = row.end_ns,
                                                  .name = row.name,
                                                  .extent = extent,
                                                  .scope = scope,
                                                  .flags = row.flags,
                                                  .kind = row.kind,
                                                  .status_code = row.status_code};
    return true;
}

static bool hop_scope_spans(hop *h, const wb_wire_field *group_field, uint32_t resource)
{
    wb_batch *batch = h->batch;
    wb_wire_field f;
    uint32_t index = batch->scope_count;
    if (index == h->stored->scope_count) return false;
    batch->scope_count++;
    wb_scope_spans *group = &batch->scopes[index];
    *group = (wb_scope_spans){
        .extent = extent_of(h, group_field), .resource = resource, .first_span = batch->span_count};
    for (wb_slice rest = group_field->bytes; rest.len > 0;) {
        if (!next(&rest, &f)) return false;
        if (f.number == 1) group->scope = extent_of(h, &f);
        if (f.number == 2 && !hop_span(h, &f, index)) return false;
    }
    group->span_count = batch->span_count - group->first_span;
    return true;
}

static bool hop_resource_spans(hop *h, const wb_wire_field *group_field)
{
    wb_batch *batch = h->batch;
    wb_wire_field f;
    uint32_t index = batch->resource_count;
    if (index == h->stored->resource_count) return false;
    batch->resource_count++;
    wb_resource_spans *group = &batch->resources[index];
    *group =
        (wb_resource_spans){.extent = extent_of(h, group_field), .first_scope = batch->scope_count};
    for (wb_slice rest = group_field->bytes; rest.len > 0;) {
        if (!next(&rest, &f)) return false;
        if (f.number == 1) group->resource = extent_of(h, &f);
        if (f.number == 2 && !hop_scope_spans(h, &f, index)) return false;
    }
    group->scope_count = batch->scope_count - group->first_scope;
    return true;
}

static bool hop_body(hop *h)
{
    wb_wire_field f;
    for (wb_slice rest = h->stored->body; rest.len > 0;) {
        if (!next(&rest, &f)) return false;
        if (f.number == 1 && !hop_resource_spans(h, &f)) return false;
    }
    return h->row == h->stored->span_count;
}

wb_status wb_span_batch_edit(const wb_span_batch *stored, const bool *left_out, wb_arena *arena,
                             wb_batch **batch, wb_error *err)
{
    wb_batch *made = wb_arena_alloc(arena, sizeof *made);
    if (!made) return wb_fail(err, WB_ERR_NO_MEMORY, "span batch: no memory for the index");
    *made = (wb_batch){.arena = arena, .body = stored->body};
    made->spans = wb_arena_array(arena, stored->span_count, sizeof made->spans[0]);
    made->scopes = wb_arena_array(arena, stored->scope_count, sizeof made->scopes[0]);
    made->resources = wb_arena_array(arena, stored->resource_count, sizeof made->resources[0]);
    if (left_out)
        made->rejected = wb_arena_array(arena, stored->span_count, sizeof made->rejected[0]);
    if (!made->spans || !made->scopes || !made->resources || (left_out && !made->rejected))
        return wb_fail(err, WB_ERR_NO_MEMORY, "span batch: no memory for the index");
    hop h = {.stored = stored, .left_out = left_out, .batch = made};
    if (!hop_body(&h))
        return wb_fail(err, WB_ERR_CORRUPT, "span batch: the body is not what its index says");
    *batch = made;
    return WB_OK;
}
