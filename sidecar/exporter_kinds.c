/* SPDX-License-Identifier: Apache-2.0 */
/* One row a type. A build without a far side has the number, so that numbers do not move, and no row. */
#include "sidecar/exporter_kinds.h"

#include "core/log.h"

#include <stdio.h>

enum {
    FILE_BACKOFF_MAX_MS = 5000, /* of a file on this host: looking costs next to nothing */
    SEND_MS = 10000,            /* the runner's own */
};

static const wb_exporter_kind kinds[WB_EXPORTER_TYPES] = {
    [WB_EXPORTER_TYPE_SQLITE] = {&wb_exporter_sqlite, offsetof(wb_exporter_config, sqlite),
                                 FILE_BACKOFF_MAX_MS},
#if WAYBILL_OTLP_EXPORT
    [WB_EXPORTER_TYPE_OTLP] = {&wb_exporter_otlp, offsetof(wb_exporter_config, otlp), 0},
#endif
#if WAYBILL_POSTGRES
    [WB_EXPORTER_TYPE_POSTGRES] = {&wb_exporter_postgres, offsetof(wb_exporter_config, postgres),
                                   0},
#endif
};

const wb_exporter_kind *wb_exporter_kind_of(wb_exporter_type type)
{
    WB_ASSERT((unsigned)type < WB_EXPORTER_TYPES);
    return &kinds[type];
}

wb_config_section wb_exporter_section(const wb_exporter_config *config, const char *name)
{
    const wb_exporter_kind *kind = wb_exporter_kind_of(config->type);
    return (wb_config_section){.name = name, .values = (const uint8_t *)config + kind->section};
}

uint32_t wb_exporter_send_ms(const wb_exporter_config *config)
{
    bool is_longer =
        config->type == WB_EXPORTER_TYPE_OTLP && config->otlp.timeout_ms > (uint64_t)SEND_MS;
    return is_longer ? (uint32_t)config->otlp.timeout_ms : 0;
}

static void say_unsafe(const wb_exporter_config *config)
{
    if (config->type == WB_EXPORTER_TYPE_OTLP && config->otlp.insecure_skip_verify)
        WB_LOG(WARN, "exporter.unverified",
               "this exporter believes any certificate: whoever is in between can read all spans "
               "and the credentials",
               WB_KV("exporter", config->name), WB_KV("key", "tls.insecure_skip_verify"));
}

wb_status wb_exporters_prepare(const wb_sidecar_config *config, wb_error *err)
{
    bool wanted[WB_EXPORTER_TYPES] = {false};
    wanted[config->store.type] = config->store_type != WB_STORE_NONE;
    for (size_t i = 0; i < config->n_exporters; i++) {
        wanted[config->exporters[i].type] = true;
        say_unsafe(&config->exporters[i]);
    }
    for (size_t i = 0; i < WB_EXPORTER_TYPES; i++)
        if (wanted[i] && kinds[i].ops->prepare) WB_TRY(kinds[i].ops->prepare(err));
    return WB_OK;
}

void wb_exporter_name_error(const wb_exporter_config *x, wb_error *err)
{
    wb_error why;
    if (!err || strncmp(err->detail, "exporters.", sizeof "exporters." - 1) == 0) return;
    why = *err;
    if (x->is_store)
        (void)wb_fail(err, why.status, "store.%s: %s", wb_exporter_kind_of(x->type)->ops->name,
                      why.detail);
    else
        (void)wb_fail(err, why.status, "exporters.%.*s: %s", WB_SLICE_ARG(x->name), why.detail);
}

wb_status wb_exporter_tell_needs(const wb_exporter_config *x, const wb_exporter_needs *needs,
                                 wb_error *err)
{
    const wb_exporter_ops *ops = wb_exporter_kind_of(x->type)->ops;
    char name[WB_EXPORTER_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", WB_SLICE_ARG(x->name));
    const wb_config_section section = wb_exporter_section(x, name);
    wb_status status = ops->tell_needs ? ops->tell_needs(&section, needs, err) : WB_OK;
    if (status != WB_OK) wb_exporter_name_error(x, err);
    return status;
}

wb_status wb_exporters_tell_needs(const wb_sidecar_config *config, const wb_exporter_needs *needs,
                                  wb_error *err)
{
    if (config->store_type != WB_STORE_NONE)
        WB_TRY(wb_exporter_tell_needs(&config->store, needs, err));
    for (size_t i = 0; i < config->n_exporters; i++)
        WB_TRY(wb_exporter_tell_needs(&config->exporters[i], needs, err));
    return WB_OK;
}

/* Opening reaches out to nobody (exporters/exporter.h). */
static wb_status try_open(const wb_exporter_config *x, wb_error *err)
{
    static const wb_exporter_origin nobody = {
        .agent_id = "", .name = "", .version = WAYBILL_VERSION, .isolation = "none"};
    const wb_exporter_ops *ops = wb_exporter_kind_of(x->type)->ops;
    char name[WB_EXPORTER_NAME_MAX + 1];
    void *self = NULL;
    (void)snprintf(name, sizeof name, "%.*s", WB_SLICE_ARG(x->name));
    const wb_config_section section = wb_exporter_section(x, name);
    wb_status status = ops->open(&section, &nobody, &self, err);
    if (status != WB_OK)
        wb_exporter_name_error(x, err);
    else if (ops->close)
        ops->close(self);
    return status;
}

wb_status wb_exporters_check(const wb_sidecar_config *config, wb_error *err)
{
    bool has_file = config->store_type == WB_STORE_SQLITE; /* of which the default is a good one */
    if (config->store_type != WB_STORE_NONE && !(has_file && !config->store.sqlite.path))
        WB_TRY(try_open(&config->store, err));
    for (size_t i = 0; i < config->n_exporters; i++) WB_TRY(try_open(&config->exporters[i], err));
    return WB_OK;
}
