/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/otlp.h: spans, logs, metrics and delegations to any OTLP backend, over HTTP (protobuf or
 * JSON) or gRPC. What the keys mean, which variables count and what is repeated: docs/exporters.md. */
#ifndef WAYBILL_EXPORTERS_OTLP_OTLP_H
#define WAYBILL_EXPORTERS_OTLP_OTLP_H

#include "exporters/exporter.h"

/* Of what may also come from a variable the first word, or no value, is "not said". */
typedef enum wb_otlp_protocol_key {
    WB_OTLP_PROTOCOL_UNSET,
    WB_OTLP_PROTOCOL_PROTOBUF,
    WB_OTLP_PROTOCOL_JSON,
    WB_OTLP_PROTOCOL_GRPC,
} wb_otlp_protocol_key;
typedef enum wb_otlp_compression_key {
    WB_OTLP_COMPRESSION_UNSET,
    WB_OTLP_COMPRESSION_NONE,
    WB_OTLP_COMPRESSION_GZIP,
} wb_otlp_compression_key;

/** What the section's `values` point at. */
typedef struct wb_otlp_export_config {
    const char *endpoint, *traces_endpoint, *logs_endpoint, *metrics_endpoint;
    wb_otlp_protocol_key protocol;
    wb_otlp_compression_key compression;
    const wb_slice *headers; /* "name=value" */
    size_t n_headers;
    const char *headers_file, *bearer_file, *basic_file;
    const char *ca_file, *cert_file, *key_file;
    uint64_t timeout_ms; /* 0: not said */
    uint64_t max_request_bytes;
    const wb_slice *signals;
    size_t n_signals;
    bool insecure_skip_verify, delegation_logs, proxy_from_env, env;
} wb_otlp_export_config;

/** Its rows of the configuration, for a table of structs in which a wb_otlp_export_config begins at `at`:
 *  core/config.h says what `prefix` and `only_type` do. */
