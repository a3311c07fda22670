/* SPDX-License-Identifier: Apache-2.0 */
/* A span is encoded while it is open, field by field as it is set: a protobuf message is the concatenation
 * of its fields, in any order. So start, attributes and end are copies into memory that the caller brought,
 * and the end hands over one run of bytes. Field numbers: opentelemetry-proto 1.x, trace.proto:
 *
 *     trace_id 1, span_id 2, trace_state 3, parent_span_id 4, name 5, kind 6, start 7, end 8 (fixed64),
 *     attributes 9 { key 1, value 2 }, dropped_attributes 10, events 11 { time 1, name 2 },
 *     links 13 { trace_id 1, span_id 2, trace_state 3, flags 6 (fixed32) }, status 15 { message 2, code 3 }, flags 16 (fixed32)
 *
 * What the end adds has its room set aside from the start (TAIL), so a full span still ends right; the
 * message of an error waits at the end of that room. Text that is not UTF-8 would make a span that nobody
 * takes: a value goes as bytes, of a name the good beginning is kept.
 * Times: one monotonic clock read each at start and end. The wall time is that plus an offset, which is
 * measured anew when it is older than a tenth of a second (client.c). */
#include "client/client.h"

#include "core/clock.h"
#include "core/ids.h"
#include "core/utf8.h"
#include "proto/wire.h"

#include <time.h>

enum {
    NAME_MAX = 255,
    ERROR_TEXT_MAX = 256,
    KEY_MAX = 255,
    TRACESTATE_MAX = 512,            /* W3C Trace Context, section 3.3.1.5 */
    TAIL_FIELDS = 9 + 2 + 6 + 6 + 8, /* end, kind, flags, dropped, status but for its message */
    TAIL = TAIL_FIELDS + ERROR_TEXT_MAX,
    REMOTE_KNOWN = 0x100,
    REMOTE = 0x200,
    STATUS_IS_OK = 1,
    STATUS_IS_ERROR = 2,
};

/* Not through wb_clock: twice in each span, and no test needs it to stand still. */
static inline uint64_t mono(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this id */
    return (uint64_t)now.tv_sec * WB_NS_PER_S + (uint64_t)now.tv_nsec;
}

#define TAG_LEN(number) WB_WIRE_TAG(number, WB_WIRE_LEN)

static const char *const type_names[] = {
    [WAYBILL_SESSION] = "session",     [WAYBILL_AGENT] = "agent",
    [WAYBILL_LLM_CALL] = "llm_call",   [WAYBILL_TOOL_CALL] = "tool_call",
    [WAYBILL_EMBEDDING] = "embedding", [WAYBILL_RETRIEVAL] = "retrieval",
    [WAYBILL_WORKFLOW] = "workflow",   [WAYBILL_EXECUTION] = "execution",
    [WAYBILL_EVENT] = "event",         [WAYBILL_ERROR] = "error",
};

static uint8_t *put_bytes(uint8_t *at, uint8_t tag, const void *bytes, size_t len)
{
    *at++ = tag;
    at = wb_wire_put_varint(at, len);
    memcpy(at, bytes, len);
    return at + len;
}

static inline uint8_t *put_id(uint8_t *at, uint8_t tag, const uint8_t *id, size_t len)
{
    *at++ = tag;
    *at++ = (uint8_t)len;
    memcpy(at, id, len);
    return at + len;
}

static uint8_t *put_time(uint8_t *at, uint8_t tag, uint64_t ns)
{
    *at++ = tag;
    memcpy(at, &ns, sizeof ns); /* little-endian, as all that Waybill is built for */
    return at + sizeof ns;
}

/* How much of a text fits: whole characters. */
static size_t cut(const char *text, size_t len, size_t room)
{
    if (len <= room) return len;
    while (room > 0 && ((unsigned char)text[room] & 0xC0) == 0x80) room--;
    return room;
}

