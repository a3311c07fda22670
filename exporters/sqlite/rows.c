/* SPDX-License-Identifier: Apache-2.0 */
/* Everything written here may be written again: spans keep their first row, delegation and acceptance
 * rows are after-images that only a higher version replaces, and totals grow by what was really
 * inserted. So `delivered` is a short cut and not what correctness hangs on, and a transaction may end
 * anywhere between two rows.
 *
 * A delegation row is replaced by the sidecar that wrote it and by no other: ids are made by clients,
 * and one that picks another agent's id must not overwrite that agent's row. */
#include "exporters/sqlite/rows.h"

#include "core/delegation_state.h"
#include "core/json.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

#include <errno.h>
#include <sqlite3.h>

static const char *const statements[WB_ROWS_STATEMENTS] = {
    [WB_ROWS_SIDECAR] =
        "INSERT INTO sidecars (journal_id, agent_id, name, version, isolation, first_seen_ns,"
        " last_seen_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (journal_id) DO UPDATE SET"
        " agent_id = ?2, name = ?3, version = ?4, isolation = ?5, last_seen_ns = ?6"
        " RETURNING sidecar_id",
    [WB_ROWS_SEEN] = "UPDATE sidecars SET last_seen_ns = ?2 WHERE sidecar_id = ?1",
    [WB_ROWS_DELIVERED] = "SELECT seq, entry FROM delivered WHERE journal_id = ?",
    [WB_ROWS_DELIVER] =
        "INSERT OR REPLACE INTO delivered (journal_id, seq, entry) VALUES (?, ?, ?)",
    [WB_ROWS_FIND_RESOURCE] = "SELECT resource_id FROM resources WHERE bytes = ?",
    [WB_ROWS_ADD_RESOURCE] = "INSERT INTO resources (bytes) VALUES (?) RETURNING resource_id",
    [WB_ROWS_FIND_SCOPE] = "SELECT scope_id FROM scopes WHERE bytes = ?",
    [WB_ROWS_ADD_SCOPE] = "INSERT INTO scopes (bytes) VALUES (?) RETURNING scope_id",
    [WB_ROWS_SPAN] =
        "INSERT INTO spans (trace_id, span_id, parent_span_id, name, kind, started_ns, ended_ns,"
        " status, status_message, service, span_type, error_type, session_id, acceptance_id,"
        " delegation_id, sidecar_id, seq, resource_id, scope_id, span) VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (trace_id, span_id) DO NOTHING",
    [WB_ROWS_LOG] =
        "INSERT INTO logs (trace_id, span_id, time_ns, observed_ns, severity, severity_text,"
        " event_name, body, service, acceptance_id, delegation_id, sidecar_id, seq, entry, item,"
        " resource_id, scope_id, log) VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sidecar_id, seq, entry, item) DO NOTHING",
    [WB_ROWS_KNOWN_DELEGATION] = "SELECT 1 FROM delegations WHERE delegation_id = ?",
    [WB_ROWS_DELEGATION] =
        "INSERT OR REPLACE INTO delegations (delegation_id, version, sidecar_id, seq, state, "
        "trace_id,"
        " span_id, parent_span_id, trace_flags, parent_acceptance, target_url, target_agent_id,"
        " target_name, method, message_id, context_id, task_id, body_digest, task_state, "
        "error_type,"
        " event, opened_ns, updated_ns, closed_ns, deadline_ns, late_answer, chain, "
        "unsigned_reason,"
        " token_hash, token_exp_s, issuer, key_id, depth, currency, granted_cost_micros,"
        " granted_tokens, granted_ms, turns)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
        "?19,"
        " ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36,"
        " ?37, ?38"
        " WHERE NOT EXISTS (SELECT 1 FROM delegations WHERE delegation_id = ?1"
        "  AND (version >= ?2 OR sidecar_id <> ?3))",
    [WB_ROWS_KNOWN_ACCEPTANCE] = "SELECT 1 FROM acceptances WHERE acceptance_id = ?",
    [WB_ROWS_ACCEPTANCE] =
        "INSERT OR REPLACE INTO acceptances (acceptance_id, version, sidecar_id, seq, verdict,"
        " verified, code, warnings, pass, agent_id, issuer, subject, jti, token_hash, token_exp_s,"
        " chain, depth, trace_id, span_id, parent_span_id, trace_flags, link_trace_id, "
        "link_span_id,"
        " method, message_id, context_id, task_id, body_digest, peer, opened_ns, finished_ns,"
        " deadline_ns, outcome, error_type, task_state)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
        "?19,"
        " ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35"
        " WHERE NOT EXISTS (SELECT 1 FROM acceptances WHERE acceptance_id = ?1"
        "  AND (version >= ?2 OR sidecar_id <> ?3))",
    [WB_ROWS_PART] =
        "INSERT INTO trace_parts (trace_id, sidecar_id, span_count, error_count, delegation_count,"
        " acceptance_count, started_ns, ended_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (trace_id, sidecar_id) DO UPDATE SET"
        " span_count = span_count + excluded.span_count,"
        " error_count = error_count + excluded.error_count,"
        " delegation_count = delegation_count + excluded.delegation_count,"
        " acceptance_count = acceptance_count + excluded.acceptance_count,"
        " started_ns = min(started_ns, excluded.started_ns),"
        " ended_ns = max(ended_ns, excluded.ended_ns)",
};

