/* SPDX-License-Identifier: Apache-2.0 */
/* The server half of nng's REQ/REP protocol over nng's own Unix-socket streams.
 *
 * Why not nng's REP socket: in nng 1.5.2, the one that Debian 12 has, a client that hangs up during
 * the eight-byte handshake stops the listener for good (nanomsg/nng issue 1518). Any process that
 * connects and leaves would silence the sidecar. nng's byte streams below the socket layer do not have
 * that fault, know the peer's uid, and let us bound what a client may take before taking it. Clients
 * cannot tell the difference: the wire is nng's (sidecar/receivers/framing.h). A reply repeats the
 * request id.
 *
 * A connection reads one message after the other: handshake, head (9 bytes), body, and again. It reads into
 * a small buffer of its own, since each turn of nng's costs more than a small message: one turn takes
 * all that came. What of a body is not there yet is read straight to its place. Before the body a
 * connection takes a slot and the body's bytes out of what all share; if there is none it parks,
 * reading nothing, until one is given back: a flood stays in the clients' own socket buffers, but for
 * those few bytes. Replies queue per connection and leave in the order in which they were made, as many
 * at once as one call takes. Whoever stalls amid a message, or lets replies lie, is closed after
 * stall_ms and gives back what it held.
 *
 * Memory of a connection is freed by wb_ipc_run, when it is closed and nothing refers to it: its
 * reading, its writing and each of its calls in hand count one. One mutex guards all of this file's
 * state; nothing blocks under it. The point of acknowledgement is wb_ipc_send. */
#include "sidecar/receivers/ipc.h"

#include "sidecar/receivers/framing.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/transport/ipc/ipc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HANDSHAKE = WB_FRAMING_HANDSHAKE,
    HEAD = WB_FRAMING_HEAD,
    REQUEST_ID = WB_FRAMING_REQUEST_ID,
    RETRY_ACCEPT_MS = 100, /* after EMFILE and the like */
    IN_BYTES = 4096,       /* of each connection: some small messages */
    REPLIES_AT_ONCE = 8,   /* what an nng_aio takes */
};

typedef struct connection connection;

struct wb_ipc_call {
    wb_ipc *ipc;
    connection *from;
    wb_ipc_call *next; /* in the free list or in the connection's replies */
    uint32_t slot;
    uint8_t *bytes; /* the message; then the frame of its answer */
    size_t len;
    size_t held; /* of max_in_hand_bytes */
};

typedef enum reading { READ_HANDSHAKE, READ_HEAD, READ_BODY, READ_PARKED } reading;

struct connection {
    _Atomic(wb_ipc *) ipc;   /* what a callback reads first, before it can lock */
    connection *prev, *next; /* in ipc->live, or next alone in ipc->ended */
    connection *next_parked;
    nng_stream *stream;
    nng_aio *rx, *tx;
    uint64_t uid, serial;
    uint32_t refs, calls;
    bool closed, writing, greeted;
    const char *fault; /* why it was closed, static; NULL: not by us */
    reading reading;
    uint8_t in[IN_BYTES]; /* [in_at, in_len) came and was not looked at yet */
    size_t in_at, in_len;
    uint64_t body_len;
    wb_ipc_call *arriving;
    size_t got;  /* of its body */
    bool direct; /* what is being received goes there */
    wb_ipc_call *first_reply, **last_reply;
    size_t sent;
};

struct wb_ipc {
    _Atomic(wb_ipc *) self; /* as connection.ipc, for the listener's callbacks */
    wb_ipc_options options;
    nng_stream_listener *listener;
    nng_aio *accept, *pause;
    pthread_mutex_t lock;
    pthread_cond_t ended_wake;
    wb_ipc_call *calls, *free_calls;
    size_t held_bytes;
    uint64_t serials;
    uint32_t in_hand, n_live;
    uint32_t taken; /* slots */
    connection *live, *ended;
    connection *first_parked, **last_parked;
    bool stopping, closing;
};

/* ---- under the lock ---- */

static void unref(connection *c)
{
    wb_ipc *ipc = c->ipc;
    if (--c->refs > 0 || !c->closed) return;
    if (c->prev)
        c->prev->next = c->next;
    else
        ipc->live = c->next;
    if (c->next) c->next->prev = c->prev;
    ipc->n_live--;
    c->next = ipc->ended;
    ipc->ended = c;
    pthread_cond_signal(&ipc->ended_wake);
}