/* How much of a text is text, and fits. */
static size_t good_part(const char *text, size_t room)
{
    size_t len = text ? strlen(text) : 0, good = 0, n;
    len = cut(text, len, room);
    if (wb_utf8_valid(wb_slice_of(text, len))) return len;
    while ((n = wb_utf8_char(wb_slice_of(text + good, len - good))) > 0) good += n;
    return good;
}

static size_t room_of(const waybill_span *span)
{
    return span->at_ ? (size_t)(span->end_ - span->at_) : 0;
}

/* ---- start ---- */

static void place(waybill_client *client, waybill_span *span, const waybill_context *parent)
{
    waybill_context *c = &span->context;
    if (parent) {
        *c = *parent;
    } else {
        wb_trace_id id = wb_trace_id_new();
        memset(c, 0, sizeof *c);
        memcpy(c->trace_id, id.b, sizeof id.b);
        c->flags = WB_TRACE_FLAGS_NEW;
    }
    wb_client_span_id(client, c->span_id);
}

static void put_where(waybill_span *span, const waybill_context *parent)
{
    uint8_t *at = put_id(span->at_, TAG_LEN(1), span->context.trace_id, 16);
    at = put_id(at, TAG_LEN(2), span->context.span_id, 8);
    if (parent) at = put_id(at, TAG_LEN(4), parent->span_id, 8);
    span->at_ = put_time(at, WB_WIRE_TAG(7, WB_WIRE_FIXED64), span->started_ns_);
}

static void put_text_field(waybill_span *span, uint8_t tag, const char *text, size_t most)
{
    size_t len = good_part(text, most);
    if (text && len > 0 && len + 4 <= room_of(span))
        span->at_ = put_bytes(span->at_, tag, text, len);
}

/* What the sidecar must know of where a span stands. Out of line: most spans of most agents have neither. */
__attribute__((noinline)) static void put_origin(waybill_span *span)
{
    static const char hex[] = "0123456789abcdef";
    char text[2 * WB_ID_LEN];
    if (!wb_id_is_zero(span->context.acceptance_id, WB_ID_LEN)) {
        for (size_t i = 0; i < WB_ID_LEN; i++) {
            text[2 * i] = hex[span->context.acceptance_id[i] >> 4];
            text[2 * i + 1] = hex[span->context.acceptance_id[i] & 15];
        }
        waybill_span_put_text(span, "waybill.acceptance.id", 21, text, sizeof text);
    }
    if (span->context.claimed) waybill_span_put_bool(span, "waybill.claimed", 15, true);
}

void waybill_span_start(waybill_client *client, waybill_span *span, const char *name,
                        const waybill_context *parent, waybill_span_type type)
{
    span->client_ = client;
    span->started_mono_ = mono();
    span->started_ns_ = wb_client_wall(client, span->started_mono_);
    span->begin_ = span->at_ = span->bytes_;
    span->end_ = span->bytes_ + sizeof span->bytes_ - TAIL;
    span->dropped_ = 0;
    span->attributes_ = 0;
    span->kind_ = WAYBILL_INTERNAL;
    span->status_ = 0;
    span->message_len_ = 0;
    span->parent_remote_ = parent && parent->claimed;
    place(client, span, parent);
    put_where(span, parent);
    put_text_field(span, TAG_LEN(5), name, NAME_MAX);
    if (span->context.tracestate)
        put_text_field(span, TAG_LEN(3), span->context.tracestate, TRACESTATE_MAX);
    if (type != WAYBILL_PLAIN && (size_t)type < WB_COUNT(type_names))
        waybill_span_set_text(span, "waybill.span.type", type_names[type]);
    if (span->context.claimed || !wb_id_is_zero(span->context.acceptance_id, WB_ID_LEN))
        put_origin(span);
}

