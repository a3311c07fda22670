/* SPDX-License-Identifier: Apache-2.0 */
/* What spans measure, through the stage that notes it and the table that counts it. */
#include "sidecar/pipeline/series.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "proto/otlp_walk.h"
#include "sidecar/pipeline/normalise.h"
#include "sidecar/pipeline/pipeline.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum {
    ARENA_BYTES = 16 * 1024 * 1024,
    TEXT_BYTES = 1024 * 1024,
    SERIES = 50,
    ATTRS_MAX = 24,
    CLIENT = 3,
    INTERNAL = 1,
    UNSET = 0,
    OK = 1,
    FAILED = 2,
};

#define MS UINT64_C(1000000)
#define START (UINT64_C(1700000000) * 1000 * MS)

typedef struct fixture {
    wb_pipeline *pipeline;
    void *stage;
    wb_arena *arena;
    wb_measured measured;
    wb_series_table *table;
    maker m;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_measured_init(&f->measured, f->arena);
    *state = f;
    assert_int_equal(wb_pipeline_new(&f->pipeline, NULL), WB_OK);
    assert_int_equal(wb_normalise_stage.open(NULL, &f->stage, NULL), WB_OK);
    assert_int_equal(wb_series_table_new(SERIES, TEXT_BYTES, &f->table, NULL), WB_OK);
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_pipeline_free(f->pipeline);
    wb_normalise_stage.close(f->stage);
    wb_series_table_free(f->table);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

/* ---- spans ---- */

static wb_slice with_value(maker *m, const char *key, wb_slice any_value)
{
    wb_slice kv[] = {make_len(m, 1, wb_slice_str(key)), make_len(m, 2, any_value)};
    return make_len(m, 9, make_joined(m, kv, 2));
}

static wb_slice text_of(maker *m, const char *key, wb_slice value)
{
    return with_value(m, key, make_len(m, 1, value));
}

static wb_slice text(maker *m, const char *key, const char *value)
{
    return text_of(m, key, wb_slice_str(value));
}

static wb_slice varint(maker *m, uint32_t number, uint64_t value)
{
    uint8_t field[11] = {(uint8_t)(number << 3)};
    size_t n = 1;
    for (; value >= 0x80; value >>= 7) field[n++] = (uint8_t)(value | 0x80);
    field[n++] = (uint8_t)value;
    wb_slice copy;
    assert_int_equal(wb_arena_dup(m->arena, wb_slice_of(field, n), &copy), WB_OK);
    return copy;
}

static wb_slice count(maker *m, const char *key, uint64_t value)
{
    return with_value(m, key, varint(m, 3, value));
}

static wb_slice real(maker *m, const char *key, double value)
{
    return with_value(m, key, make_raw(m, 4, 1, wb_slice_of(&value, sizeof value)));
}

typedef struct shape {
    uint8_t kind, status;
    uint64_t start_ns, end_ns;
} shape;

static const shape ok_call = {CLIENT, UNSET, START, START + 250 * MS};

/* Pass it through the stage; its measures are noted. */
static void pass(fixture *f, shape s, const wb_slice *attrs, size_t n)
{
    wb_batch *batch = NULL;
    const wb_stage_view view = {.measured = &f->measured};
    wb_slice fields[ATTRS_MAX + 5] = {
        good_ids(&f->m), make_raw(&f->m, 6, 0, wb_slice_of(&s.kind, 1)),
        make_raw(&f->m, 7, 1, wb_slice_of(&s.start_ns, 8)),
        make_raw(&f->m, 8, 1, wb_slice_of(&s.end_ns, 8)),
        make_len(&f->m, 15, s.status ? varint(&f->m, 3, s.status) : (wb_slice){0})};
    assert_true(n <= ATTRS_MAX);
    memcpy(fields + 5, attrs, n * sizeof *attrs);
    wb_slice body = in_envelope(&f->m, make_joined(&f->m, fields, n + 5));
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_normalise_stage.apply(f->stage, &view, batch, NULL), WB_OK);
}
#define PASS(f, shape, ...)                                                                        \
    pass(f, shape, (const wb_slice[]){__VA_ARGS__},                                                \
         sizeof((const wb_slice[]){__VA_ARGS__}) / sizeof(wb_slice))

