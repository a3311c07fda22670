/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/HTTP in, OTLP/HTTP out: what a span costs on its way through Waybill, beside the bare path (the same
 * libraries and nothing else, every span synced before it is acknowledged) and beside the OpenTelemetry
 * Collector, once with its memory queue, which a crash loses, and once with its file storage and fsync.
 * Requests of 100 spans (555 bytes, 12 attributes each), eight in flight, as fast as each forwarder takes
 * them; they take turns, and of each the least processor time and the best rate of its rounds count. Waybill is also given
 * the same spans as JSON and over gRPC, and a second exporter whose backend takes connections and never
 * answers: once while that falls behind and the journal grows for it, and once when it is as far behind as
 * it may be and gives up the oldest, beside Waybill without it after as long a start. Processor time is the
 * forwarder's own; the rate is that of spans which reached the backend, until the last one did. It is judged
 * over 30 seconds, after which the backend may lack what was acknowledged for a second at most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/otlp_to_json.h"
#include "tests/bench/bench.h"
#include "tests/bench/http_side.h"
#include "tests/bench/process.h"
#include "tests/support/loopback.h"
#include "tests/support/otlp_sample.h"

enum {
    SPANS = 100,
    BODIES = 64,
    CONNECTIONS = 8,
    ROUNDS = 5,
    ARENA_BYTES = 64 * 1024 * 1024,
    DRAIN_S = 60,
};

static const double SECONDS = 3, LONG_S = 30, WARM_UP_S = 0.5, FALL_BEHIND_S = 4;

typedef struct place {
    char folder[64], log[96];
    uint16_t port, grpc_port;
    pid_t pid;
    int stuck; /* a socket that listens; 0: none */
    wb_bench_sidecar sidecar;
} place;

/* How the spans come in. */
typedef enum way { WAY_PROTOBUF, WAY_JSON, WAY_GRPC } way;

typedef struct measured {
    double us_per_span, spans_per_s, rss_kib;
    double lag_ms; /* from the last acknowledgement until the last span reached the backend */
} measured;

typedef struct subject {
    const char *name;
    void (*start)(place *p, uint16_t sink_port);
    void (*stop)(place *p);
    way way;
    double warm_up_s; /* 0: WARM_UP_S */
    measured rounds[ROUNDS];
    bool absent;
} subject;

/* ---- the forwarders --------------------------------------------------------------------------- */

static void make_folder(place *p)
{
    (void)snprintf(p->folder, sizeof p->folder, "/tmp/wb-bench-XXXXXX");
    if (!mkdtemp(p->folder)) wb_bench_give_up("no folder below /tmp");
    (void)snprintf(p->log, sizeof p->log, "%s/log", p->folder);
}

static void stop_program(place *p)
{
    wb_process_stop(p->pid);
    wb_process_remove(p->folder);
}

static void start_bare(place *p, uint16_t sink_port)
{
    char path[512], sink[8], file[96], said[16];
    make_folder(p);
    wb_process_path("bare_path", path, sizeof path);
    (void)snprintf(sink, sizeof sink, "%u", sink_port);
    (void)snprintf(file, sizeof file, "%s/segment", p->folder);
    const char *const args[] = {"bare_path", "0", sink, file, NULL};
    p->pid = wb_process_start_path(path, args, p->log, said, sizeof said);
    p->port = (uint16_t)strtoul(said, NULL, 10);
}

/* Further exporters, behind a comma; further keys. */
static void start_waybill_with(place *p, uint16_t sink_port, const char *exporters,
                               const char *more)
{
    char config[1024];
    p->port = wb_process_free_port();
    p->grpc_port = wb_process_free_port();
    (void)snprintf(config, sizeof config,
                   "log: {level: error}\n"
                   "store: {type: none}\n"
                   "otlp: {http: {listen: \"127.0.0.1:%u\"}, grpc: {listen: \"127.0.0.1:%u\"}}\n"
                   "exporters: {sink: {type: otlp, endpoint: \"http://127.0.0.1:%u\",\n"
                   "  signals: [traces], when_full: backpressure}%s}\n"
                   "%s",
                   p->port, p->grpc_port, sink_port, exporters, more);
    wb_bench_sidecar_init(&p->sidecar, config);
    (void)wb_bench_sidecar_start(&p->sidecar);
    p->pid = p->sidecar.pid;
    wb_http_wait_port(p->port);
}

static void start_waybill(place *p, uint16_t sink_port)
{
    start_waybill_with(p, sink_port, "", "");
}

