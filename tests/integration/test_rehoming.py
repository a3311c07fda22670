# SPDX-License-Identifier: Apache-2.0
"""Traces that somebody only claims, from message to store (docs/design/rehoming.md; TOKENS section 17,
threat 2)."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat

import pytest
from agents import Asker, a_delegate, agent_id, an_accept, company, origin, unb64url
from waybill_testkit import wait_until

from waybill import _otlp, _wire
from waybill._wire import Status, Verdict

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


def delegate(ask, sender, receiver, **more):
    asked = a_delegate(origin(NAMES, receiver), **more)
    reply = ask[sender](delegate=asked)
    assert reply.status == Status.OK, reply.detail
    return asked, reply.delegate


def traceparent(trace_id, span_id=b"\x07" * 8):
    return f"00-{trace_id.hex()}-{span_id.hex()}-03"


def a_span(name, trace_id, **more):
    fields = {"span_id": os.urandom(8), "kind": 1, "start_ns": 1, "end_ns": 2, "flags": 3}
    return _otlp.span(trace_id=trace_id, name=name, **{**fields, **more})


def record(ask, agent, *spans):
    resource, scope = _otlp.resource({"service.name": agent}), _otlp.scope("test")
    reply = ask[agent](
        record=_wire.Record(traces=_otlp.export_request((resource, scope, span) for span in spans))
    )
    assert reply.status == Status.OK, reply.detail
    assert reply.record.accepted_spans == len(spans)


def rows(sidecar, sql, values):
    """Of a store that may not be there yet."""
    with contextlib.suppress(sqlite3.OperationalError):
        with contextlib.closing(
            sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True)
        ) as db:
            return db.execute(sql, values).fetchall()
    return []


def stored(sidecar, names):
    """Trace id and bytes of each named span, once all of them are there."""

    def look():
        marks = ",".join("?" * len(names))
        sql = f"SELECT name, trace_id, span FROM spans WHERE name IN ({marks})"
        found = {name: (trace_id, span) for name, trace_id, span in rows(sidecar, sql, names)}
        return found if len(found) == len(names) else None

    return wait_until(look, 10, f"spans {names}")


def an_entry(name, trace_id):
    """What an instrumented HTTP server opens under a claimed header."""
    return a_span(name, trace_id, kind=2, parent_span_id=b"\x07" * 8, parent_remote=True)


def claimed_child(name, trace_id):
    return a_span(name, trace_id, parent_span_id=b"\x08" * 8, attrs={"waybill.claimed": True})


def test_a_poisoned_trace_id_gives_a_link_a_warning_and_two_traces(three, ask):
    asked, first = delegate(ask, "a", "b")
    trace = first.trace_id
    rightful = ask["b"](accept=an_accept(asked, first.carrier, traceparent=first.traceparent)).accept
    assert rightful.verdict == Verdict.CONTINUE and rightful.trace_id == trace
    asked, forged = delegate(ask, "c", "b", trace_id=trace)
    poison = ask["b"](accept=an_accept(asked, forged.carrier, traceparent=forged.traceparent)).accept
    assert poison.verdict == Verdict.LINK and poison.verified
    assert "WB_W_TRACE_CONFLICT" in poison.warnings
    assert poison.trace_id != trace
    for reply, outcome in ((rightful, "ok"), (poison, "ok")):
        ask["b"](finish=_wire.Finish(acceptance_id=reply.acceptance_id, outcome=outcome))
    record(ask, "b", a_span("work for a", trace, attrs={"waybill.acceptance.id": rightful.acceptance_id.hex()}))
    record(ask, "b", a_span("work for c", poison.trace_id, attrs={"waybill.acceptance.id": poison.acceptance_id.hex()}))
    found = stored(three["a"], ["work for a", "work for c"])
    assert found["work for a"][0] == trace
    assert found["work for c"][0] == poison.trace_id
    sql = "SELECT trace_id FROM traces WHERE trace_id IN (?, ?)"
    assert len(rows(three["a"], sql, (trace, poison.trace_id))) == 2
    linked = json.loads(three["a"].cli("trace", "show", trace.hex(), "--json"))["linked_from"]
    assert [one["trace_id"] for one in linked] == [poison.trace_id.hex()]


def test_spans_before_and_after_a_strangers_verdict_meet_also_across_kill_9(three, ask):
    claimed = os.urandom(16)
    record(ask, "b", claimed_child("before", claimed), an_entry("server", claimed))
    three["b"].kill9()
    three["b"].start()
    accepted = ask["b"](
        accept=_wire.Accept(
            acceptance_id=os.urandom(16),
            method="SendMessage",
            message_id="stranger",
            traceparent=traceparent(claimed),
        )
    ).accept
    assert accepted.verdict == Verdict.LINK and not accepted.verified
    record(ask, "b", claimed_child("after", claimed), a_span("inside", accepted.trace_id))
    found = stored(three["a"], ["before", "server", "after", "inside"])
    assert {trace for trace, _ in found.values()} == {accepted.trace_id}
    assert claimed in found["server"][1]  # its link
    assert b"waybill.claimed.trace_id" in found["before"][1]
    path = three["b"].state_dir / "rehome.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_agents_own_trace_keeps_its_id_whatever_comes_back_with_it(three, ask):
    own = os.urandom(16)
    root = os.urandom(8)
    record(ask, "b", a_span("own child", own, parent_span_id=root))
    accepted = ask["b"](
        accept=_wire.Accept(
            acceptance_id=os.urandom(16),
            method="SendMessage",
            message_id="called back",
            traceparent=traceparent(own),
        )
    ).accept
    assert accepted.trace_id != own
    record(ask, "b", a_span("own root", own, span_id=root), an_entry("the caller's", own))
    found = stored(three["a"], ["own child", "own root", "the caller's"])
    assert found["own child"][0] == found["own root"][0] == own
    assert found["the caller's"][0] == accepted.trace_id
    _, mine = delegate(ask, "b", "c", trace_id=own)
    assert mine.trace_id == own
    record(ask, "b", an_entry("once we own it", own))
    assert stored(three["a"], ["once we own it"])["once we own it"][0] == own


def test_a_continued_trace_is_never_left(three, ask):
    asked, first = delegate(ask, "a", "b")
    accepted = ask["b"](accept=an_accept(asked, first.carrier, traceparent=first.traceparent)).accept
    assert accepted.verdict == Verdict.CONTINUE
    record(ask, "b", an_entry("joined", first.trace_id), claimed_child("joined below", first.trace_id))
    found = stored(three["a"], ["joined", "joined below"])
    assert {trace for trace, _ in found.values()} == {first.trace_id}


def test_a_delegation_from_a_claimed_context_is_a_root_where_the_spans_go(three, ask):
    claimed = os.urandom(16)
    asked, reply = delegate(ask, "b", "c", trace_id=claimed, trace_claimed=True)
    record(ask, "b", an_entry("asked us over plain HTTP", claimed))
    found = stored(three["a"], ["asked us over plain HTTP"])
    assert found["asked us over plain HTTP"][0] == reply.trace_id != claimed
    assert ask["c"](accept=an_accept(asked, reply.carrier)).accept.verdict == Verdict.CONTINUE


def test_a_header_beside_a_linked_token_is_a_second_link(three, ask):
    asked, first = delegate(ask, "a", "b")
    ask["b"](accept=an_accept(asked, first.carrier))
    asked, forged = delegate(ask, "c", "b", trace_id=first.trace_id)
    other = os.urandom(16)
    reply = ask["b"](accept=an_accept(asked, forged.carrier, traceparent=traceparent(other))).accept
    assert reply.verdict == Verdict.LINK
    assert set(reply.warnings) == {"WB_W_TRACE_CONFLICT", "WB_W_TRACEPARENT"}
    ask["b"](finish=_wire.Finish(acceptance_id=reply.acceptance_id, outcome="ok"))

    sql = "SELECT span FROM spans WHERE span_id = ?"
    ((bytes_,),) = wait_until(
        lambda: rows(three["a"], sql, (reply.span_id,)), 10, "the SERVER span"
    )
    assert first.trace_id in bytes_ and other in bytes_


def test_link_roots_count_their_hops_to_sixteen_and_keep_within_the_grant():
    """Two agents of strange domains link each other's work for ever: the 17th hop is refused."""
    extra = (
        f"trust: {{policies: {{{agent_id('a')}: {{verdict: link}}, {agent_id('b')}: {{verdict: link}}}}}}\n"
    )
    names = ["a", "b"]
    with company(names, extra) as two:
        ask = {name: Asker(sidecar).ask for name, sidecar in two.items()}
        deadline = 0
        asked = a_delegate(origin(names, "b"))
        reply = ask["a"](delegate=asked).delegate
        here, there = "b", "a"
        for hop in range(1, 18):
            accepted = ask[here](accept=an_accept(asked, reply.carrier)).accept
            assert accepted.verdict == Verdict.LINK and accepted.verified
            grant = leaf_of(reply)
            asked = a_delegate(origin(names, there), parent_acceptance=accepted.acceptance_id)
            reply = ask[here](delegate=asked).delegate
            if hop == 17:
                assert reply.carrier == "" and reply.unsigned_reason == "WB_E_HOP"
                break
            token = leaf_of(reply)
            assert token["dep"] == 0 and token["sub"] == token["iss"] == agent_id(here)
            assert token["lnk"]["hop"] == hop
            assert token["dln"] <= grant["dln"]
            assert bytes.fromhex(token["tid"]) == accepted.trace_id
            deadline = token["dln"]
            here, there = there, here
        assert deadline > 0


def leaf_of(reply):
    return json.loads(unb64url(json.loads(reply.carrier)["chain"][-1].split(".")[1]))


def test_observing_keeps_every_span_where_it_came_and_marks_it():
    with company(["b"], "trust: {mode: observe}\n") as one:
        asker = Asker(one["b"])
        ask = {"b": asker.ask}
        claimed = os.urandom(16)
        accepted = ask["b"](
            accept=_wire.Accept(
                acceptance_id=os.urandom(16),
                method="SendMessage",
                message_id="m",
                traceparent=traceparent(claimed),
            )
        ).accept
        assert accepted.trace_id == claimed
        record(ask, "b", an_entry("observed", claimed), a_span("own", os.urandom(16)))
        found = stored(one["b"], ["observed", "own"])
        assert found["observed"][0] == claimed and b"waybill.unverified" in found["observed"][1]
        assert b"waybill.unverified" not in found["own"][1]
        reply = ask["b"](
            delegate=a_delegate("http://h", trace_id=claimed, trace_claimed=True)
        ).delegate
        assert reply.trace_id == claimed and reply.carrier == ""
        asker.close()
