/* SPDX-License-Identifier: Apache-2.0 */
/* What a sidecar costs that has nothing to do: time from start to its first handshake, on an empty
 * folder (where it makes a key, a journal and a store) and again on what that left; and its
 * memory after two seconds of rest, its own and with the libraries' pages that it shares. */
#include "tests/bench/bench.h"
#include "tests/bench/ipc_requests.h"
#include "tests/bench/process.h"

#include <unistd.h>

enum { STARTS = 15, REST_S = 2, ANON_MAX_KIB = 4096, RSS_MAX_KIB = 8192, READY_MAX_MS = 50 };

static int report_start(const char *name, uint64_t *ns)
{
    wb_bench_stats stats = wb_bench_stats_of(ns, STARTS);
    return wb_bench_report(&(wb_bench_figure){.name = name,
                                              .unit = "ms",
                                              .stats = stats,
                                              .value = stats.p50 / 1e6,
                                              .limit = READY_MAX_MS});
}

static int report_memory(const char *name, uint64_t kib, double limit, const char *excuse)
{
    return wb_bench_report(&(wb_bench_figure){.name = name,
                                              .unit = "KiB",
                                              .stats = {.samples = 1},
                                              .value = (double)kib,
                                              .limit = limit,
                                              .excuse = excuse});
}

int main(void)
{
    uint64_t first[STARTS], again[STARTS], anon = 0, rss = 0;
    wb_bench_need_release();
    for (size_t i = 0; i < STARTS; i++) {
        wb_bench_sidecar sidecar;
        wb_bench_sidecar_init(&sidecar, wb_bench_config);
        first[i] = wb_bench_sidecar_start(&sidecar);
        wb_bench_sidecar_kill(&sidecar);
        again[i] = wb_bench_sidecar_start(&sidecar);
        if (i == 0) {
            (void)sleep(REST_S);
            anon = wb_process_kib(sidecar.pid, "RssAnon");
            rss = wb_process_kib(sidecar.pid, "VmRSS");
        }
        wb_bench_sidecar_done(&sidecar);
    }
    int over = report_start("start_first", first);
    over |= report_start("start_again", again);
    over |= report_memory("idle_rss_anon", anon, ANON_MAX_KIB, NULL);
    return over | report_memory("idle_rss", rss, RSS_MAX_KIB,
                                "2026-11-30: libcurl and libpq are linked, used or not");
}
