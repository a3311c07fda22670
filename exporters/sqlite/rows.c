/* SPDX-License-Identifier: Apache-2.0 */
/* Everything written here may be written again: spans keep their first row, delegation and acceptance
 * rows are after-images that only a higher version replaces, and totals grow by what was really
 * inserted. So `delivered` is a short cut and not what correctness hangs on, and a transaction may end
 * anywhere between two rows.
 *
 * A delegation row is replaced by the sidecar that wrote it and by no other: ids are made by clients,
 * and one that picks another agent's id must not overwrite that agent's row. */
#include "exporters/sqlite/rows.h"

#include <sqlite3.h>

#define MARK(name, type) "?, "
#define SPAN_NAMES WB_SPAN_CELLS(WB_CELL_NAME)
#define SPAN_MARKS WB_SPAN_CELLS(MARK)
#define LOG_NAMES WB_LOG_CELLS(WB_CELL_NAME)
#define LOG_MARKS WB_LOG_CELLS(MARK)
#define DELEGATION_NAMES WB_DELEGATION_CELLS(WB_CELL_NAME)
#define DELEGATION_MARKS WB_DELEGATION_CELLS(MARK)
#define ACCEPTANCE_NAMES WB_ACCEPTANCE_CELLS(WB_CELL_NAME)
#define ACCEPTANCE_MARKS WB_ACCEPTANCE_CELLS(MARK)

/* ?1 of delegations and acceptances is the id, ?2 the version. */
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
        "INSERT INTO spans (" SPAN_NAMES "sidecar_id, seq, resource_id, scope_id)"
        " VALUES (" SPAN_MARKS "?, ?, ?, ?) ON CONFLICT (trace_id, span_id) DO NOTHING",
    [WB_ROWS_LOG] =
        "INSERT INTO logs (" LOG_NAMES "sidecar_id, seq, entry, item, resource_id, scope_id)"
        " VALUES (" LOG_MARKS "?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sidecar_id, seq, entry, item) DO NOTHING",
    [WB_ROWS_KNOWN_DELEGATION] = "SELECT 1 FROM delegations WHERE delegation_id = ?",
    [WB_ROWS_DELEGATION] =
        "INSERT OR REPLACE INTO delegations (" DELEGATION_NAMES "sidecar_id, seq)"
        " SELECT " DELEGATION_MARKS ":sidecar, ? WHERE NOT EXISTS (SELECT 1 FROM delegations"
        "  WHERE delegation_id = ?1 AND (version >= ?2 OR sidecar_id <> :sidecar))",
    [WB_ROWS_KNOWN_ACCEPTANCE] = "SELECT 1 FROM acceptances WHERE acceptance_id = ?",
    [WB_ROWS_ACCEPTANCE] =
        "INSERT OR REPLACE INTO acceptances (" ACCEPTANCE_NAMES "sidecar_id, seq)"
        " SELECT " ACCEPTANCE_MARKS ":sidecar, ? WHERE NOT EXISTS (SELECT 1 FROM acceptances"
        "  WHERE acceptance_id = ?1 AND (version >= ?2 OR sidecar_id <> :sidecar))",
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

void wb_put_id(wb_rows_values *v, const void *id, size_t len)
{
    wb_put_blob(v, wb_id_is_zero(id, len) ? (wb_slice){NULL, 0} : wb_slice_of(id, len));
}

void wb_put_cells(wb_rows_values *v, const wb_cells *cells)
{
    for (size_t i = 0; i < cells->n; i++) {
        const wb_cell *cell = &cells->of[i];
        switch (cell->type) {
        case WB_CELL_NULL: (void)sqlite3_bind_null(v->stmt, v->next++); break;
        case WB_CELL_NUMBER:
        case WB_CELL_BOOL: (void)sqlite3_bind_int64(v->stmt, v->next++, cell->number); break;
        case WB_CELL_TEXT: wb_put_text(v, cell->bytes); break;
        case WB_CELL_BYTES:
            if (cell->bytes.len > 0)
                wb_put_blob(v, cell->bytes);
            else
                (void)sqlite3_bind_zeroblob(v->stmt, v->next++, 0);
            break;
        }
    }
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

/* Write a row that has its id in the first cell; *is_new: this store had none of that id. */
static wb_status write_row(wb_rows *rows, const wb_cells *cells, uint64_t seq,
                           wb_rows_statement known, wb_rows_statement write, bool *is_new,
                           wb_error *err)
{
    int64_t found;
    wb_rows_values v = wb_rows_values_of(rows, known);
    wb_put_blob(&v, cells->of[0].bytes);
    WB_TRY(wb_rows_run(rows, &v, &found, err));
    v = wb_rows_values_of(rows, write);
    wb_put_cells(&v, cells);
    wb_put_number(&v, (uint64_t)rows->sidecar_id);
    wb_put_number(&v, seq);
    *is_new = found == 0;
    return wb_rows_run(rows, &v, NULL, err);
}

/* The totals of a row's trace. */
static wb_status part_of_row(wb_rows *rows, const wb_cell *trace_id, const wb_cell *opened_ns,
                             wb_rows_part **out, wb_error *err)
{
    wb_trace_id trace;
    memcpy(trace.b, trace_id->bytes.ptr, sizeof trace.b);
    return wb_rows_part_of(rows, &trace, (wb_time_ns)opened_ns->number, out, err);
}

wb_status wb_rows_delegation(wb_rows *rows, const wb_record_view *record, wb_error *err)
{
    wb_cells cells;
    bool is_new;
    wb_rows_part *part;
    WB_TRY(wb_cells_of_delegation(record->payload, rows->arena, &cells, err));
    WB_TRY(write_row(rows, &cells, record->seq, WB_ROWS_KNOWN_DELEGATION, WB_ROWS_DELEGATION,
                     &is_new, err));
    if (!is_new) return WB_OK;
    WB_TRY(part_of_row(rows, &cells.of[WB_DELEGATION_AT_trace_id],
                       &cells.of[WB_DELEGATION_AT_opened_ns], &part, err));
    part->delegations++;
    return WB_OK;
}

wb_status wb_rows_acceptance(wb_rows *rows, const wb_record_view *record, wb_error *err)
{
    wb_cells cells;
    bool is_new;
    wb_rows_part *part;
    WB_TRY(wb_cells_of_acceptance(record->payload, rows->arena, &cells, err));
    WB_TRY(write_row(rows, &cells, record->seq, WB_ROWS_KNOWN_ACCEPTANCE, WB_ROWS_ACCEPTANCE,
                     &is_new, err));
    if (!is_new) return WB_OK;
    WB_TRY(part_of_row(rows, &cells.of[WB_ACCEPTANCE_AT_trace_id],
                       &cells.of[WB_ACCEPTANCE_AT_opened_ns], &part, err));
    part->acceptances++;
    return WB_OK;
}
