/* SPDX-License-Identifier: Apache-2.0 */
/* nng's REQ protocol with one context per call: nng matches requests and replies, and sends a request
 * again when the connection that had it is lost. What it does not know is that a sidecar may ask for
 * patience, so each call is a small machine that nng's callbacks drive:
 *
 *     SENDING --taken--> RECEIVING --OK, refused ...--> OVER
 *        ^                   |
 *        +---- RESTING <-----+  FULL, UNAVAILABLE, TIMEOUT: again after retry_after_ms
 *     any of them, when its time is over: OVER, UNAVAILABLE
 *
 * nng's own timer for sending again is off: on a Unix socket nothing is lost but with the connection.
 *
 * nng connects again by itself, but not always: a peer that is gone when the handshake is sent ends its dialer
 * for good (EPIPE becomes NNG_ECLOSED, which the dialer takes for its own end: dialer_connect_cb of nng 1.5.2,
 * the one that Debian 12 has, and of later ones). A sidecar that is killed as a client connects is just that.
 * Nothing tells of it. So while there is no connection a timer replaces the dialer, less and less often; one
 * that was alive is no worse off with that.
 *
 * An aio cannot be freed in its own callback, and contexts of nng 1.5.2 are best kept open, so calls
 * that are over go to a free list with both and serve again; there are as many as ever waited at
 * once, WB_LINK_CALLS_MAX at most. A context that was given up may still get its answer; its next
 * request cancels that, as the protocol says.
 *
 * A call has two holders, who waits and the machine; it is free when both have let go. One mutex; nothing
 * blocks under it but nng's own short locks. */
#include "client/link.h"

#include "core/clock.h"
#include "core/ids.h"
#include "proto/waybill/v1/ipc.pb-c.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SUN_PATH = 108,
    RECONNECT_FIRST_MS = 10,
    RECONNECT_MAX_MS = 500,
    REDIAL_FIRST_MS = 1000, /* longer than a dialer that is alive rests; doubled each time */
    REDIAL_MAX_MS = 4000,
    REST_FIRST_MS = 10, /* doubled each time, when the sidecar names no time */
    REST_MAX_MS = 500,
    PROTOCOL = 1,
};

typedef enum step { SENDING, RECEIVING, RESTING, OVER } step;

struct wb_call {
    _Atomic(wb_link *) link; /* what a callback reads first, before it can lock */
    wb_call *next;           /* in link->spent */
    wb_call *all;            /* in link->calls */
    nng_ctx ctx;
    nng_aio *aio;
    step step;
    uint8_t *packed; /* owned */
    size_t len;
    wb_id id;
    uint64_t deadline_mono;
    uint32_t rests, holders;
    wb_status status; /* once OVER */
    const char *why;  /* a literal, when there is no reply */
    void (*on_reply)(void *arg, const Waybill__V1__Reply *reply);
    void *arg;
    Waybill__V1__Reply *reply;
};

struct wb_link {
    _Atomic(wb_link *) self; /* what on_pipe reads first, as of a call */
    nng_socket socket;
    char url[SUN_PATH + sizeof "ipc://"];
    nng_dialer dialer; /* the redialler's alone, once it runs */
    nng_aio *redial;
    pthread_mutex_t lock;
    pthread_cond_t over; /* of any call */
    wb_call *calls, *spent;
    uint32_t n_calls, n_waiting;
    size_t waiting_bytes;
    uint32_t pipes, redial_ms;
    bool redialling; /* its timer runs, or its callback */
    bool ending;
    void (*on_connected)(void *ctx, wb_link *link);
    void *ctx;
};

static uint64_t mono(void) { return wb_mono(&wb_system_clock); }

/* ---- the machine; the lock is held, but in nng's callback ---- */

static void let_go(wb_call *call)
{
    wb_link *link = call->link;
    if (--call->holders > 0) return;
    if (call->reply) waybill__v1__reply__free_unpacked(call->reply, NULL);
    call->reply = NULL;
    call->next = link->spent;
    link->spent = call;
}

