/* SPDX-License-Identifier: Apache-2.0 */
/* A runner says how far its far side is durable; that becomes a cursor entry in the journal like any
 * other change, so a restart delivers from there. Losing the last one only repeats a delivery. */
#include "sidecar/exporters.h"

#include "core/log.h"
#include "sidecar/exporter_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    CURSOR_BYTES = 256,
    DELIVERY_NICE = 10,
};

typedef struct exporter {
    wb_exporters *all;
    char name[WB_EXPORTER_NAME_MAX + 1];
    wb_exporter_config config;
    wb_config_section section; /* the part of `config` that is of its type */
    const wb_exporter_ops *ops;
    uint64_t max_lag_bytes; /* in force */
    wb_less less;           /* of `config` */
    wb_runner *runner;
    pthread_t thread;
    bool is_new; /* to this journal */
    bool started;
} exporter;

struct wb_exporters {
    wb_sidecar *sidecar;
    char parked_dir[WB_PATH_MAX + 8], agent_id[WB_ID_MAX_BYTES + 1];
    wb_exporter_origin origin;
    exporter list[WB_EXPORTERS_MAX];
    size_t n;
    bool gated; /* one of them has a limit of its own */
};

typedef struct cursor_txn {
    wb_txn txn;
    wb_cursor_row row;
    wb_buffer payload;
} cursor_txn;

static wb_status cursor_prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    cursor_txn *cursor = (cursor_txn *)(void *)txn;
    wb_entry entry;
    (void)state;
    wb_status status = wb_cursor_row_entry(&cursor->row, &cursor->payload, &entry);
    if (status != WB_OK) return wb_fail(err, status, "cursor entry");
    wb_txn_add(out, entry.kind, entry.payload);
    return WB_OK;
}

static void cursor_done(wb_txn *txn, wb_status status, const wb_error *err)
{
    cursor_txn *cursor = (cursor_txn *)(void *)txn;
    if (status != WB_OK)
        WB_LOG(WARN, "delivery.cursor_not_saved",
               "after a restart some records are delivered again",
               WB_KV("exporter", (const char *)cursor->row.name),
               WB_KV("error", (const char *)err->detail));
    wb_buffer_done(&cursor->payload);
    free(cursor);
}

static void advance(void *self, const char *name, uint64_t seq)
{
    exporter *x = self;
    wb_runner_stats stats;
    cursor_txn *cursor = calloc(1, sizeof *cursor);
    if (!cursor) return; /* the next one says more anyway */
    /* Cursor and count as of one moment: what is skipped since `seq` was told is behind both or neither. */
    wb_runner_get_stats(x->runner, &stats);
    WB_ASSERT(stats.cursor >= seq);
    /* Should the process end before they are decided, they are gone: rather counted than not. */
    uint64_t dropped = stats.skipped_records + stats.undecided_records;
    cursor->row = (wb_cursor_row){
        .seq = stats.cursor, .dropped_records = dropped, .dropped_ns = stats.skipped_ns};
    (void)snprintf(cursor->row.name, sizeof cursor->row.name, "%s", name);
    wb_buffer_init(&cursor->payload, CURSOR_BYTES);
    cursor->txn.prepare = cursor_prepare;
    cursor->txn.done = cursor_done;
    cursor->txn.work = WB_WORK_HOUSE;
    wb_writer_submit(x->all->sidecar->writer, &cursor->txn);
}

/* ---- what it may not have ---- */

/* Its configuration in that world; one that is no longer in the file keeps what it had at the start. */
static const wb_exporter_config *config_in(const exporter *x, const wb_world *world)
{
    const wb_sidecar_config *config = &world->config;
    if (x->config.is_store) return &config->store;
    for (size_t i = 0; i < config->n_exporters_now; i++)
        if (wb_slice_eq(config->exporters_now[i].name, wb_slice_str(x->name)))
            return &config->exporters_now[i];
    return &x->config;
}

static uint64_t rules(const void *self)
{
    const exporter *x = self;
    const wb_world *world = wb_world_take(x->all->sidecar->worlds);
    uint64_t number = config_in(x, world)->less_number;
    wb_world_drop(world);
    return number;
}

