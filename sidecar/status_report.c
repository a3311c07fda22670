/* SPDX-License-Identifier: Apache-2.0 */
/* One report for all who ask: IPC Status, the admin endpoint, and through them `waybill status`. It
 * says what is, never a judgement without its reason: `trouble` is null or a sentence. */
#include "sidecar/status_report.h"

#include "core/files.h"
#include "core/paths.h"
#include "core/store_url.h"
#include "sidecar/confine.h"
#include "sidecar/exporters.h"
#include "sidecar/isolation.h"
#include "sidecar/otlp.h"
#include "sidecar/trouble.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void add_u64(cJSON *object, const char *key, uint64_t value)
{
    char digits[24]; /* a double would round above 2^53 */
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    (void)cJSON_AddRawToObject(object, key, digits);
}

static void add_slice(cJSON *object, const char *key, wb_slice text)
{
    char copy[512];
    (void)snprintf(copy, sizeof copy, "%.*s", WB_SLICE_ARG(text));
    (void)cJSON_AddStringToObject(object, key, copy);
}

static void add_identity(wb_sidecar *sidecar, const wb_world *world, cJSON *root)
{
    const wb_sidecar_config *config = sidecar->config;
    char trouble[WB_TROUBLE_TEXT];
    bool troubled = wb_sidecar_trouble(sidecar, trouble) != WB_TROUBLE_NONE;
    uint64_t now = wb_now(sidecar->clock);
    (void)cJSON_AddStringToObject(root, "name", config->name);
    add_slice(root, "agent_id", config->self_ids[0]);
    (void)cJSON_AddStringToObject(root, "key_id", wb_key_ring_kid(world->ring));
    (void)cJSON_AddStringToObject(root, "version", WAYBILL_VERSION);
    add_u64(root, "pid", (uint64_t)getpid());
    add_u64(root, "started_ns", sidecar->started_ns);
    add_u64(root, "uptime_s",
            now > sidecar->started_ns ? (now - sidecar->started_ns) / WB_NS_PER_S : 0);
    (void)cJSON_AddBoolToObject(root, "healthy", !troubled);
    if (troubled)
        (void)cJSON_AddStringToObject(root, "trouble", trouble);
    else
        (void)cJSON_AddNullToObject(root, "trouble");
}

