/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives in a store that the real exporter writes: each row once, whatever happens in between. */
#include "tests/support/store_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct arrived {
    size_t spans, delegations, acceptances, logs;
    uint64_t last; /* version of the last delegation, or last byte of the last span's id */
    wb_status answer;
} arrived;

static wb_status on_span(void *ctx, const wb_stored_span *row)
{
    arrived *a = ctx;
    a->spans++;
    a->last = row->span_id.b[7];
    return a->answer;
}

static wb_status on_delegation(void *ctx, const wb_stored_delegation *row)
{
    arrived *a = ctx;
    a->delegations++;
    a->last = row->version;
    return a->answer;
}

static wb_status on_acceptance(void *ctx, const wb_stored_acceptance *row)
{
    (void)row;
    ((arrived *)ctx)->acceptances++;
    return WB_OK;
}

static wb_status on_log(void *ctx, const wb_stored_log *row)
{
    arrived *a = ctx;
    a->logs++;
    a->last = row->seq;
    return a->answer;
}

static arrived read_arrivals(store_kit *f, wb_follow *follow, wb_status answer)
{
    static const wb_arrivals take = {on_span, on_delegation, on_acceptance, on_log};
    arrived a = {.answer = answer};
    wb_error err = {0};
    if (!f->store) store_kit_open(f);
    assert_int_equal(wb_follow_read(follow, f->store, &take, &a, &err), answer);
    return a;
}

static void a_follower_gets_each_row_once_and_each_new_version(void **state)
{
    store_kit *f = *state;
    WB_AUTO(wb_follow) follow = wb_follow_new();
    assert_non_null(follow);
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1, .start_ms = 5000});
    store_kit_delegation(f, (test_delegation_spec){.id = 1, .trace = 1, .span = 2, .version = 1});
    store_kit_acceptance(f, (test_acceptance_spec){.id = 3, .trace = 1, .span = 4, .version = 1});
    arrived a = read_arrivals(f, follow, WB_OK);
    assert_int_equal(a.spans + a.delegations + a.acceptances, 3);
    a = read_arrivals(f, follow, WB_OK);
    assert_int_equal(a.spans + a.delegations + a.acceptances, 0);
    store_kit_delegation(f, (test_delegation_spec){.id = 1, .trace = 1, .span = 2, .version = 2});
    store_kit_delegation(f, (test_delegation_spec){.id = 1, .trace = 1, .span = 2, .version = 5});
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1}); /* again: the first write wins */
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 9}); /* older than all */
    a = read_arrivals(f, follow, WB_OK);
    assert_int_equal(a.spans, 1);
    assert_int_equal(a.delegations, 1); /* what is, not what was in between */
    assert_int_equal(a.acceptances, 0);
}

static void a_follower_that_stops_goes_on_behind_the_row(void **state)
{
    store_kit *f = *state;
    WB_AUTO(wb_follow) follow = wb_follow_new();
    assert_non_null(follow);
    for (uint32_t i = 1; i <= 3; i++) {
        store_kit_span(f, (test_span_spec){.trace = 1, .span = i});
        store_kit_delegation(f,
                             (test_delegation_spec){.id = i, .trace = 1, .span = 9, .version = i});
    }
    for (uint64_t i = 1; i <= 3; i++) {
        arrived a = read_arrivals(f, follow, WB_ERR_FULL);
        assert_true(a.delegations == 1 && a.spans == 0 && a.last == i);
    }
    for (uint64_t i = 1; i <= 3; i++) {
        arrived a = read_arrivals(f, follow, WB_ERR_FULL);
        assert_true(a.delegations == 0 && a.spans == 1 && a.last == i);
    }
    arrived a = read_arrivals(f, follow, WB_OK);
    assert_int_equal(a.spans + a.delegations, 0);
}

static void a_follower_from_now_skips_what_is_there_but_for_the_last_spans(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    WB_AUTO(wb_follow) follow = wb_follow_new();
    assert_non_null(follow);
    for (uint32_t i = 1; i <= 5; i++) store_kit_span(f, (test_span_spec){.trace = 1, .span = i});
    store_kit_delegation(f, (test_delegation_spec){.id = 1, .trace = 1, .span = 9, .version = 1});
    store_kit_open(f);
    assert_int_equal(wb_follow_from_now(follow, f->store, 2, &err), WB_OK);
    arrived a = read_arrivals(f, follow, WB_OK);
    assert_true(a.spans == 2 && a.delegations == 0 && a.last == 5);
    store_kit_become(f, 2, "beta"); /* a journal that begins at frame 1 again */
    f->seq = 0;
    store_kit_delegation(f, (test_delegation_spec){.id = 2, .trace = 1, .span = 8, .version = 1});
    assert_int_equal(read_arrivals(f, follow, WB_OK).delegations, 1);
}

