/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks and verb take turns in rounds, not call by call: after a request the sidecar still
 * delivers to its store, and a block measured meanwhile would be measured against that. So each
 * round first waits until the sidecar has come to rest. */
#include "tests/bench/ipc_bench.h"

#include <unistd.h>

enum { REST_US = 400000, BLOCKS_MAX = 8 };

wb_bench_sum wb_bench_beside(wb_ipc_load *load, const wb_bench_block *blocks, size_t n,
                             size_t samples)
{
    wb_bench_series verb, raw[BLOCKS_MAX];
    wb_bench_sum sum = {.blocks_ns = 0};
    wb_bench_series_init(&verb, wb_ipc_load_once, load, WB_BENCH_ROUNDS * samples);
    for (size_t i = 0; i < n; i++)
        wb_bench_series_init(&raw[i], blocks[i].once, blocks[i].ctx, WB_BENCH_ROUNDS * samples);
    wb_bench_series_run(&verb, WB_BENCH_ROUNDS * samples / 10, false);
    for (size_t round = 0; round < WB_BENCH_ROUNDS; round++) {
        (void)usleep(REST_US);
        for (size_t i = 0; i < n; i++) wb_bench_series_run(&raw[i], samples, true);
        wb_bench_series_run(&verb, samples, true);
    }
    sum.verb = wb_bench_series_done(&verb);
    for (size_t i = 0; i < n; i++) {
        wb_bench_stats stats = wb_bench_series_done(&raw[i]);
        sum.blocks_ns += stats.p50 * blocks[i].times;
        (void)wb_bench_report(&(wb_bench_figure){
            .name = blocks[i].name, .unit = "us", .stats = stats, .value = stats.p50 / 1000});
    }
    return sum;
}
