/* SPDX-License-Identifier: Apache-2.0 */
/* A store's name says its engine: a URL is Postgres, all else a file of SQLite. */
#include "store/store.h"

#include "core/store_url.h"
#include "core/text_code.h"
#include "store/engine.h"

#include <stdlib.h>

struct wb_follow {
    const wb_store_ops *ops; /* of the store that it was first used with; NULL: none yet */
    void *state;
};

static wb_status engine_of(const char *name, const wb_store_ops **out, wb_error *err)
{
    bool is_postgres = wb_is_postgres_url(name);
    if (!is_postgres && wb_is_url(name)) /* which may hold a password, so it is not repeated */
        return wb_fail(err, WB_ERR_CONFIG,
                       "neither the path of a file nor postgres://user@host/database");
    *out = is_postgres ? wb_store_postgres_engine : wb_store_sqlite_engine;
    if (*out) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG, "store: this build of Waybill has no %s",
                   is_postgres ? "Postgres" : "SQLite");
}

wb_status wb_store_open(const char *name, wb_store **out, wb_error *err)
{
    const wb_store_ops *ops;
    WB_TRY(engine_of(name, &ops, err));
    return ops->open(name, out, err);
}

void wb_store_close(wb_store *store)
{
    if (store) store->ops->close(store);
}

wb_status wb_store_begin(wb_store *store, wb_error *err) { return store->ops->begin(store, err); }

void wb_store_end(wb_store *store) { store->ops->end(store); }

wb_status wb_store_traces(wb_store *store, const wb_trace_filter *filter,
                          wb_status (*each)(void *ctx, const wb_stored_trace *row), void *ctx,
                          wb_error *err)
{
    return store->ops->traces(store, filter, each, ctx, err);
}

/* The lowest and highest id with these leading hex digits. */
static bool prefix_range(wb_slice prefix, uint8_t low[16], uint8_t high[16])
{
    if (prefix.len == 0 || prefix.len > WB_TRACE_HEX) return false;
    memset(low, 0, 16);
    memset(high, 0xFF, 16);
    for (size_t i = 0; i < prefix.len; i++) {
        uint8_t digit = wb_hex_values[prefix.ptr[i]];
        if (digit == WB_NO_HEX) return false;
        unsigned shift = i % 2 == 0 ? 4 : 0;
        low[i / 2] = (uint8_t)(low[i / 2] | digit << shift);
        high[i / 2] = (uint8_t)((high[i / 2] & ~(0xF << shift)) | digit << shift);
    }
    return true;
}

wb_status wb_store_find_trace(wb_store *store, wb_slice prefix, wb_trace_id *out, wb_error *err)
{
    wb_trace_id low, high, found[2];
    size_t n = 0;
    if (!prefix_range(prefix, low.b, high.b))
        return wb_fail(err, WB_ERR_MALFORMED, "a trace id has 1 to 32 hex digits");
    WB_TRY(store->ops->trace_ids(store, &low, &high, found, &n, err));
    if (n == 0) return wb_fail(err, WB_ERR_NOT_FOUND, "no trace with this id in the store");
    if (n > 1) return wb_fail(err, WB_ERR_REJECTED, "more than one trace id begins so");
    *out = found[0];
    return WB_OK;
}

wb_status wb_store_sidecars(wb_store *store,
                            wb_status (*each)(void *ctx, const wb_stored_sidecar *row), void *ctx,
                            wb_error *err)
{
    return store->ops->sidecars(store, each, ctx, err);
}

wb_status wb_store_spans(wb_store *store, const wb_trace_id *trace, wb_span_order order,
                         wb_status (*each)(void *ctx, const wb_stored_span *row), void *ctx,
                         wb_error *err)
{
    return store->ops->spans(store, trace, order, each, ctx, err);
}

wb_status wb_store_logs(wb_store *store, const wb_trace_id *trace, uint32_t limit,
                        wb_status (*each)(void *ctx, const wb_stored_log *row), void *ctx,
                        wb_error *err)
{
    return store->ops->logs(store, trace, limit, each, ctx, err);
}

