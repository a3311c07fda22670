/* SPDX-License-Identifier: Apache-2.0 */
/* libpq without its blocking calls: the socket does not block, and every wait is a poll up to the
 * deadline. Names are the exception: libpq asks the resolver itself, for as long as resolv.conf says.
 *
 * The password may stand in the URL, in a file of ours, in libpq's passfile or in PGPASSWORD. It is read at
 * each connect, so that a rotated one is found, and kept as long as the connection only to be able to hide
 * it: libpq quotes parts of a URL that it cannot read. */
#include "store/postgres/connection.h"

#include "core/clock.h"
#include "core/files.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 250, PASSWORD_MAX = 1024, OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25 };

struct wb_pg {
    PGconn *conn;
    uint64_t deadline_ns;          /* monotonic */
    const atomic_ullong *until_ns; /* NULL: only that counts */
    char password[PASSWORD_MAX + 1];
};

PGconn *wb_pg_handle(wb_pg *pg) { return pg->conn; }

void wb_pg_set_timeout(wb_pg *pg, uint32_t timeout_ms)
{
    pg->deadline_ns = wb_mono(&wb_system_clock) + timeout_ms * WB_NS_PER_MS;
}

uint32_t wb_pg_time_left_ms(const wb_pg *pg)
{
    uint64_t now = wb_mono(&wb_system_clock);
    uint64_t left = pg->deadline_ns > now ? (pg->deadline_ns - now) / WB_NS_PER_MS : 0;
    return left > 0 ? (uint32_t)left : 1;
}

void wb_pg_hide_password(const wb_pg *pg, char *text)
{
    size_t len = strlen(pg->password);
    if (len == 0) return;
    for (char *at; (at = strstr(text, pg->password)) != NULL;) {
        size_t stars = len < 3 ? len : 3;
        memset(at, '*', stars);
        memmove(at + stars, at + len, strlen(at + len) + 1);
        if (strspn(pg->password, "*") == len) return; /* it looks like this */
    }
}

/* ---- waiting -------------------------------------------------------------------------------- */

static uint64_t end_of(const wb_pg *pg)
{
    uint64_t until_ns = pg->until_ns ? atomic_load(pg->until_ns) : 0;
    return until_ns > 0 && until_ns < pg->deadline_ns ? until_ns : pg->deadline_ns;
}

static wb_status wait_for(wb_pg *pg, short events, wb_error *err)
{
    struct pollfd fd = {.fd = PQsocket(pg->conn), .events = events};
    uint64_t most_ms = pg->until_ns ? LOOK_MS : INT32_MAX; /* somebody may begin to hurry */
    for (;;) {
        uint64_t now = wb_mono(&wb_system_clock), end = end_of(pg);
        if (now >= end)
            return wb_fail(err, WB_ERR_TIMEOUT, "postgres: no answer within the time given to it");
        uint64_t left_ms = (end - now) / WB_NS_PER_MS + 1;
        int n = poll(&fd, 1, (int)(left_ms > most_ms ? most_ms : left_ms));
        if (n > 0) return WB_OK;
        if (n < 0 && errno != EINTR)
            return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "postgres: poll");
    }
}

/* All that is queued goes out; what comes in meanwhile is taken, or both sides would wait. */
static wb_status flush(wb_pg *pg, wb_error *err)
{
    int rv;
    while ((rv = PQflush(pg->conn)) == 1) {
        WB_TRY(wait_for(pg, POLLIN | POLLOUT, err));
        if (!PQconsumeInput(pg->conn)) return wb_pg_fail(pg, NULL, err);
    }
    return rv == 0 ? WB_OK : wb_pg_fail(pg, NULL, err);
}

static wb_status next_result(wb_pg *pg, PGresult **out, wb_error *err)
{
    WB_TRY(flush(pg, err));
    while (PQisBusy(pg->conn)) {
        WB_TRY(wait_for(pg, POLLIN, err));
        if (!PQconsumeInput(pg->conn)) return wb_pg_fail(pg, NULL, err);
    }
    *out = PQgetResult(pg->conn);
    return WB_OK;
}

static bool is_good(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_IN:
    case PGRES_PIPELINE_SYNC: return true;
    default: return false;
    }
}

