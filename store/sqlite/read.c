/* SPDX-License-Identifier: Apache-2.0 */
/* The read queries. The list of traces first picks the newest ids by the index on trace_parts and only
 * then opens the view, whose columns cost several look-ups a trace; a filter that only the view can
 * answer picks all ids in its time range. What is asked of one trace has SQL of its own: a statement is
 * planned once for all values, so `?1 IS NULL OR trace_id = ?1` would read the whole table for it, as
 * the view does unless the condition stands beside it. */
#include "store/sqlite/query.h"

#include <sqlite3.h>
#include <stdlib.h>

static wb_status open_file(const char *path, wb_store **out, wb_error *err)
{
    wb_sqlite_store *store = calloc(1, sizeof *store);
    if (!store) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory");
    wb_status status = wb_sqlite_open(path, WB_SQLITE_READ, WB_QUERY_WAIT_MS, &store->db, err);
    if (status != WB_OK) {
        free(store);
        return status;
    }
    store->base.ops = wb_store_sqlite_engine;
    *out = &store->base;
    return WB_OK;
}

static void close_file(wb_store *base)
{
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    wb_sqlite_close(store->db);
    free(store);
}

static wb_status begin(wb_store *base, wb_error *err)
{
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    wb_sqlite_set_wait(store->db, WB_QUERY_WAIT_MS);
    return wb_sqlite_exec(store->db, "BEGIN", err);
}

static void end(wb_store *store) { wb_sqlite_rollback(wb_sqlite_store_of(store)->db); }

/* ---- traces --------------------------------------------------------------------------------- */

#define TRACES_WHERE(which)                                                                        \
    "SELECT " WB_TRACE_COLUMNS " FROM traces WHERE " which " AND trace_id IN ("                    \
    "  SELECT trace_id FROM trace_parts p WHERE " which                                            \
    "   AND (?2 IS NULL OR EXISTS (SELECT 1 FROM trace_parts q JOIN sidecars c USING (sidecar_id)" \
    "        WHERE q.trace_id = p.trace_id AND (c.agent_id = ?2 OR c.name = ?2)))"                 \
    "  GROUP BY trace_id HAVING min(started_ns) >= ?3 AND min(started_ns) < ?7"                    \
    "  ORDER BY min(started_ns) DESC LIMIT ?4)"                                                    \
    " AND (?5 IS NULL OR status = ?5)"                                                             \
    " ORDER BY started_ns DESC, trace_id LIMIT ?6"

static const char ALL_TRACES[] = TRACES_WHERE("?1 IS NULL");
static const char ONE_TRACE[] = TRACES_WHERE("trace_id = ?1");

static bool is_of_one_trace(const wb_trace_id *id) { return !wb_id_is_zero(id->b, sizeof id->b); }

