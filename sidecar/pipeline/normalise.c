/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a span's known attributes finds, for each field of the model, who says it best: the field's
 * own attribute, else whoever comes first in semconv-map.csv. Then the operation is decided, since some keys
 * mean one thing on a tool's span and another on a model's; then what is missing is appended. Which key an
 * attribute has is known from the walk, so nothing is compared here but words of the dialects.
 *
 * The schema URL is not looked at: instrumentations stamp one and send the names of another. */
#include "sidecar/pipeline/normalise.h"

#include "proto/otlp_edit.h"
#include "sidecar/pipeline/convert.h"
#include "sidecar/pipeline/operation.h"
#include "sidecar/pipeline/regroup.h"
#include "sidecar/pipeline/tokens.h"

enum {
    SCRATCH_BYTES = 4 * 1024 * 1024,
    WAITING_MAX = 32,
    KIND_CLIENT = 3,
    STATUS_ERROR = 2,
    FIRST_WORD = WB_RULE_LANGFUSE
};

#define SPAN_TYPE WB_S("waybill.span.type")
#define TOKENS_FORM WB_S("waybill.tokens.form")
#define BIT(field) (UINT64_C(1) << (field))

_Static_assert(WB_CANON_FIELDS <= 64, "a set of fields is one word");

typedef struct source {
    wb_attr *attr;
    const wb_semconv_rule *rule;
} source;

/* What one span says. */
typedef struct said {
    wb_batch *batch;
    wb_span *span;
    wb_arena *scratch; /* for what is thrown away again behind the span: what is said is copied */
    uint64_t has;      /* fields of `best` */
    source best[WB_CANON_FIELDS]; /* of fields in `has` */
    source waiting[WAITING_MAX];  /* for what the span is */
    size_t n_waiting;
    const wb_attr *words[WB_RULES]; /* of the operation, by dialect */
    uint64_t indexed;               /* fields that come in parts */
    wb_operation operation;
    wb_span_type type;
    wb_attr *told; /* its type, as it arrived */
} said;

/* ---- what is there ---- */

static void note(said *s, wb_attr *attr, const wb_semconv_rule *rule)
{
    source *best = &s->best[rule->field];
    bool known = s->has & BIT(rule->field);
    if (known && best->rule->rank <= rule->rank) return;
    *best = (source){attr, rule};
    s->has |= BIT(rule->field);
}

static void note_rule(said *s, wb_attr *attr, const wb_semconv_rule *rule)
{
    if (rule->how >= FIRST_WORD) {
        if (!s->words[rule->how]) s->words[rule->how] = attr;
        if (rule->rank == 0) s->has |= BIT(rule->field);
    } else if (rule->how == WB_RULE_RESOURCE) {
        return;
    } else if (rule->when == WB_WHEN_ALWAYS) {
        note(s, attr, rule);
    } else if (s->n_waiting < WAITING_MAX) {
        s->waiting[s->n_waiting++] = (source){attr, rule};
    }
}

static void gather(said *s)
{
    for (wb_attr *a = s->span->attrs.first; a; a = a->next) {
        size_t n, prefix;
        uint8_t field;
        if (a->place == 0 || a->state == WB_ATTR_MASKED) continue;
        if (a->place == WB_SEMCONV_SPAN_TYPE) {
            if (!s->told) s->told = a;
            continue;
        }
        if (a->place > WB_SEMCONV_KEYS) {
            if (wb_semconv_prefix_of(a->key, &prefix, &field)) s->indexed |= BIT(field);
            continue;
        }
        const wb_semconv_rule *rules = wb_semconv_rules(a->place, &n);
        for (size_t i = 0; i < n; i++) note_rule(s, a, &rules[i]);
    }
}

/* ---- what it is ---- */

static wb_slice word_of(const wb_attr *attr)
{
    wb_value value = wb_otlp_value(attr->value);
    return value.type == WB_VALUE_TEXT ? value.text : (wb_slice){0};
}

static void find_operation(said *s)
{
    bool is_root = WB_ID_ABSENT(s->span->parent_id), is_client = s->span->kind == KIND_CLIENT;
    for (unsigned how = FIRST_WORD; how < WB_RULES && s->operation.type == WB_TYPE_NONE; how++)
        if (s->words[how])
            s->operation =
                wb_operation_of((wb_semconv_how)how, word_of(s->words[how]), is_root, is_client);
    if (s->operation.type == WB_TYPE_NONE) s->operation = wb_operation_by_fields(s->has, is_client);
}

