/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, opened by the first send and again by the first send after a failure or a long idle
 * time: what was wrong with a connection never outlives it.
 *
 * A send is one transaction, in three steps of which each waits once:
 *   1. BEGIN, limits, our row of `sidecars`, how far this journal was delivered. The row's lock makes
 *      transactions of one journal follow each other: one that a broken connection left behind on the
 *      server is waited for, and what it delivered is seen.
 *   2. COPY of what is behind that place into staging tables (stage.c).
 *   3. Merge (merge.c), the new place, COMMIT, in one pipeline. OK is said when COMMIT was answered;
 *      synchronous_commit is on, whatever the server's default.
 * A record that can never be stored takes the transaction with it, and the runner finds it by halving.
 *
 * A server that is too slow for a whole send in the time given would be asked for the same for ever. So
 * behind a timeout a send is several transactions of fewer records; each that commits is progress, which
 * the next send finds in `delivered`.
 *
 * Day partitions are made before the transaction, in one of their own, because that takes a lock which
 * nobody should hold for the length of a batch. Rows of a day that could not be made go to the default
 * partition. */
#include "exporters/postgres/postgres.h"

#include "core/clock.h"
#include "exporters/postgres/needs.h"
#include "exporters/postgres/stage.h"
#include "store/postgres/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const uint32_t MAGIC = 0x50475358; /* "PGSX" */
enum {
    DAYS_BEHIND = 31, /* as in waybill.make_days */
    DAYS_AHEAD = 2,   /* of the seven that it lets us make */
    RETRY_DAYS_MS = 60000,
    PRUNE_MS = 3600000,
    FEWER = 4, /* times, behind a timeout */
    MOST_RECORDS = 65536,
    HANG_MS = 10000, /* the server ends a transaction of ours that says nothing for so long */
};

typedef struct postgres_exporter {
    uint32_t magic;
    const wb_postgres_config *config;
    const wb_exporter_origin *origin;
    const char *name;
    wb_stage stage;
    atomic_ullong until_ns; /* of hurry; 0: nobody does */
    wb_pg *pg;              /* NULL: not connected */
    uint64_t used_ns;       /* monotonic, the last time that it was of use */
    int64_t first_day;      /* of `days` */
    uint64_t days;          /* that have partitions, as far as this connection knows */
    uint64_t days_after_ns, prune_after_ns; /* monotonic: not again before */
    size_t most;                            /* records in a transaction; 0: any number */
    wb_stage_mark mark;                     /* as this connection last saw it */
} postgres_exporter;

static wb_status postgres_open(const wb_config_section *cfg, const wb_exporter_origin *origin,
                               void **self, wb_error *err)
{
    const wb_postgres_config *config = cfg->values;
    if (!config->url || *config->url == '\0')
        return wb_fail(err, WB_ERR_CONFIG,
                       "url: it is not set: postgres://user@host:5432/database");
    WB_TRY(wb_pg_check_url(config->url, err));
    if (config->password_file) WB_TRY(wb_pg_check_password_file(config->password_file, err));
    postgres_exporter *x = calloc(1, sizeof *x);
    if (!x || wb_stage_init(&x->stage) != WB_OK) {
        free(x);
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for an exporter");
    }
    x->magic = MAGIC;
    x->config = config;
    x->origin = origin;
    x->name = cfg->name;
    *self = x;
    return WB_OK;
}

