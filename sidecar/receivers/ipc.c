/* SPDX-License-Identifier: Apache-2.0 */
/* One REP socket and a fixed number of contexts. A context cycles: receive (nng waits), in hand (a
 * worker and the writer have it), send (nng writes the reply), receive again. A client that does not
 * read its replies blocks only its own pipe; a client that dies mid-message is nng's to clean up. When
 * all contexts are in hand nng stops reading from the pipes, so a flood is held in the clients.
 *
 * The point of acknowledgement is wb_ipc_send: nothing is answered by the receiver itself. */
#include "sidecar/receivers/ipc.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/transport/ipc/ipc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef enum call_state { CALL_IDLE, CALL_RECEIVING, CALL_IN_HAND, CALL_SENDING } call_state;

struct wb_ipc_call {
    wb_ipc *ipc;
    nng_ctx ctx;
    nng_aio *aio;
    nng_msg *message; /* the request, then the answer */
    uint32_t slot;
    _Atomic call_state state;
};

struct wb_ipc {
    wb_ipc_options options;
    nng_socket socket;
    nng_listener listener;
    wb_ipc_call *calls;
    atomic_uint in_hand;
    atomic_size_t in_hand_bytes;
    atomic_bool stopping;
};

static void receive_next(wb_ipc_call *call)
{
    if (atomic_load(&call->ipc->stopping)) {
        atomic_store(&call->state, CALL_IDLE);
        return;
    }
    atomic_store(&call->state, CALL_RECEIVING);
    nng_ctx_recv(call->ctx, call->aio);
}

static void take_in_hand(wb_ipc_call *call)
{
    wb_ipc *ipc = call->ipc;
    call->message = nng_aio_get_msg(call->aio);
    size_t len = nng_msg_len(call->message);
    size_t before = atomic_fetch_add(&ipc->in_hand_bytes, len);
    atomic_fetch_add(&ipc->in_hand, 1);
    atomic_store(&call->state, CALL_IN_HAND);
    ipc->options.on_call(ipc->options.self, call, before + len > ipc->options.max_in_hand_bytes);
}

static void on_sent(wb_ipc_call *call, int result)
{
    if (result != 0) nng_msg_free(nng_aio_get_msg(call->aio)); /* not sent: still ours */
    atomic_fetch_sub(&call->ipc->in_hand, 1);
    receive_next(call);
}

static void on_aio(void *arg)
{
    wb_ipc_call *call = arg;
    int result = nng_aio_result(call->aio);
    if (atomic_load(&call->state) == CALL_SENDING)
        on_sent(call, result);
    else if (result == 0)
        take_in_hand(call);
    else if (result == NNG_ECLOSED || result == NNG_ECANCELED)
        atomic_store(&call->state, CALL_IDLE);
    else
        receive_next(call);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    wb_ipc *ipc = arg;
    uint64_t uid = UINT64_MAX;
    (void)event; /* only ADD_PRE is asked for: before the first message is read */
    int rv = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid);
    if (rv == 0 && uid == ipc->options.allowed_uid) return;
    nng_pipe_close(pipe);
    if (ipc->options.on_foreign_peer) ipc->options.on_foreign_peer(ipc->options.self, uid);
}

static wb_status fail_nng(wb_error *err, wb_status status, const char *what, int rv)
{
    return wb_fail(err, status, "%s: %s", what, nng_strerror(rv));
}

static wb_status listen_on(wb_ipc *ipc, wb_error *err)
{
    char url[256];
    int len = snprintf(url, sizeof url, "ipc://%s", ipc->options.socket_path);
    if (len < 0 || (size_t)len >= sizeof url || (size_t)len - 6 > 107) /* sun_path holds 108 */
        return wb_fail(err, WB_ERR_CONFIG, "socket path is longer than 107 bytes: %s",
                       ipc->options.socket_path);
    int rv = nng_listener_create(&ipc->listener, ipc->socket, url);
    if (rv != 0) return fail_nng(err, WB_ERR_CONFIG, "ipc listener", rv);
    rv = nng_listener_set_int(ipc->listener, NNG_OPT_IPC_PERMISSIONS, S_IRUSR | S_IWUSR);
    if (rv != 0) return fail_nng(err, WB_ERR_CONFIG, "ipc socket mode", rv);
    rv = nng_listener_set_size(ipc->listener, NNG_OPT_RECVMAXSZ, ipc->options.max_message_bytes);
    if (rv != 0) return fail_nng(err, WB_ERR_CONFIG, "ipc message limit", rv);
    rv = nng_listener_start(ipc->listener, 0);
    if (rv == NNG_EADDRINUSE)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "another sidecar listens on %s",
                       ipc->options.socket_path);
    if (rv != 0) return fail_nng(err, WB_ERR_CONFIG, ipc->options.socket_path, rv);
    return WB_OK;
}

