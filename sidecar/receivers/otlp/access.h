/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/access.h: who may send OTLP over TCP. Rules: docs/otlp.md.
 *
 * A TCP connection says nothing of its far side, but of a socket on this machine the kernel knows the user
 * (netlink SOCK_DIAG). So the agent's own users come in over loopback without anything; every other user
 * here, and whoever comes from beyond loopback, needs the bearer of `otlp.bearer_file`. A receiver asks
 * wb_otlp_peer once per connection and wb_otlp_admit once per request. A caller over TLS whose certificate
 * was verified against `otlp.tls.client_ca_file` comes in as OTHER where wb_otlp_admit says DENIED.
 * Any thread may ask. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_ACCESS_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_ACCESS_H

#include "core/slice.h"
#include "core/status.h"

typedef struct wb_otlp_access wb_otlp_access;

typedef enum wb_otlp_caller {
    WB_OTLP_DENIED,
    WB_OTLP_OTHER, /* let in, but not the agent: what it says is asserted, not metered */
    WB_OTLP_AGENT, /* of the agent's own uid, or with its bearer */
} wb_otlp_caller;

typedef struct wb_otlp_access_options {
    wb_slice bearer; /* copied as a hash; empty: there is none */
    /* Is `uid` one of the agent's? Any thread. */
    bool (*is_agent)(void *self, uint64_t uid);
    void *self;
    const char *mark; /* of our own exporters (proto/sender.h); borrowed; NULL: none */
} wb_otlp_access_options;

/* Of a peer that the kernel does not name: not on loopback, gone, or no SOCK_DIAG here. */
#define WB_OTLP_PEER_UNKNOWN UINT64_MAX

/** Opens the netlink socket, so before system calls are confined. A kernel that has none is no failure:
 *  every peer is unknown then.
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_access_open(const wb_otlp_access_options *options,
                                          wb_otlp_access **out, wb_error *err);
void wb_otlp_access_free(wb_otlp_access *access); /* NULL is fine */
WB_DEFINE_AUTO(wb_otlp_access)

/** Can the kernel be asked for the user of a peer? Where not, everybody needs the bearer. */
bool wb_otlp_access_knows_users(const wb_otlp_access *access);
bool wb_otlp_access_has_bearer(const wb_otlp_access *access);
/** From now on this one counts, and the one before no more; empty: none. Any thread. */
void wb_otlp_access_set_bearer(wb_otlp_access *access, wb_slice bearer);

/** The uid at the other end of the connected TCP socket `fd`, while it is open there; of a peer on loopback
 *  only. Else WB_OTLP_PEER_UNKNOWN. */
uint64_t wb_otlp_peer(wb_otlp_access *access, int fd);

/** May this request come in?
 *  peer_uid       as wb_otlp_peer said
 *  authorization  the header's value; empty: none */
wb_otlp_caller wb_otlp_admit(const wb_otlp_access *access, uint64_t peer_uid,
                             wb_slice authorization);

/** For a log line: the number, or "unknown". */
enum { WB_OTLP_UID_TEXT = 24 };
const char *wb_otlp_uid_text(uint64_t peer_uid, char out[WB_OTLP_UID_TEXT]);

/** Is it a request of an exporter of this very process? Taken in, it would be sent to us again, for ever.
 *  Then it is said in the log, too.
 *  mark   the value of WB_SENDER_HEADER; empty: there is none */
bool wb_otlp_is_own(const wb_otlp_access *access, wb_slice mark);
#define WB_OTLP_OWN_ADVICE                                                                         \
    "this is an exporter of this very sidecar: its endpoint leads back here, give it another one"

/** For the body of a 401: what the caller can do. Static.
 *  is_browsers  the request has an Origin, so whose process it comes from does not count */
const char *wb_otlp_access_advice(const wb_otlp_access *access, uint64_t peer_uid,
                                  bool is_browsers);

#endif
