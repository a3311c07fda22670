/* SPDX-License-Identifier: Apache-2.0 */
/* The state tables through the one door that they have: entries, snapshots, loads. */
#include "core/delegation_state.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/acceptances.h"
#include "sidecar/delegation/delegations.h"
#include "sidecar/delegation/owners.h"
#include "sidecar/delegation/purge.h"
#include "sidecar/delegation/replay.h"
#include "sidecar/delegation/requests.h"
#include "sidecar/delegation/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { NOW_S = 1767225600 };

static wb_status apply(const wb_state_ops *ops, void *self, wb_entry_kind kind, const void *row)
{
    uint8_t bytes[4096];
    wb_error err;
    const ProtobufCMessage *message = row;
    assert_true(protobuf_c_message_get_packed_size(message) <= sizeof bytes);
    size_t len = protobuf_c_message_pack(message, bytes);
    const wb_entry entry = {kind, {bytes, len}};
    assert_true(ops->kinds & WB_KIND_BIT(kind));
    return ops->apply(self, &entry, &err);
}

static wb_status purge_at(const wb_state_ops *ops, void *self, uint64_t now_s)
{
    uint8_t bytes[32];
    const wb_purge purge = {.now_s = now_s, .skew_s = 60};
    const wb_entry entry = {WB_ENTRY_PURGE, {bytes, wb_purge_pack(&purge, bytes)}};
    return ops->apply(self, &entry, NULL);
}

/* Copy by snapshot and load, as a restart does. */
static void reload(const wb_state_ops *ops, void *from, void *to)
{
    size_t resume = 0;
    do {
        WB_AUTO_BUFFER slice;
        wb_buffer_init(&slice, 1 << 20);
        assert_int_equal(ops->snapshot(from, &slice, &resume), WB_OK);
        assert_int_equal(ops->load(to, wb_buffer_slice(&slice), NULL), WB_OK);
    } while (resume != 0);
}

static ProtobufCBinaryData data(const void *p, size_t len)
{
    return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)p};
}

static wb_status put_delegation(wb_delegations *d, uint8_t id, uint64_t version, uint32_t state,
                                uint64_t closed_s)
{
    static char audience[] = "spiffe://example.org/b";
    char message[16] = "msg-0";
    const wb_id key = {{id}};
    Waybill__V1__DelegationRow row = WAYBILL__V1__DELEGATION_ROW__INIT;
    message[4] = (char)('0' + id);
    row.id = data(key.b, sizeof key.b);
    row.version = version;
    row.state = state;
    row.target_agent_id = audience;
    row.message_id = message;
    row.opened_ns = NOW_S * WB_NS_PER_S;
    row.deadline_ns = (NOW_S + 100) * WB_NS_PER_S;
    row.closed_ns = row.updated_ns = closed_s * WB_NS_PER_S;
    return apply(&wb_delegations_ops, d, WB_ENTRY_DELEGATION, &row);
}

static void facts_of(uint8_t id, uint8_t facts[WB_FACTS_BYTES])
{
    char message[16] = "msg-0";
    message[4] = (char)('0' + id);
    wb_delegation_facts(NULL, WB_S("spiffe://example.org/b"), wb_slice_str(message), WB_S(""),
                        facts);
}

