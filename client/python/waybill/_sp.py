# SPDX-License-Identifier: Apache-2.0
"""nng's request/reply protocol on a Unix socket, as bytes.

Python agents fork: gunicorn and uvicorn workers, multiprocessing. nng starts threads at load and
panics in a forked child, so this package speaks the wire itself. The wire is small and frozen
(nanomsg RFCs "sp-ipc-mapping" and "sp-request-reply"):

    connect  each side sends 8 bytes and reads 8:   00 'S' 'P' 00 | protocol u16 | 00 00
             protocol: 0x30 REQ, ours; 0x31 REP, the sidecar's. All integers big-endian.
    message  01 | length u64 | body
    body     request id u32, top bit set | the Request or Reply

The top bit of the id ends the backtrace of hops that proxies would prepend; a reply with it clear
has crossed something that we never talk to, and is refused. Several requests may be in flight on
one socket: a REP socket with contexts answers in any order, by id.

`Decoder` takes bytes in any split and gives whole bodies; it refuses a wrong peer and a body above
its limit when the header arrives, before the body is read. This module does no I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from waybill.errors import WireError

PROTOCOL_REQ = 0x0030
PROTOCOL_REP = 0x0031
HEADER_LEN = 8
FRAME_LEN = 9
ID_LEN = 4
FINAL = 0x80000000

_HEADER = struct.Struct(">4sHH")
_FRAME = struct.Struct(">BQ")
_MAGIC = b"\0SP\0"
_KIND_MESSAGE = 1


def header(protocol: int = PROTOCOL_REQ) -> bytes:
    """What a socket of `protocol` says first."""
    return _HEADER.pack(_MAGIC, protocol, 0)


def frame(request_id: int, body: bytes) -> bytes:
    """One message: `request_id` with its top bit set, and `body`."""
    return _FRAME.pack(_KIND_MESSAGE, ID_LEN + len(body)) + struct.pack(">I", request_id) + body


class Decoder:
    """Bytes of one connection, from its first, to (request id, body) pairs."""

    def __init__(self, max_body_bytes: int, peer: int = PROTOCOL_REP) -> None:
        self._limit = max_body_bytes + ID_LEN
        self._peer = peer
        self._buffer = bytearray()
        self._greeted = False

    @property
    def greeted(self) -> bool:
        """Whether the peer has said that it is what we expect."""
        return self._greeted

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take what arrived; yields each message that is whole. Raises WireError: close it."""
        self._buffer += data
        if not self._greeted:
            if len(self._buffer) < HEADER_LEN:
                return
            self._check_header(bytes(self._buffer[:HEADER_LEN]))
            del self._buffer[:HEADER_LEN]
            self._greeted = True
        while len(self._buffer) >= FRAME_LEN:
            kind, length = _FRAME.unpack_from(self._buffer)
            if kind != _KIND_MESSAGE:
                raise WireError(f"message kind {kind}")
            if not ID_LEN <= length <= self._limit:
                raise WireError(f"a message of {length} bytes")
            if len(self._buffer) < FRAME_LEN + length:
                return
            (request_id,) = struct.unpack_from(">I", self._buffer, FRAME_LEN)
            if not request_id & FINAL:
                raise WireError("a reply has crossed another hop")
            body = bytes(self._buffer[FRAME_LEN + ID_LEN : FRAME_LEN + length])
            del self._buffer[: FRAME_LEN + length]
            yield request_id, body

    def _check_header(self, data: bytes) -> None:
        magic, protocol, reserved = _HEADER.unpack(data)
        if magic != _MAGIC or reserved != 0:
            raise WireError("the peer does not speak nng")
        if protocol != self._peer:
            raise WireError(f"the peer is of protocol {protocol:#06x}, not {self._peer:#06x}")
