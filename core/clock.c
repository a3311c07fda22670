/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* cannot fail for these two ids */
    return (uint64_t)t.tv_sec * WB_NS_PER_S + (uint64_t)t.tv_nsec;
}

static wb_time_ns wall(const wb_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static uint64_t monotonic(const wb_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

const wb_clock wb_system_clock = {wall, monotonic};
