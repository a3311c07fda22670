/* SPDX-License-Identifier: Apache-2.0 */
/* A record is decided span by span, on its index and its bytes as they stand in the journal's buffer;
 * only then is it known whether it must be written anew. What nobody changes is copied as it is.
 *
 * A rule keeps a trace, not a span: the first span that gives a reason, here or further on in the
 * journal (lookahead.c), keeps all that are sent after it is known. So a kept trace may lack what was
 * sent earlier than `hold` before. Its spans have the `th` they came with, or 0: kept for certain.
 *
 * What an exporter may not have is taken out behind the decision, so rules that keep see all of a span, and before
 * attributes are added, which are the operator's own and stay. */
#include "sidecar/delivery/select.h"

#include "proto/otlp_edit.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch_edit.h"
#include "sidecar/delivery/keep_table.h"
#include "sidecar/delivery/sampling.h"

#include <stdlib.h>

enum {
    ARENA_BYTES = 64 * 1024 * 1024, /* a record of 65 536 spans takes 16 MiB of index and edits */
    TRACE_STATE_BYTES = 64 * 1024,
    ROOM_BYTES = 160 * 1024 * 1024, /* of ten frames: a hash is eight times the least attribute */
    ROOM_KEPT_BYTES = 4 * 1024 * 1024, /* more is given back after use */
};

typedef struct addition {
    wb_slice key, value;
} addition;

struct wb_select {
    wb_delivery_rules rules;
    const wb_less *less; /* NULL: all */
    wb_buffer room;      /* what `less` leaves */
    addition span_adds[WB_DELIVERY_ATTRIBUTES_MAX], resource_adds[WB_DELIVERY_ATTRIBUTES_MAX];
    size_t n_span_adds, n_resource_adds;
    wb_keep_table *keep; /* NULL: no rules, or nothing to keep from */
    uint64_t noted;      /* up to here every entry was noted */
    wb_arena *arena;
    wb_buffer trace_state;
    wb_select_stats stats;
};

static size_t read_additions(const wb_slice *list, size_t n, addition *out)
{
    for (size_t i = 0; i < n; i++) {
        bool ok = wb_delivery_attribute(list[i], &out[i].key, &out[i].value);
        WB_ASSERT(ok); /* rules.c looked */
    }
    return n;
}

wb_status wb_select_new(const wb_delivery_config *config, const wb_delivery_rules *rules,
                        const wb_less *less, wb_select **out, wb_error *err)
{
    *out = NULL;
    if (rules->threshold == 0 && config->n_attributes == 0 && config->n_resource_attributes == 0 &&
        !less)
        return WB_OK;
    WB_AUTO(wb_select) s = calloc(1, sizeof *s);
    if (!s) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a selection");
    s->rules = *rules;
    s->less = less;
    wb_buffer_init(&s->room, ROOM_BYTES);
    s->n_span_adds = read_additions(config->attributes, config->n_attributes, s->span_adds);
    s->n_resource_adds = read_additions(config->resource_attributes, config->n_resource_attributes,
                                        s->resource_adds);
    wb_buffer_init(&s->trace_state, TRACE_STATE_BYTES);
    bool rules_count = rules->threshold > 0 && rules->keep != 0;
    s->arena = wb_arena_new(ARENA_BYTES);
    if (rules_count) s->keep = wb_keep_table_new();
    if (!s->arena || (rules_count && !s->keep))
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a selection");
    *out = WB_STEAL(s);
    return WB_OK;
}

void wb_select_free(wb_select *s)
{
    if (!s) return;
    wb_keep_table_free(s->keep);
    wb_buffer_done(&s->trace_state);
    wb_buffer_done(&s->room);
    wb_arena_free(s->arena);
    free(s);
}

/* ---- noting --------------------------------------------------------------------------------- */

static bool is_spans(wb_entry_kind kind)
{
    return kind == WB_ENTRY_SPANS || kind == WB_ENTRY_MARKERS;
}

