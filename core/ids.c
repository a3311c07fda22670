/* SPDX-License-Identifier: Apache-2.0 */
/* Ids come from getrandom(2) each time: no user-space generator whose state a fork could copy. */
#include "core/ids.h"

#include <errno.h>
#include <sys/random.h>

void wb_random(void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        ssize_t got = getrandom(p, len, 0);
        if (got < 0 && errno == EINTR) continue;
        WB_ASSERT(got > 0); /* getrandom(2): with flags 0 only EINTR and EFAULT can follow */
        p += got;
        len -= (size_t)got;
    }
}

wb_trace_id wb_trace_id_new(void)
{
    wb_trace_id id;
    do wb_random(id.b, sizeof id.b);
    while (WB_ID_ABSENT(id));
    return id;
}

wb_span_id wb_span_id_new(void)
{
    wb_span_id id;
    do wb_random(id.b, sizeof id.b);
    while (WB_ID_ABSENT(id));
    return id;
}

wb_id wb_id_new(void)
{
    wb_id id;
    do wb_random(id.b, sizeof id.b);
    while (WB_ID_ABSENT(id));
    return id;
}

void wb_hex(const void *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = bytes;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * len] = '\0';
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

wb_status wb_unhex(wb_slice hex, void *out, size_t len)
{
    if (hex.len != 2 * len) return WB_ERR_MALFORMED;
    for (size_t i = 0; i < hex.len; i++)
        if (digit(hex.ptr[i]) < 0) return WB_ERR_MALFORMED;
    uint8_t *b = out;
    for (size_t i = 0; i < len; i++)
        b[i] = (uint8_t)(digit(hex.ptr[2 * i]) * 16 + digit(hex.ptr[2 * i + 1]));
    return WB_OK;
}
