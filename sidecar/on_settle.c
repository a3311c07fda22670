/* SPDX-License-Identifier: Apache-2.0 */
/* Settle: the client agent has its answer. Repeating it changes nothing and gives the same answer;
 * settling a delegation that the deadline declared lost is a late answer. */
#include "sidecar/closing.h"
#include "sidecar/request.h"

#include "a2a/task_state.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

typedef struct settle {
    wb_id delegation;
    wb_delegation_state state;
    bool closed, late; /* by this request; late: it was closed as lost before */
    uint64_t in_flight_ns;
    Waybill__V1__SettleReply reply;
} settle;

/* The task's own terminal state says most; else what the client says came of it. */
static wb_delegation_state closing_state(const Waybill__V1__Settle *in)
{
    wb_delegation_state state = wb_delegation_state_of_task(wb_slice_str(in->task_state));
    if (!wb_delegation_is_terminal(state))
        state = wb_delegation_state_parse(wb_slice_str(in->outcome));
    return state == WB_DELEGATION_LOST ? WB_DELEGATION_NONE : state; /* only time says that */
}

static wb_status close_row(wb_request *r, Waybill__V1__DelegationRow *row, wb_txn_entries *out,
                           wb_error *err)
{
    const Waybill__V1__Settle *in = r->in->settle;
    settle *s = r->verb;
    const wb_closing closing = {r->sidecar, r->arena, &r->spans, out};
    if (in->task_state[0]) row->task_state = in->task_state;
    if (in->task_id[0]) row->task_id = in->task_id;
    if (in->context_id[0]) row->context_id = in->context_id;
    s->late = row->closed_ns != 0;
    WB_TRY(wb_close_delegation(&closing, row, s->state, in->error_type, err));
    s->closed = !s->late;
    s->in_flight_ns = row->closed_ns - row->opened_ns; /* never closed before it was opened */
    return WB_OK;
}

static void ended(wb_request *r, wb_status status, const wb_error *err)
{
    const settle *s = r->verb;
    wb_counters *counters = &r->sidecar->counters;
    (void)err;
    if (status != WB_OK) return;
    if (s->closed) wb_count_closed(counters, s->state, s->in_flight_ns);
    if (s->late) wb_count(&counters->late_answers);
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    settle *s = r->verb;
    wb_slice packed;
    if (!wb_delegations_get(state->delegations, &s->delegation, &packed))
        return wb_fail(err, WB_ERR_NOT_FOUND,
                       "no such delegation: it was never opened here, or long closed");
    Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (row->closed_ns == 0 || row->state == WB_DELEGATION_LOST)
        WB_TRY(close_row(r, row, out, err));
    s->reply.late = row->late_answer;
    s->reply.state =
        wb_arena_printf(r->arena, "%s", wb_delegation_state_name((wb_delegation_state)row->state));
    return s->reply.state ? WB_OK : wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
}

void wb_on_settle(wb_request *r)
{
    settle *s = wb_arena_alloc(r->arena, sizeof *s);
    if (!s || !wb_request_id(&r->in->settle->delegation_id, &s->delegation)) {
        wb_request_reply(r, s ? WB_ERR_MALFORMED : WB_ERR_NO_MEMORY,
                         "delegation_id must be 16 bytes, not all 0");
        return;
    }
    s->closed = s->late = false;
    s->state = closing_state(r->in->settle);
    if (!wb_delegation_is_terminal(s->state)) {
        wb_request_reply(
            r, WB_ERR_MALFORMED,
            "outcome must be answered, completed, failed, canceled or rejected: a task "
            "that goes on is observed, not settled");
        return;
    }
    waybill__v1__settle_reply__init(&s->reply);
    r->verb = s;
    r->ended = ended;
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_SETTLE;
    r->reply->settle = &s->reply;
    wb_request_submit(r, prepare);
}
