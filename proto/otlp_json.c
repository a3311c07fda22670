/* SPDX-License-Identifier: Apache-2.0 */
/* The stores keep attributes as one JSON text a span, so that a query can look inside. Types keep
 * their JSON type; what JSON cannot say (bytes, doubles that are not finite) is spelled as
 * OTLP/JSON spells it.
 *
 * Which of two attributes with one key is written is decided by a look back, so that the first
 * counts here as everywhere. The look is taken only when a bitmap of hashed keys says that there
 * may be an earlier one: a thousand different keys cost a thousand look-ups, not half a million. Of more keys
 * (a list inside an attribute may have any number) the repeated ones are found by sorting: whoever chose the
 * keys cannot make that slow, as he could with a table of hashes. */
#include "proto/otlp_json.h"

#include "proto/json_scalar.h"

#include <stdlib.h>

enum { DEPTH_MAX = 64, SEEN_BITS = 4096, MANY = 1024 };

static wb_status add(wb_buffer *out, wb_slice s) { return wb_buffer_add_slice(out, s); }

static wb_status add_separator(wb_buffer *out, bool *first)
{
    if (!*first) return add(out, WB_S(","));
    *first = false;
    return WB_OK;
}

/* ---- values and objects ---------------------------------------------------------------------- */

static wb_status add_object(wb_buffer *out, wb_slice message, wb_otlp_owner owner, unsigned depth);
static wb_status add_value(wb_buffer *out, wb_value value, unsigned depth);

static wb_status add_array(wb_buffer *out, wb_slice message, unsigned depth)
{
    wb_otlp_iter it = {message};
    wb_value item;
    bool first = true;
    WB_TRY(add(out, WB_S("[")));
    while (wb_otlp_next_item(&it, &item)) {
        WB_TRY(add_separator(out, &first));
        WB_TRY(add_value(out, item, depth + 1));
    }
    return add(out, WB_S("]"));
}

static wb_status add_value(wb_buffer *out, wb_value value, unsigned depth)
{
    if (depth > DEPTH_MAX) return add(out, WB_S("null"));
    switch (value.type) {
    case WB_VALUE_EMPTY: return add(out, WB_S("null"));
    case WB_VALUE_TEXT: return wb_json_put_text(out, value.text);
    case WB_VALUE_BOOL: return add(out, value.boolean ? WB_S("true") : WB_S("false"));
    case WB_VALUE_INT: return wb_buffer_printf(out, "%lld", (long long)value.integer);
    case WB_VALUE_DOUBLE: return wb_json_put_double(out, value.real);
    case WB_VALUE_ARRAY: return add_array(out, value.bytes, depth);
    case WB_VALUE_KVLIST: return add_object(out, value.bytes, WB_OTLP_KVLIST, depth + 1);
    case WB_VALUE_BYTES: return wb_json_put_base64(out, value.bytes);
    }
    return WB_ERR_MALFORMED;
}

static uint64_t hash_more(uint64_t hash, wb_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) hash = (hash ^ bytes.ptr[i]) * UINT64_C(0x100000001B3);
    return hash;
}

/* Bitmap of hashed keys, as they are written; true if this one's bit was set before. */
static bool maybe_seen(uint64_t *seen, wb_slice key)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    if (wb_json_is_whole(key))
        hash = hash_more(hash, key);
    else
        while (key.len > 0) hash = hash_more(hash, wb_json_take_char(&key));
    size_t bit = (hash ^ hash >> 32) % SEEN_BITS;
    uint64_t mask = UINT64_C(1) << bit % 64;
    bool was = seen[bit / 64] & mask;
    seen[bit / 64] |= mask;
    return was;
}

/* Are two keys one when they are written? Two that are no text can be. */
static bool same_written(wb_slice a, wb_slice b)
{
    while (a.len > 0 && b.len > 0)
        if (!wb_slice_eq(wb_json_take_char(&a), wb_json_take_char(&b))) return false;
    return a.len == b.len;
}

/* Does the attribute after which `rest` remains repeat the key of an earlier one? */
static bool repeats(wb_slice message, wb_otlp_owner owner, wb_slice key, wb_slice rest)
{
    wb_otlp_iter it = {message};
    wb_otlp_attr earlier;
    while (wb_otlp_next_attr(&it, owner, &earlier) && it.rest.len > rest.len)
        if (same_written(earlier.key, key)) return true;
    return false;
}

/* ---- many keys ---- */

typedef struct placed_key {
    wb_slice key;
    size_t at; /* the how manyth it is */
} placed_key;

/* By the bytes that are written, which as UTF-8 sort as their characters do; then by place. */
static int compare_keys(const void *left, const void *right)
{
    const placed_key *x = left, *y = right;
    wb_slice a = x->key, b = y->key;
    while (a.len > 0 && b.len > 0) {
        wb_slice c = wb_json_take_char(&a), d = wb_json_take_char(&b);
        int order = memcmp(c.ptr, d.ptr, c.len < d.len ? c.len : d.len);
        if (order != 0) return order;
    }
    if (a.len != b.len) return a.len > b.len ? 1 : -1;
    return x->at > y->at ? 1 : -1;
}

