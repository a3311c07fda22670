/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/sqlite/rows.h: records as rows. For sqlite.c: all of it within its transactions. */
#ifndef WAYBILL_EXPORTERS_SQLITE_ROWS_H
#define WAYBILL_EXPORTERS_SQLITE_ROWS_H

#include "core/arena.h"
#include "core/clock.h"
#include "core/entry.h"
#include "exporters/exporter.h"
#include "proto/store_cells.h"
#include "store/sqlite/database.h"

typedef enum wb_rows_statement {
    WB_ROWS_SIDECAR,
    WB_ROWS_SEEN,
    WB_ROWS_DELIVERED,
    WB_ROWS_DELIVER,
    WB_ROWS_FIND_RESOURCE,
    WB_ROWS_ADD_RESOURCE,
    WB_ROWS_FIND_SCOPE,
    WB_ROWS_ADD_SCOPE,
    WB_ROWS_SPAN,
    WB_ROWS_LOG,
    WB_ROWS_KNOWN_DELEGATION,
    WB_ROWS_DELEGATION,
    WB_ROWS_KNOWN_ACCEPTANCE,
    WB_ROWS_ACCEPTANCE,
    WB_ROWS_PART,
    WB_ROWS_STATEMENTS
} wb_rows_statement;

/* What was really inserted into one trace and is not in trace_parts yet. */
typedef struct wb_rows_part {
    wb_trace_id trace_id; /* absent: nothing */
    uint32_t spans, errors, delegations, acceptances;
    wb_time_ns started_ns, ended_ns;
} wb_rows_part;

/** An open store and all that is prepared on it. */
typedef struct wb_rows {
    wb_sqlite *db;
    struct sqlite3_stmt *stmts[WB_ROWS_STATEMENTS];
    int64_t sidecar_id;
    wb_rows_part part;
    wb_arena *arena; /* of the record in hand; borrowed */
} wb_rows;

/** A place in the journal: everything up to it is in the store. */
typedef struct wb_rows_mark {
    uint64_t seq;
    uint32_t entry;
} wb_rows_mark;

/** Open `path` and write who we are. `rows` is zeroed. Errors as wb_sqlite_open. */
WB_MUST_USE wb_status wb_rows_open(wb_rows *rows, const char *path, uint32_t timeout_ms,
                                   const wb_exporter_origin *origin, wb_error *err);
void wb_rows_close(wb_rows *rows);

/** Begin a transaction and read how far this journal was delivered. */
WB_MUST_USE wb_status wb_rows_begin(wb_rows *rows, const wb_exporter_origin *origin,
                                    wb_rows_mark *mark, wb_error *err);
/** Write the totals and the mark, and commit. */
WB_MUST_USE wb_status wb_rows_commit(wb_rows *rows, const wb_exporter_origin *origin,
                                     const wb_rows_mark *mark, wb_error *err);
void wb_rows_rollback(wb_rows *rows);

/** Errors of the three: REJECTED this record will never fit | as wb_sqlite_fail. */
WB_MUST_USE wb_status wb_rows_delegation(wb_rows *rows, const wb_record_view *record,
                                         wb_error *err);
WB_MUST_USE wb_status wb_rows_acceptance(wb_rows *rows, const wb_record_view *record,
                                         wb_error *err);
/** Write spans of the record from number *at on, until all are written or `pause(ctx)` says so; *at
 *  moves, *more says that some are left. */
WB_MUST_USE wb_status wb_rows_spans(wb_rows *rows, const wb_record_view *record, uint32_t *at,
                                    bool *more, bool (*pause)(void *ctx), void *ctx, wb_error *err);

/** The same of log records. */
WB_MUST_USE wb_status wb_rows_logs(wb_rows *rows, const wb_record_view *record, uint32_t *at,
                                   bool *more, bool (*pause)(void *ctx), void *ctx, wb_error *err);

/* What neighbouring spans or log records share; zeroed at first. For spans.c and logs.c. */
typedef struct wb_rows_shared {
    bool known;
    uint32_t resource_index, scope_index;
    int64_t resource_id, scope_id; /* 0: none */
    wb_slice service;
} wb_rows_shared;

/** Look up, or add, what is not the same as before. */
WB_MUST_USE wb_status wb_rows_share(wb_rows *rows, wb_rows_shared *shared, uint32_t resource_index,
                                    wb_slice resource, uint32_t scope_index, wb_slice scope,
                                    wb_error *err);

/* For rows.c, spans.c and logs.c: a statement's run. */

/** Values are bound from left to right; what is absent (0, empty) becomes NULL. */
typedef struct wb_rows_values {
    struct sqlite3_stmt *stmt;
    int next;
} wb_rows_values;

wb_rows_values wb_rows_values_of(wb_rows *rows, wb_rows_statement which);
void wb_put_number(wb_rows_values *v, uint64_t number); /* 0 stays 0; above 2^63-1: that */
void wb_put_number_or_null(wb_rows_values *v, uint64_t number);
void wb_put_text(wb_rows_values *v, wb_slice text);
void wb_put_str(wb_rows_values *v, const char *text); /* may be NULL */
void wb_put_blob(wb_rows_values *v, wb_slice bytes);
void wb_put_id(wb_rows_values *v, const void *id, size_t len);
void wb_put_cells(wb_rows_values *v, const wb_cells *cells); /* outlives the run */
/** Run it; `found` (may be NULL) gets the first column of the row, 0 without one. */
WB_MUST_USE wb_status wb_rows_run(wb_rows *rows, wb_rows_values *v, int64_t *found, wb_error *err);
/** Rows changed by the last run. */
bool wb_rows_changed(const wb_rows *rows);

/** The totals of this trace, to add to; writes those of another one first. */
WB_MUST_USE wb_status wb_rows_part_of(wb_rows *rows, const wb_trace_id *trace,
                                      wb_time_ns started_ns, wb_rows_part **out, wb_error *err);

#endif
