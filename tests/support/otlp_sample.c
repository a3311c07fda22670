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

/* ---- the measured sample --------------------------------------------------------------------- */

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

/* ---- random requests ------------------------------------------------------------------------- */

/* Text that is not UTF-8 and holds no NUL, which protobuf-c's strings could not carry. */
static const char *const bad_texts[] = {"\xff", "cut \xe2\x82", "\xc0\xaf", "\xed\xa0\x80",
                                        "\xf5\x80\x80\x80"};
static const char long_text[] =
    "a text that is somewhat longer than what fits into one byte of length, so that the long way "
    "of reading lengths is gone as well as the short one";
static const char *const good_texts[] = {"",
                                         "a",
                                         "chat",
                                         "na\xc3\xafve \xe2\x82\xac \xf0\x9f\xa6\x8a",
                                         "0123456789abcdef0123456789abcdef",
                                         long_text};
static const char *const keys[] = {"key.a",
                                   "key.b",
                                   "waybill.span.type",
                                   "waybill.acceptance.id",
                                   "waybill.x",
                                   "service.name",
                                   "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87"};

static bool goes_wrong(maker *m) { return m->hostile && below(m, 40) == 0; }

static char *random_text(maker *m)
{
    if (goes_wrong(m))
        return need(wb_arena_printf(m->arena, "%s", bad_texts[below(m, WB_COUNT(bad_texts))]));
    return need(wb_arena_printf(m->arena, "%s", good_texts[below(m, WB_COUNT(good_texts))]));
}

static ProtobufCBinaryData random_id(maker *m, size_t len, bool optional)
{
    if (goes_wrong(m)) return random_bytes(m, below(m, 2 * len));
    if (goes_wrong(m)) return (ProtobufCBinaryData){.len = len, .data = array_of(m, len, 1)};
    if (optional && below(m, 2) == 0) return (ProtobufCBinaryData){0};
    return random_bytes(m, len);
}

static Oracle__KeyValue **random_attrs(maker *m, size_t *n, unsigned depth);

static Oracle__AnyValue *random_value(maker *m, unsigned depth)
{
    Oracle__AnyValue *v = array_of(m, 1, sizeof *v);
    oracle__any_value__init(v);
    v->value_case = (Oracle__AnyValue__ValueCase)below(m, depth < 4 ? 8 : 5);
    switch (v->value_case) {
    case ORACLE__ANY_VALUE__VALUE_STRING_VALUE: v->string_value = random_text(m); break;
    case ORACLE__ANY_VALUE__VALUE_BOOL_VALUE: v->bool_value = below(m, 2) == 1; break;
    case ORACLE__ANY_VALUE__VALUE_INT_VALUE:
        v->int_value = (int64_t)wb_sample_next(&m->state);
        break;
    case ORACLE__ANY_VALUE__VALUE_DOUBLE_VALUE: v->double_value = (double)below(m, 1000) / 8; break;
    case ORACLE__ANY_VALUE__VALUE_ARRAY_VALUE:
        v->array_value = array_of(m, 1, sizeof *v->array_value);
        oracle__array_value__init(v->array_value);
        v->array_value->n_values = below(m, 4);
        v->array_value->values = array_of(m, 4, sizeof v->array_value->values[0]);
        for (size_t i = 0; i < v->array_value->n_values; i++)
            v->array_value->values[i] = random_value(m, depth + 1);
        break;
    case ORACLE__ANY_VALUE__VALUE_KVLIST_VALUE:
        v->kvlist_value = array_of(m, 1, sizeof *v->kvlist_value);
        oracle__key_value_list__init(v->kvlist_value);
        v->kvlist_value->values = random_attrs(m, &v->kvlist_value->n_values, depth + 1);
        break;
    case ORACLE__ANY_VALUE__VALUE_BYTES_VALUE:
        v->bytes_value = random_bytes(m, below(m, 20));
        break;
    default: break;
    }
    return v;
}

static Oracle__KeyValue **random_attrs(maker *m, size_t *n, unsigned depth)
{
    *n = below(m, 6);
    Oracle__KeyValue **list = array_of(m, *n, sizeof *list);
    for (size_t i = 0; i < *n; i++) {
        list[i] = array_of(m, 1, sizeof *list[i]);
        oracle__key_value__init(list[i]);
        const char *key = goes_wrong(m) ? bad_texts[below(m, WB_COUNT(bad_texts))]
                                        : keys[below(m, WB_COUNT(keys))];
        list[i]->key = need(wb_arena_printf(m->arena, "%s", key));
        if (below(m, 10) > 0) list[i]->value = random_value(m, depth);
    }
    return list;
}

