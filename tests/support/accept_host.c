/* SPDX-License-Identifier: Apache-2.0 */
/* accept_host SOCKET: the sidecar's own parts around a clock that stands still. Its standard input says
 * what to do, one line each, and each is answered by one line on standard output:
 *
 *     open DIR NOW   start the parts in DIR, at NOW (Unix seconds)          "open"
 *     row HEX        the acceptance of that id, as the state holds it       "none" or JSON
 *     close          take the parts down                                    "closed"
 *
 * DIR holds what a sidecar's folders would: config.yaml, keys/, trust.d/, and `state`, whose lines become
 * journal entries before a request is served:
 *
 *     purged N | recovered N | owner TID ID | task TASK SUB ISS | full | poor PEER
 *     replay ISS JTI HASH ACCEPTANCE EXP      jti, hash, acceptance in hex
 *
 * The receiver stays for the life of the process, one in front of all the sidecars that come and go, so
 * that a client stays connected. Journal, state, writer, workers, verbs and receiver are the library
 * that waybilld is made of; what is left out is what main.c adds for a process of its own: exporters,
 * sweeps, admin, signals. */
#include "core/log.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SLOTS = 32, CONFIG_BYTES = 8 << 20, SPAN_OF_A_ROW = 3600, PATH_BYTES = 256, LINE = 2048 };

typedef struct still_clock {
    wb_clock clock;
    uint64_t now_s;
} still_clock;

typedef struct host {
    char dir[PATH_BYTES];
    still_clock clock;
    wb_sidecar sidecar;
    wb_sidecar_config config;
    wb_arena *arena;
    wb_workers *workers;
} host;

static uint64_t still_wall(const wb_clock *clock)
{
    return ((const still_clock *)(const void *)clock)->now_s * WB_NS_PER_S;
}

/* Stands still too: an emptied bucket stays empty. */
static uint64_t still_mono(const wb_clock *clock)
{
    (void)clock;
    return WB_NS_PER_S;
}

static void must(wb_status status, const wb_error *err, const char *what)
{
    if (status == WB_OK) return;
    (void)fprintf(stderr, "accept_host: %s: %s\n", what, err->detail);
    exit(1); /* NOLINT(concurrency-mt-unsafe): nothing of ours runs at exit */
}

static const char *path(const host *h, const char *name, char out[2 * PATH_BYTES])
{
    (void)snprintf(out, 2 * PATH_BYTES, "%s/%s", h->dir, name);
    return out;
}

/* ---- state, as journal entries -------------------------------------------------------------- */

static void append(host *h, wb_entry_kind kind, const void *row)
{
    wb_error err = {0};
    uint64_t seq;
    size_t len = protobuf_c_message_get_packed_size(row);
    uint8_t *bytes = wb_arena_alloc(h->arena, len + 1);
    WB_ASSERT(bytes);
    protobuf_c_message_pack(row, bytes);
    const wb_entry entry = {kind, wb_slice_of(bytes, len)};
    must(wb_journal_append(h->sidecar.journal, WB_WORK_NEW, &entry, 1, &seq, &err), &err, "state");
}

static ProtobufCBinaryData from_hex(host *h, char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = wb_arena_alloc(h->arena, len + 1);
    WB_ASSERT(bytes && wb_unhex(wb_slice_str(hex), bytes, len) == WB_OK);
    return (ProtobufCBinaryData){.len = len, .data = bytes};
}

static void add_replay(host *h, char *issuer, char *jti, char *hash, char *acceptance, uint64_t exp)
{
    Waybill__V1__ReplayRow row = WAYBILL__V1__REPLAY_ROW__INIT;
    row.issuer = issuer;
    row.jti = jti;
    row.token_hash = from_hex(h, hash);
    row.acceptance_id = from_hex(h, acceptance);
    row.exp_s = exp;
    append(h, WB_ENTRY_REPLAY, &row);
}

