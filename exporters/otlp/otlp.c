/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter itself: settings, credentials, one transport; deliver.c sends. What a secret's file or a
 * variable says wrongly stops the start; once it runs, a file that went bad is a far side that is away. */
#include "exporters/otlp/otlp.h"

#include "core/secret_file.h"
#include "exporters/otlp/deliver.h"
#include "proto/sender.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <unistd.h>

static const uint32_t MAGIC = 0x4F544C50; /* "OTLP" */
enum {
    SETTINGS_ARENA_BYTES = 1024 * 1024,
    FILES_ARENA_BYTES = 4 * WB_SECRET_FILE_MAX,
    SEND_ARENA_BYTES = 32 * 1024 * 1024,
    ROW_ARENA_BYTES = 64 * 1024 * 1024, /* unpacking takes up to 64 times the row's bytes */
    PART_BYTES = 64 * 1024 * 1024,
};

typedef struct otlp_exporter {
    uint32_t magic;
    wb_arena *arena; /* of the settings */
    wb_otlp_settings settings;
    wb_otlp_secrets secrets;
    wb_otlp_delivery delivery;
} otlp_exporter;

static const wb_config_key keys[] = {WB_OTLP_EXPORT_CONFIG_KEYS("", 0, NULL)};
static const wb_config_table config_table = {keys, WB_COUNT(keys), sizeof(wb_otlp_export_config)};

_Static_assert(WB_CONFIG_PAIR(wb_otlp_export_config, headers, n_headers), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_otlp_export_config, signals, n_signals), "read as a pair");

static wb_status otlp_prepare(wb_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) return WB_OK;
    return wb_fail(err, WB_ERR_NO_MEMORY, "libcurl does not start");
}

static void otlp_close(void *self)
{
    otlp_exporter *x = self;
    if (!x) return;
    WB_ASSERT(x->magic == MAGIC);
    wb_otlp_transport_free(x->delivery.transport);
    wb_otlp_encoder_done(&x->delivery.encoder);
    wb_otlp_reply_done(&x->delivery.reply);
    wb_buffer_done(&x->delivery.part);
    wb_arena_free(x->delivery.arena);
    wb_arena_free(x->delivery.row_arena);
    wb_otlp_secrets_done(&x->secrets);
    wb_arena_free(x->arena);
    free(x);
}

static wb_status make_parts(otlp_exporter *x, const wb_exporter_origin *origin, wb_error *err)
{
    wb_otlp_delivery *d = &x->delivery;
    d->settings = &x->settings;
    d->origin = origin;
    d->secrets = &x->secrets;
    d->clock = &wb_system_clock;
    wb_otlp_encoder_init(&d->encoder);
    wb_otlp_reply_init(&d->reply);
    wb_buffer_init(&d->part, PART_BYTES);
    d->arena = wb_arena_new(SEND_ARENA_BYTES);
    d->row_arena = wb_arena_new(ROW_ARENA_BYTES);
    const char *sender = NULL;
    if (origin->mark) sender = wb_arena_printf(x->arena, WB_SENDER_HEADER ": %s", origin->mark);
    d->transport = wb_otlp_transport_new(&x->settings, &x->secrets, sender);
    if (!d->arena || !d->row_arena || !d->transport || !sender != !origin->mark)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for an exporter");
    wb_otlp_secrets_init(&x->secrets, &x->settings);
    return wb_otlp_secrets_refresh(&x->secrets, err);
}

/* libcurl reads them with each connection, and says little where it cannot. */
static wb_status check_files(const wb_otlp_target *target, wb_arena *arena, wb_error *err)
{
    wb_slice text;
    if (target->ca_file)
        WB_TRY(wb_public_file_read("tls.ca_file", target->ca_file, arena, &text, err));
    if (target->cert_file)
        WB_TRY(wb_public_file_read("tls.cert_file", target->cert_file, arena, &text, err));
    if (target->key_file)
        WB_TRY(wb_secret_file_read("tls.key_file", target->key_file, arena, &text, err));
    return WB_OK;
}

