/* SPDX-License-Identifier: Apache-2.0 */
/* Rows a second into Postgres: the real exporter, and psql with the very same SQL and the very same COPY
 * data. Both are written down while the exporter delivers once (the linker sends libpq's calls here,
 * bench.cmake); then exporter and psql take turns on an empty schema of one server. psql has to wait for
 * each statement where the exporter sends several at once, so this finds an exporter that does more than
 * its SQL; it is no race. The server is WAYBILL_TEST_POSTGRES (tests/support/postgres.py). */
#include "core/arena.h"
#include "exporters/postgres/postgres.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/pipeline.h"
#include "store/postgres/migrate.h"
#include "tests/bench/bench.h"
#include "tests/bench/process.h"
#include "tests/support/otlp_sample.h"

#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SPANS = 100,  /* a record */
    RECORDS = 10, /* a send */
    SENDS = 20,
    ROUNDS = 5,
    TIMEOUT_MS = 60000,
    ARENA_BYTES = 64 * 1024 * 1024,
    PAYLOAD_BYTES = 1024 * 1024,
    OID_INT8 = 20,
    OID_BYTEA = 17,
};

static const double ROWS = (double)SPANS * RECORDS * SENDS;

static char base[] = "/tmp/wb-bench-XXXXXX";
static const char *url;
static wb_buffer payloads[RECORDS * SENDS];
static wb_record_view records[RECORDS * SENDS];

static void make_records(void)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_pipeline) pipeline = NULL;
    if (!arena || wb_pipeline_new(&pipeline, NULL) != WB_OK) wb_bench_give_up("no memory");
    for (size_t i = 0; i < RECORDS * SENDS; i++) {
        wb_batch *batch = NULL;
        wb_arena_reset(arena);
        wb_buffer_init(&payloads[i], PAYLOAD_BYTES);
        wb_slice body = wb_sample_llm_spans(SPANS, i, arena);
        if (wb_otlp_walk(body, wb_pipeline_keys(pipeline), arena, &batch, NULL) != WB_OK ||
            wb_span_batch_write(batch, &payloads[i], NULL) != WB_OK)
            wb_bench_give_up("the sample is no batch");
        records[i] = (wb_record_view){
            .kind = WB_ENTRY_SPANS, .seq = i + 1, .payload = wb_buffer_slice(&payloads[i])};
    }
}

/* ---- what is written down -------------------------------------------------------------------- */

static FILE *script, *copy_file; /* NULL: nothing is */
static unsigned copies;

static void put_value(unsigned type, const char *value, int len)
{
    if (!value) {
        (void)fputs("NULL", script);
    } else if (type == OID_INT8) {
        uint64_t wire;
        memcpy(&wire, value, sizeof wire);
        (void)fprintf(script, "%lld::bigint", (long long)be64toh(wire));
    } else if (type == OID_BYTEA) {
        (void)fputs("'\\x", script);
        for (int i = 0; i < len; i++) (void)fprintf(script, "%02x", (unsigned char)value[i]);
        (void)fputs("'::bytea", script);
    } else {
        (void)fprintf(script, "'%.*s'::text", len, value); /* ours have no quotes */
    }
}

int __real_PQsendQueryParams(PGconn *conn, const char *sql, int n, const Oid *types,
                             const char *const *values, const int *lengths, const int *formats,
                             int format);
int __wrap_PQsendQueryParams(PGconn *conn, const char *sql, int n, const Oid *types,
                             const char *const *values, const int *lengths, const int *formats,
                             int format);
int __real_PQsendQuery(PGconn *conn, const char *sql);
int __wrap_PQsendQuery(PGconn *conn, const char *sql);
int __real_PQputCopyData(PGconn *conn, const char *bytes, int len);
int __wrap_PQputCopyData(PGconn *conn, const char *bytes, int len);

int __wrap_PQsendQueryParams(PGconn *conn, const char *sql, int n, const Oid *types,
                             const char *const *values, const int *lengths, const int *formats,
                             int format)
{
    for (const char *at = sql; script && *at; at++) {
        if (*at == '$' && at[1] >= '1' && at[1] <= '9') {
            int which = *++at - '1';
            put_value(types[which], values[which], lengths[which]);
        } else {
            (void)fputc(*at, script);
        }
    }
    if (script) (void)fputs(";\n", script);
    return __real_PQsendQueryParams(conn, sql, n, types, values, lengths, formats, format);
}

int __wrap_PQsendQuery(PGconn *conn, const char *sql)
{
    const char *from = strstr(sql, " FROM STDIN WITH ");
    if (script && from && strncmp(sql, "COPY ", 5) == 0) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/copy%u", base, copies++);
        if (copy_file) (void)fclose(copy_file);
        copy_file = fopen(path, "we");
        (void)fprintf(script, "\\copy %.*s FROM '%s' WITH (FORMAT binary)\n", (int)(from - sql - 5),
                      sql + 5, path);
    } else if (script) {
        (void)fprintf(script, "%s;\n", sql);
    }
    return __real_PQsendQuery(conn, sql);
}

