/* SPDX-License-Identifier: Apache-2.0 */
/* Not the encoder of proto/: a test that made its input with the code under test would agree with
 * it. */
#include "tests/support/wire_maker.h"

static size_t put_varint(uint8_t *at, uint64_t value)
{
    size_t n = 0;
    for (; value > 127; value >>= 7) at[n++] = (uint8_t)(128 | (value & 127));
    at[n++] = (uint8_t)value;
    return n;
}

static uint8_t *room(maker *m, size_t len)
{
    uint8_t *p = wb_arena_alloc(m->arena, len);
    WB_ASSERT(p != NULL);
    return p;
}

wb_slice make_raw(maker *m, uint32_t number, unsigned type, wb_slice bytes)
{
    uint8_t *p = room(m, bytes.len + 20);
    size_t n = put_varint(p, (uint64_t)number << 3 | type);
    if (type == 0) bytes.len = 1;
    if (type == 1) bytes.len = 8;
    if (type == 5) bytes.len = 4;
    if (type == 2) n += put_varint(p + n, bytes.len);
    if (bytes.len) memcpy(p + n, bytes.ptr, bytes.len);
    return (wb_slice){p, n + bytes.len};
}

wb_slice make_len(maker *m, uint32_t number, wb_slice bytes)
{
    return make_raw(m, number, 2, bytes);
}

wb_slice make_joined(maker *m, const wb_slice *parts, size_t n)
{
    size_t len = 0, at = 0;
    for (size_t i = 0; i < n; i++) len += parts[i].len;
    uint8_t *p = room(m, len);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len) memcpy(p + at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    return (wb_slice){p, len};
}

wb_slice make_fill(maker *m, size_t len, uint8_t byte)
{
    uint8_t *p = room(m, len);
    memset(p, byte, len);
    return (wb_slice){p, len};
}

wb_slice make_repeated(maker *m, wb_slice part, size_t times)
{
    uint8_t *p = room(m, part.len * times);
    for (size_t i = 0; i < times; i++) memcpy(p + i * part.len, part.ptr, part.len);
    return (wb_slice){p, part.len * times};
}

wb_slice make_long_name(maker *m, wb_slice name)
{
    const uint8_t head[] = {5 << 3 | 2 | 0x80, 0x80, 0, (uint8_t)(name.len | 0x80), 0x80, 0};
    wb_slice parts[] = {{head, sizeof head}, name};
    return make_joined(m, parts, 2);
}

wb_slice make_deep_value(maker *m, size_t levels)
{
    enum { HEAD_MOST = 12 };
    uint8_t *start = room(m, levels * HEAD_MOST), *p = start + levels * HEAD_MOST, *end = p;
    for (size_t i = 0; i < levels; i++) { /* written from the inside out */
        uint8_t head[HEAD_MOST];
        size_t n = 0;
        head[n++] = 1 << 3 | 2; /* values of ArrayValue */
        n += put_varint(head + n, (uint64_t)(end - p));
        memcpy(p -= n, head, n);
        n = 0;
        head[n++] = 5 << 3 | 2; /* array_value of AnyValue */
        n += put_varint(head + n, (uint64_t)(end - p));
        memcpy(p -= n, head, n);
    }
    return (wb_slice){p, (size_t)(end - p)};
}

wb_slice good_ids(maker *m)
{
    wb_slice ids[] = {make_len(m, 1, WB_S("abcdefghijklmnop")), make_len(m, 2, WB_S("ABCDEFGH"))};
    return make_joined(m, ids, 2);
}

wb_slice in_envelope_all(maker *m, wb_slice scope_spans)
{
    return make_len(m, 1, make_len(m, 2, scope_spans));
}

wb_slice in_envelope(maker *m, wb_slice span) { return in_envelope_all(m, make_len(m, 2, span)); }
