/* SPDX-License-Identifier: Apache-2.0 */
/* The normalise stage, run as receivers run it. What single words and numbers become is tested here; that each
 * row of the map is reachable, through a sidecar, in tests/integration/test_model.py. */
#include "sidecar/pipeline/normalise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/pipeline.h"
#include "sidecar/pipeline/semconv.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, SEEDS = 3000, ATTRS_MAX = 24, CLIENT = 3, INTERNAL = 1 };

typedef struct fixture {
    wb_pipeline *pipeline; /* whose keys are asked for */
    void *stage;
    wb_arena *arena;
    wb_buffer out;
    wb_span_batch read;
    maker m;
} fixture;

static const wb_stage_view no_view = {.rehome = NULL};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, ARENA_BYTES);
    assert_int_equal(wb_pipeline_new(&f->pipeline, NULL), WB_OK);
    assert_int_equal(wb_normalise_stage.open(NULL, &f->stage, NULL), WB_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->out);
    wb_pipeline_free(f->pipeline);
    wb_normalise_stage.close(f->stage);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

/* Of the stage alone: what the guard takes from an agent has been normalised here before. */
static wb_slice normalised(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    wb_slice out;
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_normalise_stage.apply(f->stage, &no_view, batch, NULL), WB_OK);
    assert_int_equal(wb_span_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
    assert_int_equal(wb_arena_dup(f->arena, f->read.body, &out), WB_OK);
    return out;
}

/* ---- attributes ---- */

static wb_slice with_value(maker *m, const char *key, wb_slice any_value)
{
    wb_slice kv[] = {make_len(m, 1, wb_slice_str(key)), make_len(m, 2, any_value)};
    return make_len(m, 9, make_joined(m, kv, 2));
}

static wb_slice text(maker *m, const char *key, const char *value)
{
    return with_value(m, key, make_len(m, 1, wb_slice_str(value)));
}

static wb_slice count(maker *m, const char *key, uint64_t value)
{
    uint8_t field[11] = {3 << 3};
    size_t n = 1;
    for (; value >= 0x80; value >>= 7) field[n++] = (uint8_t)(value | 0x80);
    field[n++] = (uint8_t)value;
    wb_slice copy;
    assert_int_equal(wb_arena_dup(m->arena, wb_slice_of(field, n), &copy), WB_OK);
    return with_value(m, key, copy);
}

static wb_slice real(maker *m, const char *key, double value)
{
    return with_value(m, key, make_raw(m, 4, 1, wb_slice_of(&value, sizeof value)));
}

static wb_slice named(maker *m, const char *name) { return make_len(m, 5, wb_slice_str(name)); }

/* A span of that kind with these attributes, and fields, normalised. */
static wb_slice span_of(fixture *f, uint8_t kind, const wb_slice *attrs, size_t n)
{
    wb_slice fields[ATTRS_MAX + 2] = {good_ids(&f->m),
                                      make_raw(&f->m, 6, 0, wb_slice_of(&kind, 1))};
    assert_true(n <= ATTRS_MAX);
    memcpy(fields + 2, attrs, n * sizeof *attrs);
    (void)normalised(f, in_envelope(&f->m, make_joined(&f->m, fields, n + 2)));
    assert_int_equal(f->read.span_count, 1);
    return wb_span_batch_row(&f->read, 0).span;
}
#define SPAN(f, kind, ...)                                                                         \
    span_of(f, kind, (const wb_slice[]){__VA_ARGS__},                                              \
            sizeof((const wb_slice[]){__VA_ARGS__}) / sizeof(wb_slice))

static void says(wb_slice span, const char *key, const char *expected)
{
    wb_slice found = wb_otlp_find_text(span, WB_OTLP_SPAN, wb_slice_str(key));
    if (!wb_slice_eq(found, wb_slice_str(expected)))
        fail_msg("%s: %.*s, not %s", key, WB_SLICE_ARG(found), expected);
}

static int64_t number(wb_slice span, const char *key)
{
    wb_value value;
    if (!wb_otlp_find_attr(span, WB_OTLP_SPAN, wb_slice_str(key), &value)) return -1;
    assert_int_equal(value.type, WB_VALUE_INT);
    return value.integer;
}

/* ---- what a span is ---- */

typedef struct word {
    const char *key, *value, *type, *operation;
} word;

static const word words[] = {
    {"gen_ai.operation.name", "chat", "llm_call", "chat"},
    {"gen_ai.operation.name", "invoke_workflow", "workflow", "invoke_workflow"},
    {"gen_ai.operation.name", "plan", "workflow", "plan"},
    {"gen_ai.operation.name", "something_new", "execution", "something_new"},
    {"openinference.span.kind", "LLM", "llm_call", "chat"},
    {"openinference.span.kind", "chain", "workflow", "invoke_workflow"},
    {"openinference.span.kind", "RERANKER", "retrieval", "rerank"},
    {"traceloop.span.kind", "task", "workflow", "step"},
    {"traceloop.span.kind", "agent", "agent", "invoke_agent"},
    {"llm.request.type", "completion", "llm_call", "text_completion"},
    {"llm.request.type", "unknown", "execution", ""},
    {"gen_ai.request.type", "embedding", "embedding", "embeddings"},
    {"agentops.span.kind", "session", "session", "invoke_workflow"},
    {"agentops.span.kind", "llm.call", "llm_call", "chat"},
    {"ai.operationId", "ai.generateText.doGenerate", "llm_call", "chat"},
    {"ai.operationId", "ai.generateText", "agent", "invoke_agent"},
    {"operation.name", "ai.toolCall weather", "tool_call", "execute_tool"},
    {"operation.name", "weather", "execution", ""},
    {"langfuse.observation.type", "generation", "llm_call", "chat"},
    {"langfuse.observation.type", "event", "event", "event"},
    {"langfuse.observation.type", "span", "execution", ""},
    {"mcp.method.name", "tools/call", "tool_call", "execute_tool"},
    {"mcp.method.name", "tools/list", "execution", ""},
    {"a2a.method.name", "SendMessage", "execution", ""},
    {"gen_ai.tool.name", "search", "tool_call", "execute_tool"},
    {"gen_ai.agent.name", "planner", "agent", "invoke_agent"},
    {"gen_ai.workflow.name", "tide", "workflow", "invoke_workflow"},
    {"http.request.method", "GET", "execution", ""},
    {"traceloop.workflow.name", "tide", "execution", ""},
    {"ai.telemetry.functionId", "tide", "execution", ""},
};

