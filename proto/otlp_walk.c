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
 * nothing about what the other stores. No encoder writes such bytes.
 *
 * The nesting is ExportTraceServiceRequest { 1: ResourceSpans { 1: Resource, 2: ScopeSpans { 1:
 * scope, 2: Span }}}. It is gone through three times: count (so that the arrays are made once, at
 * their size, after the limits were checked), envelope (a resource may come behind its spans, and
 * decides on them), spans. The first two only hop from length to length. */
#include "proto/otlp_walk.h"

#include "core/utf8.h"
#include "proto/wire.h"

typedef struct walk {
    wb_batch *batch;
    const wb_key_set *keys;
    const char *refusal;   /* why the body is refused; set before false is returned */
    bool no_memory;        /* the same, and it is our lack */
    const char *rejection; /* why the span in hand is left out; the first reason stays */
    uint32_t span_total;   /* spans in the body, rejected ones included */
} walk;

static bool refuse(walk *w, const char *why)
{
    w->refusal = why;
    return false;
}

static bool out_of_memory(walk *w)
{
    w->no_memory = true;
    return false;
}

static void reject(walk *w, const char *why)
{
    if (!w->rejection) w->rejection = why;
}

static inline bool next(walk *w, wb_slice *s, wb_wire_field *f)
{
    return wb_wire_next(s, f) || refuse(w, "cut off, or no protobuf");
}

static inline bool expect(walk *w, const wb_wire_field *f, wb_wire_type type)
{
    return f->type == type || refuse(w, "a known field has another wire type");
}

static inline bool once(walk *w, bool *seen)
{
    if (*seen) return refuse(w, "a field that may come once comes again");
    *seen = true;
    return true;
}

static inline void check_text(walk *w, wb_slice text)
{
    if (!wb_utf8_valid(text)) reject(w, "text is not UTF-8");
}

/* ---- values and attributes (common.proto) ---------------------------------------------------- */

/* KeyValue { string key = 1; AnyValue value = 2 } */
typedef struct key_value {
    wb_slice key, value;
} key_value;

/* As all encoders write it, a key and a value with lengths below 128: read at one go. False says
 * nothing but that the long way must be gone. */
static inline bool split_common(wb_slice message, key_value *out)
{
    const uint8_t *p = message.ptr;
    size_t n = message.len;
    if (n < 4 || p[0] != WB_WIRE_TAG(1, WB_WIRE_LEN) || p[1] >= 0x80 || p[1] > n - 4) return false;
    const uint8_t *after = p + 2 + p[1];
    if (after[0] != WB_WIRE_TAG(2, WB_WIRE_LEN) || after[1] >= 0x80) return false;
    if (after[1] != n - 4 - p[1]) return false;
    *out = (key_value){{p + 2, p[1]}, {after + 2, after[1]}};
    return true;
}

static bool split_any(walk *w, wb_slice message, key_value *out)
{
    wb_wire_field f;
    bool seen_key = false, seen_value = false;
    *out = (key_value){{message.ptr, 0}, {message.ptr, 0}};
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number == 1) {
            if (!expect(w, &f, WB_WIRE_LEN) || !once(w, &seen_key)) return false;
            out->key = f.bytes;
        } else if (f.number == 2) {
            if (!expect(w, &f, WB_WIRE_LEN) || !once(w, &seen_value)) return false;
            out->value = f.bytes;
        }
    }
    return true;
}

static inline bool split(walk *w, wb_slice message, key_value *out)
{
    key_value uncommon; /* its address goes into a call; `out` can stay in registers */
    if (split_common(message, out)) return true;
    if (!split_any(w, message, &uncommon)) return false;
    *out = uncommon;
    return true;
}

static bool walk_value(walk *w, wb_slice message, unsigned depth);

/* ArrayValue { repeated AnyValue values = 1 } */
static bool walk_array(walk *w, wb_slice message, unsigned depth)
{
    wb_wire_field f;
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number != 1) continue;
        if (!expect(w, &f, WB_WIRE_LEN) || !walk_value(w, f.bytes, depth)) return false;
    }
    return true;
}