/* Reads to the end of the statement's answers. Keeps the last good one. */
static wb_status finish(wb_pg *pg, PGresult **out, wb_error *err)
{
    wb_status status = WB_OK;
    WB_AUTO(wb_pg_result) kept = NULL;
    for (;;) {
        PGresult *result = NULL;
        WB_TRY(next_result(pg, &result, status == WB_OK ? err : NULL));
        if (!result) break;
        if (!is_good(result) && status == WB_OK) status = wb_pg_fail(pg, result, err);
        wb_pg_result_free(kept);
        kept = result;
        if (PQresultStatus(result) == PGRES_COPY_IN) break;
        if (PQstatus(pg->conn) == CONNECTION_BAD) break;
    }
    if (status == WB_OK && out) *out = WB_STEAL(kept);
    return status;
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* One line, of a file that others cannot read. */
static wb_status read_password(const char *path, char out[PASSWORD_MAX + 1], wb_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "password_file %.90s", path);
    ssize_t n = fstat(fd, &st) == 0 ? read(fd, out, PASSWORD_MAX) : -1;
    (void)close(fd);
    if (n < 0) return wb_fail(err, WB_ERR_UNAVAILABLE, "password_file %.90s cannot be read", path);
    if (st.st_mode & 077)
        return wb_fail(err, WB_ERR_UNAVAILABLE,
                       "password_file %.80s: others can read it; chmod 600", path);
    out[n] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return WB_OK;
}

wb_status wb_pg_check_password_file(const char *path, wb_error *err)
{
    char password[PASSWORD_MAX + 1];
    wb_status status = read_password(path, password, err);
    explicit_bzero(password, sizeof password);
    if (status == WB_OK) return WB_OK;
    if (err) err->status = WB_ERR_CONFIG;
    return WB_ERR_CONFIG;
}

/* The password of the URL, so that it can be hidden. */
static void note_password(wb_pg *pg, const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (strcmp(o->keyword, "password") == 0 && o->val)
            (void)snprintf(pg->password, sizeof pg->password, "%s", o->val);
    PQconninfoFree(options);
}

static void start(wb_pg *pg, const wb_pg_target *target)
{
    /* Later ones win: the url over our defaults, our file over the url. */
    const char *keys[10] = {"fallback_application_name",
                            "keepalives_idle",
                            "tcp_user_timeout",
                            "gssencmode",
                            "dbname",
                            "client_encoding"};
    const char *values[10] = {"waybill", "30", "20000", "disable", target->url, "UTF8"};
    if (target->password_file) {
        keys[6] = "password";
        values[6] = pg->password;
    }
    pg->conn = PQconnectStartParams(keys, values, 1);
}

static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

static wb_status log_in(wb_pg *pg, wb_error *err)
{
    if (!pg->conn) return wb_fail(err, WB_ERR_NO_MEMORY, "postgres: no memory");
    PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
    for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;) {
        if (next == PGRES_POLLING_FAILED || PQstatus(pg->conn) == CONNECTION_BAD)
            return wb_pg_fail(pg, NULL, err);
        WB_TRY(wait_for(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, err));
        next = PQconnectPoll(pg->conn);
    }
    if (PQsetnonblocking(pg->conn, 1) != 0) return wb_pg_fail(pg, NULL, err);
    const char *encoding = PQparameterStatus(pg->conn, "server_encoding");
    if (encoding && strcmp(encoding, "UTF8") != 0)
        return wb_fail(err, WB_ERR_UNAVAILABLE,
                       "postgres: the database's encoding is %.20s: make one with UTF8", encoding);
    return WB_OK;
}

static wb_status connect_to(wb_pg *pg, const wb_pg_target *target, wb_error *err)
{
    note_password(pg, target->url);
    if (target->password_file) WB_TRY(read_password(target->password_file, pg->password, err));
    start(pg, target);
    return log_in(pg, err);
}

wb_status wb_pg_connect(const wb_pg_target *target, uint32_t timeout_ms, wb_pg **out, wb_error *err)
{
    WB_TRY(wb_pg_check_url(target->url, err));
    wb_pg *pg = calloc(1, sizeof *pg);
    if (!pg) return wb_fail(err, WB_ERR_NO_MEMORY, "postgres: no memory");
    pg->until_ns = target->until_ns;
    wb_pg_set_timeout(pg, timeout_ms);
    wb_status status = connect_to(pg, target, err);
    if (status == WB_OK)
        *out = pg;
    else
        wb_pg_close(pg);
    return status;
}