void waybill_span_use_buffer(waybill_span *span, void *buffer, size_t len)
{
    size_t used = span->at_ ? (size_t)(span->at_ - span->begin_) : 0;
    if (!span->at_ || !buffer || len < used + TAIL || len < WAYBILL_SPAN_BYTES) return;
    if (len > WAYBILL_SPAN_BYTES_MAX) len = WAYBILL_SPAN_BYTES_MAX;
    memcpy(buffer, span->begin_, used);
    span->begin_ = buffer;
    span->at_ = span->begin_ + used;
    span->end_ = span->begin_ + len - TAIL;
}

/* ---- attributes ----
 *
 * Nearly all are short ASCII: lengths of one byte, a key and a value that are copied and tested for high bits
 * in one pass, a word at a time. Whatever is not goes the long way round. */

enum {
    SHORT_BODY = 120, /* what a length of one byte encloses, roundly */
    SHORT_ROOM = 2 + SHORT_BODY + 6,
};

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* One move of each kind: the last of several overlaps the one before, so that no byte is moved alone. */
#define MOVE(type, to, from, any)                                                                  \
    do {                                                                                           \
        type moved_;                                                                               \
        memcpy(&moved_, (from), sizeof moved_);                                                    \
        memcpy((to), &moved_, sizeof moved_);                                                      \
        (any) |= moved_;                                                                           \
    } while (0)

typedef uint64_t two_words __attribute__((vector_size(16)));

/* Copy; the union of all bytes read, in whatever place. */
static inline uint64_t copy_union(uint8_t *to, const char *from, size_t len)
{
    uint64_t any = 0;
    if (len >= sizeof(two_words)) {
        two_words both = {0, 0};
        for (size_t i = 0; i + sizeof both < len; i += sizeof both)
            MOVE(two_words, to + i, from + i, both);
        MOVE(two_words, to + len - sizeof both, from + len - sizeof both, both);
        return both[0] | both[1];
    }
    if (len >= sizeof(uint64_t)) {
        MOVE(uint64_t, to, from, any);
        MOVE(uint64_t, to + len - sizeof any, from + len - sizeof any, any);
        return any;
    }
    for (size_t i = 0; i < len; i++) any |= to[i] = (uint8_t)from[i];
    return any;
}

/* The long way: any size, any bytes. */
__attribute__((noinline)) static uint8_t *begin_long(waybill_span *span, const char *key,
                                                     size_t key_len, size_t value)
{
    size_t body =
        1 + wb_wire_varint_size(key_len) + key_len + 1 + wb_wire_varint_size(value) + value;
    if (!span->at_ || key_len > KEY_MAX || span->attributes_ >= WAYBILL_ATTRIBUTES_MAX ||
        !wb_utf8_valid(wb_slice_of(key, key_len)) ||
        1 + wb_wire_varint_size(body) + body > room_of(span)) {
        span->dropped_++;
        return NULL;
    }
    span->attributes_++;
    uint8_t *at = span->at_;
    *at++ = TAG_LEN(9);
    at = wb_wire_put_varint(at, body);
    at = put_bytes(at, TAG_LEN(1), key, key_len);
    *at++ = TAG_LEN(2);
    return wb_wire_put_varint(at, value);
}

/* Tag, lengths and key of an attribute whose AnyValue takes `value` bytes: where that goes. NULL: no room, or
 * the key is none. */
static inline uint8_t *begin_attribute(waybill_span *span, const char *key, size_t key_len,
                                       size_t value)
{
    uint8_t *at = span->at_;
    if (!at || key_len > SHORT_BODY || value > SHORT_BODY - key_len || room_of(span) < SHORT_ROOM ||
        span->attributes_ >= WAYBILL_ATTRIBUTES_MAX)
        return begin_long(span, key, key_len, value);
    at[0] = TAG_LEN(9);
    at[1] = (uint8_t)(4 + key_len + value);
    at[2] = TAG_LEN(1);
    at[3] = (uint8_t)key_len;
    if (copy_union(at + 4, key, key_len) & HIGH_BITS) return begin_long(span, key, key_len, value);
    span->attributes_++;
    at += 4 + key_len;
    at[0] = TAG_LEN(2);
    at[1] = (uint8_t)value;
    return at + 2;
}

