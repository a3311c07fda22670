/* SPDX-License-Identifier: Apache-2.0 */
/* core/clock.h: wall time stamps data, monotonic time measures waits. Passed in, so that a test can
 * hold it still. */
#ifndef WAYBILL_CORE_CLOCK_H
#define WAYBILL_CORE_CLOCK_H

#include <stdint.h>

typedef uint64_t wb_time_ns; /* Unix time, nanoseconds; 0 = absent */

#define WB_NS_PER_S UINT64_C(1000000000)
#define WB_NS_PER_MS UINT64_C(1000000)

typedef struct wb_clock {
    wb_time_ns (*wall)(const struct wb_clock *clock); /* Unix time */
    uint64_t (*monotonic)(
        const struct wb_clock *clock); /* ns from an arbitrary start, never back */
} wb_clock;

/** The system's clocks. Thread-safe, static. */
extern const wb_clock wb_system_clock;

static inline wb_time_ns wb_now(const wb_clock *clock) { return clock->wall(clock); }
static inline uint64_t wb_mono(const wb_clock *clock) { return clock->monotonic(clock); }

#endif
