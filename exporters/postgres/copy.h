/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/postgres/copy.h: rows in the binary form of COPY, sent in pieces. */
#ifndef WAYBILL_EXPORTERS_POSTGRES_COPY_H
#define WAYBILL_EXPORTERS_POSTGRES_COPY_H

#include "core/buffer.h"
#include "core/clock.h"
#include "proto/store_cells.h"
#include "store/postgres/connection.h"

/** One COPY in progress. Embedded: begin, rows, end or give_up; then wb_copy_done. */
typedef struct wb_copy {
    wb_pg *pg;
    wb_buffer bytes, text; /* what is not sent yet; a text in the making */
    wb_status status;
} wb_copy;

void wb_copy_init(wb_copy *copy);
void wb_copy_done(wb_copy *copy);

/** `sql` is the COPY statement, WITH (FORMAT binary). */
WB_MUST_USE wb_status wb_copy_begin(wb_copy *copy, wb_pg *pg, const char *sql, wb_error *err);
/** A row of `columns` values, which follow. Failures wait for wb_copy_row_end. */
void wb_copy_row(wb_copy *copy, size_t columns);
void wb_copy_null(wb_copy *copy);
void wb_copy_number(wb_copy *copy, int64_t number); /* bigint */
void wb_copy_bool(wb_copy *copy, bool is);
void wb_copy_bytes(wb_copy *copy, wb_slice bytes);
/** What Postgres refuses in text, NUL and what is not UTF-8, becomes U+FFFD. */
void wb_copy_text(wb_copy *copy, wb_slice text);
/** timestamptz of Unix nanoseconds, cut to microseconds. */
void wb_copy_time(wb_copy *copy, int64_t ns);
void wb_copy_cells(wb_copy *copy, const wb_cells *cells);
WB_MUST_USE wb_status wb_copy_row_end(wb_copy *copy, wb_error *err);
WB_MUST_USE wb_status wb_copy_end(wb_copy *copy, wb_error *err);

#endif
