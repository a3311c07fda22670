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

static wb_status fail_connection(wb_pg *pg, wb_error *err)
{
    char words[140];
    const char *text = PQerrorMessage(wb_pg_handle(pg));
    first_line(*text ? text : "the connection broke", words, sizeof words);
    wb_pg_hide_password(pg, words);
    return wb_fail(err, WB_ERR_UNAVAILABLE, "postgres: %s", words);
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
