/* SPDX-License-Identifier: Apache-2.0 */
/* A stored payload, damaged in any way, can be cut and edited, or is refused; what comes out opens again
 * and has the spans that were kept, as they were but for the edits. */
#include "proto/span_batch_edit.h"

#include "proto/otlp_edit.h"
#include "proto/otlp_walk.h"
#include "proto/wire.h"

enum { SPANS_MAX = 256, ARENA_BYTES = 8 << 20, OUT_BYTES = 32 << 20 };

/* Which spans go, as the bytes decide. */
static bool goes(const uint8_t *data, size_t size, uint32_t i) { return data[i % size] % 3 == 0; }

static bool is_whole(wb_slice message)
{
    wb_wire_field f;
    while (message.len > 0)
        if (!wb_wire_next(&message, &f)) return false;
    return true;
}

static wb_status edit(wb_batch *batch)
{
    const wb_value value = {.type = WB_VALUE_TEXT, .text = WB_S("v")};
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_span *span = &batch->spans[i];
        if (i % 2 == 0) WB_TRY(wb_otlp_set_trace_state(batch, span, WB_S("ot=th:c")));
        WB_TRY(wb_otlp_mask_key(batch, &span->attrs, WB_OTLP_SPAN, span->extent, WB_S("k")));
        WB_TRY(wb_otlp_append_attr(batch, &span->attrs, WB_OTLP_SPAN, WB_S("k"), value));
    }
    for (uint32_t i = 0; i < batch->resource_count; i++) {
        wb_resource_spans *group = &batch->resources[i];
        WB_TRY(
            wb_otlp_mask_key(batch, &group->attrs, WB_OTLP_RESOURCE, group->resource, WB_S("k")));
        WB_TRY(wb_otlp_append_attr(batch, &group->attrs, WB_OTLP_RESOURCE, WB_S("k"), value));
    }
    return WB_OK;
}

/* A damaged index may name any bytes of the span, also some that an edit takes out. */
static bool has_its_name(const wb_span_row *row)
{
    wb_wire_field f;
    for (wb_slice rest = row->span; rest.len > 0 && wb_wire_next(&rest, &f);)
        if (f.number == 5 && f.bytes.ptr == row->name.ptr && f.bytes.len == row->name.len)
            return true;
    return row->name.len == 0;
}

static bool has_its_names(const wb_span_batch *batch)
{
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_span_row row = wb_span_batch_row(batch, i);
        if (!has_its_name(&row)) return false;
    }
    return true;
}

static void check(const wb_span_batch *before, const bool *left_out, wb_slice payload)
{
    wb_span_batch after;
    WB_ASSERT(wb_span_batch_open(payload, &after, NULL) == WB_OK);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < before->span_count; i++) {
        if (left_out[i]) continue;
        wb_span_row was = wb_span_batch_row(before, i), is = wb_span_batch_row(&after, kept++);
        WB_ASSERT(WB_ID_EQ(was.span_id, is.span_id) && WB_ID_EQ(was.trace_id, is.trace_id));
        if (is_whole(was.span)) /* else readers stop before what was appended */
            WB_ASSERT(wb_slice_eq(wb_otlp_find_text(is.span, WB_OTLP_SPAN, WB_S("k")), WB_S("v")));
    }
    WB_ASSERT(kept == after.span_count);
}

static wb_status add_to_resources(wb_batch *batch)
{
    const wb_value value = {.type = WB_VALUE_TEXT, .text = WB_S("v")};
    for (uint32_t i = 0; i < batch->resource_count; i++) {
        wb_resource_spans *group = &batch->resources[i];
        WB_TRY(wb_otlp_append_attr(batch, &group->attrs, WB_OTLP_RESOURCE, WB_S("k"), value));
    }
    return WB_OK;
}

