/* SPDX-License-Identifier: Apache-2.0 */
/* Who wins: what the configuration says of the signal, then of the exporter, then (with `env: true`) the
 * signal's variable, then the general one, then the default. Variables are asked for only where somebody
 * wrote `env: true`: an agent's environment often names an endpoint that is this very sidecar, and an
 * exporter that appeared by itself would send to itself. For the same reason no endpoint is assumed.
 *
 * `headers` or `headers_file` in the configuration replace those of the variables as a whole. */
#include "exporters/otlp/settings.h"

#include "core/json.h"
#include "exporters/otlp/endpoint.h"

#include <stdio.h>
#include <strings.h>

typedef struct making {
    const char *name;
    const wb_otlp_export_config *config;
    char *const *env; /* NULL: variables do not count */
    wb_arena *arena;
    wb_error *err;
    wb_signal signal; /* of the target in hand */
} making;

/* A value out of a variable, and which one. */
typedef struct variable {
    const char *text; /* NULL: not set, or empty */
    char name[64];
    bool of_signal;
} variable;

const char *wb_otlp_signal_name(wb_signal signal)
{
    static const char *const names[] = {
        [WB_SIGNAL_TRACES] = "traces", [WB_SIGNAL_METRICS] = "metrics", [WB_SIGNAL_LOGS] = "logs"};
    return names[signal];
}

static wb_status refuse(const making *m, const char *key, const char *why)
{
    return wb_fail(m->err, WB_ERR_CONFIG, "exporters.%s: %s: %s", m->name, key, why);
}

/* ---- variables ------------------------------------------------------------------------------ */

static const char *find(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return (*env)[len + 1] != '\0' ? *env + len + 1 : NULL;
    return NULL;
}

static variable ask(const making *m, const char *what)
{
    static const char *const words[] = {
        [WB_SIGNAL_TRACES] = "TRACES", [WB_SIGNAL_METRICS] = "METRICS", [WB_SIGNAL_LOGS] = "LOGS"};
    variable v = {.of_signal = true};
    (void)snprintf(v.name, sizeof v.name, "OTEL_EXPORTER_OTLP_%s_%s", words[m->signal], what);
    v.text = find(m->env, v.name);
    if (v.text) return v;
    v.of_signal = false;
    (void)snprintf(v.name, sizeof v.name, "OTEL_EXPORTER_OTLP_%s", what);
    v.text = find(m->env, v.name);
    return v;
}

/* ---- one value each ------------------------------------------------------------------------- */

static wb_status settle_protocol(const making *m, wb_otlp_target *target)
{
    static const char *const names[] = {"http/protobuf", "http/json",
                                        "grpc"}; /* wb_otlp_protocol */
    if (m->config->protocol != WB_OTLP_PROTOCOL_UNSET) {
        target->protocol = (wb_otlp_protocol)(m->config->protocol - 1);
        return WB_OK;
    }
    variable v = ask(m, "PROTOCOL");
    target->protocol = WB_OTLP_PROTOBUF;
    if (!v.text) return WB_OK;
    for (unsigned i = 0; i < WB_COUNT(names); i++) {
        if (strcmp(v.text, names[i]) != 0) continue;
        target->protocol = (wb_otlp_protocol)i;
        return WB_OK;
    }
    return refuse(m, v.name, "http/protobuf, http/json or grpc");
}

static wb_status settle_compression(const making *m, wb_otlp_target *target)
{
    target->gzip = m->config->compression == WB_OTLP_COMPRESSION_GZIP;
    if (m->config->compression != WB_OTLP_COMPRESSION_UNSET) return WB_OK;
    variable v = ask(m, "COMPRESSION");
    target->gzip = v.text && strcmp(v.text, "gzip") == 0;
    if (!v.text || target->gzip || strcmp(v.text, "none") == 0) return WB_OK;
    return refuse(m, v.name, "none or gzip");
}