static wb_status take_out(const void *self, wb_signal signal, wb_slice request, wb_buffer *room,
                          wb_slice *out, wb_error *err)
{
    const exporter *x = self;
    wb_redacted not_counted = {0};
    const wb_world *world = wb_world_take(x->all->sidecar->worlds);
    wb_status status = wb_redact(x->all->sidecar->redactor, &config_in(x, world)->redact, signal,
                                 request, room, out, &not_counted, err);
    wb_world_drop(world);
    return status;
}

/* ---- its thread ---- */

static void *run(void *arg)
{
    /* Delivery may wait, the agent may not: where cores are scarce, requests go first. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), DELIVERY_NICE);
    wb_runner_run(((exporter *)arg)->runner);
    return NULL;
}

/* ---- what is configured ---- */

static void add(wb_exporters *e, const wb_exporter_config *config)
{
    uint64_t limit = e->sidecar->config->journal_limit_bytes;
    exporter *x = &e->list[e->n++];
    x->all = e;
    (void)snprintf(x->name, sizeof x->name, "%.*s", WB_SLICE_ARG(config->name));
    x->config = *config;
    x->ops = wb_exporter_kind_of(config->type)->ops;
    x->section = wb_exporter_section(&x->config, x->name);
    x->less = (wb_less){rules, take_out, x};
    if (config->when_full == WB_WHEN_FULL_DROP_OLDEST) limit /= 2;
    x->max_lag_bytes = config->max_lag_bytes;
    if (x->max_lag_bytes == 0 || x->max_lag_bytes > limit) x->max_lag_bytes = limit;
}

static void describe(wb_exporters *e, const wb_paths *paths)
{
    const wb_sidecar_config *config = e->sidecar->config;
    (void)snprintf(e->parked_dir, sizeof e->parked_dir, "%s/parked", paths->state_dir);
    (void)snprintf(e->agent_id, sizeof e->agent_id, "%.*s", WB_SLICE_ARG(config->self_ids[0]));
    e->origin = (wb_exporter_origin){.journal_id = wb_journal_id(e->sidecar->journal),
                                     .agent_id = e->agent_id,
                                     .name = config->name,
                                     .version = WAYBILL_VERSION,
                                     .isolation = e->sidecar->isolation,
                                     .mark = e->sidecar->mark};
    wb_exporter_config store = config->store;
    if (!store.sqlite.path) store.sqlite.path = paths->store;
    if (config->store_type != WB_STORE_NONE) add(e, &store);
    for (size_t i = 0; i < config->n_exporters; i++) add(e, &config->exporters[i]);
}

/* What the journal knows of earlier runs; false: nothing. Nobody has changed it yet. */
static bool find_before(const exporter *x, wb_cursor_row *out)
{
    wb_sidecar *sidecar = x->all->sidecar;
    wb_cursor_row rows[WB_JOURNAL_CURSORS];
    wb_state_lock(&sidecar->state);
    size_t n = wb_journal_cursors(sidecar->journal, rows);
    wb_state_unlock(&sidecar->state);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].name, x->name) != 0) continue;
        *out = rows[i];
        return true;
    }
    return false;
}

/* Its place was kept while it was not configured, which holds nothing back. How many records were in those
 * frames nobody knows any more. Returns where it goes on. */
static uint64_t say_gap(const exporter *x, uint64_t cursor)
{
    wb_journal_stats journal;
    wb_journal_get_stats(x->all->sidecar->journal, &journal);
    if (cursor + 1 >= journal.first_seq) return cursor;
    WB_LOG(WARN, "delivery.gap", "an exporter is back, and the journal has let go what it missed",
           WB_KV("exporter", (const char *)x->name),
           WB_KV("frames", journal.first_seq - 1 - cursor));
    return journal.first_seq - 1;
}

