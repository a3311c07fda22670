/* SPDX-License-Identifier: Apache-2.0 */
/* What a span costs the agent: start, six attributes, end, on the agent's thread, with a real sidecar that
 * takes what is recorded. Between two samples the buffer is emptied, so that no sample meets a full one. The
 * clock that every span reads twice is measured beside it: on some machines it is most of the cost. */
#include "include/waybill/waybill.h"
#include "tests/bench/bench.h"
#include "tests/bench/process.h"

#include "core/clock.h"
#include "core/status.h"

#include <unistd.h>

enum { SAMPLES = 200, WARM_UP = 20, SPANS = 500, FLUSH_MS = 10000 };

static waybill_span root, span;

static void record_spans(waybill_client *client)
{
    for (int i = 0; i < SPANS; i++) {
        waybill_span_start(client, &span, "search documents", &root.context, WAYBILL_PLAIN);
        waybill_span_set_text(&span, "gen_ai.request.model", "some-model-large");
        waybill_span_set_text(&span, "gen_ai.provider.name", "example");
        waybill_span_set_int(&span, "gen_ai.usage.input_tokens", 1200 + i);
        waybill_span_set_int(&span, "gen_ai.usage.output_tokens", 300);
        waybill_span_set_double(&span, "gen_ai.request.temperature", 0.2);
        waybill_span_set_bool(&span, "search.cached", false);
        WB_ASSERT(waybill_span_end(&span));
    }
}

static void read_clock(void)
{
    uint64_t any = 0;
    for (int i = 0; i < 2 * SPANS; i++) any |= wb_mono(&wb_system_clock);
    WB_ASSERT(any != 0);
}

int main(void)
{
    static uint64_t spans_ns[SAMPLES], clock_ns[SAMPLES];
    wb_bench_need_release();
    sync(); /* what the bench before wrote is not to be written during this one */
    wb_bench_sidecar sidecar;
    waybill_client *client = NULL;
    waybill_error err;
    wb_bench_sidecar_init(&sidecar, "");
    (void)wb_bench_sidecar_start(&sidecar);
    waybill_options options = {.size = sizeof options, .socket = sidecar.socket};
    if (waybill_open(&options, &client, &err) != WAYBILL_OK) wb_bench_give_up("%s", err.detail);
    waybill_span_start(client, &root, "root", NULL, WAYBILL_AGENT);
    for (int i = -WARM_UP; i < SAMPLES; i++) {
        uint64_t started = wb_bench_now_ns();
        record_spans(client);
        uint64_t recorded = wb_bench_now_ns();
        read_clock();
        uint64_t read = wb_bench_now_ns();
        if (i >= 0) spans_ns[i] = recorded - started;
        if (i >= 0) clock_ns[i] = read - recorded;
        if (!waybill_flush(client, FLUSH_MS)) wb_bench_give_up("the sidecar takes no spans");
    }
    waybill_stats stats;
    waybill_get_stats(client, &stats, sizeof stats);
    if (stats.spans_dropped > 0) wb_bench_give_up("spans were dropped");
    waybill_close(client, FLUSH_MS);
    wb_bench_sidecar_done(&sidecar);
    wb_bench_stats clock = wb_bench_stats_of(clock_ns, SAMPLES);
    int over = wb_bench_report(
        &(wb_bench_figure){.name = "client_span",
                           .unit = "ns/span",
                           .stats = wb_bench_stats_of(spans_ns, SAMPLES),
                           .per = SPANS,
                           .limit = 150,
                           .excuse = "2026-11-30: 122 to 173 in eight quiet runs; "
                                     "both processors share what the spans are on"});
    return over | wb_bench_report(&(wb_bench_figure){.name = "client_span_clock",
                                                     .unit = "ns of it for the clock",
                                                     .stats = clock,
                                                     .per = SPANS});
}