static void commit(fixture *f, unsigned names)
{
    wb_series_count(f->table, &f->measured, names);
    wb_measured_init(&f->measured, f->arena);
}

/* ---- series ---- */

/* "gen_ai.client.token.usage{gen_ai.operation.name=chat,gen_ai.token.type=input} 1 70": count and sum. */
static void describe(const wb_series *series, char *out, size_t room)
{
    const wb_stream *st = &wb_streams[series->stream];
    size_t at = (size_t)snprintf(out, room, "%s{", st->name);
    if (series->overflow) at += (size_t)snprintf(out + at, room - at, "otel.metric.overflow=true,");
    for (unsigned i = 0; i < WB_LABELS; i++)
        if (series->labels[i].len > 0)
            at += (size_t)snprintf(out + at, room - at, "%s=%.*s,",
                                   wb_series_label_key((wb_series_label)i),
                                   WB_SLICE_ARG(series->labels[i]));
    if (st->fixed_key && !series->overflow)
        at += (size_t)snprintf(out + at, room - at, "%s=%s,", st->fixed_key, st->fixed_value);
    if (out[at - 1] == ',') at--;
    if (st->bounds) {
        wb_histogram_view v;
        wb_histogram_read(&series->histogram, st->bounds, &v);
        (void)snprintf(out + at, room - at, "} %llu %llu", (unsigned long long)v.count,
                       (unsigned long long)v.sum);
    } else {
        (void)snprintf(out + at, room - at, "} %llu",
                       (unsigned long long)atomic_load(&series->value));
    }
}

static void assert_series(const fixture *f, const char *const *expected, size_t n)
{
    char said[2048];
    for (size_t i = 0; i < wb_series_number(f->table); i++) {
        bool found = false;
        describe(wb_series_at(f->table, i), said, sizeof said);
        for (size_t k = 0; k < n && !found; k++) found = strcmp(expected[k], said) == 0;
        if (!found) fail_msg("not expected: %s", said);
    }
    assert_int_equal(wb_series_number(f->table), n);
}
#define SERIES_ARE(f, ...)                                                                         \
    assert_series(f, (const char *const[]){__VA_ARGS__},                                           \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* ---- what is measured ---- */

static void a_call_of_a_model_is_its_time_and_its_tokens(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    for (int i = 0; i < 2; i++)
        PASS(f, ok_call, text(m, "gen_ai.operation.name", "chat"),
             text(m, "gen_ai.system", "OpenAI"), text(m, "gen_ai.request.model", "gpt"),
             text(m, "gen_ai.response.model", "gpt-1"), text(m, "server.address", "api.openai.com"),
             count(m, "server.port", 443), count(m, "gen_ai.usage.input_tokens", 100),
             count(m, "gen_ai.usage.cache_read.input_tokens", 60),
             count(m, "gen_ai.usage.output_tokens", 20),
             count(m, "gen_ai.usage.reasoning.output_tokens", 5),
             real(m, "gen_ai.response.time_to_first_chunk", 0.125));
    assert_int_equal(wb_series_number(f->table), 0); /* not before it is durable */
    commit(f, WB_NAMES_V1_41);
#define CALL                                                                                       \
    "{gen_ai.operation.name=chat,gen_ai.provider.name=openai,gen_ai.request.model=gpt,"            \
    "gen_ai.response.model=gpt-1"
#define SERVER ",server.address=api.openai.com,server.port=443"
    SERIES_ARE(f, "gen_ai.client.operation.duration" CALL SERVER "} 2 500000000",
               "gen_ai.client.operation.time_to_first_chunk" CALL SERVER "} 2 250000000",
               "gen_ai.client.token.usage" CALL SERVER ",gen_ai.token.type=input} 2 200",
               "gen_ai.client.token.usage" CALL SERVER ",gen_ai.token.type=output} 2 40");
    assert_int_equal(wb_series_spans(f->table), 2);
}

static void buckets_that_are_disjoint_are_counted_as_the_conventions_count(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    PASS(f, ok_call, text(m, "langfuse.observation.type", "generation"),
         text(m, "langfuse.observation.usage_details",
              "{\"input\":7,\"input_cached_tokens\":3,\"output\":5,\"output_reasoning_tokens\":2,"
              "\"total\":17}"));
    commit(f, WB_NAMES_LATEST);
#define USED "{gen_ai.operation.name=chat,gen_ai.token.modality=unknown} "
    SERIES_ARE(f, "gen_ai.client.inference.duration{gen_ai.operation.name=chat} 1 250000000",
               "gen_ai.client.inference.usage.input_tokens" USED "10",
               "gen_ai.client.inference.usage.output_tokens" USED "7",
               "gen_ai.client.inference.usage.cache_read.input_tokens" USED "3",
               "gen_ai.client.inference.usage.reasoning.output_tokens" USED "2",
               "gen_ai.client.inference.operation.input_tokens{gen_ai.operation.name=chat} 1 10",
               "gen_ai.client.inference.operation.output_tokens{gen_ai.operation.name=chat} 1 7");
}

/* No guard in between, as of what this sidecar wrote itself. */
static void a_span_that_was_normalised_before_is_counted_by_its_buckets(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    PASS(f, ok_call, text(m, "gen_ai.operation.name", "embeddings"),
         count(m, "waybill.tokens.input", 40), count(m, "waybill.tokens.cache_read", 60),
         count(m, "gen_ai.usage.input_tokens", 7));
    commit(f, WB_NAMES_V1_41);
    SERIES_ARE(f, "gen_ai.client.operation.duration{gen_ai.operation.name=embeddings} 1 250000000",
               "gen_ai.client.token.usage{gen_ai.operation.name=embeddings,"
               "gen_ai.token.type=input} 1 100");
}

static void whoever_does_not_ask_gets_nothing(void **state)
{
    fixture *f = *state;
    wb_batch *batch = NULL;
    const wb_stage_view unasked = {.measured = NULL};
    wb_slice fields[] = {good_ids(&f->m), text(&f->m, "gen_ai.operation.name", "chat")};
    wb_slice body = in_envelope(&f->m, make_joined(&f->m, fields, 2));
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_normalise_stage.apply(f->stage, &unasked, batch, NULL), WB_OK);
    assert_null(f->measured.first);
    commit(f, WB_NAMES_V1_41);
    assert_int_equal(wb_series_spans(f->table), 0);
}

