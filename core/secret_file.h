/* SPDX-License-Identifier: Apache-2.0 */
/* core/secret_file.h: secrets that the configuration names by file (`*_file`): bearers, passwords, private
 * keys. Blocking; read while nothing is locked in yet. */
#ifndef WAYBILL_CORE_SECRET_FILE_H
#define WAYBILL_CORE_SECRET_FILE_H

#include "core/arena.h"
#include "core/slice.h"
#include "core/status.h"

enum { WB_SECRET_FILE_MAX = 256 * 1024 };

/** Read the whole file, with line ends and blanks at its end cut off. It must be a regular file of root's or
 *  ours that others (the third group of mode bits) cannot read, unless it lies in a folder that is sealed
 *  (core/files.h), as orchestrators mount secrets.
 *  key    of the configuration, for the error
 *  out    in `arena`, with a NUL behind it that `len` does not count; never empty
 *  Errors CONFIG it is not there, not readable, not private, empty, over WB_SECRET_FILE_MAX; the detail
 *         has the key and the path, and nothing of the file | NO_MEMORY */
WB_MUST_USE wb_status wb_secret_file_read(const char *key, const char *path, wb_arena *arena,
                                          wb_slice *out, wb_error *err);

/** As above for what is no secret (certificates): any mode and owner. */
WB_MUST_USE wb_status wb_public_file_read(const char *key, const char *path, wb_arena *arena,
                                          wb_slice *out, wb_error *err);

#endif
