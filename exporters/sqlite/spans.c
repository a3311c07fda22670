/* SPDX-License-Identifier: Apache-2.0 */
/* A span's row: the columns that queries filter by come from the span index and a single pass over
 * the attributes; everything else stays in the OTLP bytes beside them. Resource and scope are looked
 * up once for a run of spans that share them. */
#include "exporters/sqlite/rows.h"

#include "proto/span_batch.h"

typedef struct span_columns {
    wb_slice span_type, error_type, session_id, conversation_id;
    wb_id acceptance_id, delegation_id; /* absent unless 32 hex digits */
} span_columns;

void wb_rows_take_id(wb_slice hex, wb_id *out)
{
    wb_id id;
    if (hex.len == WB_ID_HEX && wb_unhex(hex, id.b, sizeof id.b) == WB_OK) *out = id;
}

static span_columns read_columns(wb_slice span)
{
    span_columns c = {0};
    wb_otlp_iter it = {span};
    wb_otlp_attr attr;
    while (wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr)) {
        if (attr.value.type != WB_VALUE_TEXT) continue;
        wb_slice key = attr.key, text = attr.value.text;
        if (wb_slice_eq(key, WB_S("waybill.span.type"))) c.span_type = text;
        if (wb_slice_eq(key, WB_S("error.type"))) c.error_type = text;
        if (wb_slice_eq(key, WB_S("session.id"))) c.session_id = text;
        if (wb_slice_eq(key, WB_S("gen_ai.conversation.id"))) c.conversation_id = text;
        if (wb_slice_eq(key, WB_S("waybill.acceptance.id")))
            wb_rows_take_id(text, &c.acceptance_id);
        if (wb_slice_eq(key, WB_S("waybill.delegation.id")))
            wb_rows_take_id(text, &c.delegation_id);
    }
    if (c.session_id.len == 0) c.session_id = c.conversation_id;
    return c;
}

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

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [WB_SPAN_UNSPECIFIED] = "unspecified", [WB_SPAN_INTERNAL] = "internal",
        [WB_SPAN_SERVER] = "server",           [WB_SPAN_CLIENT] = "client",
        [WB_SPAN_PRODUCER] = "producer",       [WB_SPAN_CONSUMER] = "consumer",
    };
    return kind < WB_COUNT(names) ? names[kind] : names[0];
}

static const char *status_name(uint8_t status)
{
    static const char *const names[] = {
        [WB_SPAN_UNSET] = "unset", [WB_SPAN_OK] = "ok", [WB_SPAN_ERROR] = "error"};
    return status < WB_COUNT(names) ? names[status] : names[0];
}

/* The values are bound as they lie, so `columns` must outlive the statement's run. */
static void bind_span(wb_rows *rows, wb_rows_values *v, const wb_span_row *row,
                      const span_columns *columns, const wb_rows_shared *s, uint64_t seq)
{
    wb_otlp_span_detail detail = wb_otlp_read_span(row->span);
    wb_put_id(v, row->trace_id.b, sizeof row->trace_id.b);
    wb_put_id(v, row->span_id.b, sizeof row->span_id.b);
    wb_put_id(v, row->parent_id.b, sizeof row->parent_id.b);
    wb_put_text(v, row->name.len ? row->name : WB_S("(unnamed)")); /* OTLP allows an empty name */
    wb_put_str(v, kind_name(row->kind));
    wb_put_number(v, row->start_ns);
    wb_put_number(v, row->end_ns);
    wb_put_str(v, status_name(row->status_code));
    wb_put_text(v, detail.status_message);
    wb_put_text(v, s->service);
    wb_put_text(v, columns->span_type);
    wb_put_text(v, columns->error_type);
    wb_put_text(v, columns->session_id);
    wb_put_id(v, columns->acceptance_id.b, sizeof columns->acceptance_id.b);
    wb_put_id(v, columns->delegation_id.b, sizeof columns->delegation_id.b);
    wb_put_number(v, (uint64_t)rows->sidecar_id);
    wb_put_number(v, seq);
    wb_put_number_or_null(v, (uint64_t)s->resource_id);
    wb_put_number_or_null(v, (uint64_t)s->scope_id);
    wb_put_blob(v, row->span);
}

static wb_status write_span(wb_rows *rows, const wb_span_row *row, const wb_rows_shared *s,
                            uint64_t seq, wb_error *err)
{
    wb_rows_values v = wb_rows_values_of(rows, WB_ROWS_SPAN);
    span_columns columns = read_columns(row->span);
    wb_rows_part *part;
    bind_span(rows, &v, row, &columns, s, seq);
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
