/* SPDX-License-Identifier: Apache-2.0 */
/* An allow list of system calls for all threads (seccomp(2), SECCOMP_FILTER_FLAG_TSYNC), loaded when
 * everything is open: no program is started, no process made, no socket made, bound or connected, no
 * memory made executable, nobody else's process touched.
 *
 * What is not on the list gives EPERM, by way of SIGSYS: the handler counts the call and lets it return
 * that. Killing would be the harder stop, but a sidecar must outlive a library's update, in which some
 * call turns up that nobody saw before; and an intruder who gets EPERM is as far from his goal. A count
 * in status and log makes sure that neither goes unseen. A thread that blocked SIGSYS would be killed
 * by the kernel instead; none of ours, nng's or libmicrohttpd's does.
 *
 * Calls of the list that carry a condition:
 *   mmap, mprotect  without PROT_EXEC
 *   clone           a thread, never a process; clone3 cannot be looked into, ENOSYS sends glibc to clone
 *   open, fchmod    (openat2 cannot be looked into either) without set-user-id, set-group-id and sticky bits: a sidecar of root's, taken over,
 *                   could otherwise leave a program for others to run as root
 *   socket          with `egress` only: IPv4 and IPv6, Unix sockets if asked for; getaddrinfo tries netlink
 *                   and nscd's socket too, takes a no for an answer, and is not counted for it
 *   ioctl           with `egress` only: how many bytes wait (glibc's resolver)
 *   tgkill          ourselves (abort); prctl: names of threads and memory; prlimit64: asking only */
#include "sidecar/sandbox/parts.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some are there for other processors, C libraries or versions than ours. */
static const char *const allowed[] = {
    /* descriptors */
    "read",
    "readv",
    "pread64",
    "preadv",
    "preadv2",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "fcntl64",
    "lseek",
    "_llseek",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "fallocate",
    "ftruncate",
    "ftruncate64",
    "fadvise64",
    "fadvise64_64",
    "flock",
    "pipe",
    "pipe2",
    "eventfd2",
    /* files; where to, Landlock says */
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "fstatat64",
    "statx",
    "statfs",
    "fstatfs",
    "statfs64",
    "fstatfs64",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents64",
    "getcwd",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "fchown",
    "umask",
    /* sockets that are open */
    "accept",
    "accept4",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "sendfile",
    "shutdown",
    "getsockopt",
    "setsockopt",
    "getsockname",
    "getpeername",
    /* waiting */
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "futex",
    "futex_waitv",
    "nanosleep",
    "clock_nanosleep",
    "restart_syscall",
    /* time */
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    /* memory */
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "mlock",
    "mlock2",
    "munlock",
    "mincore",
    "membarrier",
    /* threads and signals */
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "sched_yield",
    "sched_getaffinity",
    "exit",
    "exit_group",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "rt_sigpending",
    "sigaltstack",
    "getpriority",
    /* who and where we are */
    "getpid",
    "gettid",
    "getppid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getgroups",
    "getrandom",
    "uname",
    "sysinfo",
    "getrusage",
    "getcpu",
};

static atomic_ullong refused;
static atomic_int last_refused = -1;

static void on_refused(int signal_number, siginfo_t *info, void *ucontext)
{
    (void)signal_number;
    atomic_store(&last_refused, info->si_syscall);
    atomic_fetch_add(&refused, 1);
    wb_sigsys_return(ucontext, -EPERM);
}

static int allow(scmp_filter_ctx filter, const char *name, unsigned n,
                 const struct scmp_arg_cmp *when)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return 0; /* a libseccomp that is older than the call */
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, n, when);
}

static int allow_when(scmp_filter_ctx filter, const char *name, struct scmp_arg_cmp when)
{
    return allow(filter, name, 1, &when);
}

static int allow_with_conditions(scmp_filter_ctx filter)
{
    const scmp_datum_t special = S_ISUID | S_ISGID | S_ISVTX, thread = CLONE_THREAD | CLONE_VM;
    int failed = 0;
    failed |= allow_when(filter, "mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    failed |= allow_when(filter, "mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    failed |= allow_when(filter, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    failed |= allow_when(filter, "open", SCMP_A2(SCMP_CMP_MASKED_EQ, special, 0));
    failed |= allow_when(filter, "openat", SCMP_A3(SCMP_CMP_MASKED_EQ, special, 0));
    failed |= allow_when(filter, "fchmod", SCMP_A1(SCMP_CMP_MASKED_EQ, special, 0));
    failed |= allow_when(filter, "tgkill", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    failed |= allow_when(filter, "prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
    failed |= allow_when(filter, "prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA, 0));
    failed |= allow_when(filter, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0, 0));
    failed |= allow_when(filter, "setpriority", SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS, 0));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return failed;
}

/* What libcurl and libpq need to reach a far side. */
static int allow_egress(scmp_filter_ctx filter, const wb_egress *egress)
{
    int failed = 0;
    const uint32_t no = SCMP_ACT_ERRNO(EACCES), unknown = SCMP_ACT_ERRNO(EAFNOSUPPORT);
    if (!egress->tcp && !egress->unix_sockets) return 0;
    failed |= allow(filter, "connect", 0, NULL);
    failed |= allow(filter, "socketpair", 0, NULL); /* libcurl wakes itself by it */
    failed |= allow_when(filter, "ioctl", SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0));
    failed |= allow_when(filter, "socket", SCMP_A0(SCMP_CMP_EQ, AF_INET, 0));
    failed |= allow_when(filter, "socket", SCMP_A0(SCMP_CMP_EQ, AF_INET6, 0));
    failed |= seccomp_rule_add(filter, egress->unix_sockets ? SCMP_ACT_ALLOW : no, SCMP_SYS(socket),
                               1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
    failed |=
        seccomp_rule_add(filter, unknown, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0));
    return failed;
}

static const char *load(scmp_filter_ctx filter, const wb_egress *egress)
{
    if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0) return "without TSYNC here";
    if (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0)
        return "too old here";
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a list */
    int failed = allow_with_conditions(filter) | allow_egress(filter, egress);
    for (size_t i = 0; i < WB_COUNT(allowed); i++) failed |= allow(filter, allowed[i], 0, NULL);
    if (failed) return "without room for the filter";
    return seccomp_load(filter) == 0 ? NULL : "refused by the kernel";
}

void wb_seccomp_restrict(const wb_egress *egress, wb_sandbox_part *out)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_RESTART};
    *out = (wb_sandbox_part){.why = "not in this kernel"};
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, NULL) != 0) return;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    if (!filter) return;
    out->why = load(filter, egress);
    out->on = out->why == NULL;
    seccomp_release(filter);
}

uint64_t wb_sandbox_refused(int *last)
{
    *last = atomic_load(&last_refused);
    return atomic_load(&refused);
}

void wb_sandbox_call_name(int number, char out[32])
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    (void)snprintf(out, 32, "%s", name ? name : "?");
    free(name);
}
