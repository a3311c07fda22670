/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's own parser takes the address apart, so that what was checked is what will be asked. A base
 * gets the signal's path behind its own ("http://h/otlp/" is "http://h/otlp/v1/traces"), a signal's own
 * address stays as it is ("http://h" is "http://h/"). gRPC has fixed paths, so an address of it has none:
 * one in the configuration is a mistake worth saying, one in a variable is passed over as SDKs do.
 * "host:port" without a scheme is for gRPC in variables only, with TLS unless ..._INSECURE says no. */
#include "exporters/otlp/endpoint.h"

#include <curl/curl.h>
#include <stdlib.h>

static const char *const http_paths[] = {
    [WB_SIGNAL_TRACES] = "v1/traces",
    [WB_SIGNAL_METRICS] = "v1/metrics",
    [WB_SIGNAL_LOGS] = "v1/logs",
};
static const char *const grpc_paths[] = {
    [WB_SIGNAL_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    [WB_SIGNAL_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    [WB_SIGNAL_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

typedef struct reading {
    const wb_otlp_endpoint *endpoint;
    wb_arena *arena;
    wb_error *err;
    CURLU *url;
} reading;

static void url_free_at(CURLU **url) { curl_url_cleanup(*url); }

static wb_status refuse(const reading *r, const char *why)
{
    return wb_fail(r->err, WB_ERR_CONFIG, "%s: %s", r->endpoint->from, why);
}

static wb_status out_of_memory(const reading *r)
{
    return wb_fail(r->err, WB_ERR_NO_MEMORY, "no memory for %s", r->endpoint->from);
}

/* A part as a text of the arena; NULL if the address has none, as it may of query and fragment. */
static wb_status get_optional(const reading *r, CURLUPart part, unsigned flags, const char **out)
{
    char *text = NULL;
    wb_slice copy;
    *out = NULL;
    CURLUcode code = curl_url_get(r->url, part, &text, flags);
    if (code == CURLUE_NO_QUERY || code == CURLUE_NO_FRAGMENT) return WB_OK;
    if (code == CURLUE_OUT_OF_MEMORY) return out_of_memory(r);
    if (code != CURLUE_OK) return refuse(r, curl_url_strerror(code));
    wb_status status = wb_arena_dup(r->arena, wb_slice_str(text), &copy);
    curl_free(text);
    if (status != WB_OK) return out_of_memory(r);
    *out = (const char *)copy.ptr;
    return WB_OK;
}

static wb_status get(const reading *r, CURLUPart part, unsigned flags, const char **out)
{
    WB_TRY(get_optional(r, part, flags, out));
    return *out ? WB_OK : refuse(r, "a part of the address is missing");
}

static wb_status set(const reading *r, CURLUPart part, const char *text)
{
    CURLUcode code = curl_url_set(r->url, part, text, CURLU_DISALLOW_USER);
    if (code == CURLUE_OUT_OF_MEMORY) return out_of_memory(r);
    if (code == CURLUE_USER_NOT_ALLOWED)
        return refuse(r, "a user or password belongs into basic_file, not into the address");
    return code == CURLUE_OK ? WB_OK : refuse(r, curl_url_strerror(code));
}

static wb_status parse(const reading *r, wb_otlp_protocol protocol)
{
    const wb_otlp_endpoint *e = r->endpoint;
    const char *text = e->text;
    if (!strstr(text, "://")) {
        if (!e->is_variable || protocol != WB_OTLP_GRPC)
            return refuse(r, "it has to begin with http:// or https://");
        text = wb_arena_printf(r->arena, "%s://%s", e->insecure ? "http" : "https", text);
        if (!text) return out_of_memory(r);
    }
    return set(r, CURLUPART_URL, text);
}

static wb_status read_scheme(const reading *r, bool *tls)
{
    const char *scheme;
    WB_TRY(get(r, CURLUPART_SCHEME, 0, &scheme));
    *tls = strcmp(scheme, "https") == 0;
    return *tls || strcmp(scheme, "http") == 0 ? WB_OK : refuse(r, "neither http nor https");
}

static wb_status set_grpc_path(const reading *r, const char *path, wb_signal signal)
{
    if (!r->endpoint->is_variable && strcmp(path, "/") != 0)
        return refuse(r, "gRPC has its own paths: give an address without one");
    return set(r, CURLUPART_PATH, grpc_paths[signal]);
}

static wb_status set_path(const reading *r, wb_otlp_protocol protocol, wb_signal signal)
{
    const char *path, *query, *fragment;
    WB_TRY(get(r, CURLUPART_PATH, 0, &path));
    WB_TRY(get_optional(r, CURLUPART_QUERY, 0, &query));
    WB_TRY(get_optional(r, CURLUPART_FRAGMENT, 0, &fragment));
    if (fragment) return refuse(r, "an address ends before #");
    if (query && (r->endpoint->is_base || protocol == WB_OTLP_GRPC))
        return refuse(r, "a query (?) can be in the address of one signal only");
    if (protocol == WB_OTLP_GRPC) return set_grpc_path(r, path, signal);
    if (!r->endpoint->is_base) return WB_OK;
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/') len--;
    const char *whole = wb_arena_printf(r->arena, "%.*s/%s", (int)len, path, http_paths[signal]);
    return whole ? set(r, CURLUPART_PATH, whole) : out_of_memory(r);
}

static wb_status read_host(const reading *r, wb_otlp_target *target)
{
    const char *host, *port;
    WB_TRY(get(r, CURLUPART_HOST, 0, &host));
    WB_TRY(get(r, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port));
    wb_slice bare = wb_slice_str(host), copy;
    if (bare.len > 2 && host[0] == '[') bare = (wb_slice){bare.ptr + 1, bare.len - 2};
    if (wb_arena_dup(r->arena, bare, &copy) != WB_OK) return out_of_memory(r);
    target->host = (const char *)copy.ptr;
    target->port = (uint16_t)strtoul(port, NULL, 10); /* curl let it through: 0 to 65535 */
    return target->port == 0 ? refuse(r, "port 0 leads nowhere") : WB_OK;
}

wb_status wb_otlp_endpoint_read(const wb_otlp_endpoint *endpoint, wb_signal signal, wb_arena *arena,
                                wb_otlp_target *target, wb_error *err)
{
    __attribute__((cleanup(url_free_at))) CURLU *url = curl_url();
    const reading r = {endpoint, arena, err, url};
    if (!url) return out_of_memory(&r);
    WB_TRY(parse(&r, target->protocol));
    WB_TRY(read_scheme(&r, &target->tls));
    WB_TRY(set_path(&r, target->protocol, signal));
    WB_TRY(read_host(&r, target));
    return get(&r, CURLUPART_URL, 0, &target->url);
}