/* ---- values and runs ------------------------------------------------------------------------ */

wb_rows_values wb_rows_values_of(wb_rows *rows, wb_rows_statement which)
{
    return (wb_rows_values){rows->stmts[which], 1};
}

/* Binding fails only when memory is out, which leaves NULL; NOT NULL columns then refuse the row, and
 * sqlite3_step says NOMEM for the others. */

void wb_put_number(wb_rows_values *v, uint64_t number)
{
    int64_t value = number > INT64_MAX ? INT64_MAX : (int64_t)number;
    (void)sqlite3_bind_int64(v->stmt, v->next++, value);
}

void wb_put_number_or_null(wb_rows_values *v, uint64_t number)
{
    if (number == 0)
        (void)sqlite3_bind_null(v->stmt, v->next++);
    else
        wb_put_number(v, number);
}

void wb_put_text(wb_rows_values *v, wb_slice text)
{
    if (text.len == 0)
        (void)sqlite3_bind_null(v->stmt, v->next++);
    else
        (void)sqlite3_bind_text64(v->stmt, v->next++, (const char *)text.ptr, text.len,
                                  SQLITE_STATIC, SQLITE_UTF8);
}

void wb_put_str(wb_rows_values *v, const char *text) { wb_put_text(v, wb_slice_str(text)); }

void wb_put_blob(wb_rows_values *v, wb_slice bytes)
{
    if (bytes.len == 0)
        (void)sqlite3_bind_null(v->stmt, v->next++);
    else
        (void)sqlite3_bind_blob64(v->stmt, v->next++, bytes.ptr, bytes.len, SQLITE_STATIC);
}

void wb_put_empty(wb_rows_values *v) { (void)sqlite3_bind_zeroblob(v->stmt, v->next++, 0); }

void wb_put_id(wb_rows_values *v, const void *id, size_t len)
{
    wb_put_blob(v, wb_id_is_zero(id, len) ? (wb_slice){NULL, 0} : wb_slice_of(id, len));
}

static void put_bytes(wb_rows_values *v, ProtobufCBinaryData bytes)
{
    wb_put_blob(v, wb_slice_of(bytes.data, bytes.len));
}

wb_status wb_rows_run(wb_rows *rows, wb_rows_values *v, int64_t *found, wb_error *err)
{
    wb_status status = WB_OK;
    if (found) *found = 0;
    int code = sqlite3_step(v->stmt);
    if (code == SQLITE_ROW) {
        if (found) *found = sqlite3_column_int64(v->stmt, 0);
        code = sqlite3_step(v->stmt); /* an INSERT ... RETURNING is complete only behind its row */
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        status = wb_sqlite_fail(rows->db, code, "store", err);
    (void)sqlite3_reset(v->stmt); /* repeats the step's code */
    (void)sqlite3_clear_bindings(v->stmt);
    return status;
}

bool wb_rows_changed(const wb_rows *rows)
{
    return sqlite3_changes(wb_sqlite_handle(rows->db)) > 0;
}

/* ---- totals --------------------------------------------------------------------------------- */

static wb_status write_part(wb_rows *rows, wb_error *err)
{
    wb_rows_part *part = &rows->part;
    if (WB_ID_ABSENT(part->trace_id)) return WB_OK;
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_PART);
    wb_put_id(&v, part->trace_id.b, sizeof part->trace_id.b);
    wb_put_number(&v, (uint64_t)rows->sidecar_id);
    wb_put_number(&v, part->spans);
    wb_put_number(&v, part->errors);
    wb_put_number(&v, part->delegations);
    wb_put_number(&v, part->acceptances);
    wb_put_number(&v, part->started_ns);
    wb_put_number(&v, part->ended_ns);
    WB_TRY(wb_rows_run(rows, &v, NULL, err));
    *part = (wb_rows_part){0};
    return WB_OK;
}

