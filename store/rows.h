/* SPDX-License-Identifier: Apache-2.0 */
/* store/rows.h: what the engines read alike: lists of columns, and the rows that are made of them. Columns
 * are listed by name, in the order in which the readers take them, so that a later migration may add
 * columns without touching readers of the old ones. */
#ifndef WAYBILL_STORE_ROWS_H
#define WAYBILL_STORE_ROWS_H

#include "store/store.h"

/** How an engine gives the column `at` of the row in hand. */
typedef struct wb_column_source {
    wb_slice (*bytes)(void *row, int at);  /* text too; empty where NULL */
    uint64_t (*number)(void *row, int at); /* 0 where NULL */
    bool (*is_null)(void *row, int at);
} wb_column_source;

/** Columns from left to right. */
typedef struct wb_columns {
    const wb_column_source *from;
    void *row;
    int next;
} wb_columns;

wb_slice wb_take_bytes(wb_columns *c); /* text too */
uint64_t wb_take_number(wb_columns *c);
/** An id of another length than its type's is absent. */
void wb_take_id(wb_columns *c, void *out, size_t len);
#define WB_TAKE_ID(c, id) wb_take_id(c, (id).b, sizeof(id).b)

/* Each list with its reader; `s` goes before the names of tables: "" or "waybill." */

#define WB_TRACE_COLUMNS                                                                           \
    "trace_id, status, started_ns, ended_ns, span_count, error_count, sidecar_count,"              \
    " agent_count, delegation_count, open_delegation_count, acceptance_count, depth,"              \
    " root_span_id, root_name, root_service, session_id"
wb_stored_trace wb_read_trace(wb_columns c);

#define WB_SIDECAR_COLUMNS                                                                         \
    "sidecar_id, journal_id, agent_id, name, version, isolation, first_seen_ns, last_seen_ns"
wb_stored_sidecar wb_read_sidecar(wb_columns c);

#define WB_SPAN_HEAD                                                                               \
    "span_row, trace_id, span_id, parent_span_id, s.name, kind, status, status_message, service,"  \
    " span_type, error_type, session_id, acceptance_id, delegation_id, started_ns, ended_ns,"      \
    " s.sidecar_id, seq, resource_id, scope_id, span, r.bytes AS resource, c.bytes AS scope,"      \
    " w.agent_id, w.name AS sidecar_name"
#define WB_SPAN_FROM(s)                                                                            \
    " FROM " s "spans s LEFT JOIN " s "resources r USING (resource_id) LEFT JOIN " s               \
    "scopes c USING (scope_id) LEFT JOIN " s "sidecars w ON w.sidecar_id = s.sidecar_id"
#define WB_SPAN_COLUMNS(s) WB_SPAN_HEAD WB_SPAN_FROM(s)
wb_stored_span wb_read_span(wb_columns c);

#define WB_LOG_COLUMNS(s)                                                                          \
    "log_row, trace_id, span_id, time_ns, observed_ns, severity, severity_text, event_name, body," \
    " service, acceptance_id, delegation_id, l.sidecar_id, seq, entry, item, log, r.bytes,"        \
    " c.bytes, w.agent_id, w.name"                                                                 \
    " FROM " s "logs l LEFT JOIN " s "resources r USING (resource_id) LEFT JOIN " s                \
    "scopes c USING (scope_id) LEFT JOIN " s "sidecars w ON w.sidecar_id = l.sidecar_id"
wb_stored_log wb_read_log(wb_columns c);

#define WB_DELEGATION_COLUMNS(s)                                                                   \
    "delegation_id, version, state, trace_id, span_id, parent_span_id, trace_flags,"               \
    " parent_acceptance, target_url, target_agent_id, target_name, method, message_id, "           \
    "context_id,"                                                                                  \
    " task_id, body_digest, task_state, error_type, event, opened_ns, updated_ns, closed_ns,"      \
    " deadline_ns, late_answer, chain, unsigned_reason, token_hash, token_exp_s, issuer, key_id,"  \
    " depth, currency, granted_cost_micros, granted_tokens, granted_ms, turns, sidecar_id, seq,"   \
    " (SELECT w.agent_id FROM " s "sidecars w WHERE w.sidecar_id = d.sidecar_id),"                 \
    " (SELECT w.name FROM " s "sidecars w WHERE w.sidecar_id = d.sidecar_id)"
wb_stored_delegation wb_read_delegation(wb_columns c);

#define WB_ACCEPTANCE_COLUMNS(s)                                                                   \
    "acceptance_id, version, verdict, verified, code, warnings, pass, agent_id, issuer, subject,"  \
    " jti, token_hash, token_exp_s, chain, depth, trace_id, span_id, parent_span_id, trace_flags," \
    " link_trace_id, link_span_id, method, message_id, context_id, task_id, body_digest, peer,"    \
    " opened_ns, finished_ns, deadline_ns, outcome, error_type, task_state, sidecar_id, seq,"      \
    " (SELECT w.name FROM " s "sidecars w WHERE w.sidecar_id = a.sidecar_id)"
wb_stored_acceptance wb_read_acceptance(wb_columns c);

wb_stored_agent wb_read_agent(wb_columns c);
wb_stored_lenience wb_read_lenience(wb_columns c);

#endif