static void give_back_bytes(wb_ipc_call *call)
{
    call->ipc->held_bytes -= call->held;
    call->held = 0;
}

static void release_call(wb_ipc_call *call)
{
    wb_ipc *ipc = call->ipc;
    connection *c = call->from;
    give_back_bytes(call);
    free(call->bytes);
    call->bytes = NULL;
    call->from = NULL;
    call->next = ipc->free_calls;
    ipc->free_calls = call;
    ipc->taken--;
    c->calls--;
}

static void close_connection(connection *c)
{
    if (c->closed) return;
    c->closed = true;
    nng_stream_close(c->stream); /* both aios end with an error, on other threads */
}

static void receive(connection *c, void *into, size_t len, uint32_t timeout_ms)
{
    nng_iov iov = {.iov_buf = into, .iov_len = len};
    (void)nng_aio_set_iov(c->rx, 1, &iov);
    nng_aio_set_timeout(c->rx, timeout_ms > 0 ? (nng_duration)timeout_ms : NNG_DURATION_INFINITE);
    nng_stream_recv(c->stream, c->rx);
}

/* Whatever comes next. An idle client may stay; one that stops amid a message may not. */
static void receive_more(connection *c)
{
    uint32_t stall_ms = c->ipc->options.stall_ms;
    c->in_len -= c->in_at;
    memmove(c->in, c->in + c->in_at, c->in_len);
    c->in_at = 0;
    c->direct = c->reading == READ_BODY;
    if (c->direct) /* the buffer is empty: a body takes all of it */
        receive(c, c->arriving->bytes + c->got, c->arriving->len - c->got, stall_ms);
    else
        receive(c, c->in + c->in_len, IN_BYTES - c->in_len,
                c->reading == READ_HEAD && c->in_len == 0 ? 0 : stall_ms);
}

/* The last quarter of the slots is for connections that have none: however many others send without end,
 * whoever sends one request is read at once. */
static bool has_room(const connection *c)
{
    const wb_ipc *ipc = c->ipc;
    uint32_t slots = ipc->options.contexts;
    return ipc->free_calls && c->calls < (slots + 1) / 2 &&
           (c->calls == 0 || ipc->taken < slots - slots / 4) &&
           c->body_len <= ipc->options.max_in_hand_bytes - ipc->held_bytes;
}

/* Take what the message needs, for which there is room; false: no memory. */
static bool take_slot(connection *c)
{
    wb_ipc *ipc = c->ipc;
    wb_ipc_call *call = ipc->free_calls;
    uint8_t *bytes = malloc((size_t)c->body_len);
    if (!bytes) return false;
    ipc->free_calls = call->next;
    ipc->taken++;
    ipc->held_bytes += (size_t)c->body_len;
    call->held = call->len = (size_t)c->body_len;
    call->bytes = bytes;
    call->from = c;
    c->arriving = call;
    c->calls++;
    return true;
}

static void park(connection *c)
{
    c->reading = READ_PARKED;
    c->next_parked = NULL;
    *c->ipc->last_parked = c;
    c->ipc->last_parked = &c->next_parked;
}

/* True: its body may be taken. False: it is parked, or *fault. To wait for memory would be to wait for nothing
 * in particular; a client that is closed out comes back and sends again. */
static bool begin_body(connection *c, const char **fault)
{
    if (c->ipc->stopping || !has_room(c)) {
        park(c);
        return false;
    }
    if (!take_slot(c)) {
        *fault = "no memory for its message";
        return false;
    }
    c->reading = READ_BODY;
    c->got = 0;
    return true;
}

/* Take from the buffer what is there of the body; hand the message over when it is whole. */
static bool take_body(connection *c, const char **fault)
{
    wb_ipc_call *call = c->arriving;
    size_t n = c->in_len - c->in_at, missing = call->len - c->got;
    if (n > missing) n = missing;
    memcpy(call->bytes + c->got, c->in + c->in_at, n);
    c->in_at += n;
    c->got += n;
    if (c->got < call->len) return false;
    *fault = wb_framing_check_message(call->bytes);
    if (*fault) return false;
    c->arriving = NULL;
    c->reading = READ_HEAD;
    c->refs++;
    c->ipc->in_hand++;
    c->ipc->options.on_call(c->ipc->options.self, call);
    return true;
}

