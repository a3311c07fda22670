/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows of sidecar/config.c cannot say: that two keys fit each other, that an id, a user or a path is
 * one, and what follows from them. Nothing here touches a file or socket but the one file that was named. */
#include "sidecar/config.h"

#include "core/crc32c.h"
#include "core/self_id.h"
#include "propagation/token.h"
#include "sidecar/config_enrich.h"

#include <unistd.h>

#define PORT_ADMIN 7412

/* By wb_store_type; also its cursor's key in the journal. */
static const char *const store_names[] = {
    [WB_STORE_SQLITE] = "sqlite", [WB_STORE_NONE] = "", [WB_STORE_POSTGRES] = "postgres"};

static wb_status need_id(const char *key, wb_slice id, wb_error *err)
{
    if (wb_agent_id_ok(id)) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG,
                   "%s: \"%.*s\" is no agent id (https:// or spiffe://, lower case)", key,
                   (int)(id.len < 64 ? id.len : 64), (const char *)id.ptr);
}

static wb_status default_self_id(const char *name, wb_arena *arena, wb_sidecar_config *c)
{
    char text[WB_SELF_ID_MAX + 1];
    wb_slice *id = wb_arena_alloc(arena, sizeof *id);
    wb_self_id_default(name, text);
    if (!id || wb_arena_dup(arena, wb_slice_str(text), id) != WB_OK) return WB_ERR_NO_MEMORY;
    c->self_ids = id;
    c->n_self_ids = 1;
    return WB_OK;
}

static wb_status check_ids(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_self_ids; i++) WB_TRY(need_id("self_ids", c->self_ids[i], err));
    for (size_t i = 0; i < c->n_trust_policies; i++)
        WB_TRY(need_id("trust.policies", c->trust_policies[i].id, err));
    for (size_t i = 0; i < c->n_peers; i++) WB_TRY(need_id("peers", c->peers[i].id, err));
    return WB_OK;
}

/* An origin is written as wb_origin_of would write it, so that comparing is comparing bytes. */
static wb_status check_origin(const wb_sidecar_config *c, size_t peer, wb_slice text, wb_error *err)
{
    char origin[WB_ORIGIN_MAX + 1];
    int shown = (int)(text.len < 80 ? text.len : 80);
    if (wb_origin_of(text, origin) != WB_OK || !wb_slice_eq(text, wb_slice_str(origin)))
        return wb_fail(err, WB_ERR_CONFIG,
                       "peers: origins: \"%.*s\" is no origin (http(s)://host:port, lower case, no "
                       "path)",
                       shown, (const char *)text.ptr);
    wb_slice first = wb_peer_of_origin(c->peers, peer, text);
    if (first.len > 0)
        return wb_fail(err, WB_ERR_CONFIG, "peers: origins: \"%.*s\" belongs to two peers", shown,
                       (const char *)text.ptr);
    return WB_OK;
}

static wb_status check_peers(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_peers; i++)
        for (size_t k = 0; k < c->peers[i].n_origins; k++)
            WB_TRY(check_origin(c, i, c->peers[i].origins[k], err));
    return WB_OK;
}

/* Decimal, and not the last one: -1 is "no user" to every system call. */
static bool parse_uid(wb_slice text, uid_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = (uid_t)value;
    return value < UINT32_MAX;
}

static wb_status make_uids(wb_sidecar_config *c, wb_arena *arena, wb_error *err)
{
    uid_t *uids = wb_arena_alloc(arena, c->n_ipc_allow_uids * sizeof *uids + 1);
    if (!uids) return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    bool others = false;
    for (size_t i = 0; i < c->n_ipc_allow_uids; i++) {
        wb_slice text = c->ipc_allow_uids[i];
        if (!parse_uid(text, &uids[i]))
            return wb_fail(err, WB_ERR_CONFIG, "ipc.allow_uids: \"%.*s\" is no user number",
                           (int)(text.len < 40 ? text.len : 40), (const char *)text.ptr);
        others = others || (uids[i] != geteuid() && uids[i] != 0);
    }
    if (others && !c->ipc_group) /* uid 0 needs nobody's leave to reach a file */
        return wb_fail(err, WB_ERR_CONFIG,
                       "ipc.allow_uids: other users cannot reach the socket; set ipc.group to a "
                       "group that they and this process are in");
    c->allow_uids = uids;
    return WB_OK;
}

