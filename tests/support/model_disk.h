/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/model_disk.h: a disk in memory that loses everything a real one may lose.
 *
 * Written bytes stand in a cache of 512-byte sectors until the file is synced; names that were made,
 * changed or removed stand in a list until the directory is. When the power goes, any subset of both
 * survives, by a seed. When only the process is killed, all stays, still unsynced. After a failed sync
 * the cache shows what was written while the disk may have any part of it, and no later sync makes
 * that good. One directory; one thread. */
#ifndef WAYBILL_TESTS_SUPPORT_MODEL_DISK_H
#define WAYBILL_TESTS_SUPPORT_MODEL_DISK_H

#include "core/file_ops.h"

typedef struct wb_model_disk wb_model_disk;

wb_model_disk *wb_model_disk_new(uint64_t seed);
void wb_model_disk_free(wb_model_disk *disk);
/** A second disk with what this one shows, all of it synced and closed. */
wb_model_disk *wb_model_disk_clone(const wb_model_disk *disk);
/** To hand to what is tested; lives as long as the disk. */
const wb_file_ops *wb_model_disk_ops(const wb_model_disk *disk);

/** A random number below `below`, from the disk's own seed. */
uint64_t wb_model_random(wb_model_disk *disk, uint64_t below);

/** Changes and syncs so far; a crash can come before each. */
uint64_t wb_model_disk_events(const wb_model_disk *disk);
/** The power goes before the event `after` from now on (0: the next one); every call fails then. */
void wb_model_disk_crash_after(wb_model_disk *disk, uint64_t after);
/** It will not. */
void wb_model_disk_run(wb_model_disk *disk);
bool wb_model_disk_is_dead(const wb_model_disk *disk);

/** The power was gone and is back: unsynced sectors and names each survived or not; all is closed. */
void wb_model_disk_power_cut(wb_model_disk *disk);
/** The process was killed, the machine goes on. */
void wb_model_disk_kill(wb_model_disk *disk);

typedef enum wb_model_fault {
    WB_MODEL_WRITE,
    WB_MODEL_SYNC_FILE,
    WB_MODEL_SYNC_DIR,
    WB_MODEL_RENAME,
    WB_MODEL_CREATE,
    WB_MODEL_OPEN, /* of a file that is there */
    WB_MODEL_ALLOCATE,
    WB_MODEL_CUT,
    WB_MODEL_REMOVE,
    WB_MODEL_FAULTS
} wb_model_fault;
/** Of these calls, the one after the next `after` fails with `errnum`, and `count` in all; a failing
 *  write leaves a part, the others nothing. */
void wb_model_disk_fail(wb_model_disk *disk, wb_model_fault what, unsigned after, unsigned count,
                        int errnum);
/** Files may have `bytes` in all, those without a name that are open included; what would grow one
 *  beyond fails with ENOSPC. UINT64_MAX: as many as they like. */
void wb_model_disk_limit(wb_model_disk *disk, uint64_t bytes);
/** What they have. */
uint64_t wb_model_disk_used(const wb_model_disk *disk);
/** Faults that have happened. */
unsigned wb_model_disk_faults(const wb_model_disk *disk);

/** From now on syncs of that site do nothing and say 0: a program that forgot the call. Every other
 *  time the power goes soon behind it. */
void wb_model_disk_ignore_site(wb_model_disk *disk, const char *site);
/** Names of all sites that ever synced; returns how many. */
size_t wb_model_disk_sites(const wb_model_disk *disk, const char *out[], size_t max);

/** Replace or make a file, synced. */
void wb_model_disk_put(wb_model_disk *disk, const char *name, const void *bytes, size_t len);
/** Remove a file, synced. */
void wb_model_disk_drop(wb_model_disk *disk, const char *name);
/** Size of a file, or UINT64_MAX if there is none. */
uint64_t wb_model_disk_size_of(const wb_model_disk *disk, const char *name);
/** Copy bytes of a file; the rest of `out` becomes 0. */
void wb_model_disk_get(const wb_model_disk *disk, const char *name, uint64_t at, void *out,
                       size_t len);
/** Names of all files, sorted; returns how many. */
size_t wb_model_disk_names(const wb_model_disk *disk, const char *out[], size_t max);

/** Flip `bits` of one byte of a file, in cache and on disk; false if there is no such byte. */
bool wb_model_disk_damage(wb_model_disk *disk, const char *name, uint64_t at, uint8_t bits);
/** Reads of that file's bytes from `at` to the end of the 4096-byte block fail with EIO. */
void wb_model_disk_break_block(wb_model_disk *disk, const char *name, uint64_t at);

#endif
