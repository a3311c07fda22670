# SPDX-License-Identifier: Apache-2.0
"""OTLP over HTTP into a real sidecar: what its clients send, what it answers, what is in the store then.

Raw sockets where the bytes matter; the exporters of the OpenTelemetry SDK where what they make of the
answers does."""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import struct
import threading
import time
import zlib

import pytest
from google.protobuf import json_format
from google.rpc import status_pb2
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from otlp_http import (
    JSON,
    PROTOBUF,
    RESPONSES,
    Answer,
    Wire,
    logs,
    metrics,
    port_of,
    post,
    request,
    stored_names,
    traces,
    zipped,
)
from waybill_testkit import Sidecar, find_program, free_port, is_sanitized, wait_until

CONFIG = "admin: {listen: 127.0.0.1:0}\notlp: {http: {listen: 127.0.0.1:0}}\n"
SMALL = CONFIG + "journal: {segment_bytes: 256KiB, limit_bytes: 2MiB}\n"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def sidecar():
    with Sidecar("otlp", config=CONFIG) as one:
        yield one


@pytest.fixture(scope="module")
def port(sidecar):
    return port_of(sidecar)


_names = iter(range(10**9))


def fresh(n: int = 1) -> list[str]:
    return [f"span {next(_names)}" for _ in range(n)]


def is_stored(sidecar: Sidecar, names: list[str]) -> None:
    """Each of them once, soon."""
    wait_until(lambda: set(names) <= set(stored_names(sidecar)), 20, f"{len(names)} spans stored")
    stored = stored_names(sidecar)
    assert [stored.count(name) for name in names] == [1] * len(names)


def said(answer: Answer) -> status_pb2.Status:
    """The google.rpc.Status of a refusal, in the encoding that its Content-Type names."""
    if answer.headers["content-type"] == JSON:
        return json_format.Parse(answer.body, status_pb2.Status())
    assert answer.headers["content-type"] == PROTOBUF
    return status_pb2.Status.FromString(answer.body)


def report(sidecar: Sidecar) -> dict:
    (http,) = [
        one
        for one in json.loads(sidecar.cli("status", "--json", check=False))["report"]["otlp"]
        if one["receiver"] == "http"
    ]
    return http


# -- what is taken ---------------------------------------------------------------------------------


def test_protobuf_is_taken_and_answered_with_an_empty_message(sidecar, port):
    names = fresh(3)
    answer = post(port, "/v1/traces", traces(names).SerializeToString())
    assert (answer.code, answer.headers["content-type"], answer.body) == (200, PROTOBUF, b"")
    is_stored(sidecar, names)


def test_json_is_taken_and_answered_in_json(sidecar, port):
    names = fresh(3)
    body = node_json(names)
    answer = post(port, "/v1/traces", body, kind=JSON, chunks=5)
    assert (answer.code, answer.headers["content-type"], answer.body) == (200, JSON, b"{}")
    is_stored(sidecar, names)


def node_json(names: list[str]) -> bytes:
    """As @opentelemetry/exporter-trace-otlp-http writes it: hex ids, times as strings, intValue as a number,
    empty lists and zero counters."""
    now = time.time_ns()
    spans = [
        {
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "spanId": f"{zlib.crc32(name.encode()):08x}{i:08x}",
            "name": name,
            "kind": 1,
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 5),
            "attributes": [{"key": "n", "value": {"intValue": i}}],
            "droppedAttributesCount": 0,
            "events": [],
            "droppedEventsCount": 0,
            "links": [],
            "droppedLinksCount": 0,
            "status": {"code": 0},
            "flags": 257,
        }
        for i, name in enumerate(names)
    ]
    scope = {"scope": {"name": "node"}, "spans": spans}
    return json.dumps({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]}).encode()


@pytest.mark.parametrize("chunks", [0, 1, 7, 300])
@pytest.mark.parametrize("zip_it", [False, True])
def test_a_body_may_come_in_pieces_and_zipped(sidecar, port, chunks, zip_it):
    names = fresh(20)
    body = traces(names).SerializeToString()
    headers = {"Content-Encoding": "gzip"} if zip_it else {}
    answer = post(port, "/v1/traces", zipped(body) if zip_it else body, chunks=chunks, headers=headers)
    assert answer.code == 200, answer
    is_stored(sidecar, names)