wb_status wb_rows_part_of(wb_rows *rows, const wb_trace_id *trace, wb_time_ns started_ns,
                          wb_rows_part **out, wb_error *err)
{
    wb_rows_part *part = &rows->part;
    if (!WB_ID_EQ(part->trace_id, *trace)) {
        WB_TRY(write_part(rows, err));
        *part = (wb_rows_part){.trace_id = *trace, .started_ns = started_ns};
    }
    if (started_ns < part->started_ns) part->started_ns = started_ns;
    *out = part;
    return WB_OK;
}

/* ---- the connection and its transactions ---------------------------------------------------- */

static wb_status write_sidecar(wb_rows *rows, const wb_exporter_origin *origin, wb_error *err)
{
    WB_TRY(wb_sqlite_begin(rows->db, err));
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_SIDECAR);
    wb_put_id(&v, origin->journal_id.b, sizeof origin->journal_id.b);
    wb_put_str(&v, origin->agent_id);
    wb_put_str(&v, origin->name);
    wb_put_str(&v, origin->version);
    wb_put_str(&v, origin->isolation);
    wb_put_number(&v, wb_now(&wb_system_clock));
    WB_TRY(wb_rows_run(rows, &v, &rows->sidecar_id, err));
    return wb_sqlite_commit(rows->db, err);
}

wb_status wb_rows_open(wb_rows *rows, const char *path, uint32_t timeout_ms,
                       const wb_exporter_origin *origin, wb_error *err)
{
    wb_status status = wb_sqlite_open(path, WB_SQLITE_WRITE, timeout_ms, &rows->db, err);
    for (size_t i = 0; i < WB_ROWS_STATEMENTS && status == WB_OK; i++)
        status = wb_sqlite_prepare(rows->db, statements[i], &rows->stmts[i], err);
    if (status == WB_OK) status = write_sidecar(rows, origin, err);
    if (status != WB_OK) wb_rows_close(rows);
    return status;
}

void wb_rows_close(wb_rows *rows)
{
    for (size_t i = 0; i < WB_ROWS_STATEMENTS; i++) {
        (void)sqlite3_finalize(rows->stmts[i]); /* repeats its last step's code */
        rows->stmts[i] = NULL;
    }
    wb_sqlite_close(rows->db); /* rolls back */
    rows->db = NULL;
    rows->part = (wb_rows_part){0};
}

static wb_status read_mark(wb_rows *rows, const wb_exporter_origin *origin, wb_rows_mark *mark,
                           wb_error *err)
{
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_DELIVERED);
    wb_status status = WB_OK;
    wb_put_id(&v, origin->journal_id.b, sizeof origin->journal_id.b);
    *mark = (wb_rows_mark){0};
    int code = sqlite3_step(v.stmt);
    if (code == SQLITE_ROW) {
        mark->seq = (uint64_t)sqlite3_column_int64(v.stmt, 0);
        mark->entry = (uint32_t)sqlite3_column_int64(v.stmt, 1);
    } else if (code != SQLITE_DONE) {
        status = wb_sqlite_fail(rows->db, code, "store", err);
    }
    (void)sqlite3_reset(v.stmt); /* repeats the step's code */
    return status;
}

wb_status wb_rows_begin(wb_rows *rows, const wb_exporter_origin *origin, wb_rows_mark *mark,
                        wb_error *err)
{
    WB_TRY(wb_sqlite_begin(rows->db, err));
    rows->part = (wb_rows_part){0};
    return read_mark(rows, origin, mark, err);
}

wb_status wb_rows_commit(wb_rows *rows, const wb_exporter_origin *origin, const wb_rows_mark *mark,
                         wb_error *err)
{
    WB_TRY(write_part(rows, err));
    wb_rows_values seen = wb_rows_values_of(rows, WB_ROWS_SEEN);
    wb_put_number(&seen, (uint64_t)rows->sidecar_id);
    wb_put_number(&seen, wb_now(&wb_system_clock));
    WB_TRY(wb_rows_run(rows, &seen, NULL, err));
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_DELIVER);
    wb_put_id(&v, origin->journal_id.b, sizeof origin->journal_id.b);
    wb_put_number(&v, mark->seq);
    wb_put_number(&v, mark->entry);
    WB_TRY(wb_rows_run(rows, &v, NULL, err));
    return wb_sqlite_commit(rows->db, err);
}

void wb_rows_rollback(wb_rows *rows)
{
    wb_sqlite_rollback(rows->db);
    rows->part = (wb_rows_part){0};
}

/* ---- delegations and acceptances ------------------------------------------------------------ */

