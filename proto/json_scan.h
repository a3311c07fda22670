/* SPDX-License-Identifier: Apache-2.0 */
/* proto/json_scan.h: go through JSON token by token. Private to proto/.
 *
 * Beside core/json.h, which makes a tree: bodies of spans are megabytes, of which nearly nothing is to be
 * kept, and a tree takes 88 bytes a value before the first of them is looked at. Nothing here allocates or
 * recurses. Strictly RFC 8259, but for bytes above 0x7F in strings, which nobody looks at: whether text
 * is UTF-8 is the business of who takes it. */
#ifndef WAYBILL_PROTO_JSON_SCAN_H
#define WAYBILL_PROTO_JSON_SCAN_H

#include <endian.h>

#include "core/slice.h"

enum { WB_SCAN_DEPTH_MAX = 256 }; /* of a value that is skipped */

typedef struct wb_scan {
    const uint8_t *at, *end;
    const uint8_t *start;    /* for positions */
    const char *fault;       /* set before false is returned; static */
    const uint8_t *fault_at; /* at `at` if NULL */
} wb_scan;

/* Return false because of `why`. */
static inline bool wb_scan_stop(wb_scan *s, const char *why)
{
    s->fault = why;
    return false;
}

static inline bool wb_scan_stop_at(wb_scan *s, const uint8_t *where, const char *why)
{
    s->fault_at = where;
    return wb_scan_stop(s, why);
}

static inline void wb_scan_space(wb_scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* The next byte, 0 at the end (which no token starts with). */
static inline uint8_t wb_scan_peek(const wb_scan *s) { return s->at < s->end ? *s->at : 0; }

static inline bool wb_scan_take(wb_scan *s, uint8_t c)
{
    if (wb_scan_peek(s) != c) return false;
    s->at++;
    return true;
}

#define WB_SCAN_EACH UINT64_C(0x0101010101010101)

/* A high bit in the first byte that is a quote, a backslash or below 0x20; the bytes behind it may have
 * one or not. (x - n) & ~x borrows only out of bytes that are below n.) */
static inline uint64_t wb_scan_special(uint64_t word)
{
    uint64_t quote = word ^ (WB_SCAN_EACH * '"'), slash = word ^ (WB_SCAN_EACH * '\\');
    uint64_t control = (word - WB_SCAN_EACH * 0x20) & ~word;
    uint64_t found = ((quote - WB_SCAN_EACH) & ~quote) | ((slash - WB_SCAN_EACH) & ~slash);
    return (found | control) & (WB_SCAN_EACH * 0x80);
}

static inline uint64_t wb_scan_load(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

#if defined(__SSE2__)

typedef uint8_t wb_scan_bytes __attribute__((vector_size(16)));

/* The first quote, backslash or control character from `p` on, or `end`. Sixteen bytes at a time where the
 * processor has such registers (all of x86-64 does): half of JSON's bytes are gone through here. */
static inline const uint8_t *wb_scan_plain(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 16; p += 16) {
        wb_scan_bytes bytes;
        memcpy(&bytes, p, sizeof bytes);
        __auto_type found = (bytes == '"') | (bytes == '\\') | (bytes < 0x20);
        int hits = __builtin_ia32_pmovmskb128((__attribute__((vector_size(16))) char)found);
        if (hits) return p + __builtin_ctz((unsigned)hits);
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) p++;
    return p;
}

#else

static inline const uint8_t *wb_scan_plain(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t hit = wb_scan_special(wb_scan_load(p));
        if (hit) return p + __builtin_ctzll(hit) / 8;
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) p++;
    return p;
}

#endif

/* A string as it stands between its quotes. */
typedef struct wb_scan_text {
    wb_slice raw;
    bool escapes;
} wb_scan_text;

/* A string with an escape, or one that is faulty; `s->at` is on its first special byte. */
bool wb_scan_escaped(wb_scan *s, const uint8_t *start, wb_scan_text *out);

/* A string whose opening quote was taken; its closing one is taken too, its escapes are checked. */
static inline bool wb_scan_string(wb_scan *s, wb_scan_text *out)
{
    const uint8_t *start = s->at;
    s->at = wb_scan_plain(start, s->end);
    if (s->at == s->end || *s->at != '"') return wb_scan_escaped(s, start, out);
    *out = (wb_scan_text){{start, (size_t)(s->at - start)}, false};
    s->at++;
    return true;
}

/* Write what a checked string stands for; how many bytes, never more than `raw.len`. Half a surrogate
 * pair comes out as the three bytes that UTF-8 forbids. */
size_t wb_scan_unescape(wb_slice raw, uint8_t *out);

/* A number of RFC 8259. */
bool wb_scan_number(wb_scan *s, wb_slice *out);

/* Is all of `text` one such number? */
bool wb_scan_is_number(wb_slice text);

/* true, false or null, whichever `word` is. */
static inline bool wb_scan_word(wb_scan *s, wb_slice word)
{
    if ((size_t)(s->end - s->at) < word.len || memcmp(s->at, word.ptr, word.len) != 0) return false;
    s->at += word.len;
    return true;
}

/* Any value, of any kind. */
bool wb_scan_skip(wb_scan *s);

#endif
