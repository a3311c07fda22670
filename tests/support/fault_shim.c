/* SPDX-License-Identifier: Apache-2.0 */
/* Faults for a program that is run as it is: preloaded (LD_PRELOAD) it stands between waybilld with its
 * libraries and libc, and does to single calls what a file says that WAYBILL_FAULTS names. The file is
 * mapped, so that a test changes the weather while the program runs (tests/fault/weather.py):
 *
 *     offset size
 *          0    8  "WBFAULT1"
 *          8    8  what is added to the wall clock, in ns
 *         16  176  rule, MAX_RULES times
 *      rule  0  4  1: in force        4  4  operations, bits of enum op     8  4  errno; 0: none
 *           12  4  1: half of what was to be written is written
 *           16  8  calls left alone first      24  8  calls hit; -1: all
 *           32  4  delay, in us               36  4  -
 *           40  8  calls that were hit so far
 *           48 128 text that the file's path must contain, NUL-terminated; empty: any
 *
 * Paths of descriptors are noted when a file is opened, so rules reach files opened under the shim only,
 * which are all. Monotonic time is left alone: the kernel's never jumps either. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum op {
    OP_OPEN = 1,
    OP_WRITE = 2,
    OP_SYNC = 4,
    OP_RENAME = 8,
    OP_RESIZE = 16,
    OP_ACCEPT = 32,
    OP_ALLOC = 64,
    OP_UNLINK = 128,
    OP_READ = 256,
    OP_SEND = 512, /* on a socket */
};
enum { MAX_RULES = 16, MAX_FDS = 2048, PATH_TAIL = 192, NS_PER_S = 1000000000 };

typedef struct rule {
    _Atomic uint32_t on;
    uint32_t ops;
    int32_t error;
    uint32_t halve;
    _Atomic int64_t skip, times;
    uint32_t delay_us, unused;
    _Atomic uint64_t hits;
    char path[128];
} rule;

typedef struct control {
    char magic[8];
    _Atomic int64_t clock_ns;
    rule rules[MAX_RULES];
} control;
_Static_assert(sizeof(rule) == 176, "as weather.py writes it");

static control *weather;
static char paths[MAX_FDS][PATH_TAIL]; /* the end of each open file's path */

/* glibc's own names for what this file hides. */
void *__libc_malloc(size_t size);           /* NOLINT */
void *__libc_calloc(size_t n, size_t size); /* NOLINT */
void *__libc_realloc(void *p, size_t size); /* NOLINT */

