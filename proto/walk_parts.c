/* SPDX-License-Identifier: Apache-2.0 */
/* Values, attributes, resources and scopes, which all signals have, and the walk over any message by its
 * table. The hand-written ones are there for speed: nine tenths of a span are attributes. What is seldom
 * (metrics, entities) goes by the table. AnyValue never does: it nests, so its depth is counted. */
#include "proto/walk.h"

/* ---- values and attributes ------------------------------------------------------------------- */

bool wb_walk_split_any(wb_walk *w, wb_slice message, wb_key_value *out)
{
    wb_wire_field f;
    bool seen_key = false, seen_value = false;
    *out = (wb_key_value){{message.ptr, 0}, {message.ptr, 0}};
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number == 1) {
            if (!wb_walk_expect(w, &f, WB_WIRE_LEN) || !wb_walk_once(w, &seen_key)) return false;
            out->key = f.bytes;
        } else if (f.number == 2) {
            if (!wb_walk_expect(w, &f, WB_WIRE_LEN) || !wb_walk_once(w, &seen_value)) return false;
            out->value = f.bytes;
        } else if (f.number == 3 && !wb_walk_expect(w, &f, WB_WIRE_VARINT)) {
            return false; /* key_strindex belongs to profiles: absent here, but still a number */
        }
    }
    const uint8_t *behind = out->key.ptr + out->key.len;
    if (seen_key && seen_value && (behind == message.ptr || *behind != WB_WIRE_TAG(2, WB_WIRE_LEN)))
        w->batch->odd_pairs = true;
    return true;
}

/* ArrayValue { repeated AnyValue values = 1 } */
static bool walk_array(wb_walk *w, wb_slice message, unsigned depth)
{
    wb_wire_field f;
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number != 1) continue;
        if (!wb_walk_expect(w, &f, WB_WIRE_LEN) || !wb_walk_any_value(w, f.bytes, depth))
            return false;
    }
    return true;
}

/* KeyValueList { repeated KeyValue values = 1 } */
static bool walk_kvlist(wb_walk *w, wb_slice message, unsigned depth)
{
    wb_wire_field f;
    wb_key_value kv;
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number != 1) continue;
        if (!wb_walk_expect(w, &f, WB_WIRE_LEN) || !wb_walk_split(w, f.bytes, &kv)) return false;
        wb_walk_text(w, kv.key);
        if (!wb_walk_any_value(w, kv.value, depth)) return false;
    }
    return true;
}

static bool walk_value_field(wb_walk *w, const wb_wire_field *f, unsigned depth)
{
    switch (f->number) {
    case 1: /* string_value */
        if (!wb_walk_expect(w, f, WB_WIRE_LEN)) return false;
        wb_walk_text(w, f->bytes);
        return true;
    case 2: /* bool_value */
    case 3: /* int_value */ return wb_walk_expect(w, f, WB_WIRE_VARINT);
    case 4: /* double_value */ return wb_walk_expect(w, f, WB_WIRE_FIXED64);
    case 5: /* array_value */
        return wb_walk_expect(w, f, WB_WIRE_LEN) && walk_array(w, f->bytes, depth + 1);
    case 6: /* kvlist_value */
        return wb_walk_expect(w, f, WB_WIRE_LEN) && walk_kvlist(w, f->bytes, depth + 1);
    case 7: /* bytes_value */ return wb_walk_expect(w, f, WB_WIRE_LEN);
    case 8: /* string_value_strindex belongs to profiles: absent here */
        return wb_walk_expect(w, f, WB_WIRE_VARINT);
    default: return true;
    }
}

bool wb_walk_any_value(wb_walk *w, wb_slice message, unsigned depth)
{
    wb_wire_field f;
    bool seen = false;
    if (depth > WB_OTLP_DEPTH_MAX) {
        wb_walk_reject(w, "a value is nested too deep");
        return true;
    }
    if (wb_wire_is_short_text(message)) {
        wb_walk_text(w, (wb_slice){message.ptr + 2, message.len - 2});
        return true;
    }
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f) || !walk_value_field(w, &f, depth)) return false;
        if (f.number <= 7 && !wb_walk_once(w, &seen)) return false; /* one oneof */
    }
    return true;
}

/* ---- by a table ------------------------------------------------------------------------------ */

static const wb_wire_type wire_types[WB_FIELD_KINDS] = {
    [WB_FIELD_TEXT] = WB_WIRE_LEN,         [WB_FIELD_BYTES] = WB_WIRE_LEN,
    [WB_FIELD_TRACE_ID] = WB_WIRE_LEN,     [WB_FIELD_SPAN_ID] = WB_WIRE_LEN,
    [WB_FIELD_BOOL] = WB_WIRE_VARINT,      [WB_FIELD_ENUM] = WB_WIRE_VARINT,
    [WB_FIELD_UINT32] = WB_WIRE_VARINT,    [WB_FIELD_SINT32] = WB_WIRE_VARINT,
    [WB_FIELD_INT64] = WB_WIRE_VARINT,     [WB_FIELD_UINT64] = WB_WIRE_VARINT,
    [WB_FIELD_FIXED32] = WB_WIRE_FIXED32,  [WB_FIELD_FIXED64] = WB_WIRE_FIXED64,
    [WB_FIELD_SFIXED64] = WB_WIRE_FIXED64, [WB_FIELD_DOUBLE] = WB_WIRE_FIXED64,
    [WB_FIELD_MESSAGE] = WB_WIRE_LEN,
};

