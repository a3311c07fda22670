/* SPDX-License-Identifier: Apache-2.0 */
/* proto/span_batch_rows.h: write the index of a span batch. Private to proto/; layout in
 * span_batch.c. */
#ifndef WAYBILL_PROTO_SPAN_BATCH_ROWS_H
#define WAYBILL_PROTO_SPAN_BATCH_ROWS_H

#include "core/batch.h"
#include "proto/batch_index.h"

extern const wb_index_kind wb_span_index;

/* Behind the header and the rows of resources and scopes; returns the end of what it wrote. Ids, times,
 * flags, kind, status code and scope index are `span`'s. */
uint8_t *wb_span_batch_put_span(uint8_t *at, const wb_span *span, wb_render_place message,
                                wb_render_place name);

#endif
