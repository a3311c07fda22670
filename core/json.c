/* SPDX-License-Identifier: Apache-2.0 */
/* A recursive reader that goes once from left to right and stops at the first fault, so "the leftmost
 * fault counts" is a property of its shape and not of extra code. Where a fault lies:
 *
 *   UTF-8      before anything else, over the whole text; escapes when they are met
 *   syntax     at the byte that no JSON object can have there
 *   duplicate  at the closing quote of the second name, or, where members are sorted, at the bracket
 *              that closes the object
 *   number     at its first byte
 *   depth      at the opening bracket
 *   size       at the quote that opens one member too many, the first byte of one element too many,
 *              the character with which a string grows too long
 *
 * Recursion is bounded by limits->depth, comparison of names by limits->members. Memory is taken for
 * a value after its limits were checked: one node, plus the unescaped bytes of strings that have an
 * escape. A string is walked twice then: once to check and count, once to write. Names of up to 40
 * members are compared pairwise, which beats any table at that size. Objects without such a limit are
 * sorted as lists, where a repeated name shows as two neighbours. */
#include "core/json.h"

#include "core/text_code.h"
#include "core/utf8.h"

#include <stdio.h>

typedef struct reader {
    const uint8_t *at, *end;
    const wb_json_limits *limits;
    wb_arena *arena;
    wb_json_fault fault;
    bool only_counting; /* inside an element that will not be kept */
} reader;

const char *wb_json_fault_text(wb_json_fault fault)
{
    switch (fault) {
    case WB_JSON_NO_FAULT: return "none";
    case WB_JSON_UTF8: return "text that is not UTF-8";
    case WB_JSON_SYNTAX: return "not one JSON object";
    case WB_JSON_DUPLICATE: return "a name twice in one object";
    case WB_JSON_NUMBER: return "a number that is not a plain integer below 2^53";
    case WB_JSON_DEPTH: return "nested too deeply";
    case WB_JSON_SIZE: return "too many members or elements, or a string too long";
    }
    return "unknown";
}

/* All helpers return false to stop: a fault is set, or memory is out and none is. */
static bool stop(reader *r, wb_json_fault fault)
{
    r->fault = fault;
    return false;
}

static void skip_space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool next_is(const reader *r, uint8_t c) { return r->at < r->end && *r->at == c; }

/* r->at is behind "\u". RFC 8259 section 7; half a pair is refused, as is U+0000. */
static bool read_unicode(reader *r, uint32_t *out)
{
    int32_t high = wb_hex4(r->at, r->end);
    if (high < 0) return stop(r, WB_JSON_SYNTAX);
    r->at += 4;
    if (high == 0 && !r->limits->any_char) return stop(r, WB_JSON_UTF8);
    if (high >= 0xdc00 && high <= 0xdfff) return stop(r, WB_JSON_UTF8);
    *out = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff) return true;
    int32_t low = -1;
    if (r->end - r->at >= 2 && r->at[0] == '\\' && r->at[1] == 'u')
        low = wb_hex4(r->at + 2, r->end);
    if (low < 0xdc00 || low > 0xdfff) return stop(r, WB_JSON_UTF8);
    r->at += 6;
    *out = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return true;
}

/* r->at is behind the backslash. */
static bool read_escape(reader *r, uint32_t *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end) return stop(r, WB_JSON_SYNTAX);
    uint8_t c = *r->at++;
    if (c == 'u') return read_unicode(r, out);
    const char *hit = c ? strchr(from, c) : NULL;
    if (!hit) return stop(r, WB_JSON_SYNTAX);
    *out = (uint8_t)to[hit - from];
    return true;
}

/* One character of a string; r->at is on it, and it is not the closing quote. */
static bool read_char(reader *r, uint32_t *escaped, size_t *plain)
{
    *plain = 0;
    if (*r->at < 0x20) return stop(r, WB_JSON_SYNTAX);
    if (*r->at == '\\') {
        r->at++;
        return read_escape(r, escaped);
    }
    *plain = wb_utf8_char(wb_slice_of(r->at, (size_t)(r->end - r->at)));
    if (*plain == 0) return stop(r, WB_JSON_UTF8);
    r->at += *plain;
    return true;
}

/* The second walk: the bytes between the quotes are known to be good. */
static void unescape(const reader *r, wb_slice raw, uint8_t *out)
{
    reader again = {.at = raw.ptr, .end = raw.ptr + raw.len, .limits = r->limits};
    while (again.at < again.end) {
        uint32_t c = 0;
        size_t plain;
        const uint8_t *from = again.at;
        bool good = read_char(&again, &c, &plain);
        WB_ASSERT(good);
        if (plain > 0) memcpy(out, from, plain);
        out += plain > 0 ? plain : wb_utf8_put(c, out);
    }
}

/* A string as it stands between its quotes, and what it comes to. */
typedef struct scanned {
    wb_slice raw;
    size_t len; /* unescaped */
    bool escapes;
} scanned;

