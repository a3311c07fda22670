/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords stand in three places of what libpq takes (section 34.1.1 of its manual):
 *   postgresql://user:PASSWORD@host/db, postgresql://host/db?password=PASSWORD&sslpassword=PASSWORD
 *   and  host=a password = 'PASSWORD with \' in it' */
#include "core/store_url.h"

#include "core/slice.h"

#include <stdio.h>
#include <stdlib.h>

static const char *after_scheme(const char *name)
{
    static const char *const schemes[] = {"postgres://", "postgresql://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(name, schemes[i], strlen(schemes[i])) == 0) return name + strlen(schemes[i]);
    return NULL;
}

bool wb_is_postgres_url(const char *name) { return after_scheme(name) != NULL; }

typedef struct text_out {
    char *at, *end;
} text_out;

static void put(text_out *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len && out->at < out->end; i++) *out->at++ = text[i];
}

static const char *skip_spaces(const char *at) { return at + strspn(at, " \t\r\n"); }

/* Behind the value that starts at `at`: in a URL up to &, else up to a space that is not quoted. */
static const char *skip_value(const char *at, bool is_url)
{
    if (is_url) return at + strcspn(at, "&");
    bool quoted = *at == '\'';
    for (at += quoted; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (quoted ? *at == '\'' : strchr(" \t\r\n", *at) != NULL)
            break;
    }
    return at + (quoted && *at);
}

/* Copies from `at` on, with the values of keys that end in "password" hidden. */
static void put_hidden_keys(text_out *out, const char *at, bool is_url)
{
    static const char key[] = "password";
    for (const char *found; (found = strstr(at, key)) != NULL;) {
        const char *value = skip_spaces(found + strlen(key));
        if (*value != '=') {
            put(out, at, (size_t)(value - at));
            at = value;
            continue;
        }
        value = skip_spaces(value + 1);
        put(out, at, (size_t)(value - at));
        put(out, "***", 3);
        at = skip_value(value, is_url);
    }
    put(out, at, strlen(at));
}

void wb_store_url_hide(const char *name, char *out, size_t cap)
{
    char *copy = strdup(name);
    text_out to;
    to.at = out;
    to.end = out + cap - 1;
    if (copy) { /* without memory: nothing at all */
        const char *rest = copy, *authority = after_scheme(copy);
        const char *at = authority ? strrchr(authority, '@') : NULL;
        const char *colon = authority ? strchr(authority, ':') : NULL;
        if (at && colon && colon < at) {
            put(&to, copy, (size_t)(colon + 1 - copy));
            put(&to, "***", 3);
            rest = at;
        }
        put_hidden_keys(&to, rest, authority != NULL);
        free(copy);
    }
    *to.at = '\0';
}