/* Repeated numbers in one field, without tags between them. */
static bool walk_packed(wb_walk *w, wb_wire_type type, wb_slice numbers)
{
    uint64_t value;
    while (numbers.len > 0) {
        bool good = type == WB_WIRE_FIXED64 ? wb_wire_fixed(&numbers, 8, &value)
                                            : wb_wire_varint(&numbers, WB_WIRE_VARINT_MAX, &value);
        if (!good) return wb_walk_refuse(w, "packed numbers are cut off");
    }
    return true;
}

/* One message's fields as they come by. */
typedef struct fields_seen {
    uint32_t messages; /* bit by number: those that may come once */
    bool oneof;
    wb_attr_list attrs;
} fields_seen;

static bool walk_submessage(wb_walk *w, const wb_otlp_field *field, const wb_wire_field *f,
                            const uint8_t *end, fields_seen *seen, uint64_t *points)
{
    uint32_t bit = UINT32_C(1) << f->number;
    if (field->message->role == WB_MESSAGE_ATTRIBUTE) return wb_walk_attr(w, f, end, &seen->attrs);
    if (!field->repeated && (seen->messages & bit))
        return wb_walk_refuse(w, "a field that may come once comes again");
    seen->messages |= bit;
    return wb_walk_message(w, field->message, f->bytes, points);
}

static bool walk_field(wb_walk *w, const wb_otlp_field *field, const wb_wire_field *f,
                       const uint8_t *end, fields_seen *seen, uint64_t *points)
{
    wb_wire_type type = wire_types[field->kind];
    if (field->repeated && type != WB_WIRE_LEN && f->type == WB_WIRE_LEN)
        return walk_packed(w, type, f->bytes);
    if (!wb_walk_expect(w, f, type)) return false;
    if (field->oneof && !wb_walk_once(w, &seen->oneof)) return false;
    switch (field->kind) {
    case WB_FIELD_TEXT: wb_walk_text(w, f->bytes); return true;
    case WB_FIELD_TRACE_ID: wb_walk_id(w, f->bytes, NULL, 16, true); return true;
    case WB_FIELD_SPAN_ID: wb_walk_id(w, f->bytes, NULL, 8, true); return true;
    case WB_FIELD_MESSAGE: return walk_submessage(w, field, f, end, seen, points);
    default: return true;
    }
}

bool wb_walk_message(wb_walk *w, const wb_otlp_message *type, wb_slice message, uint64_t *points)
{
    wb_wire_field f;
    fields_seen seen = {0};
    if (type->role == WB_MESSAGE_POINT) (*points)++;
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number >= type->count) continue;
        const wb_otlp_field *field = &type->fields[f.number];
        if (field->kind == WB_FIELD_NONE) continue;
        if (!walk_field(w, field, &f, message.ptr, &seen, points)) return false;
    }
    return true;
}

/* ---- resource and scope ---------------------------------------------------------------------- */

/* Resource { attributes 1; dropped 2; entity_refs 3 } */
bool wb_walk_resource(wb_walk *w, wb_slice message, wb_attrs *attrs)
{
    wb_wire_field f;
    wb_attr_list list = {.tail = &attrs->first};
    uint64_t no_points = 0;
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number == 1 && !wb_walk_attr(w, &f, message.ptr, &list)) return false;
        if (f.number == 2 && !wb_walk_expect(w, &f, WB_WIRE_VARINT)) return false;
        if (f.number != 3) continue;
        if (!wb_walk_expect(w, &f, WB_WIRE_LEN)) return false;
        if (!wb_walk_message(w, &wb_otlp_entity_ref, f.bytes, &no_points)) return false;
    }
    return true;
}

/* InstrumentationScope { name 1; version 2; attributes 3; dropped 4 } */
bool wb_walk_scope(wb_walk *w, wb_slice message)
{
    wb_wire_field f;
    wb_attr_list list = {0};
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number == 3 && !wb_walk_attr(w, &f, message.ptr, &list)) return false;
        if (f.number == 4 && !wb_walk_expect(w, &f, WB_WIRE_VARINT)) return false;
        if (f.number != 1 && f.number != 2) continue;
        if (!wb_walk_expect(w, &f, WB_WIRE_LEN)) return false;
        wb_walk_text(w, f.bytes);
    }
    return true;
}
