/* SPDX-License-Identifier: Apache-2.0 */
/* proto/span_batch.h: the payload of WB_ENTRY_SPANS: a fixed-size index of spans before rendered
 * OTLP.
 *
 * The body is an ExportTraceServiceRequest, so an OTLP exporter may send it as it is; the index
 * saves everyone else a walk. The byte layout is in span_batch.c. */
#ifndef WAYBILL_PROTO_SPAN_BATCH_H
#define WAYBILL_PROTO_SPAN_BATCH_H

#include "core/arena.h"
#include "core/batch.h"
#include "core/buffer.h"
#include "proto/otlp_read.h"

/* ---- writing --------------------------------------------------------------------------------- */

/** Render the batch, edits applied and rejected spans left out, and append the payload to `out`. A
 *  batch that nobody touched keeps its body byte for byte. May be repeated.
 *  Errors  NO_MEMORY the buffer's limit; then nothing was appended */
WB_MUST_USE wb_status wb_span_batch_write(const wb_batch *batch, wb_buffer *out, wb_error *err);

typedef struct wb_span_link {
    wb_trace_id trace_id;
    wb_span_id span_id;
    wb_slice trace_state;
    uint32_t flags;
    const wb_otlp_attr *attrs;
    size_t attr_count;
} wb_span_link;

/** A span that the sidecar itself writes. Absent fields are zero. */
typedef struct wb_span_draft {
    wb_trace_id trace_id;
    wb_span_id span_id, parent_id;
    wb_slice trace_state;
    uint32_t flags; /* W3C trace flags; 0x100, 0x200: parent is (known to be) remote */
    wb_slice name;
    uint8_t kind; /* wb_span_kind */
    wb_time_ns start_ns, end_ns;
    uint8_t status_code; /* wb_span_status */
    wb_slice status_message;
    const wb_otlp_attr *attrs;
    size_t attr_count;
    const wb_span_link *links;
    size_t link_count;
} wb_span_draft;

/* trace.proto Span.SpanKind and Status.StatusCode */
typedef enum wb_span_kind {
    WB_SPAN_UNSPECIFIED,
    WB_SPAN_INTERNAL,
    WB_SPAN_SERVER,
    WB_SPAN_CLIENT,
    WB_SPAN_PRODUCER,
    WB_SPAN_CONSUMER,
} wb_span_kind;
typedef enum wb_span_status { WB_SPAN_UNSET, WB_SPAN_OK, WB_SPAN_ERROR } wb_span_status;

/** Who wrote the drafts: resource attributes (service.name ...) and the instrumentation scope. */
typedef struct wb_span_origin {
    const wb_otlp_attr *resource;
    size_t resource_count;
    wb_slice scope_name, scope_version;
} wb_span_origin;

/* wb_otlp_attr values for drafts */
#define WB_ATTR_TEXT(k, s)                                                                         \
    {                                                                                              \
        .key = WB_S(k), .value = {.type = WB_VALUE_TEXT, .text = (s) }                             \
    }
#define WB_ATTR_INT(k, n)                                                                          \
    {                                                                                              \
        .key = WB_S(k), .value = {.type = WB_VALUE_INT, .integer = (n) }                           \
    }
#define WB_ATTR_BOOL(k, b)                                                                         \
    {                                                                                              \
        .key = WB_S(k), .value = {.type = WB_VALUE_BOOL, .boolean = (b) }                          \
    }

/** Build a payload of `n` spans under one resource and scope and append it to `out`. Attributes
 *  whose value is EMPTY, or TEXT without a byte, are left out: a caller lists all that it might
 *  have.
 *  Errors  MALFORMED absent trace or span id, or text that is not UTF-8 | NO_MEMORY the buffer's
 *          limit; either way nothing was appended */
WB_MUST_USE wb_status wb_span_batch_build(const wb_span_origin *origin, const wb_span_draft *spans,
                                          size_t n, wb_buffer *out, wb_error *err);

/** The value that is an array of texts, in `arena`. NO_MEMORY */
WB_MUST_USE wb_status wb_span_texts(const wb_slice *texts, size_t n, wb_arena *arena,
                                    wb_value *out);

/* ---- reading --------------------------------------------------------------------------------- */

/** A payload whose every offset was checked. Borrows the payload. Any thread may read. */
typedef struct wb_span_batch {
    wb_slice body; /* the ExportTraceServiceRequest */
    uint32_t span_count, scope_count, resource_count;
    const uint8_t *span_rows, *scope_rows, *resource_rows; /* private */
} wb_span_batch;

typedef struct wb_span_row {
    wb_trace_id trace_id;
    wb_span_id span_id, parent_id; /* parent absent: a root */
    wb_time_ns start_ns, end_ns;
    uint32_t flags;
    uint8_t kind;        /* wb_span_kind */
    uint8_t status_code; /* wb_span_status */
    wb_slice name;
    wb_slice span;     /* the Span message: attributes, events, links by proto/otlp_read.h */
    wb_slice scope;    /* the InstrumentationScope message; empty if absent */
    wb_slice resource; /* the Resource message; empty if absent */
    uint32_t scope_index, resource_index; /* equal for spans that share one */
} wb_span_row;

/** Errors  CORRUPT not a span batch, or an offset or count that points outside; *out untouched */
WB_MUST_USE wb_status wb_span_batch_open(wb_slice payload, wb_span_batch *out, wb_error *err);

/** Row `i` < span_count. */
wb_span_row wb_span_batch_row(const wb_span_batch *batch, uint32_t i);

#endif