static void rows_that_do_not_unpack_are_corrupt(void **state)
{
    wb_delegations *d = wb_delegations_new(4);
    wb_acceptances *a = wb_acceptances_new(4);
    wb_replay *r = wb_replay_new(4);
    wb_owners *o = wb_owners_new(4);
    wb_requests *q = wb_requests_new(4);
    const struct {
        const wb_state_ops *ops;
        void *self;
        wb_entry_kind kind;
    } tables[] = {{&wb_delegations_ops, d, WB_ENTRY_DELEGATION},
                  {&wb_acceptances_ops, a, WB_ENTRY_ACCEPTANCE},
                  {&wb_replay_ops, r, WB_ENTRY_REPLAY},
                  {&wb_owners_ops, o, WB_ENTRY_OWNER},
                  {&wb_requests_ops, q, WB_ENTRY_REQUEST}};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(tables); i++) {
        const wb_entry garbage = {tables[i].kind, WB_S("\xff\xff\xff")};
        assert_int_equal(tables[i].ops->apply(tables[i].self, &garbage, NULL), WB_ERR_CORRUPT);
    }
    wb_delegations_free(d);
    wb_acceptances_free(a);
    wb_replay_free(r);
    wb_owners_free(o);
    wb_requests_free(q);
}

static void an_older_version_of_a_row_changes_nothing(void **state)
{
    wb_delegations *d = wb_delegations_new(4);
    (void)state;
    assert_int_equal(put_delegation(d, 1, 2, WB_DELEGATION_COMPLETED, NOW_S), WB_OK);
    assert_int_equal(put_delegation(d, 1, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_int_equal(wb_delegations_open(d), 0);
    assert_int_equal(put_delegation(d, 1, 2, WB_DELEGATION_SENT, 0), WB_OK); /* twice equals once */
    assert_int_equal(wb_delegations_open(d), 0);
    assert_int_equal(wb_delegations_count(d), 1);
    wb_delegations_free(d);
}

static wb_status put_turns(wb_delegations *d, uint8_t id, uint32_t turns, uint64_t closed_s)
{
    static char audience[] = "spiffe://example.org/b", task[] = "task-1";
    const wb_id key = {{id}};
    wb_id ids[32] = {{{0}}};
    char messages[32][16];
    Waybill__V1__DelegationRow row = WAYBILL__V1__DELEGATION_ROW__INIT;
    wb_arena *arena = wb_arena_new(1 << 20);
    assert_non_null(arena);
    row.id = data(key.b, sizeof key.b);
    row.target_agent_id = audience;
    row.task_id = task;
    row.message_id = strcpy(messages[0], "turn-1");
    for (uint32_t n = 2; n <= turns; n++) {
        Waybill__V1__DelegationTurn turn = WAYBILL__V1__DELEGATION_TURN__INIT;
        (void)snprintf(messages[n - 1], sizeof messages[0], "turn-%u", n);
        ids[n - 1] = (wb_id){{id, (uint8_t)n}};
        turn.id = data(ids[n - 1].b, sizeof(wb_id));
        turn.message_id = messages[n - 1];
        assert_int_equal(wb_turns_add(&row, &turn, arena), WB_OK);
    }
    row.version = turns + (closed_s ? 1 : 0);
    row.state = closed_s ? WB_DELEGATION_COMPLETED : WB_DELEGATION_IN_FLIGHT;
    row.closed_ns = row.updated_ns = closed_s * WB_NS_PER_S;
    wb_status status = apply(&wb_delegations_ops, d, WB_ENTRY_DELEGATION, &row);
    wb_arena_free(arena);
    return status;
}

static bool finds_turn(const wb_delegations *d, uint8_t id, uint8_t turn)
{
    const wb_id of_turn = {{id, turn}};
    char message[16];
    uint8_t facts[WB_FACTS_BYTES];
    wb_id by_id = {{0}}, by_facts = {{0}};
    (void)snprintf(message, sizeof message, "turn-%u", turn);
    wb_delegation_facts(NULL, WB_S("spiffe://example.org/b"), wb_slice_str(message), WB_S(""),
                        facts);
    bool found = wb_delegations_of_turn(d, &of_turn, &by_id);
    assert_int_equal(found, wb_delegations_find(d, facts, &by_facts));
    if (found) assert_true(by_id.b[0] == id && by_facts.b[0] == id);
    return found;
}

static void an_open_row_is_found_by_its_task_and_by_the_turns_it_holds(void **state)
{
    wb_delegations *d = wb_delegations_new(4), *again = wb_delegations_new(4);
    wb_id found;
    (void)state;
    assert_false(wb_delegations_of_task(d, WB_S("spiffe://example.org/b"), WB_S("task-1"), &found));
    for (uint32_t turns = 1; turns <= 12; turns++)
        assert_int_equal(put_turns(d, 1, turns, 0), WB_OK);
    reload(&wb_delegations_ops, d, again);
    wb_delegations *both[] = {d, again};
    for (size_t i = 0; i < WB_COUNT(both); i++) {
        assert_true(wb_delegations_of_task(both[i], WB_S("spiffe://example.org/b"), WB_S("task-1"),
                                           &found));
        assert_int_equal(found.b[0], 1);
        assert_false(wb_delegations_of_task(both[i], WB_S("spiffe://example.org/c"), WB_S("task-1"),
                                            &found));
        for (uint8_t turn = 2; turn <= 12; turn++)
            assert_int_equal(finds_turn(both[i], 1, turn), turn > 12 - WB_TURNS_HELD);
    }
    wb_delegations_free(again);
    wb_delegations_free(d);
}

static void a_closed_row_leaves_its_keys_to_the_next_one_of_the_task(void **state)
{
    wb_delegations *d = wb_delegations_new(4);
    wb_id found;
    (void)state;
    assert_int_equal(put_turns(d, 1, 3, 0), WB_OK);
    assert_int_equal(put_turns(d, 2, 2, 0), WB_OK); /* takes over the task and its second message */
    assert_int_equal(put_turns(d, 1, 3, NOW_S), WB_OK);
    assert_true(wb_delegations_of_task(d, WB_S("spiffe://example.org/b"), WB_S("task-1"), &found));
    assert_int_equal(found.b[0], 2);
    assert_true(finds_turn(d, 2, 2));
    assert_false(finds_turn(d, 1, 3));
    assert_int_equal(put_turns(d, 2, 2, NOW_S), WB_OK);
    assert_false(wb_delegations_of_task(d, WB_S("spiffe://example.org/b"), WB_S("task-1"), &found));
    wb_delegations_free(d);
}

static wb_status put_grant(wb_acceptances *a, uint8_t id, uint64_t version, uint64_t cost)
{
    const wb_id key = {{id}};
    Waybill__V1__AcceptanceRow row = WAYBILL__V1__ACCEPTANCE_ROW__INIT;
    row.id = data(key.b, sizeof key.b);
    row.version = version;
    row.handed_cost = cost;
    return apply(&wb_acceptances_ops, a, WB_ENTRY_ACCEPTANCE, &row);
}

static void what_a_grant_handed_on_is_durable_and_what_is_held_is_not(void **state)
{
    wb_acceptances *a = wb_acceptances_new(4), *again = wb_acceptances_new(4);
    const wb_id id = {{1}}, other = {{2}};
    wb_handed handed;
    (void)state;
    assert_int_equal(put_grant(a, 1, 1, 30), WB_OK);
    assert_false(wb_acceptances_handed(a, &other, &handed));
    uint64_t epoch = wb_acceptances_hold(a, &id, (wb_handed){5, 7});
    wb_acceptances_hold(a, &other, (wb_handed){5, 7}); /* nobody: no matter */
    assert_true(wb_acceptances_handed(a, &id, &handed));
    assert_true(handed.cost == 35 && handed.tokens == 7);
    assert_int_equal(put_grant(a, 1, 2, 40), WB_OK); /* a hold outlives the row's next version */
    assert_true(wb_acceptances_handed(a, &id, &handed));
    assert_int_equal(handed.cost, 45);
    reload(&wb_acceptances_ops, a, again);
    assert_true(wb_acceptances_handed(again, &id, &handed));
    assert_true(handed.cost == 40 && handed.tokens == 0);
    wb_acceptances_let_go(a, &id, (wb_handed){5, 7}, epoch);
    assert_true(wb_acceptances_handed(a, &id, &handed));
    assert_true(handed.cost == 40 && handed.tokens == 0);
    wb_acceptances_free(again);
    wb_acceptances_free(a);
}

static void an_acceptance_knows_the_session_of_its_message(void **state)
{
    static char context[] = "ctx-7";
    wb_acceptances *a = wb_acceptances_new(4), *again = wb_acceptances_new(4);
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    WB_AUTO(wb_arena) tiny = wb_arena_new(1);
    const wb_id with = {{1}}, without = {{2}}, nobody = {{3}};
    wb_slice session = WB_S("before");
    Waybill__V1__AcceptanceRow row = WAYBILL__V1__ACCEPTANCE_ROW__INIT;
    (void)state;
    row.id = data(with.b, sizeof with.b);
    row.version = 1;
    row.context_id = context;
    assert_int_equal(apply(&wb_acceptances_ops, a, WB_ENTRY_ACCEPTANCE, &row), WB_OK);
    assert_int_equal(put_grant(a, 2, 1, 30), WB_OK);
    reload(&wb_acceptances_ops, a, again);
    assert_int_equal(wb_acceptances_session(again, &with, tiny, &session), WB_ERR_NO_MEMORY);
    assert_int_equal(wb_acceptances_session(again, &with, arena, &session), WB_OK);
    assert_true(wb_slice_eq(session, WB_S("ctx-7")));
    assert_int_equal(wb_acceptances_session(again, &without, arena, &session), WB_OK);
    assert_int_equal(session.len, 0);
    assert_int_equal(wb_acceptances_session(again, &nobody, arena, &session), WB_OK);
    assert_int_equal(session.len, 0);
    wb_acceptances_free(again);
    wb_acceptances_free(a);
}

/* As behind a failed commit, with a request in hand. */
static void what_was_held_before_a_reset_is_not_let_go_behind_it(void **state)
{
    wb_acceptances *a = wb_acceptances_new(4);
    const wb_id id = {{1}};
    wb_handed handed;
    (void)state;
    assert_int_equal(put_grant(a, 1, 1, 30), WB_OK);
    uint64_t before = wb_acceptances_hold(a, &id, (wb_handed){5, 7});
    wb_acceptances_ops.reset(a);
    assert_int_equal(put_grant(a, 1, 1, 30), WB_OK);
    uint64_t behind = wb_acceptances_hold(a, &id, (wb_handed){2, 3});
    wb_acceptances_let_go(a, &id, (wb_handed){5, 7}, before);
    assert_true(wb_acceptances_handed(a, &id, &handed));
    assert_true(handed.cost == 32 && handed.tokens == 3);
    wb_acceptances_let_go(a, &id, (wb_handed){2, 3}, behind);
    assert_true(wb_acceptances_handed(a, &id, &handed));
    assert_true(handed.cost == 30 && handed.tokens == 0);
    wb_acceptances_free(a);
}

static void open_delegations_are_found_by_their_facts_until_they_close(void **state)
{
    wb_delegations *d = wb_delegations_new(4);
    uint8_t facts[WB_FACTS_BYTES];
    wb_id found;
    (void)state;
    facts_of(1, facts);
    assert_false(wb_delegations_find(d, facts, &found));
    assert_int_equal(put_delegation(d, 1, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_true(wb_delegations_find(d, facts, &found));
    assert_int_equal(found.b[0], 1);
    assert_int_equal(put_delegation(d, 1, 2, WB_DELEGATION_COMPLETED, NOW_S), WB_OK);
    assert_false(wb_delegations_find(d, facts, &found));
    wb_delegations_free(d);
}

static void a_deadline_is_due_at_its_second_plus_grace(void **state)
{
    wb_delegations *d = wb_delegations_new(4);
    wb_id due[4];
    uint64_t deadline_ns = (NOW_S + 100) * WB_NS_PER_S, grace_ns = 60 * WB_NS_PER_S;
    (void)state;
    assert_int_equal(put_delegation(d, 1, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_int_equal(put_delegation(d, 2, 1, WB_DELEGATION_COMPLETED, NOW_S), WB_OK);
    assert_int_equal(wb_delegations_due(d, deadline_ns + grace_ns - 1, grace_ns, due, 4, NULL), 0);
    assert_int_equal(wb_delegations_due(d, deadline_ns + grace_ns, grace_ns, due, 4, NULL), 1);
    assert_int_equal(due[0].b[0], 1);
    wb_delegations_free(d);
}

static void open_ones_are_counted_by_state_and_the_oldest_is_known(void **state)
{
    wb_delegations *d = wb_delegations_new(4), *again = wb_delegations_new(4);
    wb_id due[1];
    wb_time_ns oldest = 7;
    uint64_t late_ns = (NOW_S + 1000) * WB_NS_PER_S;
    (void)state;
    assert_int_equal(wb_delegations_due(d, late_ns, 0, due, 1, &oldest), 0);
    assert_int_equal(oldest, 0); /* none is open */
    assert_int_equal(put_delegation(d, 1, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_int_equal(put_delegation(d, 2, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_int_equal(put_delegation(d, 3, 1, WB_DELEGATION_COMPLETED, NOW_S), WB_OK);
    assert_int_equal(wb_delegations_in(d, WB_DELEGATION_SENT), 2);
    assert_int_equal(put_delegation(d, 2, 2, WB_DELEGATION_WAITING_INPUT, 0), WB_OK);
    assert_int_equal(wb_delegations_in(d, WB_DELEGATION_SENT), 1);
    assert_int_equal(wb_delegations_in(d, WB_DELEGATION_WAITING_INPUT), 1);
    assert_int_equal(wb_delegations_in(d, WB_DELEGATION_COMPLETED), 0);      /* of open ones only */
    assert_int_equal(wb_delegations_due(d, late_ns, 0, due, 1, &oldest), 1); /* room for one */
    assert_int_equal(oldest, NOW_S * WB_NS_PER_S);
    reload(&wb_delegations_ops, d, again);
    assert_int_equal(wb_delegations_in(again, WB_DELEGATION_WAITING_INPUT), 1);
    assert_int_equal(put_delegation(d, 1, 2, WB_DELEGATION_LOST, NOW_S), WB_OK);
    assert_int_equal(put_delegation(d, 2, 3, WB_DELEGATION_ANSWERED, NOW_S), WB_OK);
    for (wb_delegation_state s = WB_DELEGATION_NONE; s <= WB_DELEGATION_DETACHED; s++)
        assert_int_equal(wb_delegations_in(d, s), 0);
    wb_delegations_ops.reset(again);
    assert_int_equal(wb_delegations_in(again, WB_DELEGATION_WAITING_INPUT), 0);
    wb_delegations_free(d);
    wb_delegations_free(again);
}

static void closed_rows_leave_after_an_hour_lost_ones_after_a_day_open_ones_never(void **state)
{
    wb_delegations *d = wb_delegations_new(4), *again = wb_delegations_new(4);
    (void)state;
    assert_int_equal(put_delegation(d, 1, 1, WB_DELEGATION_COMPLETED, NOW_S), WB_OK);
    assert_int_equal(put_delegation(d, 2, 1, WB_DELEGATION_LOST, NOW_S), WB_OK);
    assert_int_equal(put_delegation(d, 3, 1, WB_DELEGATION_SENT, 0), WB_OK);
    reload(&wb_delegations_ops, d, again);
    assert_int_equal(purge_at(&wb_delegations_ops, again, NOW_S + 3599), WB_OK);
    assert_int_equal(wb_delegations_count(again), 3);
    assert_int_equal(purge_at(&wb_delegations_ops, again, NOW_S + 3600), WB_OK);
    assert_int_equal(wb_delegations_count(again), 2);
    assert_int_equal(purge_at(&wb_delegations_ops, again, NOW_S + 24 * 3600), WB_OK);
    assert_int_equal(wb_delegations_count(again), 1);
    assert_int_equal(wb_delegations_open(again), 1);
    wb_delegations_free(d);
    wb_delegations_free(again);
}

static void a_full_table_says_full_and_keeps_what_it_has(void **state)
{
    wb_delegations *d = wb_delegations_new(2);
    (void)state;
    assert_int_equal(put_delegation(d, 1, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_int_equal(put_delegation(d, 2, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_int_equal(wb_delegations_room(d), 0);
    assert_int_equal(put_delegation(d, 3, 1, WB_DELEGATION_SENT, 0), WB_ERR_FULL);
    assert_int_equal(put_delegation(d, 1, 2, WB_DELEGATION_COMPLETED, NOW_S), WB_OK);
    assert_int_equal(wb_delegations_count(d), 2);
    wb_delegations_free(d);
}

static void closed_rows_make_room_the_oldest_first_and_open_ones_never(void **state)
{
    wb_delegations *d = wb_delegations_new(4);
    const wb_id oldest = {{1}}, newest = {{3}}, open = {{4}};
    (void)state;
    assert_int_equal(put_delegation(d, 1, 1, WB_DELEGATION_COMPLETED, NOW_S), WB_OK);
    assert_int_equal(put_delegation(d, 2, 1, WB_DELEGATION_COMPLETED, NOW_S + 50), WB_OK);
    assert_int_equal(put_delegation(d, 3, 1, WB_DELEGATION_COMPLETED, NOW_S + 100), WB_OK);
    assert_int_equal(put_delegation(d, 4, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_int_equal(wb_delegations_room(d), 3);
    assert_int_equal(put_delegation(d, 5, 1, WB_DELEGATION_SENT, 0), WB_OK);
    assert_false(wb_delegations_get(d, &oldest, NULL));
    assert_true(wb_delegations_get(d, &newest, NULL));
    assert_true(wb_delegations_get(d, &open, NULL));
    assert_int_equal(wb_delegations_open(d), 2);
    wb_delegations_free(d);
}

static wb_status put_replay(wb_replay *r, char *jti, uint64_t exp_s)
{
    static char issuer[] = "spiffe://example.org/a";
    const uint8_t hash[WB_REPLAY_HASH_BYTES] = {7};
    const wb_id acceptance = {{9}};
    Waybill__V1__ReplayRow row = WAYBILL__V1__REPLAY_ROW__INIT;
    row.issuer = issuer;
    row.jti = jti;
    row.token_hash = data(hash, sizeof hash);
    row.acceptance_id = data(acceptance.b, sizeof acceptance.b);
    row.exp_s = exp_s;
    return apply(&wb_replay_ops, r, WB_ENTRY_REPLAY, &row);
}

static void replay_rows_leave_at_exp_plus_skew_and_their_exp_is_remembered(void **state)
{
    static char first[] = "one", second[] = "two";
    wb_replay *r = wb_replay_new(8), *again = wb_replay_new(8);
    uint8_t hash[WB_REPLAY_HASH_BYTES];
    wb_id acceptance;
    (void)state;
    assert_int_equal(put_replay(r, first, NOW_S + 10), WB_OK);
    assert_int_equal(put_replay(r, second, NOW_S + 500), WB_OK);
    assert_false(wb_replay_has_ended(r, NOW_S + 69, 60));
    assert_int_equal(purge_at(&wb_replay_ops, r, NOW_S + 69), WB_OK);
    assert_int_equal(wb_replay_count(r), 2);
    assert_int_equal(wb_replay_purged_exp_s(r), 0);
    assert_true(wb_replay_has_ended(r, NOW_S + 70, 60));
    assert_int_equal(purge_at(&wb_replay_ops, r, NOW_S + 70), WB_OK);
    assert_int_equal(wb_replay_count(r), 1);
    reload(&wb_replay_ops, r, again);
    assert_int_equal(wb_replay_purged_exp_s(again), NOW_S + 10);
    assert_false(
        wb_replay_find(again, WB_S("spiffe://example.org/a"), WB_S("one"), hash, &acceptance));
    assert_false(
        wb_replay_find(again, WB_S("spiffe://example.org/b"), WB_S("two"), hash, &acceptance));
    assert_true(
        wb_replay_find(again, WB_S("spiffe://example.org/a"), WB_S("two"), hash, &acceptance));
    assert_int_equal(hash[0], 7);
    assert_int_equal(acceptance.b[0], 9);
    wb_replay_free(r);
    wb_replay_free(again);
}

static void a_gap_is_remembered_and_only_moves_forward(void **state)
{
    wb_replay *r = wb_replay_new(8), *again = wb_replay_new(8);
    Waybill__V1__GapRow gap = WAYBILL__V1__GAP_ROW__INIT;
    (void)state;
    gap.recovered_s = NOW_S;
    assert_int_equal(apply(&wb_replay_ops, r, WB_ENTRY_GAP, &gap), WB_OK);
    gap.recovered_s = NOW_S - 5;
    assert_int_equal(apply(&wb_replay_ops, r, WB_ENTRY_GAP, &gap), WB_OK);
    reload(&wb_replay_ops, r, again);
    assert_int_equal(wb_replay_recovered_s(again), NOW_S);
    wb_replay_free(r);
    wb_replay_free(again);
}

static void a_trace_and_a_task_of_the_same_bytes_have_two_owners(void **state)
{
    static char subject[] = "spiffe://example.org/a", issuer[] = "spiffe://example.org/b",
                task_id[] = "0123456789abcdef";
    wb_owners *o = wb_owners_new(8);
    wb_arena *arena = wb_arena_new(1 << 16);
    wb_trace_id trace;
    wb_owner owner;
    Waybill__V1__OwnerRow row = WAYBILL__V1__OWNER_ROW__INIT;
    (void)state;
    memcpy(trace.b, task_id, sizeof trace.b);
    row.trace_id = data(trace.b, sizeof trace.b);
    row.subject = subject;
    row.used_s = NOW_S;
    assert_int_equal(apply(&wb_owners_ops, o, WB_ENTRY_OWNER, &row), WB_OK);
    assert_false(wb_owners_of_task(o, wb_slice_str(task_id), arena, &owner));
    assert_true(wb_owners_of_trace(o, &trace, arena, &owner));
    assert_true(wb_slice_eq(owner.subject, wb_slice_str(subject)));
    row.trace_id = data(NULL, 0);
    row.task_id = task_id;
    row.issuer = issuer;
    row.used_s = NOW_S + 100;
    assert_int_equal(apply(&wb_owners_ops, o, WB_ENTRY_OWNER, &row), WB_OK);
    assert_true(wb_owners_of_task(o, wb_slice_str(task_id), arena, &owner));
    assert_true(wb_slice_eq(owner.issuer, wb_slice_str(issuer)));
    assert_int_equal(purge_at(&wb_owners_ops, o, NOW_S + WB_OWNER_KEPT_S), WB_OK);
    assert_false(wb_owners_of_trace(o, &trace, arena, &owner));
    assert_true(wb_owners_of_task(o, wb_slice_str(task_id), arena, &owner));
    wb_arena_free(arena);
    wb_owners_free(o);
}

static void remembered_requests_are_the_newest_ones(void **state)
{
    wb_requests *q = wb_requests_new(16);
    uint32_t accepted, rejected;
    (void)state;
    for (uint8_t i = 1; i <= 40; i++) {
        const wb_id id = {{i}};
        Waybill__V1__RequestRow row = WAYBILL__V1__REQUEST_ROW__INIT;
        row.id = data(id.b, sizeof id.b);
        row.accepted = i;
        assert_int_equal(apply(&wb_requests_ops, q, WB_ENTRY_REQUEST, &row), WB_OK);
    }
    for (uint8_t i = 1; i <= 40; i++) {
        const wb_id id = {{i}};
        bool found = wb_requests_find(q, &id, &accepted, &rejected);
        if (i > 24) assert_true(found && accepted == i);
        if (i <= 24) assert_false(found); /* of 40, the 16 newest stay */
    }
    wb_requests_free(q);
}

static void an_unfinished_acceptance_is_due_after_its_deadline_or_a_day(void **state)
{
    wb_acceptances *a = wb_acceptances_new(8);
    wb_id due[8];
    (void)state;
    for (uint8_t i = 1; i <= 3; i++) {
        const wb_id id = {{i}};
        Waybill__V1__AcceptanceRow row = WAYBILL__V1__ACCEPTANCE_ROW__INIT;
        row.id = data(id.b, sizeof id.b);
        row.version = 1;
        row.opened_ns = NOW_S * WB_NS_PER_S;
        row.deadline_ns = i == 1 ? (NOW_S + 10) * WB_NS_PER_S : 0;
        row.finished_ns = i == 3 ? (NOW_S + 1) * WB_NS_PER_S : 0;
        assert_int_equal(apply(&wb_acceptances_ops, a, WB_ENTRY_ACCEPTANCE, &row), WB_OK);
    }
    assert_int_equal(wb_acceptances_open(a), 2);
    assert_int_equal(wb_acceptances_due(a, (NOW_S + 10) * WB_NS_PER_S, 0, due, 8), 1);
    assert_int_equal(due[0].b[0], 1);
    assert_int_equal(
        wb_acceptances_due(a, NOW_S * WB_NS_PER_S + WB_UNGRANTED_ACCEPTANCE_NS, 0, due, 8), 2);
    assert_int_equal(purge_at(&wb_acceptances_ops, a, NOW_S + 1 + 3600), WB_OK);
    assert_int_equal(wb_acceptances_count(a), 2);
    wb_acceptances_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_do_not_unpack_are_corrupt),
        cmocka_unit_test(an_older_version_of_a_row_changes_nothing),
        cmocka_unit_test(an_open_row_is_found_by_its_task_and_by_the_turns_it_holds),
        cmocka_unit_test(a_closed_row_leaves_its_keys_to_the_next_one_of_the_task),
        cmocka_unit_test(what_a_grant_handed_on_is_durable_and_what_is_held_is_not),
        cmocka_unit_test(an_acceptance_knows_the_session_of_its_message),
        cmocka_unit_test(what_was_held_before_a_reset_is_not_let_go_behind_it),
        cmocka_unit_test(open_delegations_are_found_by_their_facts_until_they_close),
        cmocka_unit_test(a_deadline_is_due_at_its_second_plus_grace),
        cmocka_unit_test(open_ones_are_counted_by_state_and_the_oldest_is_known),
        cmocka_unit_test(closed_rows_leave_after_an_hour_lost_ones_after_a_day_open_ones_never),
        cmocka_unit_test(a_full_table_says_full_and_keeps_what_it_has),
        cmocka_unit_test(closed_rows_make_room_the_oldest_first_and_open_ones_never),
        cmocka_unit_test(replay_rows_leave_at_exp_plus_skew_and_their_exp_is_remembered),
        cmocka_unit_test(a_gap_is_remembered_and_only_moves_forward),
        cmocka_unit_test(a_trace_and_a_task_of_the_same_bytes_have_two_owners),
        cmocka_unit_test(remembered_requests_are_the_newest_ones),
        cmocka_unit_test(an_unfinished_acceptance_is_due_after_its_deadline_or_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
