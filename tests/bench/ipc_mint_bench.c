/* SPDX-License-Identifier: Apache-2.0 */
/* Delegate on a real waybilld: token minted, delegation opened, both synced, answered. Beside: a
 * round trip over nng, a signature, a synced write. */
#include "tests/bench/ipc_bench.h"
#include "tests/bench/ipc_requests.h"
#include "tests/bench/raw_blocks.h"

enum {
    SAMPLES = 250,
    ONE_BY_ONE = WB_BENCH_ROUNDS * SAMPLES * 11 / 10,
    AT_ONCE = 20000,
    IN_FLIGHT = 32,
    ARENA_BYTES = 256 * 1024 * 1024,
    REQUEST_BYTES = 220, /* a Delegate, its reply, what is signed and what is written of it */
    REPLY_BYTES = 1000,
    SIGNED_BYTES = 700,
    COMMIT_BYTES = 1200,
};

#define ALONE                                                                                      \
    "2026-11-30: a request alone goes through nng's thread, a worker and the writer, and an echo " \
    "through nng's alone; each of the two more wake-ups takes some 30 us"
#define CROWD                                                                                      \
    "2026-11-30: two processors carry the load, the sidecar and the delivery to the store, which " \
    "takes a third of the sidecar's time; 8.3 to 11 thousand a second are seen"

#define TAIL "2026-11-30: 2.5 to 3.3 in five quiet runs; the disk's own slowest syncs are in it"

int main(void)
{
    wb_bench_need_release();
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_bench_sidecar sidecar;
    if (!arena) wb_bench_give_up("no memory");
    wb_bench_sidecar_init(&sidecar, wb_bench_config);
    (void)wb_bench_sidecar_start(&sidecar);
    wb_ipc_load load = {.requests = wb_bench_delegates(ONE_BY_ONE + AT_ONCE, arena),
                        .n = ONE_BY_ONE + AT_ONCE,
                        .judge = wb_bench_judge_delegate};
    wb_ipc_load_open(&load, sidecar.socket);
    wb_raw_echo *echo = wb_raw_echo_start(sidecar.base, REQUEST_BYTES, REPLY_BYTES);
    wb_raw_sign *sign = wb_raw_sign_new(SIGNED_BYTES);
    wb_raw_sync *sync = wb_raw_sync_new(sidecar.base, COMMIT_BYTES);
    const wb_bench_block blocks[] = {{"ipc_mint.raw_echo", wb_raw_echo_once, echo, 1},
                                     {"ipc_mint.raw_sign", wb_raw_sign_once, sign, 1},
                                     {"ipc_mint.raw_sync", wb_raw_sync_once, sync, 1}};
    wb_bench_sum sum = wb_bench_beside(&load, blocks, 3, SAMPLES);
    double per_second;
    uint64_t cpu_ns = wb_process_cpu_ns(sidecar.pid);
    wb_bench_stats crowd = wb_ipc_load_many(&load, AT_ONCE, IN_FLIGHT, &per_second);
    double cpu_us = (double)(wb_process_cpu_ns(sidecar.pid) - cpu_ns) / 1000 / AT_ONCE;
    wb_raw_sync_free(sync);
    wb_raw_sign_free(sign);
    wb_raw_echo_stop(echo);
    wb_ipc_load_close(&load);
    wb_bench_sidecar_done(&sidecar);
    double ratio = sum.verb.p50 / sum.blocks_ns, tail = crowd.p99 / crowd.p50;
    int over = wb_bench_report(&(wb_bench_figure){.name = "ipc_mint",
                                                  .unit = "x its blocks",
                                                  .stats = sum.verb,
                                                  .value = ratio,
                                                  .ratio = ratio,
                                                  .limit = 1.4,
                                                  .credible = WB_BENCH_CREDIBLE,
                                                  .excuse = ALONE});
    over |= wb_bench_report(&(wb_bench_figure){.name = "ipc_mint_32.rate",
                                               .unit = "mints/s",
                                               .stats = crowd,
                                               .value = per_second,
                                               .bound = WB_BENCH_AT_LEAST,
                                               .limit = 10000,
                                               .excuse = CROWD});
    over |= wb_bench_report(&(wb_bench_figure){.name = "ipc_mint_32.tail",
                                               .unit = "p99 in p50",
                                               .stats = crowd,
                                               .value = tail,
                                               .ratio = tail,
                                               .limit = 3,
                                               .excuse = TAIL});
    (void)wb_bench_report(&(wb_bench_figure){
        .name = "ipc_mint_32.cpu", .unit = "us/mint", .stats = crowd, .value = cpu_us});
    return over;
}
