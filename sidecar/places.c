/* SPDX-License-Identifier: Apache-2.0 */
/* A directory's mode is what keeps others away from the socket, the key and the journal; files inside
 * are private too, by the umask. A directory that somebody else made, or opened, is refused and not
 * mended: who opened it may have put something there. */
#include "sidecar/places.h"

#include "core/files.h"
#include "core/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

wb_status wb_group_find(const char *text, gid_t *out, wb_error *err)
{
    char *end;
    *out = WB_NO_GROUP;
    if (!text) return WB_OK;
    const struct group *group = getgrnam(text); /* NOLINT(concurrency-mt-unsafe): before threads */
    if (group) {
        *out = group->gr_gid;
        return WB_OK;
    }
    unsigned long gid = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || gid >= UINT32_MAX)
        return wb_fail(err, WB_ERR_CONFIG, "ipc.group: there is no group %.64s", text);
    *out = (gid_t)gid;
    return WB_OK;
}

static wb_status check_ours(const char *dir, mode_t *mode, wb_error *err)
{
    struct stat st;
    if (lstat(dir, &st) != 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", dir);
    if (!S_ISDIR(st.st_mode)) return wb_fail(err, WB_ERR_CONFIG, "%s is no directory", dir);
    if (st.st_uid != geteuid())
        return wb_fail(err, WB_ERR_CONFIG, "%s belongs to uid %u, this process has %u", dir,
                       (unsigned)st.st_uid, (unsigned)geteuid());
    *mode = st.st_mode & 07777;
    return WB_OK;
}

wb_status wb_place_private(const char *dir, wb_error *err)
{
    mode_t mode = 0;
    WB_TRY(wb_make_dirs(dir, err));
    WB_TRY(check_ours(dir, &mode, err));
    if (mode & (S_IRWXG | S_IRWXO))
        return wb_fail(err, WB_ERR_CONFIG, "%s has mode %03o: others could get in; chmod 700 it",
                       dir, (unsigned)mode);
    return WB_OK;
}

static wb_status give_to_group(const char *path, gid_t group, wb_error *err)
{
    if (lchown(path, (uid_t)-1, group) != 0)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno,
                             "ipc.group: this process must be in group %u to give it %.80s",
                             (unsigned)group, path);
    if (chmod(path, 0750) != 0)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%.100s cannot be opened to its group",
                             path);
    return WB_OK;
}

/* "X/waybill" above "X/waybill/NAME" is ours where we made it, and then 0700: let others pass through
 * it, not look into it. */
static void open_above(const char *dir)
{
    char above[WB_PATH_MAX];
    struct stat st;
    const char *slash = strrchr(dir, '/');
    if (!slash || slash == dir || (size_t)(slash - dir) >= sizeof above) return;
    memcpy(above, dir, (size_t)(slash - dir));
    above[slash - dir] = '\0';
    if (lstat(above, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
        (void)chmod(above,
                    (st.st_mode & 07777) | S_IXGRP | S_IXOTH); /* wb_place_blocked_at tells */
}

wb_status wb_place_run_dir(const char *dir, gid_t group, wb_error *err)
{
    mode_t mode = 0;
    if (group == WB_NO_GROUP) return wb_place_private(dir, err);
    WB_TRY(wb_make_dirs(dir, err));
    WB_TRY(check_ours(dir, &mode, err));
    if (mode & (S_IWGRP | S_IRWXO))
        return wb_fail(err, WB_ERR_CONFIG, "%s has mode %03o: others could get in; chmod 750 it",
                       dir, (unsigned)mode);
    open_above(dir);
    return give_to_group(dir, group, err);
}

bool wb_place_blocked_at(const char *dir, gid_t group, char *out)
{
    for (const char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct stat st;
        memcpy(out, dir, (size_t)(slash - dir));
        out[slash - dir] = '\0';
        if (stat(out, &st) != 0) return true;
        mode_t pass = st.st_gid == group ? S_IXGRP : S_IXOTH;
        if (!(st.st_mode & pass)) return true;
    }
    return false;
}
