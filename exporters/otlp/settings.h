/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/settings.h: what is in force for each signal, out of configuration and variables.
 * Private to exporters/otlp/. Source: OpenTelemetry specification 1.60, "OpenTelemetry Protocol Exporter". */
#ifndef WAYBILL_EXPORTERS_OTLP_SETTINGS_H
#define WAYBILL_EXPORTERS_OTLP_SETTINGS_H

#include "core/arena.h"
#include "exporters/otlp/otlp.h"
#include "proto/signal.h"

enum {
    WB_OTLP_TIMEOUT_MS = 10000,
    WB_OTLP_HEADERS_MAX = 64,
};

typedef enum wb_otlp_protocol { WB_OTLP_PROTOBUF, WB_OTLP_JSON, WB_OTLP_GRPC } wb_otlp_protocol;

/* A header as it is sent: "Name: value". */
typedef struct wb_otlp_headers {
    const char **lines;
    size_t n;
} wb_otlp_headers;

/** Where one signal goes. All texts live in the settings' arena or in the configuration. */
typedef struct wb_otlp_target {
    bool on;
    bool tls, gzip;
    wb_otlp_protocol protocol;
    const char *url;  /* whole, with the path */
    const char *host; /* an IPv6 address without brackets */
    uint16_t port;
    uint32_t timeout_ms; /* 0: none of its own */
    wb_otlp_headers headers;
    const char *ca_file, *cert_file, *key_file; /* NULL: none */
} wb_otlp_target;

typedef struct wb_otlp_settings {
    const char *name; /* of the exporter */
    wb_otlp_target targets[WB_SIGNALS];
    const char *headers_file, *bearer_file, *basic_file; /* NULL: none */
    bool insecure_skip_verify, delegation_logs, proxy_from_env;
    size_t max_request_bytes;
} wb_otlp_settings;

/** Settle every value: a key of the configuration, the signal's own variable, the general variable, the
 *  default. Variables count with config->env alone, and an empty one is none.
 *  env     as environ
 *  arena   holds what `out` points at
 *  Errors  CONFIG settings that can never work | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_settings_make(const char *name, const wb_otlp_export_config *config,
                                            char *const *env, wb_arena *arena,
                                            wb_otlp_settings *out, wb_error *err);

/** Append "name=value" or "name: value" as a line to send.
 *  decode  the value is percent-encoded, as in variables
 *  Errors  CONFIG no such header, or one that belongs to the protocol | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_header_add(wb_otlp_headers *headers, wb_slice text, bool decode,
                                         wb_arena *arena, wb_error *err);

/** exporters/exporter.h, tell_needs. */
WB_MUST_USE wb_status wb_otlp_tell_needs(const wb_config_section *cfg,
                                         const wb_exporter_needs *needs, wb_error *err);

/** "traces", "metrics", "logs". */
const char *wb_otlp_signal_name(wb_signal signal);

#endif
