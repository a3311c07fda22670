/* SPDX-License-Identifier: Apache-2.0 */
/* A payload that opens has every slice of every row inside its body, and reading them ends. */
#include "proto/log_batch.h"

static void assert_within(wb_slice outer, wb_slice inner)
{
    WB_ASSERT(inner.ptr >= outer.ptr && inner.len <= outer.len &&
              (size_t)(inner.ptr - outer.ptr) <= outer.len - inner.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_log_batch batch;
    if (wb_log_batch_open((wb_slice){data, size}, &batch, NULL) != WB_OK) return 0;
    assert_within((wb_slice){data, size}, batch.body);
    for (uint32_t i = 0; i < batch.log_count && i < 64; i++) {
        wb_log_row row = wb_log_batch_row(&batch, i);
        wb_otlp_iter it = {row.log};
        wb_otlp_attr attr;
        WB_ASSERT(row.scope_index < batch.scope_count && row.resource_index < batch.resource_count);
        WB_ASSERT(row.severity <= WB_SEVERITY_MAX);
        assert_within(batch.body, row.log);
        assert_within(row.log, row.event_name);
        assert_within(batch.body, row.scope);
        assert_within(batch.body, row.resource);
        wb_otlp_log_detail detail = wb_otlp_read_log(row.log);
        if (detail.severity_text.len) assert_within(row.log, detail.severity_text);
        while (wb_otlp_next_attr(&it, WB_OTLP_LOG, &attr)) assert_within(row.log, attr.key);
    }
    return 0;
}
