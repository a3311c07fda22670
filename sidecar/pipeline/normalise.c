/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a span's attributes finds, for each field of the model, who says it best: the field's own
 * attribute, else whoever comes first in semconv-map.csv. Then the operation is decided, since some keys
 * mean one thing on a tool's span and another on a model's; then what is missing is gathered and appended at
 * once. The attributes are read from the span's bytes, behind the walk's index: that would take more memory
 * than the spans, for what is forgotten behind each of them.
 *
 * The schema URL is not looked at: instrumentations stamp one and send the names of another. */
#include "sidecar/pipeline/normalise.h"

#include "proto/key_set.h"
#include "proto/otlp_edit.h"
#include "proto/wire.h"
#include "sidecar/pipeline/convert.h"
#include "sidecar/pipeline/operation.h"
#include "sidecar/pipeline/regroup.h"
#include "sidecar/pipeline/tokens.h"

enum {
    SCRATCH_BYTES = 4 * 1024 * 1024,
    SAID_BYTES_MAX = 4 * 1024 * 1024, /* in one batch: its arena and its payload have limits */
    WAITING_MAX = 32,
    KIND_CLIENT = 3,
    STATUS_ERROR = 2,
    FIRST_WORD = WB_RULE_LANGFUSE,
    SAID_MAX = 64
};

#define SPAN_TYPE WB_S("waybill.span.type")
#define TOKENS_FORM WB_S("waybill.tokens.form")
#define BIT(field) (UINT64_C(1) << (field))

_Static_assert(WB_CANON_FIELDS <= 64, "a set of fields is one word");
_Static_assert(WB_RULES <= 32, "so is one of dialects");

typedef struct source {
    wb_slice value; /* the bytes of its AnyValue */
    const wb_semconv_rule *rule;
} source;

/* What one span says. */
typedef struct said {
    const wb_key_set *keys;
    wb_batch *batch;
    wb_span *span;
    wb_slice message;  /* of the span */
    wb_arena *scratch; /* for what is thrown away again behind the span: what is said is copied */
    wb_otlp_attr says[SAID_MAX];
    size_t n_says;
    size_t said_bytes;            /* of all spans so far */
    uint64_t has;                 /* fields of `best` */
    source best[WB_CANON_FIELDS]; /* of fields in `has` */
    source waiting[WAITING_MAX];  /* for what the span is */
    size_t n_waiting;
    wb_slice words[WB_RULES]; /* AnyValues of the operation, of dialects in `spoken` */
    uint32_t spoken;
    uint64_t indexed; /* fields that come in parts */
    wb_operation operation;
    wb_span_type type;
    const wb_attr *told; /* its type, as it arrived */
} said;

/* ---- what is there ---- */

static void note(said *s, source from)
{
    source *best = &s->best[from.rule->field];
    bool known = s->has & BIT(from.rule->field);
    if (known && best->rule->rank <= from.rule->rank) return;
    *best = from;
    s->has |= BIT(from.rule->field);
}

static bool speaks(const said *s, unsigned dialect) { return (s->spoken >> dialect) & 1; }

static void note_rule(said *s, source from)
{
    const wb_semconv_rule *rule = from.rule;
    if (rule->how >= FIRST_WORD) {
        if (!speaks(s, rule->how)) s->words[rule->how] = from.value;
        s->spoken |= 1U << rule->how;
        if (rule->rank == 0) s->has |= BIT(rule->field);
    } else if (rule->how == WB_RULE_RESOURCE) {
        return;
    } else if (rule->when == WB_WHEN_ALWAYS) {
        note(s, from);
    } else if (s->n_waiting < WAITING_MAX) {
        s->waiting[s->n_waiting++] = from;
    }
}

/* Nearly every attribute: shorter than 128 bytes, the key before the value, and nothing else in it. */
static inline bool take_short_attr(wb_slice *rest, uint8_t tag, wb_slice *key, wb_slice *value)
{
    const uint8_t *p = rest->ptr;
    if (rest->len < 6 || p[0] != tag || p[1] >= 0x80 || p[1] < 4 || p[1] > rest->len - 2 ||
        p[2] != WB_WIRE_TAG(1, WB_WIRE_LEN))
        return false;
    size_t n = p[1], key_len = p[3];
    if (key_len > n - 4 || p[4 + key_len] != WB_WIRE_TAG(2, WB_WIRE_LEN) ||
        p[5 + key_len] != n - 4 - key_len)
        return false;
    *key = (wb_slice){p + 4, key_len};
    *value = (wb_slice){p + 6 + key_len, n - 4 - key_len};
    *rest = (wb_slice){p + 2 + n, rest->len - 2 - n};
    return true;
}

