/* SPDX-License-Identifier: Apache-2.0 */
/* What a span lacks of the model is said in the model's words: each field from the one source that was found for
 * it, token counts together, since they are turned into buckets, and what no attribute says (errors, a name, the
 * first chunk) from where it stands. All of it is appended at once. */
#include "sidecar/pipeline/said.h"

#include "proto/otlp_edit.h"
#include "proto/otlp_put.h"
#include "proto/span_batch.h"
#include "proto/wire.h"
#include "sidecar/pipeline/convert.h"
#include "sidecar/pipeline/messages.h"
#include "sidecar/pipeline/regroup.h"
#include "sidecar/pipeline/tokens.h"

enum { WORD_BYTES_MAX = 128 };

#define TOKENS_FORM WB_S("waybill.tokens.form")

/* Or it takes more scratch than there is: no sender can make a batch too large for its own arena with it. */
static bool is_left_out(wb_status status)
{
    return status == WB_ERR_NOT_FOUND || status == WB_ERR_NO_MEMORY;
}

/* Room for `more` bytes at `to`. What this span said so far moves along. */
static wb_status make_room(wb_said *s, size_t more)
{
    enum { CHUNK = 4096 };
    size_t said = (size_t)(s->to - s->first), size = said + more > CHUNK ? said + more : CHUNK;
    if ((size_t)(s->room_end - s->to) >= more) return WB_OK;
    uint8_t *chunk = wb_arena_alloc(s->batch->arena, size);
    if (!chunk) return WB_ERR_NO_MEMORY;
    if (said > 0) memcpy(chunk, s->first, said);
    s->first = chunk;
    s->to = chunk + said;
    s->room_end = chunk + size;
    return WB_OK;
}

/* Tags and lengths around a key and a value. */
enum {
    HEADS_MAX = 3 * (1 + WB_WIRE_LENGTH_MAX) + WB_WIRE_VARINT_MAX,
    SHORT = 0x80,
    SHORT_HEADS = 4
};

/* The heads of an attribute whose lengths all take one byte, as nearly all do, where there is room; `len` is that of the
 * AnyValue. Where its value goes, or NULL: then it goes the long way. */
static inline uint8_t *begin_short(wb_said *s, wb_slice key, size_t len)
{
    size_t all = SHORT_HEADS + key.len + len;
    if (all >= SHORT || (size_t)(s->room_end - s->to) < 2 + all) return NULL;
    if (s->said_bytes + WORD_BYTES_MAX > WB_SAID_BYTES_MAX) return NULL;
    uint8_t *at = s->to;
    *at++ = WB_WIRE_TAG(WB_OTLP_SPAN, WB_WIRE_LEN);
    *at++ = (uint8_t)all;
    *at++ = WB_WIRE_TAG(1, WB_WIRE_LEN);
    *at++ = (uint8_t)key.len;
    memcpy(at, key.ptr, key.len);
    at += key.len;
    *at++ = WB_WIRE_TAG(2, WB_WIRE_LEN);
    *at++ = (uint8_t)len;
    s->said_bytes += key.len + len;
    return at;
}

/* wb_otlp_value, of a short text without a call. */
static inline wb_value value_of(wb_slice any_value)
{
    if (wb_wire_is_short_text(any_value))
        return (wb_value){.type = WB_VALUE_TEXT, .text = {any_value.ptr + 2, any_value.len - 2}};
    return wb_otlp_value(any_value);
}

static wb_status say_as(wb_said *s, wb_slice key, wb_value value)
{
    size_t bytes = key.len, len = wb_otlp_value_size(value);
    uint8_t *at = begin_short(s, key, len);
    if (at) {
        s->to = wb_otlp_put_value(at, value);
        return WB_OK;
    }
    if (value.type != WB_VALUE_INT && value.type != WB_VALUE_DOUBLE) bytes += value.bytes.len;
    /* The batch would become too large; but a word that takes another's place is always said. */
    if (bytes > WORD_BYTES_MAX && s->said_bytes + bytes > WB_SAID_BYTES_MAX) return WB_OK;
    s->said_bytes += bytes;
    WB_TRY(make_room(s, HEADS_MAX + bytes));
    s->to = wb_otlp_put_value(wb_otlp_put_attr_head(s->to, WB_OTLP_SPAN, key, len), value);
    return WB_OK;
}

/* What arrived went through redaction, and what is made of it must, too: of parts that were short enough it may be
 * too long, and rules may name only the model's key. */
