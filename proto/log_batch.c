/* SPDX-License-Identifier: Apache-2.0 */
/* The payload is that of batch_index.c, with magic "WLB1" and one row for each log record:
 *
 *   logs       72 each    0 trace id; 16 span id; 24 time; 32 observed time (8 each); 40 flags; 44 index
 *                         of its scope; 48 offset, 52 length of the LogRecord message; 56 offset, 60
 *                         length of its event name; 64 severity number (1); 65 zero (7)
 *   body                  an ExportLogsServiceRequest
 *
 * What the sidecar writes itself is built in one go, as span_build.c does it. */
#include "proto/log_batch.h"

#include "core/utf8.h"
#include "proto/batch_index.h"
#include "proto/build_parts.h"
#include "proto/wire.h"

enum { LOG_ROW_BYTES = 72 };

/* ---- writing --------------------------------------------------------------------------------- */

static uint8_t *put_u32(uint8_t *at, uint32_t value) { return wb_wire_put_fixed(at, 4, value); }

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

/* `log` as wb_otlp_walk_logs fills it. */
static uint8_t *put_row(uint8_t *at, const wb_span *log, wb_render_place message,
                        wb_render_place event_name)
{
    at = put_bytes(at, log->trace_id.b, sizeof log->trace_id.b);
    at = put_bytes(at, log->span_id.b, sizeof log->span_id.b);
    at = wb_wire_put_fixed(at, 8, log->start_ns);
    at = wb_wire_put_fixed(at, 8, log->end_ns);
    at = put_u32(at, log->flags);
    at = put_u32(at, log->scope);
    at = put_u32(put_u32(at, message.at), message.len);
    at = put_u32(put_u32(at, event_name.at), event_name.len);
    return wb_wire_put_fixed(at, 8, log->kind);
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool good_log(const wb_batch_index *index, const uint8_t *row)
{
    size_t at = wb_index_u32(row + 48), len = wb_index_u32(row + 52);
    return wb_index_u32(row + 44) < index->counts.scopes &&
           wb_index_inside(0, index->body.len, at, len) &&
           wb_index_inside(at, len, wb_index_u32(row + 56), wb_index_u32(row + 60)) &&
           row[64] <= WB_SEVERITY_MAX;
}

static const wb_index_kind log_index = {"log batch", {'W', 'L', 'B', '1'}, LOG_ROW_BYTES, good_log};

wb_status wb_log_batch_write(const wb_batch *batch, wb_buffer *out, wb_error *err)
{
    wb_render_plan plan;
    uint8_t *at;
    WB_TRY(wb_index_write(batch, &log_index, out, &plan, &at, err));
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_render_place name = wb_index_name_place(batch, &batch->spans[i], plan.spans[i]);
        at = put_row(at, &batch->spans[i], plan.spans[i], name);
    }
    return WB_OK;
}

wb_status wb_log_batch_open(wb_slice payload, wb_log_batch *out, wb_error *err)
{
    wb_batch_index index;
    WB_TRY(wb_index_open(payload, &log_index, &index, err));
    *out = (wb_log_batch){.body = index.body,
                          .log_count = index.counts.items,
                          .scope_count = index.counts.scopes,
                          .resource_count = index.counts.resources,
                          .log_rows = index.item_rows,
                          .scope_rows = index.scope_rows,
                          .resource_rows = index.resource_rows};
    return WB_OK;
}

wb_log_row wb_log_batch_row(const wb_log_batch *batch, uint32_t i)
{
    WB_ASSERT(i < batch->log_count);
    const wb_batch_index index = {.body = batch->body,
                                  .scope_rows = batch->scope_rows,
                                  .resource_rows = batch->resource_rows};
    const uint8_t *p = batch->log_rows + (size_t)i * LOG_ROW_BYTES;
    const wb_index_scope above = wb_index_scope_at(&index, wb_index_u32(p + 44));
    wb_log_row row = {.time_ns = wb_index_u64(p + 24),
                      .observed_ns = wb_index_u64(p + 32),
                      .flags = wb_index_u32(p + 40),
                      .scope_index = wb_index_u32(p + 44),
                      .log = wb_index_part(&index, p + 48),
                      .event_name = wb_index_part(&index, p + 56),
                      .severity = p[64],
                      .scope = above.scope,
                      .resource = above.resource,
                      .resource_index = above.resource_index};
    memcpy(row.trace_id.b, p, sizeof row.trace_id.b);
    memcpy(row.span_id.b, p + 16, sizeof row.span_id.b);
    return row;
}

