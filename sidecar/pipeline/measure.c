/* SPDX-License-Identifier: Apache-2.0 */
/* Labels are compared where they stand, in the span's bytes, with those of the span of its kind before it: mostly
 * they are the same, and nothing is copied, hashed or looked up. That costs some tens of ns, and the table's lock
 * is not needed until the whole batch is counted.
 *
 * What a span says is not believed without end: times of more than a year and counts of more than a million
 * million tokens are no measurements, and one of them would spoil a sum for good. */
#include "sidecar/pipeline/measure.h"

#include "proto/span_batch.h"
#include "sidecar/pipeline/said.h"

#define TIME_MAX_S (UINT64_C(366) * 86400)
#define TIME_MAX_NS (TIME_MAX_S * WB_NS_PER_S)
#define TOKENS_MAX (UINT64_C(1) << 40)

enum { PORT_DIGITS = 5 };

/* ---- labels --------------------------------------------------------------------------------- */

static wb_slice field_text(const wb_said *s, uint8_t field)
{
    if (s->said & WB_CANON_BIT(field)) {
        const wb_value *value = &s->said_as[field];
        return value->type == WB_VALUE_TEXT ? value->text : (wb_slice){0};
    }
    if (!(s->own & WB_CANON_BIT(field))) return (wb_slice){0};
    return wb_said_word(s->best[field].value);
}

static wb_slice operation_of(const wb_said *s)
{
    if (s->has & WB_CANON_BIT(WB_CANON_OPERATION)) return wb_said_word(s->words[WB_RULE_OPERATION]);
    return s->operation.name;
}

static wb_slice cut(wb_slice text)
{
    size_t len = WB_LABEL_BYTES_MAX;
    if (text.len <= len) return text;
    while (len > 0 && (text.ptr[len] & 0xC0) == 0x80) len--;
    return (wb_slice){text.ptr, len};
}

/* Said outright wins over what stands beside it. */
static bool has_failed(const wb_said *s)
{
    if (s->span->status_code != 0) return s->span->status_code == WB_SPAN_ERROR;
    return field_text(s, WB_CANON_ERROR_TYPE).len > 0;
}

static wb_slice port_text(const wb_said *s, char digits[PORT_DIGITS])
{
    if (!s->server_port.ptr) return (wb_slice){0};
    wb_value value = wb_otlp_value(s->server_port);
    if (value.type != WB_VALUE_INT || value.integer < 1 || value.integer > UINT16_MAX)
        return (wb_slice){0};
    size_t at = PORT_DIGITS;
    for (uint64_t left = (uint64_t)value.integer; left > 0; left /= 10)
        digits[--at] = (char)('0' + left % 10);
    return wb_slice_of(digits + at, PORT_DIGITS - at);
}

#define LABEL(name) (UINT32_C(1) << WB_LABEL_##name)

static const uint8_t label_fields[WB_LABELS] = {
    [WB_LABEL_PROVIDER] = WB_CANON_PROVIDER,
    [WB_LABEL_REQUEST_MODEL] = WB_CANON_MODEL_REQUESTED,
    [WB_LABEL_RESPONSE_MODEL] = WB_CANON_MODEL_RESPONSE,
    [WB_LABEL_AGENT] = WB_CANON_AGENT_NAME,
    [WB_LABEL_WORKFLOW] = WB_CANON_WORKFLOW_NAME,
    [WB_LABEL_TOOL] = WB_CANON_TOOL_NAME,
    [WB_LABEL_TOOL_TYPE] = WB_CANON_TOOL_TYPE,
};

#define OF_FIELDS (LABEL(PROVIDER) | LABEL(REQUEST_MODEL) | LABEL(RESPONSE_MODEL))
#define OF_CALL                                                                                    \
    (OF_FIELDS | LABEL(OPERATION) | LABEL(SERVER_ADDRESS) | LABEL(SERVER_PORT) | LABEL(ERROR_TYPE))

/* What spans of a kind may have as labels; and those of them that `label_fields` says where they are from. */
static const uint32_t labels_of_kind[WB_MEASURED_KINDS] = {
    [WB_MEASURED_MODEL] = OF_CALL,
    [WB_MEASURED_EMBEDDING] = OF_CALL,
    [WB_MEASURED_CLIENT] = OF_CALL,
    [WB_MEASURED_TOOL] = LABEL(TOOL) | LABEL(TOOL_TYPE) | LABEL(AGENT) | LABEL(ERROR_TYPE),
    [WB_MEASURED_AGENT] = LABEL(AGENT) | LABEL(REQUEST_MODEL) | LABEL(ERROR_TYPE),
    [WB_MEASURED_WORKFLOW] = LABEL(WORKFLOW) | LABEL(ERROR_TYPE),
};
static const uint32_t fields_of_kind[WB_MEASURED_KINDS] = {
    [WB_MEASURED_MODEL] = OF_FIELDS,
    [WB_MEASURED_EMBEDDING] = OF_FIELDS,
    [WB_MEASURED_CLIENT] = OF_FIELDS,
    [WB_MEASURED_TOOL] = LABEL(TOOL) | LABEL(TOOL_TYPE) | LABEL(AGENT),
    [WB_MEASURED_AGENT] = LABEL(AGENT) | LABEL(REQUEST_MODEL),
    [WB_MEASURED_WORKFLOW] = LABEL(WORKFLOW),
};