#define WB_OTLP_EXPORT_CONFIG_KEYS(prefix, at, only_type)                                          \
    {.name = prefix "endpoint",                                                                    \
     .type = WB_TEXT,                                                                              \
     .min = 0,                                                                                     \
     .max = 1024,                                                                                  \
     .only = (only_type),                                                                          \
     .offset = (at) + offsetof(wb_otlp_export_config, endpoint),                                   \
     .hides_secrets = true,                                                                        \
     .help = "Its base: `https://host:4318`, to which `/v1/traces` and the like are added; with "  \
             "`grpc` "                                                                             \
             "`https://host:4317`. Needed, unless each signal has its own or `env` is set."},      \
        {.name = prefix "traces_endpoint",                                                         \
         .type = WB_TEXT,                                                                          \
         .max = 1024,                                                                              \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, traces_endpoint),                        \
         .hides_secrets = true,                                                                    \
         .help = "Of traces alone: taken as it is, with its path."},                               \
        {.name = prefix "logs_endpoint",                                                           \
         .type = WB_TEXT,                                                                          \
         .max = 1024,                                                                              \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, logs_endpoint),                          \
         .hides_secrets = true,                                                                    \
         .help = "Of logs alone, likewise."},                                                      \
        {.name = prefix "metrics_endpoint",                                                        \
         .type = WB_TEXT,                                                                          \
         .max = 1024,                                                                              \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, metrics_endpoint),                       \
         .hides_secrets = true,                                                                    \
         .help = "Of metrics alone, likewise."},                                                   \
        {.name = prefix "protocol",                                                                \
         .type = WB_CHOICE,                                                                        \
         .choices = "|http/protobuf|http/json|grpc",                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, protocol),                               \
         .help = "How to speak. Unset: `http/protobuf`."},                                         \
        {.name = prefix "signals",                                                                 \
         .type = WB_SLICES,                                                                        \
         .fallback = "traces,logs,metrics",                                                        \
         .min = 1,                                                                                 \
         .max = 3,                                                                                 \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, signals),                                \
         .help = "What it takes, of `traces`, `logs`, `metrics`. Jaeger takes `[traces]`."},       \
        {.name = prefix "delegation_logs",                                                         \
         .type = WB_BOOL,                                                                          \
         .fallback = "true",                                                                       \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, delegation_logs),                        \
         .help =                                                                                   \
             "Delegations as log records, where it takes logs: one for each change of state."},    \
        {.name = prefix "headers",                                                                 \
         .type = WB_SLICES,                                                                        \
         .max = 64,                                                                                \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, headers),                                \
         .hides_secrets = true,                                                                    \
         .help = "Further headers, `name=value`. Values are never printed, but secrets belong "    \
                 "into `headers_file`."},                                                          \
        {.name = prefix "headers_file",                                                            \
         .type = WB_TEXT,                                                                          \
         .min = 0,                                                                                 \
         .max = 400,                                                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, headers_file),                           \
         .help = "The same, one a line, in a file that others cannot read."},                      \
        {.name = prefix "bearer_file",                                                             \
         .type = WB_TEXT,                                                                          \
         .max = 400,                                                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, bearer_file),                            \
         .help = "File with a token: `Authorization: Bearer`. Read again when it changes."},       \
        {.name = prefix "basic_file",                                                              \
         .type = WB_TEXT,                                                                          \
         .max = 400,                                                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, basic_file),                             \
         .help =                                                                                   \
             "File with `user:password`: `Authorization: Basic`. Read again when it changes."},    \
        {.name = prefix "tls.ca_file",                                                             \
         .type = WB_TEXT,                                                                          \
         .max = 400,                                                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, ca_file),                                \
         .help = "PEM: who may have signed its certificate. Unset: the system's authorities."},    \
        {.name = prefix "tls.cert_file",                                                           \
         .type = WB_TEXT,                                                                          \
         .max = 400,                                                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, cert_file),                              \
         .help = "PEM: our certificate, for mutual TLS."},                                         \
        {.name = prefix "tls.key_file",                                                            \
         .type = WB_TEXT,                                                                          \
         .max = 400,                                                                               \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, key_file),                               \
         .help = "PEM: its key."},                                                                 \
        {.name = prefix "tls.insecure_skip_verify",                                                \
         .type = WB_BOOL,                                                                          \
         .fallback = "false",                                                                      \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, insecure_skip_verify),                   \
         .help = "Believe any certificate. Said at every start; for a test bench only."},          \
        {.name = prefix "compression",                                                             \
         .type = WB_CHOICE,                                                                        \
         .choices = "|none|gzip",                                                                  \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, compression),                            \
         .help = "Of requests. Unset: `none`."},                                                   \
        {.name = prefix "timeout",                                                                 \
         .type = WB_MS,                                                                            \
         .max = 600000,                                                                            \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, timeout_ms),                             \
         .help = "Of one request. Unset: 10 s."},                                                  \
        {.name = prefix "max_request_bytes",                                                       \
         .type = WB_BYTES,                                                                         \
         .fallback = "4MiB",                                                                       \
         .min = 4096,                                                                              \
         .max = 64 * 1024 * 1024,                                                                  \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, max_request_bytes),                      \
         .help = "Of a request before compression; larger ones are split between spans."},         \
        {.name = prefix "proxy_from_env",                                                          \
         .type = WB_BOOL,                                                                          \
         .fallback = "false",                                                                      \
         .only = (only_type),                                                                      \
         .offset = (at) + offsetof(wb_otlp_export_config, proxy_from_env),                         \
         .help = "Go through the proxy that `https_proxy`, `http_proxy` and `no_proxy` name."},    \
    {                                                                                              \
        .name = prefix "env", .type = WB_BOOL, .fallback = "false", .only = (only_type),           \
        .offset = (at) + offsetof(wb_otlp_export_config, env),                                     \
        .help =                                                                                    \
            "What is not set here comes from the `OTEL_EXPORTER_OTLP_*` variables of the sidecar." \
    }

extern const wb_exporter_ops wb_exporter_otlp;

#endif
