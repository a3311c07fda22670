/* SPDX-License-Identifier: Apache-2.0 */
/* proto/span_batch_rows.h: write the index of a span batch. Private to proto/; layout in
 * span_batch.c. */
#ifndef WAYBILL_PROTO_SPAN_BATCH_ROWS_H
#define WAYBILL_PROTO_SPAN_BATCH_ROWS_H

#include "core/batch.h"
#include "proto/otlp_render.h"

typedef struct wb_span_batch_counts {
    uint32_t spans, scopes, resources;
} wb_span_batch_counts;

/** Bytes before the body. */
size_t wb_span_batch_index_size(wb_span_batch_counts counts);

/* In this order; each returns the end of what it wrote. */
uint8_t *wb_span_batch_put_header(uint8_t *at, wb_span_batch_counts counts, size_t body_len);
uint8_t *wb_span_batch_put_resource(uint8_t *at, wb_render_place resource);
uint8_t *wb_span_batch_put_scope(uint8_t *at, uint32_t resource_index, wb_render_place scope);
/* Ids, times, flags, kind, status code and scope index are `span`'s. */
uint8_t *wb_span_batch_put_span(uint8_t *at, const wb_span *span, wb_render_place message,
                                wb_render_place name);

#endif
