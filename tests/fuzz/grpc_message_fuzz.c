/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says how the rest, a request's body, is cut into chunks, and whether it has a grpc-encoding.
 * However it is cut, what comes of it is what the bytes say when they are looked at all at once, no more
 * of the budget is held than what came doubled, or one first piece, and all of it is given back. */
#include "sidecar/receivers/otlp/grpc_message.h"

#include "core/status.h"

enum { LIMIT = 300 * 1024, ROOM = 280 * 1024, FIRST = 256 * 1024 };

static size_t held;

static bool reserve(void *self, size_t bytes)
{
    (void)self;
    if (bytes > ROOM - held) return false;
    held += bytes;
    return true;
}

static void release(void *self, size_t bytes)
{
    (void)self;
    WB_ASSERT(bytes <= held);
    held -= bytes;
}

static const wb_export_sink sink = {.reserve = reserve, .release = release};

static size_t announced(const uint8_t *body)
{
    return (size_t)body[1] << 24 | (size_t)body[2] << 16 | (size_t)body[3] << 8 | body[4];
}

/* Is it one whole message, that has room? */
static bool is_one(const uint8_t *body, size_t len, bool compressed)
{
    if (len < WB_GRPC_PREFIX || body[0] > 1 || (body[0] == 1 && !compressed)) return false;
    size_t limit = body[0] == 1 ? LIMIT / 2 : LIMIT;
    return announced(body) <= limit && announced(body) == len - WB_GRPC_PREFIX;
}

static const wb_grpc_refusal *feed(wb_grpc_message *m, wb_slice body, unsigned seed,
                                   bool compressed)
{
    while (body.len > 0) {
        seed = seed * 1103515245 + 12345;
        size_t n = 1 + (seed >> 16) % 37;
        if (n > body.len) n = body.len;
        const wb_grpc_refusal *refusal =
            wb_grpc_message_take(m, wb_slice_of(body.ptr, n), LIMIT, compressed, &sink);
        if (refusal) return refusal;
        WB_ASSERT(held == m->held && m->got <= m->held && m->held <= m->len);
        WB_ASSERT(m->held <= FIRST || m->held <= 2 * m->got);
        body = wb_slice_of(body.ptr + n, body.len - n);
    }
    return wb_grpc_message_end(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_grpc_message m = {.bytes = NULL};
    if (size == 0) return 0;
    bool compressed = data[0] & 1;
    wb_slice body = wb_slice_of(data + 1, size - 1);
    const wb_grpc_refusal *refusal = feed(&m, body, data[0], compressed);
    bool one = is_one(body.ptr, body.len, compressed);
    WB_ASSERT(one == (refusal == NULL) || (one && refusal->code == WB_GRPC_UNAVAILABLE));
    if (!refusal) {
        WB_ASSERT(m.len == body.len - WB_GRPC_PREFIX && m.got == m.len);
        WB_ASSERT(m.len == 0 || memcmp(m.bytes, body.ptr + WB_GRPC_PREFIX, m.len) == 0);
        WB_ASSERT(wb_grpc_message_is_compressed(&m) == (body.ptr[0] == 1));
    } else {
        WB_ASSERT(refusal->http == 0 && refusal->code != WB_GRPC_OK && refusal->message);
    }
    wb_grpc_message_done(&m, &sink);
    WB_ASSERT(held == 0 && m.bytes == NULL && m.n_prefix == 0);
    return 0;
}