static void a_follower_of_a_copy_gets_only_what_the_old_file_did_not_have(void **state)
{
    store_kit *f = *state;
    WB_AUTO(wb_follow) follow = wb_follow_new();
    assert_non_null(follow);
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1});
    store_kit_delegation(f, (test_delegation_spec){.id = 1, .trace = 1, .span = 9, .version = 1});
    assert_int_equal(read_arrivals(f, follow, WB_OK).spans, 1);
    wb_follow_reopened(follow);
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 2});
    arrived a = read_arrivals(f, follow, WB_OK);
    assert_true(a.spans == 1 && a.delegations == 0 && a.last == 2);
}

static void log_records_arrive_once_also_from_a_copy_and_from_another_journal(void **state)
{
    store_kit *f = *state;
    WB_AUTO(wb_follow) follow = wb_follow_new();
    assert_non_null(follow);
    store_kit_log(f, (test_log_spec){.trace = 1, .body = "one"});
    store_kit_log(f, (test_log_spec){.body = "two"}); /* of no trace */
    assert_int_equal(read_arrivals(f, follow, WB_ERR_FULL).last, 1);
    assert_int_equal(read_arrivals(f, follow, WB_ERR_FULL).last, 2);
    assert_int_equal(read_arrivals(f, follow, WB_OK).logs, 0);
    wb_follow_reopened(follow); /* a copy */
    store_kit_log(f, (test_log_spec){.trace = 1, .body = "three"});
    arrived a = read_arrivals(f, follow, WB_OK);
    assert_true(a.logs == 1 && a.last == 3);
    store_kit_become(f, 2, "beta"); /* begins at frame 1 again */
    f->seq = 0;
    store_kit_log(f, (test_log_spec){.trace = 1, .body = "four"});
    assert_int_equal(read_arrivals(f, follow, WB_OK).logs, 1);
}

static void a_follower_from_now_skips_log_records_that_are_there(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    WB_AUTO(wb_follow) follow = wb_follow_new();
    assert_non_null(follow);
    store_kit_log(f, (test_log_spec){.trace = 1, .body = "old"});
    store_kit_open(f);
    assert_int_equal(wb_follow_from_now(follow, f->store, 2, &err), WB_OK);
    assert_int_equal(read_arrivals(f, follow, WB_OK).logs, 0);
    store_kit_log(f, (test_log_spec){.trace = 1, .body = "new"});
    assert_int_equal(read_arrivals(f, follow, WB_OK).logs, 1);
}

static void a_reader_learns_of_others_writes_and_of_its_files_removal(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    bool changed = false;
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1});
    store_kit_open(f);
    assert_int_equal(wb_store_changed(f->store, &changed, &err), WB_OK);
    assert_true(changed); /* at first */
    assert_int_equal(wb_store_changed(f->store, &changed, &err), WB_OK);
    assert_false(changed);
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 2});
    assert_int_equal(wb_store_changed(f->store, &changed, &err), WB_OK);
    assert_true(changed);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(wb_store_changed(f->store, &changed, &err), WB_ERR_UNAVAILABLE);
}

#define FOLLOW_TEST(f) cmocka_unit_test_setup_teardown(f, store_kit_set_up, store_kit_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW_TEST(a_follower_gets_each_row_once_and_each_new_version),
        FOLLOW_TEST(log_records_arrive_once_also_from_a_copy_and_from_another_journal),
        FOLLOW_TEST(a_follower_from_now_skips_log_records_that_are_there),
        FOLLOW_TEST(a_follower_that_stops_goes_on_behind_the_row),
        FOLLOW_TEST(a_follower_from_now_skips_what_is_there_but_for_the_last_spans),
        FOLLOW_TEST(a_follower_of_a_copy_gets_only_what_the_old_file_did_not_have),
        FOLLOW_TEST(a_reader_learns_of_others_writes_and_of_its_files_removal),
    };
    return cmocka_run_group_tests_name("store follow", tests, NULL, NULL);
}
