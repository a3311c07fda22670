/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/transport.h: one request over libcurl, and the connections that are kept for the next.
 * Private to exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_TRANSPORT_H
#define WAYBILL_EXPORTERS_OTLP_TRANSPORT_H

#include "exporters/otlp/reply.h"
#include "exporters/otlp/secrets.h"

typedef struct wb_otlp_transport wb_otlp_transport;

/** A body in pieces that lie apart. Borrowed. */
typedef struct wb_otlp_body {
    const wb_slice *pieces;
    size_t n;
    uint64_t bytes; /* of all pieces */
} wb_otlp_body;

/** libcurl was prepared (exporters/exporter.h, prepare). NO_MEMORY: NULL. One thread at a time.
 *  sender  a header line that says whose requests these are; borrowed; NULL: none */
WB_MUST_USE wb_otlp_transport *wb_otlp_transport_new(const wb_otlp_settings *settings,
                                                     const wb_otlp_secrets *secrets,
                                                     const char *sender);
/** exporters/exporter.h, hurry. */
void wb_otlp_transport_hurry(wb_otlp_transport *transport, uint64_t until_ns);
void wb_otlp_transport_free(wb_otlp_transport *transport);
WB_DEFINE_AUTO(wb_otlp_transport)

/** POST `body` to the signal's target and read the answer.
 *  timeout_ms  give up by then
 *  reply       an answer came, whatever it says: WB_OK
 *  Errors      UNAVAILABLE no answer: `err` says what to look at | TIMEOUT | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_transport_post(wb_otlp_transport *transport, wb_signal signal,
                                             const wb_otlp_body *body, uint32_t timeout_ms,
                                             wb_otlp_reply *reply, wb_error *err);

#endif