void wb_pg_close(wb_pg *pg)
{
    if (!pg) return;
    PQfinish(pg->conn);
    explicit_bzero(pg->password, sizeof pg->password);
    free(pg);
}

/* Between two statements a server says nothing but that it stops, or that its settings changed, after which
 * a new connection does no harm. */
bool wb_pg_is_gone(wb_pg *pg)
{
    struct pollfd fd = {.fd = PQsocket(pg->conn), .events = POLLIN};
    return PQstatus(pg->conn) != CONNECTION_OK || poll(&fd, 1, 0) > 0;
}

/* ---- statements ----------------------------------------------------------------------------- */

void wb_pg_result_free(wb_pg_result *result) { PQclear(result); }

static void add(wb_pg_params *p, unsigned type, const void *value, size_t len)
{
    WB_ASSERT(p->n < WB_PG_PARAMS_MAX);
    p->types[p->n] = type;
    p->values[p->n] = value;
    p->lengths[p->n++] = (int)len;
}

void wb_pg_add_number(wb_pg_params *p, int64_t number)
{
    uint64_t wire = htobe64((uint64_t)number);
    memcpy(p->numbers[p->n], &wire, sizeof wire);
    add(p, OID_INT8, p->numbers[p->n], sizeof wire);
}

void wb_pg_add_bytes(wb_pg_params *p, wb_slice bytes)
{
    add(p, OID_BYTEA, bytes.len ? bytes.ptr : NULL, bytes.len);
}

void wb_pg_add_text(wb_pg_params *p, wb_slice text)
{
    add(p, OID_TEXT, text.len ? text.ptr : NULL, text.len);
}

void wb_pg_add_number_or_null(wb_pg_params *p, int64_t number)
{
    if (number == 0)
        add(p, OID_INT8, NULL, 0);
    else
        wb_pg_add_number(p, number);
}

static bool send_one(wb_pg *pg, const char *sql, const wb_pg_params *params)
{
    static const int binary[WB_PG_PARAMS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const wb_pg_params none;
    if (!params) params = &none;
    return PQsendQueryParams(pg->conn, sql, params->n, params->types, params->values,
                             params->lengths, binary, 1) == 1;
}

wb_status wb_pg_exec(wb_pg *pg, const char *sql, wb_error *err)
{
    if (!PQsendQuery(pg->conn, sql)) return wb_pg_fail(pg, NULL, err);
    return finish(pg, NULL, err);
}

wb_status wb_pg_query(wb_pg *pg, const char *sql, const wb_pg_params *params, wb_pg_result **out,
                      wb_error *err)
{
    if (!send_one(pg, sql, params)) return wb_pg_fail(pg, NULL, err);
    return finish(pg, out, err);
}

wb_status wb_pg_each(wb_pg *pg, const char *sql, const wb_pg_params *params, uint32_t timeout_ms,
                     wb_status (*each)(void *ctx, const wb_pg_result *row), void *ctx,
                     wb_error *err)
{
    wb_status status = WB_OK;
    if (!send_one(pg, sql, params) || !PQsetSingleRowMode(pg->conn))
        return wb_pg_fail(pg, NULL, err);
    for (;;) {
        WB_AUTO(wb_pg_result) result = NULL;
        wb_pg_set_timeout(pg, timeout_ms);
        WB_TRY(next_result(pg, &result, err));
        if (!result) return status;
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            if (status == WB_OK) status = each(ctx, result);
        } else if (!is_good(result) && status == WB_OK) {
            status = wb_pg_fail(pg, result, err);
        }
    }
}

/* ---- pipelines ------------------------------------------------------------------------------ */

wb_status wb_pg_pipeline_begin(wb_pg_pipeline *p, wb_pg *pg, wb_error *err)
{
    *p = (wb_pg_pipeline){.pg = pg};
    return PQenterPipelineMode(pg->conn) ? WB_OK : wb_pg_fail(pg, NULL, err);
}

