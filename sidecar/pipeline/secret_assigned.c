/* SPDX-License-Identifier: Apache-2.0 */
/* How a name and its value stand together differs from language to language, but less than one might fear: quotes
 * or none, blanks, a sign or two, quotes or none. Prose is the hard part: what stands without quotes behind a colon
 * is a value in YAML and a sentence elsewhere, so there more is asked of it.
 *
 * A value in quotes ends at the quote that has as many backslashes before it as the first one: JSON in a text of
 * JSON is what traces of agents are full of. */
#include "sidecar/pipeline/secret_assigned.h"

#include "sidecar/pipeline/letters.h"
enum { BLANKS_MAX = 16, LINES_MAX = 64, BACKSLASHES_MAX = 16 };

typedef enum way { SIGN, COLON, MARKUP, OPTION, SENTENCE } way;

static uint8_t at(wb_slice text, size_t i) { return i < text.len ? text.ptr[i] : 0; }

static size_t blanks(wb_slice text, size_t p)
{
    size_t from = p;
    while (p < text.len && p - from < BLANKS_MAX && (text.ptr[p] == ' ' || text.ptr[p] == '\t'))
        p++;
    return p;
}

/* Blanks, over the ends of lines too. */
static size_t lines(wb_slice text, size_t p)
{
    size_t from = p;
    while (p < text.len && p - from < LINES_MAX && strchr(" \t\r\n", at(text, p))) p++;
    return p;
}

static size_t backslashes(wb_slice text, size_t p)
{
    size_t n = 0;
    while (n < BACKSLASHES_MAX && at(text, p + n) == '\\') n++;
    return n;
}

/* Past a quote and the backslashes before it; 0: there is none. */
static size_t past_quote(wb_slice text, size_t p, uint8_t *quote, size_t *depth)
{
    *depth = backslashes(text, p);
    *quote = at(text, p + *depth);
    return *quote == '"' || *quote == '\'' || (*quote == '`' && *depth == 0) ? p + *depth + 1 : 0;
}

/* Where the quoted text ends that starts at `p`: at the backslashes before its last quote, or with the text. */
static size_t quoted_end(wb_slice text, size_t p, uint8_t quote, size_t depth)
{
    size_t run = 0;
    for (; p < text.len; p++) {
        if (text.ptr[p] == '\\') {
            run++;
        } else {
            if (text.ptr[p] == quote && (depth == 0 ? run % 2 == 0 : run <= depth)) return p - run;
            run = 0;
        }
    }
    return text.len;
}

/* An end of line, also one that is written as an escape. */
static bool ends_line(wb_slice text, size_t p)
{
    uint8_t c = at(text, p);
    if (c < ' ' && c != '\t') return true;
    uint8_t next = at(text, p + backslashes(text, p));
    return c == '\\' && (next == 'n' || next == 'r' || next == '"' || next == '\'');
}

static size_t line_end(wb_slice text, size_t p)
{
    while (p < text.len && !ends_line(text, p) && text.ptr[p] != '"' && text.ptr[p] != '\'') p++;
    return p;
}

static size_t bare_end(wb_slice text, size_t p)
{
    static const bool ends[256] = {
        [' '] = true, ['\t'] = true, ['"'] = true, ['\''] = true, ['`'] = true,
        ['<'] = true, ['>'] = true,  [','] = true, [';'] = true,  ['&'] = true,
        ['|'] = true, [')'] = true,  ['}'] = true, [']'] = true};
    for (; p < text.len && !ends[text.ptr[p]]; p++)
        if ((text.ptr[p] < ' ' || text.ptr[p] == '\\') && ends_line(text, p)) break;
    return p;
}

static bool done(size_t from, size_t to, wb_secret *out)
{
    *out = (wb_secret){.at = from, .len = to - from};
    return to > from;
}

/* ---- values ---- */

