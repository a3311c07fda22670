/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/config.h: the rows of the OTLP receivers. A build without them has none. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_CONFIG_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_CONFIG_H

#include "core/config.h"
#include "sidecar/receivers/listen.h"

enum { WB_OTLP_HTTP_PORT = 4318, WB_OTLP_GRPC_PORT = 4317 };

typedef struct wb_otlp_config {
    const char *http_listen, *grpc_listen; /* as written; NULL: the default */
    const char *bearer_file;               /* each NULL: none */
    const char *tls_cert_file, *tls_key_file, *tls_client_ca_file;

    /* made from the above by wb_otlp_config_make */
    wb_listen http, grpc;
} wb_otlp_config;

#ifdef WAYBILL_OTLP_RECEIVER
/** For a table of structs in which a wb_otlp_config begins at `at`. With a comma behind it. */
#define WB_OTLP_CONFIG_KEYS(at)                                                                    \
    {.name = "otlp.http.listen",                                                                   \
     .type = WB_TEXT,                                                                              \
     .min = 1,                                                                                     \
     .max = 80,                                                                                    \
     .offset = (at) + offsetof(wb_otlp_config, http_listen),                                       \
     .help = "Address of the OTLP/HTTP receiver, or `off`. Unset: `127.0.0.1:4318`, or a free "    \
             "port where that one is taken (`waybill status` says which). Beyond loopback only "   \
             "with `otlp.bearer_file` or `otlp.tls.client_ca_file`."},                             \
        {.name = "otlp.grpc.listen",                                                               \
         .type = WB_TEXT,                                                                          \
         .min = 1,                                                                                 \
         .max = 80,                                                                                \
         .offset = (at) + offsetof(wb_otlp_config, grpc_listen),                                   \
         .help = "The same of the OTLP/gRPC receiver. Unset: `127.0.0.1:4317`."},                  \
        {.name = "otlp.bearer_file",                                                               \
         .type = WB_TEXT,                                                                          \
         .min = 1,                                                                                 \
         .max = 400,                                                                               \
         .offset = (at) + offsetof(wb_otlp_config, bearer_file),                                   \
         .help = "File with the bearer that lets in who is not one of the agent's users on this "  \
                 "machine. Others must not be able to read it. A reload reads it again."},         \
        {.name = "otlp.tls.cert_file",                                                             \
         .type = WB_TEXT,                                                                          \
         .min = 1,                                                                                 \
         .max = 400,                                                                               \
         .offset = (at) + offsetof(wb_otlp_config, tls_cert_file),                                 \
         .help = "PEM: the certificate, and those between it and its root. With it both OTLP "     \
                 "receivers speak TLS only."},                                                     \
        {.name = "otlp.tls.key_file",                                                              \
         .type = WB_TEXT,                                                                          \
         .min = 1,                                                                                 \
         .max = 400,                                                                               \
         .offset = (at) + offsetof(wb_otlp_config, tls_key_file),                                  \
         .help = "PEM: its private key. Others must not be able to read it."},                     \
        {.name = "otlp.tls.client_ca_file",                                                        \
         .type = WB_TEXT,                                                                          \
         .min = 1,                                                                                 \
         .max = 400,                                                                               \
         .offset = (at) + offsetof(wb_otlp_config, tls_client_ca_file),                            \
         .help = "PEM: who shows a certificate of one of these authorities is let in."},
#else
#define WB_OTLP_CONFIG_KEYS(at)
#endif

/** What the rows say together. Fills http and grpc.
 *  Errors  CONFIG no address:port; certificate without key or the reverse; a client CA without a
 *          certificate; beyond loopback without bearer or client CA */
WB_MUST_USE wb_status wb_otlp_config_make(wb_otlp_config *config, wb_error *err);

#endif
