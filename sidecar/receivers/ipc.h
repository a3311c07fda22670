/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/ipc.h: requests of the agent over nng's REQ/REP protocol on a Unix socket.
 *
 * The receiver moves bytes only: it hands each request to `on_call` and sends what wb_ipc_answer is
 * given, from whatever thread and whenever that is; for a request that changes state this is after
 * its commit. Many requests are in hand at once, of one client or of many. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_IPC_H
#define WAYBILL_SIDECAR_RECEIVERS_IPC_H

#include "core/slice.h"
#include "core/status.h"

#include <sys/types.h>

typedef struct wb_ipc wb_ipc;
typedef struct wb_ipc_call wb_ipc_call; /* one request, from its arrival to its reply */

typedef struct wb_ipc_options {
    const char *socket_path; /* in a directory that only clients may enter; borrowed for the call */
    gid_t group; /* the socket is this group's, mode 0660; (gid_t)-1: ours alone, 0600 */
    size_t max_message_bytes; /* a client that announces more is closed */
    size_t max_in_hand_bytes; /* of all requests in hand or arriving; at least max_message_bytes */
    uint32_t contexts;    /* requests in hand or arriving at once; one client has half at most */
    uint32_t connections; /* clients at once; further ones are closed */
    uint32_t stall_ms;    /* a client that stops amid a message, or reads no replies */
    /* A peer of user `uid` (UINT64_MAX: unknown) connected and nothing of it was read yet: NULL to let
     * it in, else why not, static. On nng's threads. */
    const char *(*refuse_peer)(void *self, uint64_t uid);
    /* Under the receiver's lock: queue and return; of this file only wb_ipc_connection, _slot, _request may be
     * called. */
    void (*on_call)(void *self, wb_ipc_call *call);
    /* A client was closed: `why` is static, `uid` its user. May be NULL. */
    void (*on_closed_out)(void *self, const char *why, uint64_t uid);
    void *self;
} wb_ipc_options;

/** Listen. The socket gets mode 0600, or 0660 and its group.
 *  Errors  UNAVAILABLE the path is taken by a live listener | CONFIG the path is too long, its
 *          directory cannot be written, the group is not one of ours | NO_MEMORY */
WB_MUST_USE wb_status wb_ipc_open(const wb_ipc_options *options, wb_ipc **out, wb_error *err);

/** The body of one thread of the caller's: frees connections that have ended, until wb_ipc_close is
 *  called. (nng forbids freeing a stream from its own callback.) */
void wb_ipc_run(wb_ipc *ipc);

/** The request's bytes, borrowed until wb_ipc_answer. */
wb_slice wb_ipc_request(const wb_ipc_call *call);
/** The user that the kernel names as the peer, as of its connect (SO_PEERCRED, unix(7)). */
uid_t wb_ipc_peer_uid(const wb_ipc_call *call);
/** A number that no other connection of this process ever had. */
uint64_t wb_ipc_connection(const wb_ipc_call *call);
/** A number in [0, contexts) that no other call in hand has: for per-call scratch memory. */
uint32_t wb_ipc_slot(const wb_ipc_call *call);
/** Set the answer; it is copied, and the request's bytes are gone. Then release what the request held,
 *  and send. Without memory for the copy, or with no reply at all (ptr NULL), wb_ipc_send closes the
 *  connection: the client comes back and sends again. */
void wb_ipc_answer(wb_ipc_call *call, wb_slice reply);
/** Send the answer and forget `call`; exactly once per call, from any thread. */
void wb_ipc_send(wb_ipc_call *call);

/** Requests that were handed to on_call and whose answer has not left yet. */
uint32_t wb_ipc_in_hand(wb_ipc *ipc);
/** Take no new clients and requests; those in hand may still be answered. */
void wb_ipc_stop(wb_ipc *ipc);
/** Close every connection and let wb_ipc_run return; no call may be in hand. Then join its thread. */
void wb_ipc_close(wb_ipc *ipc);
/** After wb_ipc_run returned, or was never called. */
void wb_ipc_free(wb_ipc *ipc);

#endif
