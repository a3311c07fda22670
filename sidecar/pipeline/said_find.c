/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a span's attributes finds, for each field of the model, who says it best: the field's own
 * attribute, else whoever comes first in semconv-map.csv. Then the operation is decided, since some keys
 * mean one thing on a tool's span and another on a model's; then what is missing is gathered and appended at
 * once. The attributes are read from the span's bytes and not put into the walk's index: that would take more
 * memory than the spans, for what is forgotten behind each of them.
 *
 * Spans of one instrumentation come in rows and are alike: the same keys in the same order, which the walk has seen
 * (wb_span.like), and the same operation. So what was found is kept as a plan, which says of each attribute whose value
 * it is. Where the next span has the same keys, and the same words for what it is, only the values are put in their
 * places. A plan is made of the second span that looks like the one before, so that spans which take turns do not pay
 * for what they cannot use. */
#include "sidecar/pipeline/said.h"

#include "proto/span_batch.h"

enum { FIRST_WORD = WB_RULE_LANGFUSE };

/* ---- what is there ---- */

static inline void note(wb_said *s, wb_said_source from)
{
    uint64_t bit = WB_CANON_BIT(from.rule->field);
    wb_said_source *best = &s->best[from.rule->field];
    if (s->has & bit) {
        WB_ASSERT(best->rule != NULL);
        if (best->rule->rank <= from.rule->rank) return;
    }
    *best = from;
    s->has |= bit;
    if (from.rule->rank == 0) s->own |= bit;
}

static void note_rule(wb_said *s, wb_said_source from)
{
    const wb_semconv_rule *rule = from.rule;
    if (rule->how >= FIRST_WORD) {
        if (!wb_said_speaks(s, rule->how)) s->words[rule->how] = from.value;
        s->spoken |= 1U << rule->how;
        if (rule->rank == 0) s->has |= WB_CANON_BIT(rule->field);
    } else if (rule->how == WB_RULE_RESOURCE) {
        return;
    } else if (rule->when == WB_WHEN_ALWAYS) {
        note(s, from);
    } else if (s->n_waiting < WB_SAID_WAITING_MAX) {
        s->waiting[s->n_waiting++] = from;
    }
}

/* Waybill's own names count only as far as the guard has left them. */
static bool is_taken_away(const wb_said *s, wb_slice key)
{
    return key.ptr[0] == 'w' && wb_slice_starts(key, WB_S("waybill.")) &&
           !wb_attrs_find(&s->span->attrs, key);
}

/* The place of the attribute's key: mostly that of the same attribute of the span before. */
static inline uint16_t place_of(wb_said *s, size_t nth, wb_slice key, wb_slice value)
{
    if (nth >= WB_SAID_SHAPE_MAX) return wb_key_set_find(s->keys, key);
    wb_said_key *known = &s->shape[nth];
    uint16_t place = s->is_alike ? known->place : wb_key_set_find(s->keys, key);
    *known = (wb_said_key){key.ptr, value.ptr, place};
    return place;
}

/* No field of the model, but of what is measured. */
static void note_server(wb_said *s, uint16_t place, wb_slice value)
{
    if (place == WB_SEMCONV_SERVER_ADDRESS && !s->server_address.ptr) s->server_address = value;
    if (place == WB_SEMCONV_SERVER_PORT && !s->server_port.ptr) s->server_port = value;
}

static void gather(wb_said *s)
{
    wb_slice key, value;
    size_t nth = 0;
    wb_otlp_iter it = {s->message};
    bool may_plan = true;
    s->is_alike = s->has_like && s->span->values && s->span->like == s->like;
    for (; wb_otlp_next_pair(&it, WB_OTLP_SPAN, &key, &value); nth++) {
        size_t n;
        uint16_t place = place_of(s, nth, key, value);
        if (place == 0 || is_taken_away(s, key)) continue;
        if (value.len == 0) may_plan = false; /* it is told from others by where it is */
        if (place > WB_SEMCONV_KEYS) {
            s->indexed |=
                WB_CANON_BIT(wb_semconv_prefix_field((size_t)(place - WB_SEMCONV_KEYS - 1)));
            continue;
        }
        const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
        for (size_t i = 0; i < n; i++) note_rule(s, (wb_said_source){value, &rules[i]});
        if (n == 0) note_server(s, place, value);
    }
    s->n_shape = nth < WB_SAID_SHAPE_MAX ? nth : WB_SAID_SHAPE_MAX;
    s->has_like = s->span->values != NULL;
    s->like = s->span->like;
    s->is_alike &= may_plan;
}