static void find_type(said *s)
{
    find_operation(s);
    s->type = s->told ? wb_span_type_of(word_of(s->told)) : WB_TYPE_NONE;
    if (s->type == WB_TYPE_NONE) s->type = s->operation.type;
    if (s->type == WB_TYPE_NONE)
        s->type = s->span->status_code == STATUS_ERROR ? WB_TYPE_ERROR : WB_TYPE_EXECUTION;
    for (size_t i = 0; i < s->n_waiting; i++)
        if (wb_span_type_matches(s->type, (wb_semconv_when)s->waiting[i].rule->when,
                                 s->words[WB_RULE_AGENTOPS] != NULL))
            note(s, s->waiting[i].attr, s->waiting[i].rule);
}

/* ---- what is said of it ---- */

/* Or it takes more scratch than there is: no sender can make a batch too large for its own arena with it. */
static bool is_left_out(wb_status status)
{
    return status == WB_ERR_NOT_FOUND || status == WB_ERR_NO_MEMORY;
}

static wb_status say_as(said *s, wb_slice key, wb_value value)
{
    return wb_otlp_append_attr(s->batch, &s->span->attrs, WB_OTLP_SPAN, key, value);
}

static wb_status say(said *s, uint8_t field, wb_value value)
{
    return say_as(s, wb_canon_attribute(field), value);
}

static wb_status say_text(said *s, uint8_t field, wb_slice text)
{
    return say(s, field, (wb_value){.type = WB_VALUE_TEXT, .text = text});
}

static wb_status say_real(said *s, uint8_t field, double real)
{
    return say(s, field, (wb_value){.type = WB_VALUE_DOUBLE, .real = real});
}

static wb_status say_int(said *s, uint8_t field, int64_t integer)
{
    return say(s, field, (wb_value){.type = WB_VALUE_INT, .integer = integer});
}

/* Of attributes that came twice the first counts: without it the second would. */
static void mask_all_like(said *s, const wb_attr *attr)
{
    for (wb_attr *a = s->span->attrs.first; a; a = a->next)
        if (a->place == attr->place) wb_batch_mask(s->batch, &s->span->attrs, a);
}

/* The type that an earlier pass said is right or was told; another word is replaced. */
static wb_status say_type(said *s)
{
    wb_slice word = wb_span_type_word(s->type);
    if (s->told && wb_slice_eq(word_of(s->told), word)) return WB_OK;
    if (s->told) mask_all_like(s, s->told);
    return say_as(s, SPAN_TYPE, (wb_value){.type = WB_VALUE_TEXT, .text = word});
}

static wb_status say_operation(said *s)
{
    if (s->has & BIT(WB_CANON_OPERATION) || s->operation.name.len == 0) return WB_OK;
    return say_text(s, WB_CANON_OPERATION, s->operation.name);
}

static wb_status say_provider(said *s, const source *from, wb_slice text)
{
    wb_slice provider = {0};
    if (wb_convert_provider(text, s->scratch, &provider) != WB_OK) return WB_OK;
    if (from->rule->rank == 0 && wb_slice_eq(text, provider)) return WB_OK;
    if (from->rule->rank == 0) mask_all_like(s, from->attr);
    return say_text(s, WB_CANON_PROVIDER, provider);
}

static wb_status say_number(said *s, const source *from, wb_value value)
{
    double real;
    int64_t micros;
    uint8_t field = from->rule->field;
    switch (from->rule->how) {
    case WB_RULE_USD: return wb_convert_micros(value, &micros) ? say_int(s, field, micros) : WB_OK;
    case WB_RULE_MS: return wb_convert_real(value, &real) ? say_real(s, field, real / 1000) : WB_OK;
    case WB_RULE_SINCE_START:
        return wb_convert_since(value, s->span->start_ns, &real) ? say_real(s, field, real) : WB_OK;
    default: return wb_convert_real(value, &real) ? say_real(s, field, real) : WB_OK;
    }
}

