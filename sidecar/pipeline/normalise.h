/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/normalise.h: every dialect of instrumentation in one language. */
#ifndef WAYBILL_SIDECAR_PIPELINE_NORMALISE_H
#define WAYBILL_SIDECAR_PIPELINE_NORMALISE_H

#include "sidecar/pipeline/stage.h"

/** Appends to each span the attributes of the canonical model (docs/model.md) that it does not have already,
 *  from what it says in words of its own: the operation and waybill.span.type, models, provider, disjoint token
 *  buckets, reported cost, tool, messages, session, user, agent, error. What arrived stays as it is, known or
 *  not; only a provider in another spelling than OpenTelemetry's, and a type that is none, are replaced. Normalising what was
 *  normalised changes nothing.
 *  Source: DESIGN.md section 6 */
extern const wb_stage_ops wb_normalise_stage;

#endif