/* KeyValueList { repeated KeyValue values = 1 } */
static bool walk_kvlist(walk *w, wb_slice message, unsigned depth)
{
    wb_wire_field f;
    key_value kv;
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number != 1) continue;
        if (!expect(w, &f, WB_WIRE_LEN) || !split(w, f.bytes, &kv)) return false;
        check_text(w, kv.key);
        if (!walk_value(w, kv.value, depth)) return false;
    }
    return true;
}

static bool walk_value_field(walk *w, const wb_wire_field *f, unsigned depth)
{
    switch (f->number) {
    case 1: /* string_value */
        if (!expect(w, f, WB_WIRE_LEN)) return false;
        check_text(w, f->bytes);
        return true;
    case 2: /* bool_value */
    case 3: /* int_value */ return expect(w, f, WB_WIRE_VARINT);
    case 4: /* double_value */ return expect(w, f, WB_WIRE_FIXED64);
    case 5: /* array_value */
        return expect(w, f, WB_WIRE_LEN) && walk_array(w, f->bytes, depth + 1);
    case 6: /* kvlist_value */
        return expect(w, f, WB_WIRE_LEN) && walk_kvlist(w, f->bytes, depth + 1);
    case 7: /* bytes_value */ return expect(w, f, WB_WIRE_LEN);
    default: return true; /* string_value_strindex (8) belongs to profiles: absent here */
    }
}

/* An AnyValue of nothing but a text shorter than 128 bytes. */
static inline bool is_short_text(wb_slice message)
{
    return message.len >= 2 && message.len < 130 && message.ptr[0] == WB_WIRE_TAG(1, WB_WIRE_LEN) &&
           message.ptr[1] == message.len - 2;
}

static bool walk_value(walk *w, wb_slice message, unsigned depth)
{
    wb_wire_field f;
    bool seen = false;
    if (depth > WB_OTLP_DEPTH_MAX) {
        reject(w, "a value is nested too deep");
        return true;
    }
    if (is_short_text(message)) {
        check_text(w, (wb_slice){message.ptr + 2, message.len - 2});
        return true;
    }
    while (message.len > 0) {
        if (!next(w, &message, &f) || !walk_value_field(w, &f, depth)) return false;
        if (f.number <= 7 && !once(w, &seen)) return false; /* one oneof */
    }
    return true;
}

/* The attributes of one message as they come by. */
typedef struct attr_list {
    wb_attr **tail; /* where an indexed one is linked; NULL: this message's are not indexed */
    uint32_t count;
} attr_list;

/* Link an attribute at the tail; the new tail, or NULL. */
static wb_attr **index_attr(walk *w, key_value kv, wb_slice field, wb_attr **tail)
{
    wb_attr *attr = wb_batch_new_attr(w->batch);
    if (!attr) {
        w->no_memory = true;
        return NULL;
    }
    *attr = (wb_attr){.key = kv.key, .value = kv.value, .field = field};
    *tail = attr;
    return &attr->next;
}

static inline bool walk_attr(walk *w, const wb_wire_field *f, const uint8_t *end, attr_list *list)
{
    key_value kv;
    if (!expect(w, f, WB_WIRE_LEN) || !split(w, f->bytes, &kv)) return false;
    check_text(w, kv.key);
    if (!walk_value(w, kv.value, 1)) return false;
    if (++list->count > WB_OTLP_ATTRS_MAX) reject(w, "too many attributes");
    if (!list->tail || !w->keys || !wb_key_set_has(w->keys, kv.key)) return true;
    wb_slice field = {f->tag_at, (size_t)(end - f->tag_at)};
    list->tail = index_attr(w, kv, field, list->tail);
    return list->tail != NULL;
}

/* ---- parts of a span (trace.proto) ----------------------------------------------------------- */

static inline void copy_id(walk *w, wb_slice bytes, void *id, size_t len, bool may_be_empty)
{
    if (bytes.len == len)
        memcpy(id, bytes.ptr, len);
    else if (bytes.len != 0 || !may_be_empty)
        reject(w, len == 16 ? "a trace id is not 16 bytes" : "a span id is not 8 bytes");
    else
        memset(id, 0, len);
}

