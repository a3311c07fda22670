/* SPDX-License-Identifier: Apache-2.0 */
/* secret_spots.c says where to look; here it is looked. A spot is the start of a long word, which may be a token, or
 * three letters of a word that names secrets, around which the whole name is read and what it is given.
 *
 * In a body of protobuf the texts are not known yet, only the bytes. What is found there is not final: it says which
 * messages are to be read text by text. So it may find too much, and must not find too little: the length before
 * a text may look like a letter of it, and so may the tag behind it. */
#include "sidecar/pipeline/secrets.h"

#include "core/status.h"
#include "core/text_code.h"
#include "sidecar/pipeline/letters.h"
#include "sidecar/pipeline/secret_assigned.h"
#include "sidecar/pipeline/secret_names.h"
#include "sidecar/pipeline/secret_spots.h"
#include "sidecar/pipeline/secret_tokens.h"

enum {
    NAME_BACK = 64,
    NAME_AHEAD = 48,
    URL_MAX = 2048,
    SPOTS = WB_SECRET_SPOTS,
    BASIC_MAX = 512,
    KEY_LETTERS = 5,
    KEY_LINE = 32,
    LOOK_MAX = 400 /* bytes behind a name, before it is known that a secret is there */
};

/* ---- what a text may hold ---- */

static bool is_name_byte(uint8_t c) { return wb_is_alnum(c) || c == '_' || c == '-' || c == '.'; }

/* The name around a spot. */
static wb_slice name_around(wb_slice text, size_t at)
{
    size_t from = at, to = at + 3;
    while (from > 0 && at - from < NAME_BACK && is_name_byte(text.ptr[from - 1])) from--;
    while (to < text.len && to - at < NAME_AHEAD && is_name_byte(text.ptr[to])) to++;
    while (to > at + 3 && text.ptr[to - 1] == '.') to--; /* the end of a sentence */
    return (wb_slice){text.ptr + from, to - from};
}

/* In prose a key has its kind in a word of its own: `the API key is ...`. */
static wb_slice with_word_before(wb_slice text, wb_slice name)
{
    size_t from = (size_t)(name.ptr - text.ptr), at;
    if (name.len != 3 || from < 2 || text.ptr[from - 1] != ' ') return name;
    for (at = from - 1; at > 0 && from - at < NAME_BACK && is_name_byte(text.ptr[at - 1]);) at--;
    return (wb_slice){text.ptr + at, name.len + from - at};
}

static bool is_letter(wb_slice text, size_t at)
{
    return at < text.len && wb_is_letter(text.ptr[at]);
}

/* Most spots are in words that name no secret; the letters around tell. */
static bool may_name(wb_slice text, size_t at)
{
    const uint8_t *p = text.ptr + at;
    uint8_t before = at > 0 ? p[-1] | 0x20 : 0, behind = text.len - at > 3 ? p[3] | 0x20 : 0;
    switch (p[0] | 0x20) {
    case 'p': return (p[1] | 0x20) == 'w' || behind == 's'; /* pwd, pass */
    case 'c': return before == 'e' || behind == 'd';        /* secret, credential */
    case 'o':
        if ((p[1] | 0x20) == 'o') return before == 'c' && behind == 'i'; /* cookie */
        return before == 't' && behind == 'n' && !is_letter(text, at + 4);
    case 'k': return behind == 's' || !is_letter(text, at + 3);
    case 'u': return before == 'a';
    case 'r': return before == 'a'; /* bearer */
    case 's':
        return (p[1] | 0x20) == 'e' ? behind == 's' || behind == 'i'
                                    : !is_letter(text, at + 3) || behind == 'n';
    default: return false;
    }
}

/* Looked at is a little of the text first: whoever repeats a name without end shall not have all of it read for each. */
static bool named(wb_slice text, size_t at, bool loose, wb_secret *out)
{
    if (!may_name(text, at)) return false;
    wb_slice name = with_word_before(text, name_around(text, at));
    wb_secret_name kind = wb_secret_name_of(name);
    if (kind == WB_NAME_PLAIN) return false;
    size_t from = (size_t)(name.ptr - text.ptr), to = from + name.len;
    wb_slice some = {text.ptr, text.len - to > LOOK_MAX ? to + LOOK_MAX : text.len};
    if (!wb_secret_assigned(some, from, to, kind, loose, out)) return false;
    wb_secret all;
    bool may_go_on = !loose && some.len < text.len && out->at + out->len == some.len;
    if (may_go_on && wb_secret_assigned(text, from, to, kind, loose, &all)) *out = all;
    return true;
}

