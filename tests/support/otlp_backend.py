# SPDX-License-Identifier: Apache-2.0
"""An OTLP backend for tests: it takes traces, logs and metrics over HTTP (protobuf and JSON) and gRPC,
keeps every item, and can be told to answer otherwise.

    with OtlpBackend() as backend:
        ...  # send to backend.http_url or backend.grpc_target
        backend.wait_for("traces", 3)

As a program, for tests in C: `otlp_backend.py --http 127.0.0.1:0 --grpc 127.0.0.1:0` prints one JSON line,
{"http": PORT, "grpc": PORT}, when it listens, and is asked and told by HTTP:

    GET  /_control/items    {"traces": {"total": n, "unique": n}, "logs": ..., "metrics": ..., "delegations":
                            distinct waybill.delegation.id of logs, "requests": [{"path", "protocol",
                            "headers", "items", "bytes", "taken"}], "faults": [what was no OTLP]}
    POST /_control/script   a list of answers (see Answer.from_json), each for one of the next Exports;
                            {"refuse_span_named": TEXT} and {"max_bytes": N} stay until the reset
    POST /_control/reset    forgets all of it

It shares no code with Waybill: messages come from opentelemetry-proto, HTTP from the standard library,
gRPC from grpcio. What it was told to refuse is in `requests` with `taken` False, and not among the items.
"""

from __future__ import annotations

import argparse
import base64
import collections
import concurrent.futures
import contextlib
import dataclasses
import http.server
import json
import pathlib
import signal as signals
import ssl
import threading
import time
import zlib
from typing import Any, Callable, Iterator, Mapping

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from waybill_testkit import free_port, wait_until