int __wrap_PQputCopyData(PGconn *conn, const char *bytes, int len)
{
    int rv = __real_PQputCopyData(conn, bytes, len);
    if (copy_file && rv == 1) (void)fwrite(bytes, 1, (size_t)len, copy_file);
    return rv;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void empty_store(void)
{
    wb_pg *pg = NULL;
    wb_error err = {0};
    int64_t made;
    if (wb_pg_connect(&(wb_pg_target){.url = url}, TIMEOUT_MS, &pg, &err) != WB_OK)
        wb_bench_give_up("%s", err.detail);
    wb_pg_set_timeout(pg, TIMEOUT_MS);
    if (wb_pg_exec(pg, "DROP SCHEMA IF EXISTS waybill CASCADE", &err) != WB_OK ||
        wb_pg_migrate(pg, NULL, NULL, &err) != WB_OK || wb_pg_make_days(pg, &made, &err) != WB_OK ||
        wb_pg_exec(pg, "CHECKPOINT", &err) != WB_OK)
        wb_bench_give_up("%s", err.detail);
    wb_pg_close(pg);
}

static uint64_t time_exporter(const char *write_to)
{
    static const wb_exporter_origin origin = {.journal_id = {{1}},
                                              .agent_id = "spiffe://example.org/bench",
                                              .name = "bench",
                                              .version = WAYBILL_VERSION,
                                              .isolation = "none"};
    static wb_postgres_config config = {.connect_timeout_ms = 10000};
    static const wb_config_section section = {.name = "postgres", .values = &config};
    void *exporter = NULL;
    wb_export_result result;
    wb_error err = {0};
    empty_store();
    config.url = url;
    if (wb_exporter_postgres.open(&section, &origin, &exporter, &err) != WB_OK)
        wb_bench_give_up("%s", err.detail);
    if (write_to) script = fopen(write_to, "we");
    if (script) (void)fputs("SET client_min_messages = warning;\n", script); /* libpq drops them */
    uint64_t start = wb_bench_now_ns();
    for (size_t i = 0; i < SENDS; i++)
        if (wb_exporter_postgres.send(exporter, records + i * RECORDS, RECORDS, TIMEOUT_MS, &result,
                                      &err) != WB_OK)
            wb_bench_give_up("%s", err.detail);
    wb_exporter_postgres.close(exporter);
    uint64_t took = wb_bench_now_ns() - start;
    if (script) (void)fclose(script);
    if (copy_file) (void)fclose(copy_file);
    script = copy_file = NULL;
    return took;
}

static uint64_t time_psql(const char *script_path)
{
    const char *const args[] = {"psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url, NULL};
    empty_store();
    uint64_t start = wb_bench_now_ns();
    wb_process_run(args, script_path);
    return wb_bench_now_ns() - start;
}

static void check_rows(const char *who)
{
    wb_pg *pg = NULL;
    wb_error err = {0};
    wb_pg_result *result = NULL;
    if (wb_pg_connect(&(wb_pg_target){.url = url}, TIMEOUT_MS, &pg, &err) != WB_OK ||
        wb_pg_query(pg, "SELECT count(*) FROM waybill.spans", NULL, &result, &err) != WB_OK)
        wb_bench_give_up("%s", err.detail);
    int64_t n = wb_pg_number(result, 0, 0);
    wb_pg_result_free(result);
    wb_pg_close(pg);
    if (n != (int64_t)ROWS) wb_bench_give_up("%s wrote %lld rows", who, (long long)n);
}

static void remove_base(void) { wb_process_remove(base); }

int main(void)
{
    uint64_t exporter[ROUNDS], psql[ROUNDS];
    char script_path[64];
    wb_bench_need_release();
    url = getenv("WAYBILL_TEST_POSTGRES"); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (!url) wb_bench_give_up("run it by tests/support/postgres.py");
    if (!mkdtemp(base)) wb_bench_give_up("%s cannot be made", base);
    (void)atexit(remove_base); /* also when it gives up */
    (void)snprintf(script_path, sizeof script_path, "%s/script.sql", base);
    make_records();
    (void)time_exporter(script_path);
    for (size_t i = 0; i < ROUNDS; i++) {
        exporter[i] = time_exporter(NULL);
        check_rows("the exporter");
        psql[i] = time_psql(script_path);
        check_rows("psql");
    }
    wb_bench_stats ours = wb_bench_stats_of(exporter, ROUNDS);
    wb_bench_stats theirs = wb_bench_stats_of(psql, ROUNDS);
    for (size_t i = 0; i < RECORDS * SENDS; i++) wb_buffer_done(&payloads[i]);
    double ratio = theirs.p50 / ours.p50;
    (void)wb_bench_report(&(wb_bench_figure){.name = "postgres.psql",
                                             .unit = "rows/s",
                                             .stats = theirs,
                                             .value = ROWS * 1e9 / theirs.p50});
    (void)wb_bench_report(&(wb_bench_figure){.name = "postgres.exporter",
                                             .unit = "rows/s",
                                             .stats = ours,
                                             .value = ROWS * 1e9 / ours.p50});
    return wb_bench_report(&(wb_bench_figure){.name = "postgres_vs_psql",
                                              .unit = "x psql's",
                                              .stats = ours,
                                              .value = ratio,
                                              .ratio = ratio,
                                              .bound = WB_BENCH_AT_LEAST,
                                              .limit = 0.8});
}
