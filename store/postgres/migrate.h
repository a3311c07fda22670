/* SPDX-License-Identifier: Apache-2.0 */
/* store/postgres/migrate.h: bring a database to this program's schema, keep it in shape, and see whether
 * one can be used. */
#ifndef WAYBILL_STORE_POSTGRES_MIGRATE_H
#define WAYBILL_STORE_POSTGRES_MIGRATE_H

#include "store/postgres/connection.h"

typedef struct wb_pg_migration {
    const char *name;    /* "0001_first" */
    int compatible_with; /* the oldest version whose programs may use the schema that this one makes */
    const char *sql;
} wb_pg_migration;

/** Version n is the n-th of these, from 1; made at build time from store/postgres/NNNN_*.sql. */
extern const wb_pg_migration wb_pg_migrations[];
extern const unsigned wb_pg_migration_count;

typedef struct wb_pg_version {
    int version; /* 0: no schema */
    int compatible_with;
} wb_pg_version;

/** What is there. Errors as wb_pg_query. */
WB_MUST_USE wb_status wb_pg_read_version(wb_pg *pg, wb_pg_version *out, wb_error *err);
/** May this program use it? It may be newer, as long as it says that it is compatible.
 *  Errors  UNAVAILABLE none, or an older one: the words name the command | CONFIG newer and not
 *          compatible | as wb_pg_query */
WB_MUST_USE wb_status wb_pg_check_version(wb_pg *pg, wb_error *err);

/** Apply what is missing, a transaction each, one process at a time.
 *  did     (may be NULL) is told of each that was applied
 *  Errors  CONFIG a newer program's schema, left untouched | as wb_pg_query */
WB_MUST_USE wb_status wb_pg_migrate(wb_pg *pg, void (*did)(void *ctx, const char *name), void *ctx,
                                    wb_error *err);

/** Let `role` write to the store, or read it.
 *  must  false: if there is no such role, *done is false and that is all */
WB_MUST_USE wb_status wb_pg_grant(wb_pg *pg, const char *role, bool to_write, bool must, bool *done,
                                  wb_error *err);

/** Make the partitions of the days from yesterday to a week from now: how many tables were made. */
WB_MUST_USE wb_status wb_pg_make_days(wb_pg *pg, int64_t *made, wb_error *err);
/** Has our role the right to wb_pg_prune? Writers have it only where somebody granted it. */
WB_MUST_USE wb_status wb_pg_may_prune(wb_pg *pg, bool *may, wb_error *err);
/** Drop what ended longer ago than `keep_s`: how many day tables, and how many other rows. */
WB_MUST_USE wb_status wb_pg_prune(wb_pg *pg, uint64_t keep_s, int64_t *days, int64_t *rows,
                                  wb_error *err);

#endif
