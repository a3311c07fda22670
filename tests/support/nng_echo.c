/* SPDX-License-Identifier: Apache-2.0 */
/* nng_echo URL CONTEXTS MAX_DELAY_MS: a REP server that sends back what it gets, for clients that speak
 * nng's wire without nng. The real library is the judge of their bytes: what it cannot parse it drops.
 *
 * CONTEXTS requests are in hand at once, each for a random time of at most MAX_DELAY_MS, so answers leave
 * in another order than requests came. Prints "ready" when it listens; ends when standard input does,
 * so that it cannot outlive the test that started it. */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_CONTEXTS = 256, MAX_MESSAGE_BYTES = 8 << 20 };

typedef enum step { RECEIVE, WAIT, SEND } step;

typedef struct call {
    nng_ctx ctx;
    nng_aio *aio;
    nng_msg *message;
    _Atomic step step; /* written last and read first: orders the rest between nng's threads */
} call;

static call calls[MAX_CONTEXTS];
static unsigned max_delay_ms;

static void check(int rv, const char *what)
{
    if (rv == 0) return;
    fprintf(stderr, "nng_echo: %s: %s\n", what, nng_strerror(rv));
    exit(1);
}

static void receive(call *c)
{
    c->step = RECEIVE;
    nng_ctx_recv(c->ctx, c->aio);
}

static void on_aio(void *arg)
{
    call *c = arg;
    step now = c->step;
    int result = nng_aio_result(c->aio);
    if (result == NNG_ECLOSED) return;
    switch (now) {
    case RECEIVE:
        if (result != 0) {
            receive(c);
            return;
        }
        c->message = nng_aio_get_msg(c->aio);
        c->step = WAIT;
        nng_sleep_aio(max_delay_ms ? (nng_duration)(nng_random() % (max_delay_ms + 1)) : 0, c->aio);
        return;
    case WAIT:
        nng_aio_set_msg(c->aio, c->message);
        c->message = NULL;
        c->step = SEND;
        nng_ctx_send(c->ctx, c->aio);
        return;
    case SEND:
        if (result != 0) nng_msg_free(nng_aio_get_msg(c->aio));
        receive(c);
    }
}

int main(int argc, char **argv)
{
    nng_socket socket;
    nng_listener listener;
    char byte;
    if (argc != 4) {
        fprintf(stderr, "usage: nng_echo URL CONTEXTS MAX_DELAY_MS\n");
        return 2;
    }
    long contexts = strtol(argv[2], NULL, 10);
    if (contexts < 1 || contexts > MAX_CONTEXTS) return 2;
    max_delay_ms = (unsigned)strtoul(argv[3], NULL, 10);
    check(nng_rep0_open(&socket), "open");
    check(nng_listener_create(&listener, socket, argv[1]), "create");
    check(nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, MAX_MESSAGE_BYTES), "limit");
    for (int i = 0; i < contexts; i++) {
        check(nng_ctx_open(&calls[i].ctx, socket), "context");
        check(nng_aio_alloc(&calls[i].aio, on_aio, &calls[i]), "aio");
        receive(&calls[i]);
    }
    check(nng_listener_start(listener, 0), "listen");
    printf("ready\n");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) continue;
    nng_close(socket);
    for (int i = 0; i < contexts; i++) {
        nng_aio_stop(calls[i].aio);
        nng_aio_free(calls[i].aio);
    }
    return 0;
}
