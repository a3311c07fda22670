/* SPDX-License-Identifier: Apache-2.0 */
/* store/sqlite/database.h: a connection to a store in SQLite, as every user of one needs it. */
#ifndef WAYBILL_STORE_SQLITE_DATABASE_H
#define WAYBILL_STORE_SQLITE_DATABASE_H

#include "core/slice.h"
#include "core/status.h"

struct sqlite3;
struct sqlite3_stmt;

/** A connection; one thread at a time. */
typedef struct wb_sqlite wb_sqlite;

typedef enum wb_sqlite_mode {
    WB_SQLITE_WRITE, /* make and migrate the store if need be */
    WB_SQLITE_READ,  /* it must be there; nothing is written */
} wb_sqlite_mode;

/** Open the store at `path`. A new file is 0600, directories made for it 0700. WAL, synchronous=FULL.
 *  timeout_ms  how long to wait for locks of others, here and in all calls until wb_sqlite_set_wait
 *  Errors      NOT_FOUND READ only: there is no such file | CONFIG it is no Waybill store, or a newer
 *              program's, or on a network file system | CORRUPT | UNAVAILABLE locked for too long, no
 *              permission, disk trouble | NO_MEMORY */
WB_MUST_USE wb_status wb_sqlite_open(const char *path, wb_sqlite_mode mode, uint32_t timeout_ms,
                                     wb_sqlite **out, wb_error *err);
void wb_sqlite_close(wb_sqlite *db);
static inline void wb_sqlite_free(wb_sqlite *db) { wb_sqlite_close(db); }
WB_DEFINE_AUTO(wb_sqlite)

/** From now on wait for locks until `timeout_ms` from this call, with jitter, then give up. */
void wb_sqlite_set_wait(wb_sqlite *db, uint32_t timeout_ms);

/** The file is still the one at its path; else UNAVAILABLE: close, open. */
WB_MUST_USE wb_status wb_sqlite_check_place(wb_sqlite *db, wb_error *err);
/** BEGIN IMMEDIATE; also notices that the file was removed or replaced (UNAVAILABLE: close, open). */
WB_MUST_USE wb_status wb_sqlite_begin(wb_sqlite *db, wb_error *err);
WB_MUST_USE wb_status wb_sqlite_commit(wb_sqlite *db, wb_error *err);
/** Never fails: at worst the connection is unusable and says so at the next begin. */
void wb_sqlite_rollback(wb_sqlite *db);

/** Run statements without results. */
WB_MUST_USE wb_status wb_sqlite_exec(wb_sqlite *db, const char *sql, wb_error *err);
/** Prepare one statement; finalised with sqlite3_finalize by the caller, before wb_sqlite_close. */
WB_MUST_USE wb_status wb_sqlite_prepare(wb_sqlite *db, const char *sql, struct sqlite3_stmt **out,
                                        wb_error *err);
/** The first column of the first row as a number. NOT_FOUND without a row. */
WB_MUST_USE wb_status wb_sqlite_number(wb_sqlite *db, const char *sql, int64_t *out, wb_error *err);

/** The status of a result code other than OK, ROW and DONE, with SQLite's own words in `err`.
 *  UNAVAILABLE busy, disk, permission | CORRUPT | REJECTED this row breaks a constraint or is too
 *  big | NO_MEMORY */
wb_status wb_sqlite_fail(wb_sqlite *db, int code, const char *what, wb_error *err);

struct sqlite3 *wb_sqlite_handle(wb_sqlite *db);

#endif
