/* SPDX-License-Identifier: Apache-2.0 */
/* Rows a second into SQLite: the real exporter, and the sqlite3 shell with the very same SQL. The SQL
 * is written down in a run of its own, by SQLite's trace, with all values in it; then exporter and
 * shell take turns on fresh files whose schema is there. Both are timed with the end of their
 * connection, which brings what is in the WAL into the file. The shell has to parse what the exporter
 * only binds, so this finds an exporter that does more than its SQL; it is no race. */
#include "core/arena.h"
#include "core/buffer.h"
#include "exporters/sqlite/sqlite.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/pipeline.h"
#include "tests/bench/bench.h"
#include "tests/bench/process.h"
#include "tests/support/otlp_sample.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SPANS = 100,  /* a record */
    RECORDS = 10, /* a send */
    SENDS = 20,
    ROUNDS = 5,
    TIMEOUT_MS = 30000,
    ARENA_BYTES = 64 * 1024 * 1024,
    PAYLOAD_BYTES = 1024 * 1024,
};

static const double ROWS = (double)SPANS * RECORDS * SENDS;

typedef struct fixture {
    char base[32], store[64], set_up[64], script[64];
    wb_buffer payloads[RECORDS * SENDS];
    wb_record_view records[RECORDS * SENDS];
} fixture;

/* ---- records --------------------------------------------------------------------------------- */

static void make_records(fixture *f)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_pipeline) pipeline = NULL;
    if (!arena || wb_pipeline_new(&pipeline, NULL) != WB_OK) wb_bench_give_up("no memory");
    for (size_t i = 0; i < RECORDS * SENDS; i++) {
        wb_batch *batch = NULL;
        wb_arena_reset(arena);
        wb_buffer_init(&f->payloads[i], PAYLOAD_BYTES);
        wb_slice body = wb_sample_llm_spans(SPANS, i, arena);
        if (wb_otlp_walk(body, wb_pipeline_keys(pipeline), arena, &batch, NULL) != WB_OK ||
            wb_span_batch_write(batch, &f->payloads[i], NULL) != WB_OK)
            wb_bench_give_up("the sample is no batch");
        f->records[i] = (wb_record_view){
            .kind = WB_ENTRY_SPANS, .seq = i + 1, .payload = wb_buffer_slice(&f->payloads[i])};
    }
}

static void free_records(fixture *f)
{
    for (size_t i = 0; i < RECORDS * SENDS; i++) wb_buffer_done(&f->payloads[i]);
}

/* ---- the exporter ---------------------------------------------------------------------------- */

static void remove_store(const fixture *f)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[96];
    for (size_t i = 0; i < WB_COUNT(ends); i++) {
        (void)snprintf(path, sizeof path, "%s%s", f->store, ends[i]);
        (void)unlink(path);
    }
}

static void *open_exporter(const fixture *f)
{
    static const wb_exporter_origin origin = {.journal_id = {{1}},
                                              .agent_id = "spiffe://example.org/bench",
                                              .name = "bench",
                                              .version = WAYBILL_VERSION,
                                              .isolation = "none"};
    static wb_sqlite_config config;
    static const wb_config_section section = {.name = "sqlite", .values = &config};
    void *exporter = NULL;
    wb_error err = {0};
    config.path = f->store;
    if (wb_exporter_sqlite.open(&section, &origin, &exporter, &err) != WB_OK)
        wb_bench_give_up("%s", err.detail);
    return exporter;
}

static void send(void *exporter, const wb_record_view *records, size_t n)
{
    wb_export_result result;
    wb_error err = {0};
    if (wb_exporter_sqlite.send(exporter, records, n, TIMEOUT_MS, &result, &err) != WB_OK)
        wb_bench_give_up("%s", err.detail);
}

/* A send of nothing makes the file and its schema. */
static void *open_store(const fixture *f)
{
    remove_store(f);
    void *exporter = open_exporter(f);
    send(exporter, f->records, 0);
    return exporter;
}

static void send_all(const fixture *f, void *exporter)
{
    for (size_t i = 0; i < SENDS; i++) send(exporter, f->records + i * RECORDS, RECORDS);
    wb_exporter_sqlite.close(exporter);
}

static uint64_t time_exporter(const fixture *f)
{
    void *exporter = open_store(f);
    uint64_t start = wb_bench_now_ns();
    send_all(f, exporter);
    return wb_bench_now_ns() - start;
}

/* ---- the same SQL ---------------------------------------------------------------------------- */

/* The exporter ends a transaction that takes long, as one does that is traced. The shell must not be
 * made to commit more often than the exporter, so time stands still for the exporter meanwhile: the
 * linker sends its questions for the time here (bench.cmake). */
static bool clock_stands;
int __real_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);

int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    static struct timespec then;
    if (id != CLOCK_MONOTONIC) return __real_clock_gettime(id, out);
    int rv = clock_stands ? 0 : __real_clock_gettime(id, &then);
    *out = then;
    return rv;
}

static FILE *trace_file;
static unsigned commits;

