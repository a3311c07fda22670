/* SPDX-License-Identifier: Apache-2.0 */
/* What a request asks for. The first fault is the answer; the order is that of docs/otlp.md: framing, path,
 * method, who asks, encoding, size. Nothing of a body is kept before all of them are well.
 *
 * A page in a browser can be made to send to this machine, and by DNS rebinding even JSON; the kernel names
 * the browser's user, who may be the agent's. Browsers put `Origin` on every POST, exporters never do: with
 * it the user counts for nothing, and the bearer is needed. */
#include "sidecar/receivers/otlp/http_inside.h"

#include "core/log.h"
#include "proto/sender.h"
#include "sidecar/receivers/otlp/certificate.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Arrived bytes of a gzip body: so that with what comes out of it (WB_OTLP_HTTP_BODY_MAX) one body always fits
 * into what all may hold. Telemetry shrinks to a tenth. */
enum { GZIP_BODY_MAX = 4 * 1024 * 1024 };

void wb_http_refuse(wb_http_request *r, unsigned code, wb_otlp_refusal cause, const char *message)
{
    if (r->fault.code != 0) return;
    r->fault = (wb_http_fault){.code = code, .cause = cause, .message = message};
    wb_body_drop(&r->body);
}

static const char *header(const wb_http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static wb_slice header_slice(const wb_http_request *r, const char *name)
{
    const char *value = header(r, name);
    return value ? wb_slice_str(value) : (wb_slice){0};
}

static bool look_at_certificate(const wb_http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info && info->tls_session && wb_tls_client_is_vouched_for(info->tls_session);
}

static bool is_certified(wb_http_request *r)
{
    wb_http_link *link = r->link;
    if (r->http->options.client_ca.len == 0) return false;
    if (!link->looked) link->certified = look_at_certificate(r);
    link->looked = true;
    return link->certified;
}

static void say_denied(const wb_http_request *r, uint64_t uid, const char *advice)
{
    static wb_log_gate gate;
    char who[WB_OTLP_UID_TEXT];
    uint64_t held_back = 0;
    if (!wb_log_gate_pass(&gate, wb_mono(r->http->options.clock), &held_back)) return;
    WB_LOG(WARN, "otlp.denied", "telemetry of somebody who may not send it was refused",
           WB_KV("peer_uid", wb_otlp_uid_text(uid, who)), WB_KV("todo", advice),
           WB_KV("held_back", held_back));
}

static void admit(wb_http_request *r)
{
    const wb_otlp_access *access = r->http->options.access;
    bool browser = header(r, "Origin") != NULL;
    uint64_t uid = wb_otlp_visitor_uid(r->link->visitor);
    wb_otlp_caller caller = wb_otlp_admit(access, browser ? WB_OTLP_PEER_UNKNOWN : uid,
                                          header_slice(r, MHD_HTTP_HEADER_AUTHORIZATION));
    if (caller == WB_OTLP_DENIED && !browser && is_certified(r)) caller = WB_OTLP_OTHER;
    r->export.is_agent = caller == WB_OTLP_AGENT;
    if (caller != WB_OTLP_DENIED) return;
    const char *advice = wb_otlp_access_advice(access, uid, browser);
    say_denied(r, uid, advice);
    wb_http_refuse(r, MHD_HTTP_UNAUTHORIZED, WB_OTLP_REFUSED_DENIED, advice);
}

static void read_encodings(wb_http_request *r)
{
    const char *compression = header(r, MHD_HTTP_HEADER_CONTENT_ENCODING);
    if (!wb_otlp_encoding_of(header(r, MHD_HTTP_HEADER_CONTENT_TYPE), &r->encoding)) {
        r->encoding = WB_OTLP_JSON; /* of the answer: a person may read it */
        wb_http_refuse(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, WB_OTLP_REFUSED_UNSUPPORTED,
                       "Content-Type: application/x-protobuf or application/json");
    }
    if (!compression || !*compression || strcasecmp(compression, "identity") == 0) return;
    r->gzip = strcasecmp(compression, "gzip") == 0 || strcasecmp(compression, "x-gzip") == 0;
    if (!r->gzip)
        wb_http_refuse(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, WB_OTLP_REFUSED_UNSUPPORTED,
                       "Content-Encoding: gzip, or none");
}

/* libmicrohttpd has checked that it is a number, and reads no further; chunked wins over it. */
static uint64_t announced(const wb_http_request *r)
{
    const char *length = header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (!length || header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING)) return UINT64_MAX;
    return strtoull(length, NULL, 10);
}

typedef struct framing {
    unsigned lengths, codings;
    bool strange; /* a coding that is not ours */
    bool no_name; /* a field with a name that is none */
} framing;

