/* SPDX-License-Identifier: Apache-2.0 */
/* What `doctor` says about keys and trust: the files themselves, and what the running sidecar made of
 * them. */
#include "cli/doctor.h"
#include "propagation/keyring.h"
#include "propagation/revoked.h"
#include "propagation/rotation.h"
#include "propagation/trust.h"

#include <dirent.h>
#include <sys/stat.h>

enum { EXPIRY_WARN_S = 14 * 86400 };
static const wb_time_ns BEHIND_NS = 10 * WB_NS_PER_S;

static void say_ring(wb_doctor *d, const wb_key_ring *ring)
{
    uint64_t now_s = wb_now(d->cli->clock) / WB_NS_PER_S;
    wb_slice signs = wb_report_text(d->probe.report, "key_id");
    char made[WB_TIME_TEXT], ready[WB_TIME_TEXT];
    const wb_ring_key *key;
    wb_doctor_say(d, WB_FINDING_OK, "key", NULL, "%s", wb_key_ring_kid(ring));
    if (signs.len > 0 && !wb_slice_eq(signs, wb_slice_str(wb_key_ring_kid(ring))))
        wb_doctor_say(d, WB_FINDING_WARN, "key", "waybill reload",
                      "the running sidecar still signs with %.*s", WB_SLICE_ARG(signs));
    for (size_t i = 0; (key = wb_key_ring_at(ring, i)) != NULL; i++) {
        uint64_t ready_s = key->made_s + WB_KEY_PUBLISHED_S;
        if (key->role != WB_KEY_NEXT) continue;
        if (now_s < ready_s)
            wb_doctor_say(d, WB_FINDING_OK, "next key", NULL, "%s, made %s, may sign from %s",
                          key->key.kid, wb_seconds_text(key->made_s, made),
                          wb_seconds_text(ready_s, ready));
        else
            wb_doctor_say(d, WB_FINDING_WARN, "next key",
                          "once peers have it (waybill trust bundle): waybill key rotate",
                          "%s, made %s, waits to sign", key->key.kid,
                          wb_seconds_text(key->made_s, made));
    }
}

void wb_doctor_keys(wb_doctor *d)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    wb_error err = {0};
    wb_status status = wb_self_test(&err);
    if (status != WB_OK) {
        wb_doctor_say(d, WB_FINDING_FAIL, "crypto", "use the libsodium that Debian ships", "%s",
                      err.detail);
        return;
    }
    status = wb_key_ring_open(d->cli->paths.keys_dir, &ring, &err);
    if (status == WB_ERR_NOT_FOUND)
        wb_doctor_say(d, WB_FINDING_WARN, "key", "waybill key new, or start the sidecar",
                      "no key in %s", d->cli->paths.keys_dir);
    else if (status != WB_OK)
        wb_doctor_say(d, WB_FINDING_FAIL, "key",
                      "fix owner and mode (0600 in 0700), or make a new one", "%s", err.detail);
    else
        say_ring(d, ring);
}

/* An issuer is as good as its last key: says when that ends, or ended. */
static void check_expiry(wb_doctor *d, const wb_trust_issuer *issuer)
{
    uint64_t now_s = wb_now(d->cli->clock) / WB_NS_PER_S, last = 0;
    char text[WB_TIME_TEXT];
    for (size_t k = 0; k < issuer->n_keys; k++)
        if (issuer->keys[k].exp > last) last = issuer->keys[k].exp;
    if (issuer->n_keys == 0 || last > now_s + EXPIRY_WARN_S) return;
    wb_doctor_say(d, WB_FINDING_WARN, "trust", "get its next key, then: waybill trust add",
                  last <= now_s ? "%.*s: its last key ended %s" : "%.*s: its last key ends %s",
                  WB_SLICE_ARG(issuer->id), wb_seconds_text(last, text));
}

