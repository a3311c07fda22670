/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/sqlite/sqlite.h: spans, delegations and acceptances into a store that all sidecars of a
 * host share. Schema: docs/store.md; store/sqlite/database.h opens and migrates it. */
#ifndef WAYBILL_EXPORTERS_SQLITE_SQLITE_H
#define WAYBILL_EXPORTERS_SQLITE_SQLITE_H

#include "exporters/exporter.h"

/** What the section's `values` point at. */
typedef struct wb_sqlite_config {
    const char *path; /* of the database file; whoever loads the configuration fills in the default,
                         wb_paths.store (core/paths.h) */
} wb_sqlite_config;

extern const wb_exporter_ops wb_exporter_sqlite;

#endif
