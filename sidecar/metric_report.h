/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/metric_report.h: what was measured of spans, written into the journal as OTLP metrics now and then, and
 * delivered from there like any that came in. */
#ifndef WAYBILL_SIDECAR_METRIC_REPORT_H
#define WAYBILL_SIDECAR_METRIC_REPORT_H

#include "sidecar/sidecar.h"

typedef struct wb_metric_report wb_metric_report;

/** The writer and the exporters run.
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_metric_report_new(wb_sidecar *sidecar, wb_metric_report **out,
                                           wb_error *err);
/** When the writer is gone. */
void wb_metric_report_free(wb_metric_report *report);

/** Once a second, from one thread: write if metrics.interval_s have passed since the last time, a span was counted since,
 *  and an exporter takes metrics. */
void wb_metric_report_tick(wb_metric_report *report);

/** At a stop, when nothing is counted any more: write what was counted since the last time, and wait for it; at most
 *  until `end_mono`. From the same thread. */
void wb_metric_report_finish(wb_metric_report *report, uint64_t end_mono);

#endif
