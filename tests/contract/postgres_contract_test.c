/* SPDX-License-Identifier: Apache-2.0 */
/* The battery against a real Postgres, then what only a server has: locks, roles, partitions, versions,
 * texts that it refuses. The server is WAYBILL_TEST_POSTGRES, its superuser's URL (tests/support/postgres.py
 * starts one); each test has a database of its own, copied from one that was migrated once, and writes to it
 * as a role that may do no more than a writer may. */
#include "core/clock.h"
#include "exporters/postgres/postgres.h"
#include "proto/log_batch.h"
#include "store/postgres/migrate.h"
#include "store/store.h"
#include "tests/contract/exporter_contract.h"
#include "tests/contract/stored_state.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WRITER "wb_contract_writer"
#define TEMPLATE "wb_contract_template"

enum { NAME = 64, URL = 400 };

typedef struct server_far {
    char database[NAME], url[URL], admin_url[URL];
    wb_postgres_config config;
} server_far;

/* ---- the server ----------------------------------------------------------------------------- */

static const char *server_url(void)
{
    const char *url =
        getenv("WAYBILL_TEST_POSTGRES"); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (!url) fail_msg("run it by tests/support/postgres.py");
    return url;
}

/* The superuser's URL with another database, and perhaps another user, in it. */
static void make_url(char out[URL], const char *user, const char *database)
{
    const char *host = strchr(server_url(), '@');
    size_t len = host ? strcspn(host, "/") : 0;
    (void)snprintf(out, URL, "postgres://%s%.*s/%s", user, (int)len, host, database);
}

static wb_pg *connect_to(const char *url)
{
    wb_pg *pg = NULL;
    wb_error err = {0};
    if (wb_pg_connect(&(wb_pg_target){.url = url}, 10000, &pg, &err) != WB_OK)
        fail_msg("%s", err.detail);
    wb_pg_set_timeout(pg, 60000);
    return pg;
}

static void run(const char *url, const char *sql)
{
    WB_AUTO(wb_pg) pg = connect_to(url);
    wb_error err = {0};
    if (wb_pg_exec(pg, sql, &err) != WB_OK) fail_msg("%s: %s", sql, err.detail);
}

static int64_t number(const char *url, const char *sql)
{
    WB_AUTO(wb_pg) pg = connect_to(url);
    WB_AUTO(wb_pg_result) result = NULL;
    wb_error err = {0};
    if (wb_pg_query(pg, sql, NULL, &result, &err) != WB_OK) fail_msg("%s: %s", sql, err.detail);
    return wb_pg_rows(result) > 0 ? wb_pg_number(result, 0, 0) : -1;
}

__attribute__((format(printf, 2, 3))) static void runf(const char *url, const char *format, ...)
{
    char sql[1000];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    run(url, sql);
}

static int make_template(void **state)
{
    char url[URL];
    bool done;
    int64_t days;
    wb_error err = {0};
    (void)state;
    make_url(url, "postgres", TEMPLATE);
    runf(server_url(), "DROP DATABASE IF EXISTS %s", TEMPLATE);
    runf(server_url(), "DROP ROLE IF EXISTS %s", WRITER);
    runf(server_url(), "CREATE ROLE %s LOGIN", WRITER);
    runf(server_url(), "CREATE DATABASE %s", TEMPLATE);
    WB_AUTO(wb_pg) pg = connect_to(url);
    if (wb_pg_migrate(pg, NULL, NULL, &err) != WB_OK) fail_msg("%s", err.detail);
    if (wb_pg_make_days(pg, &days, &err) != WB_OK) fail_msg("%s", err.detail);
    if (wb_pg_grant(pg, WRITER, true, true, &done, &err) != WB_OK) fail_msg("%s", err.detail);
    return 0;
}

static void *server_start(const void **settings)
{
    static unsigned made;
    server_far *far = calloc(1, sizeof *far);
    (void)snprintf(far->database, sizeof far->database, "wb_contract_%u", made++);
    runf(server_url(), "DROP DATABASE IF EXISTS %s WITH (FORCE)", far->database);
    runf(server_url(), "CREATE DATABASE %s TEMPLATE " TEMPLATE, far->database);
    make_url(far->url, WRITER, far->database);
    make_url(far->admin_url, "postgres", far->database);
    far->config = (wb_postgres_config){.url = far->url, .connect_timeout_ms = 5000};
    *settings = &far->config;
    return far;
}

static void server_stop(void *self)
{
    server_far *far = self;
    runf(server_url(), "DROP DATABASE %s WITH (FORCE)", far->database);
    free(far);
}

/* The server turns everybody away who asks for this database, as in a restart. */
static void server_away(void *self)
{
    server_far *far = self;
    runf(server_url(), "ALTER DATABASE %s ALLOW_CONNECTIONS false", far->database);
    runf(server_url(),
         "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'",
         far->database);
}

