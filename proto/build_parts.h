/* SPDX-License-Identifier: Apache-2.0 */
/* proto/build_parts.h: what spans and log records that the sidecar writes itself are built of. Private
 * to proto/.
 *
 * Each x_size says how many bytes put_x will write, because protobuf wants a length first; each put_x
 * returns the end of what it wrote. A wrong pair is caught by the assertion in wb_build_close, in every
 * test. */
#ifndef WAYBILL_PROTO_BUILD_PARTS_H
#define WAYBILL_PROTO_BUILD_PARTS_H

#include "proto/batch_index.h"
#include "proto/otlp_put.h"
#include "proto/span_batch.h"

enum { WB_BUILD_TIME_BYTES = 9 }; /* tag and fixed64; for field numbers below 16 */

/* Attributes whose value is EMPTY, or TEXT without a byte, are left out. */
size_t wb_build_attrs_size(const wb_otlp_attr *attrs, size_t n, wb_otlp_owner owner);
uint8_t *wb_build_put_attrs(uint8_t *at, const wb_otlp_attr *attrs, size_t n, wb_otlp_owner owner);

/* A text field, left out if it is empty. */
size_t wb_build_text_size(uint32_t number, wb_slice text);
uint8_t *wb_build_put_text(uint8_t *at, uint32_t number, wb_slice text);

uint8_t *wb_build_put_number(uint8_t *at, uint32_t number, uint64_t value);
uint8_t *wb_build_put_time(uint8_t *at, uint32_t number, wb_time_ns time_ns);

/* Keys and texts are UTF-8. */
bool wb_build_all_text(const wb_otlp_attr *attrs, size_t n);

/* A payload of one resource and one scope as it is written. */
typedef struct wb_build {
    uint8_t *row, *at; /* where the next item's row and field go */
    uint8_t *body;
    size_t body_len;
} wb_build;

/** Make room for `n` items whose fields take `items_size` bytes, and write all before them.
 *  Errors  MALFORMED the origin's text is not UTF-8 | NO_MEMORY; nothing was appended */
WB_MUST_USE wb_status wb_build_open(wb_build *b, const wb_index_kind *kind,
                                    const wb_span_origin *origin, size_t n, size_t items_size,
                                    wb_buffer *out, wb_error *err);
/** Assert that what was announced was written. */
void wb_build_close(const wb_build *b);

static inline wb_render_place wb_build_place(const wb_build *b, const uint8_t *at, size_t len)
{
    return (wb_render_place){(uint32_t)(at - b->body), (uint32_t)len};
}

#endif
