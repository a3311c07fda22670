/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that the sidecar writes itself: one ResourceSpans with one ScopeSpans, and its index, in
 * one go. Each part has a function for its size and one that writes it, side by side, because
 * protobuf wants the length first; a wrong pair is caught by the assertion at the end, in every
 * test. */
#include "core/utf8.h"
#include "proto/otlp_put.h"
#include "proto/span_batch.h"
#include "proto/span_batch_rows.h"
#include "proto/wire.h"

enum { FIXED64_FIELD = 9, FLAGS_FIELD = 2 + 4 }; /* tag and value */

typedef struct attr_span {
    const wb_otlp_attr *list;
    size_t n;
} attr_span;

static bool is_left_out(const wb_otlp_attr *attr)
{
    return attr->value.type == WB_VALUE_EMPTY ||
           (attr->value.type == WB_VALUE_TEXT && attr->value.text.len == 0);
}

static size_t attrs_size(attr_span attrs, wb_otlp_owner owner)
{
    size_t size = 0;
    for (size_t i = 0; i < attrs.n; i++)
        if (!is_left_out(&attrs.list[i]))
            size += wb_otlp_attr_size(owner, attrs.list[i].key,
                                      wb_otlp_value_size(attrs.list[i].value));
    return size;
}

static uint8_t *put_attrs(uint8_t *at, attr_span attrs, wb_otlp_owner owner)
{
    for (size_t i = 0; i < attrs.n; i++) {
        const wb_otlp_attr *attr = &attrs.list[i];
        if (is_left_out(attr)) continue;
        at = wb_otlp_put_attr_head(at, owner, attr->key, wb_otlp_value_size(attr->value));
        at = wb_otlp_put_value(at, attr->value);
    }
    return at;
}

/* An optional text field. */
static size_t text_size(uint32_t number, wb_slice text)
{
    return text.len ? wb_otlp_field_size(number, text.len) : 0;
}

static uint8_t *put_text(uint8_t *at, uint32_t number, wb_slice text)
{
    return text.len ? wb_otlp_put_field(at, number, text) : at;
}

static uint8_t *put_number(uint8_t *at, uint32_t number, uint64_t value)
{
    *at++ = WB_WIRE_TAG(number, WB_WIRE_VARINT);
    return wb_wire_put_varint(at, value);
}

static uint8_t *put_time(uint8_t *at, uint32_t number, wb_time_ns time_ns)
{
    *at++ = WB_WIRE_TAG(number, WB_WIRE_FIXED64);
    return wb_wire_put_fixed(at, 8, time_ns);
}

/* ---- Link, Status, Span ---------------------------------------------------------------------- */

static size_t link_size(const wb_span_link *link)
{
    return wb_otlp_link_size(link->trace_state, link->flags) +
           attrs_size((attr_span){link->attrs, link->attr_count}, WB_OTLP_LINK);
}

static uint8_t *put_link(uint8_t *at, const wb_span_link *link)
{
    at = wb_otlp_put_head(at, 13, link_size(link));
    at = wb_otlp_put_link(at, link->trace_id, link->span_id, link->trace_state, link->flags);
    return put_attrs(at, (attr_span){link->attrs, link->attr_count}, WB_OTLP_LINK);
}

/* Status { message 2; code 3 } */
static size_t status_size(const wb_span_draft *d)
{
    return text_size(2, d->status_message) + (d->status_code ? 2 : 0);
}

static uint8_t *put_status(uint8_t *at, const wb_span_draft *d)
{
    size_t size = status_size(d);
    if (size == 0) return at;
    at = put_text(wb_otlp_put_head(at, 15, size), 2, d->status_message);
    return d->status_code ? put_number(at, 3, d->status_code) : at;
}

