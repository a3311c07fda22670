/* SPDX-License-Identifier: Apache-2.0 */
/* One easy handle for all of an exporter's requests: libcurl keeps its connections open between them, so
 * the next request has neither a handshake nor a look-up of a name. Options are set anew each time, since
 * signals may differ in all of them.
 *
 * The body is read piece by piece from where it lies; when a kept connection turns out to be dead before
 * the first byte of an answer, libcurl begins again by itself and seeks back to the start.
 *
 * gRPC is HTTP/2: agreed by ALPN with TLS, known beforehand without it. Its trailers reach the header
 * callback like headers do. A server may answer before it has read all, and reset the stream: an answer
 * that is complete counts, however the transfer ended (reply.c says what is complete).
 *
 * libcurl before 8.0 (Debian 12 has 7.88) breaks a kept connection when it is told again that HTTP/2 is
 * known beforehand (curl issue 10634). So that is said with a new connection only, and "HTTP/2" without
 * more to a kept one, which is HTTP/2 already. If the kept one turns out to be gone, libcurl makes a new
 * one and asks in HTTP/1.1 whether it may upgrade, which no gRPC server understands: that request counts
 * for nothing and is made again, with a connection that begins as it should. */
#include "exporters/otlp/transport.h"

#include "core/clock.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT_MS = 5000,
    UPLOAD_BYTES = 256 * 1024, /* libcurl's 64 KiB are four times the calls */
    STALL_S = 30, /* not a byte in either direction; matters where the timeout is longer */
    KEPT_CONNECTIONS = 4,
    KEPT_S = 3600,       /* an idle connection; whoever closes it sooner is noticed */
    FIXED_IN = 0x080000, /* libcurl: see above */
    CA_KEPT_S = 60,      /* a file of authorities that was replaced is read again after it */
};

struct wb_otlp_transport {
    const wb_otlp_settings *settings;
    const wb_otlp_secrets *secrets;
    atomic_ullong until_ns; /* monotonic; 0: take the time that there is */
    const char *sender;     /* the header that says whose request it is; NULL: none */
    CURL *curl;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
    bool no_memory;        /* while setting up */
    bool kept[WB_SIGNALS]; /* its target has a connection open that is HTTP/2 without TLS */
    /* the request in hand */
    const wb_otlp_body *body;
    size_t piece, offset; /* what is read next */
    wb_otlp_reply *reply;
    bool too_large; /* the answer */
};

wb_otlp_transport *wb_otlp_transport_new(const wb_otlp_settings *settings,
                                         const wb_otlp_secrets *secrets, const char *sender)
{
    wb_otlp_transport *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->settings = settings;
    t->secrets = secrets;
    t->sender = sender;
    t->curl = curl_easy_init();
    if (!t->curl) {
        free(t);
        return NULL;
    }
    return t;
}

void wb_otlp_transport_free(wb_otlp_transport *t)
{
    if (!t) return;
    curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    free(t);
}

/* ---- what libcurl calls --------------------------------------------------------------------- */

static size_t on_read(char *out, size_t size, size_t n, void *self)
{
    wb_otlp_transport *t = self;
    size_t room = size * n, done = 0;
    while (done < room && t->piece < t->body->n) {
        wb_slice piece = t->body->pieces[t->piece];
        size_t len = piece.len - t->offset;
        if (len > room - done) len = room - done;
        if (len > 0) memcpy(out + done, piece.ptr + t->offset, len);
        done += len;
        t->offset += len;
        if (t->offset < piece.len) break;
        t->piece++;
        t->offset = 0;
    }
    return done;
}

static int on_seek(void *self, curl_off_t offset, int origin)
{
    wb_otlp_transport *t = self;
    if (origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_CANTSEEK;
    t->piece = t->offset = 0;
    return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t n, void *self)
{
    wb_otlp_transport *t = self;
    wb_otlp_reply_header(t->reply, wb_slice_of(line, size * n));
    return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *self)
{
    wb_otlp_transport *t = self;
    if (wb_buffer_add(&t->reply->body, bytes, size * n) == WB_OK) return size * n;
    t->too_large = true;
    return 0;
}

/* libcurl asks once a second at least. */
static int on_progress(void *self, curl_off_t in, curl_off_t of, curl_off_t out, curl_off_t to)
{
    const wb_otlp_transport *t = self;
    uint64_t until_ns = atomic_load(&t->until_ns);
    (void)in, (void)of, (void)out, (void)to;
    return until_ns > 0 && wb_mono(&wb_system_clock) >= until_ns;
}

void wb_otlp_transport_hurry(wb_otlp_transport *t, uint64_t until_ns)
{
    atomic_store(&t->until_ns, until_ns);
}

/* ---- setting up ----------------------------------------------------------------------------- */

/* Fails when memory is out only: values are right, and the library that we were built with has them all. */
#define SET(t, option, value)                                                                      \
    do {                                                                                           \
        if (curl_easy_setopt((t)->curl, option, value) != CURLE_OK) (t)->no_memory = true;         \
    } while (0)

static void add_header(wb_otlp_transport *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);
    if (longer)
        t->headers = longer;
    else
        t->no_memory = true;
}

