/* SPDX-License-Identifier: Apache-2.0 */
/* Export requests one behind the other are one Export request, since all they have is a repeated field. So
 * protobuf without compression goes out from where it lies in the runner's batch, not copied once; gRPC
 * puts five bytes before it: compressed or not, and the length, highest byte first. JSON and gzip need the
 * bytes in one place and make new ones. */
#include "exporters/otlp/encode.h"

#include "proto/otlp_to_json.h"

#include <libdeflate.h>
#include <stdlib.h>

enum {
    GRPC_PREFIX = 5,
    GZIP_LEVEL =
        3, /* spans repeat themselves: higher levels take twice the time for a tenth less */
    BYTES_MAX = 256 * 1024 * 1024,
    KEPT_BYTES = 1024 * 1024, /* a larger buffer is given back after use */
};

void wb_otlp_encoder_init(wb_otlp_encoder *encoder)
{
    *encoder = (wb_otlp_encoder){0};
    wb_buffer_init(&encoder->joined, BYTES_MAX);
    wb_buffer_init(&encoder->text, BYTES_MAX);
    wb_buffer_init(&encoder->packed, BYTES_MAX);
}

void wb_otlp_encoder_done(wb_otlp_encoder *encoder)
{
    wb_buffer_done(&encoder->joined);
    wb_buffer_done(&encoder->text);
    wb_buffer_done(&encoder->packed);
    libdeflate_free_compressor(encoder->deflate);
    free(encoder->pieces);
    encoder->pieces = NULL;
    encoder->deflate = NULL;
}

static void empty(wb_buffer *buffer)
{
    if (buffer->cap > KEPT_BYTES) wb_buffer_done(buffer);
    wb_buffer_clear(buffer);
}

static wb_status make_room(wb_otlp_encoder *e, size_t n)
{
    if (e->cap >= n) return WB_OK;
    wb_slice *pieces = reallocarray(e->pieces, n, sizeof *pieces);
    if (!pieces) return WB_ERR_NO_MEMORY;
    e->pieces = pieces;
    e->cap = n;
    return WB_OK;
}

/* All of it in one place; one body is already. */
static wb_status join(wb_otlp_encoder *e, const wb_slice *bodies, size_t n, wb_slice *out)
{
    if (n == 1) {
        *out = bodies[0];
        return WB_OK;
    }
    for (size_t i = 0; i < n; i++) WB_TRY(wb_buffer_add_slice(&e->joined, bodies[i]));
    *out = wb_buffer_slice(&e->joined);
    return WB_OK;
}

static wb_status compress(wb_otlp_encoder *e, wb_slice plain, wb_slice *out)
{
    uint8_t *at;
    if (!e->deflate) e->deflate = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (!e->deflate) return WB_ERR_NO_MEMORY;
    size_t room = libdeflate_gzip_compress_bound(e->deflate, plain.len);
    WB_TRY(wb_buffer_reserve(&e->packed, room, &at));
    e->packed.len = libdeflate_gzip_compress(e->deflate, plain.ptr, plain.len, at, room);
    WB_ASSERT(e->packed.len > 0); /* the bound holds */
    *out = wb_buffer_slice(&e->packed);
    return WB_OK;
}

static size_t total(const wb_slice *bodies, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += bodies[i].len;
    return bytes;
}

static void put_prefix(wb_otlp_encoder *e, bool compressed, size_t len)
{
    e->prefix[0] = compressed;
    for (unsigned i = 0; i < 4; i++) e->prefix[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

/* New bytes in one place, or the bodies as they lie. */
static wb_status render(wb_otlp_encoder *e, const wb_otlp_target *target, wb_signal signal,
                        const wb_slice *bodies, size_t n, size_t *n_pieces, size_t *plain)
{
    wb_slice one;
    *plain = total(bodies, n);
    if (target->protocol != WB_OTLP_JSON && !target->gzip) {
        memcpy(e->pieces + 1, bodies, n * sizeof *bodies);
        *n_pieces = n;
        return WB_OK;
    }
    WB_TRY(join(e, bodies, n, &one));
    if (target->protocol == WB_OTLP_JSON) {
        WB_TRY(wb_otlp_to_json(signal, one, &e->text));
        one = wb_buffer_slice(&e->text);
        *plain = one.len;
    }
    if (target->gzip) WB_TRY(compress(e, one, &one));
    e->pieces[1] = one;
    *n_pieces = 1;
    return WB_OK;
}

wb_status wb_otlp_encode(wb_otlp_encoder *e, const wb_otlp_target *target, wb_signal signal,
                         const wb_slice *bodies, size_t n, wb_otlp_body *out, size_t *plain,
                         wb_error *err)
{
    size_t n_pieces = 0;
    empty(&e->joined);
    empty(&e->text);
    empty(&e->packed);
    if (make_room(e, n + 1) != WB_OK ||
        render(e, target, signal, bodies, n, &n_pieces, plain) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a request");
    size_t bytes = total(e->pieces + 1, n_pieces);
    bool framed = target->protocol == WB_OTLP_GRPC;
    if (framed) {
        put_prefix(e, target->gzip, bytes);
        e->pieces[0] = (wb_slice){e->prefix, GRPC_PREFIX};
        bytes += GRPC_PREFIX;
    }
    *out = (wb_otlp_body){e->pieces + (framed ? 0 : 1), n_pieces + (framed ? 1 : 0), bytes};
    return WB_OK;
}
