/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers, who may use them, and the files that both are made of. The files are read once, at the start:
 * private keys lie where the sandbox lets nobody look later. The bearer is read again at each reload, so that it
 * can be changed without a restart. */
#include "sidecar/otlp.h"

#include "core/log.h"
#include "core/secret_file.h"
#include "sidecar/on_export.h"
#include "sidecar/ports.h"
#include "sidecar/receivers/otlp/access.h"
#include "sidecar/receivers/otlp/certificate.h"
#include "sidecar/receivers/otlp/grpc.h"
#include "sidecar/receivers/otlp/grpc_tls.h"
#include "sidecar/receivers/otlp/http.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    FILES_BYTES = 1024 * 1024,
    GRPC_BACKLOG = 256,
    GRPC_MESSAGE_MAX = 8 * 1024 * 1024,  /* DESIGN section 4 */
    GRPC_ARENA_BYTES = 40 * 1024 * 1024, /* what is made of one; as workers.c has it */
    GRPC_CONNECTIONS = 256,
    GRPC_STREAMS = 100,
    GRPC_STALL_MS = 10 * 1000,
    GRPC_ARRIVE_MS = 30 * 1000,
    GRPC_IDLE_MS = 10 * 60 * 1000, /* beyond what SDKs export metrics at */
};

struct wb_otlp {
    wb_arena *files; /* the bearer, and PEM */
    wb_slice cert, key, client_ca;
    wb_tls_dates dates; /* of `cert` */
    atomic_int said;    /* wb_tls_validity: what is in the log of them */
    wb_otlp_access *access;
    wb_otlp_http *http; /* NULL: off */
    wb_otlp_grpc *grpc; /* as is */
    uint16_t http_port, grpc_port;
    pthread_t grpc_thread;
    bool grpc_runs;
};

static bool is_agent(void *self, uint64_t uid)
{
    return wb_access_roles(self, uid) & WB_ROLE_AGENT;
}

/* What no header can carry would shut out everybody who needs the bearer. */
static wb_status read_bearer(const char *path, wb_arena *arena, wb_slice *out, wb_error *err)
{
    WB_TRY(wb_secret_file_read("otlp.bearer_file", path, arena, out, err));
    for (size_t i = 0; i < out->len; i++)
        if (out->ptr[i] <= ' ' || out->ptr[i] > '~')
            return wb_fail(
                err, WB_ERR_CONFIG,
                "otlp.bearer_file: byte %zu is none of a header: one word of visible ASCII: %s",
                i + 1, path);
    return WB_OK;
}

