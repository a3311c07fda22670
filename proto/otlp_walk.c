/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the bytes that checks everything and keeps little.
 *
 * Why not unpack: an unpacked span is some sixty allocations of which nearly all are copied out
 * again unchanged. The sidecar wants to know about ten things of a span and to pass the rest on.
 *
 * Why check all of it, down to the values of an event's attributes: what is acknowledged is durable
 * and will be sent to backends that do unpack. One bad byte there makes them refuse a whole
 * request, hours later, when nobody is left to tell. So wire that is no protobuf refuses the body,
 * and a span that is good protobuf but no good span (ids, text that is not UTF-8) is left out by
 * itself, here, where the sender still listens.
 *
 * Why a second resource, key or value refuses the body although protobuf would merge them: two
 * readers that merge differently would see different spans, and a check made by one would say
 * nothing about what the other stores. No encoder writes such bytes. */
#include "proto/otlp_walk.h"

#include "proto/walk.h"

/* Event { time 1; name 2; attributes 3; dropped 4 } */
static bool walk_event(wb_walk *w, wb_slice message)
{
    wb_wire_field f;
    wb_attr_list list = {0};
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        bool ok = true;
        switch (f.number) {
        case 1: ok = wb_walk_expect(w, &f, WB_WIRE_FIXED64); break;
        case 2:
            ok = wb_walk_expect(w, &f, WB_WIRE_LEN);
            if (ok) wb_walk_text(w, f.bytes);
            break;
        case 3: ok = wb_walk_attr(w, &f, message.ptr, &list); break;
        case 4: ok = wb_walk_expect(w, &f, WB_WIRE_VARINT); break;
        default: break;
        }
        if (!ok) return false;
    }
    return true;
}

/* Link { trace_id 1; span_id 2; trace_state 3; attributes 4; dropped 5; flags 6 } */
static bool walk_link(wb_walk *w, wb_slice message)
{
    wb_wire_field f;
    wb_attr_list list = {0};
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        bool ok = true;
        switch (f.number) {
        case 1:
        case 2:
            ok = wb_walk_expect(w, &f, WB_WIRE_LEN);
            if (ok) wb_walk_id(w, f.bytes, NULL, f.number == 1 ? 16 : 8, true);
            break;
        case 3:
            ok = wb_walk_expect(w, &f, WB_WIRE_LEN);
            if (ok) wb_walk_text(w, f.bytes);
            break;
        case 4: ok = wb_walk_attr(w, &f, message.ptr, &list); break;
        case 5: ok = wb_walk_expect(w, &f, WB_WIRE_VARINT); break;
        case 6: ok = wb_walk_expect(w, &f, WB_WIRE_FIXED32); break;
        default: break;
        }
        if (!ok) return false;
    }
    return true;
}

/* Status { message 2; code 3 } */
static bool walk_status(wb_walk *w, wb_slice message, uint8_t *code)
{
    wb_wire_field f;
    while (message.len > 0) {
        if (!wb_walk_next(w, &message, &f)) return false;
        if (f.number == 2) {
            if (!wb_walk_expect(w, &f, WB_WIRE_LEN)) return false;
            wb_walk_text(w, f.bytes);
        } else if (f.number == 3) {
            if (!wb_walk_expect(w, &f, WB_WIRE_VARINT)) return false;
            *code = (uint32_t)f.value <= 2 ? (uint8_t)f.value : 0; /* int32: the low bits */
        }
    }
    return true;
}

/* Span's fields whose wire type is LEN. */
static inline bool walk_span_bytes(wb_walk *w, const wb_wire_field *f, wb_span *span,
                                   bool *seen_status)
{
    switch (f->number) {
    case 1: wb_walk_id(w, f->bytes, span->trace_id.b, 16, false); return true;
    case 2: wb_walk_id(w, f->bytes, span->span_id.b, 8, false); return true;
    case 3: wb_walk_text(w, f->bytes); return true;
    case 4: wb_walk_id(w, f->bytes, span->parent_id.b, 8, true); return true;
    case 5:
        wb_walk_text(w, f->bytes);
        span->name = f->bytes;
        return true;
    case 11: return walk_event(w, f->bytes);
    case 13: return walk_link(w, f->bytes);
    default: return wb_walk_once(w, seen_status) && walk_status(w, f->bytes, &span->status_code);
    }
}

