/* SPDX-License-Identifier: Apache-2.0 */
/* waybilld: one sidecar. Starts its parts from the inside out (state, journal, writer, exporters,
 * workers, and the socket last, so that whoever can connect is served), ticks once a second, and takes
 * them down from the outside in. SIGTERM and SIGINT drain; a second one ends at once, which is safe:
 * all that was acknowledged is synced. Exit codes: sidecar/command_line.c. */
#include "sidecar/admin.h"
#include "sidecar/command_line.h"
#include "sidecar/confine.h"
#include "sidecar/exporter_kinds.h"
#include "sidecar/exporters.h"
#include "sidecar/isolation.h"
#include "sidecar/journal_mark.h"
#include "sidecar/marking.h"
#include "sidecar/metric_report.h"
#include "sidecar/metrics.h"
#include "sidecar/notify.h"
#include "sidecar/otlp.h"
#include "sidecar/pipeline/enrich.h"
#include "sidecar/ports.h"
#include "sidecar/reload.h"
#include "sidecar/start_watch.h"
#include "sidecar/status_report.h"
#include "sidecar/sweep.h"
#include "sidecar/workers.h"

#include "core/paths.h"
#include "core/store_url.h"
#include "propagation/ed25519.h"
#include "proto/waybill/v1/journal.pb-c.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    IPC_CONTEXTS = 128, /* requests in hand at once */
    IPC_CONNECTIONS = 1024,
    IPC_STALL_MS = 5000,
    START_LIMIT_S = 15,               /* behind the journal, which takes what its size takes */
    IN_HAND_BYTES = 12 * 1024 * 1024, /* DESIGN section 4 */
    CONFIG_ARENA_BYTES = 8 * 1024 * 1024,
    STOP_SLACK_MS = 15000, /* of a stop, beyond the time for draining */
    TICK_MS = 1000,
    LARGE_BLOCK_BYTES = 1024 * 1024,
    TRIM_MS = 30,        /* from a cursor's move to the segment that it sets free, mostly */
    RATE_BUCKETS = 8192, /* 128 KiB */
};

typedef struct gap_txn {
    wb_txn txn;
    uint8_t payload[32];
    size_t len;
} gap_txn;

typedef struct daemon_parts {
    wb_sidecar sidecar;
    wb_sidecar_config config;
    wb_paths paths;
    wb_arena *config_arena;
    const char *config_path; /* NULL: none */
    wb_reload_watch watch;
    wb_workers *workers;
    wb_sweep *sweep;
    wb_marking *marking;
    wb_metric_report *metric_report;
    wb_admin *admin;
    wb_notify notify;
    gap_txn gap;
    pthread_t spare_thread, ipc_thread;
    bool journal_lost, state_made, spare_started, ipc_started;
} daemon_parts;

static int exit_code(wb_status status)
{
    return status == WB_ERR_CONFIG ? WB_DAEMON_CONFIG : WB_DAEMON_FAILED;
}

static int say_error(wb_status status, const wb_error *err)
{
    WB_LOG(ERROR, "start.failed", "waybilld does not start",
           WB_KV("status", wb_status_name(status)), WB_KV("error", (const char *)err->detail));
    return exit_code(status);
}

static int print_buffer(wb_status status, wb_buffer *text)
{
    if (status == WB_OK) (void)fwrite(text->ptr, 1, text->len, stdout);
    wb_buffer_done(text);
    return status == WB_OK && fflush(stdout) == 0 ? 0 : WB_DAEMON_FAILED;
}

