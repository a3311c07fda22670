/* SPDX-License-Identifier: Apache-2.0 */
/* Locks cannot be opened again, so each case runs in a process of its own. What they mean for a whole
 * sidecar is in tests/integration/test_sandbox.py. */
#include "sidecar/sandbox/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char base[32], read[64], write[64], other[64];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f) return -1;
    (void)snprintf(f->base, sizeof f->base, "/tmp/wb-sandbox-XXXXXX");
    if (!mkdtemp(f->base)) return -1;
    (void)snprintf(f->read, sizeof f->read, "%s/read", f->base);
    (void)snprintf(f->write, sizeof f->write, "%s/write", f->base);
    (void)snprintf(f->other, sizeof f->other, "%s/other", f->base);
    return mkdir(f->read, 0700) | mkdir(f->write, 0700) | mkdir(f->other, 0700);
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", f->base);
    int rv = system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): a test's own folder */
    free(f);
    return rv;
}

/* Run `body` in a process of its own; it returns the line of what went wrong, 0: nothing. */
static void in_a_process(int (*body)(const fixture *), const fixture *f)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) _exit(body(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status)) fail_msg("ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) fail_msg("line %d (mod 256) did not hold", WEXITSTATUS(status));
}

#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) return __LINE__ & 255 ? __LINE__ & 255 : 255;                            \
    } while (0)

/* 0, or errno. */
static int open_result(const char *dir, const char *name, int flags)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    (void)close(fd);
    return 0;
}

static int rename_result(const char *from, const char *to)
{
    char a[96], b[96];
    (void)snprintf(a, sizeof a, "%s/moved", from);
    (void)snprintf(b, sizeof b, "%s/moved", to);
    return rename(a, b) == 0 ? 0 : errno;
}

static int files_body(const fixture *f)
{
    wb_sandbox sandbox;
    wb_error err;
    const wb_sandbox_path paths[] = {{f->read, WB_SANDBOX_READ},
                                     {f->write, WB_SANDBOX_WRITE},
                                     {"/nonexistent/anywhere", WB_SANDBOX_WRITE}};
    wb_sandbox_process(WB_SANDBOX_AUTO, &sandbox);
    NEED(open_result(f->read, "held", O_WRONLY | O_CREAT) == 0);
    NEED(open_result(f->other, "held", O_WRONLY | O_CREAT) == 0);
    NEED(wb_sandbox_files(&sandbox, paths, WB_COUNT(paths), &err) == WB_OK);
    if (!sandbox.files.on) return 0; /* said by the test below */
    NEED(open_result(f->read, "held", O_RDONLY) == 0);
    NEED(open_result(f->read, "held", O_WRONLY) == EACCES);
    NEED(open_result(f->read, "fresh", O_WRONLY | O_CREAT) == EACCES);
    NEED(open_result(f->other, "held", O_RDONLY) == EACCES);
    NEED(open_result(f->other, ".", O_RDONLY | O_DIRECTORY) == EACCES);
    NEED(open_result(f->write, "moved", O_RDWR | O_CREAT) == 0);
    NEED(open_result(f->write, "moved", O_RDWR | O_TRUNC) == 0);
    int out = rename_result(f->write, f->other); /* one of them, by the kernel's age */
    NEED(out == EACCES || out == EXDEV);
    NEED(mkfifo("/tmp/wb-sandbox-fifo", 0600) < 0 && errno == EACCES);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(1)};
    NEED(tcp >= 0 && connect(tcp, (const struct sockaddr *)&at, sizeof at) < 0);
    NEED(errno == EACCES || sandbox.files.version < 4);
    return 0;
}

static void files_beyond_the_listed_ones_are_closed(void **state)
{
    in_a_process(files_body, *state);
}

static void *ask_elsewhere(void *arg)
{
    int *result = arg;
    result[0] = 1; /* it runs; the filter comes while it waits */
    while (__atomic_load_n(&result[1], __ATOMIC_ACQUIRE) == 0) (void)usleep(1000);
    result[2] = socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
    return NULL;
}