bool wb_select_looks_ahead(const wb_select *s) { return s->keep != NULL; }

uint64_t wb_select_notes(const wb_select *s)
{
    if (!s->keep) return 0;
    return WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_MARKERS) |
           WB_KIND_BIT(WB_ENTRY_DELEGATION) | WB_KIND_BIT(WB_ENTRY_ACCEPTANCE);
}

static void note_spans(wb_select *s, const wb_span_batch *spans, uint64_t seq, uint64_t passed)
{
    for (uint32_t i = 0; i < spans->span_count; i++) {
        wb_span_row row = wb_span_batch_row(spans, i);
        if (wb_rules_keep_span(&s->rules, &row))
            wb_keep_table_add(s->keep, &row.trace_id, seq, passed);
    }
}

void wb_select_note(wb_select *s, const wb_entry *entry, uint64_t seq, uint64_t passed)
{
    wb_span_batch spans;
    wb_trace_id trace;
    if (!s->keep) return;
    if (seq > s->noted) s->noted = seq;
    if (wb_rules_keep_row(&s->rules, entry, &trace))
        wb_keep_table_add(s->keep, &trace, seq, passed);
    if (is_spans(entry->kind) && wb_span_batch_open(entry->payload, &spans, NULL) == WB_OK)
        note_spans(s, &spans, seq, passed);
}

/* Of a record that is being sent: unless the lookahead did, and all of it found room then. */
static void note_now(wb_select *s, const wb_span_batch *spans, uint64_t seq)
{
    if (!s->keep) return;
    if (seq <= s->noted && seq > wb_keep_table_blind_until(s->keep)) return;
    note_spans(s, spans, seq, seq);
}

/* ---- deciding ------------------------------------------------------------------------------- */

static wb_sampling_cause cause_of(wb_select *s, const wb_trace_id *trace, uint64_t seq)
{
    if (!s->keep) return WB_SAMPLING_BY_CHANCE;
    if (wb_keep_table_has(s->keep, trace, seq)) return WB_SAMPLING_BY_RULE;
    return seq <= wb_keep_table_blind_until(s->keep) ? WB_SAMPLING_UNKNOWN : WB_SAMPLING_BY_CHANCE;
}

/* A record's spans: what becomes of each. In the arena. */
typedef struct decided {
    wb_sampling_verdict *verdicts;
    bool *left_out;
    uint32_t n_left_out, n_unsure;
    bool marked; /* a tracestate changes */
} decided;

static wb_status decide(wb_select *s, const wb_span_batch *spans, uint64_t seq, decided *d)
{
    *d = (decided){.verdicts = NULL};
    if (s->rules.threshold == 0) return WB_OK;
    d->verdicts = wb_arena_array(s->arena, spans->span_count, sizeof d->verdicts[0]);
    d->left_out = wb_arena_array(s->arena, spans->span_count, sizeof d->left_out[0]);
    if (!d->verdicts || !d->left_out) return WB_ERR_NO_MEMORY;
    note_now(s, spans, seq);
    for (uint32_t i = 0; i < spans->span_count; i++) {
        wb_span_row row = wb_span_batch_row(spans, i);
        wb_sampled sampled =
            wb_sampling_read(wb_otlp_read_span(row.span).trace_state, &row.trace_id);
        wb_sampling_cause cause = cause_of(s, &row.trace_id, seq);
        d->verdicts[i] = wb_sampling_decide(sampled, s->rules.threshold, cause);
        d->left_out[i] = d->verdicts[i].mark == WB_SAMPLING_LEFT_OUT;
        d->n_left_out += d->left_out[i];
        d->n_unsure += cause == WB_SAMPLING_UNKNOWN;
        d->marked |= !d->left_out[i] && d->verdicts[i].mark != WB_SAMPLING_AS_IT_IS;
    }
    return WB_OK;
}

/* ---- writing anew --------------------------------------------------------------------------- */

