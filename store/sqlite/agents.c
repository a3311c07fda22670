/* SPDX-License-Identifier: Apache-2.0 */
/* Agents out of what their sidecars brought. Each part is summed by sidecar over an index on time
 * before the parts meet, so that the cost follows the time asked for and not the store's size; name and
 * version come from the row that max() picks (SQLite documents this of bare columns beside one such
 * function, so the first time seen has a part of its own). Which index is said,
 * for SQLite would rather read every row in the order of its sidecar than sort a few of them. */
#include "store/sqlite/query.h"

#include <sqlite3.h>

static const char AGENTS[] =
    "WITH parts AS (SELECT sidecar_id, count(*) AS traces, sum(span_count) AS spans,"
    "  sum(error_count) AS errors FROM trace_parts WHERE started_ns >= ?1 GROUP BY sidecar_id),"
    " sent AS (SELECT sidecar_id, count(*) AS n, sum(closed_ns IS NULL) AS open,"
    "  sum(state IN ('failed', 'lost')) AS failed, sum(state = 'rejected') AS rejected"
    "  FROM delegations INDEXED BY delegations_opened WHERE opened_ns >= ?1 GROUP BY sidecar_id),"
    " got AS (SELECT sidecar_id, count(*) AS n, sum(verified = 0) AS unverified"
    "  FROM acceptances INDEXED BY acceptances_opened WHERE opened_ns >= ?1 GROUP BY sidecar_id),"
    " began AS (SELECT agent_id, min(first_seen_ns) AS first FROM sidecars GROUP BY agent_id)"
    " SELECT agent_id, name, version, isolation, count(*), began.first, max(last_seen_ns),"
    "  sum(coalesce(parts.traces, 0)), sum(coalesce(parts.spans, 0)),"
    "  sum(coalesce(parts.errors, 0)), sum(coalesce(sent.n, 0)), sum(coalesce(sent.open, 0)),"
    "  sum(coalesce(sent.failed, 0)), sum(coalesce(sent.rejected, 0)), sum(coalesce(got.n, 0)),"
    "  sum(coalesce(got.unverified, 0))"
    " FROM sidecars LEFT JOIN parts USING (sidecar_id) LEFT JOIN sent USING (sidecar_id)"
    "  LEFT JOIN got USING (sidecar_id) JOIN began USING (agent_id)"
    " GROUP BY agent_id HAVING max(last_seen_ns) >= ?1"
    " ORDER BY max(last_seen_ns) DESC, agent_id LIMIT ?2";

wb_status wb_sqlite_agents(wb_store *base, wb_time_ns since_ns, uint32_t limit,
                           wb_status (*each)(void *ctx, const wb_stored_agent *row), void *ctx,
                           wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    WB_TRY(wb_query_prepare(store, AGENTS, &stmt, err));
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)since_ns);
    (void)sqlite3_bind_int64(stmt, 2, limit ? (int64_t)limit : -1);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_agent row = wb_read_agent(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}
