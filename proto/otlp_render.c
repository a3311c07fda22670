/* SPDX-License-Identifier: Apache-2.0 */
/* Rendering copies runs of arrived bytes and stops only where something changes: a masked field is
 * stepped over, an appended one written at the end of its message, a message whose length changed
 * gets a new head (tag 1 byte, length as short as it goes). A message that nobody touched keeps its
 * head as it arrived, long-winded varints and all, so a batch without edits comes out byte for
 * byte.
 *
 * Two passes. The plan goes from the leaves up, because a length stands before what it encloses;
 * then one sweep over the body writes. Between them stand only lengths, 8 bytes a span.
 *
 * What rejected spans leave empty is left out too, but a good envelope that arrived empty stays: it
 * was the sender's to send. */
#include "proto/otlp_render.h"

#include "proto/otlp_put.h"

enum { RESOURCE_SPANS = 1, RESOURCE = 1, CHILDREN = 2 }; /* field numbers; scopes and spans are 2 */

#define BODY_MAX_BYTES (SIZE_MAX < UINT64_C(1) << 30 ? SIZE_MAX : (size_t)1 << 30)

/* ---- the plan -------------------------------------------------------------------------------- */

static size_t edited_len(uint32_t arrived, const wb_attrs *attrs)
{
    size_t len = arrived;
    if (!attrs->edited) return len;
    for (const wb_attr *a = attrs->first; a; a = a->next) {
        if (a->state == WB_ATTR_MASKED) len -= a->field.ptr ? a->field.len : 0;
        if (a->state == WB_ATTR_APPENDED) len += a->field.len;
    }
    return len;
}

static size_t arrived_field(wb_extent extent) { return extent.message_at - extent.at + extent.len; }

/* What a whole field takes once its message is `len` long. */
static size_t new_field(wb_extent extent, uint32_t number, size_t len)
{
    if (len == extent.len) return arrived_field(extent);
    return wb_otlp_field_size(number, len);
}

static wb_status plan_arrays(const wb_batch *batch, wb_render_plan *plan)
{
    wb_arena *arena = batch->arena;
    plan->spans = wb_arena_array(arena, batch->span_count, sizeof plan->spans[0]);
    plan->scopes = wb_arena_array(arena, batch->scope_count, sizeof plan->scopes[0]);
    plan->resources = wb_arena_array(arena, batch->resource_count, sizeof plan->resources[0]);
    plan->scope_spans_len = wb_arena_array(arena, batch->scope_count, sizeof(uint32_t));
    plan->resource_spans_len = wb_arena_array(arena, batch->resource_count, sizeof(uint32_t));
    bool all = plan->spans && plan->scopes && plan->resources && plan->scope_spans_len &&
               plan->resource_spans_len;
    return all ? WB_OK : WB_ERR_NO_MEMORY;
}

/* Plan one ScopeSpans; *rejected walks on through batch->rejected. Returns the new length of its
 * whole field, 0 if it is left out. */
static size_t plan_scope_spans(const wb_batch *batch, wb_render_plan *plan, uint32_t index,
                               uint32_t *rejected)
{
    const wb_scope_spans *group = &batch->scopes[index];
    size_t len = group->extent.len, end = (size_t)group->extent.message_at + len;
    uint32_t first_rejected = *rejected;
    for (; *rejected < batch->rejected_count && batch->rejected[*rejected].at < end; (*rejected)++)
        len -= arrived_field(batch->rejected[*rejected]);
    for (uint32_t i = 0; i < group->span_count; i++) {
        const wb_span *span = &batch->spans[group->first_span + i];
        size_t span_len = edited_len(span->extent.len, &span->attrs);
        plan->spans[group->first_span + i].len = (uint32_t)span_len;
        len += new_field(span->extent, CHILDREN, span_len) - arrived_field(span->extent);
    }
    if (group->rejected || (group->span_count == 0 && *rejected != first_rejected)) {
        plan->scope_spans_len[index] = WB_RENDER_LEFT_OUT;
        return 0;
    }
    plan->scope_spans_len[index] = (uint32_t)len;
    return new_field(group->extent, CHILDREN, len);
}

static size_t plan_resource(const wb_resource_spans *group, wb_render_place *place)
{
    size_t len = edited_len(group->resource.len, &group->attrs);
    place->len = (uint32_t)len;
    if (group->resource.at != 0) return new_field(group->resource, RESOURCE, len);
    return len ? wb_otlp_field_size(RESOURCE, len) : 0; /* it had none, and gets one */
}

