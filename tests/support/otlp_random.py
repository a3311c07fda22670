# SPDX-License-Identifier: Apache-2.0
"""Random OTLP messages of the three signals, made by the descriptors of opentelemetry-proto, and their JSON.

`message(rng, signal, hostile)` is one request. Where it is hostile, some ids have a wrong length and some
text holds BAD_TEXT; `wire(message)` then gives bytes in which that text is not UTF-8, which the Python
classes themselves could not hold. `dump(message, rng)` is OTLP/JSON in one of the many ways to write it."""

from __future__ import annotations

import base64
import json
import math
import random
import re
import struct
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS: dict[str, Any] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest,
                            "metrics": ExportMetricsServiceRequest}
ID_BYTES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
BAD_TEXT = "~~bad~text~~"
NOT_UTF8 = b"~~bad\xfftext~~"
TEXTS = ["", "a", "chat", "naïve € \U0001f98a", "\x00", "\"\\/\b\f\n\r\t\x1f\x7f", "x" * 127, "y" * 128,
         "z" * 300, "0123456789abcdef", "\ud7ff\ue000\uffff\U00010000\U0010ffff"]
VALUES_DEEP = 4
INTS = {
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1), FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1), FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1), FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_ENUM: (-(2**31), 2**31 - 1), FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
}
WIDE = (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SFIXED64, FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED64)


def number(rng: random.Random, kind: int) -> int:
    least, most = INTS[kind]
    return rng.choice([0, 1, 2, 127, 128, least, most, most - 1, rng.randint(least, most), rng.randint(0, 9)])


def real(rng: random.Random) -> float:
    return rng.choice([0.0, -0.0, 1.0, 0.1, 0.7, -2.5, 1e22, 1e23, 123456.789, 2.0**53, 2.0**53 + 2, 5e-324,
                       1.7976931348623157e308, math.inf, -math.inf, math.nan, 0.30000000000000004,
                       struct.unpack("<d", rng.randbytes(8))[0], rng.random(), float(rng.randint(0, 10**6))])


class Maker:
    def __init__(self, rng: random.Random, hostile: bool):
        self.rng, self.hostile = rng, hostile

    def goes_wrong(self) -> bool:
        return self.hostile and self.rng.randrange(60) == 0

    def scalar(self, field: FieldDescriptor) -> Any:
        rng = self.rng
        if field.type == FieldDescriptor.TYPE_STRING:
            return BAD_TEXT if self.goes_wrong() else rng.choice(TEXTS)
        if field.type == FieldDescriptor.TYPE_BYTES:
            if field.name not in ID_BYTES:
                return rng.randbytes(rng.randrange(20))
            size = rng.randrange(20) if self.goes_wrong() else ID_BYTES[field.name]
            return bytes(size) if self.goes_wrong() else rng.randbytes(size)
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return real(rng)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return rng.random() < 0.5
        return number(rng, field.type)

    def field(self, message: Any, field: FieldDescriptor, deep: int) -> None:
        rng = self.rng
        deep += field.message_type is not None and field.message_type.name == "AnyValue"
        if deep > VALUES_DEEP:
            return
        many = rng.choice([0, 1, 1, 2, 3]) if field.message_type else rng.choice([0, 1, 2, 20])
        if not field.is_repeated:
            if field.message_type:
                getattr(message, field.name).SetInParent()
                self.fill(getattr(message, field.name), deep)
            else:
                setattr(message, field.name, self.scalar(field))
        elif field.message_type:
            for _ in range(many):
                self.fill(getattr(message, field.name).add(), deep)
        else:
            getattr(message, field.name).extend(self.scalar(field) for _ in range(many))

    def fill(self, message: Any, deep: int = 0) -> None:
        rng = self.rng
        fields = [f for f in message.DESCRIPTOR.fields if not f.name.endswith("strindex")]
        chosen = {rng.choice([f for f in fields if f.containing_oneof is oneof]).name
                  for oneof in message.DESCRIPTOR.oneofs}
        for field in fields:
            oneof = field.containing_oneof
            ids = field.name in ("trace_id", "span_id") and message.DESCRIPTOR.name == "Span"
            if (ids or rng.random() < 0.75) and (not oneof or field.name in chosen):
                self.field(message, field, deep)


