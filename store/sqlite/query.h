/* SPDX-License-Identifier: Apache-2.0 */
/* store/sqlite/query.h: what the read queries share: their connection, and one statement's life. */
#ifndef WAYBILL_STORE_SQLITE_QUERY_H
#define WAYBILL_STORE_SQLITE_QUERY_H

#include "store/engine.h"
#include "store/rows.h"
#include "store/sqlite/database.h"

enum { WB_QUERY_WAIT_MS = 5000 }; /* for locks of others */

typedef struct wb_sqlite_store {
    wb_store base;
    wb_sqlite *db;
    int64_t data_version; /* at the last wb_store_changed; 0: never asked */
} wb_sqlite_store;

static inline wb_sqlite_store *wb_sqlite_store_of(wb_store *store)
{
    return (wb_sqlite_store *)(void *)store;
}

/* What the table of the engine (read.c) holds of other files. */
wb_status wb_sqlite_agents(wb_store *base, wb_time_ns since_ns, uint32_t limit,
                           wb_status (*each)(void *ctx, const wb_stored_agent *row), void *ctx,
                           wb_error *err);
wb_status wb_sqlite_logs(wb_store *store, const wb_trace_id *trace, uint32_t limit,
                         wb_status (*each)(void *ctx, const wb_stored_log *row), void *ctx,
                         wb_error *err);
wb_status wb_sqlite_changed(wb_store *base, bool *changed, wb_error *err);
void *wb_sqlite_follow_new(void);
void wb_sqlite_follow_free(void *self);
wb_status wb_sqlite_follow_from_now(void *follow, wb_store *store, uint32_t last_spans,
                                    wb_error *err);
wb_status wb_sqlite_follow_read(void *follow, wb_store *store, const wb_arrivals *take, void *ctx,
                                wb_error *err);
void wb_sqlite_follow_reopened(void *self);

wb_status wb_sqlite_migrate_store(const wb_store_place *place, const wb_store_migration *how,
                                  wb_store_migrated *out, wb_error *err);

/* ---- a statement ---------------------------------------------------------------------------- */

/** From here on the statement waits for locks as long as a reader may. */
WB_MUST_USE wb_status wb_query_prepare(wb_sqlite_store *store, const char *sql,
                                       struct sqlite3_stmt **stmt, wb_error *err);
/* Absent is left NULL. */
void wb_query_bind_text(struct sqlite3_stmt *stmt, int at, wb_slice text);
void wb_query_bind_id(struct sqlite3_stmt *stmt, int at, const void *id, size_t len);
/** True with a row at hand; else the query is over and *status says how. */
bool wb_query_step(wb_sqlite_store *store, struct sqlite3_stmt *stmt, wb_status *status,
                   wb_error *err);

/** Of the row at hand. */
wb_columns wb_query_columns(struct sqlite3_stmt *stmt);

#endif
