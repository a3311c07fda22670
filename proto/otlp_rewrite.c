/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody wants to change is copied without a look, whole messages of it at once. A message that is read is
 * written with room for a length as long as its old one; where the new one takes another number of bytes the message
 * moves by the difference when it is closed.
 *
 * A field that the tables do not know, or know as something else than it is on the wire, passes through in
 * OTLP. So if it has a length it is asked for as a text: nobody can say what is in it. The same holds for a message
 * that does not parse, which the walk will refuse or not look at. */
#include "proto/otlp_rewrite.h"

#include "proto/otlp_schema.h"
#include "proto/otlp_walk.h"
#include "proto/wire.h"

typedef struct job {
    const wb_rewriter *ask;
    wb_buffer *out;
    wb_slice before; /* of the text that is next */
    wb_slice behind; /* of the field in hand, in its message */
    unsigned values; /* AnyValues that are open */
} job;

static wb_status put_message(job *j, const wb_otlp_message *type, wb_slice message);

static wb_status put_head(job *j, uint32_t number, size_t len)
{
    uint8_t head[WB_WIRE_TAG_MAX + WB_WIRE_VARINT_MAX];
    uint8_t *end = wb_wire_put_varint(head, (uint64_t)number << 3 | WB_WIRE_LEN);
    end = wb_wire_put_varint(end, len);
    return wb_buffer_add(j->out, head, (size_t)(end - head));
}

/* A field whose bytes are not written yet. */
typedef struct open_field {
    size_t message_at;
    size_t room; /* for its length */
} open_field;

static wb_status open_message(job *j, uint32_t number, size_t guess, open_field *out)
{
    WB_TRY(put_head(j, number, guess));
    *out = (open_field){j->out->len, wb_wire_varint_size(guess)};
    return WB_OK;
}

static wb_status close_message(job *j, open_field field)
{
    size_t len = j->out->len - field.message_at, size = wb_wire_varint_size(len);
    uint8_t *unused;
    if (size > field.room) WB_TRY(wb_buffer_reserve(j->out, size - field.room, &unused));
    uint8_t *head = j->out->ptr + field.message_at - field.room;
    if (size != field.room) memmove(head + size, j->out->ptr + field.message_at, len);
    (void)wb_wire_put_varint(head, len);
    j->out->len = field.message_at - field.room + size + len;
    return WB_OK;
}

static wb_status put_field(job *j, uint32_t number, wb_slice bytes)
{
    WB_TRY(put_head(j, number, bytes.len));
    return wb_buffer_add_slice(j->out, bytes);
}

static wb_status put_text(job *j, const wb_wire_field *f, bool is_key)
{
    open_field text;
    wb_slice before = j->before;
    j->before = (wb_slice){0};
    if (j->ask->look(j->ask->self, f->bytes) == WB_REWRITE_KEEP && before.len == 0)
        return put_field(j, f->number, f->bytes);
    WB_TRY(open_message(j, f->number, f->bytes.len, &text));
    switch (j->ask->text(j->ask->self, f->bytes, is_key, before, j->out)) {
    case WB_REWRITE_DONE: return close_message(j, text);
    case WB_REWRITE_FAILED: return WB_ERR_NO_MEMORY;
    default: return wb_buffer_add_slice(j->out, f->bytes);
    }
}

static void read_pair(wb_slice message, wb_rewrite_attr *attr)
{
    wb_wire_field f;
    while (message.len > 0 && wb_wire_next(&message, &f)) {
        if (f.type != WB_WIRE_LEN) continue;
        if (f.number == 1) attr->key = f.bytes;
        if (f.number == 2) attr->value = f.bytes;
    }
}

static wb_status put_inside(job *j, const wb_wire_field *f, const wb_otlp_message *type)
{
    open_field field;
    WB_TRY(open_message(j, f->number, f->bytes.len, &field));
    WB_TRY(put_message(j, type, f->bytes));
    return close_message(j, field);
}

static wb_status put_attribute(job *j, const wb_wire_field *f, wb_slice field,
                               const wb_otlp_message *type)
{
    wb_rewrite_attr attr = {.field = field, .number = f->number, .behind = j->behind};
    read_pair(f->bytes, &attr);
    switch (j->ask->attribute(j->ask->self, &attr, j->out)) {
    case WB_REWRITE_DONE: return WB_OK;
    case WB_REWRITE_FAILED: return WB_ERR_NO_MEMORY;
    case WB_REWRITE_KEEP: return wb_buffer_add_slice(j->out, field);
    case WB_REWRITE_INSIDE: break;
    }
    WB_TRY(put_inside(j, f, type));
    return j->ask->attribute_end(j->ask->self, &attr, j->out);
}

