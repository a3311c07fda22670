/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the walk takes whole, protobuf-c unpacks; what is rendered of it, with attributes masked by the bits
 * of the first byte, is taken again with the same records and no rejection, and its rows say the same. */
#include "proto/log_batch.h"
#include "proto/otlp_walk.h"
#include "tests/support/otlp_compare.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

static const wb_slice prefixes[] = {{(const uint8_t *)"k", 1}};

static void check_row(wb_log_row row, const wb_batch *again, uint32_t i)
{
    const wb_span *log = &again->spans[i];
    WB_ASSERT(wb_slice_eq(row.log, wb_batch_bytes(again, log->extent)));
    WB_ASSERT(wb_slice_eq(row.event_name, log->name));
    WB_ASSERT(WB_ID_EQ(row.trace_id, log->trace_id) && WB_ID_EQ(row.span_id, log->span_id));
    WB_ASSERT(row.time_ns == log->start_ns && row.observed_ns == log->end_ns);
    WB_ASSERT(row.severity == log->kind && row.flags == log->flags);
}

static void check_rendered(const wb_batch *batch, const wb_key_set *keys)
{
    WB_AUTO_BUFFER out;
    wb_log_batch read;
    wb_batch *again = NULL;
    wb_buffer_init(&out, ARENA_BYTES);
    WB_ASSERT(wb_log_batch_write(batch, &out, NULL) == WB_OK);
    WB_ASSERT(wb_log_batch_open(wb_buffer_slice(&out), &read, NULL) == WB_OK);
    WB_ASSERT(batch->edited || wb_slice_eq(read.body, batch->body));
    WB_ASSERT(wb_otlp_walk_logs(read.body, keys, batch->arena, &again, NULL) == WB_OK);
    WB_ASSERT(again->rejected_count == 0 && again->span_count == batch->span_count);
    WB_ASSERT(read.log_count == again->span_count);
    WB_ASSERT(wb_oracle_unpacks_signal(WB_SIGNAL_LOGS, read.body));
    for (uint32_t i = 0; i < read.log_count; i++) check_row(wb_log_batch_row(&read, i), again, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_key_set) keys = NULL;
    wb_batch *batch = NULL;
    if (size == 0) return 0;
    WB_ASSERT(arena && wb_key_set_new(NULL, 0, prefixes, 1, &keys, NULL) == WB_OK);
    if (wb_otlp_walk_logs((wb_slice){data + 1, size - 1}, keys, arena, &batch, NULL) != WB_OK)
        return 0;
    for (uint32_t i = 0; i < batch->span_count; i++)
        for (wb_attr *a = batch->spans[i].attrs.first; a; a = a->next)
            if (data[0] >> (i % 8) & 1) wb_batch_mask(batch, &batch->spans[i].attrs, a);
    check_rendered(batch, keys);
    return 0;
}