static wb_status load_config(daemon_parts *d, const wb_command_line *o, wb_error *err)
{
    wb_paths_choice choice = {.name = o->name};
    d->config_arena = wb_arena_new(CONFIG_ARENA_BYTES);
    if (!d->config_arena) return wb_fail(err, WB_ERR_NO_MEMORY, "configuration");
    d->config_path = o->config_path;
    WB_TRY(wb_paths_resolve(&choice, &d->paths, err));
    wb_status status = wb_sidecar_config_load(o->config_path, d->paths.name, environ,
                                              d->config_arena, &d->config, err);
    if (status == WB_ERR_NOT_FOUND)
        return wb_fail(err, WB_ERR_CONFIG, "no such file: %s", o->config_path);
    if (status != WB_OK) return status;
    if (d->config.store_type == WB_STORE_SQLITE && !d->config.store.sqlite.path &&
        wb_is_postgres_url(d->paths.store))
        return wb_fail(err, WB_ERR_CONFIG,
                       "WAYBILL_STORE names a Postgres: that is for reading; set store.type: "
                       "postgres and store.postgres.url");
    if (d->config.store_type == WB_STORE_SQLITE && wb_is_url(d->paths.store))
        return wb_fail(err, WB_ERR_CONFIG, "WAYBILL_STORE is a URL: a store is a file here");
    if (!d->config.state_dir) return WB_OK;
    choice.state_dir = d->config.state_dir;
    return wb_paths_resolve(&choice, &d->paths, err);
}

static wb_status open_places(daemon_parts *d, wb_error *err)
{
    wb_sidecar *sidecar = &d->sidecar;
    char at[WB_PATH_MAX];
    WB_TRY(wb_access_init(geteuid(), wb_overflow_uid(), d->config.allow_uids,
                          d->config.n_ipc_allow_uids, &sidecar->access, err));
    WB_TRY(wb_group_find(d->config.ipc_group, &sidecar->group, err));
    WB_TRY(wb_place_run_dir(d->paths.run_dir, sidecar->group, err));
    if (sidecar->group != WB_NO_GROUP && wb_place_blocked_at(d->paths.run_dir, sidecar->group, at))
        WB_LOG(WARN, "ipc.out_of_reach", "users of ipc.group may not get to the socket",
               WB_KV("closed_at", (const char *)at), WB_KV("gid", (uint64_t)sidecar->group));
    return wb_place_private(d->paths.state_dir, err);
}

static void look_at_isolation(wb_sidecar *sidecar)
{
    wb_isolation isolation;
    wb_isolation_look(&sidecar->access, sidecar->paths, sidecar->config_path, &isolation);
    sidecar->isolation = isolation.mode;
    WB_LOG(INFO, "isolation", "can the agent reach this sidecar's keys and state?",
           WB_KV("isolation", isolation.mode), WB_KV("because", (const char *)isolation.why));
}

/* Said of what arrives. A broken variable is left out as a whole (OpenTelemetry's resource/sdk.md asks for that, and
 * for saying so). */
