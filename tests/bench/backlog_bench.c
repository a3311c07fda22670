/* SPDX-License-Identifier: Apache-2.0 */
/* A million spans for a store that is away: Records of 100 spans (555 bytes, 12 attributes each), 32
 * in flight, each synced before it is answered, none delivered. Then: how large the sidecar is, what
 * one span takes in the journal, and how long a start takes on what a kill left. */
#include "tests/bench/bench.h"
#include "tests/bench/ipc_requests.h"
#include "tests/bench/process.h"
#include "tests/support/otlp_sample.h"

enum {
    SPANS = 100,
    WAVE = 500, /* Records that are made at once */
    WAVES = 20,
    IN_FLIGHT = 32,
    ARENA_BYTES = 128 * 1024 * 1024,
    RSS_MAX_KIB = 32 * 1024,
};

static const double TOTAL = (double)SPANS * WAVE * WAVES;
static const double BYTES_MAX_RATIO =
    1.5; /* journal to the OTLP that came; the rest: what stages add, index, frame */

/* The directory of this store can never be made. */
static const char config[] = "self_ids: [spiffe://example.org/c]\n"
                             "log: {level: error}\n"
                             "store: {sqlite: {path: /dev/null/store/store.db}}\n";

static int report(const char *name, const char *unit, double value, double limit)
{
    return wb_bench_report(&(wb_bench_figure){
        .name = name, .unit = unit, .stats = {.samples = 1}, .value = value, .limit = limit});
}

/* Spans a second over all waves; making the requests is not counted. */
static double fill(const char *socket, wb_arena *arena)
{
    double seconds = 0;
    for (size_t i = 0; i < WAVES; i++) {
        double per_second;
        wb_arena_reset(arena);
        wb_ipc_load load = {.requests = wb_bench_records(WAVE, SPANS, arena),
                            .n = WAVE,
                            .judge = wb_bench_judge_record};
        wb_ipc_load_open(&load, socket);
        (void)wb_ipc_load_many(&load, WAVE, IN_FLIGHT, &per_second);
        wb_ipc_load_close(&load);
        seconds += WAVE / per_second;
    }
    return TOTAL / seconds;
}

static double journal_bytes(const char *socket, wb_arena *arena)
{
    wb_arena_reset(arena);
    wb_slice request = wb_bench_status(arena);
    wb_ipc_load load = {.requests = &request, .n = 1, .judge = wb_bench_judge_status};
    wb_ipc_load_open(&load, socket);
    wb_ipc_load_once(&load);
    wb_ipc_load_close(&load);
    return (double)wb_bench_lag_bytes();
}

int main(void)
{
    wb_bench_need_release();
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_bench_sidecar sidecar;
    if (!arena) wb_bench_give_up("no memory");
    wb_bench_sidecar_init(&sidecar, config);
    (void)wb_bench_sidecar_start(&sidecar);
    double per_second = fill(sidecar.socket, arena);
    double bytes = journal_bytes(sidecar.socket, arena);
    double rss = (double)wb_process_kib(sidecar.pid, "VmRSS");
    double anon = (double)wb_process_kib(sidecar.pid, "RssAnon");
    if (bytes < TOTAL * WB_SAMPLE_SPAN_BYTES) wb_bench_give_up("%.0f bytes are no backlog", bytes);
    wb_bench_sidecar_kill(&sidecar);
    double start_s = (double)wb_bench_sidecar_start(&sidecar) / 1e9;
    wb_bench_sidecar_done(&sidecar);
    int over = report("backlog_rss", "KiB", rss, RSS_MAX_KIB);
    over |= report("backlog_rss_anon", "KiB", anon, 0);
    over |= report("backlog_start", "s/GiB", start_s / (bytes / (1 << 30)), 2);
    over |= report("record_32.rate", "spans/s", per_second, 0);
    return over |
           report("journal_bytes", "B/span", bytes / TOTAL, BYTES_MAX_RATIO * WB_SAMPLE_SPAN_BYTES);
}
