/* SPDX-License-Identifier: Apache-2.0 */
/* Doubling growth, so that n appends cost O(n); the limit is checked before any growth. */
#include "core/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

void wb_buffer_init(wb_buffer *buf, size_t limit_bytes)
{
    *buf = (wb_buffer){.limit = limit_bytes};
}

void wb_buffer_done(wb_buffer *buf)
{
    free(buf->ptr);
    *buf = (wb_buffer){.limit = buf->limit};
}

void wb_buffer_clear(wb_buffer *buf) { buf->len = 0; }

static wb_status grow(wb_buffer *buf, size_t more)
{
    if (more > buf->limit - buf->len) return WB_ERR_NO_MEMORY;
    size_t need = buf->len + more;
    if (need <= buf->cap) return WB_OK;
    size_t cap = buf->cap ? buf->cap : FIRST_CAPACITY;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > buf->limit) cap = buf->limit;
    uint8_t *p = realloc(buf->ptr, cap);
    if (!p) return WB_ERR_NO_MEMORY;
    buf->ptr = p;
    buf->cap = cap;
    return WB_OK;
}

wb_status wb_buffer_reserve(wb_buffer *buf, size_t len, uint8_t **out)
{
    WB_TRY(grow(buf, len));
    *out = buf->ptr + buf->len;
    buf->len += len;
    return WB_OK;
}

wb_status wb_buffer_add(wb_buffer *buf, const void *bytes, size_t len)
{
    uint8_t *at;
    if (len == 0) return WB_OK;
    WB_TRY(wb_buffer_reserve(buf, len, &at));
    memcpy(at, bytes, len);
    return WB_OK;
}

wb_status wb_buffer_add_slice(wb_buffer *buf, wb_slice s)
{
    return wb_buffer_add(buf, s.ptr, s.len);
}

wb_status wb_buffer_printf(wb_buffer *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    wb_status status = len < 0 ? WB_ERR_MALFORMED : grow(buf, (size_t)len + 1);
    if (status == WB_OK) {
        (void)vsnprintf((char *)buf->ptr + buf->len, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len; /* the NUL stays behind the end, uncounted */
    }
    va_end(again);
    return status;
}