static void end_call(wb_call *call, wb_status status, const char *why)
{
    wb_link *link = call->link;
    call->step = OVER;
    call->status = status;
    call->why = why;
    free(call->packed);
    call->packed = NULL;
    link->n_waiting--;
    link->waiting_bytes -= call->len;
    pthread_cond_broadcast(&link->over);
    let_go(call);
}

/* Milliseconds until the call's time is over; 0: it is. */
static nng_duration left_ms(const wb_call *call)
{
    uint64_t now = mono();
    if (now >= call->deadline_mono) return 0;
    return (nng_duration)((call->deadline_mono - now + WB_NS_PER_MS - 1) / WB_NS_PER_MS);
}

static void send_it(wb_call *call)
{
    nng_msg *msg = NULL;
    nng_duration left = left_ms(call);
    if (left == 0) {
        end_call(call, WB_ERR_UNAVAILABLE, "no sidecar answered in time");
        return;
    }
    if (nng_msg_alloc(&msg, call->len) != 0) {
        end_call(call, WB_ERR_NO_MEMORY, "no memory for the request");
        return;
    }
    memcpy(nng_msg_body(msg), call->packed, call->len);
    call->step = SENDING;
    nng_aio_set_msg(call->aio, msg);
    nng_aio_set_timeout(call->aio, left);
    nng_ctx_send(call->ctx, call->aio);
}

static void receive_it(wb_call *call)
{
    nng_duration left = left_ms(call);
    call->step = RECEIVING;
    nng_aio_set_timeout(call->aio, left > 0 ? left : 1);
    nng_ctx_recv(call->ctx, call->aio);
}

static bool asks_for_patience(wb_status status)
{
    return status == WB_ERR_FULL || status == WB_ERR_UNAVAILABLE || status == WB_ERR_TIMEOUT;
}

/* False: the time is over before it may be asked again. */
static bool rest(wb_call *call, const Waybill__V1__Reply *reply)
{
    uint32_t own = REST_FIRST_MS << (call->rests < 6 ? call->rests : 6);
    uint32_t wait = reply->retry_after_ms > 0 ? reply->retry_after_ms : own;
    if (wait > REST_MAX_MS && reply->retry_after_ms == 0) wait = REST_MAX_MS;
    if ((uint64_t)wait >= (uint64_t)left_ms(call)) return false;
    call->rests++;
    call->step = RESTING;
    nng_sleep_aio((nng_duration)wait, call->aio);
    return true;
}

/* A sidecar that could not even read or pack says so without an id, never with OK. */
static bool is_of(const wb_call *call, const Waybill__V1__Reply *reply)
{
    if (reply->id.len == 0) return reply->status != WAYBILL__V1__STATUS__STATUS_OK;
    return reply->id.len == sizeof call->id.b &&
           memcmp(reply->id.data, call->id.b, sizeof call->id.b) == 0;
}

static void take_reply(wb_call *call, nng_msg *msg)
{
    Waybill__V1__Reply *reply =
        waybill__v1__reply__unpack(NULL, nng_msg_len(msg), nng_msg_body(msg));
    nng_msg_free(msg);
    if (!reply) {
        end_call(call, WB_ERR_MALFORMED, "what answers on the socket is no sidecar");
    } else if (!is_of(call, reply)) {
        waybill__v1__reply__free_unpacked(reply, NULL);
        end_call(call, WB_ERR_MALFORMED, "the answer is to another request");
    } else if (asks_for_patience((wb_status)reply->status) && rest(call, reply)) {
        waybill__v1__reply__free_unpacked(reply, NULL);
    } else {
        call->reply = reply;
        if (call->on_reply) call->on_reply(call->arg, reply);
        end_call(call, (wb_status)reply->status, NULL);
    }
}

