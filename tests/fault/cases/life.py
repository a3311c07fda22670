# SPDX-License-Identifier: Apache-2.0
"""Delegations that nobody answers, that are answered late, or twice."""

from __future__ import annotations

import os
import time

from load import URL
from trial import Trial, case, demand
from waybill_testkit import wait_until

from waybill import _wire


def open_one(trial: Trial) -> bytes:
    delegation_id = os.urandom(16)
    trial.load.ask(delegate=_wire.Delegate(
        delegation_id=delegation_id, target_url=URL, salt=os.urandom(16), body_digest=os.urandom(32),
        method="SendMessage", message_id=os.urandom(8).hex(), trace_flags=1,
        deadline_s=int(time.time()) + 3))
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