static void read_labels(const wb_said *s, wb_measured_kind kind, bool failed,
                        char digits[PORT_DIGITS], wb_slice labels[WB_LABELS])
{
    for (uint32_t left = fields_of_kind[kind]; left; left &= left - 1) {
        unsigned label = (unsigned)__builtin_ctz(left);
        labels[label] = cut(field_text(s, label_fields[label]));
    }
    if (kind <= WB_MEASURED_CLIENT) {
        labels[WB_LABEL_OPERATION] = cut(operation_of(s));
        if (s->server_address.ptr) {
            labels[WB_LABEL_SERVER_ADDRESS] = cut(wb_said_word(s->server_address));
            labels[WB_LABEL_SERVER_PORT] = port_text(s, digits);
        }
    }
    if (!failed) return;
    wb_slice type = field_text(s, WB_CANON_ERROR_TYPE);
    labels[WB_LABEL_ERROR_TYPE] = type.len > 0 ? cut(type) : WB_S("_OTHER");
}

/* ---- groups --------------------------------------------------------------------------------- */

static bool is_group(const wb_measured_group *group, wb_measured_kind kind,
                     const wb_slice labels[WB_LABELS])
{
    if (group->kind != kind) return false;
    for (uint32_t left = labels_of_kind[kind]; left; left &= left - 1) {
        unsigned label = (unsigned)__builtin_ctz(left);
        if (!wb_slice_eq_short(group->labels[label], labels[label])) return false;
    }
    return true;
}

static size_t slot_of(wb_measured_kind kind, const wb_slice labels[WB_LABELS])
{
    uint64_t h = kind;
    for (size_t i = 0; i < WB_LABELS; i++) {
        wb_slice s = labels[i];
        if (s.len > 0)
            h ^= s.len | (uint64_t)s.ptr[0] << 8 | (uint64_t)s.ptr[s.len - 1] << 16 |
                 (uint64_t)s.ptr[s.len / 2] << 24;
        h *= UINT64_C(0x9E3779B97F4A7C15);
    }
    return (h >> 40) % WB_MEASURED_SLOTS;
}