static void on_event(void *arg)
{
    wb_call *call = arg;
    wb_link *link = call->link;
    pthread_mutex_lock(&link->lock);
    int rv = nng_aio_result(call->aio);
    nng_msg *msg = nng_aio_get_msg(call->aio);
    if (call->step == SENDING && rv != 0 && msg) nng_msg_free(msg); /* not taken: still ours */
    nng_aio_set_msg(call->aio, NULL);
    if (link->ending) rv = rv ? rv : NNG_ECLOSED;
    if (rv == 0 && call->step == SENDING)
        receive_it(call);
    else if (rv == 0 && call->step == RECEIVING)
        take_reply(call, msg);
    else if (rv == 0)
        send_it(call);
    else
        end_call(call, rv == NNG_ENOMEM ? WB_ERR_NO_MEMORY : WB_ERR_UNAVAILABLE,
                 rv == NNG_ETIMEDOUT ? "no sidecar answered in time" : nng_strerror(rv));
    pthread_mutex_unlock(&link->lock);
}

/* ---- calls ---- */

static wb_call *new_call(wb_link *link)
{
    wb_call *call = link->spent;
    if (call) {
        link->spent = call->next;
        return call;
    }
    if (link->n_calls >= WB_LINK_CALLS_MAX) return NULL;
    call = calloc(1, sizeof *call);
    if (!call) return NULL;
    call->link = link;
    if (nng_aio_alloc(&call->aio, on_event, call) != 0) {
        free(call);
        return NULL;
    }
    if (nng_ctx_open(&call->ctx, link->socket) != 0) {
        nng_aio_free(call->aio);
        free(call);
        return NULL;
    }
    (void)nng_ctx_set_ms(call->ctx, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    call->all = link->calls;
    link->calls = call;
    link->n_calls++;
    return call;
}

typedef struct packed {
    uint8_t *bytes; /* owned */
    size_t len;
    wb_id id;
} packed;

static wb_status pack(Waybill__V1__Request *request, packed *out, wb_error *err)
{
    out->id = wb_id_new();
    request->id = (ProtobufCBinaryData){.len = sizeof out->id.b, .data = out->id.b};
    request->protocol = PROTOCOL;
    out->len = waybill__v1__request__get_packed_size(request);
    out->bytes = out->len <= WB_LINK_BYTES_MAX ? malloc(out->len) : NULL;
    if (!out->bytes) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the request");
    (void)waybill__v1__request__pack(request, out->bytes);
    return WB_OK;
}

static wb_status admit(wb_link *link, size_t len, wb_call **out, wb_error *err)
{
    if (link->ending) return wb_fail(err, WB_ERR_UNAVAILABLE, "the client is closed");
    if (link->n_waiting >= WB_LINK_CALLS_MAX || len > WB_LINK_BYTES_MAX - link->waiting_bytes)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "too many requests wait for the sidecar");
    *out = new_call(link);
    return *out ? WB_OK : wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a call");
}

/* `how` has what the two public forms differ in. */
static wb_status begin(wb_link *link, Waybill__V1__Request *request, uint32_t timeout_ms,
                       const wb_call *how, wb_call **out, wb_error *err)
{
    packed request_bytes;
    wb_call *call = NULL;
    WB_TRY(pack(request, &request_bytes, err));
    pthread_mutex_lock(&link->lock);
    wb_status status = admit(link, request_bytes.len, &call, err);
    if (status == WB_OK) {
        call->packed = WB_STEAL(request_bytes.bytes);
        call->len = request_bytes.len;
        call->id = request_bytes.id;
        call->rests = 0;
        call->why = NULL;
        call->holders = how->holders;
        call->on_reply = how->on_reply;
        call->arg = how->arg;
        call->deadline_mono = mono() + timeout_ms * WB_NS_PER_MS;
        link->n_waiting++;
        link->waiting_bytes += call->len;
        *out = call;
        send_it(call);
    }
    pthread_mutex_unlock(&link->lock);
    free(request_bytes.bytes);
    return status;
}

