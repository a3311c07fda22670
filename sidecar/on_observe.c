/* SPDX-License-Identifier: Apache-2.0 */
/* Observe: what the client agent saw of the remote task while it ran. It moves an open delegation
 * among its open states; only Settle and the deadline close one, so a terminal task state seen here is
 * recorded and no more. */
#include "sidecar/request.h"

#include "a2a/task_state.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

typedef struct observe {
    wb_id delegation;
    Waybill__V1__ObserveReply reply;
} observe;

static void set_if_given(char **field, char *value)
{
    if (value[0]) *field = value;
}

static wb_delegation_state next_state(const Waybill__V1__DelegationRow *row,
                                      const Waybill__V1__Observe *in)
{
    wb_delegation_state seen = wb_delegation_state_of_task(wb_slice_str(in->task_state));
    if (strcmp(in->event, "stream_broken") == 0) return WB_DELEGATION_DETACHED;
    if (seen == WB_DELEGATION_NONE || wb_delegation_is_terminal(seen))
        return (wb_delegation_state)row->state;
    return seen;
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    observe *o = r->verb;
    const Waybill__V1__Observe *in = r->in->observe;
    wb_slice packed;
    if (!wb_delegations_get(state->delegations, &o->delegation, &packed))
        return wb_fail(err, WB_ERR_NOT_FOUND,
                       "no such delegation: it was never opened here, or long closed");
    Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (row->closed_ns == 0) {
        row->state = next_state(row, in);
        set_if_given(&row->task_state, in->task_state);
        set_if_given(&row->task_id, in->task_id);
        set_if_given(&row->context_id, in->context_id);
        set_if_given(&row->event, in->event);
        row->updated_ns = wb_now(r->sidecar->clock);
        row->version++;
        WB_TRY(wb_request_pack(r->arena, row, &packed, err));
        wb_txn_add(out, WB_ENTRY_DELEGATION, packed);
    }
    o->reply.state =
        wb_arena_printf(r->arena, "%s", wb_delegation_state_name((wb_delegation_state)row->state));
    return o->reply.state ? WB_OK : wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
}

void wb_on_observe(wb_request *r)
{
    observe *o = wb_arena_alloc(r->arena, sizeof *o);
    if (!o || !wb_request_id(&r->in->observe->delegation_id, &o->delegation)) {
        wb_request_reply(r, o ? WB_ERR_MALFORMED : WB_ERR_NO_MEMORY,
                         "delegation_id must be 16 bytes, not all 0");
        return;
    }
    waybill__v1__observe_reply__init(&o->reply);
    r->verb = o;
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_OBSERVE;
    r->reply->observe = &o->reply;
    wb_request_submit(r, prepare);
}
