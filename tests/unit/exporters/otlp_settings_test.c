/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/otlp/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ARENA_BYTES = 1024 * 1024, VARS = 8, MIB4 = 4 * 1024 * 1024 };

static const wb_slice all[] = {WB_S("traces"), WB_S("logs"), WB_S("metrics")};
static const wb_slice traces[] = {WB_S("traces")};

static wb_otlp_export_config config_for(const wb_slice *signals, size_t n)
{
    return (wb_otlp_export_config){
        .signals = signals, .n_signals = n, .max_request_bytes = MIB4, .delegation_logs = true};
}

/* What is made, or why not. `env` may be NULL. */
static wb_status make(const wb_otlp_export_config *config, const char *const *env, wb_arena *arena,
                      wb_otlp_settings *out, wb_error *err)
{
    *err = (wb_error){0};
    /* As environ is: pointers to what nobody changes. */
    return wb_otlp_settings_make("out", config, (char *const *)(uintptr_t)env, arena, out, err);
}

/* ---- refusals first ------------------------------------------------------------------------- */

static void refuses(const wb_otlp_export_config *config, const char *const *env, const char *why)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_otlp_settings settings = {.name = "untouched"};
    wb_error err;
    assert_non_null(arena);
    assert_int_equal(make(config, env, arena, &settings, &err), WB_ERR_CONFIG);
    if (!strstr(err.detail, why)) fail_msg("\"%s\" does not say \"%s\"", err.detail, why);
    assert_non_null(strstr(err.detail, "exporters.out")); /* the exporter is named */
    assert_string_equal(settings.name, "untouched");
}

static void addresses_that_lead_nowhere_are_refused(void **state)
{
    static const struct {
        const char *endpoint, *why;
        wb_otlp_protocol_key protocol;
    } cases[] = {
        {"host:4318", "http://", WB_OTLP_PROTOCOL_PROTOBUF},
        {"host:4317", "http://", WB_OTLP_PROTOCOL_GRPC},
        {"ftp://host", "neither http nor https", WB_OTLP_PROTOCOL_PROTOBUF},
        {"http://user:secret@host", "basic_file", WB_OTLP_PROTOCOL_PROTOBUF},
        {"http://host/#part", "before #", WB_OTLP_PROTOCOL_PROTOBUF},
        {"http://host/?a=b", "query", WB_OTLP_PROTOCOL_PROTOBUF},
        {"http://host:4317/v1", "its own paths", WB_OTLP_PROTOCOL_GRPC},
        {"http://host:99999", "exporters.out: endpoint", WB_OTLP_PROTOCOL_PROTOBUF},
        {"http://host:0", "port 0", WB_OTLP_PROTOCOL_PROTOBUF},
        {"http://", "exporters.out: endpoint", WB_OTLP_PROTOCOL_PROTOBUF},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_otlp_export_config config = config_for(traces, 1);
        config.endpoint = cases[i].endpoint;
        config.protocol = cases[i].protocol;
        refuses(&config, NULL, cases[i].why);
    }
}

static void no_endpoint_is_assumed(void **state)
{
    (void)state;
    wb_otlp_export_config config = config_for(all, 3);
    refuses(&config, NULL, "no endpoint for traces");
    config.traces_endpoint = "http://host/t";
    refuses(&config, NULL, "no endpoint for logs");
    config.env = true;
    const char *env[] = {"OTEL_EXPORTER_OTLP_ENDPOINT=", NULL}; /* empty is not set */
    refuses(&config, env, "no endpoint for logs");
}