static void start_waybill_bare(place *p, uint16_t sink_port)
{
    start_waybill_with(p, sink_port, "",
                       "trust: {rehome: false}\n"
                       "normalise: {enabled: false}\n"
                       "enrich: {enabled: false}\n"
                       "metrics: {genai: false}\n"
                       "redact: {secrets: false, content: whole}\n");
}

static void start_waybill_stuck(place *p, uint16_t sink_port)
{
    char exporter[160];
    uint16_t port;
    p->stuck = loopback_listen(&port);
    if (p->stuck < 0) wb_bench_give_up("no port for a backend that never answers");
    (void)snprintf(exporter, sizeof exporter,
                   ",\n  stuck: {type: otlp, endpoint: \"http://127.0.0.1:%u\", signals: [traces]}",
                   port);
    start_waybill_with(p, sink_port, exporter, "");
}

static void stop_waybill(place *p)
{
    wb_bench_sidecar_done(&p->sidecar);
    if (p->stuck) (void)close(p->stuck);
}

/* $WAYBILL_PEERS_CACHE, where tools/build-peers puts it; false if it is not built. */
static bool collector_path(char *out, size_t size)
{
    const char *cache = getenv("WAYBILL_PEERS_CACHE"), *home = getenv("HOME");
    if (cache)
        (void)snprintf(out, size, "%s/otelcol-0.155.0/otelcol", cache);
    else
        (void)snprintf(out, size, "%s/.cache/waybill/peers/otelcol-0.155.0/otelcol",
                       home ? home : "");
    return access(out, X_OK) == 0;
}

static void start_collector(place *p, uint16_t sink_port, bool durable)
{
    char path[512], config[96], storage[128] = "";
    if (!collector_path(path, sizeof path)) wb_bench_give_up("the collector is not built");
    make_folder(p);
    p->port = wb_process_free_port();
    (void)snprintf(config, sizeof config, "%s/config.yaml", p->folder);
    if (durable)
        (void)snprintf(storage, sizeof storage, "file_storage: {directory: %s, fsync: true}",
                       p->folder);
    FILE *file = fopen(config, "we");
    if (!file) wb_bench_give_up("%s", config);
    (void)fprintf(file,
                  "receivers: {otlp: {protocols: {http: {endpoint: \"127.0.0.1:%u\"}}}}\n"
                  "exporters:\n"
                  "  otlphttp:\n"
                  "    endpoint: http://127.0.0.1:%u\n"
                  "    compression: none\n"
                  "    tls: {insecure: true}\n"
                  "    sending_queue: {block_on_overflow: true%s}\n"
                  "extensions: {%s}\n"
                  "service:\n"
                  "  telemetry: {metrics: {level: none}, logs: {level: error}}\n"
                  "  extensions: [%s]\n"
                  "  pipelines: {traces: {receivers: [otlp], %sexporters: [otlphttp]}}\n"
                  "%s",
                  p->port, sink_port, durable ? ", storage: file_storage" : "", storage,
                  durable ? "file_storage" : "", durable ? "" : "processors: [batch], ",
                  durable ? "" : "processors: {batch: {}}\n");
    (void)fclose(file);
    const char *const args[] = {"otelcol", "--config", config, NULL};
    p->pid = wb_process_start_path(path, args, p->log, NULL, 0);
    wb_http_wait_port(p->port);
}

static void start_collector_memory(place *p, uint16_t port) { start_collector(p, port, false); }
static void start_collector_file(place *p, uint16_t port) { start_collector(p, port, true); }

/* ---- measuring -------------------------------------------------------------------------------- */

static uint64_t load(const subject *s, const place *p, const wb_slice *bodies, double seconds)
{
    const wb_http_load load = {.port = s->way == WAY_GRPC ? p->grpc_port : p->port,
                               .content_type = s->way == WAY_JSON ? "application/json"
                                                                  : "application/x-protobuf",
                               .bodies = bodies,
                               .n = BODIES,
                               .connections = CONNECTIONS,
                               .seconds = seconds};
    return (s->way == WAY_GRPC ? wb_grpc_load_run(&load) : wb_http_load_run(&load)) * SPANS;
}

static void wait_delivered(wb_http_sink *sink, uint64_t spans)
{
    uint64_t start = wb_bench_now_ns();
    while (wb_http_sink_spans(sink) < spans) {
        (void)usleep(500);
        if (wb_bench_now_ns() - start > DRAIN_S * UINT64_C(1000000000))
            wb_bench_give_up("%llu of %llu spans arrived",
                             (unsigned long long)wb_http_sink_spans(sink),
                             (unsigned long long)spans);
    }
}

