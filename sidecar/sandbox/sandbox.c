/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/sandbox/parts.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* <linux/prctl.h> since 6.3 */
enum { SET_MDWE = 65, MDWE_REFUSE_EXEC_GAIN = 1 };

void wb_sandbox_process(wb_sandbox_wish wish, wb_sandbox *out)
{
    const struct rlimit none = {0, 0};
    *out = (wb_sandbox){.wish = wish, .files.why = "not asked for", .calls.why = "not asked for"};
    (void)umask(S_IRWXG | S_IRWXO);
    /* A core dump would hold the key. The limit stops one to a file, the flag also one that is piped to
     * a program, and it closes /proc/PID/mem and ptrace(2) to all but root. */
    out->no_dump = setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
    out->no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    out->no_write_exec = prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
}

static wb_status demand(const wb_sandbox *sandbox, const wb_sandbox_part *part, const char *name,
                        wb_error *err)
{
    if (part->on || sandbox->wish != WB_SANDBOX_REQUIRE) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG,
                   "sandbox: require, but %s is %s; mend that, or set sandbox to auto", name,
                   part->why);
}

wb_status wb_sandbox_files(wb_sandbox *sandbox, const wb_sandbox_path *paths, size_t n,
                           wb_error *err)
{
    if (sandbox->wish == WB_SANDBOX_OFF) return WB_OK;
    wb_landlock_restrict(paths, n, &sandbox->egress, &sandbox->files);
    return demand(sandbox, &sandbox->files, "Landlock", err);
}

wb_status wb_sandbox_calls(wb_sandbox *sandbox, wb_error *err)
{
    if (sandbox->wish == WB_SANDBOX_OFF) return WB_OK;
    wb_seccomp_restrict(&sandbox->egress, &sandbox->calls);
    return demand(sandbox, &sandbox->calls, "seccomp", err);
}