static wb_status make_agent_attrs(daemon_parts *d, wb_error *err)
{
    const wb_span_agent agent = wb_sidecar_agent(&d->sidecar);
    if (d->config.otel_fault)
        WB_LOG(WARN, "enrich.variable_ignored", "OTEL_RESOURCE_ATTRIBUTES is not taken",
               WB_KV("because", d->config.otel_fault));
    if (wb_enrich_agent(agent.id, agent.name, agent.isolation, d->config_arena,
                        &d->sidecar.agent_attrs) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration");
    return WB_OK;
}

static wb_status open_identity(daemon_parts *d, wb_error *err)
{
    bool made = false;
    WB_TRY(wb_self_test(err));
    WB_AUTO(wb_key_ring) ring = NULL;
    WB_TRY(open_places(d, err));
    WB_TRY(wb_key_ring_open_or_new(d->paths.keys_dir, &ring, &made, err));
    if (made)
        WB_LOG(INFO, "key.made", "this agent had no key and has one now",
               WB_KV("key_id", wb_key_ring_kid(ring)));
    WB_TRY(wb_rehome_open(d->paths.state_dir, &d->sidecar.rehome, err));
    const wb_world_source source = {.keys_dir = d->paths.keys_dir,
                                    .trust_dir = d->paths.trust_dir,
                                    .config_path = d->config_path,
                                    .env = environ,
                                    .config = &d->config,
                                    .clock = d->sidecar.clock,
                                    .besides = {"otlp", wb_otlp_reload, &d->sidecar}};
    WB_TRY(wb_reload_open(&source, &d->sidecar.worlds, err));
    wb_peer_secret_make(&d->sidecar.peer_secret);
    WB_TRY(wb_rate_new(RATE_BUCKETS, &d->sidecar.rate, err));
    return wb_refusals_open(d->paths.state_dir, d->sidecar.clock, &d->sidecar.refusals, err);
}

static wb_status open_journal(daemon_parts *d, wb_error *err)
{
    wb_sidecar *sidecar = &d->sidecar;
    wb_journal_report report;
    const wb_journal_options journal = {.dir = d->paths.journal_dir,
                                        .segment_bytes = d->config.journal_segment_bytes,
                                        .limit_bytes = d->config.journal_limit_bytes,
                                        .clock = sidecar->clock,
                                        .tables = sidecar->state.tables,
                                        .n_tables = WB_STATE_TABLES};
    WB_TRY(wb_state_init(&sidecar->state, err));
    d->state_made = true;
    WB_TRY(wb_journal_open(&journal, &sidecar->journal, &report, err));
    wb_look_init(&sidecar->look, &sidecar->state, sidecar->journal, sidecar->clock);
    WB_LOG(INFO, "journal.open", "the journal is ready", WB_KV("frames", report.frames),
           WB_KV("replayed", report.replayed), WB_KV("torn_bytes", report.torn_bytes),
           WB_KV("took_ms", report.took_ms));
    if (report.lost_frames > 0 || report.lost_segments > 0)
        WB_LOG(ERROR, "journal.loss", "frames that were safe once are gone or damaged",
               WB_KV("lost_frames", report.lost_frames),
               WB_KV("lost_segments", report.lost_segments),
               WB_KV("failed_closed", report.gap ? "yes" : "no"));
    return WB_OK;
}

static wb_status gap_prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    gap_txn *gap = (gap_txn *)(void *)txn;
    (void)state;
    (void)err;
    wb_txn_add(out, WB_ENTRY_GAP, wb_slice_of(gap->payload, gap->len));
    return WB_OK;
}

static void gap_done(wb_txn *txn, wb_status status, const wb_error *err)
{
    (void)txn;
    if (status != WB_OK)
        WB_LOG(ERROR, "journal.gap_not_recorded", "tokens of before may be accepted again",
               WB_KV("error", (const char *)err->detail));
}

static wb_status mark_journal(daemon_parts *d, wb_error *err)
{
    wb_id id = wb_journal_id(d->sidecar.journal);
    return wb_journal_remember(d->paths.state_dir, &id, &d->journal_lost, err);
}

/* A journal that was taken away took the replay rows along: fail closed, as after a gap in it (TOKENS
 * section 11). Queued before the first request can be. */
static void close_gap(daemon_parts *d)
{
    if (!d->journal_lost) return;
    WB_LOG(ERROR, "journal.replaced",
           "this instance had another journal: tokens issued before now "
           "are refused, open delegations of before are unknown");
    Waybill__V1__GapRow row = WAYBILL__V1__GAP_ROW__INIT;
    row.recovered_s = wb_now(d->sidecar.clock) / WB_NS_PER_S;
    d->gap.len = waybill__v1__gap_row__pack(&row, d->gap.payload);
    d->gap.txn.prepare = gap_prepare;
    d->gap.txn.done = gap_done;
    d->gap.txn.work = WB_WORK_HOUSE;
    wb_writer_submit(d->sidecar.writer, &d->gap.txn);
}

static void *keep_spare(void *arg)
{
    daemon_parts *d = arg;
    wb_error err;
    while (!atomic_load(&d->sidecar.draining)) {
        bool wanted = wb_journal_wait_spare_wanted(d->sidecar.journal, TICK_MS);
        wb_journal_upkeep(d->sidecar.journal);
        if (wb_exporters_tick(d->sidecar.exporters, wanted) && wanted)
            wanted = !wb_journal_wait_spare_left(d->sidecar.journal, TRIM_MS);
        if (wanted && wb_journal_prepare_spare(d->sidecar.journal, &err) != WB_OK)
            WB_LOG(WARN, "journal.no_spare", "the next segment will be made when it is needed",
                   WB_KV("error", (const char *)err.detail));
    }
    return NULL;
}