static wb_status traces(wb_store *base, const wb_trace_filter *filter,
                        wb_status (*each)(void *ctx, const wb_stored_trace *row), void *ctx,
                        wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    int64_t limit = filter->limit ? (int64_t)filter->limit : -1;
    const char *sql = is_of_one_trace(&filter->trace_id) ? ONE_TRACE : ALL_TRACES;
    WB_TRY(wb_query_prepare(store, sql, &stmt, err));
    wb_query_bind_id(stmt, 1, filter->trace_id.b, sizeof filter->trace_id.b);
    wb_query_bind_text(stmt, 2, filter->agent);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)filter->since_ns);
    (void)sqlite3_bind_int64(stmt, 4, filter->status.len ? -1 : limit);
    wb_query_bind_text(stmt, 5, filter->status);
    (void)sqlite3_bind_int64(stmt, 6, limit);
    (void)sqlite3_bind_int64(stmt, 7, filter->until_ns ? (int64_t)filter->until_ns : INT64_MAX);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_trace row = wb_read_trace(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status trace_ids(wb_store *base, const wb_trace_id *low, const wb_trace_id *high,
                           wb_trace_id out[2], size_t *n, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    WB_TRY(wb_query_prepare(
        store, "SELECT DISTINCT trace_id FROM trace_parts WHERE trace_id BETWEEN ? AND ? LIMIT 2",
        &stmt, err));
    (void)sqlite3_bind_blob(stmt, 1, low->b, sizeof low->b, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 2, high->b, sizeof high->b, SQLITE_STATIC);
    wb_status status = WB_OK;
    for (*n = 0; wb_query_step(store, stmt, &status, err); ++*n) {
        wb_columns c = wb_query_columns(stmt);
        WB_TAKE_ID(&c, out[*n]);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

/* ---- sidecars and spans --------------------------------------------------------------------- */

static wb_status sidecars(wb_store *base,
                          wb_status (*each)(void *ctx, const wb_stored_sidecar *row), void *ctx,
                          wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    WB_TRY(wb_query_prepare(
        store, "SELECT " WB_SIDECAR_COLUMNS " FROM sidecars ORDER BY sidecar_id", &stmt, err));
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_sidecar row = wb_read_sidecar(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static const char SPANS[] =
    "SELECT " WB_SPAN_COLUMNS("") " WHERE trace_id = ? ORDER BY started_ns, span_row";
static const char SPANS_GROUPED[] =
    "SELECT " WB_SPAN_COLUMNS("") " WHERE trace_id = ?"
                                  " ORDER BY resource_id, scope_id, started_ns, span_row";

static wb_status spans(wb_store *base, const wb_trace_id *trace, wb_span_order order,
                       wb_status (*each)(void *ctx, const wb_stored_span *row), void *ctx,
                       wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    WB_TRY(wb_query_prepare(store, order == WB_SPANS_GROUPED ? SPANS_GROUPED : SPANS, &stmt, err));
    wb_query_bind_id(stmt, 1, trace->b, sizeof trace->b);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_span row = wb_read_span(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

/* ---- delegations and acceptances ------------------------------------------------------------ */

#define DELEGATIONS_WHERE(which)                                                                   \
    "SELECT " WB_DELEGATION_COLUMNS(                                                               \
        "") " FROM (SELECT * FROM delegations WHERE " which                                        \
            "  AND (?2 = 0 OR closed_ns IS NULL) AND (opened_ns >= ?3 OR closed_ns IS NULL)"       \
            "  ORDER BY opened_ns DESC, delegation_id LIMIT ?4) d"                                 \
            " ORDER BY opened_ns, delegation_id"

static const char ALL_DELEGATIONS[] = DELEGATIONS_WHERE("?1 IS NULL");
static const char DELEGATIONS_OF_ONE_TRACE[] = DELEGATIONS_WHERE("trace_id = ?1");

static wb_status delegations(wb_store *base, const wb_delegation_filter *filter,
                             wb_status (*each)(void *ctx, const wb_stored_delegation *row),
                             void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    const char *sql =
        is_of_one_trace(&filter->trace_id) ? DELEGATIONS_OF_ONE_TRACE : ALL_DELEGATIONS;
    WB_TRY(wb_query_prepare(store, sql, &stmt, err));
    wb_query_bind_id(stmt, 1, filter->trace_id.b, sizeof filter->trace_id.b);
    (void)sqlite3_bind_int(stmt, 2, filter->open_only);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)filter->since_ns);
    (void)sqlite3_bind_int64(stmt, 4, filter->limit ? (int64_t)filter->limit : -1);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_delegation row = wb_read_delegation(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status acceptances(wb_store *base, const wb_trace_id *trace,
                             wb_status (*each)(void *ctx, const wb_stored_acceptance *row),
                             void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    WB_TRY(wb_query_prepare(
        store,
        "SELECT " WB_ACCEPTANCE_COLUMNS(
            "") " FROM acceptances a"
                " WHERE trace_id = ?1 OR link_trace_id = ?1 ORDER BY opened_ns, acceptance_id",
        &stmt, err));
    wb_query_bind_id(stmt, 1, trace->b, sizeof trace->b);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_acceptance row = wb_read_acceptance(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status leniences(wb_store *base, wb_slice agent_id, wb_time_ns since_ns, uint32_t limit,
                           wb_status (*each)(void *ctx, const wb_stored_lenience *row), void *ctx,
                           wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    WB_TRY(wb_query_prepare(
        store,
        "SELECT peer, code, verdict <> 'link', count(*), max(opened_ns) FROM acceptances"
        " WHERE agent_id = ?1 AND opened_ns >= ?2 AND verified = 0"
        " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2 LIMIT ?3",
        &stmt, err));
    (void)sqlite3_bind_text(stmt, 1, (const char *)agent_id.ptr, (int)agent_id.len, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)since_ns);
    (void)sqlite3_bind_int64(stmt, 3, limit);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_lenience row = wb_read_lenience(wb_query_columns(stmt));
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static const wb_store_ops engine = {
    .open = open_file,
    .close = close_file,
    .begin = begin,
    .end = end,
    .traces = traces,
    .trace_ids = trace_ids,
    .sidecars = sidecars,
    .spans = spans,
    .logs = wb_sqlite_logs,
    .delegations = delegations,
    .acceptances = acceptances,
    .leniences = leniences,
    .agents = wb_sqlite_agents,
    .changed = wb_sqlite_changed,
    .follow_new = wb_sqlite_follow_new,
    .follow_free = wb_sqlite_follow_free,
    .follow_from_now = wb_sqlite_follow_from_now,
    .follow_read = wb_sqlite_follow_read,
    .follow_reopened = wb_sqlite_follow_reopened,
    .migrate = wb_sqlite_migrate_store,
};
const wb_store_ops *const wb_store_sqlite_engine = &engine;
