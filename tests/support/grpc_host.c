/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/grpc_host.h"

#include "sidecar/receivers/listen.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROOM_BYTES = 12 * 1024 * 1024 };

typedef struct waiting {
    struct waiting *next;
    wb_export *export;
} waiting;

struct grpc_host {
    grpc_host_options options;
    wb_otlp_access *access;
    wb_otlp_grpc *receiver;
    uint16_t port;
    pthread_t loop, answerer;
    bool loop_runs, answerer_runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    waiting *first, **last;
    bool held, ending;
    grpc_host_seen seen;
};

uint32_t grpc_host_sum(wb_slice bytes)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.len; i++) sum = sum * 31 + bytes.ptr[i];
    return sum;
}

static bool reserve(void *self, size_t bytes)
{
    grpc_host *h = self;
    pthread_mutex_lock(&h->lock);
    bool fits = bytes <= h->options.room_bytes - h->seen.held;
    if (fits) h->seen.held += bytes;
    if (h->seen.held > h->seen.most_held) h->seen.most_held = h->seen.held;
    pthread_mutex_unlock(&h->lock);
    return fits;
}

static void release(void *self, size_t bytes)
{
    grpc_host *h = self;
    pthread_mutex_lock(&h->lock);
    h->seen.held -= bytes;
    pthread_mutex_unlock(&h->lock);
}

static void on_export(void *self, wb_export *export)
{
    grpc_host *h = self;
    waiting *w = wb_arena_alloc(export->arena, sizeof *w);
    pthread_mutex_lock(&h->lock);
    h->seen.exports++;
    h->seen.signal = export->signal;
    h->seen.len = export->body.len;
    h->seen.sum = grpc_host_sum(export->body);
    h->seen.is_agent = export->is_agent;
    bool at_once = !w || h->options.at_once;
    if (!at_once) {
        w->export = export;
        *h->last = w;
        h->last = &w->next;
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    const wb_export_answer no_memory = {.status = WB_ERR_NO_MEMORY};
    if (at_once) export->answer(export, w ? &h->options.answer : &no_memory);
}

static void *answer_all(void *arg)
{
    grpc_host *h = arg;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        while ((h->held || !h->first) && !h->ending) pthread_cond_wait(&h->changed, &h->lock);
        waiting *w = h->first;
        if (!w && h->ending) break;
        if (!w) continue;
        h->first = w->next;
        if (!h->first) h->last = &h->first;
        pthread_mutex_unlock(&h->lock);
        wb_export_answer answer = h->options.answer; /* gone when this block is */
        char words[300];
        if (answer.message) {
            memset(words, 0, sizeof words);
            strncpy(words, answer.message, sizeof words - 1);
            answer.message = words;
        }
        w->export->answer(w->export, &answer);
        memset(words, 'X', sizeof words);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void *run(void *arg)
{
    wb_otlp_grpc_run(arg);
    return NULL;
}

static bool is_agent(void *self, uint64_t uid)
{
    return !((grpc_host *)self)->options.bearer && uid == geteuid();
}

static bool open_receiver(grpc_host *h)
{
    const wb_otlp_access_options access = {
        .bearer = wb_slice_str(h->options.bearer), .is_agent = is_agent, .self = h};
    const wb_listen where = {.host = "127.0.0.1"};
    wb_otlp_grpc_options options = {
        .sink = {on_export, reserve, release, h},
        .clock = &wb_system_clock,
        .max_message_bytes = 8 << 20,
        .arena_bytes = 1 << 20,
        .connections = 64,
        .streams = h->options.streams ? h->options.streams : 100,
        .stall_ms = h->options.stall_ms ? h->options.stall_ms : 5000,
        .arrive_ms = 10000,
        .idle_ms = h->options.idle_ms ? h->options.idle_ms : 60000,
    };
    if (wb_otlp_access_open(&access, &h->access, NULL) != WB_OK ||
        wb_listen_open("test", &where, 64, &options.listen_fd, &h->port, NULL) != WB_OK)
        return false;
    if (h->options.narrow)
        (void)setsockopt(options.listen_fd, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
    options.access = h->access;
    return wb_otlp_grpc_open(&options, &h->receiver, NULL) == WB_OK;
}

grpc_host *grpc_host_start(const grpc_host_options *options)
{
    grpc_host *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->options = *options;
    if (!h->options.room_bytes) h->options.room_bytes = ROOM_BYTES;
    h->held = options->held;
    h->last = &h->first;
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_cond_init(&h->changed, NULL);
    h->answerer_runs = open_receiver(h) && pthread_create(&h->answerer, NULL, answer_all, h) == 0;
    h->loop_runs = h->answerer_runs && pthread_create(&h->loop, NULL, run, h->receiver) == 0;
    if (h->loop_runs) return h;
    (void)grpc_host_stop(h);
    return NULL;
}

uint16_t grpc_host_port(const grpc_host *h) { return h->port; }

wb_otlp_grpc *grpc_host_receiver(grpc_host *h) { return h->receiver; }

void grpc_host_let_go(grpc_host *h)
{
    pthread_mutex_lock(&h->lock);
    h->held = false;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

bool grpc_host_wait(grpc_host *h, unsigned exports)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 5;
    pthread_mutex_lock(&h->lock);
    while (h->seen.exports < exports)
        if (pthread_cond_timedwait(&h->changed, &h->lock, &end) != 0) break;
    bool came = h->seen.exports >= exports;
    pthread_mutex_unlock(&h->lock);
    return came;
}

grpc_host_seen grpc_host_look(grpc_host *h)
{
    pthread_mutex_lock(&h->lock);
    grpc_host_seen seen = h->seen;
    pthread_mutex_unlock(&h->lock);
    return seen;
}

size_t grpc_host_stop(grpc_host *h)
{
    if (!h) return 0;
    grpc_host_let_go(h);
    if (h->loop_runs) {
        wb_otlp_grpc_close(h->receiver);
        (void)pthread_join(h->loop, NULL);
    }
    pthread_mutex_lock(&h->lock);
    h->ending = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    if (h->answerer_runs) (void)pthread_join(h->answerer, NULL);
    size_t held = h->seen.held;
    wb_otlp_grpc_free(h->receiver);
    wb_otlp_access_free(h->access);
    (void)pthread_cond_destroy(&h->changed);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
    return held;
}