/* The next attribute of a Span or Resource message; false at the end. What was walked parses. */
static inline bool next_attr(wb_slice *rest, wb_otlp_owner owner, wb_slice *key, wb_slice *value)
{
    wb_wire_field f;
    if (take_short_attr(rest, WB_WIRE_TAG(owner, WB_WIRE_LEN), key, value)) return true;
    while (rest->len > 0 && wb_wire_next(rest, &f)) {
        if (f.number != (uint32_t)owner || f.type != WB_WIRE_LEN) continue;
        *key = *value = (wb_slice){f.bytes.ptr, 0};
        for (wb_slice pair = f.bytes; pair.len > 0 && wb_wire_next(&pair, &f);) {
            if (f.type != WB_WIRE_LEN) continue;
            if (f.number == 1) *key = f.bytes;
            if (f.number == 2) *value = f.bytes;
        }
        return true;
    }
    return false;
}

/* Waybill's own names count only as far as the guard has left them. */
static bool is_taken_away(const said *s, wb_slice key)
{
    return key.ptr[0] == 'w' && wb_slice_starts(key, WB_S("waybill.")) &&
           !wb_attrs_find(&s->span->attrs, key);
}

static void gather(said *s)
{
    wb_slice key, value, rest = s->message;
    while (next_attr(&rest, WB_OTLP_SPAN, &key, &value)) {
        size_t n;
        uint16_t place = wb_key_set_find(s->keys, key);
        if (place == 0 || is_taken_away(s, key)) continue;
        if (place > WB_SEMCONV_KEYS) {
            s->indexed |= BIT(wb_semconv_prefix_field((size_t)(place - WB_SEMCONV_KEYS - 1)));
            continue;
        }
        const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
        for (size_t i = 0; i < n; i++) note_rule(s, (source){value, &rules[i]});
    }
}

/* ---- what it is ---- */

static wb_slice word_of(wb_slice any_value)
{
    wb_value value = wb_otlp_value(any_value);
    return value.type == WB_VALUE_TEXT ? value.text : (wb_slice){0};
}

/* Fields that make a span what it is. Dialects put the names of agent and workflow on every span below them, and
 * an instrumentation of HTTP or of a database may carry even OpenTelemetry's own. */
static uint64_t identifying(const said *s)
{
    static const wb_slice others[] = {{(const uint8_t *)"http.", 5},
                                      {(const uint8_t *)"url.", 4},
                                      {(const uint8_t *)"db.", 3},
                                      {(const uint8_t *)"rpc.", 4},
                                      {(const uint8_t *)"messaging.", 10}};
    static const uint8_t names[] = {WB_CANON_AGENT_NAME, WB_CANON_AGENT_ID, WB_CANON_WORKFLOW_NAME};
    uint64_t has = s->has;
    for (size_t i = 0; i < WB_COUNT(names); i++)
        if (has & BIT(names[i]) && s->best[names[i]].rule->rank != 0) has &= ~BIT(names[i]);
    if (!(has & (BIT(WB_CANON_AGENT_NAME) | BIT(WB_CANON_AGENT_ID) | BIT(WB_CANON_WORKFLOW_NAME))))
        return has;
    wb_slice key, value, rest = s->message;
    while (next_attr(&rest, WB_OTLP_SPAN, &key, &value))
        for (size_t i = 0; i < WB_COUNT(others); i++)
            if (wb_slice_starts(key, others[i]))
                return has & ~(BIT(WB_CANON_AGENT_NAME) | BIT(WB_CANON_AGENT_ID) |
                               BIT(WB_CANON_WORKFLOW_NAME));
    return has;
}

static void find_operation(said *s)
{
    bool is_root = WB_ID_ABSENT(s->span->parent_id), is_client = s->span->kind == KIND_CLIENT;
    for (unsigned how = FIRST_WORD; how < WB_RULES && s->operation.type == WB_TYPE_NONE; how++)
        if (speaks(s, how))
            s->operation =
                wb_operation_of((wb_semconv_how)how, word_of(s->words[how]), is_root, is_client);
    if (s->operation.type == WB_TYPE_NONE && !s->told)
        s->operation = wb_operation_by_fields(identifying(s), is_client);
}

