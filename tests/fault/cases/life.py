# SPDX-License-Identifier: Apache-2.0
"""Delegations that nobody answers, that are answered late, or twice, or after their root; peers without
a sidecar, or with another version of one."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from load import URL
from trial import Trial, case, demand
from waybill_testkit import wait_until

from waybill import _otlp, _wire


def open_one(trial: Trial, **more: Any) -> bytes:
    delegation_id = os.urandom(16)
    trial.load.ask(delegate=_wire.Delegate(**{
        "delegation_id": delegation_id, "target_url": URL, "salt": os.urandom(16),
        "body_digest": os.urandom(32), "method": "SendMessage", "message_id": os.urandom(8).hex(),
        "trace_flags": 1, "deadline_s": int(time.time()) + 3, **more}))
    return delegation_id


def row(trial: Trial, delegation_id: bytes, state: str) -> dict[str, object]:
    def found() -> dict[str, object] | None:
        rows = trial.rows("SELECT * FROM delegations WHERE delegation_id = ?", delegation_id)
        return rows[0] if rows and rows[0]["state"] == state else None

    return dict(wait_until(found, 30, f"the delegation is {state}"))


@case("a delegation that is never answered; the sidecar killed before its deadline", fast=True,
      config="delegation: {grace_s: 0}\n")
def never_answered(trial: Trial) -> str:
    trial.begin()
    delegation_id = open_one(trial)
    row(trial, delegation_id, "sent")
    trial.sidecar.kill9()
    trial.sidecar.start()
    row(trial, delegation_id, "lost")
    late = trial.load.ask(settle=_wire.Settle(delegation_id=delegation_id, outcome="answered"))
    wait_until(lambda: trial.rows("SELECT 1 FROM spans WHERE name = 'waybill.delegation.late_answer'"),
               20, "the late answer's span")
    spans = trial.rows("SELECT s.* FROM spans s JOIN delegations d ON s.span_id = d.span_id"
                       " WHERE d.delegation_id = ?", delegation_id)
    demand(len(spans) == 1, f"its span was written {len(spans)} times")
    return f"visible in flight, lost after its deadline, late answer taken (status {late.status}) beside the one span"


@case("a delegation settled twice, and with another outcome")
def answered_twice(trial: Trial) -> str:
    trial.begin()
    delegation_id = open_one(trial)
    for outcome in ("answered", "answered", "failed"):
        trial.load.ask(settle=_wire.Settle(delegation_id=delegation_id, outcome=outcome), refused=True)
    found = row(trial, delegation_id, "answered")
    spans = trial.rows("SELECT 1 FROM spans WHERE span_id = ?", found["span_id"])
    demand(len(spans) == 1, f"its span was written {len(spans)} times")
    return "the first outcome stands, one span"


@case("the span that a delegation hangs under ends first; then kill -9")
def root_ends_first(trial: Trial) -> str:
    trial.begin()
    trace_id, root, now = os.urandom(16), os.urandom(8), time.time_ns()
    delegation_id = open_one(trial, trace_id=trace_id, parent_span_id=root,
                             deadline_s=int(time.time()) + 60)
    trial.load.ask(record=_wire.Record(traces=_otlp.export_request([(
        _otlp.resource({"service.name": "root"}), _otlp.scope("root"), _otlp.span(
            trace_id=trace_id, span_id=root, name="root", kind=1, start_ns=now, end_ns=now + 1))])))
    wait_until(lambda: trial.rows("SELECT 1 FROM spans WHERE span_id = ?", root), 20, "the root's span")
    trial.sidecar.kill9()
    trial.sidecar.start()
    trial.work(20)
    row(trial, delegation_id, "sent")
    seen = trial.sidecar.cli("delegations", "--json", "--since", "1h")
    demand(delegation_id.hex() in seen, "not in flight any more")
    trial.load.ask(settle=_wire.Settle(delegation_id=delegation_id, outcome="answered"))
    found = row(trial, delegation_id, "answered")
    demand(found["trace_id"] == trace_id, "in another trace")
    return "still in flight after its root, also after kill -9; then answered in the same trace"


@case("a request sent 50 times under one id: Delegate, Accept, Finish, Settle; kill -9 halfway")
def retried_fifty_times(trial: Trial) -> str:
    trial.begin()
    ids = [os.urandom(16) for _ in range(2)]
    salt, body = os.urandom(16), os.urandom(32)
    facts: dict[str, Any] = {"method": "SendMessage", "message_id": os.urandom(8).hex(), "body_digest": body}

    def fifty(**request: Any) -> Any:
        said = []
        for i in range(50):
            said.append(trial.load.ask(**request))
            if i == 24:
                trial.sidecar.kill9()
                trial.sidecar.start()
        bodies = {repr(next(getattr(one, name) for name in request)) for one in said}
        demand(len(bodies) == 1, f"{len(bodies)} answers to one {next(iter(request))}")
        return said[0]

    made = fifty(delegate=_wire.Delegate(delegation_id=ids[0], target_url=URL, salt=salt, trace_flags=1,
                                         **facts)).delegate
    taken = fifty(accept=_wire.Accept(acceptance_id=ids[1], carrier=made.carrier,
                                      traceparent=made.traceparent, **facts)).accept
    demand(taken.verdict == _wire.Verdict.CONTINUE, f"verdict {taken.verdict}")
    fifty(finish=_wire.Finish(acceptance_id=ids[1], outcome="ok"))
    for _ in range(50):
        trial.load.ask(settle=_wire.Settle(delegation_id=ids[0], outcome="answered"))
    row(trial, ids[0], "answered")
    edges = [len(trial.rows(f"SELECT 1 FROM {table} WHERE trace_id = ?", made.trace_id))
             for table in ("delegations", "acceptances", "spans")]
    demand(edges == [1, 1, 2], f"delegations, acceptances, spans: {edges}")
    return f"{edges[0]} delegation, {edges[1]} acceptance, {edges[2]} spans; each time the same answer"


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@case("messages of peers without a sidecar, with an older and with a newer one", fast=True)
def peer_without_a_sidecar(trial: Trial) -> str:
    trial.begin()
    seen = {}
    for name, facts in {
        "plain traceparent": {"traceparent": f"00-{TRACE}-{SPAN}-01"},
        "traceparent of a later version": {"traceparent": f"cc-{TRACE}-{SPAN}-01-more"},
        "no header at all": {},
        "carrier of a later version": {"carrier": json.dumps({"v": "2", "chain": ["x"], "salt": "x"})},
        "carrier of no version": {"carrier": json.dumps({"chain": ["x"]})},
    }.items():
        acceptance_id = os.urandom(16)
        said = trial.load.ask(accept=_wire.Accept(
            acceptance_id=acceptance_id, method="SendMessage", message_id=os.urandom(8).hex(),
            body_digest=os.urandom(32), **facts), refused=True)
        if said.status != _wire.Status.OK:
            seen[name] = f"refused ({said.wire_class})"
            continue
        demand(said.accept.verdict == _wire.Verdict.LINK and not said.accept.verified, f"{name}: {said}")
        trial.load.ask(finish=_wire.Finish(acceptance_id=acceptance_id, outcome="ok"))
        found = wait_until(lambda: trial.rows(
            "SELECT s.* FROM acceptances a JOIN spans s ON s.span_id = a.span_id"
            " WHERE a.acceptance_id = ?", acceptance_id), 20, f"{name}: its span")
        demand(found[0]["trace_id"] != bytes.fromhex(TRACE), f"{name}: joined the sender's trace")
        seen[name] = "LINK"
    demand(list(seen.values())[:3] == ["LINK"] * 3, f"{seen}")
    demand(list(seen.values())[3:] == ["refused (malformed)"] * 2, f"{seen}")
    trial.work(10)
    return "LINK is unverified, in a trace of its own: " + ", ".join(f"{k}: {v}" for k, v in seen.items())
