/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/refusals.h"

#include "core/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char dir[32], path[64];
    wb_refusals *refusals;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/wb-refusals-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    (void)snprintf(f->path, sizeof f->path, "%s/" WB_REFUSAL_FILE, f->dir);
    *state = f;
    if (wb_refusals_open(f->dir, &wb_system_clock, &f->refusals, NULL) != WB_OK) return -1;
    return wb_refusals_start(f->refusals, NULL) == WB_OK ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_refusals_close(f->refusals);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static void refuse(fixture *f, uint64_t peer, const char *message, char ref[WB_REF_HEX + 1])
{
    wb_refusal r = {
        .kind = WB_REFUSAL_REJECT, .code = WB_S("WB_E_SIG"), .message_id = wb_slice_str(message)};
    wb_refusals_add(f->refusals, peer, &r, ref);
}

typedef struct search {
    const char *message;
    int n, all;
} search;

static wb_status look(void *self, const wb_refusal *refusal)
{
    search *s = self;
    s->all++;
    s->n += wb_slice_eq(refusal->message_id, wb_slice_str(s->message));
    return WB_OK;
}

static search find(const fixture *f, const char *message)
{
    search s = {.message = message};
    assert_int_equal(wb_refusals_read(f->dir, look, &s, NULL), WB_OK);
    return s;
}

static void reopen(fixture *f)
{
    wb_refusals_close(f->refusals);
    assert_int_equal(wb_refusals_open(f->dir, &wb_system_clock, &f->refusals, NULL), WB_OK);
    assert_int_equal(wb_refusals_start(f->refusals, NULL), WB_OK);
}

static void a_flood_leaves_the_records_of_others(void **state)
{
    fixture *f = *state;
    struct stat st;
    char ref[WB_REF_HEX + 1];
    wb_refusals_stats stats;
    refuse(f, 1, "the good one's", ref);
    for (int i = 0; i < 100000; i++) refuse(f, 2, "flood", ref);
    wb_refusals_get_stats(f->refusals, &stats);
    assert_true(stats.not_kept > 99000);
    reopen(f);
    assert_int_equal(find(f, "the good one's").n, 1);
    assert_true(find(f, "flood").n <= WB_REFUSAL_SLOTS / 32);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, WB_REFUSAL_FILE_BYTES);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_burst_of_one_peer_is_kept_whole(void **state)
{
    fixture *f = *state;
    char ref[WB_REF_HEX + 1];
    wb_refusals_stats stats;
    for (int i = 0; i < 500; i++) refuse(f, 2, "burst", ref);
    reopen(f);
    assert_int_equal(find(f, "burst").n, 500);
    wb_refusals_get_stats(f->refusals, &stats);
    assert_int_equal(stats.not_kept, 0);
}

/* Six times the queue, as fast as it goes: whether the disk keeps up or not, the newest are there. */
static void of_too_many_at_once_the_oldest_go(void **state)
{
    fixture *f = *state;
    char ref[WB_REF_HEX + 1], message[32];
    for (uint64_t peer = 0; peer < 24; peer++)
        for (int i = 0; i < 500; i++) {
            (void)snprintf(message, sizeof message, "peer %d", (int)peer);
            refuse(f, peer, message, ref);
        }
    reopen(f);
    assert_int_equal(find(f, "peer 23").n, 500);
    assert_int_equal(find(f, "peer 22").n, 500);
}

static void a_file_that_was_removed_is_noticed(void **state)
{
    fixture *f = *state;
    char ref[WB_REF_HEX + 1];
    wb_refusals_stats stats;
    wb_refusals_tick(f->refusals);
    wb_refusals_get_stats(f->refusals, &stats);
    assert_false(stats.file_gone);
    assert_int_equal(unlink(f->path), 0);
    wb_refusals_tick(f->refusals);
    refuse(f, 1, "lost", ref);
    for (int i = 0; i < 5000; i++) {
        wb_refusals_get_stats(f->refusals, &stats);
        if (stats.not_kept > 0) break;
        (void)usleep(1000);
    }
    assert_true(stats.file_gone);
    assert_int_equal(stats.not_kept, 1);
    assert_true(stats.last_not_kept_ns > 0);
    reopen(f);
    refuse(f, 1, "found", ref);
    reopen(f);
    assert_int_equal(find(f, "found").n, 1);
}

static void records_outlive_a_restart_and_are_not_overwritten_at_once(void **state)
{
    fixture *f = *state;
    char ref[WB_REF_HEX + 1];
    for (int run = 0; run < 5; run++) {
        refuse(f, 3, "again", ref);
        reopen(f);
        assert_int_equal(find(f, "again").n, run + 1);
    }
    assert_int_equal(strlen(ref), WB_REF_HEX);
}

static void a_file_that_is_not_ours_is_done_without(void **state)
{
    fixture *f = *state;
    char ref[WB_REF_HEX + 1] = "";
    wb_refusals_stats stats;
    wb_refusals_close(f->refusals);
    assert_int_equal(chmod(f->path, 0644), 0);
    assert_int_equal(wb_refusals_open(f->dir, &wb_system_clock, &f->refusals, NULL), WB_OK);
    assert_int_equal(wb_refusals_start(f->refusals, NULL), WB_OK);
    refuse(f, 4, "gone", ref);
    assert_int_equal(strlen(ref), WB_REF_HEX);
    wb_refusals_get_stats(f->refusals, &stats);
    assert_int_equal(stats.kept, 0);
    assert_int_equal(stats.not_kept, 1);
}

static void a_log_gate_counts_what_it_holds_back(void **state)
{
    wb_log_gate gate = {0};
    uint64_t held_back = 99, passed = 0, s = WB_NS_PER_S;
    (void)state;
    for (int i = 0; i < 1000; i++) passed += wb_log_gate_pass(&gate, 5 * s, &held_back);
    assert_int_equal(passed, WB_LOG_GATE_LINES);
    assert_int_equal(held_back, 0);
    assert_int_equal(wb_log_gate_rest(&gate, 5 * s), 0); /* the second is not over */
    assert_true(wb_log_gate_pass(&gate, 6 * s, &held_back));
    assert_int_equal(held_back, 1000 - WB_LOG_GATE_LINES);
    for (int i = 0; i < 100; i++) (void)wb_log_gate_pass(&gate, 6 * s, &held_back);
    assert_int_equal(wb_log_gate_rest(&gate, 7 * s), 101 - WB_LOG_GATE_LINES);
    assert_int_equal(wb_log_gate_rest(&gate, 8 * s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flood_leaves_the_records_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(a_burst_of_one_peer_is_kept_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(of_too_many_at_once_the_oldest_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_was_removed_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(records_outlive_a_restart_and_are_not_overwritten_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_ours_is_done_without, setup, teardown),
        cmocka_unit_test(a_log_gate_counts_what_it_holds_back),
    };
    wb_log_setup(WB_LOG_ERROR, WB_LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