static void disconnect(postgres_exporter *x)
{
    wb_pg_close(WB_STEAL(x->pg));
    x->days = 0;
    x->days_after_ns = 0;
    x->mark = (wb_stage_mark){0, -1};
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* Said at once, not when the first day is old enough. */
static wb_status check_retention(postgres_exporter *x, wb_error *err)
{
    bool may;
    if (x->config->retention_s == 0) return WB_OK;
    WB_TRY(wb_pg_may_prune(x->pg, &may, err));
    if (may) return WB_OK;
    return wb_fail(err, WB_ERR_UNAVAILABLE,
                   "postgres: retention is set, but its role may not: GRANT EXECUTE ON FUNCTION "
                   "waybill.prune TO it, or leave it to: waybill store prune");
}

static wb_status set_up(postgres_exporter *x, wb_error *err)
{
    int64_t made;
    wb_pg_version v;
    if (x->config->migrate) {
        WB_TRY(wb_pg_read_version(x->pg, &v, err));
        if (v.version < (int)wb_pg_migration_count) {
            WB_TRY(wb_pg_migrate(x->pg, NULL, NULL, err));
            WB_TRY(wb_pg_make_days(x->pg, &made, err));
        }
    }
    WB_TRY(wb_pg_check_version(x->pg, err));
    return check_retention(x, err);
}

static wb_status connect_it(postgres_exporter *x, uint32_t timeout_ms, wb_error *err)
{
    wb_pg_target target = {
        .url = x->config->url, .password_file = x->config->password_file, .until_ns = &x->until_ns};
    uint64_t wait_ms = x->config->connect_timeout_ms;
    if (wait_ms == 0 || wait_ms > timeout_ms) wait_ms = timeout_ms;
    return wb_pg_connect(&target, (uint32_t)wait_ms, &x->pg, err);
}

static wb_status ensure_connected(postgres_exporter *x, uint32_t timeout_ms, wb_error *err)
{
    uint64_t start = wb_mono(&wb_system_clock);
    if (x->pg && wb_pg_is_gone(x->pg)) disconnect(x); /* a server that restarted meanwhile */
    if (!x->pg) {
        wb_status status = connect_it(x, timeout_ms, err);
        if (status == WB_OK) {
            wb_pg_set_timeout(x->pg, timeout_ms);
            status = set_up(x, err);
        }
        if (status != WB_OK) return status;
    }
    uint64_t spent_ms = (wb_mono(&wb_system_clock) - start) / WB_NS_PER_MS;
    wb_pg_set_timeout(x->pg, spent_ms < timeout_ms ? timeout_ms - (uint32_t)spent_ms : 1);
    return WB_OK;
}

/* ---- days ----------------------------------------------------------------------------------- */

static wb_status call_make_days(postgres_exporter *x, uint64_t days, wb_error *err)
{
    char list[64 * 11 + 1] = "";
    size_t len = 0;
    wb_pg_params p = {0};
    WB_AUTO(wb_pg_result) result = NULL;
    for (int i = 0; i < 64; i++) {
        struct tm tm;
        time_t at = (time_t)(x->first_day + i) * 86400;
        if (!(days >> i & 1) || !gmtime_r(&at, &tm)) continue;
        if (len > 0) list[len++] = ',';
        len += strftime(list + len, sizeof list - len, "%Y-%m-%d", &tm);
    }
    wb_pg_add_text(&p, wb_slice_of(list, len));
    return wb_pg_query(x->pg, "SELECT waybill.make_days(string_to_array($1, ',')::date[])", &p,
                       &result, err);
}

/* Partitions for the days of these records and those to come. What the server refuses is no failure of
 * the send: it was a lock, and the default partition takes the rows. */
static wb_status ensure_days(postgres_exporter *x, const wb_record_view *records, size_t n,
                             wb_error *err)
{
    const uint64_t ours = (UINT64_C(1) << (DAYS_BEHIND + DAYS_AHEAD + 1)) - 1;
    int64_t today = (int64_t)(wb_now(&wb_system_clock) / WB_NS_PER_S / 86400);
    uint64_t now = wb_mono(&wb_system_clock);
    if (x->first_day != today - DAYS_BEHIND) {
        x->first_day = today - DAYS_BEHIND;
        x->days = 0;
    }
    uint64_t wanted = wb_stage_days(records, n, x->first_day) & ours;
    wanted |= UINT64_C(7) << DAYS_BEHIND; /* today and the next two */
    if ((wanted & ~x->days) == 0 || now < x->days_after_ns) return WB_OK;
    wb_status status = call_make_days(x, wanted & ~x->days, err);
    if (status == WB_OK) x->days |= wanted;
    if (status == WB_OK) return WB_OK;
    x->days_after_ns = now + RETRY_DAYS_MS * WB_NS_PER_MS;
    return wb_pg_is_gone(x->pg) || !wb_pg_rollback(x->pg) ? status : WB_OK;
}

static wb_status prune(postgres_exporter *x, wb_error *err)
{
    int64_t days, rows;
    uint64_t now = wb_mono(&wb_system_clock);
    if (x->config->retention_s == 0 || now < x->prune_after_ns) return WB_OK;
    x->prune_after_ns = now + PRUNE_MS * WB_NS_PER_MS;
    wb_status status = wb_pg_prune(x->pg, x->config->retention_s, &days, &rows, err);
    if (status == WB_OK) return WB_OK;
    return wb_pg_is_gone(x->pg) || !wb_pg_rollback(x->pg) ? status : WB_OK; /* next hour */
}

/* ---- a transaction -------------------------------------------------------------------------- */

static void add_limits(wb_pg_pipeline *pipeline, wb_pg *pg)
{
    char sql[160];
    uint32_t left = wb_pg_time_left_ms(pg);
    static const char *const limits[] = {"statement_timeout", "lock_timeout",
                                         "idle_in_transaction_session_timeout"};
    wb_pg_pipeline_add(pipeline, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", NULL);
    wb_pg_pipeline_add(pipeline, "SET LOCAL synchronous_commit = on", NULL);
    for (size_t i = 0; i < WB_COUNT(limits); i++) {
        uint32_t ms = i == 2 ? left + HANG_MS : left;
        (void)snprintf(sql, sizeof sql, "SET LOCAL %s = %u", limits[i], ms);
        wb_pg_pipeline_add(pipeline, sql, NULL);
    }
}

static void add_who_we_are(wb_pg_pipeline *pipeline, const wb_exporter_origin *origin)
{
    wb_pg_params p = {0};
    wb_pg_add_bytes(&p, wb_slice_of(origin->journal_id.b, sizeof origin->journal_id.b));
    wb_pg_add_text(&p, wb_slice_str(origin->agent_id));
    wb_pg_add_text(&p, wb_slice_str(origin->name));
    wb_pg_add_text(&p, wb_slice_str(origin->version));
    wb_pg_add_text(&p, wb_slice_str(origin->isolation));
    wb_pg_add_number(&p, (int64_t)wb_now(&wb_system_clock));
    wb_pg_pipeline_add(
        pipeline,
        "WITH seen AS (UPDATE waybill.sidecars SET agent_id = $2, name = $3, version = $4,"
        "  isolation = $5, last_seen_ns = greatest(last_seen_ns, $6) WHERE journal_id = $1"
        "  RETURNING sidecar_id),"
        " made AS (INSERT INTO waybill.sidecars (journal_id, agent_id, name, version, isolation,"
        "  first_seen_ns, last_seen_ns) SELECT $1, $2, $3, $4, $5, $6, $6"
        "  WHERE NOT EXISTS (SELECT 1 FROM seen) ON CONFLICT (journal_id)"
        "  DO UPDATE SET last_seen_ns = excluded.last_seen_ns RETURNING sidecar_id)"
        " SELECT sidecar_id FROM seen UNION ALL SELECT sidecar_id FROM made",
        &p);
}

static void add_mark(wb_pg_pipeline *pipeline, const wb_exporter_origin *origin,
                     const wb_stage_mark *mark)
{
    wb_pg_params p = {0};
    wb_pg_add_bytes(&p, wb_slice_of(origin->journal_id.b, sizeof origin->journal_id.b));
    wb_pg_add_number(&p, mark->seq);
    wb_pg_add_number(&p, mark->entry);
    wb_pg_pipeline_add(pipeline,
                       "INSERT INTO waybill.delivered (journal_id, seq, entry)"
                       " VALUES ($1, $2, $3::integer) ON CONFLICT (journal_id)"
                       " DO UPDATE SET seq = excluded.seq, entry = excluded.entry",
                       &p);
}

/* Step 1. */
static wb_status begin(postgres_exporter *x, int64_t *sidecar_id, wb_stage_mark *mark,
                       wb_error *err)
{
    enum { WHO = 5 };
    wb_pg_pipeline pipeline;
    wb_pg_params p = {0};
    WB_AUTO(wb_pg_result) who = NULL;
    WB_AUTO(wb_pg_result) place = NULL;
    WB_TRY(wb_pg_pipeline_begin(&pipeline, x->pg, err));
    add_limits(&pipeline, x->pg);
    add_who_we_are(&pipeline, x->origin);
    WB_TRY(wb_pg_pipeline_end(&pipeline, WHO, &who, err));
    *sidecar_id = wb_pg_number(who, 0, 0);
    wb_pg_add_bytes(&p, wb_slice_of(x->origin->journal_id.b, sizeof x->origin->journal_id.b));
    WB_TRY(wb_pg_query(x->pg, "SELECT seq, entry FROM waybill.delivered WHERE journal_id = $1", &p,
                       &place, err));
    bool known = wb_pg_rows(place) > 0;
    *mark = known ? (wb_stage_mark){wb_pg_number(place, 0, 0), wb_pg_number(place, 0, 1)}
                  : (wb_stage_mark){0, -1};
    return WB_OK;
}

/* Step 3. */
static wb_status finish(postgres_exporter *x, const wb_staged *staged, int64_t sidecar_id,
                        const wb_stage_mark *mark, wb_error *err)
{
    wb_pg_pipeline pipeline;
    WB_TRY(wb_pg_pipeline_begin(&pipeline, x->pg, err));
    wb_stage_merge(&pipeline, staged, sidecar_id);
    add_mark(&pipeline, x->origin, mark);
    wb_pg_pipeline_add(&pipeline, "COMMIT", NULL);
    return wb_pg_pipeline_end(&pipeline, -1, NULL, err);
}

static wb_stage_mark last_of(const wb_record_view *records, size_t n, wb_stage_mark mark)
{
    if (n == 0) return mark;
    wb_stage_mark last = {(int64_t)records[n - 1].seq, records[n - 1].entry};
    return last.seq > mark.seq || (last.seq == mark.seq && last.entry > mark.entry) ? last : mark;
}

static wb_status write_all(postgres_exporter *x, const wb_record_view *records, size_t n,
                           wb_error *err)
{
    int64_t sidecar_id;
    wb_stage_mark mark;
    wb_staged staged;
    WB_TRY(begin(x, &sidecar_id, &mark, err));
    WB_TRY(wb_stage_fill(&x->stage, x->pg, records, n, &mark, &staged, err));
    mark = last_of(records, n, mark);
    WB_TRY(finish(x, &staged, sidecar_id, &mark, err));
    x->mark = mark;
    return WB_OK;
}

/* What this connection knows to be delivered is not asked for again. */
static size_t skip_delivered(const postgres_exporter *x, const wb_record_view *records, size_t n)
{
    size_t at = 0;
    while (at < n && wb_stage_is_delivered(&x->mark, &records[at])) at++;
    return at;
}

/* A transaction that took little of its time may be larger next time. */
static void learn(postgres_exporter *x, size_t n, uint32_t before_ms, wb_status status)
{
    if (status == WB_ERR_TIMEOUT) x->most = n > FEWER ? n / FEWER : 1;
    if (status == WB_OK && x->most && wb_pg_time_left_ms(x->pg) > before_ms / 2) x->most *= 2;
    if (x->most > MOST_RECORDS) x->most = 0;
}

static wb_status write_in_parts(postgres_exporter *x, const wb_record_view *records, size_t n,
                                wb_error *err)
{
    for (size_t done = n ? skip_delivered(x, records, n) : 0;;) {
        uint32_t left_ms = wb_pg_time_left_ms(x->pg);
        size_t part = x->most && x->most < n - done ? x->most : n - done;
        wb_status status = write_all(x, records + done, part, err);
        learn(x, part, left_ms, status);
        if (status != WB_OK) return status;
        done += part;
        done += skip_delivered(x, records + done, n - done);
        if (done == n) return WB_OK;
        if (wb_pg_time_left_ms(x->pg) <= 1)
            return wb_fail(err, WB_ERR_TIMEOUT, "postgres: slower than the send's timeout");
    }
}

static wb_status postgres_send(void *self, const wb_record_view *records, size_t n,
                               uint32_t timeout_ms, wb_export_result *result, wb_error *err)
{
    postgres_exporter *x = self;
    WB_ASSERT(x->magic == MAGIC);
    *result = (wb_export_result){0};
    wb_status status = ensure_connected(x, timeout_ms, err);
    if (status == WB_OK) status = ensure_days(x, records, n, err);
    if (status == WB_OK) status = prune(x, err);
    if (status != WB_OK) { /* whatever it was, the records are not to blame */
        disconnect(x);
        if (err) err->status = WB_ERR_UNAVAILABLE;
        return WB_ERR_UNAVAILABLE;
    }
    status = write_in_parts(x, records, n, err);
    x->used_ns = wb_mono(&wb_system_clock);
    if (status == WB_OK) {
        result->accepted = (uint32_t)n;
        return WB_OK;
    }
    if (status != WB_ERR_REJECTED || !wb_pg_rollback(x->pg)) disconnect(x);
    return status;
}

static void postgres_hurry(void *self, uint64_t until_ns)
{
    postgres_exporter *x = self;
    WB_ASSERT(x->magic == MAGIC);
    atomic_store(&x->until_ns, until_ns);
}

static void postgres_idle(void *self)
{
    postgres_exporter *x = self;
    WB_ASSERT(x->magic == MAGIC);
    uint64_t idle_ms = (wb_mono(&wb_system_clock) - x->used_ns) / WB_NS_PER_MS;
    if (x->pg && x->config->idle_timeout_ms > 0 && idle_ms >= x->config->idle_timeout_ms)
        disconnect(x);
}

static void postgres_close(void *self)
{
    postgres_exporter *x = self;
    if (!x) return;
    WB_ASSERT(x->magic == MAGIC);
    disconnect(x);
    wb_stage_done(&x->stage);
    free(x);
}

static const wb_config_key keys[] = {
    WB_POSTGRES_CONFIG_KEYS("", 0, NULL),
};
static const wb_config_table config_table = {keys, WB_COUNT(keys), sizeof(wb_postgres_config)};

const wb_exporter_ops wb_exporter_postgres = {
    .name = "postgres",
    .takes = WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_LOGS) |
             WB_KIND_BIT(WB_ENTRY_DELEGATION) | WB_KIND_BIT(WB_ENTRY_ACCEPTANCE),
    .config = &config_table,
    .prepare = wb_postgres_prepare,
    .tell_needs = wb_postgres_tell_needs,
    .open = postgres_open,
    .send = postgres_send,
    .hurry = postgres_hurry,
    .idle = postgres_idle,
    .close = postgres_close,
};
