/* SPDX-License-Identifier: Apache-2.0 */
/* Wall time decides when replay rows leave, and a clock set forward would make room for replays. Small
 * steps (a time server's) are followed from look to look and are no jump. */
#include "sidecar/clock_watch.h"

static int64_t offset_of(wb_time_ns wall, uint64_t mono)
{
    return (int64_t)(wall / WB_NS_PER_S) - (int64_t)(mono / WB_NS_PER_S);
}

void wb_clock_watch_init(wb_clock_watch *watch, wb_time_ns wall, uint64_t mono)
{
    *watch = (wb_clock_watch){.offset_s = offset_of(wall, mono)};
}

bool wb_clock_watch_agrees(wb_clock_watch *watch, wb_time_ns wall, uint64_t mono, int64_t *moved_s)
{
    int64_t offset_s = offset_of(wall, mono), moved = offset_s - watch->offset_s;
    bool jumped = moved > WB_CLOCK_JUMP_S || moved < -WB_CLOCK_JUMP_S;
    if (jumped) watch->disagreed_mono = mono ? mono : 1;
    watch->offset_s = offset_s;
    *moved_s = jumped ? moved : 0;
    return watch->disagreed_mono == 0 ||
           mono - watch->disagreed_mono >= WB_CLOCK_AGREE_S * WB_NS_PER_S;
}
