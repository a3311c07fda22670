/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_edit.h: what stages do to a batch: append, rename and mask attributes, move a span to
 * another trace. The encoded fields live in the batch's arena; NO_MEMORY is its limit. */
#ifndef WAYBILL_PROTO_OTLP_EDIT_H
#define WAYBILL_PROTO_OTLP_EDIT_H

#include "core/batch.h"
#include "proto/otlp_read.h"

/** Append `key` = `value` to a span (WB_OTLP_SPAN, &span->attrs) or to a resource
 *  (WB_OTLP_RESOURCE, &resource->attrs). TEXT, BOOL, INT, DOUBLE and BYTES are encoded; ARRAY and
 *  KVLIST take their message's bytes. Key and value are copied. */
WB_MUST_USE wb_status wb_otlp_append_attr(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind,
                                          wb_slice key, wb_value value);

/** Encode an attribute of such an owner for wb_batch_append: fill key, value and field of *out, all in `arena`,
 *  with nothing in them borrowed. What is encoded once may be appended to many. */
WB_MUST_USE wb_status wb_otlp_encode_attr(wb_arena *arena, wb_otlp_owner kind,
                                          const wb_otlp_attr *attr, wb_attr *out);

/** Mask `attr` and append the same value under another key. */
WB_MUST_USE wb_status wb_otlp_rename_attr(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind,
                                          wb_attr *attr, wb_slice new_key);

/** Replace the span's trace id, in the index and in what is rendered. */
WB_MUST_USE wb_status wb_otlp_set_trace_id(wb_batch *batch, wb_span *span, wb_trace_id trace_id);

/** Take its parent from the span: it becomes a root, whose parent is not remote. */
WB_MUST_USE wb_status wb_otlp_make_root(wb_batch *batch, wb_span *span);

/** Take the trace state from the span. */
WB_MUST_USE wb_status wb_otlp_drop_trace_state(wb_batch *batch, wb_span *span);

/** Replace the span's trace state; an empty one leaves the span without. */
WB_MUST_USE wb_status wb_otlp_set_trace_state(wb_batch *batch, wb_span *span, wb_slice trace_state);

/** Mask every attribute of that key that arrived in `message` (the extent of the span or resource whose
 *  attributes `owner` are), indexed or not. */
WB_MUST_USE wb_status wb_otlp_mask_key(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind,
                                       wb_extent message, wb_slice key);

/** Append a link to the span. `trace_state` may be empty. */
WB_MUST_USE wb_status wb_otlp_append_link(wb_batch *batch, wb_span *span, wb_trace_id trace_id,
                                          wb_span_id span_id, wb_slice trace_state, uint32_t flags);

#endif
