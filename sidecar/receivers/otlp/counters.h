/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/counters.h: what a receiver counts. Since start; each grows only. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_COUNTERS_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_COUNTERS_H

#include <stdatomic.h>

/* Why a request was refused; of each there is one way out, that docs/otlp.md has. */
typedef enum wb_otlp_refusal {
    WB_OTLP_REFUSED_DENIED,      /* who asks may not */
    WB_OTLP_REFUSED_NOT_FOUND,   /* no such path, method or service */
    WB_OTLP_REFUSED_UNSUPPORTED, /* no such encoding or compression */
    WB_OTLP_REFUSED_MALFORMED,   /* what was sent is not what it says to be */
    WB_OTLP_REFUSED_TOO_LARGE,
    WB_OTLP_REFUSED_FULL, /* the journal has no room */
    WB_OTLP_REFUSED_BUSY, /* no room for bodies, no memory, or it stops: later */
    WB_OTLP_REFUSED_LOOP, /* an exporter of our own */
    WB_OTLP_REFUSALS,
} wb_otlp_refusal;

static inline const char *wb_otlp_refusal_name(wb_otlp_refusal why)
{
    static const char *const names[WB_OTLP_REFUSALS] = {
        "denied", "not_found", "unsupported", "malformed", "too_large", "full", "busy", "loop"};
    return names[why];
}

typedef struct wb_otlp_counters {
    atomic_ullong connections;     /* that were let in */
    atomic_ullong closed_out;      /* by us: too many of one peer, too slow */
    atomic_ullong requests, bytes; /* bytes of bodies, as they came */
    atomic_ullong refused[WB_OTLP_REFUSALS];
} wb_otlp_counters;

#endif
