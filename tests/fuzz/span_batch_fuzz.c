/* SPDX-License-Identifier: Apache-2.0 */
/* A payload that opens has every slice of every row inside its body, and everything that reads a
 * row's slices ends; what it opens to does not depend on the address. */
#include "proto/otlp_json.h"
#include "proto/span_batch.h"

enum { JSON_BYTES = 1 << 20 };

static void assert_within(wb_slice outer, wb_slice inner)
{
    WB_ASSERT(inner.ptr >= outer.ptr && inner.len <= outer.len &&
              (size_t)(inner.ptr - outer.ptr) <= outer.len - inner.len);
}

static void read_all(wb_span_row row)
{
    WB_AUTO_BUFFER json;
    wb_buffer_init(&json, JSON_BYTES);
    bool whole = wb_otlp_attrs_json(row.span, WB_OTLP_SPAN, &json) == WB_OK;
    whole = wb_otlp_events_json(row.span, &json) == WB_OK && whole;
    whole = wb_otlp_links_json(row.span, &json) == WB_OK && whole;
    whole = wb_otlp_attrs_json(row.resource, WB_OTLP_RESOURCE, &json) == WB_OK && whole;
    WB_ASSERT(whole || json.len > 0); /* what stops it is the limit, never the bytes */
    wb_otlp_span_detail detail = wb_otlp_read_span(row.span);
    if (detail.trace_state.len) assert_within(row.span, detail.trace_state);
    if (detail.status_message.len) assert_within(row.span, detail.status_message);
    wb_otlp_scope scope = wb_otlp_read_scope(row.scope);
    if (scope.name.len) assert_within(row.scope, scope.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_span_batch batch;
    if (wb_span_batch_open((wb_slice){data, size}, &batch, NULL) != WB_OK) return 0;
    assert_within((wb_slice){data, size}, batch.body);
    for (uint32_t i = 0; i < batch.span_count && i < 64; i++) {
        wb_span_row row = wb_span_batch_row(&batch, i);
        WB_ASSERT(!WB_ID_ABSENT(row.trace_id) && !WB_ID_ABSENT(row.span_id));
        WB_ASSERT(row.scope_index < batch.scope_count && row.resource_index < batch.resource_count);
        assert_within(batch.body, row.span);
        assert_within(row.span, row.name);
        assert_within(batch.body, row.scope);
        assert_within(batch.body, row.resource);
        read_all(row);
    }
    return 0;
}
