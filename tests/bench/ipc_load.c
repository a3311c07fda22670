/* SPDX-License-Identifier: Apache-2.0 */
/* One REQ socket, so one connection, as an agent process has. Alone, a request goes through the
 * socket; many at once go through a context each, driven by nng's own threads: no thread of ours
 * waits. */
#include "tests/bench/ipc_load.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { IN_FLIGHT_MAX = 64 };

typedef struct client {
    nng_socket socket;
} client;

static void check(int rv, const char *what)
{
    if (rv != 0) wb_bench_give_up("%s: %s", what, nng_strerror(rv));
}

static void judge(const wb_ipc_load *load, nng_msg *reply)
{
    const char *fault = load->judge((wb_slice){nng_msg_body(reply), nng_msg_len(reply)});
    if (fault) wb_bench_give_up("the sidecar's reply: %s", fault);
    nng_msg_free(reply);
}

static nng_msg *message_of(wb_slice bytes)
{
    nng_msg *message;
    check(nng_msg_alloc(&message, 0), "message");
    check(nng_msg_append(message, bytes.ptr, bytes.len), "message");
    return message;
}

void wb_ipc_load_open(wb_ipc_load *load, const char *socket)
{
    char url[256];
    client *c = calloc(1, sizeof *c);
    if (!c) wb_bench_give_up("no memory");
    (void)snprintf(url, sizeof url, "ipc://%s", socket);
    check(nng_req0_open(&c->socket), "req socket");
    check(nng_dial(c->socket, url, NULL, 0), url);
    load->client = c;
}

void wb_ipc_load_close(wb_ipc_load *load)
{
    client *c = load->client;
    nng_close(c->socket);
    free(c);
}

static wb_slice next_request(wb_ipc_load *load)
{
    if (load->next == load->n) wb_bench_give_up("only %zu requests were prepared", load->n);
    return load->requests[load->next++];
}

void wb_ipc_load_once(void *self)
{
    wb_ipc_load *load = self;
    client *c = load->client;
    nng_msg *reply;
    check(nng_sendmsg(c->socket, message_of(next_request(load)), 0), "send");
    check(nng_recvmsg(c->socket, &reply, 0), "receive");
    judge(load, reply);
}

/* ---- many at once ---------------------------------------------------------------------------- */

typedef struct crowd crowd;

typedef struct flight {
    crowd *all;
    nng_ctx ctx;
    nng_aio *aio;
    uint64_t sent_ns;
    bool receiving;
} flight;

struct crowd {
    wb_ipc_load *load;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t landed;
    size_t left, in_air;
    uint64_t *ns;
    size_t done;
};

/* Under the lock. */
static void take_off(flight *f)
{
    crowd *all = f->all;
    if (all->left == 0) {
        if (--all->in_air == 0) pthread_cond_signal(&all->landed);
        return;
    }
    all->left--;
    f->receiving = false;
    nng_aio_set_msg(f->aio, message_of(next_request(all->load)));
    f->sent_ns = wb_bench_now_ns();
    nng_ctx_send(f->ctx, f->aio);
}

static void on_aio(void *arg)
{
    flight *f = arg;
    check(nng_aio_result(f->aio), "request");
    if (!f->receiving) {
        f->receiving = true;
        nng_ctx_recv(f->ctx, f->aio);
        return;
    }
    uint64_t took = wb_bench_now_ns() - f->sent_ns;
    judge(f->all->load, nng_aio_get_msg(f->aio));
    pthread_mutex_lock(&f->all->lock);
    f->all->ns[f->all->done++] = took;
    take_off(f);
    pthread_mutex_unlock(&f->all->lock);
}

wb_bench_stats wb_ipc_load_many(wb_ipc_load *load, size_t n, size_t in_flight, double *per_second)
{
    static flight flights[IN_FLIGHT_MAX];
    client *c = load->client;
    crowd all = {.load = load, .left = n, .in_air = in_flight};
    all.ns = calloc(n, sizeof *all.ns);
    if (!all.ns || in_flight > IN_FLIGHT_MAX) wb_bench_give_up("too many requests in flight");
    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.landed, NULL);
    uint64_t start = wb_bench_now_ns();
    for (size_t i = 0; i < in_flight; i++) {
        flights[i] = (flight){.all = &all};
        check(nng_ctx_open(&flights[i].ctx, c->socket), "context");
        check(nng_aio_alloc(&flights[i].aio, on_aio, &flights[i]), "aio");
        pthread_mutex_lock(&all.lock);
        take_off(&flights[i]);
        pthread_mutex_unlock(&all.lock);
    }
    pthread_mutex_lock(&all.lock);
    while (all.in_air > 0) pthread_cond_wait(&all.landed, &all.lock);
    pthread_mutex_unlock(&all.lock);
    *per_second = (double)n * 1e9 / (double)(wb_bench_now_ns() - start);
    for (size_t i = 0; i < in_flight; i++) {
        nng_aio_free(flights[i].aio);
        nng_ctx_close(flights[i].ctx);
    }
    wb_bench_stats stats = wb_bench_stats_of(all.ns, all.done);
    free(all.ns);
    return stats;
}