/* One step; false when more must come first, when it is parked, or *fault. */
static bool take_part(connection *c, const char **fault)
{
    const uint8_t *at = c->in + c->in_at;
    size_t there = c->in_len - c->in_at;
    switch (c->reading) {
    case READ_HANDSHAKE:
        if (there < HANDSHAKE) return false;
        *fault = wb_framing_check_handshake(at);
        c->in_at += HANDSHAKE;
        c->reading = READ_HEAD;
        return !*fault;
    case READ_HEAD:
        if (there < HEAD) return false;
        *fault = wb_framing_read_head(at, c->ipc->options.max_message_bytes, &c->body_len);
        c->in_at += HEAD;
        return !*fault && begin_body(c, fault);
    case READ_BODY: return take_body(c, fault);
    case READ_PARKED: break;
    }
    return false;
}

/* All that is in the buffer, then wait for more, unless it is parked. Returns why it must be closed, or
 * NULL. */
static const char *go_on_reading(connection *c)
{
    const char *fault = NULL;
    while (take_part(c, &fault)) continue;
    if (!fault && c->reading != READ_PARKED) receive_more(c);
    return fault;
}

static void drop_arriving(connection *c)
{
    if (c->arriving) release_call(c->arriving);
    c->arriving = NULL;
}

static void drop_replies(connection *c)
{
    while (c->first_reply) {
        wb_ipc_call *call = c->first_reply;
        c->first_reply = call->next;
        release_call(call);
        c->ipc->in_hand--;
        unref(c);
    }
    c->last_reply = &c->first_reply;
}

/* Reading is over, for that reason. */
static void end_reading(connection *c, const char *fault)
{
    if (!c->fault) c->fault = fault;
    close_connection(c);
    drop_arriving(c);
    if (!c->writing) drop_replies(c);
    unref(c);
}

/* Something was given back: whoever waited longest goes first. One that cannot yet is put last. */
static void unpark(wb_ipc *ipc)
{
    connection *waiting = ipc->first_parked;
    ipc->first_parked = NULL;
    ipc->last_parked = &ipc->first_parked;
    while (waiting) {
        connection *c = waiting;
        const char *fault = NULL;
        waiting = c->next_parked;
        if (!c->closed && begin_body(c, &fault)) fault = go_on_reading(c);
        if (c->closed || fault) end_reading(c, fault);
    }
}

static void write_next(connection *c)
{
    nng_iov iov[REPLIES_AT_ONCE];
    unsigned n = 0;
    if (!c->greeted)
        iov[n++] = (nng_iov){.iov_buf = (void *)wb_framing_greeting, .iov_len = HANDSHAKE};
    for (wb_ipc_call *call = c->greeted ? c->first_reply : NULL; call && n < REPLIES_AT_ONCE;
         call = call->next)
        iov[n++] = (nng_iov){.iov_buf = call->bytes, .iov_len = call->len};
    if (n == 0) {
        c->writing = false;
        unref(c);
        return;
    }
    iov[0].iov_buf = (uint8_t *)iov[0].iov_buf + c->sent;
    iov[0].iov_len -= c->sent;
    (void)nng_aio_set_iov(c->tx, n, iov);
    nng_aio_set_timeout(c->tx, (nng_duration)c->ipc->options.stall_ms);
    nng_stream_send(c->stream, c->tx);
}

static void start_writing(connection *c)
{
    if (c->writing) return;
    c->writing = true;
    c->refs++;
    write_next(c);
}

/* ---- nng's callbacks ---- */

