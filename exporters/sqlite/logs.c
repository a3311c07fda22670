/* SPDX-License-Identifier: Apache-2.0 */
/* A log record's row: what queries filter by in columns, everything in the OTLP bytes beside them. A log
 * record has no id, so it is known by its place in the journal, and its trace's totals, which count spans,
 * are left alone: it may name any trace, and arrives before or behind it. */
#include "exporters/sqlite/rows.h"

#include "proto/log_batch.h"

enum { PREVIEW_CHARACTERS = 500 };

typedef struct log_columns {
    wb_otlp_log_detail detail;
    wb_slice body;
    wb_id acceptance_id, delegation_id; /* absent unless 32 hex digits */
} log_columns;

/* The text is UTF-8: what was walked is. A byte that continues a character begins none. */
static wb_slice preview(wb_slice text)
{
    size_t characters = 0;
    for (size_t i = 0; i < text.len; i++) {
        if ((text.ptr[i] & 0xC0) == 0x80) continue;
        if (characters++ == PREVIEW_CHARACTERS) return wb_slice_of(text.ptr, i);
    }
    return text;
}

static log_columns read_columns(wb_slice log)
{
    log_columns c = {.detail = wb_otlp_read_log(log)};
    wb_otlp_iter it = {log};
    wb_otlp_attr attr;
    if (c.detail.body.type == WB_VALUE_TEXT) c.body = preview(c.detail.body.text);
    while (wb_otlp_next_attr(&it, WB_OTLP_LOG, &attr)) {
        if (attr.value.type != WB_VALUE_TEXT) continue;
        if (wb_slice_eq(attr.key, WB_S("waybill.acceptance.id")))
            wb_rows_take_id(attr.value.text, &c.acceptance_id);
        if (wb_slice_eq(attr.key, WB_S("waybill.delegation.id")))
            wb_rows_take_id(attr.value.text, &c.delegation_id);
    }
    return c;
}

static wb_status write_log(wb_rows *rows, const wb_log_row *row, const wb_rows_shared *s,
                           const wb_record_view *record, uint32_t item, wb_error *err)
{
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_LOG);
    log_columns columns = read_columns(row->log);
    wb_put_id(&v, row->trace_id.b, sizeof row->trace_id.b);
    wb_put_id(&v, row->span_id.b, sizeof row->span_id.b);
    wb_put_number(&v, row->time_ns ? row->time_ns : row->observed_ns);
    wb_put_number_or_null(&v, row->observed_ns);
    wb_put_number(&v, row->severity);
    wb_put_text(&v, columns.detail.severity_text);
    wb_put_text(&v, row->event_name);
    wb_put_text(&v, columns.body);
    wb_put_text(&v, s->service);
    wb_put_id(&v, columns.acceptance_id.b, sizeof columns.acceptance_id.b);
    wb_put_id(&v, columns.delegation_id.b, sizeof columns.delegation_id.b);
    wb_put_number(&v, (uint64_t)rows->sidecar_id);
    wb_put_number(&v, record->seq);
    wb_put_number(&v, record->entry);
    wb_put_number(&v, item);
    wb_put_number_or_null(&v, (uint64_t)s->resource_id);
    wb_put_number_or_null(&v, (uint64_t)s->scope_id);
    if (row->log.len > 0)
        wb_put_blob(&v, row->log);
    else
        wb_put_empty(&v); /* OTLP allows a log record that says nothing */
    return wb_rows_run(rows, &v, NULL, err);
}

wb_status wb_rows_logs(wb_rows *rows, const wb_record_view *record, uint32_t *at, bool *more,
                       bool (*pause)(void *ctx), void *ctx, wb_error *err)
{
    wb_log_batch batch;
    wb_rows_shared s = {0};
    wb_status status = wb_log_batch_open(record->payload, &batch, err);
    if (status == WB_ERR_CORRUPT) return wb_fail(err, WB_ERR_REJECTED, "not a batch of logs");
    if (status != WB_OK) return status;
    *more = true;
    for (; *at < batch.log_count; ++*at) {
        if (pause(ctx)) return WB_OK;
        wb_log_row row = wb_log_batch_row(&batch, *at);
        WB_TRY(wb_rows_share(rows, &s, row.resource_index, row.resource, row.scope_index, row.scope,
                             err));
        WB_TRY(write_log(rows, &row, &s, record, *at, err));
    }
    *more = false;
    return WB_OK;
}
