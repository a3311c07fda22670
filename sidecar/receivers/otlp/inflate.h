/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/inflate.h: gzip bodies, within bounds. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_INFLATE_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_INFLATE_H

#include "sidecar/receivers/otlp/export.h"

/* Zeroed: nothing. Its memory counts as reserved at the sink until wb_inflated_free. */
typedef struct wb_inflated {
    uint8_t *ptr; /* owned */
    size_t len;
    size_t reserved; /* of the sink's budget */
} wb_inflated;

/** Undo gzip: one member or several behind each other (RFC 1952 section 2.2), nothing else behind them.
 *  limit_bytes  the most that may come out
 *  sink         asked for room before each allocation, of which there is at most one at a time
 *  out          written on WB_OK only
 *  Errors  MALFORMED no whole gzip, or its check fails | REJECTED larger than limit_bytes | UNAVAILABLE
 *          the sink has no room | NO_MEMORY */
WB_MUST_USE wb_status wb_inflate_gzip(wb_slice in, size_t limit_bytes, const wb_export_sink *sink,
                                      wb_inflated *out, wb_error *err);
void wb_inflated_free(wb_inflated *inflated, const wb_export_sink *sink);

#endif