static wb_status say(wb_said *s, uint8_t field, wb_value value)
{
    const wb_stage_view *view = s->view;
    wb_slice key = wb_canon_attribute(field);
    if (s->redacted & WB_CANON_BIT(field)) {
        WB_TRY(wb_redact_made(view->redactor, view->redact, key, value, s->scratch, &value));
        if (value.type == WB_VALUE_EMPTY) return WB_OK;
    }
    size_t before = s->said_bytes;
    WB_TRY(say_as(s, key, value));
    if (!view->measured || s->said_bytes == before) return WB_OK;
    s->said |= WB_CANON_BIT(field);
    s->said_as[field] = value;
    return WB_OK;
}

/* Of a field of which redaction asks nothing, without a wb_value on the way. */
static inline uint8_t *begin_field(wb_said *s, uint8_t field, size_t len)
{
    if (s->redacted & WB_CANON_BIT(field)) return NULL;
    uint8_t *at = begin_short(s, wb_canon_attribute(field), len);
    if (at) s->said |= WB_CANON_BIT(field);
    return at;
}

static wb_status say_text(wb_said *s, uint8_t field, wb_slice text)
{
    uint8_t *at = text.len < SHORT ? begin_field(s, field, 2 + text.len) : NULL;
    if (!at) return say(s, field, (wb_value){.type = WB_VALUE_TEXT, .text = text});
    *at++ = WB_WIRE_TAG(1, WB_WIRE_LEN);
    *at++ = (uint8_t)text.len;
    if (text.len > 0) memcpy(at, text.ptr, text.len);
    s->to = at + text.len;
    s->said_as[field].type = WB_VALUE_TEXT;
    s->said_as[field].text = text;
    return WB_OK;
}

static wb_status say_real(wb_said *s, uint8_t field, double real)
{
    return say(s, field, (wb_value){.type = WB_VALUE_DOUBLE, .real = real});
}

static wb_status say_int(wb_said *s, uint8_t field, int64_t integer)
{
    uint8_t *at = begin_field(s, field, 1 + wb_wire_varint_size((uint64_t)integer));
    if (!at) return say(s, field, (wb_value){.type = WB_VALUE_INT, .integer = integer});
    *at++ = WB_WIRE_TAG(3, WB_WIRE_VARINT);
    s->to = wb_wire_put_varint(at, (uint64_t)integer);
    s->said_as[field].type = WB_VALUE_INT;
    s->said_as[field].integer = integer;
    return WB_OK;
}

/* All of that key: of those that came twice the first counts, and without it the second would. */
static wb_status mask(wb_said *s, wb_slice key)
{
    return wb_otlp_mask_key(s->batch, &s->span->attrs, WB_OTLP_SPAN, s->span->extent, key);
}

/* The type that an earlier pass said is right or was told; another word is replaced. */
static wb_status say_type(wb_said *s)
{
    wb_slice word = wb_span_type_word(s->type);
    if (s->told && wb_slice_eq(wb_said_word(s->told->value), word)) return WB_OK;
    if (s->told) WB_TRY(mask(s, WB_SPAN_TYPE_KEY));
    return say_as(s, WB_SPAN_TYPE_KEY, (wb_value){.type = WB_VALUE_TEXT, .text = word});
}

static wb_status say_operation(wb_said *s)
{
    if (s->has & WB_CANON_BIT(WB_CANON_OPERATION) || s->operation.name.len == 0) return WB_OK;
    return say_text(s, WB_CANON_OPERATION, s->operation.name);
}

/* Under OpenTelemetry's own name any word is right, but for another spelling of one that it has. */
static wb_status say_provider(wb_said *s, const wb_said_source *from, wb_slice text)
{
    if (!wb_slice_eq_short(text, s->provider_text)) {
        s->provider_text = text;
        s->provider = wb_known_provider(text);
    }
    wb_slice provider = s->provider;
    if (from->rule->rank == 0) {
        if (provider.len == 0 || wb_slice_eq_short(text, provider)) return WB_OK;
        WB_TRY(mask(s, wb_canon_attribute(WB_CANON_PROVIDER)));
    } else if (wb_convert_provider(text, s->scratch, &provider) != WB_OK) {
        return WB_OK;
    }
    return say_text(s, WB_CANON_PROVIDER, provider);
}

static wb_status say_number(wb_said *s, const wb_said_source *from, wb_value value)
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

