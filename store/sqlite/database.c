/* SPDX-License-Identifier: Apache-2.0 */
/* Many sidecars write to one file, so every connection is opened alike, here.
 *
 * - WAL with synchronous=FULL: a commit is one fsync of the WAL and survives power loss; readers never
 *   block writers. WAL needs shared memory between processes, which network file systems do not give:
 *   there SQLite corrupts the file in silence, so they are refused by their statfs magic.
 * - Waiting: SQLite's own busy_timeout sleeps the same steps in every process, so that N sidecars wake
 *   together and all but one lose again. The handler here sleeps a random time below a doubling bound.
 * - A file that was removed or replaced while it is open keeps taking writes that nobody will ever
 *   see. SQLite checks for that in its rollback journal mode only; wb_sqlite_begin checks each time.
 * - What a crash leaves: a -wal and a -shm file, which the next opener recovers by itself. */
#include "store/sqlite/database.h"

#include "core/clock.h"
#include "core/ids.h"
#include "core/paths.h"
#include "core/store_url.h"
#include "store/sqlite/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_SLEEP_MAX_US = 20000 };

/* Not in every linux/magic.h. */
#define MAGIC_CIFS 0xFF534D42U
#define MAGIC_LUSTRE 0x0BD00BD0U
#define MAGIC_GPFS 0x47504653U

struct wb_sqlite {
    sqlite3 *handle;
    uint64_t wait_until_ns; /* monotonic */
    int failed_with;        /* the last failure's code */
};

sqlite3 *wb_sqlite_handle(wb_sqlite *db) { return db->handle; }

wb_status wb_sqlite_fail(wb_sqlite *db, int code, const char *what, wb_error *err)
{
    wb_status status = WB_ERR_UNAVAILABLE;
    db->failed_with = code & 0xFF;
    switch (db->failed_with) {
    case SQLITE_NOMEM: status = WB_ERR_NO_MEMORY; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: status = WB_ERR_CORRUPT; break;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH: status = WB_ERR_REJECTED; break;
    default: break;
    }
    const char *words = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
    return wb_fail(err, status, "%s: %s", what, words);
}

static int on_busy(void *self, int calls)
{
    const wb_sqlite *db = self;
    if (wb_mono(&wb_system_clock) >= db->wait_until_ns) return 0;
    uint32_t bound_us = calls < 5 ? 1000U << calls : BUSY_SLEEP_MAX_US;
    uint32_t random;
    if (bound_us > BUSY_SLEEP_MAX_US) bound_us = BUSY_SLEEP_MAX_US;
    wb_random(&random, sizeof random);
    struct timespec pause = {.tv_nsec = (long)(200 + random % bound_us) * 1000};
    (void)nanosleep(&pause, NULL); /* woken early: ask again early */
    return 1;
}

void wb_sqlite_set_wait(wb_sqlite *db, uint32_t timeout_ms)
{
    db->wait_until_ns = wb_mono(&wb_system_clock) + timeout_ms * WB_NS_PER_MS;
}

wb_status wb_sqlite_exec(wb_sqlite *db, const char *sql, wb_error *err)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? WB_OK : wb_sqlite_fail(db, code, "store", err);
}

wb_status wb_sqlite_prepare(wb_sqlite *db, const char *sql, sqlite3_stmt **out, wb_error *err)
{
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return code == SQLITE_OK ? WB_OK : wb_sqlite_fail(db, code, "store", err);
}

wb_status wb_sqlite_number(wb_sqlite *db, const char *sql, int64_t *out, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_sqlite_prepare(db, sql, &stmt, err));
    int code = sqlite3_step(stmt);
    wb_status status = WB_OK;
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else if (code == SQLITE_DONE)
        status = wb_fail(err, WB_ERR_NOT_FOUND, "store: no row");
    else
        status = wb_sqlite_fail(db, code, "store", err);
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

wb_status wb_sqlite_check_place(wb_sqlite *db, wb_error *err)
{
    int moved = 0;
    (void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved) return wb_fail(err, WB_ERR_UNAVAILABLE, "store: its file was removed or replaced");
    return WB_OK;
}

wb_status wb_sqlite_begin(wb_sqlite *db, wb_error *err)
{
    WB_TRY(wb_sqlite_check_place(db, err));
    return wb_sqlite_exec(db, "BEGIN IMMEDIATE", err);
}

