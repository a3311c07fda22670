/* SPDX-License-Identifier: Apache-2.0 */
/* A secret that others can read is none, and whoever laid it down believes that it is one: so it is refused,
 * not read with a warning. The group may read: orchestrators give a file to a group (fsGroup) because they
 * know no better way to let one process have it. */
#include "core/secret_file.h"

#include "core/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static bool is_in_sealed_folder(const char *path)
{
    char folder[PATH_MAX];
    struct stat st;
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 1;
    if (len >= sizeof folder) return false;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(len > 0 ? len : 1), slash ? path : ".");
    return stat(folder, &st) == 0 && wb_folder_is_sealed(folder, &st);
}

static wb_status check_private(const char *key, const char *path, const struct stat *st,
                               wb_error *err)
{
    if (is_in_sealed_folder(path)) return WB_OK;
    if (!wb_owned_by_us(st))
        return wb_fail(err, WB_ERR_CONFIG, "%s: %.80s belongs to uid %u, not to us", key, path,
                       (unsigned)st->st_uid);
    if (st->st_mode & S_IRWXO)
        return wb_fail(err, WB_ERR_CONFIG, "%s: others can read %.80s: chmod o= it", key, path);
    return WB_OK;
}

static wb_slice without_end(wb_slice s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[s.len - 1])) s.len--;
    return s;
}

static wb_status read_file(const char *key, const char *path, bool secret, wb_arena *arena,
                           wb_slice *out, wb_error *err)
{
    struct stat st;
    size_t len = 0;
    WB_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s: %.80s", key, path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return wb_fail(err, WB_ERR_CONFIG, "%s: %.80s is no regular file", key, path);
    if (secret) WB_TRY(check_private(key, path, &st, err));
    if (st.st_size > WB_SECRET_FILE_MAX)
        return wb_fail(err, WB_ERR_CONFIG, "%s: %.80s is too large", key, path);
    size_t room = (size_t)st.st_size + 1;
    uint8_t *bytes = wb_arena_alloc(arena, room + 1);
    if (!bytes) return wb_fail(err, WB_ERR_NO_MEMORY, "%s: no memory to read it", key);
    if (wb_file_read(fd, bytes, room, &len) != WB_OK)
        return wb_fail(err, WB_ERR_CONFIG, "%s: %.80s cannot be read", key, path);
    if (len == room)
        return wb_fail(err, WB_ERR_CONFIG, "%s: %.80s grew while it was read", key, path);
    wb_slice text = without_end(wb_slice_of(bytes, len));
    if (text.len == 0) return wb_fail(err, WB_ERR_CONFIG, "%s: %.80s is empty", key, path);
    bytes[text.len] = '\0';
    *out = text;
    return WB_OK;
}

wb_status wb_secret_file_read(const char *key, const char *path, wb_arena *arena, wb_slice *out,
                              wb_error *err)
{
    return read_file(key, path, true, arena, out, err);
}

wb_status wb_public_file_read(const char *key, const char *path, wb_arena *arena, wb_slice *out,
                              wb_error *err)
{
    return read_file(key, path, false, arena, out, err);
}
