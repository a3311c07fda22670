/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent, version 00 (W3C Trace Context section 3.2.2):
 *
 *     00-<trace id, 32 hex>-<parent id, 16 hex>-<flags, 2 hex>        55 characters, lower case
 *
 * A higher version is read by its first 55 characters if it ends there or a dash follows; ff is none.
 * Flags other than sampled and random are reserved: read as 0, and never sent.
 *
 * tracestate (section 3.3): at most 32 members `key=value` between commas, white space around them and
 * empty members allowed. Ours is `wb`, at the left as whoever changed last stands there. A key that
 * comes twice stays twice: the header must survive it, and which of the two is right only its vendor
 * knows. */
#include "propagation/w3c.h"

#include "propagation/list_header.h"

#include <stdio.h>

enum { KEY_MAX = 256, VALUE_MAX = 256, LONG_MEMBER = 128, OURS_MAX = 5 + WB_ID_HEX };

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
    tp.flags = flags & WB_TRACE_FLAGS_KNOWN;
    *out = tp;
    return WB_OK;
}

void wb_traceparent_format(const wb_traceparent *tp, char out[WB_TRACEPARENT_LEN])
{
    char trace[WB_TRACE_HEX + 1], span[WB_SPAN_HEX + 1], text[WB_TRACEPARENT_LEN + 1];
    wb_hex(tp->trace.b, sizeof tp->trace.b, trace);
    wb_hex(tp->span.b, sizeof tp->span.b, span);
    (void)snprintf(text, sizeof text, "00-%s-%s-%02x", trace, span,
                   tp->flags & WB_TRACE_FLAGS_KNOWN);
    memcpy(out, text, WB_TRACEPARENT_LEN);
}

static bool key_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr("_-*/@", c));
}

/* key "=" value of section 3.3.1.3. */
static bool member_ok(wb_slice m)
{
    size_t i = 0;
    while (i < m.len && key_char(m.ptr[i])) i++;
    if (i == 0 || i > KEY_MAX || i == m.len || m.ptr[i] != '=') return false;
    if (strchr("_-*/@", m.ptr[0])) return false;
    wb_slice value = {m.ptr + i + 1, m.len - i - 1};
    if (value.len == 0 || value.len > VALUE_MAX) return false;
    for (size_t k = 0; k < value.len; k++)
        if (value.ptr[k] < 0x20 || value.ptr[k] > 0x7e || value.ptr[k] == '=') return false;
    return true;
}

typedef struct member_list {
    wb_slice at[WB_TRACESTATE_MAX_MEMBERS];
    size_t n;
} member_list;

static bool is_ours(wb_slice m) { return wb_slice_starts(m, WB_S("wb=")); }

/* False, and no members: the header breaks the grammar or has too many. */
static bool read_members(const wb_slice *values, size_t n, member_list *out)
{
    wb_list_header walk = {.values = values, .n = n};
    wb_slice m;
    out->n = 0;
    while (wb_list_header_next(&walk, &m)) {
        if (out->n == WB_TRACESTATE_MAX_MEMBERS || !member_ok(m)) {
            out->n = 0;
            return false;
        }
        out->at[out->n++] = m;
    }
    return true;
}

static void remove_at(member_list *list, size_t i)
{
    list->n--;
    memmove(&list->at[i], &list->at[i + 1], (list->n - i) * sizeof list->at[0]);
}

/* Characters of all of it behind a leading member of `ours`. */
static size_t total_len(const member_list *list, size_t ours)
{
    for (size_t i = 0; i < list->n; i++) ours += 1 + list->at[i].len;
    return ours;
}

/* Section 3.3.1.5: members over 128 characters go first, then those at the right. */
static void shorten(member_list *list, size_t ours)
{
    if (list->n == WB_TRACESTATE_MAX_MEMBERS) list->n--;
    for (size_t i = list->n; i > 0 && total_len(list, ours) > WB_TRACESTATE_MAX_BYTES; i--)
        if (list->at[i - 1].len > LONG_MEMBER) remove_at(list, i - 1);
    while (total_len(list, ours) > WB_TRACESTATE_MAX_BYTES) list->n--;
}

size_t wb_tracestate_write(const wb_slice *values, size_t n, wb_tracestate_kind kind,
                           const wb_id *id, char out[WB_TRACESTATE_MAX_BYTES + 1])
{
    char hex[WB_ID_HEX + 1];
    member_list list;
    wb_hex(id->b, sizeof id->b, hex);
    size_t len = (size_t)snprintf(out, OURS_MAX + 1, "wb=%s%s",
                                  kind == WB_TRACESTATE_DELEGATION ? "d:" : "", hex);
    (void)read_members(values, n, &list);
    for (size_t i = list.n; i > 0; i--)
        if (is_ours(list.at[i - 1])) remove_at(&list, i - 1);
    shorten(&list, len);
    for (size_t i = 0; i < list.n; i++) {
        out[len++] = ',';
        memcpy(out + len, list.at[i].ptr, list.at[i].len);
        len += list.at[i].len;
    }
    out[len] = '\0';
    return len;
}

bool wb_tracestate_acceptance(wb_slice text, wb_id *out)
{
    member_list list;
    wb_id id;
    size_t i = 0;
    if (!read_members(&text, 1, &list)) return false;
    while (i < list.n && !is_ours(list.at[i])) i++;
    if (i == list.n) return false;
    wb_slice hex = {list.at[i].ptr + 3, list.at[i].len - 3};
    if (wb_unhex(hex, id.b, sizeof id.b) != WB_OK || WB_ID_ABSENT(id)) return false;
    *out = id;
    return true;
}