/* A repeated text field as a JSON array, in the arena: the rows' chain and warnings columns. */
static wb_status put_list(wb_rows *rows, wb_rows_values *v, char *const *items, size_t n,
                          wb_error *err)
{
    WB_AUTO_BUFFER json;
    wb_slice text;
    wb_buffer_init(&json, SIZE_MAX);
    wb_status status = wb_buffer_add(&json, "[", 1);
    for (size_t i = 0; i < n && status == WB_OK; i++) {
        if (i > 0) status = wb_buffer_add(&json, ",", 1);
        if (status == WB_OK) status = wb_json_add_string(&json, wb_slice_str(items[i]));
    }
    if (status == WB_OK) status = wb_buffer_add(&json, "]", 1);
    if (status == WB_OK) status = wb_arena_dup(rows->arena, wb_buffer_slice(&json), &text);
    if (status != WB_OK) return wb_fail(err, status, "store: no memory for a row");
    wb_put_text(v, text);
    return WB_OK;
}

/* protobuf-c checks no lengths: ids that key the tables must be what they say. */
static bool is_id(ProtobufCBinaryData bytes, size_t len)
{
    return bytes.len == len && !wb_id_is_zero(bytes.data, len);
}

static wb_status known(wb_rows *rows, wb_rows_statement which, ProtobufCBinaryData id, bool *out,
                       wb_error *err)
{
    int64_t found;
    wb_rows_values v = wb_rows_values_of(rows, which);
    put_bytes(&v, id);
    WB_TRY(wb_rows_run(rows, &v, &found, err));
    *out = found != 0;
    return WB_OK;
}

/* No limit, and no token, are NULL; the currency says which. */
static void put_limit(wb_rows_values *v, bool granted, uint64_t limit)
{
    if (granted && limit < WB_NOLIM)
        wb_put_number(v, limit);
    else
        (void)sqlite3_bind_null(v->stmt, v->next++);
}

static void put_granted(wb_rows_values *v, const Waybill__V1__DelegationRow *d)
{
    bool granted = d->currency[0] != '\0';
    wb_put_str(v, d->currency);
    put_limit(v, granted, d->granted_cost);
    put_limit(v, granted, d->granted_tokens);
    put_limit(v, granted, d->granted_ms);
}

static wb_status bind_delegation(wb_rows *rows, wb_rows_values *v,
                                 const Waybill__V1__DelegationRow *d, uint64_t seq, wb_error *err)
{
    put_bytes(v, d->id);
    wb_put_number(v, d->version);
    wb_put_number(v, (uint64_t)rows->sidecar_id);
    wb_put_number(v, seq);
    wb_put_str(v, wb_delegation_state_name((wb_delegation_state)d->state));
    put_bytes(v, d->trace_id);
    put_bytes(v, d->span_id);
    put_bytes(v, d->parent_span_id);
    wb_put_number(v, d->trace_flags);
    put_bytes(v, d->parent_acceptance);
    wb_put_str(v, d->target_url);
    wb_put_str(v, d->target_agent_id);
    wb_put_str(v, d->target_name);
    wb_put_str(v, d->method);
    wb_put_str(v, d->message_id);
    wb_put_str(v, d->context_id);
    wb_put_str(v, d->task_id);
    put_bytes(v, d->body_digest);
    wb_put_str(v, d->task_state);
    wb_put_str(v, d->error_type);
    wb_put_str(v, d->event);
    wb_put_number(v, d->opened_ns);
    wb_put_number(v, d->updated_ns);
    wb_put_number_or_null(v, d->closed_ns);
    wb_put_number_or_null(v, d->deadline_ns);
    wb_put_number(v, d->late_answer ? 1 : 0);
    WB_TRY(put_list(rows, v, d->chain, d->n_chain, err));
    wb_put_str(v, d->unsigned_reason);
    put_bytes(v, d->token_hash);
    wb_put_number_or_null(v, d->token_exp_s);
    wb_put_str(v, d->issuer);
    wb_put_str(v, d->key_id);
    wb_put_number(v, d->depth);
    put_granted(v, d);
    wb_put_number(v, UINT64_C(1) + d->later_turns);
    return WB_OK;
}

/* A row that does not unpack never will, unless memory was what it lacked. */
static wb_status unreadable(const char *what, wb_error *err)
{
    if (errno == ENOMEM) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory for %s", what);
    return wb_fail(err, WB_ERR_REJECTED, "not %s", what);
}

