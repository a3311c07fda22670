/* SPDX-License-Identifier: Apache-2.0 */
/* A statement is stepped, read and done with by whoever prepared it. */
#include "store/sqlite/query.h"

#include <sqlite3.h>

wb_status wb_query_prepare(wb_sqlite_store *store, const char *sql, sqlite3_stmt **stmt,
                           wb_error *err)
{
    wb_sqlite_set_wait(store->db, WB_QUERY_WAIT_MS);
    return wb_sqlite_prepare(store->db, sql, stmt, err);
}

void wb_query_bind_text(sqlite3_stmt *stmt, int at, wb_slice text)
{
    if (text.len > 0)
        (void)sqlite3_bind_text(stmt, at, (const char *)text.ptr, (int)text.len, SQLITE_STATIC);
}

void wb_query_bind_id(sqlite3_stmt *stmt, int at, const void *id, size_t len)
{
    if (!wb_id_is_zero(id, len)) (void)sqlite3_bind_blob(stmt, at, id, (int)len, SQLITE_STATIC);
}

bool wb_query_step(wb_sqlite_store *store, sqlite3_stmt *stmt, wb_status *status, wb_error *err)
{
    if (*status != WB_OK) return false;
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) *status = wb_sqlite_fail(store->db, code, "store", err);
    return false;
}

/* ---- columns -------------------------------------------------------------------------------- */

static wb_slice column_bytes(void *row, int at)
{
    const void *bytes = sqlite3_column_blob(row, at); /* text too: as UTF-8 */
    return (wb_slice){bytes, bytes ? (size_t)sqlite3_column_bytes(row, at) : 0};
}

static uint64_t column_number(void *row, int at) { return (uint64_t)sqlite3_column_int64(row, at); }

static bool column_is_null(void *row, int at)
{
    return sqlite3_column_type(row, at) == SQLITE_NULL;
}

wb_columns wb_query_columns(sqlite3_stmt *stmt)
{
    static const wb_column_source source = {column_bytes, column_number, column_is_null};
    return (wb_columns){&source, stmt, 0};
}
