/* SPDX-License-Identifier: Apache-2.0 */
/* Status: the same JSON that the admin endpoint gives. */
#include "sidecar/request.h"
#include "sidecar/status_report.h"

#include "proto/waybill/v1/ipc.pb-c.h"

#include <stdlib.h>

void wb_on_status(wb_request *r)
{
    Waybill__V1__StatusReply *reply = wb_arena_alloc(r->arena, sizeof *reply);
    char *json = wb_status_report(r->sidecar, true);
    wb_slice copy;
    if (!reply || !json || wb_arena_dup(r->arena, wb_slice_str(json), &copy) != WB_OK) {
        free(json);
        wb_request_reply(r, WB_ERR_NO_MEMORY, NULL);
        return;
    }
    free(json);
    waybill__v1__status_reply__init(reply);
    reply->json = (char *)copy.ptr;
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_STATUS_REPORT;
    r->reply->status_report = reply;
    wb_request_reply(r, WB_OK, NULL);
}