static void variables_with_other_words_are_refused(void **state)
{
    static const struct {
        const char *variable;
        const char *why;
    } cases[] = {
        {"OTEL_EXPORTER_OTLP_PROTOCOL=thrift", "OTEL_EXPORTER_OTLP_PROTOCOL"},
        {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=zstd", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "milliseconds"},
        {"OTEL_EXPORTER_OTLP_HEADERS=novalue", "OTEL_EXPORTER_OTLP_HEADERS"},
        {"OTEL_EXPORTER_OTLP_HEADERS=a=b%0Ac", "ends its line"},
        {"OTEL_EXPORTER_OTLP_CLIENT_KEY=/k.pem", "tls.cert_file"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_otlp_export_config config = config_for(traces, 1);
        const char *env[] = {cases[i].variable, NULL};
        config.endpoint = "http://host";
        config.env = true;
        refuses(&config, env, cases[i].why);
    }
}

static void who_asks_for_tls_gets_it_or_hears_of_it(void **state)
{
    const wb_otlp_export_config asked[] = {
        {.ca_file = "/a"}, {.cert_file = "/a"}, {.insecure_skip_verify = true}};
    static const char *const keys[] = {"tls.ca_file", "tls.cert_file", "tls.insecure_skip_verify"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(asked); i++) {
        WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
        wb_otlp_export_config config = asked[i];
        wb_otlp_settings s;
        wb_error err;
        assert_non_null(arena);
        config.signals = all;
        config.n_signals = 3;
        config.endpoint = "http://host";
        refuses(&config, NULL, keys[i]);
        refuses(&config, NULL, "https://");
        config.logs_endpoint = "https://host/v1/logs"; /* one of them is enough */
        assert_int_equal(make(&config, NULL, arena, &s, &err), WB_OK);
    }
}

static void headers_that_are_not_the_users_are_refused(void **state)
{
    static const struct {
        wb_slice header;
        const char *why;
    } cases[] = {
        {{(const uint8_t *)"Content-Type=text/plain", 23}, "belongs to the protocol"},
        {{(const uint8_t *)"authorization=Bearer x", 22}, "bearer_file"},
        {{(const uint8_t *)"a b=c", 5}, "name=value"},
        {{(const uint8_t *)"=c", 2}, "name=value"},
        {{(const uint8_t *)"a=", 2}, "no value"},
        {{(const uint8_t *)"a=b\r\nc: d", 9}, "ends its line"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_otlp_export_config config = config_for(traces, 1);
        config.endpoint = "http://host";
        config.headers = &cases[i].header;
        config.n_headers = 1;
        refuses(&config, NULL, cases[i].why);
    }
}

static void two_credentials_or_an_unknown_signal_are_refused(void **state)
{
    static const wb_slice wrong[] = {WB_S("profiles")};
    (void)state;
    wb_otlp_export_config config = config_for(traces, 1);
    config.endpoint = "http://host";
    config.bearer_file = "/a";
    config.basic_file = "/b";
    refuses(&config, NULL, "basic_file");
    config = config_for(wrong, 1);
    config.endpoint = "http://host";
    refuses(&config, NULL, "traces, logs, metrics");
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void an_address_becomes_that_of_each_signal(void **state)
{
    static const struct {
        const char *endpoint, *own, *url, *host;
        wb_otlp_protocol_key protocol;
        uint16_t port;
        bool tls;
    } cases[] = {
        {"http://host:4318", NULL, "http://host:4318/v1/traces", "host", WB_OTLP_PROTOCOL_UNSET,
         4318, false},
        {"https://host", NULL, "https://host/v1/traces", "host", WB_OTLP_PROTOCOL_JSON, 443, true},
        {"http://host/otlp/", NULL, "http://host/otlp/v1/traces", "host", WB_OTLP_PROTOCOL_PROTOBUF,
         80, false},
        {"http://host", "https://other/in?key=1", "https://other/in?key=1", "other",
         WB_OTLP_PROTOCOL_PROTOBUF, 443, true},
        {NULL, "http://other:1", "http://other:1/", "other", WB_OTLP_PROTOCOL_PROTOBUF, 1, false},
        {"http://[::1]:4318", NULL, "http://[::1]:4318/v1/traces", "::1", WB_OTLP_PROTOCOL_PROTOBUF,
         4318, false},
        {"http://host:4317", NULL,
         "http://host:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export", "host",
         WB_OTLP_PROTOCOL_GRPC, 4317, false},
    };
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    (void)state;
    assert_non_null(arena);
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_otlp_export_config config = config_for(traces, 1);
        wb_otlp_settings s;
        wb_error err;
        config.endpoint = cases[i].endpoint;
        config.traces_endpoint = cases[i].own;
        config.protocol = cases[i].protocol;
        if (make(&config, NULL, arena, &s, &err) != WB_OK) fail_msg("%s", err.detail);
        const wb_otlp_target *t = &s.targets[WB_SIGNAL_TRACES];
        assert_string_equal(t->url, cases[i].url);
        assert_string_equal(t->host, cases[i].host);
        assert_int_equal(t->port, cases[i].port);
        assert_int_equal(t->tls, cases[i].tls);
        assert_false(s.targets[WB_SIGNAL_LOGS].on);
    }
}

static void a_variable_may_have_an_address_as_sdks_take_it(void **state)
{
    static const struct {
        const char *env[VARS];
        const char *url;
    } cases[] = {
        {{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318"}, "http://c:4318/v1/logs"},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://l/x"},
         "http://l/x"},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT=c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
         "https://c:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export"},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT=c:4317", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=grpc",
          "OTEL_EXPORTER_OTLP_INSECURE=True"},
         "http://c:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export"},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c:4317/ignored", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
          "OTEL_EXPORTER_OTLP_INSECURE=true"},
         "https://c:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export"},
    };
    static const wb_slice logs[] = {WB_S("logs")};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    (void)state;
    assert_non_null(arena);
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_otlp_export_config config = config_for(logs, 1);
        wb_otlp_settings s;
        wb_error err;
        config.env = true;
        if (make(&config, cases[i].env, arena, &s, &err) != WB_OK) fail_msg("%s", err.detail);
        assert_string_equal(s.targets[WB_SIGNAL_LOGS].url, cases[i].url);
    }
}

