/* SPDX-License-Identifier: Apache-2.0 */
/* core/buffer.h: a growing byte buffer with a limit. Embedded: wb_buffer_init / wb_buffer_done. */
#ifndef WAYBILL_CORE_BUFFER_H
#define WAYBILL_CORE_BUFFER_H

#include "core/slice.h"
#include "core/status.h"

typedef struct wb_buffer {
    uint8_t *ptr; /* owned; NULL while empty */
    size_t len, cap, limit;
} wb_buffer;

/** An empty buffer that will never hold more than `limit_bytes`; allocates nothing yet. */
void wb_buffer_init(wb_buffer *buf, size_t limit_bytes);
/** Free the memory; the buffer may be used again as if just initialised. */
void wb_buffer_done(wb_buffer *buf);
/** Forget the contents, keep the memory. */
void wb_buffer_clear(wb_buffer *buf);

/** Append. NO_MEMORY at the limit or when memory is out; then nothing was appended. */
WB_MUST_USE wb_status wb_buffer_add(wb_buffer *buf, const void *bytes, size_t len);
WB_MUST_USE wb_status wb_buffer_add_slice(wb_buffer *buf, wb_slice s);
WB_MUST_USE wb_status wb_buffer_printf(wb_buffer *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** Append `len` bytes for the caller to fill in; the pointer is good until the next append. */
WB_MUST_USE wb_status wb_buffer_reserve(wb_buffer *buf, size_t len, uint8_t **out);

static inline wb_slice wb_buffer_slice(const wb_buffer *buf)
{
    return (wb_slice){buf->ptr, buf->len};
}

#define WB_AUTO_BUFFER __attribute__((cleanup(wb_buffer_done))) wb_buffer

#endif