static bool is_credential_byte(uint8_t c)
{
    return is_name_byte(c) || c == '~' || c == '+' || c == '/' || c == '=' || c == '%' ||
           c == ':' || c == '|';
}

/* Bearer ... and Basic ...: the scheme's last letters are at text[at]. */
static bool schemed(wb_slice text, size_t at, bool loose, wb_secret *out)
{
    bool is_basic = wb_secret_starts(text, at, "sic");
    size_t from = at + 3, len = 0;
    if (at < (is_basic ? 2U : 3U) ||
        !wb_secret_starts(text, at - (is_basic ? 2 : 3), is_basic ? "basic" : "bearer"))
        return false;
    if (from < text.len && (text.ptr[from] == ' ' || text.ptr[from] == ':'))
        from++;
    else if (wb_secret_starts(text, from, "%20"))
        from += 3;
    else
        return false;
    while (from < text.len && text.ptr[from] == ' ') from++;
    while (len < LOOK_MAX && from + len < text.len && is_credential_byte(text.ptr[from + len]))
        len++;
    bool is_cut = len == LOOK_MAX;
    while (len > 0 && (text.ptr[from + len - 1] == '.' || text.ptr[from + len - 1] == ':')) len--;
    wb_slice word = {text.ptr + from, len};
    if (len < 4) return false;
    if (loose) {
        /* it will be looked at again */
    } else if (!is_basic) {
        if (!wb_secret_looks_random(word) && len < 20) return false;
    } else {
        uint8_t bytes[BASIC_MAX];
        size_t n;
        while (word.len > 0 && word.ptr[word.len - 1] == '=') word.len--;
        size_t read = word.len > BASIC_MAX ? BASIC_MAX : word.len;
        if (!wb_base64_read((wb_slice){word.ptr, read - (read % 4 == 1)}, bytes, &n) ||
            !memchr(bytes, ':', n))
            return false;
    }
    while (is_cut && from + len < text.len && is_credential_byte(text.ptr[from + len])) len++;
    *out = (wb_secret){.at = from, .len = len};
    return true;
}

/* ---- URLs and DSNs ---- */

static bool ends_authority(uint8_t c) { return c <= ' ' || strchr("/?#\"'<>\\`", c) != NULL; }

/* What follows some hosts is who may write there. */
static bool webhook(wb_slice text, size_t at, wb_secret *out)
{
    static const char *const hosts[] = {
        "hooks.slack.com/services/",     "hooks.slack.com/workflows/",
        "discord.com/api/webhooks/",     "discordapp.com/api/webhooks/",
        "hooks.zapier.com/hooks/catch/", "outlook.office.com/webhook/"};
    for (size_t i = 0; i < WB_COUNT(hosts); i++) {
        if (!wb_secret_starts(text, at, hosts[i])) continue;
        size_t from = at + strlen(hosts[i]), to = from;
        while (to < text.len && (is_credential_byte(text.ptr[to]) || text.ptr[to] == '@')) to++;
        *out = (wb_secret){.at = from, .len = to - from};
        return to > from && text.ptr[from] != '*' && text.ptr[from] != '[';
    }
    return false;
}

/* scheme://user:password@host, scheme://:password@host, scheme://token@host. */
static bool in_url(wb_slice text, size_t at, wb_secret *out)
{
    size_t from = at + 3, colon = 0, last_at = 0, p = from;
    if (webhook(text, from, out)) return true;
    for (; p < text.len && p - from < URL_MAX && !ends_authority(text.ptr[p]); p++) {
        if (text.ptr[p] == ':' && colon == 0) colon = p + 1;
        if (text.ptr[p] == '@') last_at = p;
    }
    if (last_at == 0) return false;
    if (colon == 0 || colon > last_at) colon = 0;
    wb_slice secret = {text.ptr + (colon ? colon : from), last_at - (colon ? colon : from)};
    wb_slice user = {text.ptr + from, (colon ? colon - 1 : last_at) - from};
    bool is_token = user.len >= 16 && wb_secret_looks_random(user);
    if (!colon && !is_token) return false;
    if (colon && is_token) secret = (wb_slice){user.ptr, last_at - from};
    *out = (wb_secret){.at = (size_t)(secret.ptr - text.ptr), .len = secret.len};
    return secret.len > 0 && wb_secret_is_value(WB_NAME_SECRET, secret);
}