static wb_status read_files(wb_otlp *o, const wb_otlp_config *c, wb_slice *bearer, wb_error *err)
{
    if (c->bearer_file) WB_TRY(read_bearer(c->bearer_file, o->files, bearer, err));
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

/* Once for each that it becomes: clients refuse it, and say so where nobody looks. */
static void say_dates(wb_otlp *o, wb_time_ns now)
{
    static const char *const names[] = {
        [WB_TLS_VALID] = "valid", [WB_TLS_NOT_YET] = "not valid yet", [WB_TLS_EXPIRED] = "expired"};
    wb_tls_validity is = wb_tls_validity_at(&o->dates, now);
    if ((wb_tls_validity)atomic_exchange(&o->said, (int)is) == is || is == WB_TLS_VALID) return;
    WB_LOG(WARN, "otlp.certificate",
           "the receivers' certificate is out of its time: clients refuse it",
           WB_KV("certificate", names[is]), WB_KV("from_s", o->dates.not_before_ns / WB_NS_PER_S),
           WB_KV("until_s", o->dates.not_after_ns / WB_NS_PER_S),
           WB_KV("todo", "renew otlp.tls.cert_file, and restart"));
}

/* Do they belong together? The same library serves both receivers. */
static wb_status check_files(wb_otlp *o, wb_error *err)
{
    const wb_otlp_grpc_tls pem = {o->cert, o->key, o->client_ca};
    wb_grpc_tls *tls = NULL;
    if (o->cert.len == 0) return WB_OK;
    WB_TRY(wb_grpc_tls_new(&pem, &tls, err));
    wb_grpc_tls_free(tls);
    return wb_tls_dates_read(o->cert, &o->dates, err);
}

wb_status wb_otlp_check(const wb_sidecar_config *config, wb_error *err)
{
    wb_otlp o = {.files = NULL};
    wb_slice bearer;
    if (config->otlp.http.off && config->otlp.grpc.off) return WB_OK;
    o.files = wb_arena_new(FILES_BYTES);
    if (!o.files) return wb_fail(err, WB_ERR_NO_MEMORY, "OTLP receivers");
    wb_status status = read_files(&o, &config->otlp, &bearer, err);
    if (status == WB_OK) status = check_files(&o, err);
    wb_arena_free(o.files);
    return status;
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
    WB_TRY(check_files(o, err));
    say_dates(o, wb_now(sidecar->clock));
    const wb_otlp_access_options access = {
        .bearer = bearer, .is_agent = is_agent, .self = &sidecar->access, .mark = sidecar->mark};
    return wb_otlp_access_open(&access, &o->access, err);
}

static void say_access(const wb_otlp *o, const wb_otlp_config *config)
{
    if (!wb_otlp_access_knows_users(o->access))
        WB_LOG(WARN, "otlp.users_unknown",
               "the kernel does not say which user is at the other end of a connection, so each "
               "sender needs the bearer",
               WB_KV("todo", "let the process have AF_NETLINK sockets, or set otlp.bearer_file"));
    bool far = (!config->http.off && !wb_listen_is_loopback(&config->http)) ||
               (!config->grpc.off && !wb_listen_is_loopback(&config->grpc));
    if (far && o->cert.len == 0)
        WB_LOG(WARN, "otlp.clear_bearer",
               "the bearer comes over the network in clear text: whoever listens there has it",
               WB_KV("todo", "set otlp.tls.cert_file and otlp.tls.key_file"));
}

static wb_status open_http(wb_sidecar *sidecar, wb_otlp *o, wb_error *err)
{
    const wb_otlp_http_options http = {.listen = &sidecar->config->otlp.http,
                                       .cert = o->cert,
                                       .key = o->key,
                                       .client_ca = o->client_ca,
                                       .threads = sidecar->config->workers,
                                       .sink = wb_export_sink_of(sidecar, WB_RECEIVER_OTLP_HTTP),
                                       .access = o->access,
                                       .clock = sidecar->clock};
    return wb_otlp_http_open(&http, &o->http, &o->http_port, err);
}

static void on_closed_out(void *self, const char *why, uint64_t uid)
{
    static wb_log_gate gate;
    char who[WB_OTLP_UID_TEXT];
    uint64_t held_back = 0;
    if (!wb_log_gate_pass(&gate, wb_mono(((wb_sidecar *)self)->clock), &held_back)) return;
    WB_LOG(WARN, "otlp.closed_out", "an OTLP/gRPC client was closed", WB_KV("why", why),
           WB_KV("peer_uid", wb_otlp_uid_text(uid, who)), WB_KV("held_back", held_back));
}

static void on_denied(void *self, const char *todo, uint64_t uid)
{
    static wb_log_gate gate;
    char who[WB_OTLP_UID_TEXT];
    uint64_t held_back = 0;
    if (!wb_log_gate_pass(&gate, wb_mono(((wb_sidecar *)self)->clock), &held_back)) return;
    WB_LOG(WARN, "otlp.denied", "telemetry of somebody who may not send it was refused",
           WB_KV("peer_uid", wb_otlp_uid_text(uid, who)), WB_KV("todo", todo),
           WB_KV("held_back", held_back));
}

static void *run_grpc(void *arg)
{
    wb_otlp_grpc_run(arg);
    return NULL;
}

static wb_status open_grpc(wb_sidecar *sidecar, wb_otlp *o, wb_error *err)
{
    wb_otlp_grpc_options grpc = {.sink = wb_export_sink_of(sidecar, WB_RECEIVER_OTLP_GRPC),
                                 .access = o->access,
                                 .clock = sidecar->clock,
                                 .tls = {o->cert, o->key, o->client_ca},
                                 .max_message_bytes = GRPC_MESSAGE_MAX,
                                 .arena_bytes = GRPC_ARENA_BYTES,
                                 .connections = GRPC_CONNECTIONS,
                                 .streams = GRPC_STREAMS,
                                 .stall_ms = GRPC_STALL_MS,
                                 .arrive_ms = GRPC_ARRIVE_MS,
                                 .idle_ms = GRPC_IDLE_MS,
                                 .on_closed_out = on_closed_out,
                                 .on_denied = on_denied,
                                 .self = sidecar};
    WB_TRY(wb_listen_open("otlp.grpc.listen", &sidecar->config->otlp.grpc, GRPC_BACKLOG,
                          &grpc.listen_fd, &o->grpc_port, err));
    WB_TRY(wb_otlp_grpc_open(&grpc, &o->grpc, err));
    int rv = pthread_create(&o->grpc_thread, NULL, run_grpc, o->grpc);
    if (rv != 0) return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "gRPC thread");
    o->grpc_runs = true;
    return WB_OK;
}