/* RFC 9110, 5.6.2. libmicrohttpd takes for a name whatever stands before the colon, and blanks with it. */
static bool is_token(const char *name)
{
    static const char chars[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *name && name[strspn(name, chars)] == '\0';
}

static enum MHD_Result note_framing(void *self, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    framing *f = self;
    (void)kind;
    f->no_name = f->no_name || !is_token(name);
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) f->lengths++;
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) != 0) return MHD_YES;
    f->codings++;
    f->strange = f->strange || !value || strcasecmp(value, "chunked") != 0;
    return MHD_YES;
}

/* A proxy before us and libmicrohttpd behind it must not read two lengths out of one head: what one takes
 * for a body the other would take for the next request. RFC 9112, 5.1, 6.1 and 6.3. */
static void read_framing(wb_http_request *r)
{
    framing f = {0};
    (void)MHD_get_connection_values(r->connection, MHD_HEADER_KIND, note_framing, &f);
    r->is_ambiguous = f.no_name || f.strange || f.lengths + f.codings > 1;
    if (f.no_name)
        wb_http_refuse(r, MHD_HTTP_BAD_REQUEST, WB_OTLP_REFUSED_MALFORMED,
                       "the name of a header field has no blanks, and a colon right behind it");
    else if (r->is_ambiguous)
        wb_http_refuse(r, MHD_HTTP_BAD_REQUEST, WB_OTLP_REFUSED_MALFORMED,
                       "one Content-Length, or Transfer-Encoding: chunked, and nothing besides");
}

static void read_size(wb_http_request *r)
{
    size_t most = r->gzip ? GZIP_BODY_MAX : WB_OTLP_HTTP_BODY_MAX;
    uint64_t expected = announced(r);
    wb_body_init(&r->body, &r->http->options.sink, most, expected);
    if (expected == UINT64_MAX || expected <= most) return;
    (void)snprintf(r->detail, sizeof r->detail, "a%s body may have %zu bytes: send fewer at once",
                   r->gzip ? " gzip" : "", most);
    wb_http_refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, WB_OTLP_REFUSED_TOO_LARGE, r->detail);
}

void wb_http_read_head(wb_http_request *r, const char *path, const char *method)
{
    const char *expect = header(r, MHD_HTTP_HEADER_EXPECT);
    r->waits_for_leave = expect && strcasecmp(expect, "100-continue") == 0;
    read_encodings(r);
    wb_http_fault of_encodings = r->fault; /* comes behind who asks */
    r->fault = (wb_http_fault){0};
    read_framing(r);
    if (!wb_otlp_signal_of(path, &r->export.signal))
        wb_http_refuse(r, MHD_HTTP_NOT_FOUND, WB_OTLP_REFUSED_NOT_FOUND,
                       "POST to /v1/traces, /v1/metrics or /v1/logs");
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        wb_http_refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, WB_OTLP_REFUSED_NOT_FOUND, "POST only");
    if (r->fault.code == 0) admit(r);
    if (r->fault.code == 0 &&
        wb_otlp_is_own(r->http->options.access, header_slice(r, WB_SENDER_HEADER)))
        wb_http_refuse(r, MHD_HTTP_LOOP_DETECTED, WB_OTLP_REFUSED_LOOP, WB_OTLP_OWN_ADVICE);
    if (r->fault.code == 0) r->fault = of_encodings;
    if (r->fault.code == 0 && atomic_load(&r->http->stopping))
        wb_http_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WB_OTLP_REFUSED_BUSY,
                       "the sidecar stops: send it again later");
    read_size(r);
}

static void refuse_status(wb_http_request *r, wb_status status, const wb_error *err)
{
    wb_otlp_refusal cause = WB_OTLP_REFUSED_BUSY;
    unsigned code = wb_otlp_http_code(status, &cause);
    (void)snprintf(r->detail, sizeof r->detail, "%s", err->detail);
    wb_http_refuse(r, code, cause, r->detail);
}

void wb_http_add_bytes(wb_http_request *r, const void *bytes, size_t len)
{
    wb_error err = {.status = WB_OK};
    if (r->fault.code != 0) return;
    wb_status status = wb_body_add(&r->body, bytes, len, &err);
    if (status != WB_OK) refuse_status(r, status, &err);
}

void wb_http_read_body(wb_http_request *r)
{
    wb_error err = {.status = WB_OK};
    wb_status status = WB_OK;
    if (r->gzip) status = wb_body_inflate(&r->body, WB_OTLP_HTTP_BODY_MAX, &err);
    if (status == WB_OK && r->encoding == WB_OTLP_JSON)
        status = wb_body_from_json(&r->body, r->export.signal, &err);
    if (status == WB_OK)
        r->export.body = wb_body_bytes(&r->body);
    else
        refuse_status(r, status, &err);
}
