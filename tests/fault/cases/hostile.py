# SPDX-License-Identifier: Apache-2.0
"""Attributes, names and carriers that are made to hurt who reads them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

from cases.clients import connected, frame
from trial import Trial, case, demand
from waybill_testkit import wait_until

from waybill import _otlp, _wire

NAME = "hostile-name"
BYTES = b"\xff\xfe\x00\x1b[2J\x07\xc0"  # not UTF-8, NUL, clear the screen, bell


def recorded(trial: Trial, attrs: dict[str, Any], name: str = NAME, put: bytes = b"") -> tuple[bytes, Any]:
    """Record a span; `put` stands over the first bytes of its name."""
    trace_id, now = os.urandom(16), time.time_ns()
    traces = _otlp.export_request([(_otlp.resource({"service.name": "hostile"}), _otlp.scope("hostile"),
                                    _otlp.span(trace_id=trace_id, span_id=os.urandom(8), name=name, kind=1,
                                               start_ns=now, end_ns=now + 1, attrs=attrs))])
    if put:
        traces = traces.replace(name.encode(), put + name.encode()[len(put):])
    return trace_id, trial.load.ask(record=_wire.Record(traces=traces), refused=True)


def nested(depth: int) -> list[Any]:
    value: list[Any] = ["core"]
    for _ in range(depth):
        value = [value]
    return value


@case("spans: 20 000 attributes, one of 1 MiB, lists nested 200 deep; bytes in names that are not UTF-8, "
      "NUL, escape codes", fast=True)
def hostile_spans(trial: Trial) -> str:
    trial.begin()
    seen = []
    for what, attrs, put in (
        ("20 000 attributes", {f"key-{i}": i for i in range(20_000)}, b""),
        ("an attribute of 1 MiB", {"long": "x" * (1 << 20)}, b""),
        ("nested", {"deep": nested(200)}, b""),
        ("not UTF-8", {"sql": "'; DROP TABLE spans; --", "html": "<script>", "esc": "\x1b[2J"}, BYTES),
        ("the same in UTF-8", {"sql": "'; DROP TABLE spans; --", "esc": "\x1b[2J"}, b"\x1b[2J\x07\x7f"),
    ):
        trace_id, said = recorded(trial, attrs, put=put)
        accepted = said.status == _wire.Status.OK and said.record.accepted_spans == 1
        demand(accepted or said.detail or said.record.error_message, f"{what}: no reason: {said}")
        trial.work(5)
        if not accepted:
            seen.append(f"{what}: refused ({said.detail or said.record.error_message})")
            continue
        wait_until(lambda: trial.rows("SELECT 1 FROM spans WHERE trace_id = ?", trace_id), 20, what)
        for form in ([], ["--json"]):
            shown = trial.sidecar.cli("trace", "show", trace_id.hex(), *form)
            demand("\x1b" not in shown and "\0" not in shown and "\a" not in shown, f"{what}: raw: {shown!r}")
        json.loads(shown)
        seen.append(f"{what}: taken and shown")
    demand(trial.rows("SELECT count(*) n FROM spans")[0]["n"] > 0, "the store's table is gone")
    return "; ".join(seen)


@case("carriers: 1 MiB, nested 10 000 deep, 10 000 links, not UTF-8, NUL, escape codes", fast=True)
def hostile_carriers(trial: Trial) -> str:
    trial.begin()
    good = '{"v":"1","chain":["a.b.c"],"salt":"EBESExQVFhcYGRobHB0eHw"}'
    seen = {}
    for what, carrier in (
        ("1 MiB", good + " " * (1 << 20)),
        ("nested", "[" * 10_000 + "]" * 10_000),
        ("nested below a known key", good.replace('"a.b.c"', "[" * 3_000 + "]" * 3_000)),
        ("10 000 links", good.replace('"a.b.c"', ",".join(['"a.b.c"'] * 10_000))),
        ("NUL", good.replace("a.b", "a\0.b")),
        ("escape codes", good.replace("a.b", "a\x1b[2J.b")),
        ("an escaped NUL", good.replace("a.b", "a\\u0000.b")),
        ("half a surrogate", good.replace("a.b", "a\\ud800.b")),
    ):
        said = trial.load.ask(accept=_wire.Accept(
            acceptance_id=os.urandom(16), method="SendMessage", message_id=os.urandom(8).hex(),
            body_digest=os.urandom(32), carrier=carrier), refused=True)
        demand(said.status != _wire.Status.OK, f"{what}: {said.status}")
        seen[what] = said.wire_class or _wire.Status(said.status).name
    body = _wire.encode(_wire.Request(id=os.urandom(16), protocol=1, accept=_wire.Accept(
        acceptance_id=os.urandom(16), method="SendMessage", message_id=NAME, body_digest=os.urandom(32))))
    with contextlib.closing(connected(trial)) as client:
        client.sendall(frame(body.replace(NAME.encode(), BYTES + NAME.encode()[len(BYTES):])))
        client.recv(8)
        client.recv(4096)  # an answer, or the end of the connection
    trial.work(20)
    log = trial.sidecar.log()
    demand("\x1b" not in log and "\0" not in log, "raw bytes of a peer in the log")
    return "each refused, none reached log or terminal: " + ", ".join(f"{k}: {v}" for k, v in seen.items())