static void words_of_every_dialect_are_understood(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(words); i++) {
        wb_slice span = SPAN(f, INTERNAL, text(&f->m, words[i].key, words[i].value));
        says(span, "waybill.span.type", words[i].type);
        says(span, "gen_ai.operation.name", words[i].operation);
    }
    says(SPAN(f, CLIENT, text(&f->m, "a2a.method.name", "SendMessage")), "waybill.span.type",
         "delegation");
    says(SPAN(f, CLIENT, text(&f->m, "gen_ai.request.model", "m")), "waybill.span.type",
         "llm_call");
    says(SPAN(f, INTERNAL, text(&f->m, "gen_ai.request.model", "m")), "waybill.span.type",
         "execution");
    says(SPAN(f, CLIENT, text(&f->m, "gen_ai.agent.name", "a"),
              text(&f->m, "http.request.method", "GET")),
         "waybill.span.type", "execution");
}

static void who_is_trusted_first_says_what_it_is(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice span =
        SPAN(f, CLIENT, text(m, "traceloop.span.kind", "tool"),
             text(m, "gen_ai.operation.name", "chat"), text(m, "openinference.span.kind", "AGENT"));
    says(span, "waybill.span.type", "agent");
    says(span, "gen_ai.operation.name", "chat");
    says(SPAN(f, CLIENT, text(m, "openinference.span.kind", "LLM"),
              text(m, "waybill.span.type", "retrieval")),
         "waybill.span.type", "retrieval");
    says(SPAN(f, CLIENT, text(m, "openinference.span.kind", "LLM"),
              text(m, "waybill.span.type", "nonsense")),
         "waybill.span.type", "llm_call");
    says(SPAN(f, CLIENT, text(m, "langfuse.observation.type", "span"),
              text(m, "gen_ai.operation.name", "chat")),
         "waybill.span.type", "llm_call");
}

static void a_span_that_failed_and_is_nothing_else_is_an_error(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice status[] = {make_len(m, 2, WB_S("it broke")), make_raw(m, 3, 0, WB_S("\x02"))};
    wb_slice failed = make_len(m, 15, make_joined(m, status, 2));
    wb_slice kv[] = {make_len(m, 1, WB_S("exception.type")),
                     make_len(m, 2, make_len(m, 1, WB_S("Oops")))};
    wb_slice event = make_len(m, 11, make_len(m, 3, make_joined(m, kv, 2)));
    wb_slice span = SPAN(f, INTERNAL, failed, event);
    says(span, "waybill.span.type", "error");
    says(span, "error.type", "Oops");
    says(span, "error.message", "it broke");
    span = SPAN(f, INTERNAL, failed, event, text(m, "tool.name", "search"),
                text(m, "error.type", "timeout"));
    says(span, "waybill.span.type", "tool_call");
    says(span, "error.type", "timeout");
}

/* ---- numbers ---- */

static void tokens_become_disjoint_buckets(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice chat = text(m, "gen_ai.operation.name", "chat");
    wb_slice span = SPAN(f, CLIENT, chat, count(m, "gen_ai.usage.input_tokens", 100),
                         count(m, "gen_ai.usage.output_tokens", 50),
                         count(m, "gen_ai.usage.cache_read.input_tokens", 60),
                         count(m, "gen_ai.usage.cache_write.input_tokens", 10),
                         count(m, "gen_ai.usage.reasoning.output_tokens", 20));
    assert_int_equal(number(span, "waybill.tokens.input"), 30);
    assert_int_equal(number(span, "waybill.tokens.cache_read"), 60);
    assert_int_equal(number(span, "waybill.tokens.cache_write"), 10);
    assert_int_equal(number(span, "waybill.tokens.output"), 30);
    assert_int_equal(number(span, "waybill.tokens.reasoning"), 20);
    assert_int_equal(number(span, "waybill.tokens.total"), -1);
    says(span, "waybill.tokens.form", "inclusive");
    assert_int_equal(number(span, "gen_ai.usage.input_tokens"), 100);
}