__attribute__((noinline)) static void put_long_text(waybill_span *span, const char *key,
                                                    size_t key_len, const char *value, size_t len)
{
    enum { AROUND = 1 + 5 + 1 + 2 + 1 + 5 + 1 + 5 }; /* tags and lengths, at their longest */
    size_t room = room_of(span), around = key_len + AROUND;
    if (len + around > room) len = cut(value, len, room > around ? room - around : 0);
    bool text = wb_utf8_valid(wb_slice_of(value, len));
    uint8_t *at = begin_attribute(span, key, key_len, 1 + wb_wire_varint_size(len) + len);
    if (at) span->at_ = put_bytes(at, text ? TAG_LEN(1) : TAG_LEN(7), value, len);
}

void waybill_span_put_text(waybill_span *span, const char *key, size_t key_len, const char *value,
                           size_t value_len)
{
    uint8_t *at = NULL;
    if (!value) {
        value = "";
        value_len = 0;
    }
    if (value_len < SHORT_BODY && room_of(span) >= SHORT_ROOM + value_len)
        at = begin_attribute(span, key, key_len, 2 + value_len);
    else if (span->at_)
        put_long_text(span, key, key_len, value, value_len);
    if (!at) return;
    bool text = (copy_union(at + 2, value, value_len) & HIGH_BITS) == 0 ||
                wb_utf8_valid(wb_slice_of(value, value_len));
    at[0] = text ? TAG_LEN(1) : TAG_LEN(7);
    at[1] = (uint8_t)value_len;
    span->at_ = at + 2 + value_len;
}

void waybill_span_put_int(waybill_span *span, const char *key, size_t key_len, int64_t value)
{
    size_t size = wb_wire_varint_size((uint64_t)value);
    uint8_t *at = begin_attribute(span, key, key_len, 1 + size);
    if (!at) return;
    *at++ = WB_WIRE_TAG(3, WB_WIRE_VARINT);
    span->at_ = wb_wire_put_varint(at, (uint64_t)value);
}

void waybill_span_put_double(waybill_span *span, const char *key, size_t key_len, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t *at = begin_attribute(span, key, key_len, 1 + sizeof bits);
    if (at) span->at_ = put_time(at, WB_WIRE_TAG(4, WB_WIRE_FIXED64), bits);
}

void waybill_span_put_bool(waybill_span *span, const char *key, size_t key_len, bool value)
{
    uint8_t *at = begin_attribute(span, key, key_len, 2);
    if (!at) return;
    *at++ = WB_WIRE_TAG(2, WB_WIRE_VARINT);
    *at++ = value ? 1 : 0;
    span->at_ = at;
}

/* The wall clock dates a span, the monotonic one measures it. */
static uint64_t now_of(const waybill_span *span)
{
    return span->started_ns_ + (mono() - span->started_mono_);
}

void waybill_span_add_event(waybill_span *span, const char *name)
{
    size_t len = good_part(name, NAME_MAX);
    size_t body = 9 + 1 + wb_wire_varint_size(len) + len;
    if (!span->at_ || 1 + wb_wire_varint_size(body) + body > room_of(span)) {
        span->dropped_++;
        return;
    }
    uint8_t *at = span->at_;
    *at++ = TAG_LEN(11);
    at = wb_wire_put_varint(at, body);
    at = put_time(at, WB_WIRE_TAG(1, WB_WIRE_FIXED64), now_of(span));
    span->at_ = put_bytes(at, TAG_LEN(2), name ? name : "", len);
}

