/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/listen.h: where an endpoint listens: how that is written, and a socket there. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_LISTEN_H
#define WAYBILL_SIDECAR_RECEIVERS_LISTEN_H

#include "core/slice.h"
#include "core/status.h"

#include <sys/socket.h>

typedef struct wb_listen {
    char host[64];  /* a numeric address; IPv6 without brackets */
    uint16_t port;  /* 0: any free one */
    bool defaulted; /* nobody chose it: a taken port is no error, another one will do */
    bool off;       /* "off": nowhere */
} wb_listen;

/** "127.0.0.1:7412", "[::1]:7412" or, with `may_be_off`, "off". Numeric, since a name might mean several
 *  addresses.
 *  key     for the error
 *  text    NULL: 127.0.0.1 and `port`, defaulted
 *  Errors  CONFIG */
WB_MUST_USE wb_status wb_listen_make(const char *key, const char *text, uint16_t port,
                                     bool may_be_off, wb_listen *out, wb_error *err);

/** Is it reached from this machine only? */
bool wb_listen_is_loopback(const wb_listen *where);
/** 127.0.0.0/8, ::1, or the former written as IPv6. */
bool wb_address_is_loopback(const struct sockaddr *address);

/** A bound, listening, non-blocking socket. A defaulted port that is taken becomes any free one.
 *  port    the one in use
 *  Errors  CONFIG a configured port is taken, or the address is not one of this machine */
WB_MUST_USE wb_status wb_listen_open(const char *key, const wb_listen *where, int backlog, int *out,
                                     uint16_t *port, wb_error *err);

#endif
