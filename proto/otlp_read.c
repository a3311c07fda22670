/* SPDX-License-Identifier: Apache-2.0 */
/* Readers for one message at a time, each a loop over the wire with the field numbers of
 * trace.proto and common.proto. What they are given was walked before, or comes out of our own
 * journal; still, each of them stops quietly at the first byte that is not protobuf. */
#include "proto/otlp_read.h"

#include "proto/wire.h"

/* The next LEN field of that number; false at the end, or at what is no protobuf. */
static bool next_bytes(wb_otlp_iter *it, uint32_t number, wb_slice *out)
{
    wb_wire_field f;
    while (it->rest.len > 0) {
        if (!wb_wire_next(&it->rest, &f)) {
            it->rest.len = 0;
            return false;
        }
        if (f.number == number && f.type == WB_WIRE_LEN) {
            *out = f.bytes;
            return true;
        }
    }
    return false;
}

/* One field of an AnyValue. */
static wb_value value_of(const wb_wire_field *f)
{
    wb_value v = {WB_VALUE_EMPTY, {.bytes = {NULL, 0}}};
    if (f->type == WB_WIRE_LEN) {
        static const wb_value_type types[8] = {
            [1] = WB_VALUE_TEXT, [5] = WB_VALUE_ARRAY, [6] = WB_VALUE_KVLIST, [7] = WB_VALUE_BYTES};
        if (f->number < WB_COUNT(types)) v.type = types[f->number];
        if (v.type != WB_VALUE_EMPTY) v.bytes = f->bytes;
    } else if (f->type == WB_WIRE_VARINT && f->number == 2) {
        v.type = WB_VALUE_BOOL;
        v.boolean = f->value != 0;
    } else if (f->type == WB_WIRE_VARINT && f->number == 3) {
        v.type = WB_VALUE_INT;
        v.integer = (int64_t)f->value;
    } else if (f->type == WB_WIRE_FIXED64 && f->number == 4) {
        v.type = WB_VALUE_DOUBLE;
        memcpy(&v.real, &f->value, sizeof v.real);
    }
    return v;
}

wb_value wb_otlp_value(wb_slice any_value)
{
    wb_wire_field f;
    if (wb_wire_is_short_text(any_value))
        return (wb_value){.type = WB_VALUE_TEXT, .text = {any_value.ptr + 2, any_value.len - 2}};
    while (any_value.len > 0 && wb_wire_next(&any_value, &f)) {
        wb_value v = value_of(&f);
        if (v.type != WB_VALUE_EMPTY) return v;
    }
    return (wb_value){WB_VALUE_EMPTY, {.bytes = {NULL, 0}}};
}

bool wb_otlp_next_pair(wb_otlp_iter *it, wb_otlp_owner owner, wb_slice *key, wb_slice *any_value)
{
    wb_slice message;
    wb_wire_field f;
    wb_key_value common;
    if (!next_bytes(it, (uint32_t)owner, &message)) return false;
    if (wb_wire_split_pair(message, &common)) {
        *key = common.key;
        *any_value = common.value;
        return true;
    }
    *key = *any_value = (wb_slice){message.ptr, 0};
    while (message.len > 0 && wb_wire_next(&message, &f)) {
        if (f.type != WB_WIRE_LEN) continue;
        if (f.number == 1) *key = f.bytes;
        if (f.number == 2) *any_value = f.bytes;
    }
    return true;
}

/* A whole attribute at the front, as nearly all are: its length below 128, and as wb_wire_split_pair has it. */
static inline bool split_front(wb_slice *rest, wb_otlp_owner owner, wb_key_value *out)
{
    const uint8_t *p = rest->ptr;
    if (rest->len < 2 || p[0] != WB_WIRE_TAG((uint32_t)owner, WB_WIRE_LEN)) return false;
    if (p[1] >= 0x80 || p[1] > rest->len - 2) return false;
    if (!wb_wire_split_pair((wb_slice){p + 2, p[1]}, out)) return false;
    *rest = (wb_slice){p + 2 + p[1], rest->len - 2 - p[1]};
    return true;
}

bool wb_otlp_next_starting(wb_otlp_iter *it, wb_otlp_owner owner, const uint8_t *starts,
                           wb_slice *key, wb_slice *any_value)
{
    for (;;) {
        wb_key_value common;
        if (split_front(&it->rest, owner, &common)) {
            *key = common.key;
            *any_value = common.value;
        } else if (!wb_otlp_next_pair(it, owner, key, any_value)) {
            return false;
        }
        if (key->len > 0 && starts[key->ptr[0]]) return true;
    }
}

