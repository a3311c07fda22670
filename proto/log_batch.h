/* SPDX-License-Identifier: Apache-2.0 */
/* proto/log_batch.h: the payload of WB_ENTRY_LOGS: a fixed-size index of log records before rendered
 * OTLP.
 *
 * The body is an ExportLogsServiceRequest, so an OTLP exporter may send it as it is; the index saves
 * everyone else a walk. The byte layout is in log_batch.c. */
#ifndef WAYBILL_PROTO_LOG_BATCH_H
#define WAYBILL_PROTO_LOG_BATCH_H

#include "proto/span_batch.h"

/* ---- writing --------------------------------------------------------------------------------- */

/** Render a batch of wb_otlp_walk_logs, rejected records left out and edits applied, and append the
 *  payload to `out`. A batch that nobody touched keeps its body byte for byte. May be repeated.
 *  Errors  NO_MEMORY the buffer's limit; then nothing was appended */
WB_MUST_USE wb_status wb_log_batch_write(const wb_batch *batch, wb_buffer *out, wb_error *err);

/* logs.proto SeverityNumber; each is the first of four. */
typedef enum wb_severity {
    WB_SEVERITY_UNSPECIFIED = 0,
    WB_SEVERITY_TRACE = 1,
    WB_SEVERITY_DEBUG = 5,
    WB_SEVERITY_INFO = 9,
    WB_SEVERITY_WARN = 13,
    WB_SEVERITY_ERROR = 17,
    WB_SEVERITY_FATAL = 21,
    WB_SEVERITY_MAX = 24,
} wb_severity;

/** A log record that the sidecar itself writes. Absent fields are zero. */
typedef struct wb_log_draft {
    wb_trace_id trace_id;
    wb_span_id span_id;
    uint32_t flags; /* W3C trace flags */
    wb_time_ns time_ns, observed_ns;
    uint8_t severity; /* wb_severity */
    wb_slice severity_text, event_name;
    wb_slice body; /* text; empty: none */
    const wb_otlp_attr *attrs;
    size_t attr_count;
} wb_log_draft;

/** Build a payload of `n` log records under one resource and scope and append it to `out`. Attributes
 *  whose value is EMPTY, or TEXT without a byte, are left out: a caller lists all that it might have.
 *  Errors  MALFORMED text that is not UTF-8 | NO_MEMORY the buffer's limit; either way nothing was
 *          appended */
WB_MUST_USE wb_status wb_log_batch_build(const wb_span_origin *origin, const wb_log_draft *logs,
                                         size_t n, wb_buffer *out, wb_error *err);

/* ---- reading --------------------------------------------------------------------------------- */

/** A payload whose every offset was checked. Borrows the payload. Any thread may read. */
typedef struct wb_log_batch {
    wb_slice body; /* the ExportLogsServiceRequest */
    uint32_t log_count, scope_count, resource_count;
    const uint8_t *log_rows, *scope_rows, *resource_rows; /* private */
} wb_log_batch;

typedef struct wb_log_row {
    wb_trace_id trace_id;            /* absent: of no trace */
    wb_span_id span_id;              /* absent: of no span */
    wb_time_ns time_ns, observed_ns; /* 0: not said */
    uint32_t flags;
    uint8_t severity; /* 0 to WB_SEVERITY_MAX */
    wb_slice event_name;
    wb_slice log;   /* the LogRecord message: proto/otlp_read.h, wb_otlp_read_log and WB_OTLP_LOG */
    wb_slice scope; /* the InstrumentationScope message; empty if absent */
    wb_slice resource;                    /* the Resource message; empty if absent */
    uint32_t scope_index, resource_index; /* equal for records that share one */
} wb_log_row;

/** Errors  CORRUPT not a log batch, or an offset or count that points outside; *out untouched */
WB_MUST_USE wb_status wb_log_batch_open(wb_slice payload, wb_log_batch *out, wb_error *err);

/** Row `i` < log_count. */
wb_log_row wb_log_batch_row(const wb_log_batch *batch, uint32_t i);

#endif