static void each_type_of_span_has_its_metrics(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice model = text(m, "gen_ai.request.model", "m"),
             agent = text(m, "gen_ai.agent.name", "a");
#define OPERATION(name) text(m, "gen_ai.operation.name", name)
    PASS(f, ok_call, OPERATION("embeddings"), model, count(m, "gen_ai.usage.input_tokens", 8));
    PASS(f, ok_call, OPERATION("retrieval"), text(m, "gen_ai.provider.name", "cohere"));
    PASS(f, ok_call, OPERATION("create_agent"), agent, model);
    PASS(f, ok_call, OPERATION("execute_tool"), text(m, "gen_ai.tool.name", "search"),
         text(m, "gen_ai.tool.type", "function"), agent, model);
    PASS(f, ok_call, OPERATION("invoke_agent"), agent, model,
         count(m, "gen_ai.usage.input_tokens", 100));
    PASS(f, ok_call, OPERATION("invoke_workflow"), text(m, "gen_ai.workflow.name", "w"), agent);
    PASS(f, ok_call, OPERATION("plan"), agent);
    PASS(f, ok_call, OPERATION("create_memory"), agent);
    PASS(f, ok_call, text(m, "http.request.method", "GET"));
    PASS(f, ok_call, text(m, "traceloop.span.kind", "task"));
    commit(f, WB_NAMES_V1_41);
#define TIME "} 1 250000000"
    SERIES_ARE(f,
               "gen_ai.client.operation.duration{gen_ai.operation.name=embeddings,gen_ai.request."
               "model=m" TIME,
               "gen_ai.client.token.usage{gen_ai.operation.name=embeddings,gen_ai.request.model=m,"
               "gen_ai.token.type=input} 1 8",
               "gen_ai.client.operation.duration{gen_ai.operation.name=retrieval,"
               "gen_ai.provider.name=cohere" TIME,
               "gen_ai.client.operation.duration{gen_ai.operation.name=create_agent,"
               "gen_ai.request.model=m" TIME,
               "gen_ai.execute_tool.duration{gen_ai.agent.name=a,gen_ai.tool.name=search,"
               "gen_ai.tool.type=function" TIME,
               "gen_ai.invoke_agent.duration{gen_ai.request.model=m,gen_ai.agent.name=a" TIME,
               "waybill.agent.operations{gen_ai.agent.name=a,outcome=success} 1",
               "gen_ai.invoke_workflow.duration{gen_ai.workflow.name=w" TIME);
}

