/* SPDX-License-Identifier: Apache-2.0 */
/* The version is PRAGMA user_version, in the file's header, so that it is read without a schema and
 * changes with the transaction that brought it; the table `migrations` tells people the story.
 * PRAGMA application_id says that the file is ours at all.
 *
 * N sidecars start at once on an empty file: each looks, those who see an old version begin an
 * immediate transaction, look again within it, and the first one does the work. A crash within rolls
 * back to the old version. journal_mode=WAL cannot change within a transaction and is kept in the
 * file; it is set first, and setting it again is harmless. */
#include "store/sqlite/migrate.h"

#include "core/clock.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static const int64_t APPLICATION_ID = 0x57424C31; /* "WBL1" */

static wb_status read_version(wb_sqlite *db, int64_t *version, wb_error *err)
{
    int64_t id, tables;
    /* In this order: three reads, between which another process may finish its migration. */
    WB_TRY(wb_sqlite_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err));
    WB_TRY(wb_sqlite_number(db, "PRAGMA application_id", &id, err));
    WB_TRY(wb_sqlite_number(db, "PRAGMA user_version", version, err));
    if (tables > 0 && id != APPLICATION_ID)
        return wb_fail(err, WB_ERR_CONFIG, "store: this database is of another program");
    if (*version > (int64_t)wb_sqlite_migration_count)
        return wb_fail(
            err, WB_ERR_CONFIG,
            "store: schema version %lld was made by a newer Waybill; this one, " WAYBILL_VERSION
            ", knows up to %u: upgrade it",
            (long long)*version, wb_sqlite_migration_count);
    return WB_OK;
}

static wb_status note(wb_sqlite *db, int64_t version, const char *name, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_sqlite_prepare(db, "INSERT INTO migrations VALUES (?, ?, ?, ?)", &stmt, err));
    (void)sqlite3_bind_int64(stmt, 1, version);
    (void)sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)wb_now(&wb_system_clock));
    (void)sqlite3_bind_text(stmt, 4, WAYBILL_VERSION, -1, SQLITE_STATIC);
    int code = sqlite3_step(stmt);
    wb_status status = code == SQLITE_DONE ? WB_OK : wb_sqlite_fail(db, code, "store", err);
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status apply_missing(wb_sqlite *db, wb_error *err)
{
    int64_t version;
    char pragmas[80];
    WB_TRY(read_version(db, &version, err));
    for (; version < (int64_t)wb_sqlite_migration_count; version++) {
        const wb_sqlite_migration *m = &wb_sqlite_migrations[version];
        WB_TRY(wb_sqlite_exec(db, m->sql, err));
        WB_TRY(note(db, version + 1, m->name, err));
    }
    (void)snprintf(pragmas, sizeof pragmas, "PRAGMA user_version=%lld; PRAGMA application_id=%lld",
                   (long long)version, (long long)APPLICATION_ID);
    return wb_sqlite_exec(db, pragmas, err);
}

static wb_status use_wal(wb_sqlite *db, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_sqlite_prepare(db, "PRAGMA journal_mode=WAL", &stmt, err));
    int code = sqlite3_step(stmt);
    wb_status status = WB_OK;
    if (code != SQLITE_ROW)
        status = wb_sqlite_fail(db, code, "store", err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") != 0)
        status = wb_fail(err, WB_ERR_CONFIG, "store: its file system cannot hold a WAL database");
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

wb_status wb_sqlite_migrate(wb_sqlite *db, wb_error *err)
{
    int64_t version;
    WB_TRY(read_version(db, &version, err)); /* before anything is written to a file of others */
    WB_TRY(use_wal(db, err));
    if (version == (int64_t)wb_sqlite_migration_count) return WB_OK;
    WB_TRY(wb_sqlite_begin(db, err));
    wb_status status = apply_missing(db, err);
    if (status == WB_OK) status = wb_sqlite_commit(db, err);
    if (status != WB_OK) wb_sqlite_rollback(db);
    return status;
}

wb_status wb_sqlite_check_version(wb_sqlite *db, wb_error *err)
{
    int64_t version;
    WB_TRY(read_version(db, &version, err));
    if (version < (int64_t)wb_sqlite_migration_count)
        return wb_fail(err, WB_ERR_UNAVAILABLE,
                       "store: schema version %lld is older than %u; a sidecar of this version "
                       "migrates it when it starts",
                       (long long)version, wb_sqlite_migration_count);
    return WB_OK;
}
