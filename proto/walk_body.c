/* SPDX-License-Identifier: Apache-2.0 */
/* The nesting of all three signals: Export...ServiceRequest { 1: Resource... { 1: Resource, 2: Scope... {
 * 1: scope, 2: item }}}, where an item is a Span, a LogRecord or a Metric. It is gone through three
 * times: count (so that the arrays are made once, at their size, after the limits were checked), envelope
 * (a resource may come behind its items, and decides on them), items. The first two only hop from length
 * to length. Names here are those of spans. */
#include "proto/walk.h"

/* ---- envelopes ------------------------------------------------------------------------------- */

static wb_extent extent_of(const wb_walk *w, const wb_wire_field *f)
{
    const uint8_t *body = w->batch->body.ptr;
    return (wb_extent){(uint32_t)(f->tag_at - body), (uint32_t)(f->bytes.ptr - body),
                       (uint32_t)f->bytes.len};
}

/* ResourceSpans and ScopeSpans alike: 1 the resource or scope, 2 the children, 3 the schema URL.
 * Finds the first, checks the third, counts the second. */
static bool walk_envelope(wb_walk *w, wb_slice message, wb_extent *head, wb_slice *head_bytes,
                          uint32_t *children)
{
    wb_wire_field f;
    bool seen_head = false;
    *head_bytes = (wb_slice){message.ptr, 0};
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number > 3) continue;
        if (!wb_walk_expect(w, &f, WB_WIRE_LEN)) return false;
        if (f.number == 1) {
            if (!wb_walk_once(w, &seen_head)) return false;
            *head = extent_of(w, &f);
            *head_bytes = f.bytes;
        } else if (f.number == 2) {
            (*children)++;
        } else {
            wb_walk_text(w, f.bytes);
        }
    }
    return true;
}

static bool out_of_memory(wb_walk *w)
{
    w->no_memory = true;
    return false;
}

static bool leave_out(wb_walk *w, wb_extent extent)
{
    wb_batch *batch = w->batch;
    if (!batch->rejected) {
        batch->rejected = wb_arena_array(batch->arena, w->item_total, sizeof batch->rejected[0]);
        if (!batch->rejected) return out_of_memory(w);
        batch->first_rejection = w->rejection;
    }
    batch->rejected[batch->rejected_count++] = extent;
    batch->edited = true;
    return true;
}

/* `inherited` is what is wrong with the resource or scope, NULL if nothing is. */
static bool walk_items(wb_walk *w, wb_slice message, uint32_t scope_index, const char *inherited)
{
    wb_wire_field f;
    wb_batch *batch = w->batch;
    while (message.len > 0) {
        (void)wb_wire_next(&message, &f); /* walk_envelope went through these bytes */
        if (f.number != 2) continue;
        wb_span *span = &batch->spans[batch->span_count];
        *span = (wb_span){.scope = scope_index, .extent = extent_of(w, &f)};
        w->rejection = inherited;
        if (!w->signal->item(w, f.bytes, span)) return false;
        if (w->rejection) {
            if (!leave_out(w, span->extent)) return false;
        } else {
            batch->span_count++;
        }
    }
    return true;
}

static bool walk_scope_spans(wb_walk *w, const wb_wire_field *f, uint32_t resource_index,
                             const char *inherited)
{
    wb_batch *batch = w->batch;
    wb_slice scope;
    uint32_t children = 0, index = batch->scope_count++;
    wb_scope_spans *group = &batch->scopes[index];
    *group = (wb_scope_spans){
        .extent = extent_of(w, f), .resource = resource_index, .first_span = batch->span_count};
    w->rejection = inherited;
    if (!walk_envelope(w, f->bytes, &group->scope, &scope, &children)) return false;
    if (!wb_walk_scope(w, scope)) return false;
    group->rejected = w->rejection != NULL;
    batch->edited |= group->rejected;
    if (!walk_items(w, f->bytes, index, w->rejection)) return false;
    group->span_count = batch->span_count - group->first_span;
    return true;
}