/* ---- who wins ------------------------------------------------------------------------------- */

static const char *const full[] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://general:1",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://special:2/t",
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc",
    "OTEL_EXPORTER_OTLP_HEADERS=a=1, Authorization=Basic%20eDp5 ,,b=x=y",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS=c=3",
    "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
    "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION=none",
    "OTEL_EXPORTER_OTLP_TIMEOUT=7000",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=0",
    "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/cert.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY=/key.pem",
    "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE=/logs-ca.pem",
    NULL,
};

static void a_signals_variable_wins_over_the_general_one(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_otlp_export_config config = config_for(all, 3);
    wb_otlp_settings s;
    wb_error err;
    (void)state;
    assert_non_null(arena);
    config.env = true;
    if (make(&config, full, arena, &s, &err) != WB_OK) fail_msg("%s", err.detail);
    const wb_otlp_target *t = &s.targets[WB_SIGNAL_TRACES], *l = &s.targets[WB_SIGNAL_LOGS],
                         *m = &s.targets[WB_SIGNAL_METRICS];
    assert_string_equal(t->url, "http://special:2/t");
    assert_string_equal(l->url, "http://general:1/v1/logs");
    assert_int_equal(t->protocol, WB_OTLP_JSON);
    assert_int_equal(m->protocol, WB_OTLP_GRPC);
    assert_true(t->gzip && m->gzip && !l->gzip);
    assert_int_equal(t->timeout_ms, 0);
    assert_int_equal(l->timeout_ms, 7000);
    assert_string_equal(t->ca_file, "/ca.pem");
    assert_string_equal(l->ca_file, "/logs-ca.pem");
    assert_string_equal(m->cert_file, "/cert.pem");
    assert_string_equal(m->key_file, "/key.pem");
    assert_int_equal(t->headers.n, 3);
    assert_string_equal(t->headers.lines[0], "a: 1");
    assert_string_equal(t->headers.lines[1], "Authorization: Basic eDp5");
    assert_string_equal(t->headers.lines[2], "b: x=y");
    assert_int_equal(l->headers.n, 1);
    assert_string_equal(l->headers.lines[0], "c: 3");
}

static void the_configuration_wins_over_variables(void **state)
{
    static const wb_slice headers[] = {WB_S("x-team=blue")};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_otlp_export_config config = config_for(all, 3);
    wb_otlp_settings s;
    wb_error err;
    (void)state;
    assert_non_null(arena);
    config.env = true;
    config.endpoint = "https://mine:3";
    config.logs_endpoint = "https://mine:4/l";
    config.protocol = WB_OTLP_PROTOCOL_PROTOBUF;
    config.compression = WB_OTLP_COMPRESSION_NONE;
    config.timeout_ms = 1234;
    config.headers = headers;
    config.n_headers = 1;
    config.ca_file = "/mine.pem";
    if (make(&config, full, arena, &s, &err) != WB_OK) fail_msg("%s", err.detail);
    assert_string_equal(s.targets[WB_SIGNAL_TRACES].url, "https://mine:3/v1/traces");
    assert_string_equal(s.targets[WB_SIGNAL_LOGS].url, "https://mine:4/l");
    for (unsigned i = 0; i < WB_SIGNALS; i++) {
        const wb_otlp_target *t = &s.targets[i];
        assert_true(t->on);
        assert_int_equal(t->protocol, WB_OTLP_PROTOBUF);
        assert_false(t->gzip);
        assert_int_equal(t->timeout_ms, 1234);
        assert_int_equal(t->headers.n, 1);
        assert_string_equal(t->headers.lines[0], "x-team: blue");
        assert_string_equal(t->ca_file, "/mine.pem");
        assert_string_equal(t->cert_file, "/cert.pem"); /* not said: the variable's */
    }
}