/* Go's DSN: user:password@tcp(host)/name. */
static bool before_tcp(wb_slice text, size_t at, wb_secret *out)
{
    if (at < 2 || text.ptr[at - 1] != '@' || text.len - at < 4 || text.ptr[at + 3] != '(')
        return false;
    size_t from = at - 1;
    while (from > 0 && at - from < NAME_BACK && text.ptr[from - 1] > ' ' &&
           !strchr("\"'`:", text.ptr[from - 1]))
        from--;
    if (from == 0 || text.ptr[from - 1] != ':') return false;
    *out = (wb_secret){.at = from, .len = at - 1 - from};
    return wb_secret_is_value(WB_NAME_SECRET, (wb_slice){text.ptr + from, out->len});
}

/* ---- PEM ---- */

/* What a key's lines and headers are made of, line ends written as escapes too. */
static bool is_pem_byte(uint8_t c) { return wb_is_alnum(c) || (c && strchr("+/= \t\r\n\\:,-", c)); }

/* Behind the head what a key is made of, up to its end; a text that only speaks of a head has none of it. */
static bool private_key(wb_slice text, size_t at, bool loose, wb_secret *out)
{
    static const char begin[] = "-----BEGIN ", mark[] = "PRIVATE KEY", end[] = "-----END ";
    size_t p = at, head, letters = 0;
    if (!wb_secret_starts(text, at, begin)) return false;
    p += sizeof begin - 1;
    head = p;
    while (p < text.len && p - head < NAME_BACK && text.ptr[p] != '-') p++;
    if (p == text.len || !memmem(text.ptr + head, p - head, mark, sizeof mark - 1)) return false;
    while (p < text.len && text.ptr[p] == '-') p++;
    size_t to = p, line = 0, longest = 0;
    bool ends = false;
    for (; to < text.len && !ends && is_pem_byte(text.ptr[to]); to++) {
        uint8_t c = text.ptr[to];
        ends = c == '-' && wb_secret_starts(text, to, end);
        letters += c > ' ' && c != '\\';
        line = c > ' ' && c != '\\' && c != '-' ? line + 1 : 0;
        if (line > longest) longest = line;
        if (loose && letters >= KEY_LETTERS) return true;
    }
    to -= ends;
    *out = (wb_secret){.at = p, .len = to - p};
    return ends ? letters > KEY_LETTERS : longest >= KEY_LINE;
}

/* ---- a spot ---- */

/* Letters that a word seems to begin with, and that are the end of what is before it: of an escape (`\n`, `\u00e9`, `%3D`) or
 * of a terminal's colour (`[32m`). */
static size_t escape_before(wb_slice text, size_t at)
{
    const uint8_t *p = text.ptr + at;
    size_t left = text.len - at, digits = 0;
    uint8_t before = at > 0 ? p[-1] : 0;
    if (before == '\\') return p[0] == 'u' ? 5 : p[0] == 'x' ? 3 : 1;
    if (before == '%') return 2;
    if (before != '[' && before != ';') return 0;
    while (digits < 3 && digits < left && wb_is_digit(p[digits])) digits++;
    return digits > 0 && digits < left && p[digits] == 'm' ? digits + 1 : 0;
}

/* An escape may be escaped itself: `%253D`. */
static bool token(wb_slice text, size_t at, bool loose, wb_secret *out)
{
    if ((out->len = wb_secret_token_at(text, at, loose, &out->at)) > 0) return true;
    size_t skip = escape_before(text, at), most = skip;
    if (at > 0 && text.ptr[at - 1] == '%' && wb_secret_starts(text, at, "25")) most += 2;
    for (; skip > 0 && skip <= most && text.len - at > skip; skip += 2)
        if ((out->len = wb_secret_token_at(text, at + skip, loose, &out->at)) > 0) return true;
    return false;
}

static bool look(wb_slice text, wb_spot spot, bool loose, wb_secret *out)
{
    *out = (wb_secret){0};
    if (spot.is_run) return token(text, spot.at, loose, out);
    switch (text.ptr[spot.at] | 0x20) {
    case ':': return in_url(text, spot.at, out);
    case '-': return private_key(text, spot.at, loose, out);
    case 't': return before_tcp(text, spot.at, out);
    case 'r':
        if (schemed(text, spot.at, loose, out)) return true;
        break;
    case 's':
        if ((text.ptr[spot.at + 2] | 0x20) == 'c') return schemed(text, spot.at, loose, out);
        break;
    default: break;
    }
    return named(text, spot.at, loose, out);
}

