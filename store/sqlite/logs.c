/* SPDX-License-Identifier: Apache-2.0 */
/* Log records. Those of a trace and those of none are two queries, each with its own index. */
#include "store/sqlite/query.h"

#include <sqlite3.h>

static const char OF_TRACE[] =
    "SELECT " WB_LOG_COLUMNS("") " WHERE trace_id = ?1 ORDER BY time_ns, log_row LIMIT ?2";
static const char ALONE[] = "SELECT " WB_LOG_COLUMNS(
    "") " WHERE trace_id IS NULL ORDER BY time_ns DESC, log_row DESC LIMIT ?2";

wb_status wb_sqlite_logs(wb_store *store, const wb_trace_id *trace, uint32_t limit,
                         wb_status (*each)(void *ctx, const wb_stored_log *row), void *ctx,
                         wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *file = wb_sqlite_store_of(store);
    WB_TRY(wb_query_prepare(file, WB_ID_ABSENT(*trace) ? ALONE : OF_TRACE, &stmt, err));
    if (!WB_ID_ABSENT(*trace)) wb_query_bind_id(stmt, 1, trace->b, sizeof trace->b);
    (void)sqlite3_bind_int64(stmt, 2, limit ? (int64_t)limit : -1);
    wb_status status = WB_OK;
    while (wb_query_step(file, stmt, &status, err)) {
        wb_stored_log row = wb_read_log(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}
