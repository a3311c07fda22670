# SPDX-License-Identifier: Apache-2.0
"""Finished spans as OpenTelemetry's protobuf: encode only, and only what a span has.

    ExportTraceServiceRequest { resource_spans = 1 }
    ResourceSpans { Resource resource = 1 { attributes = 1 }; scope_spans = 2 }
    ScopeSpans { InstrumentationScope scope = 1 { name = 1; version = 2 }; spans = 2 }
    Span: trace_id 1, span_id 2, trace_state 3, parent_span_id 4, name 5, kind 6, start 7, end 8
          (fixed64, Unix ns), attributes 9, dropped 10, events 11, links 13, status 15, flags 16

Field numbers: opentelemetry-proto 1.11.0, trace.proto, common.proto. A span is encoded once, when
it ends, on the thread that ended it; a batch is a concatenation.

`flags` holds the W3C flags in its low byte and whether the parent is remote in bits 8 and 9.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from waybill._wire import delimited, varint

MAX_ATTRIBUTES = 128
MAX_STRING = 200_000
MAX_DEPTH = 16

KINDS = {"unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUS_UNSET, STATUS_OK, STATUS_ERROR = 0, 1, 2

_REMOTE_KNOWN, _REMOTE = 0x100, 0x200


# Tags of fields 6, 7, 8 and 16 before their values; every kind is one byte.
_KIND_AND_TIMES = struct.Struct("<BBBQBQ").pack
_FLAGS = struct.Struct("<BBI").pack
_LENGTHS = tuple(bytes((length,)) for length in range(0x80))


def _fixed64(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def _integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def _text(number: int, value: str) -> bytes:
    return delimited(number, _utf8(value)) if value else b""


def _utf8(value: str) -> bytes:
    return value[:MAX_STRING].encode("utf-8", "replace")


def _sized(payload: bytes) -> bytes:
    length = len(payload)
    return (_LENGTHS[length] if length < 0x80 else varint(length)) + payload


@functools.lru_cache(maxsize=4096)
def _key(key: str) -> bytes:
    """A KeyValue up to its value; an agent has few keys and uses them all the time."""
    return _text(1, key) + b"\x12"


def any_value(value: Any, depth: int = 0) -> bytes:
    """An AnyValue. What OpenTelemetry has no type for is written as its text. Strings come first:
    most values are."""
    if isinstance(value, str):
        return b"\x0a" + _sized(_utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return b"\x18" + varint(value & (1 << 64) - 1)
    if isinstance(value, float):
        return b"\x21" + struct.pack("<d", value)
    if isinstance(value, (bytes, bytearray)):
        return b"\x3a" + _sized(bytes(value[:MAX_STRING]))
    if value is None:
        return b""
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return b"\x32" + _sized(attributes(1, value, depth + 1))
    if depth < MAX_DEPTH and isinstance(value, Sequence):
        return b"\x2a" + _sized(b"".join(b"\x0a" + _sized(any_value(v, depth + 1)) for v in value))
    return b"\x0a" + _sized(_utf8(text(value)))


def text(value: object) -> str:
    """`str(value)`; of what cannot say it, its type: no agent fails for the sake of its trace."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def attributes(number: int, pairs: Mapping[str, Any], depth: int = 0) -> bytes:
    """Repeated KeyValue fields."""
    tag = varint(number << 3 | 2)
    out: list[bytes] = []
    for key, value in pairs.items():
        if len(out) == MAX_ATTRIBUTES:
            break
        encoded = any_value(value, depth)
        size = len(encoded)
        pair = _key(str(key)) + (_LENGTHS[size] if size < 0x80 else varint(size)) + encoded
        size = len(pair)
        out.append(tag + (_LENGTHS[size] if size < 0x80 else varint(size)) + pair)
    return b"".join(out)


def span(
    *,
    trace_id: bytes,
    span_id: bytes,
    name: str,
    kind: int,
    start_ns: int,
    end_ns: int,
    parent_span_id: bytes = b"",
    parent_remote: bool = False,
    flags: int = 0,
    tracestate: str = "",
    attrs: Mapping[str, Any] | None = None,
    events: Iterable[tuple[int, str, Mapping[str, Any]]] = (),
    links: Iterable[tuple[bytes, bytes, str, Mapping[str, Any]]] = (),
    status: int = STATUS_UNSET,
    status_message: str = "",
) -> bytes:
    """One Span. events: (Unix ns, name, attributes); links: (trace id, span id, tracestate,
    attributes)."""
    given = attrs or {}
    out = [
        b"\x0a" + _sized(trace_id),
        b"\x12" + _sized(span_id),
        _text(3, tracestate),
        b"\x22" + _sized(parent_span_id) if parent_span_id else b"",
        b"\x2a" + _sized(_utf8(name)) if name else b"",
        _KIND_AND_TIMES(0x30, kind, 0x39, start_ns, 0x41, max(start_ns, end_ns)),
        attributes(9, given),
    ]
    if len(given) > MAX_ATTRIBUTES:
        out.append(_integer(10, len(given) - MAX_ATTRIBUTES))
    for time_ns, event_name, event_attrs in events:
        out.append(
            delimited(11, _fixed64(1, time_ns) + _text(2, event_name) + attributes(3, event_attrs))
        )
    for link_trace, link_span, link_state, link_attrs in links:
        body = delimited(1, link_trace) + delimited(2, link_span) + _text(3, link_state)
        out.append(delimited(13, body + attributes(4, link_attrs)))
    if status != STATUS_UNSET:
        out.append(delimited(15, _text(2, status_message) + _integer(3, status)))
    remote = _REMOTE_KNOWN | (_REMOTE if parent_remote else 0)
    out.append(_FLAGS(0x85, 0x01, flags & 0xFF | remote))
    return b"".join(out)


def resource(attrs: Mapping[str, Any]) -> bytes:
    """The Resource field of ResourceSpans."""
    return delimited(1, attributes(1, attrs))


def scope(name: str, version: str = "") -> bytes:
    """The InstrumentationScope field of ScopeSpans."""
    return delimited(1, _text(1, name) + _text(2, version))


def export_request(spans: Iterable[tuple[bytes, bytes, bytes]]) -> bytes:
    """An ExportTraceServiceRequest of (resource field, scope field, span) triples."""
    groups: dict[bytes, dict[bytes, list[bytes]]] = {}
    for resource_field, scope_field, encoded in spans:
        groups.setdefault(resource_field, {}).setdefault(scope_field, []).append(encoded)
    out = []
    for resource_field, scopes in groups.items():
        body = [resource_field]
        for scope_field, encoded_spans in scopes.items():
            body.append(
                delimited(2, scope_field + b"".join(delimited(2, s) for s in encoded_spans))
            )
        out.append(delimited(1, b"".join(body)))
    return b"".join(out)