/* ---- texts ---- */

wb_slice wb_secret_mask(const wb_secret *secret)
{
    if (secret->is_json_bare) return secret->len >= 4 ? WB_S("null") : WB_S("0");
    if (secret->len >= WB_SECRET_MASK.len) return WB_SECRET_MASK;
    return (wb_slice){(const uint8_t *)"***", secret->len < 3 ? secret->len : 3};
}

static size_t copy(uint8_t *out, wb_slice bytes)
{
    if (bytes.len > 0) memcpy(out, bytes.ptr, bytes.len);
    return bytes.len;
}

size_t wb_secrets_mask(wb_slice text, uint8_t *out, size_t *found)
{
    wb_spot spots[SPOTS];
    wb_secret secret;
    size_t at = 0, read = 0, written = 0; /* of what is done */
    *found = 0;
    while (at < text.len) {
        size_t n = wb_spots_find(text, &at, spots, SPOTS);
        for (size_t i = 0; i < n; i++) {
            if (spots[i].at < read) continue; /* inside of what is gone */
            if (!look(text, spots[i], false, &secret)) continue;
            size_t end = secret.at + secret.len;
            if (end <= read) continue;
            if (secret.at < read) secret.at = read;
            secret.len = end - secret.at;
            written += copy(out + written, (wb_slice){text.ptr + read, secret.at - read});
            written += copy(out + written, wb_secret_mask(&secret));
            read = end;
            (*found)++;
        }
    }
    return written + copy(out + written, (wb_slice){text.ptr + read, text.len - read});
}

/* ---- bodies ---- */

/* A name that ends where its text may end is a key, or an option whose value is the next text. */
static bool names_in_body(wb_slice body, size_t at)
{
    wb_secret found;
    if (!may_name(body, at)) return false;
    wb_slice name = with_word_before(body, name_around(body, at));
    for (size_t skip = 0; skip < 2 && skip < name.len; skip++) {
        wb_slice rest = {name.ptr + skip, name.len - skip};
        wb_secret_name kind = wb_secret_name_of(rest);
        size_t from = (size_t)(rest.ptr - body.ptr), to = from + rest.len;
        if (kind == WB_NAME_PLAIN) continue;
        while (to < body.len && (body.ptr[to] == ']' || body.ptr[to] == ' ')) to++;
        if (to >= body.len || body.ptr[to] < ' ') return true;
        to = from + rest.len;
        wb_slice some = {body.ptr, body.len - to > LOOK_MAX ? to + LOOK_MAX : body.len};
        if (wb_secret_assigned(some, from, to, kind, true, &found)) return true;
    }
    return false;
}

/* May the byte at `at` be a text's length? Then its tag is before it, which is no letter in the messages of OTLP but
 * for a log record's event name, or more of the length. */
static bool may_be_length(wb_slice body, size_t at)
{
    uint8_t before = at > 0 ? body.ptr[at - 1] : 0;
    return before < ' ' || before >= 0x80 || before == '"' || before == '*' || before == ':';
}

/* Nearly all words are told from tokens by this, and need no more. What escape_before() knows the end of may stand
 * before. */
static inline bool may_be_token(wb_slice body, size_t at)
{
    uint8_t before = at > 0 ? body.ptr[at - 1] : 0;
    return before == '\\' || before == '%' || before == '[' || before == ';' ||
           wb_secret_token_near(body, at);
}

static bool look_in_body(wb_slice body, wb_spot spot)
{
    wb_secret found;
    if (look(body, spot, true, &found)) return true;
    if (!spot.is_run) return names_in_body(body, spot.at);
    if (!may_be_length(body, spot.at) || ++spot.at >= body.len) return false;
    return look(body, spot, true, &found);
}

void wb_secret_search_begin(wb_secret_search *search, wb_slice body)
{
    *search = (wb_secret_search){.body = body};
}

bool wb_secret_search_next(wb_secret_search *search, size_t *at)
{
    while (true) {
        while (search->next < search->count) {
            wb_spot spot = search->spots[search->next++];
            if (spot.is_run && !may_be_token(search->body, spot.at)) continue;
            if (!look_in_body(search->body, spot)) continue;
            *at = spot.at;
            return true;
        }
        if (search->read >= search->body.len) return false;
        search->next = 0;
        search->count = wb_spots_find(search->body, &search->read, search->spots, WB_SECRET_SPOTS);
    }
}
