/* SPDX-License-Identifier: Apache-2.0 */
/* proto/metric_build.h: metrics that the sidecar writes itself, as an ExportMetricsServiceRequest.
 * Pure; any thread. Source: metrics.proto of opentelemetry-proto 1.11.0 */
#ifndef WAYBILL_PROTO_METRIC_BUILD_H
#define WAYBILL_PROTO_METRIC_BUILD_H

#include "core/buffer.h"
#include "core/histogram.h"
#include "proto/span_batch.h"

/** One series of a metric, cumulative since `start_ns`. */
typedef struct wb_metric_point {
    const wb_otlp_attr *attrs; /* those without a value are left out */
    size_t attr_count;
    uint64_t value;              /* of a counter */
    wb_histogram_view histogram; /* else */
} wb_metric_point;

typedef struct wb_metric_draft {
    wb_slice name, description, unit;
    const wb_bounds *bounds; /* of a histogram; NULL: a counter, which only grows */
    const wb_metric_point *points;
    size_t point_count;
} wb_metric_draft;

/** Append to `out` the payload of WB_ENTRY_METRICS: these metrics, each with all its points, under one resource and
 *  scope. Times are written in seconds. A metric without points is left out.
 *  start_ns, now_ns  of every point
 *  Errors  MALFORMED text that is not UTF-8 | NO_MEMORY the buffer's limit; nothing was appended */
WB_MUST_USE wb_status wb_metrics_build(const wb_span_origin *origin, const wb_metric_draft *metrics,
                                       size_t n, wb_time_ns start_ns, wb_time_ns now_ns,
                                       wb_buffer *out, wb_error *err);

/** Bytes that one point takes in it at most, its metric's name and description aside. */
size_t wb_metric_point_size(const wb_bounds *bounds, const wb_metric_point *point);

#endif