wb_status wb_rows_delegation(wb_rows *rows, const wb_record_view *record, wb_error *err)
{
    errno = 0;
    ProtobufCAllocator *allocator = wb_arena_allocator(rows->arena);
    const Waybill__V1__DelegationRow *d =
        waybill__v1__delegation_row__unpack(allocator, record->payload.len, record->payload.ptr);
    if (!d || !is_id(d->id, 16) || !is_id(d->trace_id, 16) || !is_id(d->span_id, 8))
        return unreadable("a delegation row", err);
    bool repeated;
    WB_TRY(known(rows, WB_ROWS_KNOWN_DELEGATION, d->id, &repeated, err));
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_DELEGATION);
    WB_TRY(bind_delegation(rows, &v, d, record->seq, err));
    WB_TRY(wb_rows_run(rows, &v, NULL, err));
    if (repeated) return WB_OK;
    wb_trace_id trace;
    wb_rows_part *part;
    memcpy(trace.b, d->trace_id.data, sizeof trace.b);
    WB_TRY(wb_rows_part_of(rows, &trace, d->opened_ns, &part, err));
    part->delegations++;
    return WB_OK;
}

static const char *verdict_name(Waybill__V1__Verdict verdict)
{
    switch ((int)verdict) {
    case WAYBILL__V1__VERDICT__VERDICT_CONTINUE: return "continue";
    case WAYBILL__V1__VERDICT__VERDICT_LINK: return "link";
    case WAYBILL__V1__VERDICT__VERDICT_DUPLICATE: return "duplicate";
    case WAYBILL__V1__VERDICT__VERDICT_REJECT: return "reject";
    default: return "unspecified";
    }
}

static wb_status bind_acceptance(wb_rows *rows, wb_rows_values *v,
                                 const Waybill__V1__AcceptanceRow *a, uint64_t seq, wb_error *err)
{
    put_bytes(v, a->id);
    wb_put_number(v, a->version);
    wb_put_number(v, (uint64_t)rows->sidecar_id);
    wb_put_number(v, seq);
    wb_put_str(v, verdict_name((Waybill__V1__Verdict)a->verdict));
    wb_put_number(v, a->verified ? 1 : 0);
    wb_put_str(v, a->code);
    WB_TRY(put_list(rows, v, a->warnings, a->n_warnings, err));
    wb_put_number(v, a->pass ? 1 : 0);
    wb_put_str(v, a->agent_id);
    wb_put_str(v, a->issuer);
    wb_put_str(v, a->subject);
    wb_put_str(v, a->jti);
    put_bytes(v, a->token_hash);
    wb_put_number_or_null(v, a->token_exp_s);
    WB_TRY(put_list(rows, v, a->chain, a->n_chain, err));
    wb_put_number(v, a->depth);
    put_bytes(v, a->trace_id);
    put_bytes(v, a->span_id);
    put_bytes(v, a->parent_span_id);
    wb_put_number(v, a->trace_flags);
    put_bytes(v, a->link_trace_id);
    put_bytes(v, a->link_span_id);
    wb_put_str(v, a->method);
    wb_put_str(v, a->message_id);
    wb_put_str(v, a->context_id);
    wb_put_str(v, a->task_id);
    put_bytes(v, a->body_digest);
    wb_put_str(v, a->peer);
    wb_put_number(v, a->opened_ns);
    wb_put_number_or_null(v, a->finished_ns);
    wb_put_number_or_null(v, a->deadline_ns);
    wb_put_str(v, a->outcome);
    wb_put_str(v, a->error_type);
    wb_put_str(v, a->task_state);
    return WB_OK;
}

wb_status wb_rows_acceptance(wb_rows *rows, const wb_record_view *record, wb_error *err)
{
    errno = 0;
    ProtobufCAllocator *allocator = wb_arena_allocator(rows->arena);
    const Waybill__V1__AcceptanceRow *a =
        waybill__v1__acceptance_row__unpack(allocator, record->payload.len, record->payload.ptr);
    if (!a || !is_id(a->id, 16) || !is_id(a->trace_id, 16) || !is_id(a->span_id, 8))
        return unreadable("an acceptance row", err);
    bool repeated;
    WB_TRY(known(rows, WB_ROWS_KNOWN_ACCEPTANCE, a->id, &repeated, err));
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_ACCEPTANCE);
    WB_TRY(bind_acceptance(rows, &v, a, record->seq, err));
    WB_TRY(wb_rows_run(rows, &v, NULL, err));
    if (repeated) return WB_OK;
    wb_trace_id trace;
    wb_rows_part *part;
    memcpy(trace.b, a->trace_id.data, sizeof trace.b);
    WB_TRY(wb_rows_part_of(rows, &trace, a->opened_ns, &part, err));
    part->acceptances++;
    return WB_OK;
}
