/* SPDX-License-Identifier: Apache-2.0 */
/* core/files.h: small files that count: keys, trust, who we are. Read with a bound, written durably, in
 * folders that only their owner may write to. Blocking. */
#ifndef WAYBILL_CORE_FILES_H
#define WAYBILL_CORE_FILES_H

#include "core/slice.h"
#include "core/status.h"

#include <sys/stat.h>

/** `dir` is a directory of root's or ours into which nobody else can write: by its mode, or because it
 *  is sealed.
 *  Errors  NOT_FOUND | CONFIG */
WB_MUST_USE wb_status wb_folder_check(const char *dir, wb_error *err);

/** `dir`, whose facts are `st`, is root's and on a file system that is mounted read-only: so
 *  orchestrators mount secrets and configuration, with modes that mean nothing. */
bool wb_folder_is_sealed(const char *dir, const struct stat *st);

/** As wb_folder_check, and made first (0700) if it is not there; its parent must be. */
WB_MUST_USE wb_status wb_folder_make(const char *dir, wb_error *err);

/** root's or ours. */
bool wb_owned_by_us(const struct stat *st);

/** Read from `fd` until its end, or until `cap` bytes are in `out`: *len == cap says there may be
 *  more. UNAVAILABLE when reading fails. */
WB_MUST_USE wb_status wb_file_read(int fd, void *out, size_t cap, size_t *len);

/** Write `dir`/`name` whole: a new file (O_EXCL, O_NOFOLLOW, `mode`), fsync, rename, fsync of the
 *  directory. A crash leaves the old state or the new one, and perhaps a `.new-` file.
 *  replace  false: REJECTED if `name` is there
 *  Errors   REJECTED | UNAVAILABLE */
WB_MUST_USE wb_status wb_file_put(const char *dir, const char *name, wb_slice bytes, mode_t mode,
                                  bool replace, wb_error *err);
/** As wb_file_put with `replace`: ours (0600), and with a group its to read (0640) from the moment that it has
 *  its name.
 *  group    (gid_t)-1: none
 *  Errors   UNAVAILABLE, also where we are not in the group */
WB_MUST_USE wb_status wb_file_put_for_group(const char *dir, const char *name, wb_slice bytes,
                                            gid_t group, wb_error *err);

/** Give `dir`/`from` the name `to`, replacing what has it, and sync the directory. UNAVAILABLE */
WB_MUST_USE wb_status wb_file_rename(const char *dir, const char *from, const char *to,
                                     wb_error *err);

/** Remove `dir`/`name` and sync the directory. Errors NOT_FOUND | UNAVAILABLE */
WB_MUST_USE wb_status wb_file_drop(const char *dir, const char *name, wb_error *err);

/** Wait until nobody else holds `dir`, and hold it until *fd is closed: who reads, changes and writes
 *  files of it takes turns. Errors NOT_FOUND | UNAVAILABLE */
WB_MUST_USE wb_status wb_folder_lock(const char *dir, int *fd, wb_error *err);

/** Names made in `dir` are safe then. UNAVAILABLE */
WB_MUST_USE wb_status wb_folder_sync(const char *dir, wb_error *err);

void wb_close_at(const int *fd);
#define WB_AUTO_FD __attribute__((cleanup(wb_close_at))) int

#endif
