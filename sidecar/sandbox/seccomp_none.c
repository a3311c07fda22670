/* SPDX-License-Identifier: Apache-2.0 */
/* Builds with WAYBILL_SECCOMP=OFF, without libseccomp or for a processor without a sigsys_*.c, and
 * sanitized ones, whose runtimes make calls of their own. */
#include "sidecar/sandbox/parts.h"

#include <stdio.h>

void wb_seccomp_restrict(const wb_egress *egress, wb_sandbox_part *out)
{
    (void)egress;
    *out = (wb_sandbox_part){.why = "not in this build"};
}

uint64_t wb_sandbox_refused(int *last)
{
    *last = -1;
    return 0;
}

void wb_sandbox_call_name(int number, char out[32]) { (void)snprintf(out, 32, "%d", number); }