void waybill_span_add_link(waybill_span *span, const waybill_context *to)
{
    enum { BODY = 18 + 10 + 5 };
    size_t state = to->tracestate ? strlen(to->tracestate) : 0;
    if (state > TRACESTATE_MAX || (state > 0 && !wb_utf8_valid(wb_slice_of(to->tracestate, state))))
        state = 0;
    size_t body = BODY + (state > 0 ? 1 + wb_wire_varint_size(state) + state : 0);
    if (!span->at_ || 1 + wb_wire_varint_size(body) + body > room_of(span)) {
        span->dropped_++;
        return;
    }
    uint8_t *at = span->at_;
    *at++ = TAG_LEN(13);
    at = wb_wire_put_varint(at, body);
    at = put_id(at, TAG_LEN(1), to->trace_id, 16);
    at = put_id(at, TAG_LEN(2), to->span_id, 8);
    if (state > 0) at = put_bytes(at, TAG_LEN(3), to->tracestate, state);
    *at++ = WB_WIRE_TAG(6, WB_WIRE_FIXED32);
    span->at_ = wb_wire_put_fixed(at, 4, to->flags | REMOTE_KNOWN | (to->claimed ? REMOTE : 0u));
}

/* ---- status and end ---- */

void waybill_span_set_kind(waybill_span *span, waybill_span_kind kind)
{
    if (kind >= WAYBILL_INTERNAL && kind <= WAYBILL_CONSUMER) span->kind_ = (uint8_t)kind;
}

void waybill_span_set_ok(waybill_span *span)
{
    span->status_ = STATUS_IS_OK;
    span->message_len_ = 0;
}

static uint8_t *message_place(const waybill_span *span) { return span->end_ + TAIL_FIELDS; }

void waybill_span_set_error(waybill_span *span, const char *type, const char *message)
{
    if (!span->at_) return;
    if (type && *type) waybill_span_set_text(span, "error.type", type);
    size_t len = good_part(message, ERROR_TEXT_MAX);
    span->status_ = STATUS_IS_ERROR;
    span->message_len_ = (uint16_t)len;
    if (len > 0) memcpy(message_place(span), message, len);
}

static uint8_t *put_status(const waybill_span *span, uint8_t *at)
{
    size_t len = span->message_len_;
    *at++ = TAG_LEN(15);
    at = wb_wire_put_varint(at, 2 + (len > 0 ? 1 + wb_wire_varint_size(len) + len : 0));
    *at++ = WB_WIRE_TAG(3, WB_WIRE_VARINT);
    *at++ = span->status_;
    if (len == 0) return at;
    *at++ = TAG_LEN(2);
    at = wb_wire_put_varint(at, len);
    memmove(at, message_place(span), len);
    return at + len;
}

static const uint8_t *put_tail(const waybill_span *span)
{
    uint32_t flags = span->context.flags | REMOTE_KNOWN | (span->parent_remote_ ? REMOTE : 0u);
    uint8_t *at = put_time(span->at_, WB_WIRE_TAG(8, WB_WIRE_FIXED64), now_of(span));
    *at++ = WB_WIRE_TAG(6, WB_WIRE_VARINT);
    *at++ = span->kind_;
    *at++ = 0x85; /* field 16, fixed32: a tag of two bytes */
    *at++ = 0x01;
    at = wb_wire_put_fixed(at, 4, flags);
    if (span->dropped_ > 0) {
        *at++ = WB_WIRE_TAG(10, WB_WIRE_VARINT);
        at = wb_wire_put_varint(at, span->dropped_);
    }
    return span->status_ > 0 ? put_status(span, at) : at;
}

bool waybill_span_end(waybill_span *span)
{
    if (!span->at_) return false;
    const uint8_t *end = put_tail(span);
    span->at_ = NULL;
    if (!wb_client_is_ours(span->client_)) return false;
    return wb_recorder_add(span->client_->recorder, span->begin_, (size_t)(end - span->begin_));
}

void waybill_span_drop(waybill_span *span) { span->at_ = NULL; }
