/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, opened by the first send and again by the first send after a failure: a store that
 * is locked, full, gone or damaged is a far side that is away, and what was wrong with a connection
 * never outlives it.
 *
 * A send is one transaction, or several when it takes longer than TRANSACTION_NS: other sidecars wait
 * for the same lock. A transaction may end between any two rows, since every row may be written twice
 * (rows.c); `delivered` then names the last record that is complete. A record that can never be
 * written takes its transaction with it, and the runner finds it by halving.
 *
 * What a crash leaves: nothing of the open transaction, everything of those before it. */
#include "exporters/sqlite/sqlite.h"

#include "core/clock.h"
#include "core/paths.h"
#include "exporters/sqlite/rows.h"

#include <stdlib.h>

static const uint32_t MAGIC = 0x53514C58; /* "SQLX" */
static const uint64_t TRANSACTION_NS = 40 * WB_NS_PER_MS;
enum {
    LOCK_WAIT_MS = 2000,                /* for others' lock, before it is said that they have it */
    ROWS_A_LOOK = 32,                   /* rows between two looks at the clock */
    ROW_ARENA_BYTES = 64 * 1024 * 1024, /* unpacking takes up to 40 times the row's bytes */
};

typedef struct sqlite_exporter {
    uint32_t magic;
    const char *path;
    const wb_exporter_origin *origin;
    wb_arena *arena;
    bool is_open;
    wb_rows rows;
} sqlite_exporter;

/* One send in progress. */
typedef struct delivery {
    sqlite_exporter *x;
    wb_rows_mark mark;              /* complete records */
    uint64_t began_ns, deadline_ns; /* monotonic */
    uint32_t rows;
} delivery;

static const wb_config_key keys[] = {WB_SQLITE_CONFIG_KEYS("", 0, NULL)};
static const wb_config_table config_table = {keys, WB_COUNT(keys), sizeof(wb_sqlite_config)};

static wb_status sqlite_open(const wb_config_section *cfg, const wb_exporter_origin *origin,
                             void **self, wb_error *err)
{
    const wb_sqlite_config *config = cfg->values;
    if (!config->path || *config->path == '\0')
        return wb_fail(err, WB_ERR_CONFIG, "path: it is empty");
    sqlite_exporter *x = calloc(1, sizeof *x);
    if (!x) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for an exporter");
    x->magic = MAGIC;
    x->path = config->path;
    x->origin = origin;
    x->arena = wb_arena_new(ROW_ARENA_BYTES);
    if (!x->arena) {
        free(x);
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for an exporter");
    }
    *self = x;
    return WB_OK;
}

static bool transaction_is_long(void *ctx)
{
    delivery *d = ctx;
    return ++d->rows % ROWS_A_LOOK == 0 &&
           wb_mono(&wb_system_clock) - d->began_ns >= TRANSACTION_NS;
}

static uint32_t lock_wait(const delivery *d)
{
    uint64_t now = wb_mono(&wb_system_clock);
    uint64_t left_ms = d->deadline_ns > now ? (d->deadline_ns - now) / WB_NS_PER_MS : 0;
    return left_ms < LOCK_WAIT_MS ? (uint32_t)left_ms : LOCK_WAIT_MS;
}

static wb_status begin(delivery *d, wb_error *err)
{
    wb_sqlite_set_wait(d->x->rows.db, lock_wait(d));
    WB_TRY(wb_rows_begin(&d->x->rows, d->x->origin, &d->mark, err));
    d->began_ns = wb_mono(&wb_system_clock);
    return WB_OK;
}

/* Let others have the lock for a moment. */
static wb_status yield_lock(delivery *d, wb_error *err)
{
    WB_TRY(wb_rows_commit(&d->x->rows, d->x->origin, &d->mark, err));
    if (wb_mono(&wb_system_clock) >= d->deadline_ns)
        return wb_fail(err, WB_ERR_TIMEOUT, "store: slower than the send's timeout");
    return begin(d, err);
}

static bool is_delivered(const wb_rows_mark *mark, const wb_record_view *record)
{
    return record->seq < mark->seq || (record->seq == mark->seq && record->entry <= mark->entry);
}

