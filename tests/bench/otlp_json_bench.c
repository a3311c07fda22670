/* SPDX-License-Identifier: Apache-2.0 */
/* The 100 spans of otlp_walk_bench as OTLP/JSON, as exporters write it: made protobuf of, walked and rendered;
 * beside the same from protobuf. Both end with what the journal takes. */
#include "core/arena.h"
#include "proto/otlp_from_json.h"
#include "proto/otlp_to_json.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "tests/bench/bench.h"
#include "tests/support/otlp_sample.h"

enum { SPANS = 100, SAMPLES = 4000, ARENA_BYTES = 16 * 1024 * 1024, LIMIT = 8 * 1024 * 1024 };

typedef struct fixture {
    wb_slice protobuf, json;
    wb_arena *arena;
    wb_buffer made, payload;
} fixture;

static void take(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    wb_arena_reset(f->arena);
    wb_buffer_clear(&f->payload);
    wb_status status = wb_otlp_walk(body, NULL, f->arena, &batch, NULL);
    WB_ASSERT(status == WB_OK && batch->span_count == SPANS);
    WB_ASSERT(wb_span_batch_write(batch, &f->payload, NULL) == WB_OK);
}

static void from_protobuf(void *ctx)
{
    fixture *f = ctx;
    take(f, f->protobuf);
}

static void from_json(void *ctx)
{
    fixture *f = ctx;
    wb_buffer_clear(&f->made);
    WB_ASSERT(wb_otlp_from_json(WB_SIGNAL_TRACES, f->json, &f->made, NULL) == WB_OK);
    take(f, wb_buffer_slice(&f->made));
}

static void add(wb_buffer *out, wb_slice text)
{
    WB_ASSERT(wb_buffer_add_slice(out, text) == WB_OK);
}

/* The request in JSON, without white space. */
static void make_json(fixture *f, wb_buffer *out)
{
    wb_span_batch batch;
    from_protobuf(f);
    WB_ASSERT(wb_span_batch_open(wb_buffer_slice(&f->payload), &batch, NULL) == WB_OK);
    wb_span_row row = wb_span_batch_row(&batch, 0);
    add(out, WB_S("{\"resourceSpans\":[{\"resource\":"));
    WB_ASSERT(wb_otlp_resource_to_json(row.resource, out) == WB_OK);
    add(out, WB_S(",\"scopeSpans\":[{\"scope\":"));
    WB_ASSERT(wb_otlp_scope_to_json(row.scope, out) == WB_OK);
    for (uint32_t i = 0; i < batch.span_count; i++) {
        add(out, i == 0 ? WB_S(",\"spans\":[") : WB_S(","));
        WB_ASSERT(wb_otlp_span_to_json(wb_span_batch_row(&batch, i).span, out) == WB_OK);
    }
    add(out, WB_S("]}]}]}"));
    f->json = wb_buffer_slice(out);
}

int main(void)
{
    wb_bench_need_release();
    WB_AUTO(wb_arena) sample = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER json;
    if (!sample || !arena) wb_bench_give_up("no memory");
    fixture f = {.protobuf = wb_sample_llm_spans(SPANS, 1, sample), .arena = arena};
    wb_buffer_init(&f.made, LIMIT);
    wb_buffer_init(&f.payload, LIMIT);
    wb_buffer_init(&json, LIMIT);
    make_json(&f, &json);
    wb_bench_once *const once[] = {from_json, from_protobuf};
    void *const ctx[] = {&f, &f};
    wb_bench_stats stats[2];
    wb_bench_together(once, ctx, 2, SAMPLES, stats);
    int over = wb_bench_report(&(wb_bench_figure){
        .name = "otlp_take_protobuf", .unit = "ns/span", .stats = stats[1], .per = SPANS});
    double ratio = stats[0].p50 / stats[1].p50;
    over |= wb_bench_report(&(wb_bench_figure){.name = "otlp_take_json",
                                               .unit = "ns/span",
                                               .stats = stats[0],
                                               .per = SPANS,
                                               .ratio = ratio});
    wb_buffer_done(&f.made);
    wb_buffer_done(&f.payload);
    return over;
}
