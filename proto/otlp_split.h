/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_split.h: a part of an Export request: some of its items, with what stands above them.
 *
 * For all three signals alike, since their requests have one shape: resources, in them scopes, in them the
 * items (spans, log records, metrics). */
#ifndef WAYBILL_PROTO_OTLP_SPLIT_H
#define WAYBILL_PROTO_OTLP_SPLIT_H

#include "core/buffer.h"

/** How many items a request has. What does not parse ends the message that it is in. */
uint32_t wb_otlp_count_items(wb_slice request);

/** Append the request of items [from, from + n) alone: every resource and scope that keeps an item keeps
 *  all its other fields too, in their order and byte for byte; the others are left out.
 *  Errors  NO_MEMORY the buffer's limit; then nothing was appended */
WB_MUST_USE wb_status wb_otlp_take_items(wb_slice request, uint32_t from, uint32_t n,
                                         wb_buffer *out);

/** How many bytes that request would have. */
size_t wb_otlp_items_size(wb_slice request, uint32_t from, uint32_t n);

/** How many items from `from` on fit into a request of `max_bytes`: at least one, if there is one. */
uint32_t wb_otlp_fit_items(wb_slice request, uint32_t from, size_t max_bytes);

#endif