static wb_status say_cost(said *s, wb_value value)
{
    static const uint8_t fields[WB_COST_PARTS] = {WB_CANON_COST_INPUT, WB_CANON_COST_OUTPUT,
                                                  WB_CANON_COST_TOTAL};
    wb_cost_parts parts = {.has = {false}};
    if (value.type != WB_VALUE_TEXT) return WB_OK;
    if (wb_cost_read(value.text, s->scratch, &parts) != WB_OK) return WB_OK;
    for (int i = 0; i < WB_COST_PARTS; i++)
        if (parts.has[i] &&
            (!(s->has & BIT(fields[i])) || s->best[fields[i]].rule->how == WB_RULE_COST))
            WB_TRY(say_int(s, fields[i], parts.micros[i]));
    return WB_OK;
}

static wb_status say_member(said *s, const source *from, wb_value value)
{
    static const char *const names[] = {[WB_RULE_MEMBER_MODEL] = "model",
                                        [WB_RULE_MEMBER_ID] = "id",
                                        [WB_RULE_MEMBER_SERVICE_TIER] = "service_tier"};
    wb_slice text = {0};
    if (value.type != WB_VALUE_TEXT) return WB_OK;
    wb_status status =
        wb_convert_member(value.text, wb_slice_str(names[from->rule->how]), s->scratch, &text);
    return is_left_out(status) ? WB_OK : say_text(s, from->rule->field, text);
}

static wb_status say_converted(said *s, const source *from)
{
    wb_slice text = {0};
    wb_status status = WB_OK;
    wb_value value = wb_otlp_value(from->attr->value);
    switch (from->rule->how) {
    case WB_RULE_TEXT:
    case WB_RULE_PROVIDER:
        status = wb_convert_text(value, s->scratch, &text);
        if (status != WB_OK) break;
        if (from->rule->how == WB_RULE_PROVIDER) return say_provider(s, from, text);
        return say_text(s, from->rule->field, text);
    case WB_RULE_ANY:
        return value.type == WB_VALUE_EMPTY ? WB_OK : say(s, from->rule->field, value);
    case WB_RULE_LIST:
        status = wb_convert_list(value, s->scratch, &value);
        if (status == WB_OK) return say(s, from->rule->field, value);
        break;
    case WB_RULE_MEMBER_MODEL:
    case WB_RULE_MEMBER_ID:
    case WB_RULE_MEMBER_SERVICE_TIER: return say_member(s, from, value);
    default: return say_number(s, from, value);
    }
    return is_left_out(status) ? WB_OK : status;
}

/* ---- tokens ---- */

static const uint8_t token_fields[WB_TOKEN_KINDS] = {
    [WB_TOKENS_INPUT] = WB_CANON_TOKENS_INPUT,
    [WB_TOKENS_OUTPUT] = WB_CANON_TOKENS_OUTPUT,
    [WB_TOKENS_CACHE_READ] = WB_CANON_TOKENS_CACHE_READ,
    [WB_TOKENS_CACHE_WRITE] = WB_CANON_TOKENS_CACHE_WRITE,
    [WB_TOKENS_REASONING] = WB_CANON_TOKENS_REASONING,
    [WB_TOKENS_TOTAL] = WB_CANON_TOKENS_TOTAL,
};

static const uint64_t token_bits =
    BIT(WB_CANON_TOKENS_INPUT) | BIT(WB_CANON_TOKENS_OUTPUT) | BIT(WB_CANON_TOKENS_CACHE_READ) |
    BIT(WB_CANON_TOKENS_CACHE_WRITE) | BIT(WB_CANON_TOKENS_REASONING) | BIT(WB_CANON_TOKENS_TOTAL);

/* AgentOps hands on what the provider said, and Anthropic counts no cache as input. */
static wb_token_form told_form(const said *s)
{
    wb_slice provider = {0};
    if (!s->words[WB_RULE_AGENTOPS] || !(s->has & BIT(WB_CANON_PROVIDER))) return WB_TOKENS_UNSAID;
    provider = word_of(s->best[WB_CANON_PROVIDER].attr);
    return wb_slice_eq(provider, WB_S("anthropic")) || wb_slice_eq(provider, WB_S("Anthropic"))
               ? WB_TOKENS_EXCLUSIVE
               : WB_TOKENS_UNSAID;
}

static void read_tokens(said *s, wb_tokens *tokens)
{
    *tokens = (wb_tokens){.form = told_form(s)};
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++) {
        uint8_t field = token_fields[kind];
        if (!(s->has & BIT(field))) continue;
        wb_value value = wb_otlp_value(s->best[field].attr->value);
        if (s->best[field].rule->how != WB_RULE_USAGE)
            tokens->has[kind] = wb_convert_count(value, &tokens->of[kind]);
        else if (value.type == WB_VALUE_TEXT &&
                 wb_tokens_read_usage(value.text, s->scratch, tokens) == WB_OK)
            return;
    }
}