void wb_pg_pipeline_add(wb_pg_pipeline *p, const char *sql, const wb_pg_params *params)
{
    if (p->status == WB_OK && !send_one(p->pg, sql, params)) p->status = WB_ERR_UNAVAILABLE;
    p->n++;
}

/* One statement's answers; behind a failure the others are PGRES_PIPELINE_ABORTED. */
static wb_status pipeline_answer(wb_pg_pipeline *p, PGresult **out, wb_error *err)
{
    PGresult *result = NULL;
    WB_TRY(finish(p->pg, &result, p->status == WB_OK ? err : NULL));
    *out = result;
    return WB_OK;
}

wb_status wb_pg_pipeline_end(wb_pg_pipeline *p, int at, wb_pg_result **out, wb_error *err)
{
    PGconn *conn = p->pg->conn;
    PGresult *end = NULL;
    WB_AUTO(wb_pg_result) kept = NULL;
    if (p->status != WB_OK || !PQpipelineSync(conn)) return wb_pg_fail(p->pg, NULL, err);
    for (int i = 0; i < p->n; i++) {
        PGresult *result = NULL;
        wb_status status = pipeline_answer(p, &result, err);
        if (PQstatus(conn) == CONNECTION_BAD || status == WB_ERR_TIMEOUT) return status;
        if (p->status == WB_OK) p->status = status;
        if (i == at)
            kept = result;
        else
            wb_pg_result_free(result);
    }
    WB_TRY(next_result(p->pg, &end, p->status == WB_OK ? err : NULL)); /* the sync's own */
    wb_pg_result_free(end);
    if (!PQexitPipelineMode(conn)) return wb_pg_fail(p->pg, NULL, err);
    if (p->status == WB_OK && out) *out = WB_STEAL(kept);
    return p->status;
}

/* ---- COPY ----------------------------------------------------------------------------------- */

wb_status wb_pg_copy_begin(wb_pg *pg, const char *sql, wb_error *err)
{
    return wb_pg_exec(pg, sql, err);
}

wb_status wb_pg_copy_put(wb_pg *pg, wb_slice bytes, wb_error *err)
{
    for (;;) {
        int rv = PQputCopyData(pg->conn, (const char *)bytes.ptr, (int)bytes.len);
        if (rv < 0) return wb_pg_fail(pg, NULL, err);
        if (rv == 1) return flush(pg, err);
        WB_TRY(wait_for(pg, POLLOUT, err));
    }
}

wb_status wb_pg_copy_end(wb_pg *pg, wb_error *err)
{
    int rv;
    while ((rv = PQputCopyEnd(pg->conn, NULL)) == 0) WB_TRY(wait_for(pg, POLLOUT, err));
    if (rv < 0) return wb_pg_fail(pg, NULL, err);
    return finish(pg, NULL, err);
}

void wb_pg_copy_give_up(wb_pg *pg)
{
    if (PQputCopyEnd(pg->conn, "a record cannot be read") == 1) (void)!finish(pg, NULL, NULL);
}

bool wb_pg_rollback(wb_pg *pg)
{
    if (PQstatus(pg->conn) != CONNECTION_OK) return false;
    PGTransactionStatusType state = PQtransactionStatus(pg->conn);
    if (state == PQTRANS_IDLE) return true;
    if (state == PQTRANS_ACTIVE || state == PQTRANS_UNKNOWN) return false;
    return wb_pg_exec(pg, "ROLLBACK", NULL) == WB_OK;
}

/* ---- answers -------------------------------------------------------------------------------- */

int wb_pg_rows(const wb_pg_result *result) { return PQntuples(result); }

bool wb_pg_is_null(const wb_pg_result *result, int row, int column)
{
    return PQgetisnull(result, row, column) != 0;
}

wb_slice wb_pg_bytes(const wb_pg_result *result, int row, int column)
{
    if (wb_pg_is_null(result, row, column)) return (wb_slice){NULL, 0};
    return wb_slice_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

int64_t wb_pg_number(const wb_pg_result *result, int row, int column)
{
    wb_slice s = wb_pg_bytes(result, row, column);
    uint64_t number = s.len > 0 && (s.ptr[0] & 0x80) && s.len > 1 ? UINT64_MAX : 0;
    for (size_t i = 0; i < s.len && i < 8; i++) number = number << 8 | s.ptr[i];
    return (int64_t)number;
}