static void whoever_failed_says_how(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    const shape failed = {CLIENT, FAILED, START, START + 250 * MS},
                fine = {CLIENT, OK, START, START + 250 * MS};
    wb_slice agent = text(m, "gen_ai.operation.name", "invoke_agent");
    PASS(f, failed, agent);
    PASS(f, failed, agent, text(m, "error.type", "timeout"));
    PASS(f, ok_call, agent, text(m, "error.type", "timeout")); /* a status that is not set */
    PASS(f, fine, agent, text(m, "error.type", "timeout"));    /* OK is the last word */
    PASS(f, ok_call, agent);
    commit(f, WB_NAMES_V1_41);
    SERIES_ARE(f, "gen_ai.invoke_agent.duration{error.type=_OTHER} 1 250000000",
               "gen_ai.invoke_agent.duration{error.type=timeout} 2 500000000",
               "gen_ai.invoke_agent.duration{} 2 500000000",
               "waybill.agent.operations{error.type=_OTHER,outcome=error} 1",
               "waybill.agent.operations{error.type=timeout,outcome=error} 2",
               "waybill.agent.operations{outcome=success} 2");
}

static void what_never_was_well_has_a_success_of_zero(void **state)
{
    fixture *f = *state;
    const shape failed = {CLIENT, FAILED, 0, 0};
    PASS(f, failed, text(&f->m, "gen_ai.agent.name", "a"));
    commit(f, WB_NAMES_LATEST);
    SERIES_ARE(f, "waybill.agent.operations{gen_ai.agent.name=a,outcome=success} 0",
               "waybill.agent.operations{gen_ai.agent.name=a,error.type=_OTHER,outcome=error} 1");
}

static void what_cannot_be_is_not_measured(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    const shape bad[] = {{CLIENT, UNSET, START, START - 1}, /* ends before it begins */
                         {CLIENT, UNSET, 0, START},
                         {CLIENT, UNSET, START, UINT64_MAX}};
    wb_slice chat = text(m, "gen_ai.operation.name", "chat");
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        PASS(f, bad[i], chat, count(m, "gen_ai.usage.input_tokens", UINT64_C(1) << 41),
             count(m, "gen_ai.usage.output_tokens", INT64_MAX),
             count(m, "gen_ai.usage.reasoning.output_tokens", INT64_MAX),
             real(m, "gen_ai.response.time_to_first_chunk", -1));
    PASS(f, bad[0], chat, real(m, "gen_ai.response.time_to_first_chunk", __builtin_nan("")));
    commit(f, WB_NAMES_V1_41 | WB_NAMES_LATEST);
    assert_int_equal(wb_series_number(f->table), 0);
    PASS(f, bad[0], text(m, "gen_ai.operation.name", "invoke_agent"));
    commit(f, WB_NAMES_V1_41);
    SERIES_ARE(f, "waybill.agent.operations{outcome=success} 1");
}

static void both_names_are_both(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    const char *used = "gen_ai.client.inference.usage.output_tokens" USED "2";
    PASS(f, ok_call, text(m, "gen_ai.operation.name", "chat"),
         count(m, "gen_ai.usage.output_tokens", 2));
    PASS(f, ok_call, text(m, "gen_ai.operation.name", "embeddings"));
    commit(f, WB_NAMES_V1_41 | WB_NAMES_LATEST);
    SERIES_ARE(f, "gen_ai.client.operation.duration{gen_ai.operation.name=chat} 1 250000000",
               "gen_ai.client.operation.duration{gen_ai.operation.name=embeddings} 1 250000000",
               "gen_ai.client.token.usage{gen_ai.operation.name=chat,gen_ai.token.type=output} 1 2",
               "gen_ai.client.inference.duration{gen_ai.operation.name=chat} 1 250000000", used,
               "gen_ai.client.inference.operation.output_tokens{gen_ai.operation.name=chat} 1 2");
}

