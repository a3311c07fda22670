# SPDX-License-Identifier: Apache-2.0
"""OTLP/gRPC as its clients send it: through grpcio, whole requests with all that comes back; and HTTP/2 frame
by frame, also such as no client should send."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import socket
import struct
import time
from typing import Any, Iterable, Mapping, Sequence

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
from google.rpc import error_details_pb2, status_pb2
from waybill_testkit import Sidecar

_SERVICE = "/opentelemetry.proto.collector.{}.v1.{}Service/Export"
TRACES, METRICS, LOGS = (_SERVICE.format(n, n.capitalize()) for n in ("trace", "metrics", "logs"))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 2, 3, 4, 6, 7, 8, 9,
)  # fmt: skip
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def port_of(sidecar: Sidecar) -> int:
    return int(sidecar.status()["ports"]["otlp_grpc"])


# -- grpcio ----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Answer:
    code: grpc.StatusCode
    details: str
    trailers: dict[str, Any]
    reply: bytes | None

    @property
    def retry_infos(self) -> list[int]:
        """Seconds that each of the two places says: grpc-status-details-bin, google.rpc.retryinfo-bin."""
        found = []
        if "grpc-status-details-bin" in self.trailers:
            status = status_pb2.Status.FromString(self.trailers["grpc-status-details-bin"])
            assert status.code == self.code.value[0] and status.message == self.details
            (detail,) = status.details
            info = error_details_pb2.RetryInfo()
            assert detail.Unpack(info)
            found.append(info.retry_delay.seconds)
        if "google.rpc.retryinfo-bin" in self.trailers:
            info = error_details_pb2.RetryInfo.FromString(self.trailers["google.rpc.retryinfo-bin"])
            found.append(info.retry_delay.seconds)
        return found


def channel(port: int, host: str = "127.0.0.1", **options: Any) -> grpc.Channel:
    """One connection of its own: grpcio would share it with every other channel to the same place."""
    all_options = {"grpc.use_local_subchannel_pool": 1, "grpc.enable_retries": 0, **options}
    return grpc.insecure_channel(f"{host}:{port}", options=list(all_options.items()))


def call(
    where: grpc.Channel,
    path: str,
    body: bytes,
    *,
    compression: grpc.Compression | None = None,
    metadata: Sequence[tuple[str, str]] = (),
    timeout: float = 20,
) -> Answer:
    method = where.unary_unary(path)  # bytes in, bytes out
    try:
        reply, done = method.with_call(body, timeout=timeout, metadata=metadata, compression=compression)
        return Answer(done.code(), done.details(), dict(done.trailing_metadata() or ()), reply)
    except grpc.RpcError as refused:
        trailers = dict(refused.trailing_metadata() or ())
        return Answer(refused.code(), refused.details(), trailers, None)


def export(port: int, path: str, body: bytes, **more: Any) -> Answer:
    with channel(port) as where:
        return call(where, path, body, **more)


# -- frame by frame --------------------------------------------------------------------------------


def message(body: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message, with its prefix."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


def zipped(body: bytes) -> bytes:
    return message(gzip.compress(body, mtime=0), 1)


def fields(path: str = TRACES, **more: str | None) -> list[tuple[str, str]]:
    """Of a request; an underscore in a name is a hyphen, or in front a colon. None leaves one out."""
    made: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    for name, value in more.items():
        made[":" + name[1:] if name[0] == "_" else name.replace("_", "-")] = value
    return [(name, value) for name, value in made.items() if value is not None]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def block(header_fields: Iterable[tuple[str, str]]) -> bytes:
    """Encoded without Huffman and tables of its own."""
    return hpack.Encoder().encode(list(header_fields), huffman=False)


@dataclasses.dataclass
class Stream:
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    trailers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def grpc(self) -> int | None:
        said = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if said is None else int(said)


class Http2:
    """A client over hyper-h2 that checks nothing of what it sends; `raw` sends any bytes at all."""

    def __init__(self, port: int, host: str = "127.0.0.1", greet: bool = True, timeout_s: float = 20) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = {}
        self.goaways: list[tuple[int, int]] = []  # last stream, error
        self.lost = False
        if greet:
            self.h2.initiate_connection()
            self.flush()

    def __enter__(self) -> "Http2":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.raw(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError:
            self.lost = True

    def open(self, header_fields: Iterable[tuple[str, str]], end: bool = False) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.streams[stream] = Stream()
        self.h2.send_headers(stream, list(header_fields), end_stream=end)
        self.flush()
        return stream

    def data(self, stream: int, data: bytes, *, end: bool = False, size: int = 16000, pad: int | None = None) -> None:
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for number, piece in enumerate(pieces):
            while self.h2.local_flow_control_window(stream) < len(piece) + (pad or 0) + 1:
                self.read()
                if self.streams[stream].ended or self.lost:  # answered already
                    return
            self.h2.send_data(stream, piece, end_stream=end and number == len(pieces) - 1, pad_length=pad)
            self.flush()

    def post(self, body: bytes, header_fields: Iterable[tuple[str, str]] | None = None, **more: Any) -> Stream:
        stream = self.open(fields() if header_fields is None else header_fields)
        self.data(stream, body, end=True, **more)
        return self.wait(stream)

    def read(self) -> bool:
        """What comes next; False: nothing more will."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.lost = True
            return False
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()
        return not self.lost

    def _take(self, event: h2.events.Event) -> None:
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0, Stream())
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers.update(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers.update(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = int(event.error_code)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id or 0, int(event.error_code)))

    def wait(self, stream: int) -> Stream:
        """Until it has ended, one way or the other, or the connection has."""
        found = self.streams[stream]
        while not found.ended and found.reset is None and self.read():
            continue
        return found

    def drain_reads(self, seconds: float) -> None:
        """Take what comes within so long."""
        end = time.monotonic() + seconds
        before = self.socket.gettimeout()
        try:
            while not self.lost and time.monotonic() < end:
                self.socket.settimeout(max(0.01, end - time.monotonic()))
                self.read()
        except TimeoutError:
            pass
        self.socket.settimeout(before)


def frames_of(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(kind, flags, stream, payload) of each whole frame."""
    found = []
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        if len(data) < 9 + length:
            break
        kind, flags, stream = struct.unpack(">BBI", data[3:9])
        found.append((kind, flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


def read_all(connection: socket.socket) -> bytes:
    """Until the far side closes."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return data


def goaway_errors(data: bytes) -> list[int]:
    """The errors of the GOAWAY frames in what a server sent."""
    return [
        int.from_bytes(payload[4:8], "big") for kind, _f, _s, payload in frames_of(data) if kind == GOAWAY
    ]


def unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def status_of(trailers: Mapping[str, str]) -> status_pb2.Status:
    """Of a raw grpc-status-details-bin."""
    return status_pb2.Status.FromString(unpadded(trailers["grpc-status-details-bin"]))