static Oracle__Event **random_events(maker *m, size_t *n)
{
    *n = below(m, 3);
    Oracle__Event **list = array_of(m, *n, sizeof *list);
    for (size_t i = 0; i < *n; i++) {
        list[i] = array_of(m, 1, sizeof *list[i]);
        oracle__event__init(list[i]);
        list[i]->time_unix_nano = wb_sample_next(&m->state);
        list[i]->name = random_text(m);
        list[i]->attributes = random_attrs(m, &list[i]->n_attributes, 1);
    }
    return list;
}

static Oracle__Link **random_links(maker *m, size_t *n)
{
    *n = below(m, 3);
    Oracle__Link **list = array_of(m, *n, sizeof *list);
    for (size_t i = 0; i < *n; i++) {
        list[i] = array_of(m, 1, sizeof *list[i]);
        oracle__link__init(list[i]);
        list[i]->trace_id = random_id(m, 16, true);
        list[i]->span_id = random_id(m, 8, true);
        list[i]->trace_state = random_text(m);
        list[i]->flags = (uint32_t)below(m, 0x400);
        list[i]->attributes = random_attrs(m, &list[i]->n_attributes, 1);
    }
    return list;
}

static Oracle__Span *random_span(maker *m)
{
    Oracle__Span *span = array_of(m, 1, sizeof *span);
    oracle__span__init(span);
    span->trace_id = random_id(m, 16, false);
    span->span_id = random_id(m, 8, false);
    span->parent_span_id = random_id(m, 8, true);
    span->trace_state = random_text(m);
    span->name = random_text(m);
    span->kind = (int32_t)below(m, 8) - 1;
    span->start_time_unix_nano = wb_sample_next(&m->state);
    span->end_time_unix_nano = wb_sample_next(&m->state);
    span->attributes = random_attrs(m, &span->n_attributes, 1);
    span->dropped_attributes_count = (uint32_t)below(m, 300);
    span->events = random_events(m, &span->n_events);
    span->links = random_links(m, &span->n_links);
    span->flags = (uint32_t)wb_sample_next(&m->state);
    if (below(m, 2) == 0) return span;
    span->status = array_of(m, 1, sizeof *span->status);
    oracle__status__init(span->status);
    span->status->code = (int32_t)below(m, 5) - 1;
    span->status->message = random_text(m);
    return span;
}

static Oracle__ScopeSpans *random_scope_spans(maker *m)
{
    Oracle__ScopeSpans *group = array_of(m, 1, sizeof *group);
    oracle__scope_spans__init(group);
    group->n_spans = below(m, 5);
    group->spans = array_of(m, group->n_spans, sizeof group->spans[0]);
    for (size_t i = 0; i < group->n_spans; i++) group->spans[i] = random_span(m);
    group->schema_url = random_text(m);
    if (below(m, 4) == 0) return group;
    group->scope = array_of(m, 1, sizeof *group->scope);
    oracle__scope__init(group->scope);
    group->scope->name = random_text(m);
    group->scope->version = random_text(m);
    group->scope->attributes = random_attrs(m, &group->scope->n_attributes, 1);
    return group;
}

static Oracle__ResourceSpans *random_resource_spans(maker *m)
{
    Oracle__ResourceSpans *group = array_of(m, 1, sizeof *group);
    oracle__resource_spans__init(group);
    group->n_scope_spans = below(m, 4);
    group->scope_spans = array_of(m, group->n_scope_spans, sizeof group->scope_spans[0]);
    for (size_t i = 0; i < group->n_scope_spans; i++) group->scope_spans[i] = random_scope_spans(m);
    group->schema_url = random_text(m);
    if (below(m, 4) == 0) return group;
    group->resource = array_of(m, 1, sizeof *group->resource);
    oracle__resource__init(group->resource);
    group->resource->attributes = random_attrs(m, &group->resource->n_attributes, 1);
    return group;
}

wb_slice wb_sample_random(uint64_t seed, bool hostile, wb_arena *arena)
{
    maker m = {.arena = arena, .state = seed, .hostile = hostile};
    Oracle__TracesRequest request = ORACLE__TRACES_REQUEST__INIT;
    request.n_resource_spans = below(&m, 4);
    request.resource_spans =
        array_of(&m, request.n_resource_spans, sizeof request.resource_spans[0]);
    for (size_t i = 0; i < request.n_resource_spans; i++)
        request.resource_spans[i] = random_resource_spans(&m);
    return pack(&m, &request);
}
