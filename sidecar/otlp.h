/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/otlp.h: the OTLP receivers of this sidecar, whichever it has. A build without them has otlp_none.c. */
#ifndef WAYBILL_SIDECAR_OTLP_H
#define WAYBILL_SIDECAR_OTLP_H

#include "sidecar/sidecar.h"

typedef struct wb_otlp wb_otlp;

/** Is what otlp.* names there and usable? Opens nothing that stays open. Errors  CONFIG | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_check(const wb_sidecar_config *config, wb_error *err);
/** Read what access and TLS are made of: while files can still be read, before wb_confine_files. Sets
 *  sidecar->otlp.
 *  Errors  CONFIG a file of otlp.* is not there, not private, not usable | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_prepare(wb_sidecar *sidecar, wb_error *err);
/** Listen where the configuration says: once requests can be served, before wb_confine_calls.
 *  Errors  CONFIG a configured port is taken | UNAVAILABLE | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_open(wb_sidecar *sidecar, wb_error *err);
/** Read the bearer's file again; a wb_world_besides. If something is wrong with it, the bearer of before holds.
 *  self    a wb_sidecar. Any thread
 *  Errors  CONFIG as wb_otlp_prepare | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_reload(void *self, wb_error *err);
/** Once a second. */
void wb_otlp_tick(wb_sidecar *sidecar);
/** Take nothing new. */
void wb_otlp_stop(wb_sidecar *sidecar);
uint32_t wb_otlp_in_hand(const wb_sidecar *sidecar);
/** Before the writer stops: what is with it is answered first. */
void wb_otlp_close(wb_sidecar *sidecar);

/* One receiver, for reports. */
typedef struct wb_otlp_report {
    const char *name; /* static: "http", "grpc" */
    const char *host; /* where it listens */
    uint16_t port;
    bool tls;
    wb_time_ns cert_from_ns, cert_until_ns; /* when its certificate is valid; 0: unknown */
    uint64_t connections, closed_out, requests, bytes;
    struct {
        const char *cause; /* static */
        uint64_t n;
    } refused[8];
    size_t n_refused;
} wb_otlp_report;

/** Receiver `i` of those that listen; false: there is none. Any thread. */
bool wb_otlp_get_report(const wb_sidecar *sidecar, size_t i, wb_otlp_report *out);

#endif