static wb_status check_writable(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_sandbox_writable; i++) {
        wb_slice path = c->sandbox_writable[i];
        if (path.len == 0 || path.ptr[0] != '/')
            return wb_fail(err, WB_ERR_CONFIG, "sandbox_writable: \"%.*s\" is no absolute path",
                           (int)(path.len < 80 ? path.len : 80), (const char *)path.ptr);
    }
    return WB_OK;
}

static wb_status check_limits(const wb_sidecar_config *c, wb_error *err)
{
    for (const char *at = c->limits_currency; *at; at++)
        if (*at < 'A' || *at > 'Z')
            return wb_fail(err, WB_ERR_CONFIG, "limits.currency: three capital letters, as USD");
    return WB_OK;
}

static wb_status make_borders(wb_sidecar_config *c, wb_error *err)
{
    WB_TRY(wb_baggage_border_make("context.baggage.accept", c->baggage_accept, c->n_baggage_accept,
                                  WB_S("joined"), &c->accept_baggage, err));
    return wb_baggage_border_make("context.baggage.send", c->baggage_send, c->n_baggage_send,
                                  WB_S("peers"), &c->send_baggage, err);
}

static wb_status check_sizes(const wb_sidecar_config *c, wb_error *err)
{
    if (c->journal_segment_bytes % 4096 != 0)
        return wb_fail(err, WB_ERR_CONFIG, "journal.segment_bytes: not a multiple of 4096");
    if (c->journal_limit_bytes / 4 < c->journal_segment_bytes)
        return wb_fail(err, WB_ERR_CONFIG, "journal.limit_bytes: less than four segments");
    return WB_OK;
}

/* The name is part of a file's name (STATE_DIR/parked/NAME.parked). */
static bool exporter_name_ok(wb_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!plain && !(c == '.' && i > 0)) return false;
    }
    return name.len > 0;
}

/* A store must hold everything, so work waits for it; other far sides see what they can keep up with. */
static void make_when_full(wb_exporter_config *e)
{
    if (e->when_full != WB_WHEN_FULL_UNSET) return;
    e->when_full =
        e->type == WB_EXPORTER_TYPE_OTLP ? WB_WHEN_FULL_DROP_OLDEST : WB_WHEN_FULL_BACKPRESSURE;
}

static wb_status check_patterns(const char *key, const wb_slice *patterns, size_t n, wb_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (patterns[i].len == 0 || wb_slice_eq(patterns[i], WB_S("*")))
            return wb_fail(err, WB_ERR_CONFIG, "%s: \"%.*s\" is no pattern of keys", key,
                           WB_SLICE_ARG(patterns[i]));
    return WB_OK;
}

static wb_redact_policy less_policy(const wb_less_config *less, size_t verbose_bytes)
{
    static const wb_redact_content contents[] = {[WB_LESS_INHERIT] = WB_CONTENT_WHOLE,
                                                 [WB_LESS_PREVIEW] = WB_CONTENT_PREVIEW,
                                                 [WB_LESS_VERBOSE] = WB_CONTENT_VERBOSE,
                                                 [WB_LESS_NONE] = WB_CONTENT_NONE};
    size_t characters = (size_t)less->preview_characters;
    bool only_says_length = less->content == WB_LESS_INHERIT && characters > 0;
    return (wb_redact_policy){.content =
                                  only_says_length ? WB_CONTENT_PREVIEW : contents[less->content],
                              .preview_characters = characters ? characters : WB_LESS_CHARACTERS,
                              .verbose_bytes = verbose_bytes,
                              .drop = {less->drop, less->n_drop},
                              .hash = {less->hash, less->n_hash},
                              .cut = {less->cut, less->n_cut},
                              .again = true};
}

