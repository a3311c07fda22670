/* SPDX-License-Identifier: Apache-2.0 */
/* One Resource... with one Scope... and the index before them, in one go: the items' sizes are known
 * before the envelope is written, so nothing is moved afterwards. */
#include "proto/build_parts.h"

#include "core/utf8.h"
#include "proto/wire.h"

static bool is_left_out(const wb_otlp_attr *attr)
{
    return attr->value.type == WB_VALUE_EMPTY ||
           (attr->value.type == WB_VALUE_TEXT && attr->value.text.len == 0);
}

size_t wb_build_attrs_size(const wb_otlp_attr *attrs, size_t n, wb_otlp_owner owner)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_left_out(&attrs[i]))
            size += wb_otlp_attr_size(owner, attrs[i].key, wb_otlp_value_size(attrs[i].value));
    return size;
}

uint8_t *wb_build_put_attrs(uint8_t *at, const wb_otlp_attr *attrs, size_t n, wb_otlp_owner owner)
{
    for (size_t i = 0; i < n; i++) {
        const wb_otlp_attr *attr = &attrs[i];
        if (is_left_out(attr)) continue;
        at = wb_otlp_put_attr_head(at, owner, attr->key, wb_otlp_value_size(attr->value));
        at = wb_otlp_put_value(at, attr->value);
    }
    return at;
}

size_t wb_build_text_size(uint32_t number, wb_slice text)
{
    return text.len ? wb_otlp_field_size(number, text.len) : 0;
}

uint8_t *wb_build_put_text(uint8_t *at, uint32_t number, wb_slice text)
{
    return text.len ? wb_otlp_put_field(at, number, text) : at;
}

uint8_t *wb_build_put_number(uint8_t *at, uint32_t number, uint64_t value)
{
    *at++ = WB_WIRE_TAG(number, WB_WIRE_VARINT);
    return wb_wire_put_varint(at, value);
}

uint8_t *wb_build_put_time(uint8_t *at, uint32_t number, wb_time_ns time_ns)
{
    *at++ = WB_WIRE_TAG(number, WB_WIRE_FIXED64);
    return wb_wire_put_fixed(at, 8, time_ns);
}

bool wb_build_all_text(const wb_otlp_attr *attrs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!wb_utf8_valid(attrs[i].key)) return false;
        if (attrs[i].value.type == WB_VALUE_TEXT && !wb_utf8_valid(attrs[i].value.text))
            return false;
    }
    return true;
}

/* ---- the envelope ---------------------------------------------------------------------------- */

typedef struct sizes {
    size_t resource, scope, scope_items, resource_items, body;
} sizes;

static sizes measure(const wb_span_origin *origin, size_t items_size)
{
    sizes s = {.resource =
                   wb_build_attrs_size(origin->resource, origin->resource_count, WB_OTLP_RESOURCE),
               .scope = wb_build_text_size(1, origin->scope_name) +
                        wb_build_text_size(2, origin->scope_version)};
    s.scope_items = wb_otlp_field_size(1, s.scope) + items_size;
    s.resource_items = wb_otlp_field_size(1, s.resource) + wb_otlp_field_size(2, s.scope_items);
    s.body = wb_otlp_field_size(1, s.resource_items);
    return s;
}

wb_status wb_build_open(wb_build *b, const wb_index_kind *kind, const wb_span_origin *origin,
                        size_t n, size_t items_size, wb_buffer *out, wb_error *err)
{
    uint8_t *row;
    if (!wb_build_all_text(origin->resource, origin->resource_count) ||
        !wb_utf8_valid(origin->scope_name) || !wb_utf8_valid(origin->scope_version))
        return wb_fail(err, WB_ERR_MALFORMED, "a resource or scope with text that is not UTF-8");
    sizes s = measure(origin, items_size);
    if (n > UINT32_MAX || s.body > UINT32_MAX)
        return wb_fail(err, WB_ERR_NO_MEMORY, "%s: %zu in one", kind->name, n);
    wb_index_counts counts = {(uint32_t)n, 1, 1};
    size_t index = wb_index_size(kind, counts);
    if (wb_buffer_reserve(out, index + s.body, &row) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "%s: no room for %zu", kind->name, n);
    *b = (wb_build){.body = row + index, .body_len = s.body};
    row = wb_index_put_header(row, kind, counts, s.body);
    uint8_t *at = wb_otlp_put_head(b->body, 1, s.resource_items);
    at = wb_otlp_put_head(at, 1, s.resource);
    row = wb_index_put_resource(row, wb_build_place(b, at, s.resource));
    at = wb_build_put_attrs(at, origin->resource, origin->resource_count, WB_OTLP_RESOURCE);
    at = wb_otlp_put_head(at, 2, s.scope_items);
    at = wb_otlp_put_head(at, 1, s.scope);
    b->row = wb_index_put_scope(row, 0, wb_build_place(b, at, s.scope));
    at = wb_build_put_text(at, 1, origin->scope_name);
    b->at = wb_build_put_text(at, 2, origin->scope_version);
    return WB_OK;
}

void wb_build_close(const wb_build *b) { WB_ASSERT(b->at == b->body + b->body_len); }
