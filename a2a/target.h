/* SPDX-License-Identifier: Apache-2.0 */
/* a2a/target.h: which agent stands behind a URL, so that a token can name it as its audience.
 * Rule: TOKENS section 7.1. Pure, thread-safe. */
#ifndef WAYBILL_A2A_TARGET_H
#define WAYBILL_A2A_TARGET_H

#include "core/slice.h"
#include "core/status.h"

/** One entry of the configuration's `peers:`; borrowed wherever it is passed. */
typedef struct wb_peer {
    wb_slice id;             /* agent id */
    const wb_slice *origins; /* "http://127.0.0.1:9001"; each as wb_origin_of writes it */
    size_t n_origins;
} wb_peer;

enum { WB_ORIGIN_MAX = 262 }; /* scheme, host of at most 253 bytes, port, NUL */

/** The origin (RFC 6454 section 4) of an http or https URL: scheme and host in lower case, the
 *  port left out where it is the scheme's own. NUL-terminated.
 *  Errors  MALFORMED no such URL, user information in it, or a host with bytes that no host has */
WB_MUST_USE wb_status wb_origin_of(wb_slice url, char out[WB_ORIGIN_MAX + 1]);

/** What a client knows of a remote agent. */
typedef struct wb_target {
    wb_slice url;      /* the interface that it will call */
    wb_slice agent_id; /* `params.agent_id` of the card; empty: none */
    bool declares;     /* the card lists the extension */
} wb_target;

/** The audience for a token to `target`: the configured peer of its origin, else the card's own claim
 *  if that is an https id of the same origin and the card declares the extension.
 *  out     borrowed from peers or target
 *  Errors  NOT_FOUND there is none: delegate without a token; `why` says so in one word */
WB_MUST_USE wb_status wb_target_audience(const wb_peer *peers, size_t n_peers,
                                         const wb_target *target, wb_slice *out, const char **why);

/** The peer's agent id for an origin such as "http://10.0.0.7:9001"; empty if there is none. */
wb_slice wb_peer_of_origin(const wb_peer *peers, size_t n_peers, wb_slice origin);

/** Which agent sent a message, as far as the transport tells (TOKENS section 10): `sender` itself where
 *  it is an agent id, that is a name which the transport authenticated; else the one peer that has an
 *  origin on that host ("10.0.0.7", "::1"). Empty: nobody known, or several peers on one host. */
wb_slice wb_peer_of_sender(const wb_peer *peers, size_t n_peers, wb_slice sender);

#endif