static uint32_t add_patterns(uint32_t crc, const wb_redact_rule *rule)
{
    crc = wb_crc32c(crc, &rule->n, sizeof rule->n);
    for (size_t i = 0; i < rule->n; i++) {
        crc = wb_crc32c(crc, &rule->patterns[i].len, sizeof rule->patterns[i].len);
        crc = wb_crc32c(crc, rule->patterns[i].ptr, rule->patterns[i].len);
    }
    return crc;
}

static uint64_t less_number(const wb_redact_policy *policy)
{
    const uint64_t sizes[] = {policy->content, policy->preview_characters, policy->verbose_bytes};
    uint32_t crc = wb_crc32c(0, sizes, sizeof sizes);
    crc = add_patterns(crc, &policy->drop);
    crc = add_patterns(crc, &policy->hash);
    return UINT64_C(1) << 32 | add_patterns(crc, &policy->cut);
}

/* Secrets are no matter of it: the journal has none, or may have them. */
static wb_status make_less(wb_exporter_config *e, size_t verbose_bytes, wb_error *err)
{
    const wb_less_config *less = &e->less;
    WB_TRY(check_patterns("redact.drop", less->drop, less->n_drop, err));
    WB_TRY(check_patterns("redact.hash", less->hash, less->n_hash, err));
    WB_TRY(check_patterns("redact.cut", less->cut, less->n_cut, err));
    if (less->preview_characters > 0 && less->preview_characters < WB_LESS_CHARACTERS_MIN)
        return wb_fail(err, WB_ERR_CONFIG, "redact.preview_characters: less than %d",
                       WB_LESS_CHARACTERS_MIN);
    e->redact = less_policy(less, verbose_bytes);
    bool gets_less =
        e->redact.content != WB_CONTENT_WHOLE || less->n_drop + less->n_hash + less->n_cut > 0;
    e->less_number = gets_less ? less_number(&e->redact) : 0;
    return WB_OK;
}

/* With what holds for it alone; its name is not known to be one. */
static wb_status make_exporter(wb_exporter_config *e, size_t verbose_bytes, wb_error *err)
{
    wb_error why;
    make_when_full(e);
    if (make_less(e, verbose_bytes, &why) == WB_OK) return WB_OK;
    if (e->is_store) return wb_fail(err, WB_ERR_CONFIG, "store.%s", why.detail);
    return wb_fail(err, WB_ERR_CONFIG, "exporters.%.*s.%s", WB_SLICE_ARG(e->name), why.detail);
}

static wb_status make_exporters(wb_sidecar_config *c, wb_arena *arena, wb_error *err)
{
    wb_exporter_config *list = wb_arena_array(arena, c->n_exporters + 1, sizeof *list);
    if (!list) return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    if (c->n_exporters > 0) memcpy(list, c->exporters, c->n_exporters * sizeof *list);
    c->exporters = list;
    size_t verbose_bytes = (size_t)c->redact_verbose_bytes;
    for (size_t i = 0; i < c->n_exporters; i++) WB_TRY(make_exporter(&list[i], verbose_bytes, err));
    c->store.type =
        c->store_type == WB_STORE_POSTGRES ? WB_EXPORTER_TYPE_POSTGRES : WB_EXPORTER_TYPE_SQLITE;
    c->store.is_store = true;
    c->store.name = wb_slice_str(store_names[c->store_type]);
    c->exporters_now = list;
    c->n_exporters_now = c->n_exporters;
    return make_exporter(&c->store, verbose_bytes, err);
}

static wb_status check_exporters(const wb_sidecar_config *c, wb_error *err)
{
    for (size_t i = 0; i < c->n_exporters; i++) {
        const wb_exporter_config *e = &c->exporters[i];
        if (!exporter_name_ok(e->name))
            return wb_fail(err, WB_ERR_CONFIG,
                           "exporters: \"%.*s\": a name is made of a-z 0-9 _ - and .",
                           WB_SLICE_ARG(e->name));
        if (c->store_type != WB_STORE_NONE && wb_slice_eq(e->name, c->store.name))
            return wb_fail(err, WB_ERR_CONFIG,
                           "exporters: \"%.*s\" is the default store: set store.*, or take another "
                           "name",
                           WB_SLICE_ARG(e->name));
        wb_error why;
        if (wb_delivery_config_check(&e->delivery, &why) != WB_OK)
            return wb_fail(err, WB_ERR_CONFIG, "exporters.%.*s.%s", WB_SLICE_ARG(e->name),
                           why.detail);
    }
    return WB_OK;
}

