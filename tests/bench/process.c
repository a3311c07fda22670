/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are those of the bench's own build folder, so that nobody measures yesterday's. */
#include "tests/bench/process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/status.h"
#include "tests/bench/bench.h"

void wb_process_path(const char *name, char *out, size_t size)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) wb_bench_give_up("cannot tell where this program is");
    self[len] = '\0';
    int n = snprintf(out, size, "%s/%s", dirname(self), name);
    if (n < 0 || (size_t)n >= size || access(out, X_OK) != 0)
        wb_bench_give_up("%s is not built", name);
}

pid_t wb_process_start(const char *name, const char *const *args, const char *const *env,
                       const char *log)
{
    char path[PATH_MAX];
    pid_t pid;
    posix_spawn_file_actions_t files;
    wb_process_path(name, path, sizeof path);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (log) {
        (void)posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)posix_spawn_file_actions_adddup2(&files, 1, 2);
    }
    /* POSIX promises not to write to either list; its type is older than const. */
    int rv = posix_spawn(&pid, path, &files, NULL, (char *const *)args,
                         env ? (char *const *)env : environ);
    (void)posix_spawn_file_actions_destroy(&files);
    if (rv != 0) wb_bench_give_up("%s does not start: %s", name, strerror(rv));
    return pid;
}

/* The first line that comes out of `fd`. */
static void read_line(int fd, char *out, size_t size)
{
    size_t len = 0;
    while (len + 1 < size && read(fd, out + len, 1) == 1 && out[len] != '\n') len++;
    out[len] = '\0';
}

pid_t wb_process_start_path(const char *path, const char *const *args, const char *log, char *said,
                            size_t size)
{
    pid_t pid;
    int out[2];
    posix_spawn_file_actions_t files;
    if (pipe2(out, O_CLOEXEC) != 0) wb_bench_give_up("pipe: %s", strerror(errno));
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&files, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)posix_spawn_file_actions_adddup2(&files, said ? out[1] : 2, 1);
    int rv = posix_spawn(&pid, path, &files, NULL, (char *const *)args, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    if (rv != 0) wb_bench_give_up("%s does not start: %s", path, strerror(rv));
    (void)close(out[1]);
    if (said) read_line(out[0], said, size);
    (void)close(out[0]);
    return pid;
}

void wb_process_stop(pid_t pid)
{
    if (pid <= 0) return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

void wb_process_run(const char *const *args, const char *input)
{
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_t files;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, 0, input, O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    int rv = posix_spawnp(&pid, args[0], &files, NULL, (char *const *)args, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    if (rv != 0) wb_bench_give_up("%s does not start: %s", args[0], strerror(rv));
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        wb_bench_give_up("%s < %s failed", args[0], input);
}

static void make_dir(const char *path)
{
    if (mkdir(path, 0700) != 0) wb_bench_give_up("%s: %s", path, strerror(errno));
}

void wb_bench_sidecar_init(wb_bench_sidecar *s, const char *config)
{
    char path[128];
    static const char *const folders[] = {"run", "data", "state", "state/waybill",
                                          "state/waybill/bench"};
    *s = (wb_bench_sidecar){.base = "/tmp/wb-bench-XXXXXX"};
    if (!mkdtemp(s->base)) wb_bench_give_up("%s: %s", s->base, strerror(errno));
    for (size_t i = 0; i < WB_COUNT(folders); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", s->base, folders[i]);
        make_dir(path);
    }
    (void)snprintf(s->socket, sizeof s->socket, "%s/run/waybill/bench/ipc.sock", s->base);
    (void)snprintf(s->trust, sizeof s->trust, "%s/state/waybill/bench/trust.d", s->base);
    (void)snprintf(s->config, sizeof s->config, "%s/config.yaml", s->base);
    FILE *file = fopen(s->config, "we");
    if (!file || fputs(config, file) < 0 || fclose(file) != 0) wb_bench_give_up("%s", s->config);
}

/* nng's handshake, as REQ: whoever answers it serves. */
static bool answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const uint8_t ours[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    uint8_t theirs[8];
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
              write(fd, ours, sizeof ours) == sizeof ours &&
              recv(fd, theirs, sizeof theirs, MSG_WAITALL) == sizeof theirs;
    if (fd >= 0) (void)close(fd);
    return ok;
}

uint64_t wb_bench_sidecar_start(wb_bench_sidecar *s)
{
    char run[96], state[96], data[96], log[96], path[PATH_MAX];
    (void)snprintf(run, sizeof run, "XDG_RUNTIME_DIR=%s/run", s->base);
    (void)snprintf(state, sizeof state, "XDG_STATE_HOME=%s/state", s->base);
    (void)snprintf(data, sizeof data, "XDG_DATA_HOME=%s/data", s->base);
    (void)snprintf(log, sizeof log, "%s/log", s->base);
    (void)snprintf(path, sizeof path, "PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin");
    const char *const env[] = {run, state, data, path, NULL};
    const char *const args[] = {"waybilld", "--name", "bench", "--config", s->config, NULL};
    uint64_t start = wb_bench_now_ns();
    s->pid = wb_process_start("waybilld", args, env, log);
    while (!answers(s->socket)) {
        if (waitpid(s->pid, NULL, WNOHANG) != 0) wb_bench_give_up("waybilld ended; see %s", log);
        if (wb_bench_now_ns() - start > UINT64_C(10000000000))
            wb_bench_give_up("waybilld does not answer; see %s", log);
        (void)usleep(200);
    }
    return wb_bench_now_ns() - start;
}

void wb_bench_sidecar_kill(wb_bench_sidecar *s)
{
    wb_process_stop(s->pid);
    s->pid = 0;
}

void wb_bench_sidecar_done(wb_bench_sidecar *s)
{
    wb_bench_sidecar_kill(s);
    wb_process_remove(s->base);
}

uint64_t wb_process_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    int rv = clock_getcpuclockid(pid, &clock);
    if (rv != 0 || clock_gettime(clock, &used) != 0)
        wb_bench_give_up("the processor time of %d cannot be read", (int)pid);
    return (uint64_t)used.tv_sec * UINT64_C(1000000000) + (uint64_t)used.tv_nsec;
}

uint64_t wb_process_kib(pid_t pid, const char *key)
{
    char path[64], line[256];
    unsigned long kib = 0;
    size_t len = strlen(key);
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) wb_bench_give_up("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            kib = strtoul(line + len + 1, NULL, 10);
    (void)fclose(file);
    return kib;
}

uint16_t wb_process_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    if (!ok) wb_bench_give_up("no free port: %s", strerror(errno));
    (void)close(fd);
    return ntohs(address.sin_port);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void wb_process_remove(const char *folder)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
