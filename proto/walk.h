/* SPDX-License-Identifier: Apache-2.0 */
/* proto/walk.h: what the walks of the three signals share. Private to proto/.
 *
 * A check that fails in a way that makes the body no message returns false and has said why
 * (refusal, no_memory). One that finds good protobuf and a bad span notes it (rejection), returns true
 * and lets the walk go on. Inline is what a span's attributes go through. */
#ifndef WAYBILL_PROTO_WALK_H
#define WAYBILL_PROTO_WALK_H

#include "core/utf8.h"
#include "proto/otlp_schema.h"
#include "proto/otlp_walk.h"
#include "proto/wire.h"

typedef struct wb_walk wb_walk;

/* What one signal's walk does that the others' do not. */
typedef struct wb_walk_signal {
    const char *name; /* for errors */
    /* Walk one item's message into `item`, whose scope and extent are set. */
    bool (*item)(wb_walk *w, wb_slice message, wb_span *item);
} wb_walk_signal;

enum {
    WB_WALK_KEYS_MAX = 64,           /* a span with more is in no row */
    WB_WALK_PLACES = 1024,           /* at once */
    WB_WALK_PLACES_MAX = 128 * 1024, /* in a batch: they take room in its arena */
};

/* A row of spans that have the same keys: mostly all of one instrumentation. */
typedef struct wb_walk_row {
    /* Of each attribute of the span before: the key's tag and length, the key, the value's tag. */
    wb_slice heads[WB_WALK_KEYS_MAX];
    bool asked_for[WB_WALK_KEYS_MAX]; /* by a stage: goes into the index */
    uint32_t count;                   /* how many */
    uint32_t like;                    /* the row's first span */
    uint32_t nth;                     /* attributes of the span in hand so far */
    bool has_before;                  /* what is kept is of a good span */
    bool is_other;                    /* the span in hand has other keys */
    bool is_odd;                      /* one of them has no head */
    wb_place *places;                 /* room for its values; NULL: there is none */
    uint32_t room, made;              /* of it; in all of the batch */
} wb_walk_row;

struct wb_walk {
    wb_batch *batch;
    const wb_key_set *keys;
    const wb_walk_signal *signal;
    wb_metrics_points *points; /* metrics only */
    const char *refusal;       /* why the body is refused; set before false is returned */
    bool no_memory;            /* the same, and it is our lack */
    const char *rejection;     /* why the item in hand is left out; the first reason stays */
    uint32_t item_total;       /* items in the body, rejected ones included */
    wb_walk_row row;           /* spans only */
};

static inline bool wb_walk_refuse(wb_walk *w, const char *why)
{
    w->refusal = why;
    return false;
}

static inline void wb_walk_reject(wb_walk *w, const char *why)
{
    if (!w->rejection) w->rejection = why;
}

static inline bool wb_walk_next(wb_walk *w, wb_slice *s, wb_wire_field *f)
{
    return wb_wire_next(s, f) || wb_walk_refuse(w, "cut off, or no protobuf");
}

/* The next field, if it has that tag (of a LEN field below 16) and fewer than 128 bytes. */
static inline bool wb_walk_take_short(wb_slice *s, uint8_t tag, wb_wire_field *f)
{
    const uint8_t *p = s->ptr;
    if (s->len < 2 || p[0] != tag || p[1] >= 0x80 || p[1] > s->len - 2) return false;
    *f = (wb_wire_field){
        .number = tag >> 3, .type = WB_WIRE_LEN, .bytes = {p + 2, p[1]}, .tag_at = p};
    *s = (wb_slice){p + 2 + p[1], s->len - 2 - p[1]};
    return true;
}

static inline bool wb_walk_expect(wb_walk *w, const wb_wire_field *f, wb_wire_type type)
{
    return f->type == type || wb_walk_refuse(w, "a known field has another wire type");
}

static inline bool wb_walk_once(wb_walk *w, bool *seen)
{
    if (*seen) return wb_walk_refuse(w, "a field that may come once comes again");
    *seen = true;
    return true;
}

/* Text, two of three times with fewer than 32 bytes: those are tested for a high bit here, by words that may
 * overlap, without a call. */
static inline bool wb_walk_is_short_ascii(wb_slice text)
{
    uint64_t a, b, c, d;
    uint32_t e, f;
    const uint8_t *end = text.ptr + text.len;
    if (text.len > 32 || text.len < 4) return false;
    if (text.len < 8) {
        memcpy(&e, text.ptr, sizeof e);
        memcpy(&f, end - sizeof f, sizeof f);
        return ((e | f) & UINT32_C(0x80808080)) == 0;
    }
    memcpy(&a, text.ptr, sizeof a);
    memcpy(&d, end - sizeof d, sizeof d);
    b = c = 0;
    if (text.len > 16) {
        memcpy(&b, text.ptr + 8, sizeof b);
        memcpy(&c, end - 16, sizeof c);
    }
    return ((a | b | c | d) & UINT64_C(0x8080808080808080)) == 0;
}

