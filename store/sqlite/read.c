/* SPDX-License-Identifier: Apache-2.0 */
/* The read queries. Each lists its columns by name, in the order in which its `read_` function takes
 * them, so that a later migration may add columns without touching readers of the old ones.
 *
 * The list of traces first picks the newest ids by the index on trace_parts and only then opens the
 * view, whose columns cost several look-ups a trace; a filter that only the view can answer picks all
 * ids in its time range. */
#include "store/store.h"

#include "store/sqlite/database.h"

#include <sqlite3.h>
#include <stdlib.h>

enum { READ_WAIT_MS = 5000 };

struct wb_store {
    wb_sqlite *db;
};

wb_status wb_store_open(const char *path, wb_store **out, wb_error *err)
{
    WB_AUTO(wb_store) store = calloc(1, sizeof *store);
    if (!store) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory");
    WB_TRY(wb_sqlite_open(path, WB_SQLITE_READ, READ_WAIT_MS, &store->db, err));
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
    wb_sqlite_set_wait(store->db, READ_WAIT_MS);
    return wb_sqlite_exec(store->db, "BEGIN", err);
}

void wb_store_end(wb_store *store) { wb_sqlite_rollback(store->db); }

/* ---- columns -------------------------------------------------------------------------------- */

/* Takes the columns of a row from left to right. */
typedef struct columns {
    sqlite3_stmt *stmt;
    int next;
} columns;

static wb_slice take_bytes(columns *c)
{
    const void *bytes = sqlite3_column_blob(c->stmt, c->next); /* text too: as UTF-8 */
    wb_slice s = {bytes, bytes ? (size_t)sqlite3_column_bytes(c->stmt, c->next) : 0};
    c->next++;
    return s;
}

static uint64_t take_number(columns *c)
{
    return (uint64_t)sqlite3_column_int64(c->stmt, c->next++);
}

/* An id of another length than its type's is absent; the schema's CHECKs keep such out of keys. */
static void take_id(columns *c, void *out, size_t len)
{
    wb_slice s = take_bytes(c);
    if (s.len == len)
        memcpy(out, s.ptr, len);
    else
        memset(out, 0, len);
}
#define TAKE_ID(c, id) take_id(c, (id).b, sizeof(id).b)

static void bind_slice(sqlite3_stmt *stmt, int at, wb_slice text)
{
    if (text.len > 0)
        (void)sqlite3_bind_text(stmt, at, (const char *)text.ptr, (int)text.len, SQLITE_STATIC);
}

static void bind_id(sqlite3_stmt *stmt, int at, const void *id, size_t len)
{
    if (!wb_id_is_zero(id, len)) (void)sqlite3_bind_blob(stmt, at, id, (int)len, SQLITE_STATIC);
}

static wb_status prepare(wb_store *store, const char *sql, sqlite3_stmt **stmt, wb_error *err)
{
    wb_sqlite_set_wait(store->db, READ_WAIT_MS);
    return wb_sqlite_prepare(store->db, sql, stmt, err);
}

/* True with a row at hand; else the query is over and *status says how. */
static bool step(wb_store *store, sqlite3_stmt *stmt, wb_status *status, wb_error *err)
{
    if (*status != WB_OK) return false;
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) *status = wb_sqlite_fail(store->db, code, "store", err);
    return false;
}

/* ---- traces --------------------------------------------------------------------------------- */

static wb_stored_trace read_trace(sqlite3_stmt *stmt)
{
    columns c = {stmt, 0};
    wb_stored_trace row = {0};
    TAKE_ID(&c, row.trace_id);
    row.status = take_bytes(&c);
    row.started_ns = take_number(&c);
    row.ended_ns = take_number(&c);
    row.span_count = take_number(&c);
    row.error_count = take_number(&c);
    row.sidecar_count = take_number(&c);
    row.agent_count = take_number(&c);
    row.delegation_count = take_number(&c);
    row.open_delegation_count = take_number(&c);
    row.acceptance_count = take_number(&c);
    row.depth = take_number(&c);
    TAKE_ID(&c, row.root_span_id);
    row.root_name = take_bytes(&c);
    row.root_service = take_bytes(&c);
    row.session_id = take_bytes(&c);
    return row;
}

