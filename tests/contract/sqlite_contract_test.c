/* SPDX-License-Identifier: Apache-2.0 */
/* The battery against real SQLite files, then what only a file of many processes can do: be locked,
 * removed, damaged, foreign, newer, on a full disk, and migrated by all at once. */
#include "exporters/sqlite/sqlite.h"
#include "store/sqlite/database.h"
#include "store/sqlite/migrate.h"
#include "store/store.h"
#include "tests/contract/exporter_contract.h"
#include "tests/contract/stored_state.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct file_far {
    char root[64], dir[96], aside[96], path[128];
    wb_sqlite_config config;
} file_far;

static void *file_start(const void **settings)
{
    file_far *far = calloc(1, sizeof *far);
    (void)snprintf(far->root, sizeof far->root, "/tmp/wb-contract-XXXXXX");
    assert_non_null(mkdtemp(far->root));
    (void)snprintf(far->dir, sizeof far->dir, "%s/share/waybill", far->root);
    (void)snprintf(far->aside, sizeof far->aside, "%s/aside", far->root);
    (void)snprintf(far->path, sizeof far->path, "%s/store.db", far->dir);
    far->config.path = far->path;
    *settings = &far->config;
    return far;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void file_stop(void *self)
{
    file_far *far = self;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    (void)nftw(far->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(far);
}

/* The directory becomes a file: nothing below its path can be opened, not even by root. */
static void file_away(void *self)
{
    file_far *far = self;
    char share[96];
    (void)snprintf(share, sizeof share, "%s/share", far->root);
    (void)rename(share, far->aside); /* not made yet in the first test: then there is nothing */
    int fd = open(share, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void file_back(void *self)
{
    file_far *far = self;
    char share[96];
    (void)snprintf(share, sizeof share, "%s/share", far->root);
    assert_int_equal(unlink(share), 0);
    (void)rename(far->aside, share);
}

static int64_t number(const char *path, const char *sql)
{
    WB_AUTO(wb_sqlite) db = NULL;
    wb_error err = {0};
    int64_t n = 0;
    if (wb_sqlite_open(path, WB_SQLITE_READ, 1000, &db, &err) != WB_OK) return 0;
    if (wb_sqlite_number(db, sql, &n, &err) != WB_OK) fail_msg("%s: %s", sql, err.detail);
    return n;
}

static int file_spans(void *self)
{
    return (int)number(((file_far *)self)->path, "SELECT count(*) FROM spans");
}
static int file_delegations(void *self)
{
    return (int)number(((file_far *)self)->path, "SELECT count(*) FROM delegations");
}
static int file_acceptances(void *self)
{
    return (int)number(((file_far *)self)->path, "SELECT count(*) FROM acceptances");
}

static void file_delegation_state(void *self, uint32_t id, char out[32])
{
    contract_stored_state(((file_far *)self)->path, id, out);
}

static const wb_sqlite_config no_path = {.path = ""};
static const far_side_ops file_ops = {
    .exporter = &wb_exporter_sqlite,
    .impossible_settings = &no_path,
    .start = file_start,
    .stop = file_stop,
    .away = file_away,
    .back = file_back,
    .spans = file_spans,
    .delegations = file_delegations,
    .acceptances = file_acceptances,
    .delegation_state = file_delegation_state,
};

/* ---- what only files do --------------------------------------------------------------------- */

/* Run `body` in a child, so that locks, limits and crashes are another process's. */
static pid_t in_child(void (*body)(contract_fixture *f, int ready), contract_fixture *f,
                      bool is_ready)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        body(f, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    if (is_ready) assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void hold_the_lock(contract_fixture *f, int ready)
{
    sqlite3 *db = NULL;
    const file_far *far = f->far;
    bool ok = sqlite3_open(far->path, &db) == SQLITE_OK &&
              sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    if (!ok || write(ready, "r", 1) != 1) _exit(1);
    for (;;) pause();
}

static void a_lock_of_another_process_is_an_outage_and_its_end_ends_it(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, 1), WB_OK);
    pid_t pid = in_child(hold_the_lock, f, true);
    wb_export_result result;
    wb_error err = {0};
    wb_status status = f->ops->exporter->send(f->exporter, f->records, 6, 200, &result, &err);
    kill(pid, SIGKILL);
    (void)wait_for(pid);
    assert_int_equal(status, WB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.detail, "locked"));
    assert_int_equal(contract_send(f, 0, 6), WB_OK);
    contract_holds_all(f);
}

static void a_removed_file_is_noticed_before_anything_is_written_to_it(void **state)
{
    contract_fixture *f = *state;
    const file_far *far = f->far;
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    assert_int_equal(unlink(far->path), 0);
    assert_int_equal(contract_send(f, 3, 3), WB_ERR_UNAVAILABLE);
    assert_int_equal(contract_send(f, 0, 6), WB_OK); /* into a new file */
    contract_holds_all(f);
}

static void a_damaged_file_is_an_outage_and_not_the_records_fault(void **state)
{
    contract_fixture *f = *state;
    const file_far *far = f->far;
    uint8_t noise[8192];
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    contract_close(f);
    memset(noise, 0xA5, sizeof noise);
    int fd = open(far->path, O_WRONLY);
    assert_int_equal(pwrite(fd, noise, sizeof noise, 0), (ssize_t)sizeof noise);
    close(fd);
    contract_open(f);
    assert_int_equal(contract_send(f, 3, 3), WB_ERR_UNAVAILABLE);
    assert_int_equal(contract_send(f, 3, 1), WB_ERR_UNAVAILABLE);
    assert_int_equal(unlink(far->path), 0);
    assert_int_equal(contract_send(f, 0, 6), WB_OK);
    contract_holds_all(f);
}

static void make_database(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_database_of_another_program_stays_untouched(void **state)
{
    contract_fixture *f = *state;
    file_far *far = f->far;
    sqlite3 *db = NULL;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/other.db", far->root);
    make_database(path, "CREATE TABLE theirs (x); PRAGMA user_version = 1");
    far->config.path = path;
    contract_close(f);
    contract_open(f);
    wb_export_result result;
    wb_error err = {0};
    assert_int_equal(f->ops->exporter->send(f->exporter, f->records, 1, 500, &result, &err),
                     WB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.detail, "another program"));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "delete");
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

static void a_newer_schema_is_refused_in_clear_words_and_stays_untouched(void **state)
{
    contract_fixture *f = *state;
    const file_far *far = f->far;
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    contract_close(f);
    make_database(far->path, "PRAGMA user_version = 99");
    contract_open(f);
    wb_export_result result;
    wb_error err = {0};
    assert_int_equal(f->ops->exporter->send(f->exporter, f->records, 6, 500, &result, &err),
                     WB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.detail, "99"));
    assert_non_null(strstr(err.detail, "upgrade"));
    char back[64];
    (void)snprintf(back, sizeof back, "PRAGMA user_version = %u", wb_sqlite_migration_count);
    make_database(far->path, back);
    assert_int_equal(contract_send(f, 0, 6), WB_OK);
    contract_holds_all(f);
}

static void fill_a_small_disk(contract_fixture *f, int ready)
{
    (void)ready;
    struct rlimit small = {.rlim_cur = 512 * 1024, .rlim_max = 512 * 1024};
    (void)signal(SIGXFSZ, SIG_IGN); /* EFBIG instead, as ENOSPC would come */
    if (setrlimit(RLIMIT_FSIZE, &small) != 0) _exit(10);
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 64 << 20);
    for (uint32_t i = 0; i < 400; i++) {
        test_span_spec spans[16] = {0};
        for (uint32_t k = 0; k < 16; k++)
            spans[k] = (test_span_spec){.trace = 7, .span = 1000 + i * 16 + k, .name = "fill"};
        wb_buffer_clear(&bytes);
        test_spans_payload(&bytes, spans, 16);
        wb_record_view record = {
            .kind = WB_ENTRY_SPANS, .seq = 10 + i, .payload = wb_buffer_slice(&bytes)};
        wb_export_result result;
        wb_error err = {0};
        wb_status status = f->ops->exporter->send(f->exporter, &record, 1, 300, &result, &err);
        if (status == WB_ERR_UNAVAILABLE) _exit(0);
        if (status != WB_OK) _exit(11);
    }
    _exit(12);
}

