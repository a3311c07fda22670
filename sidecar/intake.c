/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/intake.h"

#include "proto/log_batch.h"
#include "proto/otlp_read.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "proto/span_batch_edit.h"

enum {
    FRAME_OVERHEAD = 16 * 1024, /* of a frame and a segment around the spans, with room to spare */
    CUT_ARENA_BYTES = 40 * 1024 * 1024, /* as a receiver's, for a second index */
    PAYLOAD_BYTES = 16 * 1024 * 1024,   /* rendered, with its index */
};

void wb_intake_init(wb_intake *in, wb_sidecar *sidecar, const wb_world *world, wb_arena *arena)
{
    *in = (wb_intake){.sidecar = sidecar, .world = world, .arena = arena};
    wb_measured_init(&in->measured, arena);
    wb_buffer_init(&in->redacted, PAYLOAD_BYTES);
    wb_buffer_init(&in->payload, PAYLOAD_BYTES);
}

void wb_intake_done(wb_intake *in)
{
    wb_buffer_done(&in->redacted);
    wb_buffer_done(&in->payload);
}

/* One lock for all of a batch. */
static wb_status look_up(void *ctx, wb_stamp *stamps, size_t n, wb_arena *arena)
{
    wb_intake *in = ctx;
    wb_state *state = &in->sidecar->state;
    wb_status status = WB_OK;
    wb_state_lock(state);
    for (size_t i = 0; i < n && status == WB_OK; i++) {
        wb_id id;
        wb_value value = wb_otlp_value(stamps[i].value);
        stamps[i].is_known = value.type == WB_VALUE_TEXT &&
                             wb_unhex(value.text, id.b, sizeof id.b) == WB_OK &&
                             wb_acceptances_get(state->acceptances, &id, NULL);
        if (stamps[i].is_known)
            status = wb_acceptances_session(state->acceptances, &id, arena, &stamps[i].session);
    }
    wb_state_unlock(state);
    return status;
}

static bool is_owned(void *ctx, const wb_trace_id *trace)
{
    wb_intake *in = ctx;
    wb_state *state = &in->sidecar->state;
    wb_state_lock(state);
    bool owned = wb_owners_has_trace(state->owners, trace);
    wb_state_unlock(state);
    if (owned && in->n_owned < WB_INTAKE_OWNED_MAX) in->owned[in->n_owned++] = *trace;
    return owned;
}

static wb_status check_size(const wb_intake *in, wb_error *err)
{
    uint64_t room = in->sidecar->config->journal_segment_bytes - FRAME_OVERHEAD;
    if (room > WB_FRAME_MAX_BYTES - FRAME_OVERHEAD) room = WB_FRAME_MAX_BYTES - FRAME_OVERHEAD;
    if (in->payload.len <= room) return WB_OK;
    return wb_fail(err, WB_ERR_REJECTED,
                   "the batch takes %zu bytes and a transaction may have %llu: send fewer spans at "
                   "once, or raise journal.segment_bytes",
                   in->payload.len, (unsigned long long)room);
}

static void note(wb_intake *in, wb_entry_kind kind, const wb_batch *batch)
{
    in->kind = kind;
    in->accepted = batch->span_count;
    in->rejected = batch->rejected_count;
    in->first_rejection = batch->first_rejection;
}

static wb_stage_view view_of(wb_intake *in)
{
    const wb_sidecar *sidecar = in->sidecar;
    const wb_sidecar_config *config = &in->world->config;
    bool observes = config->trust_mode == WB_MODE_OBSERVE;
    wb_stage_view view = {.rehome = config->trust_rehome && !observes ? sidecar->rehome : NULL,
                          .observes = observes,
                          .as_they_came = !config->normalise,
                          .redactor = sidecar->redactor,
                          .redact = &config->redact,
                          .measured = config->metrics_genai ? &in->measured : NULL,
                          .is_owned = is_owned,
                          .look_up = look_up,
                          .ctx = in};
    if (!config->enrich) return view;
    view.inherits = true;
    view.to_resources[0] = config->to_resources; /* before: it may say service.name */
    view.to_resources[1] = sidecar->agent_attrs;
    view.to_spans = config->to_spans;
    return view;
}

