/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/sqlite/sqlite.h: spans, log records, delegations and acceptances into a store that all sidecars of a
 * host share. Schema: docs/store.md; store/sqlite/database.h opens and migrates it. */
#ifndef WAYBILL_EXPORTERS_SQLITE_SQLITE_H
#define WAYBILL_EXPORTERS_SQLITE_SQLITE_H

#include "exporters/exporter.h"

/** What the section's `values` point at. */
typedef struct wb_sqlite_config {
    const char *path; /* of the database file; whoever loads the configuration fills in the default,
                         wb_paths.store (core/paths.h) */
} wb_sqlite_config;

/** Its rows of the configuration, for a table of structs in which a wb_sqlite_config begins at `at`:
 *  core/config.h says what `prefix` and `only_type` do. */
#define WB_SQLITE_CONFIG_KEYS(prefix, at, only_type)                                               \
    {                                                                                              \
        .name = prefix "path", .type = WB_TEXT, .min = 1, .max = 400, .only = (only_type),         \
        .offset = (at) + offsetof(wb_sqlite_config, path),                                         \
        .help =                                                                                    \
            "The store's file. Of the default store, unset: `$XDG_DATA_HOME/waybill/store.db`, "   \
            "for root `/var/lib/waybill/store.db`."                                                \
    }

extern const wb_exporter_ops wb_exporter_sqlite;

#endif