static size_t span_size(const wb_span_draft *d)
{
    size_t status = status_size(d);
    size_t size = wb_otlp_field_size(1, sizeof d->trace_id.b) +
                  wb_otlp_field_size(2, sizeof d->span_id.b) + text_size(3, d->trace_state) +
                  text_size(5, d->name) + 2 + 2 * FIXED64_FIELD + FLAGS_FIELD;
    if (!WB_ID_ABSENT(d->parent_id)) size += wb_otlp_field_size(4, sizeof d->parent_id.b);
    size += attrs_size((attr_span){d->attrs, d->attr_count}, WB_OTLP_SPAN);
    for (size_t i = 0; i < d->link_count; i++)
        size += wb_otlp_field_size(13, link_size(&d->links[i]));
    return status ? size + wb_otlp_field_size(15, status) : size;
}

/* The Span message; *name_at is where its name stands. */
static uint8_t *put_span(uint8_t *at, const wb_span_draft *d, const uint8_t **name_at)
{
    at = wb_otlp_put_field(at, 1, (wb_slice){d->trace_id.b, sizeof d->trace_id.b});
    at = wb_otlp_put_field(at, 2, (wb_slice){d->span_id.b, sizeof d->span_id.b});
    at = put_text(at, 3, d->trace_state);
    if (!WB_ID_ABSENT(d->parent_id))
        at = wb_otlp_put_field(at, 4, (wb_slice){d->parent_id.b, sizeof d->parent_id.b});
    at = put_text(at, 5, d->name);
    *name_at = at - d->name.len;
    at = put_number(at, 6, d->kind);
    at = put_time(put_time(at, 7, d->start_ns), 8, d->end_ns);
    at = put_attrs(at, (attr_span){d->attrs, d->attr_count}, WB_OTLP_SPAN);
    for (size_t i = 0; i < d->link_count; i++) at = put_link(at, &d->links[i]);
    at = put_status(at, d);
    at = wb_wire_put_varint(at, 16U << 3 | WB_WIRE_FIXED32);
    return wb_wire_put_fixed(at, sizeof d->flags, d->flags);
}

/* ---- the envelope ---------------------------------------------------------------------------- */

typedef struct sizes {
    size_t resource, scope, scope_spans, resource_spans, body;
} sizes;

static sizes measure(const wb_span_origin *origin, const wb_span_draft *spans, size_t n)
{
    sizes s = {.resource = attrs_size((attr_span){origin->resource, origin->resource_count},
                                      WB_OTLP_RESOURCE),
               .scope = text_size(1, origin->scope_name) + text_size(2, origin->scope_version)};
    s.scope_spans = wb_otlp_field_size(1, s.scope);
    for (size_t i = 0; i < n; i++) s.scope_spans += wb_otlp_field_size(2, span_size(&spans[i]));
    s.resource_spans = wb_otlp_field_size(1, s.resource) + wb_otlp_field_size(2, s.scope_spans);
    s.body = wb_otlp_field_size(1, s.resource_spans);
    return s;
}

static wb_render_place place(const uint8_t *body, const uint8_t *at, size_t len)
{
    return (wb_render_place){(uint32_t)(at - body), (uint32_t)len};
}

static wb_span index_of(const wb_span_draft *d)
{
    return (wb_span){.trace_id = d->trace_id,
                     .span_id = d->span_id,
                     .parent_id = d->parent_id,
                     .start_ns = d->start_ns,
                     .end_ns = d->end_ns,
                     .flags = d->flags,
                     .kind = d->kind,
                     .status_code = d->status_code};
}

