/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/watch.h: did the files of keys and trust change? Any thread. */
#ifndef WAYBILL_SIDECAR_WATCH_H
#define WAYBILL_SIDECAR_WATCH_H

#include "core/clock.h"

#include <stdbool.h>

/** A number over names, places, sizes and times of what stands in `dir` and, one level down, in its
 *  directories; links are followed, so a mounted secret whose `..data` was swapped has another one.
 *  now      wall time: a change within the last WB_WATCH_GRAIN_MS may be followed by one that looks
 *           the same
 *  settled  set to false where that could be; look again then. Left alone otherwise */
enum { WB_WATCH_GRAIN_MS = 20 };
uint64_t wb_watch_signature(const char *dir, wb_time_ns now, bool *settled);

#endif