typedef struct payload {
    wb_signal signal;
    wb_span_batch spans;
    wb_log_batch logs;
} payload;

static wb_status open_payload(const wb_intake *in, payload *made, wb_slice *body, wb_error *err)
{
    wb_slice bytes = wb_buffer_slice(&in->payload);
    if (made->signal == WB_SIGNAL_TRACES)
        WB_TRY(wb_span_batch_open(bytes, &made->spans, err));
    else
        WB_TRY(wb_log_batch_open(bytes, &made->logs, err));
    *body = made->signal == WB_SIGNAL_TRACES ? made->spans.body : made->logs.body;
    return WB_OK;
}

/* The same items with `body` in the place of theirs. */
static wb_status write_again(wb_intake *in, const payload *made, wb_slice body, wb_error *err)
{
    wb_batch *batch = NULL;
    WB_AUTO(wb_arena) arena = wb_arena_new(CUT_ARENA_BYTES);
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory to cut content");
    if (made->signal == WB_SIGNAL_TRACES)
        WB_TRY(wb_span_batch_edit_copy(&made->spans, body, NULL, arena, &batch, err));
    else
        WB_TRY(wb_log_batch_edit_copy(&made->logs, body, arena, &batch, err));
    wb_buffer_clear(&in->payload); /* what was opened is not looked at any more */
    return made->signal == WB_SIGNAL_TRACES ? wb_span_batch_write(batch, &in->payload, err)
                                            : wb_log_batch_write(batch, &in->payload, err);
}

/* Content is cut behind the stages, because some of what they find stands in it alone, and when everything is let in,
 * because what is said of a cut comes on top. What stages say of content is cut already; so most payloads are
 * left as they are. */
static wb_status cut_content(wb_intake *in, wb_signal signal, wb_redacted *redacted, wb_error *err)
{
    const wb_redact_policy policy = wb_redact_content_only(&in->world->config.redact);
    payload made = {.signal = signal};
    wb_slice before, body;
    WB_AUTO_BUFFER room;
    wb_buffer_init(&room, PAYLOAD_BYTES);
    WB_TRY(open_payload(in, &made, &before, err));
    WB_TRY(wb_redact(in->sidecar->redactor, &policy, signal, before, &room, &body, redacted, err));
    return body.ptr == before.ptr ? WB_OK : write_again(in, &made, body, err);
}

static wb_status take_spans(wb_intake *in, wb_batch *batch, wb_redacted *redacted, wb_error *err)
{
    const wb_stage_view view = view_of(in);
    WB_TRY(wb_pipeline_run(in->sidecar->pipeline, &view, batch, err));
    note(in, WB_ENTRY_SPANS, batch);
    if (batch->span_count == 0) return WB_OK;
    WB_TRY(wb_span_batch_write(batch, &in->payload, err));
    if (!wb_redact_cuts(&in->world->config.redact, batch->longest_field)) return WB_OK;
    return cut_content(in, WB_SIGNAL_TRACES, redacted, err);
}

static wb_status take_logs(wb_intake *in, wb_batch *batch, wb_redacted *redacted, wb_error *err)
{
    const wb_stage_view view = view_of(in);
    WB_TRY(wb_pipeline_run_logs(in->sidecar->pipeline, &view, batch, err));
    note(in, WB_ENTRY_LOGS, batch);
    if (batch->span_count == 0) return WB_OK;
    WB_TRY(wb_log_batch_write(batch, &in->payload, err));
    return cut_content(in, WB_SIGNAL_LOGS, redacted, err);
}

