/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of spans name their resource and scope by number; the message itself travels once, in the first row
 * that names it.
 *
 * The table for spans is temporary, empties itself at commit and stays: one that is made and dropped in
 * every transaction leaves some fifty dead rows in Postgres' catalogues each time. Behind a pooler in
 * transaction mode it belongs to whichever server connection that was; every transaction asks for it anew
 * (IF NOT EXISTS) and none counts on finding it. Its name carries a number, to be raised when a column
 * changes: two versions of us may share a server connection. To empty a table costs as much as to drop it,
 * also where it was not used, so those for delegations and acceptances, which few batches bring, are
 * dropped. */
#include "exporters/postgres/stage.h"

#include "core/crc32c.h"

#include <stdlib.h>

enum { ARENA_BYTES = 64 * 1024 * 1024, MESSAGES_MAX = 1 << 20 };

#define COLUMN(name, type) #name " " #type ", "
#define COPY_INTO(table) "COPY pg_temp.waybill_" table "_1 FROM STDIN WITH (FORMAT binary)"

static const char make_spans[] =
    "CREATE TEMPORARY TABLE IF NOT EXISTS waybill_spans_1 (" WB_SPAN_CELLS(
        COLUMN) "started_at timestamptz, seq bigint, entry bigint, item bigint, resource_no bigint,"
                " scope_no bigint, resource bytea, scope bytea) ON COMMIT DELETE ROWS";
static const char make_logs[] = "CREATE TEMPORARY TABLE waybill_logs_1 (" WB_LOG_CELLS(
    COLUMN) "time_at timestamptz, seq bigint, entry bigint, item bigint, resource_no bigint,"
            " scope_no bigint, resource bytea, scope bytea) ON COMMIT DROP";
static const char make_delegations[] =
    "CREATE TEMPORARY TABLE waybill_delegations_1 (" WB_DELEGATION_CELLS(
        COLUMN) "seq bigint, entry bigint) ON COMMIT DROP";
static const char make_acceptances[] =
    "CREATE TEMPORARY TABLE waybill_acceptances_1 (" WB_ACCEPTANCE_CELLS(
        COLUMN) "seq bigint, entry bigint) ON COMMIT DROP";

/* ---- resources and scopes ------------------------------------------------------------------- */

static void forget_messages(wb_stage_messages *m)
{
    m->n = 0;
    if (m->slots) memset(m->slots, 0, m->n_slots * sizeof *m->slots);
}

static void place_message(wb_stage_messages *m, uint32_t no)
{
    size_t at = wb_crc32c(0, m->of[no].ptr, m->of[no].len) & (m->n_slots - 1);
    while (m->slots[at] != 0) at = (at + 1) & (m->n_slots - 1);
    m->slots[at] = no + 1;
}

static wb_status grow_messages(wb_stage_messages *m)
{
    size_t cap = m->cap ? m->cap * 2 : 64;
    if (cap > MESSAGES_MAX) return WB_ERR_NO_MEMORY;
    wb_slice *of = reallocarray(m->of, cap, sizeof *of);
    if (of) m->of = of;
    uint32_t *slots = of ? calloc(cap * 2, sizeof *slots) : NULL;
    if (!slots) return WB_ERR_NO_MEMORY;
    free(m->slots);
    m->slots = slots;
    m->n_slots = cap * 2;
    m->cap = cap;
    for (size_t i = 0; i < m->n; i++) place_message(m, (uint32_t)i);
    return WB_OK;
}

/* The number of a message; -1 for an empty one. *is_new: it had none yet. */
static wb_status number_of(wb_stage_messages *m, wb_slice bytes, int64_t *out, bool *is_new)
{
    *out = -1;
    *is_new = false;
    if (bytes.len == 0) return WB_OK;
    if (m->n == m->cap) WB_TRY(grow_messages(m));
    size_t at = wb_crc32c(0, bytes.ptr, bytes.len) & (m->n_slots - 1);
    for (; m->slots[at] != 0; at = (at + 1) & (m->n_slots - 1)) {
        if (!wb_slice_eq(m->of[m->slots[at] - 1], bytes)) continue;
        *out = m->slots[at] - 1;
        return WB_OK;
    }
    m->of[m->n] = bytes;
    m->slots[at] = (uint32_t)m->n + 1;
    *out = (int64_t)m->n++;
    *is_new = true;
    return WB_OK;
}

/* ---- spans ---------------------------------------------------------------------------------- */

/* What spans and log records name alike. */
typedef struct with_shared {
    uint32_t resource_index, scope_index;
    wb_slice resource, scope;
} with_shared;

/* What neighbours share. */
typedef struct shared {
    bool known, new_resource, new_scope;
    uint32_t resource_index, scope_index;
    int64_t resource_no, scope_no;
    wb_slice service;
} shared;