static size_t plan_resource_spans(const wb_batch *batch, wb_render_plan *plan, uint32_t index,
                                  uint32_t *rejected)
{
    const wb_resource_spans *group = &batch->resources[index];
    uint32_t left_out = 0;
    size_t len = group->extent.len + plan_resource(group, &plan->resources[index]);
    if (group->resource.at != 0) len -= arrived_field(group->resource);
    for (uint32_t i = 0; i < group->scope_count; i++) {
        uint32_t scope = group->first_scope + i;
        size_t field = plan_scope_spans(batch, plan, scope, rejected);
        if (field == 0) left_out++;
        len += field - arrived_field(batch->scopes[scope].extent);
    }
    if (group->rejected || (left_out > 0 && left_out == group->scope_count)) {
        plan->resource_spans_len[index] = WB_RENDER_LEFT_OUT;
        plan->resources[index].len = 0;
        return 0;
    }
    plan->resource_spans_len[index] = (uint32_t)len;
    return new_field(group->extent, RESOURCE_SPANS, len);
}

wb_status wb_render_plan_make(const wb_batch *batch, wb_render_plan *plan)
{
    wb_render_plan made = {.size = batch->body.len};
    uint32_t rejected = 0;
    size_t appended =
        wb_arena_used(batch->arena); /* no edit can add more than the arena gave out */
    if (appended > BODY_MAX_BYTES || made.size > BODY_MAX_BYTES - appended) return WB_ERR_NO_MEMORY;
    WB_TRY(plan_arrays(batch, &made));
    for (uint32_t i = 0; i < batch->resource_count; i++)
        made.size += plan_resource_spans(batch, &made, i, &rejected) -
                     arrived_field(batch->resources[i].extent);
    *plan = made;
    return WB_OK;
}

/* ---- the sweep ------------------------------------------------------------------------------- */

typedef struct sweep {
    const wb_batch *batch;
    wb_render_plan *plan;
    uint8_t *out;      /* start of the rendered body */
    uint8_t *to;       /* where the next byte goes */
    uint32_t from;     /* offset in the arrived body of the next byte not yet dealt with */
    uint32_t rejected; /* index of the next rejected span */
} sweep;

static void copy_to(sweep *s, size_t offset)
{
    size_t len = offset - s->from;
    memcpy(s->to, s->batch->body.ptr + s->from, len);
    s->to += len;
    s->from = (uint32_t)offset;
}

static size_t end_of(wb_extent extent) { return (size_t)extent.message_at + extent.len; }

/* Write the head of a field that will be `len` long and stand at its message. Where that is. */
static uint32_t enter(sweep *s, wb_extent extent, uint32_t number, size_t len)
{
    copy_to(s, extent.at);
    if (len == extent.len) {
        copy_to(s, extent.message_at);
    } else {
        s->to = wb_otlp_put_head(s->to, number, len);
        s->from = extent.message_at;
    }
    return (uint32_t)(s->to - s->out);
}

static void leave_out(sweep *s, wb_extent extent)
{
    copy_to(s, extent.at);
    s->from = (uint32_t)end_of(extent);
}

/* A message's bytes without what is masked, and then what is appended. */
static void edited_bytes(sweep *s, wb_extent extent, const wb_attrs *attrs)
{
    const uint8_t *body = s->batch->body.ptr;
    for (const wb_attr *a = attrs->first; a; a = a->next) {
        if (a->state != WB_ATTR_MASKED || !a->field.ptr) continue;
        copy_to(s, (size_t)(a->field.ptr - body));
        s->from += (uint32_t)a->field.len;
    }
    copy_to(s, end_of(extent));
    for (const wb_attr *a = attrs->first; a; a = a->next) {
        if (a->state != WB_ATTR_APPENDED) continue;
        memcpy(s->to, a->field.ptr, a->field.len);
        s->to += a->field.len;
    }
}

/* Copy up to `limit`; if `head`, a resource or scope that nobody edited, is on the way, note where
 * it comes to be. */
static void copy_noting(sweep *s, size_t limit, wb_extent head, wb_render_place *place)
{
    if (head.at != 0 && head.at >= s->from && head.at < limit)
        *place =
            (wb_render_place){(uint32_t)(s->to - s->out) + head.message_at - s->from, head.len};
    copy_to(s, limit);
}

static void sweep_span(sweep *s, uint32_t index)
{
    const wb_span *span = &s->batch->spans[index];
    wb_render_place *place = &s->plan->spans[index];
    place->at = enter(s, span->extent, CHILDREN, place->len);
    if (span->attrs.edited)
        edited_bytes(s, span->extent, &span->attrs);
    else
        copy_to(s, end_of(span->extent));
}