/* A row that ended at `exp` and was purged: what is left of it is the mark. */
static void add_purged(host *h, uint64_t exp)
{
    static char issuer[] = "https://purged.example/", jti[] = "00000000000000000000000000000001",
                hash[] = "0000000000000000000000000000000000000000000000000000000000000001";
    Waybill__V1__PurgeRow purge = WAYBILL__V1__PURGE_ROW__INIT;
    add_replay(h, issuer, jti, hash, jti, exp);
    purge.now_s = exp;
    append(h, WB_ENTRY_PURGE, &purge);
}

static void add_gap(host *h, uint64_t recovered_s)
{
    Waybill__V1__GapRow row = WAYBILL__V1__GAP_ROW__INIT;
    row.recovered_s = recovered_s;
    append(h, WB_ENTRY_GAP, &row);
}

static void add_owner(host *h, char *tid, char *task, char *subject, char *issuer)
{
    Waybill__V1__OwnerRow row = WAYBILL__V1__OWNER_ROW__INIT;
    if (tid) row.trace_id = from_hex(h, tid);
    if (task) row.task_id = task;
    row.subject = subject;
    if (issuer) row.issuer = issuer;
    row.used_s = h->clock.now_s;
    append(h, WB_ENTRY_OWNER, &row);
}

/* Fill the replay table, whatever its size is. */
static void add_others(host *h)
{
    char jti[WB_ID_HEX + 1];
    static char issuer[] = "https://others.example/",
                hash[] = "0000000000000000000000000000000000000000000000000000000000000002";
    for (uint64_t i = 1; wb_replay_room(h->sidecar.state.replay) > 0; i++) {
        (void)snprintf(jti, sizeof jti, "%032llx", (unsigned long long)i);
        add_replay(h, issuer, jti, hash, jti, h->clock.now_s + SPAN_OF_A_ROW);
    }
}

/* Take all that the peer's bucket holds. */
static void add_poor(host *h, const char *peer)
{
    const wb_rate_limit limit = {.per_s = h->config.trust_rate_per_s,
                                 .burst = h->config.trust_rate_burst};
    uint64_t key = wb_peer_key(&h->sidecar.peer_secret, wb_slice_str(peer), 0);
    while (wb_rate_take(h->sidecar.rate, key, &limit, wb_mono(h->sidecar.clock))) continue;
}

static void prime_line(host *h, char **word)
{
    const char *kind = word[0];
    if (strcmp(kind, "purged") == 0)
        add_purged(h, strtoull(word[1], NULL, 10));
    else if (strcmp(kind, "recovered") == 0)
        add_gap(h, strtoull(word[1], NULL, 10));
    else if (strcmp(kind, "owner") == 0)
        add_owner(h, word[1], NULL, word[2], NULL);
    else if (strcmp(kind, "task") == 0)
        add_owner(h, NULL, word[1], word[2], word[3]);
    else if (strcmp(kind, "replay") == 0)
        add_replay(h, word[1], word[2], word[3], word[4], strtoull(word[5], NULL, 10));
    else if (strcmp(kind, "full") == 0)
        add_others(h);
    else if (strcmp(kind, "poor") == 0)
        add_poor(h, word[1]);
    else
        WB_ASSERT(false);
}

static void prime(host *h)
{
    char at[2 * PATH_BYTES], line[LINE];
    wb_error err = {0};
    FILE *in = fopen(path(h, "state", at), "re");
    WB_ASSERT(in);
    while (fgets(line, sizeof line, in)) {
        static char none[] = "";
        char *word[6] = {none, none, none, none, none, none}, *rest = NULL;
        size_t n = 0;
        for (char *w = strtok_r(line, " \n", &rest); w && n < WB_COUNT(word);
             w = strtok_r(NULL, " \n", &rest))
            word[n++] = w;
        if (n > 0) prime_line(h, word);
    }
    (void)fclose(in);
    must(wb_journal_commit(h->sidecar.journal, &err), &err, "commit of the state");
}

/* A replay table of few rows: a full one shall not take a quarter of a million. */
static void shrink_replay(wb_state *state)
{
    enum { ROWS = 16 };
    for (size_t i = 0; i < WB_STATE_TABLES; i++) {
        if (state->tables[i].self != state->replay) continue;
        wb_replay_free(state->replay);
        state->replay = wb_replay_new(ROWS);
        WB_ASSERT(state->replay);
        state->tables[i].self = state->replay;
        return;
    }
    WB_ASSERT(false);
}