static void find_type(said *s)
{
    find_operation(s);
    s->type = s->told ? wb_span_type_of(word_of(s->told->value)) : WB_TYPE_NONE;
    if (s->type == WB_TYPE_NONE) s->type = s->operation.type;
    if (s->type == WB_TYPE_NONE)
        s->type = s->span->status_code == STATUS_ERROR ? WB_TYPE_ERROR : WB_TYPE_EXECUTION;
    for (size_t i = 0; i < s->n_waiting; i++)
        if (wb_span_type_matches(s->type, (wb_semconv_when)s->waiting[i].rule->when,
                                 speaks(s, WB_RULE_AGENTOPS)))
            note(s, s->waiting[i]);
}

/* ---- what is said of it ---- */

/* Or it takes more scratch than there is: no sender can make a batch too large for its own arena with it. */
static bool is_left_out(wb_status status)
{
    return status == WB_ERR_NOT_FOUND || status == WB_ERR_NO_MEMORY;
}

static wb_status say_as(said *s, wb_slice key, wb_value value)
{
    size_t bytes = key.len;
    if (value.type != WB_VALUE_INT && value.type != WB_VALUE_DOUBLE) bytes += value.bytes.len;
    if (bytes > SAID_BYTES_MAX - s->said_bytes) return WB_OK; /* the batch would become too large */
    s->said_bytes += bytes;
    WB_ASSERT(s->n_says < SAID_MAX); /* each field once, and two more */
    s->says[s->n_says++] = (wb_otlp_attr){key, value};
    return WB_OK;
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

/* All of that key: of those that came twice the first counts, and without it the second would. */
static wb_status mask(said *s, wb_slice key)
{
    return wb_otlp_mask_key(s->batch, &s->span->attrs, WB_OTLP_SPAN, s->span->extent, key);
}

/* The type that an earlier pass said is right or was told; another word is replaced. */
static wb_status say_type(said *s)
{
    wb_slice word = wb_span_type_word(s->type);
    if (s->told && wb_slice_eq(word_of(s->told->value), word)) return WB_OK;
    if (s->told) WB_TRY(mask(s, SPAN_TYPE));
    return say_as(s, SPAN_TYPE, (wb_value){.type = WB_VALUE_TEXT, .text = word});
}

static wb_status say_operation(said *s)
{
    if (s->has & BIT(WB_CANON_OPERATION) || s->operation.name.len == 0) return WB_OK;
    return say_text(s, WB_CANON_OPERATION, s->operation.name);
}

/* Under OpenTelemetry's own name any word is right, but for another spelling of one that it has. */
static wb_status say_provider(said *s, const source *from, wb_slice text)
{
    wb_slice provider = wb_known_provider(text);
    if (from->rule->rank == 0) {
        if (provider.len == 0 || wb_slice_eq(text, provider)) return WB_OK;
        WB_TRY(mask(s, wb_canon_attribute(WB_CANON_PROVIDER)));
    } else if (wb_convert_provider(text, s->scratch, &provider) != WB_OK) {
        return WB_OK;
    }
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
    wb_value value = wb_otlp_value(from->value);
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
    if (!speaks(s, WB_RULE_AGENTOPS) || !(s->has & BIT(WB_CANON_PROVIDER))) return WB_TOKENS_UNSAID;
    provider = word_of(s->best[WB_CANON_PROVIDER].value);
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
        wb_value value = wb_otlp_value(s->best[field].value);
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
    return say_as(
        s, TOKENS_FORM,
        (wb_value){.type = WB_VALUE_TEXT, .text = wb_slice_str(wb_token_form_word(tokens.form))});
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
    wb_slice message = s->message;
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
    if (!speaks(s, WB_RULE_LANGFUSE) || s->span->name.len == 0) return WB_OK;
    if (s->type != WB_TYPE_AGENT && s->type != WB_TYPE_TOOL_CALL) return WB_OK;
    return s->has & BIT(field) ? WB_OK : say_text(s, field, s->span->name);
}

/* OpenInference says with an event when a stream began. */
static wb_status say_first_chunk(said *s)
{
    wb_otlp_event event;
    wb_otlp_iter it = {s->message};
    if (!speaks(s, WB_RULE_OPENINFERENCE) || s->has & BIT(WB_CANON_TIME_TO_FIRST_CHUNK_S))
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
        if (wb_regroup(s->message, field, s->scratch, &json) != WB_OK || json.len == 0) continue;
        WB_TRY(say_text(s, field, json));
        s->has &= ~BIT(field); /* the parts are better than any summary of them */
    }
    return WB_OK;
}

/* ---- all of them ---- */

