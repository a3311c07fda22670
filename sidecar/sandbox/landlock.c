/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock by raw system calls: Debian 12 has neither wrappers nor the constants of later kernels, so
 * those that its header lacks stand here. Source: Documentation/userspace-api/landlock.rst.
 *
 * A ruleset names what it *handles*; all of that is forbidden but where a rule allows it. So everything
 * that the running kernel can handle is handled, and what it cannot stays open:
 *
 *   ABI 1 (5.13)  reading, writing, making, removing, executing
 *   ABI 2 (5.19)  renaming to another directory (before that it is always forbidden)
 *   ABI 3 (6.2)   truncating; before that, truncate(2) is closed by the seccomp filter
 *   ABI 4 (6.7)   TCP: connecting is forbidden, but to the ports of `egress`. Binding is not: our ports open after this step
 *   ABI 5 (6.10)  device ioctls
 *   ABI 6 (6.12)  abstract Unix sockets and signals, to processes outside
 *   ABI 7 (6.15)  logging of refusals by the kernel: on by default, left so
 *
 * A rule is bound to the directory itself, not to its name. A directory that is removed and made again
 * is another one, and closed: hence rules on directories that stay, with what comes and goes below
 * them. No rule allows to execute; a program that does not exec reads its libraries before this. */
#include "sidecar/sandbox/parts.h"

#include "core/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define RULE_NET_PORT 2 /* enum landlock_rule_type, ABI 4 */
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

/* struct landlock_ruleset_attr as of ABI 6. */
typedef struct ruleset {
    uint64_t fs, net, scoped;
} ruleset;

/* struct landlock_net_port_attr, ABI 4 */
typedef struct net_port {
    uint64_t allowed_access, port;
} net_port;

static const uint64_t READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                              LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                              LANDLOCK_ACCESS_FS_REMOVE_DIR | FS_REFER | FS_TRUNCATE;
static const uint64_t OF_A_FILE =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;

static uint64_t fs_of(int abi)
{
    uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    if (abi >= 2) all |= FS_REFER;
    if (abi >= 3) all |= FS_TRUNCATE;
    if (abi >= 5) all |= FS_IOCTL_DEV;
    return all;
}

static int new_ruleset(int abi, const wb_egress *egress, uint64_t *fs)
{
    ruleset rules = {.fs = fs_of(abi)};
    size_t size = sizeof rules.fs;
    if (abi >= 4) {
        rules.net = egress->any_port ? 0 : NET_CONNECT_TCP;
        size += sizeof rules.net;
    }
    if (abi >= 6) {
        rules.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
        size += sizeof rules.scoped;
    }
    *fs = rules.fs;
    return (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0U);
}

static bool allow(int rules, uint64_t handled, const wb_sandbox_path *path)
{
    struct stat st;
    uint64_t may = READ;
    if (path->may & WB_SANDBOX_WRITE) may |= WRITE;
    if (path->may & WB_SANDBOX_LISTEN) may |= LANDLOCK_ACCESS_FS_MAKE_SOCK;
    WB_AUTO_FD fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    if (fstat(fd, &st) != 0) return false;
    if (!S_ISDIR(st.st_mode)) may &= OF_A_FILE;
    const struct landlock_path_beneath_attr rule = {.allowed_access = may & handled,
                                                    .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) == 0;
}

static bool allow_ports(int rules, int abi, const wb_egress *egress)
{
    if (abi < 4 || egress->any_port) return true;
    for (size_t i = 0; i < egress->n_ports; i++) {
        const net_port rule = {NET_CONNECT_TCP, egress->ports[i]};
        if (syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &rule, 0U) != 0) return false;
    }
    return true;
}

void wb_landlock_restrict(const wb_sandbox_path *paths, size_t n, const wb_egress *egress,
                          wb_sandbox_part *out)
{
    uint64_t handled;
    *out = (wb_sandbox_part){.why = "not in this kernel"};
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0UL, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) {
        if (errno == EOPNOTSUPP) out->why = "switched off at this kernel's boot";
        if (errno == EPERM) out->why = "forbidden by a sandbox around this process";
        return;
    }
    out->version = abi;
    out->why = "refused by the kernel";
    WB_AUTO_FD rules = new_ruleset(abi, egress, &handled);
    if (rules < 0) return;
    for (size_t i = 0; i < n; i++)
        if (!allow(rules, handled, &paths[i])) return;
    if (!allow_ports(rules, abi, egress)) return;
    if (syscall(SYS_landlock_restrict_self, rules, 0U) != 0) return;
    out->on = true;
    out->why = NULL;
}
