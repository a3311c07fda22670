/* SPDX-License-Identifier: Apache-2.0 */
/* Written under ".new-<random>" first: readers look at names that do not begin with a dot, so a file
 * that a crash left half-written is never read, and never in the way of the next attempt. */
#include "core/files.h"

#include "core/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NEW_PREFIX ".new-"

void wb_close_at(const int *fd)
{
    if (*fd >= 0) (void)close(*fd);
}

bool wb_owned_by_us(const struct stat *st) { return st->st_uid == 0 || st->st_uid == geteuid(); }

bool wb_folder_is_sealed(const char *dir, const struct stat *st)
{
    struct statvfs fs;
    return st->st_uid == 0 && statvfs(dir, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
}

wb_status wb_folder_check(const char *dir, wb_error *err)
{
    struct stat st;
    if (stat(dir, &st) != 0)
        return wb_fail_errno(err, errno == ENOENT ? WB_ERR_NOT_FOUND : WB_ERR_CONFIG, errno, "%s",
                             dir);
    if (!S_ISDIR(st.st_mode)) return wb_fail(err, WB_ERR_CONFIG, "%s is not a directory", dir);
    if (!wb_owned_by_us(&st))
        return wb_fail(err, WB_ERR_CONFIG, "%s belongs to user %u", dir, st.st_uid);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !wb_folder_is_sealed(dir, &st))
        return wb_fail(err, WB_ERR_CONFIG, "%s: others may write there: mode %o (chmod 700)", dir,
                       st.st_mode & 07777u);
    return WB_OK;
}

wb_status wb_folder_make(const char *dir, wb_error *err)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s cannot be made", dir);
    return wb_folder_check(dir, err);
}

wb_status wb_file_read(int fd, void *out, size_t cap, size_t *len)
{
    uint8_t *bytes = out;
    size_t done = 0;
    while (done < cap) {
        ssize_t got = read(fd, bytes + done, cap - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return WB_ERR_UNAVAILABLE;
        if (got == 0) break;
        done += (size_t)got;
    }
    *len = done;
    return WB_OK;
}

static bool write_all(int fd, wb_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        bytes.ptr += put;
        bytes.len -= (size_t)put;
    }
    return true;
}

/* Of a directory in hand. */
static wb_status sync_fd(int dir_fd, const char *dir, wb_error *err)
{
    if (dir_fd >= 0 && fsync(dir_fd) == 0) return WB_OK;
    return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%s cannot be synced", dir);
}

/* By descriptor: the sandbox that may be in force has no calls by path for this. */
static bool share(int fd, gid_t group)
{
    return group == (gid_t)-1 || (fchown(fd, (uid_t)-1, group) == 0 && fchmod(fd, 0640) == 0);
}

static wb_status put(const char *dir, const char *name, wb_slice bytes, mode_t mode, gid_t group,
                     bool replace, wb_error *err)
{
    char fresh[sizeof NEW_PREFIX + WB_ID_HEX] = NEW_PREFIX;
    wb_id random = wb_id_new();
    wb_hex(random.b, sizeof random.b, fresh + sizeof NEW_PREFIX - 1);
    WB_AUTO_FD dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%s", dir);
    WB_AUTO_FD fd =
        openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%s/%s", dir, fresh);
    if (!write_all(fd, bytes) || !share(fd, group) || fsync(fd) != 0 ||
        renameat2(dir_fd, fresh, dir_fd, name, replace ? 0 : RENAME_NOREPLACE) != 0) {
        int why = errno;
        (void)unlinkat(dir_fd, fresh, 0);
        return wb_fail_errno(err, why == EEXIST ? WB_ERR_REJECTED : WB_ERR_UNAVAILABLE, why,
                             "%s/%s", dir, name);
    }
    return sync_fd(dir_fd, dir, err);
}

wb_status wb_file_put(const char *dir, const char *name, wb_slice bytes, mode_t mode, bool replace,
                      wb_error *err)
{
    return put(dir, name, bytes, mode, (gid_t)-1, replace, err);
}

wb_status wb_file_put_for_group(const char *dir, const char *name, wb_slice bytes, gid_t group,
                                wb_error *err)
{
    return put(dir, name, bytes, 0600, group, true, err);
}

wb_status wb_file_rename(const char *dir, const char *from, const char *to, wb_error *err)
{
    WB_AUTO_FD dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || renameat(dir_fd, from, dir_fd, to) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%s/%s", dir, to);
    return sync_fd(dir_fd, dir, err);
}

wb_status wb_file_drop(const char *dir, const char *name, wb_error *err)
{
    WB_AUTO_FD dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || unlinkat(dir_fd, name, 0) != 0)
        return wb_fail_errno(err, errno == ENOENT ? WB_ERR_NOT_FOUND : WB_ERR_UNAVAILABLE, errno,
                             "%s/%s", dir, name);
    return sync_fd(dir_fd, dir, err);
}

wb_status wb_folder_sync(const char *dir, wb_error *err)
{
    WB_AUTO_FD dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return sync_fd(dir_fd, dir, err);
}

wb_status wb_folder_lock(const char *dir, int *fd, wb_error *err)
{
    int opened = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened >= 0 && flock(opened, LOCK_EX) == 0) {
        *fd = opened;
        return WB_OK;
    }
    int why = errno;
    wb_close_at(&opened);
    return wb_fail_errno(err, why == ENOENT ? WB_ERR_NOT_FOUND : WB_ERR_UNAVAILABLE, why, "%s",
                         dir);
}
