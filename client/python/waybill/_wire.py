# SPDX-License-Identifier: Apache-2.0
"""The messages of proto/waybill/v1/ipc.proto, and protobuf's wire format for exactly these.

Why an own codec: the package has no dependency, so that adding it to an agent can never fight with
the protobuf runtime that the agent brings along (a2a-sdk does, and its version is not ours to
choose). What is needed of protobuf is small: varints, length-delimited fields, nesting.

The dataclasses below *are* the table: each field carries its number and type as metadata, and the
codec walks them. tests/test_wire.py compares the table with the text of the .proto file, and the
bytes with those of protoc's own output.

    tag     = varint(number << 3 | wire type)
    varint  uint32 uint64 bool enum     7 bits a byte, least significant first, at most 10 bytes
    length  bytes string message        varint length, then the bytes
    fixed   skipped when unknown; none of our fields use it

proto3 rules kept: a field equal to its default is not written, unless it is `optional` or a member
of the oneof; unknown fields are skipped; the last of several values wins.

What arrives is bounded before anything is built: lengths are checked against what is there, names
against `MAX_STRING`, lists against `MAX_REPEATED`, nesting by the table itself (an unknown message
is skipped as bytes). Everything else that is wrong is a WireError and nothing but a WireError.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, NamedTuple, TypeVar, get_args, get_type_hints

from waybill.errors import WireError

PROTOCOL = 1
MAX_STRING = 1 << 20
MAX_REPEATED = 64

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_U32, _U64 = (1 << 32) - 1, (1 << 64) - 1

M = TypeVar("M", bound="Message")


class Status(enum.IntEnum):
    """core/status.h; the numbers never change."""

    OK = 0
    NO_MEMORY = 1
    MALFORMED = 2
    DENIED = 3
    FULL = 4
    UNAVAILABLE = 5
    TIMEOUT = 6
    REJECTED = 7
    CORRUPT = 8
    NOT_FOUND = 9
    CONFIG = 10


class Verdict(enum.IntEnum):
    """What the sidecar made of a carrier (TOKENS.md section 10)."""

    UNSPECIFIED = 0
    CONTINUE = 1
    LINK = 2
    DUPLICATE = 3
    REJECT = 4


def _field(number: int, kind: str, default: Any, optional: bool = False) -> Any:
    metadata = {"number": number, "kind": kind, "optional": optional}
    if isinstance(default, list):
        return dataclasses.field(default_factory=list, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _bytes(number: int) -> Any:
    return _field(number, "bytes", b"")


def _string(number: int) -> Any:
    return _field(number, "string", "")


def _strings(number: int) -> Any:
    return _field(number, "strings", [])


def _u32(number: int) -> Any:
    return _field(number, "uint32", 0)


def _u64(number: int) -> Any:
    return _field(number, "uint64", 0)


def _maybe_u64(number: int) -> Any:
    return _field(number, "uint64", None, optional=True)


def _bool(number: int) -> Any:
    return _field(number, "bool", False)


def _enum(number: int) -> Any:
    return _field(number, "enum", 0)


def _message(number: int) -> Any:
    return _field(number, "message", None, optional=True)


@dataclasses.dataclass
class Message:
    """Base of all messages."""


@dataclasses.dataclass
class Hello(Message):
    client: str = _string(1)
    pid: int = _u32(2)
    agent_name: str = _string(3)


@dataclasses.dataclass
class HelloReply(Message):
    version: str = _string(1)
    agent_id: str = _string(2)
    name: str = _string(3)
    max_message_bytes: int = _u32(4)
    extension_uri: str = _string(5)
    trust_mode: str = _string(6)
    on_unavailable: str = _string(7)


@dataclasses.dataclass
class Record(Message):
    traces: bytes = _bytes(1)
    dropped_spans: int = _u64(2)


@dataclasses.dataclass
class RecordReply(Message):
    accepted_spans: int = _u32(1)
    rejected_spans: int = _u32(2)
    error_message: str = _string(3)


@dataclasses.dataclass
class Limits(Message):
    """What a delegation may spend. None: not asked for."""

    currency: str = _string(1)
    cost_micros: int | None = _maybe_u64(2)
    tokens: int | None = _maybe_u64(3)
    work_ms: int | None = _maybe_u64(4)


@dataclasses.dataclass
class Delegate(Message):
    delegation_id: bytes = _bytes(1)
    parent_acceptance: bytes = _bytes(2)
    trace_id: bytes = _bytes(3)
    parent_span_id: bytes = _bytes(4)
    trace_flags: int = _u32(5)
    target_url: str = _string(6)
    target_agent_id: str = _string(7)
    target_declares: bool = _bool(8)
    target_name: str = _string(9)
    method: str = _string(10)
    message_id: str = _string(11)
    context_id: str = _string(12)
    task_id: str = _string(13)
    body_digest: bytes = _bytes(14)
    salt: bytes = _bytes(15)
    ask: Limits | None = _message(16)
    deadline_s: int = _u64(17)
    tracestate: str = _string(18)
    baggage: list[str] = _strings(19)
    trace_claimed: bool = _bool(23)
    turn_of: bytes = _bytes(24)


@dataclasses.dataclass
class DelegateReply(Message):
    delegation_id: bytes = _bytes(1)
    carrier: str = _string(2)
    traceparent: str = _string(3)
    tracestate: str = _string(4)
    trace_id: bytes = _bytes(5)
    span_id: bytes = _bytes(6)
    unsigned_reason: str = _string(7)
    deadline_s: int = _u64(8)
    baggage: str = _string(9)
    turn: int = _u32(14)
    granted: Limits | None = _message(15)


@dataclasses.dataclass
class Observe(Message):
    delegation_id: bytes = _bytes(1)
    task_state: str = _string(2)
    task_id: str = _string(3)
    context_id: str = _string(4)
    event: str = _string(5)


@dataclasses.dataclass
class ObserveReply(Message):
    state: str = _string(1)


@dataclasses.dataclass
class Accept(Message):
    acceptance_id: bytes = _bytes(1)
    carrier: str = _string(2)
    traceparent: str = _string(3)
    tracestate: str = _string(4)
    method: str = _string(5)
    message_id: str = _string(6)
    context_id: str = _string(7)
    task_id: str = _string(8)
    body_digest: bytes = _bytes(9)
    peer: str = _string(10)
    more_traceparents: list[str] = _strings(11)
    more_tracestates: list[str] = _strings(12)
    baggage: list[str] = _strings(13)


@dataclasses.dataclass
class AcceptReply(Message):
    acceptance_id: bytes = _bytes(1)
    verdict: int = _enum(2)
    verified: bool = _bool(3)
    traceparent: str = _string(4)
    tracestate: str = _string(5)
    trace_id: bytes = _bytes(6)
    span_id: bytes = _bytes(7)
    issuer: str = _string(8)
    pass_: bool = _bool(9)
    warnings: list[str] = _strings(10)
    baggage: str = _string(11)


@dataclasses.dataclass
class Finish(Message):
    acceptance_id: bytes = _bytes(1)
    task_state: str = _string(2)
    outcome: str = _string(3)
    error_type: str = _string(4)
    task_id: str = _string(5)


@dataclasses.dataclass
class FinishReply(Message):
    pass


@dataclasses.dataclass
class Settle(Message):
    delegation_id: bytes = _bytes(1)
    task_state: str = _string(2)
    outcome: str = _string(3)
    error_type: str = _string(4)
    task_id: str = _string(5)
    context_id: str = _string(6)


@dataclasses.dataclass
class SettleReply(Message):
    state: str = _string(1)
    late: bool = _bool(2)


@dataclasses.dataclass
class StatusRequest(Message):
    pass


@dataclasses.dataclass
class StatusReply(Message):
    json: str = _string(1)


@dataclasses.dataclass
class Reload(Message):
    """For the sidecar's own user only."""


