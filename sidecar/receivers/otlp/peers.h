/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/peers.h: the connections of a receiver: whose they are, how many of one peer, and until
 * when each must have done what it is about.
 *
 * The agent may have all the places there are; where all are taken, the connection that has done nothing for
 * longest makes room. Others (of loopback: another user; from elsewhere: an address,
 * of IPv6 its /64) have WB_OTLP_PEER_MAX each and half of all together, so that they cannot keep the agent out.
 * A connection that is not done when its time is over is shut down; whoever owns it sees it end. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_PEERS_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_PEERS_H

#include "core/clock.h"
#include "sidecar/receivers/otlp/access.h"

enum {
    WB_OTLP_PEER_MAX = 32,
    WB_OTLP_IDLE_KEPT =
        32, /* of those that are idle for WB_OTLP_IDLE_SPARE_MS; the others are shut down, since
                               an idle connection holds the memory of its last request */
    WB_OTLP_IDLE_SPARE_MS = 10 * 1000,
};

typedef struct wb_otlp_peers wb_otlp_peers;
typedef struct wb_otlp_visitor wb_otlp_visitor; /* one connection */

/** `connections`: at once, of all. Borrows access and clock. NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_peers_new(wb_otlp_access *access, const wb_clock *clock,
                                        uint32_t connections, wb_otlp_peers **out, wb_error *err);
/** When every visitor has left. NULL is fine. */
void wb_otlp_peers_free(wb_otlp_peers *peers);
WB_DEFINE_AUTO(wb_otlp_peers)

/** Look at who is at the other end of the connected socket `fd`. NULL: there is no place for him, or no memory.
 *  Any thread. */
WB_MUST_USE wb_otlp_visitor *wb_otlp_peers_enter(wb_otlp_peers *peers, int fd);
/** Before `fd` is closed. NULL is fine. Any thread. */
void wb_otlp_peers_leave(wb_otlp_peers *peers, wb_otlp_visitor *visitor);

/** As wb_otlp_peer found. */
uint64_t wb_otlp_visitor_uid(const wb_otlp_visitor *visitor);
/* What a connection is at. */
typedef enum wb_otlp_phase {
    WB_OTLP_IDLE,      /* nothing in hand; it has so long to bring the whole head of a request */
    WB_OTLP_READING,   /* so long to bring its body */
    WB_OTLP_ANSWERING, /* so long to take the answer; 0: as long as it takes to make it */
} wb_otlp_phase;

/** What it is at from now on, and how long that may take. It begins idle, without an end. Any thread. */
void wb_otlp_visitor_now(wb_otlp_visitor *visitor, const wb_clock *clock, wb_otlp_phase phase,
                         uint32_t ms);

/** Shut down those whose time is over, those that have left without a word that was heard, and idle ones beyond
 *  those that are kept; how many of the first. Any thread. */
uint32_t wb_otlp_peers_tick(wb_otlp_peers *peers);

#endif