def test_gzip_of_several_members_is_one_body(sidecar, port):
    names = fresh(10)
    body = traces(names).SerializeToString()
    pieces = b"".join(gzip.compress(body[at : at + 100]) for at in range(0, len(body), 100))
    answer = post(port, "/v1/traces", pieces, headers={"Content-Encoding": "GZIP"})
    assert answer.code == 200, answer
    is_stored(sidecar, names)


def test_a_connection_is_kept_and_may_send_ahead(sidecar, port):
    with Wire(port) as wire:
        names = fresh(6)
        for name in names[:3]:
            assert wire.post("/v1/traces", traces([name]).SerializeToString()).code == 200
        wire.send(b"".join(request("/v1/traces", traces([name]).SerializeToString()) for name in names[3:]))
        assert [wire.answer().code for _ in names[3:]] == [200] * 3
        assert wire.post("/v1/nowhere", b"").code == 404  # a refusal does not end it either
        assert wire.post("/v1/traces", b"").code == 200
    is_stored(sidecar, names)


def test_who_asks_for_leave_gets_it(sidecar, port):
    (name,) = fresh()
    body = traces([name]).SerializeToString()
    with Wire(port) as wire:
        whole = request("/v1/traces", body, headers={"Expect": "100-continue"})
        wire.send(whole[: -len(body)])
        assert wire.head()[0] == 100
        wire.send(body)
        assert wire.answer().code == 200
    is_stored(sidecar, [name])


def test_who_asks_for_leave_in_vain_need_not_send(port):
    with Wire(port) as wire:
        wire.send(request("/v1/traces", b"", kind="text/plain", headers={"Expect": "100-continue"}))
        assert wire.answer().code == 415


@pytest.mark.parametrize("path", RESPONSES)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_an_empty_request_of_any_signal_is_a_success(port, path, kind):
    body = b"{}" if kind == JSON else b""
    answer = post(port, path, body, kind=kind)
    assert (answer.code, answer.body) == (200, body)


def test_logs_and_metrics_are_taken_and_counted(sidecar, port):
    before = report(sidecar)
    for path, made in (("/v1/logs", logs(["a", "b"])), ("/v1/metrics", metrics(["m"]))):
        answer = post(port, path, made.SerializeToString())
        assert (answer.code, answer.body) == (200, b""), answer
        text = json_format.MessageToJson(made, use_integers_for_enums=True).encode()
        assert post(port, path, text, kind=JSON).body == b"{}"
    after = report(sidecar)
    assert after["requests"] - before["requests"] == 4
    assert after["bytes"] > before["bytes"]


def test_a_log_record_speaks_only_in_its_own_name(sidecar, port):
    """What is named waybill.* is Waybill's to say; an acceptance id counts if the acceptance is ours."""
    made = logs(["who says it"])
    record = made.resource_logs[0].scope_logs[0].log_records[0]
    for key in ("waybill.token.verdict", "waybill.acceptance.id", "plain"):
        record.attributes.add(key=key).value.string_value = "0" * 31 + "1"
    assert post(port, "/v1/logs", made.SerializeToString()).code == 200
    (stored,) = wait_until(lambda: stored_logs(sidecar, "who says it"), 20, "a log record")
    keys = {one.key for one in LogRecord.FromString(stored).attributes}
    assert keys == {"claimed.waybill.token.verdict", "claimed.waybill.acceptance.id", "plain"}


def test_log_records_are_shown_under_their_spans_also_where_these_were_moved(sidecar, port):
    """A caller's trace id that nobody vouches for: the spans get a trace of their own, and their log records are
    found from there, whichever came first. Another span's under the same claimed id are not."""
    made = traces(fresh(2))
    entry, child = made.resource_spans[0].scope_spans[0].spans
    claimed = entry.trace_id
    entry.parent_span_id, entry.flags = b"far side", 0x301  # the parent is remote
    child.parent_span_id, child.flags = entry.span_id, 0x101
    records = logs(["of the entry", "of its child", "of nobody here"])
    spans = (entry.span_id, child.span_id, b"stranger")
    for record, span_id in zip(records.resource_logs[0].scope_logs[0].log_records, spans):
        record.trace_id, record.span_id = claimed, span_id
    assert post(port, "/v1/logs", records.SerializeToString()).code == 200
    assert post(port, "/v1/traces", made.SerializeToString()).code == 200
    home = wait_until(lambda: trace_of(sidecar, child.span_id), 20, "the spans")
    assert home != claimed.hex()
    shown = json.loads(sidecar.cli("trace", "show", home, "--json"))
    nodes = {node["name"]: node for node in flat(shown["children"])}
    assert [log["body"] for log in nodes[entry.name]["logs"]] == ["of the entry"]
    assert [log["body"] for log in nodes[child.name]["logs"]] == ["of its child"]
    assert shown["other_logs"] == []