static void a_disk_without_room_is_an_outage_and_what_was_said_to_be_in_is_in(void **state)
{
    contract_fixture *f = *state;
    const file_far *far = f->far;
    contract_close(f);
    contract_open(f); /* the child opens the file itself */
    assert_int_equal(wait_for(in_child(fill_a_small_disk, f, false)), 0);
    int64_t stored = number(far->path, "SELECT count(*) FROM spans");
    int64_t told = number(far->path, "SELECT 16 * (seq - 9) FROM delivered");
    assert_true(stored > 0);
    assert_int_equal(stored, told);
    assert_int_equal(number(far->path, "SELECT span_count FROM trace_parts"), stored);
    f->origin.journal_id = test_id(78);
    contract_close(f);
    contract_open(f);
    assert_int_equal(contract_send(f, 0, 6), WB_OK); /* room again */
    assert_int_equal(number(far->path, "SELECT count(*) FROM spans"), stored + CONTRACT_SPANS);
}

static void open_and_send(contract_fixture *f, int ready)
{
    (void)ready;
    contract_open(f);
    wb_export_result result;
    wb_error err = {0};
    wb_status status = f->ops->exporter->send(f->exporter, f->records, 6, 20000, &result, &err);
    if (status != WB_OK) (void)fprintf(stderr, "child: %s\n", err.detail);
    contract_close(f);
    _exit(status == WB_OK ? 0 : 1);
}

