/* SPDX-License-Identifier: Apache-2.0 */
/* A sidecar for one command, without a supervisor.
 *
 * Two commands under one name share a sidecar, and either may end first. So every `waybill run` holds a
 * shared lock on RUN_DIR/run.lock for as long as it uses the sidecar, and at its end tries to turn it into
 * an exclusive one: whoever gets that is the last. The file says the pid of the sidecar that some run
 * started; only if the running sidecar is that one does the last user stop it, so one that a person or
 * an init system started is left alone. It holds the lock until the sidecar is gone: who comes meanwhile
 * waits, and then starts one of its own. RUN_DIR/start.lock lets one at a time start it. A run that is
 * killed leaves its sidecar running, safely; the next run of that name uses it and stops it.
 *
 * The sidecar gets a session of its own, so that Ctrl-C reaches the command and not the sidecar that is
 * to take the command's last spans. Its log goes to RUN_DIR/sidecar.log.
 *
 * If it dies while the command runs it is started again: what it acknowledged is in its journal, and the
 * clients send the rest again. */
#include "cli/own_sidecar.h"

#include "cli/ask.h"
#include "cli/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ASK_MS = 1000,
    START_MS = 30 * 1000,
    POLL_MS = 10,
    SAY_AFTER_MS = 2000,
    RESTARTS = 5,
    RESTART_PAUSE_MS = 200,
    LOG_TAIL = 2048,
    PROBE_ARENA_BYTES = 4 * 1024 * 1024,
};

void wb_own_sidecar_init(const wb_cli *cli, const wb_signals *signals, const char *config,
                         wb_own_sidecar *own)
{
    *own = (wb_own_sidecar){
        .cli = cli, .signals = signals, .config = config, .use_fd = -1, .log_fd = -1};
}

bool wb_own_sidecar_answers(const wb_cli *cli, wb_error *err)
{
    int fd = -1;
    if (wb_ask_open(cli->paths.socket, ASK_MS, &fd, err) != WB_OK) return false;
    (void)close(fd);
    return true;
}

static uint64_t ms_since(const wb_own_sidecar *own, uint64_t start)
{
    return (wb_mono(own->cli->clock) - start) / WB_NS_PER_MS;
}

/* ---- who uses it ---------------------------------------------------------------------------- */

/* Take the lock on a file of the run directory; -1 where there can be none: where that directory is not
 * ours the sidecar is not, either. A lock that does not come in time is gone without. */
static int take_lock(const wb_own_sidecar *own, const char *name, int how, int *interrupted)
{
    char path[WB_PATH_MAX];
    uint64_t start = wb_mono(own->cli->clock);
    int len = snprintf(path, sizeof path, "%s/%s", own->cli->paths.run_dir, name);
    if (len < 0 || (size_t)len >= sizeof path) return -1;
    if (wb_make_dirs(own->cli->paths.run_dir, NULL) != WB_OK) return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (fd >= 0 && flock(fd, how | LOCK_NB) != 0) {
        *interrupted = wb_signals_pause(own->signals, POLL_MS);
        if (*interrupted != 0 || ms_since(own, start) > START_MS) break;
    }
    return fd;
}

static void note_started(const wb_own_sidecar *own)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%d\n", (int)own->pid);
    if (own->use_fd < 0) return;
    if (ftruncate(own->use_fd, 0) != 0 || pwrite(own->use_fd, text, (size_t)len, 0) != len)
        (void)wb_cli_fail(WB_EXIT_FAILURE, "run", "cannot note which sidecar is ours", NULL);
}

/* The pid of the running sidecar, if some run started it; else 0. */
static pid_t started_by_a_run(const wb_own_sidecar *own)
{
    char text[24] = "";
    wb_probe probe;
    if (pread(own->use_fd, text, sizeof text - 1, 0) <= 0) return 0;
    long pid = strtol(text, NULL, 10);
    WB_AUTO(wb_arena) arena = wb_arena_new(PROBE_ARENA_BYTES);
    if (!arena || pid <= 1) return 0;
    wb_probe_sidecar(own->cli, arena, &probe);
    return probe.result == WB_PROBE_ANSWERS && probe.pid == (uint64_t)pid ? (pid_t)pid : 0;
}

/* ---- start ---------------------------------------------------------------------------------- */