static wb_status start_spare(daemon_parts *d, wb_error *err)
{
    int rv = pthread_create(&d->spare_thread, NULL, keep_spare, d);
    if (rv != 0) return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "spare segment thread");
    d->spare_started = true;
    return WB_OK;
}

static void on_closed_out(void *self, const char *why, uint64_t uid)
{
    daemon_parts *d = self;
    wb_count(&d->sidecar.counters.clients_closed_out);
    static wb_log_gate gate;
    uint64_t held_back = 0;
    char advice[160] = "";
    if (!wb_log_gate_pass(&gate, wb_mono(d->sidecar.clock), &held_back)) return;
    if (wb_access_roles(&d->sidecar.access, uid) == 0)
        wb_access_advice(&d->sidecar.access, uid, advice);
    WB_LOG(WARN, "ipc.closed_out", "a client was closed", WB_KV("why", why), WB_KV("peer_uid", uid),
           WB_KV("own_uid", (uint64_t)d->sidecar.access.own), WB_KV("todo", (const char *)advice),
           WB_KV("held_back", held_back));
}

static const char *refuse_peer(void *self, uint64_t uid)
{
    return wb_access_refusal(&((daemon_parts *)self)->sidecar.access, uid);
}

static void on_call(void *self, wb_ipc_call *call)
{
    wb_workers_take(((daemon_parts *)self)->workers, call);
}

static void *run_ipc(void *arg)
{
    wb_ipc_run(((daemon_parts *)arg)->sidecar.ipc);
    return NULL;
}

static wb_status open_ipc(daemon_parts *d, wb_error *err)
{
    size_t largest = d->config.ipc_max_message_bytes;
    const wb_ipc_options ipc = {.socket_path = d->paths.socket,
                                .group = d->sidecar.group,
                                .max_message_bytes = largest,
                                .max_in_hand_bytes =
                                    largest > IN_HAND_BYTES ? largest : IN_HAND_BYTES,
                                .contexts = IPC_CONTEXTS,
                                .connections = IPC_CONNECTIONS,
                                .stall_ms = IPC_STALL_MS,
                                .refuse_peer = refuse_peer,
                                .on_call = on_call,
                                .on_closed_out = on_closed_out,
                                .self = d};
    WB_TRY(wb_ipc_open(&ipc, &d->sidecar.ipc, err));
    int rv = pthread_create(&d->ipc_thread, NULL, run_ipc, d);
    if (rv != 0) return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "ipc thread");
    d->ipc_started = true;
    return WB_OK;
}

static void close_ipc(daemon_parts *d)
{
    if (!d->sidecar.ipc) return;
    wb_ipc_close(d->sidecar.ipc);
    if (d->ipc_started) pthread_join(d->ipc_thread, NULL);
    wb_ipc_free(d->sidecar.ipc);
}

/* What must be read or made while nothing is locked and one thread runs. */
static wb_status open_state(daemon_parts *d, wb_error *err)
{
    WB_TRY(open_identity(d, err));
    WB_TRY(open_journal(d, err));
    WB_TRY(mark_journal(d, err));
    look_at_isolation(&d->sidecar);
    WB_TRY(make_agent_attrs(d, err));
    WB_TRY(wb_otlp_prepare(&d->sidecar, err));
    WB_TRY(wb_exporters_prepare(&d->config, err));
    return wb_confine_files(&d->sidecar, err);
}

