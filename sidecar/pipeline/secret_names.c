/* SPDX-License-Identifier: Apache-2.0 */
/* A name is read from its end: what it is the name of comes last (`db.password`, `AZURE_OPENAI_API_KEY`). It is
 * compared in lower case and without what separates its words, since everybody spells api_key otherwise.
 *
 * Two words need care in this trade. `token` is what models count, so `max_tokens`, `time_to_first_token` and
 * `next_token` are none, and of a bare `token` only what looks random is. `key` is what everything has, so only keys
 * with a word before it that says so count. */
#include "sidecar/pipeline/secret_names.h"

#include "core/status.h"
#include "sidecar/pipeline/letters.h"

enum { NAME_MAX_BYTES = 96, SHORT_WORD = 6 };

typedef struct suffix {
    const char *text; /* of the name in lower case, without separators */
    wb_secret_name kind;
} suffix;

static const suffix suffixes[] = {
    {"password", WB_NAME_SECRET},
    {"passwords", WB_NAME_SECRET},
    {"passwd", WB_NAME_SECRET},
    {"passwort", WB_NAME_SECRET},
    {"passphrase", WB_NAME_SECRET},
    {"passcode", WB_NAME_SECRET},
    {"passwordhash", WB_NAME_SECRET},
    {"pwd", WB_NAME_SECRET},
    {"secret", WB_NAME_SECRET},
    {"secrets", WB_NAME_SECRET},
    {"credential", WB_NAME_SECRET},
    {"credentials", WB_NAME_SECRET},
    {"apikey", WB_NAME_SECRET},
    {"apikeys", WB_NAME_SECRET},
    {"appkey", WB_NAME_SECRET},
    {"applicationkey", WB_NAME_SECRET},
    {"accesskey", WB_NAME_SECRET},
    {"secretkey", WB_NAME_SECRET},
    {"secretkeybase", WB_NAME_SECRET},
    {"privatekey", WB_NAME_SECRET},
    {"signingkey", WB_NAME_SECRET},
    {"encryptionkey", WB_NAME_SECRET},
    {"accountkey", WB_NAME_SECRET},
    {"sharedkey", WB_NAME_SECRET},
    {"sharedaccesskey", WB_NAME_SECRET},
    {"masterkey", WB_NAME_SECRET},
    {"storagekey", WB_NAME_SECRET},
    {"subscriptionkey", WB_NAME_SECRET},
    {"functionskey", WB_NAME_SECRET},
    {"servicekey", WB_NAME_SECRET},
    {"servicerolekey", WB_NAME_SECRET},
    {"licensekey", WB_NAME_SECRET},
    {"sshkey", WB_NAME_SECRET},
    {"authkey", WB_NAME_SECRET},
    {"hmackey", WB_NAME_SECRET},
    {"deploykey", WB_NAME_SECRET},
    {"xamzsignature", WB_NAME_SECRET},
    {"xgoogsignature", WB_NAME_SECRET},
    {"jsessionid", WB_NAME_SECRET},
    {"phpsessid", WB_NAME_SECRET},
    {"aspnetsessionid", WB_NAME_SECRET},
    {"sessioncookie", WB_NAME_COOKIE},
    {"laravelsession", WB_NAME_SECRET},
    {"token", WB_NAME_TOKEN},
    {"cookie", WB_NAME_COOKIE},
    {"cookies", WB_NAME_COOKIE},
    {"authorization", WB_NAME_AUTHORIZATION},
    {"authheader", WB_NAME_AUTHORIZATION},
    {"authentication", WB_NAME_AUTHORIZATION},
};

/* Words before `token` that make it no secret. */
static const char *const harmless_tokens[] = {
    "first",        "per",   "output", "input", "max",    "min",  "next",  "page",
    "continuation", "eos",   "bos",    "pad",   "unk",    "stop", "start", "special",
    "cancellation", "end",   "mask",   "last",  "prompt", "sep",  "cls",   "cached",
    "sampling",     "total", "count",  "of",    "sync",
};

/* Whole last words, with a separator or nothing before them. */
static const suffix words[] = {
    {"pass", WB_NAME_TOKEN},  {"auth", WB_NAME_WORD}, {"token", WB_NAME_WORD},
    {"bearer", WB_NAME_WORD}, {"sig", WB_NAME_WORD},
};

static bool ends_with(wb_slice s, const char *text)
{
    size_t len = strlen(text);
    return s.len >= len && memcmp(s.ptr + s.len - len, text, len) == 0;
}

static bool is_harmless_token(wb_slice packed)
{
    wb_slice before = {packed.ptr, packed.len - (sizeof "token" - 1)};
    for (size_t i = 0; i < WB_COUNT(harmless_tokens); i++)
        if (ends_with(before, harmless_tokens[i])) return true;
    return false;
}

static bool eq_lower(wb_slice s, const char *text)
{
    if (s.len != strlen(text)) return false;
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] | 0x20) != (uint8_t)text[i] && s.ptr[i] != (uint8_t)text[i]) return false;
    return true;
}

