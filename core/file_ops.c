/* SPDX-License-Identifier: Apache-2.0 */
/* The real disk. Handles are file descriptors, opened relative to the directory's, so that nothing
 * depends on the working directory or on a path that somebody may change under us.
 *
 * sync_file is fdatasync(2): it flushes the size when that is needed to read the data back, which is
 * all that the journal needs. After it failed, Linux marks the pages clean and may answer 0 the next
 * time, which is why the header says that nothing unsynced may be trusted any more. */
#include "core/file_ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ZERO_CHUNK = 256 * 1024 };

/* Somebody may just have made the path: sync each directory's name in the one above it, up to the file
 * system's root. Those that nothing changed cost next to nothing, those we may not read are not ours. */
static void sync_names_above(int dir)
{
    struct stat below, above;
    int fd = fstat(dir, &below) == 0 ? openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    while (fd >= 0) {
        bool same = fstat(fd, &above) == 0 && above.st_dev == below.st_dev;
        bool root = same && above.st_ino == below.st_ino;
        if (same) (void)fsync(fd);
        int next = same && !root ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        (void)close(fd);
        below = above;
        fd = next;
    }
}

static int open_dir(const wb_file_ops *ops, const char *path)
{
    (void)ops;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    sync_names_above(fd);
    return fd;
}

static int open_file(const wb_file_ops *ops, int dir, const char *name, wb_file_open how)
{
    static const int flags[] = {
        [WB_FILE_READ] = O_RDONLY,
        [WB_FILE_WRITE] = O_RDWR,
        [WB_FILE_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [WB_FILE_ENSURE] = O_RDWR | O_CREAT,
    };
    struct stat st;
    (void)ops;
    /* O_NONBLOCK: opening a FIFO that somebody left here must not hang. */
    int fd = openat(dir, name, flags[how] | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0) return -errno;
    int rv = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EISDIR;
    if (rv < 0) {
        (void)close(fd);
        return rv;
    }
    /* Read in large pieces anyway; reading ahead would fill the cache with what was never written, and
     * next_data would take that for data. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    return fd;
}

static void close_handle(const wb_file_ops *ops, int handle)
{
    (void)ops;
    (void)close(handle);
}

static int read_at(const wb_file_ops *ops, int file, void *out, size_t len, uint64_t at,
                   size_t *got)
{
    uint8_t *p = out;
    size_t done = 0;
    (void)ops;
    while (done < len) {
        ssize_t n = pread(file, p + done, len - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) break;
        done += (size_t)n;
    }
    *got = done;
    return 0;
}

static int write_at(const wb_file_ops *ops, int file, const void *bytes, size_t len, uint64_t at)
{
    const uint8_t *p = bytes;
    (void)ops;
    while (len > 0) {
        ssize_t n = pwrite(file, p, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return -EIO;
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int file_size(const wb_file_ops *ops, int file, uint64_t *out)
{
    struct stat st;
    (void)ops;
    if (fstat(file, &st) != 0) return -errno;
    *out = (uint64_t)st.st_size;
    return 0;
}

/* Not fstat, which asks for the times too: Linux gives a file that was asked since its last write a new
 * time with the next one, and then a sync of data has an inode to write besides (ext4 without a journal,
 * since 6.13: twice the writes of a commit). */
static int names(const wb_file_ops *ops, int file)
{
    struct statx st;
    (void)ops;
    if (statx(file, "", AT_EMPTY_PATH, STATX_NLINK, &st) != 0) return -errno;
    return (int)st.stx_nlink;
}

static int next_data(const wb_file_ops *ops, int file, uint64_t at, uint64_t *out)
{
    off_t found = lseek(file, (off_t)at, SEEK_DATA);
    if (found >= 0) {
        *out = (uint64_t)found;
        return 0;
    }
    if (errno == ENXIO) return file_size(ops, file, out);
    if (errno != EINVAL && errno != EOPNOTSUPP) return -errno;
    *out = at;
    return 0;
}

static int allocate(const wb_file_ops *ops, int file, uint64_t len)
{
    int rv;
    (void)ops;
    do rv = fallocate(file, 0, 0, (off_t)len);
    while (rv != 0 && errno == EINTR);
    if (rv == 0) return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return -errno;
    return ftruncate(file, (off_t)len) != 0 ? -errno : 0;
}

static int zero_fill(const wb_file_ops *ops, int file, uint64_t len)
{
    uint8_t *zeros = calloc(1, ZERO_CHUNK);
    int rv = zeros ? 0 : -ENOMEM;
    for (uint64_t at = 0; rv == 0 && at < len; at += ZERO_CHUNK) {
        size_t n = len - at < ZERO_CHUNK ? (size_t)(len - at) : ZERO_CHUNK;
        rv = write_at(ops, file, zeros, n, at);
    }
    free(zeros);
    if (rv == 0 && fdatasync(file) != 0) rv = -errno;
    return rv;
}

static int cut(const wb_file_ops *ops, int file, uint64_t len)
{
    int rv;
    (void)ops;
    do rv = ftruncate(file, (off_t)len);
    while (rv != 0 && errno == EINTR);
    return rv != 0 ? -errno : 0;
}

static int sync_file(const wb_file_ops *ops, int file, const char *site)
{
    int rv;
    (void)ops;
    (void)site;
    do rv = fdatasync(file);
    while (rv != 0 && errno == EINTR);
    return rv != 0 ? -errno : 0;
}

static int sync_dir(const wb_file_ops *ops, int dir, const char *site)
{
    int rv;
    (void)ops;
    (void)site;
    do rv = fsync(dir);
    while (rv != 0 && errno == EINTR);
    return rv != 0 ? -errno : 0;
}

static int rename_file(const wb_file_ops *ops, int dir, const char *from, const char *to)
{
    (void)ops;
    return renameat(dir, from, dir, to) != 0 ? -errno : 0;
}

static int remove_file(const wb_file_ops *ops, int dir, const char *name)
{
    (void)ops;
    return unlinkat(dir, name, 0) != 0 ? -errno : 0;
}

static int walk_names(DIR *stream, int (*each)(void *arg, const char *name), void *arg)
{
    for (;;) {
        errno = 0;
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
        const struct dirent *entry = readdir(stream);
        if (!entry) return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int rv = each(arg, entry->d_name);
        if (rv != 0) return rv;
    }
}

static int list(const wb_file_ops *ops, int dir, int (*each)(void *arg, const char *name),
                void *arg)
{
    (void)ops;
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* closedir will close it */
    if (copy < 0) return -errno;
    DIR *stream = fdopendir(copy);
    if (!stream) {
        int errnum = errno;
        (void)close(copy);
        return -errnum;
    }
    int rv = walk_names(stream, each, arg);
    (void)closedir(stream);
    return rv;
}

static int lock(const wb_file_ops *ops, int file)
{
    (void)ops;
    return flock(file, LOCK_EX | LOCK_NB) != 0 ? -errno : 0;
}

const wb_file_ops wb_real_disk = {
    .open_dir = open_dir,
    .open = open_file,
    .close = close_handle,
    .read_at = read_at,
    .write_at = write_at,
    .next_data = next_data,
    .size = file_size,
    .allocate = allocate,
    .names = names,
    .zero_fill = zero_fill,
    .cut = cut,
    .sync_file = sync_file,
    .sync_dir = sync_dir,
    .rename = rename_file,
    .remove = remove_file,
    .list = list,
    .lock = lock,
};