static void variables_count_for_nothing_unless_asked_for(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_otlp_export_config config = config_for(traces, 1);
    wb_otlp_settings s;
    wb_error err;
    (void)state;
    assert_non_null(arena);
    config.endpoint = "http://mine";
    if (make(&config, full, arena, &s, &err) != WB_OK) fail_msg("%s", err.detail);
    const wb_otlp_target *t = &s.targets[WB_SIGNAL_TRACES];
    assert_int_equal(t->protocol, WB_OTLP_PROTOBUF);
    assert_int_equal(t->timeout_ms, WB_OTLP_TIMEOUT_MS);
    assert_int_equal(t->headers.n, 0);
    assert_null(t->ca_file);
    assert_false(t->gzip);
}

static void a_credential_of_the_configuration_replaces_the_variables(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_otlp_export_config config = config_for(traces, 1);
    wb_otlp_settings s;
    wb_error err;
    (void)state;
    assert_non_null(arena);
    config.env = true;
    config.bearer_file = "/token";
    if (make(&config, full, arena, &s, &err) != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(s.targets[WB_SIGNAL_TRACES].headers.n, 2);
    assert_string_equal(s.targets[WB_SIGNAL_TRACES].headers.lines[1], "b: x=y");
}

/* ---- needs ---------------------------------------------------------------------------------- */

typedef struct told {
    char files[2048];
    uint16_t ports[16];
    size_t n;
} told;

static void tell_file(void *ctx, const char *path)
{
    told *t = ctx;
    size_t at = strlen(t->files);
    (void)snprintf(t->files + at, sizeof t->files - at, "[%s]", path);
}

static void tell_port(void *ctx, uint16_t port)
{
    told *t = ctx;
    assert_true(t->n < WB_COUNT(t->ports));
    t->ports[t->n++] = port;
}

static told needs_of(const wb_otlp_export_config *config)
{
    told t = {.n = 0};
    const wb_exporter_needs needs = {
        .read = tell_file, .read_new = tell_file, .connect = tell_port, .ctx = &t};
    const wb_config_section section = {.name = "out", .values = config};
    wb_error err = {0};
    if (wb_otlp_tell_needs(&section, &needs, &err) != WB_OK) fail_msg("%s", err.detail);
    return t;
}

static void a_numeric_address_needs_its_port_alone(void **state)
{
    (void)state;
    wb_otlp_export_config config = config_for(traces, 1);
    config.endpoint = "http://127.0.0.1:4318";
    told t = needs_of(&config);
    assert_string_equal(t.files, "");
    assert_int_equal(t.n, 1);
    assert_int_equal(t.ports[0], 4318);
}

static void names_tls_and_secrets_need_their_files(void **state)
{
    (void)state;
    wb_otlp_export_config config = config_for(traces, 1);
    config.endpoint = "https://example.org";
    config.ca_file = "/ca.pem";
    config.bearer_file = "/token";
    told t = needs_of(&config);
    assert_non_null(strstr(t.files, "[/etc/resolv.conf]"));
    assert_non_null(strstr(t.files, "[/ca.pem]"));
    assert_non_null(strstr(t.files, "[/token]"));
    assert_int_equal(t.ports[0], 443);
    assert_int_equal(t.ports[1], 53);
    config.proxy_from_env = true;
    assert_int_equal(needs_of(&config).ports[0], 0); /* any */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_lead_nowhere_are_refused),
        cmocka_unit_test(no_endpoint_is_assumed),
        cmocka_unit_test(variables_with_other_words_are_refused),
        cmocka_unit_test(who_asks_for_tls_gets_it_or_hears_of_it),
        cmocka_unit_test(headers_that_are_not_the_users_are_refused),
        cmocka_unit_test(two_credentials_or_an_unknown_signal_are_refused),
        cmocka_unit_test(an_address_becomes_that_of_each_signal),
        cmocka_unit_test(a_variable_may_have_an_address_as_sdks_take_it),
        cmocka_unit_test(a_signals_variable_wins_over_the_general_one),
        cmocka_unit_test(the_configuration_wins_over_variables),
        cmocka_unit_test(variables_count_for_nothing_unless_asked_for),
        cmocka_unit_test(a_credential_of_the_configuration_replaces_the_variables),
        cmocka_unit_test(a_numeric_address_needs_its_port_alone),
        cmocka_unit_test(names_tls_and_secrets_need_their_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
