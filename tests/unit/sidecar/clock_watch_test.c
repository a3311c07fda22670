/* SPDX-License-Identifier: Apache-2.0 */
/* TOKENS section 11: who moves the clock gains nothing. */
#include "sidecar/clock_watch.h"

#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/purge.h"
#include "sidecar/delegation/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { START_S = 1767225600 };

typedef struct clocks {
    wb_clock_watch watch;
    uint64_t wall_s, mono_s;
    int64_t moved_s;
} clocks;

static clocks start(void)
{
    clocks c = {.wall_s = START_S, .mono_s = 5};
    wb_clock_watch_init(&c.watch, c.wall_s * WB_NS_PER_S, c.mono_s * WB_NS_PER_S);
    return c;
}

/* `mono_s` pass, of which wall time shows `wall_s`. */
static bool pass(clocks *c, uint64_t mono_s, int64_t wall_s)
{
    c->mono_s += mono_s;
    c->wall_s = (uint64_t)((int64_t)c->wall_s + wall_s);
    return wb_clock_watch_agrees(&c->watch, c->wall_s * WB_NS_PER_S, c->mono_s * WB_NS_PER_S,
                                 &c->moved_s);
}

static void a_jump_stops_purging_until_both_clocks_agreed_for_600_s(void **state)
{
    static const int64_t jumps[] = {3602, -3602, 100000000, -100000000};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(jumps); i++) {
        clocks c = start();
        assert_true(pass(&c, 1, 1));
        assert_false(pass(&c, 1, 1 + jumps[i]));
        assert_int_equal(c.moved_s, jumps[i]);
        assert_false(pass(&c, 1, 1));
        assert_int_equal(c.moved_s, 0);
        assert_false(pass(&c, 598, 598));
        assert_true(pass(&c, 1, 1));
    }
}

static void a_jump_back_again_starts_the_wait_anew(void **state)
{
    (void)state;
    clocks c = start();
    assert_false(pass(&c, 1, 7200));
    assert_false(pass(&c, 500, 500));
    assert_false(pass(&c, 1, -7200));
    assert_false(pass(&c, 599, 599));
    assert_true(pass(&c, 1, 1));
}

static void steps_of_a_time_server_and_a_jump_of_an_hour_are_none(void **state)
{
    (void)state;
    clocks c = start();
    for (int i = 0; i < 100; i++) assert_true(pass(&c, 60, 60 + (i % 2 ? 3600 : -3600)));
    assert_false(pass(&c, 60, 60 + 3601));
}

/* The mark that a purge leaves outlives any clock: a token whose row was purged is dead for good. */
static void a_clock_that_goes_back_an_hour_revives_no_token(void **state)
{
    static char issuer[] = "spiffe://example.org/a", jti[] = "00000000000000000000000000000001";
    uint8_t bytes[512], mark[32], hash[32] = {1};
    wb_replay *replay = wb_replay_new(8);
    Waybill__V1__ReplayRow row = WAYBILL__V1__REPLAY_ROW__INIT;
    wb_id first = {{1}};
    (void)state;
    row.issuer = issuer;
    row.jti = jti;
    row.exp_s = START_S + 120;
    row.token_hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    row.acceptance_id = (ProtobufCBinaryData){.len = sizeof first.b, .data = first.b};
    const wb_entry put = {WB_ENTRY_REPLAY, {bytes, waybill__v1__replay_row__pack(&row, bytes)}};
    assert_int_equal(wb_replay_ops.apply(replay, &put, NULL), WB_OK);
    static const uint64_t looks[] = {START_S + 179, START_S + 180, START_S - 3600, START_S};
    for (size_t i = 0; i < WB_COUNT(looks); i++) {
        const wb_purge purge = {.now_s = looks[i], .skew_s = 60};
        const wb_entry entry = {WB_ENTRY_PURGE, {mark, wb_purge_pack(&purge, mark)}};
        assert_int_equal(wb_replay_ops.apply(replay, &entry, NULL), WB_OK);
        bool held =
            wb_replay_find(replay, WB_S("spiffe://example.org/a"), wb_slice_str(jti), hash, &first);
        assert_int_equal(held, i == 0);
        assert_int_equal(wb_replay_purged_exp_s(replay), i == 0 ? 0 : START_S + 120);
    }
    wb_replay_free(replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jump_stops_purging_until_both_clocks_agreed_for_600_s),
        cmocka_unit_test(a_jump_back_again_starts_the_wait_anew),
        cmocka_unit_test(steps_of_a_time_server_and_a_jump_of_an_hour_are_none),
        cmocka_unit_test(a_clock_that_goes_back_an_hour_revives_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
