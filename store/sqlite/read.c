/* SPDX-License-Identifier: Apache-2.0 */
/* The read queries. The list of traces first picks the newest ids by the index on trace_parts and only
 * then opens the view, whose columns cost several look-ups a trace; a filter that only the view can
 * answer picks all ids in its time range. What is asked of one trace has SQL of its own: a statement is
 * planned once for all values, so `?1 IS NULL OR trace_id = ?1` would read the whole table for it, as
 * the view does unless the condition stands beside it. */
#include "store/sqlite/query.h"

#include <sqlite3.h>
#include <stdlib.h>

wb_status wb_store_open(const char *path, wb_store **out, wb_error *err)
{
    WB_AUTO(wb_store) store = calloc(1, sizeof *store);
    if (!store) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory");
    WB_TRY(wb_sqlite_open(path, WB_SQLITE_READ, WB_QUERY_WAIT_MS, &store->db, err));
    *out = WB_STEAL(store);
    return WB_OK;
}

void wb_store_close(wb_store *store)
{
    if (!store) return;
    wb_sqlite_close(store->db);
    free(store);
}

wb_status wb_store_begin(wb_store *store, wb_error *err)
{
    wb_sqlite_set_wait(store->db, WB_QUERY_WAIT_MS);
    return wb_sqlite_exec(store->db, "BEGIN", err);
}

void wb_store_end(wb_store *store) { wb_sqlite_rollback(store->db); }

/* ---- traces --------------------------------------------------------------------------------- */

static wb_stored_trace read_trace(sqlite3_stmt *stmt)
{
    wb_columns c = {stmt, 0};
    wb_stored_trace row = {0};
    WB_TAKE_ID(&c, row.trace_id);
    row.status = wb_take_bytes(&c);
    row.started_ns = wb_take_number(&c);
    row.ended_ns = wb_take_number(&c);
    row.span_count = wb_take_number(&c);
    row.error_count = wb_take_number(&c);
    row.sidecar_count = wb_take_number(&c);
    row.agent_count = wb_take_number(&c);
    row.delegation_count = wb_take_number(&c);
    row.open_delegation_count = wb_take_number(&c);
    row.acceptance_count = wb_take_number(&c);
    row.depth = wb_take_number(&c);
    WB_TAKE_ID(&c, row.root_span_id);
    row.root_name = wb_take_bytes(&c);
    row.root_service = wb_take_bytes(&c);
    row.session_id = wb_take_bytes(&c);
    return row;
}

#define TRACES_WHERE(which)                                                                        \
    "SELECT trace_id, status, started_ns, ended_ns, span_count, error_count, sidecar_count,"       \
    " agent_count, delegation_count, open_delegation_count, acceptance_count, depth,"              \
    " root_span_id, root_name, root_service, session_id"                                           \
    " FROM traces WHERE " which " AND trace_id IN ("                                               \
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

