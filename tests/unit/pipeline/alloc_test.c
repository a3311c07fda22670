/* SPDX-License-Identifier: Apache-2.0 */
/* No span takes memory of its own on its way through redaction, walk, stages, rendering and metrics: what a request
 * takes comes in blocks, of which there are a few for a thousand spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/pipeline.h"
#include "sidecar/pipeline/redact.h"
#include "sidecar/pipeline/series.h"
#include "tests/support/alloc_count.h"
#include "tests/support/otlp_sample.h"

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    BUFFER_BYTES = 16 * 1024 * 1024,
    SERIES = 100,
    TEXT_BYTES = 1024 * 1024,
    FEW = 100,
    MANY = 4000,
    SPANS_PER_BLOCK = 100, /* at the least */
};

static const wb_redact_policy policy = {.secrets = true, .preview_characters = 500};

static wb_status know_all(void *ctx, wb_stamp *stamps, size_t n, wb_arena *arena)
{
    (void)ctx;
    (void)arena;
    for (size_t i = 0; i < n; i++)
        stamps[i] = (wb_stamp){.value = stamps[i].value, .is_known = true, .session = WB_S("s")};
    return WB_OK;
}

/* How often memory is asked for on the way of so many spans. */
static unsigned asked_for(size_t spans)
{
    WB_AUTO(wb_arena) sample = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_pipeline) pipeline = NULL;
    WB_AUTO(wb_redactor) redactor = NULL;
    WB_AUTO(wb_series_table) series = NULL;
    WB_AUTO_BUFFER room;
    WB_AUTO_BUFFER payload;
    wb_buffer_init(&room, BUFFER_BYTES);
    wb_buffer_init(&payload, BUFFER_BYTES);
    assert_int_equal(wb_pipeline_new(&pipeline, NULL), WB_OK);
    assert_int_equal(wb_redactor_new(NULL, &redactor, NULL), WB_OK);
    assert_int_equal(wb_series_table_new(SERIES, TEXT_BYTES, &series, NULL), WB_OK);
    wb_slice body = wb_sample_llm_spans(spans, 1, sample);
    wb_redacted done = {0};
    wb_batch *batch = NULL;
    wb_measured measured;
    wb_measured_init(&measured, arena);
    const wb_stage_view view = {
        .redactor = redactor, .redact = &policy, .measured = &measured, .look_up = know_all};

    unsigned before = wb_alloc_count();
    assert_int_equal(
        wb_redact(redactor, &policy, WB_SIGNAL_TRACES, body, &room, &body, &done, NULL), WB_OK);
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(pipeline), arena, &batch, NULL), WB_OK);
    assert_int_equal(wb_pipeline_run(pipeline, &view, batch, NULL), WB_OK);
    assert_int_equal(wb_span_batch_write(batch, &payload, NULL), WB_OK);
    wb_series_count(series, &measured, WB_NAMES_V1_41);
    unsigned asked = wb_alloc_count() - before;

    assert_int_equal(wb_series_spans(series), spans);
    return asked;
}

static void no_span_asks_for_memory(void **state)
{
    (void)state;
    unsigned few = asked_for(FEW), many = asked_for(MANY);
    assert_true(few > 0 && few < FEW);
    if (many > few + (MANY - FEW) / SPANS_PER_BLOCK)
        fail_msg("%u times for %d spans, %u times for %d", few, FEW, many, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_span_asks_for_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
