/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes first, bytes second: protobuf puts a message's length before it, so whoever writes from the
 * front must know. Field numbers are those of trace.proto and common.proto. */
#include "proto/otlp_put.h"

#include "proto/wire.h"

static size_t tag_size(uint32_t number) { return wb_wire_varint_size((uint64_t)number << 3); }

static uint8_t *put_tag(uint8_t *at, uint32_t number, wb_wire_type type)
{
    return wb_wire_put_varint(at, (uint64_t)number << 3 | type);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    if (len) memcpy(at, bytes, len);
    return at + len;
}

size_t wb_otlp_field_size(uint32_t number, size_t len)
{
    return tag_size(number) + wb_wire_varint_size(len) + len;
}

uint8_t *wb_otlp_put_head(uint8_t *at, uint32_t number, size_t len)
{
    return wb_wire_put_varint(put_tag(at, number, WB_WIRE_LEN), len);
}

uint8_t *wb_otlp_put_field(uint8_t *at, uint32_t number, wb_slice bytes)
{
    return put_bytes(wb_otlp_put_head(at, number, bytes.len), bytes.ptr, bytes.len);
}

/* Which field of AnyValue holds bytes of that type; 0 if none does. */
static uint32_t bytes_field(wb_value_type type)
{
    switch (type) {
    case WB_VALUE_TEXT: return 1;
    case WB_VALUE_ARRAY: return 5;
    case WB_VALUE_KVLIST: return 6;
    case WB_VALUE_BYTES: return 7;
    default: return 0;
    }
}

size_t wb_otlp_value_size(wb_value value)
{
    switch (value.type) {
    case WB_VALUE_EMPTY: return 0;
    case WB_VALUE_BOOL: return 2;
    case WB_VALUE_INT: return 1 + wb_wire_varint_size((uint64_t)value.integer);
    case WB_VALUE_DOUBLE: return 1 + sizeof value.real;
    default: return wb_otlp_field_size(bytes_field(value.type), value.bytes.len);
    }
}

uint8_t *wb_otlp_put_value(uint8_t *at, wb_value value)
{
    uint64_t bits;
    switch (value.type) {
    case WB_VALUE_EMPTY: return at;
    case WB_VALUE_BOOL:
        return wb_wire_put_varint(put_tag(at, 2, WB_WIRE_VARINT), value.boolean ? 1 : 0);
    case WB_VALUE_INT:
        return wb_wire_put_varint(put_tag(at, 3, WB_WIRE_VARINT), (uint64_t)value.integer);
    case WB_VALUE_DOUBLE:
        memcpy(&bits, &value.real, sizeof bits);
        return wb_wire_put_fixed(put_tag(at, 4, WB_WIRE_FIXED64), sizeof bits, bits);
    default: return wb_otlp_put_field(at, bytes_field(value.type), value.bytes);
    }
}

/* KeyValue { key 1; value 2 } */
static size_t key_value_size(wb_slice key, size_t value_len)
{
    return wb_otlp_field_size(1, key.len) + wb_otlp_field_size(2, value_len);
}

size_t wb_otlp_attr_size(wb_otlp_owner owner, wb_slice key, size_t value_len)
{
    return wb_otlp_field_size((uint32_t)owner, key_value_size(key, value_len));
}

uint8_t *wb_otlp_put_attr_head(uint8_t *at, wb_otlp_owner owner, wb_slice key, size_t value_len)
{
    at = wb_otlp_put_head(at, (uint32_t)owner, key_value_size(key, value_len));
    at = wb_otlp_put_field(at, 1, key);
    return wb_otlp_put_head(at, 2, value_len);
}

/* Link { trace_id 1; span_id 2; trace_state 3; attributes 4; flags 6, fixed32 } */
size_t wb_otlp_link_size(wb_slice trace_state, uint32_t flags)
{
    size_t size =
        wb_otlp_field_size(1, sizeof(wb_trace_id)) + wb_otlp_field_size(2, sizeof(wb_span_id));
    if (trace_state.len) size += wb_otlp_field_size(3, trace_state.len);
    return flags ? size + 1 + sizeof flags : size;
}

uint8_t *wb_otlp_put_link(uint8_t *at, wb_trace_id trace_id, wb_span_id span_id,
                          wb_slice trace_state, uint32_t flags)
{
    at = wb_otlp_put_field(at, 1, (wb_slice){trace_id.b, sizeof trace_id.b});
    at = wb_otlp_put_field(at, 2, (wb_slice){span_id.b, sizeof span_id.b});
    if (trace_state.len) at = wb_otlp_put_field(at, 3, trace_state);
    if (flags == 0) return at;
    return wb_wire_put_fixed(put_tag(at, 6, WB_WIRE_FIXED32), sizeof flags, flags);
}
