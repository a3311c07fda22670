/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a payload says where spans are, but not where the envelopes around them begin, nor what
 * else those hold (a schema URL, fields of a later version). So the envelopes are hopped over once: a
 * few fields for each, and one hop for each span, whose row is already there. Which row a span has is
 * told by its place: rows stand in the order of the body, and each is checked to point where the hop
 * arrived.
 *
 * Resource and scope rows are not used: those of groups that were left out when the payload was written
 * are still counted in it.
 *
 * In a copy of the body things stand elsewhere. There a row is known to be that of the span which the hop found by its
 * ids, and the name is read anew. */
#include "proto/span_batch_edit.h"

#include "proto/batch_index.h"
#include "proto/wire.h"

typedef struct hop hop;
struct hop {
    wb_batch *batch;
    wb_index_counts most; /* room in the batch */
    uint32_t item;        /* the next one's place in the payload */
    /* An item's row, whatever it is, as the batch has them; false: it is not what the hop found. */
    bool (*row)(const hop *h, uint32_t i, wb_slice message, wb_span *out);
    const void *stored;
    const bool *left_out; /* NULL: none */
};

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

static bool hop_item(hop *h, const wb_wire_field *f, uint32_t scope)
{
    wb_batch *batch = h->batch;
    wb_span item;
    uint32_t i = h->item++;
    if (i >= h->most.items || !h->row(h, i, f->bytes, &item)) return false;
    item.extent = extent_of(h, f);
    item.scope = scope;
    if (h->left_out && h->left_out[i]) {
        batch->rejected[batch->rejected_count++] = item.extent;
        batch->edited = true;
    } else {
        batch->spans[batch->span_count++] = item;
    }
    return true;
}

static bool hop_scope_spans(hop *h, const wb_wire_field *group_field, uint32_t resource)
{
    wb_batch *batch = h->batch;
    wb_wire_field f;
    uint32_t index = batch->scope_count;
    if (index == h->most.scopes) return false;
    batch->scope_count++;
    wb_scope_spans *group = &batch->scopes[index];
    *group = (wb_scope_spans){
        .extent = extent_of(h, group_field), .resource = resource, .first_span = batch->span_count};
    for (wb_slice rest = group_field->bytes; rest.len > 0;) {
        if (!next(&rest, &f)) return false;
        if (f.number == 1) group->scope = extent_of(h, &f);
        if (f.number == 2 && !hop_item(h, &f, index)) return false;
    }
    group->span_count = batch->span_count - group->first_span;
    return true;
}

static bool hop_resource_spans(hop *h, const wb_wire_field *group_field)
{
    wb_batch *batch = h->batch;
    wb_wire_field f;
    uint32_t index = batch->resource_count;
    if (index == h->most.resources) return false;
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
    for (wb_slice rest = h->batch->body; rest.len > 0;) {
        if (!next(&rest, &f)) return false;
        if (f.number == 1 && !hop_resource_spans(h, &f)) return false;
    }
    return h->item == h->most.items;
}

static wb_status edit(hop *h, wb_slice body, wb_arena *arena, wb_batch **batch, wb_error *err)
{
    wb_batch *made = wb_arena_alloc(arena, sizeof *made);
    if (!made) return wb_fail(err, WB_ERR_NO_MEMORY, "stored batch: no memory for the index");
    *made = (wb_batch){.arena = arena, .body = body};
    made->spans = wb_arena_array(arena, h->most.items, sizeof made->spans[0]);
    made->scopes = wb_arena_array(arena, h->most.scopes, sizeof made->scopes[0]);
    made->resources = wb_arena_array(arena, h->most.resources, sizeof made->resources[0]);
    if (h->left_out)
        made->rejected = wb_arena_array(arena, h->most.items, sizeof made->rejected[0]);
    if (!made->spans || !made->scopes || !made->resources || (h->left_out && !made->rejected))
        return wb_fail(err, WB_ERR_NO_MEMORY, "stored batch: no memory for the index");
    h->batch = made;
    if (!hop_body(h))
        return wb_fail(err, WB_ERR_CORRUPT, "stored batch: the body is not what its index says");
    *batch = made;
    return WB_OK;
}

static bool is_same(wb_slice a, wb_slice b) { return a.ptr == b.ptr && a.len == b.len; }

/* By which numbers a message has them. */
typedef struct said_by {
    uint32_t trace_id, span_id, name;
} said_by;

static bool is_id(wb_slice bytes, const uint8_t *id, size_t len)
{
    return bytes.len == len ? memcmp(bytes.ptr, id, len) == 0
                            : bytes.len == 0 && wb_id_is_zero(id, len);
}

/* A copy's message: has it the ids of the row, which `out` holds? Its name goes into `out`. */
static bool is_copy(wb_slice message, said_by numbers, wb_span *out)
{
    wb_wire_field f;
    wb_slice trace_id = {NULL, 0}, span_id = {NULL, 0};
    out->name = (wb_slice){NULL, 0};
    while (message.len > 0) {
        if (!wb_wire_next(&message, &f)) return false;
        if (f.type != WB_WIRE_LEN) continue;
        if (f.number == numbers.trace_id) trace_id = f.bytes;
        if (f.number == numbers.span_id) span_id = f.bytes;
        if (f.number == numbers.name) out->name = f.bytes;
    }
    return is_id(trace_id, out->trace_id.b, sizeof out->trace_id.b) &&
           is_id(span_id, out->span_id.b, sizeof out->span_id.b);
}

