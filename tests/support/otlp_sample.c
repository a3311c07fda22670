/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are built as protobuf-c structs in an arena and packed by it. The random ones pick every
 * choice from splitmix64 over the seed, so a failing case is named by one number. */
#include "tests/support/otlp_sample.h"

#include "tests/support/otlp_oracle.pb-c.h"

uint64_t wb_sample_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

typedef struct maker {
    wb_arena *arena;
    uint64_t state;
    bool hostile;
} maker;

static void *need(void *p)
{
    WB_ASSERT(p != NULL);
    return p;
}

static uint64_t below(maker *m, uint64_t n) { return wb_sample_next(&m->state) % n; }

static void *array_of(maker *m, size_t n, size_t size)
{
    return need(wb_arena_array(m->arena, n ? n : 1, size));
}

static ProtobufCBinaryData random_bytes(maker *m, size_t len)
{
    ProtobufCBinaryData out = {.len = len, .data = array_of(m, len, 1)};
    for (size_t i = 0; i < len; i++) out.data[i] = (uint8_t)wb_sample_next(&m->state);
    return out;
}

static wb_slice pack(maker *m, const Oracle__TracesRequest *request)
{
    size_t len = oracle__traces_request__get_packed_size(request);
    uint8_t *bytes = array_of(m, len, 1);
    WB_ASSERT(oracle__traces_request__pack(request, bytes) == len);
    return (wb_slice){bytes, len};
}

/* ---- the measured sample ------------------------------------------------------------------------------- */

static Oracle__KeyValue *attr(maker *m, const char *key, Oracle__AnyValue value)
{
    Oracle__KeyValue *kv = array_of(m, 1, sizeof *kv);
    oracle__key_value__init(kv);
    kv->key = need(wb_arena_printf(m->arena, "%s", key));
    kv->value = array_of(m, 1, sizeof value);
    *kv->value = value;
    return kv;
}

static Oracle__AnyValue text_value(maker *m, const char *text)
{
    Oracle__AnyValue v = ORACLE__ANY_VALUE__INIT;
    v.value_case = ORACLE__ANY_VALUE__VALUE_STRING_VALUE;
    v.string_value = need(wb_arena_printf(m->arena, "%s", text));
    return v;
}

static Oracle__AnyValue int_value(int64_t n)
{
    Oracle__AnyValue v = ORACLE__ANY_VALUE__INIT;
    v.value_case = ORACLE__ANY_VALUE__VALUE_INT_VALUE;
    v.int_value = n;
    return v;
}

static Oracle__AnyValue double_value(double x)
{
    Oracle__AnyValue v = ORACLE__ANY_VALUE__INIT;
    v.value_case = ORACLE__ANY_VALUE__VALUE_DOUBLE_VALUE;
    v.double_value = x;
    return v;
}

static Oracle__Span *llm_span(maker *m, size_t padding)
{
    Oracle__Span *span = array_of(m, 1, sizeof *span);
    oracle__span__init(span);
    span->trace_id = random_bytes(m, 16);
    span->span_id = random_bytes(m, 8);
    span->parent_span_id = random_bytes(m, 8);
    span->name = need(wb_arena_printf(m->arena, "chat gpt-4o-mini"));
    span->kind = 3;
    span->start_time_unix_nano = UINT64_C(1795000000000000000) + below(m, 1000000000);
    span->end_time_unix_nano = span->start_time_unix_nano + below(m, 1000000000);
    span->flags = 0x101;
    char *preview = array_of(m, padding + 1, 1);
    memset(preview, 'x', padding);
    Oracle__KeyValue *const list[WB_SAMPLE_SPAN_ATTRS] = {
        attr(m, "gen_ai.operation.name", text_value(m, "chat")),
        attr(m, "gen_ai.provider.name", text_value(m, "openai")),
        attr(m, "gen_ai.request.model", text_value(m, "gpt-4o-mini")),
        attr(m, "gen_ai.response.model", text_value(m, "gpt-4o-mini-2024-07-18")),
        attr(m, "gen_ai.response.id", text_value(m, "chatcmpl-9J3uZL5fLrmQb8YhX")),
        attr(m, "gen_ai.request.temperature", double_value(0.7)),
        attr(m, "gen_ai.usage.input_tokens", int_value(1824)),
        attr(m, "gen_ai.usage.output_tokens", int_value(212)),
        attr(m, "gen_ai.conversation.id", text_value(m, "conv-51f0a7c2")),
        attr(m, "waybill.acceptance.id", text_value(m, "0123456789abcdef0123456789abcdef")),
        attr(m, "server.port", int_value(443)),
        attr(m, "input.preview", text_value(m, preview)),
    };
    span->n_attributes = WB_SAMPLE_SPAN_ATTRS;
    span->attributes = array_of(m, WB_SAMPLE_SPAN_ATTRS, sizeof list[0]);
    memcpy(span->attributes, list, sizeof list);
    return span;
}

wb_slice wb_sample_llm_spans(size_t spans, uint64_t seed, wb_arena *arena)
{
    maker m = {.arena = arena, .state = seed};
    Oracle__TracesRequest request = ORACLE__TRACES_REQUEST__INIT;
    Oracle__ResourceSpans resource_spans = ORACLE__RESOURCE_SPANS__INIT, *one = &resource_spans;
    Oracle__ScopeSpans scope_spans = ORACLE__SCOPE_SPANS__INIT, *only = &scope_spans;
    Oracle__Resource resource = ORACLE__RESOURCE__INIT;
    Oracle__Scope scope = ORACLE__SCOPE__INIT;
    Oracle__KeyValue *service[] = {attr(&m, "service.name", text_value(&m, "planner")),
                                   attr(&m, "telemetry.sdk.language", text_value(&m, "python"))};
    size_t bare = oracle__span__get_packed_size(llm_span(&m, 0));
    WB_ASSERT(bare < WB_SAMPLE_SPAN_BYTES);
    /* An empty preview still packs its tags, so padding up to 127 adds as many bytes ... */
    size_t padding = WB_SAMPLE_SPAN_BYTES - bare;
    scope_spans.n_spans = spans;
    scope_spans.spans = array_of(&m, spans, sizeof scope_spans.spans[0]);
    for (size_t i = 0; i < spans; i++) scope_spans.spans[i] = llm_span(&m, padding);
    WB_ASSERT(oracle__span__get_packed_size(scope_spans.spans[0]) == WB_SAMPLE_SPAN_BYTES);
    resource.n_attributes = WB_COUNT(service);
    resource.attributes = service;
    scope.name = need(wb_arena_printf(arena, "opentelemetry.instrumentation.openai_v2"));
    scope_spans.scope = &scope;
    resource_spans.resource = &resource;
    resource_spans.n_scope_spans = 1;
    resource_spans.scope_spans = &only;
    request.n_resource_spans = 1;
    request.resource_spans = &one;
    return pack(&m, &request);
}
