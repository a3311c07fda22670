/* SPDX-License-Identifier: Apache-2.0 */
/* proto/wire.h: the protobuf wire, one field at a time. For proto/ and client/, which write OTLP.
 *
 * Inline, because the walk spends its time here. Source: protobuf.dev, "Encoding". */
#ifndef WAYBILL_PROTO_WIRE_H
#define WAYBILL_PROTO_WIRE_H

#include "core/slice.h"

typedef enum wb_wire_type {
    WB_WIRE_VARINT = 0,
    WB_WIRE_FIXED64 = 1,
    WB_WIRE_LEN = 2,
    WB_WIRE_FIXED32 = 5, /* 3 and 4 are groups, which no message of ours has */
} wb_wire_type;

enum { WB_WIRE_VARINT_MAX = 10, WB_WIRE_LENGTH_MAX = 5, WB_WIRE_TAG_MAX = 5 };

typedef struct wb_wire_field {
    uint32_t number;
    wb_wire_type type;
    uint64_t value;        /* VARINT, FIXED64, FIXED32 */
    wb_slice bytes;        /* LEN: what the length encloses */
    const uint8_t *tag_at; /* where the field starts; it ends where the next begins */
} wb_wire_field;

#define WB_WIRE_TAG(number, type) ((uint8_t)((number) << 3 | (type)))

/* A varint of at most `most` bytes and 64 bits. False if it is cut off or longer. */
static inline bool wb_wire_varint(wb_slice *s, size_t most, uint64_t *out)
{
    uint64_t value = 0;
    size_t limit = s->len < most ? s->len : most;
    for (size_t i = 0; i < limit; i++) {
        uint64_t byte = s->ptr[i];
        if (i == 9 && byte > 1) return false; /* bits 64 and above */
        value |= (byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *s = (wb_slice){s->ptr + i + 1, s->len - i - 1};
            *out = value;
            return true;
        }
    }
    return false;
}

/* The length before a field's bytes, and those bytes. False if they reach beyond `s`. */
static inline bool wb_wire_enclosed(wb_slice *s, wb_slice *out)
{
    uint64_t len;
    if (s->len > 0 && s->ptr[0] < 0x80) { /* nearly every attribute */
        len = s->ptr[0];
        *s = (wb_slice){s->ptr + 1, s->len - 1};
    } else if (!wb_wire_varint(s, WB_WIRE_LENGTH_MAX, &len)) {
        return false;
    }
    if (len > s->len) return false;
    *out = (wb_slice){s->ptr, (size_t)len};
    *s = (wb_slice){s->ptr + len, s->len - (size_t)len};
    return true;
}

static inline bool wb_wire_fixed(wb_slice *s, size_t size, uint64_t *out)
{
    uint64_t value = 0;
    if (s->len < size) return false;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)s->ptr[i] << (8 * i);
    *s = (wb_slice){s->ptr + size, s->len - size};
    *out = value;
    return true;
}

/* Take the next field off `s`, which is not empty. False on anything that is not a field: cut off,
 * a group, an unknown wire type, field number 0 or above 2^29 - 1. */
static inline bool wb_wire_next(wb_slice *s, wb_wire_field *f)
{
    uint64_t tag;
    *f = (wb_wire_field){.tag_at = s->ptr};
    if (s->ptr[0] < 0x80) {
        tag = s->ptr[0];
        *s = (wb_slice){s->ptr + 1, s->len - 1};
    } else if (!wb_wire_varint(s, WB_WIRE_TAG_MAX, &tag) || tag > UINT32_MAX) {
        return false;
    }
    f->number = (uint32_t)(tag >> 3);
    f->type = (wb_wire_type)(tag & 7);
    if (f->number == 0) return false;
    switch (f->type) {
    case WB_WIRE_LEN: return wb_wire_enclosed(s, &f->bytes);
    case WB_WIRE_VARINT: return wb_wire_varint(s, WB_WIRE_VARINT_MAX, &f->value);
    case WB_WIRE_FIXED64: return wb_wire_fixed(s, 8, &f->value);
    case WB_WIRE_FIXED32: return wb_wire_fixed(s, 4, &f->value);
    }
    return false;
}

/* ---- what nearly every attribute looks like (common.proto) ---- */

/* KeyValue { string key = 1; AnyValue value = 2 } */
typedef struct wb_key_value {
    wb_slice key, value;
} wb_key_value;

/* As all encoders write it, a key and a value with lengths below 128: read at one go. False says
 * nothing but that the long way must be gone. */
static inline bool wb_wire_split_pair(wb_slice message, wb_key_value *out)
{
    const uint8_t *p = message.ptr;
    size_t n = message.len;
    if (n < 4 || p[0] != WB_WIRE_TAG(1, WB_WIRE_LEN) || p[1] >= 0x80 || p[1] > n - 4) return false;
    const uint8_t *after = p + 2 + p[1];
    if (after[0] != WB_WIRE_TAG(2, WB_WIRE_LEN) || after[1] >= 0x80) return false;
    if (after[1] != n - 4 - p[1]) return false;
    *out = (wb_key_value){{p + 2, p[1]}, {after + 2, after[1]}};
    return true;
}

/* An AnyValue of nothing but a text shorter than 128 bytes. */
static inline bool wb_wire_is_short_text(wb_slice message)
{
    return message.len >= 2 && message.len < 130 && message.ptr[0] == WB_WIRE_TAG(1, WB_WIRE_LEN) &&
           message.ptr[1] == message.len - 2;
}

/* ---- writing ---- */

/* Bytes that a varint takes. */
static inline size_t wb_wire_varint_size(uint64_t value)
{
    size_t bits = value ? 64 - (size_t)__builtin_clzll(value) : 1;
    return (bits + 6) / 7;
}

/* Write a varint; the end of what was written. */
static inline uint8_t *wb_wire_put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* Write the low `size` bytes of `value`, lowest first; the end of what was written. */
static inline uint8_t *wb_wire_put_fixed(uint8_t *at, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++) at[i] = (uint8_t)(value >> (8 * i));
    return at + size;
}

#endif