/* ---- buckets ---- */

typedef struct ladder {
    const char *metric, *bounds;
} ladder;

/* As the conventions print them. */
static const ladder ladders[] = {
    {"gen_ai.client.operation.duration",
     "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92"},
    {"gen_ai.client.operation.time_to_first_chunk",
     "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92"},
    {"gen_ai.client.token.usage",
     "1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864"},
    {"gen_ai.client.inference.operation.input_tokens",
     "1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864"},
    {"gen_ai.execute_tool.duration",
     "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92"},
    {"gen_ai.invoke_agent.duration",
     "0.1 0.2 0.4 0.8 1.6 3.2 6.4 12.8 25.6 51.2 102.4 204.8 409.6"},
    {"gen_ai.invoke_workflow.duration", "1 5 10 30 60 120 300 600 1800 3600 7200"},
};

static const wb_stream *stream_of(const char *metric)
{
    for (size_t i = 0; i < WB_STREAMS; i++)
        if (strcmp(wb_streams[i].name, metric) == 0) return &wb_streams[i];
    fail_msg("no %s", metric);
    return NULL;
}

static void buckets_are_those_of_the_conventions(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(ladders); i++) {
        const wb_bounds *bounds = stream_of(ladders[i].metric)->bounds;
        const char *at = ladders[i].bounds;
        char *end;
        for (size_t k = 0; k < bounds->n; k++, at = end) {
            double bound = strtod(at, &end);
            double scale = bounds->unit == WB_BOUNDS_NS ? 1e9 : 1;
            assert_int_equal(bounds->at[k], (uint64_t)(bound * scale + 0.5));
        }
        assert_string_equal(at, "");
    }
}

static void a_bound_belongs_to_its_bucket(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_histogram_view v;
    const wb_bounds *bounds = stream_of("gen_ai.execute_tool.duration")->bounds;
    for (size_t k = 0; k < bounds->n; k++)
        for (uint64_t more = 0; more < 2; more++) {
            const shape s = {INTERNAL, UNSET, START, START + bounds->at[k] + more};
            PASS(f, s, text(m, "gen_ai.operation.name", "execute_tool"));
        }
    commit(f, WB_NAMES_V1_41);
    assert_int_equal(wb_series_number(f->table), 1);
    wb_histogram_read(&wb_series_at(f->table, 0)->histogram, bounds, &v);
    for (size_t k = 0; k < bounds->n; k++) assert_int_equal(v.upto[k], 2 * k + 1);
    assert_int_equal(v.count, 2 * bounds->n);
}

/* ---- how much there may be ---- */

static void tool(fixture *f, const char *name)
{
    PASS(f, ok_call, text(&f->m, "gen_ai.operation.name", "execute_tool"),
         text(&f->m, "gen_ai.tool.name", name));
}

static void beyond_the_last_series_there_is_one_of_each_metric(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_series_table_free(f->table);
    f->table = NULL;
    assert_int_equal(wb_series_table_new(2, TEXT_BYTES, &f->table, NULL), WB_OK);
    for (int round = 0; round < 2; round++) {
        tool(f, "a");
        tool(f, "b");
        tool(f, "c");
        tool(f, "d");
        PASS(f, ok_call, text(m, "gen_ai.operation.name", "chat"),
             count(m, "gen_ai.usage.input_tokens", 3), count(m, "gen_ai.usage.output_tokens", 4));
        commit(f, WB_NAMES_V1_41);
    }
    SERIES_ARE(f, "gen_ai.execute_tool.duration{gen_ai.tool.name=a} 2 500000000",
               "gen_ai.execute_tool.duration{gen_ai.tool.name=b} 2 500000000",
               "gen_ai.execute_tool.duration{otel.metric.overflow=true} 4 1000000000",
               "gen_ai.client.operation.duration{otel.metric.overflow=true} 2 500000000",
               "gen_ai.client.token.usage{otel.metric.overflow=true} 4 14");
}