void wb_doctor_trust(wb_doctor *d)
{
    WB_AUTO(wb_trust) trust = NULL;
    wb_error err = {0};
    size_t issuers = 0;
    if (wb_trust_load(d->cli->paths.trust_dir, NULL, &trust, &err) != WB_OK) {
        wb_doctor_say(d, WB_FINDING_FAIL, "trust", "chmod 0700, and look at the files", "%s",
                      err.detail);
        return;
    }
    for (size_t i = 0; wb_trust_problem_at(trust, i); i++) {
        const wb_trust_problem *problem = wb_trust_problem_at(trust, i);
        wb_doctor_say(d, WB_FINDING_FAIL, "trust", "repair or remove it", "%s: %s", problem->file,
                      problem->reason);
    }
    while (wb_trust_at(trust, issuers)) check_expiry(d, wb_trust_at(trust, issuers++));
    if (issuers == 0)
        wb_doctor_say(d, WB_FINDING_WARN, "trust",
                      "waybill trust add --id AGENT_ID KEY, for each peer",
                      "no issuer in %s: every delegation to this agent is an unverified LINK",
                      d->cli->paths.trust_dir);
    else
        wb_doctor_say(d, WB_FINDING_OK, "trust", NULL, "%zu issuers in %s", issuers,
                      d->cli->paths.trust_dir);
}

void wb_doctor_revoked(wb_doctor *d)
{
    WB_AUTO(wb_revoked) revoked = NULL;
    wb_error err = {0};
    if (wb_revoked_load(d->cli->paths.trust_dir, &revoked, &err) != WB_OK)
        wb_doctor_say(d, WB_FINDING_FAIL, "revoked",
                      "repair it: a sidecar that starts now would refuse to", "%s", err.detail);
    else if (wb_revoked_count(revoked) > 0)
        wb_doctor_say(d, WB_FINDING_OK, "revoked", NULL, "%zu revocations",
                      wb_revoked_count(revoked));
}

/* The newest change of what stands in `dir`; 0: cannot be told. */
static wb_time_ns changed_ns(const char *dir)
{
    wb_time_ns newest = 0;
    DIR *stream = opendir(dir);
    if (!stream) return 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (const struct dirent *e; (e = readdir(stream)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, "..") == 0 || fstatat(dirfd(stream), e->d_name, &st, 0) != 0)
            continue;
        wb_time_ns at =
            (wb_time_ns)st.st_ctim.tv_sec * WB_NS_PER_S + (wb_time_ns)st.st_ctim.tv_nsec;
        if (at > newest) newest = at;
    }
    (void)closedir(stream);
    return newest;
}

/* A sidecar looks at its files each second, so it should not be far behind them. */
static void check_generation(wb_doctor *d, wb_time_ns loaded_ns)
{
    wb_time_ns keys = changed_ns(d->cli->paths.keys_dir), now = wb_now(d->cli->clock);
    wb_time_ns changed = changed_ns(d->cli->paths.trust_dir);
    char text[WB_TIME_TEXT];
    if (keys > changed) changed = keys;
    if (changed > loaded_ns && now > changed && now - changed > BEHIND_NS)
        wb_doctor_say(d, WB_FINDING_WARN, "reload", "waybill reload; then see its log",
                      "keys or trust changed %s, and the sidecar has not read them since",
                      wb_time_text(changed, text));
}

/* What the running sidecar left out of what it has in force. */
void wb_doctor_reload(wb_doctor *d)
{
    const wb_json *reload = wb_report_object(d->probe.report, "reload");
    const wb_json *problems = wb_report_object(reload, "problems");
    const wb_json *stale = wb_report_object(reload, "needs_restart");
    char loaded[WB_TIME_TEXT];
    if (!reload) return;
    for (const wb_json *p = problems ? problems->first : NULL; p; p = p->next)
        wb_doctor_say(d, WB_FINDING_FAIL, "reload", "repair it, then: waybill reload",
                      "left out: %.*s", WB_SLICE_ARG(p->text));
    for (const wb_json *key = stale ? stale->first : NULL; key; key = key->next)
        wb_doctor_say(d, WB_FINDING_WARN, "reload", "restart the sidecar",
                      "%.*s changed and is not taken by a reload", WB_SLICE_ARG(key->text));
    check_generation(d, wb_report_number(reload, "loaded_ns"));
    if (problems && problems->n == 0)
        wb_doctor_say(d, WB_FINDING_OK, "reload", NULL, "generation %llu, %s",
                      (unsigned long long)wb_report_number(reload, "generation"),
                      wb_time_text(wb_report_number(reload, "loaded_ns"), loaded));
}
