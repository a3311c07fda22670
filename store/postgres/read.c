/* SPDX-License-Identifier: Apache-2.0 */
/* The read queries. Statements are planned anew with the values at hand, so `$1 IS NULL OR ...` costs
 * nothing here. Two things need care:
 *  - spans of a trace are looked for between the starts that trace_windows names, or every partition
 *    would be opened;
 *  - the view `traces` groups, and a join cannot be pushed into that: each picked id is asked for by
 *    itself (LATERAL behind OFFSET 0). */
#include "store/postgres/migrate.h"
#include "store/postgres/query.h"

#include <stdlib.h>

#define S "waybill."

/* ---- answers as rows ------------------------------------------------------------------------ */

static wb_slice column_bytes(void *row, int at) { return wb_pg_bytes(row, 0, at); }
static uint64_t column_number(void *row, int at) { return (uint64_t)wb_pg_number(row, 0, at); }
static bool column_is_null(void *row, int at) { return wb_pg_is_null(row, 0, at); }

wb_columns wb_pg_columns(const wb_pg_result *result)
{
    static const wb_column_source source = {column_bytes, column_number, column_is_null};
    return (wb_columns){&source, (void *)result, 0};
}

wb_status wb_pg_read_each(wb_store *store, const char *sql, const wb_pg_params *params,
                          wb_status (*each)(void *ctx, const wb_pg_result *row), void *ctx,
                          wb_error *err)
{
    return wb_pg_each(wb_pg_store_of(store)->pg, sql, params, WB_PG_READ_MS, each, ctx, err);
}

/* A callback of store.h and what it is called with: one adapter for each kind of row. */
#define ROW_TAKER(kind)                                                                            \
    typedef struct kind##_taker {                                                                  \
        wb_status (*each)(void *ctx, const wb_stored_##kind *row);                                 \
        void *ctx;                                                                                 \
    } kind##_taker;                                                                                \
    static wb_status take_##kind(void *ctx, const wb_pg_result *result)                            \
    {                                                                                              \
        kind##_taker *taker = ctx;                                                                 \
        wb_stored_##kind row = wb_read_##kind(wb_pg_columns(result));                              \
        return taker->each(taker->ctx, &row);                                                      \
    }
ROW_TAKER(trace)
ROW_TAKER(sidecar)
ROW_TAKER(span)
ROW_TAKER(log)
ROW_TAKER(delegation)
ROW_TAKER(acceptance)
ROW_TAKER(lenience)

/* ---- the connection ------------------------------------------------------------------------- */

static wb_status open_url(const char *url, wb_store **out, wb_error *err)
{
    WB_AUTO(wb_pg) pg = NULL;
    WB_TRY(wb_pg_connect(&(wb_pg_target){.url = url}, 10000, &pg, err));
    wb_pg_set_timeout(pg, WB_PG_READ_MS);
    WB_TRY(wb_pg_check_version(pg, err));
    wb_pg_store *store = calloc(1, sizeof *store);
    if (!store) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory");
    store->base.ops = wb_store_postgres_engine;
    store->pg = WB_STEAL(pg);
    *out = &store->base;
    return WB_OK;
}

static void close_store(wb_store *store)
{
    wb_pg_close(wb_pg_store_of(store)->pg);
    free(store);
}

