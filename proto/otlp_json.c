/* SPDX-License-Identifier: Apache-2.0 */
/* The stores keep attributes as one JSON text a span, so that a query can look inside. Types keep
 * their JSON type; what JSON cannot say (bytes, doubles that are not finite) is spelled as
 * OTLP/JSON spells it.
 *
 * Which of two attributes with one key is written is decided by a look back, so that the first
 * counts here as everywhere. The look is taken only when a bitmap of hashed keys says that there
 * may be an earlier one: a thousand different keys cost a thousand look-ups, not half a million. */
#include "proto/otlp_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/utf8.h"

enum { DEPTH_MAX = 64, SEEN_BITS = 4096 };

static wb_status add(wb_buffer *out, wb_slice s) { return wb_buffer_add_slice(out, s); }

static wb_status add_separator(wb_buffer *out, bool *first)
{
    if (!*first) return add(out, WB_S(","));
    *first = false;
    return WB_OK;
}

/* ---- scalars --------------------------------------------------------------------------------- */

/* Text that a store can keep as it is: UTF-8 without U+0000. */
static bool is_whole(wb_slice text)
{
    return text.len == 0 || (memchr(text.ptr, 0, text.len) == NULL && wb_utf8_valid(text));
}

/* The next character as it is written: what cannot be kept is U+FFFD, byte by byte. */
static wb_slice take_char(wb_slice *text)
{
    size_t n = text->ptr[0] == 0 ? 0 : wb_utf8_char(*text);
    wb_slice written = n > 0 ? (wb_slice){text->ptr, n} : WB_S("\xEF\xBF\xBD");
    size_t step = n > 0 ? n : 1;
    *text = (wb_slice){text->ptr + step, text->len - step};
    return written;
}

static wb_status add_repaired(wb_buffer *out, wb_slice text)
{
    WB_AUTO_BUFFER repaired;
    wb_buffer_init(&repaired, out->limit);
    while (text.len > 0) WB_TRY(add(&repaired, take_char(&text)));
    return wb_json_add_string(out, wb_buffer_slice(&repaired));
}

static wb_status add_text(wb_buffer *out, wb_slice text)
{
    return is_whole(text) ? wb_json_add_string(out, text) : add_repaired(out, text);
}

static wb_status add_double(wb_buffer *out, double x)
{
    char text[40];
    if (isnan(x)) return add(out, WB_S("\"NaN\""));
    if (isinf(x)) return add(out, x > 0 ? WB_S("\"Infinity\"") : WB_S("\"-Infinity\""));
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same */
        (void)snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    return add(out, wb_slice_str(text));
}

/* RFC 4648 section 4, with padding */
static wb_status add_base64(wb_buffer *out, wb_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    WB_TRY(add(out, WB_S("\"")));
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t n = (uint32_t)bytes.ptr[i] << 16;
        if (i + 1 < bytes.len) n |= (uint32_t)bytes.ptr[i + 1] << 8;
        if (i + 2 < bytes.len) n |= bytes.ptr[i + 2];
        char quad[4] = {digits[n >> 18], digits[n >> 12 & 63], digits[n >> 6 & 63], digits[n & 63]};
        if (i + 1 >= bytes.len) quad[2] = '=';
        if (i + 2 >= bytes.len) quad[3] = '=';
        WB_TRY(wb_buffer_add(out, quad, sizeof quad));
    }
    return add(out, WB_S("\""));
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
    case WB_VALUE_TEXT: return add_text(out, value.text);
    case WB_VALUE_BOOL: return add(out, value.boolean ? WB_S("true") : WB_S("false"));
    case WB_VALUE_INT: return wb_buffer_printf(out, "%lld", (long long)value.integer);
    case WB_VALUE_DOUBLE: return add_double(out, value.real);
    case WB_VALUE_ARRAY: return add_array(out, value.bytes, depth);
    case WB_VALUE_KVLIST: return add_object(out, value.bytes, WB_OTLP_KVLIST, depth + 1);
    case WB_VALUE_BYTES: return add_base64(out, value.bytes);
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
    if (is_whole(key))
        hash = hash_more(hash, key);
    else
        while (key.len > 0) hash = hash_more(hash, take_char(&key));
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
        if (!wb_slice_eq(take_char(&a), take_char(&b))) return false;
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

static wb_status add_object(wb_buffer *out, wb_slice message, wb_otlp_owner owner, unsigned depth)
{
    uint64_t seen[SEEN_BITS / 64] = {0};
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    bool first = true;
    WB_TRY(add(out, WB_S("{")));
    while (wb_otlp_next_attr(&it, owner, &attr)) {
        if (maybe_seen(seen, attr.key) && repeats(message, owner, attr.key, it.rest)) continue;
        WB_TRY(add_separator(out, &first));
        WB_TRY(add_text(out, attr.key));
        WB_TRY(add(out, WB_S(":")));
        WB_TRY(add_value(out, attr.value, depth));
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
        WB_TRY(add_text(out, event.name));
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
        WB_TRY(add_text(out, link.trace_state));
        WB_TRY(wb_buffer_printf(out, ",\"flags\":%u,\"attributes\":", link.flags));
        WB_TRY(wb_otlp_attrs_json(link.message, WB_OTLP_LINK, out));
        WB_TRY(add(out, WB_S("}")));
    }
    return add(out, WB_S("]"));
}
