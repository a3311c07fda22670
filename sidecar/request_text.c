/* SPDX-License-Identifier: Apache-2.0 */
/* What agents say in words of their own goes through redaction before it becomes part of a row, a span or a log:
 * addresses with a password in them, errors that quote a header. Ids do not: they are compared with what the other
 * side says, and signed. */
#include "sidecar/request.h"

#include "proto/waybill/v1/ipc.pb-c.h"
#include "sidecar/pipeline/redact.h"

static bool mask(wb_request *r, char **text)
{
    wb_slice masked;
    wb_redacted done = {0};
    if (!(*text)[0]) return true;
    if (wb_redact_text(wb_slice_str(*text), r->arena, &masked, &done) != WB_OK) return false;
    wb_count_redacted(&r->sidecar->counters, &done);
    *text = (char *)(uintptr_t)masked.ptr; /* in our arena */
    return true;
}

bool wb_request_mask_texts(wb_request *r)
{
    const Waybill__V1__Request *in = r->in;
    if (!r->world->config.redact.secrets) return true;
    switch (in->body_case) {
    case WAYBILL__V1__REQUEST__BODY_DELEGATE:
        return mask(r, &in->delegate->target_url) && mask(r, &in->delegate->target_name);
    case WAYBILL__V1__REQUEST__BODY_OBSERVE:
        return mask(r, &in->observe->task_state) && mask(r, &in->observe->event);
    case WAYBILL__V1__REQUEST__BODY_ACCEPT:
        return mask(r, &in->accept->method) && mask(r, &in->accept->peer);
    case WAYBILL__V1__REQUEST__BODY_FINISH:
        return mask(r, &in->finish->task_state) && mask(r, &in->finish->error_type);
    case WAYBILL__V1__REQUEST__BODY_SETTLE:
        return mask(r, &in->settle->task_state) && mask(r, &in->settle->error_type);
    default: return true;
    }
}