static void the_numbers_show_what_the_input_has_in_it(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice chat = text(m, "gen_ai.operation.name", "chat");
    wb_slice more_cache_than_input =
        SPAN(f, CLIENT, chat, count(m, "gen_ai.usage.input_tokens", 10),
             count(m, "gen_ai.usage.cache_read_input_tokens", 60));
    assert_int_equal(number(more_cache_than_input, "waybill.tokens.input"), 10);
    assert_int_equal(number(more_cache_than_input, "waybill.tokens.cache_read"), 60);
    says(more_cache_than_input, "waybill.tokens.form", "exclusive");
    wb_slice total_has_the_cache_beside =
        SPAN(f, CLIENT, chat, count(m, "gen_ai.usage.input_tokens", 100),
             count(m, "gen_ai.usage.output_tokens", 5),
             count(m, "gen_ai.usage.cache_read_input_tokens", 60),
             count(m, "gen_ai.usage.total_tokens", 165));
    assert_int_equal(number(total_has_the_cache_beside, "waybill.tokens.input"), 100);
    wb_slice agentops =
        SPAN(f, CLIENT, text(m, "agentops.span.kind", "llm"), text(m, "gen_ai.system", "Anthropic"),
             count(m, "gen_ai.usage.prompt_tokens", 100),
             count(m, "gen_ai.usage.cache_read_input_tokens", 60));
    assert_int_equal(number(agentops, "waybill.tokens.input"), 100);
    wb_slice langfuse = SPAN(f, INTERNAL, text(m, "langfuse.observation.type", "generation"),
                             text(m, "langfuse.observation.usage_details",
                                  "{\"input\":7,\"input_cached_tokens\":3,\"output\":5,\"output_"
                                  "reasoning_tokens\":2,\"total\":17}"));
    assert_int_equal(number(langfuse, "waybill.tokens.input"), 7);
    assert_int_equal(number(langfuse, "waybill.tokens.output"), 5);
    assert_int_equal(number(langfuse, "waybill.tokens.cache_read"), 3);
    wb_slice openais =
        SPAN(f, INTERNAL, text(m, "langfuse.observation.type", "generation"),
             text(m, "langfuse.observation.usage_details",
                  "{\"prompt_tokens\":41,\"completion_tokens\":13,\"total_tokens\":54,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":12},"
                  "\"completion_tokens_details\":{\"reasoning_tokens\":5}}"));
    assert_int_equal(number(openais, "waybill.tokens.input"), 29);
    assert_int_equal(number(openais, "waybill.tokens.cache_read"), 12);
    assert_int_equal(number(openais, "waybill.tokens.output"), 8);
    assert_int_equal(number(openais, "waybill.tokens.reasoning"), 5);
}

static void input_and_output_may_be_of_two_forms(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice span = SPAN(f, CLIENT, text(m, "gen_ai.operation.name", "chat"),
                         count(m, "gen_ai.usage.input_tokens", 1000),
                         count(m, "gen_ai.usage.cache_read.input_tokens", 400),
                         count(m, "gen_ai.usage.output_tokens", 50),
                         count(m, "gen_ai.usage.reasoning.output_tokens", 200),
                         count(m, "gen_ai.usage.total_tokens", 1250));
    assert_int_equal(number(span, "waybill.tokens.input"), 600);
    assert_int_equal(number(span, "waybill.tokens.output"), 50);
    says(span, "waybill.tokens.form", "input_inclusive");
    span = SPAN(f, CLIENT, text(m, "gen_ai.operation.name", "chat"),
                count(m, "gen_ai.usage.input_tokens", 1000),
                count(m, "gen_ai.usage.output_tokens", 300),
                count(m, "gen_ai.usage.reasoning.output_tokens", 200),
                count(m, "gen_ai.usage.total_tokens", 1500));
    assert_int_equal(number(span, "waybill.tokens.output"), 300);
}

static void agents_repeat_counts_and_get_no_buckets(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice span = SPAN(f, CLIENT, text(m, "gen_ai.operation.name", "invoke_agent"),
                         count(m, "gen_ai.usage.input_tokens", 100));
    assert_int_equal(number(span, "waybill.tokens.input"), -1);
    assert_int_equal(number(span, "gen_ai.usage.input_tokens"), 100);
}

static void counts_that_are_none_are_left_out(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice chat = text(m, "gen_ai.operation.name", "chat");
    const wb_slice bad[] = {
        count(m, "gen_ai.usage.input_tokens", UINT64_MAX), /* -1 */
        real(m, "gen_ai.usage.input_tokens", 1.5), text(m, "gen_ai.usage.input_tokens", "many"),
        text(m, "gen_ai.usage.input_tokens", "-3"), real(m, "gen_ai.usage.input_tokens", 1e300)};
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        assert_int_equal(number(SPAN(f, CLIENT, chat, bad[i]), "waybill.tokens.input"), -1);
    assert_int_equal(number(SPAN(f, CLIENT, chat, text(m, "gen_ai.usage.input_tokens", "12")),
                            "waybill.tokens.input"),
                     12);
    assert_int_equal(number(SPAN(f, CLIENT, chat, real(m, "gen_ai.usage.input_tokens", 12)),
                            "waybill.tokens.input"),
                     12);
}

static void prices_become_millionths(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice span = SPAN(
        f, CLIENT, text(m, "openinference.span.kind", "LLM"), real(m, "llm.cost.prompt", 0.0000125),
        real(m, "llm.cost.completion", 0.25), real(m, "llm.cost.total", 0.2500126));
    assert_int_equal(number(span, "waybill.cost.reported.input_micros"), 12);
    assert_int_equal(number(span, "waybill.cost.reported.output_micros"), 250000);
    assert_int_equal(number(span, "waybill.cost.reported.total_micros"), 250013);
    span = SPAN(f, INTERNAL,
                text(m, "langfuse.observation.cost_details",
                     "{\"input\":5e-05,\"total\":1.5E+0,\"output\":\"x\"}"));
    assert_int_equal(number(span, "waybill.cost.reported.input_micros"), 50);
    assert_int_equal(number(span, "waybill.cost.reported.output_micros"), -1);
    assert_int_equal(number(span, "waybill.cost.reported.total_micros"), 1500000);
}