@dataclasses.dataclass
class ReloadReply(Message):
    generation: int = _u64(1)
    key_id: str = _string(2)
    problems: list[str] = _strings(3)
    needs_restart: list[str] = _strings(4)


@dataclasses.dataclass
class ForgetExporter(Message):
    name: str = _string(1)


@dataclasses.dataclass
class ForgetExporterReply(Message):
    cursor: int = _u64(1)
    dropped_records: int = _u64(2)


@dataclasses.dataclass
class Request(Message):
    """One of the bodies is set."""

    id: bytes = _bytes(1)
    protocol: int = _u32(2)
    hello: Hello | None = _message(10)
    record: Record | None = _message(11)
    delegate: Delegate | None = _message(12)
    observe: Observe | None = _message(13)
    accept: Accept | None = _message(14)
    finish: Finish | None = _message(16)
    settle: Settle | None = _message(17)
    status: StatusRequest | None = _message(19)
    reload: Reload | None = _message(20)
    forget_exporter: ForgetExporter | None = _message(21)


@dataclasses.dataclass
class Reply(Message):
    """At most one of the bodies is set."""

    id: bytes = _bytes(1)
    status: int = _enum(2)
    detail: str = _string(3)
    wire_class: str = _string(4)
    ref: str = _string(5)
    retry_after_ms: int = _u32(6)
    hello: HelloReply | None = _message(10)
    record: RecordReply | None = _message(11)
    delegate: DelegateReply | None = _message(12)
    observe: ObserveReply | None = _message(13)
    accept: AcceptReply | None = _message(14)
    finish: FinishReply | None = _message(16)
    settle: SettleReply | None = _message(17)
    status_report: StatusReply | None = _message(19)
    reload: ReloadReply | None = _message(20)
    forget_exporter: ForgetExporterReply | None = _message(21)