static const char TRACES[] =
    "SELECT trace_id, status, started_ns, ended_ns, span_count, error_count, sidecar_count,"
    " agent_count, delegation_count, open_delegation_count, acceptance_count, depth, root_span_id,"
    " root_name, root_service, session_id"
    " FROM traces WHERE trace_id IN ("
    "  SELECT trace_id FROM trace_parts p WHERE (?1 IS NULL OR trace_id = ?1)"
    "   AND (?2 IS NULL OR EXISTS (SELECT 1 FROM trace_parts q JOIN sidecars c USING (sidecar_id)"
    "        WHERE q.trace_id = p.trace_id AND (c.agent_id = ?2 OR c.name = ?2)))"
    "  GROUP BY trace_id HAVING min(started_ns) >= ?3 ORDER BY min(started_ns) DESC LIMIT ?4)"
    " AND (?5 IS NULL OR status = ?5)"
    " ORDER BY started_ns DESC, trace_id LIMIT ?6";

wb_status wb_store_traces(wb_store *store, const wb_trace_filter *filter,
                          wb_status (*each)(void *ctx, const wb_stored_trace *row), void *ctx,
                          wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t limit = filter->limit ? (int64_t)filter->limit : -1;
    WB_TRY(prepare(store, TRACES, &stmt, err));
    bind_id(stmt, 1, filter->trace_id.b, sizeof filter->trace_id.b);
    bind_slice(stmt, 2, filter->agent);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)filter->since_ns);
    (void)sqlite3_bind_int64(stmt, 4, filter->status.len ? -1 : limit);
    bind_slice(stmt, 5, filter->status);
    (void)sqlite3_bind_int64(stmt, 6, limit);
    wb_status status = WB_OK;
    while (step(store, stmt, &status, err)) {
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
    WB_TRY(prepare(
        store, "SELECT DISTINCT trace_id FROM trace_parts WHERE trace_id BETWEEN ? AND ? LIMIT 2",
        &stmt, err));
    (void)sqlite3_bind_blob(stmt, 1, low, sizeof low, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 2, high, sizeof high, SQLITE_STATIC);
    wb_trace_id found = {{0}};
    size_t n = 0;
    wb_status status = WB_OK;
    for (; step(store, stmt, &status, err); n++) {
        columns c = {stmt, 0};
        TAKE_ID(&c, found);
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
    WB_TRY(
        prepare(store,
                "SELECT sidecar_id, journal_id, agent_id, name, version, isolation, first_seen_ns,"
                " last_seen_ns FROM sidecars ORDER BY sidecar_id",
                &stmt, err));
    wb_status status = WB_OK;
    while (step(store, stmt, &status, err)) {
        columns c = {stmt, 0};
        wb_stored_sidecar row = {0};
        row.sidecar_id = take_number(&c);
        TAKE_ID(&c, row.journal_id);
        row.agent_id = take_bytes(&c);
        row.name = take_bytes(&c);
        row.version = take_bytes(&c);
        row.isolation = take_bytes(&c);
        row.first_seen_ns = take_number(&c);
        row.last_seen_ns = take_number(&c);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_stored_span read_span(sqlite3_stmt *stmt)
{
    columns c = {stmt, 0};
    wb_stored_span row = {0};
    TAKE_ID(&c, row.trace_id);
    TAKE_ID(&c, row.span_id);
    TAKE_ID(&c, row.parent_id);
    row.name = take_bytes(&c);
    row.kind = take_bytes(&c);
    row.status = take_bytes(&c);
    row.status_message = take_bytes(&c);
    row.service = take_bytes(&c);
    row.span_type = take_bytes(&c);
    row.error_type = take_bytes(&c);
    row.session_id = take_bytes(&c);
    TAKE_ID(&c, row.acceptance_id);
    TAKE_ID(&c, row.delegation_id);
    row.started_ns = take_number(&c);
    row.ended_ns = take_number(&c);
    row.sidecar_id = take_number(&c);
    row.seq = take_number(&c);
    row.span = take_bytes(&c);
    row.resource = take_bytes(&c);
    row.scope = take_bytes(&c);
    return row;
}

wb_status wb_store_spans(wb_store *store, const wb_trace_id *trace,
                         wb_status (*each)(void *ctx, const wb_stored_span *row), void *ctx,
                         wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(prepare(store,
                   "SELECT trace_id, span_id, parent_span_id, name, kind, status, status_message,"
                   " service, span_type, error_type, session_id, acceptance_id, delegation_id,"
                   " started_ns, ended_ns, sidecar_id, seq, span, r.bytes, c.bytes"
                   " FROM spans s LEFT JOIN resources r USING (resource_id)"
                   " LEFT JOIN scopes c USING (scope_id)"
                   " WHERE trace_id = ? ORDER BY started_ns, span_row",
                   &stmt, err));
    bind_id(stmt, 1, trace->b, sizeof trace->b);
    wb_status status = WB_OK;
    while (step(store, stmt, &status, err)) {
        wb_stored_span row = read_span(stmt);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

/* ---- delegations and acceptances ------------------------------------------------------------ */

static void read_delegation_parties(columns *c, wb_stored_delegation *row)
{
    row->target_url = take_bytes(c);
    row->target_agent_id = take_bytes(c);
    row->target_name = take_bytes(c);
    row->method = take_bytes(c);
    row->message_id = take_bytes(c);
    row->context_id = take_bytes(c);
    row->task_id = take_bytes(c);
    row->body_digest = take_bytes(c);
    row->task_state = take_bytes(c);
    row->error_type = take_bytes(c);
    row->event = take_bytes(c);
}

static uint64_t take_limit(columns *c)
{
    if (sqlite3_column_type(c->stmt, c->next) != SQLITE_NULL) return take_number(c);
    c->next++;
    return WB_NOLIM;
}

static void read_granted(columns *c, wb_stored_delegation *row)
{
    row->currency = take_bytes(c);
    row->granted_cost_micros = take_limit(c);
    row->granted_tokens = take_limit(c);
    row->granted_ms = take_limit(c);
    row->turns = (uint32_t)take_number(c);
}

static wb_stored_delegation read_delegation(sqlite3_stmt *stmt)
{
    columns c = {stmt, 0};
    wb_stored_delegation row = {0};
    TAKE_ID(&c, row.delegation_id);
    row.version = take_number(&c);
    row.state = take_bytes(&c);
    TAKE_ID(&c, row.trace_id);
    TAKE_ID(&c, row.span_id);
    TAKE_ID(&c, row.parent_id);
    row.trace_flags = (uint32_t)take_number(&c);
    TAKE_ID(&c, row.parent_acceptance);
    read_delegation_parties(&c, &row);
    row.opened_ns = take_number(&c);
    row.updated_ns = take_number(&c);
    row.closed_ns = take_number(&c);
    row.deadline_ns = take_number(&c);
    row.late_answer = take_number(&c) != 0;
    row.chain = take_bytes(&c);
    row.unsigned_reason = take_bytes(&c);
    row.token_hash = take_bytes(&c);
    row.token_exp_s = take_number(&c);
    row.issuer = take_bytes(&c);
    row.key_id = take_bytes(&c);
    row.depth = (uint32_t)take_number(&c);
    read_granted(&c, &row);
    row.sidecar_id = take_number(&c);
    row.seq = take_number(&c);
    row.sidecar_name = take_bytes(&c);
    return row;
}

static const char DELEGATIONS[] =
    "SELECT delegation_id, version, state, trace_id, span_id, parent_span_id, trace_flags,"
    " parent_acceptance, target_url, target_agent_id, target_name, method, message_id, context_id,"
    " task_id, body_digest, task_state, error_type, event, opened_ns, updated_ns, closed_ns,"
    " deadline_ns, late_answer, chain, unsigned_reason, token_hash, token_exp_s, issuer, key_id,"
    " depth, currency, granted_cost_micros, granted_tokens, granted_ms, turns, sidecar_id, seq,"
    " (SELECT s.name FROM sidecars s WHERE s.sidecar_id = d.sidecar_id)"
    " FROM (SELECT * FROM delegations WHERE (?1 IS NULL OR trace_id = ?1)"
    "  AND (?2 = 0 OR closed_ns IS NULL) AND (opened_ns >= ?3 OR closed_ns IS NULL)"
    "  ORDER BY opened_ns DESC, delegation_id LIMIT ?4) d"
    " ORDER BY opened_ns, delegation_id";

wb_status wb_store_delegations(wb_store *store, const wb_delegation_filter *filter,
                               wb_status (*each)(void *ctx, const wb_stored_delegation *row),
                               void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(prepare(store, DELEGATIONS, &stmt, err));
    bind_id(stmt, 1, filter->trace_id.b, sizeof filter->trace_id.b);
    (void)sqlite3_bind_int(stmt, 2, filter->open_only);
    (void)sqlite3_bind_int64(stmt, 3, (int64_t)filter->since_ns);
    (void)sqlite3_bind_int64(stmt, 4, filter->limit ? (int64_t)filter->limit : -1);
    wb_status status = WB_OK;
    while (step(store, stmt, &status, err)) {
        wb_stored_delegation row = read_delegation(stmt);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static void read_acceptance_token(columns *c, wb_stored_acceptance *row)
{
    row->verdict = take_bytes(c);
    row->verified = take_number(c) != 0;
    row->code = take_bytes(c);
    row->warnings = take_bytes(c);
    row->pass = take_number(c) != 0;
    row->agent_id = take_bytes(c);
    row->issuer = take_bytes(c);
    row->subject = take_bytes(c);
    row->jti = take_bytes(c);
    row->token_hash = take_bytes(c);
    row->token_exp_s = take_number(c);
    row->chain = take_bytes(c);
    row->depth = (uint32_t)take_number(c);
}

static wb_stored_acceptance read_acceptance(sqlite3_stmt *stmt)
{
    columns c = {stmt, 0};
    wb_stored_acceptance row = {0};
    TAKE_ID(&c, row.acceptance_id);
    row.version = take_number(&c);
    read_acceptance_token(&c, &row);
    TAKE_ID(&c, row.trace_id);
    TAKE_ID(&c, row.span_id);
    TAKE_ID(&c, row.parent_id);
    row.trace_flags = (uint32_t)take_number(&c);
    TAKE_ID(&c, row.link_trace_id);
    TAKE_ID(&c, row.link_span_id);
    row.method = take_bytes(&c);
    row.message_id = take_bytes(&c);
    row.context_id = take_bytes(&c);
    row.task_id = take_bytes(&c);
    row.body_digest = take_bytes(&c);
    row.peer = take_bytes(&c);
    row.opened_ns = take_number(&c);
    row.finished_ns = take_number(&c);
    row.deadline_ns = take_number(&c);
    row.outcome = take_bytes(&c);
    row.error_type = take_bytes(&c);
    row.task_state = take_bytes(&c);
    row.sidecar_id = take_number(&c);
    row.seq = take_number(&c);
    return row;
}

wb_status wb_store_acceptances(wb_store *store, const wb_trace_id *trace,
                               wb_status (*each)(void *ctx, const wb_stored_acceptance *row),
                               void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(
        prepare(store,
                "SELECT acceptance_id, version, verdict, verified, code, warnings, pass, agent_id,"
                " issuer, subject, jti, token_hash, token_exp_s, chain, depth, trace_id, span_id,"
                " parent_span_id, trace_flags, link_trace_id, link_span_id, method, message_id,"
                " context_id, task_id, body_digest, peer, opened_ns, finished_ns, deadline_ns,"
                " outcome, error_type, task_state, sidecar_id, seq FROM acceptances"
                " WHERE trace_id = ?1 OR link_trace_id = ?1 ORDER BY opened_ns, acceptance_id",
                &stmt, err));
    bind_id(stmt, 1, trace->b, sizeof trace->b);
    wb_status status = WB_OK;
    while (step(store, stmt, &status, err)) {
        wb_stored_acceptance row = read_acceptance(stmt);
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
    WB_TRY(prepare(store,
                   "SELECT peer, code, verdict <> 'link', count(*), max(opened_ns) FROM acceptances"
                   " WHERE agent_id = ?1 AND opened_ns >= ?2 AND verified = 0"
                   " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2 LIMIT ?3",
                   &stmt, err));
    (void)sqlite3_bind_text(stmt, 1, (const char *)agent_id.ptr, (int)agent_id.len, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)since_ns);
    (void)sqlite3_bind_int64(stmt, 3, limit);
    wb_status status = WB_OK;
    while (step(store, stmt, &status, err)) {
        columns c = {stmt, 0};
        wb_stored_lenience row = {.peer = take_bytes(&c), .code = take_bytes(&c)};
        row.is_refusal = take_number(&c) != 0;
        row.count = take_number(&c);
        row.last_ns = take_number(&c);
        status = each(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}
