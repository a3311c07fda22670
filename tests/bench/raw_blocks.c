/* SPDX-License-Identifier: Apache-2.0 */
/* The yardsticks of the IPC benches. They take no short cut that the sidecar does not take (the
 * file is filled with zeros beforehand, as segments are) and have nothing that it has besides (no
 * queue, no state, no second thread). */
#include "tests/bench/raw_blocks.h"

#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/crc32c.h"
#include "tests/bench/bench.h"
#include "tests/bench/process.h"

enum { FILE_BYTES = 64 * 1024 * 1024, FRAME_HEAD = 16 };

static void *need(void *p)
{
    if (!p) wb_bench_give_up("no memory");
    return p;
}

static void check(int rv, const char *what)
{
    if (rv != 0) wb_bench_give_up("%s: %s", what, nng_strerror(rv));
}

/* ---- echo ------------------------------------------------------------------------------------ */

struct wb_raw_echo {
    pid_t pid;
    nng_socket socket;
    uint8_t *request;
    size_t request_bytes;
};

wb_raw_echo *wb_raw_echo_start(const char *dir, size_t request_bytes, size_t reply_bytes)
{
    char url[256], size[32];
    wb_raw_echo *echo = need(calloc(1, sizeof *echo));
    echo->request_bytes = request_bytes;
    echo->request = need(calloc(1, request_bytes));
    (void)snprintf(url, sizeof url, "ipc://%s/echo.sock", dir);
    (void)snprintf(size, sizeof size, "%zu", reply_bytes);
    const char *const args[] = {"raw_echo", url, size, NULL};
    echo->pid = wb_process_start("raw_echo", args, NULL, NULL);
    check(nng_req0_open(&echo->socket), "req socket");
    check(nng_dial(echo->socket, url, NULL, NNG_FLAG_NONBLOCK), url);
    wb_raw_echo_once(echo); /* returns when the other side is there */
    return echo;
}

void wb_raw_echo_once(void *self)
{
    wb_raw_echo *echo = self;
    nng_msg *message;
    check(nng_msg_alloc(&message, 0), "message");
    check(nng_msg_append(message, echo->request, echo->request_bytes), "message");
    check(nng_sendmsg(echo->socket, message, 0), "send");
    check(nng_recvmsg(echo->socket, &message, 0), "receive");
    nng_msg_free(message);
}

void wb_raw_echo_stop(wb_raw_echo *echo)
{
    nng_close(echo->socket);
    wb_process_stop(echo->pid);
    free(echo->request);
    free(echo);
}

/* ---- signature ------------------------------------------------------------------------------- */

struct wb_raw_sign {
    uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    uint8_t *message;
    size_t bytes;
};

wb_raw_sign *wb_raw_sign_new(size_t bytes)
{
    wb_raw_sign *sign = need(calloc(1, sizeof *sign));
    sign->message = need(calloc(1, bytes));
    sign->bytes = bytes;
    if (sodium_init() < 0 || crypto_sign_keypair(sign->public, sign->secret) != 0)
        wb_bench_give_up("libsodium does not start");
    wb_raw_sign_once(sign);
    return sign;
}

void wb_raw_sign_once(void *self)
{
    wb_raw_sign *sign = self;
    (void)crypto_sign_detached(sign->signature, NULL, sign->message, sign->bytes, sign->secret);
}

void wb_raw_verify_once(void *self)
{
    wb_raw_sign *sign = self;
    if (crypto_core_ed25519_is_valid_point(sign->signature) != 1 ||
        crypto_sign_verify_detached(sign->signature, sign->message, sign->bytes, sign->public) != 0)
        wb_bench_give_up("a signature of libsodium's own does not verify");
}

void wb_raw_sign_free(wb_raw_sign *sign)
{
    free(sign->message);
    free(sign);
}

/* ---- synced write ---------------------------------------------------------------------------- */

struct wb_raw_sync {
    int file;
    off_t at;
    uint8_t *frame;
    size_t bytes;
};

wb_raw_sync *wb_raw_sync_new(const char *dir, size_t bytes)
{
    char path[256];
    wb_raw_sync *sync = need(calloc(1, sizeof *sync));
    sync->bytes = bytes;
    sync->frame = need(calloc(1, FRAME_HEAD + bytes));
    (void)snprintf(path, sizeof path, "%s/raw", dir);
    sync->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *zeros = need(calloc(1, 1 << 20));
    for (off_t at = 0; at < FILE_BYTES; at += 1 << 20)
        if (pwrite(sync->file, zeros, 1 << 20, at) != 1 << 20)
            wb_bench_give_up("cannot write %s", path);
    free(zeros);
    if (fsync(sync->file) != 0) wb_bench_give_up("cannot sync %s", path);
    return sync;
}

void wb_raw_sync_once(void *self)
{
    wb_raw_sync *sync = self;
    size_t len = FRAME_HEAD + sync->bytes;
    uint32_t crc = wb_crc32c(0, sync->frame + FRAME_HEAD, sync->bytes);
    memcpy(sync->frame, &len, sizeof len);
    memcpy(sync->frame + sizeof len, &crc, sizeof crc);
    if (sync->at + (off_t)len > FILE_BYTES) sync->at = 0;
    if (pwrite(sync->file, sync->frame, len, sync->at) != (ssize_t)len ||
        fdatasync(sync->file) != 0)
        wb_bench_give_up("the raw file cannot be synced");
    sync->at += (off_t)(len + 7) & ~(off_t)7;
}

void wb_raw_sync_free(wb_raw_sync *sync)
{
    (void)close(sync->file);
    free(sync->frame);
    free(sync);
}