wb_status wb_store_delegations(wb_store *store, const wb_delegation_filter *filter,
                               wb_status (*each)(void *ctx, const wb_stored_delegation *row),
                               void *ctx, wb_error *err)
{
    return store->ops->delegations(store, filter, each, ctx, err);
}

wb_status wb_store_acceptances(wb_store *store, const wb_trace_id *trace,
                               wb_status (*each)(void *ctx, const wb_stored_acceptance *row),
                               void *ctx, wb_error *err)
{
    return store->ops->acceptances(store, trace, each, ctx, err);
}

wb_status wb_store_leniences(wb_store *store, wb_slice agent_id, wb_time_ns since_ns,
                             uint32_t limit,
                             wb_status (*each)(void *ctx, const wb_stored_lenience *row), void *ctx,
                             wb_error *err)
{
    return store->ops->leniences(store, agent_id, since_ns, limit, each, ctx, err);
}

wb_status wb_store_agents(wb_store *store, wb_time_ns since_ns, uint32_t limit,
                          wb_status (*each)(void *ctx, const wb_stored_agent *row), void *ctx,
                          wb_error *err)
{
    return store->ops->agents(store, since_ns, limit, each, ctx, err);
}

wb_status wb_store_changed(wb_store *store, bool *changed, wb_error *err)
{
    return store->ops->changed(store, changed, err);
}

/* ---- following ------------------------------------------------------------------------------ */

wb_follow *wb_follow_new(void) { return calloc(1, sizeof(wb_follow)); }

void wb_follow_free(wb_follow *follow)
{
    if (!follow) return;
    if (follow->ops) follow->ops->follow_free(follow->state);
    free(follow);
}

static wb_status bind(wb_follow *follow, const wb_store *store, wb_error *err)
{
    if (follow->ops) {
        WB_ASSERT(follow->ops == store->ops);
        return WB_OK;
    }
    follow->state = store->ops->follow_new();
    if (!follow->state) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory to follow it");
    follow->ops = store->ops;
    return WB_OK;
}

wb_status wb_follow_from_now(wb_follow *follow, wb_store *store, uint32_t last_spans, wb_error *err)
{
    WB_TRY(bind(follow, store, err));
    return store->ops->follow_from_now(follow->state, store, last_spans, err);
}

wb_status wb_follow_read(wb_follow *follow, wb_store *store, const wb_arrivals *take, void *ctx,
                         wb_error *err)
{
    WB_TRY(bind(follow, store, err));
    return store->ops->follow_read(follow->state, store, take, ctx, err);
}

void wb_follow_reopened(wb_follow *follow)
{
    if (follow->ops) follow->ops->follow_reopened(follow->state);
}

/* ---- what its owner does -------------------------------------------------------------------- */

wb_status wb_store_migrate(const wb_store_place *place, const wb_store_migration *how,
                           wb_store_migrated *out, wb_error *err)
{
    const wb_store_ops *ops;
    WB_TRY(engine_of(place->name, &ops, err));
    *out = (wb_store_migrated){0};
    return ops->migrate(place, how, out, err);
}

wb_status wb_store_maintain(const wb_store_place *place, int64_t *made, wb_error *err)
{
    const wb_store_ops *ops;
    WB_TRY(engine_of(place->name, &ops, err));
    if (!ops->maintain)
        return wb_fail(err, WB_ERR_CONFIG, "a store in a file needs no upkeep: only Postgres does");
    return ops->maintain(place, made, err);
}

wb_status wb_store_prune(const wb_store_place *place, uint64_t keep_s, int64_t *days, int64_t *rows,
                         wb_error *err)
{
    const wb_store_ops *ops;
    WB_TRY(engine_of(place->name, &ops, err));
    if (!ops->prune) return wb_fail(err, WB_ERR_CONFIG, "only a store in Postgres can be pruned");
    return ops->prune(place, keep_s, days, rows, err);
}