static wb_status open_calls(wb_ipc *ipc, wb_error *err)
{
    ipc->calls = calloc(ipc->options.contexts, sizeof *ipc->calls);
    if (!ipc->calls) return wb_fail(err, WB_ERR_NO_MEMORY, "ipc contexts");
    for (uint32_t i = 0; i < ipc->options.contexts; i++) {
        wb_ipc_call *call = &ipc->calls[i];
        call->ipc = ipc;
        call->slot = i;
        int rv = nng_ctx_open(&call->ctx, ipc->socket);
        if (rv == 0) rv = nng_aio_alloc(&call->aio, on_aio, call);
        if (rv != 0) return fail_nng(err, WB_ERR_NO_MEMORY, "ipc context", rv);
    }
    return WB_OK;
}

wb_status wb_ipc_open(const wb_ipc_options *options, wb_ipc **out, wb_error *err)
{
    wb_ipc *ipc = calloc(1, sizeof *ipc);
    if (!ipc) return wb_fail(err, WB_ERR_NO_MEMORY, "ipc receiver");
    ipc->options = *options;
    int rv = nng_rep0_open(&ipc->socket);
    if (rv != 0) {
        free(ipc);
        return fail_nng(err, WB_ERR_NO_MEMORY, "ipc socket", rv);
    }
    rv = nng_pipe_notify(ipc->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, ipc);
    wb_status status = rv == 0 ? WB_OK : fail_nng(err, WB_ERR_NO_MEMORY, "ipc pipe check", rv);
    if (status == WB_OK) status = open_calls(ipc, err);
    if (status == WB_OK) status = listen_on(ipc, err);
    if (status != WB_OK) {
        wb_ipc_close(ipc);
        return status;
    }
    for (uint32_t i = 0; i < options->contexts; i++) receive_next(&ipc->calls[i]);
    *out = ipc;
    return WB_OK;
}

wb_slice wb_ipc_request(const wb_ipc_call *call)
{
    return wb_slice_of(nng_msg_body(call->message), nng_msg_len(call->message));
}

uint32_t wb_ipc_slot(const wb_ipc_call *call) { return call->slot; }

void wb_ipc_answer(wb_ipc_call *call, wb_slice reply)
{
    WB_ASSERT(call->message && atomic_load(&call->state) == CALL_IN_HAND);
    atomic_fetch_sub(&call->ipc->in_hand_bytes, nng_msg_len(call->message));
    nng_msg_clear(call->message); /* the same message carries the answer back */
    if (nng_msg_append(call->message, reply.ptr, reply.len) == 0) return;
    nng_msg_free(call->message);
    call->message = NULL;
}

void wb_ipc_send(wb_ipc_call *call)
{
    nng_msg *msg = call->message;
    call->message = NULL;
    atomic_store(&call->state, CALL_SENDING);
    if (!msg) {
        atomic_fetch_sub(&call->ipc->in_hand, 1);
        receive_next(call);
        return;
    }
    nng_aio_set_msg(call->aio, msg);
    nng_ctx_send(call->ctx, call->aio);
}

uint32_t wb_ipc_in_hand(const wb_ipc *ipc) { return atomic_load(&ipc->in_hand); }

void wb_ipc_stop(wb_ipc *ipc)
{
    atomic_store(&ipc->stopping, true);
    for (uint32_t i = 0; i < ipc->options.contexts; i++)
        if (atomic_load(&ipc->calls[i].state) == CALL_RECEIVING) nng_aio_cancel(ipc->calls[i].aio);
}

void wb_ipc_close(wb_ipc *ipc)
{
    if (!ipc) return;
    atomic_store(&ipc->stopping, true);
    nng_close(ipc->socket);
    for (uint32_t i = 0; ipc->calls && i < ipc->options.contexts; i++) {
        if (ipc->calls[i].aio) {
            nng_aio_stop(ipc->calls[i].aio);
            nng_aio_free(ipc->calls[i].aio);
        }
        if (ipc->calls[i].message) nng_msg_free(ipc->calls[i].message);
    }
    free(ipc->calls);
    free(ipc);
}