static void server_back(void *self)
{
    server_far *far = self;
    runf(server_url(), "ALTER DATABASE %s ALLOW_CONNECTIONS true", far->database);
}

static int64_t count(void *self, const char *table)
{
    char sql[100];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM waybill.%s", table);
    return number(((server_far *)self)->admin_url, sql);
}

static int server_spans(void *self) { return (int)count(self, "spans"); }
static int server_delegations(void *self) { return (int)count(self, "delegations"); }
static int server_acceptances(void *self) { return (int)count(self, "acceptances"); }

static void server_delegation_state(void *self, uint32_t id, char out[32])
{
    contract_stored_state(((server_far *)self)->admin_url, id, out);
}

static const wb_postgres_config bad_url = {.url = "postgres://host:port:port/%zz"};
static const far_side_ops server_ops = {
    .exporter = &wb_exporter_postgres,
    .impossible_settings = &bad_url,
    .start = server_start,
    .stop = server_stop,
    .away = server_away,
    .back = server_back,
    .spans = server_spans,
    .delegations = server_delegations,
    .acceptances = server_acceptances,
    .delegation_state = server_delegation_state,
};

/* ---- what only a server does ---------------------------------------------------------------- */

static wb_status send_some(contract_fixture *f, const wb_record_view *records, size_t n,
                           uint32_t timeout_ms, wb_error *err)
{
    wb_export_result result;
    *err = (wb_error){0};
    return f->ops->exporter->send(f->exporter, records, n, timeout_ms, &result, err);
}

static const char *admin(const contract_fixture *f)
{
    return ((const server_far *)f->far)->admin_url;
}

/* The words must name the trouble and, where there is one, the remedy. */
static void send_says(contract_fixture *f, wb_status wanted, const char *words, const char *more)
{
    wb_error err;
    wb_status status = send_some(f, f->records, CONTRACT_RECORDS, 2000, &err);
    if (status != wanted || !strstr(err.detail, words) || !strstr(err.detail, more))
        fail_msg("%s: %s; wanted \"%s\" and \"%s\"", wb_status_name(status), err.detail, words,
                 more);
}

/* A span of our own making, in a record of its own. */
static wb_status send_span_at(contract_fixture *f, uint64_t seq, wb_span_draft draft)
{
    WB_AUTO_BUFFER bytes;
    wb_error err = {0};
    wb_buffer_init(&bytes, 64 << 20);
    const wb_span_origin origin = {.scope_name = WB_S("test")};
    assert_int_equal(wb_span_batch_build(&origin, &draft, 1, &bytes, &err), WB_OK);
    wb_record_view record = {
        .kind = WB_ENTRY_SPANS, .seq = seq, .payload = wb_buffer_slice(&bytes)};
    wb_status status = send_some(f, &record, 1, 20000, &err);
    if (status != WB_OK) (void)fprintf(stderr, "%s\n", err.detail);
    return status;
}

static wb_span_draft a_draft(uint32_t trace, uint32_t span, wb_time_ns start_ns)
{
    return (wb_span_draft){.trace_id = test_trace(trace),
                           .span_id = test_span(span),
                           .name = WB_S("work"),
                           .kind = WB_SPAN_INTERNAL,
                           .start_ns = start_ns,
                           .end_ns = start_ns + 5};
}

static void a_held_lock_is_an_outage_and_its_end_ends_it(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, 1), WB_OK);
    WB_AUTO(wb_pg) other = connect_to(admin(f));
    wb_error err = {0};
    assert_int_equal(
        wb_pg_exec(other, "BEGIN; LOCK TABLE waybill.spans IN ACCESS EXCLUSIVE MODE", &err), WB_OK);
    wb_status status = send_some(f, f->records, CONTRACT_RECORDS, 700, &err);
    assert_true(status == WB_ERR_UNAVAILABLE || status == WB_ERR_TIMEOUT);
    assert_int_equal(wb_pg_exec(other, "ROLLBACK", &err), WB_OK);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void what_a_broken_connection_left_behind_is_waited_for(void **state)
{
    contract_fixture *f = *state;
    contract_fixture again = *f; /* the same journal by another connection */
    contract_open(&again);
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    assert_int_equal(contract_send(&again, 0, CONTRACT_RECORDS), WB_OK);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_close(&again);
    contract_holds_all(f);
    assert_int_equal(number(admin(f), "SELECT sum(span_count)::bigint FROM waybill.trace_parts"),
                     CONTRACT_SPANS);
}

