/* SPDX-License-Identifier: Apache-2.0 */
/* core/slice.h: borrowed bytes, by value. A slice never owns; who does is said where it is made. */
#ifndef WAYBILL_CORE_SLICE_H
#define WAYBILL_CORE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct wb_slice {
    const uint8_t *ptr;
    size_t len;
} wb_slice;

#define WB_S(lit) ((wb_slice){(const uint8_t *)("" lit), sizeof(lit) - 1})
/* For printf: "%.*s". Only where the bytes are known to be text and short. */
#define WB_SLICE_ARG(s) (int)(s).len, (const char *)(s).ptr

static inline wb_slice wb_slice_of(const void *ptr, size_t len)
{
    return (wb_slice){(const uint8_t *)ptr, len};
}

static inline wb_slice wb_slice_str(const char *text)
{
    return (wb_slice){(const uint8_t *)text, text ? strlen(text) : 0};
}

/** Byte equality. Not constant time: secrets and hashes use sodium_memcmp. */
static inline bool wb_slice_eq(wb_slice a, wb_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Do bytes `i` to `i` + 8 differ? */
static inline uint64_t wb_slice_differs(wb_slice a, wb_slice b, size_t i)
{
    uint64_t x, y;
    memcpy(&x, a.ptr + i, sizeof x);
    memcpy(&y, b.ptr + i, sizeof y);
    return x ^ y;
}

/** The same, of few bytes without a call: for the hot path, where most are equal. Words overlap, and there is no
 *  loop whose end the processor would have to guess. */
static inline bool wb_slice_eq_short(wb_slice a, wb_slice b)
{
    enum { WORD = 8 };
    if (a.len != b.len) return false;
    if (a.len < WORD) {
        for (size_t i = 0; i < a.len; i++)
            if (a.ptr[i] != b.ptr[i]) return false;
        return true;
    }
    if (a.len > 4 * WORD) return memcmp(a.ptr, b.ptr, a.len) == 0;
    uint64_t differs = wb_slice_differs(a, b, 0) | wb_slice_differs(a, b, a.len - WORD);
    if (a.len > 2 * WORD)
        differs |= wb_slice_differs(a, b, WORD) | wb_slice_differs(a, b, a.len - 2 * WORD);
    return differs == 0;
}

static inline bool wb_slice_starts(wb_slice s, wb_slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

#endif