static wb_status make_redact(wb_sidecar_config *c, wb_error *err)
{
    WB_TRY(check_patterns("redact.drop", c->redact_drop, c->n_redact_drop, err));
    WB_TRY(check_patterns("redact.hash", c->redact_hash, c->n_redact_hash, err));
    WB_TRY(check_patterns("redact.cut", c->redact_cut, c->n_redact_cut, err));
    c->redact = (wb_redact_policy){.secrets = c->redact_secrets,
                                   .content = c->redact_content,
                                   .preview_characters = (size_t)c->redact_preview_characters,
                                   .verbose_bytes = (size_t)c->redact_verbose_bytes,
                                   .drop = {c->redact_drop, c->n_redact_drop},
                                   .hash = {c->redact_hash, c->n_redact_hash},
                                   .cut = {c->redact_cut, c->n_redact_cut}};
    return WB_OK;
}

static void make_policies(wb_sidecar_config *c)
{
    c->policies = (wb_policies){.self_id = c->self_ids[0],
                                .entries = c->trust_policies,
                                .n = c->n_trust_policies,
                                .mode = c->trust_mode,
                                .callbacks = c->trust_callbacks};
}

static wb_status check(const wb_sidecar_config *c, wb_error *err)
{
    WB_TRY(check_ids(c, err));
    WB_TRY(check_peers(c, err));
    WB_TRY(check_sizes(c, err));
    WB_TRY(check_limits(c, err));
    return check_writable(c, err);
}

/* What is made of keys that a reload takes. */
static wb_status make_live(wb_sidecar_config *c, wb_error *err)
{
    WB_TRY(make_borders(c, err));
    WB_TRY(make_redact(c, err));
    make_policies(c);
    return WB_OK;
}

wb_status wb_sidecar_config_load(const char *path, const char *name, char *const *env,
                                 wb_arena *arena, wb_sidecar_config *out, wb_error *err)
{
    wb_config_source source = {.name = path, .env = env};
    wb_sidecar_config c;
    if (path) WB_TRY(wb_config_read_file(path, arena, &source.yaml, err));
    WB_TRY(wb_config_load(&wb_sidecar_config_table, &source, arena, &c, err));
    c.name = name;
    if (c.n_self_ids == 0 && default_self_id(name, arena, &c) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    WB_TRY(check(&c, err));
    WB_TRY(make_exporters(&c, arena, err));
    WB_TRY(check_exporters(&c, err));
    WB_TRY(make_uids(&c, arena, err));
    WB_TRY(wb_enrich_make(&c, env, arena, err));
    WB_TRY(wb_listen_make("admin.listen", c.admin_listen, PORT_ADMIN, false, &c.admin, err));
    WB_TRY(wb_otlp_config_make(&c.otlp, err));
    WB_TRY(make_live(&c, err));
    *out = c;
    return WB_OK;
}

wb_status wb_sidecar_config_renew(const wb_sidecar_config *running, const wb_sidecar_config *fresh,
                                  wb_sidecar_config *out,
                                  void (*on_stale)(void *self, const char *key), void *self,
                                  wb_error *err)
{
    wb_sidecar_config c;
    WB_TRY(wb_config_renew(&wb_sidecar_config_table, running, fresh, &c, on_stale, self, err));
    c.exporters_now = fresh->exporters;
    c.n_exporters_now = fresh->n_exporters;
    WB_TRY(make_exporter(&c.store, (size_t)c.redact_verbose_bytes, err));
    WB_TRY(make_live(&c, err));
    c.to_resources = fresh->to_resources;
    c.to_spans = fresh->to_spans;
    c.own_resource = fresh->own_resource;
    c.n_own_resource = fresh->n_own_resource;
    *out = c;
    return WB_OK;
}
