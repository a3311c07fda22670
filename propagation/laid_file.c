/* SPDX-License-Identifier: Apache-2.0 */
/* A path is opened once; everything else is asked of the descriptor. Its real path comes from
 * /proc/self/fd, and has to lie below the real path of the directory: so a link to a file elsewhere is
 * refused, whoever could read it, and so is a folder in between that is such a link. The folder that
 * really holds the file must not be writable by others, nor any above it unless sticky: who can write
 * there can lay down another file, whatever this one's mode says.
 *
 * Orchestrators mount secrets as a read-only file system whose folder has mode 0777 and is root's. Mode
 * bits mean nothing there, so wb_folder_check lets it pass (core/files.c). The folder above is often one
 * into which the whole pod may write; but a folder on which something is mounted cannot be renamed or
 * removed by anybody, so what is above it does not matter. */
#include "propagation/laid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Nobody can put another folder in the place of one on which a file system is mounted. */
static bool is_mount_point(const char *folder)
{
    struct statx sx;
    return statx(AT_FDCWD, folder, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx) == 0 &&
           (sx.stx_attributes_mask & sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* Every folder above `path`, which is absolute and free of links: `path` is cut on the way. */
static wb_status check_way(char *path, wb_error *err)
{
    bool fixed = false; /* what was looked at last can not be replaced from above */
    for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
        struct stat st;
        *slash = '\0';
        const char *folder = slash == path ? "/" : path;
        if (stat(folder, &st) != 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", folder);
        if (!fixed && (st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0 &&
            !wb_folder_is_sealed(folder, &st))
            return wb_fail(err, WB_ERR_CONFIG, "%s: others may write there", folder);
        fixed = is_mount_point(folder);
    }
    return WB_OK;
}

/* What the descriptor really points to lies below `dir`, in folders as closed as `dir`. */
static wb_status check_place(const char *dir, const char *name, int fd, wb_error *err)
{
    char proc[32], path[PATH_MAX], real[PATH_MAX], folder[PATH_MAX];
    (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(proc, path, sizeof path - 1);
    if (len <= 0 || !realpath(dir, real))
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s cannot be resolved", dir);
    path[len] = '\0';
    size_t base = strlen(real);
    if (strncmp(path, real, base) != 0 || path[base] != '/')
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s points outside its directory", dir, name);
    memcpy(folder, path, (size_t)len + 1);
    for (char *slash = strrchr(folder, '/'); (size_t)(slash - folder) >= base;
         slash = strrchr(folder, '/')) {
        *slash = '\0';
        WB_TRY(wb_folder_check(folder, err));
        if ((size_t)(slash - folder) == base) break;
    }
    return check_way(path, err);
}

/* TOKENS section 13: nothing for others, at most reading for a group that is ours. */
static bool mode_is_secret(const struct stat *st)
{
    bool our_group = st->st_gid == getegid() || group_member(st->st_gid) != 0;
    if ((st->st_mode & S_IRWXO) != 0) return false;
    return (st->st_mode & S_IRWXG) == 0 || ((st->st_mode & (S_IWGRP | S_IXGRP)) == 0 && our_group);
}

static wb_status check_file(const char *dir, const char *name, wb_laid_kind kind, int fd,
                            struct stat *st, wb_error *err)
{
    if (fstat(fd, st) != 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s/%s", dir, name);
    if (!S_ISREG(st->st_mode))
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s is not a regular file", dir, name);
    if (!wb_owned_by_us(st))
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s belongs to user %u", dir, name, st->st_uid);
    if (kind == WB_LAID_SECRET && st->st_nlink != 1)
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s has more than one link", dir, name);
    if (kind == WB_LAID_SECRET && !mode_is_secret(st))
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s is open to others: mode %o (chmod 600)", dir,
                       name, st->st_mode & 07777u);
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s: others may write it: mode %o (chmod 644)", dir,
                       name, st->st_mode & 07777u);
    return check_place(dir, name, fd, err);
}

wb_status wb_laid_file_open(const char *dir, const char *name, wb_laid_kind kind, int *fd,
                            struct stat *st, wb_error *err)
{
    char path[PATH_MAX];
    struct stat own;
    WB_TRY(wb_folder_check(dir, err));
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return wb_fail(err, WB_ERR_CONFIG, "the name of %.40s is too long", name);
    /* O_NONBLOCK: a FIFO in its place must not hang the start. */
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (opened < 0)
        return wb_fail_errno(err, errno == ENOENT ? WB_ERR_NOT_FOUND : WB_ERR_CONFIG, errno, "%s",
                             path);
    wb_status status = check_file(dir, name, kind, opened, st ? st : &own, err);
    if (status == WB_OK)
        *fd = opened;
    else
        (void)close(opened);
    return status;
}

wb_status wb_laid_file_get(const char *dir, const char *name, wb_laid_kind kind, size_t limit,
                           wb_buffer *out, wb_error *err)
{
    int opened = -1;
    struct stat st;
    uint8_t *at;
    size_t len;
    wb_buffer_clear(out);
    WB_TRY(wb_laid_file_open(dir, name, kind, &opened, &st, err));
    WB_AUTO_FD fd = opened;
    size_t size = st.st_size < 0 || (uint64_t)st.st_size > limit ? limit : (size_t)st.st_size;
    if (wb_buffer_reserve(out, size + 1, &at) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for %s/%s", dir, name);
    if (wb_file_read(fd, at, size + 1, &len) != WB_OK)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s/%s", dir, name);
    if (len > size && size < limit)
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s changed while it was read", dir, name);
    out->len = len;
    return WB_OK;
}

wb_status wb_laid_file_check_no_link(const char *dir, const char *name, wb_error *err)
{
    char path[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return wb_fail(err, WB_ERR_CONFIG, "the name of %.40s is too long", name);
    if (lstat(path, &st) != 0 || !S_ISLNK(st.st_mode)) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG, "%.60s/%.48s is a link: change it where it leads to", dir,
                   name);
}

/* FNV-1a over what a swap or a rename changes. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        hash = (hash ^ ((value >> (8 * i)) & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t wb_laid_generation(const char *dir)
{
    static const char *const names[] = {"", "/..data"};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < WB_COUNT(names); i++) {
        char path[PATH_MAX];
        struct stat st;
        if ((size_t)snprintf(path, sizeof path, "%s%s", dir, names[i]) >= sizeof path) continue;
        if (stat(path, &st) != 0) continue;
        hash = mix(hash, st.st_ino);
        hash = mix(hash, (uint64_t)st.st_mtim.tv_sec);
        hash = mix(hash, (uint64_t)st.st_mtim.tv_nsec);
    }
    return hash;
}
