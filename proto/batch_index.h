/* SPDX-License-Identifier: Apache-2.0 */
/* proto/batch_index.h: what the payloads of span_batch.h and log_batch.h share: a header and rows of
 * resources and scopes before the rows of the items and the body. Private to proto/; layout in
 * batch_index.c. */
#ifndef WAYBILL_PROTO_BATCH_INDEX_H
#define WAYBILL_PROTO_BATCH_INDEX_H

#include "core/buffer.h"
#include "core/status.h"
#include "proto/otlp_render.h"

typedef struct wb_index_counts {
    uint32_t items, scopes, resources;
} wb_index_counts;

/* A payload that was opened. */
typedef struct wb_batch_index {
    wb_slice body;
    wb_index_counts counts;
    const uint8_t *item_rows, *scope_rows, *resource_rows;
} wb_batch_index;

typedef struct wb_index_kind {
    const char *name;  /* for errors */
    uint8_t magic[4];  /* with the layout's version */
    size_t item_bytes; /* of an item's row */
    /* Does the row name a scope that is there, and point inside the body? */
    bool (*good_item)(const wb_batch_index *index, const uint8_t *row);
} wb_index_kind;

/* ---- writing --------------------------------------------------------------------------------- */

/** Bytes before the body. */
size_t wb_index_size(const wb_index_kind *kind, wb_index_counts counts);

/* In this order, and then the items; each returns the end of what it wrote. */
uint8_t *wb_index_put_header(uint8_t *at, const wb_index_kind *kind, wb_index_counts counts,
                             size_t body_len);
uint8_t *wb_index_put_resource(uint8_t *at, wb_render_place resource);
uint8_t *wb_index_put_scope(uint8_t *at, uint32_t resource_index, wb_render_place scope);

/** Render `batch` and append header, resource and scope rows, room for the items' rows, and the body.
 *  plan    where things are in the body
 *  rows    where the items' rows go
 *  Errors  NO_MEMORY; then nothing was appended */
WB_MUST_USE wb_status wb_index_write(const wb_batch *batch, const wb_index_kind *kind,
                                     wb_buffer *out, wb_render_plan *plan, uint8_t **rows,
                                     wb_error *err);

/** Where the name of an arrived item comes to be: as far into the message as it was, less what is masked
 *  before it. */
wb_render_place wb_index_name_place(const wb_batch *batch, const wb_span *item,
                                    wb_render_place message);

/* ---- reading --------------------------------------------------------------------------------- */

/** Errors  CORRUPT not such a payload, or an offset or count that points outside; *out untouched */
WB_MUST_USE wb_status wb_index_open(wb_slice payload, const wb_index_kind *kind,
                                    wb_batch_index *out, wb_error *err);

typedef struct wb_index_scope {
    wb_slice scope, resource;
    uint32_t resource_index;
} wb_index_scope;

/** Scope `i` < counts.scopes, and the resource that it is under. */
wb_index_scope wb_index_scope_at(const wb_batch_index *index, uint32_t i);

static inline uint32_t wb_index_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t wb_index_u64(const uint8_t *at)
{
    return wb_index_u32(at) | (uint64_t)wb_index_u32(at + 4) << 32;
}

/** The part of the body that an offset and a length at `place` stand for. */
static inline wb_slice wb_index_part(const wb_batch_index *index, const uint8_t *place)
{
    return (wb_slice){index->body.ptr + wb_index_u32(place), wb_index_u32(place + 4)};
}

static inline bool wb_index_inside(size_t outer_at, size_t outer_len, size_t at, size_t len)
{
    return at >= outer_at && len <= outer_len && at - outer_at <= outer_len - len;
}

#endif
