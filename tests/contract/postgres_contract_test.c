/* SPDX-License-Identifier: Apache-2.0 */
/* The battery against a real Postgres, then what only a server has: locks, roles, partitions, versions,
 * texts that it refuses. The server is WAYBILL_TEST_POSTGRES, its superuser's URL (tests/support/postgres.py
 * starts one); each test has a database of its own, copied from one that was migrated once, and writes to it
 * as a role that may do no more than a writer may. */
#include "core/clock.h"
#include "exporters/postgres/postgres.h"
#include "proto/span_batch.h"
#include "store/postgres/migrate.h"
#include "store/store.h"
#include "tests/contract/exporter_contract.h"

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
    wb_error err = {0};
    (void)state;
    make_url(url, "postgres", TEMPLATE);
    runf(server_url(), "DROP DATABASE IF EXISTS %s", TEMPLATE);
    runf(server_url(), "DROP ROLE IF EXISTS %s", WRITER);
    runf(server_url(), "CREATE ROLE %s LOGIN", WRITER);
    runf(server_url(), "CREATE DATABASE %s", TEMPLATE);
    WB_AUTO(wb_pg) pg = connect_to(url);
    if (wb_pg_migrate(pg, NULL, NULL, &err) != WB_OK) fail_msg("%s", err.detail);
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

typedef struct wanted_state {
    uint32_t id;
    char *out;
} wanted_state;

static wb_status take_state(void *ctx, const wb_stored_delegation *row)
{
    wanted_state *wanted = ctx;
    wb_id id = test_id(wanted->id);
    if (WB_ID_EQ(row->delegation_id, id))
        (void)snprintf(wanted->out, 32, "%.*s", WB_SLICE_ARG(row->state));
    return WB_OK;
}

static void server_delegation_state(void *self, uint32_t id, char out[32])
{
    WB_AUTO(wb_store) store = NULL;
    wb_error err = {0};
    wanted_state wanted = {id, out};
    out[0] = '\0';
    if (wb_store_open(((server_far *)self)->admin_url, &store, &err) != WB_OK)
        fail_msg("%s", err.detail);
    if (wb_store_delegations(store, &(wb_delegation_filter){0}, take_state, &wanted, &err) != WB_OK)
        fail_msg("%s", err.detail);
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

int main(void)
{
    if (make_template(NULL) != 0) return 1;
    int failed = exporter_contract_run(&server_ops);
    return failed;
}
