/* SPDX-License-Identifier: Apache-2.0 */
/* Both kinds of text are cut where the limit is, and something is put behind the cut: U+2026, and for JSON the
 * quote and brackets that are open there. So a place where JSON may be cut is one behind which these still fit. Such
 * places are behind a value or an opening bracket, and inside a text that is a value; the last one that fits
 * is remembered. JSON is read only as far as the limit goes, and no more strictly than needed to know what is open:
 * what turns out to be none is cut as any text. */
#include "sidecar/pipeline/preview.h"

#include "core/status.h"
#include "core/utf8.h"

enum { LEAST = 8, DEPTH_MAX = 64, MARK_BYTES = 3 };

static const uint8_t mark[MARK_BYTES] = {0xE2, 0x80, 0xA6};

static bool continues(uint8_t c) { return (c & 0xC0) == 0x80; }

static size_t count_characters(const uint8_t *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += !continues(text[i]);
    return n;
}

static wb_preview cut_plain(uint8_t *text, size_t len, wb_preview_limit limit)
{
    size_t at = 0, n = 0;
    while (at < len) {
        size_t next = at + 1;
        while (next < len && continues(text[next])) next++;
        if (n + 1 >= limit.characters || next + MARK_BYTES > limit.bytes) break;
        at = next;
        n++;
    }
    memcpy(text + at, mark, MARK_BYTES);
    return (wb_preview){at + MARK_BYTES, n + 1, true};
}

/* ---- JSON ---- */

typedef struct place {
    size_t at, characters;
    unsigned depth;
    uint64_t
        objects; /* of the open brackets from the inside out: a bit for each that is an object */
} place;

typedef struct json {
    uint8_t *text;
    size_t len;
    wb_preview_limit limit;
    place here, safe;
    uint64_t
        objects; /* of the open brackets from the inside out: a bit for each that is an object */
} json;

/* Do the brackets that are open there fit behind that place, and `more` characters of `more_bytes`? */
static bool fits(const json *j, place p, size_t more, size_t more_bytes)
{
    return p.characters + more + p.depth <= j->limit.characters &&
           p.at + more_bytes + p.depth <= j->limit.bytes;
}

static uint8_t peek(const json *j) { return j->here.at < j->len ? j->text[j->here.at] : 0; }

static void step(json *j)
{
    j->here.characters += !continues(j->text[j->here.at]);
    j->here.at++;
}

static void blanks(json *j)
{
    while (j->here.at < j->len && strchr(" \t\r\n", (int)j->text[j->here.at]) && peek(j)) step(j);
}

/* A character or an escape of a text; halves of a pair stay together. */
static void unit(json *j)
{
    size_t n = 1;
    const uint8_t *p = j->text + j->here.at;
    size_t left = j->len - j->here.at;
    if (*p == '\\') {
        n = left > 1 && p[1] == 'u' ? 6 : 2;
        if (n == 6 && left >= 12 && (p[2] | 0x20) == 'd' &&
            (p[3] == '8' || p[3] == '9' || (p[3] | 0x20) == 'a' || (p[3] | 0x20) == 'b'))
            n = 12;
    } else {
        while (n < left && continues(p[n])) n++;
    }
    for (size_t i = 0; i < n && j->here.at < j->len; i++) step(j);
}

typedef enum read_as { READ_ALL, READ_CUT, READ_TOO_LONG, READ_BAD } read_as;

/* A text from its quote on. READ_CUT: it does not fit, and `here` is where it may be cut. */
static read_as read_text(json *j, bool is_value)
{
    place cut = {0};
    step(j);
    if (is_value && fits(j, j->here, 2, MARK_BYTES + 1)) cut = j->here;
    while (true) {
        if (j->here.at >= j->len) return READ_BAD;
        uint8_t c = j->text[j->here.at];
        if (c == '"') {
            step(j);
            if (fits(j, j->here, 0, 0)) return READ_ALL;
            break;
        }
        if (c < ' ') return READ_BAD;
        unit(j);
        if (!fits(j, j->here, 1, 1)) break;
        if (is_value && fits(j, j->here, 2, MARK_BYTES + 1)) cut = j->here;
    }
    if (cut.at == 0) return READ_TOO_LONG;
    j->here = cut;
    return READ_CUT;
}

