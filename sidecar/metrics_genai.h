/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/metrics_genai.h: what was measured of spans (pipeline/series.h), as text. Names and labels follow from
 * OpenTelemetry's by its rules for Prometheus: dots become underscores, a time's name ends in _seconds, a counter's in
 * _total. For metrics.c. */
#ifndef WAYBILL_SIDECAR_METRICS_GENAI_H
#define WAYBILL_SIDECAR_METRICS_GENAI_H

#include "sidecar/metrics_text.h"
#include "sidecar/pipeline/series.h"

/** Every metric with all its series; waits for nobody. */
void wb_metrics_genai_print(wb_metrics_text *text, const wb_series_table *table);

/** Their rows of the reference, and what is said of their buckets. NO_MEMORY */
WB_MUST_USE wb_status wb_metrics_genai_rows(wb_buffer *out);
WB_MUST_USE wb_status wb_metrics_genai_buckets(wb_buffer *out);

#endif
