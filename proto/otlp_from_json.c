/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the JSON, steered by the tables of proto/otlp_schema.h: what is read is written at once, and
 * nothing is remembered but where the open messages began.
 *
 * Protobuf wants a message's length before it. Room for it is guessed when the message is opened (from
 * what is left of the JSON for the outer ones, two bytes for a span, one for the rest), and where the guess
 * was wrong the message moves by the difference when it is closed. A byte moves as often as it has
 * enclosing messages of a wrong guess: in what encoders send once, for a long event or body, and at worst
 * twice for each of 64 levels of values: some 60 ms for the largest body, which 8 MiB of "{}," take as well.
 * Considered: lengths padded to five bytes, which are good protobuf, but four bytes more for each attribute
 * in every journal and on every wire after it; and a first pass that only measures, which reads all twice.
 *
 * Encoders write members in the order of their numbers, and each message the same ones. So a name is
 * compared with the field behind the last one first, and nearly always that is it.
 *
 * Recursion: the tables end, but for values in values; at WB_OTLP_DEPTH_MAX of those the reader writes one
 * more, empty, and skips what is in it. The walk then finds a value nested too deep, and rejects that
 * span. */
#include "proto/otlp_from_json.h"

#include "core/number.h"
#include "proto/json_attr.h"
#include "proto/json_scan.h"
#include "proto/json_value.h"
#include "proto/otlp_schema.h"
#include "proto/otlp_walk.h"
#include "proto/wire.h"

enum {
    HEAD_MAX = 7,      /* tag and length: no field number is above 2047 */
    SCALAR_MAX = 16,   /* tag and number */
    SCRATCH_MORE = 48, /* from where a field is written to where its text may be unescaped */
};

typedef struct maker {
    wb_scan s;
    wb_buffer *out;
    size_t base;            /* what the buffer held before */
    uint8_t *to, *room_end; /* in the buffer */
    unsigned values;        /* AnyValues that are open */
    const char *field;      /* that the fault is about; NULL: none */
    bool no_memory;
    bool full; /* the buffer's limit was reached */
} maker;

/* The fault lies in what `field` has for a value, at `where`. */
static bool wrong(maker *m, const wb_otlp_field *field, const uint8_t *where, const char *why)
{
    m->field = field->name;
    return wb_scan_stop_at(&m->s, where, why);
}

/* ---- the output ------------------------------------------------------------------------------ */

static bool grow(maker *m, size_t more)
{
    size_t used = m->out->ptr ? (size_t)(m->to - m->out->ptr) : 0;
    if (used - m->base > WB_OTLP_BODY_MAX_BYTES)
        return wb_scan_stop(&m->s, "it becomes more protobuf than is taken");
    m->out->len = used;
    if (wb_buffer_reserve(m->out, more, &m->to) != WB_OK) {
        m->full = more > m->out->limit - used;
        m->no_memory = !m->full;
        return false;
    }
    m->room_end = m->out->ptr + m->out->cap;
    return true;
}

/* Make sure that `more` bytes can be written. */
static inline bool room(maker *m, size_t more)
{
    return (size_t)(m->room_end - m->to) >= more || grow(m, more);
}

static inline void put_tag(maker *m, unsigned number, wb_wire_type type)
{
    m->to = wb_wire_put_varint(m->to, (uint64_t)number << 3 | type);
}

/* A message whose end has not come. */
typedef struct open_message {
    size_t at; /* of its first byte in the buffer */
    size_t guess;
} open_message;

static bool open_field(maker *m, unsigned number, size_t guess, open_message *out)
{
    if (!room(m, HEAD_MAX)) return false;
    put_tag(m, number, WB_WIRE_LEN);
    m->to += guess;
    *out = (open_message){(size_t)(m->to - m->out->ptr), guess};
    return true;
}

static bool close_field(maker *m, open_message message)
{
    if (!room(m, HEAD_MAX)) return false;
    uint8_t *start = m->out->ptr + message.at;
    size_t len = (size_t)(m->to - start), size = wb_wire_varint_size(len);
    uint8_t *head = start - message.guess;
    if (size != message.guess) memmove(head + size, start, len);
    (void)wb_wire_put_varint(head, len);
    m->to = head + size + len;
    return true;
}

static size_t guess_of(const maker *m, const wb_otlp_message *type)
{
    if (type->role == WB_MESSAGE_OUTER)
        return wb_wire_varint_size((size_t)(m->s.end - m->s.at) / 2);
    return type->role == WB_MESSAGE_ITEM ? 2 : 1;
}