static wb_status mark_span(wb_select *s, wb_batch *batch, wb_span *span,
                           wb_sampling_verdict verdict)
{
    if (verdict.mark == WB_SAMPLING_AS_IT_IS) return WB_OK;
    wb_slice old = wb_otlp_read_span(wb_batch_bytes(batch, span->extent)).trace_state, made;
    wb_buffer_clear(&s->trace_state);
    WB_TRY(wb_sampling_write(old, verdict, &s->trace_state));
    WB_TRY(wb_arena_dup(s->arena, wb_buffer_slice(&s->trace_state), &made));
    return wb_otlp_set_trace_state(batch, span, made);
}

static wb_status add_all(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, wb_extent message,
                         const addition *adds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wb_value value = {.type = WB_VALUE_TEXT, .text = adds[i].value};
        WB_TRY(wb_otlp_mask_key(batch, owner, kind, message, adds[i].key));
        WB_TRY(wb_otlp_append_attr(batch, owner, kind, adds[i].key, value));
    }
    return WB_OK;
}

static wb_status add_to_resources(const wb_select *s, wb_batch *batch)
{
    for (uint32_t i = 0; i < batch->resource_count; i++) {
        wb_resource_spans *group = &batch->resources[i];
        WB_TRY(add_all(batch, &group->attrs, WB_OTLP_RESOURCE, group->resource, s->resource_adds,
                       s->n_resource_adds));
    }
    return WB_OK;
}

static wb_status edit(wb_select *s, const decided *d, wb_batch *batch)
{
    for (uint32_t i = 0, kept = 0; kept < batch->span_count; i++) {
        if (d->left_out && d->left_out[i]) continue;
        wb_span *span = &batch->spans[kept++];
        if (d->verdicts) WB_TRY(mark_span(s, batch, span, d->verdicts[i]));
        WB_TRY(
            add_all(batch, &span->attrs, WB_OTLP_SPAN, span->extent, s->span_adds, s->n_span_adds));
    }
    return add_to_resources(s, batch);
}

/* A request as this exporter may have it; *out is `request` if that is all of it. */
static wb_status lessen(wb_select *s, wb_signal signal, wb_slice request, wb_slice *out,
                        wb_error *err)
{
    *out = request;
    return s->less ? s->less->take_out(s->less->self, signal, request, &s->room, out, err) : WB_OK;
}

/* `body` is what goes on of that of `spans`. */
static wb_status write_anew(wb_select *s, const wb_span_batch *spans, wb_slice body,
                            const decided *d, wb_slice payload, wb_buffer *out, wb_error *err)
{
    wb_batch *batch;
    const bool *left_out = d->n_left_out > 0 ? d->left_out : NULL;
    bool is_less = body.ptr != spans->body.ptr;
    wb_status status = is_less
                           ? wb_span_batch_edit_copy(spans, body, left_out, s->arena, &batch, err)
                           : wb_span_batch_edit(spans, left_out, s->arena, &batch, err);
    /* An index that does not fit its body is the exporter's to refuse, which parks it; and a body without an
     * index, which has nothing in it that may not go on. */
    if (status == WB_ERR_CORRUPT) return wb_buffer_add_slice(out, is_less ? body : payload);
    WB_TRY(status);
    WB_TRY(edit(s, d, batch));
    return wb_span_batch_write(batch, out, err);
}

static wb_status put_spans(wb_select *s, const wb_span_batch *spans, const decided *d,
                           wb_slice payload, wb_buffer *out, wb_error *err)
{
    wb_slice body;
    WB_TRY(lessen(s, WB_SIGNAL_TRACES, spans->body, &body, err));
    bool is_same = d->n_left_out == 0 && !d->marked && s->n_span_adds == 0 &&
                   s->n_resource_adds == 0 && body.ptr == spans->body.ptr;
    return is_same ? wb_buffer_add_slice(out, payload)
                   : write_anew(s, spans, body, d, payload, out, err);
}