static int calls_body(const fixture *f)
{
    wb_sandbox sandbox;
    wb_error err;
    pthread_t early, late;
    int said[3] = {0}, again[3] = {0, 1, 0}, last;
    char name[32];
    (void)f;
    wb_sandbox_process(WB_SANDBOX_AUTO, &sandbox);
    NEED(pthread_create(&early, NULL, ask_elsewhere, said) == 0);
    NEED(wb_sandbox_refused(&last) == 0 && last == -1);
    NEED(wb_sandbox_calls(&sandbox, &err) == WB_OK);
    if (!sandbox.calls.on) _exit(0);
    NEED(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
    __atomic_store_n(&said[1], 1, __ATOMIC_RELEASE);
    NEED(pthread_join(early, NULL) == 0 && said[2] == EPERM);
    NEED(pthread_create(&late, NULL, ask_elsewhere, again) == 0); /* threads may still start */
    NEED(pthread_join(late, NULL) == 0 && again[2] == EPERM);
    NEED(fork() < 0 && errno == EPERM); /* processes may not */
    NEED(wb_sandbox_refused(&last) == 4);
    wb_sandbox_call_name(last, name);
    NEED(strcmp(name, "clone") == 0);
    NEED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    NEED(errno == EPERM || errno == EACCES);
    _exit(0);
}

static void calls_beyond_the_listed_ones_fail_on_every_thread_and_are_counted(void **state)
{
    in_a_process(calls_body, *state);
}

/* 0, or errno, of connecting to a port of this host. */
static int connect_result(uint16_t port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (tcp < 0) return errno;
    int result = connect(tcp, (const struct sockaddr *)&at, sizeof at) == 0 ? 0 : errno;
    (void)close(tcp);
    return result;
}

static int listen_on(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return -1;
    *port = ntohs(at.sin_port);
    return fd;
}

static int egress_body(const fixture *f)
{
    wb_sandbox sandbox;
    wb_error err;
    uint16_t wanted = 0, other = 0;
    int last, pair[2], waiting = 0;
    const wb_sandbox_path paths[] = {{f->write, WB_SANDBOX_WRITE}};
    int listener = listen_on(&wanted);
    NEED(listener >= 0 && listen_on(&other) >= 0);
    wb_sandbox_process(WB_SANDBOX_AUTO, &sandbox);
    sandbox.egress = (wb_egress){.tcp = true, .ports = {wanted}, .n_ports = 1};
    NEED(wb_sandbox_files(&sandbox, paths, 1, &err) == WB_OK);
    NEED(wb_sandbox_calls(&sandbox, &err) == WB_OK);
    NEED(connect_result(wanted) == 0);
    if (sandbox.files.on && sandbox.files.version >= 4) NEED(connect_result(other) == EACCES);
    if (!sandbox.calls.on) _exit(0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    NEED(ioctl(listener, FIONREAD, &waiting) == 0 || errno != EPERM);
    NEED(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EACCES);       /* nscd */
    NEED(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT); /* getaddrinfo */
    NEED(wb_sandbox_refused(&last) == 0);                               /* neither counts */
    NEED(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
    NEED(ioctl(listener, FIONBIO, &waiting) < 0 && errno == EPERM);
    NEED(wb_sandbox_refused(&last) == 2);
    _exit(0);
}

static void with_egress_the_named_ports_can_be_reached_and_nothing_else(void **state)
{
    in_a_process(egress_body, *state);
}

static int unix_body(const fixture *f)
{
    wb_sandbox sandbox;
    wb_error err;
    (void)f;
    wb_sandbox_process(WB_SANDBOX_AUTO, &sandbox);
    sandbox.egress = (wb_egress){.unix_sockets = true};
    NEED(wb_sandbox_calls(&sandbox, &err) == WB_OK);
    NEED(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    _exit(0);
}

static void unix_sockets_are_open_where_asked_for(void **state) { in_a_process(unix_body, *state); }

static int off_body(const fixture *f)
{
    wb_sandbox sandbox;
    wb_error err;
    wb_sandbox_process(WB_SANDBOX_OFF, &sandbox);
    NEED(sandbox.no_dump && sandbox.no_new_privs);
    NEED(wb_sandbox_files(&sandbox, NULL, 0, &err) == WB_OK && !sandbox.files.on);
    NEED(wb_sandbox_calls(&sandbox, &err) == WB_OK && !sandbox.calls.on);
    NEED(open_result(f->other, "fresh", O_WRONLY | O_CREAT) == 0);
    return 0;
}

static void off_leaves_files_and_calls_alone(void **state) { in_a_process(off_body, *state); }

static int require_body(const fixture *f)
{
    wb_sandbox sandbox;
    wb_error err = {.status = WB_OK};
    const wb_sandbox_path paths[] = {{f->write, WB_SANDBOX_WRITE}};
    wb_sandbox_process(WB_SANDBOX_REQUIRE, &sandbox);
    wb_status status = wb_sandbox_files(&sandbox, paths, 1, &err);
    NEED((status == WB_OK) == sandbox.files.on);
    if (status != WB_OK) NEED(status == WB_ERR_CONFIG && strstr(err.detail, "Landlock is "));
    status = wb_sandbox_calls(&sandbox, &err);
    if (status != WB_OK) NEED(status == WB_ERR_CONFIG && strstr(err.detail, "seccomp is "));
    NEED((status == WB_OK) == sandbox.calls.on);
    _exit(0);
}

static void require_fails_exactly_where_a_lock_is_missing(void **state)
{
    in_a_process(require_body, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_beyond_the_listed_ones_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            calls_beyond_the_listed_ones_fail_on_every_thread_and_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(with_egress_the_named_ports_can_be_reached_and_nothing_else,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(unix_sockets_are_open_where_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(off_leaves_files_and_calls_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(require_fails_exactly_where_a_lock_is_missing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