static void sweep_scope_spans(sweep *s, uint32_t index)
{
    const wb_batch *batch = s->batch;
    const wb_scope_spans *group = &batch->scopes[index];
    wb_render_place *place = &s->plan->scopes[index];
    uint32_t span = group->first_span, last = span + group->span_count;
    size_t end = end_of(group->extent);
    (void)enter(s, group->extent, CHILDREN, s->plan->scope_spans_len[index]);
    while (true) {
        bool more = s->rejected < batch->rejected_count && batch->rejected[s->rejected].at < end;
        size_t span_at = span < last ? batch->spans[span].extent.at : end;
        if (more && batch->rejected[s->rejected].at < span_at) {
            copy_noting(s, batch->rejected[s->rejected].at, group->scope, place);
            leave_out(s, batch->rejected[s->rejected++]);
            continue;
        }
        copy_noting(s, span_at, group->scope, place);
        if (span == last) return;
        sweep_span(s, span++);
    }
}

/* The Resource itself, when the sweep has come to it. */
static void sweep_resource(sweep *s, uint32_t index)
{
    const wb_resource_spans *group = &s->batch->resources[index];
    wb_render_place *place = &s->plan->resources[index];
    place->at = enter(s, group->resource, RESOURCE, place->len);
    edited_bytes(s, group->resource, &group->attrs);
}

static void insert_resource(sweep *s, uint32_t index)
{
    wb_render_place *place = &s->plan->resources[index];
    if (place->len == 0) return;
    s->to = wb_otlp_put_head(s->to, RESOURCE, place->len);
    place->at = (uint32_t)(s->to - s->out);
    edited_bytes(s, (wb_extent){s->from, s->from, 0}, &s->batch->resources[index].attrs);
}

/* A group of which nothing remains: past it, and past its rejected spans. */
static void skip_group(sweep *s, wb_extent extent)
{
    const wb_batch *batch = s->batch;
    leave_out(s, extent);
    while (s->rejected < batch->rejected_count && batch->rejected[s->rejected].at < s->from)
        s->rejected++;
}

static void sweep_resource_spans(sweep *s, uint32_t index)
{
    const wb_resource_spans *group = &s->batch->resources[index];
    uint32_t scope = group->first_scope, last = scope + group->scope_count;
    size_t end = end_of(group->extent);
    (void)enter(s, group->extent, RESOURCE_SPANS, s->plan->resource_spans_len[index]);
    if (group->resource.at == 0) insert_resource(s, index);
    while (true) {
        size_t scope_at = scope < last ? s->batch->scopes[scope].extent.at : end;
        bool resource_next = group->resource.at != 0 && group->resource.at >= s->from;
        if (resource_next && group->resource.at < scope_at) {
            sweep_resource(s, index);
            continue;
        }
        copy_to(s, scope_at);
        if (scope == last) return;
        if (s->plan->scope_spans_len[scope] == WB_RENDER_LEFT_OUT)
            skip_group(s, s->batch->scopes[scope].extent);
        else
            sweep_scope_spans(s, scope);
        scope++;
    }
}

static wb_render_place as_arrived(wb_extent extent)
{
    if (extent.at == 0) return (wb_render_place){0, 0};
    return (wb_render_place){extent.message_at, extent.len};
}

static void splice(const wb_batch *batch, wb_render_plan *plan, uint8_t *out)
{
    if (batch->body.len) memcpy(out, batch->body.ptr, batch->body.len);
    for (uint32_t i = 0; i < batch->resource_count; i++)
        plan->resources[i] = as_arrived(batch->resources[i].resource);
    for (uint32_t i = 0; i < batch->scope_count; i++)
        plan->scopes[i] = as_arrived(batch->scopes[i].scope);
    for (uint32_t i = 0; i < batch->span_count; i++)
        plan->spans[i] = as_arrived(batch->spans[i].extent);
}

void wb_render(const wb_batch *batch, wb_render_plan *plan, uint8_t *out)
{
    sweep s = {.batch = batch, .plan = plan, .out = out, .to = out};
    if (!batch->edited) {
        splice(batch, plan, out);
        return;
    }
    for (uint32_t i = 0; i < batch->resource_count; i++) {
        if (plan->resource_spans_len[i] == WB_RENDER_LEFT_OUT)
            skip_group(&s, batch->resources[i].extent);
        else
            sweep_resource_spans(&s, i);
    }
    copy_to(&s, batch->body.len);
    WB_ASSERT((size_t)(s.to - out) == plan->size);
}
