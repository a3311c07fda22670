/* SPDX-License-Identifier: Apache-2.0 */
/* store/sqlite/migrate.h: bring a database to this program's schema. For database.c and tests. */
#ifndef WAYBILL_STORE_SQLITE_MIGRATE_H
#define WAYBILL_STORE_SQLITE_MIGRATE_H

#include "core/status.h"
#include "store/sqlite/database.h"

typedef struct wb_sqlite_migration {
    const char *name; /* "0001_first" */
    const char *sql;
} wb_sqlite_migration;

/* Version n is the n-th of these, from 1; made at build time from store/sqlite/NNNN_*.sql. */
extern const wb_sqlite_migration wb_sqlite_migrations[];
extern const unsigned wb_sqlite_migration_count;

/** Apply what is missing, in one transaction that other processes wait for.
 *  Errors  CONFIG the file is no Waybill store, or a newer program wrote it | UNAVAILABLE it stayed
 *          locked, or the disk failed */
WB_MUST_USE wb_status wb_sqlite_migrate(wb_sqlite *db, wb_error *err);
/** For readers: the same CONFIG errors, and UNAVAILABLE for an older schema; changes nothing. */
WB_MUST_USE wb_status wb_sqlite_check_version(wb_sqlite *db, wb_error *err);

#endif