/* ---- what it is ---- */

/* Fields that make a span what it is. Dialects put the names of agent and workflow on every span below them, and
 * an instrumentation of HTTP or of a database may carry even OpenTelemetry's own. */
static uint64_t identifying(const wb_said *s)
{
    static const wb_slice others[] = {{(const uint8_t *)"http.", 5},
                                      {(const uint8_t *)"url.", 4},
                                      {(const uint8_t *)"db.", 3},
                                      {(const uint8_t *)"rpc.", 4},
                                      {(const uint8_t *)"messaging.", 10}};
    static const uint8_t names[] = {WB_CANON_AGENT_NAME, WB_CANON_AGENT_ID, WB_CANON_WORKFLOW_NAME};
    uint64_t has = s->has;
    for (size_t i = 0; i < WB_COUNT(names); i++)
        if (has & WB_CANON_BIT(names[i]) && s->best[names[i]].rule->rank != 0)
            has &= ~WB_CANON_BIT(names[i]);
    if (!(has & (WB_CANON_BIT(WB_CANON_AGENT_NAME) | WB_CANON_BIT(WB_CANON_AGENT_ID) |
                 WB_CANON_BIT(WB_CANON_WORKFLOW_NAME))))
        return has;
    wb_slice key, value;
    wb_otlp_iter it = {s->message};
    while (wb_otlp_next_pair(&it, WB_OTLP_SPAN, &key, &value))
        for (size_t i = 0; i < WB_COUNT(others); i++)
            if (wb_slice_starts(key, others[i]))
                return has & ~(WB_CANON_BIT(WB_CANON_AGENT_NAME) | WB_CANON_BIT(WB_CANON_AGENT_ID) |
                               WB_CANON_BIT(WB_CANON_WORKFLOW_NAME));
    return has;
}

static void find_operation(wb_said *s)
{
    bool is_root = WB_ID_ABSENT(s->span->parent_id), is_client = s->span->kind == WB_SPAN_CLIENT;
    for (unsigned how = FIRST_WORD; how < WB_RULES && s->operation.type == WB_TYPE_NONE; how++)
        if (wb_said_speaks(s, how))
            s->operation = wb_operation_of((wb_semconv_how)how, wb_said_word(s->words[how]),
                                           is_root, is_client);
    if (s->operation.type == WB_TYPE_LLM_CALL && wb_said_speaks(s, WB_RULE_LANGFUSE) &&
        wb_langfuse_embeds(s->span->name))
        s->operation = (wb_operation){WB_TYPE_EMBEDDING, WB_S("embeddings")};
    if (s->operation.type == WB_TYPE_NONE && !s->told)
        s->operation = wb_operation_by_fields(identifying(s), is_client);
}

static void find_type(wb_said *s)
{
    find_operation(s);
    s->type = s->told ? wb_span_type_of(wb_said_word(s->told->value)) : WB_TYPE_NONE;
    if (s->type == WB_TYPE_NONE) s->type = s->operation.type;
    if (s->type == WB_TYPE_NONE)
        s->type = s->span->status_code == WB_SPAN_ERROR ? WB_TYPE_ERROR : WB_TYPE_EXECUTION;
    for (size_t i = 0; i < s->n_waiting; i++)
        if (wb_span_type_matches(s->type, (wb_semconv_when)s->waiting[i].rule->when,
                                 wb_said_speaks(s, WB_RULE_AGENTOPS)))
            note(s, s->waiting[i]);
}

