/* SPDX-License-Identifier: Apache-2.0 */
/* A process that is locked in must have been told beforehand what it will open and whom it will call:
 *
 *   names       resolv.conf, hosts, nsswitch.conf, gai.conf and services, for getaddrinfo. glibc 2.34 and later have
 *               "files" and "dns" inside; other modules of nsswitch.conf cannot be loaded any more, and
 *               count as not there. Names from DNS may need TCP to port 53
 *   TLS         libcurl's authorities where tls.ca_file is not set; OpenSSL's own configuration
 *   what the configuration names: certificates, key, headers, token, password
 *   ports       of the endpoints; with a proxy out of the environment any */
#include "exporters/otlp/settings.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <unistd.h>

enum { ARENA_BYTES = 1024 * 1024, PORT_DNS = 53 };

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static void tell_names(const wb_exporter_needs *needs)
{
    static const char *const files[] = {"/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf",
                                        "/etc/services", "/etc/host.conf"};
    for (size_t i = 0; i < WB_COUNT(files); i++) needs->read(needs->ctx, files[i]);
    needs->read(needs->ctx, "/etc/resolv.conf");
    needs->connect(needs->ctx, PORT_DNS);
}

static void tell_new(const wb_exporter_needs *needs, const char *path)
{
    if (path) needs->read_new(needs->ctx, path);
}

static void tell_tls(const wb_exporter_needs *needs, const wb_otlp_target *target)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    tell_new(needs, target->ca_file);
    tell_new(needs, target->cert_file);
    tell_new(needs, target->key_file);
    if (!target->ca_file && curl->cainfo) needs->read_new(needs->ctx, curl->cainfo);
    if (!target->ca_file && curl->capath) needs->read(needs->ctx, curl->capath);
    needs->read(needs->ctx, "/etc/ssl/openssl.cnf");
}

static void tell_target(const wb_exporter_needs *needs, const wb_otlp_settings *settings,
                        const wb_otlp_target *target)
{
    needs->connect(needs->ctx, settings->proxy_from_env ? 0 : target->port);
    if (settings->proxy_from_env || !is_address(target->host)) tell_names(needs);
    if (target->tls || settings->proxy_from_env) tell_tls(needs, target);
}

wb_status wb_otlp_tell_needs(const wb_config_section *cfg, const wb_exporter_needs *needs,
                             wb_error *err)
{
    wb_otlp_settings settings;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for exporters.%s", cfg->name);
    WB_TRY(wb_otlp_settings_make(cfg->name, cfg->values, environ, arena, &settings, err));
    tell_new(needs, settings.headers_file);
    tell_new(needs, settings.bearer_file);
    tell_new(needs, settings.basic_file);
    for (unsigned i = 0; i < WB_SIGNALS; i++) {
        const wb_otlp_target *target = &settings.targets[i];
        if (!target->on) continue;
        tell_target(needs, &settings, target);
        if (needs->send_to)
            needs->send_to(needs->ctx, wb_otlp_signal_name((wb_signal)i), target->host,
                           target->port);
    }
    return WB_OK;
}
