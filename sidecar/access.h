/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/access.h: which user may ask this sidecar for what. Rules: docs/security.md.
 *
 * The kernel says who connected (SO_PEERCRED), before a byte of theirs is read. The users of
 * ipc.allow_uids are the agent's; without any the agent runs as our own user. Our own user may always
 * administer; it may speak as the agent only if it is one of those. Nobody else gets in, uid 0 no more
 * than others, and never the overflow uid: the kernel shows it for every user that has no number in
 * our user namespace, so it names nobody. Immutable once made: any thread may ask. */
#ifndef WAYBILL_SIDECAR_ACCESS_H
#define WAYBILL_SIDECAR_ACCESS_H

#include "core/slice.h"
#include "core/status.h"

#include <sys/types.h>

typedef struct wb_access {
    uid_t own, overflow;
    const uid_t *allowed; /* borrowed; none: our own */
    size_t n_allowed;
} wb_access;

typedef enum wb_role {
    WB_ROLE_ANY = 0,        /* whoever was let in: Hello, Status */
    WB_ROLE_AGENT = 1 << 0, /* Record, Delegate, Accept and so on */
    WB_ROLE_ADMIN = 1 << 1, /* what changes the sidecar itself */
} wb_role;

/** The kernel's overflow uid: /proc/sys/kernel/overflowuid, else 65534. */
uid_t wb_overflow_uid(void);

/** Errors  CONFIG we ourselves, or one of `allowed`, have the overflow uid */
WB_MUST_USE wb_status wb_access_init(uid_t own, uid_t overflow, const uid_t *allowed,
                                     size_t n_allowed, wb_access *out, wb_error *err);

/** A set of wb_role; 0: the user is not let in. `uid` is UINT64_MAX where the kernel did not say. */
unsigned wb_access_roles(const wb_access *access, uint64_t uid);

/** Why roles are 0, static; NULL if they are not. */
const char *wb_access_refusal(const wb_access *access, uint64_t uid);

/** Which key lets `uid` in, or why none can; for the log. */
void wb_access_advice(const wb_access *access, uint64_t uid, char out[160]);

/** Does the agent run as another user than we, whichever of the allowed it is? */
bool wb_access_is_split(const wb_access *access);

#endif
