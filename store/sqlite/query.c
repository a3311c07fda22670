/* SPDX-License-Identifier: Apache-2.0 */
/* Columns are listed by name, in the order in which the reader below takes them, so that a later
 * migration may add columns without touching readers of the old ones. */
#include "store/sqlite/query.h"

#include <sqlite3.h>

wb_status wb_query_prepare(wb_store *store, const char *sql, sqlite3_stmt **stmt, wb_error *err)
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

bool wb_query_step(wb_store *store, sqlite3_stmt *stmt, wb_status *status, wb_error *err)
{
    if (*status != WB_OK) return false;
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) *status = wb_sqlite_fail(store->db, code, "store", err);
    return false;
}

/* ---- columns -------------------------------------------------------------------------------- */

wb_slice wb_take_bytes(wb_columns *c)
{
    const void *bytes = sqlite3_column_blob(c->stmt, c->next); /* text too: as UTF-8 */
    wb_slice s = {bytes, bytes ? (size_t)sqlite3_column_bytes(c->stmt, c->next) : 0};
    c->next++;
    return s;
}

uint64_t wb_take_number(wb_columns *c)
{
    return (uint64_t)sqlite3_column_int64(c->stmt, c->next++);
}

/* The schema's CHECKs keep ids of other lengths out of keys. */
void wb_take_id(wb_columns *c, void *out, size_t len)
{
    wb_slice s = wb_take_bytes(c);
    if (s.len == len)
        memcpy(out, s.ptr, len);
    else
        memset(out, 0, len);
}

/* ---- rows ----------------------------------------------------------------------------------- */

wb_stored_span wb_read_span(sqlite3_stmt *stmt)
{
    wb_columns c = {stmt, 0};
    wb_stored_span row = {.span_row = wb_take_number(&c)};
    WB_TAKE_ID(&c, row.trace_id);
    WB_TAKE_ID(&c, row.span_id);
    WB_TAKE_ID(&c, row.parent_id);
    row.name = wb_take_bytes(&c);
    row.kind = wb_take_bytes(&c);
    row.status = wb_take_bytes(&c);
    row.status_message = wb_take_bytes(&c);
    row.service = wb_take_bytes(&c);
    row.span_type = wb_take_bytes(&c);
    row.error_type = wb_take_bytes(&c);
    row.session_id = wb_take_bytes(&c);
    WB_TAKE_ID(&c, row.acceptance_id);
    WB_TAKE_ID(&c, row.delegation_id);
    row.started_ns = wb_take_number(&c);
    row.ended_ns = wb_take_number(&c);
    row.sidecar_id = wb_take_number(&c);
    row.seq = wb_take_number(&c);
    row.resource_id = wb_take_number(&c);
    row.scope_id = wb_take_number(&c);
    row.span = wb_take_bytes(&c);
    row.resource = wb_take_bytes(&c);
    row.scope = wb_take_bytes(&c);
    row.agent_id = wb_take_bytes(&c);
    row.sidecar_name = wb_take_bytes(&c);
    return row;
}

static void read_delegation_parties(wb_columns *c, wb_stored_delegation *row)
{
    row->target_url = wb_take_bytes(c);
    row->target_agent_id = wb_take_bytes(c);
    row->target_name = wb_take_bytes(c);
    row->method = wb_take_bytes(c);
    row->message_id = wb_take_bytes(c);
    row->context_id = wb_take_bytes(c);
    row->task_id = wb_take_bytes(c);
    row->body_digest = wb_take_bytes(c);
    row->task_state = wb_take_bytes(c);
    row->error_type = wb_take_bytes(c);
    row->event = wb_take_bytes(c);
}

static uint64_t take_limit(wb_columns *c)
{
    if (sqlite3_column_type(c->stmt, c->next) != SQLITE_NULL) return wb_take_number(c);
    c->next++;
    return WB_NOLIM;
}