/* What `has` and the counts do not speak of is left from the span before. */
static void begin(said *s, wb_span *span)
{
    s->span = span;
    s->message = wb_batch_bytes(s->batch, span->extent);
    s->n_says = 0;
    s->has = s->indexed = 0;
    s->n_waiting = 0;
    s->spoken = 0;
    s->operation = (wb_operation){.type = WB_TYPE_NONE};
    s->type = WB_TYPE_NONE;
    s->told = wb_attrs_find(&span->attrs, SPAN_TYPE);
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
    wb_slice cost = {0};
    for (uint64_t left = s->has & ~token_bits & ~BIT(WB_CANON_OPERATION); left; left &= left - 1) {
        const source *from = &s->best[__builtin_ctzll(left)];
        if (from->rule->how == WB_RULE_COST) cost = from->value;
        if (from->rule->how == WB_RULE_COST ||
            (from->rule->rank == 0 && from->rule->how != WB_RULE_PROVIDER))
            continue;
        WB_TRY(say_converted(s, from));
    }
    if (cost.ptr) WB_TRY(say_cost(s, wb_otlp_value(cost)));
    return wb_otlp_append_attrs(s->batch, &s->span->attrs, WB_OTLP_SPAN, s->says, s->n_says);
}

/* What a resource says holds for all its spans, and is said there once. */
static wb_status normalise_resource(said *s, wb_resource_spans *resource)
{
    wb_slice key, value, text = {0};
    source found[WB_CANON_FIELDS];
    uint64_t has = 0, own = 0;
    for (wb_slice rest = wb_batch_bytes(s->batch, resource->resource);
         next_attr(&rest, WB_OTLP_RESOURCE, &key, &value);) {
        size_t n;
        uint16_t place = wb_key_set_find(s->keys, key);
        if (place == 0 || place > WB_SEMCONV_KEYS) continue;
        const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
        for (size_t i = 0; i < n; i++) {
            if (rules[i].rank == 0) own |= BIT(rules[i].field);
            if (rules[i].how != WB_RULE_RESOURCE || has & BIT(rules[i].field)) continue;
            found[rules[i].field] = (source){value, &rules[i]};
            has |= BIT(rules[i].field);
        }
    }
    for (uint64_t left = has & ~own; left; left &= left - 1) {
        unsigned field = (unsigned)__builtin_ctzll(left);
        if (wb_convert_text(wb_otlp_value(found[field].value), s->scratch, &text) != WB_OK)
            continue;
        WB_TRY(wb_otlp_append_attr(s->batch, &resource->attrs, WB_OTLP_RESOURCE,
                                   wb_canon_attribute((uint8_t)field),
                                   (wb_value){.type = WB_VALUE_TEXT, .text = text}));
    }
    return WB_OK;
}

static wb_status normalise_batch(said *s)
{
    wb_batch *batch = s->batch;
    for (uint32_t i = 0; i < batch->resource_count; i++)
        if (!batch->resources[i].rejected) WB_TRY(normalise_resource(s, &batch->resources[i]));
    for (uint32_t i = 0; i < batch->span_count && s->said_bytes < SAID_BYTES_MAX; i++) {
        begin(s, &batch->spans[i]);
        WB_TRY(normalise_span(s));
        if (wb_arena_used(s->scratch) > 0) wb_arena_reset(s->scratch);
    }
    return WB_OK;
}

/* ---- the stage ---- */

static wb_status normalise_open(const wb_config_section *cfg, void **self, wb_error *err)
{
    wb_key_set *keys = NULL;
    (void)cfg;
    WB_TRY(wb_key_set_new(wb_semconv_keys, WB_SEMCONV_KEYS, wb_semconv_prefixes,
                          WB_SEMCONV_PREFIXES, &keys, err));
    *self = keys;
    return WB_OK;
}

static void normalise_close(void *self) { wb_key_set_free(self); }

static wb_status normalise_apply(const void *self, const wb_stage_view *view, wb_batch *batch,
                                 wb_error *err)
{
    if (view->as_they_came) return WB_OK;
    WB_AUTO(wb_arena) scratch = wb_arena_new(SCRATCH_BYTES);
    said s = {.keys = self, .batch = batch, .scratch = scratch};
    wb_status status = scratch ? normalise_batch(&s) : WB_ERR_NO_MEMORY;
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to normalise spans");
}

const wb_stage_ops wb_normalise_stage = {.name = "normalise",
                                         .open = normalise_open,
                                         .apply = normalise_apply,
                                         .close = normalise_close};