def flat(nodes: list) -> list:
    return [found for node in nodes for found in (node, *flat(node["children"]))]


def trace_of(sidecar: Sidecar, span_id: bytes) -> str | None:
    if not sidecar.store.exists():
        return None
    db = sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True, timeout=20)
    try:
        found = db.execute("SELECT hex(trace_id) FROM spans WHERE span_id = ?", (span_id,)).fetchone()
        return found[0].lower() if found else None
    except sqlite3.OperationalError:  # it is being made
        return None
    finally:
        db.close()


def stored_logs(sidecar: Sidecar, body: str) -> list[bytes]:
    if not sidecar.store.exists():
        return []
    db = sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True, timeout=20)
    try:
        return [log for (log,) in db.execute("SELECT log FROM logs WHERE body = ?", (body,))]
    except sqlite3.OperationalError:  # it is being made
        return []
    finally:
        db.close()


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    "path, method, headers, body, code, rpc",
    [
        ("/v1/trace", "POST", {}, b"", 404, 5),
        ("/", "POST", {}, b"", 404, 5),
        ("/v1/traces/", "POST", {}, b"", 404, 5),
        ("/v1/traces", "GET", {}, b"", 405, 12),
        ("/v1/traces", "PUT", {}, b"x" * 100, 405, 12),
        ("/v1/traces", "DELETE", {}, b"", 405, 12),
        ("/v1/traces", "OPTIONS", {}, b"", 405, 12),
        ("/v1/traces", "POST", {"Content-Encoding": "zstd"}, b"x" * 100, 415, 3),
        ("/v1/traces", "POST", {"Content-Encoding": "gzip, gzip"}, b"x" * 100, 415, 3),
        ("/v1/traces", "POST", {}, b"\xff\xff\xff", 400, 3),
        ("/v1/traces", "POST", {"Content-Encoding": "gzip"}, b"no gzip", 400, 3),
        ("/v1/traces", "POST", {"Content-Encoding": "gzip"}, b"", 400, 3),
        ("/v1/logs", "POST", {}, b"\x0a\x05", 400, 3),
        ("/v1/metrics", "POST", {}, b"\x0a\x05", 400, 3),
    ],
)
def test_a_refusal_says_why_in_the_encoding_of_the_request(
    port, kind, path, method, headers, body, code, rpc
):
    with Wire(port) as wire:
        answer = wire.post(path, body, kind=kind, method=method, headers=headers)
        assert answer.code == code, answer
        assert answer.headers["content-type"] == kind
        assert said(answer).code == rpc and said(answer).message
        assert answer.headers.get("allow") == ("POST" if code == 405 else None)
        assert wire.post("/v1/traces", b"").code == 200  # what came behind it was read as one request


@pytest.mark.parametrize("kind", [None, "text/plain", "application/xml", "application/jsonx", "; json"])
def test_another_content_type_is_415_in_json(port, kind):
    answer = post(port, "/v1/traces", b"{}", kind=kind)
    assert answer.code == 415
    assert "application/x-protobuf" in said(answer).message


@pytest.mark.parametrize("kind", ["APPLICATION/JSON", "application/json; charset=utf-8", "application/json;x"])
def test_a_content_type_has_no_case_and_may_have_parameters(port, kind):
    assert post(port, "/v1/traces", b"{}", kind=kind).body == b"{}"


def test_one_bad_span_is_refused_and_the_others_are_stored(sidecar, port):
    names = fresh(3)
    for name_of_bad in (b"bad \xff\xfe", b"\xc0\x80"):
        made = traces([*names, "????????"])
        body = made.SerializeToString().replace(b"????????", name_of_bad.ljust(8, b"\xff"))
        answer = post(port, "/v1/traces", body)
        assert answer.code == 200
        partial = RESPONSES["/v1/traces"].FromString(answer.body).partial_success
        assert partial.rejected_spans == 1 and "UTF-8" in partial.error_message
        names = fresh(3)
    is_stored(sidecar, [])


