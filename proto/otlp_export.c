/* SPDX-License-Identifier: Apache-2.0 */
/* One table a message, one writer for all. Protobuf may scatter a repeated field's elements over the
 * message, JSON wants them together: so the message is read once for each field of its table, a dozen
 * quick passes over a few hundred bytes. AnyValue is the one message with an order of its own, a oneof
 * that nests, and has its own function. */
#include "proto/otlp_export.h"

#include "core/ids.h"
#include "proto/json_scalar.h"
#include "proto/otlp_read.h"
#include "proto/wire.h"

enum { DEPTH_MAX = 64, HEX_BYTES = 16 };

typedef enum field_kind {
    FIELD_TEXT,
    FIELD_HEX,     /* bytes that are an id */
    FIELD_NUMBER,  /* uint32 */
    FIELD_ENUM,    /* an int32 */
    FIELD_FIXED32, /* as a number */
    FIELD_FIXED64, /* as a string */
    FIELD_VALUE,   /* AnyValue */
    FIELD_MESSAGE,
} field_kind;

typedef struct field field;
typedef struct message_type {
    const field *fields;
    size_t n;
} message_type;

struct field {
    uint32_t number;
    field_kind kind;
    bool repeated;
    const char *name;
    const message_type *type; /* of a MESSAGE */
};

#define MESSAGE(name) static const message_type name = {name##_fields, WB_COUNT(name##_fields)}

static const field key_value_fields[] = {{1, FIELD_TEXT, false, "key", NULL},
                                         {2, FIELD_VALUE, false, "value", NULL}};
MESSAGE(key_value);

static const field entity_ref_fields[] = {{1, FIELD_TEXT, false, "schemaUrl", NULL},
                                          {2, FIELD_TEXT, false, "type", NULL},
                                          {3, FIELD_TEXT, true, "idKeys", NULL},
                                          {4, FIELD_TEXT, true, "descriptionKeys", NULL}};
MESSAGE(entity_ref);

static const field resource_fields[] = {{1, FIELD_MESSAGE, true, "attributes", &key_value},
                                        {2, FIELD_NUMBER, false, "droppedAttributesCount", NULL},
                                        {3, FIELD_MESSAGE, true, "entityRefs", &entity_ref}};
MESSAGE(resource);

static const field scope_fields[] = {{1, FIELD_TEXT, false, "name", NULL},
                                     {2, FIELD_TEXT, false, "version", NULL},
                                     {3, FIELD_MESSAGE, true, "attributes", &key_value},
                                     {4, FIELD_NUMBER, false, "droppedAttributesCount", NULL}};
MESSAGE(scope);

static const field event_fields[] = {{1, FIELD_FIXED64, false, "timeUnixNano", NULL},
                                     {2, FIELD_TEXT, false, "name", NULL},
                                     {3, FIELD_MESSAGE, true, "attributes", &key_value},
                                     {4, FIELD_NUMBER, false, "droppedAttributesCount", NULL}};
MESSAGE(event);

static const field link_fields[] = {{1, FIELD_HEX, false, "traceId", NULL},
                                    {2, FIELD_HEX, false, "spanId", NULL},
                                    {3, FIELD_TEXT, false, "traceState", NULL},
                                    {4, FIELD_MESSAGE, true, "attributes", &key_value},
                                    {5, FIELD_NUMBER, false, "droppedAttributesCount", NULL},
                                    {6, FIELD_FIXED32, false, "flags", NULL}};
MESSAGE(link);

static const field status_fields[] = {{2, FIELD_TEXT, false, "message", NULL},
                                      {3, FIELD_ENUM, false, "code", NULL}};
MESSAGE(status);

static const field span_fields[] = {{1, FIELD_HEX, false, "traceId", NULL},
                                    {2, FIELD_HEX, false, "spanId", NULL},
                                    {3, FIELD_TEXT, false, "traceState", NULL},
                                    {4, FIELD_HEX, false, "parentSpanId", NULL},
                                    {5, FIELD_TEXT, false, "name", NULL},
                                    {6, FIELD_ENUM, false, "kind", NULL},
                                    {7, FIELD_FIXED64, false, "startTimeUnixNano", NULL},
                                    {8, FIELD_FIXED64, false, "endTimeUnixNano", NULL},
                                    {9, FIELD_MESSAGE, true, "attributes", &key_value},
                                    {10, FIELD_NUMBER, false, "droppedAttributesCount", NULL},
                                    {11, FIELD_MESSAGE, true, "events", &event},
                                    {12, FIELD_NUMBER, false, "droppedEventsCount", NULL},
                                    {13, FIELD_MESSAGE, true, "links", &link},
                                    {14, FIELD_NUMBER, false, "droppedLinksCount", NULL},
                                    {15, FIELD_MESSAGE, false, "status", &status},
                                    {16, FIELD_FIXED32, false, "flags", NULL}};
MESSAGE(span);

static wb_status put(wb_buffer *out, const char *text)
{
    return wb_buffer_add(out, text, strlen(text));
}

static wb_status put_message(wb_buffer *out, const message_type *type, wb_slice message,
                             unsigned depth);

/* ---- AnyValue ------------------------------------------------------------------------------- */

static wb_status put_value(wb_buffer *out, wb_value value, unsigned depth);

static wb_status put_array(wb_buffer *out, wb_slice message, unsigned depth)
{
    wb_otlp_iter it = {message};
    wb_value item;
    WB_TRY(put(out, "{\"arrayValue\":{\"values\":["));
    for (bool first = true; wb_otlp_next_item(&it, &item); first = false) {
        if (!first) WB_TRY(put(out, ","));
        WB_TRY(put_value(out, item, depth + 1));
    }
    return put(out, "]}}");
}