/* ---- strings --------------------------------------------------------------------------------- */

static bool read_string(maker *m, const wb_otlp_field *field, wb_scan_text *text)
{
    if (!wb_scan_take(&m->s, '"')) return wrong(m, field, m->s.at, "no string");
    return wb_scan_string(&m->s, text);
}

static bool put_text(maker *m, unsigned number, const wb_scan_text *text, bool keep_empty)
{
    size_t len = text->raw.len;
    if (!room(m, HEAD_MAX + len)) return false;
    const uint8_t *from = text->raw.ptr;
    if (text->escapes) {
        from = m->to + HEAD_MAX;
        len = wb_scan_unescape(text->raw, m->to + HEAD_MAX);
    }
    if (len == 0 && !keep_empty) return true;
    put_tag(m, number, WB_WIRE_LEN);
    m->to = wb_wire_put_varint(m->to, len);
    memmove(m->to, from, len);
    m->to += len;
    return true;
}

/* A string that is to be understood, with room for the field that it becomes. If it has to be unescaped,
 * that is done behind where the field will be. */
static bool read_word(maker *m, const wb_otlp_field *field, wb_slice *out)
{
    wb_scan_text text;
    if (!read_string(m, field, &text)) return false;
    size_t len = text.raw.len;
    *out = text.raw;
    if (!text.escapes) return room(m, len + SCRATCH_MORE);
    if (!room(m, 2 * len + SCRATCH_MORE)) return false;
    uint8_t *scratch = m->to + len + SCRATCH_MORE;
    *out = (wb_slice){scratch, wb_scan_unescape(text.raw, scratch)};
    return true;
}

/* An id of the right length, without an escape. False says nothing but that the long way must be gone. */
static bool read_common_id(maker *m, const wb_otlp_field *field, unsigned number)
{
    const uint8_t *p = m->s.at;
    size_t len = field->kind == WB_FIELD_TRACE_ID ? 16 : 8;
    if ((size_t)(m->s.end - p) < 2 * len + 2 || p[0] != '"' || p[2 * len + 1] != '"') return false;
    if ((size_t)(m->room_end - m->to) < len + 2) return false;
    if (!wb_json_hex_of((wb_slice){p + 1, 2 * len}, m->to + 2)) return false;
    m->to[0] = WB_WIRE_TAG(number, WB_WIRE_LEN);
    m->to[1] = (uint8_t)len;
    m->to += len + 2;
    m->s.at += 2 * len + 2;
    return true;
}