static inline void wb_walk_text(wb_walk *w, wb_slice text)
{
    if (!wb_walk_is_short_ascii(text) && !wb_utf8_valid(text))
        wb_walk_reject(w, "text is not UTF-8");
}

/* An id of `len` bytes, or none if it may be left out; `id` may be NULL: then it is only checked. */
static inline void wb_walk_id(wb_walk *w, wb_slice bytes, void *id, size_t len, bool may_be_empty)
{
    if (bytes.len != len && (bytes.len != 0 || !may_be_empty))
        wb_walk_reject(w, len == 16 ? "a trace id is not 16 bytes" : "a span id is not 8 bytes");
    else if (id && bytes.len == len)
        memcpy(id, bytes.ptr, len);
    else if (id)
        memset(id, 0, len);
}

/* ---- values and attributes (common.proto) ---------------------------------------------------- */

/* As wb_wire_split_pair, of any KeyValue. */
bool wb_walk_split_any(wb_walk *w, wb_slice message, wb_key_value *out);

static inline bool wb_walk_split(wb_walk *w, wb_slice message, wb_key_value *out)
{
    wb_key_value uncommon; /* its address goes into a call; `out` can stay in registers */
    if (wb_wire_split_pair(message, out)) return true;
    if (!wb_walk_split_any(w, message, &uncommon)) return false;
    *out = uncommon;
    return true;
}

/* Any AnyValue; `depth` counts from 1. */
bool wb_walk_any_value(wb_walk *w, wb_slice message, unsigned depth);

/* An AnyValue of nothing but a bool, an integer of at most 63 bits or a double. */
static inline bool wb_walk_is_number(wb_slice message)
{
    const uint8_t *p = message.ptr;
    size_t n = message.len;
    if (n == 9 && p[0] == WB_WIRE_TAG(4, WB_WIRE_FIXED64)) return true;
    if (n < 2 || n > 10 || p[n - 1] >= 0x80) return false;
    if (p[0] != WB_WIRE_TAG(3, WB_WIRE_VARINT) && p[0] != WB_WIRE_TAG(2, WB_WIRE_VARINT))
        return false;
    for (size_t i = 1; i + 1 < n; i++)
        if (p[i] < 0x80) return false;
    return true;
}

/* An AnyValue that is not inside another. */
static inline bool wb_walk_value(wb_walk *w, wb_slice message)
{
    if (wb_wire_is_short_text(message)) {
        wb_walk_text(w, (wb_slice){message.ptr + 2, message.len - 2});
        return true;
    }
    return wb_walk_is_number(message) || wb_walk_any_value(w, message, 1);
}

/* The attributes of one message as they come by. */
typedef struct wb_attr_list {
    wb_attr **tail; /* where an indexed one is linked; NULL: this message's are not indexed */
    uint32_t count;
} wb_attr_list;

/* Put an attribute into the index. Inline, part by part: passed on as a whole it is written and read again at once, in
 * pieces of different sizes, for which the processor waits. */
static inline bool wb_walk_index(wb_walk *w, wb_key_value kv, const wb_wire_field *f,
                                 const uint8_t *end, wb_attr_list *list)
{
    wb_attr *attr = wb_batch_new_attr(w->batch);
    if (!attr) {
        w->no_memory = true;
        return false;
    }
    attr->key = kv.key;
    attr->value = kv.value;
    attr->field = (wb_slice){f->tag_at, (size_t)(end - f->tag_at)};
    *list->tail = attr;
    list->tail = &attr->next;
    return true;
}

static inline bool wb_walk_attr(wb_walk *w, const wb_wire_field *f, const uint8_t *end,
                                wb_attr_list *list)
{
    wb_key_value kv;
    if (!wb_walk_expect(w, f, WB_WIRE_LEN) || !wb_walk_split(w, f->bytes, &kv)) return false;
    wb_walk_text(w, kv.key);
    if (!wb_walk_value(w, kv.value)) return false;
    if (++list->count > WB_OTLP_ATTRS_MAX) wb_walk_reject(w, "too many attributes");
    if (!list->tail || !w->keys || wb_key_set_find(w->keys, kv.key) == 0) return true;
    return wb_walk_index(w, kv, f, end, list);
}

/* ---- whole messages -------------------------------------------------------------------------- */

/* A Resource; the attributes asked for go into `attrs`. */
bool wb_walk_resource(wb_walk *w, wb_slice message, wb_attrs *attrs);
bool wb_walk_scope(wb_walk *w, wb_slice message);

/* A message by its table, with all that is in it: wire types, text, ids (16 or 8 bytes or none), fields
 * that protobuf would merge, attributes. Adds the data points in it to *points. Recursion ends, because
 * only AnyValue nests and that is not read by a table. */
bool wb_walk_message(wb_walk *w, const wb_otlp_message *type, wb_slice message, uint64_t *points);

/* The whole of a walk: resources, scopes and items of `body` into a new batch.
 * Errors as wb_otlp_walk's. */
WB_MUST_USE wb_status wb_walk_body(wb_slice body, wb_walk *w, wb_arena *arena, wb_batch **batch,
                                   wb_error *err);

#endif