static bool has_own_tokens(const said *s)
{
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++)
        if (s->has & BIT(token_fields[kind]) && s->best[token_fields[kind]].rule->rank == 0)
            return true;
    return false;
}

/* Agents and workflows repeat what the calls below them counted: there the buckets would be in every sum twice. */
static wb_status say_tokens(said *s)
{
    wb_tokens tokens;
    if (!(s->has & token_bits) || has_own_tokens(s)) return WB_OK;
    if (s->type != WB_TYPE_LLM_CALL && s->type != WB_TYPE_EMBEDDING) return WB_OK;
    read_tokens(s, &tokens);
    wb_tokens_settle(&tokens);
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++)
        if (tokens.has[kind]) WB_TRY(say_int(s, token_fields[kind], (int64_t)tokens.of[kind]));
    bool form_matters = tokens.has[WB_TOKENS_CACHE_READ] || tokens.has[WB_TOKENS_CACHE_WRITE] ||
                        tokens.has[WB_TOKENS_REASONING];
    if (!form_matters) return WB_OK;
    return say_as(s, TOKENS_FORM,
                  (wb_value){.type = WB_VALUE_TEXT,
                             .text = tokens.form == WB_TOKENS_EXCLUSIVE ? WB_S("exclusive")
                                                                        : WB_S("inclusive")});
}

/* ---- what no attribute says ---- */

static wb_slice of_exception(wb_slice span_message, wb_slice key)
{
    wb_otlp_event event;
    wb_otlp_iter it = {span_message};
    while (wb_otlp_next_event(&it, &event)) {
        wb_slice found = wb_otlp_find_text(event.message, WB_OTLP_EVENT, key);
        if (found.len > 0) return found;
    }
    return (wb_slice){0};
}

static wb_status say_error(said *s)
{
    wb_slice message = wb_batch_bytes(s->batch, s->span->extent);
    if (s->span->status_code != STATUS_ERROR) return WB_OK;
    if (!(s->has & BIT(WB_CANON_ERROR_TYPE))) {
        wb_slice type = of_exception(message, WB_S("exception.type"));
        if (type.len > 0) WB_TRY(say_text(s, WB_CANON_ERROR_TYPE, type));
    }
    if (s->has & BIT(WB_CANON_ERROR_MESSAGE)) return WB_OK;
    wb_slice text = wb_otlp_read_span(message).status_message;
    if (text.len == 0) text = of_exception(message, WB_S("exception.message"));
    return text.len > 0 ? say_text(s, WB_CANON_ERROR_MESSAGE, text) : WB_OK;
}

/* Langfuse has no key for the name of an agent or a tool: its span has it. */
static wb_status say_span_name(said *s)
{
    uint8_t field = s->type == WB_TYPE_AGENT ? WB_CANON_AGENT_NAME : WB_CANON_TOOL_NAME;
    if (!s->words[WB_RULE_LANGFUSE] || s->span->name.len == 0) return WB_OK;
    if (s->type != WB_TYPE_AGENT && s->type != WB_TYPE_TOOL_CALL) return WB_OK;
    return s->has & BIT(field) ? WB_OK : say_text(s, field, s->span->name);
}

/* OpenInference says with an event when a stream began. */
static wb_status say_first_chunk(said *s)
{
    wb_otlp_event event;
    wb_otlp_iter it = {wb_batch_bytes(s->batch, s->span->extent)};
    if (!s->words[WB_RULE_OPENINFERENCE] || s->has & BIT(WB_CANON_TIME_TO_FIRST_CHUNK_S))
        return WB_OK;
    while (wb_otlp_next_event(&it, &event)) {
        if (!wb_slice_eq(event.name, WB_S("First Token Stream Event"))) continue;
        if (event.time_ns < s->span->start_ns) break;
        return say_real(s, WB_CANON_TIME_TO_FIRST_CHUNK_S,
                        (double)(event.time_ns - s->span->start_ns) / (double)WB_NS_PER_S);
    }
    return WB_OK;
}