static wb_status start_threads(daemon_parts *d, uint16_t *admin_port, wb_error *err)
{
    wb_sidecar *sidecar = &d->sidecar;
    WB_TRY(wb_refusals_start(sidecar->refusals, err));
    WB_TRY(wb_pipeline_new(&sidecar->pipeline, err));
    WB_TRY(wb_redactor_new(sidecar->rehome, &sidecar->redactor, err));
    WB_TRY(wb_series_table_new(d->config.metrics_max_series, WB_METRICS_SERIES_BYTES,
                               &sidecar->series, err));
    WB_TRY(wb_writer_start(sidecar->journal, d->paths.journal_dir, &sidecar->state,
                           &sidecar->writer, err));
    /* Before the writer has work: it may trim then. */
    WB_TRY(wb_exporters_start(sidecar, &d->paths, err));
    close_gap(d);
    WB_TRY(wb_sweep_new(sidecar, &d->sweep, err));
    WB_TRY(wb_marking_new(sidecar, &d->marking, err));
    WB_TRY(wb_metric_report_new(sidecar, &d->metric_report, err));
    WB_TRY(wb_workers_start(sidecar, d->config.workers, IPC_CONTEXTS, &d->workers, err));
    WB_TRY(wb_otlp_open(sidecar, err));
    WB_TRY(wb_admin_open(sidecar, &d->admin, admin_port, err));
    WB_TRY(open_ipc(d, err));
    WB_TRY(start_spare(d, err));
    return wb_confine_calls(sidecar, err);
}

static void say_ready(const daemon_parts *d, uint16_t admin_port)
{
    const wb_sidecar *sidecar = &d->sidecar;
    const wb_world *world = wb_world_take(sidecar->worlds);
    WB_LOG(INFO, "ready", "waybilld takes requests", WB_KV("name", d->config.name),
           WB_KV("agent_id", d->config.self_ids[0]), WB_KV("key_id", wb_key_ring_kid(world->ring)),
           WB_KV("socket", (const char *)d->paths.socket),
           WB_KV("admin_port", (uint64_t)admin_port),
           WB_KV("start_ms", (wb_now(sidecar->clock) - sidecar->started_ns) / WB_NS_PER_MS));
    wb_world_drop(world);
}

static void make_mark(char out[WB_ID_HEX + 1])
{
    const wb_id id = wb_id_new();
    wb_hex(id.b, sizeof id.b, out);
}

static wb_status start(daemon_parts *d, wb_error *err)
{
    wb_sidecar *sidecar = &d->sidecar;
    uint16_t admin_port = 0;
    sidecar->config = &d->config;
    sidecar->paths = &d->paths;
    sidecar->config_path = d->config_path;
    sidecar->clock = &wb_system_clock;
    sidecar->started_ns = wb_now(sidecar->clock);
    make_mark(sidecar->mark);
    WB_TRY(open_state(d, err));
    wb_start_watch watch;
    WB_TRY(wb_start_watch_begin(&watch, START_LIMIT_S, err));
    wb_status status = start_threads(d, &admin_port, err);
    wb_start_watch_end(&watch);
    if (status != WB_OK) return status;
    WB_TRY(wb_status_file_write(sidecar, &d->paths, admin_port, err));
    say_ready(d, admin_port);
    wb_notify_ready(&d->notify);
    return WB_OK;
}

/* The run directory may be cleared under us. The socket works on for those who have it; a new one cannot
 * be made in a directory that this process may not make, so it is said instead. */
