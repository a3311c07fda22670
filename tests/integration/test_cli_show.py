# SPDX-License-Identifier: Apache-2.0
"""`trace show` with its bars and verdicts; `trace export` and the files it makes."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time

import pytest
from cli_store import (
    FAILURE,
    NO,
    USAGE,
    YES,
    change,
    clean_env,
    copy_of,
    filled_store,
    read,
    trace_id,
    waybill,
)
from google.protobuf import json_format
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData
from terminal import Terminal
from waybill_testkit import find_program

T0 = 1767323045 * 10**9


@pytest.fixture(scope="module")
def store():
    with filled_store() as path:
        yield path


def shown(store: pathlib.Path, n: int, *more: str, **env: str) -> list[str]:
    done = waybill("--store", str(store), "trace", "show", trace_id(n), *more, env=clean_env(**env))
    assert done.returncode == YES, done.stderr
    return done.stdout.splitlines()


def cells(line: str, width: int = 20) -> tuple[int, int]:
    """First cell of a line's bar and the one behind its last."""
    bar = line[:width]
    return len(bar) - len(bar.lstrip()), len(bar.rstrip())


# ---- bars and verdicts -------------------------------------------------------------------------


def test_every_span_has_its_bar_on_one_axis(store):
    axis, *lines = shown(store, 1)[1:8]
    assert axis[0] == "0" and axis.endswith("1.00s") and len(axis) == 20
    # starts and ends in ms of a second, in cells of 50 ms; a cell that is touched is drawn
    spans = [(0, 1000), (10, 900), (20, 880), (30, 800), (100, 500), (110, 480)]
    assert [cells(line) for line in lines] == [(a // 50, -(-b // 50)) for a, b in spans]
    assert "plan  [planner]" in lines[0] and "write  [writer]" in lines[3]


def test_what_is_open_grows_to_now_and_ends_in_an_arrow(store):
    lines = shown(store, 2)
    opened, accepted, work = lines[2:5]
    assert opened[:20] == accepted[:20] == "█" * 19 + "▶"
    assert "delegate writer (open)" in opened
    assert work[:20] == "█" + " " * 19
    ascii_lines = shown(store, 2, LANG="C")
    assert ascii_lines[2][:20] == "#" * 19 + ">"
    assert "".join(ascii_lines).isascii()


def test_verdicts_are_letters_with_a_legend_and_colours_only_repeat_them(store):
    one, three = shown(store, 1), shown(store, 3)
    assert [line[21] for line in one[2:8]] == [" ", " ", "C", " ", " ", "C"]
    assert one[-1] == "C continued"
    assert three[2][21] == "U" and three[-1] == "U unverified"
    colored = shown(store, 1, "--color", "always")
    assert any("\x1b[32mC\x1b[0m" in line for line in colored)
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in colored] == one


@pytest.mark.parametrize(
    "change_to, letter, means",
    [
        ("verdict = 'link', verified = 1", "L", "linked"),
        ("verdict = 'reject', verified = 0", "R", "refused"),
        ("verdict = 'duplicate', verified = 0", "D", "shown twice"),
        ("verdict = 'continue', verified = 0", "U", "unverified"),
    ],
)
def test_each_verdict_has_its_letter(store, tmp_path, change_to, letter, means):
    copy = copy_of(store, tmp_path / "store.db")
    change(copy, f"UPDATE acceptances SET {change_to} WHERE finished_ns IS NULL")
    lines = shown(copy, 2)
    assert lines[3][21] == letter and lines[-1] == f"{letter} {means}"


def test_a_refusal_that_the_caller_was_told_is_marked_without_the_other_sides_row(store, tmp_path):
    copy = copy_of(store, tmp_path / "store.db")
    change(copy, "UPDATE delegations SET state = 'rejected' WHERE state = 'canceled'")
    lines = shown(copy, 6)
    assert lines[2][21] == "R" and lines[-1] == "R refused"


def test_bars_can_be_left_out(store):
    lines = shown(store, 1, "--no-bars")
    assert lines[1] == "  plan  [planner]  1.00s"
    assert lines[3].startswith("C    └─ SendMessage server  [writer]  860.0ms  continue: verified")


def test_bars_take_a_quarter_of_the_terminal(store):
    args = [find_program("waybill"), "--store", store, "--color", "never", "trace", "show", trace_id(2)]
    for columns, width in ((160, 40), (20, 10), (1000, 60)):
        with Terminal(args, clean_env(), columns=columns) as terminal:
            assert terminal.end() == YES
            assert "█" * (width - 1) + "▶ " in terminal.text
            assert "█" * width not in terminal.text


def test_spans_outside_of_all_reason_keep_their_bars_within_the_axis(store, tmp_path):
    copy = copy_of(store, tmp_path / "store.db")
    change(copy, f"UPDATE spans SET ended_ns = {2**63 - 1} WHERE name = 'ring one'",
           "UPDATE spans SET started_ns = 0 WHERE name = 'ring two'")
    for line in shown(copy, 4)[2:8]:
        first, end = cells(line)
        assert 0 <= first < end <= 20 and line[20] == " "


def test_until_lists_what_began_longer_ago(store, tmp_path):
    copy = copy_of(store, tmp_path / "store.db")
    change(copy, "UPDATE trace_parts SET started_ns = (strftime('%s','now') - 60) * 1000000000"
                 f" WHERE trace_id = x'{trace_id(8)}'")

    def ids(*args: str) -> list[int]:
        return [int(t["trace_id"], 16) for t in read(copy, "trace", "list", *args)]

    assert ids("--since", "1h") == [8]
    assert ids("--since", "1h", "--until", "10m") == []
    assert ids("--until", "10m") == [7, 6, 5, 4, 3, 2, 1]
    assert ids("--until", "100000d") == []


# ---- export: refusals --------------------------------------------------------------------------


def export(store: pathlib.Path, *args: str):
    return waybill("--store", str(store), "trace", "export", *args)


@pytest.mark.parametrize(
    "args, code",
    [
        ([], USAGE),
        (["1", "--all"], USAGE),
        (["1", "--since", "1h"], USAGE),
        (["xyz"], USAGE),
        (["--all", "--format", "xml"], USAGE),
        (["--all", "--status", "fine"], USAGE),
        (["ff"], NO),
        (["000"], NO),
        (["--all", "-o", "/nonexistent/out"], FAILURE),
        (["--all", "-o", "/tmp/"], FAILURE),
        (["--all", "-o", "/dev/full", "--force"], FAILURE),
    ],
)
def test_an_export_that_cannot_be_says_why(store, args, code):
    done = export(store, *args)
    assert done.returncode == code and done.stdout == "" and done.stderr.startswith("waybill: ")


def test_a_file_that_is_there_is_kept_unless_forced(store, tmp_path):
    out = tmp_path / "traces.jsonl"
    out.write_text("mine")
    done = export(store, "--all", "-o", str(out))
    assert done.returncode == FAILURE and "--force" in done.stderr and out.read_text() == "mine"
    done = export(store, "--all", "-o", str(out), "--force")
    assert done.returncode == YES and len(out.read_text().splitlines()) == 8
    assert done.stdout.startswith("8 traces, 317 spans, ")
    assert out.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [out]


def test_nothing_but_a_regular_file_is_replaced(store, tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    for path in (link, pathlib.Path("/dev/null"), tmp_path):
        done = export(store, "--all", "-o", str(path), "--force")
        assert done.returncode == FAILURE and "no regular file" in done.stderr
    assert link.is_symlink() and target.read_text() == "mine"
    assert pathlib.Path("/dev/null").is_char_device()


def test_what_cannot_be_written_is_an_error(store):
    args = [find_program("waybill"), "--store", store, "trace", "export", "--all"]
    with open("/dev/full", "w") as full, Terminal(args, clean_env(), stdout=full.fileno()) as terminal:
        assert terminal.end() == FAILURE
        assert "cannot write" in terminal.text


PRINTING = [
    "--version", "--help", "help trace", "trace --help", "manual", "manual trace", "manual --markdown",
    "completion bash", "completion zsh", "trace list", "trace list --json", f"trace show {trace_id(1)}",
    f"trace show {trace_id(1)} --json", "trace export --all", "trace export --all --format json",
    f"trace export {trace_id(1)} --format json -o -", "delegations",
    "delegations --json", "delegations --watch --json", "tail", "tail --json", "agents", "agents --json",
    "top --once --interval 100ms", "top --once --interval 100ms --json", "status --json", "doctor", "doctor --json",
]


@pytest.mark.parametrize("line", PRINTING)
def test_output_that_cannot_be_written_is_one_line_and_3(store, line):
    command = [str(find_program("waybill")), *line.split(), "--store", str(store)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=clean_env(), stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == FAILURE
    said = [text for text in done.stderr.splitlines() if "no span yet" not in text]
    assert len(said) == 1 and said[0].startswith("waybill: standard output: "), done.stderr


@pytest.mark.parametrize("line", PRINTING)
def test_a_reader_that_has_gone_is_3_without_a_word(store, line):
    reader, writer = os.pipe()
    os.close(reader)
    command = [str(find_program("waybill")), *line.split(), "--store", str(store)]
    done = subprocess.run(command, env=clean_env(), stdin=subprocess.DEVNULL, stdout=writer,
                          stderr=subprocess.PIPE, text=True, timeout=30)
    os.close(writer)
    assert (done.returncode, done.stderr) == (FAILURE, "")


# ---- export: what another backend reads --------------------------------------------------------


def of_otlp(line: str) -> TracesData:
    """As a receiver of OTLP/JSON reads it: ids are hex there, base64 in plain ProtoJSON."""

    def convert(node):
        if isinstance(node, list):
            return [convert(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else convert(value)
            for key, value in node.items()
        }

    return json_format.ParseDict(convert(json.loads(line)), TracesData())


def stored(store: pathlib.Path) -> dict[tuple[bytes, bytes], tuple[Resource, InstrumentationScope, Span]]:
    query = ("SELECT trace_id, span_id, r.bytes, c.bytes, span FROM spans"
             " LEFT JOIN resources r USING (resource_id) LEFT JOIN scopes c USING (scope_id)")
    with contextlib.closing(sqlite3.connect(store)) as db:
        return {
            (trace, span): (Resource.FromString(r or b""), InstrumentationScope.FromString(c or b""),
                            Span.FromString(message))
            for trace, span, r, c, message in db.execute(query)
        }


def exported(lines: list[str]):
    found = {}
    for line in lines:
        for resource_spans in of_otlp(line).resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    key = (span.trace_id, span.span_id)
                    assert key not in found
                    found[key] = (resource_spans.resource, scope_spans.scope, span)
    return found


def rich_span(span_id: bytes) -> Span:
    span = Span(
        trace_id=bytes.fromhex(trace_id(1)), span_id=span_id, parent_span_id=b"\1" * 8,
        trace_state="a=1,b=2", name='näme "quoted"\n\x7f\u202e', kind=Span.SPAN_KIND_CONSUMER, flags=0x301,
        start_time_unix_nano=2**63 + 7, end_time_unix_nano=2**64 - 1, dropped_attributes_count=3,
        dropped_events_count=2**32 - 1, dropped_links_count=5,
    )
    span.status.code, span.status.message = 2, "failed: \x9b31m"
    values = {
        "text": {"string_value": "grün\t"}, "yes": {"bool_value": True}, "no": {"bool_value": False},
        "least": {"int_value": -(2**63)}, "most": {"int_value": 2**63 - 1}, "zero": {"int_value": 0},
        "real": {"double_value": 0.1}, "tiny": {"double_value": 5e-324}, "huge": {"double_value": -1e308},
        "endless": {"double_value": float("inf")}, "bytes": {"bytes_value": bytes(range(256))},
        "empty": {},
        "nested": {"kvlist_value": {"values": [
            {"key": "list", "value": {"array_value": {"values": [
                {"string_value": ""}, {"int_value": 7}, {"array_value": {}}, {"kvlist_value": {}}]}}}]}},
    }
    for key, value in values.items():
        json_value = span.attributes.add(key=key).value
        json_value.SetInParent()
        json_format.ParseDict({}, json_value)
        for field, content in value.items():
            if isinstance(content, dict):
                getattr(json_value, field).CopyFrom(type(getattr(json_value, field))(**content))
                getattr(json_value, field).SetInParent()
            else:
                setattr(json_value, field, content)
    for n in range(2):
        event = span.events.add(time_unix_nano=2**60 + n, name=f"event {n}", dropped_attributes_count=n)
        event.attributes.add(key="n").value.int_value = n
        link = span.links.add(trace_id=bytes([n + 1] * 16), span_id=bytes([n + 2] * 8), trace_state="x=y",
                              flags=1, dropped_attributes_count=9)
        link.attributes.add(key="why").value.string_value = "because"
    return span


def test_an_export_is_otlp_that_the_published_messages_read(store):
    lines = export(store, "--all").stdout.splitlines()
    assert len(lines) == 8
    assert exported(lines) == stored(store)
    (one,) = export(store, trace_id(1)).stdout.splitlines()
    raw = json.loads(one)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert raw["traceId"] == trace_id(1) and re.fullmatch("[0-9a-f]{16}", raw["spanId"])
    assert isinstance(raw["startTimeUnixNano"], str) and isinstance(raw["kind"], int)


def test_every_field_of_a_span_comes_through(store, tmp_path):
    copy = copy_of(store, tmp_path / "store.db")
    span_id = bytes.fromhex("0000000000000004")
    span, resource = rich_span(span_id), Resource(dropped_attributes_count=4)
    resource.attributes.add(key="service.name").value.string_value = "rich"
    resource.entity_refs.add(schema_url="https://example.org/s", type="service", id_keys=["a", "b"],
                             description_keys=["c"])
    scope = InstrumentationScope(name="s", version="2", dropped_attributes_count=1)
    scope.attributes.add(key="k").value.bool_value = True
    change(copy,
           ("INSERT INTO resources VALUES (900, ?)", (resource.SerializeToString(),)),
           ("INSERT INTO scopes VALUES (900, ?)", (scope.SerializeToString(),)),
           ("UPDATE spans SET span = ?, resource_id = 900, scope_id = 900 WHERE trace_id = ? AND span_id = ?",
            (span.SerializeToString(), bytes.fromhex(trace_id(1)), span_id)))
    found = exported(export(copy, trace_id(1)).stdout.splitlines())
    assert found[(span.trace_id, span_id)] == (resource, scope, span)


def test_resources_and_scopes_are_written_once_a_trace(store):
    trace = json.loads(export(store, trace_id(8)).stdout)
    (resource,) = trace["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    assert len(scope["spans"]) == 300


def test_filters_and_the_other_format(store):
    def ids(*args: str) -> list[str]:
        return [json.loads(line)["trace_id"] for line in export(store, "--format", "json", *args).stdout.splitlines()]

    assert ids("--status", "running") == [trace_id(7), trace_id(2)]
    assert ids("--agent", "researcher") == [trace_id(3), trace_id(1)]
    assert ids("--since", "1h") == []
    assert json.loads(export(store, "--format", "json", trace_id(1)).stdout) == read(store, "trace", "show", trace_id(1))


def test_open_delegations_are_said_to_be_missing(store):
    done = export(store, trace_id(2))
    assert "1 open delegations have no span yet" in done.stderr and done.returncode == YES
    assert export(store, trace_id(1)).stderr == ""


def test_hostile_names_do_not_reach_a_terminal_through_an_export(store):
    for form in ("otlp-json", "json"):
        text = export(store, trace_id(4), "--format", form).stdout
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        assert "\\u202e" in text


# ---- export: long work -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(store, tmp_path_factory):
    """10 000 more spans in one trace: 20 MB of JSON."""
    path = copy_of(store, tmp_path_factory.mktemp("large") / "store.db")
    message = rich_span(b"\1" * 8).SerializeToString()
    change(path,
           ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
            " INSERT INTO spans (trace_id, span_id, parent_span_id, name, kind, started_ns, ended_ns, status,"
            " sidecar_id, seq, resource_id, scope_id, span)"
            " SELECT ?1, CAST(printf('%08d', i) AS BLOB), x'0000000000000001', 'many', 'internal', ?2 + i, ?2 + i,"
            " 'ok', 1, 1000 + i, 1, 1, ?3 FROM n", (bytes.fromhex(trace_id(8)), T0, message)),
           f"UPDATE trace_parts SET span_count = span_count + 10000 WHERE trace_id = x'{trace_id(8)}'")
    return path


def read_late(pipe: int) -> bytes:
    """Let the writer wait for a second, then read all."""
    time.sleep(1)
    with open(pipe, "rb") as file:
        return file.read()


def test_a_long_export_shows_its_progress_on_a_terminal(large):
    args = [find_program("waybill"), "--store", large, "trace", "export", trace_id(8)]
    ours, its = os.pipe()
    with Terminal(args, clean_env(), stdout=its) as terminal, concurrent.futures.ThreadPoolExecutor() as pool:
        os.close(its)
        read = pool.submit(read_late, ours)
        terminal.wait_for("exporting spans [")
        terminal.wait_for(" of 10300, ")
        assert terminal.end(60) == YES
        assert terminal.text.endswith("\r\x1b[K"), "it is taken away"
        assert "\n" not in terminal.text
    (resource, *_) = json.loads(read.result())["resourceSpans"]
    assert len(resource["scopeSpans"][0]["spans"]) >= 10000


def test_a_long_export_is_silent_without_a_terminal(large):
    args = [str(find_program("waybill")), "--store", str(large), "trace", "export", trace_id(8)]
    ours, its = os.pipe()
    with subprocess.Popen(args, env=clean_env(), stdout=its, stderr=subprocess.PIPE) as process:
        os.close(its)
        assert read_late(ours)
        assert (process.stderr.read(), process.wait(60)) == (b"", YES)


def test_an_interrupted_export_leaves_no_file_and_ends_by_its_signal(large, tmp_path):
    args = [find_program("waybill"), "--store", large, "trace", "export", trace_id(8), "-o", tmp_path / "out.jsonl"]
    with Terminal(args, clean_env()) as terminal:
        while not os.listdir(tmp_path):
            assert terminal.process.poll() is None
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == -signal.SIGINT
    assert os.listdir(tmp_path) == []