static wb_status put_pairs(wb_buffer *out, wb_slice message, unsigned depth)
{
    static const field pairs_fields[] = {{1, FIELD_MESSAGE, true, "values", &key_value}};
    MESSAGE(pairs);
    WB_TRY(put(out, "{\"kvlistValue\":"));
    WB_TRY(put_message(out, &pairs, message, depth + 1));
    return put(out, "}");
}

static wb_status put_value(wb_buffer *out, wb_value value, unsigned depth)
{
    if (depth > DEPTH_MAX) return put(out, "{}");
    switch (value.type) {
    case WB_VALUE_EMPTY: return put(out, "{}");
    case WB_VALUE_ARRAY: return put_array(out, value.bytes, depth);
    case WB_VALUE_KVLIST: return put_pairs(out, value.bytes, depth);
    case WB_VALUE_BOOL:
        return put(out, value.boolean ? "{\"boolValue\":true}" : "{\"boolValue\":false}");
    case WB_VALUE_INT:
        return wb_buffer_printf(out, "{\"intValue\":\"%lld\"}", (long long)value.integer);
    case WB_VALUE_TEXT:
        WB_TRY(put(out, "{\"stringValue\":"));
        WB_TRY(wb_json_put_text(out, value.text));
        return put(out, "}");
    case WB_VALUE_DOUBLE:
        WB_TRY(put(out, "{\"doubleValue\":"));
        WB_TRY(wb_json_put_double(out, value.real));
        return put(out, "}");
    case WB_VALUE_BYTES:
        WB_TRY(put(out, "{\"bytesValue\":"));
        WB_TRY(wb_json_put_base64(out, value.bytes));
        return put(out, "}");
    }
    return WB_ERR_MALFORMED;
}

/* ---- fields --------------------------------------------------------------------------------- */

static wb_wire_type wire_type_of(field_kind kind)
{
    if (kind == FIELD_NUMBER || kind == FIELD_ENUM) return WB_WIRE_VARINT;
    if (kind == FIELD_FIXED32) return WB_WIRE_FIXED32;
    return kind == FIELD_FIXED64 ? WB_WIRE_FIXED64 : WB_WIRE_LEN;
}

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

static wb_status put_field(wb_buffer *out, const field *f, const wb_wire_field *found,
                           unsigned depth)
{
    switch (f->kind) {
    case FIELD_TEXT: return wb_json_put_text(out, found->bytes);
    case FIELD_HEX: return put_hex(out, found->bytes);
    case FIELD_ENUM: return wb_buffer_printf(out, "%d", (int)(uint32_t)found->value);
    case FIELD_NUMBER:
    case FIELD_FIXED32: return wb_buffer_printf(out, "%u", (unsigned)found->value);
    case FIELD_FIXED64: return wb_buffer_printf(out, "\"%llu\"", (unsigned long long)found->value);
    case FIELD_VALUE: return put_value(out, wb_otlp_value(found->bytes), depth);
    case FIELD_MESSAGE: return put_message(out, f->type, found->bytes, depth);
    }
    return WB_ERR_MALFORMED;
}

/* The next element of this field; false at the end, or at what is no protobuf. */
static bool next_element(const field *f, wb_slice *rest, wb_wire_field *found)
{
    while (rest->len > 0 && wb_wire_next(rest, found))
        if (found->number == f->number && found->type == wire_type_of(f->kind)) return true;
    return false;
}

static wb_status put_name(wb_buffer *out, const field *f, bool *first)
{
    WB_TRY(wb_buffer_printf(out, "%s\"%s\":", *first ? "" : ",", f->name));
    *first = false;
    return WB_OK;
}

static wb_status put_last(wb_buffer *out, const field *f, wb_slice message, unsigned depth,
                          bool *first)
{
    wb_wire_field found, last;
    bool any = false;
    for (; next_element(f, &message, &found); any = true) last = found;
    if (!any) return WB_OK;
    WB_TRY(put_name(out, f, first));
    return put_field(out, f, &last, depth);
}

static wb_status put_repeated(wb_buffer *out, const field *f, wb_slice message, unsigned depth,
                              bool *first)
{
    wb_wire_field found;
    size_t n = 0;
    for (; next_element(f, &message, &found); n++) {
        if (n == 0) WB_TRY(put_name(out, f, first));
        WB_TRY(put(out, n == 0 ? "[" : ","));
        WB_TRY(put_field(out, f, &found, depth));
    }
    return n > 0 ? put(out, "]") : WB_OK;
}

static wb_status put_message(wb_buffer *out, const message_type *type, wb_slice message,
                             unsigned depth)
{
    bool first = true;
    WB_TRY(put(out, "{"));
    for (size_t i = 0; i < type->n; i++) {
        const field *f = &type->fields[i];
        WB_TRY(f->repeated ? put_repeated(out, f, message, depth, &first)
                           : put_last(out, f, message, depth, &first));
    }
    return put(out, "}");
}

wb_status wb_otlp_export_span(wb_slice message, wb_buffer *out)
{
    return put_message(out, &span, message, 1);
}

wb_status wb_otlp_export_resource(wb_slice message, wb_buffer *out)
{
    return put_message(out, &resource, message, 1);
}

wb_status wb_otlp_export_scope(wb_slice message, wb_buffer *out)
{
    return put_message(out, &scope, message, 1);
}
