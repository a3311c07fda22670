/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: one thread, one epoll, level-triggered. A turn takes what epoll has, then the answers that came
 * meanwhile, then the clocks, then writes, then frees what has ended, so that nothing that an event of
 * the same turn points at is gone.
 *
 * Why one thread: what a request costs here is a copy of its bytes; the walk over them, which is the
 * sink's part of the same call, is a tenth of unpacking them. A second loop would be bought with a second
 * set of everything, for a process that is to leave the machine to its agent.
 *
 * Answers come from other threads, into a list under the lock. The loop says, also under it, when it goes
 * to sleep, and only then an eventfd is written to: while it is busy an answer costs no system call. */
#include "sidecar/receivers/otlp/grpc_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_AT_ONCE = 64,
    ACCEPTS_AT_ONCE = 64,
    ACCEPT_PAUSE_MS = 100, /* after EMFILE and the like */
    OUT_LIMIT = 4 << 20,
};

/* ---- other threads ---- */

void wb_grpc_wake(wb_otlp_grpc *grpc)
{
    const uint64_t one = 1;
    if (!grpc->sleeping) return;
    grpc->sleeping = false;
    while (write(grpc->wake, &one, sizeof one) < 0 && errno == EINTR) {}
}

static void ask(wb_otlp_grpc *grpc, bool *what)
{
    pthread_mutex_lock(&grpc->lock);
    *what = true;
    wb_grpc_wake(grpc);
    pthread_mutex_unlock(&grpc->lock);
}

void wb_otlp_grpc_stop(wb_otlp_grpc *grpc) { ask(grpc, &grpc->stop_asked); }

void wb_otlp_grpc_close(wb_otlp_grpc *grpc) { ask(grpc, &grpc->close_asked); }

uint32_t wb_otlp_grpc_in_hand(const wb_otlp_grpc *grpc)
{
    return atomic_load(&grpc->connections) + atomic_load(&grpc->in_sink);
}

const wb_otlp_counters *wb_otlp_grpc_counters(const wb_otlp_grpc *grpc) { return &grpc->counters; }

/* ---- new connections ---- */

static void take_connection(wb_otlp_grpc *grpc, int fd)
{
    const int on = 1;
    wb_otlp_visitor *visitor = wb_otlp_peers_enter(grpc->peers, fd);
    if (!visitor) wb_grpc_count(&grpc->counters.closed_out);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    wb_grpc_connection_open(grpc, fd, visitor);
}

static void watch_listener(wb_otlp_grpc *grpc, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &grpc->draining};
    (void)epoll_ctl(grpc->epoll, EPOLL_CTL_MOD, grpc->options.listen_fd, &event);
}

