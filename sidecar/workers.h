/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/workers.h: the threads that unpack, verify and sign, so that neither nng's threads nor the
 * writer wait for an Ed25519 operation. */
#ifndef WAYBILL_SIDECAR_WORKERS_H
#define WAYBILL_SIDECAR_WORKERS_H

#include "sidecar/sidecar.h"

typedef struct wb_workers wb_workers;

/** `threads` workers for at most `slots` requests in hand (the receiver's contexts). */
WB_MUST_USE wb_status wb_workers_start(wb_sidecar *sidecar, uint32_t threads, uint32_t slots,
                                       wb_workers **out, wb_error *err);
/** Queue a call; the receiver's on_call. Returns at once. */
void wb_workers_take(wb_workers *workers, wb_ipc_call *call);
/** Finish what is queued, then stop and free. */
void wb_workers_stop(wb_workers *workers);

#endif
