/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/closing.h: how a delegation closes and an acceptance finishes, by whoever says so: the
 * agent (Settle, Finish) or the deadline sweep. Each adds the row's last image and its one span. */
#ifndef WAYBILL_SIDECAR_CLOSING_H
#define WAYBILL_SIDECAR_CLOSING_H

#include "core/arena.h"
#include "core/delegation_state.h"
#include "sidecar/sidecar.h"

struct Waybill__V1__DelegationRow;
struct Waybill__V1__AcceptanceRow;

/** Where the rows and spans of one transaction are made; both live until the transaction is done. */
typedef struct wb_closing {
    const wb_sidecar *sidecar;
    wb_arena *arena;
    wb_buffer *spans; /* one WB_ENTRY_SPANS payload at most */
    wb_txn_entries *out;
} wb_closing;

/** Close an open delegation in the terminal `state`, or take the late answer of a lost one: its state
 *  becomes `state` and a new span links to the one already written.
 *  error_type  for the span, may be empty; borrowed like the row's other fields
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_close_delegation(const wb_closing *closing,
                                          struct Waybill__V1__DelegationRow *row,
                                          wb_delegation_state state, char *error_type,
                                          wb_error *err);

/** Finish an open acceptance with `outcome` (ok error canceled rejected interrupted). */
WB_MUST_USE wb_status wb_finish_acceptance(const wb_closing *closing,
                                           struct Waybill__V1__AcceptanceRow *row, char *outcome,
                                           char *error_type, wb_error *err);

#endif
