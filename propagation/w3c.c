/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent, version 00 (W3C Trace Context section 3.2.2):
 *
 *     00-<trace id, 32 hex>-<parent id, 16 hex>-<flags, 2 hex>        55 characters, lower case
 *
 * A higher version is read by its first 55 characters if it ends there or a dash follows; ff is none.
 * Flags other than sampled and random are reserved: read as 0, and never sent.
 *
 * tracestate (section 3.3): at most 32 members `key=value` between commas, white space around them and
 * empty members allowed. Ours is `wb`, at the left as whoever changed last stands there. */
#include "propagation/w3c.h"

#include <stdio.h>

enum { KEY_MAX = 256, VALUE_MAX = 256, LONG_MEMBER = 128, MEMBER_LEN = 3 + WB_ID_HEX };

wb_status wb_traceparent_parse(wb_slice text, wb_traceparent *out)
{
    uint8_t version, flags;
    wb_traceparent tp;
    if (text.len < WB_TRACEPARENT_LEN) return WB_ERR_MALFORMED;
    const uint8_t *p = text.ptr;
    if (p[2] != '-' || p[35] != '-' || p[52] != '-') return WB_ERR_MALFORMED;
    WB_TRY(wb_unhex(wb_slice_of(p, 2), &version, 1));
    WB_TRY(wb_unhex(wb_slice_of(p + 3, WB_TRACE_HEX), tp.trace.b, sizeof tp.trace.b));
    WB_TRY(wb_unhex(wb_slice_of(p + 36, WB_SPAN_HEX), tp.span.b, sizeof tp.span.b));
    WB_TRY(wb_unhex(wb_slice_of(p + 53, 2), &flags, 1));
    if (version == 0xff || WB_ID_ABSENT(tp.trace) || WB_ID_ABSENT(tp.span)) return WB_ERR_MALFORMED;
    if (text.len > WB_TRACEPARENT_LEN && (version == 0 || p[WB_TRACEPARENT_LEN] != '-'))
        return WB_ERR_MALFORMED;
    tp.flags = flags & (WB_TRACE_SAMPLED | WB_TRACE_RANDOM);
    *out = tp;
    return WB_OK;
}

void wb_traceparent_format(const wb_traceparent *tp, char out[WB_TRACEPARENT_LEN])
{
    char trace[WB_TRACE_HEX + 1], span[WB_SPAN_HEX + 1], text[WB_TRACEPARENT_LEN + 1];
    wb_hex(tp->trace.b, sizeof tp->trace.b, trace);
    wb_hex(tp->span.b, sizeof tp->span.b, span);
    (void)snprintf(text, sizeof text, "00-%s-%s-%02x", trace, span,
                   tp->flags & (WB_TRACE_SAMPLED | WB_TRACE_RANDOM));
    memcpy(out, text, WB_TRACEPARENT_LEN);
}

static bool key_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr("_-*/@", c));
}

/* key "=" value of section 3.3.1.3; `equals` is where the key ends. */
static bool member_ok(wb_slice m, size_t *equals)
{
    size_t i = 0;
    while (i < m.len && key_char(m.ptr[i])) i++;
    if (i == 0 || i > KEY_MAX || i == m.len || m.ptr[i] != '=') return false;
    if (strchr("_-*/@", m.ptr[0])) return false;
    *equals = i;
    wb_slice value = {m.ptr + i + 1, m.len - i - 1};
    if (value.len == 0 || value.len > VALUE_MAX) return false;
    for (size_t k = 0; k < value.len; k++)
        if (value.ptr[k] < 0x20 || value.ptr[k] > 0x7e || value.ptr[k] == '=') return false;
    return true;
}

/* The next member, without the white space around it; empty ones too. False behind the last. */
static bool next_member(wb_slice *rest, wb_slice *out)
{
    if (!rest->ptr) return false;
    const uint8_t *comma = rest->len ? memchr(rest->ptr, ',', rest->len) : NULL;
    wb_slice m = {rest->ptr, comma ? (size_t)(comma - rest->ptr) : rest->len};
    *rest = comma ? (wb_slice){comma + 1, rest->len - m.len - 1} : (wb_slice){0};
    while (m.len > 0 && (m.ptr[0] == ' ' || m.ptr[0] == '\t')) m.ptr++, m.len--;
    while (m.len > 0 && (m.ptr[m.len - 1] == ' ' || m.ptr[m.len - 1] == '\t')) m.len--;
    *out = m;
    return true;
}

static bool is_ours(wb_slice m) { return wb_slice_starts(m, WB_S("wb=")); }

/* Every member is well-formed and there are not too many. */
static bool tracestate_ok(wb_slice text)
{
    wb_slice m;
    size_t n = 0, equals;
    while (next_member(&text, &m)) {
        if (m.len == 0) continue;
        if (!member_ok(m, &equals) || ++n > WB_TRACESTATE_MAX_MEMBERS) return false;
    }
    return true;
}

/* Characters that all of `text` takes when our own member, of `ours` characters, leads it. */
static size_t joined_len(wb_slice text, size_t ours)
{
    wb_slice m;
    while (next_member(&text, &m))
        if (m.len > 0 && !is_ours(m)) ours += 1 + m.len;
    return ours;
}

size_t wb_tracestate_with_acceptance(wb_slice received, const wb_id *acceptance,
                                     char out[WB_TRACESTATE_MAX_BYTES + 1])
{
    char hex[WB_ID_HEX + 1];
    size_t n = 1;
    wb_slice m;
    wb_hex(acceptance->b, sizeof acceptance->b, hex);
    size_t len = (size_t)snprintf(out, MEMBER_LEN + 1, "wb=%s", hex);
    if (!tracestate_ok(received)) return len;
    /* Section 3.3.1.5: long members go first, then those at the right. */
    bool too_long = joined_len(received, len) > WB_TRACESTATE_MAX_BYTES;
    while (next_member(&received, &m)) {
        if (m.len == 0 || is_ours(m) || (too_long && m.len > LONG_MEMBER)) continue;
        if (n == WB_TRACESTATE_MAX_MEMBERS || len + 1 + m.len > WB_TRACESTATE_MAX_BYTES) break;
        out[len++] = ',';
        memcpy(out + len, m.ptr, m.len);
        len += m.len;
        n++;
    }
    out[len] = '\0';
    return len;
}

bool wb_tracestate_acceptance(wb_slice text, wb_id *out)
{
    wb_slice m;
    if (!tracestate_ok(text)) return false;
    while (next_member(&text, &m)) {
        if (!is_ours(m)) continue;
        wb_id id;
        if (wb_unhex(wb_slice_of(m.ptr + 3, m.len - 3), id.b, sizeof id.b) != WB_OK ||
            WB_ID_ABSENT(id))
            return false;
        *out = id;
        return true;
    }
    return false;
}