static size_t count_attrs(wb_slice message, wb_otlp_owner owner)
{
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    size_t n = 0;
    while (wb_otlp_next_attr(&it, owner, &attr)) n++;
    return n;
}

/* Which of `n` attributes have the key of an earlier one. The caller frees; NULL: no memory. */
static bool *find_repeats(wb_slice message, wb_otlp_owner owner, size_t n)
{
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    bool *repeated = calloc(n, sizeof *repeated);
    placed_key *keys = calloc(n, sizeof *keys);
    if (!repeated || !keys) {
        free(repeated);
        free(keys);
        return NULL;
    }
    for (size_t i = 0; i < n && wb_otlp_next_attr(&it, owner, &attr); i++)
        keys[i] = (placed_key){attr.key, i};
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n; i++)
        repeated[keys[i].at] = same_written(keys[i - 1].key, keys[i].key);
    free(keys);
    return repeated;
}

static wb_status add_attr(wb_buffer *out, const wb_otlp_attr *attr, bool *first, unsigned depth)
{
    WB_TRY(add_separator(out, first));
    WB_TRY(wb_json_put_text(out, attr->key));
    WB_TRY(add(out, WB_S(":")));
    return add_value(out, attr->value, depth);
}

static wb_status add_many(wb_buffer *out, wb_slice message, wb_otlp_owner owner, size_t n,
                          unsigned depth)
{
    bool *repeated = find_repeats(message, owner, n);
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    bool first = true;
    if (!repeated) return WB_ERR_NO_MEMORY;
    wb_status status = add(out, WB_S("{"));
    for (size_t i = 0; status == WB_OK && i < n && wb_otlp_next_attr(&it, owner, &attr); i++)
        if (!repeated[i]) status = add_attr(out, &attr, &first, depth);
    free(repeated);
    return status == WB_OK ? add(out, WB_S("}")) : status;
}

static wb_status add_object(wb_buffer *out, wb_slice message, wb_otlp_owner owner, unsigned depth)
{
    uint64_t seen[SEEN_BITS / 64] = {0};
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    bool first = true;
    size_t n = message.len > MANY ? count_attrs(message, owner) : 0;
    if (n > MANY) return add_many(out, message, owner, n, depth);
    WB_TRY(add(out, WB_S("{")));
    while (wb_otlp_next_attr(&it, owner, &attr)) {
        if (maybe_seen(seen, attr.key) && repeats(message, owner, attr.key, it.rest)) continue;
        WB_TRY(add_attr(out, &attr, &first, depth));
    }
    return add(out, WB_S("}"));
}

wb_status wb_otlp_value_json(wb_value value, wb_buffer *out) { return add_value(out, value, 1); }

wb_status wb_otlp_attrs_json(wb_slice message, wb_otlp_owner owner, wb_buffer *out)
{
    return add_object(out, message, owner, 1);
}

wb_status wb_otlp_events_json(wb_slice span_message, wb_buffer *out)
{
    wb_otlp_iter it = {span_message};
    wb_otlp_event event;
    bool first = true;
    WB_TRY(add(out, WB_S("[")));
    while (wb_otlp_next_event(&it, &event)) {
        WB_TRY(add_separator(out, &first));
        WB_TRY(add(out, WB_S("{\"name\":")));
        WB_TRY(wb_json_put_text(out, event.name));
        WB_TRY(wb_buffer_printf(
            out, ",\"time_ns\":\"%llu\",\"attributes\":", (unsigned long long)event.time_ns));
        WB_TRY(wb_otlp_attrs_json(event.message, WB_OTLP_EVENT, out));
        WB_TRY(add(out, WB_S("}")));
    }
    return add(out, WB_S("]"));
}

wb_status wb_otlp_links_json(wb_slice span_message, wb_buffer *out)
{
    wb_otlp_iter it = {span_message};
    wb_otlp_link link;
    bool first = true;
    char trace[WB_TRACE_HEX + 1], span[WB_SPAN_HEX + 1];
    WB_TRY(add(out, WB_S("[")));
    while (wb_otlp_next_link(&it, &link)) {
        wb_hex(link.trace_id.b, sizeof link.trace_id.b, trace);
        wb_hex(link.span_id.b, sizeof link.span_id.b, span);
        WB_TRY(add_separator(out, &first));
        WB_TRY(wb_buffer_printf(
            out, "{\"trace_id\":\"%s\",\"span_id\":\"%s\",\"trace_state\":", trace, span));
        WB_TRY(wb_json_put_text(out, link.trace_state));
        WB_TRY(wb_buffer_printf(out, ",\"flags\":%u,\"attributes\":", link.flags));
        WB_TRY(wb_otlp_attrs_json(link.message, WB_OTLP_LINK, out));
        WB_TRY(add(out, WB_S("}")));
    }
    return add(out, WB_S("]"));
}
