/* SPDX-License-Identifier: Apache-2.0 */
/* store/engine.h: what an engine does for store.h. Each has one table; store.c picks it by the store's
 * name and hands on. A function's contract is that of its namesake in store.h. */
#ifndef WAYBILL_STORE_ENGINE_H
#define WAYBILL_STORE_ENGINE_H

#include "store/admin.h"
#include "store/store.h"

typedef struct wb_store_ops {
    wb_status (*open)(const char *name, wb_store **out, wb_error *err);
    void (*close)(wb_store *store);
    wb_status (*begin)(wb_store *store, wb_error *err);
    void (*end)(wb_store *store);
    wb_status (*traces)(wb_store *store, const wb_trace_filter *filter,
                        wb_status (*each)(void *ctx, const wb_stored_trace *row), void *ctx,
                        wb_error *err);
    /** The ids, at most two, between `low` and `high`: how many. */
    wb_status (*trace_ids)(wb_store *store, const wb_trace_id *low, const wb_trace_id *high,
                           wb_trace_id out[2], size_t *n, wb_error *err);
    wb_status (*sidecars)(wb_store *store,
                          wb_status (*each)(void *ctx, const wb_stored_sidecar *row), void *ctx,
                          wb_error *err);
    wb_status (*spans)(wb_store *store, const wb_trace_id *trace, wb_span_order order,
                       wb_status (*each)(void *ctx, const wb_stored_span *row), void *ctx,
                       wb_error *err);
    wb_status (*logs)(wb_store *store, const wb_trace_id *trace, uint32_t limit,
                      wb_status (*each)(void *ctx, const wb_stored_log *row), void *ctx,
                      wb_error *err);
    wb_status (*delegations)(wb_store *store, const wb_delegation_filter *filter,
                             wb_status (*each)(void *ctx, const wb_stored_delegation *row),
                             void *ctx, wb_error *err);
    wb_status (*acceptances)(wb_store *store, const wb_trace_id *trace,
                             wb_status (*each)(void *ctx, const wb_stored_acceptance *row),
                             void *ctx, wb_error *err);
    wb_status (*leniences)(wb_store *store, wb_slice agent_id, wb_time_ns since_ns, uint32_t limit,
                           wb_status (*each)(void *ctx, const wb_stored_lenience *row), void *ctx,
                           wb_error *err);
    wb_status (*agents)(wb_store *store, wb_time_ns since_ns, uint32_t limit,
                        wb_status (*each)(void *ctx, const wb_stored_agent *row), void *ctx,
                        wb_error *err);
    wb_status (*changed)(wb_store *store, bool *changed, wb_error *err);
    /** What was handed out, as this engine keeps it; NULL when memory is out. */
    void *(*follow_new)(void);
    void (*follow_free)(void *follow);
    wb_status (*follow_from_now)(void *follow, wb_store *store, uint32_t last_spans, wb_error *err);
    wb_status (*follow_read)(void *follow, wb_store *store, const wb_arrivals *take, void *ctx,
                             wb_error *err);
    void (*follow_reopened)(void *follow);
    /* store/admin.h; the last two may be NULL */
    wb_status (*migrate)(const wb_store_place *place, const wb_store_migration *how,
                         wb_store_migrated *out, wb_error *err);
    wb_status (*maintain)(const wb_store_place *place, int64_t *made, wb_error *err);
    wb_status (*prune)(const wb_store_place *place, uint64_t keep_s, int64_t *days, int64_t *rows,
                       wb_error *err);
} wb_store_ops;

/** The first member of every engine's own. */
struct wb_store {
    const wb_store_ops *ops;
};

/* By the build: of SQLite and Postgres, those that are in it. NULL ends them. */
extern const wb_store_ops *const wb_store_sqlite_engine;
extern const wb_store_ops *const wb_store_postgres_engine;

#endif
