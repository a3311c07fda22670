# SPDX-License-Identifier: Apache-2.0
"""What a real sidecar sends to an OTLP backend when it is asked to sample, to hold, to add, to mark; and
what the default store has all the while."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from typing import Any, Iterator

import pytest
from agents import Asker, a_delegate
from otlp_backend import Item, OtlpBackend
from waybill_testkit import Sidecar, wait_until

from waybill import _otlp, _wire
from waybill._wire import Status

@contextlib.contextmanager
def pair(keys: str) -> Iterator[tuple[Sidecar, OtlpBackend]]:
    """A sidecar with a backend beside its store; `keys` are the exporter's, as YAML in braces."""
    with OtlpBackend() as backend:
        # No receiver: whoever sends to the usual port means another sidecar.
        config = (f"admin: {{listen: 127.0.0.1:0}}\notlp: {{http: {{listen: off}}, grpc: {{listen: off}}}}\nexporters: {{far: {{type: otlp, endpoint: '{backend.http_url}',"
                  f" signals: [traces], {keys}}}}}\n")
        with contextlib.closing(Sidecar("agent", config=config)) as sidecar:
            yield sidecar, backend


def span(randomness: int, number: int, **more: Any) -> bytes:
    """One whose trace has this randomness; its name is its number."""
    start = more.pop("start_ns", 1_767_225_600_000_000_000)
    return _otlp.span(trace_id=b"\xaa" * 8 + b"\x01" + randomness.to_bytes(7, "big"), span_id=number.to_bytes(8, "big"),
                      name=more.pop("name", str(number)), kind=1, start_ns=start, end_ns=start + 1000, **more)


def record(*spans: bytes) -> _wire.Record:
    above = _otlp.resource({"service.name": "test"}), _otlp.scope("test")
    return _wire.Record(traces=_otlp.export_request([(*above, one) for one in spans]))


@contextlib.contextmanager
def asking(sidecar: Sidecar) -> Iterator[Asker]:
    asker = Asker(sidecar)
    try:
        yield asker
    finally:
        asker.close()


