/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that are seldom run: escapes, and values that are passed over. Those go without recursion: one
 * bit a level says whether an object or an array is open. */
#include "proto/json_scan.h"

#include "core/text_code.h"
#include "core/utf8.h"

/* ---- strings --------------------------------------------------------------------------------- */

bool wb_scan_escaped(wb_scan *s, const uint8_t *start, wb_scan_text *out)
{
    bool escapes = false;
    while (wb_scan_peek(s) == '\\') {
        escapes = true;
        const uint8_t *escape = s->at++;
        uint8_t c = wb_scan_peek(s);
        if (c == 'u') {
            if (wb_hex4(s->at + 1, s->end) < 0) return wb_scan_stop_at(s, escape, "no such escape");
            s->at += 4;
        } else if (c == 0 || !strchr("\"\\/bfnrt", c)) {
            return wb_scan_stop_at(s, escape, "no such escape");
        }
        s->at = wb_scan_plain(s->at + 1, s->end);
    }
    if (s->at == s->end) return wb_scan_stop(s, "a string has no end");
    if (*s->at != '"') return wb_scan_stop(s, "a control character in a string");
    *out = (wb_scan_text){{start, (size_t)(s->at - start)}, escapes};
    s->at++;
    return true;
}

/* The character behind "\u"; *p is moved behind it, and behind the second half of a pair. */
static uint32_t read_unicode(const uint8_t **p, const uint8_t *end)
{
    uint32_t high = (uint32_t)wb_hex4(*p, end);
    *p += 4;
    if (high < 0xD800 || high > 0xDBFF || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return high;
    uint32_t low = (uint32_t)wb_hex4(*p + 2, end);
    if (low < 0xDC00 || low > 0xDFFF) return high;
    *p += 6;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static uint8_t simple_escape(uint8_t c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c; /* quote, backslash, slash */
    }
}

size_t wb_scan_unescape(wb_slice raw, uint8_t *out)
{
    const uint8_t *p = raw.ptr, *end = raw.ptr + raw.len;
    uint8_t *to = out;
    while (p < end) {
        const uint8_t *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        memmove(to, p, plain);
        to += plain;
        p += plain;
        if (!slash) break;
        p += 2;
        if (p[-1] == 'u')
            to += wb_utf8_put(read_unicode(&p, end), to);
        else
            *to++ = simple_escape(p[-1]);
    }
    return (size_t)(to - out);
}

/* ---- numbers and words ----------------------------------------------------------------------- */

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static const uint8_t *digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_digit(*p)) p++;
    return p;
}

/* The end of the number that begins at `p`; NULL if none does. RFC 8259 section 6. */
static const uint8_t *number_end(const uint8_t *p, const uint8_t *end)
{
    if (p < end && *p == '-') p++;
    const uint8_t *first = p;
    p = digits(p, end);
    if (p == first || (*first == '0' && p - first > 1)) return NULL;
    if (p < end && *p == '.') {
        const uint8_t *fraction = ++p;
        p = digits(p, end);
        if (p == fraction) return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        const uint8_t *exponent = p;
        p = digits(p, end);
        if (p == exponent) return NULL;
    }
    return p;
}

bool wb_scan_number(wb_scan *s, wb_slice *out)
{
    const uint8_t *end = number_end(s->at, s->end);
    if (!end) return wb_scan_stop(s, "no number");
    *out = (wb_slice){s->at, (size_t)(end - s->at)};
    s->at = end;
    return true;
}

bool wb_scan_is_number(wb_slice text)
{
    return number_end(text.ptr, text.ptr + text.len) == text.ptr + text.len && text.len > 0;
}

/* ---- values that are passed over ------------------------------------------------------------- */

/* What is open around the place where the scan is. */
typedef struct nest {
    uint64_t objects[WB_SCAN_DEPTH_MAX / 64]; /* a bit a level: an object, else an array */
    unsigned depth;
} nest;

static bool in_object(const nest *n)
{
    unsigned level = n->depth - 1;
    return n->objects[level / 64] >> (level % 64) & 1;
}

static bool open_level(wb_scan *s, nest *n, bool object)
{
    uint64_t bit = UINT64_C(1) << (n->depth % 64), *word = &n->objects[n->depth / 64];
    if (n->depth == WB_SCAN_DEPTH_MAX)
        return wb_scan_stop(s, "an unknown value is nested too deep");
    *word = object ? *word | bit : *word & ~bit;
    n->depth++;
    s->at++;
    return true;
}

/* A value that holds no others. */
static bool skip_plain(wb_scan *s)
{
    wb_scan_text text;
    wb_slice number;
    switch (wb_scan_peek(s)) {
    case '"': s->at++; return wb_scan_string(s, &text);
    case 't': return wb_scan_word(s, WB_S("true")) || wb_scan_stop(s, "no value");
    case 'f': return wb_scan_word(s, WB_S("false")) || wb_scan_stop(s, "no value");
    case 'n': return wb_scan_word(s, WB_S("null")) || wb_scan_stop(s, "no value");
    default: return wb_scan_number(s, &number) || wb_scan_stop(s, "no value");
    }
}

/* A member's name and colon. */
static bool skip_name(wb_scan *s)
{
    wb_scan_text name;
    wb_scan_space(s);
    if (!wb_scan_take(s, '"')) return wb_scan_stop(s, "no name of a member");
    if (!wb_scan_string(s, &name)) return false;
    wb_scan_space(s);
    return wb_scan_take(s, ':') || wb_scan_stop(s, "no colon");
}

/* Behind a value: closing brackets, up to where the next value has to come. *done: none has to. */
static bool skip_behind(wb_scan *s, nest *n, bool *done)
{
    while (n->depth > 0) {
        bool object = in_object(n);
        wb_scan_space(s);
        if (wb_scan_take(s, ',')) return !object || skip_name(s);
        if (!wb_scan_take(s, object ? '}' : ']')) return wb_scan_stop(s, "no comma or bracket");
        n->depth--;
    }
    *done = true;
    return true;
}

/* An opening bracket: into it, up to where its first value has to come, or past the closing one if it
 * follows (*empty). */
static bool skip_into(wb_scan *s, nest *n, bool *empty)
{
    bool object = wb_scan_peek(s) == '{';
    if (!open_level(s, n, object)) return false;
    wb_scan_space(s);
    *empty = wb_scan_take(s, object ? '}' : ']');
    if (*empty) n->depth--;
    return *empty || !object || skip_name(s);
}

bool wb_scan_skip(wb_scan *s)
{
    nest n = {.depth = 0};
    bool done = false;
    while (!done) {
        bool whole = true;
        wb_scan_space(s);
        uint8_t c = wb_scan_peek(s);
        if (c == '{' || c == '[') {
            if (!skip_into(s, &n, &whole)) return false;
        } else if (!skip_plain(s)) {
            return false;
        }
        if (whole && !skip_behind(s, &n, &done)) return false;
    }
    return true;
}
