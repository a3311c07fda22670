/* SPDX-License-Identifier: Apache-2.0 */
/* core/batch.h: the spans of one arrival, between the wire and the journal.
 *
 * The arrived bytes stay where they are; this is an index over them plus the edits that stages
 * made. proto/otlp_walk.h makes one, stages read it and append or mask attributes,
 * proto/span_batch.h renders it. All of it lives in the arena given to the walk. One thread at a
 * time. */
#ifndef WAYBILL_CORE_BATCH_H
#define WAYBILL_CORE_BATCH_H

#include "core/arena.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/slice.h"
#include "core/status.h"

typedef enum wb_attr_state {
    WB_ATTR_KEPT,     /* as it arrived */
    WB_ATTR_MASKED,   /* arrived, left out when rendered */
    WB_ATTR_APPENDED, /* made by a stage */
} wb_attr_state;

/** One attribute that a stage asked the walk for, or appended. Its address is stable.
 *  Other fields of a span can be masked and appended the same way: their key is empty. */
typedef struct wb_attr {
    struct wb_attr *next; /* arrived ones first, in the order of their bytes */
    wb_slice key;
    wb_slice value; /* the bytes of its AnyValue message; read with wb_otlp_value */
    wb_slice field; /* its whole encoding, tag and length included; in the body unless APPENDED */
    wb_attr_state state;
} wb_attr;

typedef struct wb_attrs {
    wb_attr *first;
    wb_attr *last; /* if something was appended: the last of all */
    bool edited;
} wb_attrs;

/** A length-delimited message inside the body. */
typedef struct wb_extent {
    uint32_t at;         /* of the tag before it */
    uint32_t message_at; /* of the message itself */
    uint32_t len;        /* of the message */
} wb_extent;

/** Where the value of an attribute is in the body: the bytes of its AnyValue message. */
typedef struct wb_place {
    uint32_t at, len;
} wb_place;

typedef struct wb_span {
    wb_trace_id trace_id;
    wb_span_id span_id, parent_id; /* parent absent: a root */
    wb_time_ns start_ns, end_ns;
    wb_slice name;
    wb_extent extent;
    wb_attrs attrs;
    const wb_place *values; /* of all attributes, as they arrived; NULL: they were not kept */
    uint32_t like;          /* index of the first of the spans around it whose attributes have the
                               same keys in the same order; if it has values */
    uint32_t scope;         /* index in wb_batch.scopes */
    uint32_t flags;         /* as on the wire, reserved bits included */
    uint8_t kind;           /* Span.SpanKind; 0 also for values unknown to us */
    uint8_t status_code;    /* 0 unset, 1 ok, 2 error; 0 also for values unknown to us */
} wb_span;

typedef struct wb_scope_spans {
    wb_extent extent;    /* the ScopeSpans message */
    wb_extent scope;     /* its InstrumentationScope; at 0: absent */
    uint32_t resource;   /* index in wb_batch.resources */
    uint32_t first_span; /* its spans in wb_batch.spans */
    uint32_t span_count;
    bool rejected; /* no backend could take it: left out when rendered, with all its spans */
} wb_scope_spans;

typedef struct wb_resource_spans {
    wb_extent extent;   /* the ResourceSpans message */
    wb_extent resource; /* its Resource; at 0: absent */
    wb_attrs attrs;     /* of the resource */
    uint32_t first_scope;
    uint32_t scope_count;
    bool rejected; /* as of a scope */
} wb_resource_spans;

typedef struct wb_batch {
    wb_arena *arena;
    wb_slice body;  /* an ExportTraceServiceRequest; borrowed, outlives the batch */
    wb_span *spans; /* the accepted ones, in the order of their bytes */
    wb_scope_spans *scopes;
    wb_resource_spans *resources;
    uint32_t span_count, scope_count, resource_count;
    wb_extent *rejected; /* spans left out when rendered, in the order of their bytes */
    uint32_t rejected_count;
    const char *first_rejection; /* why the first of them was; NULL if none; static */
    uint32_t longest_field;      /* of a span, in bytes; less than 128 is not told apart: 0 */
    bool edited;                 /* what is rendered will differ from the body */
    bool odd_pairs;              /* a KeyValue has something between its key and its value */
    wb_attr *free_attrs;         /* room for the next ones */
    uint32_t free_attr_count;
} wb_batch;

static inline wb_slice wb_batch_bytes(const wb_batch *batch, wb_extent extent)
{
    return (wb_slice){batch->body.ptr + extent.message_at, extent.len};
}
static inline wb_slice wb_batch_value(const wb_batch *batch, wb_place place)
{
    return (wb_slice){batch->body.ptr + place.at, place.len};
}
static inline wb_scope_spans *wb_span_scope(const wb_batch *batch, const wb_span *span)
{
    return &batch->scopes[span->scope];
}
static inline wb_resource_spans *wb_span_resource(const wb_batch *batch, const wb_span *span)
{
    return &batch->resources[wb_span_scope(batch, span)->resource];
}

/** The first attribute of that key that is not masked; NULL if there is none, or the walk was not
 *  asked for it. Duplicate keys: the first one counts, everywhere in Waybill. */
wb_attr *wb_attrs_find(const wb_attrs *attrs, wb_slice key);

/** Leave an arrived attribute out; an appended one is taken back. Repeating it changes nothing. */
void wb_batch_mask(wb_batch *batch, wb_attrs *owner, wb_attr *attr);

/** Leave out a field that the walk did not index. `field` is one whole field of the owner's
 *  message, inside the body. NO_MEMORY arena limit. */
WB_MUST_USE wb_status wb_batch_mask_field(wb_batch *batch, wb_attrs *owner, wb_slice field);

/** Append an encoded field to the owner's message. `key`, `value` and `field` are borrowed and must
 *  live as long as the arena. NO_MEMORY arena limit. */
WB_MUST_USE wb_status wb_batch_append(wb_batch *batch, wb_attrs *owner, wb_slice key,
                                      wb_slice value, wb_slice field);

/** A fresh wb_attr from the arena, not yet in any list; NULL at the limit. For the walk. */
WB_MUST_USE wb_attr *wb_batch_new_attr(wb_batch *batch);

#endif
