# SPDX-License-Identifier: Apache-2.0
"""Turns, limits, fan-out, cycles, depth: what one delegation may become (TOKENS sections 7 and 9)."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time

import pytest
from agents import Asker, a_delegate, agent_id, an_accept, company, origin, unb64url
from waybill_testkit import wait_until

from waybill import _wire
from waybill._wire import Status, Verdict
from waybill.errors import Unavailable

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def three():
    with company(NAMES) as sidecars:
        yield sidecars


@pytest.fixture
def ask(three):
    askers = {name: Asker(sidecar) for name, sidecar in three.items()}
    yield {name: asker.ask for name, asker in askers.items()}
    for asker in askers.values():
        asker.close()


def delegate(ask, sender, receiver, names=NAMES, limits=None, **more):
    asked = a_delegate(origin(names, receiver), ask=limits, **more)
    reply = ask[sender](delegate=asked)
    assert reply.status == Status.OK, reply.detail
    return asked, reply.delegate


def leaf_of(reply):
    chain = json.loads(reply.carrier)["chain"]
    return json.loads(unb64url(chain[-1].split(".")[1]))


def accept(ask, receiver, asked, reply):
    return ask[receiver](accept=an_accept(asked, reply.carrier))


def waiting(ask, sender, reply, task_id):
    seen = ask[sender](
        observe=_wire.Observe(
            delegation_id=reply.delegation_id, task_state="TASK_STATE_INPUT_REQUIRED", task_id=task_id
        )
    )
    assert seen.observe.state == "waiting_input"


def stored(sidecar, delegation_id, until):
    def look():
        # a store that no sidecar has opened yet is an error
        for row in json.loads(sidecar.cli("delegations", "--json", check=False) or "[]"):
            if row["delegation_id"] == delegation_id.hex() and until(row):
                return row
        return None

    return wait_until(look, what="the row in the store")


# -- turns -----------------------------------------------------------------------------------------


def test_a_message_to_an_open_task_is_a_turn_of_the_same_delegation(three, ask):
    task = "task-" + os.urandom(4).hex()
    limits = _wire.Limits(currency="USD", cost_micros=1000, tokens=50, work_ms=2000)
    _, first = delegate(ask, "a", "b", limits=limits)
    assert first.turn == 1 and "tsk" not in leaf_of(first)["bnd"]
    waiting(ask, "a", first, task)
    nothing = _wire.Limits(currency="USD", cost_micros=0, tokens=0, work_ms=0)
    asked, second = delegate(ask, "a", "b", task_id=task, limits=nothing)
    assert second.delegation_id == first.delegation_id and second.turn == 2
    assert (second.trace_id, second.span_id) == (first.trace_id, first.span_id)
    token = leaf_of(second)
    assert token["bnd"]["tsk"] == task
    assert unb64url(token["jti"]) == asked.delegation_id != first.delegation_id
    assert token["lim"] == {"cur": "USD", "cost": 0, "tok": 0, "ms": 0}
    row = stored(three["a"], first.delegation_id, lambda row: row["turns"] == 2)
    assert row["state"] == "in_flight" and row["open"] and row["task_id"] == task
    assert row["granted"] == {"currency": "USD", "cost_micros": 1000, "tokens": 50, "work_ms": 2000}
    assert accept(ask, "b", asked, second).accept.verdict == Verdict.CONTINUE


def test_a_turn_is_found_by_the_delegation_that_the_client_names(ask):
    task = "task-" + os.urandom(4).hex()
    _, first = delegate(ask, "a", "b")
    _, second = delegate(ask, "a", "b", task_id=task, turn_of=first.delegation_id)
    assert second.delegation_id == first.delegation_id and second.turn == 2
    _, third = delegate(ask, "a", "b", task_id=task)
    assert third.delegation_id == first.delegation_id and third.turn == 3


def test_a_turn_of_another_agent_or_task_is_refused(ask):
    _, first = delegate(ask, "a", "b", task_id="")
    waiting(ask, "a", first, "task-x")
    for receiver, task in [("c", "task-x"), ("b", "task-y")]:
        asked = a_delegate(origin(NAMES, receiver), task_id=task, turn_of=first.delegation_id)
        assert ask["a"](delegate=asked).status == Status.REJECTED
    asked = a_delegate(origin(NAMES, "b"), turn_of=first.delegation_id)
    assert ask["a"](delegate=asked).status == Status.MALFORMED


def test_each_turn_sent_again_gets_its_own_token_and_its_id_serves_nothing_else(ask):
    task = "task-" + os.urandom(4).hex()
    sent = [delegate(ask, "a", "b")]
    waiting(ask, "a", sent[0][1], task)
    now = int(time.time())
    sent += [delegate(ask, "a", "b", task_id=task, deadline_s=now + 1000 * n) for n in (2, 9, 5)]
    assert [reply.turn for _, reply in sent] == [1, 2, 3, 4]
    for asked, reply in sent:
        assert ask["a"](delegate=asked).delegate == reply
        other = a_delegate(origin(NAMES, "b"), task_id=task, delegation_id=asked.delegation_id)
        assert ask["a"](delegate=other).status == Status.REJECTED
    asked, reply = sent[2]
    renamed = _wire.Delegate(**{**asked.__dict__, "delegation_id": os.urandom(16)})
    assert ask["a"](delegate=renamed).delegate == reply


def test_turns_survive_kill_9_and_a_long_conversation_keeps_its_row_small(three, ask):
    task = "task-" + os.urandom(4).hex()
    first_asked, first = delegate(ask, "a", "b")
    waiting(ask, "a", first, task)
    sent = [delegate(ask, "a", "b", task_id=task) for _ in range(11)]
    three["a"].kill9()
    three["a"].start()
    assert all(ask["a"](delegate=asked).delegate == reply for asked, reply in sent[-8:])
    assert ask["a"](delegate=first_asked).status == Status.REJECTED  # too long past
    _, last = delegate(ask, "a", "b", task_id=task)
    assert last.turn == 13 and last.delegation_id == first.delegation_id
    row = stored(three["a"], first.delegation_id, lambda row: row["turns"] == 13)
    assert row["open"]


def test_a_closed_delegation_takes_no_turn(ask):
    task = "task-" + os.urandom(4).hex()
    _, first = delegate(ask, "a", "b")
    waiting(ask, "a", first, task)
    ask["a"](settle=_wire.Settle(delegation_id=first.delegation_id, outcome="completed"))
    _, second = delegate(ask, "a", "b", task_id=task, turn_of=first.delegation_id)
    assert second.delegation_id != first.delegation_id and second.turn == 1


def test_a_turn_under_another_trace_is_another_delegation(ask):
    task = "task-" + os.urandom(4).hex()
    asked, to_b = delegate(ask, "a", "b")
    mine = accept(ask, "b", asked, to_b).accept
    _, first = delegate(ask, "b", "c", parent_acceptance=mine.acceptance_id)
    waiting(ask, "b", first, task)
    _, elsewhere = delegate(ask, "b", "c", task_id=task)  # no parent: a root of b's own
    assert elsewhere.delegation_id != first.delegation_id
    assert elsewhere.trace_id != first.trace_id


def test_a_turn_of_the_next_acceptance_in_the_trace_is_a_child_of_that(ask):
    ours, theirs = ("task-" + os.urandom(4).hex() for _ in range(2))
    asked, to_b = delegate(ask, "a", "b")
    mine = accept(ask, "b", asked, to_b).accept
    _, first = delegate(ask, "b", "c", parent_acceptance=mine.acceptance_id)
    waiting(ask, "b", first, theirs)
    waiting(ask, "a", to_b, ours)
    asked, again = delegate(ask, "a", "b", task_id=ours)
    mine = accept(ask, "b", asked, again).accept
    assert mine.verdict == Verdict.CONTINUE
    asked, second = delegate(ask, "b", "c", task_id=theirs, parent_acceptance=mine.acceptance_id)
    assert second.delegation_id == first.delegation_id and second.turn == 2
    assert accept(ask, "c", asked, second).accept.verdict == Verdict.CONTINUE


def test_only_who_started_a_task_may_go_on_with_it(three, ask):
    task = "task-" + os.urandom(4).hex()
    asked, first = delegate(ask, "a", "b")
    mine = accept(ask, "b", asked, first).accept
    ask["b"](
        finish=_wire.Finish(
            acceptance_id=mine.acceptance_id,
            outcome="interrupted",
            task_state="TASK_STATE_INPUT_REQUIRED",
            task_id=task,
        )
    )
    asked, foreign = delegate(ask, "c", "b", task_id=task)
    refused = accept(ask, "b", asked, foreign)
    assert refused.status == Status.DENIED and refused.wire_class == "unauthenticated"
    line = next(line for line in three["b"].log().splitlines() if refused.ref in line)
    assert 'code="WB_E_BIND_TASK"' in line
    waiting(ask, "a", first, task)
    asked, second = delegate(ask, "a", "b", task_id=task)
    assert accept(ask, "b", asked, second).accept.verdict == Verdict.CONTINUE


# -- limits ----------------------------------------------------------------------------------------


def grant(ask, **limits):
    """An acceptance at b of what a granted."""
    asked, first = delegate(ask, "a", "b", limits=_wire.Limits(currency="USD", **limits))
    return accept(ask, "b", asked, first).accept.acceptance_id


def test_without_an_ask_an_unlimited_pool_gives_no_limit(ask):
    _, reply = delegate(ask, "a", "b")
    nolim = 2**53 - 1
    assert leaf_of(reply)["lim"] == {"cur": "USD", "cost": nolim, "tok": nolim, "ms": nolim}
    assert reply.granted == _wire.Limits(currency="USD")


def test_without_an_ask_a_grant_gives_a_quarter_of_what_is_free(ask):
    parent = grant(ask, cost_micros=1000, tokens=400, work_ms=7000)
    given = []
    for _ in range(3):
        _, reply = delegate(ask, "b", "c", parent_acceptance=parent)
        given.append(leaf_of(reply)["lim"])
    assert [lim["cost"] for lim in given] == [250, 187, 140]
    assert [lim["tok"] for lim in given] == [100, 75, 56]
    assert {lim["ms"] for lim in given} == {7000}


def test_a_hundred_children_at_once_get_no_more_than_the_grant_also_across_kill_9(three, ask):
    parent = grant(ask, cost_micros=1000, tokens=10**6, work_ms=7000)
    asker = Asker(three["b"])
    wanted = _wire.Limits(currency="USD", cost_micros=30, tokens=1)

    def child():
        return a_delegate(origin(NAMES, "c"), parent_acceptance=parent, ask=wanted)

    replies = [f.result(10) for f in [asker.post(delegate=child()) for _ in range(100)]]
    signed = [reply for reply in replies if reply.status == Status.OK]
    denied = [reply for reply in replies if reply.status == Status.DENIED]
    assert len(signed) == 33 and len(denied) == 67
    assert all("30" in reply.detail for reply in denied)
    assert any("left: 10" in reply.detail for reply in denied)
    assert sum(leaf_of(reply.delegate)["lim"]["cost"] for reply in signed) == 990
    for reply in signed[:5]:  # what was handed out counts as spent, however the delegation ended
        ask["b"](settle=_wire.Settle(delegation_id=reply.delegate.delegation_id, outcome="failed"))
    three["b"].kill9()
    three["b"].start()
    assert asker.ask(delegate=child()).status == Status.DENIED
    last = _wire.Limits(currency="USD", cost_micros=10)
    reply = asker.ask(delegate=a_delegate(origin(NAMES, "c"), parent_acceptance=parent, ask=last))
    assert reply.status == Status.OK
    asker.close()


def test_an_ask_above_the_grant_in_any_amount_is_denied(ask):
    parent = grant(ask, cost_micros=1000, tokens=400, work_ms=7000)
    for amount, value in [("cost_micros", 1001), ("tokens", 401), ("work_ms", 7001)]:
        asked = a_delegate(
            origin(NAMES, "c"),
            parent_acceptance=parent,
            ask=_wire.Limits(currency="USD", **{amount: value}),
        )
        reply = ask["b"](delegate=asked)
        assert reply.status == Status.DENIED and f"left: {value - 1}" in reply.detail
    asked = a_delegate(
        origin(NAMES, "c"), parent_acceptance=parent, deadline_s=int(time.time()) + 7200
    )
    assert ask["b"](delegate=asked).status == Status.DENIED
    _, reply = delegate(ask, "b", "c", parent_acceptance=parent, limits=_wire.Limits(cost_micros=1000))
    assert leaf_of(reply)["lim"]["cost"] == 1000


def test_limits_come_from_configuration_and_a_dead_token_comes_back_with_its_own():
    extra = (
        "limits: {currency: EUR, cost_micros: 4000, tokens: 800, work_ms: 9000, share_percent: 50}\n"
        "token: {expiry_s: 1}\n"
    )
    with company(["a", "b"], extra) as two:
        a, b = Asker(two["a"]), Asker(two["b"])
        asked = a_delegate(origin(["a", "b"], "b"))
        first = a.ask(delegate=asked).delegate
        lim = leaf_of(first)["lim"]
        assert lim == {"cur": "EUR", "cost": 2000, "tok": 400, "ms": 9000}
        for wide in ({"cost_micros": 4001}, {"currency": "USD", "cost_micros": 1}):
            reply = a.ask(delegate=a_delegate(origin(["a", "b"], "b"), ask=_wire.Limits(**wide)))
            assert reply.status == Status.DENIED
        under = b.ask(accept=an_accept(asked, first.carrier)).accept
        assert under.verdict == Verdict.CONTINUE
        asked_back = a_delegate("https://c.example/rpc", parent_acceptance=under.acceptance_id)
        asked_back.target_agent_id, asked_back.target_declares = "https://c.example/agent", True
        child = b.ask(delegate=asked_back).delegate
        assert leaf_of(child)["lim"]["cost"] == 1000
        wait_until(lambda: time.time() >= leaf_of(child)["exp"] + 0.1, what="the token to die")
        again = b.ask(delegate=asked_back).delegate
        assert again.delegation_id == child.delegation_id and again.turn == 1
        fresh, dead = leaf_of(again), leaf_of(child)
        assert fresh["jti"] != dead["jti"] and fresh["lim"] == dead["lim"]
        assert fresh["dln"] == dead["dln"] and fresh["psid"] == dead["psid"]
        another = a_delegate("https://c.example/rpc", parent_acceptance=under.acceptance_id)
        another.target_agent_id, another.target_declares = "https://c.example/agent", True
        assert leaf_of(b.ask(delegate=another).delegate)["lim"]["cost"] == 500  # of 1000: taken once
        a.close()
        b.close()


# -- what may be signed ----------------------------------------------------------------------------


def test_nothing_is_signed_under_a_revoked_acceptance():
    names = ["a", "b", "c"]
    with company(names) as made:
        ask = {name: Asker(sidecar).ask for name, sidecar in made.items()}
        asked, first = delegate(ask, "a", "b")
        mine = accept(ask, "b", asked, first).accept
        _, before = delegate(ask, "b", "c", parent_acceptance=mine.acceptance_id)
        assert before.carrier
        asked, again = delegate(ask, "b", "c", parent_acceptance=mine.acceptance_id)
        end = accept(ask, "c", asked, again).accept
        for name, parent in (("b", mine), ("c", end)):  # of the leaf, and of an ancestor
            made[name].cli("trust", "revoke", "iss", agent_id("a"))
            made[name].restart()
            peer = origin(names, "c" if name == "b" else "b")
            reply = ask[name](
                delegate=a_delegate(peer, parent_acceptance=parent.acceptance_id)
            ).delegate
            assert reply.carrier == "" and reply.unsigned_reason == "WB_E_KEY_REVOKED"
            assert reply.traceparent


def test_nothing_is_signed_under_a_key_that_was_dropped():
    names = ["a", "b", "c"]
    with company(names) as made:
        ask = {name: Asker(sidecar).ask for name, sidecar in made.items()}
        asked, first = delegate(ask, "a", "b")
        mine = accept(ask, "b", asked, first).accept
        asked, again = delegate(ask, "b", "c", parent_acceptance=mine.acceptance_id)
        end = accept(ask, "c", asked, again).accept
        head = json.loads(first.carrier)["chain"][0].split(".")[0]
        kid = json.loads(unb64url(head))["kid"]
        # the leaf's issuer is gone; an ancestor's key is
        for name, parent, gone in (("b", mine, []), ("c", end, [kid])):
            made[name].cli("trust", "remove", agent_id("a"), *gone)
            made[name].restart()
            peer = origin(names, "c" if name == "b" else "b")
            one = a_delegate(peer, parent_acceptance=parent.acceptance_id)
            reply = ask[name](delegate=one).delegate
            assert reply.carrier == "" and reply.unsigned_reason == "WB_E_KEY_REVOKED"


def test_an_acceptance_id_serves_one_message(ask):
    asked, reply = delegate(ask, "a", "b")
    first = an_accept(asked, reply.carrier)
    mine = ask["b"](accept=first).accept
    assert mine.verdict == Verdict.CONTINUE
    for other in (
        {"message_id": "another"},
        {"context_id": "another"},
        {"body_digest": os.urandom(32)},
        {"method": "SendStreamingMessage"},
    ):
        again = an_accept(asked, reply.carrier, acceptance_id=first.acceptance_id, **other)
        assert ask["b"](accept=again).status == Status.REJECTED, other
    assert ask["b"](accept=first).accept == mine


def test_nothing_is_signed_under_an_acceptance_past_its_deadline():
    with company(["a", "b"], "token: {expiry_s: 1}\n") as two:
        ask = {name: Asker(sidecar).ask for name, sidecar in two.items()}
        deadline = int(time.time()) + 3
        asked, first = delegate(ask, "a", "b", ["a", "b"], deadline_s=deadline)
        mine = accept(ask, "b", asked, first).accept
        assert mine.verdict == Verdict.CONTINUE

        def child():
            one = a_delegate("https://c.example/rpc", parent_acceptance=mine.acceptance_id)
            one.target_agent_id, one.target_declares = "https://c.example/agent", True
            return ask["b"](delegate=one).delegate

        assert child().carrier
        wait_until(lambda: time.time() >= deadline, what="the deadline")
        late = child()
        assert late.carrier == "" and late.unsigned_reason == "WB_E_TTL"


# -- one token, many hands -------------------------------------------------------------------------


class Presenter(threading.Thread):
    """One client with a connection and an acceptance id of its own; keeps what it was first told, and
    asks again, with the same id, as long as it was told nothing."""

    def __init__(self, sidecar, asked, carrier, gate):
        super().__init__(daemon=True)
        self.request = an_accept(asked, carrier)
        self.told = []
        self._asker, self._gate = Asker(sidecar), gate

    def run(self):
        self._gate.wait()
        while not self.told:
            with contextlib.suppress(Unavailable):
                reply = self._asker.ask(accept=self.request, timeout_s=2)
                if reply.status in (Status.OK, Status.DENIED):
                    self.told.append(reply)

    def ask_again(self):
        return self._asker.ask(accept=self.request)

    def close(self):
        self._asker.close()


@pytest.mark.parametrize("killed_after_s", [None, 0.0, 0.005, 0.02, 0.05])
def test_of_64_clients_with_one_token_one_is_accepted_whenever_the_sidecar_dies(
    three, ask, killed_after_s
):
    asked, reply = delegate(ask, "a", "b")
    gate = threading.Barrier(65)
    clients = [Presenter(three["b"], asked, reply.carrier, gate) for _ in range(64)]
    for client in clients:
        client.start()
    gate.wait()
    if killed_after_s is not None:
        time.sleep(killed_after_s)
        three["b"].kill9()
        three["b"].start()
    for client in clients:
        client.join(30)
    verdicts = [client.told[0].accept.verdict for client in clients]
    assert verdicts.count(Verdict.CONTINUE) == 1
    assert verdicts.count(Verdict.DUPLICATE) == 63
    (winner,) = [c for c in clients if c.told[0].accept.verdict == Verdict.CONTINUE]
    first = winner.told[0].accept
    assert {client.told[0].accept.acceptance_id for client in clients} == {first.acceptance_id}
    assert {client.told[0].accept.trace_id for client in clients} == {first.trace_id}
    three["b"].kill9()
    three["b"].start()
    assert winner.ask_again().accept == first  # its own verdict again, after a lost reply
    loser = next(client for client in clients if client is not winner)
    assert loser.ask_again().accept.verdict == Verdict.DUPLICATE
    for client in clients:
        client.close()


# -- fan-out, cycles, depth ------------------------------------------------------------------------


def test_a_thousand_children_of_one_acceptance_are_a_thousand_delegations(three, ask):
    asked, first = delegate(ask, "a", "b")
    parent = accept(ask, "b", asked, first).accept
    asker = Asker(three["b"])
    wanted = [
        a_delegate(origin(NAMES, "c"), parent_acceptance=parent.acceptance_id) for _ in range(1000)
    ]
    sent = [asker.post(delegate=one, timeout_s=30) for one in wanted]
    replies = [future.result(31) for future in sent]
    assert {reply.status for reply in replies} == {Status.OK}
    assert len({reply.delegate.span_id for reply in replies}) == 1000
    assert {reply.delegate.trace_id for reply in replies} == {first.trace_id}
    again = [asker.post(delegate=one, timeout_s=30) for one in wanted[::10]]
    assert [f.result(31).delegate for f in again] == [reply.delegate for reply in replies[::10]]
    asker.close()


def test_a_task_that_comes_back_to_an_agent_above_it_goes_without_a_token(three, ask):
    asked, first = delegate(ask, "a", "b")
    mine = accept(ask, "b", asked, first).accept
    back = a_delegate(origin(NAMES, "a"), parent_acceptance=mine.acceptance_id)
    reply = ask["b"](delegate=back).delegate
    assert reply.carrier == "" and reply.unsigned_reason == "WB_E_LOOP"
    asked, second = delegate(ask, "b", "c", parent_acceptance=mine.acceptance_id)
    end = accept(ask, "c", asked, second).accept
    reply = ask["c"](
        delegate=a_delegate(origin(NAMES, "a"), parent_acceptance=end.acceptance_id)
    ).delegate
    assert reply.unsigned_reason == "WB_E_LOOP"


def test_with_callbacks_a_chain_may_come_back_until_it_is_sealed():
    extra = "trust: {callbacks: true}\ntoken: {max_depth: 3}\n"
    names = ["a", "b"]
    with company(names, extra) as two:
        ask = {name: Asker(sidecar).ask for name, sidecar in two.items()}
        asked, reply = delegate(ask, "a", "b", names)
        here, there = "b", "a"
        for depth in range(1, 5):
            mine = accept(ask, here, asked, reply).accept
            assert mine.verdict == Verdict.CONTINUE
            asked = a_delegate(origin(names, there), parent_acceptance=mine.acceptance_id)
            reply = ask[here](delegate=asked).delegate
            if depth == 4:
                assert reply.carrier == "" and reply.unsigned_reason == "WB_E_CLAIM_RANGE"
            else:
                assert leaf_of(reply)["dep"] == depth and leaf_of(reply)["mxd"] == 3
            here, there = there, here


def test_a_root_that_may_not_go_deeper_seals_its_chain():
    with company(["a", "b"], "token: {max_depth: 0}\n") as two:
        ask = {name: Asker(sidecar).ask for name, sidecar in two.items()}
        asked, reply = delegate(ask, "a", "b", ["a", "b"])
        mine = accept(ask, "b", asked, reply).accept
        assert mine.verdict == Verdict.CONTINUE
        child = a_delegate("https://c.example/rpc", parent_acceptance=mine.acceptance_id)
        child.target_agent_id, child.target_declares = "https://c.example/agent", True
        assert ask["b"](delegate=child).delegate.carrier == ""
