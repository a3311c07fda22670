/* SPDX-License-Identifier: Apache-2.0 */
/* core/histogram.h: how long something took, counted into fixed buckets.
 *
 * Any thread may observe and read at any time: an observation is a short scan of the bounds and two
 * relaxed additions, a few nanoseconds, and nothing is locked. A reader may meet one in between: then its
 * bucket is counted and its time is not yet in the sum. */
#ifndef WAYBILL_CORE_HISTOGRAM_H
#define WAYBILL_CORE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { WB_HISTOGRAM_BOUNDS = 15 };

/* Upper bounds in nanoseconds, each included in its bucket; rising. Static. */
typedef struct wb_bounds {
    uint64_t ns[WB_HISTOGRAM_BOUNDS];
} wb_bounds;

/** 50 us to 10 s: what a disk's sync and a request take. */
extern const wb_bounds wb_bounds_short;
/** 50 ms to 1 h: what a delegated task takes. */
extern const wb_bounds wb_bounds_long;

/* All zero: nothing was observed. */
typedef struct wb_histogram {
    atomic_ullong counts[WB_HISTOGRAM_BOUNDS + 1]; /* each bucket alone; the last is unbounded */
    atomic_ullong sum_ns;
} wb_histogram;

/** bounds  the same at every call for one histogram */
void wb_histogram_observe(wb_histogram *histogram, const wb_bounds *bounds, uint64_t ns);

typedef struct wb_histogram_view {
    uint64_t upto[WB_HISTOGRAM_BOUNDS]; /* observations at or below each bound */
    uint64_t count, sum_ns;
} wb_histogram_view;

/** Never a bucket above a later one, nor above the count. */
void wb_histogram_read(const wb_histogram *histogram, wb_histogram_view *out);

#endif
