/* SPDX-License-Identifier: Apache-2.0 */
/* A flood of forged tokens, and a good client beside it.
 *
 *     flood SOCKET TRUST_DIR RATE ROUND_MS ROUNDS
 *
 * Writes the issuers' keys below TRUST_DIR, prints "ready", and waits for a line: the sidecar may start
 * now. In each round the good client sends an Accept each 10 ms, first alone and then while RATE Accepts
 * a second are offered on CONNECTIONS connections, each with a chain whose last signature is wrong. A
 * round is one line of JSON.
 *
 * Offered is what there was time for: a connection has its share each millisecond, and what its socket
 * buffer has no room for is not sent later. The flood reads its answers and looks at none. It goes to the
 * socket directly, since nng's REQ sends one request after the other. */
#include "tests/bench/ipc_load.h"
#include "tests/bench/ipc_requests.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS = 8,
    FORGED = 8192,
    HEAD = 13, /* 1, length, request id */
    TICK_NS = 1000000,
    GOOD_EVERY_NS = 10000000,
    ARENA_BYTES = 256 * 1024 * 1024,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
};

typedef struct wire {
    uint8_t *bytes; /* all frames, one behind the other */
    size_t *ends;   /* of each */
} wire;

typedef struct lane {
    int fd;
    size_t frame, at; /* what is being sent, and how far in `wire` */
} lane;

typedef struct flood {
    const char *socket;
    const wire *wire;
    uint64_t rate, offered, sent;
    atomic_bool stopping;
} flood;

static void put_be(uint8_t *out, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
}

static wire frames_of(const wb_slice *requests, size_t n, wb_arena *arena)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) len += HEAD + requests[i].len;
    wire w = {wb_arena_alloc(arena, len), wb_arena_array(arena, n, sizeof *w.ends)};
    if (!w.bytes || !w.ends) wb_bench_give_up("no memory for the flood");
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        w.bytes[at] = 1;
        put_be(w.bytes + at + 1, 4 + requests[i].len, 8);
        put_be(w.bytes + at + 9, 0x80000000u + i, 4);
        memcpy(w.bytes + at + HEAD, requests[i].ptr, requests[i].len);
        at += HEAD + requests[i].len;
        w.ends[i] = at;
    }
    return w;
}

static int dial(const char *socket_path)
{
    static const uint8_t hello[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    uint8_t answer[8];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        send(fd, hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello ||
        recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer)
        wb_bench_give_up("cannot connect to %s", socket_path);
    return fd;
}

static void read_answers(int fd)
{
    static uint8_t thrown_away[64 * 1024];
    while (recv(fd, thrown_away, sizeof thrown_away, MSG_DONTWAIT) > 0) {}
}

/* Send what the buffer takes of the next `n` frames; returns how many went whole. */
static uint64_t push(lane *l, const wire *w, uint64_t n)
{
    uint64_t whole = 0;
    while (whole < n) {
        size_t last = l->frame + (size_t)(n - whole) - 1;
        if (last >= FORGED) last = FORGED - 1;
        ssize_t sent =
            send(l->fd, w->bytes + l->at, w->ends[last] - l->at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0) break;
        l->at += (size_t)sent;
        while (l->frame < FORGED && w->ends[l->frame] <= l->at) {
            l->frame++;
            whole++;
        }
        if (l->frame == FORGED) *l = (lane){.fd = l->fd};
    }
    return whole;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void *run_flood(void *arg)
{
    flood *f = arg;
    lane lanes[CONNECTIONS] = {0};
    for (size_t i = 0; i < CONNECTIONS; i++)
        lanes[i] = (lane){.fd = dial(f->socket), .frame = 0, .at = 0};
    uint64_t began = wb_bench_now_ns();
    while (!atomic_load(&f->stopping)) {
        uint64_t due = (wb_bench_now_ns() - began) / TICK_NS * (f->rate / (NS_PER_S / TICK_NS));
        uint64_t each = due > f->offered ? (due - f->offered) / CONNECTIONS : 0;
        for (size_t i = 0; i < CONNECTIONS; i++) {
            f->sent += push(&lanes[i], f->wire, each);
            read_answers(lanes[i].fd);
        }
        f->offered += each * CONNECTIONS;
        sleep_until(wb_bench_now_ns() + TICK_NS);
    }
    for (size_t i = 0; i < CONNECTIONS; i++) (void)close(lanes[i].fd);
    return NULL;
}

/* The good client, for a while. */
static wb_bench_stats accept_for(wb_ipc_load *good, uint64_t ms)
{
    size_t n = (size_t)(ms * NS_PER_MS / GOOD_EVERY_NS), done = 0;
    uint64_t *took = calloc(n, sizeof *took), next = wb_bench_now_ns();
    if (!took) wb_bench_give_up("no memory");
    while (done < n) {
        next += GOOD_EVERY_NS;
        sleep_until(next);
        uint64_t sent_ns = wb_bench_now_ns();
        wb_ipc_load_once(good);
        took[done++] = wb_bench_now_ns() - sent_ns;
        if (wb_bench_now_ns() > next + GOOD_EVERY_NS) next = wb_bench_now_ns();
    }
    wb_bench_stats stats = wb_bench_stats_of(took, n);
    free(took);
    return stats;
}

static void run_round(wb_ipc_load *good, flood *f, uint64_t ms)
{
    pthread_t thread;
    wb_bench_stats alone = accept_for(good, ms / 2);
    f->offered = f->sent = 0;
    atomic_store(&f->stopping, false);
    uint64_t began = wb_bench_now_ns();
    if (pthread_create(&thread, NULL, run_flood, f) != 0) wb_bench_give_up("no thread");
    wb_bench_stats beside = accept_for(good, ms);
    atomic_store(&f->stopping, true);
    (void)pthread_join(thread, NULL);
    double s = (double)(wb_bench_now_ns() - began) / NS_PER_S;
    printf("{\"alone_p50_us\": %.0f, \"alone_p99_us\": %.0f, \"p50_us\": %.0f, \"p99_us\": %.0f, "
           "\"accepts\": %zu, \"offered_per_s\": %.0f, \"sent\": %llu, \"seconds\": %.2f}\n",
           alone.p50 / 1000, alone.p99 / 1000, beside.p50 / 1000, beside.p99 / 1000,
           alone.samples + beside.samples, (double)f->offered / s, (unsigned long long)f->sent, s);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 6) wb_bench_give_up("usage: flood SOCKET TRUST_DIR RATE ROUND_MS ROUNDS");
    uint64_t ms = strtoull(argv[4], NULL, 10), rounds = strtoull(argv[5], NULL, 10);
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) wb_bench_give_up("no memory");
    size_t n = (size_t)(rounds * (ms + ms / 2) * NS_PER_MS / GOOD_EVERY_NS);
    const wb_slice *forged = wb_bench_forged_accepts(FORGED, "192.0.2.66", arena);
    wire w = frames_of(forged, FORGED, arena);
    wb_ipc_load good = {
        .requests = wb_bench_accepts(n, argv[2], arena), .n = n, .judge = wb_bench_judge_accept};
    flood f = {.socket = argv[1], .wire = &w, .rate = strtoull(argv[3], NULL, 10)};
    (void)puts("ready");
    (void)fflush(stdout);
    if (getchar() == EOF) return 0;
    wb_ipc_load_open(&good, argv[1]);
    for (uint64_t i = 0; i < rounds; i++) run_round(&good, &f, ms);
    wb_ipc_load_close(&good);
    return 0;
}
