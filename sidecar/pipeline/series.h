/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/series.h: all that has been measured since the process started, as series: a stream, its labels,
 * and a histogram or a counter.
 *
 * One thread at a time counts, under a lock that is held for tens of ns a span. Any thread may read at any time and waits
 * for nobody: series are never removed, their labels never change, their numbers are atomic.
 *
 * How many there may be is bounded, and so is the text that /metrics makes of them. What would need another one is
 * counted in that metric's overflow series, which has one label, otel.metric.overflow: true.
 * Source: OpenTelemetry specification, metrics/sdk.md, "Overflow attribute" */
#ifndef WAYBILL_SIDECAR_PIPELINE_SERIES_H
#define WAYBILL_SIDECAR_PIPELINE_SERIES_H

#include "core/status.h"
#include "sidecar/pipeline/measure.h"

enum { WB_SERIES_MAX = 10000 };

typedef struct wb_series {
    wb_slice labels[WB_LABELS]; /* empty: it has not this one */
    uint64_t hash;
    uint8_t stream; /* of wb_streams; of an overflow the metric's first */
    bool overflow;
    atomic_ullong value; /* of a counter */
    wb_histogram histogram;
} wb_series;

typedef struct wb_series_table wb_series_table;

/** series_max      at most WB_SERIES_MAX, overflow series not among them
 *  text_bytes_max  of what they are as text (wb_series_text_bytes), overflow series not among it
 *  Errors          NO_MEMORY */
WB_MUST_USE wb_status wb_series_table_new(size_t series_max, size_t text_bytes_max,
                                          wb_series_table **out, wb_error *err);
void wb_series_table_free(wb_series_table *table);
WB_DEFINE_AUTO(wb_series_table)

/** Count what a batch measured, by these names (WB_NAMES_): once, when it is durable. */
void wb_series_count(wb_series_table *table, wb_measured *measured, unsigned names);

/** How many series there are; the first ones stay the first. Any thread. */
size_t wb_series_number(const wb_series_table *table);
/** at  below that number; lives as long as the table */
const wb_series *wb_series_at(const wb_series_table *table, size_t at);
/** Grows with every span that is counted. */
uint64_t wb_series_spans(const wb_series_table *table);

/** What a series takes in /metrics at most. */
size_t wb_series_text_bytes(size_t stream, const wb_slice labels[WB_LABELS]);
/** The same of all overflow series that there can be. */
size_t wb_series_overflow_text_bytes(void);

#endif
