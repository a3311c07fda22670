/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that the sidecar writes itself, in one go. Each part has a function for its size and one that
 * writes it, side by side. */
#include "core/utf8.h"
#include "proto/build_parts.h"
#include "proto/span_batch_rows.h"
#include "proto/wire.h"

enum { FLAGS_FIELD = 2 + 4 }; /* tag and value */

/* ---- Link, Status, Span ---------------------------------------------------------------------- */

static size_t link_size(const wb_span_link *link)
{
    return wb_otlp_link_size(link->trace_state, link->flags) +
           wb_build_attrs_size(link->attrs, link->attr_count, WB_OTLP_LINK);
}

static uint8_t *put_link(uint8_t *at, const wb_span_link *link)
{
    at = wb_otlp_put_head(at, 13, link_size(link));
    at = wb_otlp_put_link(at, link->trace_id, link->span_id, link->trace_state, link->flags);
    return wb_build_put_attrs(at, link->attrs, link->attr_count, WB_OTLP_LINK);
}

/* Status { message 2; code 3 } */
static size_t status_size(const wb_span_draft *d)
{
    return wb_build_text_size(2, d->status_message) + (d->status_code ? 2 : 0);
}

static uint8_t *put_status(uint8_t *at, const wb_span_draft *d)
{
    size_t size = status_size(d);
    if (size == 0) return at;
    at = wb_build_put_text(wb_otlp_put_head(at, 15, size), 2, d->status_message);
    return d->status_code ? wb_build_put_number(at, 3, d->status_code) : at;
}

static size_t span_size(const wb_span_draft *d)
{
    size_t status = status_size(d);
    size_t size = wb_otlp_field_size(1, sizeof d->trace_id.b) +
                  wb_otlp_field_size(2, sizeof d->span_id.b) +
                  wb_build_text_size(3, d->trace_state) + wb_build_text_size(5, d->name) + 2 +
                  2 * WB_BUILD_TIME_BYTES + FLAGS_FIELD;
    if (!WB_ID_ABSENT(d->parent_id)) size += wb_otlp_field_size(4, sizeof d->parent_id.b);
    size += wb_build_attrs_size(d->attrs, d->attr_count, WB_OTLP_SPAN);
    for (size_t i = 0; i < d->link_count; i++)
        size += wb_otlp_field_size(13, link_size(&d->links[i]));
    return status ? size + wb_otlp_field_size(15, status) : size;
}

/* The Span message; *name_at is where its name stands. */
static uint8_t *put_span(uint8_t *at, const wb_span_draft *d, const uint8_t **name_at)
{
    at = wb_otlp_put_field(at, 1, (wb_slice){d->trace_id.b, sizeof d->trace_id.b});
    at = wb_otlp_put_field(at, 2, (wb_slice){d->span_id.b, sizeof d->span_id.b});
    at = wb_build_put_text(at, 3, d->trace_state);
    if (!WB_ID_ABSENT(d->parent_id))
        at = wb_otlp_put_field(at, 4, (wb_slice){d->parent_id.b, sizeof d->parent_id.b});
    at = wb_build_put_text(at, 5, d->name);
    *name_at = at - d->name.len;
    at = wb_build_put_number(at, 6, d->kind);
    at = wb_build_put_time(wb_build_put_time(at, 7, d->start_ns), 8, d->end_ns);
    at = wb_build_put_attrs(at, d->attrs, d->attr_count, WB_OTLP_SPAN);
    for (size_t i = 0; i < d->link_count; i++) at = put_link(at, &d->links[i]);
    at = put_status(at, d);
    at = wb_wire_put_varint(at, 16U << 3 | WB_WIRE_FIXED32);
    return wb_wire_put_fixed(at, sizeof d->flags, d->flags);
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

/* ---- refusals -------------------------------------------------------------------------------- */

static bool good_links(const wb_span_draft *d)
{
    for (size_t i = 0; i < d->link_count; i++)
        if (!wb_utf8_valid(d->links[i].trace_state) ||
            !wb_build_all_text(d->links[i].attrs, d->links[i].attr_count))
            return false;
    return true;
}

static wb_status check(const wb_span_draft *d, wb_error *err)
{
    if (WB_ID_ABSENT(d->trace_id) || WB_ID_ABSENT(d->span_id))
        return wb_fail(err, WB_ERR_MALFORMED, "a span without trace or span id");
    if (!wb_utf8_valid(d->name) || !wb_utf8_valid(d->trace_state) ||
        !wb_utf8_valid(d->status_message) || !wb_build_all_text(d->attrs, d->attr_count) ||
        !good_links(d))
        return wb_fail(err, WB_ERR_MALFORMED, "a span with text that is not UTF-8");
    WB_ASSERT(d->kind <= WB_SPAN_CONSUMER && d->status_code <= WB_SPAN_ERROR);
    return WB_OK;
}

wb_status wb_span_batch_build(const wb_span_origin *origin, const wb_span_draft *spans, size_t n,
                              wb_buffer *out, wb_error *err)
{
    wb_build b;
    size_t items = 0;
    for (size_t i = 0; i < n; i++) {
        WB_TRY(check(&spans[i], err));
        items += wb_otlp_field_size(2, span_size(&spans[i]));
    }
    WB_TRY(wb_build_open(&b, &wb_span_index, origin, n, items, out, err));
    for (size_t i = 0; i < n; i++) {
        const uint8_t *name_at;
        wb_span span = index_of(&spans[i]);
        b.at = wb_otlp_put_head(b.at, 2, span_size(&spans[i]));
        uint8_t *message = b.at;
        b.at = put_span(b.at, &spans[i], &name_at);
        b.row = wb_span_batch_put_span(b.row, &span,
                                       wb_build_place(&b, message, (size_t)(b.at - message)),
                                       wb_build_place(&b, name_at, spans[i].name.len));
    }
    wb_build_close(&b);
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
