/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets stand in these places of a URL, of whatever scheme (one that is mistyped, too, has been meant):
 *   any://user:SECRET@host, any://TOKEN@host, any://host/path?name=SECRET, any://host/path#SECRET
 * and of libpq's other form (section 34.1.1 of its manual):
 *   host=a password = 'SECRET with \' in it'
 * libpq decodes names too (pass%77ord), so of a query only the names that are known to be harmless keep their
 * values. A raw @, ?, # or & in a secret moves its rest elsewhere: then more is hidden than needed. */
#include "core/store_url.h"

#include "core/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char *after_scheme(const char *name)
{
    static const char *const schemes[] = {"postgres://", "postgresql://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(name, schemes[i], strlen(schemes[i])) == 0) return name + strlen(schemes[i]);
    return NULL;
}

bool wb_is_postgres_url(const char *name) { return after_scheme(name) != NULL; }

/* Behind "scheme:/" and all further slashes; NULL: it does not begin so. RFC 3986 section 3.1. */
static const char *after_any_scheme(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+.-";
    size_t len = strspn(name, letters);
    if (len == 0 || name[len] != ':' || name[len + 1] != '/') return NULL;
    return name + len + 1 + strspn(name + len + 1, "/");
}

bool wb_is_url(const char *name) { return after_any_scheme(name) != NULL; }

typedef struct text_out {
    char *at, *end;
} text_out;

static void put(text_out *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len && out->at < out->end; i++) *out->at++ = text[i];
}

static void put_text(text_out *out, const char *text) { put(out, text, strlen(text)); }

/* ---- URLs ----------------------------------------------------------------------------------- */

static bool is_one_of(const char *const *words, size_t n, const char *text, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0) return true;
    return false;
}

/* libpq's, section 34.1.2 of its manual, but for those that are secrets. */
static bool is_harmless(const char *name, size_t len)
{
    static const char *const names[] = {"application_name",
                                        "channel_binding",
                                        "client_encoding",
                                        "connect_timeout",
                                        "dbname",
                                        "fallback_application_name",
                                        "gssdelegation",
                                        "gssencmode",
                                        "gsslib",
                                        "host",
                                        "hostaddr",
                                        "keepalives",
                                        "keepalives_count",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "krbsrvname",
                                        "load_balance_hosts",
                                        "max_protocol_version",
                                        "min_protocol_version",
                                        "options",
                                        "passfile",
                                        "port",
                                        "replication",
                                        "require_auth",
                                        "requirepeer",
                                        "service",
                                        "ssl_max_protocol_version",
                                        "ssl_min_protocol_version",
                                        "sslcert",
                                        "sslcertmode",
                                        "sslcompression",
                                        "sslcrl",
                                        "sslcrldir",
                                        "sslkey",
                                        "sslmode",
                                        "sslnegotiation",
                                        "sslrootcert",
                                        "sslsni",
                                        "target_session_attrs",
                                        "tcp_user_timeout",
                                        "user"};
    return is_one_of(names, sizeof names / sizeof *names, name, len);
}

static bool is_secret(const char *name, size_t len)
{
    static const char *const names[] = {"password", "sslpassword", "oauth_client_secret",
                                        "scram_client_key", "scram_server_key"};
    return is_one_of(names, sizeof names / sizeof *names, name, len);
}

/* What follows the ? up to the fragment. Of Postgres' a name that libpq does not have may be the rest of a
 * value with & in it. */
static void put_query(text_out *out, const char *query, size_t len, bool is_postgres)
{
    for (size_t at = 0; at < len;) {
        const char *param = query + at;
        size_t whole = 0, name = 0;
        while (at + whole < len && param[whole] != '&') whole++;
        while (name < whole && param[name] != '=') name++;
        if (is_postgres && is_harmless(param, name)) {
            put(out, param, whole);
        } else {
            if (name < whole && (!is_postgres || is_secret(param, name))) put(out, param, name + 1);
            put_text(out, "***");
        }
        at += whole;
        if (at < len) put(out, query + at++, 1);
    }
}

static void put_url(text_out *out, const char *url, const char *rest)
{
    bool is_postgres = wb_is_postgres_url(url);
    const char *at = strrchr(rest, '@');
    size_t authority = strcspn(rest, "?#");
    put(out, url, (size_t)(rest - url));
    if (at && (size_t)(at - rest) > authority) { /* whose @ is it? */
        put_text(out, "***");
        return;
    }
    if (at && !(is_postgres && !memchr(rest, ':', (size_t)(at - rest)))) {
        put_text(out, "***");
        authority -= (size_t)(at - rest);
        rest = at;
    }
    put(out, rest, authority);
    rest += authority;
    if (*rest == '?') {
        size_t len = strcspn(++rest, "#");
        put_text(out, "?");
        put_query(out, rest, len, is_postgres);
        rest += len;
    }
    if (*rest == '#') put_text(out, "#***");
}

/* ---- key=value ------------------------------------------------------------------------------ */

static const char *skip_spaces(const char *at) { return at + strspn(at, " \t\r\n"); }

/* Behind the value that starts at `at`: up to a space that is not quoted. */
static const char *skip_value(const char *at)
{
    bool quoted = *at == '\'';
    for (at += quoted; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (quoted ? *at == '\'' : strchr(" \t\r\n", *at) != NULL)
            break;
    }
    return at + (quoted && *at);
}

/* How long the end of a key is that `at` has; 0: none that names a secret. */
static size_t secret_end(const char *at)
{
    static const char *const ends[] = {"password", "passwd",     "pwd",       "secret",
                                       "token",    "client_key", "server_key"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strncasecmp(at, ends[i], strlen(ends[i])) == 0) return strlen(ends[i]);
    return 0;
}

static void put_hidden_keys(text_out *out, const char *at)
{
    while (*at) {
        size_t len = secret_end(at);
        const char *value = len ? skip_spaces(at + len) : at;
        if (len == 0 || *value != '=') {
            put(out, at++, 1);
            continue;
        }
        value = skip_spaces(value + 1);
        put(out, at, (size_t)(value - at));
        put_text(out, "***");
        at = skip_value(value);
    }
}

/* a:b@c: a secret in a form that nobody knows. */
static bool has_userinfo(const char *text)
{
    const char *at = strrchr(text, '@');
    return at && memchr(text, ':', (size_t)(at - text));
}

static void put_keys(text_out *out, const char *text)
{
    char *start = out->at;
    put_hidden_keys(out, text);
    *out->at = '\0';
    if (!has_userinfo(start) && !(out->at == out->end && has_userinfo(text))) return;
    out->at = start;
    put_text(out, "***");
    if (!strchr(text, '=')) put_text(out, strrchr(text, '@'));
}

void wb_store_url_hide(const char *name, char *out, size_t cap)
{
    char *copy = strdup(name);
    text_out to;
    to.at = out;
    to.end = out + cap - 1;
    if (copy) { /* without memory: nothing at all */
        const char *rest = after_any_scheme(copy);
        if (rest)
            put_url(&to, copy, rest);
        else if (copy[0] == '/' || copy[0] == '.')
            put_text(&to, copy);
        else
            put_keys(&to, copy);
        free(copy);
    }
    *to.at = '\0';
}
