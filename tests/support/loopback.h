/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/loopback.h: a TCP port of loopback, and a thread that serves it until it is told to end. */
#ifndef WAYBILL_TESTS_SUPPORT_LOOPBACK_H
#define WAYBILL_TESTS_SUPPORT_LOOPBACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct loopback_server {
    int listener, stop[2]; /* stop[0] can be read once the thread is to end */
    uint16_t port;
    bool runs;
    pthread_t thread;
} loopback_server;

/** A socket that listens on a free port; -1: none could be had. */
int loopback_listen(uint16_t *port);
/** Listen, and run `serve` with `arg`. False: neither; stop it all the same. */
bool loopback_start(loopback_server *s, void *(*serve)(void *arg), void *arg);
/** Tell the thread, wait for it, and give all back. Nothing with one that is all zero. */
void loopback_stop(loopback_server *s);

#endif
