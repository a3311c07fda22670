# SPDX-License-Identifier: Apache-2.0
"""Several exporters, far sides that are away, and a journal that fills: what real sidecars do."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import urllib.request

import pytest
from agents import Asker
from waybill_testkit import Sidecar, wait_until

from waybill import _otlp, _wire
from waybill._wire import Status


def record(count: int = 1, size: int = 100) -> _wire.Record:
    """A batch of finished spans, each about `size` bytes larger than it must be."""
    fields = _otlp.resource({"service.name": "test"}), _otlp.scope("test")
    now = time.time_ns()
    spans = [
        _otlp.span(
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
            name="work",
            kind=1,
            start_ns=now,
            end_ns=now + 1,
            attrs={"pad": "x" * size},
        )
        for _ in range(count)
    ]
    return _wire.Record(traces=_otlp.export_request([(*fields, span) for span in spans]))


def report(sidecar: Sidecar) -> dict:
    port = sidecar.status()["ports"]["admin"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status") as answer:
        return json.loads(answer.read())


def exporter(sidecar: Sidecar, name: str) -> dict:
    return next(e for e in report(sidecar)["exporters"] if e["name"] == name)


def rows(path: os.PathLike[str] | str) -> int:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM spans").fetchone()[0]
    except sqlite3.OperationalError:
        return -1


def test_each_exporter_has_its_own_cursor_and_goes_on_with_it_after_a_restart():
    with Sidecar("many", config="admin: {listen: 127.0.0.1:0}\n") as sidecar:
        second = sidecar.base / "second.db"
        text = sidecar.config_file.read_text()
        asker = Asker(sidecar)
        assert asker.ask(record=record(3)).status == Status.OK
        asker.close()
        wait_until(lambda: rows(sidecar.store) == 3, 10, "the first three")
        sidecar.config_file.write_text(text + f"exporters: {{second: {{path: {second}}}}}\n")
        sidecar.restart()
        wait_until(lambda: rows(second) == 3, 10, "what the journal still holds")
        asker = Asker(sidecar)
        assert asker.ask(record=record(2)).status == Status.OK
        for path in (sidecar.store, second):
            wait_until(lambda: rows(path) == 5, 10, f"five in {path}")
        caught_up = ("lag_frames", "lag_bytes", "parked_records", "dropped_records")
        for name in ("sqlite", "second"):
            wait_until(lambda: exporter(sidecar, name)["lag_bytes"] == 0, 10, f"{name} caught up")
            assert [exporter(sidecar, name)[key] for key in caught_up] == [0, 0, 0, 0]
        asker.close()
