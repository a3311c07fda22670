/* SPDX-License-Identifier: Apache-2.0 */
/* A sidecar migrates its file by itself; whoever wants it done before runs this. */
#include "store/sqlite/migrate.h"
#include "store/sqlite/query.h"

#include <sqlite3.h>

/* Of a file as it is, without a look at whether it is ours; 0 where there is none. */
static int read_version(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int version = 0;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        version = sqlite3_column_int(stmt, 0);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return version;
}

/* An older schema is no reason to refuse here; what is not ours, or newer, is. */
static wb_status look(const char *path, wb_error *err)
{
    WB_AUTO(wb_sqlite) db = NULL;
    wb_status status = wb_sqlite_open(path, WB_SQLITE_READ, WB_QUERY_WAIT_MS, &db, err);
    return status == WB_ERR_UNAVAILABLE || status == WB_ERR_NOT_FOUND ? WB_OK : status;
}

wb_status wb_sqlite_migrate_store(const wb_store_place *place, const wb_store_migration *how,
                                  wb_store_migrated *out, wb_error *err)
{
    WB_AUTO(wb_sqlite) db = NULL;
    out->from = read_version(place->name);
    out->to = (int)wb_sqlite_migration_count;
    if (how->dry_run)
        WB_TRY(look(place->name, err));
    else
        WB_TRY(wb_sqlite_open(place->name, WB_SQLITE_WRITE, WB_QUERY_WAIT_MS, &db, err));
    for (int i = out->from; i < out->to; i++) how->step(how->ctx, wb_sqlite_migrations[i].name);
    return WB_OK;
}