static void on_received(void *arg)
{
    connection *c = arg;
    wb_ipc *ipc = c->ipc;
    const char *fault = NULL;
    pthread_mutex_lock(&ipc->lock);
    int rv = nng_aio_result(c->rx);
    size_t n = rv == 0 ? nng_aio_count(c->rx) : 0;
    if (c->direct)
        c->got += n;
    else
        c->in_len += n;
    c->direct = false;
    if (rv == NNG_ETIMEDOUT) fault = "stopped amid a message";
    if (rv == 0 && !c->closed && ipc->stopping) {
        drop_arriving(c); /* what is in hand is still answered; this one is sent again later */
        park(c);
    } else if (rv == 0 && !c->closed) {
        fault = go_on_reading(c);
    }
    if (rv != 0 || c->closed || fault) {
        end_reading(c, fault);
        unpark(ipc);
    }
    pthread_mutex_unlock(&ipc->lock);
}

static void part_sent(connection *c)
{
    c->sent += nng_aio_count(c->tx);
    if (!c->greeted) {
        if (c->sent < HANDSHAKE) return;
        c->greeted = true;
        c->sent = 0;
        return;
    }
    bool gave_back = false;
    while (c->first_reply && c->sent >= c->first_reply->len) {
        wb_ipc_call *call = c->first_reply;
        c->sent -= call->len;
        c->first_reply = call->next;
        release_call(call);
        c->ipc->in_hand--;
        unref(c);
        gave_back = true;
    }
    if (!c->first_reply) c->last_reply = &c->first_reply;
    if (gave_back) unpark(c->ipc);
}

static void on_sent(void *arg)
{
    connection *c = arg;
    wb_ipc *ipc = c->ipc;
    pthread_mutex_lock(&ipc->lock);
    int rv = nng_aio_result(c->tx);
    if (rv == 0 && !c->closed) {
        part_sent(c);
        write_next(c);
    } else {
        if (rv == NNG_ETIMEDOUT && !c->fault) c->fault = "reads no replies";
        close_connection(c);
        drop_replies(c);
        unpark(ipc);
        c->writing = false;
        unref(c);
    }
    pthread_mutex_unlock(&ipc->lock);
}

/* ---- accepting ---- */

static void free_connection(connection *c)
{
    if (c->rx) nng_aio_free(c->rx);
    if (c->tx) nng_aio_free(c->tx);
    nng_stream_free(c->stream);
    free(c);
}

static connection *new_connection(wb_ipc *ipc, nng_stream *stream, uint64_t uid)
{
    connection *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->uid = uid;
    c->stream = stream;
    c->last_reply = &c->first_reply;
    c->ipc = ipc;
    if (nng_aio_alloc(&c->rx, on_received, c) == 0 && nng_aio_alloc(&c->tx, on_sent, c) == 0)
        return c;
    c->stream = NULL; /* the caller keeps it */
    free_connection(c);
    return NULL;
}

static void start_connection(wb_ipc *ipc, connection *c)
{
    pthread_mutex_lock(&ipc->lock);
    c->next = ipc->live;
    if (c->next) c->next->prev = c;
    ipc->live = c;
    ipc->n_live++;
    c->serial = ++ipc->serials;
    c->refs = 1; /* reading */
    if (ipc->stopping) {
        c->closed = true;
        unref(c);
    } else {
        start_writing(c);
        c->reading = READ_HANDSHAKE;
        receive_more(c);
    }
    pthread_mutex_unlock(&ipc->lock);
}

static const char *fault_of_peer(wb_ipc *ipc, nng_stream *stream, uint64_t *uid)
{
    if (nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_UID, uid) != 0) *uid = UINT64_MAX;
    const char *fault = ipc->options.refuse_peer(ipc->options.self, *uid);
    if (fault) return fault;
    pthread_mutex_lock(&ipc->lock);
    bool full = ipc->n_live >= ipc->options.connections;
    pthread_mutex_unlock(&ipc->lock);
    return full ? "too many clients" : NULL;
}

static void accept_next(wb_ipc *ipc)
{
    pthread_mutex_lock(&ipc->lock);
    if (!ipc->stopping) nng_stream_listener_accept(ipc->listener, ipc->accept);
    pthread_mutex_unlock(&ipc->lock);
}

static void take_client(wb_ipc *ipc, nng_stream *stream)
{
    uint64_t uid;
    const char *fault = fault_of_peer(ipc, stream, &uid);
    connection *c = fault ? NULL : new_connection(ipc, stream, uid);
    if (c)
        start_connection(ipc, c);
    else
        nng_stream_free(stream);
    if (fault && ipc->options.on_closed_out)
        ipc->options.on_closed_out(ipc->options.self, fault, uid);
}

