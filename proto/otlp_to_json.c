/* SPDX-License-Identifier: Apache-2.0 */
/* One writer that goes by the table of messages (proto/otlp_schema.h). Protobuf may scatter a repeated
 * field's elements over a message, JSON wants them together: a first pass notes which fields are there,
 * then there is one pass for each of those, over a few hundred bytes at the inner levels. */
#include "proto/otlp_to_json.h"

#include "core/ids.h"
#include "proto/json_scalar.h"
#include "proto/otlp_schema.h"
#include "proto/wire.h"

enum {
    DEPTH_MAX = 160, /* of messages: 64 values in arrays, each two, below a request's own levels */
    FIELDS_MAX = 64, /* numbers that a mask holds */
    HEX_BYTES = 16,
};

static wb_status put(wb_buffer *out, const char *text)
{
    return wb_buffer_add(out, text, strlen(text));
}

static wb_status put_message(wb_buffer *out, const wb_otlp_message *type, wb_slice message,
                             unsigned depth);

/* ---- values --------------------------------------------------------------------------------- */

static wb_status put_hex(wb_buffer *out, wb_slice bytes)
{
    WB_TRY(put(out, "\""));
    for (size_t i = 0; i < bytes.len; i += HEX_BYTES) {
        char hex[2 * HEX_BYTES + 1];
        size_t n = bytes.len - i < HEX_BYTES ? bytes.len - i : HEX_BYTES;
        wb_hex(bytes.ptr + i, n, hex);
        WB_TRY(wb_buffer_add(out, hex, 2 * n));
    }
    return put(out, "\"");
}

static wb_status put_double(wb_buffer *out, uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return wb_json_put_double(out, x);
}

static wb_status put_number(wb_buffer *out, uint8_t kind, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    switch ((wb_field_kind)kind) {
    case WB_FIELD_BOOL: return put(out, value ? "true" : "false");
    case WB_FIELD_ENUM: return wb_buffer_printf(out, "%d", (int32_t)low);
    case WB_FIELD_UINT32:
    case WB_FIELD_FIXED32: return wb_buffer_printf(out, "%u", low);
    case WB_FIELD_SINT32:
        return wb_buffer_printf(out, "%d", (int32_t)(low >> 1 ^ (0U - (low & 1))));
    case WB_FIELD_INT64:
    case WB_FIELD_SFIXED64: return wb_buffer_printf(out, "\"%lld\"", (long long)value);
    case WB_FIELD_UINT64:
    case WB_FIELD_FIXED64: return wb_buffer_printf(out, "\"%llu\"", (unsigned long long)value);
    case WB_FIELD_DOUBLE: return put_double(out, value);
    default: return WB_ERR_MALFORMED; /* no number */
    }
}

static wb_status put_element(wb_buffer *out, const wb_otlp_field *f, const wb_wire_field *found,
                             unsigned depth)
{
    switch ((wb_field_kind)f->kind) {
    case WB_FIELD_TEXT: return wb_json_put_utf8(out, found->bytes);
    case WB_FIELD_BYTES: return wb_json_put_base64(out, found->bytes);
    case WB_FIELD_TRACE_ID:
    case WB_FIELD_SPAN_ID: return put_hex(out, found->bytes);
    case WB_FIELD_MESSAGE: return put_message(out, f->message, found->bytes, depth + 1);
    default: return put_number(out, f->kind, found->value);
    }
}

/* ---- fields --------------------------------------------------------------------------------- */

static const wb_otlp_field *known(const wb_otlp_message *type, const wb_wire_field *found)
{
    if (found->number >= type->count || found->number >= FIELDS_MAX) return NULL;
    const wb_otlp_field *f = &type->fields[found->number];
    if (f->kind == WB_FIELD_NONE) return NULL;
    wb_wire_type wire = wb_otlp_wire_type(f->kind);
    bool packed = f->repeated && wire != WB_WIRE_LEN && found->type == WB_WIRE_LEN;
    return found->type == wire || packed ? f : NULL;
}

