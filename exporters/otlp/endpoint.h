/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/endpoint.h: the address of one signal. Private to exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_ENDPOINT_H
#define WAYBILL_EXPORTERS_OTLP_ENDPOINT_H

#include "exporters/otlp/settings.h"

/** What was written, and where. */
typedef struct wb_otlp_endpoint {
    const char *text; /* "https://host:4318/base" */
    const char *from; /* key or variable, for errors */
    bool is_base;     /* of all signals: the signal's path is added to it */
    bool is_variable; /* with gRPC then also "host:port", and a path that counts for nothing */
    bool insecure;    /* "host:port" without TLS */
} wb_otlp_endpoint;

/** Fill target->url, host, port and tls; target->protocol is set.
 *  Errors  CONFIG not such an address: no http or https, a user, a fragment, a query in a base | NO_MEMORY
 *  Source  OpenTelemetry specification 1.60, protocol/exporter.md, "Endpoint URLs for OTLP/HTTP" */
WB_MUST_USE wb_status wb_otlp_endpoint_read(const wb_otlp_endpoint *endpoint, wb_signal signal,
                                            wb_arena *arena, wb_otlp_target *target, wb_error *err);

#endif