static wb_status say_cost(wb_said *s, wb_value value)
{
    static const uint8_t fields[WB_COST_PARTS] = {WB_CANON_COST_INPUT, WB_CANON_COST_OUTPUT,
                                                  WB_CANON_COST_TOTAL};
    wb_cost_parts parts = {.has = {false}};
    if (value.type != WB_VALUE_TEXT) return WB_OK;
    if (wb_cost_read(value.text, s->scratch, &parts) != WB_OK) return WB_OK;
    for (int i = 0; i < WB_COST_PARTS; i++)
        if (parts.has[i] &&
            (!(s->has & WB_CANON_BIT(fields[i])) || s->best[fields[i]].rule->how == WB_RULE_COST))
            WB_TRY(say_int(s, fields[i], parts.micros[i]));
    return WB_OK;
}

static wb_status say_member(wb_said *s, const wb_said_source *from, wb_value value)
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

/* JSON in a vendor's shape. What is no text is as it came. */
static wb_status say_json(wb_said *s, const wb_said_source *from, wb_value value)
{
    wb_slice json = {0}, role = from->rule->field == WB_CANON_MESSAGES_OUTPUT ? WB_S("assistant")
                                                                              : WB_S("user");
    wb_status status = WB_OK;
    if (from->rule->how == WB_RULE_TOOLS)
        status = wb_tools_read(value, s->pieces, s->scratch, &json);
    else if (value.type != WB_VALUE_TEXT)
        return value.type == WB_VALUE_EMPTY ? WB_OK : say(s, from->rule->field, value);
    else if (from->rule->how == WB_RULE_ANSWER)
        status = wb_messages_of_answer(s->message, s->pieces, s->scratch, &json);
    else if (from->rule->how == WB_RULE_ARGUMENTS)
        status = wb_arguments_read(value.text, s->pieces, s->scratch, &json);
    else
        status = wb_messages_read(value.text, role, s->pieces, s->scratch, &json);
    return is_left_out(status) ? WB_OK : say_text(s, from->rule->field, json);
}

static wb_status say_converted(wb_said *s, const wb_said_source *from)
{
    wb_slice any_value = from->value;
    if (wb_wire_is_short_text(any_value) && any_value.len > 2) { /* nearly always */
        wb_slice short_text = {any_value.ptr + 2, any_value.len - 2};
        if (from->rule->how == WB_RULE_TEXT) return say_text(s, from->rule->field, short_text);
        if (from->rule->how == WB_RULE_PROVIDER) return say_provider(s, from, short_text);
    }
    wb_slice text = {0};
    wb_status status = WB_OK;
    wb_value value = value_of(from->value);
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
    case WB_RULE_MESSAGES:
    case WB_RULE_ANSWER:
    case WB_RULE_TOOLS:
    case WB_RULE_ARGUMENTS: return say_json(s, from, value);
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
    WB_CANON_BIT(WB_CANON_TOKENS_INPUT) | WB_CANON_BIT(WB_CANON_TOKENS_OUTPUT) |
    WB_CANON_BIT(WB_CANON_TOKENS_CACHE_READ) | WB_CANON_BIT(WB_CANON_TOKENS_CACHE_WRITE) |
    WB_CANON_BIT(WB_CANON_TOKENS_REASONING) | WB_CANON_BIT(WB_CANON_TOKENS_TOTAL);

/* AgentOps hands on what the provider said, and Anthropic counts no cache as input. */
static wb_token_form told_form(const wb_said *s)
{
    wb_slice provider = {0};
    if (!wb_said_speaks(s, WB_RULE_AGENTOPS) || !(s->has & WB_CANON_BIT(WB_CANON_PROVIDER)))
        return WB_TOKENS_UNSAID;
    provider = wb_said_word(s->best[WB_CANON_PROVIDER].value);
    return wb_slice_eq(provider, WB_S("anthropic")) || wb_slice_eq(provider, WB_S("Anthropic"))
               ? WB_TOKENS_EXCLUSIVE
               : WB_TOKENS_UNSAID;
}

/* wb_convert_count, of an integer without a call. */
static inline bool count_of(wb_slice any_value, uint64_t *out)
{
    enum { SMALL = 8 };
    wb_slice rest = {any_value.ptr + 1, any_value.len - 1};
    if (any_value.len >= 2 && any_value.len <= SMALL &&
        any_value.ptr[0] == WB_WIRE_TAG(3, WB_WIRE_VARINT) && wb_wire_varint(&rest, SMALL, out) &&
        rest.len == 0)
        return true;
    return wb_convert_count(wb_otlp_value(any_value), out);
}

static void read_tokens(wb_said *s, wb_tokens *tokens)
{
    *tokens = (wb_tokens){.form = told_form(s)};
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++) {
        uint8_t field = token_fields[kind];
        if (!(s->has & WB_CANON_BIT(field))) continue;
        if (s->best[field].rule->how != WB_RULE_USAGE) {
            tokens->has[kind] = count_of(s->best[field].value, &tokens->of[kind]);
            continue;
        }
        wb_value value = value_of(s->best[field].value);
        if (value.type == WB_VALUE_TEXT &&
            wb_tokens_read_usage(value.text, s->scratch, tokens) == WB_OK)
            return;
    }
}