def message(rng: random.Random, signal: str, hostile: bool = False) -> Any:
    made = REQUESTS[signal]()
    Maker(rng, hostile).fill(made)
    return made


def wire(message: Any) -> bytes:
    return message.SerializeToString().replace(BAD_TEXT.encode(), NOT_UTF8)


# ---- JSON ----------------------------------------------------------------------------------------


def with_hex_ids(value: Any, name: str = "") -> Any:
    """What ProtoJSON says, but for ids: those are hex in OTLP."""
    if isinstance(value, dict):
        return {key: with_hex_ids(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [with_hex_ids(item, name) for item in value]
    if name in ("traceId", "spanId", "parentSpanId"):
        return base64.b64decode(value).hex()
    return value


def plain(message: Any) -> Any:
    return with_hex_ids(json_format.MessageToDict(message, use_integers_for_enums=True))


class Writer:
    """JSON in another way than the next one would write it."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.spaces = rng.choice(["", "", " ", "\n\t ", "\r\n"])
        self.escapes = rng.choice([0.0, 0.0, 0.1, 1.0])
        self.as_numbers = rng.random()
        self.shuffles = rng.random() < 0.3
        self.noise = rng.choice([0.0, 0.0, 0.2])

    def space(self) -> str:
        return self.spaces if self.rng.random() < 0.5 else ""

    def char(self, c: str) -> str:
        if c == "\x00" or self.rng.random() < self.escapes:
            if c in "\"\\/" and self.rng.random() < 0.5:
                return "\\" + c
            units = c.encode("utf-16-be", "surrogatepass")
            return "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))
        return json.dumps(c, ensure_ascii=False)[1:-1]

    def text(self, text: str) -> str:
        return '"' + "".join(map(self.char, text)) + '"'

    def unknown(self) -> str:
        return self.rng.choice(["null", "1e9", "-0.5E-3", "[]", "{}", '"x\\u0041\\n"', "[1,[2,{\"a\":[]}],{}]",
                                '{"traceId":"zz","spans":[{"a":null}],"a":{"a":{"b":true}}}', "false"])

    def number(self, value: int) -> str:
        if value and value % 100 == 0 and self.rng.random() < 0.3:
            return f"{value // 100}e2"
        return self.rng.choice([str(value), str(value), f"{value}.0", f"{value}E0"])

    def leaf(self, value: Any, name: str) -> str:
        if isinstance(value, str):
            wide = re.fullmatch(r"-?[0-9]+", value) and (name.endswith("Nano") or name in
                   ("intValue", "asInt", "count", "bucketCounts", "zeroCount"))
            if wide and self.rng.random() < self.as_numbers:
                return self.number(int(value))
            if name in ("traceId", "spanId", "parentSpanId") and self.rng.random() < 0.3:
                value = value.upper()
            if name == "bytesValue" and self.rng.random() < 0.5:
                value = value.replace("+", "-").replace("/", "_").rstrip("=")
            return self.text(value)
        if isinstance(value, float) and self.rng.random() < 0.1:
            return self.text(repr(value))
        return json.dumps(value)

    def members(self, value: dict[str, Any]) -> list[str]:
        items = list(value.items())
        if self.shuffles:
            self.rng.shuffle(items)
        out = [self.text(key) + self.space() + ":" + self.space() + self.value(item, key) for key, item in items]
        if self.rng.random() < self.noise:
            name = self.rng.choice(["unknown", "", "trace_id", "keyStrindex", "a" * 40])
            out.insert(self.rng.randint(0, len(out)), self.text(name) + ":" + self.unknown())
        return out

    def value(self, value: Any, name: str = "") -> str:
        if isinstance(value, dict):
            open_, parts, close = "{", self.members(value), "}"
        elif isinstance(value, list):
            open_, parts, close = "[", [self.value(item, name) for item in value], "]"
        else:
            return self.leaf(value, name)
        inside = (self.space() + "," + self.space()).join(parts)
        return open_ + self.space() + inside + self.space() + close


def dump(message: Any, rng: random.Random) -> bytes:
    writer = Writer(rng)
    return (writer.space() + writer.value(plain(message)) + writer.space()).encode("utf-8")