class _Column(NamedTuple):
    name: str
    number: int
    kind: str
    optional: bool
    message: type[Message] | None


_tables: dict[type[Message], tuple[_Column, ...]] = {}
_numbers: dict[type[Message], dict[int, _Column]] = {}


def columns(cls: type[Message]) -> tuple[_Column, ...]:
    """The fields of a message class, by number; read from its annotations at first use."""
    if cls not in _tables:
        _tables[cls] = _read_table(cls)
        _numbers[cls] = {column.number: column for column in _tables[cls]}
    return _tables[cls]


def _read_table(cls: type[Message]) -> tuple[_Column, ...]:
    hints = get_type_hints(cls)
    table = []
    for field in dataclasses.fields(cls):
        kind = field.metadata["kind"]
        message = get_args(hints[field.name])[0] if kind == "message" else None
        table.append(
            _Column(field.name, field.metadata["number"], kind, field.metadata["optional"], message)
        )
    return tuple(sorted(table, key=lambda column: column.number))


def varint(value: int) -> bytes:
    """`value`, 0 to 2^64-1, as a varint."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | _LENGTH) + varint(len(payload)) + payload


def encode(message: Message) -> bytes:
    """The bytes of a message. Raises ValueError for a value that its field cannot hold."""
    out: list[bytes] = []
    for column in columns(type(message)):
        value = getattr(message, column.name)
        if value is None or (not value and not column.optional):
            continue
        if column.kind == "bytes":
            out.append(delimited(column.number, bytes(value)))
        elif column.kind == "string":
            out.append(delimited(column.number, value.encode("utf-8")))
        elif column.kind == "strings":
            out.extend(delimited(column.number, item.encode("utf-8")) for item in value)
        elif column.kind == "message":
            out.append(delimited(column.number, encode(value)))
        else:
            number = int(value)
            if not 0 <= number <= (_U64 if column.kind == "uint64" else _U32):
                raise ValueError(f"{type(message).__name__}.{column.name}: {number} does not fit")
            out.append(varint(column.number << 3 | _VARINT) + varint(number))
    return b"".join(out)


def _read_varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= end:
            raise WireError("a varint is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise WireError("a varint has more than 10 bytes")
    if value > _U64:
        raise WireError("a varint has more than 64 bits")
    return value, at


def _read_length(data: memoryview, at: int, end: int) -> tuple[memoryview, int]:
    length, at = _read_varint(data, at, end)
    if length > end - at:
        raise WireError("a field is longer than its message")
    return data[at : at + length], at + length


def _skip(data: memoryview, at: int, end: int, wire_type: int) -> int:
    if wire_type == _VARINT:
        return _read_varint(data, at, end)[1]
    if wire_type == _LENGTH:
        return _read_length(data, at, end)[1]
    width = {_FIXED64: 8, _FIXED32: 4}.get(wire_type)
    if width is None:
        raise WireError(f"wire type {wire_type} is not used by proto3")
    if width > end - at:
        raise WireError("a fixed field is cut off")
    return at + width


def _text(payload: memoryview) -> str:
    if len(payload) > MAX_STRING:
        raise WireError(f"a string has more than {MAX_STRING} bytes")
    try:
        return str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise WireError("a string is not UTF-8") from error


def decode(cls: type[M], data: bytes | memoryview) -> M:
    """The message in `data`. Raises WireError."""
    view, at = memoryview(data), 0
    end = len(view)
    columns(cls)
    table = _numbers[cls]
    message = cls()
    while at < end:
        tag, at = _read_varint(view, at, end)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError("a field has no valid number")
        column = table.get(number)
        if column is None:
            at = _skip(view, at, end, wire_type)
            continue
        if wire_type != (_LENGTH if column.kind in _LENGTH_KINDS else _VARINT):
            raise WireError(f"{cls.__name__}.{column.name} has wire type {wire_type}")
        if wire_type == _VARINT:
            value, at = _read_varint(view, at, end)
            setattr(message, column.name, _number(column.kind, value))
            continue
        payload, at = _read_length(view, at, end)
        if column.kind == "bytes":
            setattr(message, column.name, bytes(payload))
        elif column.kind == "string":
            setattr(message, column.name, _text(payload))
        elif column.kind == "strings":
            items = getattr(message, column.name)
            if len(items) >= MAX_REPEATED:
                raise WireError(f"{cls.__name__}.{column.name} has more than {MAX_REPEATED} items")
            items.append(_text(payload))
        else:
            assert column.message is not None
            setattr(message, column.name, decode(column.message, payload))
    return message


_LENGTH_KINDS = frozenset(("bytes", "string", "strings", "message"))


def _number(kind: str, value: int) -> int | bool:
    if kind == "bool":
        return value != 0
    return value if kind == "uint64" else value & _U32
