# SPDX-License-Identifier: Apache-2.0
"""Log records on the command line: under their spans in `trace show`, as they arrive in `tail`, and those of no trace
in `logs`."""

from __future__ import annotations

import json
import os
import time
import urllib.request

import pytest
from cli_store import YES, change, copy_of, filled_store, trace_id, waybill
from metrics import Scrape
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from test_cli_watch import Follower
from waybill_testkit import Sidecar, free_port, wait_until

T0 = 1767323045 * 10**9
ROOT = 9001  # a span of trace 99 whose row this file makes
_items = iter(range(1, 10**6))


@pytest.fixture(scope="module")
def filled():
    with filled_store() as path:
        yield path


@pytest.fixture
def store(filled, tmp_path):
    path = copy_of(filled, tmp_path / "store.db")
    event = Span.Event(
        name="exception", time_unix_nano=T0 + 20_000_000,
        attributes=[KeyValue(key="exception.message", value=AnyValue(string_value="no such tool"))],
    )  # fmt: skip
    message = Span(events=[event, Span.Event(name="retry", time_unix_nano=T0 + 40_000_000)]).SerializeToString()
    change(path, (
        "INSERT INTO spans (trace_id, span_id, name, kind, started_ns, ended_ns, status, sidecar_id, seq, span)"
        " VALUES (?, ?, 'root', 'internal', ?, ?, 'ok', 1, 999999, ?)",
        (bytes.fromhex(trace_id(99)), ROOT.to_bytes(8, "big"), T0, T0 + 10**8, message),
    ), (
        "INSERT INTO trace_parts VALUES (?, 1, 1, 0, 0, 0, ?, ?)", (bytes.fromhex(trace_id(99)), T0, T0 + 10**8)
    ))  # fmt: skip
    return path


def a_log(trace: int | None = 99, span: int | None = ROOT, *, ms: int = 0, body=None, severity: int = 0,
          severity_text: str | None = None, event: str | None = None) -> tuple[str, tuple]:
    text = body if isinstance(body, str) else None
    record = LogRecord(attributes=[KeyValue(key="n", value=AnyValue(int_value=7))])
    if body is not None:
        record.body.CopyFrom(body if isinstance(body, AnyValue) else AnyValue(string_value=body))
    return (
        "INSERT INTO logs (trace_id, span_id, time_ns, severity, severity_text, event_name, body, service, sidecar_id,"
        " seq, entry, item, log) VALUES (?, ?, ?, ?, ?, ?, ?, 'shop', 1, 999999, 0, ?, ?)",
        (trace and bytes.fromhex(trace_id(trace)), span and span.to_bytes(8, "big"), T0 + ms * 10**6, severity,
         severity_text, event, text and text[:500], next(_items), record.SerializeToString()),
    )  # fmt: skip


def show(store, *args: str) -> str:
    done = waybill("--store", str(store), "trace", "show", trace_id(99), "--no-bars", *args)
    assert done.returncode == YES, done.stderr
    return done.stdout


def test_a_span_s_events_and_its_log_records_stand_below_it_in_one_order(store):
    change(store, a_log(ms=30, body="asked twice", severity=13, event="model.slow"),
           a_log(ms=10, body="hello", severity=9), a_log(ms=-5, body="early", severity_text="NOTICE"))  # fmt: skip
    lines = [line.strip() for line in show(store).splitlines() if line.strip().startswith("* ")]
    assert lines == [
        "* -5.0ms NOTICE: early", "* +10.0ms INFO: hello", "* +20.0ms exception: no such tool",
        "* +30.0ms WARN model.slow: asked twice", "* +40.0ms retry",
    ]  # fmt: skip


def test_many_are_cut_and_said(store):
    change(store, *(a_log(ms=i, body=f"line {i}") for i in range(50)))
    lines = [line.strip() for line in show(store).splitlines() if line.strip().startswith("* ")]
    assert len(lines) == 21 and lines[-1] == "* 32 more: --json has them all"  # of 50 and two events
    node = json.loads(show(store, "--json"))["children"][0]
    assert len(node["logs"]) == 50 and len(node["events"]) == 2


def test_what_names_no_span_of_the_trace_is_listed_below(store):
    change(store, a_log(span=None, body="of the trace", ms=1), a_log(span=4242, body="of a span to come", ms=2))
    text = show(store).split("log records that name no span of these:\n")[1]
    assert [line.strip() for line in text.splitlines()[:2]] == ["* +1.0ms: of the trace", "* +2.0ms: of a span to come"]
    said = json.loads(show(store, "--json"))
    assert [log["body"] for log in said["other_logs"]] == ["of the trace", "of a span to come"]
    assert said["other_logs"][0]["span_id"] is None and said["children"][0]["logs"] == []


def test_json_has_all_of_a_log_record(store):
    body = AnyValue()
    body.kvlist_value.values.append(KeyValue(key="deep", value=AnyValue(bool_value=True)))
    change(store, a_log(ms=1, body=body, severity=17, severity_text="ERR", event="e"))
    (log,) = json.loads(show(store, "--json"))["children"][0]["logs"]
    assert log == {
        "trace_id": trace_id(99), "span_id": f"{ROOT:016x}", "time_ns": T0 + 10**6, "observed_ns": None,
        "severity": 17, "severity_text": "ERR", "event_name": "e", "body": {"deep": True}, "attributes": {"n": 7},
        "service": "shop", "agent_id": log["agent_id"], "sidecar": "planner",
    }  # fmt: skip