/* Event { time 1; name 2; attributes 3; dropped 4 } */
static bool walk_event(walk *w, wb_slice message)
{
    wb_wire_field f;
    attr_list list = {0};
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        bool ok = true;
        switch (f.number) {
        case 1: ok = expect(w, &f, WB_WIRE_FIXED64); break;
        case 2:
            ok = expect(w, &f, WB_WIRE_LEN);
            if (ok) check_text(w, f.bytes);
            break;
        case 3: ok = walk_attr(w, &f, message.ptr, &list); break;
        case 4: ok = expect(w, &f, WB_WIRE_VARINT); break;
        default: break;
        }
        if (!ok) return false;
    }
    return true;
}

/* Link { trace_id 1; span_id 2; trace_state 3; attributes 4; dropped 5; flags 6 } */
static bool walk_link(walk *w, wb_slice message)
{
    wb_wire_field f;
    attr_list list = {0};
    uint8_t id[16];
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        bool ok = true;
        switch (f.number) {
        case 1:
        case 2:
            ok = expect(w, &f, WB_WIRE_LEN);
            if (ok) copy_id(w, f.bytes, id, f.number == 1 ? 16 : 8, true);
            break;
        case 3:
            ok = expect(w, &f, WB_WIRE_LEN);
            if (ok) check_text(w, f.bytes);
            break;
        case 4: ok = walk_attr(w, &f, message.ptr, &list); break;
        case 5: ok = expect(w, &f, WB_WIRE_VARINT); break;
        case 6: ok = expect(w, &f, WB_WIRE_FIXED32); break;
        default: break;
        }
        if (!ok) return false;
    }
    return true;
}

/* Status { message 2; code 3 } */
static bool walk_status(walk *w, wb_slice message, uint8_t *code)
{
    wb_wire_field f;
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number == 2) {
            if (!expect(w, &f, WB_WIRE_LEN)) return false;
            check_text(w, f.bytes);
        } else if (f.number == 3) {
            if (!expect(w, &f, WB_WIRE_VARINT)) return false;
            *code = (uint32_t)f.value <= 2 ? (uint8_t)f.value : 0; /* int32: the low bits */
        }
    }
    return true;
}

/* Span's fields whose wire type is LEN. */
static inline bool walk_span_bytes(walk *w, const wb_wire_field *f, wb_span *span,
                                   bool *seen_status)
{
    switch (f->number) {
    case 1: copy_id(w, f->bytes, span->trace_id.b, 16, false); return true;
    case 2: copy_id(w, f->bytes, span->span_id.b, 8, false); return true;
    case 3: check_text(w, f->bytes); return true;
    case 4: copy_id(w, f->bytes, span->parent_id.b, 8, true); return true;
    case 5:
        check_text(w, f->bytes);
        span->name = f->bytes;
        return true;
    case 11: return walk_event(w, f->bytes);
    case 13: return walk_link(w, f->bytes);
    default: return once(w, seen_status) && walk_status(w, f->bytes, &span->status_code);
    }
}

static inline bool walk_span_field(walk *w, const wb_wire_field *f, wb_span *span,
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
        return expect(w, f, WB_WIRE_LEN) && walk_span_bytes(w, f, span, seen_status);
    case 6: /* kind: an int32, of which the low bits count */
        span->kind = (uint32_t)f->value <= 5 ? (uint8_t)f->value : 0;
        return expect(w, f, WB_WIRE_VARINT);
    case 7: span->start_ns = f->value; return expect(w, f, WB_WIRE_FIXED64);
    case 8: span->end_ns = f->value; return expect(w, f, WB_WIRE_FIXED64);
    case 10: /* dropped_attributes_count */
    case 12: /* dropped_events_count */
    case 14: /* dropped_links_count */ return expect(w, f, WB_WIRE_VARINT);
    case 16: span->flags = (uint32_t)f->value; return expect(w, f, WB_WIRE_FIXED32);
    default: return true;
    }
}

static bool walk_span(walk *w, wb_slice message, wb_span *span)
{
    wb_wire_field f;
    bool seen_status = false;
    attr_list list = {.tail = &span->attrs.first};
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        bool ok = f.number == 9 ? walk_attr(w, &f, message.ptr, &list)
                                : walk_span_field(w, &f, span, &seen_status);
        if (!ok) return false;
    }
    if (WB_ID_ABSENT(span->trace_id)) reject(w, "a trace id is absent or zero");
    if (WB_ID_ABSENT(span->span_id)) reject(w, "a span id is absent or zero");
    return true;
}