/* A header's: the scheme may stay, the rest goes. */
static bool bare_authorization(wb_slice text, size_t p, wb_secret *out)
{
    static const char *const one_word[] = {"bearer", "basic",     "token", "apikey",  "api-key",
                                           "bot",    "negotiate", "ssws",  "geniekey"};
    static const char *const a_line[] = {"digest ", "aws4-hmac", "oauth ", "signature "};
    for (size_t i = 0; i < sizeof one_word / sizeof *one_word; i++) {
        size_t behind = p + strlen(one_word[i]), from = blanks(text, behind);
        if (!wb_secret_starts(text, p, one_word[i]) || from == behind) continue;
        size_t end = bare_end(text, from);
        return wb_secret_is_value(WB_NAME_AUTHORIZATION, (wb_slice){text.ptr + from, end - from}) &&
               done(from, end, out);
    }
    for (size_t i = 0; i < sizeof a_line / sizeof *a_line; i++)
        if (wb_secret_starts(text, p, a_line[i])) return done(p, line_end(text, p), out);
    size_t end = bare_end(text, p);
    return wb_secret_looks_random((wb_slice){text.ptr + p, end - p}) && done(p, end, out);
}

/* A cookie's header has a `=` in its first word. */
static bool bare_cookie(wb_slice text, size_t p, wb_secret *out)
{
    size_t end = bare_end(text, p);
    return end > p && memchr(text.ptr + p, '=', end - p) && done(p, line_end(text, p), out);
}

/* Four letters or more with a digit or a sign among them. */
static bool is_no_word(wb_slice value)
{
    bool odd = false;
    for (size_t i = 0; i < value.len; i++)
        odd |= wb_is_digit(value.ptr[i]) || strchr("!#$%^&*+=@~", value.ptr[i]) != NULL;
    return value.len >= 4 && odd;
}

/* A call, an index, a comparison or a path to a member: it has the secret's name and not the secret. */
static bool is_code(wb_slice value)
{
    bool letters = true, dot = false;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c == '(' || c == '[' || (c == '=' && i == 0)) return true;
        letters &= (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? true : c == '.' || c == '_';
        dot |= c == '.' && i > 0;
    }
    return letters && dot;
}

static bool bare(wb_slice text, size_t p, way how, wb_secret_name kind, bool is_json, bool loose,
                 wb_secret *out)
{
    if (kind == WB_NAME_AUTHORIZATION) return bare_authorization(text, p, out);
    if (kind == WB_NAME_COOKIE) return bare_cookie(text, p, out);
    size_t end = bare_end(text, p);
    wb_slice value = {text.ptr + p, end - p};
    if (how == SENTENCE)
        while (value.len > 0 && strchr(".!?:", value.ptr[value.len - 1])) value.len--;
    if (loose) return done(p, p + value.len, out);
    if (!wb_secret_is_value(kind, value) || is_code(value)) return false;
    /* More words behind it: prose. */
    bool more = (how == COLON || how == SENTENCE) && at(text, end) == ' ';
    if ((more || how == SENTENCE) && !is_no_word(value)) return false;
    bool is_there = done(p, p + value.len, out);
    out->is_json_bare = is_json;
    return is_there;
}

static bool value_at(wb_slice text, size_t p, way how, wb_secret_name kind, bool named_in_quotes,
                     bool loose, wb_secret *out)
{
    uint8_t quote;
    size_t depth, from, end;
    bool list = at(text, p) == '[' &&
                (kind == WB_NAME_COOKIE || kind == WB_NAME_AUTHORIZATION || named_in_quotes);
    if (list) p = blanks(text, p + 1);
    if (strchr("bruf", at(text, p)) && at(text, p) && strchr("\"'", at(text, p + 1)) &&
        at(text, p + 1))
        p++;
    if ((from = past_quote(text, p, &quote, &depth)) == 0) {
        if (list || how == MARKUP) {
            if (list) return false;
            end = p;
            while (end < text.len && text.ptr[end] != '<') end++;
            return (loose || wb_secret_is_value(kind, (wb_slice){text.ptr + p, end - p})) &&
                   done(p, end, out);
        }
        return bare(text, p, how, kind, named_in_quotes && how == COLON, loose, out);
    }
    /* The quote ends a text of JSON that ends in `password=`: what is behind it is JSON's. */
    if (!named_in_quotes && how != MARKUP && at(text, from) && strchr(",}]:", at(text, from)))
        return false;
    end = quoted_end(text, from, quote, depth);
    while (list) { /* all texts of the array, up to its last quote */
        uint8_t next_quote;
        size_t next_depth, p2 = blanks(text, end + depth + 1);
        if (at(text, p2) != ',') break;
        p2 = blanks(text, p2 + 1);
        if ((p2 = past_quote(text, p2, &next_quote, &next_depth)) == 0 || next_depth != depth)
            break;
        end = quoted_end(text, p2, next_quote, depth);
    }
    wb_slice value = {text.ptr + from, end - from};
    return (loose || wb_secret_is_value(kind, value)) && done(from, end, out);
}

