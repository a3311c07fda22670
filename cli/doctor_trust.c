/* SPDX-License-Identifier: Apache-2.0 */
/* What `doctor` says about keys and trust: the files themselves, and what the running sidecar made of
 * them. */
#include "cli/doctor.h"
#include "propagation/keyring.h"
#include "propagation/trust.h"

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
        wb_doctor_say(d, WB_FINDING_OK, "key", NULL, "%s", wb_key_ring_kid(ring));
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
    while (wb_trust_at(trust, issuers)) issuers++;
    if (issuers == 0)
        wb_doctor_say(d, WB_FINDING_WARN, "trust",
                      "waybill trust add --id AGENT_ID KEY, for each peer",
                      "no issuer in %s: every delegation to this agent is an unverified LINK",
                      d->cli->paths.trust_dir);
    else
        wb_doctor_say(d, WB_FINDING_OK, "trust", NULL, "%zu issuers in %s", issuers,
                      d->cli->paths.trust_dir);
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
                      "what was there before holds: %.*s", WB_SLICE_ARG(p->text));
    for (const wb_json *key = stale ? stale->first : NULL; key; key = key->next)
        wb_doctor_say(d, WB_FINDING_WARN, "reload", "restart the sidecar",
                      "%.*s changed and is not taken by a reload", WB_SLICE_ARG(key->text));
    if (problems && problems->n == 0)
        wb_doctor_say(d, WB_FINDING_OK, "reload", NULL, "generation %llu, %s",
                      (unsigned long long)wb_report_number(reload, "generation"),
                      wb_time_text(wb_report_number(reload, "loaded_ns"), loaded));
}
