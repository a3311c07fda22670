/* SPDX-License-Identifier: Apache-2.0 */
/* Medians, because a shared machine's mean says what the neighbours did; ratios of what was
 * measured in turns in one run, because a nanosecond on one machine is two on another. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 20 };

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
static const char *const unfit = "this build has a sanitizer";
#elif !defined(__OPTIMIZE__)
static const char *const unfit = "this build is not optimised";
#else
static const char *const unfit = NULL;
#endif

void wb_bench_give_up(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "bench: ");
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    exit(2);
}

void wb_bench_need_release(void)
{
    if (unfit) wb_bench_give_up("%s: configure with the bench preset", unfit);
}

uint64_t wb_bench_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

wb_bench_stats wb_bench_stats_of(uint64_t *ns, size_t n)
{
    if (n == 0) return (wb_bench_stats){0};
    qsort(ns, n, sizeof *ns, compare);
    uint64_t p50 = ns[n / 2], p99 = ns[n - 1 - n / 100];
    return (wb_bench_stats){(double)p50, (double)p99, n};
}

void wb_bench_series_init(wb_bench_series *series, wb_bench_once *once, void *ctx, size_t most)
{
    *series = (wb_bench_series){.once = once, .ctx = ctx, .most = most};
    series->ns = calloc(most, sizeof *series->ns);
    if (!series->ns) wb_bench_give_up("no memory for %zu samples", most);
}

void wb_bench_series_run(wb_bench_series *series, size_t n, bool keep)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t start = wb_bench_now_ns();
        series->once(series->ctx);
        uint64_t took = wb_bench_now_ns() - start;
        if (keep && series->n < series->most) series->ns[series->n++] = took;
    }
}

wb_bench_stats wb_bench_series_done(wb_bench_series *series)
{
    wb_bench_stats stats = wb_bench_stats_of(series->ns, series->n);
    free(series->ns);
    series->ns = NULL;
    return stats;
}

void wb_bench_together(wb_bench_once *const *once, void *const *ctx, size_t n, size_t samples,
                       wb_bench_stats *stats)
{
    size_t bursts = (samples + BURST - 1) / BURST, warm_up = bursts / 10;
    wb_bench_series *series = calloc(n, sizeof *series);
    if (!series) wb_bench_give_up("no memory for %zu series", n);
    for (size_t i = 0; i < n; i++)
        wb_bench_series_init(&series[i], once[i], ctx[i], bursts * BURST);
    for (size_t b = 0; b < bursts + warm_up; b++)
        for (size_t i = 0; i < n; i++) wb_bench_series_run(&series[i], BURST, b >= warm_up);
    for (size_t i = 0; i < n; i++) stats[i] = wb_bench_series_done(&series[i]);
    free(series);
}

/* How many others want the processors: numbers taken above one a processor say little. */
static double read_load(void)
{
    double load = 0;
    return getloadavg(&load, 1) == 1 ? load : 0;
}

/* The processor as /proc/cpuinfo names it. */
static void read_cpu(char *out, size_t size)
{
    char line[256];
    (void)snprintf(out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10) != 0) continue;
        line[strcspn(line, "\n\"\\")] = '\0';
        (void)snprintf(out, size, "%s", colon + 2);
        break;
    }
    (void)fclose(file);
}

/* "2026-11-29: why": an excuse without a day is none. */
static bool is_dated(const char *excuse)
{
    struct tm day = {0};
    const char *rest = excuse ? strptime(excuse, "%Y-%m-%d", &day) : NULL;
    return rest && strncmp(rest, ": ", 2) == 0 && strlen(rest) > 10;
}

static const char *verdict_of(const wb_bench_figure *figure, double value)
{
    if (value < figure->credible) return "disturbed";
    if (figure->limit == 0) return "none";
    bool within =
        figure->bound == WB_BENCH_AT_MOST ? value <= figure->limit : value >= figure->limit;
    if (within) return "ok";
    return is_dated(figure->excuse) ? "excused" : "over";
}

/* Where and when: the bench is the program's name. */
static void print_head(void)
{
    char day[sizeof "2026-11-29"];
    time_t now = time(NULL);
    (void)strftime(day, sizeof day, "%Y-%m-%d", gmtime(&now)); /* NOLINT(concurrency-mt-unsafe) */
    int name_len = (int)strcspn(program_invocation_short_name, "_");
    const char *end = strstr(program_invocation_short_name, "_bench");
    if (end) name_len = (int)(end - program_invocation_short_name);
    (void)printf("{\"bench\":\"%.*s\",\"date\":\"%s\",\"cpus\":%ld,", name_len,
                 program_invocation_short_name, day, sysconf(_SC_NPROCESSORS_ONLN));
}

int wb_bench_report(const wb_bench_figure *figure)
{
    char cpu[128];
    read_cpu(cpu, sizeof cpu);
    double per = figure->per > 0 ? figure->per : 1;
    double value = figure->value > 0 ? figure->value : figure->stats.p50 / per;
    const char *verdict = verdict_of(figure, value);
    const char *commit = getenv("WAYBILL_COMMIT"); /* tests/bench/run sets it */
    print_head();
    (void)printf("\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.4g,\"p50_ns\":%.1f,\"p99_ns\":%.1f,"
                 "\"samples\":%zu,\"ratio\":%.3g,\"bound\":\"%s\",\"limit\":%.6g,"
                 "\"verdict\":\"%s\",\"excuse\":\"%s\",\"commit\":\"%s\",\"cpu\":\"%s\","
                 "\"load\":%.2f}\n",
                 figure->name, figure->unit, value, figure->stats.p50 / per,
                 figure->stats.p99 / per, figure->stats.samples, figure->ratio,
                 figure->bound == WB_BENCH_AT_MOST ? "at most" : "at least", figure->limit, verdict,
                 figure->excuse ? figure->excuse : "", commit ? commit : "unknown", cpu,
                 read_load());
    (void)fflush(stdout);
    return strcmp(verdict, "over") == 0 || strcmp(verdict, "disturbed") == 0 ? 1 : 0;
}

int wb_bench(const char *name, wb_bench_once *once, void *ctx, wb_bench_opts opts)
{
    wb_bench_stats stats;
    wb_bench_need_release();
    wb_bench_together(&once, &ctx, 1, opts.samples, &stats);
    return wb_bench_report(&(wb_bench_figure){
        .name = name, .unit = "ns", .stats = stats, .per = opts.per, .limit = opts.limit});
}
