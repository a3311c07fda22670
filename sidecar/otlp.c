/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers, who may use them, and the files that both are made of. The files are read once, at the start:
 * keys and bearers lie where the sandbox lets nobody look later. */
#include "sidecar/otlp.h"

#include "core/log.h"
#include "core/secret_file.h"
#include "sidecar/on_export.h"
#include "sidecar/receivers/otlp/access.h"
#include "sidecar/receivers/otlp/http.h"

#include <stdlib.h>

enum { FILES_BYTES = 1024 * 1024 };

struct wb_otlp {
    wb_arena *files; /* the bearer, and PEM */
    wb_slice cert, key, client_ca;
    wb_otlp_access *access;
    wb_otlp_http *http; /* NULL: off */
    uint16_t http_port;
};

static bool is_agent(void *self, uint64_t uid)
{
    return wb_access_roles(self, uid) & WB_ROLE_AGENT;
}

static wb_status read_files(wb_otlp *o, const wb_otlp_config *c, wb_slice *bearer, wb_error *err)
{
    if (c->bearer_file)
        WB_TRY(wb_secret_file_read("otlp.bearer_file", c->bearer_file, o->files, bearer, err));
    if (c->tls_cert_file)
        WB_TRY(
            wb_public_file_read("otlp.tls.cert_file", c->tls_cert_file, o->files, &o->cert, err));
    if (c->tls_key_file)
        WB_TRY(wb_secret_file_read("otlp.tls.key_file", c->tls_key_file, o->files, &o->key, err));
    if (c->tls_client_ca_file)
        WB_TRY(wb_public_file_read("otlp.tls.client_ca_file", c->tls_client_ca_file, o->files,
                                   &o->client_ca, err));
    return WB_OK;
}

wb_status wb_otlp_prepare(wb_sidecar *sidecar, wb_error *err)
{
    const wb_otlp_config *config = &sidecar->config->otlp;
    if (config->http.off && config->grpc.off) return WB_OK;
    wb_otlp *o = calloc(1, sizeof *o);
    wb_slice bearer = {0};
    sidecar->otlp = o; /* wb_otlp_close frees what there is of it */
    if (!o || !(o->files = wb_arena_new(FILES_BYTES)))
        return wb_fail(err, WB_ERR_NO_MEMORY, "OTLP receivers");
    WB_TRY(read_files(o, config, &bearer, err));
    const wb_otlp_access_options access = {
        .bearer = bearer, .is_agent = is_agent, .self = &sidecar->access};
    return wb_otlp_access_open(&access, &o->access, err);
}

static void say_access(const wb_otlp *o, const wb_otlp_config *config)
{
    if (!wb_otlp_access_knows_users(o->access))
        WB_LOG(WARN, "otlp.users_unknown",
               "the kernel does not say which user is at the other end of a connection, so each "
               "sender needs the bearer",
               WB_KV("todo", "let the process open NETLINK_SOCK_DIAG, or set otlp.bearer_file"));
    bool far = (!config->http.off && !wb_listen_is_loopback(&config->http)) ||
               (!config->grpc.off && !wb_listen_is_loopback(&config->grpc));
    if (far && o->cert.len == 0)
        WB_LOG(WARN, "otlp.clear_bearer",
               "the bearer comes over the network in clear text: whoever listens there has it",
               WB_KV("todo", "set otlp.tls.cert_file and otlp.tls.key_file"));
}

wb_status wb_otlp_open(wb_sidecar *sidecar, wb_error *err)
{
    wb_otlp *o = sidecar->otlp;
    const wb_otlp_config *config = &sidecar->config->otlp;
    if (!o) return WB_OK;
    say_access(o, config);
    const wb_otlp_http_options http = {.listen = &config->http,
                                       .cert = o->cert,
                                       .key = o->key,
                                       .client_ca = o->client_ca,
                                       .threads = sidecar->config->workers,
                                       .sink = wb_export_sink_of(sidecar, WB_RECEIVER_OTLP_HTTP),
                                       .access = o->access,
                                       .clock = sidecar->clock};
    if (config->http.off) return WB_OK;
    return wb_otlp_http_open(&http, &o->http, &o->http_port, err);
}

void wb_otlp_tick(wb_sidecar *sidecar)
{
    wb_otlp *o = sidecar->otlp;
    if (o && o->http) wb_otlp_http_tick(o->http);
}

void wb_otlp_stop(wb_sidecar *sidecar)
{
    wb_otlp *o = sidecar->otlp;
    if (o && o->http) wb_otlp_http_stop(o->http);
}

uint32_t wb_otlp_in_hand(const wb_sidecar *sidecar)
{
    const wb_otlp *o = sidecar->otlp;
    return o && o->http ? wb_otlp_http_in_hand(o->http) : 0;
}

void wb_otlp_close(wb_sidecar *sidecar)
{
    wb_otlp *o = sidecar->otlp;
    if (!o) return;
    wb_otlp_http_close(o->http);
    wb_otlp_access_free(o->access);
    wb_arena_free(o->files);
    free(o);
    sidecar->otlp = NULL;
}

static void report_of(const char *name, const wb_listen *where, uint16_t port, bool tls,
                      const wb_otlp_counters *c, wb_otlp_report *out)
{
    *out = (wb_otlp_report){.name = name,
                            .host = where->host,
                            .port = port,
                            .tls = tls,
                            .connections = atomic_load(&c->connections),
                            .closed_out = atomic_load(&c->closed_out),
                            .requests = atomic_load(&c->requests),
                            .bytes = atomic_load(&c->bytes)};
    for (size_t i = 0; i < WB_OTLP_REFUSALS; i++) {
        out->refused[i].cause = wb_otlp_refusal_name((wb_otlp_refusal)i);
        out->refused[i].n = atomic_load(&c->refused[i]);
    }
    out->n_refused = WB_OTLP_REFUSALS;
}

bool wb_otlp_get_report(const wb_sidecar *sidecar, size_t i, wb_otlp_report *out)
{
    const wb_otlp *o = sidecar->otlp;
    if (!o || !o->http || i > 0) return false;
    report_of("http", &sidecar->config->otlp.http, o->http_port, o->cert.len > 0,
              wb_otlp_http_counters(o->http), out);
    return true;
}
