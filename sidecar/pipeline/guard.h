/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/guard.h: nobody but Waybill speaks in Waybill's name. */
#ifndef WAYBILL_SIDECAR_PIPELINE_GUARD_H
#define WAYBILL_SIDECAR_PIPELINE_GUARD_H

#include "sidecar/pipeline/stage.h"

/** Arriving attributes `waybill.x`, of spans and of resources, become `claimed.waybill.x`. Three
 *  stay, on spans only: `waybill.span.type`; `waybill.acceptance.id` if it is 32 lower-case hex
 *  digits (that this acceptance exists is checked where acceptances are known); `waybill.claimed`
 *  if it is true or false, for the stage that takes it away (sidecar/pipeline/rehome.h). Source:
 *  DESIGN.md section 2. */
extern const wb_stage_ops wb_guard_stage;

/** The same for a batch of log records, of which only `waybill.acceptance.id` may stay. NO_MEMORY the batch's arena is at its limit. */
WB_MUST_USE wb_status wb_guard_logs(wb_batch *batch, wb_error *err);

#endif