/* ---- text and lists ---- */

static void providers_are_spelt_as_opentelemetry_does(void **state)
{
    fixture *f = *state;
    /* what is said, by an older name, and by OpenTelemetry's own */
    static const char *const rows[][3] = {
        {"OpenAI", "openai", "openai"},
        {"az.ai.openai", "azure.ai.openai", "azure.ai.openai"},
        {"openai.chat", "openai", "openai.chat"},
        {"google.vertex.chat", "gcp.vertex_ai", "google.vertex.chat"},
        {"aws.sagemaker", "aws.bedrock", "aws.sagemaker"},
        {"Mem0", "mem0", "Mem0"},
        {"my.own", "my.own", "my.own"}};
    for (size_t i = 0; i < WB_COUNT(rows); i++) {
        says(SPAN(f, CLIENT, text(&f->m, "gen_ai.system", rows[i][0])), "gen_ai.provider.name",
             rows[i][1]);
        wb_slice span = SPAN(f, CLIENT, text(&f->m, "gen_ai.provider.name", rows[i][0]));
        says(span, "gen_ai.provider.name", rows[i][2]);
        size_t found = 0;
        wb_otlp_attr attr;
        wb_otlp_iter it = {span};
        while (wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr))
            found += wb_slice_eq(attr.key, WB_S("gen_ai.provider.name"));
        assert_int_equal(found, 1);
    }
}

typedef struct usage {
    const char *json;
    int64_t input, cache_read, cache_write, output;
} usage;

static const usage usages[] = {
    {"{'completion_tokens':100,'prompt_tokens':1000,'total_tokens':1100,'prompt_tokens_details':"
     "{'cached_tokens':600},'cache_read_input_tokens':600,'cache_creation_input_tokens':0}",
     400, 600, 0, 100},
    {"{'input_tokens':1000,'prompt_tokens':1000,'completion_tokens':5}", 1000, -1, -1, 5},
    {"{'input_tokens':40,'cache_read_input_tokens':600,'output_tokens':5}", 40, 600, -1, 5},
    {"{'input_tokens':640,'input_tokens_details':{'cached_tokens':600},'output_tokens':5}", 40, 600,
     -1, 5},
    {"{'input':1000,'prompt_tokens':1000,'total':1010,'output':10}", 1000, -1, -1, 10},
    {"{'input':7,'input_cache_creation_5m':2,'input_cache_creation_1h':3,'output':1}", 7, -1, 5, 1},
};

static void usage_objects_are_counted_once(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    for (size_t i = 0; i < WB_COUNT(usages); i++) {
        char json[256];
        (void)snprintf(json, sizeof json, "%s", usages[i].json);
        for (char *quote = json; (quote = strchr(quote, 39));) *quote = 34;
        wb_slice span = SPAN(f, INTERNAL, text(m, "langfuse.observation.type", "generation"),
                             text(m, "langfuse.observation.usage_details", json));
        assert_int_equal(number(span, "waybill.tokens.input"), usages[i].input);
        assert_int_equal(number(span, "waybill.tokens.cache_read"), usages[i].cache_read);
        assert_int_equal(number(span, "waybill.tokens.cache_write"), usages[i].cache_write);
        assert_int_equal(number(span, "waybill.tokens.output"), usages[i].output);
    }
}

static void what_is_no_list_of_reasons_is_none(void **state)
{
    fixture *f = *state;
    wb_value value;
    static const char *const bad[] = {"[]", "\"\"", "[\"a\",1]", "[\"a\"", "[[\"a\"]]"};
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        assert_false(wb_otlp_find_attr(SPAN(f, CLIENT, text(&f->m, "llm.finish_reason", bad[i])),
                                       WB_OTLP_SPAN, WB_S("gen_ai.response.finish_reasons"),
                                       &value));
    wb_slice good = SPAN(f, CLIENT, text(&f->m, "llm.finish_reason", "[\"a\",\"b\"]"));
    assert_true(
        wb_otlp_find_attr(good, WB_OTLP_SPAN, WB_S("gen_ai.response.finish_reasons"), &value));
    assert_int_equal(value.type, WB_VALUE_ARRAY);
}

