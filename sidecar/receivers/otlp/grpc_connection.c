/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: its bytes, its clocks, its end. What the bytes mean is grpc_session.c's.
 *
 * Writing. What the library has to say is gathered in one buffer that all connections share, and sent in as few
 * calls as possible. What a socket does not take becomes the connection's own until it does, and only then
 * more is asked of the library: so a client that reads nothing costs one buffer, and is closed when it has
 * read nothing for too long.
 *
 * Ends. After the last answer our side of the socket is shut, and the rest read and thrown away until the client
 * closes, for a second at most: a close with unread bytes would be a reset, which may take the last
 * answer with it. */
#include "sidecar/receivers/otlp/grpc_inside.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    READS_AT_ONCE = 4, /* of one connection, then it is the others' turn */
    GREETING_MS = 10000,
    DRAIN_STEP_MS = 1000, /* for a client's acknowledgement, and for its close */
    OUT_LIMIT = 4 << 20,
};

/* ---- closing ---- */

void wb_grpc_connection_cut(wb_grpc_connection *c, const char *why)
{
    wb_otlp_grpc *grpc = c->grpc;
    if (c->dead) return;
    c->dead = true;
    if (!why) why = c->fault;
    if (why) {
        wb_grpc_count(&grpc->counters.closed_out);
        if (grpc->options.on_closed_out)
            grpc->options.on_closed_out(grpc->options.self, why, wb_otlp_visitor_uid(c->visitor));
    }
    while (c->calls) wb_grpc_call_forsake(c->calls);
    if (c->prev)
        c->prev->next = c->next;
    else
        grpc->live = c->next;
    if (c->next) c->next->prev = c->prev;
    atomic_fetch_sub(&grpc->connections, 1);
    wb_otlp_peers_leave(grpc->peers, WB_STEAL(c->visitor));
    wb_grpc_io_close(&c->io); /* which takes it out of epoll, too */
    c->next = grpc->dead;
    grpc->dead = c;
}

void wb_grpc_connection_free(wb_grpc_connection *c)
{
    nghttp2_session_del(c->session);
    wb_buffer_done(&c->out);
    free(c);
}

/* ---- bytes ---- */

static void watch(wb_grpc_connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (c->events == events) return;
    c->events = events;
    if (epoll_ctl(c->grpc->epoll, EPOLL_CTL_MOD, c->io.fd, &event) != 0)
        wb_grpc_connection_cut(c, NULL);
}

void wb_grpc_connection_flush_soon(wb_grpc_connection *c)
{
    if (c->wants_flush || c->dead) return;
    c->wants_flush = true;
    c->next_flush = c->grpc->to_flush;
    c->grpc->to_flush = c;
}

/* Let the library fill `out`: false if it has nothing, or failed, which is then told. */
static bool fill(wb_grpc_connection *c, wb_buffer *out)
{
    while (out->len < WB_GRPC_OUT_BYTES) {
        const uint8_t *bytes = NULL;
        ssize_t n = nghttp2_session_mem_send(c->session, &bytes);
        if (n == 0) break;
        if (n < 0 || wb_buffer_add(out, bytes, (size_t)n) != WB_OK) {
            wb_grpc_connection_cut(c, NULL);
            return false;
        }
    }
    return out->len > 0;
}

/* Write [*at, len) of `out`: true if all of it went. */
static bool push(wb_grpc_connection *c, const wb_buffer *out, size_t *at)
{
    while (*at < out->len) {
        ssize_t n = wb_grpc_io_write(&c->io, out->ptr + *at, out->len - *at);
        if (n == WB_GRPC_IO_AGAIN) return false;
        if (n < 0) {
            wb_grpc_connection_cut(c, NULL);
            return false;
        }
        *at += (size_t)n;
    }
    return true;
}

/* The socket is full: keep what is left, and go on when it says so. */
static void keep_rest(wb_grpc_connection *c, wb_buffer *out, size_t at)
{
    c->out = *out;
    c->out_at = at;
    wb_buffer_init(out, OUT_LIMIT);
    c->blocked_ns = wb_grpc_now(c->grpc);
    wb_grpc_tick_by(c->grpc, c->blocked_ns + c->grpc->options.stall_ms * WB_NS_PER_MS);
    watch(c, EPOLLIN | EPOLLOUT);
}

static bool push_rest(wb_grpc_connection *c)
{
    if (c->blocked_ns == 0) return true;
    size_t before = c->out_at;
    if (!push(c, &c->out, &c->out_at)) {
        if (c->out_at > before) c->blocked_ns = wb_grpc_now(c->grpc);
        return false;
    }
    wb_buffer_done(&c->out);
    c->blocked_ns = 0;
    return true;
}

static void end_when_done(wb_grpc_connection *c)
{
    if (c->drain == WB_GRPC_ENDED || nghttp2_session_want_read(c->session) ||
        nghttp2_session_want_write(c->session))
        return;
    wb_grpc_io_end(&c->io);
    c->drain = WB_GRPC_ENDED;
    c->drain_ns = wb_grpc_now(c->grpc);
    wb_grpc_tick_by(c->grpc, c->drain_ns + DRAIN_STEP_MS * WB_NS_PER_MS);
}

void wb_grpc_connection_flush(wb_grpc_connection *c)
{
    wb_buffer *out = &c->grpc->out;
    if (c->dead || !c->io.is_open || !push_rest(c)) return;
    for (;;) {
        size_t at = 0;
        wb_buffer_clear(out);
        if (!fill(c, out)) break;
        if (!push(c, out, &at)) {
            if (!c->dead) keep_rest(c, out, at);
            return;
        }
    }
    if (c->dead) return;
    watch(c, EPOLLIN);
    end_when_done(c);
}

