# SPDX-License-Identifier: Apache-2.0
"""An OTLP backend for tests: it takes traces, logs and metrics over HTTP (protobuf and JSON) and gRPC,
keeps every item, and can be told to answer otherwise.

    with OtlpBackend() as backend:
        ...  # send to backend.http_url or backend.grpc_target
        backend.wait_for("traces", 3)

It shares no code with Waybill: messages come from opentelemetry-proto, HTTP from the standard library,
gRPC from grpcio. What it was told to refuse is in `requests` with `taken` False, and not among the items.
"""

from __future__ import annotations

import base64
import collections
import concurrent.futures
import contextlib
import dataclasses
import http.server
import json
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
    """What a request gets instead of a plain success. With an HTTP status or gRPC code that is an error,
    a stall or a broken connection nothing of it is taken."""

    http: int = 200
    grpc: grpc.StatusCode = grpc.StatusCode.OK
    retry_after_s: int | None = None  # in the header, and as RetryInfo in the status details
    message: str = ""
    rejected: int = 0     # partial success: so many, the rest is taken
    stall_s: float = 0.0  # before the answer
    cut: bool = False     # close the connection without a word (HTTP), ABORTED (gRPC)


@dataclasses.dataclass
class Request:
    signal: str
    protocol: str  # "http/protobuf", "http/json" or "grpc"
    headers: dict[str, str]  # lower case
    size: int  # of the message, inflated
    message: Any
    at: float  # time.monotonic()
    taken: bool = True


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


class OtlpBackend:
    """Both servers on ports of their own. They can be told to be away (`stop`) and to come back.

    answer      of a request to what it gets, or None: success. Runs on the server's threads
    tls         a server's SSL context: HTTPS. gRPC stays plain
    delay_s     before each answer
    """

    def __init__(self, *, answer: Callable[[Request], Answer | None] | None = None,
                 tls: ssl.SSLContext | None = None, delay_s: float = 0.0) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.requests: list[Request] = []
        self.items: dict[str, list[Item]] = {signal: [] for signal in SIGNALS}
        self.faults: list[str] = []  # what a client sent that is not OTLP
        self.http_port, self.grpc_port = free_port(), free_port()
        self._tls = tls
        self._lock = threading.Lock()
        self._script: collections.deque[Answer] = collections.deque()
        self._http: http.server.ThreadingHTTPServer | None = None
        self._grpc: grpc.Server | None = None

    @property
    def http_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.http_port}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    # -- its life --------------------------------------------------------------------------------

    def start(self) -> "OtlpBackend":
        self._http = _HttpServer(("127.0.0.1", self.http_port), _handler_of(self))
        if self._tls:
            self._http.socket = self._tls.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self._grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(8),
                                 options=[("grpc.max_receive_message_length", 64 << 20),
                                          ("grpc.so_reuseport", 0)])
        self._grpc.add_generic_rpc_handlers((_GrpcHandler(self),))
        if self._grpc.add_insecure_port(self.grpc_target) != self.grpc_port:
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
        with self._lock:
            self.requests.clear()
            for items in self.items.values():
                items.clear()

    # -- for the servers -------------------------------------------------------------------------

    def take(self, request: Request) -> Answer:
        with self._lock:
            scripted = self._script.popleft() if self._script else None
        answer = scripted or (self.answer(request) if self.answer else None) or Answer()
        time.sleep(self.delay_s + answer.stall_s)
        grpc_ok = request.protocol != "grpc" or answer.grpc == grpc.StatusCode.OK
        request.taken = answer.http == 200 and grpc_ok and not answer.cut
        found = list(items_of(request))[answer.rejected:] if request.taken else []
        with self._lock:
            self.requests.append(request)
            self.items[request.signal].extend(found)
        return answer

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

        def do_POST(self) -> None:
            raw = self.body()
            signal = PATHS.get(self.path)
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
            if answer.retry_after_s is not None:
                more["Retry-After"] = str(answer.retry_after_s)
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
            context.abort(grpc.StatusCode.ABORTED, "told to")
        if answer.grpc != grpc.StatusCode.OK:
            if answer.retry_after_s is not None:
                self._add_retry_info(answer, context)
            context.abort(answer.grpc, answer.message or "told to")
        return response_of(signal, answer)

    @staticmethod
    def _add_retry_info(answer: Answer, context: grpc.ServicerContext) -> None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.seconds = answer.retry_after_s or 0
        status = status_pb2.Status(code=answer.grpc.value[0], message=answer.message)
        status.details.add().Pack(info)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
