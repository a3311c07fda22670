/* SPDX-License-Identifier: Apache-2.0 */
/* libpq quotes what it did not understand, which may be half a password. So its words only say which of ours are
 * meant, by their beginning (fe-connect.c, conninfo_uri_parse_options and conninfo_parse; a translation of them
 * comes out as the last row). It does not look at ports before it connects, so that is done here. */
#include "store/postgres/connection.h"

#include "core/store_url.h"

#include <libpq-fe.h>
#include <stdlib.h>

#define FORM "postgres://user@host:5432/database?sslmode=verify-full"

static const struct {
    const char *libpq, *ours;
} words[] = {
    {"invalid URI query parameter",
     "behind the ? is a name that libpq does not know (sslmode ...)"},
    {"missing key/value separator", "behind the ? a parameter has no =; & in a value is %26"},
    {"extra key/value separator", "behind the ? a parameter has two =; = in a value is %3D"},
    {"invalid percent-encoded token", "a % has no two hex digits behind it; % itself is %25"},
    {"forbidden value %00", "%00 can be in no value"},
    {"end of string reached when looking for matching", "a [ of an IPv6 address has no ]"},
    {"IPv6 host address may not be empty", "there is nothing between [ and ]"},
    {"unexpected character", "behind an address or port comes something else than / ? or ,"},
    {"missing \"=\" after", "neither " FORM " nor host=a user=b dbname=c"},
    {"invalid connection option",
     "it has a key that libpq does not know (host, port, user, dbname ...)"},
    {"unterminated quoted string", "a ' in it is not closed"},
    {"definition of service", "the service that it names is not in pg_service.conf"},
    {"", "libpq cannot read it; it is " FORM ", with : / ? # & @ % of a password percent-encoded"},
};

static const char *words_for(const char *why)
{
    size_t i = 0;
    while (strncmp(why, words[i].libpq, strlen(words[i].libpq)) != 0) i++;
    return words[i].ours;
}

/* A raw @ or / in a password moves the rest of it into the host's place. */
static bool is_ambiguous(const char *url)
{
    const char *at = strchr(url, '@');
    return wb_is_postgres_url(url) && at && strchr(at + 1, '@') &&
           strchr(at + 1, '@') < at + strcspn(at, "?");
}

/* One for each host, or one for all; an empty one is the default. */
static bool are_ports(const char *list)
{
    while (*list) {
        char *end;
        unsigned long port = strtoul(list, &end, 10);
        bool is_default = end == list && (*end == ',' || *end == '\0');
        if (!is_default && (port == 0 || port > UINT16_MAX || *list < '0' || *list > '9'))
            return false;
        if (*end != ',' && *end != '\0') return false;
        list = *end ? end + 1 : end;
    }
    return true;
}

static bool has_good_ports(const PQconninfoOption *o)
{
    for (; o->keyword; o++)
        if (strcmp(o->keyword, "port") == 0 && o->val && !are_ports(o->val)) return false;
    return true;
}

wb_status wb_pg_check_url(const char *url, wb_error *err)
{
    char *why = NULL;
    if (is_ambiguous(url))
        return wb_fail(err, WB_ERR_CONFIG, "postgres: in the url's password @ is written %%40");
    if (wb_is_url(url) && !wb_is_postgres_url(url))
        return wb_fail(err, WB_ERR_CONFIG, "postgres: url: it is " FORM ", or key=value");
    PQconninfoOption *options = PQconninfoParse(url, &why);
    if (options) {
        bool good = has_good_ports(options);
        PQconninfoFree(options);
        if (good) return WB_OK;
        return wb_fail(err, WB_ERR_CONFIG, "postgres: url: a port is no number from 1 to 65535");
    }
    if (!why) return wb_fail(err, WB_ERR_NO_MEMORY, "postgres: no memory");
    (void)wb_fail(err, WB_ERR_CONFIG, "postgres: url: %s", words_for(why));
    PQfreemem(why);
    return WB_ERR_CONFIG;
}
