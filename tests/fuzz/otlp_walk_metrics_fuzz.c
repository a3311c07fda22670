/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is left of a body that the walk takes, protobuf-c unpacks, and the walk takes it again, whole, with
 * the same number of data points. */
#include "proto/otlp_walk.h"
#include "tests/support/otlp_compare.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER out;
    wb_batch *batch = NULL, *again = NULL;
    wb_metrics_points first, second;
    wb_slice body = {data, size};
    WB_ASSERT(arena);
    wb_buffer_init(&out, ARENA_BYTES);
    if (wb_otlp_walk_metrics(body, arena, &batch, &first, NULL) != WB_OK) return 0;
    WB_ASSERT(wb_metrics_write(batch, &out, NULL) == WB_OK);
    wb_slice rest = wb_buffer_slice(&out);
    WB_ASSERT(batch->edited || wb_slice_eq(rest, body));
    WB_ASSERT(wb_oracle_unpacks_signal(WB_SIGNAL_METRICS, rest));
    WB_ASSERT(wb_otlp_walk_metrics(rest, arena, &again, &second, NULL) == WB_OK);
    WB_ASSERT(again->rejected_count == 0 && again->span_count == batch->span_count);
    WB_ASSERT(second.accepted == first.accepted && second.rejected == 0);
    return 0;
}
