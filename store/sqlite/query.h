/* SPDX-License-Identifier: Apache-2.0 */
/* store/sqlite/query.h: what the read queries share: their connection, one statement's life, its
 * columns from left to right, and the rows that more than one query reads. */
#ifndef WAYBILL_STORE_SQLITE_QUERY_H
#define WAYBILL_STORE_SQLITE_QUERY_H

#include "store/sqlite/database.h"
#include "store/store.h"

enum { WB_QUERY_WAIT_MS = 5000 }; /* for locks of others */

struct wb_store {
    wb_sqlite *db;
    int64_t data_version; /* at the last wb_store_changed; 0: never asked */
};

/* ---- a statement ---------------------------------------------------------------------------- */

/** From here on the statement waits for locks as long as a reader may. */
WB_MUST_USE wb_status wb_query_prepare(wb_store *store, const char *sql, struct sqlite3_stmt **stmt,
                                       wb_error *err);
/* Absent is left NULL. */
void wb_query_bind_text(struct sqlite3_stmt *stmt, int at, wb_slice text);
void wb_query_bind_id(struct sqlite3_stmt *stmt, int at, const void *id, size_t len);
/** True with a row at hand; else the query is over and *status says how. */
bool wb_query_step(wb_store *store, struct sqlite3_stmt *stmt, wb_status *status, wb_error *err);

/* ---- columns, from left to right ------------------------------------------------------------ */

typedef struct wb_columns {
    struct sqlite3_stmt *stmt;
    int next;
} wb_columns;

wb_slice wb_take_bytes(wb_columns *c); /* text too */
uint64_t wb_take_number(wb_columns *c);
/** An id of another length than its type's is absent. */
void wb_take_id(wb_columns *c, void *out, size_t len);
#define WB_TAKE_ID(c, id) wb_take_id(c, (id).b, sizeof(id).b)

/* ---- rows: each list of columns with its reader --------------------------------------------- */

#define WB_SPAN_COLUMNS                                                                            \
    "span_row, trace_id, span_id, parent_span_id, s.name, kind, status, status_message, service,"  \
    " span_type, error_type, session_id, acceptance_id, delegation_id, started_ns, ended_ns,"      \
    " s.sidecar_id, seq, resource_id, scope_id, span, r.bytes, c.bytes, w.agent_id, w.name"        \
    " FROM spans s LEFT JOIN resources r USING (resource_id) LEFT JOIN scopes c USING (scope_id)"  \
    " LEFT JOIN sidecars w ON w.sidecar_id = s.sidecar_id"
wb_stored_span wb_read_span(struct sqlite3_stmt *stmt);

#define WB_DELEGATION_COLUMNS                                                                      \
    "delegation_id, version, state, trace_id, span_id, parent_span_id, trace_flags,"               \
    " parent_acceptance, target_url, target_agent_id, target_name, method, message_id, "           \
    "context_id,"                                                                                  \
    " task_id, body_digest, task_state, error_type, event, opened_ns, updated_ns, closed_ns,"      \
    " deadline_ns, late_answer, chain, unsigned_reason, token_hash, token_exp_s, issuer, key_id,"  \
    " depth, currency, granted_cost_micros, granted_tokens, granted_ms, turns, sidecar_id, seq,"   \
    " (SELECT w.agent_id FROM sidecars w WHERE w.sidecar_id = d.sidecar_id),"                      \
    " (SELECT w.name FROM sidecars w WHERE w.sidecar_id = d.sidecar_id)"
wb_stored_delegation wb_read_delegation(struct sqlite3_stmt *stmt);

#define WB_ACCEPTANCE_COLUMNS                                                                      \
    "acceptance_id, version, verdict, verified, code, warnings, pass, agent_id, issuer, subject,"  \
    " jti, token_hash, token_exp_s, chain, depth, trace_id, span_id, parent_span_id, trace_flags," \
    " link_trace_id, link_span_id, method, message_id, context_id, task_id, body_digest, peer,"    \
    " opened_ns, finished_ns, deadline_ns, outcome, error_type, task_state, sidecar_id, seq,"      \
    " (SELECT w.name FROM sidecars w WHERE w.sidecar_id = a.sidecar_id)"
wb_stored_acceptance wb_read_acceptance(struct sqlite3_stmt *stmt);

#endif