#define REAL(name)                                                                                 \
    static __typeof__(&(name)) real;                                                               \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void map_weather(void)
{
    const char *path = getenv("WAYBILL_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    control *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (c != MAP_FAILED && memcmp(c->magic, "WBFAULT1", 8) == 0) weather = c;
}

static bool takes_one(rule *r)
{
    if (atomic_load(&r->skip) > 0 && atomic_fetch_sub(&r->skip, 1) > 0) return false;
    int64_t times = atomic_load(&r->times);
    while (times > 0)
        if (atomic_compare_exchange_weak(&r->times, &times, times - 1)) return true;
    return times < 0;
}

/* The rule that hits this call, which also delays it; NULL: none. */
static rule *strike(enum op op, const char *path)
{
    if (!weather) return NULL;
    for (int i = 0; i < MAX_RULES; i++) {
        rule *r = &weather->rules[i];
        if (!atomic_load_explicit(&r->on, memory_order_acquire) || !(r->ops & (uint32_t)op))
            continue;
        if (r->path[0] && (!path || !strstr(path, r->path))) continue;
        if (!takes_one(r)) continue;
        atomic_fetch_add(&r->hits, 1);
        if (r->delay_us) {
            struct timespec wait = {r->delay_us / 1000000, (long)(r->delay_us % 1000000) * 1000};
            (void)nanosleep(&wait, NULL);
        }
        return r;
    }
    return NULL;
}

/* True: fail with errno set. */
static bool fails(enum op op, const char *path)
{
    const rule *r = strike(op, path);
    if (!r || r->error == 0) return false;
    errno = r->error;
    return true;
}

static const char *path_of(int fd) { return fd >= 0 && fd < MAX_FDS ? paths[fd] : ""; }

/* The end of DIR/NAME. */
static void note_path(int fd, const char *dir, const char *name)
{
    char whole[2 * PATH_TAIL];
    if (fd < 0 || fd >= MAX_FDS) return;
    int len = snprintf(whole, sizeof whole, "%s/%s", dir, name);
    size_t skip = (size_t)len < PATH_TAIL ? 0 : (size_t)len - PATH_TAIL + 1;
    if (len > 0 && (size_t)len < sizeof whole)
        memcpy(paths[fd], whole + skip, (size_t)len - skip + 1);
}

/* How much of `len` may be written; false: fail. */
static bool may_write(int fd, size_t *len)
{
    const rule *r = strike(OP_WRITE, path_of(fd));
    if (!r) return true;
    if (r->error != 0) {
        errno = r->error;
        return false;
    }
    if (r->halve && *len > 1) *len /= 2;
    return true;
}

static size_t total(const struct iovec *iov, int n)
{
    size_t len = 0;
    for (int i = 0; i < n; i++) len += iov[i].iov_len;
    return len;
}

/* The first `len` bytes of `iov`. */
static int shorten(const struct iovec *iov, int n, size_t len, struct iovec *out)
{
    int used = 0;
    for (; used < n && len > 0; used++) {
        out[used] = iov[used];
        if (out[used].iov_len > len) out[used].iov_len = len;
        len -= out[used].iov_len;
    }
    return used;
}

/* ---- what libc offers, with the weather in between ---- */

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's names are libc's */

static mode_t mode_of(int flags, va_list more)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
    va_list more;                                                                                  \
    va_start(more, flags);                                                                         \
    mode_t mode = mode_of(flags, more);                                                            \
    va_end(more);                                                                                  \
    REAL(name);                                                                                    \
    if (fails(OP_OPEN, path)) return -1;                                                           \
    int fd = real(path, flags, mode);                                                              \
    note_path(fd, "", path);                                                                       \
    return fd

int open(const char *path, int flags, ...) { OPEN(open); }
int open64(const char *path, int flags, ...) { OPEN(open64); }

int openat(int dir, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    REAL(openat);
    if (fails(OP_OPEN, path[0] == '/' ? path : path_of(dir))) return -1;
    int fd = real(dir, path, flags, mode);
    note_path(fd, path[0] == '/' ? "" : path_of(dir), path);
    return fd;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    return may_write(fd, &len) ? real(fd, bytes, len) : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    REAL(pwrite);
    return may_write(fd, &len) ? real(fd, bytes, len, at) : -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    REAL(pwrite64);
    return may_write(fd, &len) ? real(fd, bytes, len, at) : -1;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    struct iovec some[1024];
    size_t len = total(iov, n);
    REAL(pwritev);
    if (!may_write(fd, &len)) return -1;
    return n > 1024 ? real(fd, iov, n, at) : real(fd, some, shorten(iov, n, len, some), at);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t at)
{
    struct iovec some[1024];
    size_t len = total(iov, n);
    REAL(pwritev64);
    if (!may_write(fd, &len)) return -1;
    return n > 1024 ? real(fd, iov, n, at) : real(fd, some, shorten(iov, n, len, some), at);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at)
{
    REAL(pread);
    return fails(OP_READ, path_of(fd)) ? -1 : real(fd, bytes, len, at);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t at)
{
    REAL(pread64);
    return fails(OP_READ, path_of(fd)) ? -1 : real(fd, bytes, len, at);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return fails(OP_SYNC, path_of(fd)) ? -1 : real(fd);
}

int fsync(int fd)
{
    REAL(fsync);
    return fails(OP_SYNC, path_of(fd)) ? -1 : real(fd);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return fails(OP_RENAME, to) ? -1 : real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    REAL(renameat);
    return fails(OP_RENAME, to_dir >= 0 ? path_of(to_dir) : to) ? -1
                                                                : real(from_dir, from, to_dir, to);
}

int unlink(const char *path)
{
    REAL(unlink);
    return fails(OP_UNLINK, path) ? -1 : real(path);
}

int ftruncate(int fd, off_t len)
{
    REAL(ftruncate);
    return fails(OP_RESIZE, path_of(fd)) ? -1 : real(fd, len);
}

int ftruncate64(int fd, off64_t len)
{
    REAL(ftruncate64);
    return fails(OP_RESIZE, path_of(fd)) ? -1 : real(fd, len);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    REAL(posix_fallocate);
    return fails(OP_RESIZE, path_of(fd)) ? errno : real(fd, at, len);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    REAL(fallocate);
    return fails(OP_RESIZE, path_of(fd)) ? -1 : real(fd, mode, at, len);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    REAL(renameat2);
    if (fails(OP_RENAME, to_dir >= 0 ? path_of(to_dir) : to)) return -1;
    return real(from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *path, int flags)
{
    REAL(unlinkat);
    return fails(OP_UNLINK, dir >= 0 ? path_of(dir) : path) ? -1 : real(dir, path, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    REAL(accept4);
    return fails(OP_ACCEPT, NULL) ? -1 : real(fd, address, len, flags);
}

int accept(int fd, struct sockaddr *address, socklen_t *len)
{
    REAL(accept);
    return fails(OP_ACCEPT, NULL) ? -1 : real(fd, address, len);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(sendmsg);
    return fails(OP_SEND, NULL) ? -1 : real(fd, message, flags);
}

void *malloc(size_t size) { return fails(OP_ALLOC, NULL) ? NULL : __libc_malloc(size); }

void *calloc(size_t n, size_t size)
{
    return fails(OP_ALLOC, NULL) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails(OP_ALLOC, NULL) ? NULL : __libc_realloc(p, size);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    REAL(clock_gettime);
    int rv = real(clock, out);
    if (rv != 0 || !weather || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return rv;
    int64_t offset = atomic_load(&weather->clock_ns);
    out->tv_sec += offset / NS_PER_S;
    out->tv_nsec += offset % NS_PER_S;
    if (out->tv_nsec >= NS_PER_S) {
        out->tv_nsec -= NS_PER_S;
        out->tv_sec++;
    } else if (out->tv_nsec < 0) {
        out->tv_nsec += NS_PER_S;
        out->tv_sec--;
    }
    return 0;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