static void flattened_messages_are_put_together(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice span = SPAN(
        f, CLIENT, text(m, "openinference.span.kind", "LLM"),
        text(m, "llm.input_messages.1.message.content", "hi \"you\""),
        text(m, "llm.input_messages.0.message.role", "system"),
        text(m, "llm.input_messages.0.message.content", "be short"),
        text(m, "llm.input_messages.1.message.role", "user"),
        text(m, "llm.output_messages.0.message.role", "assistant"),
        text(m, "llm.output_messages.0.message.tool_calls.0.tool_call.id", "c1"),
        text(m, "llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "tide"),
        text(m, "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", "{}"));
    says(span, "gen_ai.input.messages",
         "[{\"role\":\"system\",\"parts\":[{\"type\":\"text\",\"content\":\"be short\"}]},"
         "{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"hi \\\"you\\\"\"}]}]");
    says(span, "gen_ai.output.messages",
         "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"tool_call\",\"id\":\"c1\",\"name\":"
         "\"tide\","
         "\"arguments\":\"{}\"}]}]");
    span = SPAN(f, CLIENT,
                text(m, "llm.input_messages.0.message.contents.1.message_content.text", "two"),
                text(m, "llm.input_messages.0.message.contents.0.message_content.text", "one"),
                text(m, "llm.input_messages.0.message.contents.2.message_content.type", "image"),
                text(m, "llm.input_messages.0.message.contents.2.message_content.image.image.url",
                     "http://x"));
    says(span, "gen_ai.input.messages",
         "[{\"parts\":[{\"type\":\"text\",\"content\":\"one\"},{\"type\":\"text\","
         "\"content\":\"two\"},{\"type\":\"uri\",\"modality\":\"image\",\"uri\":\"http://x\"}]}]");
    span =
        SPAN(f, CLIENT, text(m, "gen_ai.prompt.0.role", "user"),
             text(m, "gen_ai.prompt.0.content", "hi"), text(m, "gen_ai.completion.0.content", "ho"),
             text(m, "gen_ai.completion.0.finish_reason", "stop"),
             text(m, "gen_ai.prompt.99999999999.content", "far"),
             text(m, "gen_ai.prompt.x", "no index"));
    says(span, "gen_ai.input.messages",
         "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"hi\"}]}]");
    says(span, "gen_ai.output.messages",
         "[{\"parts\":[{\"type\":\"text\",\"content\":\"ho\"}],\"finish_reason\":\"stop\"}]");
}

static void some_keys_say_it_of_their_kind_of_span_alone(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice tool = SPAN(f, INTERNAL, text(m, "openinference.span.kind", "TOOL"),
                         text(m, "input.value", "{\"a\":1}"));
    says(tool, "gen_ai.tool.call.arguments", "{\"a\":1}");
    says(tool, "gen_ai.input.messages", "");
    wb_slice agent = SPAN(f, INTERNAL, text(m, "traceloop.span.kind", "agent"),
                          text(m, "traceloop.entity.name", "pat"));
    says(agent, "gen_ai.agent.name", "pat");
    says(agent, "gen_ai.tool.name", "");
}

static void contents_and_calls_are_said_once(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice span =
        SPAN(f, CLIENT, text(m, "openinference.span.kind", "LLM"),
             text(m, "llm.output_messages.0.message.content", "ho"),
             text(m, "llm.output_messages.0.message.contents.0.message_content.text", "ho"),
             text(m, "llm.output_messages.0.message.contents.1.message_content.type", "reasoning"),
             text(m, "llm.output_messages.0.message.contents.1.message_content.text", "hm"),
             text(m, "llm.output_messages.1.message.contents.0.tool_call.function.name", "tide"),
             text(m, "llm.output_messages.1.message.tool_calls.0.tool_call.function.name", "tide"),
             text(m, "llm.output_messages.2.message.contents.0.tool_call.id", "c"),
             text(m, "llm.output_messages.2.message.contents.0.tool_call.function.name", "moon"),
             text(m, "llm.input_messages.0.message.role", "tool"),
             text(m, "llm.input_messages.0.message.content", "high"),
             text(m, "llm.input_messages.0.message.tool_call_id", "c"));
    says(span, "gen_ai.output.messages",
         "[{\"parts\":[{\"type\":\"text\",\"content\":\"ho\"},{\"type\":\"reasoning\",\"content\":"
         "\"hm\"}]},{\"parts\":[{\"type\":\"tool_call\",\"name\":\"tide\"}]},{\"parts\":[{\"type\":"
         "\"tool_call\",\"id\":\"c\",\"name\":\"moon\"}]}]");
    says(span, "gen_ai.input.messages",
         "[{\"role\":\"tool\",\"parts\":[{\"type\":\"tool_call_response\",\"id\":\"c\","
         "\"response\":\"high\"}]}]");
}

static void tools_in_parts_are_put_together(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    says(SPAN(f, CLIENT, text(m, "openinference.span.kind", "LLM"),
              text(m, "llm.tools.0.tool.json_schema",
                   "{\"type\":\"function\",\"function\":{\"name\":\"tide\",\"parameters\":{}}}"),
              text(m, "llm.tools.1.tool.json_schema", "not JSON")),
         "gen_ai.tool.definitions",
         "[{\"type\":\"function\",\"name\":\"tide\",\"parameters\":{}},"
         "{\"type\":\"function\",\"parameters\":\"not JSON\"}]");
    says(SPAN(f, CLIENT, text(m, "llm.request.functions.0.name", "tide"),
              text(m, "llm.request.functions.0.description", "when"),
              text(m, "llm.request.functions.0.parameters", "{\"type\":\"object\"}")),
         "gen_ai.tool.definitions",
         "[{\"type\":\"function\",\"name\":\"tide\",\"description\":\"when\",\"parameters\":{"
         "\"type\":"
         "\"object\"}}]");
}

/* ---- names ---- */

static void what_a_name_says_is_believed_where_no_attribute_does(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice chain = text(m, "openinference.span.kind", "CHAIN"),
             generation = text(m, "langfuse.observation.type", "generation"),
             below = make_len(m, 4, WB_S("\1\1\1\1\1\1\1\1"));
    says(SPAN(f, INTERNAL, chain, named(m, "flow")), "gen_ai.workflow.name", "flow");
    says(SPAN(f, INTERNAL, chain, named(m, "flow"), text(m, "gen_ai.workflow.name", "own")),
         "gen_ai.workflow.name", "own");
    says(SPAN(f, INTERNAL, chain, named(m, "turn"), below), "gen_ai.workflow.name", "");
    says(SPAN(f, INTERNAL, text(m, "openinference.span.kind", "AGENT"), named(m, "run")),
         "gen_ai.workflow.name", "");
    wb_slice span = SPAN(f, INTERNAL, generation, named(m, "OpenAI-generation"));
    says(span, "gen_ai.provider.name", "openai");
    says(span, "waybill.span.type", "llm_call");
    span = SPAN(f, INTERNAL, generation, named(m, "AzureOpenAI.embeddings"),
                text(m, "langfuse.observation.usage_details", "{\"input\":7}"),
                text(m, "langfuse.observation.input", "hi"));
    says(span, "gen_ai.provider.name", "azure.ai.openai");
    says(span, "waybill.span.type", "embedding");
    says(span, "gen_ai.operation.name", "embeddings");
    says(span, "gen_ai.input.messages", "");
    assert_int_equal(number(span, "waybill.tokens.input"), 7);
    says(SPAN(f, INTERNAL, generation, named(m, "my own")), "gen_ai.provider.name", "");
    says(SPAN(f, INTERNAL, named(m, "OpenAI.embeddings")), "waybill.span.type", "execution");
}

/* Spans that are alike are read by a plan; a name is no part of what is alike. */
static void names_count_for_spans_that_are_alike_otherwise(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const char *const names[] = {"OpenAI.chat",       "OpenAI.chat", "OpenAI.chat",
                                        "OpenAI.embeddings", "my own",      "OpenAI.chat"};
    wb_slice spans[WB_COUNT(names)];
    for (size_t i = 0; i < WB_COUNT(names); i++) {
        wb_slice fields[] = {good_ids(m), named(m, names[i]),
                             text(m, "langfuse.observation.type", "generation"),
                             text(m, "langfuse.observation.input", "hi")};
        spans[i] = make_len(m, 2, make_joined(m, fields, 4));
    }
    (void)normalised(f, make_len(m, 1, make_len(m, 2, make_joined(m, spans, WB_COUNT(names)))));
    for (uint32_t i = 0; i < WB_COUNT(names); i++) {
        wb_slice span = wb_span_batch_row(&f->read, i).span;
        bool embeds = strcmp(names[i], "OpenAI.embeddings") == 0;
        says(span, "waybill.span.type", embeds ? "embedding" : "llm_call");
        says(span, "gen_ai.provider.name", names[i][0] == 'O' ? "openai" : "");
        assert_int_equal(
            wb_otlp_find_text(span, WB_OTLP_SPAN, WB_S("gen_ai.input.messages")).len == 0, embeds);
    }
}

/* A trace's root, as the instrumentation of the OpenAI Agents SDK sends it. */
static void the_root_of_an_agents_trace_is_named_as_the_workflow(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const char *const scopes[] = {"openinference.instrumentation.openai_agents", "another"};
    for (size_t i = 0; i < 2; i++) {
        wb_slice fields[] = {good_ids(m), named(m, "flow"),
                             text(m, "openinference.span.kind", "AGENT")};
        wb_slice scope[] = {make_len(m, 1, make_len(m, 1, wb_slice_str(scopes[i]))),
                            make_len(m, 2, make_joined(m, fields, 3))};
        (void)normalised(f, make_len(m, 1, make_len(m, 2, make_joined(m, scope, 2))));
        wb_slice span = wb_span_batch_row(&f->read, 0).span;
        says(span, "waybill.span.type", "agent");
        says(span, "gen_ai.workflow.name", i == 0 ? "flow" : "");
    }
}

static void http_statuses_in_messages_are_types_of_errors(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const char *const rows[][2] = {
        {"Error code: 404 - {'error': {}}", "404"},
        {"Error in agent run: {'error': 'Error code: 500 - it broke'}", "500"},
        {"Error: 429 Too many", "429"},
        {"503", "503"},
        {"404 pages", "404"},
        {"4040 pages", ""},
        {"200 pages", ""},
        {"404pages", ""},
        {"Error code: many", ""},
        {"page 404 is missing", ""}};
    for (size_t i = 0; i < WB_COUNT(rows); i++) {
        wb_slice status[] = {make_len(m, 2, wb_slice_str(rows[i][0])),
                             make_raw(m, 3, 0, WB_S("\x02"))};
        wb_slice failed = make_len(m, 15, make_joined(m, status, 2));
        says(SPAN(f, CLIENT, failed), "error.type", rows[i][1]);
    }
    wb_slice said = text(m, "langfuse.observation.status_message", "Error: 404 No model"),
             type = text(m, "langfuse.observation.type", "generation");
    says(SPAN(f, INTERNAL, type, said, text(m, "langfuse.observation.level", "ERROR")),
         "error.type", "404");
    says(SPAN(f, INTERNAL, type, said, text(m, "langfuse.observation.level", "WARNING")),
         "error.type", "");
}

static void a_tier_may_stand_in_the_usage(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const char *const rows[][2] = {
        {"{\"service_tier\":\"flex\",\"usage\":{\"service_tier\":\"x\"}}", "flex"},
        {"{\"usage\":{\"service_tier\":\"standard\"}}", "standard"},
        {"{\"usage\":7}", ""}};
    for (size_t i = 0; i < WB_COUNT(rows); i++)
        says(SPAN(f, CLIENT, text(m, "openinference.span.kind", "LLM"),
                  text(m, "output.value", rows[i][0])),
             "openai.response.service_tier", rows[i][1]);
}

static void messages_that_are_no_text_stay_as_they_are(void **state)
{
    fixture *f = *state;
    wb_value value;
    wb_slice item = make_len(&f->m, 1, make_len(&f->m, 1, WB_S("hi")));
    wb_slice span = SPAN(f, CLIENT, with_value(&f->m, "gen_ai.prompt", make_len(&f->m, 5, item)),
                         with_value(&f->m, "gen_ai.completion", (wb_slice){NULL, 0}));
    assert_true(wb_otlp_find_attr(span, WB_OTLP_SPAN, WB_S("gen_ai.input.messages"), &value));
    assert_int_equal(value.type, WB_VALUE_ARRAY);
    assert_false(wb_otlp_find_attr(span, WB_OTLP_SPAN, WB_S("gen_ai.output.messages"), &value));
}

/* ---- properties ---- */

static const char *random_key(fixture *f, uint64_t *seed)
{
    char *key = NULL;
    uint64_t pick = wb_sample_next(seed);
    if (pick % 8 == 0)
        key = wb_arena_printf(f->arena, "unknown.%u", (unsigned)(wb_sample_next(seed) % 9));
    else if (pick % 8 == 1)
        key = wb_arena_printf(
            f->arena, "%.*s%u.message.role",
            WB_SLICE_ARG(wb_semconv_prefixes[wb_sample_next(seed) % WB_SEMCONV_PREFIXES]),
            (unsigned)(wb_sample_next(seed) % 4));
    else
        key =
            wb_arena_printf(f->arena, "%.*s",
                            WB_SLICE_ARG(wb_semconv_keys[wb_sample_next(seed) % WB_SEMCONV_KEYS]));
    assert_non_null(key);
    return key;
}

static wb_slice random_value_of(fixture *f, const char *key, uint64_t *seed)
{
    static const char *const values[] = {"chat",
                                         "LLM",
                                         "agent",
                                         "tool",
                                         "12",
                                         "x",
                                         "openai.chat",
                                         "[\"stop\"]",
                                         "{\"input\":3}",
                                         "",
                                         "2026-11-30T12:00:00Z",
                                         "OpenAI",
                                         "session",
                                         "[{\"role\":\"user\",\"content\":\"hi\"}]",
                                         "{\"messages\":[\"hi\"],\"tools\":[{\"name\":\"t\"}]}",
                                         "[{\"toolName\":\"t\"}]",
                                         "{\"args\":[],\"kwargs\":{\"a\":1}}",
                                         "{\"service_tier\":\"flex\",\"id\":\"x\"}"};
    maker *m = &f->m;
    switch (wb_sample_next(seed) % 4) {
    case 0: return count(m, key, wb_sample_next(seed) % 1000);
    case 1: return real(m, key, (double)(wb_sample_next(seed) % 1000) / 8);
    default: return text(m, key, values[wb_sample_next(seed) % WB_COUNT(values)]);
    }
}

static wb_slice random_attr(fixture *f, uint64_t *seed)
{
    return random_value_of(f, random_key(f, seed), seed);
}

/* Attribute fields of a span, as they stand in the wire: the tag's number is 9. */
static size_t fields_of(wb_slice span, wb_otlp_attr *out, size_t max)
{
    wb_otlp_iter it = {span};
    size_t n = 0;
    while (n < max && wb_otlp_next_attr(&it, WB_OTLP_SPAN, &out[n])) n++;
    return n;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool same(const wb_otlp_attr *a, const wb_otlp_attr *b)
{
    if (!wb_slice_eq(a->key, b->key) || a->value.type != b->value.type) return false;
    if (a->value.type == WB_VALUE_INT) return a->value.integer == b->value.integer;
    if (a->value.type == WB_VALUE_DOUBLE) return bits_of(a->value.real) == bits_of(b->value.real);
    return wb_slice_eq(a->value.text, b->value.text);
}

static size_t times(const wb_otlp_attr *attrs, size_t n, wb_slice key)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) found += wb_slice_eq(attrs[i].key, key);
    return found;
}

