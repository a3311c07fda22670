/* SPDX-License-Identifier: Apache-2.0 */
/* Let one allocation of a unit test's program fail; tests/support/oom_sweep.py runs it once for each.
 *
 *     WAYBILL_OOM_AT       number of the allocation that fails, from 1 on; 0: count them only
 *     WAYBILL_OOM_LASTING  set: all behind it fail too
 *     WAYBILL_OOM_REPORT   file that gets the number of allocations made
 *     WAYBILL_OOM_STACK    set: print the stack of the first one that fails
 *
 * The linker's --wrap sends the calls of our libraries and tests here, not those of cmocka and other
 * shared libraries. A test may say what it likes about the failure, and mostly an assertion says it.
 * That is the moment to look for leaks: what the test owns is still reachable from its stack, and what
 * nothing reaches was lost by the code under test. Behind it the test's frame is gone by longjmp, and
 * its own things would count as leaks; so the program ends there, and takes with it the directories that
 * its tests made. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAK_CODE = 99, MAX_MADE = 256 };

static atomic_ulong count;
static unsigned long fail_at;
static bool lasting, armed;
static pid_t program;
static char made[MAX_MADE][64];
static int n_made;

/* Names that the linker and cmocka give. NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__real_sodium_malloc(size_t size) __attribute__((weak)); /* not every test has it */
DIR *__real_opendir(const char *path);
DIR *__real_fdopendir(int fd);
char *__real_mkdtemp(char *path);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_sodium_malloc(size_t size);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_fdopendir(int fd);
char *__wrap_mkdtemp(char *path);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
void _fail(const char *file, int line);

__attribute__((constructor)) static void arm(void)
{
    const char *at = getenv("WAYBILL_OOM_AT");
    if (!at) return;
    fail_at = strtoul(at, NULL, 10);
    lasting = getenv("WAYBILL_OOM_LASTING") != NULL;
    program = getpid();
    armed = true;
}

static bool hit(void) { return armed && fail_at > 0 && atomic_load(&count) >= fail_at; }

static bool fails(void)
{
    if (!armed) return false;
    unsigned long n = atomic_fetch_add(&count, 1) + 1;
    if (fail_at == 0 || n < fail_at || (n > fail_at && !lasting)) return false;
    if (n == fail_at && getenv("WAYBILL_OOM_STACK")) __sanitizer_print_stack_trace();
    errno = ENOMEM;
    return true;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* Directories that tests made stay behind when the program does not reach a test's end. */
static void tidy(void)
{
    armed = false;
    if (getpid() != program) return;
    for (int i = 0; i < n_made; i++) (void)nftw(made[i], drop, 16, FTW_DEPTH | FTW_PHYS);
    const char *path = getenv("WAYBILL_OOM_REPORT");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    (void)dprintf(fd, "%lu\n", atomic_load(&count));
    (void)close(fd);
}

__attribute__((destructor)) static void finish(void)
{
    if (armed) tidy();
}

void _fail(const char *file, int line)
{
    if (hit()) {
        armed = false; /* the checker may allocate */
        int leaks = __lsan_do_recoverable_leak_check();
        if (leaks) (void)dprintf(2, "unreachable when %s:%d failed\n", file, line);
        tidy();
        _exit(leaks ? LEAK_CODE : 0);
    }
    void (*real)(const char *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "_fail");
    real(file, line);
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t size) { return fails() ? NULL : __real_realloc(p, size); }
char *__wrap_strdup(const char *s) { return fails() ? NULL : __real_strdup(s); }
char *__wrap_strndup(const char *s, size_t n) { return fails() ? NULL : __real_strndup(s, n); }
void *__wrap_sodium_malloc(size_t size) { return fails() ? NULL : __real_sodium_malloc(size); }
DIR *__wrap_opendir(const char *path) { return fails() ? NULL : __real_opendir(path); }
DIR *__wrap_fdopendir(int fd) { return fails() ? NULL : __real_fdopendir(fd); }

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    return fails() ? EAGAIN : __real_pthread_create(t, attr, run, arg);
}

char *__wrap_mkdtemp(char *path)
{
    char *dir = __real_mkdtemp(path);
    if (dir && armed && n_made < MAX_MADE)
        (void)snprintf(made[n_made++], sizeof made[0], "%s", dir);
    return dir;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
