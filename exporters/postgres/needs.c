/* SPDX-License-Identifier: Apache-2.0 */
/* libpq reads what the URL names, then what its environment names, then its defaults (section 34.1 of its
 * manual):
 *
 *   ports       of each host; a host that begins with / is a folder of Unix sockets, as is none at all
 *   names       resolv.conf, hosts, nsswitch.conf, gai.conf and services, unless all hosts are addresses
 *   files       certificates and passwords that the URL names; ~/.pgpass and ~/.postgresql/ else;
 *               OpenSSL's configuration and the system's authorities
 *
 * The user database is asked beforehand (prepare), because it may load libraries, which a process that is
 * locked in cannot. Kerberos does so, too, and is off unless the URL asks for it (connection.c). */
#include "exporters/postgres/needs.h"

#include "exporters/postgres/postgres.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { PORT = 5432, PORT_DNS = 53, PATH_BYTES = 512, NAME_BYTES = 256 };

typedef struct settings {
    PQconninfoOption *given, *fallback; /* owned */
} settings;

static const char *value_of(const settings *s, const char *keyword)
{
    const PQconninfoOption *const lists[] = {s->given, s->fallback};
    for (size_t i = 0; i < WB_COUNT(lists); i++)
        for (const PQconninfoOption *o = lists[i]; o && o->keyword; o++)
            if (strcmp(o->keyword, keyword) == 0 && o->val && *o->val) return o->val;
    return NULL;
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static void tell_names(const wb_exporter_needs *needs)
{
    static const char *const files[] = {"/etc/hosts",    "/etc/nsswitch.conf", "/etc/gai.conf",
                                        "/etc/services", "/etc/host.conf",     "/etc/resolv.conf"};
    for (size_t i = 0; i < WB_COUNT(files); i++) needs->read(needs->ctx, files[i]);
    needs->connect(needs->ctx, PORT_DNS);
}

/* The `at`-th of a list with commas; of a shorter one the last. */
static void item(const char *list, size_t at, char out[NAME_BYTES])
{
    for (; list && at > 0 && strchr(list, ','); at--) list = strchr(list, ',') + 1;
    size_t len = list ? strcspn(list, ",") : 0;
    (void)snprintf(out, NAME_BYTES, "%.*s", (int)len, list ? list : "");
}

static void tell_hosts(const settings *s, const wb_exporter_needs *needs)
{
    const char *addresses = value_of(s, "hostaddr");
    const char *hosts = addresses ? addresses : value_of(s, "host");
    size_t n = 1;
    for (const char *at = hosts; at && (at = strchr(at, ',')) != NULL; at++) n++;
    for (size_t i = 0; i < n; i++) {
        char host[NAME_BYTES], port[NAME_BYTES];
        item(hosts, i, host);
        item(value_of(s, "port"), i, port);
        if (host[0] == '\0' || host[0] == '/' || host[0] == '@') {
            needs->connect_unix(needs->ctx);
            continue;
        }
        long number = port[0] ? strtol(port, NULL, 10) : PORT;
        needs->connect(needs->ctx, number > 0 && number <= UINT16_MAX ? (uint16_t)number : 0);
        if (!is_address(host)) tell_names(needs);
    }
}

static void tell_files(const settings *s, const wb_exporter_needs *needs)
{
    static const char *const keywords[] = {"passfile", "sslrootcert", "sslcert",
                                           "sslkey",   "sslcrl",      "sslcrldir"};
    const char *home = getenv("HOME"); /* NOLINT(concurrency-mt-unsafe): before the first thread */
    char path[PATH_BYTES];
    for (size_t i = 0; i < WB_COUNT(keywords); i++) {
        const char *value = value_of(s, keywords[i]);
        if (value && strcmp(value, "system") != 0) needs->read_new(needs->ctx, value);
    }
    if (home && *home) {
        (void)snprintf(path, sizeof path, "%s/.postgresql", home);
        needs->read(needs->ctx, path);
        (void)snprintf(path, sizeof path, "%s/.pgpass", home);
        needs->read(needs->ctx, path);
    }
    needs->read(needs->ctx, "/etc/passwd"); /* whose password file it is */
    needs->read(needs->ctx, "/etc/ssl");    /* openssl.cnf and the system's authorities */
    needs->read(needs->ctx, "/usr/lib/ssl");
}

wb_status wb_postgres_prepare(wb_error *err)
{
    PQconninfoOption *options = PQconndefaults(); /* asks who we are */
    if (!options) return wb_fail(err, WB_ERR_NO_MEMORY, "postgres: no memory");
    PQconninfoFree(options);
    return WB_OK;
}

wb_status wb_postgres_tell_needs(const wb_config_section *cfg, const wb_exporter_needs *needs,
                                 wb_error *err)
{
    const wb_postgres_config *config = cfg->values;
    settings s = {0};
    if (!config->url) return WB_OK; /* open says it */
    s.given = PQconninfoParse(config->url, NULL);
    s.fallback = PQconndefaults();
    if (s.given && s.fallback) tell_hosts(&s, needs);
    if (s.given && s.fallback) tell_files(&s, needs);
    if (config->password_file) needs->read_new(needs->ctx, config->password_file);
    PQconninfoFree(s.given);
    PQconninfoFree(s.fallback);
    if (s.fallback) return WB_OK;
    return wb_fail(err, WB_ERR_NO_MEMORY, "postgres: no memory");
}