/* The buckets that an earlier pass said. */
static void read_own_tokens(wb_said *s)
{
    s->tokens = (wb_tokens){.form = WB_TOKENS_UNSAID};
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++) {
        const wb_said_source *best = &s->best[token_fields[kind]];
        if (s->own & WB_CANON_BIT(token_fields[kind]))
            s->tokens.has[kind] = wb_convert_count(wb_otlp_value(best->value), &s->tokens.of[kind]);
    }
}

/* Agents and workflows repeat what the calls below them counted: there the buckets would be in every sum twice. */
static wb_status say_tokens(wb_said *s)
{
    wb_tokens *tokens = &s->tokens;
    if (!(s->has & token_bits)) return WB_OK;
    if (s->type != WB_TYPE_LLM_CALL && s->type != WB_TYPE_EMBEDDING) return WB_OK;
    s->counted = true;
    if (s->own & token_bits) {
        read_own_tokens(s);
        return WB_OK;
    }
    read_tokens(s, tokens);
    wb_tokens_settle(tokens);
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++)
        if (tokens->has[kind]) WB_TRY(say_int(s, token_fields[kind], (int64_t)tokens->of[kind]));
    bool form_matters = tokens->has[WB_TOKENS_CACHE_READ] || tokens->has[WB_TOKENS_CACHE_WRITE] ||
                        tokens->has[WB_TOKENS_REASONING];
    if (!form_matters) return WB_OK;
    return say_as(
        s, TOKENS_FORM,
        (wb_value){.type = WB_VALUE_TEXT, .text = wb_slice_str(wb_token_form_word(tokens->form))});
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

static bool has(const wb_said *s, uint8_t field) { return s->has & WB_CANON_BIT(field); }

/* Langfuse's span may have failed and not say so with its status. */
static bool is_error(const wb_said *s)
{
    if (s->span->status_code == WB_SPAN_ERROR) return true;
    return wb_said_speaks(s, WB_RULE_LANGFUSE) && has(s, WB_CANON_ERROR_MESSAGE) &&
           wb_slice_eq(
               wb_otlp_find_text(s->message, WB_OTLP_SPAN, WB_S("langfuse.observation.level")),
               WB_S("ERROR"));
}

static wb_slice error_message(const wb_said *s)
{
    wb_slice text = {NULL, 0};
    if (has(s, WB_CANON_ERROR_MESSAGE)) text = wb_said_word(s->best[WB_CANON_ERROR_MESSAGE].value);
    if (text.len == 0) text = wb_otlp_read_span(s->message).status_message;
    return text.len > 0 ? text : of_exception(s->message, WB_S("exception.message"));
}

static wb_status say_error(wb_said *s)
{
    if (!is_error(s)) return WB_OK;
    wb_slice text = error_message(s);
    if (!has(s, WB_CANON_ERROR_TYPE)) {
        wb_slice type = of_exception(s->message, WB_S("exception.type"));
        if (type.len == 0) type = wb_convert_http_status(text);
        if (type.len > 0) WB_TRY(say_text(s, WB_CANON_ERROR_TYPE, type));
    }
    if (has(s, WB_CANON_ERROR_MESSAGE) || text.len == 0) return WB_OK;
    return say_text(s, WB_CANON_ERROR_MESSAGE, text);
}

/* ---- what the span's name says ---- */

static wb_status say_name_as(wb_said *s, uint8_t field)
{
    return has(s, field) || s->span->name.len == 0 ? WB_OK : say_text(s, field, s->span->name);
}

