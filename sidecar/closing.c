/* SPDX-License-Identifier: Apache-2.0 */
/* The span is written once, at the close, with the true start and end: exporting an unfinished span
 * under its final id would hide the real one in some backends (DESIGN section 3). So an answer that
 * comes after the deadline cannot change the span of the lost delegation, and gets one of its own. */
#include "sidecar/closing.h"

#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/request.h"

static wb_status add_row(const wb_closing *closing, wb_entry_kind kind, const void *row,
                         wb_error *err)
{
    wb_slice packed;
    WB_TRY(wb_request_pack(closing->arena, row, &packed, err));
    wb_txn_add(closing->out, kind, packed);
    return WB_OK;
}

wb_status wb_close_delegation(const wb_closing *closing, Waybill__V1__DelegationRow *row,
                              wb_delegation_state state, char *error_type, wb_error *err)
{
    bool late = row->closed_ns != 0;
    row->updated_ns = wb_now(closing->sidecar->clock);
    row->state = state;
    row->error_type = error_type;
    row->version++;
    if (late)
        row->late_answer = true;
    else
        row->closed_ns = row->updated_ns > row->opened_ns ? row->updated_ns : row->opened_ns;
    WB_TRY(add_row(closing, WB_ENTRY_DELEGATION, row, err));
    const wb_world *world = wb_world_take(closing->sidecar->worlds);
    wb_span_agent agent = wb_sidecar_agent_in(closing->sidecar, world);
    wb_status status = late ? wb_late_answer_span(row, agent, closing->spans, err)
                            : wb_delegation_span(row, agent, closing->spans, err);
    wb_world_drop(world);
    if (status != WB_OK) return status;
    wb_txn_add(closing->out, WB_ENTRY_SPANS, wb_buffer_slice(closing->spans));
    return WB_OK;
}

wb_status wb_finish_acceptance(const wb_closing *closing, Waybill__V1__AcceptanceRow *row,
                               char *outcome, char *error_type, wb_error *err)
{
    wb_time_ns now = wb_now(closing->sidecar->clock);
    row->finished_ns = now > row->opened_ns ? now : row->opened_ns;
    row->outcome = outcome;
    row->error_type = error_type;
    row->version++;
    WB_TRY(add_row(closing, WB_ENTRY_ACCEPTANCE, row, err));
    const wb_world *world = wb_world_take(closing->sidecar->worlds);
    wb_status status =
        wb_acceptance_span(row, wb_sidecar_agent_in(closing->sidecar, world), closing->spans, err);
    wb_world_drop(world);
    if (status != WB_OK) return status;
    wb_txn_add(closing->out, WB_ENTRY_SPANS, wb_buffer_slice(closing->spans));
    return WB_OK;
}
