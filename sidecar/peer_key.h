/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/peer_key.h: one number per transport peer, for tables that strangers can fill. */
#ifndef WAYBILL_SIDECAR_PEER_KEY_H
#define WAYBILL_SIDECAR_PEER_KEY_H

#include "core/slice.h"

enum { WB_PEER_SECRET_BYTES = 16 };

/* Random, of this process: nobody can choose an address that falls together with another's. */
typedef struct wb_peer_secret {
    uint8_t bytes[WB_PEER_SECRET_BYTES];
} wb_peer_secret;

void wb_peer_secret_make(wb_peer_secret *out);

enum { WB_PEER_HOST_MAX = 128 };

/** The host in what an agent says of its peer: "192.0.2.7", "192.0.2.7:4711", "[2001:db8::1]:443",
 *  "https://example.org:443", "example.org". Lower case; of an IPv6 address the network of 64 bits, since
 *  one customer has at least that; an IPv4 one mapped into IPv6 is that IPv4 one. Anything else, such as
 *  "https://idp.example/users/alice", "tenant:alice" or a spiffe id, is a name: empty. Returns its length. */
size_t wb_peer_host(wb_slice peer, char out[WB_PEER_HOST_MAX]);

/** The number of that host, or of the name, whole; of an empty text, of the connection that brought the
 *  request. Any thread. */
uint64_t wb_peer_key(const wb_peer_secret *secret, wb_slice peer, uint64_t connection);

#endif
