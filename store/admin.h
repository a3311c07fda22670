/* SPDX-License-Identifier: Apache-2.0 */
/* store/admin.h: what whoever owns a store does to it: make it, bring it to a new version, keep it in
 * shape. Sidecars do it to SQLite by themselves; a Postgres has a role for it (docs/postgres.md). */
#ifndef WAYBILL_STORE_ADMIN_H
#define WAYBILL_STORE_ADMIN_H

#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

/** Which store. */
typedef struct wb_store_place {
    const char *name;          /* as wb_store_open takes it */
    const char *password_file; /* Postgres; NULL: libpq's own ways */
} wb_store_place;

typedef struct wb_store_migration {
    bool dry_run;                              /* say what would be done */
    const char *writer, *reader;               /* roles of a Postgres; NULL: waybill_writer and
                                                    waybill_reader, if there are such */
    void (*step)(void *ctx, const char *name); /* each migration that was, or would be, applied */
    void *ctx;
} wb_store_migration;

typedef struct wb_store_migrated {
    int from, to; /* schema versions; 0: none */
    bool writer_granted, reader_granted;
    int64_t days; /* partitions that were made */
} wb_store_migrated;

/** Errors  CONFIG not a Waybill store, or a newer one, left untouched | NOT_FOUND such a role |
 *          UNAVAILABLE, with what to do | NO_MEMORY */
WB_MUST_USE wb_status wb_store_migrate(const wb_store_place *place, const wb_store_migration *how,
                                       wb_store_migrated *out, wb_error *err);
/** Make the partitions that the next days need. Errors likewise; CONFIG a store without partitions. */
WB_MUST_USE wb_status wb_store_maintain(const wb_store_place *place, int64_t *made, wb_error *err);
/** Drop what is older. Errors likewise. */
WB_MUST_USE wb_status wb_store_prune(const wb_store_place *place, uint64_t keep_s, int64_t *days,
                                     int64_t *rows, wb_error *err);

#endif
