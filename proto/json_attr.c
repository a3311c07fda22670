/* SPDX-License-Identifier: Apache-2.0 */
/* {"key":"K","value":{"stringValue":"V"}}, or with "intValue" or "doubleValue", without escapes or spaces, of
 * less than 128 bytes in protobuf: nine tenths of all that JSON exporters write. Its lengths are known
 * before the first byte is written, so nothing is moved, and its names are compared as one text. That halves
 * the time of a whole body (tests/bench/otlp_json_bench.c). Whatever is written otherwise, or wrongly, is left
 * to the tables, from its first byte; tests/fuzz/otlp_from_json_fuzz.c holds both ways against each other. */
#include "proto/json_attr.h"

#include "core/number.h"
#include "proto/json_scan.h"
#include "proto/json_value.h"
#include "proto/wire.h"

enum { COMMON_MAX = 128, COPY = 16, REAL_MAX = 20 };

typedef struct common {
    const uint8_t *at, *end; /* what is not yet looked at */
    wb_slice key;
    uint8_t value[12]; /* of the AnyValue, what stands before the text, or all of it */
    size_t value_len;
    wb_slice text;
} common;

static inline bool take_bytes(common *c, wb_slice bytes)
{
    if ((size_t)(c->end - c->at) < bytes.len || memcmp(c->at, bytes.ptr, bytes.len) != 0)
        return false;
    c->at += bytes.len;
    return true;
}

/* Up to a quote. */
static inline bool take_plain(common *c, wb_slice *out)
{
    const uint8_t *stop = wb_scan_plain(c->at, c->end);
    if (stop == c->end || *stop != '"') return false;
    *out = (wb_slice){c->at, (size_t)(stop - c->at)};
    c->at = stop + 1;
    return true;
}

/* Digits that follow, at most 18, and a minus before them; no zero in front of others. */
static inline bool take_digits(common *c, uint64_t *bits)
{
    bool minus = c->at < c->end && *c->at == '-';
    const uint8_t *first = c->at + minus, *p = first;
    uint64_t value = 0;
    for (; p < c->end && *p >= '0' && *p <= '9' && p - first < 18; p++)
        value = value * 10 + (*p - (unsigned)'0');
    if (p == first || (*first == '0' && p - first > 1)) return false;
    c->at = p;
    *bits = minus ? -value : value;
    return true;
}

/* A number without an exponent, as few enough digits that it needs no more room. */
static bool take_real(common *c)
{
    char room[REAL_MAX + WB_NUMBER_MAX];
    double value;
    uint64_t bits;
    const uint8_t *p = c->at;
    while (p < c->end && p - c->at < REAL_MAX && *p >= '-' && *p <= '9' && *p != '/') p++;
    wb_slice text = {c->at, (size_t)(p - c->at)};
    if (!wb_scan_is_number(text) || !wb_json_real_of(text, room, &value)) return false;
    memcpy(&bits, &value, sizeof bits);
    c->value[0] = WB_WIRE_TAG(4, WB_WIRE_FIXED64);
    c->value_len = (size_t)(wb_wire_put_fixed(c->value + 1, sizeof bits, bits) - c->value);
    c->at = p;
    return true;
}

static inline bool take_common_value(common *c)
{
    uint64_t bits;
    if (take_bytes(c, WB_S("\"stringValue\":\""))) {
        if (!take_plain(c, &c->text) || c->text.len >= COMMON_MAX) return false;
        c->value[0] = WB_WIRE_TAG(1, WB_WIRE_LEN);
        c->value[1] = (uint8_t)c->text.len;
        c->value_len = 2;
        return true;
    }
    if (take_bytes(c, WB_S("\"doubleValue\":"))) return take_real(c);
    if (!take_bytes(c, WB_S("\"intValue\":"))) return false;
    bool quoted = take_bytes(c, WB_S("\""));
    if (!take_digits(c, &bits) || (quoted && !take_bytes(c, WB_S("\"")))) return false;
    c->value[0] = WB_WIRE_TAG(3, WB_WIRE_VARINT);
    c->value_len = (size_t)(wb_wire_put_varint(c->value + 1, bits) - c->value);
    return true;
}

/* Sixteen at a time, beyond both ends: there is room for that. */
static inline uint8_t *put_wide(uint8_t *to, wb_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i += COPY) memcpy(to + i, bytes.ptr + i, COPY);
    return to + bytes.len;
}

size_t wb_json_common_attr(const uint8_t **at, const uint8_t *end, unsigned number, uint8_t *to)
{
    common c = {.at = *at, .end = end};
    const uint8_t *start = to;
    if (!take_bytes(&c, WB_S("{\"key\":\"")) || !take_plain(&c, &c.key)) return 0;
    if (c.key.len == 0 || c.key.len >= COMMON_MAX || !take_bytes(&c, WB_S(",\"value\":{")))
        return 0;
    if (!take_common_value(&c) || !take_bytes(&c, WB_S("}}"))) return 0;
    size_t value = c.value_len + c.text.len, all = 2 + c.key.len + 2 + value;
    if (all >= COMMON_MAX || c.end - c.at < COPY) return 0;
    *to++ = WB_WIRE_TAG(number, WB_WIRE_LEN);
    *to++ = (uint8_t)all;
    *to++ = WB_WIRE_TAG(1, WB_WIRE_LEN);
    *to++ = (uint8_t)c.key.len;
    to = put_wide(to, c.key);
    *to++ = WB_WIRE_TAG(2, WB_WIRE_LEN);
    *to++ = (uint8_t)value;
    memcpy(to, c.value, sizeof c.value);
    to = put_wide(to + c.value_len, c.text);
    *at = c.at;
    return (size_t)(to - start);
}
