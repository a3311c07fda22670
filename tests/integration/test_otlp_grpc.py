# SPDX-License-Identifier: Apache-2.0
"""OTLP over gRPC into a real sidecar: the exporters of the Python SDK, grpcio for codes and trailers, and frames
of HTTP/2 one by one where what no library sends has to be survived."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import socket
import sqlite3
import struct
import threading
import time

import grpc
import hpack
import pytest
from otlp_grpc import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    LOGS,
    METRICS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    TRACES,
    WINDOW_UPDATE,
    Http2,
    block,
    call,
    channel,
    export,
    fields,
    frame,
    frames_of,
    goaway_errors,
    message,
    port_of,
    read_all,
    status_of,
    zipped,
)
from otlp_http import logs, metrics, stored_names, traces
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from waybill_testkit import Sidecar, find_program, free_port, is_sanitized, wait_until

CONFIG = "admin: {listen: 127.0.0.1:0}\notlp: {http: {listen: 'off'}, grpc: {listen: 127.0.0.1:0}}\n"
SMALL = CONFIG + "journal: {segment_bytes: 256KiB, limit_bytes: 2MiB}\n"
MIB = 1024 * 1024
Code = grpc.StatusCode
ENHANCE_YOUR_CALM, PROTOCOL_ERROR = 11, 1


@pytest.fixture(scope="module")
def sidecar():
    with Sidecar("grpc", config=CONFIG) as one:
        yield one
        assert "sandbox.refused" not in one.log()


@pytest.fixture(scope="module")
def port(sidecar):
    return port_of(sidecar)


_names = iter(range(10**9))


def fresh(n: int = 1) -> list[str]:
    return [f"span {next(_names)}" for _ in range(n)]


def body_of(names: list[str], pad: int = 0) -> bytes:
    return traces(names, pad=pad).SerializeToString()


def is_stored(sidecar: Sidecar, names: list[str]) -> None:
    """Each of them once, soon."""
    wait_until(lambda: set(names) <= set(stored_names(sidecar)), 20, f"{len(names)} spans stored")
    stored = stored_names(sidecar)
    assert [stored.count(name) for name in names] == [1] * len(names)


def report(sidecar: Sidecar) -> dict:
    found = json.loads(sidecar.cli("status", "--json", check=False))["report"]["otlp"]
    return next(one for one in found if one["receiver"] == "grpc")


def still_serves(sidecar: Sidecar, port: int) -> None:
    names = fresh()
    assert export(port, TRACES, body_of(names)).code == Code.OK
    is_stored(sidecar, names)


# -- what is taken ---------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_each_signal_is_taken_and_answered_with_an_empty_message(sidecar, port, compression):
    before = report(sidecar)
    names = fresh(50)
    bodies = {
        TRACES: body_of(names),
        LOGS: logs(["a", "b"]).SerializeToString(),
        METRICS: metrics(["m"]).SerializeToString(),
    }
    with channel(port) as where:
        for path, body in bodies.items():
            answer = call(where, path, body, compression=compression)
            assert (answer.code, answer.reply) == (Code.OK, b""), answer
    is_stored(sidecar, names)
    after = report(sidecar)
    assert after["requests"] - before["requests"] == 3 and after["bytes"] > before["bytes"]
    assert after["connections"] - before["connections"] == 1


@pytest.mark.parametrize("path", [TRACES, LOGS, METRICS])
def test_the_empty_request_is_a_success(port, path):
    answer = export(port, path, b"")
    assert (answer.code, answer.reply) == (Code.OK, b"")


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_a_large_request_is_taken(sidecar, port, compression):
    names = fresh()
    body = body_of(names, pad=8 * MIB - 4096)
    assert export(port, TRACES, body, compression=compression).code == Code.OK
    is_stored(sidecar, names)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_python_sdk_delivers_all_its_spans(sidecar, port, compression):
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    names = fresh(1000)
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True, compression=compression)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    for name in names:
        with tracer.start_as_current_span(name):
            pass
    provider.shutdown()
    is_stored(sidecar, names)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_python_sdk_delivers_logs_and_metrics(sidecar, port, compression):
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    before = report(sidecar)
    where = {"endpoint": f"http://127.0.0.1:{port}", "insecure": True, "compression": compression}
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**where)))
    loggers.get_logger("test").emit(body="a log", severity_text="INFO")
    assert loggers.force_flush()
    loggers.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(**where), export_interval_millis=60_000)
    meters = MeterProvider([reader])
    meters.get_meter("test").create_counter("n").add(3)
    assert meters.force_flush()
    meters.shutdown()
    after = report(sidecar)
    assert after["requests"] - before["requests"] >= 2
    assert after["refused"] == before["refused"]


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, body, code",
    [
        ("/", b"", Code.UNIMPLEMENTED),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Other", b"", Code.UNIMPLEMENTED),
        ("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", b"", Code.UNIMPLEMENTED),
        (TRACES, b"\xff\xff\xff", Code.INVALID_ARGUMENT),
        (LOGS, b"\x0a\x05", Code.INVALID_ARGUMENT),
        (METRICS, b"\x0a\x05", Code.INVALID_ARGUMENT),
        (TRACES, b"x" * (8 * MIB + 1), Code.RESOURCE_EXHAUSTED),
    ],
)
def test_what_is_never_to_be_sent_again_comes_without_retry_info(sidecar, port, path, body, code):
    with channel(port) as where:
        answer = call(where, path, body)
        assert answer.code == code and answer.details
        assert answer.retry_infos == []
        assert call(where, TRACES, b"").code == Code.OK  # the connection goes on


def test_what_cannot_fit_is_never_to_be_sent_again(port):
    """A compressed message and what comes of it have to fit into the room together."""
    with Http2(port) as client:
        refused = client.post(zipped(os.urandom(5 * MIB)), fields(grpc_encoding="gzip"))
        assert refused.grpc == Code.RESOURCE_EXHAUSTED.value[0]
        assert "google.rpc.retryinfo-bin" not in refused.headers


def test_one_bad_span_is_refused_and_the_others_are_stored(sidecar, port):
    names = fresh(3)
    body = body_of([*names, "????????"]).replace(b"????????", b"bad \xff\xfe!!")
    answer = export(port, TRACES, body)
    assert answer.code == Code.OK
    partial = ExportTraceServiceResponse.FromString(answer.reply).partial_success
    assert partial.rejected_spans == 1 and "UTF-8" in partial.error_message
    is_stored(sidecar, names)


def test_a_bomb_costs_no_memory(sidecar, port):
    bomb = gzip.compress(b"\0" * (200 * MIB), 9)
    with Http2(port) as client:
        refused = client.post(message(bomb, 1), fields(grpc_encoding="gzip"))
        assert refused.grpc == Code.RESOURCE_EXHAUSTED.value[0]
        assert "google.rpc.retryinfo-bin" not in refused.headers
        assert client.post(message(b"")).grpc == 0
    if not is_sanitized(find_program("waybilld")):
        assert peak_memory(sidecar) < 100 * MIB


def peak_memory(sidecar: Sidecar) -> int:
    with open(f"/proc/{sidecar.pid}/status", encoding="ascii") as text:
        return int(re.search(r"VmHWM:\s+(\d+) kB", text.read())[1]) * 1024


@pytest.mark.parametrize(
    "header_fields, http, code",
    [
        (fields(content_type="text/plain"), "415", None),
        (fields(content_type=None), "415", None),
        (fields(content_type="application/grpc-web"), "415", None),
        (fields(content_type="application/grpc+json"), "415", None),
        (fields(_method="GET"), "405", None),
        (fields(grpc_encoding="deflate"), "200", Code.UNIMPLEMENTED),
        (fields(grpc_timeout="forever"), "200", Code.INTERNAL),
        (fields("/x/Y"), "200", Code.UNIMPLEMENTED),
        (fields(x_long="y" * 20_000), "200", Code.RESOURCE_EXHAUSTED),
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_refusals_of_heads_come_at_once(port, header_fields, http, code, ends):
    """Also while the body is still to come: then with RST_STREAM(NO_ERROR), and the connection goes on."""
    with Http2(port) as client:
        stream = client.open(header_fields, end=ends)
        answer = client.wait(stream)
        assert answer.headers[":status"] == http
        assert answer.grpc == (code.value[0] if code else None)
        if http == "200":
            assert answer.headers["content-type"] == "application/grpc"
            assert answer.headers["grpc-accept-encoding"] == "identity,gzip"
        if not ends:
            client.drain_reads(0.2)
            assert answer.reset == 0
        assert client.post(message(b"")).grpc == 0


@pytest.mark.parametrize(
    "body, header_fields, code",
    [
        (b"", fields(), Code.INTERNAL),
        (b"\0\0\0", fields(), Code.INTERNAL),
        (message(b"abc", length=4), fields(), Code.INTERNAL),
        (message(b"abc", length=2), fields(), Code.INTERNAL),
        (message(b"") + message(b""), fields(), Code.INTERNAL),
        (message(b"", 2), fields(), Code.INTERNAL),
        (zipped(b""), fields(), Code.INTERNAL),
        (zipped(b""), fields(grpc_encoding="identity"), Code.INTERNAL),
        (zipped(b"")[:-9] , fields(grpc_encoding="gzip"), Code.INTERNAL),
        (message(b"no gzip", 1), fields(grpc_encoding="gzip"), Code.INTERNAL),
        (message(b"", 1), fields(grpc_encoding="gzip"), Code.INTERNAL),
        (message(b"", length=2**32 - 1), fields(), Code.RESOURCE_EXHAUSTED),
        (zipped(b""), fields(grpc_encoding="gzip"), Code.OK),
        (message(b""), fields(grpc_encoding="gzip"), Code.OK),  # it may leave a message as it is
    ],
)
def test_bodies_that_are_no_message_are_refused(port, body, header_fields, code):
    with Http2(port) as client:
        answer = client.post(body, header_fields)
        assert answer.grpc == code.value[0], answer
        assert client.post(message(b"")).grpc == 0


# -- framing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("pad", [None, 0, 200])
def test_messages_do_not_care_how_they_are_framed(sidecar, port, size, pad):
    names = fresh(3 if size == 1 else 40)
    with Http2(port) as client:
        assert client.post(message(body_of(names)), size=size, pad=pad).grpc == 0
    is_stored(sidecar, names)


def test_an_end_may_come_alone_or_with_trailers(sidecar, port):
    names = fresh(2)
    with Http2(port) as client:
        stream = client.open(fields())
        client.data(stream, message(body_of(names[:1])))
        client.h2.end_stream(stream)  # an empty DATA frame
        client.flush()
        assert client.wait(stream).grpc == 0
        stream = client.open(fields())
        client.data(stream, message(body_of(names[1:])))
        client.h2.send_headers(stream, [("x-trailer", "1")], end_stream=True)
        client.flush()
        assert client.wait(stream).grpc == 0
    is_stored(sidecar, names)


def test_requests_of_one_connection_may_be_interleaved(sidecar, port):
    names = fresh(50)
    with Http2(port) as client:
        rest = {client.open(fields()): message(body_of([name], pad=500)) for name in names}
        streams = list(rest)
        shuffle = random.Random(9113)
        while rest:
            stream = shuffle.choice(list(rest))
            piece, rest[stream] = rest[stream][:97], rest[stream][97:]
            client.data(stream, piece, end=not rest[stream])
            if not rest[stream]:
                del rest[stream]
        assert [client.wait(stream).grpc for stream in streams] == [0] * len(streams)
    is_stored(sidecar, names)


def test_a_deadline_while_the_body_arrives_is_kept(port):
    with Http2(port) as client:
        stream = client.open(fields(grpc_timeout="50m"))
        answer = client.wait(stream)
        assert answer.grpc == Code.DEADLINE_EXCEEDED.value[0]
        assert client.post(message(b"")).grpc == 0


def test_header_fields_may_be_continued(port):
    with Http2(port) as client:
        encoded = block(fields())
        parts = [encoded[at : at + 20] for at in range(0, len(encoded), 20)]
        data = frame(HEADERS, 0, 1, parts[0])
        for number, part in enumerate(parts[1:], 2):
            data += frame(CONTINUATION, END_HEADERS if number == len(parts) else 0, 1, part)
        client.raw(data + frame(DATA, END_STREAM, 1, message(b"")))
        client.socket.shutdown(socket.SHUT_WR)
        kinds = [(kind, stream) for kind, _f, stream, _p in frames_of(read_all(client.socket))]
    # at the end of what the client sends the sidecar closes; it may have answered before
    assert (GOAWAY, 0) not in kinds


# -- durable ---------------------------------------------------------------------------------------


def lock_store(path):
    """Hold the store's write lock, as another process that hangs would."""
    db = sqlite3.connect(path, isolation_level=None, timeout=20)
    db.execute("BEGIN IMMEDIATE")
    return db


