/* SPDX-License-Identifier: Apache-2.0 */
/* An edit is a mask over arrived bytes, an appended field, or both: nothing that arrived is ever
 * written to, so the arrived bytes may be anywhere, and a batch can be rendered twice. Order among
 * a message's fields has no meaning in protobuf, so what is appended at the end is as good as what
 * stood inside. */
#include "proto/otlp_edit.h"

#include "proto/otlp_put.h"
#include "proto/wire.h"

/* Room for an attribute field; *value_at is where its AnyValue goes. */
static wb_status make_attr(wb_arena *arena, wb_otlp_owner kind, wb_slice key, size_t value_len,
                           wb_slice *field, uint8_t **value_at)
{
    size_t size = wb_otlp_attr_size(kind, key, value_len);
    uint8_t *bytes = wb_arena_alloc(arena, size);
    if (!bytes) return WB_ERR_NO_MEMORY;
    *field = (wb_slice){bytes, size};
    *value_at = wb_otlp_put_attr_head(bytes, kind, key, value_len);
    return WB_OK;
}

/* The key inside a field made by make_attr: right before the value's head. */
static wb_slice key_within(wb_slice field, const uint8_t *value_at, size_t key_len)
{
    size_t value_len = (size_t)(field.ptr + field.len - value_at);
    const uint8_t *key_end = value_at - (wb_otlp_field_size(2, value_len) - value_len);
    return (wb_slice){key_end - key_len, key_len};
}

wb_status wb_otlp_encode_attr(wb_arena *arena, wb_otlp_owner kind, const wb_otlp_attr *attr,
                              wb_attr *out)
{
    wb_slice field;
    uint8_t *at;
    size_t len = wb_otlp_value_size(attr->value);
    WB_TRY(make_attr(arena, kind, attr->key, len, &field, &at));
    (void)wb_otlp_put_value(at, attr->value);
    *out = (wb_attr){.key = key_within(field, at, attr->key.len),
                     .value = {at, len},
                     .field = field,
                     .state = WB_ATTR_APPENDED};
    return WB_OK;
}

wb_status wb_otlp_append_attr(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, wb_slice key,
                              wb_value value)
{
    const wb_otlp_attr attr = {key, value};
    wb_attr made;
    WB_TRY(wb_otlp_encode_attr(batch->arena, kind, &attr, &made));
    return wb_batch_append(batch, owner, made.key, made.value, made.field);
}

wb_status wb_otlp_rename_attr(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, wb_attr *attr,
                              wb_slice new_key)
{
    wb_slice field, value = attr->value;
    uint8_t *at;
    WB_TRY(make_attr(batch->arena, kind, new_key, value.len, &field, &at));
    if (value.len) memcpy(at, value.ptr, value.len);
    wb_slice key = key_within(field, at, new_key.len);
    WB_TRY(wb_batch_append(batch, owner, key, (wb_slice){at, value.len}, field));
    wb_batch_mask(batch, owner, attr);
    return WB_OK;
}

/* Mask every arrived field of that number: protobuf lets a scalar come twice and takes the last. */
static wb_status mask_number(wb_batch *batch, wb_span *span, uint32_t number)
{
    wb_wire_field f;
    wb_slice rest = wb_batch_bytes(batch, span->extent);
    while (rest.len > 0 && wb_wire_next(&rest, &f)) {
        if (f.number != number) continue;
        wb_slice field = {f.tag_at, (size_t)(rest.ptr - f.tag_at)};
        WB_TRY(wb_batch_mask_field(batch, &span->attrs, field));
    }
    return WB_OK;
}

/* Take back an earlier appended field without a key that starts with that tag. */
static void take_back(wb_batch *batch, wb_span *span, uint8_t tag)
{
    for (wb_attr *a = span->attrs.first; a; a = a->next)
        if (a->state == WB_ATTR_APPENDED && a->key.len == 0 && a->field.ptr[0] == tag)
            wb_batch_mask(batch, &span->attrs, a);
}

