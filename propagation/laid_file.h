/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/laid_file.h: open files that somebody laid down for us: keys, trust files, revocations.
 * Within propagation only. TOKENS section 13: what is checked is the *opened* file, never its name.
 *
 * Mounted secrets are symbolic links (current.key -> ..data/current.key, ..data -> ..2026_11_21), so
 * a link is followed if what it leads to really lies below the directory; nothing else is. */
#ifndef WAYBILL_PROPAGATION_LAID_FILE_H
#define WAYBILL_PROPAGATION_LAID_FILE_H

#include "core/buffer.h"
#include "core/files.h"

typedef enum wb_laid_kind {
    WB_LAID_PUBLIC, /* others may read it, nobody but its owner may write it */
    WB_LAID_SECRET, /* one link, nothing for others, at most reading for a group of ours */
} wb_laid_kind;

/** The bytes of `dir`/`name` (which may have one folder in it), at most `limit` of them: if the file
 *  is longer, limit + 1 bytes. `out` is cleared first, and wiped by the caller if it was a secret.
 *  Errors  NOT_FOUND | CONFIG not such a file, or it lies where others can write | NO_MEMORY */
WB_MUST_USE wb_status wb_laid_file_get(const char *dir, const char *name, wb_laid_kind kind,
                                       size_t limit, wb_buffer *out, wb_error *err);

/** As above, only open: *fd is the caller's. `st` may be NULL. */
WB_MUST_USE wb_status wb_laid_file_open(const char *dir, const char *name, wb_laid_kind kind,
                                        int *fd, struct stat *st, wb_error *err);

/** Is `dir`/`name` no link, or not there? A file written in a link's place would cut it: what is mounted
 *  or laid down at its other end would never be seen again.
 *  Errors  CONFIG it is one */
WB_MUST_USE wb_status wb_laid_file_check_no_link(const char *dir, const char *name, wb_error *err);

/** A number that changes when names in `dir` do, and when mounted files are swapped (`..data` turns).
 *  Read before and after reading several files, it says whether they belong together. */
uint64_t wb_laid_generation(const char *dir);

#endif
