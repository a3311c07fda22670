/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/marking.h: writes the markers of delegations in flight (sidecar/delegation/markers.h) to the
 * journal, if any exporter wants them. */
#ifndef WAYBILL_SIDECAR_MARKING_H
#define WAYBILL_SIDECAR_MARKING_H

#include "sidecar/sidecar.h"

typedef struct wb_marking wb_marking;

enum { WB_MARKING_TICK_MS = 250 }; /* how much later than due a marker may be written */

WB_MUST_USE wb_status wb_marking_new(wb_sidecar *sidecar, wb_marking **out, wb_error *err);
/** Submit what is due to the writer, as one frame; returns at once. Call about every
 *  WB_MARKING_TICK_MS, from one thread. Does nothing while the last frame is in the writer's hands. */
void wb_marking_tick(wb_marking *marking);
/** The writer must have been stopped. */
void wb_marking_free(wb_marking *marking);

#endif