static bool read_bytes(maker *m, const wb_otlp_field *field, unsigned number)
{
    wb_slice word;
    size_t len;
    const uint8_t *where = m->s.at;
    if (field->kind != WB_FIELD_BYTES && read_common_id(m, field, number)) return true;
    if (!read_word(m, field, &word)) return false;
    uint8_t *bytes = m->to + HEAD_MAX;
    if (field->kind == WB_FIELD_BYTES) {
        if (!wb_json_base64_of(word, bytes, &len)) return wrong(m, field, where, "not base64");
    } else {
        if (!wb_json_hex_of(word, bytes)) return wrong(m, field, where, "not hex");
        len = word.len / 2;
    }
    if (len == 0 && !field->present) return true;
    put_tag(m, number, WB_WIRE_LEN);
    m->to = wb_wire_put_varint(m->to, len);
    memmove(m->to, bytes, len);
    m->to += len;
    return true;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* A number, or a string that is to hold one; with room for the field that it becomes. */
static bool read_number_text(maker *m, const wb_otlp_field *field, wb_slice *out)
{
    uint8_t c = wb_scan_peek(&m->s);
    if (c == '"' && field->kind != WB_FIELD_ENUM) return read_word(m, field, out);
    if (c != '-' && (c < '0' || c > '9')) return wrong(m, field, m->s.at, "no number");
    return wb_scan_number(&m->s, out) && room(m, out->len + SCRATCH_MORE);
}

/* A whole number as its kind has it in protobuf. False: out of its range. */
static bool integer_bits(unsigned kind, wb_json_integer n, uint64_t *out)
{
    uint64_t bits = n.negative ? -n.magnitude : n.magnitude;
    uint64_t beyond = n.negative ? 1 : 0; /* negative numbers go one further */
    *out = bits;
    switch (kind) {
    case WB_FIELD_UINT32:
    case WB_FIELD_FIXED32: return !n.negative && bits <= UINT32_MAX;
    case WB_FIELD_UINT64:
    case WB_FIELD_FIXED64: return !n.negative;
    case WB_FIELD_SINT32:
        *out = (uint32_t)bits << 1 ^ (n.negative ? UINT32_MAX : 0);
        return n.magnitude <= INT32_MAX + beyond;
    case WB_FIELD_ENUM: return n.magnitude <= INT32_MAX + beyond;
    default: return n.magnitude <= INT64_MAX + beyond;
    }
}

static bool read_integer(maker *m, const wb_otlp_field *field, uint64_t *bits)
{
    wb_slice text;
    wb_json_integer n;
    const uint8_t *where = m->s.at;
    if (!read_number_text(m, field, &text)) return false;
    if (!wb_json_integer_of(text, &n)) return wrong(m, field, where, "no whole number");
    return integer_bits(field->kind, n, bits) || wrong(m, field, where, "out of range");
}

static bool read_real(maker *m, const wb_otlp_field *field, uint64_t *bits)
{
    wb_slice text;
    double value;
    const uint8_t *where = m->s.at;
    if (!read_number_text(m, field, &text)) return false;
    if (!wb_json_real_word(text, &value)) {
        if (!wb_scan_is_number(text)) return wrong(m, field, where, "no number");
        if (!wb_json_real_of(text, (char *)m->to + SCALAR_MAX, &value))
            return wrong(m, field, where, "out of range");
    }
    memcpy(bits, &value, sizeof *bits);
    return true;
}

static bool read_bool(maker *m, const wb_otlp_field *field, uint64_t *bits)
{
    *bits = wb_scan_word(&m->s, WB_S("true"));
    if (*bits == 0 && !wb_scan_word(&m->s, WB_S("false")))
        return wrong(m, field, m->s.at, "neither true nor false");
    return room(m, SCALAR_MAX);
}

/* What is written as one number; afterwards there is room for it. */
static bool read_scalar(maker *m, const wb_otlp_field *field, uint64_t *bits)
{
    switch (field->kind) {
    case WB_FIELD_BOOL: return read_bool(m, field, bits);
    case WB_FIELD_DOUBLE: return read_real(m, field, bits);
    default: return read_integer(m, field, bits);
    }
}

static void put_scalar(maker *m, wb_wire_type type, uint64_t bits)
{
    if (type == WB_WIRE_VARINT)
        m->to = wb_wire_put_varint(m->to, bits);
    else
        m->to = wb_wire_put_fixed(m->to, type == WB_WIRE_FIXED32 ? 4 : 8, bits);
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool read_message(maker *m, const wb_otlp_message *type);

/* A value below the deepest that is taken: empty, for the walk to find. */
static bool pass_over(maker *m, unsigned number)
{
    open_message empty;
    return wb_scan_skip(&m->s) && open_field(m, number, 1, &empty) && close_field(m, empty);
}

/* False says nothing but that the long way must be gone. */
static inline bool common_attribute(maker *m, unsigned number)
{
    if (!room(m, WB_COMMON_ATTR_ROOM)) {
        m->no_memory = false; /* with less room it may do */
        return false;
    }
    size_t len = wb_json_common_attr(&m->s.at, m->s.end, number, m->to);
    m->to += len;
    return len > 0;
}

static bool read_submessage(maker *m, const wb_otlp_field *field, unsigned number)
{
    open_message message;
    bool nests = field->message->role == WB_MESSAGE_VALUE;
    if (field->message->role == WB_MESSAGE_ATTRIBUTE && common_attribute(m, number)) return true;
    if (wb_scan_peek(&m->s) != '{') return wrong(m, field, m->s.at, "no object");
    if (nests && m->values == WB_OTLP_DEPTH_MAX) return pass_over(m, number);
    m->values += nests;
    if (!open_field(m, number, guess_of(m, field->message), &message) ||
        !read_message(m, field->message) || !close_field(m, message))
        return false;
    m->values -= nests;
    return true;
}

/* One value that is not null. */
static bool read_one(maker *m, const wb_otlp_field *field, unsigned number)
{
    uint64_t bits;
    wb_scan_text text;
    switch (field->kind) {
    case WB_FIELD_TEXT:
        return read_string(m, field, &text) &&
               put_text(m, number, &text, field->present || field->repeated);
    case WB_FIELD_BYTES:
    case WB_FIELD_TRACE_ID:
    case WB_FIELD_SPAN_ID: return read_bytes(m, field, number);
    case WB_FIELD_MESSAGE: return read_submessage(m, field, number);
    default: break;
    }
    if (!read_scalar(m, field, &bits)) return false;
    if (bits == 0 && !field->present) return true;
    put_tag(m, number, wb_otlp_wire_type(field->kind));
    put_scalar(m, wb_otlp_wire_type(field->kind), bits);
    return true;
}

static bool is_packed(const wb_otlp_field *field)
{
    return field->kind != WB_FIELD_TEXT && field->kind != WB_FIELD_MESSAGE;
}

static bool read_element(maker *m, const wb_otlp_field *field, unsigned number)
{
    uint64_t bits;
    if (wb_scan_peek(&m->s) == 'n') return wrong(m, field, m->s.at, "null in an array");
    if (!is_packed(field)) return read_one(m, field, number);
    if (!read_scalar(m, field, &bits)) return false;
    put_scalar(m, wb_otlp_wire_type(field->kind), bits);
    return true;
}

static bool read_elements(maker *m, const wb_otlp_field *field, unsigned number)
{
    wb_scan *s = &m->s;
    wb_scan_space(s);
    if (wb_scan_take(s, ']')) return true;
    while (true) {
        if (!read_element(m, field, number)) return false;
        wb_scan_space(s);
        if (wb_scan_take(s, ']')) return true;
        if (!wb_scan_take(s, ',')) return wb_scan_stop(s, "no comma or bracket");
        wb_scan_space(s);
    }
}

static bool read_list(maker *m, const wb_otlp_field *field, unsigned number)
{
    open_message list;
    size_t before = (size_t)(m->to - m->out->ptr);
    if (!wb_scan_take(&m->s, '[')) return wrong(m, field, m->s.at, "no array");
    if (!is_packed(field)) return read_elements(m, field, number);
    if (!open_field(m, number, 1, &list) || !read_elements(m, field, number)) return false;
    if (m->to != m->out->ptr + list.at) return close_field(m, list);
    m->to = m->out->ptr + before; /* an empty list is no field */
    return true;
}

/* Bytes that are the same; 3 to 24 of them. Inline, and no loop: names are compared more often than anything
 * else is done. */
static inline bool same_name(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len >= 8) {
        uint64_t differ = wb_scan_load(a) ^ wb_scan_load(b);
        if (len > 16) differ |= wb_scan_load(a + 8) ^ wb_scan_load(b + 8);
        return (differ | (wb_scan_load(a + len - 8) ^ wb_scan_load(b + len - 8))) == 0;
    }
    if (len >= 4) return memcmp(a, b, 4) == 0 && memcmp(a + len - 4, b + len - 4, 4) == 0;
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* The number of the field of that name, 0 if there is none. The search begins at `likely`. */
static unsigned find(const wb_otlp_message *type, wb_slice name, unsigned likely)
{
    for (unsigned n = 0; n < type->count; n++, likely++) {
        if (likely >= type->count) likely = 0;
        const wb_otlp_field *field = &type->fields[likely];
        if (field->name_len == name.len && field->kind != WB_FIELD_NONE &&
            same_name((const uint8_t *)field->name, name.ptr, name.len))
            return likely;
    }
    return 0;
}

/* A member's name and the colon behind it. */
static bool read_name(maker *m, wb_slice *out)
{
    wb_scan_text text;
    wb_scan *s = &m->s;
    if (!wb_scan_take(s, '"')) return wb_scan_stop(s, "no name of a member");
    if (!wb_scan_string(s, &text)) return false;
    *out = text.raw;
    if (text.escapes) {
        if (!room(m, text.raw.len)) return false;
        *out = (wb_slice){m->to, wb_scan_unescape(text.raw, m->to)};
    }
    wb_scan_space(s);
    if (!wb_scan_take(s, ':')) return wb_scan_stop(s, "no colon");
    wb_scan_space(s);
    return true;
}

/* What one message has had. */
typedef struct members {
    uint32_t seen;   /* a bit for each field number */
    bool oneof;      /* one of its oneof */
    unsigned likely; /* the number that comes next */
} members;

/* The field that most likely comes, if it comes, and is written as most write it: no escape, no space. */
static const wb_otlp_field *take_likely(maker *m, const wb_otlp_message *type, members *had)
{
    wb_scan *s = &m->s;
    while (had->likely < type->count && type->fields[had->likely].kind == WB_FIELD_NONE)
        had->likely++;
    if (had->likely >= type->count) return NULL;
    const wb_otlp_field *field = &type->fields[had->likely];
    size_t len = field->name_len;
    const uint8_t *p = s->at;
    if ((size_t)(s->end - p) < len + 3 || p[0] != '"' || p[len + 1] != '"' || p[len + 2] != ':')
        return NULL;
    if (!same_name((const uint8_t *)field->name, p + 1, len)) return NULL;
    s->at += len + 3;
    wb_scan_space(s);
    return field;
}

static bool read_member(maker *m, const wb_otlp_message *type, members *had)
{
    wb_slice name;
    const uint8_t *where = m->s.at;
    const wb_otlp_field *field = take_likely(m, type, had);
    if (!field) {
        if (!read_name(m, &name)) return false;
        unsigned found = find(type, name, had->likely);
        if (found == 0) return wb_scan_skip(&m->s);
        field = &type->fields[found];
    }
    unsigned number = (unsigned)(field - type->fields);
    had->likely = number + 1;
    if (had->seen >> number & 1) return wrong(m, field, where, "a name twice in one object");
    had->seen |= UINT32_C(1) << number;
    if (wb_scan_peek(&m->s) == 'n' && wb_scan_word(&m->s, WB_S("null"))) return true;
    if (field->oneof && had->oneof) return wrong(m, field, where, "a second value of one");
    had->oneof |= field->oneof;
    return field->repeated ? read_list(m, field, number) : read_one(m, field, number);
}

/* `m->s` is on the opening bracket. */
static bool read_message(maker *m, const wb_otlp_message *type)
{
    wb_scan *s = &m->s;
    members had = {.likely = 1};
    s->at++;
    wb_scan_space(s);
    if (wb_scan_take(s, '}')) return true;
    while (true) {
        if (!read_member(m, type, &had)) return false;
        wb_scan_space(s);
        if (wb_scan_take(s, '}')) return true;
        if (!wb_scan_take(s, ',')) return wb_scan_stop(s, "no comma or bracket");
        wb_scan_space(s);
    }
}

static bool read_body(maker *m, const wb_otlp_message *type)
{
    wb_scan *s = &m->s;
    if (!room(m, s->end > s->at ? (size_t)(s->end - s->at) / 2 : 1)) return false;
    wb_scan_space(s);
    if (wb_scan_peek(s) != '{') return wb_scan_stop(s, "no JSON object");
    if (!read_message(m, type)) return false;
    wb_scan_space(s);
    if (s->at != s->end) return wb_scan_stop(s, "something behind the JSON object");
    size_t made = (size_t)(m->to - m->out->ptr) - m->base;
    return made <= WB_OTLP_BODY_MAX_BYTES || grow(m, 0);
}

static wb_status say(const maker *m, const char *signal, wb_error *err)
{
    const wb_scan *s = &m->s;
    size_t at = (size_t)((s->fault_at ? s->fault_at : s->at) - s->start);
    if (m->full) return wb_fail(err, WB_ERR_FULL, "%s: there is no room for its protobuf", signal);
    if (m->no_memory)
        return wb_fail(err, WB_ERR_NO_MEMORY, "%s: no memory for the protobuf", signal);
    return wb_fail(err, WB_ERR_MALFORMED, "%s: JSON, byte %zu: %s%s%s", signal, at,
                   m->field ? m->field : "", m->field ? ": " : "", s->fault);
}

wb_status wb_otlp_from_json(wb_signal signal, wb_slice json, wb_buffer *out, wb_error *err)
{
    static const char *const names[WB_SIGNALS] = {
        [WB_SIGNAL_TRACES] = "traces", [WB_SIGNAL_METRICS] = "metrics", [WB_SIGNAL_LOGS] = "logs"};
    maker m = {.out = out, .base = out->len};
    if (json.len > WB_OTLP_BODY_MAX_BYTES)
        return wb_fail(err, WB_ERR_MALFORMED, "%s: %zu bytes of JSON, at most %d are taken",
                       names[signal], json.len, WB_OTLP_BODY_MAX_BYTES);
    m.s = (wb_scan){.at = json.ptr, .end = json.ptr + json.len, .start = json.ptr};
    if (out->ptr) m.to = m.room_end = out->ptr + out->len;
    bool good = read_body(&m, wb_otlp_requests[signal]);
    out->len = good ? (size_t)(m.to - out->ptr) : m.base;
    return good ? WB_OK : say(&m, names[signal], err);
}
