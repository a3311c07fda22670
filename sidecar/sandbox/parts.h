/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/sandbox/parts.h: the mechanisms behind sandbox.h, one file each. CMake takes landlock.c or
 * landlock_none.c, seccomp.c or seccomp_none.c. */
#ifndef WAYBILL_SIDECAR_SANDBOX_PARTS_H
#define WAYBILL_SIDECAR_SANDBOX_PARTS_H

#include "sidecar/sandbox/sandbox.h"

/** Restrict the calling thread. out->on says whether it is. */
void wb_landlock_restrict(const wb_sandbox_path *paths, size_t n, const wb_egress *egress,
                          wb_sandbox_part *out);

/** Restrict all threads of the process. */
void wb_seccomp_restrict(const wb_egress *egress, wb_sandbox_part *out);

/** Let the system call that raised SIGSYS return `value`. One file per processor.
 *  ucontext  as a handler with SA_SIGINFO gets it */
void wb_sigsys_return(void *ucontext, long value);

#endif
