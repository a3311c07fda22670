/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_walk.h: check and index an Export request of any signal without decoding it. */
#ifndef WAYBILL_PROTO_OTLP_WALK_H
#define WAYBILL_PROTO_OTLP_WALK_H

#include "core/batch.h"
#include "core/buffer.h"
#include "proto/key_set.h"

enum {
    WB_OTLP_BODY_MAX_BYTES = 8 * 1024 * 1024,
    WB_OTLP_SPANS_MAX =
        65536, /* or log records or metrics in a body; as many scopes and resources */
    WB_OTLP_ATTRS_MAX = 1024, /* on a span, resource, scope, event, link, log record, data point */
    WB_OTLP_DEPTH_MAX = 64,   /* of AnyValue in AnyValue; OpenTelemetry SDKs stop at 64 */
};

/** Walk `body` once and make the index over it.
 *  body    the exact bytes of an opentelemetry ExportTraceServiceRequest; borrowed for the life of
 *          the batch, never changed
 *  keys    attributes to index on spans and resources; NULL for none
 *  arena   holds the batch: about 128 bytes a span, 64 an indexed attribute, and 8 any other, of which there are 1 MiB
 *          at most
 *  batch   NULL stays NULL unless WB_OK. A body without spans is WB_OK and has no spans
 *
 *  A span that no backend could take is left out of the batch, and counted in
 *  batch->rejected_count: trace id not 16 bytes, span id not 8, either all zero, parent or link id
 *  of another length, text that is not UTF-8, more than WB_OTLP_ATTRS_MAX attributes, deeper than
 *  WB_OTLP_DEPTH_MAX. What is wrong with a resource or scope is wrong with all its spans; it is
 *  left out with them.
 *  Errors  MALFORMED not this message: truncated, a group, a known field with another wire type, a
 *          varint over 64 bits, a field that merges with an earlier one (a second resource, scope,
 *          status, key or value); larger than WB_OTLP_BODY_MAX_BYTES or WB_OTLP_SPANS_MAX
 *          NO_MEMORY arena limit
 *  Source  opentelemetry-proto 1.11.0, trace.proto, common.proto; protobuf wire encoding */
WB_MUST_USE wb_status wb_otlp_walk(wb_slice body, const wb_key_set *keys, wb_arena *arena,
                                   wb_batch **batch, wb_error *err);

/** The same of an ExportLogsServiceRequest. What the batch calls spans are log records: start_ns is the
 *  time, end_ns the observed time, name the event name, kind the severity number (0 for what is not 1 to
 *  24), flags, trace_id and span_id as sent (absent: zero), parent and status 0; attrs its attributes.
 *  For proto/log_batch.h.
 *
 *  Left out and counted as rejected: a trace id of another length than 16 or 0, a span id of another than
 *  8 or 0, text that is not UTF-8, limits as above.
 *  Errors  as of wb_otlp_walk; a second body merges, too
 *  Source  logs.proto */
WB_MUST_USE wb_status wb_otlp_walk_logs(wb_slice body, const wb_key_set *keys, wb_arena *arena,
                                        wb_batch **batch, wb_error *err);

/* Data points; a metric without any has none. */
typedef struct wb_metrics_points {
    uint64_t accepted, rejected;
} wb_metrics_points;

/** The same of an ExportMetricsServiceRequest. What the batch calls spans are metrics, of which it holds
 *  where they are and nothing else. All kinds, with exemplars, are checked down to the last value.
 *
 *  A metric is left out, with all its data points, for: an id of a wrong length in an exemplar, text that
 *  is not UTF-8, attributes as above.
 *  points  untouched unless WB_OK
 *  Errors  as of wb_otlp_walk; two kinds of data in a metric or two values in a point merge, too
 *  Source  metrics.proto */
WB_MUST_USE wb_status wb_otlp_walk_metrics(wb_slice body, wb_arena *arena, wb_batch **batch,
                                           wb_metrics_points *points, wb_error *err);

/** Append the body of a walked metrics batch to `out`, rejected metrics left out: the payload of
 *  WB_ENTRY_METRICS. Where none was rejected these are the bytes that arrived.
 *  Errors  NO_MEMORY the buffer's limit; then nothing was appended */
WB_MUST_USE wb_status wb_metrics_write(const wb_batch *batch, wb_buffer *out, wb_error *err);

#endif
