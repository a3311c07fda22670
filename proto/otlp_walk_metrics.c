/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics pass through: nobody here looks at a data point, so they are checked by their table
 * (proto/otlp_schema.h) and not indexed. A backend answers in data points, so those are counted; what it
 * could refuse for one bad point is left out by the metric, because a histogram that lost one of its
 * series would be another histogram. */
#include "proto/otlp_walk.h"

#include "proto/otlp_render.h"
#include "proto/walk.h"

static bool walk_metric(wb_walk *w, wb_slice message, wb_span *metric)
{
    uint64_t points = 0;
    (void)metric; /* its extent is all that is kept */
    if (!wb_walk_message(w, &wb_otlp_metric, message, &points)) return false;
    *(w->rejection ? &w->points->rejected : &w->points->accepted) += points;
    return true;
}

wb_status wb_otlp_walk_metrics(wb_slice body, wb_arena *arena, wb_batch **batch,
                               wb_metrics_points *points, wb_error *err)
{
    static const wb_walk_signal metrics = {"metrics", walk_metric};
    wb_metrics_points counted = {0};
    wb_walk w = {.signal = &metrics, .points = &counted};
    WB_TRY(wb_walk_body(body, &w, arena, batch, err));
    *points = counted;
    return WB_OK;
}

wb_status wb_metrics_write(const wb_batch *batch, wb_buffer *out, wb_error *err)
{
    wb_render_plan plan;
    uint8_t *at;
    if (wb_render_plan_make(batch, &plan) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory to render %u metrics", batch->span_count);
    if (plan.size == 0) return WB_OK; /* a buffer may have no first byte to point at */
    if (wb_buffer_reserve(out, plan.size, &at) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no room for %u metrics", batch->span_count);
    wb_render(batch, &plan, at);
    return WB_OK;
}