static void watch_socket(daemon_parts *d)
{
    struct stat st;
    bool gone = lstat(d->paths.socket, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
    bool was = atomic_exchange(&d->sidecar.unreachable, gone);
    if (gone && !was)
        WB_LOG(ERROR, "ipc.socket_removed",
               "somebody removed the socket: new clients cannot connect until a restart",
               WB_KV("socket", (const char *)d->paths.socket));
}

/* What was wrong is in the log; either way the sidecar goes on. */
static void reload(daemon_parts *d)
{
    wb_notify_reloading(&d->notify, d->sidecar.clock);
    (void)wb_reload(&d->sidecar, "SIGHUP", NULL);
    wb_notify_ready(&d->notify);
}

static void tick(daemon_parts *d)
{
    wb_journal_stats journal;
    wb_reload_tick(&d->sidecar, &d->watch);
    wb_refusals_tick(d->sidecar.refusals);
    wb_sweep_tick(d->sweep);
    wb_otlp_tick(&d->sidecar);
    wb_metric_report_tick(d->metric_report);
    watch_socket(d);
    wb_confine_tick(&d->sidecar);
    wb_journal_get_stats(d->sidecar.journal, &journal);
    if (journal.failed || journal.full) wb_writer_nudge(d->sidecar.writer);
}

/* Signals are blocked in every thread and taken here. Returns the one that ends the process. */
static int run(daemon_parts *d, const sigset_t *signals)
{
    uint64_t wait_ms = d->sidecar.markers ? WB_MARKING_TICK_MS : TICK_MS, last = 0;
    const struct timespec wait = {.tv_sec = (time_t)(wait_ms / 1000),
                                  .tv_nsec = (long)(wait_ms % 1000 * WB_NS_PER_MS)};
    for (;;) {
        int sig = sigtimedwait(signals, NULL, &wait);
        if (sig == SIGTERM || sig == SIGINT) return sig;
        if (sig == SIGHUP) reload(d);
        wb_marking_tick(d->marking);
        uint64_t now = wb_mono(d->sidecar.clock);
        if (sig != SIGHUP && now - last + wait_ms * WB_NS_PER_MS / 2 < TICK_MS * WB_NS_PER_MS)
            continue;
        last = now;
        tick(d);
    }
}

/* Requests in hand are answered; at most until the drain time is over. */
static void wait_for_requests(daemon_parts *d, const sigset_t *signals, uint64_t end)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    while (wb_ipc_in_hand(d->sidecar.ipc) + wb_otlp_in_hand(&d->sidecar) > 0 &&
           wb_mono(d->sidecar.clock) < end) {
        int sig = sigtimedwait(signals, NULL, &pause);
        if (sig == SIGTERM || sig == SIGINT)
            _exit(WB_DAEMON_FAILED); /* all acknowledged is synced */
    }
}

/* From here on a second SIGTERM or SIGINT ends the process at once; SIGHUP stays without effect. */
static void let_signals_end_it(void)
{
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    (void)pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
}

static void stop(daemon_parts *d, const sigset_t *signals)
{
    wb_sidecar *sidecar = &d->sidecar;
    uint64_t now = wb_mono(&wb_system_clock);
    uint64_t end = now + d->config.drain_timeout_ms * WB_NS_PER_MS;
    atomic_store(&sidecar->draining, true);
    wb_notify_stopping(&d->notify, d->config.drain_timeout_ms + STOP_SLACK_MS);
    if (sidecar->ipc) {
        WB_LOG(INFO, "drain", "answering what is in hand, delivering what is left",
               WB_KV("timeout_ms", d->config.drain_timeout_ms));
        wb_ipc_stop(sidecar->ipc);
        wb_otlp_stop(sidecar);
        wait_for_requests(d, signals, end);
        wb_metric_report_finish(d->metric_report, end);
    }
    let_signals_end_it();
    now = wb_mono(&wb_system_clock);
    wb_exporters_drain(sidecar->exporters, end > now ? (uint32_t)((end - now) / WB_NS_PER_MS) : 0);
    if (sidecar->journal) wb_journal_stop_waits(sidecar->journal);
    if (d->spare_started) pthread_join(d->spare_thread, NULL);
    wb_admin_close(d->admin);
    if (sidecar->ipc) (void)unlink(d->paths.status_file);
    close_ipc(d); /* every call in hand is answered before it returns */
    wb_workers_stop(d->workers);
    wb_otlp_close(sidecar);
    wb_writer_stop(sidecar->writer);
    wb_exporters_free(sidecar->exporters);
    wb_sweep_free(d->sweep);
    wb_marking_free(d->marking);
    wb_metric_report_free(d->metric_report);
    wb_look_done(&sidecar->look);
    if (sidecar->journal) wb_journal_close(sidecar->journal);
    wb_pipeline_free(sidecar->pipeline);
    wb_series_table_free(sidecar->series);
    if (d->state_made) wb_state_done(&sidecar->state);
    wb_refusals_close(sidecar->refusals);
    wb_rate_free(sidecar->rate);
    wb_worlds_free(sidecar->worlds);
    wb_confine_free(sidecar);
    wb_redactor_free(sidecar->redactor);
    wb_rehome_free(sidecar->rehome);
    wb_arena_free(d->config_arena);
    wb_process_files_close(&d->sidecar.process);
    wb_notify_close(&d->notify);
}