bool wb_otlp_next_attr(wb_otlp_iter *it, wb_otlp_owner owner, wb_otlp_attr *out)
{
    wb_slice any_value;
    if (!wb_otlp_next_pair(it, owner, &out->key, &any_value)) return false;
    out->value = wb_otlp_value(any_value);
    return true;
}

bool wb_otlp_next_item(wb_otlp_iter *it, wb_value *out)
{
    wb_slice any_value;
    if (!next_bytes(it, 1, &any_value)) return false;
    *out = wb_otlp_value(any_value);
    return true;
}

bool wb_otlp_find_attr(wb_slice message, wb_otlp_owner owner, wb_slice key, wb_value *out)
{
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    while (wb_otlp_next_attr(&it, owner, &attr)) {
        if (!wb_slice_eq(attr.key, key)) continue;
        *out = attr.value;
        return true;
    }
    return false;
}

wb_slice wb_otlp_find_text(wb_slice message, wb_otlp_owner owner, wb_slice key)
{
    wb_value value;
    if (wb_otlp_find_attr(message, owner, key, &value) && value.type == WB_VALUE_TEXT)
        return value.text;
    return (wb_slice){NULL, 0};
}

bool wb_otlp_next_event(wb_otlp_iter *it, wb_otlp_event *out)
{
    wb_slice message;
    wb_wire_field f;
    if (!next_bytes(it, 11, &message)) return false;
    *out = (wb_otlp_event){.message = message};
    while (message.len > 0 && wb_wire_next(&message, &f)) {
        if (f.number == 1 && f.type == WB_WIRE_FIXED64) out->time_ns = f.value;
        if (f.number == 2 && f.type == WB_WIRE_LEN) out->name = f.bytes;
    }
    return true;
}

static void copy_id(void *id, size_t len, wb_slice bytes)
{
    if (bytes.len == len) memcpy(id, bytes.ptr, len);
}

bool wb_otlp_next_link(wb_otlp_iter *it, wb_otlp_link *out)
{
    wb_slice message;
    wb_wire_field f;
    if (!next_bytes(it, 13, &message)) return false;
    *out = (wb_otlp_link){.message = message};
    while (message.len > 0 && wb_wire_next(&message, &f)) {
        if (f.number == 6 && f.type == WB_WIRE_FIXED32) out->flags = (uint32_t)f.value;
        if (f.type != WB_WIRE_LEN) continue;
        if (f.number == 1) copy_id(out->trace_id.b, sizeof out->trace_id.b, f.bytes);
        if (f.number == 2) copy_id(out->span_id.b, sizeof out->span_id.b, f.bytes);
        if (f.number == 3) out->trace_state = f.bytes;
    }
    return true;
}

wb_otlp_span_detail wb_otlp_read_span(wb_slice span_message)
{
    wb_otlp_span_detail detail = {0};
    wb_wire_field f;
    while (span_message.len > 0 && wb_wire_next(&span_message, &f)) {
        if (f.type == WB_WIRE_LEN && f.number == 3) detail.trace_state = f.bytes;
        if (f.type == WB_WIRE_LEN && f.number == 15) {
            wb_otlp_iter status = {f.bytes};
            (void)next_bytes(&status, 2, &detail.status_message);
        }
        if (f.type != WB_WIRE_VARINT) continue;
        if (f.number == 10) detail.dropped_attributes = (uint32_t)f.value;
        if (f.number == 12) detail.dropped_events = (uint32_t)f.value;
        if (f.number == 14) detail.dropped_links = (uint32_t)f.value;
    }
    return detail;
}

wb_otlp_log_detail wb_otlp_read_log(wb_slice log_message)
{
    wb_otlp_log_detail detail = {.body = {WB_VALUE_EMPTY, {.bytes = {NULL, 0}}}};
    wb_wire_field f;
    while (log_message.len > 0 && wb_wire_next(&log_message, &f)) {
        if (f.type == WB_WIRE_LEN && f.number == 3) detail.severity_text = f.bytes;
        if (f.type == WB_WIRE_LEN && f.number == 5) detail.body = wb_otlp_value(f.bytes);
        if (f.type == WB_WIRE_VARINT && f.number == 7)
            detail.dropped_attributes = (uint32_t)f.value;
    }
    return detail;
}

wb_otlp_scope wb_otlp_read_scope(wb_slice scope_message)
{
    wb_otlp_scope scope = {{NULL, 0}, {NULL, 0}};
    wb_wire_field f;
    while (scope_message.len > 0 && wb_wire_next(&scope_message, &f)) {
        if (f.type != WB_WIRE_LEN) continue;
        if (f.number == 1) scope.name = f.bytes;
        if (f.number == 2) scope.version = f.bytes;
    }
    return scope;
}