/* ---- envelopes ------------------------------------------------------------------------------- */

static wb_extent extent_of(const walk *w, const wb_wire_field *f)
{
    const uint8_t *body = w->batch->body.ptr;
    return (wb_extent){(uint32_t)(f->tag_at - body), (uint32_t)(f->bytes.ptr - body),
                       (uint32_t)f->bytes.len};
}

/* Resource { attributes 1; dropped 2; entity_refs 3 } */
static bool walk_resource(walk *w, wb_slice message, wb_attrs *attrs)
{
    wb_wire_field f;
    attr_list list = {.tail = &attrs->first};
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number == 1 && !walk_attr(w, &f, message.ptr, &list)) return false;
        if (f.number == 2 && !expect(w, &f, WB_WIRE_VARINT)) return false;
    }
    return true;
}

/* InstrumentationScope { name 1; version 2; attributes 3; dropped 4 } */
static bool walk_scope(walk *w, wb_slice message)
{
    wb_wire_field f;
    attr_list list = {0};
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number == 3 && !walk_attr(w, &f, message.ptr, &list)) return false;
        if (f.number == 4 && !expect(w, &f, WB_WIRE_VARINT)) return false;
        if (f.number != 1 && f.number != 2) continue;
        if (!expect(w, &f, WB_WIRE_LEN)) return false;
        check_text(w, f.bytes);
    }
    return true;
}

/* ResourceSpans and ScopeSpans alike: 1 the resource or scope, 2 the children, 3 the schema URL.
 * Finds the first, checks the third, counts the second. */
static bool walk_envelope(walk *w, wb_slice message, wb_extent *head, wb_slice *head_bytes,
                          uint32_t *children)
{
    wb_wire_field f;
    bool seen_head = false;
    *head_bytes = (wb_slice){message.ptr, 0};
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number > 3) continue;
        if (!expect(w, &f, WB_WIRE_LEN)) return false;
        if (f.number == 1) {
            if (!once(w, &seen_head)) return false;
            *head = extent_of(w, &f);
            *head_bytes = f.bytes;
        } else if (f.number == 2) {
            (*children)++;
        } else {
            check_text(w, f.bytes);
        }
    }
    return true;
}

static bool leave_out(walk *w, wb_extent extent)
{
    wb_batch *batch = w->batch;
    if (!batch->rejected) {
        batch->rejected = wb_arena_array(batch->arena, w->span_total, sizeof batch->rejected[0]);
        if (!batch->rejected) return out_of_memory(w);
        batch->first_rejection = w->rejection;
    }
    batch->rejected[batch->rejected_count++] = extent;
    batch->edited = true;
    return true;
}

/* `inherited` is what is wrong with the resource or scope, NULL if nothing is. */
static bool walk_spans(walk *w, wb_slice message, uint32_t scope_index, const char *inherited)
{
    wb_wire_field f;
    wb_batch *batch = w->batch;
    while (message.len > 0) {
        (void)wb_wire_next(&message, &f); /* walk_envelope went through these bytes */
        if (f.number != 2) continue;
        wb_span *span = &batch->spans[batch->span_count];
        *span = (wb_span){.scope = scope_index, .extent = extent_of(w, &f)};
        w->rejection = inherited;
        if (!walk_span(w, f.bytes, span)) return false;
        if (w->rejection) {
            if (!leave_out(w, span->extent)) return false;
        } else {
            batch->span_count++;
        }
    }
    return true;
}

static bool walk_scope_spans(walk *w, const wb_wire_field *f, uint32_t resource_index,
                             const char *inherited)
{
    wb_batch *batch = w->batch;
    wb_slice scope;
    uint32_t children = 0, index = batch->scope_count++;
    wb_scope_spans *group = &batch->scopes[index];
    *group = (wb_scope_spans){
        .extent = extent_of(w, f), .resource = resource_index, .first_span = batch->span_count};
    w->rejection = inherited;
    if (!walk_envelope(w, f->bytes, &group->scope, &scope, &children)) return false;
    if (!walk_scope(w, scope)) return false;
    group->rejected = w->rejection != NULL;
    batch->edited |= group->rejected;
    if (!walk_spans(w, f->bytes, index, w->rejection)) return false;
    group->span_count = batch->span_count - group->first_span;
    return true;
}

