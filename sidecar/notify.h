/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/notify.h: tell the service manager that started us where we are. One thread.
 * Source: sd_notify(3), the datagram protocol of NOTIFY_SOCKET. */
#ifndef WAYBILL_SIDECAR_NOTIFY_H
#define WAYBILL_SIDECAR_NOTIFY_H

#include "core/clock.h"
#include "core/status.h"

typedef struct wb_notify {
    int fd; /* -1: nobody asked; every call below then does nothing */
} wb_notify;

/** Connect. To be called before the sandbox closes sockets.
 *  address  of NOTIFY_SOCKET: a path, or '@' and an abstract name; NULL or empty: nobody asked
 *  out      always set
 *  Errors   MALFORMED another kind of address, or too long | UNAVAILABLE nobody listens there */
WB_MUST_USE wb_status wb_notify_open(const char *address, wb_notify *out, wb_error *err);

void wb_notify_ready(const wb_notify *notify);

/** A reload has begun; wb_notify_ready ends it. */
void wb_notify_reloading(const wb_notify *notify, const wb_clock *clock);

/** The end has begun and may take `within_ms`, whatever the manager's own limit is. */
void wb_notify_stopping(const wb_notify *notify, uint64_t within_ms);

void wb_notify_close(wb_notify *notify);

#endif