/* The elements of a packed field, one by one. */
static bool next_packed(wb_slice *rest, wb_wire_type wire, uint64_t *value)
{
    if (rest->len == 0) return false;
    if (wire == WB_WIRE_VARINT) return wb_wire_varint(rest, WB_WIRE_VARINT_MAX, value);
    return wb_wire_fixed(rest, wire == WB_WIRE_FIXED64 ? 8 : 4, value);
}

static wb_status put_packed(wb_buffer *out, const wb_otlp_field *f, wb_slice bytes, size_t *n)
{
    uint64_t value;
    while (next_packed(&bytes, wb_otlp_wire_type(f->kind), &value)) {
        if ((*n)++ > 0) WB_TRY(put(out, ","));
        WB_TRY(put_number(out, f->kind, value));
    }
    return WB_OK;
}

static wb_status put_repeated(wb_buffer *out, const wb_otlp_message *type, const wb_otlp_field *f,
                              wb_slice message, unsigned depth)
{
    wb_wire_field found;
    size_t n = 0;
    WB_TRY(put(out, "["));
    while (message.len > 0 && wb_wire_next(&message, &found)) {
        if (known(type, &found) != f) continue;
        if (found.type != wb_otlp_wire_type(f->kind)) {
            WB_TRY(put_packed(out, f, found.bytes, &n));
            continue;
        }
        if (n++ > 0) WB_TRY(put(out, ","));
        WB_TRY(put_element(out, f, &found, depth));
    }
    return put(out, "]");
}

/* The one that counts of a field that is not repeated. */
static wb_wire_field last_of(const wb_otlp_message *type, const wb_otlp_field *f, wb_slice message)
{
    wb_wire_field found, last = {0};
    while (message.len > 0 && wb_wire_next(&message, &found))
        if (known(type, &found) == f) last = found;
    return last;
}

/* ProtoJSON leaves out a zero that says as much as no field. */
static bool says_nothing(const wb_otlp_field *f, const wb_wire_field *found)
{
    return !f->present && found->value == 0 && found->bytes.len == 0;
}

/* Which fields a message has, as bits; of a oneof the last one only. */
static uint64_t fields_of(const wb_otlp_message *type, wb_slice message)
{
    wb_wire_field found;
    uint64_t mask = 0, of_oneof = 0;
    while (message.len > 0 && wb_wire_next(&message, &found)) {
        const wb_otlp_field *f = known(type, &found);
        if (!f) continue;
        uint64_t bit = UINT64_C(1) << found.number;
        if (f->oneof) {
            mask &= ~of_oneof;
            of_oneof |= bit;
        }
        mask |= bit;
    }
    return mask;
}

static wb_status put_message(wb_buffer *out, const wb_otlp_message *type, wb_slice message,
                             unsigned depth)
{
    if (depth > DEPTH_MAX) return put(out, "{}");
    const char *before = "{";
    for (uint64_t mask = fields_of(type, message); mask != 0; mask &= mask - 1) {
        const wb_otlp_field *f = &type->fields[__builtin_ctzll(mask)];
        wb_wire_field last = {0};
        if (!f->repeated) last = last_of(type, f, message);
        if (!f->repeated && says_nothing(f, &last)) continue;
        WB_TRY(wb_buffer_printf(out, "%s\"%s\":", before, f->name));
        WB_TRY(f->repeated ? put_repeated(out, type, f, message, depth)
                           : put_element(out, f, &last, depth));
        before = ",";
    }
    return put(out, *before == '{' ? "{}" : "}");
}

wb_status wb_otlp_to_json(wb_signal signal, wb_slice request, wb_buffer *out)
{
    return put_message(out, wb_otlp_requests[signal], request, 0);
}

wb_status wb_otlp_span_to_json(wb_slice message, wb_buffer *out)
{
    return put_message(out, &wb_otlp_span, message, 0);
}

wb_status wb_otlp_resource_to_json(wb_slice message, wb_buffer *out)
{
    return put_message(out, &wb_otlp_resource, message, 0);
}

wb_status wb_otlp_scope_to_json(wb_slice message, wb_buffer *out)
{
    return put_message(out, &wb_otlp_scope, message, 0);
}
