/* SPDX-License-Identifier: Apache-2.0 */
/* A build without the admin endpoint: `waybill` asks over the socket. */
#include "sidecar/admin.h"

wb_status wb_admin_open(wb_sidecar *sidecar, wb_admin **out, uint16_t *port, wb_error *err)
{
    (void)sidecar;
    (void)err;
    *out = NULL;
    *port = 0;
    return WB_OK;
}

void wb_admin_close(wb_admin *admin) { (void)admin; }