static void put_payload(uint8_t *index, uint8_t *body, const sizes *s, const wb_span_origin *origin,
                        const wb_span_draft *spans, size_t n)
{
    index = wb_span_batch_put_header(index, (wb_span_batch_counts){(uint32_t)n, 1, 1}, s->body);
    uint8_t *at = wb_otlp_put_head(body, 1, s->resource_spans);
    at = wb_otlp_put_head(at, 1, s->resource);
    index = wb_span_batch_put_resource(index, place(body, at, s->resource));
    at = put_attrs(at, (attr_span){origin->resource, origin->resource_count}, WB_OTLP_RESOURCE);
    at = wb_otlp_put_head(at, 2, s->scope_spans);
    at = wb_otlp_put_head(at, 1, s->scope);
    index = wb_span_batch_put_scope(index, 0, place(body, at, s->scope));
    at = put_text(put_text(at, 1, origin->scope_name), 2, origin->scope_version);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *name_at, *message;
        wb_span span = index_of(&spans[i]);
        at = wb_otlp_put_head(at, 2, span_size(&spans[i]));
        message = at;
        at = put_span(at, &spans[i], &name_at);
        index = wb_span_batch_put_span(index, &span, place(body, message, (size_t)(at - message)),
                                       place(body, name_at, spans[i].name.len));
    }
    WB_ASSERT(at == body + s->body);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static bool all_text(const wb_otlp_attr *attrs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!wb_utf8_valid(attrs[i].key)) return false;
        if (attrs[i].value.type == WB_VALUE_TEXT && !wb_utf8_valid(attrs[i].value.text))
            return false;
    }
    return true;
}

static bool good_links(const wb_span_draft *d)
{
    for (size_t i = 0; i < d->link_count; i++)
        if (!wb_utf8_valid(d->links[i].trace_state) ||
            !all_text(d->links[i].attrs, d->links[i].attr_count))
            return false;
    return true;
}

static wb_status check(const wb_span_draft *d, wb_error *err)
{
    if (WB_ID_ABSENT(d->trace_id) || WB_ID_ABSENT(d->span_id))
        return wb_fail(err, WB_ERR_MALFORMED, "a span without trace or span id");
    if (!wb_utf8_valid(d->name) || !wb_utf8_valid(d->trace_state) ||
        !wb_utf8_valid(d->status_message) || !all_text(d->attrs, d->attr_count) || !good_links(d))
        return wb_fail(err, WB_ERR_MALFORMED, "a span with text that is not UTF-8");
    WB_ASSERT(d->kind <= WB_SPAN_CONSUMER && d->status_code <= WB_SPAN_ERROR);
    return WB_OK;
}

wb_status wb_span_batch_build(const wb_span_origin *origin, const wb_span_draft *spans, size_t n,
                              wb_buffer *out, wb_error *err)
{
    uint8_t *at;
    for (size_t i = 0; i < n; i++) WB_TRY(check(&spans[i], err));
    if (!all_text(origin->resource, origin->resource_count) || !wb_utf8_valid(origin->scope_name) ||
        !wb_utf8_valid(origin->scope_version))
        return wb_fail(err, WB_ERR_MALFORMED, "a resource or scope with text that is not UTF-8");
    sizes s = measure(origin, spans, n);
    if (n > UINT32_MAX || s.body > UINT32_MAX)
        return wb_fail(err, WB_ERR_NO_MEMORY, "%zu spans in one batch", n);
    size_t index = wb_span_batch_index_size((wb_span_batch_counts){(uint32_t)n, 1, 1});
    if (wb_buffer_reserve(out, index + s.body, &at) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no room for %zu spans", n);
    put_payload(at, at + index, &s, origin, spans, n);
    return WB_OK;
}

wb_status wb_span_texts(const wb_slice *texts, size_t n, wb_arena *arena, wb_value *out)
{
    const uint32_t values = 1; /* ArrayValue.values */
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        wb_value item = {.type = WB_VALUE_TEXT, .text = texts[i]};
        size += wb_otlp_field_size(values, wb_otlp_value_size(item));
    }
    uint8_t *bytes = wb_arena_alloc(arena, size + 1), *at = bytes;
    if (!bytes) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        wb_value item = {.type = WB_VALUE_TEXT, .text = texts[i]};
        at = wb_otlp_put_head(at, values, wb_otlp_value_size(item));
        at = wb_otlp_put_value(at, item);
    }
    WB_ASSERT((size_t)(at - bytes) == size);
    *out = (wb_value){.type = WB_VALUE_ARRAY, .bytes = wb_slice_of(bytes, size)};
    return WB_OK;
}
