/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/ipc.h: requests of the agent over nng REQ/REP on a Unix socket.
 *
 * The receiver moves bytes only: it hands each request to `on_call` and sends what wb_ipc_answer
 * is given, from whatever thread and whenever that is; for a request that changes state this is after
 * its commit. Many requests are in hand at once, one per nng context. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_IPC_H
#define WAYBILL_SIDECAR_RECEIVERS_IPC_H

#include "core/slice.h"
#include "core/status.h"

#include <sys/types.h>

typedef struct wb_ipc wb_ipc;
typedef struct wb_ipc_call wb_ipc_call; /* one request, from its arrival to its reply */

typedef struct wb_ipc_options {
    const char *socket_path; /* in a directory that only our uid may enter; borrowed for the call */
    uid_t allowed_uid;       /* other peers are closed out before a message of theirs is read */
    size_t max_message_bytes; /* larger ones close the connection */
    size_t max_in_hand_bytes; /* sum over all requests in hand; beyond it `on_call` sees `over` */
    uint32_t contexts;        /* requests in hand at once */
    /* Called on nng's threads: queue and return. `over`: answer at once that there is no room. */
    void (*on_call)(void *self, wb_ipc_call *call, bool over);
    /* A peer of another uid was closed out. May be NULL. */
    void (*on_foreign_peer)(void *self, uint64_t uid);
    void *self;
} wb_ipc_options;

/** Listen. The socket gets mode 0600.
 *  Errors  UNAVAILABLE the path is taken by a live listener | CONFIG the path is too long or its
 *          directory cannot be written | NO_MEMORY */
WB_MUST_USE wb_status wb_ipc_open(const wb_ipc_options *options, wb_ipc **out, wb_error *err);

/** The request's bytes, borrowed until wb_ipc_answer. */
wb_slice wb_ipc_request(const wb_ipc_call *call);
/** A number in [0, contexts) that no other call in hand has: for per-call scratch memory. */
uint32_t wb_ipc_slot(const wb_ipc_call *call);
/** Set the answer; it is copied, and the request's bytes are gone. Then release what the request held,
 *  and send. Without memory for the copy the call is dropped by wb_ipc_send: the client resends. */
void wb_ipc_answer(wb_ipc_call *call, wb_slice reply);
/** Send the answer and forget `call`; exactly once per call, from any thread. */
void wb_ipc_send(wb_ipc_call *call);

uint32_t wb_ipc_in_hand(const wb_ipc *ipc);
/** Stop taking new requests; those in hand may still be answered. */
void wb_ipc_stop(wb_ipc *ipc);
/** Free all; no call may be in hand any more. The nng socket itself is closed only here, at the end
 *  of the process, since nng 1.5.2 has close races. */
void wb_ipc_close(wb_ipc *ipc);

#endif
