/* SPDX-License-Identifier: Apache-2.0 */
/* An answer on its way out, in the encoding of its request. Where all was taken it is always the same, so
 * that one is made once. */
#include "sidecar/receivers/otlp/http_inside.h"

#include <microhttpd.h>
#include <stdio.h>

enum { REPLY_BYTES = 2048, RETRY_AFTER_S = 1 /* a full journal is looked at once a second */ };

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static struct MHD_Response *response_of(wb_otlp_encoding encoding, const wb_buffer *body)
{
    static char nothing[] = "";
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->len, body->len > 0 ? (void *)body->ptr : nothing, MHD_RESPMEM_MUST_COPY);
    if (response)
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, wb_otlp_content_type(encoding));
    return response;
}

struct MHD_Response *wb_http_taken(wb_otlp_encoding encoding)
{
    WB_AUTO_BUFFER body;
    wb_buffer_init(&body, REPLY_BYTES);
    if (wb_otlp_answer_success(encoding, WB_SIGNAL_TRACES, 0, NULL, &body) != WB_OK) return NULL;
    return response_of(encoding, &body);
}

static struct MHD_Response *partly(const wb_http_request *r)
{
    WB_AUTO_BUFFER body;
    wb_buffer_init(&body, REPLY_BYTES);
    if (wb_otlp_answer_success(r->encoding, r->export.signal, r->said.rejected, r->detail, &body) !=
        WB_OK)
        return NULL;
    return response_of(r->encoding, &body);
}

static struct MHD_Response *refused(const wb_http_request *r)
{
    char seconds[12];
    const wb_http_fault *fault = &r->fault;
    WB_AUTO_BUFFER body;
    wb_buffer_init(&body, REPLY_BYTES);
    if (wb_otlp_answer_failure(r->encoding, fault->code, fault->message, &body) != WB_OK)
        return NULL;
    struct MHD_Response *response = response_of(r->encoding, &body);
    if (!response) return NULL;
    (void)snprintf(seconds, sizeof seconds, "%u",
                   fault->retry_after_s > 0 ? fault->retry_after_s : RETRY_AFTER_S);
    if (fault->code == MHD_HTTP_SERVICE_UNAVAILABLE)
        add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    if (fault->code == MHD_HTTP_METHOD_NOT_ALLOWED)
        add_header(response, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_POST);
    if (fault->code == MHD_HTTP_UNAUTHORIZED)
        add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (atomic_load(&r->http->stopping) || r->is_ambiguous)
        add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return response;
}

static bool send_it(wb_http_request *r, unsigned code, struct MHD_Response *response)
{
    return response && MHD_queue_response(r->connection, code, response) == MHD_YES;
}

bool wb_http_reply(wb_http_request *r)
{
    if (r->fault.code == 0 && r->said.status != WB_OK) {
        r->fault.code = wb_otlp_http_code(r->said.status, &r->fault.cause);
        r->fault.message = r->detail;
        r->fault.retry_after_s = r->said.retry_after_s;
    }
    if (r->fault.code != 0)
        atomic_fetch_add(&r->http->counters.refused[r->fault.cause], 1);
    else if (r->said.rejected == 0 && !r->detail[0])
        return send_it(r, MHD_HTTP_OK, r->http->taken[r->encoding]);
    struct MHD_Response *response = r->fault.code != 0 ? refused(r) : partly(r);
    bool sent = send_it(r, r->fault.code != 0 ? r->fault.code : MHD_HTTP_OK, response);
    if (response) MHD_destroy_response(response);
    return sent;
}