static wb_status begin(wb_store *store, wb_error *err)
{
    wb_pg *pg = wb_pg_store_of(store)->pg;
    wb_pg_set_timeout(pg, WB_PG_READ_MS);
    return wb_pg_exec(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
}

static void end(wb_store *store) { (void)wb_pg_rollback(wb_pg_store_of(store)->pg); }

/* ---- traces --------------------------------------------------------------------------------- */

static void add_id(wb_pg_params *p, const void *id, size_t len)
{
    wb_pg_add_bytes(p, wb_id_is_zero(id, len) ? (wb_slice){NULL, 0} : wb_slice_of(id, len));
}

static wb_status traces(wb_store *store, const wb_trace_filter *filter,
                        wb_status (*each)(void *ctx, const wb_stored_trace *row), void *ctx,
                        wb_error *err)
{
    static const char sql[] =
        "SELECT " WB_TRACE_COLUMNS " FROM (SELECT p.trace_id AS picked FROM waybill.trace_parts p"
        "  WHERE ($1::bytea IS NULL OR p.trace_id = $1)"
        "   AND ($2::text IS NULL OR EXISTS (SELECT 1 FROM waybill.trace_parts q"
        "        JOIN waybill.sidecars c USING (sidecar_id)"
        "        WHERE q.trace_id = p.trace_id AND (c.agent_id = $2 OR c.name = $2)))"
        "  GROUP BY p.trace_id HAVING min(p.started_ns) >= $3 AND min(p.started_ns) < $7"
        "  ORDER BY min(p.started_ns) DESC LIMIT $4) k"
        " CROSS JOIN LATERAL (SELECT * FROM waybill.traces t WHERE t.trace_id = k.picked OFFSET 0) "
        "x"
        " WHERE ($5::text IS NULL OR status = $5) ORDER BY started_ns DESC, trace_id LIMIT $6";
    wb_pg_params p = {0};
    trace_taker taker = {each, ctx};
    add_id(&p, filter->trace_id.b, sizeof filter->trace_id.b);
    wb_pg_add_text(&p, filter->agent);
    wb_pg_add_number(&p, (int64_t)filter->since_ns);
    wb_pg_add_number_or_null(&p, filter->status.len ? 0 : filter->limit);
    wb_pg_add_text(&p, filter->status);
    wb_pg_add_number_or_null(&p, filter->limit);
    wb_pg_add_number(&p, filter->until_ns ? (int64_t)filter->until_ns : INT64_MAX);
    return wb_pg_read_each(store, sql, &p, take_trace, &taker, err);
}

static wb_status trace_ids(wb_store *base, const wb_trace_id *low, const wb_trace_id *high,
                           wb_trace_id out[2], size_t *n, wb_error *err)
{
    wb_pg_params p = {0};
    wb_pg *pg = wb_pg_store_of(base)->pg;
    WB_AUTO(wb_pg_result) result = NULL;
    wb_pg_add_bytes(&p, wb_slice_of(low->b, sizeof low->b));
    wb_pg_add_bytes(&p, wb_slice_of(high->b, sizeof high->b));
    wb_pg_set_timeout(pg, WB_PG_READ_MS);
    WB_TRY(wb_pg_query(pg,
                       "SELECT DISTINCT trace_id FROM waybill.trace_parts"
                       " WHERE trace_id BETWEEN $1 AND $2 LIMIT 2",
                       &p, &result, err));
    *n = (size_t)wb_pg_rows(result);
    for (size_t i = 0; i < *n; i++) {
        wb_slice id = wb_pg_bytes(result, (int)i, 0);
        memcpy(out[i].b, id.ptr, sizeof out[i].b); /* the schema's CHECK holds it to 16 */
    }
    return WB_OK;
}

/* ---- what a trace is made of ---------------------------------------------------------------- */

static wb_status sidecars(wb_store *store,
                          wb_status (*each)(void *ctx, const wb_stored_sidecar *row), void *ctx,
                          wb_error *err)
{
    sidecar_taker taker = {each, ctx};
    return wb_pg_read_each(
        store, "SELECT " WB_SIDECAR_COLUMNS " FROM waybill.sidecars ORDER BY sidecar_id", NULL,
        take_sidecar, &taker, err);
}

#define SPANS                                                                                      \
    "SELECT " WB_SPAN_COLUMNS(S) " WHERE trace_id = $1 AND started_at BETWEEN"                     \
                                 " (SELECT first_at FROM waybill.trace_windows"                    \
                                 "   WHERE trace_id = $1)"                                         \
                                 " AND (SELECT last_at FROM waybill.trace_windows"                 \
                                 "   WHERE trace_id = $1)"                                         \
                                 " ORDER BY "

static wb_status spans(wb_store *store, const wb_trace_id *trace, wb_span_order order,
                       wb_status (*each)(void *ctx, const wb_stored_span *row), void *ctx,
                       wb_error *err)
{
    wb_pg_params p = {0};
    span_taker taker = {each, ctx};
    wb_pg_add_bytes(&p, wb_slice_of(trace->b, sizeof trace->b));
    return wb_pg_read_each(store,
                           order == WB_SPANS_GROUPED ? SPANS
                               "resource_id, scope_id, started_ns, span_row"
                                                     : SPANS "started_ns, span_row",
                           &p, take_span, &taker, err);
}

static wb_status logs(wb_store *store, const wb_trace_id *trace, uint32_t limit,
                      wb_status (*each)(void *ctx, const wb_stored_log *row), void *ctx,
                      wb_error *err)
{
    static const char of_trace[] =
        "SELECT " WB_LOG_COLUMNS(S) " WHERE trace_id = $1 ORDER BY time_ns, log_row LIMIT $2";
    static const char alone[] = "SELECT " WB_LOG_COLUMNS(
        S) " WHERE trace_id = $1 ORDER BY time_at DESC, time_ns DESC, log_row DESC LIMIT $2";
    wb_pg_params p = {0};
    log_taker taker = {each, ctx};
    wb_pg_add_bytes(&p,
                    wb_slice_of(trace->b, sizeof trace->b)); /* absent: zeros, as in the table */
    wb_pg_add_number_or_null(&p, limit);
    return wb_pg_read_each(store, WB_ID_ABSENT(*trace) ? alone : of_trace, &p, take_log, &taker,
                           err);
}

static wb_status delegations(wb_store *store, const wb_delegation_filter *filter,
                             wb_status (*each)(void *ctx, const wb_stored_delegation *row),
                             void *ctx, wb_error *err)
{
    wb_pg_params p = {0};
    delegation_taker taker = {each, ctx};
    add_id(&p, filter->trace_id.b, sizeof filter->trace_id.b);
    wb_pg_add_number(&p, filter->open_only);
    wb_pg_add_number(&p, (int64_t)filter->since_ns);
    wb_pg_add_number_or_null(&p, filter->limit);
    return wb_pg_read_each(
        store,
        "SELECT " WB_DELEGATION_COLUMNS(S) " FROM (SELECT * FROM waybill.delegations"
                                           "  WHERE ($1::bytea IS NULL OR trace_id = $1)"
                                           "  AND ($2 = 0 OR closed_ns IS NULL)"
                                           "  AND (opened_ns >= $3 OR closed_ns IS NULL)"
                                           "  ORDER BY opened_ns DESC, delegation_id LIMIT $4) d"
                                           " ORDER BY opened_ns, delegation_id",
        &p, take_delegation, &taker, err);
}

static wb_status acceptances(wb_store *store, const wb_trace_id *trace,
                             wb_status (*each)(void *ctx, const wb_stored_acceptance *row),
                             void *ctx, wb_error *err)
{
    wb_pg_params p = {0};
    acceptance_taker taker = {each, ctx};
    wb_pg_add_bytes(&p, wb_slice_of(trace->b, sizeof trace->b));
    return wb_pg_read_each(
        store,
        "SELECT " WB_ACCEPTANCE_COLUMNS(S) " FROM waybill.acceptances a"
                                           " WHERE trace_id = $1 OR link_trace_id = $1"
                                           " ORDER BY opened_ns, acceptance_id",
        &p, take_acceptance, &taker, err);
}

static wb_status leniences(wb_store *store, wb_slice agent_id, wb_time_ns since_ns, uint32_t limit,
                           wb_status (*each)(void *ctx, const wb_stored_lenience *row), void *ctx,
                           wb_error *err)
{
    wb_pg_params p = {0};
    lenience_taker taker = {each, ctx};
    wb_pg_add_text(&p, agent_id);
    wb_pg_add_number(&p, (int64_t)since_ns);
    wb_pg_add_number(&p, limit);
    return wb_pg_read_each(store,
                           "SELECT peer, code, verdict <> 'link', count(*), max(opened_ns)"
                           " FROM waybill.acceptances"
                           " WHERE agent_id = $1 AND opened_ns >= $2 AND NOT verified"
                           " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1 NULLS FIRST, 2 NULLS FIRST"
                           " LIMIT $3",
                           &p, take_lenience, &taker, err);
}

static const wb_store_ops engine = {
    .open = open_url,
    .close = close_store,
    .begin = begin,
    .end = end,
    .traces = traces,
    .trace_ids = trace_ids,
    .sidecars = sidecars,
    .spans = spans,
    .logs = logs,
    .delegations = delegations,
    .acceptances = acceptances,
    .leniences = leniences,
    .agents = wb_pg_agents,
    .changed = wb_pg_changed,
    .follow_new = wb_pg_follow_new,
    .follow_free = wb_pg_follow_free,
    .follow_from_now = wb_pg_follow_from_now,
    .follow_read = wb_pg_follow_read,
    .follow_reopened = wb_pg_follow_reopened,
    .migrate = wb_pg_migrate_store,
    .maintain = wb_pg_maintain_store,
    .prune = wb_pg_prune_store,
};
const wb_store_ops *const wb_store_postgres_engine = &engine;
