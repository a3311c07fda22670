/* SPDX-License-Identifier: Apache-2.0 */
/* core/file_ops.h: everything that durable code asks of the disk, so that a test can put another disk
 * under it (tests/support/model_disk.h) that loses what a real one may lose.
 *
 * Every call returns 0 (or a handle >= 0), or a negative errno value: these are a system's answers,
 * and the caller knows what they mean for it. Interrupted and short calls are finished inside. Thread-
 * safe: different handles at once, and reads at once with anything. */
#ifndef WAYBILL_CORE_FILE_OPS_H
#define WAYBILL_CORE_FILE_OPS_H

#include "core/slice.h"
#include "core/status.h"

#include <sys/types.h>

typedef enum wb_file_open {
    WB_FILE_READ,   /* must exist */
    WB_FILE_WRITE,  /* must exist; read and write */
    WB_FILE_CREATE, /* must not exist; read and write, mode 0600 */
    WB_FILE_ENSURE, /* made if missing; read and write, mode 0600 */
} wb_file_open;

typedef struct wb_file_ops wb_file_ops;
struct wb_file_ops {
    /* Open a directory, made with mode 0700 if missing; the directories above it must exist. Its own
     * name and theirs are safe then. */
    int (*open_dir)(const wb_file_ops *ops, const char *path);
    /* Open a regular file of that directory, never through a symbolic link, never inherited.
     * -ENOENT, -EEXIST, -EISDIR, -ELOOP as open(2). */
    int (*open)(const wb_file_ops *ops, int dir, const char *name, wb_file_open how);
    void (*close)(const wb_file_ops *ops, int handle);

    /* *got < len only at the end of the file. */
    int (*read_at)(const wb_file_ops *ops, int file, void *out, size_t len, uint64_t at,
                   size_t *got);
    /* All of `len`, or an error that leaves any part of it written. */
    int (*write_at)(const wb_file_ops *ops, int file, const void *bytes, size_t len, uint64_t at);
    /* The first byte at or behind `at` that was ever written, as far as the file system knows; *out is
     * `at` if it does not, and the end of the file if there is none. */
    int (*next_data)(const wb_file_ops *ops, int file, uint64_t at, uint64_t *out);
    int (*size)(const wb_file_ops *ops, int file, uint64_t *out);
    /* How many names the file has: 0, it was removed and whatever is written to it nobody will find. */
    int (*names)(const wb_file_ops *ops, int file);
    /* Make a file `len` bytes long, what it gains reads as 0, at once and with all its blocks set aside
     * if the file system can do that. */
    int (*allocate)(const wb_file_ops *ops, int file, uint64_t len);
    /* As allocate, but really written and on its way to the disk, so that a later sync of a small
     * change is cheap. Slow. Promises nothing about a crash. */
    int (*zero_fill)(const wb_file_ops *ops, int file, uint64_t len);

    /* Shorten a file to `len` bytes. */
    int (*cut)(const wb_file_ops *ops, int file, uint64_t len);

    /* What was written to the file is safe. After a failure nothing unsynced may be trusted again,
     * even if the next call succeeds. `site` names the caller, for tests. */
    int (*sync_file)(const wb_file_ops *ops, int file, const char *site);
    /* Names made, changed and removed in the directory are safe. */
    int (*sync_dir)(const wb_file_ops *ops, int dir, const char *site);

    /* Replaces `to` if it exists. */
    int (*rename)(const wb_file_ops *ops, int dir, const char *from, const char *to);
    int (*remove)(const wb_file_ops *ops, int dir, const char *name);
    /* Call `each` with every name but "." and "..", in no order; stops at its first non-zero answer
     * and returns that. */
    int (*list)(const wb_file_ops *ops, int dir, int (*each)(void *arg, const char *name),
                void *arg);
    /* Lock an open file against every other opener until it is closed; -EWOULDBLOCK if it is taken. */
    int (*lock)(const wb_file_ops *ops, int file);
};

/** The machine's own disk. */
extern const wb_file_ops wb_real_disk;

#endif