static void on_accepted(void *arg)
{
    wb_ipc *ipc = ((wb_ipc *)arg)->self;
    pthread_mutex_lock(&ipc->lock);
    int rv = nng_aio_result(ipc->accept);
    nng_stream *stream = rv == 0 ? nng_aio_get_output(ipc->accept, 0) : NULL;
    bool stopping = ipc->stopping || rv == NNG_ECLOSED || rv == NNG_ECANCELED;
    pthread_mutex_unlock(&ipc->lock);
    if (stream) take_client(ipc, stream);
    if (stopping) return;
    if (stream)
        accept_next(ipc);
    else
        nng_sleep_aio(RETRY_ACCEPT_MS, ipc->pause);
}

static void on_pause_over(void *arg)
{
    accept_next(((wb_ipc *)arg)->self); /* its own result does not matter: stopping does */
}

static wb_status fail_nng(wb_error *err, wb_status status, const char *what, int rv)
{
    return wb_fail(err, status, "%s: %s", what, nng_strerror(rv));
}

/* Others of the group may connect; which of them stay, refuse_peer says. */
static wb_status open_to_group(const wb_ipc *ipc, wb_error *err)
{
    const char *path = ipc->options.socket_path;
    if (ipc->options.group == (gid_t)-1) return WB_OK;
    if (lchown(path, (uid_t)-1, ipc->options.group) != 0 || chmod(path, 0660) != 0)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "ipc.group: %s cannot be given to gid %u",
                             path, (unsigned)ipc->options.group);
    return WB_OK;
}

static wb_status listen_on(wb_ipc *ipc, wb_error *err)
{
    char url[128];
    const char *path = ipc->options.socket_path;
    int len = snprintf(url, sizeof url, "ipc://%s", path);
    if (len < 0 || (size_t)len >= sizeof url || (size_t)len - 6 > 107) /* sun_path holds 108 */
        return wb_fail(err, WB_ERR_CONFIG, "socket path is longer than 107 bytes: %s", path);
    int rv = nng_stream_listener_alloc(&ipc->listener, url);
    if (rv != 0) return fail_nng(err, WB_ERR_NO_MEMORY, "ipc listener", rv);
    rv = nng_stream_listener_set_int(ipc->listener, NNG_OPT_IPC_PERMISSIONS, S_IRUSR | S_IWUSR);
    if (rv != 0) return fail_nng(err, WB_ERR_CONFIG, "ipc socket mode", rv);
    rv = nng_stream_listener_listen(ipc->listener);
    if (rv == NNG_EADDRINUSE)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "another process listens on %s", path);
    return rv == 0 ? open_to_group(ipc, err) : fail_nng(err, WB_ERR_CONFIG, path, rv);
}

static wb_status make_calls(wb_ipc *ipc, wb_error *err)
{
    uint32_t n = ipc->options.contexts;
    ipc->calls = calloc(n, sizeof *ipc->calls);
    if (!ipc->calls) return wb_fail(err, WB_ERR_NO_MEMORY, "ipc slots");
    for (uint32_t i = n; i-- > 0;) {
        ipc->calls[i] = (wb_ipc_call){.ipc = ipc, .slot = i, .next = ipc->free_calls};
        ipc->free_calls = &ipc->calls[i];
    }
    int rv = nng_aio_alloc(&ipc->accept, on_accepted, ipc);
    if (rv == 0) rv = nng_aio_alloc(&ipc->pause, on_pause_over, ipc);
    return rv == 0 ? WB_OK : fail_nng(err, WB_ERR_NO_MEMORY, "ipc accept", rv);
}

wb_status wb_ipc_open(const wb_ipc_options *options, wb_ipc **out, wb_error *err)
{
    wb_ipc *ipc = calloc(1, sizeof *ipc);
    if (!ipc) return wb_fail(err, WB_ERR_NO_MEMORY, "ipc receiver");
    ipc->options = *options;
    ipc->last_parked = &ipc->first_parked;
    pthread_mutex_init(&ipc->lock, NULL);
    pthread_cond_init(&ipc->ended_wake, NULL);
    wb_status status = make_calls(ipc, err);
    if (status == WB_OK) status = listen_on(ipc, err);
    if (status != WB_OK) {
        wb_ipc_free(ipc);
        return status;
    }
    ipc->self = ipc;
    accept_next(ipc);
    *out = ipc;
    return WB_OK;
}