static void nothing_is_lost_and_nothing_said_twice(const wb_otlp_attr *before, size_t n_before,
                                                   const wb_otlp_attr *after, size_t n_after)
{
    for (size_t i = 0; i < n_before; i++) {
        bool kept = wb_slice_eq(before[i].key, WB_S("gen_ai.provider.name")) ||
                    wb_slice_eq(before[i].key, WB_S("waybill.span.type")); /* another word for it */
        for (size_t k = 0; k < n_after && !kept; k++) kept = same(&before[i], &after[k]);
        if (!kept) fail_msg("%.*s is lost", WB_SLICE_ARG(before[i].key));
    }
    for (size_t i = 0; i < n_after; i++) {
        size_t had = times(before, n_before, after[i].key),
               has = times(after, n_after, after[i].key);
        if (has > (had > 1 ? had : 1)) fail_msg("%.*s is there twice", WB_SLICE_ARG(after[i].key));
    }
}

static void random_attributes_keep_the_properties(void **state)
{
    fixture *f = *state;
    for (uint64_t round = 1; round <= SEEDS; round++) {
        uint64_t seed = round;
        uint8_t kind = (uint8_t)(1 + wb_sample_next(&seed) % 5);
        size_t n = wb_sample_next(&seed) % (ATTRS_MAX - 2);
        wb_slice attrs[ATTRS_MAX + 2] = {good_ids(&f->m),
                                         make_raw(&f->m, 6, 0, wb_slice_of(&kind, 1))};
        for (size_t i = 0; i < n; i++) attrs[2 + i] = random_attr(f, &seed);
        if (n > 0 && round % 4 == 0) attrs[2] = named(&f->m, "OpenAI.embeddings");
        wb_slice body = in_envelope(&f->m, make_joined(&f->m, attrs, n + 2));
        wb_otlp_attr before[64], after[128];
        size_t n_before = fields_of(make_joined(&f->m, attrs, n + 2), before, 64);
        wb_slice once = normalised(f, body);
        size_t n_after = fields_of(wb_span_batch_row(&f->read, 0).span, after, 128);
        nothing_is_lost_and_nothing_said_twice(before, n_before, after, n_after);
        wb_slice twice = normalised(f, once);
        if (!wb_slice_eq(once, twice))
            fail_msg("seed %llu: twice is not once", (unsigned long long)round);
        wb_arena_reset(f->arena);
    }
}

