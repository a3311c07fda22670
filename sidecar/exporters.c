/* SPDX-License-Identifier: Apache-2.0 */
/* A runner says how far its far side is durable; that becomes a cursor entry in the journal like any
 * other change, so a restart delivers from there. Losing the last one only repeats a delivery. */
#include "sidecar/exporters.h"

#include "core/log.h"
#include "exporters/sqlite/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CURSOR_BYTES = 256, DELIVERY_NICE = 10 };

struct wb_exporters {
    wb_sidecar *sidecar;
    pthread_t thread;
    bool started;
    char store[WB_PATH_MAX], parked_dir[WB_PATH_MAX + 8], agent_id[WB_ID_MAX_BYTES + 1];
    wb_sqlite_config sqlite;
    wb_config_section section;
    wb_exporter_origin origin;
};

typedef struct cursor_txn {
    wb_txn txn;
    const char *exporter;
    uint64_t seq;
    wb_buffer payload;
} cursor_txn;

static wb_status cursor_prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    cursor_txn *cursor = (cursor_txn *)(void *)txn;
    wb_entry entry;
    (void)state;
    wb_status status = wb_cursor_entry(cursor->exporter, cursor->seq, &cursor->payload, &entry);
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
               WB_KV("exporter", cursor->exporter), WB_KV("error", (const char *)err->detail));
    wb_buffer_done(&cursor->payload);
    free(cursor);
}

static void advance(void *self, const char *exporter, uint64_t seq)
{
    wb_exporters *e = self;
    cursor_txn *cursor = calloc(1, sizeof *cursor);
    if (!cursor) return;         /* the next one says more anyway */
    cursor->exporter = exporter; /* a literal of this file */
    cursor->seq = seq;
    wb_buffer_init(&cursor->payload, CURSOR_BYTES);
    cursor->txn.prepare = cursor_prepare;
    cursor->txn.done = cursor_done;
    wb_writer_submit(e->sidecar->writer, &cursor->txn);
}

static void *run(void *arg)
{
    /* Delivery may wait, the agent may not: where cores are scarce, requests go first. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), DELIVERY_NICE);
    wb_runner_run(((wb_exporters *)arg)->sidecar->runner);
    return NULL;
}

static void describe(wb_exporters *e, const wb_paths *paths)
{
    const wb_sidecar_config *config = e->sidecar->config;
    const char *store = config->store_sqlite_path ? config->store_sqlite_path : paths->store;
    (void)snprintf(e->store, sizeof e->store, "%s", store);
    (void)snprintf(e->parked_dir, sizeof e->parked_dir, "%s/parked", paths->state_dir);
    (void)snprintf(e->agent_id, sizeof e->agent_id, "%.*s", WB_SLICE_ARG(config->self_ids[0]));
    e->sqlite.path = e->store;
    e->section = (wb_config_section){.name = "sqlite", .values = &e->sqlite};
    e->origin = (wb_exporter_origin){.journal_id = wb_journal_id(e->sidecar->journal),
                                     .agent_id = e->agent_id,
                                     .name = config->name,
                                     .version = WAYBILL_VERSION,
                                     .isolation = "none"};
}

static wb_status open_runner(wb_exporters *e, wb_error *err)
{
    wb_runner_options options = {.name = "sqlite",
                                 .ops = &wb_exporter_sqlite,
                                 .config = &e->section,
                                 .origin = &e->origin,
                                 .journal = e->sidecar->journal,
                                 .parked_dir = e->parked_dir,
                                 .clock = e->sidecar->clock,
                                 .advance = advance,
                                 .ctx = e};
    WB_TRY(wb_journal_register_cursor(e->sidecar->journal, options.name, &options.cursor, err));
    return wb_runner_new(&options, &e->sidecar->runner, err);
}

wb_status wb_exporters_start(wb_sidecar *sidecar, const wb_paths *paths, wb_exporters **out,
                             wb_error *err)
{
    wb_exporters *e = calloc(1, sizeof *e);
    if (!e) return wb_fail(err, WB_ERR_NO_MEMORY, "exporters");
    e->sidecar = sidecar;
    describe(e, paths);
    wb_status status = open_runner(e, err);
    if (status == WB_OK) {
        int rv = pthread_create(&e->thread, NULL, run, e);
        if (rv != 0) status = wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "delivery thread");
        e->started = rv == 0;
    }
    if (status != WB_OK) {
        wb_exporters_free(e);
        return status;
    }
    *out = e;
    return WB_OK;
}

void wb_exporters_drain(wb_exporters *e, uint32_t timeout_ms)
{
    if (!e || !e->started) return;
    wb_runner_drain(e->sidecar->runner, timeout_ms);
    pthread_join(e->thread, NULL);
    e->started = false;
}

void wb_exporters_free(wb_exporters *e)
{
    if (!e) return;
    wb_runner_free(e->sidecar->runner);
    e->sidecar->runner = NULL;
    free(e);
}
