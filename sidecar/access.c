/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/access.h"

#include "core/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const uid_t OVERFLOW_UID = 65534; /* DEFAULT_OVERFLOWUID of the kernel */

uid_t wb_overflow_uid(void)
{
    char text[16] = "";
    size_t len = 0;
    WB_AUTO_FD fd = open("/proc/sys/kernel/overflowuid", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || wb_file_read(fd, text, sizeof text - 1, &len) != WB_OK) return OVERFLOW_UID;
    text[len] = '\0';
    unsigned long value = strtoul(text, NULL, 10);
    return value > 0 && value < UINT32_MAX ? (uid_t)value : OVERFLOW_UID;
}

static bool is_listed(const wb_access *access, uint64_t uid)
{
    for (size_t i = 0; i < access->n_allowed; i++)
        if (access->allowed[i] == uid) return true;
    return false;
}

wb_status wb_access_init(uid_t own, uid_t overflow, const uid_t *allowed, size_t n_allowed,
                         wb_access *out, wb_error *err)
{
    wb_access access = {own, overflow, allowed, n_allowed};
    if (own == overflow)
        return wb_fail(err, WB_ERR_CONFIG,
                       "this process runs as uid %u, which the kernel also shows for users that it "
                       "cannot name here: give it a user of its own",
                       (unsigned)own);
    if (is_listed(&access, overflow))
        return wb_fail(err, WB_ERR_CONFIG,
                       "ipc.allow_uids: %u is shown for every user that has no number in this user "
                       "namespace, so it cannot be let in",
                       (unsigned)overflow);
    *out = access;
    return WB_OK;
}

unsigned wb_access_roles(const wb_access *access, uint64_t uid)
{
    unsigned roles = 0;
    if (uid == access->overflow) return 0;
    if (uid == access->own) roles |= WB_ROLE_ADMIN;
    if (access->n_allowed == 0 ? uid == access->own : is_listed(access, uid))
        roles |= WB_ROLE_AGENT;
    return roles;
}

const char *wb_access_refusal(const wb_access *access, uint64_t uid)
{
    if (wb_access_roles(access, uid) != 0) return NULL;
    if (uid == UINT64_MAX) return "a user that the kernel does not name";
    if (uid == access->overflow) return "a user of a user namespace that has no number in ours";
    return "another user";
}

void wb_access_advice(const wb_access *access, uint64_t uid, char out[160])
{
    if (uid == UINT64_MAX)
        (void)snprintf(out, 160, "none: the kernel does not name the peer");
    else if (uid == access->overflow)
        (void)snprintf(out, 160,
                       "none: map the agent's user into the sidecar's user namespace, or run both "
                       "in one");
    else
        (void)snprintf(out, 160, "if this is the agent: add %llu to ipc.allow_uids",
                       (unsigned long long)uid);
}

bool wb_access_is_split(const wb_access *access)
{
    return access->n_allowed > 0 && !is_listed(access, access->own);
}