/* Spans with the keys of one of two shapes, mostly that of the span before. */
static size_t random_row(fixture *f, uint64_t *seed, wb_slice *spans, size_t max)
{
    const char *shapes[2][ATTRS_MAX];
    size_t n[2], shape = 0, count = 3 + wb_sample_next(seed) % (max - 2);
    for (int s = 0; s < 2; s++) {
        n[s] = 1 + wb_sample_next(seed) % (ATTRS_MAX - 2);
        for (size_t i = 0; i < n[s]; i++) shapes[s][i] = random_key(f, seed);
    }
    for (size_t k = 0; k < count; k++) {
        uint8_t kind = wb_sample_next(seed) % 4 ? CLIENT : INTERNAL;
        wb_slice parts[ATTRS_MAX + 2] = {good_ids(&f->m),
                                         make_raw(&f->m, 6, 0, wb_slice_of(&kind, 1))};
        if (wb_sample_next(seed) % 4 == 0) shape = !shape;
        size_t used = wb_sample_next(seed) % 8 ? n[shape] : n[shape] - 1;
        for (size_t i = 0; i < used; i++) parts[2 + i] = random_value_of(f, shapes[shape][i], seed);
        spans[k] = make_joined(&f->m, parts, used + 2);
    }
    return count;
}

static void a_span_in_a_row_is_as_it_is_alone(void **state)
{
    enum { ROW = 12 };
    fixture *f = *state;
    for (uint64_t round = 1; round <= SEEDS; round++) {
        uint64_t seed = round;
        wb_slice spans[ROW], fields[ROW];
        size_t n = random_row(f, &seed, spans, ROW);
        for (size_t i = 0; i < n; i++) fields[i] = make_len(&f->m, 2, spans[i]);
        wb_slice together = normalised(f, in_envelope_all(&f->m, make_joined(&f->m, fields, n)));
        wb_slice apart[ROW];
        for (size_t i = 0; i < n; i++) {
            (void)normalised(f, in_envelope(&f->m, spans[i]));
            wb_slice alone;
            assert_int_equal(wb_arena_dup(f->arena, wb_span_batch_row(&f->read, 0).span, &alone),
                             WB_OK);
            apart[i] = make_len(&f->m, 2, alone);
        }
        if (!wb_slice_eq(together, in_envelope_all(&f->m, make_joined(&f->m, apart, n))))
            fail_msg("seed %llu: a row is not the sum of its spans", (unsigned long long)round);
        wb_arena_reset(f->arena);
    }
}