def unlock(db) -> None:
    db.execute("ROLLBACK")
    db.close()


def with_store(sidecar: Sidecar) -> None:
    assert export(port_of(sidecar), TRACES, body_of(["first"])).code == Code.OK
    wait_until(lambda: stored_names(sidecar) == ["first"], 20, "a store")


def test_what_was_acknowledged_survives_kill_9():
    with Sidecar("killed", config=CONFIG) as sidecar:
        with_store(sidecar)
        port = port_of(sidecar)
        db = lock_store(sidecar.store)  # nothing is delivered from here on
        taken: list[str] = []

        def send(mine: list[str]) -> None:
            with channel(port) as where:
                for name in mine:
                    if call(where, TRACES, body_of([name])).code != Code.OK:
                        return
                    taken.append(name)

        senders = [threading.Thread(target=send, args=(fresh(5000),)) for _ in range(4)]
        for one in senders:
            one.start()
        wait_until(lambda: len(taken) > 200, 30, "200 acknowledged")
        sidecar.kill9()
        for one in senders:
            one.join(30)
        unlock(db)
        sidecar.start()
        wait_until(lambda: set(taken) <= set(stored_names(sidecar)), 60, "all of them stored")
        stored = stored_names(sidecar)
        assert len(stored) == len(set(stored))


