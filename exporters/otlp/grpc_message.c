/* SPDX-License-Identifier: Apache-2.0 */
/* One byte, 1 if the message is compressed, four of its length, highest first, and the message. Servers
 * (those in Go all) compress the answer as the request was, although nobody told them that we take it. What
 * comes out of an answer is small: the last four bytes of a gzip say how much, and if that is more than there
 * is room for, or not so, nothing comes out. */
#include "exporters/otlp/grpc_message.h"

#include <libdeflate.h>
#include <strings.h>

enum {
    PREFIX_BYTES = 5,
    GZIP_BYTES = 18, /* RFC 1952: head and tail */
};

static uint32_t length_of(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static size_t isize_of(wb_slice gzip)
{
    const uint8_t *tail = gzip.ptr + gzip.len - 4;
    return (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
}

static wb_slice inflated(wb_slice gzip, wb_buffer *room)
{
    uint8_t *at;
    if (gzip.len < GZIP_BYTES) return (wb_slice){0};
    size_t len = isize_of(gzip);
    if (len == 0 || wb_buffer_reserve(room, len, &at) != WB_OK) return (wb_slice){0};
    struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
    if (!inflate) return (wb_slice){0};
    enum libdeflate_result result =
        libdeflate_gzip_decompress(inflate, gzip.ptr, gzip.len, at, len, NULL);
    libdeflate_free_decompressor(inflate);
    return result == LIBDEFLATE_SUCCESS ? (wb_slice){at, len} : (wb_slice){0};
}

bool wb_otlp_grpc_message(wb_slice body, const char *encoding, wb_buffer *room, wb_slice *message)
{
    if (body.len < PREFIX_BYTES || body.ptr[0] > 1) return false;
    if (length_of(body.ptr + 1) != body.len - PREFIX_BYTES) return false;
    wb_slice found = {body.ptr + PREFIX_BYTES, body.len - PREFIX_BYTES};
    if (body.ptr[0] == 1)
        found = strcasecmp(encoding, "gzip") == 0 ? inflated(found, room) : (wb_slice){0};
    *message = found;
    return true;
}