static bool walk_resource_spans(wb_walk *w, const wb_wire_field *f)
{
    wb_batch *batch = w->batch;
    wb_slice resource, message = f->bytes;
    wb_wire_field child;
    uint32_t children = 0, index = batch->resource_count++;
    wb_resource_spans *group = &batch->resources[index];
    *group = (wb_resource_spans){.extent = extent_of(w, f), .first_scope = batch->scope_count};
    w->rejection = NULL;
    if (!walk_envelope(w, message, &group->resource, &resource, &children)) return false;
    if (!wb_walk_resource(w, resource, &group->attrs)) return false;
    const char *inherited = w->rejection;
    group->rejected = inherited != NULL;
    batch->edited |= group->rejected;
    while (message.len > 0) {
        (void)wb_wire_next(&message, &child); /* walk_envelope went through these bytes */
        if (child.number == 2 && !walk_scope_spans(w, &child, index, inherited)) return false;
    }
    group->scope_count = batch->scope_count - group->first_scope;
    return true;
}

/* ---- the body -------------------------------------------------------------------------------- */

/* How many resources, scopes and items there are, by hopping over their lengths. */
typedef struct totals {
    uint32_t resources, scopes, spans;
} totals;

static bool count_children(wb_walk *w, wb_slice message, totals *sum)
{
    wb_wire_field f;
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number != 2) continue;
        if (!wb_walk_expect(w, &f, WB_WIRE_LEN)) return false;
        sum->scopes++;
        for (wb_slice scope = f.bytes; scope.len > 0;) {
            if (!wb_walk_next(w, &scope, &f)) return false;
            if (f.number == 2) sum->spans++;
        }
    }
    return true;
}

static bool count_all(wb_walk *w, totals *sum)
{
    wb_wire_field f;
    for (wb_slice rest = w->batch->body; rest.len > 0;) {
        if (!wb_walk_next(w, &rest, &f)) return false;
        if (f.number != 1) continue;
        if (!wb_walk_expect(w, &f, WB_WIRE_LEN) || !count_children(w, f.bytes, sum)) return false;
        sum->resources++;
    }
    if (sum->spans > WB_OTLP_SPANS_MAX || sum->scopes > WB_OTLP_SPANS_MAX ||
        sum->resources > WB_OTLP_SPANS_MAX)
        return wb_walk_refuse(
            w, "more spans, log records, metrics, scopes or resources than a body may have");
    return true;
}

static bool walk_all(wb_walk *w)
{
    wb_batch *batch = w->batch;
    wb_wire_field f;
    totals sum = {0};
    if (!count_all(w, &sum)) return false;
    w->item_total = sum.spans;
    batch->resources = wb_arena_array(batch->arena, sum.resources, sizeof batch->resources[0]);
    batch->scopes = wb_arena_array(batch->arena, sum.scopes, sizeof batch->scopes[0]);
    batch->spans = wb_arena_array(batch->arena, sum.spans, sizeof batch->spans[0]);
    if (!batch->resources || !batch->scopes || !batch->spans) return out_of_memory(w);
    for (wb_slice rest = batch->body; rest.len > 0;) {
        (void)wb_wire_next(&rest, &f); /* count_all went through these bytes */
        if (f.number == 1 && !walk_resource_spans(w, &f)) return false;
    }
    return true;
}

wb_status wb_walk_body(wb_slice body, wb_walk *w, wb_arena *arena, wb_batch **batch, wb_error *err)
{
    const char *name = w->signal->name;
    if (body.len > WB_OTLP_BODY_MAX_BYTES)
        return wb_fail(err, WB_ERR_MALFORMED, "%s: %zu bytes, at most %d are taken", name, body.len,
                       WB_OTLP_BODY_MAX_BYTES);
    wb_batch *made = wb_arena_alloc(arena, sizeof *made);
    if (!made) return wb_fail(err, WB_ERR_NO_MEMORY, "%s: no memory for the index", name);
    *made = (wb_batch){.arena = arena, .body = body};
    w->batch = made;
    if (!walk_all(w)) {
        if (w->no_memory)
            return wb_fail(err, WB_ERR_NO_MEMORY, "%s: no memory for the index", name);
        return wb_fail(err, WB_ERR_MALFORMED, "%s: %s", name, w->refusal);
    }
    *batch = made;
    return WB_OK;
}
