/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever spans arrive: as the guard leaves them and enriched they are a payload that opens, with as many spans,
 * and enriching them once more changes nothing. */
#include "sidecar/pipeline/enrich.h"

#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/guard.h"
#include "sidecar/pipeline/pipeline.h"

enum {
    ARENA_BYTES = 64 << 20,
    OUT_BYTES = 64 << 20,
    INPUT_MAX = 256 * 1024,
    ROOM = 1024 * 1024 /* beyond that some is left out, which a second time finds room */
};

typedef struct setting {
    wb_pipeline *pipeline; /* whose keys are asked for */
    void *stage;
    wb_stage_view view;
} setting;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every other acceptance is known, and every other of those has a session. */
static wb_status look_up(void *ctx, wb_stamp *stamps, size_t n, wb_arena *arena)
{
    (void)ctx;
    (void)arena;
    for (size_t i = 0; i < n; i++) {
        wb_slice id = wb_otlp_value(stamps[i].value).text;
        uint8_t last = id.len > 0 ? id.ptr[id.len - 1] : 0;
        stamps[i].is_known = last % 2 == 0;
        if (last % 4 == 0) stamps[i].session = WB_S("session");
    }
    return WB_OK;
}

static bool make(setting *s)
{
    static wb_arena *arena;
    static const wb_attr_wish configured[] = {{WB_ATTR_TEXT("team", WB_S("tides")), {NULL, 0}},
                                              {WB_ATTR_TEXT("k", WB_S("")), {NULL, 0}}};
    if (s->pipeline) return true;
    arena = wb_arena_new(1 << 16);
    s->view = (wb_stage_view){.look_up = look_up, .inherits = true};
    return arena && wb_enrich_stage.open(NULL, &s->stage, NULL) == WB_OK &&
           wb_attr_list_make(configured, 2, WB_OTLP_RESOURCE, arena, &s->view.to_resources[0]) ==
               WB_OK &&
           wb_enrich_agent(WB_S("spiffe://a/b"), WB_S("b"), WB_S("none"), arena,
                           &s->view.to_resources[1]) == WB_OK &&
           wb_attr_list_make(configured, 2, WB_OTLP_SPAN, arena, &s->view.to_spans) == WB_OK &&
           wb_pipeline_new(&s->pipeline, NULL) == WB_OK;
}

/* False: the walk refuses it, or the arena is too small for it. */
static bool enriched(const setting *s, wb_slice body, bool guard, wb_arena *arena, wb_buffer *out,
                     wb_span_batch *read)
{
    wb_batch *batch = NULL;
    if (wb_otlp_walk(body, wb_pipeline_keys(s->pipeline), arena, &batch, NULL) != WB_OK)
        return false;
    if (guard && wb_guard_stage.apply(NULL, &s->view, batch, NULL) != WB_OK) return false;
    if (wb_enrich_stage.apply(s->stage, &s->view, batch, NULL) != WB_OK) return false;
    uint32_t spans = batch->span_count;
    if (wb_span_batch_write(batch, out, NULL) != WB_OK) return false;
    WB_ASSERT(wb_span_batch_open(wb_buffer_slice(out), read, NULL) == WB_OK);
    WB_ASSERT(read->span_count == spans);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static setting s;
    if (!make(&s) || size > INPUT_MAX) return 0;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER once;
    WB_AUTO_BUFFER twice;
    wb_span_batch first, second;
    wb_buffer_init(&once, OUT_BYTES);
    wb_buffer_init(&twice, OUT_BYTES);
    if (!enriched(&s, (wb_slice){data, size}, true, arena, &once, &first)) return 0;
    if (first.body.len > size + ROOM) return 0;
    if (!enriched(&s, first.body, false, arena, &twice, &second)) return 0;
    WB_ASSERT(wb_slice_eq(first.body, second.body));
    return 0;
}