wb_status wb_call_begin(wb_link *link, Waybill__V1__Request *request, uint32_t timeout_ms,
                        wb_call **out, wb_error *err)
{
    return begin(link, request, timeout_ms, &(wb_call){.holders = 2}, out, err);
}

wb_status wb_call_post(wb_link *link, Waybill__V1__Request *request, uint32_t timeout_ms,
                       void (*on_reply)(void *arg, const Waybill__V1__Reply *reply), void *arg,
                       wb_error *err)
{
    wb_call *gone;
    return begin(link, request, timeout_ms,
                 &(wb_call){.holders = 1, .on_reply = on_reply, .arg = arg}, &gone, err);
}

static wb_status outcome_of(wb_call *call, Waybill__V1__Reply **reply, wb_error *err)
{
    if (call->step != OVER) return wb_fail(err, WB_ERR_UNAVAILABLE, "no sidecar answered in time");
    *reply = WB_STEAL(call->reply);
    if (call->status == WB_OK) return WB_OK;
    return wb_fail(err, call->status, "%s", *reply ? (*reply)->detail : call->why);
}

wb_status wb_call_wait(wb_call **handle, uint32_t wait_ms, Waybill__V1__Reply **reply,
                       wb_error *err)
{
    wb_call *call = WB_STEAL(*handle);
    wb_link *link = call->link;
    uint64_t until_mono = mono() + wait_ms * WB_NS_PER_MS;
    struct timespec until = {(time_t)(until_mono / WB_NS_PER_S), (long)(until_mono % WB_NS_PER_S)};
    int rv = 0;
    *reply = NULL;
    pthread_mutex_lock(&link->lock);
    while (call->step != OVER && rv == 0)
        rv = pthread_cond_clockwait(&link->over, &link->lock, CLOCK_MONOTONIC, &until);
    wb_status status = outcome_of(call, reply, err);
    let_go(call);
    pthread_mutex_unlock(&link->lock);
    return status;
}

void wb_call_leave(wb_call **handle)
{
    wb_call *call = WB_STEAL(*handle);
    wb_link *link = call->link;
    pthread_mutex_lock(&link->lock);
    let_go(call);
    pthread_mutex_unlock(&link->lock);
}

void wb_reply_free(Waybill__V1__Reply *reply)
{
    if (reply) waybill__v1__reply__free_unpacked(reply, NULL);
}

/* ---- the connection ---- */

/* Under the lock. */
static void watch_dialer(wb_link *link)
{
    if (link->ending || link->redialling) return;
    link->redialling = true;
    link->redial_ms = REDIAL_FIRST_MS;
    nng_sleep_aio(REDIAL_FIRST_MS, link->redial);
}

static void on_redial(void *arg)
{
    wb_link *link = atomic_load(&((wb_link *)arg)->self);
    pthread_mutex_lock(&link->lock);
    link->redialling = link->pipes == 0 && !link->ending;
    bool again = link->redialling;
    pthread_mutex_unlock(&link->lock);
    if (!again) return;
    (void)nng_dialer_close(link->dialer);
    (void)nng_dial(link->socket, link->url, &link->dialer, NNG_FLAG_NONBLOCK); /* else next time */
    pthread_mutex_lock(&link->lock);
    if (link->redial_ms < REDIAL_MAX_MS) link->redial_ms *= 2;
    if (!link->ending) nng_sleep_aio((nng_duration)link->redial_ms, link->redial);
    pthread_mutex_unlock(&link->lock);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    wb_link *link = atomic_load(&((wb_link *)arg)->self);
    (void)pipe;
    pthread_mutex_lock(&link->lock);
    if (event == NNG_PIPE_EV_ADD_POST) link->pipes++, link->redial_ms = REDIAL_FIRST_MS;
    if (event == NNG_PIPE_EV_REM_POST && link->pipes > 0) link->pipes--;
    if (link->pipes == 0) watch_dialer(link);
    bool tell = event == NNG_PIPE_EV_ADD_POST && link->on_connected && !link->ending;
    pthread_mutex_unlock(&link->lock);
    if (tell) link->on_connected(link->ctx, link);
}

