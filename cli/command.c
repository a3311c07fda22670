/* SPDX-License-Identifier: Apache-2.0 */
/* The command stays in our process group. So it is in the terminal's foreground whenever we are, a
 * pipeline's other members stay in the same job, Ctrl-C and Ctrl-Z reach it from the terminal itself, and the
 * shell sees one job. (A group of its own would need the terminal handed over, and would stop a `less` behind
 * us that reads the terminal.)
 *
 * What follows from that:
 *   - a signal that the terminal made (si_code > 0: the kernel's) has reached the command as well, so it is
 *     not passed on, or each Ctrl-C would count twice. What a process sent (kill, a supervisor) reached only
 *     us, and is. Who signals the whole group is heard twice; that cannot be told apart;
 *   - what the command itself sends us is not sent back;
 *   - Ctrl-Z stops us too, as we leave SIGTSTP alone. A program that stops only itself (an editor's suspend)
 *     is followed, so that the shell gets its prompt; one stopped by SIGSTOP is not, since whoever did that
 *     would continue it alone, and we would stay behind.
 *
 * Signals are held and taken by sigwaitinfo: no handler, nothing to be interrupted. Between fork and exec
 * the child takes the mask that we were started with. Whether exec worked comes back through a pipe that
 * exec closes. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127, SIGNAL_BASE = 128, STOP_SETTLES_MS = 10 };

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

/* ---- signals -------------------------------------------------------------------------------- */

void wb_signals_hold(wb_signals *signals)
{
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, ends of children would not be told */
    (void)sigemptyset(&signals->held);
    (void)sigaddset(&signals->held, SIGCHLD);
    for (size_t i = 0; i < WB_COUNT(forwarded); i++) (void)sigaddset(&signals->held, forwarded[i]);
    (void)pthread_sigmask(SIG_BLOCK, &signals->held, &signals->before);
}

void wb_signals_restore(const wb_signals *signals, bool ignores_pipe)
{
    (void)signal(SIGPIPE, ignores_pipe ? SIG_IGN : SIG_DFL);
    (void)pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

int wb_signals_pause(const wb_signals *signals, uint32_t ms)
{
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    int sig = sigtimedwait(&signals->held, NULL, &wait);
    return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT ? sig : 0;
}

/* ---- its start ------------------------------------------------------------------------------ */

static _Noreturn void become(const wb_command *command, const wb_signals *signals, int tell)
{
    wb_signals_restore(signals, command->ignores_pipe);
    (void)execvp(command->argv[0], command->argv);
    int why = errno;
    (void)!write(tell, &why, sizeof why);
    _exit(NOT_FOUND);
}

static int read_errno(int fd)
{
    int why = 0;
    ssize_t n;
    do n = read(fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof why ? why : 0;
}

/* As exec found it in PATH, links resolved. */
static void search_path(const char *name, char out[WB_PATH_MAX])
{
    char at[WB_PATH_MAX], found[PATH_MAX];
    const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): one thread */
    bool whole = strchr(name, '/') != NULL;
    for (const char *dir = path && !whole ? path : ""; dir; dir = strchr(dir, ':')) {
        dir += *dir == ':';
        size_t len = strcspn(dir, ":");
        int n = snprintf(at, sizeof at, "%.*s%s%s", (int)len, dir, len > 0 ? "/" : "", name);
        if (n < 0 || (size_t)n >= sizeof at || access(at, X_OK) != 0 || !realpath(at, found))
            continue;
        n = snprintf(out, WB_PATH_MAX, "%s", found);
        if (n < WB_PATH_MAX) return;
    }
    out[0] = '\0';
}

/* What runs; a command that has ended by now has no such link any more. */
static void find_path(const char *name, wb_command_end *end)
{
    char link[40];
    (void)snprintf(link, sizeof link, "/proc/%d/exe", (int)end->pid);
    ssize_t n = readlink(link, end->path, sizeof end->path - 1);
    end->path[n > 0 ? n : 0] = '\0';
    if (n <= 0) search_path(name, end->path);
}

static wb_status start(const wb_command *command, const wb_signals *signals, wb_command_end *end,
                       wb_error *err)
{
    int told[2];
    if (pipe2(told, O_CLOEXEC) != 0)
        return wb_fail_errno(err, WB_ERR_NO_MEMORY, errno, "no pipe for the command");
    (void)fflush(NULL);
    end->started_ns = wb_now(command->clock);
    end->pid = fork();
    if (end->pid == 0) become(command, signals, told[1]);
    int why = errno;
    (void)close(told[1]);
    if (end->pid > 0) end->exec_errno = read_errno(told[0]);
    (void)close(told[0]);
    if (end->pid < 0)
        return wb_fail_errno(err, WB_ERR_NO_MEMORY, why, "no process for the command");
    if (end->exec_errno == 0) find_path(command->argv[0], end);
    return WB_OK;
}

/* ---- its life ------------------------------------------------------------------------------- */

/* It stopped itself: so do we, and whoever continues us continues both. A stop that is over in a moment
 * was the whole job's, and is behind us. */
static void follow_stop(pid_t pid)
{
    const struct timespec settle = {.tv_nsec = STOP_SETTLES_MS * 1000000L};
    siginfo_t info = {.si_pid = 0};
    (void)nanosleep(&settle, NULL);
    if (waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG) != 0 || info.si_pid != pid) return;
    if (info.si_status == SIGSTOP) return;
    (void)raise(SIGTSTP);
    (void)kill(pid, SIGCONT);
}

static bool has_ended(pid_t pid, wb_command_end *end)
{
    siginfo_t info = {.si_pid = 0};
    int any = WEXITED | WSTOPPED | WNOHANG;
    if (waitid(P_PID, (id_t)pid, &info, any | WNOWAIT) != 0 || info.si_pid != pid) return false;
    if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED) {
        follow_stop(pid);
        return false;
    }
    (void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
    end->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    end->code = end->signal ? SIGNAL_BASE + end->signal : info.si_status;
    return true;
}

static void watch(const wb_command *command, const wb_signals *signals, wb_command_end *end)
{
    while (!has_ended(end->pid, end)) {
        siginfo_t info = {.si_pid = 0};
        int sig = sigwaitinfo(&signals->held, &info);
        if (sig == SIGCHLD && command->on_child) command->on_child(command->self);
        if (sig > 0 && sig != SIGCHLD && info.si_code <= 0 && info.si_pid != end->pid)
            (void)kill(end->pid, sig);
    }
}

wb_status wb_command_run(const wb_command *command, const wb_signals *signals, wb_command_end *out,
                         wb_error *err)
{
    wb_command_end end = {.code = 0};
    WB_TRY(start(command, signals, &end, err));
    watch(command, signals, &end);
    end.ended_ns = wb_now(command->clock);
    if (end.exec_errno != 0) end.code = end.exec_errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
    *out = end;
    return WB_OK;
}