static void read_granted(wb_columns *c, wb_stored_delegation *row)
{
    row->currency = wb_take_bytes(c);
    row->granted_cost_micros = take_limit(c);
    row->granted_tokens = take_limit(c);
    row->granted_ms = take_limit(c);
    row->turns = (uint32_t)wb_take_number(c);
}

wb_stored_delegation wb_read_delegation(sqlite3_stmt *stmt)
{
    wb_columns c = {stmt, 0};
    wb_stored_delegation row = {0};
    WB_TAKE_ID(&c, row.delegation_id);
    row.version = wb_take_number(&c);
    row.state = wb_take_bytes(&c);
    WB_TAKE_ID(&c, row.trace_id);
    WB_TAKE_ID(&c, row.span_id);
    WB_TAKE_ID(&c, row.parent_id);
    row.trace_flags = (uint32_t)wb_take_number(&c);
    WB_TAKE_ID(&c, row.parent_acceptance);
    read_delegation_parties(&c, &row);
    row.opened_ns = wb_take_number(&c);
    row.updated_ns = wb_take_number(&c);
    row.closed_ns = wb_take_number(&c);
    row.deadline_ns = wb_take_number(&c);
    row.late_answer = wb_take_number(&c) != 0;
    row.chain = wb_take_bytes(&c);
    row.unsigned_reason = wb_take_bytes(&c);
    row.token_hash = wb_take_bytes(&c);
    row.token_exp_s = wb_take_number(&c);
    row.issuer = wb_take_bytes(&c);
    row.key_id = wb_take_bytes(&c);
    row.depth = (uint32_t)wb_take_number(&c);
    read_granted(&c, &row);
    row.sidecar_id = wb_take_number(&c);
    row.seq = wb_take_number(&c);
    row.agent_id = wb_take_bytes(&c);
    row.sidecar_name = wb_take_bytes(&c);
    return row;
}

static void read_acceptance_token(wb_columns *c, wb_stored_acceptance *row)
{
    row->verdict = wb_take_bytes(c);
    row->verified = wb_take_number(c) != 0;
    row->code = wb_take_bytes(c);
    row->warnings = wb_take_bytes(c);
    row->pass = wb_take_number(c) != 0;
    row->agent_id = wb_take_bytes(c);
    row->issuer = wb_take_bytes(c);
    row->subject = wb_take_bytes(c);
    row->jti = wb_take_bytes(c);
    row->token_hash = wb_take_bytes(c);
    row->token_exp_s = wb_take_number(c);
    row->chain = wb_take_bytes(c);
    row->depth = (uint32_t)wb_take_number(c);
}

wb_stored_acceptance wb_read_acceptance(sqlite3_stmt *stmt)
{
    wb_columns c = {stmt, 0};
    wb_stored_acceptance row = {0};
    WB_TAKE_ID(&c, row.acceptance_id);
    row.version = wb_take_number(&c);
    read_acceptance_token(&c, &row);
    WB_TAKE_ID(&c, row.trace_id);
    WB_TAKE_ID(&c, row.span_id);
    WB_TAKE_ID(&c, row.parent_id);
    row.trace_flags = (uint32_t)wb_take_number(&c);
    WB_TAKE_ID(&c, row.link_trace_id);
    WB_TAKE_ID(&c, row.link_span_id);
    row.method = wb_take_bytes(&c);
    row.message_id = wb_take_bytes(&c);
    row.context_id = wb_take_bytes(&c);
    row.task_id = wb_take_bytes(&c);
    row.body_digest = wb_take_bytes(&c);
    row.peer = wb_take_bytes(&c);
    row.opened_ns = wb_take_number(&c);
    row.finished_ns = wb_take_number(&c);
    row.deadline_ns = wb_take_number(&c);
    row.outcome = wb_take_bytes(&c);
    row.error_type = wb_take_bytes(&c);
    row.task_state = wb_take_bytes(&c);
    row.sidecar_id = wb_take_number(&c);
    row.seq = wb_take_number(&c);
    row.sidecar_name = wb_take_bytes(&c);
    return row;
}