static void add_text_or_null(cJSON *object, const char *key, const char *text)
{
    (void)cJSON_AddItemToObject(object, key, text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

static void add_isolation(wb_sidecar *sidecar, cJSON *root)
{
    const wb_access *access = &sidecar->access;
    wb_isolation isolation;
    wb_isolation_look(access, sidecar->paths, sidecar->config_path, &isolation);
    (void)cJSON_AddStringToObject(root, "isolation", isolation.mode);
    add_text_or_null(root, "isolation_because", isolation.why[0] ? isolation.why : NULL);
    add_u64(root, "uid", access->own);
    cJSON *uids = cJSON_AddArrayToObject(root, "agent_uids");
    for (size_t i = 0; i < access->n_allowed; i++)
        (void)cJSON_AddItemToArray(uids, cJSON_CreateNumber(access->allowed[i]));
    if (access->n_allowed == 0) (void)cJSON_AddItemToArray(uids, cJSON_CreateNumber(access->own));
}

static void add_part(cJSON *sandbox, const char *name, const wb_sandbox_part *part)
{
    (void)cJSON_AddStringToObject(sandbox, name, part->on ? "on" : part->why);
}

static void add_sandbox(const wb_sidecar *sidecar, cJSON *root)
{
    static const char *const wishes[] = {"auto", "off", "require"};
    const wb_sandbox *state = &sidecar->sandbox;
    cJSON *sandbox = cJSON_AddObjectToObject(root, "sandbox");
    char name[32];
    int last;
    uint64_t refused = wb_sandbox_refused(&last);
    wb_closed closed = wb_confine_closed(sidecar);
    (void)cJSON_AddStringToObject(sandbox, "wanted", wishes[state->wish]);
    add_part(sandbox, "landlock", &state->files);
    add_u64(sandbox, "landlock_abi", (uint64_t)state->files.version);
    add_part(sandbox, "seccomp", &state->calls);
    (void)cJSON_AddBoolToObject(sandbox, "no_new_privs", state->no_new_privs);
    (void)cJSON_AddBoolToObject(sandbox, "no_dump", state->no_dump);
    (void)cJSON_AddBoolToObject(sandbox, "no_write_exec", state->no_write_exec);
    add_u64(sandbox, "refused_calls", refused);
    wb_sandbox_call_name(last, name);
    add_text_or_null(sandbox, "last_refused", refused > 0 ? name : NULL);
    add_text_or_null(sandbox, "replaced", closed.how == WB_CLOSED_REPLACED ? closed.path : NULL);
    add_text_or_null(sandbox, "removed", closed.how == WB_CLOSED_REMOVED ? closed.path : NULL);
}

static void add_trust(const wb_world *world, cJSON *root)
{
    cJSON *trust = cJSON_AddObjectToObject(root, "trust");
    uint64_t issuers = 0;
    while (wb_trust_at(world->trust, issuers)) issuers++;
    (void)cJSON_AddStringToObject(trust, "mode", wb_trust_mode_name(world->config.trust_mode));
    add_u64(trust, "issuers", issuers);
    add_u64(trust, "faulty_files", wb_trust_problems(world->trust));
    add_u64(trust, "revocations", wb_revoked_count(world->revoked));
}

/* Which world is the present one, and what of the files is not in it. */
enum { POLICIES_SHOWN = 1000 };

/* As configured, field by field; what follows from it: propagation/policy.c. */
static void add_policies(const wb_policies *policies, cJSON *root)
{
    cJSON *out = cJSON_AddObjectToObject(root, "policies");
    add_slice(out, "self_id", policies->self_id);
    (void)cJSON_AddStringToObject(out, "mode", wb_trust_mode_name(policies->mode));
    add_u64(out, "left_out", policies->n > POLICIES_SHOWN ? policies->n - POLICIES_SHOWN : 0);
    cJSON *entries = cJSON_AddArrayToObject(out, "entries");
    for (size_t i = 0; i < policies->n && i < POLICIES_SHOWN; i++) {
        const wb_trust_policy *p = &policies->entries[i];
        cJSON *entry = cJSON_CreateObject();
        add_slice(entry, "id", p->id);
        (void)cJSON_AddStringToObject(entry, "verdict", wb_policy_verdict_name(p->verdict));
        (void)cJSON_AddStringToObject(entry, "chain", wb_policy_chain_name(p->chain));
        (void)cJSON_AddStringToObject(entry, "mode", wb_trust_mode_name(p->mode));
        (void)cJSON_AddBoolToObject(entry, "require", p->require);
        (void)cJSON_AddBoolToObject(entry, "carry", p->carry);
        if (!cJSON_AddItemToArray(entries, entry)) cJSON_Delete(entry);
    }
}

static void add_world(const wb_world *world, cJSON *root)
{
    char text[WB_WORLD_PROBLEM_TEXT];
    cJSON *out = cJSON_AddObjectToObject(root, "reload");
    add_u64(out, "generation", world->generation);
    add_u64(out, "loaded_ns", world->loaded_ns);
    cJSON *problems = cJSON_AddArrayToObject(out, "problems");
    for (size_t i = 0; i < wb_world_problems(world); i++) {
        wb_world_problem_text(world, i, text);
        (void)cJSON_AddItemToArray(problems, cJSON_CreateString(text));
    }
    cJSON *stale = cJSON_AddArrayToObject(out, "needs_restart");
    for (size_t i = 0; i < wb_world_stale(world); i++)
        (void)cJSON_AddItemToArray(stale, cJSON_CreateString(world->stale[i]));
}

static void add_journal(wb_sidecar *sidecar, cJSON *root)
{
    wb_journal_stats stats;
    char id[WB_ID_HEX + 1];
    wb_id journal_id = wb_journal_id(sidecar->journal);
    cJSON *journal = cJSON_AddObjectToObject(root, "journal");
    wb_journal_get_stats(sidecar->journal, &stats);
    wb_hex(journal_id.b, sizeof journal_id.b, id);
    (void)cJSON_AddStringToObject(journal, "id", id);
    add_u64(journal, "durable_seq", stats.durable_seq);
    add_u64(journal, "first_seq", stats.first_seq);
    add_u64(journal, "used_bytes", stats.used_bytes);
    add_u64(journal, "limit_bytes", stats.limit_bytes);
    add_u64(journal, "reserve_bytes", stats.reserve_bytes);
    add_u64(journal, "snapshot_bytes", stats.snapshot_bytes);
    add_u64(journal, "quarantined_bytes", stats.quarantined_bytes);
    (void)cJSON_AddBoolToObject(journal, "reserve_whole", stats.reserve_whole);
    (void)cJSON_AddBoolToObject(journal, "full", stats.full != WB_JOURNAL_FULL_NOT);
    add_u64(journal, "segments", stats.segments);
    add_u64(journal, "snapshots_taken", stats.snapshots_taken);
    add_u64(journal, "lost_frames", stats.lost_frames);
    add_u64(journal, "commits", stats.commits);
    add_u64(journal, "last_commit_us", stats.last_commit_ns / 1000);
    add_u64(journal, "failed_syncs", stats.failed_syncs);
    (void)cJSON_AddBoolToObject(journal, "failed", stats.failed);
}

static void add_exporter(const wb_exporter_report *report, cJSON *exporter)
{
    const wb_runner_stats *stats = &report->runner;
    bool drops = report->when_full == WB_WHEN_FULL_DROP_OLDEST;
    (void)cJSON_AddStringToObject(exporter, "name", report->name);
    (void)cJSON_AddStringToObject(exporter, "type", report->type);
    (void)cJSON_AddStringToObject(exporter, "state", wb_runner_state_name(stats->state));
    (void)cJSON_AddStringToObject(exporter, "when_full", drops ? "drop_oldest" : "backpressure");
    add_u64(exporter, "cursor", stats->cursor);
    add_u64(exporter, "lag_frames", stats->lag_seq);
    add_u64(exporter, "lag_bytes", report->lag_bytes);
    add_u64(exporter, "max_lag_bytes", report->max_lag_bytes);
    add_u64(exporter, "lag_ms", stats->lag_ns / WB_NS_PER_MS);
    add_u64(exporter, "sent_records", stats->sent_records);
    add_u64(exporter, "failed_sends", stats->failed_sends);
    add_u64(exporter, "parked_records", stats->parked_records);
    add_u64(exporter, "dropped_records",
            stats->dropped_records + stats->skipped_records + stats->unparked_records);
    cJSON *dropped = cJSON_AddObjectToObject(exporter, "dropped_by_cause");
    add_u64(dropped, "lag", stats->skipped_records);
    add_u64(dropped, "far_side", stats->dropped_records);
    add_u64(dropped, "parked", stats->unparked_records);
    add_u64(exporter, "dropped_last_ns", stats->skipped_ns);
    add_u64(exporter, "unsampled_spans", stats->unsampled_spans);
    if (stats->last_error.status != WB_OK)
        (void)cJSON_AddStringToObject(exporter, "last_error", stats->last_error.detail);
    else
        (void)cJSON_AddNullToObject(exporter, "last_error");
}

/* Names that were configured once: they hold nothing back, and wait for their exporter's return. */
static void add_unconfigured(const wb_seen *seen, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "unconfigured_exporters");
    for (size_t i = 0; i < seen->n_cursors; i++) {
        const wb_cursor_row *row = &seen->cursors[i];
        cJSON *one = row->registered ? NULL : cJSON_CreateObject();
        if (!one) continue;
        (void)cJSON_AddStringToObject(one, "name", row->name);
        add_u64(one, "cursor", row->seq);
        add_u64(one, "dropped_records", row->dropped_records);
        if (!cJSON_AddItemToArray(list, one)) cJSON_Delete(one);
    }
}

static void add_exporters(wb_sidecar *sidecar, cJSON *root)
{
    wb_exporter_report report;
    cJSON *list = cJSON_AddArrayToObject(root, "exporters");
    for (size_t i = 0; wb_exporters_report(sidecar->exporters, i, &report); i++) {
        cJSON *exporter = cJSON_CreateObject();
        if (cJSON_AddItemToArray(list, exporter))
            add_exporter(&report, exporter);
        else
            cJSON_Delete(exporter);
    }
}

static void add_recovery(wb_sidecar *sidecar, const wb_world *world, cJSON *root)
{
    uint64_t until_s = wb_sidecar_recovering_until(sidecar, world);
    if (until_s > 0)
        add_u64(root, "recovering_until_s", until_s);
    else
        (void)cJSON_AddNullToObject(root, "recovering_until_s");
}

static void add_state(const wb_seen *seen, cJSON *root)
{
    cJSON *delegations = cJSON_AddObjectToObject(root, "delegations");
    cJSON *acceptances = cJSON_AddObjectToObject(root, "acceptances");
    add_u64(delegations, "open", seen->delegations_open);
    add_u64(delegations, "kept", seen->delegations_kept);
    add_u64(acceptances, "open", seen->acceptances_open);
    add_u64(acceptances, "kept", seen->acceptances_kept);
    add_u64(root, "replay_rows", seen->replay_rows);
    add_u64(root, "recovered_s", seen->recovered_s);
}

static void add_counters(wb_sidecar *sidecar, cJSON *root)
{
    wb_counters *c = &sidecar->counters;
    const struct {
        const char *name;
        atomic_ullong *value;
    } counters[] = {
        {"requests", &c->requests},
        {"requests_malformed", &c->requests_malformed},
        {"clients_closed_out", &c->clients_closed_out},
        {"spans_dropped_by_clients", &c->spans_dropped_by_clients},
        {"redacted_secrets", &c->redacted_secrets},
        {"redacted_cuts", &c->redacted_cuts},
        {"redacted_rules", &c->redacted_rules},
        {"delegations_signed", &c->delegations_signed},
        {"delegations_unsigned", &c->delegations_unsigned},
        {"delegations_denied", &c->delegations_denied},
        {"delegations_lost", &c->delegations_lost},
        {"signatures_checked", &c->signatures_checked},
        {"accepted_continue", &c->accepted_continue},
        {"accepted_link", &c->accepted_link},
        {"accepted_unverified", &c->accepted_unverified},
        {"duplicates", &c->duplicates},
        {"refused", &c->refused},
    };
    cJSON *out = cJSON_AddObjectToObject(root, "counters");
    for (size_t i = 0; i < WB_COUNT(counters); i++)
        add_u64(out, counters[i].name, atomic_load(counters[i].value));
    add_u64(out, "spans_accepted", wb_counters_spans_accepted(c));
    add_u64(out, "spans_rejected", wb_counters_spans_rejected(c));
    wb_refusals_stats kept;
    wb_refusals_get_stats(sidecar->refusals, &kept);
    add_u64(out, "refusals_kept", kept.kept);
    add_u64(out, "refusals_not_kept", kept.not_kept);
    add_u64(out, "refusals_last_not_kept_ns", kept.last_not_kept_ns);
    cJSON_AddBoolToObject(out, "refusals_file_gone", kept.file_gone);
    cJSON *codes = cJSON_AddObjectToObject(out, "refused_by_code");
    for (size_t i = WB_E_NONE + 1; i < WB_TOKEN_CODES; i++) {
        uint64_t n = atomic_load(&c->refused_by_code[i]);
        if (n > 0) add_u64(codes, wb_token_code_name((wb_token_code)i), n);
    }
}

/* Receivers of OTLP, with what each was sent and refused. */
static void add_receivers(const wb_sidecar *sidecar, cJSON *root)
{
    wb_otlp_report report;
    cJSON *list = cJSON_AddArrayToObject(root, "otlp");
    for (size_t i = 0; wb_otlp_get_report(sidecar, i, &report); i++) {
        cJSON *one = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(one, "receiver", report.name);
        (void)cJSON_AddStringToObject(one, "host", report.host);
        add_u64(one, "port", report.port);
        (void)cJSON_AddBoolToObject(one, "tls", report.tls);
        add_u64(one, "certificate_from_ns", report.cert_from_ns);
        add_u64(one, "certificate_until_ns", report.cert_until_ns);
        add_u64(one, "connections", report.connections);
        add_u64(one, "closed_out", report.closed_out);
        add_u64(one, "requests", report.requests);
        add_u64(one, "bytes", report.bytes);
        cJSON *refused = cJSON_AddObjectToObject(one, "refused");
        for (size_t k = 0; k < report.n_refused; k++)
            add_u64(refused, report.refused[k].cause, report.refused[k].n);
        if (!cJSON_AddItemToArray(list, one)) cJSON_Delete(one);
    }
}

/* The default store: whoever asks may not have its URL, and gets no secret of it. */
static void add_store(const wb_sidecar_config *config, cJSON *root)
{
    static const char *const types[] = {
        [WB_STORE_SQLITE] = "sqlite", [WB_STORE_NONE] = "none", [WB_STORE_POSTGRES] = "postgres"};
    char shown[WB_PATH_MAX];
    (void)cJSON_AddStringToObject(root, "store_type", types[config->store_type]);
    if (config->store_type != WB_STORE_POSTGRES) return;
    wb_store_url_hide(config->store.postgres.url, shown, sizeof shown);
    (void)cJSON_AddStringToObject(root, "store_url", shown);
}

char *wb_status_report(wb_sidecar *sidecar, bool with_policies)
{
    wb_seen seen;
    cJSON *root = cJSON_CreateObject();
    const wb_world *world = wb_world_take(sidecar->worlds);
    add_identity(sidecar, world, root);
    (void)cJSON_AddBoolToObject(root, "clock_jumped", atomic_load(&sidecar->clock_jumped));
    (void)cJSON_AddBoolToObject(root, "degraded", wb_sidecar_is_degraded(sidecar, world));
    add_recovery(sidecar, world, root);
    add_isolation(sidecar, root);
    add_sandbox(sidecar, root);
    add_trust(world, root);
    add_world(world, root);
    if (with_policies) add_policies(&world->config.policies, root);
    wb_world_drop(world);
    add_store(sidecar->config, root);
    add_journal(sidecar, root);
    add_receivers(sidecar, root);
    add_exporters(sidecar, root);
    wb_look_at(&sidecar->look, &seen);
    add_unconfigured(&seen, root);
    add_state(&seen, root);
    add_counters(sidecar, root);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* For the command line, which then finds the same store; a password is nobody's but the sidecar's. */
static void add_url(cJSON *root, const wb_sidecar_config *config)
{
    char shown[WB_PATH_MAX];
    const char *url = config->store.postgres.url;
    if (!url || !wb_is_postgres_url(url)) return;
    wb_store_url_hide(url, shown, sizeof shown);
    if (strcmp(shown, url) == 0) (void)cJSON_AddStringToObject(root, "store", url);
}

/* "otlp_http", "otlp_grpc". */
static void add_otlp_ports(const wb_sidecar *sidecar, cJSON *ports)
{
    wb_otlp_report report;
    char key[24];
    for (size_t i = 0; wb_otlp_get_report(sidecar, i, &report); i++) {
        (void)snprintf(key, sizeof key, "otlp_%s", report.name);
        add_u64(ports, key, report.port);
    }
}

static char *status_file_text(const wb_sidecar *sidecar, const wb_paths *paths, uint16_t admin_port)
{
    const wb_world *world = wb_world_take(sidecar->worlds);
    cJSON *root = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(root, "name", sidecar->config->name);
    (void)cJSON_AddStringToObject(root, "version", WAYBILL_VERSION);
    add_u64(root, "pid", (uint64_t)getpid());
    add_u64(root, "started_ns", sidecar->started_ns);
    add_slice(root, "agent_id", sidecar->config->self_ids[0]);
    cJSON *ids = cJSON_AddArrayToObject(root, "agent_ids");
    for (size_t i = 0; i < sidecar->config->n_self_ids; i++) {
        char id[WB_ID_MAX_BYTES + 1];
        (void)snprintf(id, sizeof id, "%.*s", WB_SLICE_ARG(sidecar->config->self_ids[i]));
        (void)cJSON_AddItemToArray(ids, cJSON_CreateString(id));
    }
    (void)cJSON_AddStringToObject(root, "key_id", wb_key_ring_kid(world->ring));
    wb_world_drop(world);
    (void)cJSON_AddStringToObject(root, "isolation", sidecar->isolation);
    /* As the configuration has them: whoever asks did not read it. */
    const char *store = sidecar->config->store.sqlite.path;
    (void)cJSON_AddStringToObject(root, "state_dir", paths->state_dir);
    if (sidecar->config->store_type == WB_STORE_SQLITE)
        (void)cJSON_AddStringToObject(root, "store", store ? store : paths->store);
    if (sidecar->config->store_type == WB_STORE_POSTGRES) add_url(root, sidecar->config);
    cJSON *ports = cJSON_AddObjectToObject(root, "ports");
    (void)cJSON_AddStringToObject(root, "admin_host", sidecar->config->admin.host);
    add_u64(ports, "admin", admin_port);
    add_otlp_ports(sidecar, ports);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

wb_status wb_status_file_write(const wb_sidecar *sidecar, const wb_paths *paths,
                               uint16_t admin_port, wb_error *err)
{
    char *text = status_file_text(sidecar, paths, admin_port);
    if (!text) return wb_fail(err, WB_ERR_NO_MEMORY, "status file");
    wb_status status = wb_file_put_for_group(paths->run_dir, "status.json", wb_slice_str(text),
                                             sidecar->group, err);
    free(text);
    return status;
}