static inline bool walk_span_field(wb_walk *w, const wb_wire_field *f, wb_span *span,
                                   bool *seen_status)
{
    switch (f->number) {
    case 1:  /* trace_id */
    case 2:  /* span_id */
    case 3:  /* trace_state */
    case 4:  /* parent_span_id */
    case 5:  /* name */
    case 11: /* events */
    case 13: /* links */
    case 15: /* status */
        return wb_walk_expect(w, f, WB_WIRE_LEN) && walk_span_bytes(w, f, span, seen_status);
    case 6: /* kind: an int32, of which the low bits count */
        span->kind = (uint32_t)f->value <= 5 ? (uint8_t)f->value : 0;
        return wb_walk_expect(w, f, WB_WIRE_VARINT);
    case 7: span->start_ns = f->value; return wb_walk_expect(w, f, WB_WIRE_FIXED64);
    case 8: span->end_ns = f->value; return wb_walk_expect(w, f, WB_WIRE_FIXED64);
    case 10: /* dropped_attributes_count */
    case 12: /* dropped_events_count */
    case 14: /* dropped_links_count */ return wb_walk_expect(w, f, WB_WIRE_VARINT);
    case 16: span->flags = (uint32_t)f->value; return wb_walk_expect(w, f, WB_WIRE_FIXED32);
    default: return true;
    }
}

/* ---- attributes of spans ---- */

/* Spans come in rows that have the same keys. So a key is read once: those of the next span are compared with it, up
 * to the tag of the value, and need no other check. Where each value is is kept for stages, as far as there is room. */
enum { KEY_AT = 2, HEAD = KEY_AT + 1 }; /* around the key: its tag and length, the value's tag */

/* Split a KeyValue that begins as that of the span before, and is short. */
static inline bool split_like(wb_slice head, wb_slice message, wb_key_value *out)
{
    if (message.len <= head.len || !wb_slice_eq_short((wb_slice){message.ptr, head.len}, head))
        return false;
    size_t len = message.ptr[head.len], left = message.len - head.len - 1;
    if (len != left || len >= 0x80) return false;
    *out =
        (wb_key_value){{message.ptr + KEY_AT, head.len - HEAD}, {message.ptr + head.len + 1, len}};
    return true;
}

/* Split any other. If its key is not that of the span before, the row ends. */
static __attribute__((noinline)) bool split_other(wb_walk *w, uint32_t nth, wb_slice message,
                                                  wb_key_value *out)
{
    wb_walk_row *row = &w->row;
    if (!wb_walk_split(w, message, out)) return false;
    if (nth < row->count &&
        wb_slice_eq((wb_slice){row->heads[nth].ptr + KEY_AT, row->heads[nth].len - HEAD}, out->key))
        return true;
    wb_walk_text(w, out->key);
    row->is_other = true;
    if (nth >= WB_WALK_KEYS_MAX) return true;
    row->asked_for[nth] = w->keys && wb_key_set_find(w->keys, out->key) != 0;
    row->heads[nth] = (wb_slice){message.ptr, HEAD + out->key.len};
    bool has_head = message.len > HEAD + out->key.len &&
                    message.ptr[0] == WB_WIRE_TAG(1, WB_WIRE_LEN) &&
                    out->key.ptr == message.ptr + KEY_AT &&
                    message.ptr[KEY_AT + out->key.len] == WB_WIRE_TAG(2, WB_WIRE_LEN);
    if (!has_head) row->is_odd = true;
    return true;
}