def fill(where: grpc.Channel, taken: list[str]):
    for _ in range(400):
        (name,) = fresh()
        answer = call(where, TRACES, body_of([name], pad=20_000))
        if answer.code != Code.OK:
            return answer
        taken.append(name)
    raise AssertionError("never full")


def test_a_full_journal_says_when_to_come_back_and_the_sdk_does():
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    with Sidecar("full", config=SMALL) as sidecar:
        with_store(sidecar)
        port = port_of(sidecar)
        db = lock_store(sidecar.store)
        taken = ["first"]
        with channel(port) as where:
            answer = fill(where, taken)
            assert answer.code == Code.RESOURCE_EXHAUSTED, answer
            assert "limit" in answer.details
            assert answer.retry_infos == [1, 1]
            assert call(where, LOGS, logs(["x" * 20_000]).SerializeToString()).retry_infos == [1, 1]
        with Http2(port) as client:  # the same on the wire: unpadded, Trailers-Only
            refused = client.post(message(body_of(["x"], pad=20_000)))
            assert refused.trailers == {} and refused.body == b""
            assert status_of(refused.headers).code == 8
            assert "=" not in refused.headers["grpc-status-details-bin"]
        provider = TracerProvider()
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True, timeout=60)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span("patient") as span:
            span.set_attribute("pad", "x" * 20_000)
        done = threading.Thread(target=provider.shutdown)
        refusals = report(sidecar)["refused"]["full"]
        done.start()
        wait_until(lambda: report(sidecar)["refused"]["full"] > refusals, 20, "the SDK is refused")
        unlock(db)
        done.join(60)
        wait_until(lambda: {*taken, "patient"} <= set(stored_names(sidecar)), 40, "all stored")


