/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/stamps.h: which spans and log records of a batch belong to which acceptance. */
#ifndef WAYBILL_SIDECAR_PIPELINE_STAMPS_H
#define WAYBILL_SIDECAR_PIPELINE_STAMPS_H

#include "proto/key_set.h"
#include "sidecar/pipeline/attr_list.h"
#include "sidecar/pipeline/stage.h"

/** Who is stamped with an acceptance that the view does not know keeps the stamp under `claimed.`; who is stamped
 *  with one whose session is known, and says none in any dialect, gets that one as session.id. The view is
 *  asked once, and only if something is stamped.
 *  view      without `look_up`: nothing is done
 *  kind      of what the batch calls spans
 *  sessions  keys that say a session; NULL: sessions are not handed on
 *  room      as of wb_attr_target
 *  Errors    NO_MEMORY the batch's arena is at its limit */
WB_MUST_USE wb_status wb_stamps_follow(const wb_stage_view *view, wb_batch *batch,
                                       wb_otlp_owner kind, const wb_key_set *sessions,
                                       wb_attr_room *room);

#endif
