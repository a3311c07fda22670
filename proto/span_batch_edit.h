/* SPDX-License-Identifier: Apache-2.0 */
/* proto/span_batch_edit.h: a stored span batch, open for edits once more: to leave spans out, and for
 * what proto/otlp_edit.h does. */
#ifndef WAYBILL_PROTO_SPAN_BATCH_EDIT_H
#define WAYBILL_PROTO_SPAN_BATCH_EDIT_H

#include "proto/span_batch.h"

/** A batch over the payload's body, as wb_otlp_walk would make it, but without a second look at what
 *  was checked when it was stored: no attribute is indexed, no span refused. Edit it, then
 *  wb_span_batch_write.
 *  left_out  for each span whether it is left out; NULL: none is
 *  arena     holds the batch: about 112 bytes a span
 *  batch     borrows the payload
 *  Errors    CORRUPT the body is not what the index says | NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_span_batch_edit(const wb_span_batch *stored, const bool *left_out,
                                         wb_arena *arena, wb_batch **batch, wb_error *err);

#endif