/* ---- what stands between ---- */

/* Behind `,`: the member of an object that is called value, or the second one of a pair in parentheses. */
static bool second(wb_slice text, size_t name, size_t p, wb_secret_name kind, bool loose,
                   wb_secret *out)
{
    uint8_t quote;
    size_t depth, from, end;
    p = blanks(text, p + 1);
    bool is_bytes = at(text, p) == 'b';
    if ((from = past_quote(text, p + is_bytes, &quote, &depth)) == 0) return false;
    end = quoted_end(text, from, quote, depth);
    if (end - from == 5 && wb_secret_starts(text, from, "value")) {
        p = blanks(text, end + depth + 1);
        return at(text, p) == ':' &&
               value_at(text, blanks(text, p + 1), COLON, kind, true, loose, out);
    }
    if (loose) return done(from, end, out) || end == from;
    size_t open = name - depth - 1; /* of the name's quote */
    if (is_bytes) open--;
    uint8_t before = name > depth + 1 ? at(text, open - 1) : 0,
            behind = at(text, blanks(text, end + depth + 1));
    bool is_header = kind == WB_NAME_COOKIE || kind == WB_NAME_AUTHORIZATION;
    if (!(before == '(' && behind == ')') && !(is_header && before == '[' && behind == ']'))
        return false;
    return wb_secret_is_value(kind, (wb_slice){text.ptr + from, end - from}) &&
           done(from, end, out);
}

bool wb_secret_assigned(wb_slice text, size_t from, size_t to, wb_secret_name kind, bool loose,
                        wb_secret *out)
{
    uint8_t quote, c;
    size_t depth, p = to, past = past_quote(text, p, &quote, &depth);
    bool in_quotes = past != 0;
    if (in_quotes) p = past;
    if (at(text, p) == ']') p++; /* headers["..."] = */
    size_t sign = blanks(text, p);
    c = at(text, sign);
    switch (c) {
    case '=':
        sign++;
        if (at(text, sign) == '>' || at(text, sign) == '=') sign++;
        return value_at(text, blanks(text, sign), SIGN, kind, in_quotes, loose, out);
    case ':':
        /* One of several, as in an ARN. */
        if (!loose && from > 0 && text.ptr[from - 1] == ':') return false;
        sign++;
        if (at(text, sign) == '=') sign++;
        while (at(text, sign) == '*') sign++; /* **Password:** */
        sign = in_quotes ? lines(text, sign) : blanks(text, sign);
        return value_at(text, sign, COLON, kind, in_quotes, loose, out);
    case '\r':
    case '\n': /* - name: DB_PASSWORD, and on the next line value: */
        sign = lines(text, sign);
        if (!wb_secret_starts(text, sign, "value:")) return false;
        return value_at(text, blanks(text, sign + 6), COLON, kind, false, loose, out);
    case ',': return in_quotes && second(text, from, sign, kind, loose, out);
    case '>':
        if (from == 0 || (text.ptr[from - 1] != '<' && text.ptr[from - 1] != ':')) return false;
        return value_at(text, sign + 1, MARKUP, kind, false, loose, out);
    default: break;
    }
    if (sign == p) return false;
    if (text.len - from > 2 && text.ptr[from] == '-' && text.ptr[from + 1] == '-')
        return value_at(text, sign, OPTION, kind, false, loose, out);
    if (wb_secret_starts(text, sign, "is:"))
        return value_at(text, blanks(text, sign + 3), SENTENCE, kind, false, loose, out);
    if (wb_secret_starts(text, sign, "is "))
        return value_at(text, blanks(text, sign + 3), SENTENCE, kind, false, loose, out);
    return false;
}