static bool shake_hands(wb_grpc_connection *c)
{
    int rv = wb_grpc_io_handshake(&c->io);
    if (rv == 0) return true;
    if (rv == WB_GRPC_IO_LOST)
        wb_grpc_connection_cut(c, "it does not speak our TLS, with h2 in ALPN");
    else
        watch(c, wb_grpc_io_wants_write(&c->io) ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return false;
}

/* False: nothing more for now. */
static bool read_some(wb_grpc_connection *c)
{
    ssize_t n = wb_grpc_io_read(&c->io, c->grpc->in, WB_GRPC_IN_BYTES);
    if (n == WB_GRPC_IO_AGAIN) return false;
    if (n <= 0) {
        wb_grpc_connection_cut(c, NULL);
        return false;
    }
    if (c->drain == WB_GRPC_ENDED || c->fault) return true; /* thrown away */
    c->active_ns = wb_grpc_now(c->grpc);
    wb_grpc_session_take(c, wb_slice_of(c->grpc->in, (size_t)n));
    return wb_grpc_io_has_more(&c->io) || n == WB_GRPC_IN_BYTES;
}

void wb_grpc_connection_readable(wb_grpc_connection *c)
{
    if (!shake_hands(c)) return;
    for (int i = 0; i < READS_AT_ONCE || wb_grpc_io_has_more(&c->io); i++)
        if (!read_some(c) || c->dead) break;
    wb_grpc_connection_flush(c);
}

/* ---- beginning, time, end ---- */

static bool begin(wb_grpc_connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->events = EPOLLIN;
    return wb_grpc_session_open(c) == WB_OK &&
           epoll_ctl(c->grpc->epoll, EPOLL_CTL_ADD, c->io.fd, &event) == 0;
}

void wb_grpc_connection_open(wb_otlp_grpc *grpc, int fd, wb_otlp_visitor *visitor)
{
    wb_grpc_connection *c = visitor ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        wb_otlp_peers_leave(grpc->peers, visitor);
        (void)close(fd);
        return;
    }
    c->grpc = grpc;
    c->opened_ns = c->active_ns = wb_grpc_now(grpc);
    wb_buffer_init(&c->out, OUT_LIMIT);
    if (wb_grpc_io_open(grpc->tls, fd, &c->io) != WB_OK || !begin(c)) {
        wb_otlp_peers_leave(grpc->peers, visitor);
        wb_grpc_io_close(&c->io);
        wb_grpc_connection_free(c);
        return;
    }
    c->visitor = visitor;
    wb_grpc_count(&grpc->counters.connections);
    c->next = grpc->live;
    if (c->next) c->next->prev = c;
    grpc->live = c;
    atomic_fetch_add(&grpc->connections, 1);
    wb_grpc_tick_by(grpc, c->active_ns + GREETING_MS * WB_NS_PER_MS);
    wb_grpc_connection_flush_soon(c);
}

void wb_grpc_connection_drain(wb_grpc_connection *c)
{
    if (c->drain != WB_GRPC_SERVING) return;
    if (!c->greeted) {
        wb_grpc_connection_cut(c, NULL);
        return;
    }
    c->drain = WB_GRPC_NOTICED;
    c->drain_ns = wb_grpc_now(c->grpc);
    wb_grpc_session_notice(c);
    wb_grpc_tick_by(c->grpc, c->drain_ns + DRAIN_STEP_MS * WB_NS_PER_MS);
    wb_grpc_connection_flush_soon(c);
}

/* A step of draining that takes too long is taken without the client. */
static uint64_t tick_drain(wb_grpc_connection *c, uint64_t now)
{
    uint64_t due = c->drain_ns + DRAIN_STEP_MS * WB_NS_PER_MS;
    if (c->drain == WB_GRPC_LAST) return UINT64_MAX; /* its requests have clocks of their own */
    if (now < due) return due;
    if (c->drain == WB_GRPC_ENDED)
        wb_grpc_connection_cut(c, NULL);
    else
        wb_grpc_session_last(c);
    wb_grpc_connection_flush_soon(c);
    return UINT64_MAX;
}

static uint64_t tick_quiet(wb_grpc_connection *c, uint64_t now)
{
    uint64_t greet_by = c->opened_ns + GREETING_MS * WB_NS_PER_MS;
    uint64_t idle_until = c->active_ns + c->grpc->options.idle_ms * WB_NS_PER_MS;
    if (!c->greeted) {
        if (now >= greet_by) wb_grpc_connection_cut(c, "it does not begin");
        return greet_by;
    }
    if (c->n_calls > 0) return UINT64_MAX;
    if (now >= idle_until) wb_grpc_connection_drain(c);
    return idle_until;
}

uint64_t wb_grpc_connection_tick(wb_grpc_connection *c, uint64_t now)
{
    uint64_t due = UINT64_MAX;
    uint64_t stalled = c->blocked_ns + c->grpc->options.stall_ms * WB_NS_PER_MS;
    if (c->blocked_ns > 0 && now >= stalled) {
        wb_grpc_connection_cut(c, "it reads no answers");
        return due;
    }
    if (c->blocked_ns > 0) due = stalled;
    for (wb_grpc_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        uint64_t call_due = wb_grpc_call_tick(call, now);
        if (call_due < due) due = call_due;
    }
    uint64_t own = c->drain == WB_GRPC_SERVING ? tick_quiet(c, now) : tick_drain(c, now);
    return own < due ? own : due;
}
