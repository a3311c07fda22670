/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/postgres/postgres.h: spans, delegations and acceptances into a Postgres that any number of
 * hosts share. Schema: docs/postgres.md; store/postgres/ opens and migrates it. */
#ifndef WAYBILL_EXPORTERS_POSTGRES_POSTGRES_H
#define WAYBILL_EXPORTERS_POSTGRES_POSTGRES_H

#include "exporters/exporter.h"

/** What the section's `values` point at. */
typedef struct wb_postgres_config {
    const char *url;           /* postgres://, postgresql:// or key=value; NULL: nothing to open */
    const char *password_file; /* NULL: libpq's own ways */
    uint64_t connect_timeout_ms, idle_timeout_ms; /* idle 0: stay connected */
    uint64_t retention_s;                         /* 0: keep all */
    bool migrate;
} wb_postgres_config;

/** Its rows of the configuration, for a table of structs in which a wb_postgres_config begins at `at`:
 *  core/config.h says what `prefix` and `only_type` do. */
#define WB_POSTGRES_CONFIG_KEYS(prefix, at, only_type)                                             \
    {.name = prefix "url",                                                                         \
     .type = WB_TEXT,                                                                              \
     .min = 1,                                                                                     \
     .max = 400,                                                                                   \
     .only = (only_type),                                                                          \
     .offset = (at) + offsetof(wb_postgres_config, url),                                           \
     .hides_secrets = true,                                                                        \
     .help = "`postgres://user@host:5432/database?sslmode=verify-full`, or the key=value form: "   \
             "all that libpq takes (postgres.md). A password in it is never printed."},            \
        {.name = prefix "password_file",                                                           \
         .type = WB_TEXT,                                                                          \
         .max = 400,                                                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_postgres_config, password_file),                             \
         .help = "A file with the password alone, readable by its owner only; read at each "       \
                 "connect. Unset: `passfile` of the url, PGPASSWORD, PGPASSFILE."},                \
        {.name = prefix "connect_timeout",                                                         \
         .type = WB_MS,                                                                            \
         .fallback = "5s",                                                                         \
         .min = 100,                                                                               \
         .max = 60000,                                                                             \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_postgres_config, connect_timeout_ms),                        \
         .help = "How long to wait for a connection, with TLS and log-in."},                       \
        {.name = prefix "idle_timeout",                                                            \
         .type = WB_MS,                                                                            \
         .fallback = "1m",                                                                         \
         .max = 86400000,                                                                          \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_postgres_config, idle_timeout_ms),                           \
         .help = "Disconnect after so long without anything to deliver. 0: never."},               \
        {.name = prefix "retention",                                                               \
         .type = WB_SECONDS,                                                                       \
         .fallback = "0",                                                                          \
         .max = 315360000,                                                                         \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_postgres_config, retention_s),                               \
         .help = "Drop whole days that ended longer ago than this; its role must be allowed to "   \
                 "(postgres.md). 0: keep all, or let `waybill store prune` do it."},               \
    {                                                                                              \
        .name = prefix "migrate", .type = WB_BOOL, .fallback = "false", .only = (only_type),       \
        .offset = (at) + offsetof(wb_postgres_config, migrate),                                    \
        .help = "Bring an old or empty database to this program's schema at connect; its role "    \
                "must be allowed to. False: `waybill store migrate` is somebody's step."           \
    }

extern const wb_exporter_ops wb_exporter_postgres;

#endif
