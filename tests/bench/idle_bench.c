/* SPDX-License-Identifier: Apache-2.0 */
/* What a sidecar costs that has nothing to do: time from start to its first handshake, on an empty
 * folder (where it makes a key, a journal and a store) and again on what that left; and its
 * memory after two seconds of rest, its own and with the libraries' pages that it shares. Beside: a program
 * that is linked with the same libraries and does nothing, since most of that is theirs, used or not
 * (docs/sizing.md). And the memory of one with an exporter of each kind. A build with neither libcurl nor
 * libpq has a lower limit. */
#include "tests/bench/bench.h"
#include "tests/bench/ipc_requests.h"
#include "tests/bench/process.h"

#include <stdio.h>
#include <unistd.h>

enum { STARTS = 15, REST_S = 2, READY_MAX_MS = 50, ANON_MAX_KIB = 4096, ALL_MAX_KIB = 16384 };

#if WAYBILL_OTLP_EXPORT
#define TO_OTLP "c: {type: otlp, endpoint: \"http://127.0.0.1:9\"}, "
#else
#define TO_OTLP ""
#endif
#if WAYBILL_POSTGRES
#define TO_POSTGRES "p: {type: postgres, url: \"postgres://waybill@127.0.0.1:9/waybill\"}"
#else
#define TO_POSTGRES ""
#endif
#if WAYBILL_OTLP_EXPORT || WAYBILL_POSTGRES
enum { RSS_MAX_KIB = ALL_MAX_KIB };
#else
enum { RSS_MAX_KIB = 8192 };
#endif

/* The SQLite store is there by itself. */
static const char with_all[] = "log: {level: error}\n"
                               "exporters: {" TO_OTLP TO_POSTGRES "}\n";

typedef struct memory {
    uint64_t anon_kib, rss_kib;
} memory;

static memory at_rest(pid_t pid)
{
    (void)sleep(REST_S);
    return (memory){wb_process_kib(pid, "RssAnon"), wb_process_kib(pid, "VmRSS")};
}

static memory of_sidecar(const char *config)
{
    wb_bench_sidecar sidecar;
    wb_bench_sidecar_init(&sidecar, config);
    (void)wb_bench_sidecar_start(&sidecar);
    memory m = at_rest(sidecar.pid);
    wb_bench_sidecar_done(&sidecar);
    return m;
}

static memory of_libraries(void)
{
    static const char *const args[] = {"idle_libraries", NULL};
    pid_t pid = wb_process_start(args[0], args, NULL, NULL);
    memory m = at_rest(pid);
    wb_process_stop(pid);
    return m;
}

static void time_starts(uint64_t *first, uint64_t *again)
{
    for (size_t i = 0; i < STARTS; i++) {
        wb_bench_sidecar sidecar;
        wb_bench_sidecar_init(&sidecar, wb_bench_config);
        first[i] = wb_bench_sidecar_start(&sidecar);
        wb_bench_sidecar_kill(&sidecar);
        again[i] = wb_bench_sidecar_start(&sidecar);
        wb_bench_sidecar_done(&sidecar);
    }
}

static int report_start(const char *name, uint64_t *ns)
{
    wb_bench_stats stats = wb_bench_stats_of(ns, STARTS);
    return wb_bench_report(&(wb_bench_figure){.name = name,
                                              .unit = "ms",
                                              .stats = stats,
                                              .value = stats.p50 / 1e6,
                                              .limit = READY_MAX_MS});
}

static int report_memory(const char *name, uint64_t kib, double limit)
{
    return wb_bench_report(&(wb_bench_figure){.name = name,
                                              .unit = "KiB",
                                              .stats = {.samples = 1},
                                              .value = (double)kib,
                                              .limit = limit});
}

int main(void)
{
    uint64_t first[STARTS], again[STARTS];
    wb_bench_need_release();
    time_starts(first, again);
    memory idle = of_sidecar(wb_bench_config), all = of_sidecar(with_all);
    int over = report_start("start_first", first);
    over |= report_start("start_again", again);
    over |= report_memory("idle_rss_anon", idle.anon_kib, ANON_MAX_KIB);
    over |= report_memory("idle_rss", idle.rss_kib, RSS_MAX_KIB);
    over |= report_memory("idle_rss_libraries", of_libraries().rss_kib, 0);
    return over | report_memory("idle_rss_all", all.rss_kib, ALL_MAX_KIB);
}
