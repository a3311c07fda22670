# SPDX-License-Identifier: Apache-2.0
"""Odd and hostile spans on the whole way: over OTLP/HTTP in, and out to SQLite, Postgres and an OTLP backend.
What no backend could take is refused alone and counted; all else is at each far side, once."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_backend import OtlpBackend
from otlp_http import JSON, port_of, post
from postgres import Cluster
from waybill_testkit import Sidecar, find_program, wait_until

NOW = 1_700_000_000_000_000_000
MAX_NS = 2**63 - 1  # 2262-04-11


def span(name: str, **more: object) -> Span:
    fields = {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start_time_unix_nano": NOW,
              "end_time_unix_nano": NOW + 1, **more}
    return Span(name=name, **fields)  # type: ignore[arg-type]


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of protobuf. By hand: the library copies no message as deep as ours."""
    size, out = len(payload), bytes([number << 3 | 2])
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size]) + payload


def deep(levels: int) -> tuple[bytes, dict]:
    """A span with an array in an array ...; as protobuf and as JSON."""
    made = span(f"nested {levels}")
    raw, text = field(1, b"bottom"), {"stringValue": "bottom"}
    for _ in range(levels):
        raw, text = field(5, field(1, raw)), {"arrayValue": {"values": [text]}}
    whole = made.SerializeToString() + field(9, field(1, b"deep") + field(2, raw))
    return whole, {**as_json(made), "attributes": [{"key": "deep", "value": text}]}


def as_json(made: Span) -> dict:
    found = json_format.MessageToDict(made, use_integers_for_enums=True)
    return {**found, "traceId": made.trace_id.hex(), "spanId": made.span_id.hex()}


def attributes(count: int) -> Span:
    made = span(f"{count} attributes")
    for number in range(count):
        made.attributes.add(key=f"k{number}", value=AnyValue(int_value=number))
    return made


def odd() -> list[Span]:
    twice = span("twice")
    return [
        span("1970", start_time_unix_nano=0, end_time_unix_nano=1),
        span("2262", start_time_unix_nano=MAX_NS - 1, end_time_unix_nano=MAX_NS),
        span("ends before it starts", end_time_unix_nano=NOW - 10**9),
        span("NUL \0 and \x1b[31m and \u202e"),
        span("kind of the future", kind=77),
        twice,
        Span(trace_id=twice.trace_id, span_id=twice.span_id, name="twice, again", start_time_unix_nano=NOW + 5,
             end_time_unix_nano=NOW + 6),
        attributes(1024),
        span("x" * 200_000),
    ]


def hostile() -> list[Span]:
    return [
        span("no trace", trace_id=bytes(16)),
        span("no id", span_id=bytes(8)),
        span("short", trace_id=b"abc"),
        span("long", span_id=bytes(range(1, 17))),
        attributes(1025),
    ]


def protobuf(spans: list[bytes]) -> bytes:
    return field(1, field(2, b"".join(field(2, one) for one in spans)))


@pytest.fixture
def everywhere():
    """A sidecar with three far sides: it, the backend and the database."""
    with Cluster() as cluster, cluster.database("odd") as database, OtlpBackend() as backend:
        subprocess.run([str(find_program("waybill")), "store", "migrate", "--store", database.owner], check=True,
                       capture_output=True)
        exporters = {"backend": {"type": "otlp", "endpoint": backend.http_url, "signals": ["traces"],
                                 "when_full": "backpressure"},
                     "postgres": {"type": "postgres", "url": database.writer}}
        config = (f"admin: {{listen: 127.0.0.1:0}}\notlp: {{http: {{listen: 127.0.0.1:0}}, grpc: {{listen: 'off'}}}}\n"
                  f"exporters: {json.dumps(exporters)}\n")
        with Sidecar("odd", config=config) as sidecar:
            yield sidecar, backend, database


def names_in_sqlite(sidecar: Sidecar) -> list[str]:
    """[] while the store is not there, or has no tables yet."""
    with contextlib.suppress(sqlite3.OperationalError), \
            contextlib.closing(sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True)) as db:
        return sorted(row[0] for row in db.execute("SELECT CAST(name AS BLOB) FROM spans"))
    return []


@pytest.mark.parametrize("kind", ["protobuf", "json"])
def test_the_bad_are_refused_alone_and_the_odd_are_everywhere_once(everywhere, kind):
    sidecar, backend, database = everywhere
    good, bad = odd(), hostile()
    kept = {(one.trace_id.hex(), one.span_id.hex()) for one in good}
    made = [(one.SerializeToString(), as_json(one)) for pair in zip(good, bad) for one in pair]
    made += [(one.SerializeToString(), as_json(one)) for one in good[len(bad):]]
    made += [deep(40), deep(80)]
    kept.add((made[-2][1]["traceId"], made[-2][1]["spanId"]))
    if kind == "json":
        text = {"resourceSpans": [{"scopeSpans": [{"spans": [one for _, one in made]}]}]}
        answer = post(port_of(sidecar), "/v1/traces", json.dumps(text).encode(), kind=JSON)
        assert answer.code == 200, answer
        partial = json_format.Parse(answer.body, ExportTraceServiceResponse()).partial_success
    else:
        answer = post(port_of(sidecar), "/v1/traces", protobuf([one for one, _ in made]))
        assert answer.code == 200, answer
        partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert partial.rejected_spans == len(bad) + 1 and partial.error_message

    items = backend.wait_for("traces", len(good) + 1)
    assert {(item.trace_id, item.span_id) for item in items} == kept and len(items) == len(good) + 1
    wait_until(lambda: database.count("spans") >= len(kept), 20, "Postgres")
    wait_until(lambda: len(names_in_sqlite(sidecar)) >= len(kept), 20, "SQLite")
    assert database.count("spans") == len(kept) == len(names_in_sqlite(sidecar))
    rows = database.sql("SELECT encode(trace_id, 'hex'), encode(span_id, 'hex'), started_ns FROM waybill.spans")
    assert {(trace, one) for trace, one, _ in rows} == kept
    assert {"0", str(MAX_NS - 1)} <= {start for _, _, start in rows}
    # the same again: a repeat is no row more
    again = post(port_of(sidecar), "/v1/traces", protobuf([one.SerializeToString() for one in good]))
    assert again.code == 200
    backend.wait_for("traces", 2 * len(good) + 1)
    report = json.loads(sidecar.cli("status", "--json"))["report"]
    wait_until(lambda: all(one["lag_frames"] == 0 for one in json.loads(sidecar.cli("status", "--json"))["report"]["exporters"]),
               20, "all delivered")
    assert database.count("spans") == len(kept) == len(names_in_sqlite(sidecar))
    assert [one["parked_records"] for one in report["exporters"]] == [0, 0, 0]
    for trace in {one.trace_id.hex() for one in good}:
        shown = sidecar.cli("trace", "show", trace)
        assert "\x1b" not in shown and "\0" not in shown and "\u202e" not in shown