static bool is_of_scope(const wb_said *s, wb_slice name)
{
    const wb_scope_spans *scope = wb_span_scope(s->batch, s->span);
    if (scope->scope.at == 0) return false;
    return wb_slice_eq(wb_otlp_read_scope(wb_batch_bytes(s->batch, scope->scope)).name, name);
}

/* OpenInference has no key for a workflow: its root CHAIN is one. That the OpenAI Agents SDK calls a trace by the
 * workflow's name is of its instrumentation, whose root has another kind. */
static bool is_named_as_workflow(const wb_said *s)
{
    if (!WB_ID_ABSENT(s->span->parent_id)) return false;
    if (s->type == WB_TYPE_WORKFLOW) return true;
    return s->type == WB_TYPE_AGENT && !has(s, WB_CANON_AGENT_NAME) &&
           is_of_scope(s, WB_S("openinference.instrumentation.openai_agents"));
}

/* Langfuse has no key for the name of an agent or a tool, nor for a provider. */
static wb_status say_span_name(wb_said *s)
{
    if (wb_said_speaks(s, WB_RULE_OPENINFERENCE) && is_named_as_workflow(s))
        return say_name_as(s, WB_CANON_WORKFLOW_NAME);
    if (!wb_said_speaks(s, WB_RULE_LANGFUSE)) return WB_OK;
    if (s->type == WB_TYPE_AGENT) return say_name_as(s, WB_CANON_AGENT_NAME);
    if (s->type == WB_TYPE_TOOL_CALL) return say_name_as(s, WB_CANON_TOOL_NAME);
    wb_slice provider = wb_langfuse_provider(s->span->name);
    if (provider.len == 0 || has(s, WB_CANON_PROVIDER)) return WB_OK;
    return say_text(s, WB_CANON_PROVIDER, provider);
}

/* OpenInference says with an event when a stream began. */
static wb_status say_first_chunk(wb_said *s)
{
    wb_otlp_event event;
    wb_otlp_iter it = {s->message};
    if (!wb_said_speaks(s, WB_RULE_OPENINFERENCE) ||
        s->has & WB_CANON_BIT(WB_CANON_TIME_TO_FIRST_CHUNK_S))
        return WB_OK;
    while (wb_otlp_next_event(&it, &event)) {
        if (!wb_slice_eq(event.name, WB_S("First Token Stream Event"))) continue;
        if (event.time_ns < s->span->start_ns) break;
        return say_real(s, WB_CANON_TIME_TO_FIRST_CHUNK_S,
                        (double)(event.time_ns - s->span->start_ns) / (double)WB_NS_PER_S);
    }
    return WB_OK;
}

static wb_status say_indexed(wb_said *s)
{
    for (uint64_t left = s->indexed; left; left &= left - 1) {
        uint8_t field = (uint8_t)__builtin_ctzll(left);
        wb_slice json = {0};
        if (s->has & WB_CANON_BIT(field) && s->best[field].rule->rank == 0) continue;
        if (wb_regroup(s->message, field, s->pieces, s->scratch, &json) != WB_OK || json.len == 0)
            continue;
        WB_TRY(say_text(s, field, json));
        s->has &= ~WB_CANON_BIT(field); /* the parts are better than any summary of them */
    }
    return WB_OK;
}

wb_status wb_said_add(wb_said *s)
{
    WB_TRY(say_type(s));
    WB_TRY(say_operation(s));
    WB_TRY(say_tokens(s));
    if (s->indexed) WB_TRY(say_indexed(s));
    WB_TRY(say_error(s));
    WB_TRY(say_span_name(s));
    WB_TRY(say_first_chunk(s));
    wb_slice cost = {0};
    uint64_t settled =
        token_bits | WB_CANON_BIT(WB_CANON_OPERATION) | (s->own & ~WB_CANON_BIT(WB_CANON_PROVIDER));
    for (uint64_t left = s->has & ~settled; left; left &= left - 1) {
        const wb_said_source *from = &s->best[__builtin_ctzll(left)];
        if (from->rule->how == WB_RULE_COST) cost = from->value;
        if (from->rule->how != WB_RULE_COST) WB_TRY(say_converted(s, from));
    }
    if (cost.ptr) WB_TRY(say_cost(s, value_of(cost)));
    if (s->to == s->first) return WB_OK;
    const wb_slice none = {NULL, 0}, said = {s->first, (size_t)(s->to - s->first)};
    s->first = s->to;
    return wb_batch_append(s->batch, &s->span->attrs, none, none, said);
}
