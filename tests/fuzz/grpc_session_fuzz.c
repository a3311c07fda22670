/* SPDX-License-Identifier: Apache-2.0 */
/* The input is all that a client sends behind its preface: frames of HTTP/2, or what looks like them. Whatever
 * it is, the receiver ends, gives back all of its budget, and hands on no message that is larger than its
 * limit or of one who may not send ("authorization: Bearer x" may). Answers come from within the sink, or,
 * of every other request, when everything was read. */
#include "sidecar/receivers/otlp/grpc_inside.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT = 8192, ROOM = 3 * LIMIT, INPUT_MAX = 64 * 1024, LATER_MAX = 256 };

static size_t held, n_later;
static wb_export *later[LATER_MAX];
static uint64_t now_ns;

static bool reserve(void *self, size_t bytes)
{
    (void)self;
    if (bytes > ROOM - held) return false;
    held += bytes;
    return true;
}

static void release(void *self, size_t bytes)
{
    (void)self;
    WB_ASSERT(bytes <= held);
    held -= bytes;
}

static void answer(wb_export *export)
{
    const wb_export_answer said[] = {{.status = WB_OK},
                                     {.status = WB_ERR_FULL, .message = "full\n"},
                                     {.status = WB_OK, .rejected = 2, .message = "two"}};
    export->answer(export, &said[export->body.len % WB_COUNT(said)]);
}

static void on_export(void *self, wb_export *export)
{
    static unsigned count;
    uint8_t sum = 0;
    (void)self;
    WB_ASSERT(export->body.len <= LIMIT && export->is_agent);
    WB_ASSERT((unsigned)export->signal < WB_SIGNALS);
    for (size_t i = 0; i < export->body.len; i++)
        sum ^= export->body.ptr[i]; /* all of it is there */
    if ((count++ + sum) % 2 == 0 && n_later < LATER_MAX)
        later[n_later++] = export;
    else
        answer(export);
}

static uint64_t still(const wb_clock *clock)
{
    (void)clock;
    return now_ns;
}

static const wb_clock clock_of_ours = {.wall = still, .monotonic = still};

static bool is_agent(void *self, uint64_t uid)
{
    (void)self;
    (void)uid;
    return false;
}

static wb_otlp_grpc *receiver(void)
{
    static wb_otlp_grpc *made;
    const wb_otlp_access_options access = {.bearer = WB_S("x"), .is_agent = is_agent};
    wb_otlp_grpc_options options = {.sink = {on_export, reserve, release, NULL},
                                    .clock = &clock_of_ours,
                                    .max_message_bytes = LIMIT,
                                    .arena_bytes = 65536,
                                    .connections = 8,
                                    .streams = 20,
                                    .stall_ms = 10,
                                    .arrive_ms = 100,
                                    .idle_ms = 1000};
    if (made) return made;
    now_ns = WB_NS_PER_S;
    options.listen_fd = socket(AF_UNIX, SOCK_STREAM, 0); /* nobody's */
    WB_ASSERT(wb_otlp_access_open(&access, &options.access, NULL) == WB_OK);
    WB_ASSERT(wb_otlp_grpc_open(&options, &made, NULL) == WB_OK);
    return made;
}

/* As the loop does it, between its events. */
static void turn(wb_otlp_grpc *grpc)
{
    wb_grpc_call *call = grpc->first_answered;
    grpc->first_answered = NULL;
    grpc->last_answered = &grpc->first_answered;
    while (call) {
        wb_grpc_call *next = call->next_answered;
        wb_grpc_call_answered(call);
        call = next;
    }
    if (grpc->live) (void)wb_grpc_connection_tick(grpc->live, now_ns);
    while (grpc->to_flush) {
        wb_grpc_connection *c = grpc->to_flush;
        grpc->to_flush = c->next_flush;
        c->wants_flush = false;
        wb_grpc_connection_flush(c);
    }
}

static void answer_later(void)
{
    while (n_later > 0) answer(later[--n_later]);
}

static void feed(wb_otlp_grpc *grpc, int client, wb_slice input)
{
    uint8_t said[4096];
    while (input.len > 0 && grpc->live) {
        size_t n = input.len < 1000 ? input.len : 1000;
        ssize_t sent = send(client, input.ptr, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) break;
        input = wb_slice_of(input.ptr + sent, input.len - (size_t)sent);
        wb_grpc_connection_readable(grpc->live);
        turn(grpc);
        while (recv(client, said, sizeof said, MSG_DONTWAIT) > 0) {}
        now_ns += WB_NS_PER_MS;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    wb_otlp_grpc *grpc = receiver();
    int ends[2];
    if (size > INPUT_MAX) return 0;
    WB_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    wb_grpc_connection_open(grpc, ends[0], wb_otlp_peers_enter(grpc->peers, ends[0]));
    WB_ASSERT(grpc->live && !grpc->live->next);
    feed(grpc, ends[1], wb_slice_of(preface, sizeof preface - 1));
    feed(grpc, ends[1], wb_slice_of(data, size));
    if (size % 2 == 0) answer_later(); /* else its connection is gone by then */
    turn(grpc);
    if (grpc->live && size % 3 == 0) wb_grpc_connection_drain(grpc->live);
    turn(grpc);
    (void)close(ends[1]);
    for (int i = 0; i < 8 && grpc->live; i++) wb_grpc_connection_readable(grpc->live);
    if (grpc->live) wb_grpc_connection_cut(grpc->live, NULL);
    answer_later();
    turn(grpc);
    while (grpc->dead) {
        wb_grpc_connection *c = grpc->dead;
        grpc->dead = c->next;
        wb_grpc_connection_free(c);
    }
    WB_ASSERT(held == 0 && atomic_load(&grpc->in_sink) == 0 &&
              atomic_load(&grpc->connections) == 0);
    return 0;
}
