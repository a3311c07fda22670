/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says how a body comes: bit 0 gzip, bit 1 JSON, bits 2-3 the signal, bits 4-7 the size of its
 * pieces. The second one how much room there is. Whatever the rest is: all room is given back, nothing is
 * larger than it may be, and what is said about it is JSON and protobuf that can be read again. */
#include "sidecar/receivers/otlp/answer.h"
#include "sidecar/receivers/otlp/body.h"

#include "core/arena.h"
#include "core/json.h"
#include "core/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 64 * 1024 };

typedef struct room {
    size_t held, limit;
} room;

static bool reserve(void *self, size_t bytes)
{
    room *r = self;
    if (bytes > r->limit - r->held) return false;
    r->held += bytes;
    return true;
}

static void release(void *self, size_t bytes)
{
    room *r = self;
    WB_ASSERT(bytes <= r->held);
    r->held -= bytes;
}

static void check_answers(wb_status status, wb_signal signal, const char *message)
{
    static const wb_json_limits limits = {
        .depth = 3, .members = 2, .elements = 1, .string_bytes = 512};
    wb_otlp_refusal why;
    wb_json_fault fault;
    const wb_json *root = NULL;
    unsigned code = wb_otlp_http_code(status, &why);
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 20);
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 4096);
    WB_ASSERT(arena);
    wb_status said = status == WB_OK
                         ? wb_otlp_answer_success(WB_OTLP_JSON, signal, 3, message, &out)
                         : wb_otlp_answer_failure(WB_OTLP_JSON, code, message, &out);
    WB_ASSERT(said == WB_OK);
    WB_ASSERT(wb_json_parse(wb_buffer_slice(&out), &limits, arena, &root, &fault) == WB_OK);
    wb_buffer_clear(&out);
    said = status == WB_OK ? wb_otlp_answer_success(WB_OTLP_PROTOBUF, signal, 3, message, &out)
                           : wb_otlp_answer_failure(WB_OTLP_PROTOBUF, code, message, &out);
    WB_ASSERT(said == WB_OK && out.len > 0);
}

static wb_status pour(wb_body *b, wb_slice rest, size_t piece, wb_error *err)
{
    for (size_t n; rest.len > 0; rest.ptr += n, rest.len -= n) {
        n = rest.len < piece ? rest.len : piece;
        WB_TRY(wb_body_add(b, rest.ptr, n, err));
    }
    return WB_OK;
}

/* As a header's value and a path: text without NUL. */
static void check_words(const uint8_t *data, size_t size)
{
    char text[256];
    wb_otlp_encoding encoding;
    wb_signal signal;
    size_t len = size < sizeof text ? size : sizeof text - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    if (wb_otlp_encoding_of(text, &encoding))
        WB_ASSERT(wb_otlp_encoding_of(wb_otlp_content_type(encoding), &encoding));
    if (wb_otlp_signal_of(text, &signal)) WB_ASSERT(memcmp(text, "/v1/", 4) == 0);
    check_answers(WB_ERR_MALFORMED, WB_SIGNAL_TRACES, text);
    check_answers(WB_OK, WB_SIGNAL_LOGS, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_error err = {.status = WB_OK};
    wb_body b;
    if (size < 2) return 0;
    wb_signal signal = (wb_signal)((data[0] >> 2) % WB_SIGNALS);
    room r = {.limit = (size_t)data[1] * 1024};
    const wb_export_sink sink = {.reserve = reserve, .release = release, .self = &r};
    wb_body_init(&b, &sink, MOST, data[0] & 0x80 ? UINT64_MAX : size - 2);
    wb_status status = pour(&b, wb_slice_of(data + 2, size - 2), (size_t)1 << (data[0] >> 4), &err);
    if (status == WB_OK && data[0] & 1) status = wb_body_inflate(&b, MOST, &err);
    if (status == WB_OK && data[0] & 2) status = wb_body_from_json(&b, signal, &err);
    if (status == WB_OK) WB_ASSERT(wb_body_bytes(&b).len <= MOST && r.held <= r.limit);
    check_answers(status, signal, err.detail);
    wb_body_done(&b);
    WB_ASSERT(r.held == 0);
    check_words(data + 2, size - 2);
    return 0;
}