static wb_status look_up_shared(wb_stage *stage, const with_shared *row, shared *s, wb_error *err)
{
    wb_status status = WB_OK;
    s->new_resource = s->new_scope = false;
    if (!s->known || s->resource_index != row->resource_index) {
        status = number_of(&stage->messages[0], row->resource, &s->resource_no, &s->new_resource);
        s->service = wb_otlp_find_text(row->resource, WB_OTLP_RESOURCE, WB_S("service.name"));
    }
    if (status == WB_OK && (!s->known || s->scope_index != row->scope_index))
        status = number_of(&stage->messages[1], row->scope, &s->scope_no, &s->new_scope);
    if (status != WB_OK) return wb_fail(err, status, "postgres: no memory for resources");
    s->resource_index = row->resource_index;
    s->scope_index = row->scope_index;
    s->known = true;
    return WB_OK;
}

static void put_number_or_null(wb_copy *copy, int64_t number)
{
    if (number < 0)
        wb_copy_null(copy);
    else
        wb_copy_number(copy, number);
}

static void put_bytes_if(wb_copy *copy, bool is, wb_slice bytes)
{
    if (is)
        wb_copy_bytes(copy, bytes);
    else
        wb_copy_null(copy);
}

static int64_t clamp(uint64_t ns) { return ns > INT64_MAX ? INT64_MAX : (int64_t)ns; }

/* The columns behind the cells, alike for spans and log records. */
static wb_status end_row(wb_copy *copy, const wb_record_view *record, uint32_t item,
                         const with_shared *row, const shared *s, uint64_t time_ns, wb_error *err)
{
    wb_copy_time(copy, clamp(time_ns));
    wb_copy_number(copy, (int64_t)record->seq);
    wb_copy_number(copy, record->entry);
    wb_copy_number(copy, item);
    put_number_or_null(copy, s->resource_no);
    put_number_or_null(copy, s->scope_no);
    put_bytes_if(copy, s->new_resource, row->resource);
    put_bytes_if(copy, s->new_scope, row->scope);
    return wb_copy_row_end(copy, err);
}

enum { COLUMNS_BEHIND = 8 };

static wb_status copy_spans_of(wb_stage *stage, const wb_record_view *record, wb_error *err)
{
    wb_span_batch batch;
    wb_cells cells;
    shared s = {0};
    wb_status status = wb_span_batch_open(record->payload, &batch, err);
    if (status == WB_ERR_CORRUPT) return wb_fail(err, WB_ERR_REJECTED, "not a batch of spans");
    if (status != WB_OK) return status;
    for (uint32_t i = 0; i < batch.span_count; i++) {
        wb_span_row row = wb_span_batch_row(&batch, i);
        with_shared names = {row.resource_index, row.scope_index, row.resource, row.scope};
        WB_TRY(look_up_shared(stage, &names, &s, err));
        wb_cells_of_span(&row, s.service, &cells);
        wb_copy_row(&stage->copy, cells.n + COLUMNS_BEHIND);
        wb_copy_cells(&stage->copy, &cells);
        WB_TRY(end_row(&stage->copy, record, i, &names, &s, row.start_ns, err));
    }
    return WB_OK;
}

static wb_status copy_logs_of(wb_stage *stage, const wb_record_view *record, wb_error *err)
{
    wb_log_batch batch;
    wb_cells cells;
    shared s = {0};
    wb_status status = wb_log_batch_open(record->payload, &batch, err);
    if (status == WB_ERR_CORRUPT) return wb_fail(err, WB_ERR_REJECTED, "not a batch of logs");
    if (status != WB_OK) return status;
    for (uint32_t i = 0; i < batch.log_count; i++) {
        wb_log_row row = wb_log_batch_row(&batch, i);
        with_shared names = {row.resource_index, row.scope_index, row.resource, row.scope};
        WB_TRY(look_up_shared(stage, &names, &s, err));
        wb_cells_of_log(&row, s.service, &cells);
        /* all zero where it is absent: it is part of the key here */
        wb_slice trace = wb_slice_of(row.trace_id.b, sizeof row.trace_id.b);
        cells.of[WB_LOG_AT_trace_id] = (wb_cell){.type = WB_CELL_BYTES, .bytes = trace};
        wb_copy_row(&stage->copy, cells.n + COLUMNS_BEHIND);
        wb_copy_cells(&stage->copy, &cells);
        uint64_t time_ns = row.time_ns ? row.time_ns : row.observed_ns;
        WB_TRY(end_row(&stage->copy, record, i, &names, &s, time_ns, err));
    }
    return WB_OK;
}

/* ---- delegations and acceptances ------------------------------------------------------------ */

static wb_status copy_row_of(wb_stage *stage, const wb_record_view *record, wb_error *err)
{
    wb_cells cells;
    wb_copy *copy = &stage->copy;
    wb_arena_reset(stage->arena);
    if (record->kind == WB_ENTRY_DELEGATION)
        WB_TRY(wb_cells_of_delegation(record->payload, stage->arena, &cells, err));
    else
        WB_TRY(wb_cells_of_acceptance(record->payload, stage->arena, &cells, err));
    wb_copy_row(copy, cells.n + 2);
    wb_copy_cells(copy, &cells);
    wb_copy_number(copy, (int64_t)record->seq);
    wb_copy_number(copy, record->entry);
    return wb_copy_row_end(copy, err);
}

/* ---- all of a kind -------------------------------------------------------------------------- */