static void many_processes_migrate_an_empty_store_and_none_fails(void **state)
{
    contract_fixture *f = *state;
    const file_far *far = f->far;
    enum { PROCESSES = 12 };
    pid_t pids[PROCESSES];
    contract_close(f);
    for (int i = 0; i < PROCESSES; i++) {
        f->origin.journal_id = test_id(500 + (uint32_t)i);
        pids[i] = in_child(open_and_send, f, false);
    }
    for (int i = 0; i < PROCESSES; i++) assert_int_equal(wait_for(pids[i]), 0);
    assert_int_equal(number(far->path, "SELECT count(*) FROM migrations"),
                     wb_sqlite_migration_count);
    assert_int_equal(number(far->path, "SELECT count(*) FROM sidecars"), PROCESSES);
    assert_int_equal(number(far->path, "SELECT sum(span_count) FROM trace_parts"), CONTRACT_SPANS);
    contract_holds_all(f);
}

static void the_file_and_its_directories_are_private(void **state)
{
    contract_fixture *f = *state;
    const file_far *far = f->far;
    struct stat st;
    char path[160];
    mode_t before = umask(0);
    assert_int_equal(contract_send(f, 0, 6), WB_OK);
    (void)umask(before);
    assert_int_equal(stat(far->dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < WB_COUNT(ends); i++) {
        (void)snprintf(path, sizeof path, "%s%s", far->path, ends[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
}

static void an_id_of_another_sidecar_cannot_be_overwritten(void **state)
{
    contract_fixture *f = *state;
    char name[32];
    assert_int_equal(contract_send(f, 1, 1), WB_OK);
    contract_fixture other = *f;
    other.origin.journal_id = test_id(78);
    contract_open(&other);
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_delegation_payload(&bytes, &(test_delegation_spec){.id = 1,
                                                            .trace = 6,
                                                            .span = 66,
                                                            .version = 50,
                                                            .state = WB_DELEGATION_FAILED,
                                                            .opened_ms = 1});
    wb_record_view record = {
        .kind = WB_ENTRY_DELEGATION, .seq = 1, .payload = wb_buffer_slice(&bytes)};
    wb_export_result result;
    wb_error err = {0};
    assert_int_equal(other.ops->exporter->send(other.exporter, &record, 1, 500, &result, &err),
                     WB_OK);
    contract_close(&other);
    file_delegation_state(f->far, 1, name);
    assert_string_equal(name, "sent");
    assert_int_equal(number(((file_far *)f->far)->path, "SELECT count(*) FROM trace_parts"), 1);
}

enum { BATCH = 64, BATCHES = 300 };

static void make_long_frame(wb_buffer bytes[BATCHES], wb_record_view records[BATCHES])
{
    for (uint32_t i = 0; i < BATCHES; i++) {
        test_span_spec spans[BATCH] = {0};
        for (uint32_t k = 0; k < BATCH; k++)
            spans[k] = (test_span_spec){.trace = 3, .span = 1 + i * BATCH + k, .name = "n"};
        wb_buffer_init(&bytes[i], 1 << 20);
        test_spans_payload(&bytes[i], spans, BATCH);
        records[i] = (wb_record_view){WB_ENTRY_SPANS, 1, i, wb_buffer_slice(&bytes[i])};
    }
}

static int64_t kill_when_more_arrived(contract_fixture *f, const wb_record_view *records,
                                      int64_t before)
{
    const file_far *far = f->far;
    int64_t spans = before;
    pid_t pid = fork();
    if (pid == 0) {
        wb_export_result result;
        wb_error err = {0};
        (void)f->ops->exporter->send(f->exporter, records, BATCHES, 60000, &result, &err);
        for (;;) pause();
    }
    while (spans == before) spans = number(far->path, "SELECT count(*) FROM spans");
    kill(pid, SIGKILL);
    (void)wait_for(pid);
    return number(far->path, "SELECT count(*) FROM spans");
}

/* Others get the lock in between; killed there, the rest comes with the repeat, and totals stay exact. */
static void a_long_send_is_several_transactions_and_a_crash_between_them_doubles_nothing(
    void **state)
{
    contract_fixture *f = *state;
    const file_far *far = f->far;
    static wb_buffer bytes[BATCHES];
    static wb_record_view records[BATCHES];
    int64_t spans = 0;
    make_long_frame(bytes, records);
    for (int round = 0; round < 3 && spans < BATCH * BATCHES; round++) {
        spans = kill_when_more_arrived(f, records, spans);
        if (round == 0) assert_true(spans > 0 && spans < BATCH * BATCHES);
        assert_int_equal(number(far->path, "SELECT sum(span_count) FROM trace_parts"), spans);
    }
    wb_export_result result;
    wb_error err = {0};
    assert_int_equal(f->ops->exporter->send(f->exporter, records, BATCHES, 60000, &result, &err),
                     WB_OK);
    assert_int_equal(number(far->path, "SELECT count(*) FROM spans"), BATCH * BATCHES);
    assert_int_equal(number(far->path, "SELECT sum(span_count) FROM trace_parts"), BATCH * BATCHES);
    for (size_t i = 0; i < BATCHES; i++) wb_buffer_done(&bytes[i]);
}

#define FILE_TEST(f)                                                                               \
    cmocka_unit_test_prestate_setup_teardown(f, contract_set_up, contract_tear_down,               \
                                             (void *)&file_ops)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(a_lock_of_another_process_is_an_outage_and_its_end_ends_it),
        FILE_TEST(a_removed_file_is_noticed_before_anything_is_written_to_it),
        FILE_TEST(a_damaged_file_is_an_outage_and_not_the_records_fault),
        FILE_TEST(a_database_of_another_program_stays_untouched),
        FILE_TEST(a_newer_schema_is_refused_in_clear_words_and_stays_untouched),
        FILE_TEST(a_disk_without_room_is_an_outage_and_what_was_said_to_be_in_is_in),
        FILE_TEST(many_processes_migrate_an_empty_store_and_none_fails),
        FILE_TEST(the_file_and_its_directories_are_private),
        FILE_TEST(an_id_of_another_sidecar_cannot_be_overwritten),
        FILE_TEST(a_long_send_is_several_transactions_and_a_crash_between_them_doubles_nothing),
    };
    int failed = exporter_contract_run(&file_ops);
    return failed + cmocka_run_group_tests_name("sqlite files", tests, NULL, NULL);
}