static wb_status apply_spans(wb_select *s, const wb_span_batch *spans, wb_slice payload,
                             uint64_t seq, wb_buffer *out, bool *any, wb_error *err)
{
    decided d;
    WB_TRY(decide(s, spans, seq, &d));
    *any = spans->span_count == 0 || d.n_left_out < spans->span_count;
    if (*any) WB_TRY(put_spans(s, spans, &d, payload, out, err));
    s->stats.spans_left_out += d.n_left_out;
    s->stats.spans_kept += spans->span_count - d.n_left_out;
    s->stats.spans_unsure += d.n_unsure;
    return WB_OK;
}

/* Logs and metrics have no part in sampling: they may have less, and their resources get something. */
static wb_status apply_logs(wb_select *s, wb_slice payload, wb_buffer *out, wb_error *err)
{
    wb_log_batch logs;
    wb_batch *batch;
    wb_slice body;
    if (wb_log_batch_open(payload, &logs, err) != WB_OK) return wb_buffer_add_slice(out, payload);
    WB_TRY(lessen(s, WB_SIGNAL_LOGS, logs.body, &body, err));
    bool is_less = body.ptr != logs.body.ptr;
    if (!is_less && s->n_resource_adds == 0) return wb_buffer_add_slice(out, payload);
    wb_status status = is_less ? wb_log_batch_edit_copy(&logs, body, s->arena, &batch, err)
                               : wb_log_batch_edit(&logs, s->arena, &batch, err);
    if (status == WB_ERR_CORRUPT) return wb_buffer_add_slice(out, is_less ? body : payload);
    WB_TRY(status);
    WB_TRY(add_to_resources(s, batch));
    return wb_log_batch_write(batch, out, err);
}

static wb_status apply_metrics(wb_select *s, wb_slice payload, wb_buffer *out, wb_error *err)
{
    wb_batch *batch;
    wb_slice body;
    WB_TRY(lessen(s, WB_SIGNAL_METRICS, payload, &body, err));
    if (s->n_resource_adds == 0) return wb_buffer_add_slice(out, body);
    wb_status status = wb_metrics_edit(body, s->arena, &batch, err);
    if (status == WB_ERR_CORRUPT) return wb_buffer_add_slice(out, body);
    WB_TRY(status);
    WB_TRY(add_to_resources(s, batch));
    return wb_metrics_write(batch, out, err);
}

static wb_status apply(wb_select *s, const wb_entry *entry, uint64_t seq, wb_buffer *out, bool *any,
                       wb_error *err)
{
    wb_span_batch spans;
    bool changes = wb_select_rules(s) != 0 || s->n_resource_adds > 0;
    if (!changes && s->rules.threshold == 0 && s->n_span_adds == 0)
        return wb_buffer_add_slice(out, entry->payload);
    if (entry->kind == WB_ENTRY_LOGS && changes) return apply_logs(s, entry->payload, out, err);
    if (entry->kind == WB_ENTRY_METRICS && changes)
        return apply_metrics(s, entry->payload, out, err);
    if (!is_spans(entry->kind) || wb_span_batch_open(entry->payload, &spans, NULL) != WB_OK)
        return wb_buffer_add_slice(out, entry->payload);
    return apply_spans(s, &spans, entry->payload, seq, out, any, err);
}

wb_status wb_select_apply(wb_select *s, const wb_entry *entry, uint64_t seq, wb_buffer *out,
                          bool *any, wb_error *err)
{
    *any = true;
    wb_status status = apply(s, entry, seq, out, any, err);
    wb_arena_reset(s->arena);
    if (s->room.cap > ROOM_KEPT_BYTES) wb_buffer_done(&s->room);
    return status;
}

uint64_t wb_select_rules(const wb_select *s) { return s->less ? s->less->rules(s->less->self) : 0; }

wb_select_stats wb_select_get_stats(const wb_select *s) { return s->stats; }
