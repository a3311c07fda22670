/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/markers.h: spans without length that stand for a delegation in flight, for far
 * sides that know finished spans only. Why not the delegation's own span: DESIGN section 3.
 *
 * Everything about a marker follows from the delegation and the marker's number, so one that is written
 * or delivered twice is the same span twice. */
#ifndef WAYBILL_SIDECAR_DELEGATION_MARKERS_H
#define WAYBILL_SIDECAR_DELEGATION_MARKERS_H

#include "core/arena.h"
#include "proto/span_batch.h"
#include "sidecar/delegation/delegations.h"
#include "sidecar/delegation/spans.h"

/** When the n-th marker (from 0) is due, after the opening: 1 s, 5 s, 30 s, then each full minute. */
uint64_t wb_marker_due_ns(uint32_t n);
/** How many are due so long after the opening. */
uint32_t wb_markers_due(uint64_t age_ns);

/** The first 8 bytes of SHA-256 over "waybill.marker", the delegation's id and n (4 bytes, big-endian). */
wb_span_id wb_marker_span_id(const wb_id *delegation, uint32_t n);

/** Draft the n-th marker of an open delegation. What it points at lives in `arena`.
 *  Errors  NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_marker_draft(const struct Waybill__V1__DelegationRow *row, uint32_t n,
                                      wb_arena *arena, wb_span_draft *out);

/** Of which delegation a marker is the how manyth; false if it is no marker. */
bool wb_marker_read(const wb_span_row *span, wb_marker_due *out);

/** A packed DelegationRow that says so many markers; in `arena`.
 *  Errors  NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_marker_noted(wb_slice packed, uint32_t markers, wb_arena *arena,
                                      wb_slice *out);

#endif