static void their_text_is_bounded_too(void **state)
{
    fixture *f = *state;
    wb_slice labels[WB_LABELS] = {[WB_LABEL_TOOL] = WB_S("a")};
    size_t stream = (size_t)(stream_of("gen_ai.execute_tool.duration") - wb_streams);
    size_t one = wb_series_text_bytes(stream, labels);
    labels[WB_LABEL_TOOL] = WB_S("\\\"\n");
    assert_int_equal(wb_series_text_bytes(stream, labels), one + 5 * 17);
    wb_series_table_free(f->table);
    f->table = NULL;
    assert_int_equal(wb_series_table_new(SERIES, 2 * one, &f->table, NULL), WB_OK);
    tool(f, "a");
    tool(f, "b");
    tool(f, "c");
    commit(f, WB_NAMES_V1_41);
    SERIES_ARE(f, "gen_ai.execute_tool.duration{gen_ai.tool.name=a} 1 250000000",
               "gen_ai.execute_tool.duration{gen_ai.tool.name=b} 1 250000000",
               "gen_ai.execute_tool.duration{otel.metric.overflow=true} 1 250000000");
}

static void labels_are_cut_between_characters(void **state)
{
    fixture *f = *state;
    char name[WB_LABEL_BYTES_MAX + 8] = "";
    memset(name, 'x', WB_LABEL_BYTES_MAX - 1);
    memcpy(name + WB_LABEL_BYTES_MAX - 1, "\xc3\xa9y", 3);
    tool(f, name);
    name[WB_LABEL_BYTES_MAX - 1] = '\0';
    tool(f, name);
    commit(f, WB_NAMES_V1_41);
    assert_int_equal(wb_series_number(f->table), 1);
    assert_int_equal(wb_series_at(f->table, 0)->labels[WB_LABEL_TOOL].len, WB_LABEL_BYTES_MAX - 1);
}

/* No walk lets such a span through; nor would the table. */
static void what_is_no_text_is_no_label(void **state)
{
    fixture *f = *state;
    wb_measured_group group = {.labels = {[WB_LABEL_TOOL] = WB_S("\xff")},
                               .kind = WB_MEASURED_TOOL};
    wb_observations block = {.n = 1,
                             .all = {{.group = &group, .has = 1U << WB_OF_DURATION, .of = {7}}}};
    f->measured.first = &block;
    commit(f, WB_NAMES_V1_41);
    SERIES_ARE(f, "gen_ai.execute_tool.duration{otel.metric.overflow=true} 1 7");
}

static void labels_of_one_hash_do_not_make_a_long_search(void **state)
{
    fixture *f = *state;
    static wb_measured_group groups[200];
    static char names[200][8];
    static wb_observations blocks[200];
    wb_series_table_free(f->table);
    f->table = NULL;
    assert_int_equal(wb_series_table_new(1000, TEXT_BYTES, &f->table, NULL), WB_OK);
    for (size_t i = 0; i < WB_COUNT(groups); i++) {
        (void)snprintf(names[i], sizeof names[i], "%zu", i);
        groups[i] = (wb_measured_group){.labels = {[WB_LABEL_TOOL] = wb_slice_str(names[i])},
                                        .kind = WB_MEASURED_TOOL};
        blocks[i] = (wb_observations){
            .n = 1, .all = {{.group = &groups[i], .has = 1U << WB_OF_DURATION, .of = {1}}}};
        f->measured.first = &blocks[i];
        wb_series_count(f->table, &f->measured, WB_NAMES_V1_41);
    }
    assert_int_equal(wb_series_number(f->table), 64 + 1);
    wb_measured_init(&f->measured, f->arena);
}

static void many_labels_at_once_are_told_apart(void **state)
{
    fixture *f = *state;
    char name[16];
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < SERIES; i++) {
            (void)snprintf(name, sizeof name, "tool-%d", i);
            tool(f, name);
        }
    commit(f, WB_NAMES_V1_41);
    assert_int_equal(wb_series_number(f->table), SERIES);
    for (size_t i = 0; i < SERIES; i++) {
        wb_histogram_view v;
        const wb_series *series = wb_series_at(f->table, i);
        wb_histogram_read(&series->histogram, wb_streams[series->stream].bounds, &v);
        assert_int_equal(v.count, 3);
    }
}

/* ---- rows ---- */

