/* SPDX-License-Identifier: Apache-2.0 */
/* The stages are a plain array, in the order in which a batch passes them. guard comes first:
 * whatever stands behind it may trust what is named `waybill.*`. */
#include "sidecar/pipeline/pipeline.h"

#include <stdlib.h>

#include "sidecar/pipeline/enrich.h"
#include "sidecar/pipeline/guard.h"
#include "sidecar/pipeline/normalise.h"
#include "sidecar/pipeline/rehome.h"

enum { GUARD, REHOME, NORMALISE, ENRICH, STAGES };
static const wb_stage_ops *const stages[STAGES] = {[GUARD] = &wb_guard_stage,
                                                   [REHOME] = &wb_rehome_stage,
                                                   [NORMALISE] = &wb_normalise_stage,
                                                   [ENRICH] = &wb_enrich_stage};

struct wb_pipeline {
    wb_key_set *keys;
    void *selves[WB_COUNT(stages)];
    size_t opened;
};

/* Append a stage's keys to what all stages ask for. */
static size_t gather(wb_slice *all, size_t n, const wb_slice *more, size_t n_more)
{
    for (size_t i = 0; i < n_more; i++) all[n++] = more[i];
    return n;
}

static wb_status make_keys(wb_key_set **out, wb_error *err)
{
    size_t n = 0, n_prefixes = 0, room = 1;
    for (size_t i = 0; i < WB_COUNT(stages); i++)
        room += stages[i]->key_count + stages[i]->prefix_count;
    wb_slice *all = calloc(2 * room, sizeof *all);
    if (!all) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the stages' keys");
    wb_slice *prefixes = all + room;
    for (size_t i = 0; i < WB_COUNT(stages); i++) {
        n = gather(all, n, stages[i]->keys, stages[i]->key_count);
        n_prefixes = gather(prefixes, n_prefixes, stages[i]->prefixes, stages[i]->prefix_count);
    }
    wb_status status = wb_key_set_new(all, n, prefixes, n_prefixes, out, err);
    free(all);
    return status;
}

static wb_status open_all(wb_pipeline *pipeline, wb_error *err)
{
    WB_TRY(make_keys(&pipeline->keys, err));
    for (size_t i = 0; i < WB_COUNT(stages); i++) {
        if (stages[i]->open) WB_TRY(stages[i]->open(NULL, &pipeline->selves[i], err));
        pipeline->opened = i + 1;
    }
    return WB_OK;
}

wb_status wb_pipeline_new(wb_pipeline **out, wb_error *err)
{
    wb_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the pipeline");
    wb_status status = open_all(pipeline, err);
    if (status == WB_OK)
        *out = pipeline;
    else
        wb_pipeline_free(pipeline);
    return status;
}

void wb_pipeline_free(wb_pipeline *pipeline)
{
    if (!pipeline) return;
    for (size_t i = 0; i < WB_COUNT(stages) && i < pipeline->opened; i++)
        if (stages[i]->close) stages[i]->close(pipeline->selves[i]);
    wb_key_set_free(pipeline->keys);
    free(pipeline);
}

const wb_key_set *wb_pipeline_keys(const wb_pipeline *pipeline) { return pipeline->keys; }

wb_status wb_pipeline_run(const wb_pipeline *pipeline, const wb_stage_view *view, wb_batch *batch,
                          wb_error *err)
{
    for (size_t i = 0; i < WB_COUNT(stages); i++)
        WB_TRY(stages[i]->apply(pipeline->selves[i], view, batch, err));
    return WB_OK;
}

wb_status wb_pipeline_run_logs(const wb_pipeline *pipeline, const wb_stage_view *view,
                               wb_batch *batch, wb_error *err)
{
    WB_TRY(wb_guard_logs(batch, err));
    return wb_enrich_logs(pipeline->selves[ENRICH], view, batch, err);
}

wb_status wb_pipeline_run_metrics(const wb_stage_view *view, wb_batch *batch, wb_error *err)
{
    return wb_enrich_metrics(view, batch, err);
}
