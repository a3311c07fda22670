/* SPDX-License-Identifier: Apache-2.0 */
/* Record: a batch of finished spans. What happens to them: sidecar/intake.h.
 * A resent request (same id) is answered from its row and not journalled again; a batch in which
 * nothing is acceptable is answered without a commit, since there is nothing to keep. */
#include "sidecar/intake.h"
#include "sidecar/request.h"

#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

typedef struct record {
    wb_id id;
    wb_intake intake;
    Waybill__V1__RecordReply reply;
    wb_slice request_row;
    bool is_new; /* not answered from its row */
} record;

static wb_status take_batch(wb_request *r, record *rec, wb_error *err)
{
    ProtobufCBinaryData traces = r->in->record->traces;
    wb_intake *in = &rec->intake;
    WB_TRY(wb_intake_take(in, WB_SIGNAL_TRACES, wb_slice_of(traces.data, traces.len), err));
    rec->reply.accepted_spans = (uint32_t)in->accepted;
    rec->reply.rejected_spans = (uint32_t)in->rejected;
    if (!in->first_rejection) return WB_OK;
    rec->reply.error_message = wb_arena_printf(r->arena, "%s", in->first_rejection);
    return rec->reply.error_message ? WB_OK : wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
}

static void count(wb_request *r, const record *rec)
{
    wb_counters *counters = &r->sidecar->counters;
    wb_count_items(counters, WB_RECEIVER_IPC, WB_SIGNAL_TRACES, rec->reply.accepted_spans,
                   rec->reply.rejected_spans);
    wb_count_by(&counters->spans_dropped_by_clients, r->in->record->dropped_spans);
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    record *rec = r->verb;
    (void)err;
    if (wb_requests_find(state->requests, &rec->id, &rec->reply.accepted_spans,
                         &rec->reply.rejected_spans))
        return WB_OK;
    wb_intake_add(&rec->intake, state, out);
    wb_txn_add(out, WB_ENTRY_REQUEST, rec->request_row);
    rec->is_new = true;
    return WB_OK;
}

static void ended(wb_request *r, wb_status status, const wb_error *err)
{
    record *rec = r->verb;
    (void)err;
    if (status == WB_OK && rec->is_new) {
        count(r, rec);
        wb_intake_count(&rec->intake);
    }
    wb_intake_done(&rec->intake);
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
    wb_intake_init(&rec->intake, r->sidecar, r->world, r->arena);
    r->verb = rec;
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
        wb_intake_done(&rec->intake);
        wb_request_reply(r, status, err.detail);
        return;
    }
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_RECORD;
    r->reply->record = &rec->reply;
    if (rec->intake.payload.len == 0) {
        count(r, rec);
        wb_request_reply(r, WB_OK, NULL);
    } else {
        r->ended = ended;
        wb_request_submit(r, prepare);
    }
}