def test_more_than_a_transaction_may_hold_is_never_to_be_sent_again():
    config = CONFIG + "journal: {segment_bytes: 64KiB, limit_bytes: 1MiB}\n"
    with Sidecar("tiny", config=config) as sidecar:
        answer = export(port_of(sidecar), TRACES, body_of(["x"], pad=80_000))
        assert answer.code == Code.RESOURCE_EXHAUSTED and "journal.segment_bytes" in answer.details
        assert answer.retry_infos == []


# -- the end ---------------------------------------------------------------------------------------


def test_sigterm_loses_nothing_that_was_acknowledged():
    with Sidecar("drained", config=CONFIG) as sidecar:
        port = port_of(sidecar)
        taken: list[str] = []
        codes: list[Code] = []

        def send(mine: list[str]) -> None:
            with channel(port) as where:
                for name in mine:
                    answer = call(where, TRACES, body_of([name]), timeout=5)
                    codes.append(answer.code)
                    if answer.code != Code.OK:
                        return
                    taken.append(name)

        senders = [threading.Thread(target=send, args=(fresh(100_000),)) for _ in range(4)]
        for one in senders:
            one.start()
        wait_until(lambda: len(taken) > 100, 30, "100 acknowledged")
        assert sidecar.stop() == 0
        for one in senders:
            one.join(20)
        assert set(codes) <= {Code.OK, Code.UNAVAILABLE}, set(codes)  # after the end: nobody is there
        assert set(taken) <= set(stored_names(sidecar))


