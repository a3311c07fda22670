/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a backend answers, it means one of four things, its text can be shown, and its waits are
 * bounded. The first byte is the protocol, the signal, and whether there are trailers; then come header lines
 * up to an empty one, the trailers likewise, and the body. */
#include "exporters/otlp/reply.h"

#include "core/utf8.h"

static const uint64_t NOW = UINT64_C(1767323045) * WB_NS_PER_S;

static wb_slice take_line(wb_slice *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    wb_slice line = {rest->ptr, len};
    size_t step = end ? len + 1 : len;
    *rest = (wb_slice){rest->ptr + step, rest->len - step};
    return line;
}

static void take_lines(wb_otlp_reply *reply, wb_slice *rest)
{
    for (wb_slice line = take_line(rest); line.len > 0; line = take_line(rest))
        wb_otlp_reply_header(reply, line);
}

static void check_grpc(const wb_otlp_reply *r, const wb_otlp_answer *a)
{
    bool whole = r->status == 200 && r->trails && r->body.len >= 5;
    WB_ASSERT(a->status != WB_OK || (whole && strcmp(r->grpc_status, "0") == 0));
}

static void check(const wb_otlp_answer *a)
{
    WB_ASSERT(a->status == WB_OK || a->status == WB_ERR_UNAVAILABLE ||
              a->status == WB_ERR_TIMEOUT || a->status == WB_ERR_REJECTED);
    WB_ASSERT(a->retry_after_ms <= 3600 * 1000 && a->rejected <= INT64_MAX);
    WB_ASSERT(a->status == WB_OK || a->rejected == 0);
    WB_ASSERT(a->status == WB_OK || a->text[0] != '\0');
    WB_ASSERT(!a->is_server_error || a->status == WB_ERR_UNAVAILABLE);
    WB_ASSERT(memchr(a->text, 0, sizeof a->text) && wb_utf8_valid(wb_slice_str(a->text)));
    for (const char *at = a->text; *at; at++) WB_ASSERT((uint8_t)*at >= 0x20 && *at != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_otlp_reply reply;
    wb_otlp_answer answer;
    if (size == 0) return 0;
    wb_slice rest = {data + 1, size - 1};
    wb_otlp_reply_init(&reply);
    take_lines(&reply, &rest);
    wb_otlp_reply_header(&reply, WB_S("\r\n"));
    if (data[0] / 9 % 2 == 1) take_lines(&reply, &rest);
    if (wb_buffer_add_slice(&reply.body, rest) == WB_OK) {
        wb_otlp_reply_read(&reply, (wb_otlp_protocol)(data[0] % 3), (wb_signal)(data[0] / 3 % 3),
                           NOW, &answer);
        check(&answer);
        if (data[0] % 3 == WB_OTLP_GRPC) check_grpc(&reply, &answer);
    }
    wb_otlp_reply_done(&reply);
    return 0;
}