/* ---- the parts ------------------------------------------------------------------------------ */

/* The sidecar that is open, for the receiver's threads. */
static pthread_mutex_t present_lock = PTHREAD_MUTEX_INITIALIZER;
static host *present;

static void on_call(void *self, wb_ipc_call *call)
{
    (void)self;
    pthread_mutex_lock(&present_lock);
    WB_ASSERT(present); /* a client waits for "open" */
    wb_workers_take(present->workers, call);
    pthread_mutex_unlock(&present_lock);
}

static const char *refuse_peer(void *self, uint64_t uid)
{
    (void)self;
    return uid == geteuid() ? NULL : "another user";
}

static void *run_ipc(void *arg)
{
    wb_ipc_run(arg);
    return NULL;
}

static void open_worlds(host *h)
{
    static char *no_env[] = {NULL};
    char config[2 * PATH_BYTES], keys[2 * PATH_BYTES], trust[2 * PATH_BYTES];
    wb_error err = {0};
    path(h, "config.yaml", config);
    path(h, "keys", keys);
    path(h, "trust.d", trust);
    must(wb_sidecar_config_load(config, "host", no_env, h->arena, &h->config, &err), &err, config);
    const wb_world_source source = {.keys_dir = keys,
                                    .trust_dir = trust,
                                    .config_path = config,
                                    .env = no_env,
                                    .config = &h->config,
                                    .clock = h->sidecar.clock};
    must(wb_worlds_open(&source, &h->sidecar.worlds, &err), &err, "world");
    wb_peer_secret_make(&h->sidecar.peer_secret);
    must(wb_rate_new(SLOTS, &h->sidecar.rate, &err), &err, "rate buckets");
    must(wb_refusals_open(h->dir, h->sidecar.clock, &h->sidecar.refusals, &err), &err, "refusals");
    must(wb_refusals_start(h->sidecar.refusals, &err), &err, "refusals");
    must(wb_access_init(geteuid(), wb_overflow_uid(), NULL, 0, &h->sidecar.access, &err), &err,
         "access");
}

static void open_state(host *h)
{
    char dir[2 * PATH_BYTES];
    wb_error err = {0};
    must(wb_state_init(&h->sidecar.state, &err), &err, "state");
    shrink_replay(&h->sidecar.state);
    const wb_journal_options options = {.dir = path(h, "journal", dir),
                                        .segment_bytes = h->config.journal_segment_bytes,
                                        .limit_bytes = h->config.journal_limit_bytes,
                                        .clock = h->sidecar.clock,
                                        .tables = h->sidecar.state.tables,
                                        .n_tables = WB_STATE_TABLES};
    must(wb_journal_open(&options, &h->sidecar.journal, NULL, &err), &err, "journal");
    prime(h);
    must(wb_writer_start(h->sidecar.journal, dir, &h->sidecar.state, &h->sidecar.writer, &err),
         &err, "writer");
}

static wb_ipc *open_socket(const char *socket, pthread_t *thread)
{
    wb_ipc *ipc = NULL;
    wb_error err = {0};
    const wb_ipc_options options = {.socket_path = socket,
                                    .group = WB_NO_GROUP,
                                    .max_message_bytes = 8 << 20,
                                    .max_in_hand_bytes = 8 << 20,
                                    .contexts = SLOTS,
                                    .connections = SLOTS,
                                    .stall_ms = 5000,
                                    .refuse_peer = refuse_peer,
                                    .on_call = on_call};
    must(wb_ipc_open(&options, &ipc, &err), &err, "socket");
    WB_ASSERT(pthread_create(thread, NULL, run_ipc, ipc) == 0);
    return ipc;
}

static void show(host *h)
{
    pthread_mutex_lock(&present_lock);
    present = h;
    pthread_mutex_unlock(&present_lock);
}