def test_what_a_sender_writes_is_harmless(store):
    change(store, a_log(body="\x1b]0;owned\x07\nforged", event="\x1b[2J", severity_text="\x07"))
    text = show(store)
    assert "\x1b" not in text and "\x07" not in text and "\nforged" not in text


def test_those_of_no_trace_are_in_logs_newest_first(store):
    change(store, a_log(None, None, ms=1, body="old"), a_log(body="of a trace"),
           a_log(None, None, ms=2, body="new", severity=21, event="boom"))  # fmt: skip
    done = waybill("--store", str(store), "logs")
    assert done.returncode == YES
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["TIME", "SERVICE", "SEVERITY", "EVENT", "BODY"]
    assert first.split()[-4:] == ["shop", "FATAL", "boom", "new"] and second.split()[-1] == "old"
    said = json.loads(waybill("--store", str(store), "--json", "logs", "--limit", "1").stdout)
    assert [(log["body"], log["trace_id"]) for log in said] == [("new", None)]
    assert json.loads(waybill("--store", str(store), "--json", "logs").stdout)[1]["body"] == "old"


def has_begun(store, tail: Follower) -> Follower:
    """With a filter that leaves out all that is there: its first look is over when it shows something new."""

    def shows_one() -> bool:
        change(store, a_log(body="probe"))
        return bool(tail.lines)

    wait_until(shows_one, 10, "the first look")
    return tail


def bodies(tail: Follower) -> list[str]:
    return [row["body"] for row in tail.rows() if row["body"] != "probe"]


def test_tail_shows_them_as_they_arrive(store):
    with Follower(store, "tail", "-n", "1") as tail:
        tail.begun()
        change(store, a_log(body="one", severity=17, event="e"), a_log(None, None, body="two"))
        tail.wait_for(2)
        assert tail.interrupt() == YES
    assert tail.lines[0].split()[2:] == ["log", trace_id(99)[:16], "planner", "ERROR", "e:", "one"]
    assert tail.lines[1].split()[2:] == ["log", "-", "planner:", "two"]


def test_tail_says_them_as_json_and_by_type(store):
    with Follower(store, "tail", "-n", "0", "--json", "--type", "log") as tail:
        has_begun(store, tail)
        change(store, a_log(body="one"), a_log(None, None, body="two"))
        wait_until(lambda: bodies(tail) == ["one", "two"], 10, "the two")
        assert tail.interrupt() == YES
    assert {row["type"] for row in tail.rows()} == {"log"} and tail.rows()[-1]["trace_id"] is None


def test_tail_of_a_trace_leaves_out_those_of_others(store):
    with Follower(store, "tail", "-n", "0", "--json", "--type", "log", "--trace", trace_id(99)) as tail:
        has_begun(store, tail)
        change(store, a_log(None, None, body="of none"), a_log(trace=5, body="of another"), a_log(body="wanted"))
        wait_until(lambda: bodies(tail) == ["wanted"], 10, "it")
        assert tail.interrupt() == YES


def test_log_records_that_come_by_otlp_join_their_span():
    """From a real request to the terminal: stored once, though delivered by a sidecar that is killed in between."""
    port, trace, span_id = free_port(), os.urandom(16), os.urandom(8)
    config = f"admin: {{listen: 127.0.0.1:0}}\notlp: {{http: {{listen: 127.0.0.1:{port}}}, grpc: {{listen: 'off'}}}}\n"
    logs, spans, now = ExportLogsServiceRequest(), ExportTraceServiceRequest(), time.time_ns()
    scope_logs = logs.resource_logs.add().scope_logs.add()
    scope_logs.log_records.add(trace_id=trace, span_id=span_id, time_unix_nano=now + 10**6, severity_number=17,
                               body=AnyValue(string_value="it broke"))  # fmt: skip
    scope_logs.log_records.add(time_unix_nano=now, body=AnyValue(string_value="of no trace"))
    spans.resource_spans.add().scope_spans.add().spans.add(
        trace_id=trace, span_id=span_id, name="work", start_time_unix_nano=now, end_time_unix_nano=now + 10**9
    )
    with Sidecar("logs", config=config) as sidecar:
        before = Scrape(sidecar)["waybill_items_total", {"receiver": "http", "signal": "logs", "outcome": "accepted"}]
        for path, message in (("logs", logs), ("traces", spans)):  # the log record is there before its span
            post(port, path, message.SerializeToString())
        after = Scrape(sidecar)["waybill_items_total", {"receiver": "http", "signal": "logs", "outcome": "accepted"}]
        assert after - before == 2
        sidecar.kill9()
        sidecar.start()
        wait_until(lambda: trace.hex() in sidecar.cli("trace", "list", "--json", check=False), 10, "the trace")
        shown = sidecar.cli("trace", "show", trace.hex(), "--no-bars")
        assert [line.strip() for line in shown.splitlines() if line.strip().startswith("* ")] == ["* +1.0ms ERROR: it broke"]
        assert [log["body"] for log in json.loads(sidecar.cli("logs", "--json"))] == ["of no trace"]


def post(port: int, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/{path}", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
