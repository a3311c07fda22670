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
#include "proto/span_batch.h"
#include "sidecar/pipeline/convert.h"
#include "sidecar/pipeline/said.h"

enum { SCRATCH_BYTES = 4 * 1024 * 1024, FIRST_WORD = WB_RULE_LANGFUSE };

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

/* As wb_slice_eq, for keys: short, and mostly the same. */
static inline bool same_key(wb_slice a, wb_slice b)
{
    size_t i = 0;
    uint64_t x, y;
    if (a.len != b.len) return false;
    for (; i + sizeof x <= a.len; i += sizeof x) {
        memcpy(&x, a.ptr + i, sizeof x);
        memcpy(&y, b.ptr + i, sizeof y);
        if (x != y) return false;
    }
    for (; i < a.len; i++)
        if (a.ptr[i] != b.ptr[i]) return false;
    return true;
}

/* The place of the attribute's key: mostly that of the same attribute of the span before. */
static inline uint16_t place_of(wb_said *s, size_t nth, wb_slice key)
{
    if (nth >= WB_SAID_SHAPE_MAX) return wb_key_set_find(s->keys, key);
    wb_said_key *known = &s->shape[nth];
    if (nth < s->n_shape && same_key(known->key, key)) return known->place;
    *known = (wb_said_key){key, wb_key_set_find(s->keys, key)};
    if (nth == s->n_shape) s->n_shape++;
    return known->place;
}

static void gather(wb_said *s)
{
    wb_slice key, value;
    wb_otlp_iter it = {s->message};
    for (size_t nth = 0; wb_otlp_next_pair(&it, WB_OTLP_SPAN, &key, &value); nth++) {
        size_t n;
        uint16_t place = place_of(s, nth, key);
        if (place == 0 || is_taken_away(s, key)) continue;
        if (place > WB_SEMCONV_KEYS) {
            s->indexed |=
                WB_CANON_BIT(wb_semconv_prefix_field((size_t)(place - WB_SEMCONV_KEYS - 1)));
            continue;
        }
        const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
        for (size_t i = 0; i < n; i++) note_rule(s, (wb_said_source){value, &rules[i]});
    }
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

/* ---- all of them ---- */

/* What `has` and the counts do not speak of is left from the span before. */
static void begin(wb_said *s, wb_span *span)
{
    s->span = span;
    s->message = wb_batch_bytes(s->batch, span->extent);
    s->first = s->to; /* what a span before began and could not end is left */
    s->has = s->own = s->indexed = 0;
    s->n_waiting = 0;
    s->spoken = 0;
    s->operation = (wb_operation){.type = WB_TYPE_NONE};
    s->type = WB_TYPE_NONE;
    s->told = wb_attrs_find(&span->attrs, WB_SPAN_TYPE_KEY);
}

static wb_status normalise_span(wb_said *s)
{
    gather(s);
    find_type(s);
    return wb_said_add(s);
}

/* What a resource says holds for all its spans, and is said there once. */
static wb_status normalise_resource(wb_said *s, wb_resource_spans *resource)
{
    wb_slice key, value, text = {0};
    wb_said_source found[WB_CANON_FIELDS];
    uint64_t has = 0, own = 0;
    wb_otlp_iter it = {wb_batch_bytes(s->batch, resource->resource)};
    while (wb_otlp_next_pair(&it, WB_OTLP_RESOURCE, &key, &value)) {
        size_t n;
        uint16_t place = wb_key_set_find(s->keys, key);
        if (place == 0 || place > WB_SEMCONV_KEYS) continue;
        const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
        for (size_t i = 0; i < n; i++) {
            if (rules[i].rank == 0) own |= WB_CANON_BIT(rules[i].field);
            if (rules[i].how != WB_RULE_RESOURCE || has & WB_CANON_BIT(rules[i].field)) continue;
            found[rules[i].field] = (wb_said_source){value, &rules[i]};
            has |= WB_CANON_BIT(rules[i].field);
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

static wb_status normalise_batch(wb_said *s)
{
    wb_batch *batch = s->batch;
    for (uint32_t i = 0; i < batch->resource_count; i++)
        if (!batch->resources[i].rejected) WB_TRY(normalise_resource(s, &batch->resources[i]));
    for (uint32_t i = 0; i < batch->span_count && s->said_bytes < WB_SAID_BYTES_MAX; i++) {
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
    wb_said s = {.keys = self, .view = view, .batch = batch, .scratch = scratch};
    wb_status status = scratch ? normalise_batch(&s) : WB_ERR_NO_MEMORY;
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to normalise spans");
}

const wb_stage_ops wb_normalise_stage = {.name = "normalise",
                                         .open = normalise_open,
                                         .apply = normalise_apply,
                                         .close = normalise_close};
