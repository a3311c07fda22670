/* SPDX-License-Identifier: Apache-2.0 */
/* A log record has no id, so it is known by its place in the journal, and its trace's totals, which count
 * spans, are left alone: it may name any trace, and arrives before or behind it. */
#include "exporters/sqlite/rows.h"

static wb_status write_log(wb_rows *rows, const wb_log_row *row, const wb_rows_shared *s,
                           const wb_record_view *record, uint32_t item, wb_error *err)
{
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_LOG);
    wb_cells cells;
    wb_cells_of_log(row, s->service, &cells);
    wb_put_cells(&v, &cells);
    wb_put_number(&v, (uint64_t)rows->sidecar_id);
    wb_put_number(&v, record->seq);
    wb_put_number(&v, record->entry);
    wb_put_number(&v, item);
    wb_put_number_or_null(&v, (uint64_t)s->resource_id);
    wb_put_number_or_null(&v, (uint64_t)s->scope_id);
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