/* What the tables say of a field with a length: NONE for what they do not know. */
static const wb_otlp_field *known(const wb_otlp_message *type, uint32_t number)
{
    static const wb_otlp_field none = {.kind = WB_FIELD_NONE};
    return number < type->count ? &type->fields[number] : &none;
}

static wb_status put_one(job *j, const wb_otlp_message *type, const wb_wire_field *f,
                         wb_slice field)
{
    const wb_otlp_field *of = known(type, f->number);
    switch ((wb_field_kind)of->kind) {
    case WB_FIELD_TRACE_ID:
    case WB_FIELD_SPAN_ID: return wb_buffer_add_slice(j->out, field);
    case WB_FIELD_NONE:
    case WB_FIELD_TEXT:
    case WB_FIELD_BYTES: return put_text(j, f, type->role == WB_MESSAGE_ATTRIBUTE);
    case WB_FIELD_MESSAGE: break;
    default: return of->repeated ? wb_buffer_add_slice(j->out, field) : put_text(j, f, false);
    }
    if (j->ask->look(j->ask->self, f->bytes) == WB_REWRITE_KEEP && j->before.len == 0)
        return wb_buffer_add_slice(j->out, field);
    if (of->message->role == WB_MESSAGE_ATTRIBUTE) return put_attribute(j, f, field, of->message);
    return put_inside(j, f, of->message);
}

/* The text of an AnyValue. */
static wb_slice text_of(wb_slice any_value)
{
    wb_wire_field f;
    wb_slice text = {0};
    while (any_value.len > 0 && wb_wire_next(&any_value, &f))
        if (f.number == 1 && f.type == WB_WIRE_LEN) text = f.bytes;
    return text;
}

static wb_status put_fields(job *j, const wb_otlp_message *type, wb_slice message)
{
    wb_slice last = {0};
    while (message.len > 0) {
        wb_wire_field f;
        if (!wb_wire_next(&message, &f)) return WB_ERR_MALFORMED;
        wb_slice field = {f.tag_at, (size_t)(message.ptr - f.tag_at)};
        if (f.type != WB_WIRE_LEN) {
            WB_TRY(wb_buffer_add_slice(j->out, field));
            continue;
        }
        const wb_otlp_field *of = known(type, f.number);
        bool is_item =
            of->repeated && of->kind == WB_FIELD_MESSAGE && of->message->role == WB_MESSAGE_VALUE;
        if (type->role != WB_MESSAGE_VALUE) j->before = is_item ? last : (wb_slice){0};
        j->behind = message;
        WB_TRY(put_one(j, type, &f, field));
        last = is_item ? text_of(f.bytes) : (wb_slice){0};
    }
    return WB_OK;
}

static bool parses(wb_slice message)
{
    wb_wire_field f;
    while (message.len > 0)
        if (!wb_wire_next(&message, &f)) return false;
    return true;
}

/* Deeper than the walk lets through, and malformed: a text. */
static wb_status put_message(job *j, const wb_otlp_message *type, wb_slice message)
{
    unsigned is_value = type->role == WB_MESSAGE_VALUE;
    if (j->values + is_value > WB_OTLP_DEPTH_MAX || !parses(message)) {
        wb_rewrite said = j->ask->text(j->ask->self, message, false, (wb_slice){0}, j->out);
        if (said == WB_REWRITE_FAILED) return WB_ERR_NO_MEMORY;
        return said == WB_REWRITE_DONE ? WB_OK : wb_buffer_add_slice(j->out, message);
    }
    bool is_item = type->role == WB_MESSAGE_ITEM && j->ask->item;
    if (is_item) j->ask->item(j->ask->self, message);
    j->values += is_value;
    wb_status status = put_fields(j, type, message);
    j->values -= is_value;
    return status == WB_OK && is_item ? j->ask->item_end(j->ask->self, j->out) : status;
}

wb_status wb_otlp_rewrite(wb_signal signal, wb_slice request, const wb_rewriter *rewriter,
                          wb_buffer *out)
{
    job j = {.ask = rewriter, .out = out};
    return put_message(&j, wb_otlp_requests[signal], request);
}
