/* SPDX-License-Identifier: Apache-2.0 */
/* One line, the journal's id in hex, beside the journal and not in it. A crash between the journal's
 * making and the mark leaves no mark or the old one: the old one errs to the safe side, none means a
 * first start, in which nothing can have been accepted yet. */
#include "sidecar/journal_mark.h"

#include "core/files.h"
#include "core/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "journal.id"
enum { LINE_BYTES = WB_ID_HEX + 1 };

static wb_status read_mark(const char *path, char line[LINE_BYTES + 1], wb_error *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return WB_ERR_NOT_FOUND;
    if (fd < 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "cannot read %s", path);
    ssize_t got = read(fd, line, LINE_BYTES);
    (void)close(fd);
    line[got > 0 ? got : 0] = '\0';
    return WB_OK;
}

wb_status wb_journal_remember(const char *state_dir, const wb_id *id, bool *lost, wb_error *err)
{
    char path[WB_PATH_MAX + 16], held[LINE_BYTES + 1], line[LINE_BYTES + 1];
    (void)snprintf(path, sizeof path, "%s/" NAME, state_dir);
    wb_hex(id->b, sizeof id->b, line);
    line[WB_ID_HEX] = '\n';
    line[LINE_BYTES] = '\0';
    wb_status status = read_mark(path, held, err);
    if (status != WB_OK && status != WB_ERR_NOT_FOUND) return status;
    *lost = status == WB_OK && strcmp(held, line) != 0;
    if (status == WB_OK && !*lost) return WB_OK;
    return wb_file_put(state_dir, NAME, wb_slice_str(line), S_IRUSR | S_IWUSR, true, err);
}