def test_a_drain_takes_what_is_under_way_and_says_which_request_was_the_last():
    """Bodies that are half here at SIGTERM, and a request that was sent before its client could know."""
    with Sidecar("drained", config=CONFIG) as sidecar:
        names = fresh(4)
        bodies = [message(body_of([name])) for name in names]
        with Http2(port_of(sidecar)) as client:
            decoder = hpack.Decoder()
            client.drain_reads(0.3)  # both SETTINGS are through
            encode = hpack.Encoder().encode
            for number, body in enumerate(bodies[:3]):
                client.raw(frame(HEADERS, END_HEADERS, 2 * number + 1, encode(fields())))
                client.raw(frame(DATA, 0, 2 * number + 1, body[:9]))
            ending = threading.Thread(target=sidecar.stop)
            ending.start()
            seen = b""
            while not any(kind == GOAWAY for kind, *_ in frames_of(seen)):
                seen += client.socket.recv(65536)
            (_kind, _flags, _stream, payload) = next(f for f in frames_of(seen) if f[0] == GOAWAY)
            assert payload[:8] == struct.pack(">II", 2**31 - 1, 0)
            client.raw(frame(HEADERS, END_HEADERS, 7, encode(fields())))  # it crosses with the GOAWAY
            client.raw(frame(DATA, 0, 7, bodies[3][:9]))
            while not any(kind == PING and not flags & ACK for kind, flags, *_ in frames_of(seen)):
                seen += client.socket.recv(65536)
            ping = next(p for kind, flags, _s, p in frames_of(seen) if kind == PING and not flags & ACK)
            client.raw(frame(PING, ACK, 0, ping))
            while sum(kind == GOAWAY for kind, *_ in frames_of(seen)) < 2:
                seen += client.socket.recv(65536)
            for number, body in enumerate(bodies):
                client.raw(frame(DATA, END_STREAM, 2 * number + 1, body[9:]))
            seen += read_all(client.socket)
        ending.join(20)
        goaways = [payload[:8] for kind, _f, _s, payload in frames_of(seen) if kind == GOAWAY]
        assert goaways == [struct.pack(">II", 2**31 - 1, 0), struct.pack(">II", 7, 0)]
        told = {}
        for kind, _flags, stream, payload in frames_of(seen):
            if kind == HEADERS:
                told.setdefault(stream, {}).update(decoder.decode(payload))
        assert {stream: said["grpc-status"] for stream, said in told.items()} == {1: "0", 3: "0", 5: "0", 7: "0"}
        assert set(names) <= set(stored_names(sidecar))