def test_spans_without_ids_are_refused_in_json_too(sidecar, port):
    (good,) = fresh()
    made = json.loads(node_json([good, "no id"]))
    made["resourceSpans"][0]["scopeSpans"][0]["spans"][1]["spanId"] = "0" * 16
    answer = post(port, "/v1/traces", json.dumps(made).encode(), kind=JSON)
    partial = json.loads(answer.body)["partialSuccess"]
    assert (answer.code, partial["rejectedSpans"]) == (200, "1") and partial["errorMessage"]
    is_stored(sidecar, [good])
    assert "no id" not in stored_names(sidecar)


def test_too_large_is_413_however_it_is_said(sidecar, port):
    big = traces(["big"], pad=9 * MIB).SerializeToString()
    for answer in (
        post(port, "/v1/traces", big),
        post(port, "/v1/traces", big, chunks=20),
        post(port, "/v1/traces", zipped(big), headers={"Content-Encoding": "gzip"}),
        post(port, "/v1/traces", zipped(big), headers={"Content-Encoding": "gzip"}, chunks=9),
    ):
        assert answer.code == 413, answer
        assert said(answer).code == 8 and "bytes" in said(answer).message
    names = fresh(1)
    almost = traces(names, pad=8 * MIB - 4096).SerializeToString()
    assert post(port, "/v1/traces", almost).code == 200
    is_stored(sidecar, names)


def test_json_that_is_one_long_text_is_413_and_not_later(port):
    """Text and protobuf share the room that a body may take: what does not fit now never will."""
    head = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"' + b"ab" * 16 + b'","spanId":"' + b"cd" * 8 + b'","name":"'
    tail = b'"}]}]}]}'
    for size in (7 * MIB, 8 * MIB - 1):
        body = head + b"x" * (size - len(head) - len(tail)) + tail
        answer = post(port, "/v1/traces", body, kind="application/json")
        assert answer.code == 413, answer
        assert "retry-after" not in answer.headers


def test_a_bomb_is_413_and_costs_no_memory(sidecar, port):
    bomb = gzip.compress(b"\0" * (200 * MIB), 9)
    two = zipped(b"\0" * (5 * MIB)) * 2  # each within bounds, both not
    for body in (bomb, two):
        answer = post(port, "/v1/traces", body, headers={"Content-Encoding": "gzip"})
        assert answer.code == 413, answer
    room = 1000 if is_sanitized(find_program("waybilld")) else 100
    assert peak_memory(sidecar) < room * MIB


def peak_memory(sidecar: Sidecar) -> int:
    with open(f"/proc/{sidecar.pid}/status", encoding="ascii") as text:
        return int(re.search(r"VmHWM:\s+(\d+) kB", text.read())[1]) * 1024


def test_a_gzip_that_is_cut_or_lies_is_400(port):
    whole = zipped(traces(["x"] * 50).SerializeToString())
    headers = {"Content-Encoding": "gzip"}
    for body in (
        whole[:-1],
        whole[:-8],
        whole[: len(whole) // 2],
        whole[:10],
        whole + b"x",
        whole + whole[:20],
        whole[:-8] + b"\0\0\0\0" + whole[-4:],  # another check sum
        whole[:-4] + struct.pack("<I", 2**32 - 1),  # another length
        b"\x1f\x8b" + b"\0" * 40,
    ):
        answer = post(port, "/v1/traces", body, headers=headers)
        assert answer.code == 400, (len(body), answer)
        assert "gzip" in said(answer).message


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST /v1/traces HTTP/9.9\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n",
        b"POST /" + b"a" * 400_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\n" + b"X-A: b\r\n" * 60_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,  # a TLS hello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes(range(256)) * 20,
    ],
)
def test_what_is_no_http_does_no_harm(sidecar, port, raw):
    with Wire(port) as wire:
        try:
            wire.send(raw)
            wire.socket.shutdown(1)
            while wire.socket.recv(65536):
                continue
        except OSError:  # it was closed out, perhaps amid this
            pass
    assert sidecar.running
    assert post(port, "/v1/traces", b"").code == 200