static bool walk_resource_spans(walk *w, const wb_wire_field *f)
{
    wb_batch *batch = w->batch;
    wb_slice resource, message = f->bytes;
    wb_wire_field child;
    uint32_t children = 0, index = batch->resource_count++;
    wb_resource_spans *group = &batch->resources[index];
    *group = (wb_resource_spans){.extent = extent_of(w, f), .first_scope = batch->scope_count};
    w->rejection = NULL;
    if (!walk_envelope(w, message, &group->resource, &resource, &children)) return false;
    if (!walk_resource(w, resource, &group->attrs)) return false;
    const char *inherited = w->rejection;
    group->rejected = inherited != NULL;
    batch->edited |= group->rejected;
    while (message.len > 0) {
        (void)wb_wire_next(&message, &child); /* walk_envelope went through these bytes */
        if (child.number == 2 && !walk_scope_spans(w, &child, index, inherited)) return false;
    }
    group->scope_count = batch->scope_count - group->first_scope;
    return true;
}

/* ---- the body -------------------------------------------------------------------------------- */

/* How many resources, scopes and spans there are, by hopping over their lengths. */
typedef struct totals {
    uint32_t resources, scopes, spans;
} totals;

static bool count_children(walk *w, wb_slice message, totals *sum)
{
    wb_wire_field f;
    while (message.len > 0) {
        if (!next(w, &message, &f)) return false;
        if (f.number != 2) continue;
        if (!expect(w, &f, WB_WIRE_LEN)) return false;
        sum->scopes++;
        for (wb_slice scope = f.bytes; scope.len > 0;) {
            if (!next(w, &scope, &f)) return false;
            if (f.number == 2) sum->spans++;
        }
    }
    return true;
}

static bool count_all(walk *w, totals *sum)
{
    wb_wire_field f;
    for (wb_slice rest = w->batch->body; rest.len > 0;) {
        if (!next(w, &rest, &f)) return false;
        if (f.number != 1) continue;
        if (!expect(w, &f, WB_WIRE_LEN) || !count_children(w, f.bytes, sum)) return false;
        sum->resources++;
    }
    if (sum->spans > WB_OTLP_SPANS_MAX || sum->scopes > WB_OTLP_SPANS_MAX ||
        sum->resources > WB_OTLP_SPANS_MAX)
        return refuse(w, "more spans, scopes or resources than a body may have");
    return true;
}

static bool walk_body(walk *w)
{
    wb_batch *batch = w->batch;
    wb_wire_field f;
    totals sum = {0};
    if (!count_all(w, &sum)) return false;
    w->span_total = sum.spans;
    batch->resources = wb_arena_array(batch->arena, sum.resources, sizeof batch->resources[0]);
    batch->scopes = wb_arena_array(batch->arena, sum.scopes, sizeof batch->scopes[0]);
    batch->spans = wb_arena_array(batch->arena, sum.spans, sizeof batch->spans[0]);
    if (!batch->resources || !batch->scopes || !batch->spans) return out_of_memory(w);
    for (wb_slice rest = batch->body; rest.len > 0;) {
        (void)wb_wire_next(&rest, &f); /* count_all went through these bytes */
        if (f.number == 1 && !walk_resource_spans(w, &f)) return false;
    }
    return true;
}

wb_status wb_otlp_walk(wb_slice body, const wb_key_set *keys, wb_arena *arena, wb_batch **batch,
                       wb_error *err)
{
    if (body.len > WB_OTLP_BODY_MAX_BYTES)
        return wb_fail(err, WB_ERR_MALFORMED, "traces: %zu bytes, at most %d are taken", body.len,
                       WB_OTLP_BODY_MAX_BYTES);
    wb_batch *made = wb_arena_alloc(arena, sizeof *made);
    if (!made) return wb_fail(err, WB_ERR_NO_MEMORY, "traces: no memory for the index");
    *made = (wb_batch){.arena = arena, .body = body};
    walk w = {.batch = made, .keys = keys};
    if (!walk_body(&w)) {
        if (w.no_memory) return wb_fail(err, WB_ERR_NO_MEMORY, "traces: no memory for the index");
        return wb_fail(err, WB_ERR_MALFORMED, "traces: %s", w.refusal);
    }
    *batch = made;
    return WB_OK;
}