static measured measure(const subject *s, const wb_slice *bodies, double seconds)
{
    place p = {0};
    wb_http_sink *sink = wb_http_sink_start();
    s->start(&p, wb_http_sink_port(sink));
    uint64_t warm = load(s, &p, bodies, s->warm_up_s > 0 ? s->warm_up_s : WARM_UP_S);
    wait_delivered(sink, warm);
    uint64_t cpu_ns = wb_process_cpu_ns(p.pid), start_ns = wb_bench_now_ns();
    uint64_t spans = load(s, &p, bodies, seconds), acknowledged_ns = wb_bench_now_ns();
    wait_delivered(sink, warm + spans);
    uint64_t end_ns = wb_bench_now_ns();
    double ns = (double)(end_ns - start_ns);
    measured m = {.us_per_span = (double)(wb_process_cpu_ns(p.pid) - cpu_ns) / 1000 / (double)spans,
                  .spans_per_s = (double)spans / (ns / 1e9),
                  .rss_kib = (double)wb_process_kib(p.pid, "VmHWM"),
                  .lag_ms = (double)(end_ns - acknowledged_ns) / 1e6};
    s->stop(&p);
    wb_http_sink_stop(sink);
    return m;
}

static int by_cost(const void *a, const void *b)
{
    double x = ((const measured *)a)->us_per_span, y = ((const measured *)b)->us_per_span;
    return (x > y) - (x < y);
}

/* What else the machine does only ever adds. */
static const measured *cheapest(const subject *s) { return &s->rounds[0]; }

static double best_rate(const subject *s)
{
    double best = 0;
    for (size_t i = 0; i < ROUNDS; i++)
        if (s->rounds[i].spans_per_s > best) best = s->rounds[i].spans_per_s;
    return best;
}

/* ---- judging ---------------------------------------------------------------------------------- */

static int say(const char *who, const char *what, const char *unit, double value)
{
    char name[64];
    (void)snprintf(name, sizeof name, "forward_%s.%s", who, what);
    return wb_bench_report(&(wb_bench_figure){
        .name = name, .unit = unit, .stats = {.samples = ROUNDS}, .value = value});
}

static int judge(const char *name, size_t samples, double ratio, wb_bench_bound bound, double limit)
{
    return wb_bench_report(&(wb_bench_figure){.name = name,
                                              .unit = "x",
                                              .stats = {.samples = samples},
                                              .value = ratio,
                                              .ratio = ratio,
                                              .bound = bound,
                                              .limit = limit});
}

/* The same for longer, so that what only grows would show: does all keep up? */
static int judge_long(const subject *bare_path, const subject *waybill, const wb_slice *bodies)
{
    measured bare = measure(bare_path, bodies, LONG_S), ours = measure(waybill, bodies, LONG_S);
    int over = judge("forward_rate_vs_bare", 1, ours.spans_per_s / bare.spans_per_s,
                     WB_BENCH_AT_LEAST, 0.7);
    return over | wb_bench_report(&(wb_bench_figure){.name = "forward_lag",
                                                     .unit = "ms",
                                                     .stats = {.samples = 1},
                                                     .value = ours.lag_ms,
                                                     .limit = 1000});
}

enum {
    BARE,
    STAGES_OFF,
    DEFAULTS,
    FALLING_BEHIND,
    WARM,
    STUCK,
    JSON_IN,
    GRPC_IN,
    MEMORY,
    STORAGE,
    SUBJECTS
};

static wb_slice as_json(wb_slice body, wb_arena *arena)
{
    wb_slice copy;
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, 16 * 1024 * 1024);
    if (wb_otlp_to_json(WB_SIGNAL_TRACES, body, &text) != WB_OK ||
        wb_arena_dup(arena, wb_buffer_slice(&text), &copy) != WB_OK)
        wb_bench_give_up("no memory");
    return copy;
}

