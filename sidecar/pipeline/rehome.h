/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/rehome.h: spans leave a trace that was only claimed. */
#ifndef WAYBILL_SIDECAR_PIPELINE_REHOME_H
#define WAYBILL_SIDECAR_PIPELINE_REHOME_H

#include "sidecar/pipeline/stage.h"

/** A span that descends from a remote parent moves to the trace that stands for its own
 *  (propagation/rehome.h), unless the view says that the trace is owned. What descends from where:
 *  OTLP's flags of the entry span, `waybill.claimed: true` on what a client marked below it, and
 *  the parents within the batch. The entry span becomes a root with a link to the claimed context.
 *  Every moved span says `waybill.claimed.trace_id`; `waybill.claimed` itself is taken away.
 *  Source: docs/design/rehoming.md */
extern const wb_stage_ops wb_rehome_stage;

#endif