static wb_status settle_timeout(const making *m, wb_otlp_target *target)
{
    uint64_t ms = m->config->timeout_ms;
    variable v = ms ? (variable){0} : ask(m, "TIMEOUT");
    target->timeout_ms = WB_OTLP_TIMEOUT_MS;
    if (v.text && (!wb_json_int(wb_slice_str(v.text), &ms) || ms > UINT32_MAX))
        return refuse(m, v.name, "milliseconds");
    if (ms > 0 || v.text) target->timeout_ms = (uint32_t)ms; /* of a variable 0: without limit */
    return WB_OK;
}

/* An empty text says nothing. */
static const char *said(const char *text) { return text && *text ? text : NULL; }

static const char *file_of(const making *m, const char *key, const char *what)
{
    return said(key) ? key : ask(m, what).text;
}

static wb_status settle_tls(const making *m, wb_otlp_target *target)
{
    target->ca_file = file_of(m, m->config->ca_file, "CERTIFICATE");
    target->cert_file = file_of(m, m->config->cert_file, "CLIENT_CERTIFICATE");
    target->key_file = file_of(m, m->config->key_file, "CLIENT_KEY");
    if (target->key_file && !target->cert_file)
        return refuse(m, "tls.key_file", "there is no tls.cert_file with it");
    return WB_OK;
}

static wb_status settle_endpoint(const making *m, wb_otlp_target *target)
{
    const wb_otlp_export_config *c = m->config;
    const char *const own[] = {[WB_SIGNAL_TRACES] = c->traces_endpoint,
                               [WB_SIGNAL_METRICS] = c->metrics_endpoint,
                               [WB_SIGNAL_LOGS] = c->logs_endpoint};
    char from[WB_COUNT(((variable *)0)->name) + 96];
    wb_otlp_endpoint e = {.text = own[m->signal], .from = from};
    variable v;
    const char *key = "its own endpoint";
    if (!said(e.text)) {
        e.text = c->endpoint;
        e.is_base = true;
        key = "endpoint";
    }
    if (!said(e.text)) {
        variable insecure = ask(m, "INSECURE");
        v = ask(m, "ENDPOINT");
        e.text = v.text;
        e.is_base = !v.of_signal;
        e.is_variable = true;
        e.insecure = insecure.text && strcasecmp(insecure.text, "true") == 0;
        key = v.name;
    }
    if (!e.text)
        return wb_fail(m->err, WB_ERR_CONFIG,
                       "exporters.%s: no endpoint for %s: set endpoint, or leave it out of signals",
                       m->name, wb_otlp_signal_name(m->signal));
    (void)snprintf(from, sizeof from, "exporters.%s: %s", m->name, key);
    return wb_otlp_endpoint_read(&e, m->signal, m->arena, target, m->err);
}

/* ---- headers -------------------------------------------------------------------------------- */

static bool is_header(const char *line, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

static wb_status placed(const making *m, const char *where, wb_status status, const wb_error *why)
{
    return status == WB_ERR_CONFIG ? refuse(m, where, why->detail)
           : status == WB_OK       ? WB_OK
                                   : wb_fail(m->err, status, "%s", why->detail);
}

static wb_status configured_headers(const making *m, wb_otlp_headers *out)
{
    for (size_t i = 0; i < m->config->n_headers; i++) {
        wb_error why = {0};
        wb_status status = wb_otlp_header_add(out, m->config->headers[i], false, m->arena, &why);
        WB_TRY(placed(m, "headers", status, &why));
        const char *line = out->lines[out->n - 1];
        if (is_header(line, "authorization") || is_header(line, "proxy-authorization"))
            return refuse(m, "headers",
                          "what authorizes belongs into bearer_file, basic_file or headers_file");
    }
    return WB_OK;
}

/* "name=value,name=value" in the form of W3C baggage, without properties. */
static wb_status variable_headers(const making *m, wb_otlp_headers *out)
{
    variable v = ask(m, "HEADERS");
    wb_slice rest = wb_slice_str(v.text);
    bool have_own = said(m->config->bearer_file) || said(m->config->basic_file);
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;
        wb_slice one = {rest.ptr, len};
        wb_error why = {0};
        rest = comma ? (wb_slice){comma + 1, rest.len - len - 1} : (wb_slice){0};
        while (one.len > 0 && one.ptr[0] == ' ') one = (wb_slice){one.ptr + 1, one.len - 1};
        if (one.len == 0) continue;
        WB_TRY(placed(m, v.name, wb_otlp_header_add(out, one, true, m->arena, &why), &why));
        if (have_own && is_header(out->lines[out->n - 1], "authorization")) out->n--;
    }
    return WB_OK;
}