wb_status wb_store_traces(wb_store *store, const wb_trace_filter *filter,
                          wb_status (*each)(void *ctx, const wb_stored_trace *row), void *ctx,
                          wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
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
        wb_stored_trace row = read_trace(stmt);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

/* The lowest and highest id with these leading hex digits. */
static bool prefix_range(wb_slice prefix, uint8_t low[16], uint8_t high[16])
{
    if (prefix.len == 0 || prefix.len > WB_TRACE_HEX) return false;
    memset(low, 0, 16);
    memset(high, 0xFF, 16);
    for (size_t i = 0; i < prefix.len; i++) {
        uint8_t c = prefix.ptr[i] | 0x20; /* lower case */
        uint8_t digit;
        if (prefix.ptr[i] >= '0' && prefix.ptr[i] <= '9')
            digit = (uint8_t)(prefix.ptr[i] - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint8_t)(c - 'a' + 10);
        else
            return false;
        unsigned shift = i % 2 == 0 ? 4 : 0;
        low[i / 2] = (uint8_t)(low[i / 2] | digit << shift);
        high[i / 2] = (uint8_t)((high[i / 2] & ~(0xF << shift)) | digit << shift);
    }
    return true;
}

wb_status wb_store_find_trace(wb_store *store, wb_slice prefix, wb_trace_id *out, wb_error *err)
{
    uint8_t low[16], high[16];
    sqlite3_stmt *stmt = NULL;
    if (!prefix_range(prefix, low, high))
        return wb_fail(err, WB_ERR_MALFORMED, "a trace id has 1 to 32 hex digits");
    WB_TRY(wb_query_prepare(
        store, "SELECT DISTINCT trace_id FROM trace_parts WHERE trace_id BETWEEN ? AND ? LIMIT 2",
        &stmt, err));
    (void)sqlite3_bind_blob(stmt, 1, low, sizeof low, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 2, high, sizeof high, SQLITE_STATIC);
    wb_trace_id found = {{0}};
    size_t n = 0;
    wb_status status = WB_OK;
    for (; wb_query_step(store, stmt, &status, err); n++) {
        wb_columns c = {stmt, 0};
        WB_TAKE_ID(&c, found);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    if (status != WB_OK) return status;
    if (n == 0) return wb_fail(err, WB_ERR_NOT_FOUND, "no trace with this id in the store");
    if (n > 1) return wb_fail(err, WB_ERR_REJECTED, "more than one trace id begins so");
    *out = found;
    return WB_OK;
}

/* ---- sidecars and spans --------------------------------------------------------------------- */

wb_status wb_store_sidecars(wb_store *store,
                            wb_status (*each)(void *ctx, const wb_stored_sidecar *row), void *ctx,
                            wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(
        store,
        "SELECT sidecar_id, journal_id, agent_id, name, version, isolation, first_seen_ns,"
        " last_seen_ns FROM sidecars ORDER BY sidecar_id",
        &stmt, err));
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_columns c = {stmt, 0};
        wb_stored_sidecar row = {0};
        row.sidecar_id = wb_take_number(&c);
        WB_TAKE_ID(&c, row.journal_id);
        row.agent_id = wb_take_bytes(&c);
        row.name = wb_take_bytes(&c);
        row.version = wb_take_bytes(&c);
        row.isolation = wb_take_bytes(&c);
        row.first_seen_ns = wb_take_number(&c);
        row.last_seen_ns = wb_take_number(&c);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static const char SPANS[] =
    "SELECT " WB_SPAN_COLUMNS " WHERE trace_id = ? ORDER BY started_ns, span_row";
static const char SPANS_GROUPED[] = "SELECT " WB_SPAN_COLUMNS " WHERE trace_id = ?"
                                    " ORDER BY resource_id, scope_id, started_ns, span_row";

wb_status wb_store_spans(wb_store *store, const wb_trace_id *trace, wb_span_order order,
                         wb_status (*each)(void *ctx, const wb_stored_span *row), void *ctx,
                         wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(store, order == WB_SPANS_GROUPED ? SPANS_GROUPED : SPANS, &stmt, err));
    wb_query_bind_id(stmt, 1, trace->b, sizeof trace->b);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_span row = wb_read_span(stmt);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

/* ---- delegations and acceptances ------------------------------------------------------------ */

#define DELEGATIONS_WHERE(which)                                                                   \
    "SELECT " WB_DELEGATION_COLUMNS " FROM (SELECT * FROM delegations WHERE " which                \
    "  AND (?2 = 0 OR closed_ns IS NULL) AND (opened_ns >= ?3 OR closed_ns IS NULL)"               \
    "  ORDER BY opened_ns DESC, delegation_id LIMIT ?4) d"                                         \
    " ORDER BY opened_ns, delegation_id"

static const char ALL_DELEGATIONS[] = DELEGATIONS_WHERE("?1 IS NULL");
static const char DELEGATIONS_OF_ONE_TRACE[] = DELEGATIONS_WHERE("trace_id = ?1");

wb_status wb_store_delegations(wb_store *store, const wb_delegation_filter *filter,
                               wb_status (*each)(void *ctx, const wb_stored_delegation *row),
                               void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    const char *sql =
        is_of_one_trace(&filter->trace_id) ? DELEGATIONS_OF_ONE_TRACE : ALL_DELEGATIONS;
    WB_TRY(wb_query_prepare(store, sql, &stmt, err));
    wb_query_bind_id(stmt, 1, filter->trace_id.b, sizeof filter->trace_id.b);
    (void)sqlite3_bind_int(stmt, 2, filter->open_only);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)filter->since_ns);
    (void)sqlite3_bind_int64(stmt, 4, filter->limit ? (int64_t)filter->limit : -1);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_delegation row = wb_read_delegation(stmt);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

wb_status wb_store_acceptances(wb_store *store, const wb_trace_id *trace,
                               wb_status (*each)(void *ctx, const wb_stored_acceptance *row),
                               void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(
        store,
        "SELECT " WB_ACCEPTANCE_COLUMNS " FROM acceptances a"
        " WHERE trace_id = ?1 OR link_trace_id = ?1 ORDER BY opened_ns, acceptance_id",
        &stmt, err));
    wb_query_bind_id(stmt, 1, trace->b, sizeof trace->b);
    wb_status status = WB_OK;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_acceptance row = wb_read_acceptance(stmt);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

wb_status wb_store_leniences(wb_store *store, wb_slice agent_id, wb_time_ns since_ns,
                             uint32_t limit,
                             wb_status (*each)(void *ctx, const wb_stored_lenience *row), void *ctx,
                             wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
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
        wb_columns c = {stmt, 0};
        wb_stored_lenience row = {.peer = wb_take_bytes(&c), .code = wb_take_bytes(&c)};
        row.is_refusal = wb_take_number(&c) != 0;
        row.count = wb_take_number(&c);
        row.last_ns = wb_take_number(&c);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}