typedef wb_status row_writer(wb_rows *rows, const wb_record_view *record, uint32_t *at, bool *more,
                             bool (*pause)(void *ctx), void *ctx, wb_error *err);

static wb_status write_batch(delivery *d, const wb_record_view *record, row_writer *write,
                             wb_error *err)
{
    uint32_t at = 0;
    for (;;) {
        bool more;
        WB_TRY(write(&d->x->rows, record, &at, &more, transaction_is_long, d, err));
        if (!more) return WB_OK;
        WB_TRY(yield_lock(d, err));
    }
}

static wb_status write_record(delivery *d, const wb_record_view *record, wb_error *err)
{
    wb_rows *rows = &d->x->rows;
    wb_arena_reset(rows->arena);
    switch ((int)record->kind) {
    case WB_ENTRY_SPANS: return write_batch(d, record, wb_rows_spans, err);
    case WB_ENTRY_LOGS: return write_batch(d, record, wb_rows_logs, err);
    case WB_ENTRY_DELEGATION: return wb_rows_delegation(rows, record, err);
    case WB_ENTRY_ACCEPTANCE: return wb_rows_acceptance(rows, record, err);
    default: return WB_OK; /* not asked for */
    }
}

static wb_status write_all(delivery *d, const wb_record_view *records, size_t n, wb_error *err)
{
    WB_TRY(begin(d, err));
    for (size_t i = 0; i < n; i++) {
        if (is_delivered(&d->mark, &records[i])) continue;
        WB_TRY(write_record(d, &records[i], err));
        d->mark = (wb_rows_mark){records[i].seq, records[i].entry};
        if (transaction_is_long(d)) WB_TRY(yield_lock(d, err));
    }
    return wb_rows_commit(&d->x->rows, d->x->origin, &d->mark, err);
}

static wb_status ensure_open(sqlite_exporter *x, uint32_t timeout_ms, wb_error *err)
{
    if (x->is_open) return WB_OK;
    if (timeout_ms > LOCK_WAIT_MS) timeout_ms = LOCK_WAIT_MS;
    x->rows = (wb_rows){.arena = x->arena};
    WB_TRY(wb_rows_open(&x->rows, x->path, timeout_ms, x->origin, err));
    x->is_open = true;
    return WB_OK;
}

static void close_store(sqlite_exporter *x)
{
    if (x->is_open) wb_rows_close(&x->rows);
    x->is_open = false;
}

static wb_status sqlite_send(void *self, const wb_record_view *records, size_t n,
                             uint32_t timeout_ms, wb_export_result *result, wb_error *err)
{
    sqlite_exporter *x = self;
    WB_ASSERT(x->magic == MAGIC);
    *result = (wb_export_result){0};
    if (ensure_open(x, timeout_ms, err) != WB_OK) {
        if (err) err->status = WB_ERR_UNAVAILABLE;
        return WB_ERR_UNAVAILABLE; /* whatever it was, the records are not to blame */
    }
    delivery d = {.x = x, .deadline_ns = wb_mono(&wb_system_clock) + timeout_ms * WB_NS_PER_MS};
    wb_status status = write_all(&d, records, n, err);
    if (status == WB_OK) {
        result->accepted = (uint32_t)n;
    } else if (status == WB_ERR_REJECTED) {
        wb_rows_rollback(&x->rows);
    } else {
        close_store(x);
        if (status == WB_ERR_CORRUPT) status = WB_ERR_UNAVAILABLE; /* the store is, not a record */
        if (err) err->status = status;
    }
    return status;
}

static void sqlite_close(void *self)
{
    sqlite_exporter *x = self;
    if (!x) return;
    WB_ASSERT(x->magic == MAGIC);
    close_store(x);
    wb_arena_free(x->arena);
    free(x);
}

const wb_exporter_ops wb_exporter_sqlite = {
    .name = "sqlite",
    .takes = WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_LOGS) |
             WB_KIND_BIT(WB_ENTRY_DELEGATION) | WB_KIND_BIT(WB_ENTRY_ACCEPTANCE),
    .config = &config_table,
    .open = sqlite_open,
    .send = sqlite_send,
    .close = sqlite_close,
};
