/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody might try who runs code inside waybilld: preloaded into it (LD_PRELOAD), this library
 * waits until the file $INTRUDER_GO is there, and then does its tries on whichever thread syncs the
 * journal next, a thread as locked in as all others. Each try leaves a line "NAME ERRNO" in the file
 * $INTRUDER_SAYS, which was opened before the locks; 0 is a success. $INTRUDER_STATE is the state
 * directory, $INTRUDER_TCP the port of a listener. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int says = -1;
static atomic_bool done;

__attribute__((constructor)) static void arrive(void)
{
    const char *path = getenv("INTRUDER_SAYS");
    if (path) says = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

static void tell(const char *name, long rv)
{
    int why = rv < 0 ? errno : 0;
    char line[80];
    int len = snprintf(line, sizeof line, "%s %d\n", name, why);
    if (write(says, line, (size_t)len) != len) abort();
}

static void try_open(const char *name, const char *path, int flags, mode_t mode)
{
    int fd = open(path, flags | O_CLOEXEC, mode);
    tell(name, fd);
    if (fd >= 0) (void)close(fd);
}

static const char *in_state(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", getenv("INTRUDER_STATE"), name);
    return path;
}

static void try_files(void)
{
    try_open("read_shadow", "/etc/shadow", O_RDONLY, 0);
    try_open("read_passwd", "/etc/passwd", O_RDONLY, 0);
    try_open("list_root", "/", O_RDONLY | O_DIRECTORY, 0);
    try_open("read_environ", "/proc/self/environ", O_RDONLY, 0);
    try_open("plant_trust", in_state("trust.d/planted.json"), O_WRONLY | O_CREAT, 0600);
    try_open("plant_key", in_state("keys/planted.key"), O_WRONLY | O_CREAT, 0600);
    try_open("overwrite_key", in_state("keys/current.key"), O_WRONLY, 0);
    try_open("write_tmp", "/tmp/wb-intruder", O_WRONLY | O_CREAT, 0600);
    tell("remove_trust", unlink(in_state("trust.d/held.json")));
    tell("move_state", rename(getenv("INTRUDER_STATE"), "/tmp/wb-intruder"));
    try_open("setuid_file", in_state("journal/setuid"), O_WRONLY | O_CREAT, 04755);
    try_open("own_file", in_state("journal/own"), O_RDWR | O_CREAT, 0600);
    int fd = open(in_state("journal/own"), O_RDWR | O_CLOEXEC);
    tell("setuid_bit", fchmod(fd, 04755));
    tell("own_mode", fchmod(fd, 0600));
    tell("own_unlink", unlink(in_state("journal/own")));
    (void)close(fd);
    try_open("parked_file", in_state("parked/own"), O_RDWR | O_CREAT, 0600);
    tell("parked_unlink", unlink(in_state("parked/own")));
}

static void try_processes(void)
{
    char byte = 0;
    struct iovec local = {&byte, 1}, remote = {&byte, 1};
    static char *const argv[] = {(char *)"/bin/true", NULL};
    tell("execve", execv(argv[0], argv));
    long child = syscall(SYS_fork);
    if (child == 0) _exit(0);
    tell("fork", child);
    tell("process", syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
    tell("clone3", syscall(SYS_clone3, NULL, 0));
    tell("ptrace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
    tell("kill", kill(getppid(), 0));
    tell("peek", process_vm_readv(getppid(), &local, 1, &remote, 1, 0));
    tell("unshare", unshare(CLONE_NEWUSER));
    tell("setuid", syscall(SYS_setuid, 0)); /* glibc would ask for every thread */
    tell("chroot", chroot("/"));
    tell("mount", syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL));
    tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
}

static void try_memory(void)
{
    size_t page = 4096;
    void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tell("own_memory", at == MAP_FAILED ? -1 : 0);
    tell("make_code", mprotect(at, page, PROT_READ | PROT_EXEC));
    void *code =
        mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tell("map_code", code == MAP_FAILED ? -1 : 0);
    (void)munmap(at, page);
}

static void try_network(void)
{
    tell("socket_tcp", socket(AF_INET, SOCK_STREAM, 0));
    tell("socket_udp", socket(AF_INET, SOCK_DGRAM, 0));
    tell("socket_unix", socket(AF_UNIX, SOCK_STREAM, 0));
    tell("connect", connect(says, NULL, 0));
    tell("bind", bind(says, NULL, 0));
}

static void look(void)
{
    const char *go = getenv("INTRUDER_GO");
    if (says < 0 || !go || access(go, F_OK) != 0 || atomic_exchange(&done, true)) return;
    try_files();
    try_processes();
    try_memory();
    try_network();
    tell("end", 0);
}

/* The writer calls it for each commit. The parameter has glibc's name, which the linter compares. */
int fdatasync(int __fildes)
{
    look();
    return (int)syscall(SYS_fdatasync, __fildes);
}
