/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/sweep.h: what time does to state: deadlines pass, rows leave. */
#ifndef WAYBILL_SIDECAR_SWEEP_H
#define WAYBILL_SIDECAR_SWEEP_H

#include "sidecar/sidecar.h"

typedef struct wb_sweep wb_sweep;

WB_MUST_USE wb_status wb_sweep_new(wb_sidecar *sidecar, wb_sweep **out, wb_error *err);
/** Look once and submit what is due to the writer; returns at once. Call about every second, from one
 *  thread. A look that finds the last one still in the writer's hands does nothing. */
void wb_sweep_tick(wb_sweep *sweep);
/** The writer must have been stopped. */
void wb_sweep_free(wb_sweep *sweep);

#endif