void wb_ipc_run(wb_ipc *ipc)
{
    pthread_mutex_lock(&ipc->lock);
    while (!ipc->closing || ipc->n_live > 0 || ipc->ended) {
        connection *c = ipc->ended;
        if (!c) {
            pthread_cond_wait(&ipc->ended_wake, &ipc->lock);
            continue;
        }
        ipc->ended = c->next;
        pthread_mutex_unlock(&ipc->lock);
        if (c->fault && ipc->options.on_closed_out)
            ipc->options.on_closed_out(ipc->options.self, c->fault, c->uid);
        free_connection(c); /* waits for its callbacks to have returned */
        pthread_mutex_lock(&ipc->lock);
    }
    pthread_mutex_unlock(&ipc->lock);
}

/* ---- calls ---- */

wb_slice wb_ipc_request(const wb_ipc_call *call)
{
    return wb_slice_of(call->bytes + REQUEST_ID, call->len - REQUEST_ID);
}

uid_t wb_ipc_peer_uid(const wb_ipc_call *call) { return (uid_t)call->from->uid; }

uint64_t wb_ipc_connection(const wb_ipc_call *call) { return call->from->serial; }

uint32_t wb_ipc_slot(const wb_ipc_call *call) { return call->slot; }

void wb_ipc_answer(wb_ipc_call *call, wb_slice reply)
{
    size_t body = REQUEST_ID + reply.len;
    uint8_t *frame = reply.ptr ? malloc(HEAD + body) : NULL;
    if (frame) {
        wb_framing_put_head(body, frame);
        memcpy(frame + HEAD, call->bytes, REQUEST_ID);
        if (reply.len) memcpy(frame + HEAD + REQUEST_ID, reply.ptr, reply.len);
    }
    free(call->bytes);
    call->bytes = frame;
    call->len = HEAD + body;
}

void wb_ipc_send(wb_ipc_call *call)
{
    wb_ipc *ipc = call->ipc;
    pthread_mutex_lock(&ipc->lock);
    connection *c = call->from;
    give_back_bytes(call);
    if (!call->bytes) close_connection(c); /* an answer that cannot be given must not be awaited */
    if (c->closed) {
        release_call(call);
        ipc->in_hand--;
        unref(c);
    } else {
        call->next = NULL;
        *c->last_reply = call;
        c->last_reply = &call->next;
        start_writing(c);
    }
    unpark(ipc);
    pthread_mutex_unlock(&ipc->lock);
}

uint32_t wb_ipc_in_hand(wb_ipc *ipc)
{
    pthread_mutex_lock(&ipc->lock);
    uint32_t n = ipc->in_hand;
    pthread_mutex_unlock(&ipc->lock);
    return n;
}

void wb_ipc_stop(wb_ipc *ipc)
{
    pthread_mutex_lock(&ipc->lock);
    ipc->stopping = true;
    pthread_mutex_unlock(&ipc->lock);
    nng_stream_listener_close(ipc->listener);
}

void wb_ipc_close(wb_ipc *ipc)
{
    wb_ipc_stop(ipc);
    pthread_mutex_lock(&ipc->lock);
    ipc->closing = true;
    for (connection *c = ipc->live; c; c = c->next) close_connection(c);
    unpark(ipc);
    pthread_cond_signal(&ipc->ended_wake);
    pthread_mutex_unlock(&ipc->lock);
}

void wb_ipc_free(wb_ipc *ipc)
{
    if (!ipc) return;
    if (ipc->accept) nng_aio_free(ipc->accept); /* waits for its callback */
    if (ipc->pause) nng_aio_free(ipc->pause);
    if (ipc->listener) nng_stream_listener_free(ipc->listener);
    pthread_mutex_lock(&ipc->lock); /* behind whatever callback was the last */
    pthread_mutex_unlock(&ipc->lock);
    free(ipc->calls);
    pthread_mutex_destroy(&ipc->lock);
    pthread_cond_destroy(&ipc->ended_wake);
    free(ipc);
}
