/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/otlp/config.h"

static wb_status check_tls(const wb_otlp_config *c, wb_error *err)
{
    if (!c->tls_cert_file != !c->tls_key_file)
        return wb_fail(err, WB_ERR_CONFIG,
                       "otlp.tls: cert_file and key_file belong together, and one is missing");
    if (c->tls_client_ca_file && !c->tls_cert_file)
        return wb_fail(err, WB_ERR_CONFIG,
                       "otlp.tls.client_ca_file: needs otlp.tls.cert_file and key_file beside it");
    return WB_OK;
}

static wb_status check_reach(const char *key, const wb_listen *where, const wb_otlp_config *c,
                             wb_error *err)
{
    if (where->off || wb_listen_is_loopback(where)) return WB_OK;
    if (c->bearer_file || c->tls_client_ca_file) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG,
                   "%s: %s is reached from other machines: set otlp.bearer_file or "
                   "otlp.tls.client_ca_file, or listen on 127.0.0.1",
                   key, where->host);
}

wb_status wb_otlp_config_make(wb_otlp_config *c, wb_error *err)
{
    static const char http[] = "otlp.http.listen", grpc[] = "otlp.grpc.listen";
    WB_TRY(wb_listen_make(http, c->http_listen, WB_OTLP_HTTP_PORT, true, &c->http, err));
    WB_TRY(wb_listen_make(grpc, c->grpc_listen, WB_OTLP_GRPC_PORT, true, &c->grpc, err));
    WB_TRY(check_tls(c, err));
    WB_TRY(check_reach(http, &c->http, c, err));
    return check_reach(grpc, &c->grpc, c, err);
}