SIGNALS = {  # signal: request, response, its gRPC method, its field of a partial success
    "traces": (trace_service_pb2.ExportTraceServiceRequest, trace_service_pb2.ExportTraceServiceResponse,
               "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "rejected_spans"),
    "logs": (logs_service_pb2.ExportLogsServiceRequest, logs_service_pb2.ExportLogsServiceResponse,
             "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "rejected_log_records"),
    "metrics": (metrics_service_pb2.ExportMetricsServiceRequest,
                metrics_service_pb2.ExportMetricsServiceResponse,
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                "rejected_data_points"),
}
PATHS = {f"/v1/{signal}": signal for signal in SIGNALS}
METHODS = {spec[2]: signal for signal, spec in SIGNALS.items()}
POINTS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


@dataclasses.dataclass
class Answer:
    """What a request gets instead of a plain success. With an HTTP status or gRPC code that is an error, or
    a broken connection, nothing of it is taken."""

    http: int = 200
    grpc: grpc.StatusCode = grpc.StatusCode.OK
    retry_after: str | None = None    # HTTP: the header's value
    retry_info_ms: int | None = None  # gRPC: in grpc-status-details-bin
    message: str = ""
    rejected: int = 0     # partial success: so many, the rest is taken
    stall_s: float = 0.0  # before the answer
    cut: bool = False     # HTTP: close the connection without a word; gRPC: UNAVAILABLE

    @staticmethod
    def from_json(found: dict[str, Any]) -> "Answer":
        """{"status": 429, "retry_after": "2", "grpc_status": 14, "retry_info_ms": 500, "message": "...",
        "rejected": 3, "stall_s": 5, "drop": true}"""
        code = found.get("grpc_status", 0)
        return Answer(http=found.get("status", 200), retry_after=found.get("retry_after"),
                      grpc=next(each for each in grpc.StatusCode if each.value[0] == code),
                      retry_info_ms=found.get("retry_info_ms"), message=found.get("message", ""),
                      rejected=found.get("rejected", 0), stall_s=found.get("stall_s", 0.0),
                      cut=found.get("drop", False))


@dataclasses.dataclass
class Request:
    signal: str
    protocol: str  # "http/protobuf", "http/json" or "grpc"
    headers: dict[str, str]  # lower case
    size: int  # of the message, inflated
    message: Any
    at: float  # time.monotonic()
    taken: bool = True

    @property
    def path(self) -> str:
        return SIGNALS[self.signal][2] if self.protocol == "grpc" else f"/v1/{self.signal}"


@dataclasses.dataclass
class Item:
    """A span, log record or data point, and what stands above it."""

    resource: dict[str, Any]
    scope: str
    name: str  # of the span or metric; of a log record its body or event name
    attributes: dict[str, Any]
    proto: Any
    request: Request

    @property
    def trace_id(self) -> str:
        return str(self.proto.trace_id.hex())

    @property
    def span_id(self) -> str:
        return str(self.proto.span_id.hex())


def value_of(value: Any) -> Any:
    """An AnyValue as Python has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [value_of(each) for each in found.values]
    if kind == "kvlist_value":
        return attributes_of(found.values)
    return found


def attributes_of(pairs: Any) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def items_of(request: Request) -> Iterator[Item]:
    message = request.message
    if request.signal == "traces":
        for above in message.resource_spans:
            resource = attributes_of(above.resource.attributes)
            for scope in above.scope_spans:
                for span in scope.spans:
                    yield Item(resource, scope.scope.name, span.name, attributes_of(span.attributes), span,
                               request)
    elif request.signal == "logs":
        for above in message.resource_logs:
            resource = attributes_of(above.resource.attributes)
            for scope in above.scope_logs:
                for record in scope.log_records:
                    name = record.event_name or str(value_of(record.body))
                    yield Item(resource, scope.scope.name, name, attributes_of(record.attributes), record,
                               request)
    else:
        for above in message.resource_metrics:
            resource = attributes_of(above.resource.attributes)
            for scope in above.scope_metrics:
                for metric in scope.metrics:
                    for kind in POINTS:
                        for point in getattr(metric, kind).data_points:
                            yield Item(resource, scope.scope.name, metric.name,
                                       attributes_of(point.attributes), point, request)


def from_json(text: bytes, message: Any) -> None:
    """OTLP's JSON differs from protobuf's in its ids: hex, not base64."""

    def ids(found: Any) -> Any:
        if isinstance(found, dict):
            return {key: base64.b64encode(bytes.fromhex(value)).decode()
                    if key in ("traceId", "spanId", "parentSpanId") and isinstance(value, str)
                    else ids(value) for key, value in found.items()}
        return [ids(value) for value in found] if isinstance(found, list) else found

    json_format.ParseDict(ids(json.loads(text)), message, ignore_unknown_fields=True)


@dataclasses.dataclass
class ServerTls:
    """PEM files. With `client_ca` only clients with a certificate of that authority are served."""

    cert: pathlib.Path
    key: pathlib.Path
    client_ca: pathlib.Path | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_ca)
        return context

    def credentials(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key.read_bytes(), self.cert.read_bytes())],
                                           self.client_ca.read_bytes() if self.client_ca else None,
                                           self.client_ca is not None)


class OtlpBackend:
    """Both servers on ports of their own. They can be told to be away (`stop`) and to come back.

    answer      of a request to what it gets, or None: success. Runs on the server's threads
    tls         of both servers; None: neither has it
    delay_s     before each answer
    """

    def __init__(self, *, answer: Callable[[Request], Answer | None] | None = None,
                 tls: ServerTls | None = None, delay_s: float = 0.0, http_port: int = 0,
                 grpc_port: int = 0) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.requests: list[Request] = []
        self.items: dict[str, list[Item]] = {signal: [] for signal in SIGNALS}
        self.faults: list[str] = []  # what a client sent that is not OTLP
        self.http_port, self.grpc_port = http_port or free_port(), grpc_port or free_port()
        self.refused_span = ""  # while set: 400 or INVALID_ARGUMENT for a request with a span of that name
        self.max_bytes = 0      # while set: 413 or RESOURCE_EXHAUSTED for a larger message
        self._tls = tls
        self._lock = threading.Lock()
        self._script: collections.deque[Answer] = collections.deque()
        self._http: http.server.ThreadingHTTPServer | None = None
        self._grpc: grpc.Server | None = None

    @property
    def http_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.grpc_target}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    # -- its life --------------------------------------------------------------------------------

    def start(self) -> "OtlpBackend":
        self._http = _HttpServer(("127.0.0.1", self.http_port), _handler_of(self))
        if self._tls:
            self._http.socket = self._tls.context().wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self._grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(8),
                                 options=[("grpc.max_receive_message_length", 64 << 20),
                                          ("grpc.so_reuseport", 0)])
        self._grpc.add_generic_rpc_handlers((_GrpcHandler(self),))
        port = (self._grpc.add_secure_port(self.grpc_target, self._tls.credentials()) if self._tls
                else self._grpc.add_insecure_port(self.grpc_target))
        if port != self.grpc_port:
            raise RuntimeError(f"port {self.grpc_port} is taken")
        self._grpc.start()
        return self

    def stop(self) -> None:
        if self._http:
            self._http.shutdown()
            self._http.server_close()
            self._http.end_connections()
        if self._grpc:
            self._grpc.stop(0).wait(5)
        self._http = self._grpc = None

    def __enter__(self) -> "OtlpBackend":
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # -- what it got -----------------------------------------------------------------------------

    def script(self, *answers: Answer) -> None:
        """The next requests get these, one each; then `answer` counts again."""
        with self._lock:
            self._script.extend(answers)

    def wait_for(self, signal: str, count: int, timeout_s: float = 20.0) -> list[Item]:
        """The items of a signal, once there are that many."""
        try:
            wait_until(lambda: len(self.items[signal]) >= count, timeout_s, f"{count} {signal}")
        except TimeoutError as late:
            raise TimeoutError(f"{late}: {len(self.items[signal])} came") from None
        return list(self.items[signal])

    def clear(self) -> None:
        """Forget what came and what was to be answered."""
        self.refused_span, self.max_bytes = "", 0
        with self._lock:
            self._script.clear()
            self.requests.clear()
            self.faults.clear()
            for items in self.items.values():
                items.clear()

    # -- for the servers -------------------------------------------------------------------------

    def take(self, request: Request) -> Answer:
        with self._lock:
            scripted = self._script.popleft() if self._script else None
        answer = (scripted or self._standing(request) or (self.answer(request) if self.answer else None)
                  or Answer())
        time.sleep(self.delay_s + answer.stall_s)
        grpc_ok = request.protocol != "grpc" or answer.grpc == grpc.StatusCode.OK
        request.taken = answer.http == 200 and grpc_ok and not answer.cut
        found = list(items_of(request))[answer.rejected:] if request.taken else []
        with self._lock:
            self.requests.append(request)
            self.items[request.signal].extend(found)
        return answer

    def _standing(self, request: Request) -> Answer | None:
        if self.max_bytes and request.size > self.max_bytes:
            return Answer(http=413, grpc=grpc.StatusCode.RESOURCE_EXHAUSTED, message="too large")
        if self.refused_span and any(item.name == self.refused_span for item in items_of(request)):
            return Answer(http=400, grpc=grpc.StatusCode.INVALID_ARGUMENT, message="a bad span")
        return None

    def fault(self, text: str) -> None:
        with self._lock:
            self.faults.append(text)


def response_of(signal: str, answer: Answer) -> Any:
    _, response, _, field = SIGNALS[signal]
    message = response()
    if answer.rejected:
        setattr(message.partial_success, field, answer.rejected)
    if answer.rejected or (answer.message and answer.http == 200):
        message.partial_success.error_message = answer.message
    return message


# ---- HTTP ----------------------------------------------------------------------------------------


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *args: Any) -> None:
        self._open: set[Any] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """A server that is away has no connections either."""
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away


def _handler_of(backend: OtlpBackend) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_args: Any) -> None:
            pass

        def body(self) -> bytes:
            raw = b""
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    raw += self.rfile.read(size)
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass  # trailers
            else:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                raw = zlib.decompress(raw, 31)
            return raw

        def do_GET(self) -> None:
            if self.path != "/_control/items":
                return self.say(404, b"", {})
            self.say(200, json.dumps(report_of(backend)).encode(), {"Content-Type": "application/json"})

        def do_POST(self) -> None:
            raw = self.body()
            if self.path.startswith("/_control/"):
                return self.say(200 if control(backend, self.path, raw) else 404, b"", {})
            signal = PATHS.get(self.path.partition("?")[0])
            is_json = self.headers.get("Content-Type", "").startswith("application/json")
            if signal is None:
                backend.fault(f"POST {self.path}")
                return self.say(404, b"", {})
            message = SIGNALS[signal][0]()
            try:
                if is_json:
                    from_json(raw, message)
                else:
                    message.ParseFromString(raw)
            except Exception as why:
                backend.fault(f"{self.path}: {why}")
                return self.say(400, b"", {})
            headers = {name.lower(): value for name, value in self.headers.items()}
            protocol = "http/json" if is_json else "http/protobuf"
            request = Request(signal, protocol, headers, len(raw), message, time.monotonic())
            self.reply(request, backend.take(request), is_json)

        def reply(self, request: Request, answer: Answer, is_json: bool) -> None:
            if answer.cut:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(2)
                return
            said: Any = response_of(request.signal, answer)
            if answer.http != 200:
                said = status_pb2.Status(message=answer.message or "told to")
            body = json_format.MessageToJson(said).encode() if is_json else said.SerializeToString()
            more = {"Content-Type": "application/json" if is_json else "application/x-protobuf"}
            if answer.retry_after is not None:
                more["Retry-After"] = answer.retry_after
            self.say(answer.http, body, more)

        def say(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

    return Handler


# ---- gRPC ----------------------------------------------------------------------------------------


class _GrpcHandler(grpc.GenericRpcHandler):
    def __init__(self, backend: OtlpBackend) -> None:
        self._backend = backend

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        signal = METHODS.get(details.method)
        if signal is None:
            self._backend.fault(f"gRPC {details.method}")
            return None
        headers = {key.lower(): value if isinstance(value, str) else value.hex()
                   for key, value in details.invocation_metadata}

        def export(message: Any, context: grpc.ServicerContext) -> Any:
            return self._export(signal, headers, message, context)

        return grpc.unary_unary_rpc_method_handler(
            export, request_deserializer=SIGNALS[signal][0].FromString,
            response_serializer=SIGNALS[signal][1].SerializeToString)

    def _export(self, signal: str, headers: dict[str, str], message: Any,
                context: grpc.ServicerContext) -> Any:
        request = Request(signal, "grpc", headers, message.ByteSize(), message, time.monotonic())
        answer = self._backend.take(request)
        if answer.cut:
            context.abort(grpc.StatusCode.UNAVAILABLE, "told to")
        if answer.grpc != grpc.StatusCode.OK:
            if answer.retry_info_ms is not None:
                self._add_retry_info(answer, context)
            context.abort(answer.grpc, answer.message or "told to")
        return response_of(signal, answer)

    @staticmethod
    def _add_retry_info(answer: Answer, context: grpc.ServicerContext) -> None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.FromMilliseconds(answer.retry_info_ms or 0)
        status = status_pb2.Status(code=answer.grpc.value[0], message=answer.message)
        status.details.add().Pack(info)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))


# ---- as a program --------------------------------------------------------------------------------


def counts_of(signal: str, items: list[Item]) -> dict[str, int]:
    if signal == "traces":
        unique = {(item.trace_id, item.span_id) for item in items}
    else:
        unique = {(item.name, item.proto.SerializeToString(deterministic=True)) for item in items}
    return {"total": len(items), "unique": len(unique)}


def report_of(backend: OtlpBackend) -> dict[str, Any]:
    requests = [{"path": each.path, "protocol": each.protocol, "headers": each.headers,
                 "items": len(list(items_of(each))), "bytes": each.size, "taken": each.taken}
                for each in list(backend.requests)]
    delegations = {item.attributes.get("waybill.delegation.id") for item in list(backend.items["logs"])}
    found: dict[str, Any] = {signal: counts_of(signal, list(items)) for signal, items in backend.items.items()}
    return {**found, "delegations": len(delegations - {None}), "requests": requests,
            "faults": list(backend.faults)}


def control(backend: OtlpBackend, path: str, body: bytes) -> bool:
    if path == "/_control/reset":
        backend.clear()
        return True
    if path != "/_control/script":
        return False
    for each in json.loads(body):
        backend.refused_span = each.get("refuse_span_named", backend.refused_span)
        backend.max_bytes = each.get("max_bytes", backend.max_bytes)
        if not each.keys() <= {"refuse_span_named", "max_bytes"}:
            backend.script(Answer.from_json(each))
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description="An OTLP backend for tests, on loopback.")
    parser.add_argument("--http", default="127.0.0.1:0", metavar="127.0.0.1:PORT")
    parser.add_argument("--grpc", default="127.0.0.1:0", metavar="127.0.0.1:PORT")
    options = parser.parse_args()
    ports = [int(text.rpartition(":")[2]) for text in (options.http, options.grpc)]
    ending = {signals.SIGTERM, signals.SIGINT}
    signals.pthread_sigmask(signals.SIG_BLOCK, ending)  # in all threads, so that this one gets them
    with OtlpBackend(http_port=ports[0], grpc_port=ports[1]) as backend:
        print(json.dumps({"http": backend.http_port, "grpc": backend.grpc_port}), flush=True)
        signals.sigwait(ending)


if __name__ == "__main__":
    main()
