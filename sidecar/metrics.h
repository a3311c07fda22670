/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/metrics.h: what /metrics answers. Names, types and meanings: docs/metrics.md, which is made from
 * the table in metrics.c. */
#ifndef WAYBILL_SIDECAR_METRICS_H
#define WAYBILL_SIDECAR_METRICS_H

#include "sidecar/sidecar.h"

typedef enum wb_metrics_format {
    WB_METRICS_PROMETHEUS, /* text, version 0.0.4 */
    WB_METRICS_OPEN,       /* OpenMetrics, version 1.0.0 */
} wb_metrics_format;

/** The format that an Accept header asks for; `accept` may be NULL. */
wb_metrics_format wb_metrics_accepted(const char *accept);
/** Its Content-Type. Static. */
const char *wb_metrics_content_type(wb_metrics_format format);

enum {
    WB_METRICS_OWN_BYTES = 1024 * 1024,        /* of all but: */
    WB_METRICS_SERIES_BYTES = 4 * 1024 * 1024, /* what was measured of spans */
    WB_METRICS_SPARE_BYTES = 256 * 1024, /* its overflow series, and what families are said to be */
    WB_METRICS_MAX_BYTES = WB_METRICS_OWN_BYTES + WB_METRICS_SERIES_BYTES + WB_METRICS_SPARE_BYTES,
};

/** Append all metrics. Takes no lock that is ever held over a disk or a network; where the state is locked
 *  for that long, what was seen of it last is said. One thread at a time.
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_metrics_print(wb_sidecar *sidecar, wb_metrics_format format,
                                       wb_buffer *out);

/** Every metric as Markdown. NO_MEMORY */
WB_MUST_USE wb_status wb_metrics_reference(wb_buffer *out);

#endif
