/* SPDX-License-Identifier: Apache-2.0 */
/* libdeflate inflates a whole buffer into a whole buffer, three times as fast as zlib's stream. How large that
 * must be nobody knows before: the last four bytes of a member say it (ISIZE, modulo 2^32), but they are the
 * sender's word. So they are a first guess, held within the limit and within what gzip can do at all (1032
 * to 1); where it was too small the room is doubled and the member begun anew. What came out of members
 * before it stays. A bomb costs its sender a refusal and us at most twice the limit of work. */
#include "sidecar/receivers/otlp/inflate.h"

#include <libdeflate.h>
#include <stdlib.h>

enum {
    LEAST_BYTES = 4096,
    MEMBER_BYTES = 18, /* RFC 1952: head and tail, without a byte of deflate between them */
    BEST_RATIO = 1032, /* of deflate: 258 bytes of output by 2 bits */
};

static bool grow(wb_inflated *out, size_t size, const wb_export_sink *sink, wb_status *why)
{
    size_t more = size - out->reserved;
    *why = WB_ERR_UNAVAILABLE;
    if (!sink->reserve(sink->self, more)) return false;
    uint8_t *ptr = realloc(out->ptr, size);
    if (!ptr) {
        *why = WB_ERR_NO_MEMORY;
        sink->release(sink->self, more);
        return false;
    }
    out->ptr = ptr;
    out->reserved = size;
    return true;
}

static size_t first_guess(wb_slice in, size_t limit)
{
    const uint8_t *tail = in.ptr + in.len - 4;
    size_t isize =
        (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    size_t most = in.len > limit / BEST_RATIO ? limit : in.len * BEST_RATIO;
    if (isize > most) isize = most;
    return isize < LEAST_BYTES ? LEAST_BYTES : isize;
}

static wb_status say(wb_status status, size_t limit, wb_error *err)
{
    if (status == WB_ERR_REJECTED)
        return wb_fail(err, status, "more than %zu bytes come out of this gzip", limit);
    if (status == WB_ERR_UNAVAILABLE)
        return wb_fail(err, status, "no room to inflate this now: send it again later");
    if (status == WB_ERR_NO_MEMORY) return wb_fail(err, status, "no memory to inflate");
    return wb_fail(err, WB_ERR_MALFORMED, "this is no whole gzip");
}

/* One member at *at. */
static wb_status inflate_member(struct libdeflate_decompressor *d, wb_slice in, size_t *at,
                                size_t limit, const wb_export_sink *sink, wb_inflated *out)
{
    for (;;) {
        size_t used = 0, made = 0;
        wb_status why;
        enum libdeflate_result result =
            libdeflate_gzip_decompress_ex(d, in.ptr + *at, in.len - *at, out->ptr + out->len,
                                          out->reserved - out->len, &used, &made);
        if (result == LIBDEFLATE_SUCCESS) {
            *at += used;
            out->len += made;
            return WB_OK;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE) return WB_ERR_MALFORMED;
        if (out->reserved >= limit) return WB_ERR_REJECTED;
        size_t size = out->reserved > limit / 2 ? limit : out->reserved * 2;
        if (!grow(out, size, sink, &why)) return why;
    }
}

static wb_status inflate_all(struct libdeflate_decompressor *d, wb_slice in, size_t limit,
                             const wb_export_sink *sink, wb_inflated *out)
{
    wb_status why;
    size_t at = 0;
    if (!grow(out, first_guess(in, limit), sink, &why)) return why;
    while (at < in.len) WB_TRY(inflate_member(d, in, &at, limit, sink, out));
    return WB_OK;
}

wb_status wb_inflate_gzip(wb_slice in, size_t limit, const wb_export_sink *sink, wb_inflated *out,
                          wb_error *err)
{
    wb_inflated made = {0};
    if (in.len < MEMBER_BYTES) return say(WB_ERR_MALFORMED, limit, err);
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d) return say(WB_ERR_NO_MEMORY, limit, err);
    wb_status status = inflate_all(d, in, limit, sink, &made);
    libdeflate_free_decompressor(d);
    if (status != WB_OK) {
        wb_inflated_free(&made, sink);
        return say(status, limit, err);
    }
    *out = made;
    return WB_OK;
}

void wb_inflated_free(wb_inflated *inflated, const wb_export_sink *sink)
{
    free(inflated->ptr);
    if (inflated->reserved > 0) sink->release(sink->self, inflated->reserved);
    *inflated = (wb_inflated){0};
}
