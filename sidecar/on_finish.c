/* SPDX-License-Identifier: Apache-2.0 */
/* Finish: the agent's work for one acceptance is over, said before its last event leaves. Repeating
 * it changes nothing: the first outcome stands. */
#include "sidecar/closing.h"
#include "sidecar/request.h"

#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

typedef struct finish {
    wb_id acceptance;
    Waybill__V1__FinishReply reply;
} finish;

static bool is_outcome(const char *text)
{
    static const char *const outcomes[] = {"ok", "error", "canceled", "rejected", "interrupted"};
    for (size_t i = 0; i < WB_COUNT(outcomes); i++)
        if (strcmp(text, outcomes[i]) == 0) return true;
    return false;
}

/* The message that started a task could not name it; from here on its sender owns it (TOKENS section
 * 10), unless somebody does. */
static wb_status own_task(wb_request *r, const wb_state *state,
                          const Waybill__V1__AcceptanceRow *row, wb_txn_entries *out, wb_error *err)
{
    wb_owner held;
    wb_slice packed;
    Waybill__V1__OwnerRow owner = WAYBILL__V1__OWNER_ROW__INIT;
    if (!row->verified || !row->task_id[0] || wb_owners_room(state->owners) == 0) return WB_OK;
    if (wb_owners_of_task(state->owners, wb_slice_str(row->task_id), r->arena, &held)) return WB_OK;
    owner.task_id = row->task_id;
    owner.subject = row->subject;
    owner.issuer = row->issuer;
    owner.used_s = wb_now(r->sidecar->clock) / WB_NS_PER_S;
    WB_TRY(wb_request_pack(r->arena, &owner, &packed, err));
    wb_txn_add(out, WB_ENTRY_OWNER, packed);
    return WB_OK;
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    const finish *f = r->verb;
    const Waybill__V1__Finish *in = r->in->finish;
    wb_slice packed;
    if (!wb_acceptances_get(state->acceptances, &f->acceptance, &packed))
        return wb_fail(err, WB_ERR_NOT_FOUND,
                       "no such acceptance: it was never made here, or long finished");
    Waybill__V1__AcceptanceRow *row =
        waybill__v1__acceptance_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (row->finished_ns != 0) return WB_OK;
    const wb_closing closing = {r->sidecar, r->arena, &r->spans, out};
    if (in->task_state[0]) row->task_state = in->task_state;
    if (in->task_id[0]) row->task_id = in->task_id;
    WB_TRY(own_task(r, state, row, out, err));
    return wb_finish_acceptance(&closing, row, in->outcome, in->error_type, err);
}

void wb_on_finish(wb_request *r)
{
    finish *f = wb_arena_alloc(r->arena, sizeof *f);
    if (!f || !wb_request_id(&r->in->finish->acceptance_id, &f->acceptance)) {
        wb_request_reply(r, f ? WB_ERR_MALFORMED : WB_ERR_NO_MEMORY,
                         "acceptance_id must be 16 bytes, not all 0");
        return;
    }
    if (!is_outcome(r->in->finish->outcome)) {
        wb_request_reply(r, WB_ERR_MALFORMED,
                         "outcome must be ok, error, canceled, rejected or interrupted");
        return;
    }
    waybill__v1__finish_reply__init(&f->reply);
    r->verb = f;
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_FINISH;
    r->reply->finish = &f->reply;
    wb_request_submit(r, prepare);
}