/* r->at is behind the opening quote. `any_length` false: too long a string is a fault. */
static bool scan_string(reader *r, bool any_length, scanned *out)
{
    const uint8_t *start = r->at;
    scanned s = {0};
    while (!next_is(r, '"')) {
        uint32_t c = 0;
        size_t plain;
        if (r->at == r->end) return stop(r, WB_JSON_SYNTAX);
        if (!read_char(r, &c, &plain)) return false;
        s.escapes = s.escapes || plain == 0;
        s.len += plain > 0 ? plain : wb_utf8_len(c);
        if (s.len > r->limits->string_bytes && !any_length) return stop(r, WB_JSON_SIZE);
    }
    s.raw = (wb_slice){start, (size_t)(r->at - start)};
    r->at++;
    *out = s;
    return true;
}

static bool keep_string(reader *r, const scanned *s, wb_slice *out)
{
    *out = s->raw;
    if (!s->escapes) return true;
    uint8_t *copy = wb_arena_alloc(r->arena, s->len);
    if (!copy) return false;
    unescape(r, s->raw, copy);
    *out = (wb_slice){copy, s->len};
    return true;
}

static bool read_string(reader *r, wb_slice *out)
{
    scanned s;
    if (!scan_string(r, r->limits->count_excess, &s)) return false;
    *out = (wb_slice){NULL, s.len};
    if (s.len > r->limits->string_bytes || r->only_counting) return true;
    return keep_string(r, &s, out);
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool in_number(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
           c == '-' || c == '.';
}

static bool digits(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *start = *p;
    while (*p < end && is_digit(**p)) (*p)++;
    return *p > start;
}

/* RFC 8259 section 6. */
static bool is_rfc8259_number(wb_slice s)
{
    const uint8_t *p = s.ptr, *end = s.ptr + s.len;
    if (p < end && *p == '-') p++;
    const uint8_t *first = p;
    if (!digits(&p, end) || (*first == '0' && p - first > 1)) return false;
    if (p < end && *p == '.') {
        p++;
        if (!digits(&p, end)) return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (!digits(&p, end)) return false;
    }
    return p == end;
}

bool wb_json_int(wb_slice text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 16 || (text.ptr[0] == '0' && text.len > 1)) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i])) return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (value > WB_JSON_INT_MAX) return false;
    *out = value;
    return true;
}

static bool read_number(reader *r, wb_json *out)
{
    const uint8_t *start = r->at;
    while (r->at < r->end && in_number(*r->at)) r->at++;
    wb_slice text = {start, (size_t)(r->at - start)};
    out->type = WB_JSON_INT;
    if (wb_json_int(text, &out->number)) return true;
    if (!r->limits->any_number || !is_rfc8259_number(text)) return stop(r, WB_JSON_NUMBER);
    out->type = WB_JSON_REAL;
    out->text = text;
    out->number = 0;
    return true;
}

static bool read_word(reader *r, wb_json *out)
{
    static const struct {
        wb_slice word;
        wb_json_type type;
        bool truth;
    } words[] = {{WB_S("true"), WB_JSON_BOOL, true},
                 {WB_S("false"), WB_JSON_BOOL, false},
                 {WB_S("null"), WB_JSON_NULL, false}};
    for (size_t i = 0; i < WB_COUNT(words); i++) {
        if (!wb_slice_starts(wb_slice_of(r->at, (size_t)(r->end - r->at)), words[i].word)) continue;
        r->at += words[i].word.len;
        out->type = words[i].type;
        out->truth = words[i].truth;
        return true;
    }
    return stop(r, WB_JSON_SYNTAX);
}

static bool read_value(reader *r, uint32_t depth, wb_json *out);

/* *tail is where the next child of a container hangs. Linked only once its value is read, so that a
 * name is compared with earlier ones alone. */
static bool read_member(reader *r, uint32_t depth, wb_json *object, wb_json ***tail)
{
    scanned name;
    if (!next_is(r, '"')) return stop(r, WB_JSON_SYNTAX);
    if (object->n >= r->limits->members) return stop(r, WB_JSON_SIZE);
    wb_json *member = wb_arena_alloc(r->arena, sizeof *member);
    if (!member) return false;
    r->at++;
    if (!scan_string(r, false, &name) || !keep_string(r, &name, &member->name)) return false;
    if (!r->limits->sort_members && wb_json_member(object, member->name))
        return stop(r, WB_JSON_DUPLICATE);
    skip_space(r);
    if (!next_is(r, ':')) return stop(r, WB_JSON_SYNTAX);
    r->at++;
    skip_space(r);
    if (!read_value(r, depth, member)) return false;
    **tail = member;
    *tail = &member->next;
    return true;
}

static bool begins_value(const reader *r)
{
    return r->at < r->end && *r->at != 0 && strchr("\"{[tfn+-.0123456789", *r->at);
}

static bool read_element(reader *r, uint32_t depth, const wb_json *array, wb_json ***tail)
{
    if (!begins_value(r)) return stop(r, WB_JSON_SYNTAX);
    if (array->n < r->limits->elements) {
        wb_json *element = wb_arena_alloc(r->arena, sizeof *element);
        if (!element || !read_value(r, depth, element)) return false;
        **tail = element;
        *tail = &element->next;
        return true;
    }
    if (!r->limits->count_excess || *r->at != '"') return stop(r, WB_JSON_SIZE);
    wb_json passing = {0};
    r->only_counting = true;
    bool good = read_value(r, depth, &passing);
    r->only_counting = false;
    return good;
}

