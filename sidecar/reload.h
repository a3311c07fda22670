/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/reload.h: when a new world is made, and what the log says about it. docs/design/reload.md */
#ifndef WAYBILL_SIDECAR_RELOAD_H
#define WAYBILL_SIDECAR_RELOAD_H

#include "sidecar/sidecar.h"

/** wb_worlds_open, and a line per file that was left out. */
WB_MUST_USE wb_status wb_reload_open(const wb_world_source *source, wb_worlds **out, wb_error *err);

/** wb_worlds_reload, and its lines. Any thread.
 *  why     static: who asked, "SIGHUP"
 *  Errors  NO_MEMORY: what was in force stays; said in the log as well */
wb_status wb_reload(wb_sidecar *sidecar, const char *why, wb_error *err);

typedef struct wb_reload_watch {
    uint64_t next_mono;  /* when to look again */
    uint64_t retry_mono; /* when to read again what was left out; 0: nothing was */
    uint64_t pause_ns;   /* until the retry after that */
} wb_reload_watch;

/** Reload if the files of keys or trust changed, or, with a pause that grows to a minute, if one of these or the
 *  bearer's was left out. Call about every second, from one thread. */
void wb_reload_tick(wb_sidecar *sidecar, wb_reload_watch *watch);

#endif