static int write_down(unsigned kind, void *ctx, void *statement, void *text)
{
    (void)kind;
    (void)ctx;
    if (strcmp(text, sqlite3_sql(statement)) != 0)
        return 0; /* a trigger's: the shell runs it, too */
    char *sql = sqlite3_expanded_sql(statement);
    if (!sql) wb_bench_give_up("a statement is too long to be written down");
    commits += strcmp(sql, "COMMIT") == 0;
    (void)fprintf(trace_file, "%s;\n", sql);
    sqlite3_free(sql);
    return 0;
}

static int on_open(sqlite3 *db, char **error, const struct sqlite3_api_routines *api)
{
    (void)error;
    (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, write_down, NULL);
}

static void trace_into(const char *path)
{
    if (trace_file && fclose(trace_file) != 0) wb_bench_give_up("the SQL cannot be written");
    trace_file = path ? fopen(path, "we") : NULL;
    if (path && !trace_file) wb_bench_give_up("%s cannot be written", path);
}

/* What holds for a connection must be said to the shell's second one again. */
static void repeat_pragmas(const fixture *f)
{
    char line[4096];
    FILE *file = fopen(f->set_up, "re");
    if (!file) wb_bench_give_up("%s cannot be read", f->set_up);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "PRAGMA ", 7) == 0 && !strstr(line, "user_version") &&
            !strstr(line, "application_id"))
            (void)fputs(line, trace_file);
    (void)fclose(file);
}

static void write_down_all(const fixture *f)
{
    if (sqlite3_auto_extension((void (*)(void))on_open) != SQLITE_OK) wb_bench_give_up("no trace");
    clock_stands = true;
    trace_into(f->set_up);
    void *exporter = open_store(f);
    trace_into(f->script);
    repeat_pragmas(f);
    commits = 0;
    send_all(f, exporter);
    trace_into(NULL);
    clock_stands = false;
    sqlite3_reset_auto_extension();
    if (commits != SENDS) wb_bench_give_up("%u transactions for %d sends", commits, SENDS);
}

static uint64_t time_shell(const fixture *f)
{
    const char *const args[] = {"sqlite3", "-batch", "-init", "/dev/null", f->store, NULL};
    remove_store(f);
    wb_process_run(args, f->set_up);
    uint64_t start = wb_bench_now_ns();
    wb_process_run(args, f->script);
    return wb_bench_now_ns() - start;
}

/* ---- both ------------------------------------------------------------------------------------ */

static sqlite3_int64 count_rows(const fixture *f)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    sqlite3_int64 n = -1;
    if (sqlite3_open_v2(f->store, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT count(*) FROM spans", -1, &stmt, NULL) == SQLITE_OK) {
        if (sqlite3_step(stmt) == SQLITE_ROW) n = sqlite3_column_int64(stmt, 0);
        (void)sqlite3_finalize(stmt);
    }
    (void)sqlite3_close(db);
    return n;
}

static void check_rows(const fixture *f, const char *who)
{
    sqlite3_int64 n = count_rows(f);
    if (n != (sqlite3_int64)ROWS) wb_bench_give_up("%s wrote %lld rows", who, (long long)n);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static fixture all = {.base = "/tmp/wb-bench-XXXXXX"};

static void remove_base(void) { (void)nftw(all.base, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static int report(const char *name, const char *unit, wb_bench_stats stats, double value)
{
    return wb_bench_report(
        &(wb_bench_figure){.name = name, .unit = unit, .stats = stats, .value = value});
}

int main(void)
{
    uint64_t exporter[ROUNDS], shell[ROUNDS];
    struct stat st;
    wb_bench_need_release();
    if (!mkdtemp(all.base)) wb_bench_give_up("%s cannot be made", all.base);
    (void)atexit(remove_base); /* also when it gives up */
    (void)snprintf(all.store, sizeof all.store, "%s/store.db", all.base);
    (void)snprintf(all.set_up, sizeof all.set_up, "%s/set_up.sql", all.base);
    (void)snprintf(all.script, sizeof all.script, "%s/script.sql", all.base);
    make_records(&all);
    write_down_all(&all);
    for (size_t i = 0; i < ROUNDS; i++) {
        exporter[i] = time_exporter(&all);
        check_rows(&all, "the exporter");
        shell[i] = time_shell(&all);
        check_rows(&all, "the shell");
    }
    if (stat(all.store, &st) != 0) wb_bench_give_up("%s is gone", all.store);
    wb_bench_stats ours = wb_bench_stats_of(exporter, ROUNDS);
    wb_bench_stats theirs = wb_bench_stats_of(shell, ROUNDS);
    free_records(&all);
    double ratio = theirs.p50 / ours.p50;
    (void)report("store.shell", "rows/s", theirs, ROWS * 1e9 / theirs.p50);
    (void)report("store.exporter", "rows/s", ours, ROWS * 1e9 / ours.p50);
    (void)report("store_bytes", "B/span", (wb_bench_stats){.samples = 1},
                 (double)st.st_size / ROWS);
    return wb_bench_report(&(wb_bench_figure){.name = "store_vs_shell",
                                              .unit = "x the shell's",
                                              .stats = ours,
                                              .value = ratio,
                                              .ratio = ratio,
                                              .bound = WB_BENCH_AT_LEAST,
                                              .limit = 0.7});
}