def ends_with_400(wire: Wire, why: bytes) -> None:
    """One answer, though more was sent, and the end of the connection."""
    got = b""
    while part := wire.socket.recv(65536):
        got += part
    assert got.startswith(b"HTTP/1.1 400 ") and got.count(b"HTTP/1.1 ") == 1
    assert why in got and b"connection: close" in got.lower()


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
    ],
)
def test_a_head_that_a_proxy_may_read_otherwise_is_400_and_the_end(port, framing):
    """What comes behind it is never taken for a request."""
    with Wire(port) as wire:
        wire.send(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + framing + b"\r\n"
                  b"{}POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        ends_with_400(wire, b"one Content-Length")


@pytest.mark.parametrize(
    "field",
    [
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked",
        b"Transfer-Encoding\x0b: chunked",
        b"Content-Length : 3",
        b"X-Other : 1",
        b" Transfer-Encoding: chunked",
    ],
)
def test_a_field_without_a_right_name_is_400_and_the_end(port, field):
    """RFC 9112, 5.1: a proxy that takes off the blank reads another length than who does not."""
    with Wire(port) as wire:
        wire.send(b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\n" + field + b"\r\nHost: x\r\n"
                  b"Content-Length: 2\r\n\r\n"
                  b"{}POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        ends_with_400(wire, b"name of a header field")


@pytest.mark.parametrize(
    ("code", "version", "rest"),
    [
        (400, b"1.1", b"Content-Length: x\r\n\r\n"),
        (400, b"1.1", b"Content-Length: +2\r\n\r\n{}"),
        (400, b"1.1", b"Content-Length: 2 2\r\n\r\n{}"),
        (400, b"1.1", b"Content-Length: -2\r\n\r\n{}"),
        (413, b"1.1", b"Content-Length: 99999999999999999999999\r\n\r\n{}"),
        (400, b"1.1", b"no colon\r\nContent-Length: 2\r\n\r\n{}"),
        (431, b"1.1", b"X-A: b\r\n" * 60_000),
        (400, b"1.1", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
        (505, b"9.9", b"\r\n"),
    ],
)
def test_what_the_library_refuses_itself_is_a_page_and_the_end(port, code, version, rest):
    """docs/otlp.md: the only refusals without a google.rpc.Status. What comes behind is never a request."""
    with Wire(port) as wire:
        got = b""
        try:
            wire.send(b"POST /v1/traces HTTP/" + version + b"\r\nHost: x\r\nContent-Type: application/json\r\n" + rest
                      + b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            while part := wire.socket.recv(65536):
                got += part
        except OSError:  # it was closed amid what is too much
            pass
    if got or len(rest) < 1000:
        assert got.startswith(b"HTTP/1.1 %d " % code) and got.endswith(b"</html>") and b" 200 " not in got


def test_whoever_leaves_amid_a_body_leaves_nothing_behind(sidecar, port):
    whole = request("/v1/traces", traces(["gone"], pad=3 * MIB).SerializeToString())
    for cut in (10, 200, MIB, len(whole) - 1):
        for half in (False, True):
            with Wire(port) as wire:
                wire.send(whole[:cut])
                if half:
                    wire.socket.shutdown(1)
                    assert wire.closed()
    names = fresh(1)
    almost = traces(names, pad=8 * MIB - 4096).SerializeToString()  # needs nearly all the room there is
    wait_until(lambda: post(port, "/v1/traces", almost).code == 200, 20, "room")
    wait_until(lambda: names[0] in stored_names(sidecar), 20, "stored")
    assert "gone" not in stored_names(sidecar)


def test_a_client_that_closes_its_half_does_no_harm(sidecar, port):
    """libmicrohttpd takes it for gone where it sees that before its answer; then nothing was acknowledged."""
    for _ in range(20):
        names = fresh(1)
        with Wire(port) as wire:
            wire.send(request("/v1/traces", traces(names).SerializeToString()))
            wire.socket.shutdown(1)
            try:
                assert wire.answer().code == 200
            except (EOFError, ConnectionError):
                continue
        is_stored(sidecar, names)
    assert post(port, "/v1/traces", b"").code == 200


def test_bodies_that_come_slowly_hold_no_more_than_there_is_room(sidecar, port):
    """Three that together exceed the room: at least one is told to come back, and with those gone all can."""
    body = traces(["slow"], pad=7 * MIB).SerializeToString()
    whole = request("/v1/traces", body)
    wires = [Wire(port) for _ in range(3)]
    try:
        for wire in wires:
            wire.send(whole[: 6 * MIB])
        codes = []
        for wire in wires:
            wire.send(whole[6 * MIB :])
            answer = wire.answer()
            codes.append(answer.code)
            if answer.code == 503:
                assert int(answer.headers["retry-after"]) >= 1
                assert said(answer).code == 14
    finally:
        for wire in wires:
            wire.socket.close()
    assert 503 in codes and set(codes) <= {200, 503}, codes
    assert post(port, "/v1/traces", body).code == 200
    assert report(sidecar)["refused"]["busy"] >= 1


def test_a_thousand_idle_connections_keep_nobody_out(sidecar, port):
    idle = [Wire(port) for _ in range(1000)]
    try:
        names = fresh(1)
        assert post(port, "/v1/traces", traces(names).SerializeToString()).code == 200
        is_stored(sidecar, names)
        assert len(list_fds(sidecar)) < 600
    finally:
        for wire in idle:
            wire.socket.close()
    assert post(port, "/v1/traces", b"").code == 200


def list_fds(sidecar: Sidecar) -> list[str]:
    return os.listdir(f"/proc/{sidecar.pid}/fd")


def test_a_head_that_drips_is_ended(sidecar, port):
    """Each byte is progress, all of them are none: about fifteen seconds."""
    drips = b"POST /v1/traces HTTP/1.1\r\nX-Slow: " + b"a" * 600
    with Wire(port) as wire:
        wire.socket.settimeout(0.1)
        for at in range(len(drips)):
            try:
                wire.send(drips[at : at + 1])
                if wire.socket.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            raise AssertionError("it may drip for a minute")
    assert sidecar.running


# -- durable ---------------------------------------------------------------------------------------


def lock_store(path):
    """Hold the store's write lock, as another process that hangs would."""
    db = sqlite3.connect(path, isolation_level=None, timeout=20)
    db.execute("BEGIN IMMEDIATE")
    return db


def test_what_was_acknowledged_survives_kill_9():
    with Sidecar("killed", config=CONFIG) as sidecar:
        port = port_of(sidecar)
        assert post(port, "/v1/traces", traces(["first"]).SerializeToString()).code == 200
        wait_until(lambda: stored_names(sidecar) == ["first"], 20, "a store")
        db = lock_store(sidecar.store)  # nothing is delivered from here on
        taken: list[str] = []

        def send(mine: list[str]) -> None:
            try:
                with Wire(port) as wire:
                    for name in mine:
                        if wire.post("/v1/traces", traces([name]).SerializeToString()).code == 200:
                            taken.append(name)
            except (OSError, EOFError):
                pass

        senders = [threading.Thread(target=send, args=(fresh(5000),)) for _ in range(4)]
        for one in senders:
            one.start()
        wait_until(lambda: len(taken) > 200, 30, "200 acknowledged")
        sidecar.kill9()
        for one in senders:
            one.join(30)
        db.execute("ROLLBACK")
        db.close()
        sidecar.start()
        acknowledged = set(taken)
        wait_until(lambda: acknowledged <= set(stored_names(sidecar)), 60, "all of them stored")
        stored = stored_names(sidecar)
        assert len(stored) == len(set(stored))


def test_a_full_journal_is_503_until_there_is_room():
    with Sidecar("full", config=SMALL) as sidecar:
        port = port_of(sidecar)
        assert post(port, "/v1/traces", traces(["first"]).SerializeToString()).code == 200
        wait_until(lambda: stored_names(sidecar) == ["first"], 20, "a store")
        db = lock_store(sidecar.store)
        taken = ["first"]
        with Wire(port) as wire:
            for _ in range(400):
                (name,) = fresh()
                answer = wire.post("/v1/traces", traces([name], pad=20_000).SerializeToString())
                if answer.code != 200:
                    break
                taken.append(name)
            assert answer.code == 503, answer
            assert answer.headers["retry-after"] == "1"
            assert said(answer).code == 14 and "limit" in said(answer).message
            assert wire.post("/v1/logs", logs(["x" * 20_000]).SerializeToString()).code == 503
        db.execute("ROLLBACK")
        db.close()
        body = traces(["after"]).SerializeToString()
        wait_until(lambda: post(port, "/v1/traces", body).code == 200, 40, "room again")
        wait_until(lambda: {*taken, "after"} <= set(stored_names(sidecar)), 20, "all stored")
        assert report(sidecar)["refused"]["full"] >= 2


def test_more_than_a_transaction_may_hold_is_413():
    config = CONFIG + "journal: {segment_bytes: 64KiB, limit_bytes: 1MiB}\n"
    with Sidecar("tiny", config=config) as sidecar:
        answer = post(port_of(sidecar), "/v1/traces", traces(["x"], pad=80_000).SerializeToString())
        assert answer.code == 413 and "journal.segment_bytes" in said(answer).message
        answer = post(port_of(sidecar), "/v1/metrics", metrics(["m" * 80_000]).SerializeToString())
        assert answer.code == 413


def test_sigterm_answers_what_is_in_hand():
    with Sidecar("drained", config=CONFIG) as sidecar:
        port = port_of(sidecar)
        names = fresh(40)
        answers: list[int] = []

        def send(mine: list[str]) -> None:
            with Wire(port) as wire:
                for name in mine:
                    try:
                        code = wire.post("/v1/traces", traces([name]).SerializeToString()).code
                    except (OSError, EOFError):
                        return
                    answers.append(code)
                    if code != 200:
                        return
                    taken.append(name)

        taken: list[str] = []
        senders = [threading.Thread(target=send, args=(names[i::4],)) for i in range(4)]
        for one in senders:
            one.start()
        assert sidecar.stop() == 0
        for one in senders:
            one.join(20)
        assert set(answers) <= {200, 503}
        assert set(taken) <= set(stored_names(sidecar))
        sidecar.start()
        assert post(port_of(sidecar), "/v1/traces", b"").code == 200


# -- where it listens, and says so -----------------------------------------------------------------


def test_a_defaulted_port_that_is_taken_becomes_another_one():
    """The first of two has 4318, unless somebody else on this machine does; both say what they have."""
    with Sidecar("one") as one, Sidecar("two") as two:
        ports = [port_of(one), port_of(two)]
        assert len(set(ports)) == 2
        for sidecar, port in zip((one, two), ports):
            assert post(port, "/v1/traces", b"").code == 200
            assert f"http on 127.0.0.1:{port}" in sidecar.cli("status")
            checks = json.loads(sidecar.cli("doctor", "--json", check=False))
            assert any(c["check"] == "otlp" and f":{port}" in c["detail"] for c in checks)


def test_a_configured_port_that_is_taken_is_an_error():
    port = free_port()
    config = f"otlp: {{http: {{listen: 127.0.0.1:{port}}}}}\n"
    with Sidecar("one", config=config):
        two = Sidecar("two", config=config)
        try:
            two.start(wait=False)
            assert two.process.wait(20) == 78
            assert f"otlp.http.listen: cannot listen on 127.0.0.1:{port}" in two.log()
        finally:
            two.close()


def test_off_listens_nowhere():
    with Sidecar("off", config="otlp: {http: {listen: 'off'}}\n") as sidecar:
        assert "otlp_http" not in sidecar.status()["ports"]


# -- the SDK's exporters ---------------------------------------------------------------------------


@pytest.mark.parametrize("zip_it", [False, True])
def test_the_python_sdk_delivers_all_its_spans(sidecar, port, zip_it):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    names = fresh(1000)
    exporter = OTLPSpanExporter(
        f"http://127.0.0.1:{port}/v1/traces",
        compression=Compression.Gzip if zip_it else Compression.NoCompression,
    )
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    for name in names:
        with tracer.start_as_current_span(name):
            pass
    provider.shutdown()
    is_stored(sidecar, names)


def test_the_python_sdk_delivers_logs_and_metrics(sidecar, port):
    import logging

    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    before = report(sidecar)
    base = f"http://127.0.0.1:{port}/v1"
    logger_provider = LoggerProvider()
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{base}/logs")))
    logger = logging.getLogger("otlp test")
    handler = LoggingHandler(logger_provider=logger_provider)
    logger.addHandler(handler)
    logger.warning("through the bridge")
    assert logger_provider.force_flush()
    logger.removeHandler(handler)
    logger_provider.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/metrics"), export_interval_millis=60_000)
    meters = MeterProvider([reader])
    meter = meters.get_meter("test")
    meter.create_counter("n").add(3)
    meter.create_histogram("h").record(1.5)
    assert meters.force_flush()
    meters.shutdown()
    after = report(sidecar)
    assert after["requests"] - before["requests"] >= 2
    assert after["refused"] == before["refused"]