typedef struct shape_of {
    const char *type_key, *type, *provider_key, *more_key;
    bool fails, is_langfuse;
} shape_of;

static const shape_of shapes[] = {
    {"gen_ai.operation.name", "chat", "gen_ai.provider.name", NULL, false, false},
    {"gen_ai.operation.name", "chat", "gen_ai.system", "gen_ai.request.model", false, false},
    {"gen_ai.operation.name", "chat", "gen_ai.system", NULL, true, false},
    {"gen_ai.operation.name", "chat", "gen_ai.provider.name", "error.type", true, false},
    {"gen_ai.operation.name", "embeddings", NULL, "gen_ai.response.model", false, false},
    {"gen_ai.operation.name", "invoke_agent", NULL, "gen_ai.agent.name", false, false},
    {"gen_ai.operation.name", "execute_tool", NULL, "gen_ai.tool.name", true, false},
    {"langfuse.observation.type", "generation", NULL, "server.address", false, true},
    {"langfuse.observation.type", "agent", NULL, NULL, false, true},
    {"langfuse.observation.type", "tool", NULL, "error.type", false, true},
    {"langfuse.observation.type", "retriever", NULL, NULL, true, true},
    {"openinference.span.kind", "CHAIN", "llm.provider", NULL, true, false},
};

/* A span whose labels come from all places that they may come from. */
static wb_slice random_span(maker *m, uint64_t *seed, unsigned which)
{
    static const char *const providers[] = {"openai", "OpenAI", "cohere"};
    static const char *const types[] = {"timeout", "timeout", "429"};
    static const char *const names[] = {"planner", "Cohere.embed", "OpenAI.chat", ""};
    static const char *const levels[] = {"ERROR", "DEFAULT"};
    static const char *const messages[] = {"Error code: 429 - slow", "broken", ""};
#define ONE_OF(list) list[wb_sample_next(seed) / 4 % WB_COUNT(list)]
    uint8_t kind = CLIENT;
    uint64_t end = START + (1 + wb_sample_next(seed) % 3) * MS;
    const shape_of *s = &shapes[which % WB_COUNT(shapes)];
    wb_slice name = make_len(m, 5, wb_slice_str(ONE_OF(names))),
             event_attrs[] = {make_len(m, 1, WB_S("exception.type")),
                              make_len(m, 2, make_len(m, 1, wb_slice_str(ONE_OF(types))))};
    wb_slice thrown[] = {make_len(m, 2, WB_S("exception")),
                         make_len(m, 3, make_joined(m, event_attrs, 2))};
    wb_slice status[] = {make_len(m, 2, wb_slice_str(ONE_OF(messages))), varint(m, 3, FAILED)};
    wb_slice parts[] = {
        good_ids(m),
        make_raw(m, 6, 0, wb_slice_of(&kind, 1)),
        make_raw(m, 7, 1, wb_slice_of(&(uint64_t){START}, 8)),
        make_raw(m, 8, 1, wb_slice_of(&end, 8)),
        make_len(m, 15, make_joined(m, status, s->fails ? 2 : 1)),
        name,
        text(m, s->type_key, s->type),
        s->provider_key ? text(m, s->provider_key, ONE_OF(providers)) : (wb_slice){0},
        s->more_key ? text(m, s->more_key, ONE_OF(types)) : (wb_slice){0},
        which % 3 ? text(m, "server.address", "localhost") : (wb_slice){0},
        wb_sample_next(seed) % 2 ? make_len(m, 11, make_joined(m, thrown, 2)) : (wb_slice){0},
        s->is_langfuse ? text(m, "langfuse.observation.level", ONE_OF(levels)) : (wb_slice){0},
        count(m, "server.port", 443 + wb_sample_next(seed) % 2),
        count(m, "gen_ai.usage.input_tokens", wb_sample_next(seed) % 100)};
    return make_joined(m, parts, WB_COUNT(parts));
}

static void measure_all(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    const wb_stage_view view = {.measured = &f->measured};
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_normalise_stage.apply(f->stage, &view, batch, NULL), WB_OK);
}