static wb_status check_tls(const wb_otlp_settings *settings, wb_error *err)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(FILES_ARENA_BYTES);
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for an exporter");
    for (size_t i = 0; i < WB_SIGNALS; i++) {
        const wb_otlp_target *target = &settings->targets[i];
        wb_arena_reset(arena);
        if (target->on && target->tls) WB_TRY(check_files(target, arena, err));
    }
    return WB_OK;
}

static wb_status open_all(otlp_exporter *x, const wb_exporter_origin *origin,
                          const wb_config_section *cfg, wb_error *err)
{
    x->arena = wb_arena_new(SETTINGS_ARENA_BYTES);
    if (!x->arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for an exporter");
    WB_TRY(wb_otlp_settings_make(cfg->name, cfg->values, environ, x->arena, &x->settings, err));
    WB_TRY(check_tls(&x->settings, err));
    return make_parts(x, origin, err);
}

static wb_status otlp_open(const wb_config_section *cfg, const wb_exporter_origin *origin,
                           void **self, wb_error *err)
{
    otlp_exporter *x = calloc(1, sizeof *x);
    if (!x) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for an exporter");
    x->magic = MAGIC;
    wb_status status = open_all(x, origin, cfg, err);
    if (status == WB_OK)
        *self = x;
    else
        otlp_close(x);
    return status;
}

static wb_status otlp_send(void *self, const wb_record_view *records, size_t n, uint32_t timeout_ms,
                           wb_export_result *result, wb_error *err)
{
    otlp_exporter *x = self;
    WB_ASSERT(x->magic == MAGIC);
    *result = (wb_export_result){0};
    if (wb_otlp_secrets_refresh(&x->secrets, err) != WB_OK) {
        if (err) err->status = WB_ERR_UNAVAILABLE;
        return WB_ERR_UNAVAILABLE; /* whatever it was, the records are not to blame */
    }
    return wb_otlp_deliver(&x->delivery, records, n, timeout_ms, result, err);
}

static void otlp_hurry(void *self, uint64_t until_ns)
{
    otlp_exporter *x = self;
    WB_ASSERT(x->magic == MAGIC);
    wb_otlp_transport_hurry(x->delivery.transport, until_ns);
}

static bool has_signal(const wb_otlp_export_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_signals; i++)
        if (wb_slice_eq(config->signals[i], wb_slice_str(name))) return true;
    return false;
}

static uint64_t otlp_takes_of(const wb_config_section *cfg)
{
    const wb_otlp_export_config *config = cfg->values;
    bool logs = has_signal(config, wb_otlp_signal_name(WB_SIGNAL_LOGS));
    uint64_t takes = 0;
    if (has_signal(config, wb_otlp_signal_name(WB_SIGNAL_TRACES)))
        takes |= WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_MARKERS);
    if (has_signal(config, wb_otlp_signal_name(WB_SIGNAL_METRICS)))
        takes |= WB_KIND_BIT(WB_ENTRY_METRICS);
    if (logs) takes |= WB_KIND_BIT(WB_ENTRY_LOGS);
    if (logs && config->delegation_logs) takes |= WB_KIND_BIT(WB_ENTRY_DELEGATION);
    return takes;
}

const wb_exporter_ops wb_exporter_otlp = {
    .name = "otlp",
    .takes = WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_MARKERS) |
             WB_KIND_BIT(WB_ENTRY_LOGS) | WB_KIND_BIT(WB_ENTRY_METRICS) |
             WB_KIND_BIT(WB_ENTRY_DELEGATION),
    .parts = true,
    .config = &config_table,
    .takes_of = otlp_takes_of,
    .prepare = otlp_prepare,
    .tell_needs = wb_otlp_tell_needs,
    .open = otlp_open,
    .send = otlp_send,
    .hurry = otlp_hurry,
    .close = otlp_close,
};
