/* SPDX-License-Identifier: Apache-2.0 */
/* A span's row is its cells, its place in the journal, and the resource and scope, which are looked up once
 * for a run of spans that share them. */
#include "exporters/sqlite/rows.h"

/* The id of a resource or scope; 0 for an empty one. */
static wb_status message_id(wb_rows *rows, wb_rows_statement find, wb_rows_statement add,
                            wb_slice bytes, int64_t *id, wb_error *err)
{
    *id = 0;
    if (bytes.len == 0) return WB_OK;
    wb_rows_values v = wb_rows_values_of(rows, find);
    wb_put_blob(&v, bytes);
    WB_TRY(wb_rows_run(rows, &v, id, err));
    if (*id != 0) return WB_OK;
    v = wb_rows_values_of(rows, add);
    wb_put_blob(&v, bytes);
    return wb_rows_run(rows, &v, id, err);
}

wb_status wb_rows_share(wb_rows *rows, wb_rows_shared *s, uint32_t resource_index,
                        wb_slice resource, uint32_t scope_index, wb_slice scope, wb_error *err)
{
    if (!s->known || s->resource_index != resource_index) {
        WB_TRY(message_id(rows, WB_ROWS_FIND_RESOURCE, WB_ROWS_ADD_RESOURCE, resource,
                          &s->resource_id, err));
        s->service = wb_otlp_find_text(resource, WB_OTLP_RESOURCE, WB_S("service.name"));
    }
    if (!s->known || s->scope_index != scope_index)
        WB_TRY(message_id(rows, WB_ROWS_FIND_SCOPE, WB_ROWS_ADD_SCOPE, scope, &s->scope_id, err));
    s->resource_index = resource_index;
    s->scope_index = scope_index;
    s->known = true;
    return WB_OK;
}

static wb_status write_span(wb_rows *rows, const wb_span_row *row, const wb_rows_shared *s,
                            uint64_t seq, wb_error *err)
{
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_SPAN);
    wb_cells cells;
    wb_rows_part *part;
    wb_cells_of_span(row, s->service, &cells);
    wb_put_cells(&v, &cells);
    wb_put_number(&v, (uint64_t)rows->sidecar_id);
    wb_put_number(&v, seq);
    wb_put_number_or_null(&v, (uint64_t)s->resource_id);
    wb_put_number_or_null(&v, (uint64_t)s->scope_id);
    WB_TRY(wb_rows_run(rows, &v, NULL, err));
    if (!wb_rows_changed(rows)) return WB_OK; /* it was there */
    WB_TRY(wb_rows_part_of(rows, &row->trace_id, row->start_ns, &part, err));
    part->spans++;
    if (row->status_code == WB_SPAN_ERROR) part->errors++;
    if (row->end_ns > part->ended_ns) part->ended_ns = row->end_ns;
    return WB_OK;
}

wb_status wb_rows_spans(wb_rows *rows, const wb_record_view *record, uint32_t *at, bool *more,
                        bool (*pause)(void *ctx), void *ctx, wb_error *err)
{
    wb_span_batch batch;
    wb_rows_shared s = {0};
    wb_status status = wb_span_batch_open(record->payload, &batch, err);
    if (status == WB_ERR_CORRUPT) return wb_fail(err, WB_ERR_REJECTED, "not a batch of spans");
    if (status != WB_OK) return status;
    *more = true;
    for (; *at < batch.span_count; ++*at) {
        if (pause(ctx)) return WB_OK;
        wb_span_row row = wb_span_batch_row(&batch, *at);
        WB_TRY(wb_rows_share(rows, &s, row.resource_index, row.resource, row.scope_index, row.scope,
                             err));
        WB_TRY(write_span(rows, &row, &s, record->seq, err));
    }
    *more = false;
    return WB_OK;
}
