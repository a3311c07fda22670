# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP as its clients send it, byte by byte where that matters, and what a sidecar made of it."""

from __future__ import annotations

import dataclasses
import gzip
import os
import socket
import sqlite3
import time
from typing import Iterable, Mapping

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from waybill_testkit import Sidecar

PROTOBUF, JSON = "application/x-protobuf", "application/json"
RESPONSES = {
    "/v1/traces": ExportTraceServiceResponse,
    "/v1/logs": ExportLogsServiceResponse,
    "/v1/metrics": ExportMetricsServiceResponse,
}


def traces(names: Iterable[str], pad: int = 0) -> ExportTraceServiceRequest:
    """One span for each name, all of one trace."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "planner"
    scope = resource.scope_spans.add()
    scope.scope.name = "test"
    trace_id, now = os.urandom(16), time.time_ns()
    for name in names:
        span = scope.spans.add(
            trace_id=trace_id,
            span_id=os.urandom(8),
            name=name,
            kind=1,
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1000,
        )
        if pad:
            span.attributes.add(key="pad").value.string_value = "x" * pad
    return request


def logs(bodies: Iterable[str]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "planner"
    scope = resource.scope_logs.add()
    for body in bodies:
        record = scope.log_records.add(time_unix_nano=time.time_ns(), severity_number=9)
        record.body.string_value = body
    return request


def metrics(names: Iterable[str]) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for name in names:
        point = scope.metrics.add(name=name).gauge.data_points.add(time_unix_nano=time.time_ns())
        point.as_int = 7
    return request


@dataclasses.dataclass
class Answer:
    code: int
    headers: dict[str, str]  # lower-case names
    body: bytes


class Wire:
    """One TCP connection to the receiver."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = 20.0) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self._rest = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("closed")
        self._rest += data

    def head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        text, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = text.decode().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, value in pairs}

    def answer(self) -> Answer:
        """The next one. EOFError, or ConnectionError: there is none."""
        code, headers = self.head()
        length = int(headers.get("content-length", 0))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return Answer(code, headers, body)

    def closed(self) -> bool:
        """Whether the far side closes without another byte."""
        try:
            return self._rest == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def post(self, path: str, body: bytes, **more: object) -> Answer:
        self.send(request(path, body, **more))  # type: ignore[arg-type]
        return self.answer()


def request(
    path: str,
    body: bytes,
    *,
    kind: str | None = PROTOBUF,
    chunks: int = 0,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> bytes:
    """The bytes of a request; with `chunks` in so many pieces and without a Content-Length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if kind:
        lines.append(f"Content-Type: {kind}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if not chunks:
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    lines.append("Transfer-Encoding: chunked")
    size = max(1, -(-len(body) // chunks))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + chunked + b"0\r\n\r\n"


def post(port: int, path: str, body: bytes, **more: object) -> Answer:
    with Wire(port) as wire:
        return wire.post(path, body, **more)


def zipped(body: bytes) -> bytes:
    return gzip.compress(body, 1, mtime=0)


def port_of(sidecar: Sidecar) -> int:
    return int(sidecar.status()["ports"]["otlp_http"])


def stored_names(sidecar: Sidecar) -> list[str]:
    """The spans in the sidecar's store, each as often as it is there."""
    if not sidecar.store.exists():
        return []
    db = sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True, timeout=20)
    try:
        return [name for (name,) in db.execute("SELECT name FROM spans")]
    except sqlite3.OperationalError:  # it is being made
        return []
    finally:
        db.close()
