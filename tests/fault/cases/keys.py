# SPDX-License-Identifier: Apache-2.0
"""Keys that change hands, and are stolen, under load."""

from __future__ import annotations

import json
import os
from typing import Any

from load import URL
from trial import Trial, case, demand
from waybill_testkit import wait_until

from waybill import _wire


def a_token(trial: Trial) -> dict[str, Any]:
    """Signed by the key of now; what its Accept says."""
    facts: dict[str, Any] = {"method": "SendMessage", "message_id": os.urandom(8).hex(),
                             "body_digest": os.urandom(32)}
    made = trial.load.ask(delegate=_wire.Delegate(
        delegation_id=os.urandom(16), target_url=URL, salt=os.urandom(16), trace_flags=1, **facts)).delegate
    return facts | {"carrier": made.carrier, "traceparent": made.traceparent}


def rotate(trial: Trial) -> str:
    """Under load; returns the new key's id."""
    made = json.loads(trial.sidecar.cli("key", "rotate", "--force", "--json"))
    wait_until(lambda: trial.report()["key_id"] == made["current"], 10, "the new key signs")
    trial.work(70)  # and so none of the conversations that are held against it later is older
    return str(made["current"])


@case("key rotated twice under load, then the first one revoked", fast=True)
def rotated_twice_then_revoked(trial: Trial) -> str:
    trial.begin()
    first = str(trial.report()["key_id"])
    overlap, late = a_token(trial), a_token(trial)
    before = trial.load.done
    keys = [first, rotate(trial), rotate(trial)]
    demand(len(set(keys)) == 3, f"keys {keys}")
    demand(trial.load.accept_again(overlap), "a token of the retired key is refused")
    went = trial.load.done - before
    trial.sidecar.cli("trust", "revoke", "kid", first)
    said = trial.load.ask(accept=_wire.Accept(acceptance_id=os.urandom(16), **late), refused=True)
    demand(said.status != _wire.Status.OK and said.wire_class == "unauthenticated", f"revoked, and yet: {said}")
    trial.work(20)
    return (f"{went} conversations over two rotations, none refused; the retired key's token went through, "
            f"and after its revocation the next one was refused ({said.wire_class})")