def test_the_sdk_loses_nothing_over_restarts():
    """It is told by GOAWAY, finds nobody for a while, and sends again what was not acknowledged."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    port = free_port()
    config = CONFIG.replace("grpc: {listen: 127.0.0.1:0}", f"grpc: {{listen: 127.0.0.1:{port}}}")
    with Sidecar("again", config=config) as sidecar:
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True, timeout=60)
        provider = TracerProvider()
        provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=20, max_export_batch_size=50, max_queue_size=10_000)
        )
        tracer = provider.get_tracer("test")
        names = fresh(3000)
        for number, name in enumerate(names):
            if number % 1000 == 500:
                sidecar.restart()
            with tracer.start_as_current_span(name):
                pass
            if number % 50 == 0:
                time.sleep(0.02)
        provider.shutdown()
        wait_until(lambda: set(names) <= set(stored_names(sidecar)), 40, "all stored")
        stored = stored_names(sidecar)
        assert len(stored) == len(set(stored))


def test_a_client_that_never_answers_does_not_hold_up_the_end():
    with Sidecar("impatient", config=CONFIG + "drain_timeout_ms: 3000\n") as sidecar:
        with Http2(port_of(sidecar)) as client, socket.create_connection(("127.0.0.1", port_of(sidecar))):
            client.open(fields())  # and nothing more
            greeting = client.socket.recv(65536)  # it is let in: who is still at the door is told nothing
            assert sidecar.stop() == 0
            assert len(goaway_errors(greeting + read_all(client.socket))) == 2


# -- abuse -----------------------------------------------------------------------------------------


def flood(port: int, pieces, reads: bool = True) -> bytes:
    """Send piece after piece until the sidecar has had enough; what it said."""
    said = bytearray()
    with Http2(port) as client:
        client.drain_reads(0.1)

        def listen() -> None:
            said.extend(read_all(client.socket))

        reader = threading.Thread(target=listen)
        if reads:
            reader.start()
        for piece in pieces:
            client.raw(piece)
            if client.lost:
                break
        if not reads:
            reader.start()
        reader.join(20)
        assert not reader.is_alive(), "never closed"
    return bytes(said)


def opened(encode, stream: int) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, encode(fields()))


def rapid_reset():
    encode = hpack.Encoder().encode
    for number in range(50_000):
        yield opened(encode, 2 * number + 1) + frame(RST_STREAM, 0, 2 * number + 1, struct.pack(">I", 8))


def reset_by_us():
    """Streams that the server has to reset, for windows that grow too large (CVE-2025-8671)."""
    encode = hpack.Encoder().encode
    for number in range(50_000):
        stream = 2 * number + 1
        yield opened(encode, stream) + frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff") * 2


def empty_data():
    yield opened(hpack.Encoder().encode, 1)
    for _ in range(50_000):
        yield frame(DATA, 0, 1) * 10


FLOODS = {
    "pings": lambda: (frame(PING, 0, 0, b"12345678") * 20 for _ in range(50_000)),
    "settings": lambda: (frame(SETTINGS, 0, 0) * 20 for _ in range(50_000)),
    "priorities": lambda: (frame(PRIORITY, 0, 1, b"\0\0\0\0\1") * 20 for _ in range(50_000)),
    "windows": lambda: (frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 20 for _ in range(50_000)),
    "unknown": lambda: (frame(77, 0, 0, b"x") * 20 for _ in range(50_000)),
    "empty data": empty_data,
    "rapid reset": rapid_reset,
    "reset by us": reset_by_us,
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_are_ended(sidecar, port, name):
    before = report(sidecar)["closed_out"]
    said = flood(port, FLOODS[name]())
    errors = goaway_errors(said)
    assert errors and errors != [0]
    if "reset" not in name:  # of those it depends on which of several limits is reached first
        assert errors == [ENHANCE_YOUR_CALM]
    still_serves(sidecar, port)
    wait_until(lambda: report(sidecar)["closed_out"] > before, 5, "counted")


@pytest.mark.parametrize("name", ["pings", "settings"])
def test_acknowledgements_that_nobody_reads_do_not_pile_up(sidecar, port, name):
    flood(port, FLOODS[name](), reads=False)
    still_serves(sidecar, port)


def endless_continuation():
    encoded = block(fields())
    yield frame(HEADERS, 0, 1, encoded)
    for _ in range(50_000):
        yield frame(CONTINUATION, 0, 1, b"")


def header_bomb():
    """One large field in the table, then a block that names it thousands of times."""
    encode = hpack.Encoder()
    first = encode.encode([*fields(), ("x-bomb", "b" * 3900)])
    yield frame(HEADERS, END_HEADERS | END_STREAM, 1, first)
    again = hpack.Encoder()
    again.encode([*fields(), ("x-bomb", "b" * 3900)])
    one = again.encode([("x-bomb", "b" * 3900)])
    yield frame(HEADERS, END_HEADERS | END_STREAM, 3, block(fields()) + one * 10_000)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,  # a TLS hello
        PREFACE[:10] + b"x" * 100,
        PREFACE + frame(DATA, 0, 1, b"x"),
        PREFACE + frame(SETTINGS, 0, 1),
        PREFACE + frame(SETTINGS, 0, 0, b"12345"),
        PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, b"\xff" * 50),
        PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 2, block(fields())),
        PREFACE + frame(SETTINGS, 0, 0) + frame(DATA, 0, 5, b"idle"),
        PREFACE + frame(SETTINGS, 0, 0) + frame(PING, 0, 0, b"short"),
        PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
        PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
        PREFACE + frame(SETTINGS, 0, 0) + b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 1000,
        PREFACE + frame(SETTINGS, 0, 0) + frame(CONTINUATION, 0, 1, b""),
        PREFACE + frame(SETTINGS, 0, 0) + b"".join(endless_continuation()),
        PREFACE + frame(SETTINGS, 0, 0) + b"".join(header_bomb()),
        bytes(range(256)) * 40,
    ],
    ids=range(17),
)
def test_what_is_no_http2_does_no_harm(sidecar, port, raw):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            client.sendall(raw)
            client.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        read_all(client)  # it closes
    assert sidecar.running
    still_serves(sidecar, port)


def test_random_bytes_in_the_place_of_frames_do_no_harm(sidecar, port):
    seed = random.Random(7540)
    good = (
        PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block(fields(grpc_encoding="gzip")))
        + frame(DATA, END_STREAM, 1, zipped(body_of(["fuzz"]))) + frame(PING, 0, 0, b"12345678")
    )  # fmt: skip
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(seed.randrange(1, 6)):
            bad[seed.randrange(len(PREFACE), len(bad))] = seed.randrange(256)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            try:
                client.sendall(bad[: seed.randrange(len(PREFACE), len(bad) + 1)])
                client.shutdown(socket.SHUT_WR)
            except ConnectionError:
                pass
            read_all(client)
    still_serves(sidecar, port)


def test_whoever_leaves_amid_a_request_leaves_nothing_behind(sidecar, port):
    body = message(body_of(["gone"], pad=3 * MIB))
    for cut in (1, 5, 200, MIB, len(body) - 1):
        for leave in ("close", "reset", "half"):
            with Http2(port) as client:
                stream = client.open(fields())
                client.data(stream, body[:cut])
                if leave == "reset":
                    client.h2.reset_stream(stream)
                    client.flush()
                    assert client.post(message(b"")).grpc == 0
                if leave == "half":
                    client.socket.shutdown(socket.SHUT_WR)
                    read_all(client.socket)
    names = fresh()
    almost = body_of(names, pad=8 * MIB - 4096)  # needs nearly all the room there is
    wait_until(lambda: export(port, TRACES, almost).code == Code.OK, 20, "room")
    wait_until(lambda: names[0] in stored_names(sidecar), 20, "stored")
    assert "gone" not in stored_names(sidecar)


def test_announcements_hold_no_room(sidecar, port):
    """A hundred clients that announce eight megabytes each and send little of them keep nobody out."""
    clients = [Http2(port) for _ in range(30)]
    try:
        for client in clients:
            client.data(client.open(fields()), message(b"\0" * 100, length=8 * MIB - 1))
        names = fresh()
        assert export(port, TRACES, body_of(names, pad=3 * MIB)).code == Code.OK
        is_stored(sidecar, names)
    finally:
        for client in clients:
            client.socket.close()


def test_bodies_that_come_slowly_hold_no_more_than_there_is_room(sidecar, port):
    """Three that together exceed the room: at least one is told to come back, and with those gone all can."""
    body = message(body_of(["slow"], pad=7 * MIB))
    clients = [Http2(port) for _ in range(3)]
    answers = []
    try:
        streams = [client.open(fields()) for client in clients]
        for client, stream in zip(clients, streams):
            client.data(stream, body[: 6 * MIB])
        for client, stream in zip(clients, streams):
            if not client.streams[stream].ended:
                client.data(stream, body[6 * MIB :], end=True)
            answers.append(client.wait(stream))
    finally:
        for client in clients:
            client.socket.close()
    codes = [answer.grpc for answer in answers]
    assert 14 in codes and set(codes) <= {0, 14}, codes
    for answer in answers:
        assert (answer.grpc == 14) == ("google.rpc.retryinfo-bin" in answer.headers)
    assert export(port, TRACES, body[5:]).code == Code.OK


def test_a_thousand_idle_connections_keep_nobody_out(sidecar, port):
    idle = [Http2(port) for _ in range(1000)]
    try:
        still_serves(sidecar, port)
        assert len(os.listdir(f"/proc/{sidecar.pid}/fd")) < 600
    finally:
        for client in idle:
            client.socket.close()
    still_serves(sidecar, port)


def test_a_client_that_takes_no_answers_is_let_go(sidecar, port):
    """Its window is shut, so the answers' messages stay here: only so many requests of its are taken."""
    with Http2(port) as client:
        client.drain_reads(0.2)
        client.h2.update_settings({4: 0})  # SETTINGS_INITIAL_WINDOW_SIZE
        client.flush()
        client.drain_reads(0.2)
        for _ in range(100):
            client.data(client.open(fields()), message(b""), end=True)
        client.drain_reads(0.5)
        assert not any(stream.ended for stream in client.streams.values())
        still_serves(sidecar, port)
        end = time.monotonic() + 30  # otlp.c: 10 s
        while any(stream.reset is None for stream in client.streams.values()) and time.monotonic() < end:
            client.drain_reads(0.5)
        assert {stream.reset for stream in client.streams.values()} == {8}


# -- where it listens ------------------------------------------------------------------------------


def test_a_defaulted_port_that_is_taken_becomes_another_one():
    with Sidecar("one") as one, Sidecar("two") as two:
        ports = [port_of(one), port_of(two)]
        assert len(set(ports)) == 2
        for sidecar, port in zip((one, two), ports):
            assert export(port, TRACES, b"").code == Code.OK
            assert f"grpc on 127.0.0.1:{port}" in sidecar.cli("status")


def test_a_configured_port_that_is_taken_is_an_error():
    port = free_port()
    config = f"otlp: {{grpc: {{listen: 127.0.0.1:{port}}}}}\n"
    with Sidecar("one", config=config):
        two = Sidecar("two", config=config)
        try:
            two.start(wait=False)
            assert two.process.wait(20) == 78
            assert f"otlp.grpc.listen: cannot listen on 127.0.0.1:{port}" in two.log()
        finally:
            two.close()


def test_off_listens_nowhere():
    with Sidecar("off", config="otlp: {grpc: {listen: 'off'}}\n") as sidecar:
        assert "otlp_grpc" not in sidecar.status()["ports"]
