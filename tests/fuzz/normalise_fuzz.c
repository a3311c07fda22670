/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever spans arrive: normalised they are a payload that opens, with as many spans, and normalising them
 * once more changes nothing. */
#include "sidecar/pipeline/normalise.h"

#include "proto/otlp_walk.h"
#include "proto/span_batch.h"

enum { ARENA_BYTES = 64 << 20, OUT_BYTES = 64 << 20, INPUT_MAX = 256 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False: the walk refuses it, or the arena is too small for it. */
static bool normalised(wb_slice body, void *stage, const wb_key_set *keys, wb_arena *arena,
                       wb_buffer *out, wb_span_batch *read)
{
    const wb_stage_view view = {.rehome = NULL};
    wb_batch *batch = NULL;
    if (wb_otlp_walk(body, keys, arena, &batch, NULL) != WB_OK) return false;
    if (wb_normalise_stage.apply(stage, &view, batch, NULL) != WB_OK) return false;
    uint32_t spans = batch->span_count;
    if (wb_span_batch_write(batch, out, NULL) != WB_OK) return false;
    WB_ASSERT(wb_span_batch_open(wb_buffer_slice(out), read, NULL) == WB_OK);
    WB_ASSERT(read->span_count == spans);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wb_key_set *keys;
    static void *stage;
    static const wb_slice own = {(const uint8_t *)"waybill.", sizeof "waybill." - 1};
    if (!keys && wb_key_set_new(NULL, 0, &own, 1, &keys, NULL) != WB_OK) return 0;
    if (!stage && wb_normalise_stage.open(NULL, &stage, NULL) != WB_OK) return 0;
    if (size > INPUT_MAX) return 0;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER once;
    WB_AUTO_BUFFER twice;
    wb_span_batch first, second;
    wb_buffer_init(&once, OUT_BYTES);
    wb_buffer_init(&twice, OUT_BYTES);
    if (!normalised((wb_slice){data, size}, stage, keys, arena, &once, &first)) return 0;
    if (!normalised(first.body, stage, keys, arena, &twice, &second)) return 0;
    WB_ASSERT(wb_slice_eq(first.body, second.body));
    return 0;
}