def stored(sidecar: Sidecar) -> list[str]:
    """The names of its spans; none while it is being made."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True)) as db:
            return [name for (name,) in db.execute("SELECT name FROM spans")]
    except sqlite3.OperationalError:
        return []


def numbers(backend: OtlpBackend) -> list[int]:
    return [int(item.name) for item in backend.items["traces"]]


def state_of(backend: OtlpBackend, number: int) -> str:
    return next(str(item.proto.trace_state) for item in backend.items["traces"] if item.name == str(number))


# -- sampling ------------------------------------------------------------------------------------


def test_a_backend_gets_its_part_of_the_traces_and_the_store_gets_all():
    with pair("sampling: {ratio: 0.25, keep: [error]}, hold: 300ms") as (sidecar, backend):
        sidecar.start()
        step = (1 << 56) // 400
        with asking(sidecar) as asker:
            for first in range(0, 400, 50):
                spans = [span(n * step, n + 1, status=2 if n % 40 == 7 else 0) for n in range(first, first + 50)]
                assert asker.ask(record=record(*spans)).status == Status.OK
        by_chance = {n + 1 for n in range(400) if n * step >= 0xC0000000000000}
        by_rule = {n + 1 for n in range(400) if n % 40 == 7}
        backend.wait_for("traces", len(by_chance | by_rule))
        wait_until(lambda: len(stored(sidecar)) == 400, 10, "all of them in the store")
        assert numbers(backend) == sorted(by_chance | by_rule)
        for number in by_chance | by_rule:
            assert state_of(backend, number) == ("ot=th:0" if number in by_rule else "ot=th:c")


def test_two_sidecars_send_the_same_traces():
    keys = "sampling: {ratio: 0.3}, hold: 0"
    with pair(keys) as (one, backend), pair(keys) as (other, second_backend):
        step = (1 << 56) // 200
        for sidecar, start in ((one, 0), (other, 1000)):
            sidecar.start()
            with asking(sidecar) as asker:
                spans = [span(n * step, start + n + 1) for n in range(200)]
                assert asker.ask(record=record(*spans)).status == Status.OK
        kept = [{item.trace_id for item in each.wait_for("traces", 60)} for each in (backend, second_backend)]
        assert kept[0] == kept[1] and len(kept[0]) == 60


def test_an_error_keeps_what_its_trace_did_before():
    with pair("sampling: {ratio: 0.01, keep: [error]}, hold: 2s") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            assert asker.ask(record=record(span(1, 1), span(2, 2))).status == Status.OK
            assert asker.ask(record=record(span(2, 3), span(1, 4, status=2))).status == Status.OK
        backend.wait_for("traces", 2)
        wait_until(lambda: len(stored(sidecar)) == 4, 10, "all four in the store")
        assert numbers(backend) == [1, 4]


def test_spans_of_a_sampling_sdk_keep_their_own_threshold():
    with pair("sampling: {ratio: 0.5}, hold: 0") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            spans = [span(0xFF << 48, 1, tracestate="a=b,ot=th:e;rv:f0000000000000"),
                     span(0xFF << 48, 2, tracestate="ot=rv:00000000000001"),
                     span(0, 3, tracestate="ot=rv:80000000000000")]
            assert asker.ask(record=record(*spans)).status == Status.OK
        backend.wait_for("traces", 2)
        assert state_of(backend, 1) == "a=b,ot=th:e;rv:f0000000000000"
        assert state_of(backend, 3) == "ot=th:8;rv:80000000000000"
        wait_until(lambda: len(stored(sidecar)) == 3, 10, "all three in the store")
        assert numbers(backend) == [1, 3]


def test_what_is_held_goes_out_at_the_end():
    with pair("hold: 60s") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            assert asker.ask(record=record(*[span(n, n) for n in range(1, 101)])).status == Status.OK
        wait_until(lambda: len(stored(sidecar)) == 100, 10, "the store holds nothing back")
        assert backend.items["traces"] == []
        assert sidecar.stop() == 0
        assert numbers(backend) == list(range(1, 101))


def test_what_is_held_is_there_after_a_kill():
    with pair("sampling: {ratio: 0.5, keep: [error]}, hold: 1500ms") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            assert asker.ask(record=record(span(1, 1), span(2, 2))).status == Status.OK
        sidecar.kill9()
        sidecar.start()
        with asking(sidecar) as asker:
            assert asker.ask(record=record(span(1, 3, status=2))).status == Status.OK
        backend.wait_for("traces", 2)
        assert numbers(backend) == [1, 3]


@pytest.mark.parametrize("keys, words", [
    ("sampling: {ratio: 1.5}", "exporters.far.sampling.ratio: a decimal number"),
    ("sampling: {keep: [errors]}", 'exporters.far.sampling.keep: "errors" is none of'),
    ("hold: 2m", "exporters.far.hold: "),
    ("attributes: [team]", 'exporters.far.attributes: "team" is not KEY=VALUE'),
])
def test_wishes_that_mean_nothing_are_no_start(keys, words):
    with pair(keys) as (sidecar, _backend):
        sidecar.start(wait=False)
        assert sidecar.process.wait(10) == 78
        assert words in sidecar.log()


# -- additions -----------------------------------------------------------------------------------


def test_what_is_added_is_there_and_nowhere_else():
    keys = "attributes: [team=red, own=ours], resource_attributes: ['deployment.environment=eu=1']"
    with pair(keys) as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            assert asker.ask(record=record(span(1, 1, attrs={"own": "theirs", "n": 7}))).status == Status.OK
        (item,) = backend.wait_for("traces", 1)
        assert item.attributes["team"] == "red"
        assert [item.attributes["own"], item.attributes["n"]] == ["ours", 7]
        assert [pair.key for pair in item.proto.attributes].count("own") == 1
        assert item.resource["deployment.environment"] == "eu=1"
        assert item.resource["service.name"] == "test"
        wait_until(lambda: len(stored(sidecar)) == 1, 10, "the store")
        with contextlib.closing(sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True)) as db:
            everything = "\n".join(db.iterdump()).lower()
        for text, there in ((b"theirs", True), (b"ours", False), (b"eu=1", False)):
            assert (text.decode() in everything or text.hex() in everything) == there, text


# -- a bad span ----------------------------------------------------------------------------------


def test_of_a_record_with_one_bad_span_the_others_arrive_and_that_one_is_named():
    with pair("hold: 0") as (sidecar, backend):
        backend.refused_span = "bad"
        sidecar.start()
        spans = [span(n, n, name="bad" if n == 137 else str(n)) for n in range(1, 301)]
        with asking(sidecar) as asker:
            assert asker.ask(record=record(*spans)).status == Status.OK
        backend.wait_for("traces", 299)
        parked = sidecar.state_dir / "parked" / "far.parked"
        wait_until(parked.exists, 10, "the parked span")
        (line,) = [json.loads(text) for text in parked.read_text().splitlines()]
        assert line["span_id"] == (137).to_bytes(8, "big").hex()
        assert numbers(backend) == [n for n in range(1, 301) if n != 137]
        wait_until(lambda: len(stored(sidecar)) == 300, 10, "all of them in the store")


# -- markers -------------------------------------------------------------------------------------


def markers(backend: OtlpBackend) -> dict[tuple[str, int], Item]:
    """By delegation and number."""
    found = [item for item in backend.items["traces"] if item.attributes.get("waybill.marker")]
    return {(str(item.attributes["waybill.delegation.id"]), int(item.attributes["waybill.marker.n"])): item
            for item in found}


def marker_id(delegation: bytes, number: int) -> str:
    return hashlib.sha256(b"waybill.marker" + delegation + number.to_bytes(4, "big")).digest()[:8].hex()


def test_a_delegation_in_flight_is_seen_by_its_markers():
    with pair("markers: true") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            asked = a_delegate("http://127.0.0.1:1")
            before_ns = time.time_ns()
            assert asker.ask(delegate=asked).status == Status.OK
            after_ns = time.time_ns()
            key = asked.delegation_id.hex()
            wait_until(lambda: (key, 1) in markers(backend), 20, "the marker of the fifth second")
            first, second = markers(backend)[key, 0], markers(backend)[key, 1]
            for marker, number, age_ns in ((first, 0, 10**9), (second, 1, 5 * 10**9)):
                assert marker.name == "delegation in flight"
                assert marker.span_id == marker_id(asked.delegation_id, number)
                assert marker.attributes["waybill.delegation.target"] == asked.target_url
                assert marker.attributes["waybill.delegation.state"] in ("sent", "in_flight")
                assert marker.proto.start_time_unix_nano == marker.proto.end_time_unix_nano
                assert before_ns <= marker.proto.start_time_unix_nano - age_ns <= after_ns
            settle = _wire.Settle(delegation_id=asked.delegation_id, outcome="completed")
            assert asker.ask(settle=settle).status == Status.OK
        wait_until(lambda: any(i.name == asked.method for i in backend.items["traces"]), 10, "the real span")
        (real,) = [i for i in backend.items["traces"] if i.name == asked.method]
        for marker in (first, second):
            assert [marker.trace_id, marker.proto.parent_span_id.hex()] == [real.trace_id, real.span_id]
        wait_until(lambda: stored(sidecar) == [asked.method], 10, "the store, which has no markers")


def test_a_restart_writes_no_marker_twice_and_goes_on():
    with pair("markers: true") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            asked = [a_delegate("http://127.0.0.1:1") for _ in range(3)]
            for one in asked:
                assert asker.ask(delegate=one).status == Status.OK
            settle = _wire.Settle(delegation_id=asked[2].delegation_id, outcome="completed")
            assert asker.ask(settle=settle).status == Status.OK
        wait_until(lambda: len(markers(backend)) == 2, 20, "the first markers of two")
        assert sidecar.stop() == 0  # its cursor is written: nothing is delivered twice
        sidecar.start()
        wait_until(lambda: len(markers(backend)) == 4, 20, "the second ones")
        ids = [item.span_id for item in backend.items["traces"] if item.attributes.get("waybill.marker")]
        assert sorted(ids) == sorted(marker_id(one.delegation_id, n) for one in asked[:2] for n in (0, 1))


def test_without_the_wish_there_are_no_markers():
    with pair("hold: 0") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            asked = a_delegate("http://127.0.0.1:1")
            assert asker.ask(delegate=asked).status == Status.OK
            time.sleep(1.6)
            settle = _wire.Settle(delegation_id=asked.delegation_id, outcome="completed")
            assert asker.ask(settle=settle).status == Status.OK
        backend.wait_for("traces", 1)
        assert [item.name for item in backend.items["traces"]] == [asked.method]


def test_a_thousand_open_delegations_are_all_marked():
    with pair("markers: true") as (sidecar, backend):
        sidecar.start()
        with asking(sidecar) as asker:
            asked = [a_delegate("http://127.0.0.1:1") for _ in range(1000)]
            for reply in [asker.post(delegate=one) for one in asked]:
                assert reply.result(20).status == Status.OK
        wait_until(lambda: len({key for key, _n in markers(backend)}) == 1000, 30, "a marker of each")
        by_id = {item.span_id for item in backend.items["traces"]}
        assert {marker_id(one.delegation_id, 0) for one in asked} <= by_id
