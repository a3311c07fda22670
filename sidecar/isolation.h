/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/isolation.h: can the agent reach this sidecar's keys and state? DESIGN section 7.
 *
 * "uid" is said only where every user that may speak as the agent is another than ours, is not uid 0,
 * and can neither read nor replace state, keys and configuration; else "none", and why. What it cannot
 * see: capabilities that such a user was given (CAP_DAC_OVERRIDE, CAP_SYS_PTRACE ...), and access lists
 * on what lies outside the state directory. docs/security.md. */
#ifndef WAYBILL_SIDECAR_ISOLATION_H
#define WAYBILL_SIDECAR_ISOLATION_H

#include "core/paths.h"
#include "sidecar/access.h"

typedef struct wb_isolation {
    const char *mode; /* "none" or "uid", static */
    char why[200];    /* none: because; else empty */
} wb_isolation;

/** Look at the files as they are now. Any thread.
 *  config_path  NULL: there is none */
void wb_isolation_look(const wb_access *access, const wb_paths *paths, const char *config_path,
                       wb_isolation *out);

#endif