bool wb_link_is_connected(wb_link *link)
{
    pthread_mutex_lock(&link->lock);
    bool connected = link->pipes > 0;
    pthread_mutex_unlock(&link->lock);
    return connected;
}

bool wb_link_is_idle(wb_link *link)
{
    pthread_mutex_lock(&link->lock);
    bool idle = link->n_waiting == 0;
    pthread_mutex_unlock(&link->lock);
    return idle;
}

static int dial(wb_link *link)
{
    int rv = nng_aio_alloc(&link->redial, on_redial, link);
    if (rv == 0) rv = nng_socket_set_size(link->socket, NNG_OPT_RECVMAXSZ, WB_LINK_REPLY_MAX);
    if (rv == 0) rv = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMINT, RECONNECT_FIRST_MS);
    if (rv == 0) rv = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    if (rv == 0) rv = nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_POST, on_pipe, link);
    if (rv == 0) rv = nng_pipe_notify(link->socket, NNG_PIPE_EV_REM_POST, on_pipe, link);
    if (rv == 0) rv = nng_dial(link->socket, link->url, &link->dialer, NNG_FLAG_NONBLOCK);
    if (rv != 0) return rv;
    pthread_mutex_lock(&link->lock);
    if (link->pipes == 0) watch_dialer(link);
    pthread_mutex_unlock(&link->lock);
    return 0;
}

wb_status wb_link_open(const char *path, void (*on_connected)(void *ctx, wb_link *link), void *ctx,
                       wb_link **out, wb_error *err)
{
    if (strlen(path) >= SUN_PATH)
        return wb_fail(err, WB_ERR_CONFIG, "%.60s...: too long for a socket", path);
    wb_link *link = calloc(1, sizeof *link);
    if (!link) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a client");
    (void)pthread_mutex_init(&link->lock, NULL);
    (void)pthread_cond_init(&link->over, NULL);
    link->on_connected = on_connected;
    link->ctx = ctx;
    (void)snprintf(link->url, sizeof link->url, "ipc://%s", path);
    int rv = nng_req0_open(&link->socket);
    atomic_store(&link->self, link);
    if (rv == 0 && (rv = dial(link)) != 0) (void)nng_close(link->socket);
    if (rv == 0) {
        *out = link;
        return WB_OK;
    }
    nng_aio_free(link->redial);
    (void)pthread_cond_destroy(&link->over);
    (void)pthread_mutex_destroy(&link->lock);
    free(link);
    return wb_fail(err, rv == NNG_ENOMEM ? WB_ERR_NO_MEMORY : WB_ERR_CONFIG, "%.100s: %s", path,
                   nng_strerror(rv));
}

void wb_link_stop(wb_link *link)
{
    pthread_mutex_lock(&link->lock);
    bool was_ending = link->ending;
    link->ending = true;
    pthread_mutex_unlock(&link->lock);
    if (was_ending) return;
    nng_aio_stop(link->redial);
    (void)nng_close(link->socket); /* every send and receive ends */
    for (wb_call *call = link->calls; call; call = call->all)
        nng_aio_stop(call->aio); /* a rest ends too; the list grows no more */
}

void wb_link_free(wb_link *link)
{
    if (!link) return;
    wb_link_stop(link);
    while (link->calls) {
        wb_call *call = link->calls;
        link->calls = call->all;
        nng_aio_free(call->aio);
        wb_reply_free(call->reply);
        free(call->packed);
        free(call);
    }
    nng_aio_free(link->redial);
    (void)pthread_cond_destroy(&link->over);
    (void)pthread_mutex_destroy(&link->lock);
    free(link);
}
