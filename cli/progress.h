/* SPDX-License-Identifier: Apache-2.0 */
/* cli/progress.h: how far long work is, on standard error and only if that is a terminal. */
#ifndef WAYBILL_CLI_PROGRESS_H
#define WAYBILL_CLI_PROGRESS_H

#include "cli/cli.h"

typedef struct wb_progress {
    const char *what; /* "exporting traces" */
    const wb_clock *clock;
    uint64_t total, began_ns, drawn_ns; /* monotonic */
    bool is_terminal, is_drawn;
} wb_progress;

/** Nothing is drawn within the first half second: short work stays silent. `what` is kept. */
void wb_progress_begin(wb_progress *progress, const wb_cli *cli, const char *what, uint64_t total);
/** `done` of the total; draws ten times a second at most. */
void wb_progress_at(wb_progress *progress, uint64_t done);
/** Take the line away. */
void wb_progress_end(wb_progress *progress);

#endif
