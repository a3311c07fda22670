/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/admin.h: GET /healthz, /readyz, /status and /metrics over HTTP, on loopback unless configured. */
#ifndef WAYBILL_SIDECAR_ADMIN_H
#define WAYBILL_SIDECAR_ADMIN_H

#include "sidecar/sidecar.h"

typedef struct wb_admin wb_admin;

/** Listen where the configuration says. A defaulted port that is taken becomes any free one.
 *  port    the one in use
 *  Errors  CONFIG a configured port is taken, or the address is not one of this machine */
WB_MUST_USE wb_status wb_admin_open(wb_sidecar *sidecar, wb_admin **out, uint16_t *port,
                                    wb_error *err);
void wb_admin_close(wb_admin *admin);

#endif
