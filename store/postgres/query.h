/* SPDX-License-Identifier: Apache-2.0 */
/* store/postgres/query.h: what the read queries share. */
#ifndef WAYBILL_STORE_POSTGRES_QUERY_H
#define WAYBILL_STORE_POSTGRES_QUERY_H

#include "store/engine.h"
#include "store/postgres/connection.h"
#include "store/rows.h"

enum { WB_PG_READ_MS = 60000 }; /* from one row to the next */

typedef struct wb_pg_store {
    wb_store base;
    wb_pg *pg;
    int64_t seen[3]; /* at the last wb_store_changed */
    bool is_seen;
} wb_pg_store;

static inline wb_pg_store *wb_pg_store_of(wb_store *store) { return (wb_pg_store *)(void *)store; }

/** The columns of the answer's first row. */
wb_columns wb_pg_columns(const wb_pg_result *result);
/** wb_pg_each with the time that a reader waits. */
WB_MUST_USE wb_status wb_pg_read_each(wb_store *store, const char *sql, const wb_pg_params *params,
                                      wb_status (*each)(void *ctx, const wb_pg_result *row),
                                      void *ctx, wb_error *err);

/* What the table of the engine (read.c) holds of other files. */
wb_status wb_pg_agents(wb_store *store, wb_time_ns since_ns, uint32_t limit,
                       wb_status (*each)(void *ctx, const wb_stored_agent *row), void *ctx,
                       wb_error *err);
wb_status wb_pg_changed(wb_store *base, bool *changed, wb_error *err);
void *wb_pg_follow_new(void);
void wb_pg_follow_free(void *self);
wb_status wb_pg_follow_from_now(void *self, wb_store *store, uint32_t last_spans, wb_error *err);
wb_status wb_pg_follow_read(void *self, wb_store *store, const wb_arrivals *take, void *ctx,
                            wb_error *err);
void wb_pg_follow_reopened(void *self);
wb_status wb_pg_migrate_store(const wb_store_place *place, const wb_store_migration *how,
                              wb_store_migrated *out, wb_error *err);
wb_status wb_pg_maintain_store(const wb_store_place *place, int64_t *made, wb_error *err);
wb_status wb_pg_prune_store(const wb_store_place *place, uint64_t keep_s, int64_t *days,
                            int64_t *rows, wb_error *err);

#endif