/* Whoever set NOTIFY_SOCKET may be the manager of another process above us: no reason not to start. */
static void open_notify(daemon_parts *d)
{
    wb_error err;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    if (wb_notify_open(getenv("NOTIFY_SOCKET"), &d->notify, &err) != WB_OK)
        WB_LOG(WARN, "notify.unavailable",
               "NOTIFY_SOCKET is set, but nobody can be told of the start",
               WB_KV("error", (const char *)err.detail));
}

static int serve(daemon_parts *d)
{
    wb_error err = {.status = WB_OK};
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    open_notify(d);
    wb_process_files_open(&d->sidecar.process);
    wb_sandbox_process(d->config.sandbox, &d->sidecar.sandbox);
    wb_status status = start(d, &err);
    int code = status == WB_OK ? 0 : say_error(status, &err);
    if (status == WB_OK) (void)run(d, &signals);
    stop(d, &signals);
    if (code == 0) WB_LOG(INFO, "stopped", "waybilld is gone");
    return code;
}

static bool tells_of_itself(const wb_command_line *o)
{
    return o->help || o->version || o->manual || o->reference || o->metrics;
}

static int tell(const wb_command_line *o, wb_buffer *text)
{
    if (o->help) return print_buffer(wb_command_line_help(text), text);
    if (o->version)
        return print_buffer(wb_buffer_printf(text, "waybilld " WAYBILL_VERSION "\n"), text);
    if (o->manual) return print_buffer(wb_command_line_manual(text), text);
    if (o->metrics) return print_buffer(wb_metrics_reference(text), text);
    return print_buffer(wb_config_reference(&wb_sidecar_config_table, text), text);
}

/* What can be said of the configuration before anything is made or opened for good. */
static wb_status check(daemon_parts *d, wb_error *err)
{
    wb_access access;
    gid_t group;
    WB_TRY(wb_access_init(geteuid(), wb_overflow_uid(), d->config.allow_uids,
                          d->config.n_ipc_allow_uids, &access, err));
    WB_TRY(wb_group_find(d->config.ipc_group, &group, err));
    WB_TRY(wb_exporters_check(&d->config, err));
    WB_TRY(wb_ports_settle(&d->config, err));
    return wb_otlp_check(&d->config, err);
}

/* A large block is a mapping of its own, and gone when it is freed. Left to itself glibc raises that size to what was
 * freed last: after one request of some MiB all of that stays in the process. Setting it also ends that glibc adapts
 * what a heap keeps: with its first value, 128 KiB, each batch would give pages back and fault them in again. */
static void give_back_large_blocks(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): before threads */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK_BYTES);
    /* NOLINTEND(concurrency-mt-unsafe) */
}

int main(int argc, char **argv)
{
    static daemon_parts d;
    wb_command_line o;
    wb_error err = {.status = WB_OK};
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, 4 * 1024 * 1024);
    if (wb_command_line_read(argc, argv, &o, &err) != WB_OK) {
        (void)fprintf(stderr, "waybilld: %s; see: waybilld --help\n", err.detail);
        return WB_DAEMON_USAGE;
    }
    if (tells_of_itself(&o)) return tell(&o, &text);
    wb_status status = load_config(&d, &o, &err);
    if (status == WB_OK) wb_log_setup(d.config.log_level, d.config.log_format);
    if (status == WB_OK) status = check(&d, &err);
    if (status != WB_OK) {
        (void)fprintf(stderr, "waybilld: %s\n", err.detail);
        wb_arena_free(d.config_arena);
        return exit_code(status);
    }
    give_back_large_blocks();
    if (!o.check) return serve(&d);
    int code = print_buffer(wb_config_print(&wb_sidecar_config_table, &d.config, &text), &text);
    wb_arena_free(d.config_arena);
    return code;
}