wb_status wb_otlp_open(wb_sidecar *sidecar, wb_error *err)
{
    wb_otlp *o = sidecar->otlp;
    const wb_otlp_config *config = &sidecar->config->otlp;
    if (!o) return WB_OK;
    say_access(o, config);
    if (!config->http.off) WB_TRY(open_http(sidecar, o, err));
    if (!config->grpc.off) WB_TRY(open_grpc(sidecar, o, err));
    return wb_ports_check(sidecar->config, o->http_port, o->grpc_port, err);
}

wb_status wb_otlp_reload(void *self, wb_error *err)
{
    const wb_sidecar *sidecar = self;
    const char *path = sidecar->config->otlp.bearer_file;
    wb_slice bearer;
    if (!sidecar->otlp || !path) return WB_OK;
    WB_AUTO(wb_arena) arena = wb_arena_new(FILES_BYTES);
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "otlp.bearer_file: no memory");
    WB_TRY(read_bearer(path, arena, &bearer, err));
    wb_otlp_access_set_bearer(sidecar->otlp->access, bearer);
    return WB_OK;
}

void wb_otlp_tick(wb_sidecar *sidecar)
{
    wb_otlp *o = sidecar->otlp;
    if (o) say_dates(o, wb_now(sidecar->clock));
    if (o && o->http) wb_otlp_http_tick(o->http);
}

void wb_otlp_stop(wb_sidecar *sidecar)
{
    wb_otlp *o = sidecar->otlp;
    if (o && o->http) wb_otlp_http_stop(o->http);
    if (o && o->grpc_runs) wb_otlp_grpc_stop(o->grpc);
}

uint32_t wb_otlp_in_hand(const wb_sidecar *sidecar)
{
    const wb_otlp *o = sidecar->otlp;
    uint32_t n = 0;
    if (o && o->http) n += wb_otlp_http_in_hand(o->http);
    if (o && o->grpc_runs) n += wb_otlp_grpc_in_hand(o->grpc);
    return n;
}

static void close_grpc(wb_otlp *o)
{
    if (o->grpc_runs) {
        wb_otlp_grpc_close(o->grpc);
        pthread_join(o->grpc_thread, NULL);
    }
    wb_otlp_grpc_free(o->grpc);
}

void wb_otlp_close(wb_sidecar *sidecar)
{
    wb_otlp *o = sidecar->otlp;
    if (!o) return;
    wb_otlp_http_close(o->http);
    close_grpc(o);
    wb_otlp_access_free(o->access);
    wb_arena_free(o->files);
    free(o);
    sidecar->otlp = NULL;
}

static void report_of(const char *name, const wb_listen *where, uint16_t port, const wb_otlp *o,
                      const wb_otlp_counters *c, wb_otlp_report *out)
{
    *out = (wb_otlp_report){.name = name,
                            .host = where->host,
                            .port = port,
                            .tls = o->cert.len > 0,
                            .cert_from_ns = o->dates.not_before_ns,
                            .cert_until_ns = o->dates.not_after_ns,
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
    if (!o) return false;
    if (o->http && i-- == 0) {
        report_of("http", &sidecar->config->otlp.http, o->http_port, o,
                  wb_otlp_http_counters(o->http), out);
        return true;
    }
    if (!o->grpc || i != 0) return false;
    report_of("grpc", &sidecar->config->otlp.grpc, o->grpc_port, o, wb_otlp_grpc_counters(o->grpc),
              out);
    return true;
}
