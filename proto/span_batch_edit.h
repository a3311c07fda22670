/* SPDX-License-Identifier: Apache-2.0 */
/* proto/span_batch_edit.h: stored payloads, open for edits once more: to leave spans out, and for what
 * proto/otlp_edit.h does. What was checked when they were stored is not looked at a second time: no
 * attribute is indexed, nothing refused. */
#ifndef WAYBILL_PROTO_SPAN_BATCH_EDIT_H
#define WAYBILL_PROTO_SPAN_BATCH_EDIT_H

#include "proto/log_batch.h"
#include "proto/span_batch.h"

/** A batch over the payload's body, as wb_otlp_walk would make it. Edit it, then wb_span_batch_write.
 *  left_out  for each span whether it is left out; NULL: none is
 *  arena     holds the batch: about 128 bytes a span
 *  batch     borrows the payload
 *  Errors    CORRUPT the body is not what the index says | NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_span_batch_edit(const wb_span_batch *stored, const bool *left_out,
                                         wb_arena *arena, wb_batch **batch, wb_error *err);

/** The same over another body than the stored one: a copy of it in which the same spans stand in the same order, and
 *  attributes and texts may be others (otlp_rewrite.h makes such). What the index says of a span stays, but for where its
 *  name is.
 *  batch   borrows `body`, and nothing of the payload
 *  Errors  as above: CORRUPT not the same spans */
WB_MUST_USE wb_status wb_span_batch_edit_copy(const wb_span_batch *stored, wb_slice body,
                                              const bool *left_out, wb_arena *arena,
                                              wb_batch **batch, wb_error *err);

/** The same of log records, all of them; then wb_log_batch_write. */
WB_MUST_USE wb_status wb_log_batch_edit(const wb_log_batch *stored, wb_arena *arena,
                                        wb_batch **batch, wb_error *err);

WB_MUST_USE wb_status wb_log_batch_edit_copy(const wb_log_batch *stored, wb_slice body,
                                             wb_arena *arena, wb_batch **batch, wb_error *err);

/** The same of an ExportMetricsServiceRequest, whose metrics are not told apart; then
 *  wb_metrics_write. */
WB_MUST_USE wb_status wb_metrics_edit(wb_slice body, wb_arena *arena, wb_batch **batch,
                                      wb_error *err);

#endif
