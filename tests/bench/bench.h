/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/bench.h: measure, print one JSON line a figure, judge it against its limit.
 *
 * A bench program exits 0 when every figure is within its limit or excused, 1 when one is not, and
 * 2 when it could not measure: a build without optimisation or with a sanitizer, a missing
 * program. */
#ifndef WAYBILL_TESTS_BENCH_BENCH_H
#define WAYBILL_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** One operation of what is measured. */
typedef void wb_bench_once(void *ctx);

typedef struct wb_bench_stats {
    double p50, p99; /* ns an operation */
    size_t samples;
} wb_bench_stats;

/** Median and 99th percentile; sorts `ns` in place. */
wb_bench_stats wb_bench_stats_of(uint64_t *ns, size_t n);

/** Samples that are taken a few at a time, for operations that must not run side by side. */
typedef struct wb_bench_series {
    wb_bench_once *once;
    void *ctx;
    uint64_t *ns; /* room for `most` */
    size_t n, most;
} wb_bench_series;

void wb_bench_series_init(wb_bench_series *series, wb_bench_once *once, void *ctx, size_t most);
/** Take `n` samples more; `keep` false warms up only. */
void wb_bench_series_run(wb_bench_series *series, size_t n, bool keep);
/** Frees the samples. */
wb_bench_stats wb_bench_series_done(wb_bench_series *series);

/** Time `samples` calls of each of `n` operations. They take turns in bursts of 20: often enough
 *  that whatever else the machine does hits all alike, seldom enough that one does not pay for the
 *  state in which another leaves caches and heap. A tenth more warms up first and is not counted.
 *  `stats` has room for `n`. */
void wb_bench_together(wb_bench_once *const *once, void *const *ctx, size_t n, size_t samples,
                       wb_bench_stats *stats);

typedef enum wb_bench_bound { WB_BENCH_AT_MOST, WB_BENCH_AT_LEAST } wb_bench_bound;

typedef struct wb_bench_figure {
    const char *name, *unit; /* of value */
    wb_bench_stats stats;    /* what value was made from, in ns divided by `per` */
    double per;              /* operations in one sample; 0 counts as 1 */
    double value;            /* what the limit judges; 0: stats.p50 / per */
    double ratio;            /* to the raw building block of the same run; 0: none */
    wb_bench_bound bound;
    double credible;    /* below this the measurement itself was disturbed; 0: never */
    double limit;       /* 0: none */
    const char *excuse; /* why being over the limit is accepted for now, as "2026-11-29: reason";
                           without a day it does not count; NULL: none */
} wb_bench_figure;

/** Print the figure as one line of JSON. 0 within its limit or excused; 1 over, or disturbed. */
int wb_bench_report(const wb_bench_figure *figure);

typedef struct wb_bench_opts {
    size_t samples;
    double per;   /* operations in one call; 0 counts as 1 */
    double limit; /* ns an operation at the median; 0: none */
} wb_bench_opts;

/** Measure one operation and report it; the exit code of a bench with a single figure. */
int wb_bench(const char *name, wb_bench_once *once, void *ctx, wb_bench_opts opts);

/** Exit with 2 unless this build may be measured. Every bench calls it first. */
void wb_bench_need_release(void);
/** Exit with 2 and say why. */
_Noreturn void wb_bench_give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

uint64_t wb_bench_now_ns(void);

#endif
