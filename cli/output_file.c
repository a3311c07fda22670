/* SPDX-License-Identifier: Apache-2.0 */
/* A file of another name in the same folder, fsync, then the name. Without `replace` the name is given
 * by link(2), which fails if it is taken: nothing is overwritten even if it appears meanwhile. With it,
 * rename(2); but only in place of a regular file, so that `-o /dev/null --force` by root does not cost
 * the machine its /dev/null. A crash leaves the `.waybill-` file at worst. */
#include "cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static wb_status check_place(const char *path, bool replace, wb_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0) return WB_OK; /* if that is trouble, open says so */
    if (!replace) return wb_fail(err, WB_ERR_REJECTED, "it is there already");
    if (!S_ISREG(st.st_mode)) return wb_fail(err, WB_ERR_REJECTED, "it is no regular file");
    return WB_OK;
}

static wb_status make_name(const char *path, char *out, size_t size, wb_error *err)
{
    const char *slash = strrchr(path, '/');
    int dir = slash ? (int)(slash - path) + 1 : 0;
    if (path[dir] == '\0') return wb_fail(err, WB_ERR_REJECTED, "it names no file");
    int len = snprintf(out, size, "%.*s.waybill-%d-%.100s", dir, path, (int)getpid(), path + dir);
    if (len < 0 || (size_t)len >= size)
        return wb_fail(err, WB_ERR_REJECTED, "its path is too long");
    return WB_OK;
}

wb_status wb_output_file_open(wb_output_file *out, const char *path, bool replace, wb_error *err)
{
    *out = (wb_output_file){.file = stdout, .replace = replace};
    if (!path || strcmp(path, "-") == 0) return WB_OK;
    WB_TRY(check_place(path, replace, err));
    WB_TRY(make_name(path, out->made, sizeof out->made, err));
    int fd =
        open(out->made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        int why = errno;
        if (fd >= 0) {
            (void)close(fd);
            (void)unlink(out->made);
        }
        out->made[0] = '\0';
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, why, "cannot make a file there");
    }
    out->file = file;
    out->path = path;
    return WB_OK;
}

static wb_status name_it(const wb_output_file *out, wb_error *err)
{
    if (out->replace) {
        WB_TRY(check_place(out->path, true, err));
        if (rename(out->made, out->path) == 0) return WB_OK;
    } else if (link(out->made, out->path) == 0) {
        (void)unlink(out->made); /* a second name at worst */
        return WB_OK;
    } else if (errno == EEXIST) {
        return wb_fail(err, WB_ERR_REJECTED, "it is there now");
    }
    return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "cannot give it its name");
}

wb_status wb_output_file_keep(wb_output_file *out, wb_error *err)
{
    if (fflush(out->file) != 0 || ferror(out->file))
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "cannot write");
    if (out->made[0] == '\0') return WB_OK;
    if (fsync(fileno(out->file)) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "cannot write");
    WB_TRY(name_it(out, err));
    out->made[0] = '\0';
    return WB_OK;
}

void wb_output_file_done(wb_output_file *out)
{
    if (out->file && out->file != stdout) (void)fclose(out->file); /* what counts was synced */
    if (out->made[0] != '\0') (void)unlink(out->made);
    *out = (wb_output_file){0};
}
