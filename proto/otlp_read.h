/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_read.h: read single OTLP messages in place: values, attributes, events, links, logs.
 *
 * For bytes that were walked (proto/otlp_walk.h) or come out of the journal. Safe on any bytes:
 * what does not parse reads as absent, and an iteration ends there. Nothing allocates; slices point
 * into the message. Source: opentelemetry-proto 1.11.0, trace.proto, logs.proto and common.proto. */
#ifndef WAYBILL_PROTO_OTLP_READ_H
#define WAYBILL_PROTO_OTLP_READ_H

#include "core/clock.h"
#include "core/ids.h"
#include "core/slice.h"

typedef enum wb_value_type {
    WB_VALUE_EMPTY,
    WB_VALUE_TEXT,
    WB_VALUE_BOOL,
    WB_VALUE_INT,
    WB_VALUE_DOUBLE,
    WB_VALUE_ARRAY,  /* bytes: an ArrayValue message; wb_otlp_next_item */
    WB_VALUE_KVLIST, /* bytes: a KeyValueList message; wb_otlp_next_attr with WB_OTLP_KVLIST */
    WB_VALUE_BYTES,
} wb_value_type;

typedef struct wb_value {
    wb_value_type type;
    union {
        wb_slice text;  /* TEXT */
        wb_slice bytes; /* BYTES, ARRAY, KVLIST */
        bool boolean;
        int64_t integer;
        double real;
    };
} wb_value;

/** Read an AnyValue message. */
wb_value wb_otlp_value(wb_slice any_value);

/** The messages that carry attributes; the value is the number of their attributes field. */
typedef enum wb_otlp_owner {
    WB_OTLP_RESOURCE = 1,
    WB_OTLP_KVLIST = 1,
    WB_OTLP_SCOPE = 3,
    WB_OTLP_EVENT = 3,
    WB_OTLP_LINK = 4,
    WB_OTLP_LOG = 6,
    WB_OTLP_SPAN = 9,
} wb_otlp_owner;

typedef struct wb_otlp_attr {
    wb_slice key;
    wb_value value;
} wb_otlp_attr;

/** An iteration over a message's fields: start with {message}. */
typedef struct wb_otlp_iter {
    wb_slice rest;
} wb_otlp_iter;

/** The next attribute in the message's order; false at the end. */
bool wb_otlp_next_attr(wb_otlp_iter *it, wb_otlp_owner owner, wb_otlp_attr *out);
/** The same, with the bytes of its AnyValue. */
bool wb_otlp_next_pair(wb_otlp_iter *it, wb_otlp_owner owner, wb_slice *key, wb_slice *any_value);
/** The same, of those whose key begins with a byte that `starts` has (256 of them; not 0: it does): several times
 *  quicker where most do not. */
bool wb_otlp_next_starting(wb_otlp_iter *it, wb_otlp_owner owner, const uint8_t *starts,
                           wb_slice *key, wb_slice *any_value);
/** The next value of an ArrayValue message; false at the end. */
bool wb_otlp_next_item(wb_otlp_iter *it, wb_value *out);
/** The first attribute of that key; false if there is none. */
bool wb_otlp_find_attr(wb_slice message, wb_otlp_owner owner, wb_slice key, wb_value *out);
/** The text of the first attribute of that key; empty if there is none or it is no text. */
wb_slice wb_otlp_find_text(wb_slice message, wb_otlp_owner owner, wb_slice key);

typedef struct wb_otlp_event {
    wb_time_ns time_ns;
    wb_slice name;
    wb_slice message; /* for wb_otlp_next_attr with WB_OTLP_EVENT */
} wb_otlp_event;

typedef struct wb_otlp_link {
    wb_trace_id trace_id;
    wb_span_id span_id;
    wb_slice trace_state;
    uint32_t flags;
    wb_slice message; /* for wb_otlp_next_attr with WB_OTLP_LINK */
} wb_otlp_link;

/** The next event or link of a Span message; false at the end. */
bool wb_otlp_next_event(wb_otlp_iter *it, wb_otlp_event *out);
bool wb_otlp_next_link(wb_otlp_iter *it, wb_otlp_link *out);

/** What the span index does not hold. */
typedef struct wb_otlp_span_detail {
    wb_slice trace_state, status_message;
    uint32_t dropped_attributes, dropped_events, dropped_links;
} wb_otlp_span_detail;

wb_otlp_span_detail wb_otlp_read_span(wb_slice span_message);

/** What the log index does not hold. */
typedef struct wb_otlp_log_detail {
    wb_slice severity_text;
    wb_value body; /* EMPTY: none */
    uint32_t dropped_attributes;
} wb_otlp_log_detail;

wb_otlp_log_detail wb_otlp_read_log(wb_slice log_message);

typedef struct wb_otlp_scope {
    wb_slice name, version;
} wb_otlp_scope;

wb_otlp_scope wb_otlp_read_scope(wb_slice scope_message);

#endif