/* What was noted, as text. */
static const char *noted(fixture *f)
{
    char *text = wb_arena_printf(f->arena, "%s", "");
    for (const wb_observations *b = f->measured.first; b; b = b->next)
        for (size_t i = 0; i < b->n; i++) {
            const wb_observation *o = &b->all[i];
            text = wb_arena_printf(f->arena, "%s\n%u %x", text, o->group->kind, o->has);
            for (size_t q = 0; q < WB_QUANTITIES; q++)
                if (o->has >> q & 1)
                    text = wb_arena_printf(f->arena, "%s %llu", text, (unsigned long long)o->of[q]);
            for (size_t l = 0; l < WB_LABELS; l++)
                text =
                    wb_arena_printf(f->arena, "%s|%.*s", text, WB_SLICE_ARG(o->group->labels[l]));
            assert_non_null(text);
        }
    wb_measured_init(&f->measured, f->arena);
    return text;
}

static void spans_in_a_row_are_measured_as_they_are_alone(void **state)
{
    enum { ROW = 12, ROUNDS = 2000 };
    fixture *f = *state;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t seed = round;
        wb_slice spans[ROW], fields[ROW];
        unsigned which = (unsigned)wb_sample_next(&seed);
        for (size_t i = 0; i < ROW; i++) {
            if (wb_sample_next(&seed) % 8 == 0) which = (unsigned)wb_sample_next(&seed);
            spans[i] = random_span(&f->m, &seed, which);
            fields[i] = make_len(&f->m, 2, spans[i]);
        }
        measure_all(f, in_envelope_all(&f->m, make_joined(&f->m, fields, ROW)));
        const char *together = noted(f);
        for (size_t i = 0; i < ROW; i++) measure_all(f, in_envelope(&f->m, spans[i]));
        assert_string_equal(noted(f), together);
        wb_arena_reset(f->arena);
        wb_measured_init(&f->measured, f->arena);
    }
}

static void an_arena_without_room_notes_no_more(void **state)
{
    fixture *f = *state;
    WB_AUTO(wb_arena) small = wb_arena_new(64);
    assert_non_null(small);
    wb_measured_init(&f->measured, small);
    tool(f, "a");
    assert_null(f->measured.first);
    commit(f, WB_NAMES_V1_41);
    assert_int_equal(wb_series_number(f->table), 0);
}

/* ---- threads ---- */

typedef struct reading {
    const wb_series_table *table;
    atomic_bool stop;
} reading;

static void *read_often(void *arg)
{
    reading *r = arg;
    char said[2048];
    while (!atomic_load(&r->stop))
        for (size_t i = 0; i < wb_series_number(r->table); i++)
            describe(wb_series_at(r->table, i), said, sizeof said);
    return NULL;
}

static void a_reader_waits_for_nobody_and_sees_whole_series(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    char name[16];
    reading r = {.table = f->table};
    assert_int_equal(pthread_create(&thread, NULL, read_often, &r), 0);
    for (int i = 0; i < 2 * SERIES; i++) {
        (void)snprintf(name, sizeof name, "tool-%d", i);
        tool(f, name);
        commit(f, WB_NAMES_V1_41);
    }
    atomic_store(&r.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(wb_series_number(f->table), SERIES + 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_call_of_a_model_is_its_time_and_its_tokens),
        CASE(buckets_that_are_disjoint_are_counted_as_the_conventions_count),
        CASE(a_span_that_was_normalised_before_is_counted_by_its_buckets),
        CASE(whoever_does_not_ask_gets_nothing),
        CASE(each_type_of_span_has_its_metrics),
        CASE(whoever_failed_says_how),
        CASE(what_never_was_well_has_a_success_of_zero),
        CASE(what_cannot_be_is_not_measured),
        CASE(both_names_are_both),
        CASE(buckets_are_those_of_the_conventions),
        CASE(a_bound_belongs_to_its_bucket),
        CASE(beyond_the_last_series_there_is_one_of_each_metric),
        CASE(their_text_is_bounded_too),
        CASE(labels_are_cut_between_characters),
        CASE(what_is_no_text_is_no_label),
        CASE(labels_of_one_hash_do_not_make_a_long_search),
        CASE(many_labels_at_once_are_told_apart),
        CASE(spans_in_a_row_are_measured_as_they_are_alone),
        CASE(an_arena_without_room_notes_no_more),
        CASE(a_reader_waits_for_nobody_and_sees_whole_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