static inline bool walk_span_attr(wb_walk *w, const wb_wire_field *f, const uint8_t *end,
                                  wb_attr_list *list)
{
    wb_key_value kv;
    wb_walk_row *row = &w->row;
    uint32_t nth = row->nth++;
    if (!wb_walk_expect(w, f, WB_WIRE_LEN)) return false;
    if (nth >= row->count || !split_like(row->heads[nth], f->bytes, &kv)) {
        wb_key_value other; /* its address goes into a call; `kv` can stay in registers */
        if (!split_other(w, nth, f->bytes, &other)) return false;
        kv = other;
    }
    if (!wb_walk_value(w, kv.value)) return false;
    if (++list->count > WB_OTLP_ATTRS_MAX) wb_walk_reject(w, "too many attributes");
    if (nth < WB_WALK_KEYS_MAX) {
        if (row->places)
            row->places[nth] =
                (wb_place){(uint32_t)(kv.value.ptr - w->batch->body.ptr), (uint32_t)kv.value.len};
        if (!row->asked_for[nth]) return true;
    } else if (!w->keys || wb_key_set_find(w->keys, kv.key) == 0) {
        return true;
    }
    return wb_walk_index(w, kv, f, end, list);
}

/* Room for the values of one more span; two or three alone make no row. */
static bool make_places(wb_walk *w)
{
    enum { ROW = 3, ATTRS = 16 };
    wb_walk_row *row = &w->row;
    uint32_t n = WB_WALK_KEYS_MAX + w->item_total * ATTRS;
    if (n > WB_WALK_PLACES) n = WB_WALK_PLACES;
    row->places = NULL;
    row->room = 0;
    if (w->item_total <= ROW || row->made + n > WB_WALK_PLACES_MAX) return true;
    row->places = wb_arena_array(w->batch->arena, n, sizeof *row->places);
    if (!row->places) {
        w->no_memory = true;
        return false;
    }
    row->room = n;
    row->made += n;
    return true;
}

static bool begin_attrs(wb_walk *w)
{
    wb_walk_row *row = &w->row;
    row->nth = 0;
    row->is_other = !row->has_before;
    row->is_odd = false;
    return row->room >= WB_WALK_KEYS_MAX || make_places(w);
}

/* An item that is left out has the index of the next one: what follows is as if it had not been there, and may be
 * of its row. */
static void end_attrs(wb_walk *w, wb_span *span)
{
    wb_walk_row *row = &w->row;
    bool is_whole = row->nth <= WB_WALK_KEYS_MAX;
    if (row->is_other || row->nth != row->count) row->like = w->batch->span_count;
    row->has_before = is_whole && !row->is_odd && !w->rejection;
    row->count = row->has_before ? row->nth : 0;
    span->like = row->like;
    if (!is_whole || !row->places) return;
    span->values = row->places;
    row->places += row->nth;
    row->room -= row->nth;
}

static bool walk_span(wb_walk *w, wb_slice message, wb_span *span)
{
    wb_wire_field f;
    bool seen_status = false;
    uint32_t longest = w->batch->longest_field;
    wb_attr_list list = {.tail = &span->attrs.first};
    if (!begin_attrs(w)) return false;
    while (message.len > 0) {
        bool short_attr = wb_walk_take_short(&message, WB_WIRE_TAG(9, WB_WIRE_LEN), &f);
        if (!short_attr && !wb_walk_next(w, &message, &f)) return false;
        if (!short_attr && f.bytes.len > longest) longest = (uint32_t)f.bytes.len;
        bool ok = short_attr || f.number == 9 ? walk_span_attr(w, &f, message.ptr, &list)
                                              : walk_span_field(w, &f, span, &seen_status);
        if (!ok) return false;
    }
    w->batch->longest_field = longest;
    end_attrs(w, span);
    if (WB_ID_ABSENT(span->trace_id)) wb_walk_reject(w, "a trace id is absent or zero");
    if (WB_ID_ABSENT(span->span_id)) wb_walk_reject(w, "a span id is absent or zero");
    return true;
}

static const wb_walk_signal traces = {"traces", walk_span};

wb_status wb_otlp_walk(wb_slice body, const wb_key_set *keys, wb_arena *arena, wb_batch **batch,
                       wb_error *err)
{
    wb_walk w = {.keys = keys, .signal = &traces};
    return wb_walk_body(body, &w, arena, batch, err);
}