static void open_log(wb_own_sidecar *own)
{
    if (own->log_fd >= 0) return;
    int len = snprintf(own->log, sizeof own->log, "%s/sidecar.log", own->cli->paths.run_dir);
    if (len > 0 && (size_t)len < sizeof own->log)
        own->log_fd =
            open(own->log, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (own->log_fd >= 0) return;
    own->log[0] = '\0';
    own->log_fd = memfd_create("sidecar.log", MFD_CLOEXEC);
}

/* Beside this program, else wherever PATH has it. */
static void find_program(char out[WB_PATH_MAX])
{
    static const char name[] = "waybilld";
    char self[WB_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(self, '/');
    size_t folder = slash ? (size_t)(slash + 1 - self) : 0;
    memcpy(out, name, sizeof name);
    if (!slash || folder + sizeof name > WB_PATH_MAX) return;
    memcpy(self + folder, name, sizeof name);
    if (access(self, X_OK) == 0) memcpy(out, self, folder + sizeof name);
}

/* What the command line said about places, the daemon takes from its environment. */
static void pass_places(const wb_own_sidecar *own)
{
    const wb_paths_choice *given = &own->cli->given;
    /* NOLINTBEGIN(concurrency-mt-unsafe): one thread */
    if (given->state_dir) (void)setenv("WAYBILL_STATE_DIR", given->state_dir, 1);
    if (given->store) (void)setenv("WAYBILL_STORE_SQLITE_PATH", given->store, 1);
    /* NOLINTEND(concurrency-mt-unsafe) */
}

static _Noreturn void become_sidecar(const wb_own_sidecar *own, const char *program)
{
    const char *argv[] = {"waybilld",           "--name",
                          own->cli->paths.name, own->config ? "--config" : NULL,
                          own->config,          NULL};
    int null = open("/dev/null", O_RDONLY);
    (void)setsid();
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(own->log_fd, STDOUT_FILENO);
    (void)dup2(own->log_fd, STDERR_FILENO);
    (void)close_range(3, ~0U, 0);
    pass_places(own);
    wb_signals_restore(own->signals, own->cli->ignores_pipe);
    (void)execvp(program, (char *const *)argv);
    (void)dprintf(STDERR_FILENO, "waybilld: %s: cannot be executed: %s\n", program,
                  strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    _exit(127);
}

static wb_status spawn(wb_own_sidecar *own, wb_error *err)
{
    char program[WB_PATH_MAX];
    find_program(program);
    open_log(own);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) become_sidecar(own, program);
    if (pid < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "no process for the sidecar");
    own->pid = pid;
    own->started_mono = wb_mono(own->cli->clock);
    note_started(own);
    return WB_OK;
}

/* The reason that it gave: of its last line what error="..." holds, or what follows its name. */
static void read_reason(const wb_own_sidecar *own, wb_error *err)
{
    char tail[LOG_TAIL + 1];
    off_t size = lseek(own->log_fd, 0, SEEK_END);
    off_t from = size > LOG_TAIL ? size - LOG_TAIL : 0;
    ssize_t n = pread(own->log_fd, tail, LOG_TAIL, from);
    while (n > 0 && tail[n - 1] == '\n') n--;
    tail[n > 0 ? n : 0] = '\0';
    char *line = strrchr(tail, '\n');
    line = line ? line + 1 : tail;
    char *quoted = strstr(line, " error=\"");
    if (quoted) {
        line = quoted + strlen(" error=\"");
        char *end = strrchr(line, '"');
        if (end) *end = '\0';
    } else if (strncmp(line, "waybilld: ", strlen("waybilld: ")) == 0) {
        line += strlen("waybilld: ");
    }
    (void)wb_fail(err, WB_ERR_UNAVAILABLE, "%s", *line ? line : "it ended without a reason");
}

static bool is_gone(wb_own_sidecar *own)
{
    if (own->pid == 0 || waitpid(own->pid, NULL, WNOHANG) != own->pid) return false;
    own->pid = 0;
    return true;
}

/* It takes requests, and has said where it listens, which it does last of all. */
static bool is_ready(const wb_own_sidecar *own, wb_error *err)
{
    wb_probe probe;
    if (!wb_own_sidecar_answers(own->cli, err)) return false;
    WB_AUTO(wb_arena) arena = wb_arena_new(PROBE_ARENA_BYTES);
    if (!arena) return true;
    wb_probe_sidecar(own->cli, arena, &probe);
    return probe.pid == (uint64_t)own->pid;
}

/* It ended, or takes too long. A person may have started one at the same time: then that one is used. */
static wb_status wait_ready(wb_own_sidecar *own, int *interrupted, wb_error *err)
{
    uint64_t start = wb_mono(own->cli->clock);
    while (!is_ready(own, err)) {
        if (is_gone(own)) {
            if (wb_own_sidecar_answers(own->cli, err)) return WB_OK;
            read_reason(own, err);
            return WB_ERR_UNAVAILABLE;
        }
        if (ms_since(own, start) > START_MS)
            return wb_fail(err, WB_ERR_UNAVAILABLE, "it takes no requests after %d s",
                           START_MS / 1000);
        *interrupted = wb_signals_pause(own->signals, POLL_MS);
        if (*interrupted != 0) return wb_fail(err, WB_ERR_UNAVAILABLE, "interrupted");
    }
    return WB_OK;
}

static wb_status start(wb_own_sidecar *own, int *interrupted, wb_error *err)
{
    if (*interrupted != 0) return wb_fail(err, WB_ERR_UNAVAILABLE, "interrupted");
    if (wb_own_sidecar_answers(own->cli, err)) return WB_OK;
    WB_TRY(spawn(own, err));
    return wait_ready(own, interrupted, err);
}

/* "In use" is said before looking whether it runs, or it could be stopped in between. */
wb_status wb_own_sidecar_ensure(wb_own_sidecar *own, int *interrupted, wb_error *err)
{
    *interrupted = 0;
    own->use_fd = take_lock(own, "run.lock", LOCK_SH, interrupted);
    if (*interrupted == 0 && wb_own_sidecar_answers(own->cli, err)) return WB_OK;
    int fd = *interrupted == 0 ? take_lock(own, "start.lock", LOCK_EX, interrupted) : -1;
    wb_status status = start(own, interrupted, err);
    if (fd >= 0) (void)close(fd);
    return status;
}

void wb_own_sidecar_tend(wb_own_sidecar *own)
{
    wb_error err = {.status = WB_OK};
    if (!is_gone(own) || wb_own_sidecar_answers(own->cli, &err)) return;
    if (own->restarts == RESTARTS) {
        read_reason(own, &err);
        (void)wb_cli_fail(WB_EXIT_FAILURE, "run: the sidecar ended again and stays away",
                          err.detail, own->log[0] ? own->log : NULL);
        return;
    }
    const struct timespec pause = {.tv_nsec = RESTART_PAUSE_MS * 1000000L};
    if (ms_since(own, own->started_mono) < RESTART_PAUSE_MS) (void)nanosleep(&pause, NULL);
    own->restarts++;
    if (spawn(own, &err) != WB_OK)
        (void)wb_cli_fail(WB_EXIT_FAILURE, "run: the sidecar ended", err.detail, NULL);
    else
        (void)wb_cli_fail(WB_EXIT_FAILURE, "run", "the sidecar ended, and is started again",
                          own->log[0] ? own->log : NULL);
}

/* ---- its end -------------------------------------------------------------------------------- */

/* Also of a process that is not our child, and that its parent has not waited for yet. */
static bool has_ended(int pidfd)
{
    struct pollfd watched = {.fd = pidfd, .events = POLLIN};
    return pidfd < 0 || poll(&watched, 1, 0) != 0;
}

static void stop(wb_own_sidecar *own, pid_t pid)
{
    uint64_t start = wb_mono(own->cli->clock);
    unsigned urged = 0;
    bool said = false;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* -1: it is gone already */
    if (pidfd >= 0) (void)kill(pid, SIGTERM);
    while (!has_ended(pidfd)) {
        if (wb_signals_pause(own->signals, POLL_MS) != 0)
            (void)kill(pid, urged++ == 0 ? SIGTERM : SIGKILL);
        if (said || ms_since(own, start) < SAY_AFTER_MS) continue;
        (void)fprintf(stderr,
                      "waybill: run: the sidecar is delivering what it has; what it does not "
                      "get rid of stays in its journal. Interrupt to end it now.\n");
        said = true;
    }
    (void)is_gone(own);
    if (pidfd >= 0) (void)close(pidfd);
}

void wb_own_sidecar_release(wb_own_sidecar *own)
{
    bool last = own->use_fd < 0 || flock(own->use_fd, LOCK_EX | LOCK_NB) == 0;
    pid_t pid = own->pid;
    if (last && pid == 0 && own->use_fd >= 0) pid = started_by_a_run(own);
    if (last && pid > 0) stop(own, pid);
    if (own->use_fd >= 0) (void)close(own->use_fd);
    if (own->log_fd >= 0) (void)close(own->log_fd);
    own->use_fd = own->log_fd = -1;
}
