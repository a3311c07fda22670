/* SPDX-License-Identifier: Apache-2.0 */
/* A length prefix is a claim. Memory up to FIRST_BYTES is taken at once, so that a usual batch is copied
 * into place once and never moved; beyond that it doubles with what really came, so that whoever only
 * announces eight megabytes holds no more than FIRST_BYTES of what all receivers share. A compressed message may
 * have half the limit: it and what comes of it are held at once, and have to fit into that. */
#include "sidecar/receivers/otlp/grpc_message.h"

#include <stdlib.h>

enum { FIRST_BYTES = 256 * 1024 };

#define BAD(text)                                                                                  \
    {                                                                                              \
        .code = WB_GRPC_INTERNAL, .message = (text), .why = WB_OTLP_REFUSED_MALFORMED              \
    }
#define LATER(text)                                                                                \
    {                                                                                              \
        .code = WB_GRPC_UNAVAILABLE, .message = (text), .why = WB_OTLP_REFUSED_BUSY,               \
        .retry_after_s = 1                                                                         \
    }

static const wb_grpc_refusal bad_flag = BAD("the message's compressed flag is neither 0 nor 1");
static const wb_grpc_refusal no_encoding = BAD("a compressed message without grpc-encoding");
static const wb_grpc_refusal more_than_one = BAD("more bytes than one message: Export is unary");
static const wb_grpc_refusal cut = BAD("the request ended within its message");
static const wb_grpc_refusal none = BAD("the request ended without a message");
static const wb_grpc_refusal no_room = LATER("too much is arriving at once: send it again");
static const wb_grpc_refusal no_memory = LATER("out of memory: send it again");
static const wb_grpc_refusal too_large = {.code = WB_GRPC_RESOURCE_EXHAUSTED,
                                          .message = "the message is larger than the limit",
                                          .why = WB_OTLP_REFUSED_TOO_LARGE};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static const wb_grpc_refusal *read_prefix(wb_grpc_message *m, size_t limit, bool compressed)
{
    const uint8_t *p = m->prefix;
    if (p[0] > 1) return &bad_flag;
    if (p[0] == 1 && !compressed) return &no_encoding;
    m->len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    return m->len > (p[0] == 1 ? limit / 2 : limit) ? &too_large : NULL;
}

/* Room for `more` bytes behind those that came; more is within what was announced. */
static const wb_grpc_refusal *make_room(wb_grpc_message *m, size_t more, const wb_export_sink *sink)
{
    if (m->held - m->got >= more) return NULL;
    size_t want = m->held == 0 ? FIRST_BYTES : 2 * m->held;
    if (want < m->got + more) want = m->got + more;
    want = least(want, m->len);
    if (!sink->reserve(sink->self, want - m->held)) return &no_room;
    uint8_t *bytes = realloc(m->bytes, want);
    if (!bytes) {
        sink->release(sink->self, want - m->held);
        return &no_memory;
    }
    m->bytes = bytes;
    m->held = want;
    return NULL;
}

const wb_grpc_refusal *wb_grpc_message_take(wb_grpc_message *m, wb_slice chunk, size_t limit,
                                            bool compressed, const wb_export_sink *sink)
{
    const wb_grpc_refusal *refusal = NULL;
    if (m->n_prefix < WB_GRPC_PREFIX && chunk.len > 0) {
        size_t n = least(WB_GRPC_PREFIX - m->n_prefix, chunk.len);
        memcpy(m->prefix + m->n_prefix, chunk.ptr, n);
        m->n_prefix += n;
        chunk = wb_slice_of(chunk.ptr + n, chunk.len - n);
        if (m->n_prefix == WB_GRPC_PREFIX) refusal = read_prefix(m, limit, compressed);
    }
    if (refusal || chunk.len == 0) return refusal;
    if (chunk.len > m->len - m->got) return &more_than_one;
    refusal = make_room(m, chunk.len, sink);
    if (refusal) return refusal;
    memcpy(m->bytes + m->got, chunk.ptr, chunk.len);
    m->got += chunk.len;
    return NULL;
}

const wb_grpc_refusal *wb_grpc_message_end(const wb_grpc_message *m)
{
    if (m->n_prefix == 0) return &none;
    return m->n_prefix < WB_GRPC_PREFIX || m->got < m->len ? &cut : NULL;
}

void wb_grpc_message_done(wb_grpc_message *m, const wb_export_sink *sink)
{
    if (m->held > 0) sink->release(sink->self, m->held);
    free(m->bytes);
    *m = (wb_grpc_message){.bytes = NULL};
}