static wb_status say_indexed(said *s)
{
    for (uint8_t field = 0; field < WB_CANON_FIELDS; field++) {
        wb_slice json = {0};
        if (!(s->indexed & BIT(field))) continue;
        if (s->has & BIT(field) && s->best[field].rule->rank == 0) continue;
        if (wb_regroup(&s->span->attrs, field, s->scratch, &json) != WB_OK || json.len == 0)
            continue;
        WB_TRY(say_text(s, field, json));
        s->has &= ~BIT(field); /* the parts are better than any summary of them */
    }
    return WB_OK;
}

/* ---- the stage ---- */

/* What `has` and the counts do not speak of is left from the span before. */
static void begin(said *s, wb_span *span)
{
    s->span = span;
    s->has = s->indexed = 0;
    s->n_waiting = 0;
    memset(s->words, 0, sizeof s->words);
    s->operation = (wb_operation){.type = WB_TYPE_NONE};
    s->type = WB_TYPE_NONE;
    s->told = NULL;
}

static wb_status normalise_span(said *s)
{
    gather(s);
    find_type(s);
    WB_TRY(say_type(s));
    WB_TRY(say_operation(s));
    WB_TRY(say_tokens(s));
    if (s->indexed) WB_TRY(say_indexed(s));
    WB_TRY(say_error(s));
    WB_TRY(say_span_name(s));
    WB_TRY(say_first_chunk(s));
    const wb_attr *cost = NULL;
    for (uint64_t left = s->has & ~token_bits & ~BIT(WB_CANON_OPERATION); left; left &= left - 1) {
        const source *from = &s->best[__builtin_ctzll(left)];
        if (from->rule->how == WB_RULE_COST) cost = from->attr;
        if (from->rule->how == WB_RULE_COST ||
            (from->rule->rank == 0 && from->rule->how != WB_RULE_PROVIDER))
            continue;
        WB_TRY(say_converted(s, from));
    }
    return cost ? say_cost(s, wb_otlp_value(cost->value)) : WB_OK;
}

/* What a resource says holds for all its spans, and is said there once. */
static wb_status normalise_resource(wb_batch *batch, wb_resource_spans *resource, wb_arena *scratch)
{
    for (wb_attr *a = resource->attrs.first; a; a = a->next) {
        size_t n;
        wb_slice text = {0};
        if (a->place == 0 || a->place > WB_SEMCONV_KEYS || a->state == WB_ATTR_MASKED) continue;
        const wb_semconv_rule *rules = wb_semconv_rules(a->place, &n);
        for (size_t i = 0; i < n; i++) {
            wb_slice key = wb_canon_attribute(rules[i].field);
            if (rules[i].how != WB_RULE_RESOURCE || wb_attrs_find(&resource->attrs, key)) continue;
            if (wb_convert_text(wb_otlp_value(a->value), scratch, &text) != WB_OK) continue;
            WB_TRY(wb_otlp_append_attr(batch, &resource->attrs, WB_OTLP_RESOURCE, key,
                                       (wb_value){.type = WB_VALUE_TEXT, .text = text}));
        }
    }
    return WB_OK;
}

static wb_status normalise_batch(wb_batch *batch, wb_arena *scratch)
{
    for (uint32_t i = 0; i < batch->resource_count; i++)
        WB_TRY(normalise_resource(batch, &batch->resources[i], scratch));
    said s = {.batch = batch, .scratch = scratch};
    for (uint32_t i = 0; i < batch->span_count; i++) {
        begin(&s, &batch->spans[i]);
        WB_TRY(normalise_span(&s));
        if (wb_arena_used(scratch) > 0) wb_arena_reset(scratch);
    }
    return WB_OK;
}

static wb_status normalise_apply(const void *self, const wb_stage_view *view, wb_batch *batch,
                                 wb_error *err)
{
    (void)self;
    if (view->as_they_came) return WB_OK;
    WB_AUTO(wb_arena) scratch = wb_arena_new(SCRATCH_BYTES);
    wb_status status = scratch ? normalise_batch(batch, scratch) : WB_ERR_NO_MEMORY;
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to normalise spans");
}

const wb_stage_ops wb_normalise_stage = {.name = "normalise",
                                         .keys = wb_semconv_keys,
                                         .key_count = WB_SEMCONV_KEYS,
                                         .prefixes = wb_semconv_prefixes,
                                         .prefix_count = WB_SEMCONV_PREFIXES,
                                         .apply = normalise_apply};
