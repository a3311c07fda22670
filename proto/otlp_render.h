/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_render.h: gather a batch's bytes with its edits. Private to proto/. */
#ifndef WAYBILL_PROTO_OTLP_RENDER_H
#define WAYBILL_PROTO_OTLP_RENDER_H

#include "core/batch.h"

/** A message in the rendered body, without its tag and length; 0, 0: not there. */
typedef struct wb_render_place {
    uint32_t at, len;
} wb_render_place;

typedef struct wb_render_plan {
    size_t size; /* of the rendered body */
    wb_render_place *spans, *scopes,
        *resources; /* one for each of the batch; `at` after wb_render */
    uint32_t *scope_spans_len, *resource_spans_len; /* WB_RENDER_LEFT_OUT: nothing of it remains */
} wb_render_plan;

#define WB_RENDER_LEFT_OUT UINT32_MAX

/** How long everything becomes. The arrays live in the batch's arena; good until the next edit.
 *  Errors  NO_MEMORY arena limit, or the body would pass 1 GiB */
WB_MUST_USE wb_status wb_render_plan_make(const wb_batch *batch, wb_render_plan *plan);

/** Write plan->size bytes to `out`, and into the plan where things are. */
void wb_render(const wb_batch *batch, wb_render_plan *plan, uint8_t *out);

#endif