static void accept_some(wb_otlp_grpc *grpc)
{
    for (int i = 0; i < ACCEPTS_AT_ONCE && !grpc->draining; i++) {
        int fd = accept4(grpc->options.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(grpc, fd);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        if (errno == ECONNABORTED || errno == EINTR) continue;
        watch_listener(grpc, 0);
        grpc->accept_again_ns = wb_grpc_now(grpc) + ACCEPT_PAUSE_MS * WB_NS_PER_MS;
        wb_grpc_tick_by(grpc, grpc->accept_again_ns);
        return;
    }
}

/* ---- a turn ---- */

static void begin_drain(wb_otlp_grpc *grpc)
{
    if (grpc->draining) return;
    grpc->draining = true;
    (void)close(grpc->options.listen_fd);
    grpc->options.listen_fd = -1;
    for (wb_grpc_connection *c = grpc->live, *next; c; c = next) {
        next = c->next;
        wb_grpc_connection_drain(c);
    }
}

/* What other threads left. False: it is time to return. */
static bool take_asked(wb_otlp_grpc *grpc)
{
    pthread_mutex_lock(&grpc->lock);
    grpc->sleeping = false;
    bool stop = grpc->stop_asked || grpc->close_asked, end = grpc->close_asked;
    wb_grpc_call *answered = grpc->first_answered;
    grpc->first_answered = NULL;
    grpc->last_answered = &grpc->first_answered;
    pthread_mutex_unlock(&grpc->lock);
    while (answered) {
        wb_grpc_call *call = answered;
        answered = call->next_answered;
        wb_grpc_call_answered(call);
    }
    if (stop) begin_drain(grpc);
    while (end && grpc->live) wb_grpc_connection_cut(grpc->live, NULL);
    return !end || atomic_load(&grpc->in_sink) > 0;
}

static void tick(wb_otlp_grpc *grpc)
{
    uint64_t now = wb_grpc_now(grpc);
    if (now < grpc->next_tick_ns) return;
    grpc->next_tick_ns = UINT64_MAX; /* what the ticks themselves begin is added to it */
    if (grpc->accept_again_ns > 0 && now >= grpc->accept_again_ns && !grpc->draining) {
        grpc->accept_again_ns = 0;
        watch_listener(grpc, EPOLLIN);
    }
    wb_grpc_tick_by(grpc, grpc->accept_again_ns > 0 ? grpc->accept_again_ns : UINT64_MAX);
    for (wb_grpc_connection *c = grpc->live, *next; c; c = next) {
        next = c->next;
        wb_grpc_tick_by(grpc, wb_grpc_connection_tick(c, now));
    }
}

static void flush_all(wb_otlp_grpc *grpc)
{
    while (grpc->to_flush) {
        wb_grpc_connection *c = grpc->to_flush;
        grpc->to_flush = c->next_flush;
        c->wants_flush = false;
        wb_grpc_connection_flush(c);
    }
}

static void free_dead(wb_otlp_grpc *grpc)
{
    while (grpc->dead) {
        wb_grpc_connection *c = grpc->dead;
        grpc->dead = c->next;
        wb_grpc_connection_free(c);
    }
}

static int time_to_sleep(wb_otlp_grpc *grpc)
{
    uint64_t now = wb_grpc_now(grpc), left = 0;
    pthread_mutex_lock(&grpc->lock);
    grpc->sleeping =
        !grpc->first_answered && !grpc->close_asked && (!grpc->stop_asked || grpc->draining);
    bool sleeps = grpc->sleeping;
    pthread_mutex_unlock(&grpc->lock);
    if (!sleeps) return 0;
    if (grpc->next_tick_ns == UINT64_MAX) return -1;
    if (grpc->next_tick_ns > now) left = grpc->next_tick_ns - now;
    return left / WB_NS_PER_MS >= INT32_MAX ? -1 : (int)((left + WB_NS_PER_MS - 1) / WB_NS_PER_MS);
}

/* Of the listener `draining` stands for it: a place that is neither the eventfd's nor a connection's. */
static void serve(wb_otlp_grpc *grpc, const struct epoll_event *event)
{
    uint64_t ignored;
    if (event->data.ptr == &grpc->wake) {
        (void)!read(grpc->wake, &ignored, sizeof ignored);
        return;
    }
    if (event->data.ptr == &grpc->draining) {
        accept_some(grpc);
        return;
    }
    wb_grpc_connection *c = event->data.ptr;
    if (c->dead) return;
    if (!c->io.is_open || event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        wb_grpc_connection_readable(c);
    else
        wb_grpc_connection_flush_soon(c);
}

void wb_otlp_grpc_run(wb_otlp_grpc *grpc)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    do {
        int n = epoll_wait(grpc->epoll, events, EVENTS_AT_ONCE, time_to_sleep(grpc));
        for (int i = 0; i < n; i++) serve(grpc, &events[i]);
        tick(grpc);
        bool goes_on = take_asked(grpc);
        flush_all(grpc);
        free_dead(grpc);
        if (!goes_on) return;
    } while (true);
}

/* ---- opening and freeing ---- */

static bool watch(int epoll, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static wb_status open_parts(wb_otlp_grpc *grpc, wb_error *err)
{
    const wb_otlp_grpc_tls *pem = &grpc->options.tls;
    if (pem->cert.len > 0) WB_TRY(wb_grpc_tls_new(pem, &grpc->tls, err));
    WB_TRY(wb_otlp_peers_new(grpc->options.access, grpc->options.clock, grpc->options.connections,
                             &grpc->peers, err));
    grpc->in = malloc(WB_GRPC_IN_BYTES);
    if (!grpc->in || wb_grpc_library_open(grpc) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "gRPC receiver");
    grpc->epoll = epoll_create1(EPOLL_CLOEXEC);
    grpc->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (grpc->epoll < 0 || grpc->wake < 0 || !watch(grpc->epoll, grpc->wake, &grpc->wake) ||
        !watch(grpc->epoll, grpc->options.listen_fd, &grpc->draining))
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "gRPC receiver");
    return WB_OK;
}

wb_status wb_otlp_grpc_open(const wb_otlp_grpc_options *options, wb_otlp_grpc **out, wb_error *err)
{
    wb_otlp_grpc *grpc = calloc(1, sizeof *grpc);
    if (!grpc) {
        (void)close(options->listen_fd);
        return wb_fail(err, WB_ERR_NO_MEMORY, "gRPC receiver");
    }
    grpc->options = *options;
    grpc->epoll = grpc->wake = -1;
    grpc->next_tick_ns = UINT64_MAX;
    grpc->last_answered = &grpc->first_answered;
    wb_buffer_init(&grpc->out, OUT_LIMIT);
    (void)pthread_mutex_init(&grpc->lock, NULL);
    wb_status status = open_parts(grpc, err);
    grpc->options.tls = (wb_otlp_grpc_tls){.key = {NULL, 0}}; /* borrowed until here */
    if (status == WB_OK)
        *out = grpc;
    else
        wb_otlp_grpc_free(grpc);
    return status;
}

static void close_fd(int fd)
{
    if (fd >= 0) (void)close(fd);
}

void wb_otlp_grpc_free(wb_otlp_grpc *grpc)
{
    if (!grpc) return;
    wb_grpc_calls_free(grpc);
    if (grpc->library || grpc->callbacks) wb_grpc_library_close(grpc);
    close_fd(grpc->options.listen_fd);
    close_fd(grpc->epoll);
    close_fd(grpc->wake);
    wb_grpc_tls_free(grpc->tls);
    wb_otlp_peers_free(grpc->peers);
    wb_buffer_done(&grpc->out);
    free(grpc->in);
    (void)pthread_mutex_destroy(&grpc->lock);
    free(grpc);
}