static wb_status open_runner(exporter *x, wb_error *err)
{
    wb_exporters *e = x->all;
    wb_runner_options options = {.name = x->name,
                                 .ops = x->ops,
                                 .config = &x->section,
                                 .origin = &e->origin,
                                 .delivery = &x->config.delivery,
                                 .less = &x->less,
                                 .journal = e->sidecar->journal,
                                 .parked_dir = e->parked_dir,
                                 .clock = e->sidecar->clock,
                                 .timeout_ms = wb_exporter_send_ms(&x->config),
                                 .backoff_max_ms =
                                     wb_exporter_kind_of(x->config.type)->backoff_max_ms,
                                 .advance = advance,
                                 .ctx = x};
    wb_cursor_row before = {.seq = 0};
    x->is_new = !find_before(x, &before);
    WB_TRY(wb_journal_register_cursor(e->sidecar->journal, x->name, &options.cursor, err));
    if (!x->is_new) options.cursor = say_gap(x, options.cursor);
    options.skipped_records = before.dropped_records;
    options.skipped_ns = before.dropped_ns;
    wb_status status = wb_runner_new(&options, &x->runner, err);
    if (status == WB_ERR_CONFIG) wb_exporter_name_error(&x->config, err);
    return status;
}

static wb_status start_all(wb_exporters *e, wb_error *err)
{
    for (size_t i = 0; i < e->n; i++) WB_TRY(open_runner(&e->list[i], err));
    /* All are registered: from here on the writer may work. The place of a new one is kept from its start on,
     * though it may never deliver anything. */
    for (size_t i = 0; i < e->n; i++)
        if (e->list[i].is_new) advance(&e->list[i], e->list[i].name, 0);
    for (size_t i = 0; i < e->n; i++) {
        exporter *x = &e->list[i];
        int rv = pthread_create(&x->thread, NULL, run, x);
        if (rv != 0) return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "delivery thread");
        x->started = true;
    }
    return WB_OK;
}

bool wb_exporters_take(const wb_exporters *e, wb_entry_kind kind)
{
    for (size_t i = 0; i < e->n; i++)
        if (wb_runner_takes(e->list[i].runner) & WB_KIND_BIT(kind)) return true;
    return false;
}

/* ---- too far behind ---- */

static void say_not_counted(const exporter *x, const wb_error *why)
{
    static wb_log_gate gate;
    uint64_t held_back;
    if (!wb_log_gate_pass(&gate, wb_mono(x->all->sidecar->clock), &held_back)) return;
    WB_LOG(WARN, "delivery.not_counted",
           "an exporter is too far behind, but the journal cannot be read to skip ahead",
           WB_KV("exporter", (const char *)x->name), WB_KV("error", (const char *)why->detail),
           WB_KV("held_back", held_back));
}

static void say_skipped(const exporter *x, uint64_t n, uint64_t seq)
{
    static wb_log_gate gate;
    uint64_t held_back;
    wb_runner_stats stats;
    if (!wb_log_gate_pass(&gate, wb_mono(x->all->sidecar->clock), &held_back)) return;
    wb_runner_get_stats(x->runner, &stats);
    WB_LOG(WARN, "delivery.dropped_oldest", "an exporter is too far behind: it skips ahead",
           WB_KV("exporter", (const char *)x->name), WB_KV("records", n),
           WB_KV("undecided", stats.undecided_records), WB_KV("upto_seq", seq),
           WB_KV("held_back", held_back));
}

/* Nothing is given up that could not be counted: the next tick tries again. */
static bool skip_to(exporter *x, uint64_t seq)
{
    uint64_t n;
    wb_error err;
    uint64_t from = wb_runner_skip_begin(x->runner);
    wb_status status = wb_journal_count_records(x->all->sidecar->journal, from, seq,
                                                wb_runner_takes(x->runner), &n, &err);
    wb_runner_skip_end(x->runner, status == WB_OK ? seq : 0, status == WB_OK ? n : 0);
    if (status != WB_OK) {
        say_not_counted(x, &err);
        return false;
    }
    advance(x, x->name, seq);
    say_skipped(x, n, seq);
    return true;
}

/* How far behind it may be now. The file of a trimmed segment is the next one's: while that is wanted, what will
 * be too much when the current segment is full is so now. */
