/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ipc_bench.h: one verb of a real sidecar beside the raw blocks that it is made of. */
#ifndef WAYBILL_TESTS_BENCH_IPC_BENCH_H
#define WAYBILL_TESTS_BENCH_IPC_BENCH_H

#include "tests/bench/ipc_load.h"
#include "tests/bench/process.h"

/** One raw block, done `times` times by a request. */
typedef struct wb_bench_block {
    const char *name;
    wb_bench_once *once;
    void *ctx;
    double times;
} wb_bench_block;

typedef struct wb_bench_sum {
    wb_bench_stats verb;
    double blocks_ns; /* sum of the blocks' medians, each as often as it is done */
} wb_bench_sum;

enum { WB_BENCH_ROUNDS = 8 };

/* A verb cannot take less than its blocks. If it seems to, others used the processors: a thread
 * that waits for the disk then waits for its turn as well, the next tick of 4 ms. */
#define WB_BENCH_CREDIBLE 0.8

/** Rounds of: every block alone, `samples` times, while the sidecar rests; then the verb. Prints a
 *  line a block. Uses WB_BENCH_ROUNDS * `samples` requests, and a tenth more to warm up. */
wb_bench_sum wb_bench_beside(wb_ipc_load *load, const wb_bench_block *blocks, size_t n,
                             size_t samples);

#endif