static wb_json *merge(wb_json *a, wb_json *b)
{
    wb_json *first = NULL, **tail = &first;
    while (a && b) {
        wb_json **least = wb_utf16_compare(b->name, a->name) < 0 ? &b : &a;
        *tail = *least;
        tail = &(*tail)->next;
        *least = *tail;
    }
    *tail = a ? a : b;
    return first;
}

/* The first `n` > 0 members of a list, sorted and cut off from the rest. */
static wb_json *sorted(wb_json *list, size_t n)
{
    wb_json *rest = list;
    if (n == 1) {
        list->next = NULL;
        return list;
    }
    for (size_t i = 0; i < n / 2; i++) rest = rest->next;
    wb_json *first = sorted(list, n / 2);
    return merge(first, sorted(rest, n - n / 2));
}

static bool sort_members(reader *r, wb_json *object)
{
    object->first = sorted(object->first, object->n);
    for (const wb_json *m = object->first; m->next; m = m->next)
        if (wb_slice_eq(m->name, m->next->name)) return stop(r, WB_JSON_DUPLICATE);
    return true;
}

/* r->at is on the opening bracket; `depth` is that of this container. */
static bool read_container(reader *r, uint32_t depth, wb_json *out)
{
    bool object = *r->at == '{';
    uint8_t close = object ? '}' : ']';
    wb_json **tail = &out->first;
    if (depth > r->limits->depth) return stop(r, WB_JSON_DEPTH);
    out->type = object ? WB_JSON_OBJECT : WB_JSON_ARRAY;
    r->at++;
    skip_space(r);
    if (next_is(r, close)) {
        r->at++;
        return true;
    }
    for (;;) {
        if (!(object ? read_member(r, depth, out, &tail) : read_element(r, depth, out, &tail)))
            return false;
        out->n++;
        skip_space(r);
        if (r->at == r->end) return stop(r, WB_JSON_SYNTAX);
        uint8_t c = *r->at;
        if (c != ',' && c != close) return stop(r, WB_JSON_SYNTAX);
        r->at++;
        if (c == close) return !object || !r->limits->sort_members || sort_members(r, out);
        skip_space(r);
    }
}

static bool read_value(reader *r, uint32_t depth, wb_json *out)
{
    if (r->at == r->end) return stop(r, WB_JSON_SYNTAX);
    switch (*r->at) {
    case '{':
    case '[': return read_container(r, depth + 1, out);
    case '"':
        r->at++;
        out->type = WB_JSON_STRING;
        return read_string(r, &out->text);
    case '+':
    case '-':
    case '.': return read_number(r, out);
    default: return is_digit(*r->at) ? read_number(r, out) : read_word(r, out);
    }
}

wb_status wb_json_parse(wb_slice text, const wb_json_limits *limits, wb_arena *arena,
                        const wb_json **root, wb_json_fault *fault)
{
    reader r = {.limits = limits, .arena = arena};
    wb_json *top = wb_arena_alloc(arena, sizeof *top);
    if (!top) return WB_ERR_NO_MEMORY;
    *fault = WB_JSON_UTF8;
    if (!wb_utf8_valid(text) || wb_slice_starts(text, WB_S("\xef\xbb\xbf"))) return WB_OK;
    *fault = WB_JSON_SYNTAX;
    if (text.len == 0) return WB_OK;
    r.at = text.ptr;
    r.end = text.ptr + text.len;
    skip_space(&r);
    if (!limits->any_value && !next_is(&r, '{')) return WB_OK;
    bool good = read_value(&r, 0, top);
    *fault = r.fault;
    if (!good) return r.fault == WB_JSON_NO_FAULT ? WB_ERR_NO_MEMORY : WB_OK;
    skip_space(&r);
    if (r.at != r.end) {
        *fault = WB_JSON_SYNTAX;
        return WB_OK;
    }
    *root = top;
    return WB_OK;
}

const wb_json *wb_json_member(const wb_json *object, wb_slice name)
{
    if (!object || object->type != WB_JSON_OBJECT) return NULL;
    for (const wb_json *m = object->first; m; m = m->next)
        if (wb_slice_eq(m->name, name)) return m;
    return NULL;
}

wb_status wb_json_add_string(wb_buffer *out, wb_slice text)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    size_t done = 0;
    WB_TRY(wb_buffer_add(out, "\"", 1));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        char escape[8];
        const char *hit = c ? strchr(from, c) : NULL;
        int len = hit ? snprintf(escape, sizeof escape, "\\%c", to[hit - from])
                      : snprintf(escape, sizeof escape, "\\u%04x", c);
        WB_TRY(wb_buffer_add(out, text.ptr + done, i - done));
        WB_TRY(wb_buffer_add(out, escape, (size_t)len));
        done = i + 1;
    }
    if (done < text.len) WB_TRY(wb_buffer_add(out, text.ptr + done, text.len - done));
    return wb_buffer_add(out, "\"", 1);
}