static void a_lost_right_is_said_with_the_command_that_gives_it_back(void **state)
{
    contract_fixture *f = *state;
    runf(admin(f), "REVOKE INSERT ON waybill.spans FROM " WRITER);
    send_says(f, WB_ERR_UNAVAILABLE, "permission denied", "waybill store migrate --writer");
    runf(admin(f), "SELECT waybill.grant_writer('" WRITER "')");
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void a_writer_can_add_and_do_no_more(void **state)
{
    contract_fixture *f = *state;
    wb_error err = {0};
    static const char *const forbidden[] = {
        "DELETE FROM waybill.spans",
        "UPDATE waybill.spans SET name = 'other'",
        "TRUNCATE waybill.spans",
        "DROP TABLE waybill.spans",
        "SELECT span FROM waybill.spans",
        "DELETE FROM waybill.delegations",
        "UPDATE waybill.sidecars SET journal_id = '\\x00'",
        "SELECT waybill.prune(interval '1 day')",
        ("SELECT waybill.grant_writer('" WRITER "')"),
        "CREATE TABLE waybill.mine (x int)",
        "INSERT INTO waybill.migrations VALUES (99, 'x', 99, now(), 'x')",
    };
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    WB_AUTO(wb_pg) pg = connect_to(((server_far *)f->far)->url);
    for (size_t i = 0; i < WB_COUNT(forbidden); i++) {
        if (wb_pg_exec(pg, forbidden[i], &err) == WB_OK) fail_msg("may: %s", forbidden[i]);
        if (!strstr(err.detail, "42501")) fail_msg("%s: %s", forbidden[i], err.detail);
    }
}

static void without_a_schema_the_words_name_the_command(void **state)
{
    contract_fixture *f = *state;
    runf(admin(f), "DROP SCHEMA waybill CASCADE");
    send_says(f, WB_ERR_UNAVAILABLE, "no Waybill schema", "waybill store migrate");
    assert_int_equal(
        number(admin(f), "SELECT count(*) FROM pg_namespace WHERE nspname = 'waybill'"), 0);
}

static void it_migrates_only_where_it_is_told_to(void **state)
{
    contract_fixture *f = *state;
    server_far *far = f->far;
    runf(admin(f), "DROP SCHEMA waybill CASCADE");
    far->config.url = far->admin_url;
    far->config.migrate = true;
    contract_close(f);
    contract_open(f);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void a_newer_schema_is_used_if_it_says_that_it_may_be_and_else_left_alone(void **state)
{
    contract_fixture *f = *state;
    runf(admin(f), "INSERT INTO waybill.migrations VALUES (98, '0098_minor', 1, now(), '9')");
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    runf(admin(f), "INSERT INTO waybill.migrations VALUES (99, '0099_major', 99, now(), '9')");
    contract_close(f);
    contract_open(f);
    send_says(f, WB_ERR_UNAVAILABLE, "99", "upgrade it");
    assert_int_equal(count(f->far, "spans"), 8);
    runf(admin(f), "DELETE FROM waybill.migrations WHERE version = 99");
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void an_older_schema_is_refused_and_the_words_name_the_command(void **state)
{
    contract_fixture *f = *state;
    runf(admin(f), "UPDATE waybill.migrations SET version = version - 1");
    send_says(f, WB_ERR_UNAVAILABLE, "", "run: waybill store migrate");
    assert_int_equal(count(f->far, "spans"), 0);
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Another day, so another partition, which no unique key sees. */
static void the_first_write_of_a_span_wins_whatever_its_start(void **state)
{
    contract_fixture *f = *state;
    const uint64_t day = 86400 * WB_NS_PER_S;
    uint64_t now = wb_now(&wb_system_clock);
    assert_int_equal(send_span_at(f, 1, a_draft(1, 1, now)), WB_OK);
    assert_int_equal(send_span_at(f, 2, a_draft(1, 1, now - day)), WB_OK);
    assert_int_equal(send_span_at(f, 3, a_draft(1, 1, now + 1000)), WB_OK);
    assert_int_equal(send_span_at(f, 4, a_draft(1, 1, 0)), WB_OK);
    assert_int_equal(count(f->far, "spans"), 1);
    assert_int_equal(number(admin(f), "SELECT started_ns FROM waybill.spans"), now);
    assert_int_equal(number(admin(f), "SELECT sum(span_count)::bigint FROM waybill.trace_parts"),
                     1);
}

static void send_same_spans(contract_fixture *f, uint32_t sidecar, uint64_t start_ns)
{
    enum { TRACES = 40 };
    wb_error err = {0};
    f->origin.journal_id = test_id(2000 + sidecar);
    contract_open(f);
    for (uint32_t round = 0; round < 5; round++) {
        wb_span_draft drafts[TRACES];
        WB_AUTO_BUFFER bytes;
        wb_buffer_init(&bytes, 1 << 20);
        for (uint32_t i = 0; i < TRACES; i++) { /* each sidecar in an order of its own */
            uint32_t n = sidecar % 2 ? i : TRACES - 1 - i;
            drafts[i] = a_draft(1 + n, 1 + round, start_ns + sidecar * 1000 + n);
        }
        const wb_span_origin origin = {.scope_name = WB_S("test")};
        if (wb_span_batch_build(&origin, drafts, TRACES, &bytes, &err) != WB_OK) _exit(3);
        wb_record_view record = {
            .kind = WB_ENTRY_SPANS, .seq = 1 + round, .payload = wb_buffer_slice(&bytes)};
        if (send_some(f, &record, 1, 20000, &err) != WB_OK) {
            (void)fprintf(stderr, "sidecar %u: %s\n", sidecar, err.detail);
            _exit(4);
        }
    }
    contract_close(f);
    _exit(0);
}

/* All at once, in opposite orders, each with starts of its own: no deadlock, and each span once. */
static void sidecars_that_write_the_same_spans_at_once_store_each_once(void **state)
{
    enum { SIDECARS = 4 };
    contract_fixture *f = *state;
    pid_t pids[SIDECARS];
    uint64_t now = wb_now(&wb_system_clock);
    contract_close(f);
    for (uint32_t i = 0; i < SIDECARS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) send_same_spans(f, i, now);
    }
    for (uint32_t i = 0; i < SIDECARS; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count(f->far, "spans"), 200);
    assert_int_equal(number(admin(f), "SELECT sum(span_count)::bigint FROM waybill.trace_parts"),
                     200);
    assert_int_equal(number(admin(f), "SELECT deadlocks FROM pg_stat_database"
                                      " WHERE datname = current_database()"),
                     0);
}

static void another_sidecar_cannot_overwrite_a_delegation(void **state)
{
    contract_fixture *f = *state;
    char name[32];
    assert_int_equal(contract_send(f, 1, 1), WB_OK);
    contract_fixture other = *f;
    wb_error err;
    other.origin.journal_id = test_id(78);
    contract_open(&other);
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_delegation_payload(&bytes, &(test_delegation_spec){.id = 1,
                                                            .trace = 1,
                                                            .span = 66,
                                                            .version = 50,
                                                            .state = WB_DELEGATION_FAILED,
                                                            .opened_ms = 1});
    wb_record_view record = {
        .kind = WB_ENTRY_DELEGATION, .seq = 1, .payload = wb_buffer_slice(&bytes)};
    assert_int_equal(send_some(&other, &record, 1, 2000, &err), WB_OK);
    contract_close(&other);
    server_delegation_state(f->far, 1, name);
    assert_string_equal(name, "sent");
    assert_int_equal(count(f->far, "trace_parts"), 1);
}

/* ---- values --------------------------------------------------------------------------------- */

static void dates_far_away_go_to_the_default_partition(void **state)
{
    contract_fixture *f = *state;
    static const struct {
        uint64_t start_ns;
        const char *partition;
    } cases[] = {
        {0, "spans_default"},
        {1, "spans_default"},
        {UINT64_C(9214646400) * WB_NS_PER_S, "spans_default"}, /* 2262-01-01 */
        {INT64_MAX - 10, "spans_default"},
        {UINT64_MAX - 10, "spans_default"}, /* 2554; kept as the last that fits */
    };
    for (uint32_t i = 0; i < WB_COUNT(cases); i++)
        assert_int_equal(send_span_at(f, 1 + i, a_draft(1 + i, 1, cases[i].start_ns)), WB_OK);
    assert_int_equal(count(f->far, "spans_default"), WB_COUNT(cases));
    assert_int_equal(number(admin(f), "SELECT max(started_ns) FROM waybill.spans"), INT64_MAX);
    assert_int_equal(number(admin(f), "SELECT count(*) FROM waybill.spans"
                                      " WHERE extract(year FROM started_at) IN (1970, 2262)"),
                     WB_COUNT(cases));
    assert_int_equal(send_span_at(f, 90, a_draft(90, 1, wb_now(&wb_system_clock))), WB_OK);
    assert_int_equal(count(f->far, "spans_default"), WB_COUNT(cases)); /* today has its own */
}

static void a_day_that_came_late_takes_its_rows_out_of_the_default_partition(void **state)
{
    contract_fixture *f = *state;
    wb_pg_version v;
    int64_t made = 0;
    wb_error err = {0};
    WB_AUTO(wb_pg) pg = connect_to(admin(f));
    assert_int_equal(send_span_at(f, 1, a_draft(1, 1, wb_now(&wb_system_clock))), WB_OK);
    assert_int_equal(wb_pg_read_version(pg, &v, &err), WB_OK);
    runf(admin(f),
         "DO $$ DECLARE p text := 'spans_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD');"
         " BEGIN EXECUTE format('CREATE TABLE x AS SELECT * FROM waybill.%%I', p);"
         " EXECUTE format('DROP TABLE waybill.%%I', p);"
         " INSERT INTO waybill.spans_default SELECT * FROM x; DROP TABLE x; END $$");
    assert_int_equal(count(f->far, "spans_default"), 1);
    assert_int_equal(wb_pg_make_days(pg, &made, &err), WB_OK);
    assert_true(made > 0);
    assert_int_equal(count(f->far, "spans_default"), 0);
    assert_int_equal(count(f->far, "spans"), 1);
}

/* What Postgres refuses in text, an OTLP string may have. The message itself is kept as it came. */
static void texts_with_nul_and_broken_bytes_are_stored(void **state)
{
    contract_fixture *f = *state;
    char big[9000];
    memset(big, 'x', sizeof big);
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("session.id", WB_S("a\0b")),
                                  WB_ATTR_TEXT("error.type", wb_slice_of(big, sizeof big))};
    wb_span_draft draft = a_draft(1, 1, wb_now(&wb_system_clock));
    draft.name = WB_S("zero\0in the middle \xF0\x9F\x9A\x80");
    draft.attrs = attrs;
    draft.attr_count = WB_COUNT(attrs);
    assert_int_equal(send_span_at(f, 1, draft), WB_OK);
    assert_int_equal(number(admin(f), "SELECT count(*) FROM waybill.spans WHERE name ="
                                      " E'zero\\uFFFDin the middle \\U0001F680'"
                                      " AND session_id = E'a\\uFFFDb' AND length(error_type) = 9000"
                                      " AND position('\\x7a65726f00696e'::bytea IN span) > 0"),
                     1);
    WB_AUTO_BUFFER bytes;
    wb_error err;
    wb_buffer_init(&bytes, 1 << 20);
    test_spans_payload(&bytes, &(test_span_spec){.trace = 9, .span = 9, .name = "ABCDEFGH"}, 1);
    for (size_t i = 0; i + 8 <= bytes.len; i++)
        if (memcmp(bytes.ptr + i, "ABCDEFGH", 8) == 0)
            memcpy(bytes.ptr + i,
                   "\xFF\xC0\x80"
                   "A\xED\xA0\x80Z",
                   8); /* no UTF-8 */
    wb_record_view record = {.kind = WB_ENTRY_SPANS, .seq = 2, .payload = wb_buffer_slice(&bytes)};
    assert_int_equal(send_some(f, &record, 1, 2000, &err), WB_OK);
    assert_int_equal(count(f->far, "spans"), 2);
}

static void a_batch_of_65536_spans_is_one_transaction(void **state)
{
    enum { A_RECORD = 1024, RECORDS = 64 };
    contract_fixture *f = *state;
    static wb_buffer bytes[RECORDS];
    static wb_record_view records[RECORDS];
    static wb_span_draft spans[A_RECORD];
    const wb_span_origin origin = {.scope_name = WB_S("test")};
    wb_error err;
    for (uint32_t i = 0; i < RECORDS; i++) {
        for (uint32_t k = 0; k < A_RECORD; k++)
            spans[k] = a_draft(1 + k % 100, 1 + i * A_RECORD + k, TEST_T0 + i);
        wb_buffer_init(&bytes[i], 4 << 20);
        assert_int_equal(wb_span_batch_build(&origin, spans, A_RECORD, &bytes[i], &err), WB_OK);
        records[i] = (wb_record_view){WB_ENTRY_SPANS, 1 + i, 0, wb_buffer_slice(&bytes[i])};
    }
    if (send_some(f, records, RECORDS, 120000, &err) != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(count(f->far, "spans"), RECORDS * A_RECORD);
    assert_int_equal(number(admin(f), "SELECT count(DISTINCT xmin::text) FROM waybill.spans"), 1);
    assert_int_equal(number(admin(f), "SELECT sum(span_count)::bigint FROM waybill.trace_parts"),
                     RECORDS * A_RECORD);
    if (send_some(f, records, RECORDS, 120000, &err) != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(count(f->far, "spans"), RECORDS * A_RECORD);
    for (uint32_t i = 0; i < RECORDS; i++) wb_buffer_done(&bytes[i]);
}

/* ---- connections ---------------------------------------------------------------------------- */

static int64_t sessions(contract_fixture *f)
{
    return number(server_url(),
                  "SELECT count(*) FROM pg_stat_activity WHERE usename = '" WRITER "'");
    (void)f;
}

static void an_idle_connection_ends_and_the_next_send_makes_another(void **state)
{
    contract_fixture *f = *state;
    server_far *far = f->far;
    far->config.idle_timeout_ms = 60000;
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    f->ops->exporter->idle(f->exporter);
    assert_int_equal(sessions(f), 1);
    far->config.idle_timeout_ms = 1;
    (void)usleep(5000);
    f->ops->exporter->idle(f->exporter);
    for (int i = 0; i < 500 && sessions(f) > 0; i++) (void)usleep(10000);
    assert_int_equal(sessions(f), 0);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void a_server_that_restarted_meanwhile_costs_no_send(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    runf(server_url(),
         "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" WRITER "'");
    for (int i = 0; i < 500 && sessions(f) > 0; i++) (void)usleep(10000);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void retention_drops_whole_days_and_is_refused_at_once_where_it_is_not_allowed(void **state)
{
    contract_fixture *f = *state;
    server_far *far = f->far;
    const uint64_t day = 86400 * WB_NS_PER_S;
    uint64_t now = wb_now(&wb_system_clock);
    assert_int_equal(send_span_at(f, 1, a_draft(1, 1, now)), WB_OK);
    assert_int_equal(send_span_at(f, 2, a_draft(2, 1, now - 10 * day)), WB_OK);
    assert_int_equal(send_span_at(f, 3, a_draft(3, 1, day)), WB_OK); /* 1970 */
    assert_int_equal(number(admin(f), "SELECT count(*) FROM waybill.spans_default"), 1);
    far->config.retention_s = 7 * 86400;
    contract_close(f);
    contract_open(f);
    send_says(f, WB_ERR_UNAVAILABLE, "retention is set", "GRANT EXECUTE");
    runf(admin(f), "GRANT EXECUTE ON FUNCTION waybill.prune TO " WRITER);
    assert_int_equal(send_span_at(f, 4, a_draft(4, 1, now)), WB_OK);
    assert_int_equal(count(far, "spans"), 2);
    assert_int_equal(count(far, "trace_parts"), 2);
    assert_int_equal(count(far, "trace_windows"), 2);
    assert_int_equal(number(admin(f), "SELECT count(*) FROM pg_tables WHERE schemaname = 'waybill'"
                                      " AND tablename ~ '_[0-9]{8}$' AND right(tablename, 8) <"
                                      " to_char(now() - interval '9 days', 'YYYYMMDD')"),
                     0);
}

static void a_password_is_in_no_error(void **state)
{
    contract_fixture *f = *state;
    server_far *far = f->far;
    static const char *const urls[] = {
        "postgres://someone:s3cr3t@127.0.0.1:1/x",
        "postgres://s3cr3t:s3cr3t@127.0.0.1:1/x",
        "postgres://s3cr3t.invalid/x?password=s3cr3t",
        "host=s3cr3t.invalid dbname=x user=u password=s3cr3t",
    };
    for (size_t i = 0; i < WB_COUNT(urls); i++) {
        wb_error err;
        far->config.url = urls[i];
        contract_close(f);
        contract_open(f);
        assert_int_equal(send_some(f, f->records, 1, 2000, &err), WB_ERR_UNAVAILABLE);
        if (strstr(err.detail, "s3cr3t")) fail_msg("%s", err.detail);
        assert_true(err.detail[0] != '\0');
    }
    static const char *const unreadable[] = {
        "host=x s3cr3t",
        "postgres://u:p@s3cr3t@h/x",
        "postgres://u:s3%cr3t@h/x",
        "host = 'x' password = 's3cr3t",
        "postgres://u:s3cr3t@h:port:s3cr3t/x",
    };
    for (size_t i = 0; i < WB_COUNT(unreadable); i++) {
        wb_error err = {0};
        assert_int_equal(wb_pg_check_url(unreadable[i], &err), WB_ERR_CONFIG);
        if (strstr(err.detail, "s3") || strstr(err.detail, "cr3t")) fail_msg("%s", err.detail);
    }
}

/* ---- following ------------------------------------------------------------------------------ */

typedef struct seen {
    int spans, logs, delegations, acceptances;
    wb_status answer; /* to the next span */
} seen;

static wb_status see_span(void *ctx, const wb_stored_span *row)
{
    seen *s = ctx;
    (void)row;
    s->spans++;
    return s->answer;
}

static wb_status see_delegation(void *ctx, const wb_stored_delegation *row)
{
    (void)row;
    ((seen *)ctx)->delegations++;
    return WB_OK;
}

static wb_status see_acceptance(void *ctx, const wb_stored_acceptance *row)
{
    (void)row;
    ((seen *)ctx)->acceptances++;
    return WB_OK;
}

static wb_status see_log(void *ctx, const wb_stored_log *row)
{
    (void)row;
    ((seen *)ctx)->logs++;
    return WB_OK;
}

static const wb_arrivals see = {
    .span = see_span, .log = see_log, .delegation = see_delegation, .acceptance = see_acceptance};

static void follow(wb_follow *f, wb_store *store, seen *out)
{
    wb_error err = {0};
    if (wb_follow_read(f, store, &see, out, &err) != WB_OK) fail_msg("%s", err.detail);
}

/* What commits late has numbers below those that were read: it is seen all the same, and once. */
static void a_reader_that_follows_misses_nothing_and_sees_nothing_twice(void **state)
{
    contract_fixture *f = *state;
    contract_fixture other = *f;
    WB_AUTO(wb_store) store = NULL;
    WB_AUTO(wb_follow) all = wb_follow_new();
    WB_AUTO(wb_follow) last = wb_follow_new();
    wb_error err = {0};
    bool changed = false;
    seen s = {0};
    assert_int_equal(wb_store_open(admin(f), &store, &err), WB_OK);
    assert_int_equal(wb_store_changed(store, &changed, &err), WB_OK);
    assert_true(changed);
    assert_int_equal(wb_store_changed(store, &changed, &err), WB_OK);
    assert_false(changed);
    WB_AUTO(wb_pg) late = connect_to(admin(f)); /* took its numbers, and sleeps */
    assert_int_equal(
        wb_pg_exec(late,
                   "BEGIN;"
                   " INSERT INTO waybill.sidecars (journal_id, agent_id, name, version,"
                   " isolation, first_seen_ns, last_seen_ns) VALUES"
                   " (decode(repeat('ab', 16), 'hex'), 'a', 'late', '0', 'none', 1, 1);"
                   " INSERT INTO waybill.spans (trace_id, span_id, started_at, name, kind,"
                   " started_ns, ended_ns, status, sidecar_id, seq, entry, span)"
                   " SELECT decode(repeat('cd', 16), 'hex'), decode(repeat('ef', 8), 'hex'),"
                   " now(), 'late', 'server', 1, 2, 'ok', sidecar_id, 1, 0, 'x'"
                   " FROM waybill.sidecars WHERE name = 'late';"
                   " INSERT INTO waybill.delivered VALUES"
                   " (decode(repeat('ab', 16), 'hex'), 1, 0)",
                   &err),
        WB_OK);
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    assert_int_equal(wb_store_changed(store, &changed, &err), WB_OK);
    assert_true(changed);
    follow(all, store, &s);
    assert_int_equal(s.spans, 8);
    assert_int_equal(s.delegations, 1);
    assert_int_equal(wb_follow_from_now(last, store, 3, &err), WB_OK);
    assert_int_equal(wb_pg_exec(late, "COMMIT", &err), WB_OK);
    other.origin.journal_id = test_id(78);
    contract_open(&other);
    assert_int_equal(contract_send(&other, 0, CONTRACT_RECORDS), WB_OK);
    contract_close(&other);
    s = (seen){.answer = WB_ERR_FULL}; /* gives up at the first one: that one counts as seen */
    assert_int_equal(wb_follow_read(all, store, &see, &s, &err), WB_ERR_FULL);
    s.answer = WB_OK;
    follow(all, store, &s);
    assert_int_equal(s.spans, 1 + 4);
    assert_int_equal(s.acceptances, 1);
    follow(all, store, &s);
    assert_int_equal(s.spans, 1 + 4);
    s = (seen){0};
    follow(last, store, &s);
    assert_int_equal(s.spans, 3 + 1 + 4);
}

/* ---- logs ----------------------------------------------------------------------------------- */

static wb_status take_log(void *ctx, const wb_stored_log *row)
{
    (void)snprintf(ctx, 200, "%.*s|%.*s|%u|%llu", WB_SLICE_ARG(row->body),
                   WB_SLICE_ARG(row->event_name), row->severity, (unsigned long long)row->time_ns);
    return WB_OK;
}

static void log_records_are_stored_once_with_a_trace_and_without(void **state)
{
    contract_fixture *f = *state;
    char found[200] = "";
    wb_error err = {0};
    seen s = {0};
    const wb_trace_id none = {{0}}, one = test_trace(1);
    WB_AUTO(wb_store) store = NULL;
    WB_AUTO(wb_follow) all = wb_follow_new();
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    const wb_otlp_attr service = WB_ATTR_TEXT("service.name", WB_S("agent"));
    const wb_span_origin origin = {
        .resource = &service, .resource_count = 1, .scope_name = WB_S("test")};
    const wb_log_draft logs[] = {{.trace_id = one,
                                  .span_id = test_span(1),
                                  .time_ns = TEST_T0,
                                  .severity = WB_SEVERITY_WARN,
                                  .event_name = WB_S("it.happened"),
                                  .body = WB_S("a body\0 with a zero")},
                                 {.observed_ns = 77, .body = WB_S("of no trace")}};
    assert_int_equal(wb_log_batch_build(&origin, logs, WB_COUNT(logs), &bytes, &err), WB_OK);
    wb_record_view record = {.kind = WB_ENTRY_LOGS, .seq = 1, .payload = wb_buffer_slice(&bytes)};
    if (send_some(f, &record, 1, 2000, &err) != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(send_some(f, &record, 1, 2000, &err), WB_OK);
    assert_int_equal(count(f->far, "logs"), 2);
    assert_int_equal(count(f->far, "resources"), 1);
    record.payload = WB_S("no logs");
    record.seq = 2;
    assert_int_equal(send_some(f, &record, 1, 2000, &err), WB_ERR_REJECTED);
    assert_int_equal(wb_store_open(admin(f), &store, &err), WB_OK);
    assert_int_equal(wb_store_logs(store, &one, 0, take_log, found, &err), WB_OK);
    assert_string_equal(found, "a body\xEF\xBF\xBD with a zero|it.happened|13|1767323045000000000");
    assert_int_equal(wb_store_logs(store, &none, 5, take_log, found, &err), WB_OK);
    assert_string_equal(found, "of no trace||0|77");
    follow(all, store, &s);
    assert_int_equal(s.logs, 2);
    follow(all, store, &s);
    assert_int_equal(s.logs, 2);
}

/* In one frame's batch, beside spans of the same resource. */
static void log_records_and_spans_share_their_resources(void **state)
{
    contract_fixture *f = *state;
    wb_error err = {0};
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    const wb_otlp_attr service = WB_ATTR_TEXT("service.name", WB_S("agent"));
    const wb_span_origin origin = {.resource = &service,
                                   .resource_count = 1,
                                   .scope_name = WB_S("test"),
                                   .scope_version = WB_S("1")};
    const wb_log_draft log = {.trace_id = test_trace(1), .time_ns = TEST_T0, .body = WB_S("x")};
    assert_int_equal(wb_log_batch_build(&origin, &log, 1, &bytes, &err), WB_OK);
    wb_record_view records[CONTRACT_RECORDS + 1];
    memcpy(records, f->records, sizeof f->records);
    records[CONTRACT_RECORDS] =
        (wb_record_view){.kind = WB_ENTRY_LOGS, .seq = 9, .payload = wb_buffer_slice(&bytes)};
    assert_int_equal(send_some(f, records, WB_COUNT(records), 2000, &err), WB_OK);
    contract_holds_all(f);
    assert_int_equal(count(f->far, "logs"), 1);
    assert_int_equal(number(admin(f), "SELECT count(*) FROM waybill.logs JOIN waybill.resources"
                                      " USING (resource_id) JOIN waybill.scopes USING (scope_id)"),
                     1);
    assert_int_equal(count(f->far, "resources"), 1);
}

#define SERVER_TEST(f)                                                                             \
    cmocka_unit_test_prestate_setup_teardown(f, contract_set_up, contract_tear_down,               \
                                             (void *)&server_ops)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_held_lock_is_an_outage_and_its_end_ends_it),
        SERVER_TEST(what_a_broken_connection_left_behind_is_waited_for),
        SERVER_TEST(a_lost_right_is_said_with_the_command_that_gives_it_back),
        SERVER_TEST(a_writer_can_add_and_do_no_more),
        SERVER_TEST(without_a_schema_the_words_name_the_command),
        SERVER_TEST(it_migrates_only_where_it_is_told_to),
        SERVER_TEST(a_newer_schema_is_used_if_it_says_that_it_may_be_and_else_left_alone),
        SERVER_TEST(an_older_schema_is_refused_and_the_words_name_the_command),
        SERVER_TEST(the_first_write_of_a_span_wins_whatever_its_start),
        SERVER_TEST(sidecars_that_write_the_same_spans_at_once_store_each_once),
        SERVER_TEST(another_sidecar_cannot_overwrite_a_delegation),
        SERVER_TEST(dates_far_away_go_to_the_default_partition),
        SERVER_TEST(a_day_that_came_late_takes_its_rows_out_of_the_default_partition),
        SERVER_TEST(texts_with_nul_and_broken_bytes_are_stored),
        SERVER_TEST(a_batch_of_65536_spans_is_one_transaction),
        SERVER_TEST(an_idle_connection_ends_and_the_next_send_makes_another),
        SERVER_TEST(a_server_that_restarted_meanwhile_costs_no_send),
        SERVER_TEST(retention_drops_whole_days_and_is_refused_at_once_where_it_is_not_allowed),
        SERVER_TEST(a_password_is_in_no_error),
        SERVER_TEST(log_records_are_stored_once_with_a_trace_and_without),
        SERVER_TEST(log_records_and_spans_share_their_resources),
        SERVER_TEST(a_reader_that_follows_misses_nothing_and_sees_nothing_twice),
    };
    if (make_template(NULL) != 0) return 1;
    int failed = exporter_contract_run(&server_ops);
    return failed + cmocka_run_group_tests_name("postgres servers", tests, NULL, NULL);
}