/* Over a copy of its own body: refused, or the same spans, with names of theirs. */
static void copy_spans(const wb_span_batch *stored, const bool *left_out, wb_arena *arena)
{
    wb_batch *batch = NULL;
    wb_span_batch after;
    wb_slice body;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, OUT_BYTES);
    if (wb_arena_dup(arena, stored->body, &body) != WB_OK) return;
    if (wb_span_batch_edit_copy(stored, body, left_out, arena, &batch, NULL) != WB_OK) return;
    if (wb_span_batch_write(batch, &out, NULL) != WB_OK) return;
    WB_ASSERT(wb_span_batch_open(wb_buffer_slice(&out), &after, NULL) == WB_OK);
    WB_ASSERT(has_its_names(&after));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < stored->span_count; i++) {
        if (left_out[i]) continue;
        wb_span_row was = wb_span_batch_row(stored, i), is = wb_span_batch_row(&after, kept++);
        WB_ASSERT(WB_ID_EQ(was.span_id, is.span_id) && WB_ID_EQ(was.trace_id, is.trace_id));
    }
    WB_ASSERT(kept == after.span_count);
}

static void copy_logs(const wb_log_batch *stored, wb_arena *arena)
{
    wb_batch *batch = NULL;
    wb_log_batch after;
    wb_slice body;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, OUT_BYTES);
    if (wb_arena_dup(arena, stored->body, &body) != WB_OK) return;
    if (wb_log_batch_edit_copy(stored, body, arena, &batch, NULL) != WB_OK) return;
    if (wb_log_batch_write(batch, &out, NULL) != WB_OK) return;
    WB_ASSERT(wb_log_batch_open(wb_buffer_slice(&out), &after, NULL) == WB_OK);
    WB_ASSERT(after.log_count == stored->log_count);
}

static void edit_logs(wb_slice payload, wb_arena *arena, wb_buffer *out)
{
    wb_log_batch stored, after;
    wb_batch *batch;
    if (wb_log_batch_open(payload, &stored, NULL) != WB_OK || stored.log_count > SPANS_MAX) return;
    copy_logs(&stored, arena);
    if (wb_log_batch_edit(&stored, arena, &batch, NULL) != WB_OK) return;
    if (add_to_resources(batch) != WB_OK || wb_log_batch_write(batch, out, NULL) != WB_OK) return;
    WB_ASSERT(wb_log_batch_open(wb_buffer_slice(out), &after, NULL) == WB_OK);
    WB_ASSERT(after.log_count == stored.log_count);
    for (uint32_t i = 0; i < after.log_count; i++)
        WB_ASSERT(wb_slice_eq(wb_log_batch_row(&after, i).log, wb_log_batch_row(&stored, i).log));
}

static void edit_metrics(wb_slice body, wb_arena *arena, wb_buffer *out)
{
    wb_batch *batch, *again;
    if (wb_metrics_edit(body, arena, &batch, NULL) != WB_OK) return;
    if (add_to_resources(batch) != WB_OK || wb_metrics_write(batch, out, NULL) != WB_OK) return;
    wb_status status = wb_metrics_edit(wb_buffer_slice(out), arena, &again, NULL);
    WB_ASSERT(status == WB_OK || status == WB_ERR_NO_MEMORY);
    WB_ASSERT(status != WB_OK || again->span_count == batch->span_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void edit_spans(const uint8_t *data, size_t size, wb_arena *arena, wb_buffer *out)
{
    wb_span_batch stored;
    wb_batch *batch = NULL;
    bool left_out[SPANS_MAX];
    if (wb_span_batch_open((wb_slice){data, size}, &stored, NULL) != WB_OK) return;
    if (stored.span_count > SPANS_MAX) return;
    for (uint32_t i = 0; i < stored.span_count; i++) left_out[i] = goes(data, size, i);
    copy_spans(&stored, left_out, arena);
    if (wb_span_batch_edit(&stored, left_out, arena, &batch, NULL) != WB_OK) return;
    if (edit(batch) != WB_OK || wb_span_batch_write(batch, out, NULL) != WB_OK) return;
    if (has_its_names(&stored)) check(&stored, left_out, wb_buffer_slice(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_slice payload = {data, size};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, OUT_BYTES);
    if (!arena) return 0;
    if (wb_slice_starts(payload, WB_S("WSB1")))
        edit_spans(data, size, arena, &out);
    else if (wb_slice_starts(payload, WB_S("WLB1")))
        edit_logs(payload, arena, &out);
    else
        edit_metrics(payload, arena, &out);
    return 0;
}