wb_status wb_otlp_set_trace_id(wb_batch *batch, wb_span *span, wb_trace_id trace_id)
{
    size_t size = wb_otlp_field_size(1, sizeof trace_id.b);
    uint8_t *field = wb_arena_alloc(batch->arena, size);
    if (!field) return WB_ERR_NO_MEMORY;
    (void)wb_otlp_put_field(field, 1, (wb_slice){trace_id.b, sizeof trace_id.b});
    WB_TRY(mask_number(batch, span, 1));
    take_back(batch, span, WB_WIRE_TAG(1, WB_WIRE_LEN));
    WB_TRY(wb_batch_append(batch, &span->attrs, (wb_slice){NULL, 0}, (wb_slice){NULL, 0},
                           (wb_slice){field, size}));
    span->trace_id = trace_id;
    return WB_OK;
}

wb_status wb_otlp_make_root(wb_batch *batch, wb_span *span)
{
    enum { PARENT = 4, FLAGS = 16, IS_REMOTE = 0x200 };
    uint32_t flags = span->flags & ~(uint32_t)IS_REMOTE;
    uint8_t *field = wb_arena_alloc(batch->arena, 6); /* a tag of two bytes, a fixed32 */
    if (!field) return WB_ERR_NO_MEMORY;
    field[0] = WB_WIRE_TAG(FLAGS, WB_WIRE_FIXED32) | 0x80;
    field[1] = (FLAGS << 3) >> 7;
    for (int i = 0; i < 4; i++) field[2 + i] = (uint8_t)(flags >> (8 * i));
    WB_TRY(mask_number(batch, span, PARENT));
    WB_TRY(mask_number(batch, span, FLAGS));
    WB_TRY(wb_batch_append(batch, &span->attrs, (wb_slice){NULL, 0}, (wb_slice){NULL, 0},
                           (wb_slice){field, 6}));
    span->parent_id = (wb_span_id){{0}};
    span->flags = flags;
    return WB_OK;
}

wb_status wb_otlp_drop_trace_state(wb_batch *batch, wb_span *span)
{
    return mask_number(batch, span, 3);
}

wb_status wb_otlp_set_trace_state(wb_batch *batch, wb_span *span, wb_slice trace_state)
{
    WB_TRY(mask_number(batch, span, 3));
    take_back(batch, span, WB_WIRE_TAG(3, WB_WIRE_LEN));
    if (trace_state.len == 0) return WB_OK;
    size_t size = wb_otlp_field_size(3, trace_state.len);
    uint8_t *field = wb_arena_alloc(batch->arena, size);
    if (!field) return WB_ERR_NO_MEMORY;
    (void)wb_otlp_put_field(field, 3, trace_state);
    return wb_batch_append(batch, &span->attrs, (wb_slice){NULL, 0}, (wb_slice){NULL, 0},
                           (wb_slice){field, size});
}

/* The key of a KeyValue message. */
static wb_slice key_of(wb_slice key_value)
{
    wb_wire_field f;
    wb_slice key = {NULL, 0};
    while (key_value.len > 0 && wb_wire_next(&key_value, &f))
        if (f.number == 1 && f.type == WB_WIRE_LEN) key = f.bytes;
    return key;
}

wb_status wb_otlp_mask_key(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, wb_extent message,
                           wb_slice key)
{
    wb_wire_field f;
    wb_slice rest = wb_batch_bytes(batch, message);
    while (message.at != 0 && rest.len > 0 && wb_wire_next(&rest, &f)) {
        if (f.number != (uint32_t)kind || f.type != WB_WIRE_LEN) continue;
        if (!wb_slice_eq(key_of(f.bytes), key)) continue;
        wb_slice field = {f.tag_at, (size_t)(rest.ptr - f.tag_at)};
        WB_TRY(wb_batch_mask_field(batch, owner, field));
    }
    return WB_OK;
}

wb_status wb_otlp_append_link(wb_batch *batch, wb_span *span, wb_trace_id trace_id,
                              wb_span_id span_id, wb_slice trace_state, uint32_t flags)
{
    size_t len = wb_otlp_link_size(trace_state, flags), size = wb_otlp_field_size(13, len);
    uint8_t *field = wb_arena_alloc(batch->arena, size);
    if (!field) return WB_ERR_NO_MEMORY;
    (void)wb_otlp_put_link(wb_otlp_put_head(field, 13, len), trace_id, span_id, trace_state, flags);
    return wb_batch_append(batch, &span->attrs, (wb_slice){NULL, 0}, (wb_slice){NULL, 0},
                           (wb_slice){field, size});
}
