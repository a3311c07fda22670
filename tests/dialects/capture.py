# SPDX-License-Identifier: Apache-2.0
"""Stands between an instrumentation and a sidecar: keeps each export as it came, and hands it on.

A path that ends in /v1/traces, /v1/logs or /v1/metrics is an export, whatever stands before it (Langfuse's
client puts its own path there). Its headers and bytes reach the sidecar unchanged, and the sidecar's answer
goes back. Anything else is answered like the vendor's service would, where REPLIES has it; it is no telemetry.

`Capture.raw` is all that was exported, decompressed, and nothing else: what a canonical cell may be missing
for is looked up in it. `spans` and `logs` are the same, read by OpenTelemetry's own messages.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import http.client
import http.server
import json
import threading
import zlib
from typing import Any, Iterator

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

SIGNALS = ("traces", "logs", "metrics")
REPLIES: dict[str, Any] = {  # AgentOps asks for a token before it sends
    "/v3/auth/token": {"token": "e30.e30.e30", "project_id": "waybill", "project_prem_status": "pro"},
}


@dataclasses.dataclass
class Export:
    signal: str
    path: str
    content_type: str
    body: bytes  # decompressed
    status: int  # of the sidecar's answer
    answer: bytes


def opened(body: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if coding == "deflate" else body


def from_json(body: bytes, message: Any) -> Any:
    """OTLP/JSON writes ids in hexadecimal digits, where protobuf's own JSON has base64."""
    def fixed(node: Any) -> Any:
        if isinstance(node, list):
            return [fixed(each) for each in node]
        if not isinstance(node, dict):
            return node
        return {key: base64.b64encode(bytes.fromhex(value)).decode()
                if key in ("traceId", "spanId", "parentSpanId") and isinstance(value, str) else fixed(value)
                for key, value in node.items()}

    return json_format.ParseDict(fixed(json.loads(body)), message, ignore_unknown_fields=True)


def messages(exports: list[Export], signal: str, kind: Any) -> Iterator[Any]:
    for export in exports:
        if export.signal == signal:
            as_json = "json" in export.content_type
            yield from_json(export.body, kind()) if as_json else kind.FromString(export.body)


def spans_of(exports: list[Export]) -> list[Any]:
    return [span for message in messages(exports, "traces", ExportTraceServiceRequest)
            for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans]


def logs_of(exports: list[Export]) -> list[Any]:
    return [record for message in messages(exports, "logs", ExportLogsServiceRequest)
            for resource in message.resource_logs for scope in resource.scope_logs
            for record in scope.log_records]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def do_POST(self) -> None:
        body = self.body()
        signal = next((name for name in SIGNALS if self.path.endswith(f"/v1/{name}")), None)
        if signal is None:
            return self.other(body)
        status, answer, kind = self.handed_on(signal, body)
        self.server.exports.append(Export(signal, self.path, self.headers.get("Content-Type", ""),
                                          opened(body, self.headers.get("Content-Encoding", "")), status, answer))
        self.answer(status, answer, kind)

    def do_GET(self) -> None:
        self.other(b"")

    def handed_on(self, signal: str, body: bytes) -> tuple[int, bytes, str]:
        if not self.server.port:
            return 200, b"", "application/x-protobuf"
        kept = {name: value for name, value in self.headers.items()
                if name.lower() in ("content-type", "content-encoding", "user-agent")}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request("POST", f"/v1/{signal}", body, kept)
            found = connection.getresponse()
            return found.status, found.read(), found.getheader("Content-Type", "")
        finally:
            connection.close()

    def other(self, body: bytes) -> None:
        self.server.others.append((f"{self.command} {self.path}", body))
        found = REPLIES.get(self.path)
        self.answer(404 if found is None else 200, json.dumps(found or {}).encode(), "application/json")

    def answer(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = port
        self.exports: list[Export] = []
        self.others: list[tuple[str, bytes]] = []


class Capture:
    """`port` is the sidecar's, of OTLP over HTTP; 0: there is none, and all is taken."""

    def __init__(self, port: int = 0) -> None:
        self._server = Server(port)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def exports(self) -> list[Export]:
        return self._server.exports

    @property
    def others(self) -> list[tuple[str, bytes]]:
        """Requests that are no exports, as (method and path, body)."""
        return self._server.others

    @property
    def raw(self) -> bytes:
        return b"\0\0".join(export.body for export in self.exports if export.signal != "metrics")

    def spans(self) -> list[Any]:
        return spans_of(self.exports)

    def logs(self) -> list[Any]:
        return logs_of(self.exports)

    def __enter__(self) -> "Capture":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