/* ---- spans ---------------------------------------------------------------------------------- */

static bool span_row(const hop *h, uint32_t i, wb_slice message, wb_span *out)
{
    wb_span_row row = wb_span_batch_row(h->stored, i);
    *out = (wb_span){.trace_id = row.trace_id,
                     .span_id = row.span_id,
                     .parent_id = row.parent_id,
                     .start_ns = row.start_ns,
                     .end_ns = row.end_ns,
                     .name = row.name,
                     .flags = row.flags,
                     .kind = row.kind,
                     .status_code = row.status_code};
    return is_same(row.span, message);
}

wb_status wb_span_batch_edit(const wb_span_batch *stored, const bool *left_out, wb_arena *arena,
                             wb_batch **batch, wb_error *err)
{
    hop h = {.most = {stored->span_count, stored->scope_count, stored->resource_count},
             .row = span_row,
             .stored = stored,
             .left_out = left_out};
    return edit(&h, stored->body, arena, batch, err);
}

static bool copied_span_row(const hop *h, uint32_t i, wb_slice message, wb_span *out)
{
    (void)span_row(h, i, message, out);
    return is_copy(message, (said_by){1, 2, 5}, out);
}

wb_status wb_span_batch_edit_copy(const wb_span_batch *stored, wb_slice body, const bool *left_out,
                                  wb_arena *arena, wb_batch **batch, wb_error *err)
{
    hop h = {.most = {stored->span_count, stored->scope_count, stored->resource_count},
             .row = copied_span_row,
             .stored = stored,
             .left_out = left_out};
    return edit(&h, body, arena, batch, err);
}

/* ---- log records ---------------------------------------------------------------------------- */

static bool log_row(const hop *h, uint32_t i, wb_slice message, wb_span *out)
{
    wb_log_row row = wb_log_batch_row(h->stored, i);
    *out = (wb_span){.trace_id = row.trace_id,
                     .span_id = row.span_id,
                     .start_ns = row.time_ns,
                     .end_ns = row.observed_ns,
                     .name = row.event_name,
                     .flags = row.flags,
                     .kind = row.severity};
    return is_same(row.log, message);
}

wb_status wb_log_batch_edit(const wb_log_batch *stored, wb_arena *arena, wb_batch **batch,
                            wb_error *err)
{
    hop h = {.most = {stored->log_count, stored->scope_count, stored->resource_count},
             .row = log_row,
             .stored = stored};
    return edit(&h, stored->body, arena, batch, err);
}

static bool copied_log_row(const hop *h, uint32_t i, wb_slice message, wb_span *out)
{
    (void)log_row(h, i, message, out);
    return is_copy(message, (said_by){9, 10, 12}, out);
}

wb_status wb_log_batch_edit_copy(const wb_log_batch *stored, wb_slice body, wb_arena *arena,
                                 wb_batch **batch, wb_error *err)
{
    hop h = {.most = {stored->log_count, stored->scope_count, stored->resource_count},
             .row = copied_log_row,
             .stored = stored};
    return edit(&h, body, arena, batch, err);
}

/* ---- metrics -------------------------------------------------------------------------------- */

static bool any_metric(const hop *h, uint32_t i, wb_slice message, wb_span *out)
{
    (void)h, (void)i, (void)message;
    *out = (wb_span){.name = {NULL, 0}};
    return true;
}

/* How many fields of that number a message has; UINT32_MAX if it is no protobuf. */
static uint32_t count(wb_slice message, uint32_t number)
{
    wb_wire_field f;
    uint32_t n = 0;
    while (message.len > 0) {
        if (!next(&message, &f)) return UINT32_MAX;
        n += f.number == number;
    }
    return n;
}

static bool count_scopes(wb_slice resource_metrics, wb_index_counts *counts)
{
    wb_wire_field f;
    while (resource_metrics.len > 0) {
        if (!next(&resource_metrics, &f)) return false;
        if (f.number != 2) continue;
        uint32_t items = count(f.bytes, 2);
        if (items == UINT32_MAX) return false;
        counts->scopes++;
        counts->items += items;
    }
    return true;
}

static bool count_all(wb_slice body, wb_index_counts *counts)
{
    wb_wire_field f;
    while (body.len > 0) {
        if (!next(&body, &f)) return false;
        if (f.number != 1) continue;
        counts->resources++;
        if (!count_scopes(f.bytes, counts)) return false;
    }
    return true;
}

wb_status wb_metrics_edit(wb_slice body, wb_arena *arena, wb_batch **batch, wb_error *err)
{
    hop h = {.row = any_metric};
    if (!count_all(body, &h.most))
        return wb_fail(err, WB_ERR_CORRUPT, "stored metrics: not an export request");
    return edit(&h, body, arena, batch, err);
}