static void add_headers(wb_otlp_transport *t, const wb_otlp_headers *headers)
{
    for (size_t i = 0; i < headers->n; i++) add_header(t, headers->lines[i]);
}

static void set_headers(wb_otlp_transport *t, const wb_otlp_target *target, uint32_t timeout_ms)
{
    static const char *const types[] = {[WB_OTLP_PROTOBUF] = "Content-Type: application/x-protobuf",
                                        [WB_OTLP_JSON] = "Content-Type: application/json",
                                        [WB_OTLP_GRPC] = "Content-Type: application/grpc"};
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    add_header(t, types[target->protocol]);
    add_header(t, "Expect:"); /* no round trip to be told to go on */
    if (target->protocol == WB_OTLP_GRPC) {
        char limit[40]; /* at most eight digits */
        (void)snprintf(limit, sizeof limit, "grpc-timeout: %um",
                       timeout_ms < 99999999 ? timeout_ms : 99999999);
        add_header(t, "TE: trailers");
        add_header(t, limit);
        if (target->gzip) add_header(t, "grpc-encoding: gzip");
    } else if (target->gzip) {
        add_header(t, "Content-Encoding: gzip");
    }
    if (t->sender) add_header(t, t->sender);
    add_headers(t, &target->headers);
    add_headers(t, &t->secrets->headers);
    if (t->secrets->bearer) add_header(t, t->secrets->bearer);
    SET(t, CURLOPT_HTTPHEADER, t->headers);
    if (!t->secrets->basic) return;
    SET(t, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    SET(t, CURLOPT_USERPWD, t->secrets->basic);
}

static void set_tls(wb_otlp_transport *t, const wb_otlp_target *target)
{
    if (!target->tls) return;
    SET(t, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(t, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_KEPT_S);
    if (target->ca_file) {
        SET(t, CURLOPT_CAINFO, target->ca_file);
        SET(t, CURLOPT_CAPATH, NULL);
    }
    if (target->cert_file) SET(t, CURLOPT_SSLCERT, target->cert_file);
    if (target->key_file) SET(t, CURLOPT_SSLKEY, target->key_file);
    if (!t->settings->insecure_skip_verify) return;
    SET(t, CURLOPT_SSL_VERIFYPEER, 0L);
    SET(t, CURLOPT_SSL_VERIFYHOST, 0L);
}

static bool is_clear_grpc(const wb_otlp_target *target)
{
    return target->on && target->protocol == WB_OTLP_GRPC && !target->tls;
}

static bool shares_connection(const wb_otlp_target *a, const wb_otlp_target *b)
{
    return is_clear_grpc(a) && is_clear_grpc(b) && a->port == b->port &&
           strcmp(a->host, b->host) == 0;
}

/* Remember it for all signals that go to the same place. */
static void set_kept(wb_otlp_transport *t, const wb_otlp_target *target, bool kept)
{
    for (unsigned i = 0; i < WB_SIGNALS; i++)
        if (shares_connection(&t->settings->targets[i], target)) t->kept[i] = kept;
}

static bool is_kept(const wb_otlp_transport *t, const wb_otlp_target *target)
{
    return t->kept[target - t->settings->targets];
}

static void set_version(wb_otlp_transport *t, const wb_otlp_target *target)
{
    long version = CURL_HTTP_VERSION_1_1;
    if (target->protocol == WB_OTLP_GRPC)
        version = target->tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    if (is_clear_grpc(target) && curl_version_info(CURLVERSION_NOW)->version_num < FIXED_IN) {
        if (is_kept(t, target)) version = CURL_HTTP_VERSION_2_0;
        SET(t, CURLOPT_FRESH_CONNECT, is_kept(t, target) ? 0L : 1L);
    }
    SET(t, CURLOPT_HTTP_VERSION, version);
}

/* What is sent and received goes through this object. */
static void set_streams(wb_otlp_transport *t)
{
    SET(t, CURLOPT_POST, 1L);
    SET(t, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
    SET(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body->bytes);
    SET(t, CURLOPT_READFUNCTION, on_read);
    SET(t, CURLOPT_READDATA, t);
    SET(t, CURLOPT_SEEKFUNCTION, on_seek);
    SET(t, CURLOPT_SEEKDATA, t);
    SET(t, CURLOPT_HEADERFUNCTION, on_header);
    SET(t, CURLOPT_HEADERDATA, t);
    SET(t, CURLOPT_WRITEFUNCTION, on_body);
    SET(t, CURLOPT_WRITEDATA, t);
    SET(t, CURLOPT_ERRORBUFFER, t->why);
    SET(t, CURLOPT_NOPROGRESS, 0L);
    SET(t, CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(t, CURLOPT_XFERINFODATA, t);
}

static void set_times(wb_otlp_transport *t, uint32_t timeout_ms)
{
    long connect_ms = timeout_ms < CONNECT_MS ? (long)timeout_ms : CONNECT_MS;
    SET(t, CURLOPT_NOSIGNAL, 1L);
    SET(t, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(t, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    SET(t, CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(t, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    SET(t, CURLOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    SET(t, CURLOPT_MAXAGE_CONN, (long)KEPT_S);
    SET(t, CURLOPT_TCP_KEEPALIVE, 1L);
}

static void set_up(wb_otlp_transport *t, const wb_otlp_target *target, uint32_t timeout_ms)
{
    curl_easy_reset(t->curl); /* connections stay */
    SET(t, CURLOPT_URL, target->url);
    SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(t, CURLOPT_USERAGENT, "OTel-OTLP-Exporter-C/" WAYBILL_VERSION " waybill");
    if (!t->settings->proxy_from_env) SET(t, CURLOPT_PROXY, "");
    set_version(t, target);
    set_times(t, timeout_ms);
    set_streams(t);
    set_headers(t, target, timeout_ms);
    set_tls(t, target);
}

/* ---- what came of it ------------------------------------------------------------------------ */

/* What is wrong with the far side's certificate: OpenSSL numbers it (X509_V_ERR_...), and libcurl hands the
 * number on, once the name is right. Other TLS libraries have no such number. */
static const char *certificate_advice(const wb_otlp_transport *t)
{
    enum { NOT_YET = 9, EXPIRED = 10, UNKNOWN_FIRST = 18, UNKNOWN_LAST = 21 };
    long why = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_SSL_VERIFYRESULT, &why);
    if (why == NOT_YET) return "its certificate is not valid yet: check the clocks";
    if (why == EXPIRED) return "its certificate has expired: renew it";
    if (why >= UNKNOWN_FIRST && why <= UNKNOWN_LAST)
        return "nobody known signed its certificate: set tls.ca_file";
    if (strstr(t->why, "host name"))
        return "its certificate has another name: put that into endpoint";
    return "its certificate is not good: renew it, or set tls.ca_file";
}

/* A server that wants a certificate of ours says so by an alert, in TLS 1.3 only after the handshake; where it
 * closes at once, that may be gone before we read it, and all there is is a connection that broke. A gRPC server
 * to which we speak HTTP/1.1 breaks it, too; some say by an alert that it was for the protocol (RFC 7301, 3.2). */
static const char *broken_advice(const wb_otlp_transport *t, const wb_otlp_target *target)
{
    bool alert = strstr(t->why, " alert ") != NULL;
    if (alert && strstr(t->why, "application protocol"))
        return "it speaks another protocol: mostly 4317 is grpc, 4318 http/protobuf";
    if (alert && (strstr(t->why, "cert") || strstr(t->why, "unknown ca")))
        return target->cert_file ? "it does not take our certificate: check tls.cert_file"
                                 : "it asks for a certificate of ours: set tls.cert_file";
    return target->cert_file
               ? "it broke off: another protocol (mostly 4317 is grpc), or it does not take our "
                 "tls.cert_file"
               : "it broke off: another protocol (mostly 4317 is grpc), or it asks for a "
                 "tls.cert_file";
}

static const char *tls_advice(const wb_otlp_transport *t, const wb_otlp_target *target,
                              CURLcode code)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION: return certificate_advice(t);
    case CURLE_SSL_CACERT_BADFILE: return "check tls.ca_file";
    case CURLE_SSL_CERTPROBLEM: return "check tls.cert_file and tls.key_file";
    case CURLE_SSL_CONNECT_ERROR:
        if (strstr(t->why, " alert ")) return broken_advice(t, target);
        return "no TLS came about: check http or https in endpoint, and protocol";
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: /* so says HTTP/2 */
        return t->reply->status == 0 ? broken_advice(t, target) : NULL;
    default: return NULL;
    }
}

/* For a person, beside what libcurl says. */
static const char *advice_for(const wb_otlp_transport *t, const wb_otlp_target *target,
                              CURLcode code)
{
    const char *tls = target->tls ? tls_advice(t, target, code) : NULL;
    if (tls) return tls;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return "check endpoint and DNS";
    case CURLE_COULDNT_CONNECT:
        return "nobody takes connections there: check endpoint, and that it runs";
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
        return "no HTTP/2 as gRPC needs it: check endpoint, http or https, and protocol";
    case CURLE_UNSUPPORTED_PROTOCOL: /* "HTTP/0.9" */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_GOT_NOTHING:
        return "check port, http or https, and protocol: mostly 4317 is grpc, 4318 http/protobuf";
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY: return "check the proxy";
    default: return NULL;
    }
}

static wb_status fail(const wb_otlp_transport *t, const wb_otlp_target *target, CURLcode code,
                      uint32_t timeout_ms, wb_error *err)
{
    const char *advice = advice_for(t, target, code);
    const char *why = t->why[0] ? t->why : curl_easy_strerror(code);
    if (code == CURLE_OUT_OF_MEMORY)
        return wb_fail(err, WB_ERR_NO_MEMORY, "%s:%u: no memory", target->host, target->port);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return wb_fail(err, WB_ERR_TIMEOUT, "%.60s:%u: no answer before the end", target->host,
                       target->port);
    if (t->too_large)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "%.60s:%u: an answer of more than %d bytes",
                       target->host, target->port, (int)WB_OTLP_REPLY_MAX_BYTES);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return wb_fail(err, WB_ERR_TIMEOUT, "%.60s:%u: no answer within %u ms", target->host,
                       target->port, timeout_ms);
    return wb_fail(err, WB_ERR_UNAVAILABLE, "%.60s:%u: %s%s%s", target->host, target->port,
                   advice ? advice : "", advice ? ": " : "", why);
}

/* Is there an answer although the transfer failed? */
static bool has_answer(const wb_otlp_transport *t, const wb_otlp_target *target)
{
    if (target->protocol == WB_OTLP_GRPC) return t->reply->grpc_status[0] != '\0';
    if (t->too_large) return true; /* its beginning says what counts */
    return t->reply->status >= 400;
}

static wb_status check_version(const wb_otlp_transport *t, const wb_otlp_target *target,
                               wb_error *err)
{
    long version = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_HTTP_VERSION, &version);
    if (target->protocol != WB_OTLP_GRPC || version == CURL_HTTP_VERSION_2_0) return WB_OK;
    return wb_fail(err, WB_ERR_UNAVAILABLE,
                   "%.60s:%u: it speaks no HTTP/2, which gRPC needs: check endpoint and protocol",
                   target->host, target->port);
}

static CURLcode perform(wb_otlp_transport *t, const wb_otlp_target *target, uint32_t timeout_ms)
{
    t->piece = t->offset = 0;
    t->too_large = t->no_memory = false;
    t->why[0] = '\0';
    wb_otlp_reply_clear(t->reply);
    set_up(t, target, timeout_ms);
    return t->no_memory ? CURLE_OUT_OF_MEMORY : curl_easy_perform(t->curl);
}

/* The kept connection was gone, and a new one began in HTTP/1.1. */
static bool began_wrongly(const wb_otlp_transport *t, const wb_otlp_target *target)
{
    long made = 0;
    (void)curl_easy_getinfo(t->curl, CURLINFO_NUM_CONNECTS, &made);
    return is_clear_grpc(target) && is_kept(t, target) && made > 0;
}

wb_status wb_otlp_transport_post(wb_otlp_transport *t, wb_signal signal, const wb_otlp_body *body,
                                 uint32_t timeout_ms, wb_otlp_reply *reply, wb_error *err)
{
    const wb_otlp_target *target = &t->settings->targets[signal];
    t->body = body;
    t->reply = reply;
    CURLcode code = perform(t, target, timeout_ms);
    if (code != CURLE_OUT_OF_MEMORY && began_wrongly(t, target)) {
        set_kept(t, target, false);
        code = perform(t, target, timeout_ms);
    }
    bool answered = code == CURLE_OK || has_answer(t, target);
    set_kept(t, target, code == CURLE_OK && is_clear_grpc(target));
    return answered ? check_version(t, target, err) : fail(t, target, code, timeout_ms, err);
}
