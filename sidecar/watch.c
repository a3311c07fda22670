/* SPDX-License-Identifier: Apache-2.0 */
/* Why stat and not inotify: a mounted secret is changed by swapping a link beside the files, an editor
 * replaces the file, `cp` writes in place, and a directory can come later than the sidecar; one stat per
 * file each second sees all four, and none of them can be lost. It costs about a microsecond a file;
 * whoever looks (sidecar/reload.c) waits longer where there are many.
 *
 * A file's times have the grain of the kernel's tick (1 to 10 ms): one that was written, read by us, and
 * written again within one grain looks unchanged. So a change that is younger than WB_WATCH_GRAIN_MS is not
 * trusted to be the last. A time in the future counts as settled, or a wrong clock would have us read
 * everything every second. */
#include "sidecar/watch.h"

#include "core/slice.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 2 };

/* FNV-1a, then the finaliser of splitmix64, so that sums of it are as good as it is. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): takes strlen(".") for more */
    for (size_t i = 0; i < len; i++) hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t finish(uint64_t hash)
{
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

static uint64_t nanoseconds(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * WB_NS_PER_S + (uint64_t)t->tv_nsec;
}

static uint64_t signature_of(const char *name, const struct stat *st, wb_time_ns now, bool *settled)
{
    uint64_t changed = nanoseconds(&st->st_ctim);
    const uint64_t facts[] = {(uint64_t)st->st_dev,
                              (uint64_t)st->st_ino,
                              (uint64_t)st->st_size,
                              nanoseconds(&st->st_mtim),
                              changed,
                              ((uint64_t)st->st_mode << 32) | st->st_uid};
    if (changed <= now && now - changed < WB_WATCH_GRAIN_MS * WB_NS_PER_MS) *settled = false;
    return finish(mix(mix(UINT64_C(0xcbf29ce484222325), name, strlen(name)), facts, sizeof facts));
}

static uint64_t signature_at(int at, const char *name, int depth, wb_time_ns now, bool *settled)
{
    struct stat st = {.st_size = 0};
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    uint64_t sum = 0;
    if (!dir) {
        if (fd >= 0) (void)close(fd);
        return 0;
    }
    if (fstat(fd, &st) == 0) sum = signature_of(".", &st, now, settled);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a DIR of our own */
    for (const struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] == '.') continue; /* also ..data: what it leads to is looked at by name */
        if (fstatat(fd, d->d_name, &st, 0) != 0) continue;
        sum += signature_of(d->d_name, &st, now, settled);
        if (S_ISDIR(st.st_mode) && depth > 1)
            sum += finish(signature_at(fd, d->d_name, depth - 1, now, settled));
    }
    (void)closedir(dir);
    return sum;
}

uint64_t wb_watch_signature(const char *dir, wb_time_ns now, bool *settled)
{
    return signature_at(AT_FDCWD, dir, DEPTH, now, settled);
}
