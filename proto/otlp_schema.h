/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_schema.h: the messages of OTLP as data, for readers that go by a table. Private to proto/.
 *
 * Constant; any thread may read. Source: opentelemetry-proto 1.11.0; JSON names: OTLP specification 1.11,
 * "JSON Protobuf Encoding". */
#ifndef WAYBILL_PROTO_OTLP_SCHEMA_H
#define WAYBILL_PROTO_OTLP_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/signal.h"
#include "proto/wire.h"

typedef enum wb_field_kind {
    WB_FIELD_NONE, /* no such field */
    WB_FIELD_TEXT,
    WB_FIELD_BYTES,    /* in JSON base64 */
    WB_FIELD_TRACE_ID, /* bytes, 16 of them; in JSON hex */
    WB_FIELD_SPAN_ID,  /* bytes, 8 of them; in JSON hex */
    WB_FIELD_BOOL,
    WB_FIELD_ENUM, /* in JSON a number, never a name */
    WB_FIELD_UINT32,
    WB_FIELD_SINT32, /* zigzag */
    WB_FIELD_INT64,
    WB_FIELD_UINT64,
    WB_FIELD_FIXED32,
    WB_FIELD_FIXED64,
    WB_FIELD_SFIXED64,
    WB_FIELD_DOUBLE,
    WB_FIELD_MESSAGE,
} wb_field_kind;
enum { WB_FIELD_KINDS = WB_FIELD_MESSAGE + 1 };

typedef struct wb_otlp_message wb_otlp_message;

typedef struct wb_otlp_field {
    const char *name; /* as JSON has it */
    uint8_t name_len;
    uint8_t kind; /* wb_field_kind */
    bool repeated;
    bool present;                   /* its zero value counts: `optional`, or one of a oneof */
    bool oneof;                     /* no message has two of them */
    const wb_otlp_message *message; /* MESSAGE */
} wb_otlp_field;

/* What else is to be known of a message. */
typedef enum wb_message_role {
    WB_MESSAGE_PLAIN,
    WB_MESSAGE_OUTER,     /* a resource's or a scope's: about as long as all of the body */
    WB_MESSAGE_ITEM,      /* a span, log record or metric */
    WB_MESSAGE_POINT,     /* a data point */
    WB_MESSAGE_ATTRIBUTE, /* KeyValue */
    WB_MESSAGE_VALUE,     /* AnyValue, which nests */
} wb_message_role;

struct wb_otlp_message {
    const wb_otlp_field *fields; /* by number, from 0 */
    uint8_t count;               /* the highest number, and 1 */
    uint8_t role;                /* wb_message_role */
};

/* How a value of this kind stands in protobuf, where it is not packed. */
static inline wb_wire_type wb_otlp_wire_type(unsigned kind)
{
    switch ((wb_field_kind)kind) {
    case WB_FIELD_FIXED32: return WB_WIRE_FIXED32;
    case WB_FIELD_FIXED64:
    case WB_FIELD_SFIXED64:
    case WB_FIELD_DOUBLE: return WB_WIRE_FIXED64;
    case WB_FIELD_TEXT:
    case WB_FIELD_BYTES:
    case WB_FIELD_TRACE_ID:
    case WB_FIELD_SPAN_ID:
    case WB_FIELD_MESSAGE: return WB_WIRE_LEN;
    default: return WB_WIRE_VARINT;
    }
}

/* The Export...ServiceRequests. */
extern const wb_otlp_message *const wb_otlp_requests[WB_SIGNALS];
extern const wb_otlp_message wb_otlp_span, wb_otlp_resource, wb_otlp_scope, wb_otlp_metric,
    wb_otlp_entity_ref;

#endif
