/* SPDX-License-Identifier: Apache-2.0 */
/* A request of 100 spans, each 555 bytes and 12 attributes, as an LLM client leaves them: walked
 * with the keys of the default stages, and unpacked and freed by protobuf-c, in turns. */
#include "core/arena.h"
#include "proto/otlp_walk.h"
#include "sidecar/pipeline/pipeline.h"
#include "tests/bench/bench.h"
#include "tests/support/otlp_oracle.pb-c.h"
#include "tests/support/otlp_sample.h"

enum { SPANS = 100, SAMPLES = 4000, ARENA_BYTES = 16 * 1024 * 1024 };

typedef struct fixture {
    wb_slice body;
    const wb_key_set *keys;
    wb_arena *arena;
} fixture;

static void walk_once(void *ctx)
{
    fixture *f = ctx;
    wb_batch *batch = NULL;
    wb_arena_reset(f->arena);
    wb_status status = wb_otlp_walk(f->body, f->keys, f->arena, &batch, NULL);
    WB_ASSERT(status == WB_OK && batch->span_count == SPANS && batch->spans[99].attrs.first);
}

static void unpack_once(void *ctx)
{
    fixture *f = ctx;
    Oracle__TracesRequest *request = oracle__traces_request__unpack(NULL, f->body.len, f->body.ptr);
    WB_ASSERT(request && request->resource_spans[0]->scope_spans[0]->n_spans == SPANS);
    oracle__traces_request__free_unpacked(request, NULL);
}

int main(void)
{
    wb_bench_need_release();
    WB_AUTO(wb_arena) sample = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_pipeline) pipeline = NULL;
    if (!sample || !arena || wb_pipeline_new(&pipeline, NULL) != WB_OK)
        wb_bench_give_up("no memory");
    fixture f = {wb_sample_llm_spans(SPANS, 1, sample), wb_pipeline_keys(pipeline), arena};
    wb_bench_once *const once[] = {walk_once, unpack_once};
    void *const ctx[] = {&f, &f};
    wb_bench_stats stats[2];
    wb_bench_together(once, ctx, 2, SAMPLES, stats);
    double ratio = stats[1].p50 / stats[0].p50;
    int over = wb_bench_report(&(wb_bench_figure){
        .name = "otlp_walk", .unit = "ns/span", .stats = stats[0], .per = SPANS, .limit = 250});
    over |= wb_bench_report(&(wb_bench_figure){.name = "otlp_walk_vs_unpack",
                                               .unit = "x faster",
                                               .stats = stats[1],
                                               .per = SPANS,
                                               .value = ratio,
                                               .ratio = ratio,
                                               .bound = WB_BENCH_AT_LEAST,
                                               .limit = 8});
    return over;
}
