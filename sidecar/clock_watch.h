/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/clock_watch.h: may wall time be trusted to end things? TOKENS section 11. One thread. */
#ifndef WAYBILL_SIDECAR_CLOCK_WATCH_H
#define WAYBILL_SIDECAR_CLOCK_WATCH_H

#include "core/clock.h"

#include <stdbool.h>

enum {
    WB_CLOCK_JUMP_S = 3600, /* more than this against monotonic time is a jump */
    WB_CLOCK_AGREE_S = 600, /* both must have agreed for this long */
};

typedef struct wb_clock_watch {
    int64_t offset_s;        /* wall - monotonic at the last look */
    uint64_t disagreed_mono; /* when they last did not agree; 0: never */
} wb_clock_watch;

void wb_clock_watch_init(wb_clock_watch *watch, wb_time_ns wall, uint64_t mono);
/** A look; *moved_s, if not 0, is how far wall time jumped since the last one. True if both clocks have
 *  agreed long enough that rows may be purged by wall time. */
bool wb_clock_watch_agrees(wb_clock_watch *watch, wb_time_ns wall, uint64_t mono, int64_t *moved_s);

#endif
