/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/metrics_text.h: metrics as text. Two formats that differ little: Prometheus text 0.0.4 and
 * OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). For metrics*.c. */
#ifndef WAYBILL_SIDECAR_METRICS_TEXT_H
#define WAYBILL_SIDECAR_METRICS_TEXT_H

#include "core/buffer.h"
#include "core/histogram.h"

typedef enum wb_metric_type {
    WB_METRIC_COUNTER, /* its name ends in _total */
    WB_METRIC_GAUGE,
    WB_METRIC_HISTOGRAM, /* of times its name ends in _seconds */
} wb_metric_type;

/** What is being written. Set `out` and `open_metrics`, all else zero. The first failure stays in
 *  `status`, and nothing is appended behind it. */
typedef struct wb_metrics_text {
    wb_buffer *out;
    bool open_metrics;
    const char *name; /* of the family at hand */
    wb_status status;
} wb_metrics_text;

enum { WB_METRICS_LABELS_MAX = 16 };

typedef struct wb_label {
    const char *name;
    wb_slice value; /* any text; borrowed for the call */
} wb_label;

/** Begin a family; its samples follow. `help` is one line without a backslash or a quote. */
void wb_metrics_family(wb_metrics_text *text, const char *name, wb_metric_type type,
                       const char *help);
/** One sample of it. */
void wb_metrics_number(wb_metrics_text *text, const wb_label *labels, size_t n, uint64_t value);
/** One sample in seconds. */
void wb_metrics_seconds(wb_metrics_text *text, const wb_label *labels, size_t n, uint64_t ns);
/** All samples of a histogram: its buckets, sum and count. At most WB_METRICS_LABELS_MAX - 1 labels. */
void wb_metrics_histogram(wb_metrics_text *text, const wb_label *labels, size_t n,
                          const wb_histogram *histogram, const wb_bounds *bounds);
/** Behind the last sample. */
void wb_metrics_end(wb_metrics_text *text);

/** "0.05", "1.0", "3600.0": a bound of a histogram, as its label has it. */
enum { WB_BOUND_TEXT = 32 };
void wb_metrics_bound(const wb_bounds *bounds, size_t at, char out[WB_BOUND_TEXT]);

#endif