/* ---- plans ---- */

static bool add_place(wb_said *s, wb_said_place place)
{
    if (s->n_plan == WB_SAID_PLAN_MAX) return false;
    s->plan[s->n_plan++] = place;
    return true;
}

/* Whose value the attribute's is. */
static bool add_places(wb_said *s, uint8_t nth)
{
    const uint8_t *value = s->shape[nth].value;
    if (s->server_address.ptr == value)
        return add_place(s, (wb_said_place){&s->server_address, nth, .is_label = true});
    if (s->server_port.ptr == value)
        return add_place(s, (wb_said_place){&s->server_port, nth, .is_label = true});
    for (uint64_t left = s->has; left; left &= left - 1) {
        unsigned field = (unsigned)__builtin_ctzll(left);
        wb_slice *best = &s->best[field].value;
        bool is_label = WB_SAID_LABELS & WB_CANON_BIT(field);
        if (best->ptr == value && !add_place(s, (wb_said_place){best, nth, .is_label = is_label}))
            return false;
    }
    for (uint32_t left = s->spoken; left; left &= left - 1) {
        wb_slice *word = &s->words[__builtin_ctz(left)];
        if (word->ptr == value && !add_place(s, (wb_said_place){word, nth, .is_word = true}))
            return false;
    }
    return true;
}

/* Then another of the same keys and words may be something else. */
static bool is_told_by_name(const wb_said *s)
{
    return wb_said_speaks(s, WB_RULE_LANGFUSE) &&
           (s->operation.type == WB_TYPE_LLM_CALL || s->operation.type == WB_TYPE_EMBEDDING);
}

static void make_plan(wb_said *s)
{
    s->has_plan = false;
    s->n_plan = 0;
    if (!s->is_alike || s->told || is_told_by_name(s)) return;
    for (size_t nth = 0; nth < s->n_shape; nth++) {
        if (s->shape[nth].place == 0) continue;
        if (s->shape[nth].key[0] == 'w' || !add_places(s, (uint8_t)nth))
            return; /* waybill. may be taken away */
    }
    s->planned_has = s->has;
    s->planned_parent = WB_ID_ABSENT(s->span->parent_id);
    s->planned_kind = s->span->kind;
    s->planned_status = s->span->status_code;
    s->has_plan = true;
}

static bool follow_plan(wb_said *s)
{
    const wb_span *span = s->span;
    if (!s->has_plan || s->told || !span->values || span->like != s->like ||
        span->kind != s->planned_kind || span->status_code != s->planned_status ||
        WB_ID_ABSENT(span->parent_id) != s->planned_parent)
        return false;
    s->same_labels = true;
    for (size_t i = 0; i < s->n_plan; i++) {
        const wb_said_place *place = &s->plan[i];
        wb_slice value = wb_batch_value(s->batch, span->values[place->nth]);
        if (value.len == 0) return false;
        if (place->is_word && !wb_slice_eq_short(*place->value, value)) return false;
        if (place->is_label && !wb_slice_eq_short(*place->value, value)) s->same_labels = false;
        *place->value = value;
    }
    s->has = s->planned_has;
    return true;
}

/* ---- a span ---- */

void wb_said_find(wb_said *s, wb_span *span)
{
    s->span = span;
    s->message = wb_batch_bytes(s->batch, span->extent);
    s->first = s->to; /* what a span before began and could not end is left */
    s->told = wb_attrs_find(&span->attrs, WB_SPAN_TYPE_KEY);
    s->had_others = wb_said_others(s) != 0;
    s->said = 0;
    s->counted = false;
    if (follow_plan(s)) return;
    s->same_labels = false;
    s->has = s->own = s->indexed = 0;
    s->server_address = s->server_port = (wb_slice){0};
    s->n_waiting = 0;
    s->spoken = 0;
    s->operation = (wb_operation){.type = WB_TYPE_NONE};
    s->type = WB_TYPE_NONE;
    gather(s);
    find_type(s);
    make_plan(s);
}