/* Its last word, as separators have it. */
static wb_slice last_word(wb_slice name)
{
    size_t from = name.len;
    while (from > 0 && wb_is_letter(name.ptr[from - 1])) from--;
    return (wb_slice){name.ptr + from, name.len - from};
}

/* Without an index and digits at its end. */
static wb_slice without_index(wb_slice name)
{
    while (name.len > 0 && !wb_is_letter(name.ptr[name.len - 1])) name.len--;
    return name;
}

static wb_secret_name word_kind(wb_slice name)
{
    wb_slice word = last_word(name);
    if (word.len == name.len && eq_lower(word, "pass")) return WB_NAME_WORD; /* what tests do */
    for (size_t i = 0; i < WB_COUNT(words); i++)
        if (eq_lower(word, words[i].text)) return words[i].kind;
    /* Django's cookie; session_id and session.id are everybody's. */
    return eq_lower(name, "sessionid") ? WB_NAME_SECRET : WB_NAME_PLAIN;
}

/* `has_password`, `needs_api_key`: whether there is one. */
static bool asks(wb_slice name)
{
    static const char *const words_of_it[] = {"has_",      "has-",  "is_", "needs_",
                                              "requires_", "uses_", "no_"};
    size_t from = name.len;
    while (from > 0 && name.ptr[from - 1] != '.') from--;
    for (size_t i = 0; i < WB_COUNT(words_of_it); i++) {
        size_t len = strlen(words_of_it[i]);
        if (name.len - from > len && eq_lower((wb_slice){name.ptr + from, len}, words_of_it[i]))
            return true;
    }
    return false;
}

wb_secret_name wb_secret_name_of(wb_slice name)
{
    uint8_t bytes[NAME_MAX_BYTES];
    wb_slice packed = {bytes, 0};
    name = without_index(name);
    if (name.len == 0 || asks(name)) return WB_NAME_PLAIN;
    if (name.len > NAME_MAX_BYTES)
        name = (wb_slice){name.ptr + name.len - NAME_MAX_BYTES, NAME_MAX_BYTES};
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (wb_is_letter(c) || wb_is_digit(c)) bytes[packed.len++] = wb_is_letter(c) ? c | 0x20 : c;
    }
    if (ends_with(packed, "value") && packed.len > 5) packed.len -= 5;
    for (size_t i = 0; i < WB_COUNT(suffixes); i++) {
        if (!ends_with(packed, suffixes[i].text)) continue;
        if (suffixes[i].kind != WB_NAME_TOKEN) return suffixes[i].kind;
        if (ends_with(packed, "token") && is_harmless_token(packed)) return WB_NAME_PLAIN;
        if (packed.len > strlen(suffixes[i].text)) return WB_NAME_TOKEN;
        return WB_NAME_WORD;
    }
    return word_kind(name);
}

/* ---- values ---- */

/* What stands where a secret would, in documents, schemas and code. */
static bool is_placeholder(wb_slice v)
{
    static const char *const same[] = {"null",     "none",     "nil",       "true",   "false",
                                       "yes",      "no",       "undefined", "string", "str",
                                       "required", "optional", "bytes",     "text",   "password",
                                       "secret",   "int",      "bool",      "any",    "object"};
    size_t stars = 0;
    if (v.len == 0 || v.ptr[0] == '<' || v.ptr[0] == '{') return true;
    if (v.ptr[0] == '$' && v.len > 1 && (v.ptr[1] == '{' || v.ptr[1] == '(')) return true;
    if (wb_slice_starts(v, WB_S("[redacted"))) return true;
    for (size_t i = 0; i < WB_COUNT(same); i++)
        if (eq_lower(v, same[i])) return true;
    while (stars < v.len && (v.ptr[stars] == '*' || v.ptr[stars] == '.' || v.ptr[stars] == '0'))
        stars++;
    return stars == v.len;
}

bool wb_secret_looks_random(wb_slice value)
{
    bool digit = false, lower = false, upper = false, sign = false;
    if (value.len < 8) return false;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c <= ' ') return false;
        digit |= wb_is_digit(c);
        lower |= c >= 'a' && c <= 'z';
        upper |= c >= 'A' && c <= 'Z';
        sign |= strchr("!#$%^&*+=@~", c) != NULL;
    }
    return (digit && (lower || upper)) || sign || (value.len >= 24 && lower && upper);
}

static bool has_blank(wb_slice v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.ptr[i] <= ' ') return true;
    return false;
}

bool wb_secret_is_value(wb_secret_name kind, wb_slice value)
{
    if (kind == WB_NAME_PLAIN || is_placeholder(value)) return false;
    switch (kind) {
    case WB_NAME_WORD: return wb_secret_looks_random(value);
    case WB_NAME_TOKEN: return value.len >= SHORT_WORD && !has_blank(value);
    default: return true;
    }
}
