/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/http.h: OTLP over HTTP. What it answers to what: docs/otlp.md. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_HTTP_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_HTTP_H

#include "core/clock.h"
#include "sidecar/receivers/listen.h"
#include "sidecar/receivers/otlp/access.h"
#include "sidecar/receivers/otlp/counters.h"
#include "sidecar/receivers/otlp/export.h"

typedef struct wb_otlp_http wb_otlp_http;

/* Of a body as it comes and of what comes out of it; larger ones get 413. DESIGN section 4. */
enum { WB_OTLP_HTTP_BODY_MAX = 8 * 1024 * 1024, WB_OTLP_HTTP_CONNECTIONS = 256 };

typedef struct wb_otlp_http_options {
    const wb_listen *listen; /* not off */
    /* PEM with a NUL behind it; cert empty: no TLS. With `client_ca` whoever shows a certificate of it is let
     * in. Borrowed until wb_otlp_http_close. */
    wb_slice cert, key, client_ca;
    uint32_t threads;       /* that read, walk and inflate */
    wb_export_sink sink;    /* gets each Export on one of them */
    wb_otlp_access *access; /* borrowed, as is: */
    const wb_clock *clock;
} wb_otlp_http_options;

/** Listen, and serve from here on.
 *  port    the one in use
 *  Errors  CONFIG as wb_listen_open; certificate or key are not usable | NO_MEMORY | UNAVAILABLE */
WB_MUST_USE wb_status wb_otlp_http_open(const wb_otlp_http_options *options, wb_otlp_http **out,
                                        uint16_t *port, wb_error *err);
/** Once a second, from one thread: end connections that are too slow. */
void wb_otlp_http_tick(wb_otlp_http *http);
/** Take no new connections; requests that begin now are told to come back. */
void wb_otlp_http_stop(wb_otlp_http *http);
/** Requests that began, and whose answer did not leave yet. */
uint32_t wb_otlp_http_in_hand(wb_otlp_http *http);
/** Close every connection and free. Waits for Exports that are at the sink, which must go on answering. NULL is
 *  fine. */
void wb_otlp_http_close(wb_otlp_http *http);

const wb_otlp_counters *wb_otlp_http_counters(const wb_otlp_http *http);

#endif