static read_as read_word(json *j)
{
    size_t from = j->here.at;
    while (j->here.at < j->len && !strchr(" \t\r\n,]}", (int)j->text[j->here.at]) && peek(j))
        step(j);
    uint8_t c = j->text[from];
    if (j->here.at == from || !(c == '-' || (c >= '0' && c <= '9') || strchr("tfnNI", c)))
        return READ_BAD;
    return fits(j, j->here, 0, 0) ? READ_ALL : READ_TOO_LONG;
}

static read_as open_bracket(json *j)
{
    if (j->here.depth == DEPTH_MAX) return READ_BAD;
    j->here.objects = j->here.objects << 1 | (peek(j) == '{');
    step(j);
    j->here.depth++;
    return fits(j, j->here, 0, 0) ? READ_ALL : READ_TOO_LONG;
}

/* The name of a member and its colon. */
static read_as read_name(json *j)
{
    if (peek(j) != '"') return READ_BAD;
    read_as as = read_text(j, false);
    if (as != READ_ALL) return as;
    blanks(j);
    if (peek(j) != ':') return READ_BAD;
    step(j);
    blanks(j);
    return READ_ALL;
}

/* Closing brackets and a comma behind a value. */
static read_as behind_value(json *j)
{
    while (j->here.depth > 0) {
        if (!fits(j, j->here, 0, 0)) return READ_TOO_LONG; /* for blanks before a bracket */
        j->safe = j->here;
        blanks(j);
        uint8_t c = peek(j);
        if (c == ',') {
            step(j);
            blanks(j);
            return READ_ALL;
        }
        if (c != (j->here.objects & 1 ? '}' : ']')) return READ_BAD;
        j->here.objects >>= 1;
        j->here.depth--;
        step(j);
    }
    return READ_ALL;
}

/* One value, or the opening of one. */
static read_as read_value(json *j)
{
    uint8_t c = peek(j);
    if (c == '"') return read_text(j, true);
    return c == '[' || c == '{' ? open_bracket(j) : read_word(j);
}

static read_as read_some(json *j)
{
    bool is_empty = false; /* the innermost bracket, so far */
    do {
        blanks(j);
        bool closes = is_empty && peek(j) == (j->here.objects & 1 ? '}' : ']');
        if (!closes) {
            if (j->here.depth > 0 && j->here.objects & 1) {
                read_as as = read_name(j);
                if (as != READ_ALL) return as;
            }
            unsigned depth = j->here.depth;
            read_as as = read_value(j);
            if (as != READ_ALL) return as;
            is_empty = j->here.depth > depth;
            if (is_empty) {
                j->safe = j->here;
                continue;
            }
        }
        is_empty = false;
        read_as as = behind_value(j);
        if (as != READ_ALL) return as;
    } while (j->here.depth > 0);
    blanks(j);
    return j->here.at == j->len ? READ_ALL : READ_BAD;
}

static wb_preview close_at(const json *j, place p, bool in_text)
{
    uint64_t objects = p.objects;
    if (in_text) {
        memcpy(j->text + p.at, mark, MARK_BYTES);
        p.at += MARK_BYTES;
        j->text[p.at++] = '"';
        p.characters += 2;
    }
    for (unsigned i = 0; i < p.depth; i++) j->text[p.at++] = objects >> i & 1 ? '}' : ']';
    return (wb_preview){p.at, p.characters + p.depth, true};
}

wb_preview wb_preview_cut(uint8_t *text, size_t len, wb_preview_limit limit)
{
    size_t characters = count_characters(text, len);
    if (characters <= limit.characters && len <= limit.bytes)
        return (wb_preview){len, characters, false};
    if (limit.characters < LEAST || limit.bytes < LEAST) return (wb_preview){.was_cut = true};
    json j = {.text = text, .len = len, .limit = limit};
    if (len > 0 && (text[0] == '[' || text[0] == '{')) {
        read_as as = read_some(&j);
        if (as == READ_CUT) return close_at(&j, j.here, true);
        /* READ_ALL: only the last bracket was too much. */
        if (as != READ_BAD && j.safe.at > 0) return close_at(&j, j.safe, false);
    }
    return cut_plain(text, len, limit);
}
