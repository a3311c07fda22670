/* SPDX-License-Identifier: Apache-2.0 */
/* core/histogram.h: how long something took, or how much it was, counted into fixed buckets.
 *
 * Any thread may observe and read at any time: an observation is a short scan of the bounds and two
 * relaxed additions, a few nanoseconds, and nothing is locked. A reader may meet one in between: then its
 * bucket is counted and its value is not yet in the sum. */
#ifndef WAYBILL_CORE_HISTOGRAM_H
#define WAYBILL_CORE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { WB_BOUNDS_MAX = 15 };

typedef enum wb_bounds_unit {
    WB_BOUNDS_NS, /* of time; said in seconds wherever it is said */
    WB_BOUNDS_NUMBER,
} wb_bounds_unit;

/* Upper bounds, each included in its bucket; rising. Static. */
typedef struct wb_bounds {
    uint64_t at[WB_BOUNDS_MAX];
    uint8_t n;
    uint8_t unit; /* wb_bounds_unit */
} wb_bounds;

/** 50 us to 10 s: what a disk's sync and a request take. */
extern const wb_bounds wb_bounds_short;
/** 50 ms to 1 h: what a delegated task takes. */
extern const wb_bounds wb_bounds_long;

/* All zero: nothing was observed. */
typedef struct wb_histogram {
    atomic_ullong
        counts[WB_BOUNDS_MAX + 1]; /* each bucket alone; that behind the last bound is unbounded */
    atomic_ullong sum;
} wb_histogram;

/** bounds  the same at every call for one histogram */
void wb_histogram_observe(wb_histogram *histogram, const wb_bounds *bounds, uint64_t value);
/** The same for a histogram that nobody else observes meanwhile: a quarter of the time. Any thread may read. */
void wb_histogram_observe_alone(wb_histogram *histogram, const wb_bounds *bounds, uint64_t value);

typedef struct wb_histogram_view {
    uint64_t upto[WB_BOUNDS_MAX]; /* observations at or below each bound that there is */
    uint64_t count, sum;
} wb_histogram_view;

/** Never a bucket above a later one, nor above the count. */
void wb_histogram_read(const wb_histogram *histogram, const wb_bounds *bounds,
                       wb_histogram_view *out);

#endif