/* ---- building -------------------------------------------------------------------------------- */

static wb_value body_of(const wb_log_draft *d)
{
    return (wb_value){.type = WB_VALUE_TEXT, .text = d->body};
}

/* LogRecord { time 1; severity_number 2; severity_text 3; body 5; attributes 6; flags 8; trace_id 9;
 * span_id 10; observed_time 11; event_name 12 } */
static size_t log_size(const wb_log_draft *d)
{
    size_t size = 2 * WB_BUILD_TIME_BYTES + wb_build_text_size(3, d->severity_text) +
                  wb_build_text_size(12, d->event_name) +
                  wb_build_attrs_size(d->attrs, d->attr_count, WB_OTLP_LOG);
    if (d->severity) size += 2;
    if (d->body.len) size += wb_otlp_field_size(5, wb_otlp_value_size(body_of(d)));
    if (d->flags) size += 1 + sizeof d->flags;
    if (!WB_ID_ABSENT(d->trace_id)) size += wb_otlp_field_size(9, sizeof d->trace_id.b);
    if (!WB_ID_ABSENT(d->span_id)) size += wb_otlp_field_size(10, sizeof d->span_id.b);
    return size;
}

/* The LogRecord message; *name_at is where its event name stands. */
static uint8_t *put_log(uint8_t *at, const wb_log_draft *d, const uint8_t **name_at)
{
    at = wb_build_put_time(at, 1, d->time_ns);
    if (d->severity) at = wb_build_put_number(at, 2, d->severity);
    at = wb_build_put_text(at, 3, d->severity_text);
    if (d->body.len)
        at = wb_otlp_put_value(wb_otlp_put_head(at, 5, wb_otlp_value_size(body_of(d))), body_of(d));
    at = wb_build_put_attrs(at, d->attrs, d->attr_count, WB_OTLP_LOG);
    if (d->flags) {
        *at++ = WB_WIRE_TAG(8, WB_WIRE_FIXED32);
        at = wb_wire_put_fixed(at, sizeof d->flags, d->flags);
    }
    if (!WB_ID_ABSENT(d->trace_id))
        at = wb_otlp_put_field(at, 9, (wb_slice){d->trace_id.b, sizeof d->trace_id.b});
    if (!WB_ID_ABSENT(d->span_id))
        at = wb_otlp_put_field(at, 10, (wb_slice){d->span_id.b, sizeof d->span_id.b});
    at = wb_build_put_time(at, 11, d->observed_ns);
    at = wb_build_put_text(at, 12, d->event_name);
    *name_at = at - d->event_name.len;
    return at;
}

static wb_span index_of(const wb_log_draft *d)
{
    return (wb_span){.trace_id = d->trace_id,
                     .span_id = d->span_id,
                     .start_ns = d->time_ns,
                     .end_ns = d->observed_ns,
                     .flags = d->flags,
                     .kind = d->severity};
}

static bool is_all_text(const wb_log_draft *d)
{
    return wb_utf8_valid(d->severity_text) && wb_utf8_valid(d->event_name) &&
           wb_utf8_valid(d->body) && wb_build_all_text(d->attrs, d->attr_count);
}

wb_status wb_log_batch_build(const wb_span_origin *origin, const wb_log_draft *logs, size_t n,
                             wb_buffer *out, wb_error *err)
{
    wb_build b;
    size_t items = 0;
    for (size_t i = 0; i < n; i++) {
        WB_ASSERT(logs[i].severity <= WB_SEVERITY_MAX);
        if (!is_all_text(&logs[i]))
            return wb_fail(err, WB_ERR_MALFORMED, "a log record with text that is not UTF-8");
        items += wb_otlp_field_size(2, log_size(&logs[i]));
    }
    WB_TRY(wb_build_open(&b, &log_index, origin, n, items, out, err));
    for (size_t i = 0; i < n; i++) {
        const uint8_t *name_at;
        wb_span log = index_of(&logs[i]);
        b.at = wb_otlp_put_head(b.at, 2, log_size(&logs[i]));
        uint8_t *message = b.at;
        b.at = put_log(b.at, &logs[i], &name_at);
        b.row = put_row(b.row, &log, wb_build_place(&b, message, (size_t)(b.at - message)),
                        wb_build_place(&b, name_at, logs[i].event_name.len));
    }
    wb_build_close(&b);
    return WB_OK;
}