static uint64_t may_lag(const wb_exporters *e, const wb_exporter_report *report, bool full,
                        bool spare_wanted)
{
    uint64_t may = report->max_lag_bytes;
    uint64_t half = e->sidecar->config->journal_segment_bytes / 2;
    if (full && may > report->lag_bytes / 2) may = report->lag_bytes / 2;
    if (spare_wanted && half < may / 4) may -= half;
    return may;
}

bool wb_exporters_tick(wb_exporters *e, bool spare_wanted)
{
    wb_journal_stats journal;
    wb_exporter_report report;
    bool skipped = false;
    if (!e) return false;
    wb_journal_get_stats(e->sidecar->journal, &journal);
    for (size_t i = 0; i < e->n; i++) {
        if (e->list[i].config.when_full != WB_WHEN_FULL_DROP_OLDEST) continue;
        if (!wb_exporters_report(e, i, &report) || report.lag_bytes == 0) continue;
        uint64_t may = may_lag(e, &report, journal.full, spare_wanted);
        if (report.lag_bytes <= may) continue;
        uint64_t seq = wb_journal_give_up_to(e->sidecar->journal, may);
        if (seq > report.runner.cursor) skipped |= skip_to(&e->list[i], seq);
    }
    return skipped;
}

static bool holds_back(const exporter *x)
{
    const wb_exporters *e = x->all;
    return x->config.when_full == WB_WHEN_FULL_BACKPRESSURE &&
           x->max_lag_bytes < e->sidecar->config->journal_limit_bytes;
}

/* The writer's gate: new work waits for an exporter that is further behind than it may be. */
static bool is_shut(void *ctx, wb_error *err)
{
    wb_exporters *e = ctx;
    wb_exporter_report report;
    for (size_t i = 0; e->gated && i < e->n; i++) {
        if (!holds_back(&e->list[i]) || !wb_exporters_report(e, i, &report)) continue;
        if (report.lag_bytes <= report.max_lag_bytes) continue;
        wb_status status = wb_fail(
            err, WB_ERR_FULL, "exporter %s is further behind than its max_lag_bytes", report.name);
        return status != WB_OK;
    }
    return false;
}

wb_status wb_exporters_start(wb_sidecar *sidecar, const wb_paths *paths, wb_error *err)
{
    wb_exporters *e = calloc(1, sizeof *e);
    if (!e) return wb_fail(err, WB_ERR_NO_MEMORY, "exporters");
    e->sidecar = sidecar;
    describe(e, paths);
    sidecar->exporters = e; /* stopping takes it down, started or not */
    for (size_t i = 0; i < e->n; i++) e->gated |= holds_back(&e->list[i]);
    for (size_t i = 0; i < e->n; i++) sidecar->markers |= e->list[i].config.delivery.markers;
    WB_TRY(start_all(e, err));
    wb_writer_set_gate(sidecar->writer, is_shut, e);
    return WB_OK;
}

void wb_exporters_drain(wb_exporters *e, uint32_t timeout_ms)
{
    if (!e) return;
    for (size_t i = 0; i < e->n; i++)
        if (e->list[i].started) wb_runner_drain(e->list[i].runner, timeout_ms);
    for (size_t i = 0; i < e->n; i++) {
        if (e->list[i].started) pthread_join(e->list[i].thread, NULL);
        e->list[i].started = false;
    }
}

void wb_exporters_free(wb_exporters *e)
{
    if (!e) return;
    for (size_t i = 0; i < e->n; i++) wb_runner_free(e->list[i].runner);
    free(e);
}

bool wb_exporters_report(wb_exporters *e, size_t at, wb_exporter_report *out)
{
    if (at >= e->n) return false;
    const exporter *x = &e->list[at];
    *out = (wb_exporter_report){.name = x->name,
                                .type = x->ops->name,
                                .when_full = x->config.when_full,
                                .max_lag_bytes = x->max_lag_bytes};
    wb_runner_get_stats(x->runner, &out->runner);
    out->lag_bytes = wb_journal_bytes_after(e->sidecar->journal, out->runner.cursor);
    return true;
}