wb_status wb_sqlite_commit(wb_sqlite *db, wb_error *err)
{
    return wb_sqlite_exec(db, "COMMIT", err);
}

void wb_sqlite_rollback(wb_sqlite *db)
{
    if (sqlite3_get_autocommit(db->handle)) return; /* some failures roll back by themselves */
    (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

static void parent_dir(const char *path, char dir[WB_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 1;
    if (slash == path) len = 1;
    memcpy(dir, slash ? path : ".", len);
    dir[len] = '\0';
}

static wb_status refuse_network_disk(const char *dir, wb_error *err)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "store: cannot look at %.80s", dir);
    switch ((uint32_t)fs.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case MAGIC_CIFS:
    case CEPH_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case CODA_SUPER_MAGIC:
    case V9FS_MAGIC:
    case MAGIC_LUSTRE:
    case MAGIC_GPFS:
        return wb_fail(err, WB_ERR_CONFIG, "store: %.80s is on a network file system", dir);
    default: return WB_OK;
    }
}

/* SQLite makes files by the umask; ours are private. -wal and -shm inherit the mode. */
static wb_status make_file(const char *path, const char *dir, wb_error *err)
{
    wb_error why;
    if (wb_make_dirs(dir, &why) != WB_OK) /* may be laid out later, as when a disk is mounted */
        return wb_fail(err, WB_ERR_UNAVAILABLE, "store: %s", why.detail);
    WB_TRY(refuse_network_disk(dir, err));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "store: cannot open %.100s", path);
    (void)close(fd);
    return WB_OK;
}

static wb_status find_file(const char *path, const char *dir, wb_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        char shown[128]; /* what was meant as an address may hold a password */
        wb_store_url_hide(path, shown, sizeof shown);
        wb_status status =
            errno == ENOENT || errno == ENOTDIR ? WB_ERR_NOT_FOUND : WB_ERR_UNAVAILABLE;
        return wb_fail_errno(err, status, errno, "no store at %.100s", shown);
    }
    return refuse_network_disk(dir, err);
}

static wb_status set_up_once(wb_sqlite *db, wb_sqlite_mode mode, wb_error *err)
{
    WB_TRY(wb_sqlite_exec(db,
                          "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-1024;"
                          "PRAGMA temp_store=MEMORY; PRAGMA synchronous=FULL;"
                          "PRAGMA journal_size_limit=16777216",
                          err));
    if (mode == WB_SQLITE_READ) {
        WB_TRY(wb_sqlite_exec(db, "PRAGMA query_only=ON", err));
        return wb_sqlite_check_version(db, err);
    }
    return wb_sqlite_migrate(db, err);
}

/* Some steps, such as the change to WAL, meet a lock without asking the busy handler. */
static wb_status set_up(wb_sqlite *db, wb_sqlite_mode mode, wb_error *err)
{
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_handler(db->handle, on_busy, db);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    for (int calls = 0;; calls++) {
        wb_status status = set_up_once(db, mode, err);
        bool is_locked = status == WB_ERR_UNAVAILABLE && db->failed_with == SQLITE_BUSY;
        if (!is_locked || !on_busy(db, calls)) return status;
    }
}

wb_status wb_sqlite_open(const char *path, wb_sqlite_mode mode, uint32_t timeout_ms,
                         wb_sqlite **out, wb_error *err)
{
    char dir[WB_PATH_MAX];
    if (strlen(path) >= WB_PATH_MAX || *path == '\0')
        return wb_fail(err, WB_ERR_CONFIG, "store: a path has 1 to %d bytes", WB_PATH_MAX - 1);
    parent_dir(path, dir);
    if (mode == WB_SQLITE_WRITE)
        WB_TRY(make_file(path, dir, err));
    else
        WB_TRY(find_file(path, dir, err));
    WB_AUTO(wb_sqlite) db = calloc(1, sizeof *db);
    if (!db) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory");
    wb_sqlite_set_wait(db, timeout_ms);
    int code = sqlite3_open_v2(
        path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
        NULL);
    if (code != SQLITE_OK) return wb_sqlite_fail(db, code, "store", err);
    WB_TRY(set_up(db, mode, err));
    *out = WB_STEAL(db);
    return WB_OK;
}

void wb_sqlite_close(wb_sqlite *db)
{
    if (!db) return;
    wb_sqlite_set_wait(db, 0); /* the last one out checkpoints; if others hold locks, they will */
    (void)sqlite3_close_v2(db->handle);
    free(db);
}
