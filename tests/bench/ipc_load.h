/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ipc_load.h: send requests to a sidecar over nng, one after the other or many at
 * once. */
#ifndef WAYBILL_TESTS_BENCH_IPC_LOAD_H
#define WAYBILL_TESTS_BENCH_IPC_LOAD_H

#include "core/slice.h"
#include "tests/bench/bench.h"

/** Is this reply what the bench wants to measure? NULL, or what it says instead. */
typedef const char *wb_ipc_judge(wb_slice reply);

/** Requests, each sent once: the sidecar answers a repeated one from memory. */
typedef struct wb_ipc_load {
    const wb_slice *requests;
    size_t n, next;
    wb_ipc_judge *judge;
    void *client; /* private */
} wb_ipc_load;

void wb_ipc_load_open(wb_ipc_load *load, const char *socket);
void wb_ipc_load_close(wb_ipc_load *load);

/** Send the next request and wait for its reply. A wb_bench_once. */
void wb_ipc_load_once(void *self);

/** Send `n` more, `in_flight` at once. Latencies, and requests a second over the wall time. */
wb_bench_stats wb_ipc_load_many(wb_ipc_load *load, size_t n, size_t in_flight, double *per_second);

#endif
