/* SPDX-License-Identifier: Apache-2.0 */
/* Record of 100 spans (555 bytes, 12 attributes each) on a real waybilld: unpacked, walked,
 * guarded, rendered with its index, synced, answered. Beside: the same bytes sent over nng for a
 * short answer, and framed, CRC'd and synced bare. */
#include "tests/bench/ipc_bench.h"
#include "tests/bench/ipc_requests.h"
#include "tests/bench/raw_blocks.h"

enum {
    SPANS = 100,
    SAMPLES = 60,
    RECORDS = WB_BENCH_ROUNDS * SAMPLES * 11 / 10,
    REPLY_BYTES = 24,
    ARENA_BYTES = 256 * 1024 * 1024,
};

int main(void)
{
    wb_bench_need_release();
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_bench_sidecar sidecar;
    if (!arena) wb_bench_give_up("no memory");
    wb_bench_sidecar_init(&sidecar, wb_bench_config);
    (void)wb_bench_sidecar_start(&sidecar);
    wb_ipc_load load = {.requests = wb_bench_records(RECORDS, SPANS, arena),
                        .n = RECORDS,
                        .judge = wb_bench_judge_record};
    wb_ipc_load_open(&load, sidecar.socket);
    size_t bytes = load.requests[0].len;
    wb_raw_echo *echo = wb_raw_echo_start(sidecar.base, bytes, REPLY_BYTES);
    wb_raw_sync *sync = wb_raw_sync_new(sidecar.base, bytes);
    const wb_bench_block blocks[] = {{"record_commit.raw_send", wb_raw_echo_once, echo, 1},
                                     {"record_commit.raw_sync", wb_raw_sync_once, sync, 1}};
    wb_bench_sum sum = wb_bench_beside(&load, blocks, 2, SAMPLES);
    wb_raw_sync_free(sync);
    wb_raw_echo_stop(echo);
    wb_ipc_load_close(&load);
    wb_bench_sidecar_done(&sidecar);
    double ratio = sum.verb.p50 / sum.blocks_ns;
    /* The design names no limit. What is more than the bare bytes is the stages, check, index and rendering, some 40 us,
     * and the way through a worker and the writer. */
    return wb_bench_report(&(wb_bench_figure){.name = "record_commit",
                                              .unit = "x its blocks",
                                              .stats = sum.verb,
                                              .per = 1,
                                              .value = ratio,
                                              .ratio = ratio,
                                              .limit = 2,
                                              .excuse = "2026-11-30: 1.81 to 2.07 in ten quiet "
                                                        "runs; as of ipc_mint, two wake-ups more "
                                                        "than an echo has",
                                              .credible = WB_BENCH_CREDIBLE});
}