typedef struct selection {
    const wb_record_view *records;
    size_t n;
    const wb_stage_mark *mark;
} selection;

bool wb_stage_is_delivered(const wb_stage_mark *mark, const wb_record_view *record)
{
    int64_t seq = (int64_t)record->seq;
    return seq < mark->seq || (seq == mark->seq && record->entry <= mark->entry);
}

/* The next record of the kind from `at` on; n if there is none. */
static size_t find(const selection *s, wb_entry_kind kind, size_t at)
{
    while (at < s->n &&
           (s->records[at].kind != kind || wb_stage_is_delivered(s->mark, &s->records[at])))
        at++;
    return at;
}

/* A kind with its table. */
typedef struct staged_kind {
    wb_entry_kind kind;
    const char *make, *sql;
    wb_status (*copy)(wb_stage *stage, const wb_record_view *record, wb_error *err);
} staged_kind;

static wb_status copy_all(wb_stage *stage, wb_pg *pg, const selection *s, const staged_kind *k,
                          bool *any, wb_error *err)
{
    size_t at = find(s, k->kind, 0);
    *any = at < s->n;
    if (!*any) return WB_OK;
    WB_TRY(wb_pg_exec(pg, k->make, err));
    for (size_t i = 0; i < 2; i++) forget_messages(&stage->messages[i]);
    WB_TRY(wb_copy_begin(&stage->copy, pg, k->sql, err));
    for (; at < s->n; at = find(s, k->kind, at + 1)) {
        wb_status status = k->copy(stage, &s->records[at], err);
        if (status == WB_OK) continue;
        if (status == WB_ERR_REJECTED) wb_pg_copy_give_up(pg);
        return status;
    }
    return wb_copy_end(&stage->copy, err);
}

wb_status wb_stage_fill(wb_stage *stage, wb_pg *pg, const wb_record_view *records, size_t n,
                        const wb_stage_mark *mark, wb_staged *out, wb_error *err)
{
    static const staged_kind spans = {WB_ENTRY_SPANS, make_spans, COPY_INTO("spans"),
                                      copy_spans_of};
    static const staged_kind logs = {WB_ENTRY_LOGS, make_logs, COPY_INTO("logs"), copy_logs_of};
    static const staged_kind delegations = {WB_ENTRY_DELEGATION, make_delegations,
                                            COPY_INTO("delegations"), copy_row_of};
    static const staged_kind acceptances = {WB_ENTRY_ACCEPTANCE, make_acceptances,
                                            COPY_INTO("acceptances"), copy_row_of};
    selection s = {records, n, mark};
    WB_TRY(copy_all(stage, pg, &s, &spans, &out->spans, err));
    WB_TRY(copy_all(stage, pg, &s, &logs, &out->logs, err));
    WB_TRY(copy_all(stage, pg, &s, &delegations, &out->delegations, err));
    return copy_all(stage, pg, &s, &acceptances, &out->acceptances, err);
}

wb_status wb_stage_init(wb_stage *stage)
{
    *stage = (wb_stage){.arena = wb_arena_new(ARENA_BYTES)};
    wb_copy_init(&stage->copy);
    return stage->arena ? WB_OK : WB_ERR_NO_MEMORY;
}

void wb_stage_done(wb_stage *stage)
{
    wb_arena_free(stage->arena);
    wb_copy_done(&stage->copy);
    for (size_t i = 0; i < 2; i++) {
        free(stage->messages[i].of);
        free(stage->messages[i].slots);
    }
}

/* ---- days ----------------------------------------------------------------------------------- */

static const uint64_t DAY_NS = UINT64_C(86400) * WB_NS_PER_S;

static uint64_t day_bit(uint64_t ns, int64_t first_day)
{
    int64_t day = (int64_t)(ns / DAY_NS) - first_day;
    return day >= 0 && day < 64 ? UINT64_C(1) << day : 0;
}

static uint64_t days_of_spans(wb_slice payload, int64_t first_day)
{
    wb_span_batch batch;
    uint64_t days = 0;
    if (wb_span_batch_open(payload, &batch, NULL) != WB_OK) return 0;
    for (uint32_t i = 0; i < batch.span_count; i++)
        days |= day_bit(wb_span_batch_row(&batch, i).start_ns, first_day);
    return days;
}

static uint64_t days_of_logs(wb_slice payload, int64_t first_day)
{
    wb_log_batch batch;
    uint64_t days = 0;
    if (wb_log_batch_open(payload, &batch, NULL) != WB_OK) return 0;
    for (uint32_t i = 0; i < batch.log_count; i++) {
        wb_log_row row = wb_log_batch_row(&batch, i);
        days |= day_bit(row.time_ns ? row.time_ns : row.observed_ns, first_day);
    }
    return days;
}

uint64_t wb_stage_days(const wb_record_view *records, size_t n, int64_t first_day)
{
    uint64_t days = 0;
    for (size_t i = 0; i < n; i++) {
        if (records[i].kind == WB_ENTRY_SPANS) days |= days_of_spans(records[i].payload, first_day);
        if (records[i].kind == WB_ENTRY_LOGS) days |= days_of_logs(records[i].payload, first_day);
    }
    return days;
}