static uint64_t hash_of(wb_slice text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ text.ptr[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static wb_measured_group *make_group(wb_measured *m, wb_measured_kind kind,
                                     const wb_slice labels[WB_LABELS])
{
    size_t bytes = 0;
    for (size_t i = 0; i < WB_LABELS; i++) bytes += labels[i].len;
    wb_measured_group *group = wb_arena_alloc(m->arena, sizeof *group + bytes);
    if (!group) return NULL;
    uint8_t *at = (uint8_t *)(group + 1);
    group->kind = (uint8_t)kind;
    for (size_t i = 0; i < WB_LABELS; i++) {
        if (labels[i].len == 0) continue;
        memcpy(at, labels[i].ptr, labels[i].len);
        group->labels[i] = (wb_slice){at, labels[i].len};
        group->hashes[i] = hash_of(group->labels[i]);
        at += labels[i].len;
    }
    return group;
}

static wb_measured_group *find_group(wb_measured *m, wb_measured_kind kind,
                                     const wb_slice labels[WB_LABELS])
{
    wb_measured_group *found = m->latest[kind];
    if (found && is_group(found, kind, labels)) return found;
    wb_measured_group **slot = &m->slots[slot_of(kind, labels)];
    if (!*slot || !is_group(*slot, kind, labels)) {
        found = make_group(m, kind, labels);
        if (found) *slot = found;
    } else {
        found = *slot;
    }
    m->latest[kind] = found;
    return found;
}

/* Are its labels those of the span before? They are if all of both came from attributes, and those have the same
 * values. */
static bool has_same_labels(const wb_said *s)
{
    return s->same_labels && !s->had_others && wb_said_others(s) == 0;
}

static wb_measured_group *group_of(wb_measured *m, const wb_said *s, wb_measured_kind kind,
                                   bool failed)
{
    if (has_same_labels(s) && m->latest[kind]) return m->latest[kind];
    char digits[PORT_DIGITS];
    wb_slice labels[WB_LABELS] = {{0}};
    read_labels(s, kind, failed, digits, labels);
    return find_group(m, kind, labels);
}

/* ---- quantities ----------------------------------------------------------------------------- */

static void observe(wb_observation *o, wb_quantity quantity, uint64_t value, uint64_t max)
{
    if (value > max) return;
    o->of[quantity] = value;
    o->has |= UINT32_C(1) << quantity;
}

/* The conventions' counts have the parts in them; a sum of which no part was said is none. */
static void observe_tokens(wb_observation *o, const wb_tokens *t)
{
    static const uint8_t parts[][2] = {{WB_OF_CACHE_READ, WB_TOKENS_CACHE_READ},
                                       {WB_OF_CACHE_WRITE, WB_TOKENS_CACHE_WRITE},
                                       {WB_OF_REASONING, WB_TOKENS_REASONING}};
    uint64_t of[WB_TOKEN_KINDS] = {0};
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++)
        if (t->has[kind]) of[kind] = t->of[kind] > TOKENS_MAX ? TOKENS_MAX + 1 : t->of[kind];
    if (t->has[WB_TOKENS_INPUT] || t->has[WB_TOKENS_CACHE_READ] || t->has[WB_TOKENS_CACHE_WRITE])
        observe(o, WB_OF_INPUT,
                of[WB_TOKENS_INPUT] + of[WB_TOKENS_CACHE_READ] + of[WB_TOKENS_CACHE_WRITE],
                TOKENS_MAX);
    if (t->has[WB_TOKENS_OUTPUT] || t->has[WB_TOKENS_REASONING])
        observe(o, WB_OF_OUTPUT, of[WB_TOKENS_OUTPUT] + of[WB_TOKENS_REASONING], TOKENS_MAX);
    for (size_t i = 0; i < WB_COUNT(parts); i++)
        if (t->has[parts[i][1]]) observe(o, (wb_quantity)parts[i][0], of[parts[i][1]], TOKENS_MAX);
}

static void observe_first_chunk(wb_observation *o, const wb_said *s)
{
    const uint8_t field = WB_CANON_TIME_TO_FIRST_CHUNK_S;
    wb_value value = {.type = WB_VALUE_EMPTY};
    if (s->said & WB_CANON_BIT(field))
        value = s->said_as[field];
    else if (s->own & WB_CANON_BIT(field))
        value = wb_otlp_value(s->best[field].value);
    if (value.type == WB_VALUE_INT)
        value = (wb_value){WB_VALUE_DOUBLE, .real = (double)value.integer};
    if (value.type != WB_VALUE_DOUBLE) return;
    if (value.real >= 0 && value.real <= (double)TIME_MAX_S)
        observe(o, WB_OF_FIRST_CHUNK, (uint64_t)(value.real * (double)WB_NS_PER_S + 0.5),
                TIME_MAX_NS);
}

static void observe_all(wb_observation *o, const wb_said *s, wb_measured_kind kind, bool failed)
{
    const wb_span *span = s->span;
    if (span->start_ns > 0 && span->end_ns >= span->start_ns)
        observe(o, WB_OF_DURATION, span->end_ns - span->start_ns, TIME_MAX_NS);
    if (kind == WB_MEASURED_AGENT)
        o->has |= UINT32_C(1) << WB_OF_SUCCESS | (uint32_t)failed << WB_OF_FAILURE;
    if (kind != WB_MEASURED_MODEL && kind != WB_MEASURED_EMBEDDING) return;
    if (s->counted) observe_tokens(o, &s->tokens);
    observe_first_chunk(o, s);
}

/* ---- a span --------------------------------------------------------------------------------- */

static wb_measured_kind kind_of(const wb_said *s)
{
    switch (s->type) {
    case WB_TYPE_LLM_CALL: return WB_MEASURED_MODEL;
    case WB_TYPE_EMBEDDING: return WB_MEASURED_EMBEDDING;
    case WB_TYPE_RETRIEVAL: return WB_MEASURED_CLIENT;
    case WB_TYPE_TOOL_CALL: return WB_MEASURED_TOOL;
    case WB_TYPE_AGENT:
        return wb_slice_eq(operation_of(s), WB_S("create_agent")) ? WB_MEASURED_CLIENT
                                                                  : WB_MEASURED_AGENT;
    case WB_TYPE_WORKFLOW: /* a step of one is none */
        return wb_slice_eq(operation_of(s), WB_S("invoke_workflow")) ? WB_MEASURED_WORKFLOW
                                                                     : WB_MEASURED_NONE;
    default: return WB_MEASURED_NONE;
    }
}

static wb_observation *next_observation(wb_measured *m)
{
    if (!m->last || m->last->n == WB_OBSERVATIONS) {
        wb_observations *block = wb_arena_alloc(m->arena, sizeof *block);
        if (!block) return NULL;
        *(m->last ? &m->last->next : &m->first) = block;
        m->last = block;
    }
    return &m->last->all[m->last->n];
}

/* Not in one with what asks whether there is anything to note: most spans of other instrumentations are nothing. */
static __attribute__((noinline)) void note(wb_measured *m, const wb_said *s, wb_measured_kind kind)
{
    bool failed = has_failed(s);
    wb_measured_group *group = group_of(m, s, kind, failed);
    wb_observation *o = group ? next_observation(m) : NULL;
    if (!o) return;
    o->group = group;
    observe_all(o, s, kind, failed);
    m->last->n++;
}

void wb_measure_span(wb_measured *m, const wb_said *s)
{
    wb_measured_kind kind = kind_of(s);
    if (kind != WB_MEASURED_NONE) note(m, s, kind);
}
