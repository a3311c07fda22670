/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/reach.h: does an address that somebody wrote lead to a receiver of this process? */
#ifndef WAYBILL_SIDECAR_RECEIVERS_REACH_H
#define WAYBILL_SIDECAR_RECEIVERS_REACH_H

#include "sidecar/receivers/listen.h"

/** Would a connection to `host`:`port` end at `where`? As far as that can be said without asking DNS:
 *  numbers, localhost and this machine's own name. Asks the kernel for the machine's addresses, so before
 *  system calls are confined.
 *  host   a name or a numeric address; IPv6 without brackets */
bool wb_listen_is_reached(const wb_listen *where, const char *host, uint16_t port);

/** Would both listen on one address and port? Neither if one of them is off, or takes any port. */
bool wb_listen_is_same(const wb_listen *a, const wb_listen *b);

#endif
