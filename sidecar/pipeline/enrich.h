/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/enrich.h: who an agent is, which session its spans are of, and what the configuration adds. */
#ifndef WAYBILL_SIDECAR_PIPELINE_ENRICH_H
#define WAYBILL_SIDECAR_PIPELINE_ENRICH_H

#include "sidecar/pipeline/attr_list.h"
#include "sidecar/pipeline/stage.h"

/** What an arriving batch lacks is appended: to each resource the view's lists, once for all its spans; to spans
 *  that are stamped with an acceptance its session; to all spans the view's list. What somebody said stays.
 *  docs/model.md */
extern const wb_stage_ops wb_enrich_stage;

/** The same for a batch of log records, which get no list of their own. */
WB_MUST_USE wb_status wb_enrich_logs(const void *self, const wb_stage_view *view, wb_batch *batch,
                                     wb_error *err);

/** The resources of a batch of metrics, of which nothing is indexed. */
WB_MUST_USE wb_status wb_enrich_metrics(const wb_stage_view *view, wb_batch *batch, wb_error *err);

/** What the agent's own sidecar says of it, for wb_stage_view.to_resources: waybill.agent.{id,name},
 *  waybill.isolation, and where the program says none gen_ai.agent.{id,name} and service.name.
 *  Errors  NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_enrich_agent(wb_slice id, wb_slice name, wb_slice isolation,
                                      wb_arena *arena, const wb_attr_list **out);

#endif
