/* SPDX-License-Identifier: Apache-2.0 */
/* Record: a batch of finished spans. Walked once, passed through the pipeline, rendered, committed.
 * A resent request (same id) is answered from its row and not journalled again; a batch in which
 * nothing is acceptable is answered without a commit, since there is nothing to keep. */
#include "sidecar/request.h"

#include "proto/otlp_edit.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

/* Of a frame and a segment around the spans, with room to spare. */
enum { FRAME_OVERHEAD = 16 * 1024 };
enum { OWNED_MAX = 4 }; /* of a batch; the others are noted when they come again */

typedef struct record {
    wb_id id;
    Waybill__V1__RecordReply reply;
    wb_slice request_row;
    wb_trace_id owned[OWNED_MAX]; /* claimed traces that somebody owns: in use */
    size_t n_owned;
    bool is_new; /* not answered from its row */
} record;

/* The stamp that ties a span to an acceptance counts only if this sidecar made that acceptance. */
static wb_status check_stamps(wb_request *r, wb_batch *batch, wb_error *err)
{
    wb_status status = WB_OK;
    wb_state_lock(&r->sidecar->state);
    for (uint32_t i = 0; i < batch->span_count && status == WB_OK; i++) {
        wb_span *span = &batch->spans[i];
        wb_attr *stamp = wb_attrs_find(&span->attrs, WB_S("waybill.acceptance.id"));
        if (!stamp) continue;
        wb_id id;
        wb_value value = wb_otlp_value(stamp->value);
        bool known = value.type == WB_VALUE_TEXT &&
                     wb_unhex(value.text, id.b, sizeof id.b) == WB_OK &&
                     wb_acceptances_get(r->sidecar->state.acceptances, &id, NULL);
        if (!known)
            status = wb_otlp_rename_attr(batch, &span->attrs, WB_OTLP_SPAN, stamp,
                                         WB_S("claimed.waybill.acceptance.id"));
    }
    wb_state_unlock(&r->sidecar->state);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no room to mark foreign acceptance ids");
}

static bool is_owned(void *ctx, const wb_trace_id *trace)
{
    wb_request *r = ctx;
    record *rec = r->verb;
    wb_state_lock(&r->sidecar->state);
    bool owned = wb_owners_has_trace(r->sidecar->state.owners, trace);
    wb_state_unlock(&r->sidecar->state);
    if (owned && rec->n_owned < OWNED_MAX) rec->owned[rec->n_owned++] = *trace;
    return owned;
}

static wb_status take_batch(wb_request *r, record *rec, wb_error *err)
{
    wb_sidecar *sidecar = r->sidecar;
    wb_batch *batch = NULL;
    ProtobufCBinaryData traces = r->in->record->traces;
    WB_TRY(wb_otlp_walk(wb_slice_of(traces.data, traces.len), wb_pipeline_keys(sidecar->pipeline),
                        r->arena, &batch, err));
    const wb_sidecar_config *config = &r->world->config;
    bool observes = config->trust_mode == WB_MODE_OBSERVE;
    const wb_stage_view view = {.rehome =
                                    config->trust_rehome && !observes ? sidecar->rehome : NULL,
                                .observes = observes,
                                .is_owned = is_owned,
                                .ctx = r};
    r->verb = rec;
    WB_TRY(wb_pipeline_run(sidecar->pipeline, &view, batch, err));
    WB_TRY(check_stamps(r, batch, err));
    rec->reply.accepted_spans = batch->span_count;
    rec->reply.rejected_spans = batch->rejected_count;
    if (batch->first_rejection) {
        rec->reply.error_message = wb_arena_printf(r->arena, "%s", batch->first_rejection);
        if (!rec->reply.error_message) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    }
    if (batch->span_count == 0) return WB_OK;
    WB_TRY(wb_span_batch_write(batch, &r->spans, err));
    uint64_t room = sidecar->config->journal_segment_bytes - FRAME_OVERHEAD;
    if (room > WB_FRAME_MAX_BYTES - FRAME_OVERHEAD) room = WB_FRAME_MAX_BYTES - FRAME_OVERHEAD;
    if (r->spans.len <= room) return WB_OK;
    return wb_fail(err, WB_ERR_REJECTED,
                   "the batch takes %zu bytes and a transaction may have %llu: send fewer spans at "
                   "once, or raise journal.segment_bytes",
                   r->spans.len, (unsigned long long)room);
}

static void count(wb_request *r, const record *rec)
{
    wb_counters *counters = &r->sidecar->counters;
    atomic_fetch_add(&counters->spans_accepted, rec->reply.accepted_spans);
    atomic_fetch_add(&counters->spans_rejected, rec->reply.rejected_spans);
    atomic_fetch_add(&counters->spans_dropped_by_clients, r->in->record->dropped_spans);
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    record *rec = r->verb;
    (void)err;
    if (wb_requests_find(state->requests, &rec->id, &rec->reply.accepted_spans,
                         &rec->reply.rejected_spans))
        return WB_OK;
    wb_txn_add(out, WB_ENTRY_SPANS, wb_buffer_slice(&r->spans));
    wb_txn_add(out, WB_ENTRY_REQUEST, rec->request_row);
    uint64_t now_s = wb_now(r->sidecar->clock) / WB_NS_PER_S;
    for (size_t i = 0; i < rec->n_owned; i++) {
        wb_slice used;
        if (wb_owners_use_trace(state->owners, &rec->owned[i], now_s, r->arena, &used))
            wb_txn_add(out, WB_ENTRY_OWNER, used);
    }
    rec->is_new = true;
    return WB_OK;
}

static void ended(wb_request *r, wb_status status, const wb_error *err)
{
    const record *rec = r->verb;
    (void)err;
    if (status == WB_OK && rec->is_new) count(r, rec);
}

void wb_on_record(wb_request *r)
{
    wb_error err = {.status = WB_OK};
    record *rec = wb_arena_alloc(r->arena, sizeof *rec);
    if (!rec) {
        wb_request_reply(r, WB_ERR_NO_MEMORY, NULL);
        return;
    }
    waybill__v1__record_reply__init(&rec->reply);
    wb_status status = take_batch(r, rec, &err);
    if (status == WB_OK) {
        Waybill__V1__RequestRow row = WAYBILL__V1__REQUEST_ROW__INIT;
        memcpy(rec->id.b, r->in->id.data, sizeof rec->id.b); /* 16 bytes: checked by the worker */
        row.id = r->in->id;
        row.accepted = rec->reply.accepted_spans;
        row.rejected = rec->reply.rejected_spans;
        status = wb_request_pack(r->arena, &row, &rec->request_row, &err);
    }
    if (status != WB_OK) {
        wb_request_reply(r, status, err.detail);
        return;
    }
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_RECORD;
    r->reply->record = &rec->reply;
    if (r->spans.len == 0) {
        count(r, rec);
        wb_request_reply(r, WB_OK, NULL);
    } else {
        r->ended = ended;
        wb_request_submit(r, prepare);
    }
}