static host *open_host(wb_ipc *ipc, const char *dir, uint64_t now_s)
{
    host *h = calloc(1, sizeof *h);
    wb_error err = {0};
    WB_ASSERT(h);
    (void)snprintf(h->dir, sizeof h->dir, "%s", dir);
    h->clock =
        (still_clock){.clock = {.wall = still_wall, .monotonic = still_mono}, .now_s = now_s};
    h->arena = wb_arena_new(CONFIG_BYTES);
    WB_ASSERT(h->arena);
    h->sidecar.config = &h->config;
    h->sidecar.clock = &h->clock.clock;
    h->sidecar.group = WB_NO_GROUP;
    open_worlds(h);
    must(wb_rehome_open(h->dir, &h->sidecar.rehome, &err), &err, "traces of others");
    must(wb_pipeline_new(&h->sidecar.pipeline, &err), &err, "pipeline");
    must(wb_redactor_new(h->sidecar.rehome, &h->sidecar.redactor, &err), &err, "redaction");
    open_state(h);
    h->sidecar.ipc = ipc;
    must(wb_workers_start(&h->sidecar, 1, SLOTS, &h->workers, &err), &err, "workers");
    show(h);
    return h;
}

static void close_host(host *h)
{
    if (!h) return;
    while (wb_ipc_in_hand(h->sidecar.ipc) > 0) (void)usleep(1000);
    show(NULL);
    wb_journal_stop_waits(h->sidecar.journal);
    wb_workers_stop(h->workers);
    wb_writer_stop(h->sidecar.writer);
    wb_journal_close(h->sidecar.journal);
    wb_pipeline_free(h->sidecar.pipeline);
    wb_redactor_free(h->sidecar.redactor);
    wb_rehome_free(h->sidecar.rehome);
    wb_state_done(&h->sidecar.state);
    wb_refusals_close(h->sidecar.refusals);
    wb_rate_free(h->sidecar.rate);
    wb_worlds_free(h->sidecar.worlds);
    wb_arena_free(h->arena);
    free(h);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void print_row(const Waybill__V1__AcceptanceRow *row)
{
    (void)printf("{\"verdict\":%u,\"verified\":%s,\"code\":\"%s\",\"warnings\":[", row->verdict,
                 row->verified ? "true" : "false", row->code);
    for (size_t i = 0; i < row->n_warnings; i++)
        (void)printf("%s\"%s\"", i ? "," : "", row->warnings[i]);
    (void)printf("]}\n");
}

static void say_row(host *h, const char *hex)
{
    wb_id id;
    wb_slice packed = {0};
    Waybill__V1__AcceptanceRow *row = NULL;
    WB_ASSERT(h && wb_unhex(wb_slice_str(hex), id.b, sizeof id.b) == WB_OK);
    wb_state_lock(&h->sidecar.state);
    if (wb_acceptances_get(h->sidecar.state.acceptances, &id, &packed))
        row = waybill__v1__acceptance_row__unpack(NULL, packed.len, packed.ptr);
    wb_state_unlock(&h->sidecar.state);
    if (row)
        print_row(row);
    else
        (void)puts("none");
    waybill__v1__acceptance_row__free_unpacked(row, NULL);
}

static void serve(wb_ipc *ipc)
{
    char line[LINE];
    host *h = NULL;
    while (fgets(line, sizeof line, stdin)) {
        char *rest = NULL, *verb = strtok_r(line, " \n", &rest);
        char *first = strtok_r(NULL, " \n", &rest), *second = strtok_r(NULL, " \n", &rest);
        if (verb && strcmp(verb, "open") == 0 && first && second) {
            close_host(h);
            h = open_host(ipc, first, strtoull(second, NULL, 10));
            (void)puts("open");
        } else if (verb && strcmp(verb, "row") == 0 && first) {
            say_row(h, first);
        } else if (verb && strcmp(verb, "close") == 0) {
            close_host(h);
            h = NULL;
            (void)puts("closed");
        }
    }
    close_host(h);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc != 2) return 2;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    WB_ASSERT(wb_self_test(NULL) == WB_OK);
    wb_log_setup(WB_LOG_DEBUG, WB_LOG_JSON);
    wb_ipc *ipc = open_socket(argv[1], &thread);
    serve(ipc);
    wb_ipc_stop(ipc);
    wb_ipc_close(ipc);
    (void)pthread_join(thread, NULL);
    wb_ipc_free(ipc);
    return 0;
}