/* Named on the command line, or nobody was. */
static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    static subject subjects[SUBJECTS] = {
        [BARE] = {.name = "bare_path", .start = start_bare, .stop = stop_program},
        [STAGES_OFF] = {.name = "no_stages", .start = start_waybill_bare, .stop = stop_waybill},
        [DEFAULTS] = {.name = "waybill", .start = start_waybill, .stop = stop_waybill},
        [FALLING_BEHIND] = {.name = "one_falls_behind",
                            .start = start_waybill_stuck,
                            .stop = stop_waybill},
        [WARM] = {.name = "none_stuck",
                  .start = start_waybill,
                  .stop = stop_waybill,
                  .warm_up_s = FALL_BEHIND_S},
        [STUCK] = {.name = "one_stuck",
                   .start = start_waybill_stuck,
                   .stop = stop_waybill,
                   .warm_up_s = FALL_BEHIND_S},
        [JSON_IN] = {.name = "json", .start = start_waybill, .stop = stop_waybill, .way = WAY_JSON},
        [GRPC_IN] = {.name = "grpc", .start = start_waybill, .stop = stop_waybill, .way = WAY_GRPC},
        [MEMORY] = {.name = "collector_memory",
                    .start = start_collector_memory,
                    .stop = stop_program},
        [STORAGE] = {.name = "collector_file", .start = start_collector_file, .stop = stop_program},
    };
    char path[512];
    static wb_slice protobuf[BODIES], json[BODIES];
    wb_bench_need_release();
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) wb_bench_give_up("no memory");
    for (size_t i = 0; i < BODIES; i++) {
        protobuf[i] = wb_sample_llm_spans(SPANS, i + 1, arena);
        json[i] = as_json(protobuf[i], arena);
    }
    bool collector = collector_path(path, sizeof path);
    subjects[MEMORY].absent = subjects[STORAGE].absent = !collector;
    for (size_t i = 0; i < SUBJECTS; i++)
        subjects[i].absent |= !is_wanted(subjects[i].name, argc, argv);
    if (!collector)
        (void)fprintf(stderr, "forward: no collector here; tools/build-peers builds one\n");
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < SUBJECTS; i++)
            if (!subjects[i].absent)
                subjects[i].rounds[round] =
                    measure(&subjects[i], subjects[i].way == WAY_JSON ? json : protobuf, SECONDS);
    for (size_t i = 0; i < SUBJECTS; i++) {
        if (subjects[i].absent) continue;
        qsort(subjects[i].rounds, ROUNDS, sizeof subjects[i].rounds[0], by_cost);
        (void)say(subjects[i].name, "cpu", "us/span", cheapest(&subjects[i])->us_per_span);
        (void)say(subjects[i].name, "rate", "spans/s", best_rate(&subjects[i]));
        (void)say(subjects[i].name, "rss", "KiB", cheapest(&subjects[i])->rss_kib);
    }
    if (argc > 1) return 0; /* no ratios of what was not measured */
    const measured *bare = cheapest(&subjects[BARE]), *ours = cheapest(&subjects[DEFAULTS]);
    int over = judge("forward_no_stages_vs_bare", ROUNDS,
                     cheapest(&subjects[STAGES_OFF])->us_per_span / bare->us_per_span,
                     WB_BENCH_AT_MOST, 1.25);
    over |= judge("forward_vs_bare", ROUNDS, ours->us_per_span / bare->us_per_span,
                  WB_BENCH_AT_MOST, 1.7);
    double stages = ours->us_per_span - cheapest(&subjects[STAGES_OFF])->us_per_span;
    over |=
        judge("forward_stages_vs_bare", ROUNDS, stages / bare->us_per_span, WB_BENCH_AT_MOST, 0.45);
    over |= judge_long(&subjects[BARE], &subjects[DEFAULTS], protobuf);
    over |=
        judge("forward_one_stuck_vs_none", ROUNDS,
              best_rate(&subjects[STUCK]) / best_rate(&subjects[WARM]), WB_BENCH_AT_LEAST, 0.95);
    over |=
        judge("forward_json_vs_protobuf", ROUNDS,
              cheapest(&subjects[JSON_IN])->us_per_span / ours->us_per_span, WB_BENCH_AT_MOST, 4);
    over |=
        judge("forward_grpc_vs_http", ROUNDS,
              cheapest(&subjects[GRPC_IN])->us_per_span / ours->us_per_span, WB_BENCH_AT_MOST, 1.5);
    if (!collector) return over;
    over |=
        judge("forward_vs_collector_memory", ROUNDS,
              cheapest(&subjects[MEMORY])->us_per_span / ours->us_per_span, WB_BENCH_AT_LEAST, 3);
    return over | judge("forward_vs_collector_file", ROUNDS,
                        cheapest(&subjects[STORAGE])->us_per_span / ours->us_per_span,
                        WB_BENCH_AT_LEAST, 12);
}
