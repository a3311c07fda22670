/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/pipeline.h: the stages that every arriving batch passes, in order. */
#ifndef WAYBILL_SIDECAR_PIPELINE_PIPELINE_H
#define WAYBILL_SIDECAR_PIPELINE_PIPELINE_H

#include "proto/key_set.h"
#include "sidecar/pipeline/stage.h"

typedef struct wb_pipeline wb_pipeline;

/** Open all stages. Immutable once made: any thread may walk with its keys and run it.
 *  Errors  NO_MEMORY | what a stage's open says */
WB_MUST_USE wb_status wb_pipeline_new(wb_pipeline **out, wb_error *err);
void wb_pipeline_free(wb_pipeline *pipeline);
WB_DEFINE_AUTO(wb_pipeline)

/** The keys that the stages look at, for wb_otlp_walk. Lives as long as the pipeline. */
const wb_key_set *wb_pipeline_keys(const wb_pipeline *pipeline);

/** Run every stage over the batch. The first error ends it; the batch must then be thrown away. */
WB_MUST_USE wb_status wb_pipeline_run(const wb_pipeline *pipeline, const wb_stage_view *view,
                                      wb_batch *batch, wb_error *err);

/** What a batch of log records passes (wb_otlp_walk_logs with the pipeline's keys): Waybill's own names are
 *  taken from the attributes that arrived, and it is enriched as spans are. Errors as above. */
WB_MUST_USE wb_status wb_pipeline_run_logs(const wb_pipeline *pipeline, const wb_stage_view *view,
                                           wb_batch *batch, wb_error *err);

/** What a batch of metrics passes: its resources are enriched. Errors as above. */
WB_MUST_USE wb_status wb_pipeline_run_metrics(const wb_stage_view *view, wb_batch *batch,
                                              wb_error *err);

#endif
