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

static bool walk_span(wb_walk *w, wb_slice message, wb_span *span)
{
    wb_wire_field f;
    bool seen_status = false;
    uint32_t longest = w->batch->longest_field;
    wb_attr_list list = {.tail = &span->attrs.first};
    while (message.len > 0) {
        bool short_attr = wb_walk_take_short(&message, WB_WIRE_TAG(9, WB_WIRE_LEN), &f);
        if (!short_attr && !wb_walk_next(w, &message, &f)) return false;
        if (!short_attr && f.bytes.len > longest) longest = (uint32_t)f.bytes.len;
        bool ok = short_attr || f.number == 9 ? wb_walk_attr(w, &f, message.ptr, &list)
                                              : walk_span_field(w, &f, span, &seen_status);
        if (!ok) return false;
    }
    w->batch->longest_field = longest;
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
