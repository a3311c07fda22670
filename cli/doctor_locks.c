/* SPDX-License-Identifier: Apache-2.0 */
/* `doctor` on users and locks: can the agent reach the sidecar's keys, and what has the process taken
 * from itself? The sidecar judges, since only it sees its files; here it is put into words. */
#include "cli/doctor.h"

#include <stdio.h>
#include <unistd.h>

static const char how_to_isolate[] =
    "budgets bind honest agents only; for `uid` run waybilld as a user of its own, in a group with "
    "the "
    "agent's user, and set ipc.allow_uids and ipc.group (docs/security.md)";

static void list_uids(const wb_json *uids, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (const wb_json *u = uids ? uids->first : NULL; u && len < cap; u = u->next) {
        int n = snprintf(out + len, cap - len, "%s%llu", len > 0 ? ", " : "",
                         (unsigned long long)u->number);
        len += n > 0 ? (size_t)n : 0;
    }
}

static void check_isolation(wb_doctor *d)
{
    const wb_json *report = d->probe.report;
    wb_slice mode = wb_report_text(report, "isolation");
    char uids[120];
    list_uids(wb_json_member(report, WB_S("agent_uids")), uids, sizeof uids);
    if (wb_slice_eq(mode, WB_S("uid")))
        wb_doctor_say(d, WB_FINDING_OK, "isolation", NULL,
                      "uid: keys and state of uid %llu are out of the agent's reach (uid %s)",
                      (unsigned long long)wb_report_number(report, "uid"), uids);
    else
        wb_doctor_say(d, WB_FINDING_WARN, "isolation", how_to_isolate, "%.*s: %.*s",
                      WB_SLICE_ARG(mode),
                      WB_SLICE_ARG(wb_report_text(report, "isolation_because")));
}

static void check_sandbox(wb_doctor *d)
{
    const wb_json *sandbox = wb_report_object(d->probe.report, "sandbox");
    wb_slice landlock = wb_report_text(sandbox, "landlock");
    wb_slice seccomp = wb_report_text(sandbox, "seccomp");
    wb_slice replaced = wb_report_text(sandbox, "replaced");
    wb_slice removed = wb_report_text(sandbox, "removed");
    unsigned long long refused = wb_report_number(sandbox, "refused_calls");
    bool whole = wb_slice_eq(landlock, WB_S("on")) && wb_slice_eq(seccomp, WB_S("on"));
    if (refused > 0)
        wb_doctor_say(d, WB_FINDING_FAIL, "sandbox",
                      "see docs/security.md: a refused call is an intruder or an update",
                      "%llu system calls were refused, the last one %.*s", refused,
                      WB_SLICE_ARG(wb_report_text(sandbox, "last_refused")));
    else if (replaced.len > 0)
        wb_doctor_say(d, WB_FINDING_FAIL, "sandbox",
                      "restart the sidecar, and list the directory above it in sandbox_writable",
                      "%.*s was replaced since the start and is closed", WB_SLICE_ARG(replaced));
    else if (removed.len > 0)
        wb_doctor_say(d, WB_FINDING_FAIL, "sandbox",
                      "put the same one back, or make one and restart the sidecar; list the "
                      "directory above it in sandbox_writable",
                      "%.*s was removed since the start, and the sandbox lets the sidecar neither "
                      "make it again nor use a new one",
                      WB_SLICE_ARG(removed));
    else
        wb_doctor_say(d, whole ? WB_FINDING_OK : WB_FINDING_WARN, "sandbox",
                      "set `sandbox` to auto, and use a kernel and a build that have both",
                      "Landlock %.*s, seccomp %.*s", WB_SLICE_ARG(landlock), WB_SLICE_ARG(seccomp));
}

void wb_doctor_locks(wb_doctor *d)
{
    check_isolation(d);
    check_sandbox(d);
}

bool wb_doctor_is_let_in(const wb_doctor *d)
{
    const wb_json *uids = wb_json_member(d->probe.report, WB_S("agent_uids"));
    if (!uids || wb_report_number(d->probe.report, "uid") == geteuid()) return true;
    for (const wb_json *u = uids->first; u; u = u->next)
        if (u->number == geteuid()) return true;
    return false;
}

bool wb_doctor_is_foreign(const wb_doctor *d)
{
    return wb_json_member(d->probe.report, WB_S("agent_uids")) && geteuid() != 0 &&
           wb_report_number(d->probe.report, "uid") != geteuid();
}