/* No stage looks at what they measure. */
static wb_status take_metrics(wb_intake *in, wb_batch *batch, const wb_metrics_points *points,
                              wb_error *err)
{
    const wb_stage_view view = view_of(in);
    WB_TRY(wb_pipeline_run_metrics(&view, batch, err));
    note(in, WB_ENTRY_METRICS, batch);
    in->accepted = points->accepted;
    in->rejected = points->rejected;
    return batch->span_count > 0 ? wb_metrics_write(batch, &in->payload, err) : WB_OK;
}

/* A request, redacted, and what the walk made of it. */
typedef struct arrival {
    wb_signal signal;
    wb_slice body;
    wb_batch *batch;
    wb_metrics_points points; /* of metrics */
    wb_redacted redacted;
} arrival;

static wb_status redact_and_walk(wb_intake *in, const wb_redact_policy *policy, arrival *a,
                                 wb_error *err)
{
    const wb_key_set *keys = wb_pipeline_keys(in->sidecar->pipeline);
    wb_slice body;
    a->redacted = (wb_redacted){0};
    WB_TRY(wb_redact(in->sidecar->redactor, policy, a->signal, a->body, &in->redacted, &body,
                     &a->redacted, err));
    switch (a->signal) {
    case WB_SIGNAL_TRACES: return wb_otlp_walk(body, keys, in->arena, &a->batch, err);
    case WB_SIGNAL_LOGS: return wb_otlp_walk_logs(body, keys, in->arena, &a->batch, err);
    default: return wb_otlp_walk_metrics(body, in->arena, &a->batch, &a->points, err);
    }
}

/* What a search for secrets sees of a key ends with the value's tag, which stands behind it in all that encoders write.
 * In what is written in another way, all is read. */
static wb_status receive(wb_intake *in, arrival *a, wb_error *err)
{
    wb_redact_policy policy = in->world->config.redact;
    if (a->signal != WB_SIGNAL_METRICS) policy = wb_redact_all_but_content(&policy);
    WB_TRY(redact_and_walk(in, &policy, a, err));
    if (!a->batch->odd_pairs || !policy.secrets) return WB_OK;
    policy.thorough = true;
    return redact_and_walk(in, &policy, a, err);
}

wb_status wb_intake_take(wb_intake *in, wb_signal signal, wb_slice body, wb_error *err)
{
    arrival a = {.signal = signal, .body = body};
    wb_status status = receive(in, &a, err);
    if (status != WB_OK) return status;
    switch (signal) {
    case WB_SIGNAL_TRACES: status = take_spans(in, a.batch, &a.redacted, err); break;
    case WB_SIGNAL_METRICS: status = take_metrics(in, a.batch, &a.points, err); break;
    case WB_SIGNAL_LOGS: status = take_logs(in, a.batch, &a.redacted, err); break;
    }
    wb_count_redacted(&in->sidecar->counters, &a.redacted);
    return status == WB_OK ? check_size(in, err) : status;
}

void wb_intake_add(wb_intake *in, wb_state *state, wb_txn_entries *out)
{
    uint64_t now_s = wb_now(in->sidecar->clock) / WB_NS_PER_S;
    wb_txn_add(out, in->kind, wb_buffer_slice(&in->payload));
    for (size_t i = 0; i < in->n_owned; i++) {
        wb_slice used;
        if (wb_owners_use_trace(state->owners, &in->owned[i], now_s, in->arena, &used))
            wb_txn_add(out, WB_ENTRY_OWNER, used);
    }
}

void wb_intake_count(wb_intake *in)
{
    const unsigned names[] = {[WB_METRIC_NAMES_V1_41] = WB_NAMES_V1_41,
                              [WB_METRIC_NAMES_LATEST] = WB_NAMES_LATEST,
                              [WB_METRIC_NAMES_BOTH] = WB_NAMES_V1_41 | WB_NAMES_LATEST};
    wb_series_count(in->sidecar->series, &in->measured, names[in->world->config.metrics_names]);
}
