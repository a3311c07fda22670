/* SPDX-License-Identifier: Apache-2.0 */
/* store/postgres/connection.h: a connection to Postgres that never waits longer than it was told to.
 *
 * Every call ends by the deadline; one that did not get its answer by then leaves a connection that is
 * only good to be closed, as does any failure of it. Nothing here outlives a transaction on the server
 * (no SET without LOCAL, no prepared statement), so a pooler in transaction mode may sit between.
 * One thread at a time. */
#ifndef WAYBILL_STORE_POSTGRES_CONNECTION_H
#define WAYBILL_STORE_POSTGRES_CONNECTION_H

#include "core/slice.h"
#include "core/status.h"

#include <stdatomic.h>

struct pg_conn;
struct pg_result;

typedef struct wb_pg wb_pg;

typedef struct wb_pg_target {
    const char *url;           /* URL or key=value */
    const char *password_file; /* NULL: libpq's own ways */
    const atomic_ullong
        *until_ns; /* monotonic; waits end by then, once it is not 0; borrowed for the life of
                                      the connection; NULL: nobody hurries */
} wb_pg_target;

/** Is `url` something that libpq can read? Reaches nothing.
 *  Errors  CONFIG | NO_MEMORY */
WB_MUST_USE wb_status wb_pg_check_url(const char *url, wb_error *err);
/** Is it there, and private? Errors  CONFIG */
WB_MUST_USE wb_status wb_pg_check_password_file(const char *path, wb_error *err);

/** Connect, log in and see that the database speaks UTF-8.
 *  Errors  UNAVAILABLE, with what to do | TIMEOUT | NO_MEMORY */
WB_MUST_USE wb_status wb_pg_connect(const wb_pg_target *target, uint32_t timeout_ms, wb_pg **out,
                                    wb_error *err);
void wb_pg_close(wb_pg *pg);
static inline void wb_pg_free(wb_pg *pg) { wb_pg_close(pg); }
WB_DEFINE_AUTO(wb_pg)

/** All calls from now on end `timeout_ms` from now. */
void wb_pg_set_timeout(wb_pg *pg, uint32_t timeout_ms);
/** What is left of it, at least 1. */
uint32_t wb_pg_time_left_ms(const wb_pg *pg);
/** Has the server hung up, as far as can be seen without asking? */
bool wb_pg_is_gone(wb_pg *pg);

/* ---- statements ----------------------------------------------------------------------------- */

/** The server's answer. */
typedef struct pg_result wb_pg_result;
void wb_pg_result_free(wb_pg_result *result);
WB_DEFINE_AUTO(wb_pg_result)

/** $1, $2 ... of one statement: binary, borrowed until it was sent. Start with {0}. */
enum { WB_PG_PARAMS_MAX = 12 };
typedef struct wb_pg_params {
    int n;
    unsigned types[WB_PG_PARAMS_MAX];
    const char *values[WB_PG_PARAMS_MAX];
    int lengths[WB_PG_PARAMS_MAX];
    uint8_t numbers[WB_PG_PARAMS_MAX][8];
} wb_pg_params;

void wb_pg_add_number(wb_pg_params *p, int64_t number);         /* bigint */
void wb_pg_add_number_or_null(wb_pg_params *p, int64_t number); /* 0: NULL */
void wb_pg_add_bytes(wb_pg_params *p, wb_slice bytes);          /* bytea; empty: NULL */
void wb_pg_add_text(wb_pg_params *p, wb_slice text);            /* text; empty: NULL */

/** Run a script of statements without parameters; answers are thrown away. */
WB_MUST_USE wb_status wb_pg_exec(wb_pg *pg, const char *sql, wb_error *err);
/** Run one statement. `params` may be NULL. Columns come back in binary. */
WB_MUST_USE wb_status wb_pg_query(wb_pg *pg, const char *sql, const wb_pg_params *params,
                                  wb_pg_result **out, wb_error *err);

/** The same, row by row as they come, so that any number of them needs the memory of one: `each` gets an
 *  answer of one row. The time given holds for the way from one row to the next. A failure of `each` is
 *  returned once the rest has been read and thrown away. */
WB_MUST_USE wb_status wb_pg_each(wb_pg *pg, const char *sql, const wb_pg_params *params,
                                 uint32_t timeout_ms,
                                 wb_status (*each)(void *ctx, const wb_pg_result *row), void *ctx,
                                 wb_error *err);

/** Send statements one behind the other and wait once: begin, add each, end. The answer of the `at`-th
 *  goes to *out, if that is not NULL; the first failure is the pipeline's. */
typedef struct wb_pg_pipeline {
    wb_pg *pg;
    int n;
    wb_status status;
} wb_pg_pipeline;
WB_MUST_USE wb_status wb_pg_pipeline_begin(wb_pg_pipeline *p, wb_pg *pg, wb_error *err);
void wb_pg_pipeline_add(wb_pg_pipeline *p, const char *sql, const wb_pg_params *params);
WB_MUST_USE wb_status wb_pg_pipeline_end(wb_pg_pipeline *p, int at, wb_pg_result **out,
                                         wb_error *err);

/** COPY ... FROM STDIN: begin, put any number of times, end. `give_up` ends it by a failure. */
WB_MUST_USE wb_status wb_pg_copy_begin(wb_pg *pg, const char *sql, wb_error *err);
WB_MUST_USE wb_status wb_pg_copy_put(wb_pg *pg, wb_slice bytes, wb_error *err);
WB_MUST_USE wb_status wb_pg_copy_end(wb_pg *pg, wb_error *err);
void wb_pg_copy_give_up(wb_pg *pg);

/** Leave the transaction, whatever state it is in; false: close the connection. */
bool wb_pg_rollback(wb_pg *pg);

/* ---- answers -------------------------------------------------------------------------------- */

int wb_pg_rows(const wb_pg_result *result);
bool wb_pg_is_null(const wb_pg_result *result, int row, int column);
wb_slice wb_pg_bytes(const wb_pg_result *result, int row, int column);
int64_t wb_pg_number(const wb_pg_result *result, int row,
                     int column); /* of any integer or boolean */

/* For this folder: the failure in words, and what it means to who sent it. */

/** The status that belongs to what `result` or, where that is NULL, the connection says. */
wb_status wb_pg_fail(wb_pg *pg, const wb_pg_result *result, wb_error *err);
struct pg_conn *wb_pg_handle(wb_pg *pg);
/** Put *** in the place of the password that the last connect used. */
void wb_pg_hide_password(const wb_pg *pg, char *text);

#endif
