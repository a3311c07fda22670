/* SPDX-License-Identifier: Apache-2.0 */
/* raw_echo URL REPLY_BYTES: the plainest REP server that nng can be: receive, send, again. Ends
 * with the process that started it. */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

static void check(int rv)
{
    if (rv == 0) return;
    (void)fprintf(stderr, "raw_echo: %s\n", nng_strerror(rv));
    exit(1);
}

int main(int argc, char **argv)
{
    nng_socket socket;
    nng_listener listener;
    nng_msg *message;
    if (argc != 3) return 2;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    size_t reply = strtoul(argv[2], NULL, 10);
    uint8_t *bytes = calloc(1, reply + 1);
    if (!bytes) return 1;
    check(nng_rep0_open(&socket));
    check(nng_listener_create(&listener, socket, argv[1]));
    check(nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, 16 << 20));
    check(nng_listener_start(listener, 0));
    while (1) {
        check(nng_recvmsg(socket, &message, 0));
        nng_msg_clear(message);
        check(nng_msg_append(message, bytes, reply));
        check(nng_sendmsg(socket, message, 0));
    }
}
