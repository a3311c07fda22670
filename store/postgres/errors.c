/* SPDX-License-Identifier: Apache-2.0 */
/* What a failure means for records, by its SQLSTATE (Postgres' manual, appendix A).
 *
 *   22xxx data exceptions, 23xxx constraints, 54xxx limits of a row   the record: REJECTED
 *   a connection that broke                                           not known: TIMEOUT behind a COMMIT,
 *                                                                     which whoever committed says
 *   57014, 55P03 its own limits of time                               TIMEOUT
 *   everything else                                                   the far side: UNAVAILABLE
 *
 * Words for people: what the server said first, then what to do, within the 160 bytes of an error. */
#include "store/postgres/connection.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

typedef struct meaning {
    const char *state; /* its first characters */
    wb_status status;
    const char *todo;
} meaning;

/* The first that fits. */
static const meaning meanings[] = {
    {"22", WB_ERR_REJECTED, NULL},
    {"23", WB_ERR_REJECTED, NULL},
    {"54", WB_ERR_REJECTED, NULL},
    {"25006", WB_ERR_UNAVAILABLE, "a standby? add target_session_attrs=read-write to the url"},
    {"28", WB_ERR_UNAVAILABLE, "check user, password and pg_hba.conf"},
    {"3D000", WB_ERR_UNAVAILABLE, "make the database first (docs/postgres.md)"},
    {"3F000", WB_ERR_UNAVAILABLE, "run: waybill store migrate"},
    {"40001", WB_ERR_UNAVAILABLE, "repeated by itself"},
    {"40P01", WB_ERR_UNAVAILABLE, "repeated by itself"},
    {"42501", WB_ERR_UNAVAILABLE,
     "grant it: waybill store migrate --writer ROLE, or --reader ROLE"},
    {"42704", WB_ERR_UNAVAILABLE, "make the role first (docs/postgres.md)"},
    {"42", WB_ERR_UNAVAILABLE, "run: waybill store migrate"},
    {"53100", WB_ERR_UNAVAILABLE, "make room on the server's disk"},
    {"53300", WB_ERR_UNAVAILABLE, "raise max_connections, or put PgBouncer before it"},
    {"55P03", WB_ERR_TIMEOUT, "somebody holds a lock: see pg_stat_activity"},
    {"57014", WB_ERR_TIMEOUT, "the server is too slow, or waits for a lock"},
    {"57P0", WB_ERR_UNAVAILABLE, "the server stops or starts"},
    {"", WB_ERR_UNAVAILABLE, NULL},
};

/* A row that was on its way to the default partition when its day was made: next time it goes there. Only
 * a CHECK of somebody's has a name. */
static bool is_moved_partition(const wb_pg_result *result, const char *state)
{
    return strcmp(state, "23514") == 0 && !PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
}

static const meaning *meaning_of(const wb_pg_result *result, const char *state)
{
    static const meaning moved = {"23514", WB_ERR_UNAVAILABLE, "repeated by itself"};
    size_t i = 0;
    if (is_moved_partition(result, state)) return &moved;
    while (strncmp(state, meanings[i].state, strlen(meanings[i].state)) != 0) i++;
    return &meanings[i];
}

/* The first line of libpq's words, without the end of line. */
static void first_line(const char *text, char *out, size_t cap)
{
    while (*text == '\n' || *text == ' ') text++;
    size_t len = strcspn(text, "\n");
    if (len >= cap) len = cap - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

/* A login that failed has no SQLSTATE for us, only words: libpq's own are English here, the server's only if
 * lc_messages says so. The first that is in them. */
static const struct {
    const char *words, *todo;
} logins[] = {
    {"no password supplied", "give password_file, or a password in the url"},
    {"password authentication failed", "check user and password (password_file)"},
    {"no pg_hba.conf entry", "allow it in the server's pg_hba.conf, or set sslmode"},
    {"does not support SSL", "turn it on there, or sslmode=disable on a network of your own"},
    {"certificate", "check sslrootcert, sslmode and the host's name"},
    {"too many c", "raise max_connections, or put PgBouncer before it"},
    {"remaining connection slots", "raise max_connections, or put PgBouncer before it"},
    {"starting up", "repeated by itself"},
    {"shutting down", "repeated by itself"},
    {"not permitted to log in", "ALTER ROLE ... LOGIN"},
    {"database", "make the database first (docs/postgres.md)"},
    {"role", "make the role first (docs/postgres.md)"},
    {"could not translate host name", "check the host in the url"},
    {"Connection refused", "is it running, and is the port right?"},
};

static const char *todo_for(const char *words)
{
    for (size_t i = 0; i < WB_COUNT(logins); i++)
        if (strstr(words, logins[i].words)) return logins[i].todo;
    return NULL;
}

/* What stands before that says whom libpq tried, in more words than there is room for. */
static const char *without_address(const char *text)
{
    const char *failed = strstr(text, " failed: ");
    return strncmp(text, "connection to server ", 21) == 0 && failed ? failed + 9 : text;
}

static wb_status fail_connection(wb_pg *pg, wb_error *err)
{
    char line[1024], words[1280];
    const char *text = PQerrorMessage(wb_pg_handle(pg)), *core = without_address(text);
    const char *host = PQhost(wb_pg_handle(pg)), *port = PQport(wb_pg_handle(pg));
    const char *todo = todo_for(core);
    if (*text == '\0') return wb_fail(err, WB_ERR_UNAVAILABLE, "postgres: the connection broke");
    first_line(core, line, sizeof line);
    if (core != text && host && port)
        (void)snprintf(words, sizeof words, "%.200s:%.5s: %s", host, port, line);
    else
        (void)snprintf(words, sizeof words, "%s", line);
    wb_pg_hide_password(pg, words); /* before it is cut */
    if (!todo) return wb_fail(err, WB_ERR_UNAVAILABLE, "postgres: %s", words);
    return wb_fail(err, WB_ERR_UNAVAILABLE, "postgres: %.88s; %s", words, todo);
}

wb_status wb_pg_fail(wb_pg *pg, const wb_pg_result *result, wb_error *err)
{
    char words[100];
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!state) return fail_connection(pg, err);
    const meaning *m = meaning_of(result, state);
    first_line(text ? text : "failed", words, m->todo ? sizeof words - 20 : sizeof words);
    wb_pg_hide_password(pg, words);
    if (!m->todo) return wb_fail(err, m->status, "postgres: %s (%s)", words, state);
    return wb_fail(err, m->status, "postgres: %s (%s); %s", words, state, m->todo);
}