static wb_status settle_headers(const making *m, wb_otlp_target *target)
{
    if (m->config->n_headers > 0 || said(m->config->headers_file))
        return configured_headers(m, &target->headers);
    return variable_headers(m, &target->headers);
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Who asks for TLS and gets none must hear of it. Variables are no question: they may be for others. */
static wb_status check_tls_is_used(const making *m, const wb_otlp_settings *settings)
{
    const wb_otlp_export_config *c = m->config;
    const char *key = said(c->ca_file)          ? "tls.ca_file"
                      : said(c->cert_file)      ? "tls.cert_file"
                      : said(c->key_file)       ? "tls.key_file"
                      : c->insecure_skip_verify ? "tls.insecure_skip_verify"
                                                : NULL;
    bool any_on = false, any_tls = false;
    for (unsigned i = 0; i < WB_SIGNALS; i++) {
        any_on |= settings->targets[i].on;
        any_tls |= settings->targets[i].on && settings->targets[i].tls;
    }
    if (!key || !any_on || any_tls) return WB_OK;
    return refuse(m, key, "it would go unencrypted: write https:// in endpoint, or leave out tls");
}

static wb_status settle_target(const making *m, wb_otlp_target *target)
{
    target->on = true;
    WB_TRY(settle_protocol(m, target));
    WB_TRY(settle_endpoint(m, target));
    WB_TRY(settle_compression(m, target));
    WB_TRY(settle_timeout(m, target));
    WB_TRY(settle_tls(m, target));
    return settle_headers(m, target);
}

static wb_status signal_of(const making *m, wb_slice word, wb_signal *out)
{
    for (unsigned i = 0; i < WB_SIGNALS; i++) {
        if (!wb_slice_eq(word, wb_slice_str(wb_otlp_signal_name((wb_signal)i)))) continue;
        *out = (wb_signal)i;
        return WB_OK;
    }
    return refuse(m, "signals", "of traces, logs, metrics");
}

wb_status wb_otlp_settings_make(const char *name, const wb_otlp_export_config *config,
                                char *const *env, wb_arena *arena, wb_otlp_settings *out,
                                wb_error *err)
{
    making m = {name, config, config->env ? env : NULL, arena, err, WB_SIGNAL_TRACES};
    wb_otlp_settings s = {.name = name,
                          .headers_file = said(config->headers_file),
                          .bearer_file = said(config->bearer_file),
                          .basic_file = said(config->basic_file),
                          .insecure_skip_verify = config->insecure_skip_verify,
                          .delegation_logs = config->delegation_logs,
                          .proxy_from_env = config->proxy_from_env,
                          .max_request_bytes = config->max_request_bytes};
    if (s.bearer_file && s.basic_file)
        return refuse(&m, "bearer_file", "there is a basic_file too: one of them authorizes");
    for (size_t i = 0; i < config->n_signals; i++) {
        WB_TRY(signal_of(&m, config->signals[i], &m.signal));
        if (!s.targets[m.signal].on) WB_TRY(settle_target(&m, &s.targets[m.signal]));
    }
    WB_TRY(check_tls_is_used(&m, &s));
    *out = s;
    return WB_OK;
}