static void nothing_overflows_a_small_arena(void **state)
{
    fixture *f = *state;
    wb_slice body = wb_sample_llm_spans(50, 1, f->arena);
    wb_status status = WB_ERR_NO_MEMORY;
    for (size_t limit = 1024; status != WB_OK && limit < 1024 * 1024; limit += 1024) {
        WB_AUTO(wb_arena) arena = wb_arena_new(limit);
        wb_batch *batch = NULL;
        status = wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), arena, &batch, NULL);
        if (status == WB_OK) status = wb_normalise_stage.apply(f->stage, &no_view, batch, NULL);
        assert_true(status == WB_OK || status == WB_ERR_NO_MEMORY);
    }
    assert_int_equal(status, WB_OK);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(words_of_every_dialect_are_understood),
        WITH(who_is_trusted_first_says_what_it_is),
        WITH(a_span_that_failed_and_is_nothing_else_is_an_error),
        WITH(tokens_become_disjoint_buckets),
        WITH(the_numbers_show_what_the_input_has_in_it),
        WITH(input_and_output_may_be_of_two_forms),
        WITH(agents_repeat_counts_and_get_no_buckets),
        WITH(counts_that_are_none_are_left_out),
        WITH(prices_become_millionths),
        WITH(providers_are_spelt_as_opentelemetry_does),
        WITH(usage_objects_are_counted_once),
        WITH(what_is_no_list_of_reasons_is_none),
        WITH(flattened_messages_are_put_together),
        WITH(some_keys_say_it_of_their_kind_of_span_alone),
        WITH(contents_and_calls_are_said_once),
        WITH(tools_in_parts_are_put_together),
        WITH(what_a_name_says_is_believed_where_no_attribute_does),
        WITH(names_count_for_spans_that_are_alike_otherwise),
        WITH(the_root_of_an_agents_trace_is_named_as_the_workflow),
        WITH(http_statuses_in_messages_are_types_of_errors),
        WITH(a_tier_may_stand_in_the_usage),
        WITH(messages_that_are_no_text_stay_as_they_are),
        WITH(random_attributes_keep_the_properties),
        WITH(a_span_in_a_row_is_as_it_is_alone),
        WITH(nothing_overflows_a_small_arena),
    };
    return cmocka_run_group_tests_name("pipeline_normalise", tests, NULL, NULL);
}
