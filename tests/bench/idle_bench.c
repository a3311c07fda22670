/* SPDX-License-Identifier: Apache-2.0 */
/* What a sidecar costs that has nothing to do: time from start to its first handshake, on an empty
 * folder (where it makes a key, a journal and a store) and again on what that left; and its own
 * memory after a second of rest. */
#include "tests/bench/bench.h"
#include "tests/bench/ipc_requests.h"
#include "tests/bench/process.h"

#include <unistd.h>

enum { STARTS = 15, REST_S = 2, IDLE_MAX_KIB = 4096, READY_MAX_MS = 50 };

static int report_start(const char *name, uint64_t *ns)
{
    wb_bench_stats stats = wb_bench_stats_of(ns, STARTS);
    return wb_bench_report(&(wb_bench_figure){.name = name,
                                              .unit = "ms",
                                              .stats = stats,
                                              .value = stats.p50 / 1e6,
                                              .limit = READY_MAX_MS});
}

int main(void)
{
    uint64_t first[STARTS], again[STARTS], kib[STARTS];
    wb_bench_need_release();
    for (size_t i = 0; i < STARTS; i++) {
        wb_bench_sidecar sidecar;
        wb_bench_sidecar_init(&sidecar, wb_bench_config);
        first[i] = wb_bench_sidecar_start(&sidecar);
        wb_bench_sidecar_kill(&sidecar);
        again[i] = wb_bench_sidecar_start(&sidecar);
        if (i == 0) (void)sleep(REST_S);
        kib[i] = wb_bench_sidecar_kib(&sidecar, "RssAnon");
        wb_bench_sidecar_done(&sidecar);
    }
    int over = report_start("start_first", first);
    over |= report_start("start_again", again);
    return over | wb_bench_report(&(wb_bench_figure){.name = "idle_rss_anon",
                                                     .unit = "KiB",
                                                     .stats = {.samples = 1},
                                                     .value = (double)kib[0],
                                                     .limit = IDLE_MAX_KIB});
}
