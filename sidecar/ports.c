/* SPDX-License-Identifier: Apache-2.0 */
/* An exporter tells where it sends to as it tells what the sandbox has to let through (exporters/exporter.h),
 * so that what is compared is what will be asked for, variables of its environment included. */
#include "sidecar/ports.h"

#include "core/log.h"
#include "sidecar/exporter_kinds.h"
#include "sidecar/receivers/reach.h"

enum { RECEIVERS = 2, LISTENERS = 3 };
#ifdef WAYBILL_OTLP_RECEIVER
enum { HAS_RECEIVERS = 1 };
#else
enum { HAS_RECEIVERS = 0 };
#endif

static const char *const keys[LISTENERS] = {"otlp.http.listen", "otlp.grpc.listen", "admin.listen"};

/* ---- beside each other ---------------------------------------------------------------------- */

static wb_status settle_listeners(wb_listen *const at[LISTENERS], wb_error *err)
{
    for (size_t i = 0; i < LISTENERS; i++)
        for (size_t k = i + 1; k < LISTENERS; k++) {
            if (!wb_listen_is_same(at[i], at[k])) continue;
            if (!at[i]->defaulted && !at[k]->defaulted)
                return wb_fail(err, WB_ERR_CONFIG, "%s and %s: both are port %u: give one another",
                               keys[i], keys[k], at[i]->port);
            (at[i]->defaulted ? at[i] : at[k])->port = 0;
        }
    return WB_OK;
}

/* ---- beside where it sends to --------------------------------------------------------------- */

typedef struct targets {
    wb_listen *const *at; /* the receivers */
    const wb_exporter_config *exporter;
    wb_status status;
    wb_error *err;
} targets;

static void refuse(targets *t, size_t i, const char *signal, const char *host, uint16_t port)
{
    size_t shown = t->exporter->name.len < 32 ? t->exporter->name.len : 32;
    t->status =
        wb_fail(t->err, WB_ERR_CONFIG,
                "exporters.%.*s: endpoint of %s, %.40s:%u, is this sidecar's own %s: "
                "change one of them",
                (int)shown, (const char *)t->exporter->name.ptr, signal, host, port, keys[i]);
}

static void leave(wb_listen *at, size_t i, const targets *t)
{
    WB_LOG(WARN, "otlp.port_left",
           "an exporter sends to the port that this receiver would have by default: it takes "
           "another one",
           WB_KV("exporter", t->exporter->name), WB_KV("port", (uint64_t)at->port),
           WB_KV("todo", "set the key, to know the port"), WB_KV("key", keys[i]));
    at->port = 0;
}

static void look_at(void *ctx, const char *signal, const char *host, uint16_t port)
{
    targets *t = ctx;
    for (size_t i = 0; i < RECEIVERS && t->status == WB_OK; i++) {
        if (!wb_listen_is_reached(t->at[i], host, port)) continue;
        if (t->at[i]->defaulted)
            leave(t->at[i], i, t);
        else
            refuse(t, i, signal, host, port);
    }
}

static void ignore_path(void *ctx, const char *path) { (void)ctx, (void)path; }
static void ignore_port(void *ctx, uint16_t port) { (void)ctx, (void)port; }
static void ignore_unix(void *ctx) { (void)ctx; }

static wb_status look_at_exporters(const wb_sidecar_config *config, wb_listen *const *at,
                                   wb_error *err)
{
    targets t = {.at = at, .err = err};
    const wb_exporter_needs needs = {.read = ignore_path,
                                     .read_new = ignore_path,
                                     .connect = ignore_port,
                                     .connect_unix = ignore_unix,
                                     .send_to = look_at,
                                     .ctx = &t};
    for (size_t i = 0; i < config->n_exporters; i++) {
        t.exporter = &config->exporters[i];
        WB_TRY(wb_exporter_tell_needs(t.exporter, &needs, err));
        if (t.status != WB_OK) return t.status;
    }
    return WB_OK;
}

wb_status wb_ports_settle(wb_sidecar_config *config, wb_error *err)
{
    wb_listen *const at[LISTENERS] = {&config->otlp.http, &config->otlp.grpc, &config->admin};
    config->otlp.http.off |= !HAS_RECEIVERS;
    config->otlp.grpc.off |= !HAS_RECEIVERS;
    WB_TRY(settle_listeners(at, err));
    return look_at_exporters(config, at, err);
}

static wb_listen now_at(const wb_listen *where, uint16_t port)
{
    wb_listen now = *where;
    now.port = port;
    now.defaulted = false;
    return now;
}

wb_status wb_ports_check(const wb_sidecar_config *config, uint16_t http, uint16_t grpc,
                         wb_error *err)
{
    wb_listen now[RECEIVERS] = {now_at(&config->otlp.http, http), now_at(&config->otlp.grpc, grpc)};
    wb_listen *const at[RECEIVERS] = {&now[0], &now[1]};
    return look_at_exporters(config, at, err);
}
