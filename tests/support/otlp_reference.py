# SPDX-License-Identifier: Apache-2.0
"""OTLP/JSON read a second time, by the descriptors of opentelemetry-proto over Python's own JSON reader, with
the rules that proto/otlp_from_json.h states. For tests: `read_json(signal, text)`."""

from __future__ import annotations

import base64
import codecs
import json
import math
import re
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from otlp_random import ID_BYTES, INTS, REQUESTS

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


class Refused(Exception):
    pass


class Number(str):
    pass


class Object(list):
    """(name, value) pairs, in their order, repeated ones too."""


def constant(word: str) -> Any:
    raise Refused(f"{word} is no JSON")


# Bytes that are not UTF-8 come as halves of pairs; so do escapes of half a pair, and neither is text.
def is_text(text: str) -> bool:
    return not any(0xD800 <= ord(c) <= 0xDFFF for c in text)


class Reader:
    def __init__(self) -> None:
        self.all_text = True

    def integer(self, field: FieldDescriptor, value: Any) -> int:
        if isinstance(value, str) and not isinstance(value, Number) and field.type == FieldDescriptor.TYPE_ENUM:
            raise Refused("an enum in words")
        if not isinstance(value, str) or not NUMBER.fullmatch(value):
            raise Refused("no number")
        mantissa, _, exponent = value.lower().partition("e")
        if Decimal(mantissa) == 0:
            return 0
        if abs(int(exponent or 0)) > 10**6:
            raise Refused("out of range, or no whole number")
        sign, digits, tens = Decimal(mantissa).as_tuple()  # exact, however many digits there are
        tens += int(exponent or 0)
        digits = list(digits)
        while tens < 0 and digits and digits[-1] == 0:
            digits.pop()
            tens += 1
        if tens < 0 or len(digits) + tens > 400:
            raise Refused("no whole number, or out of range")
        found = int("".join(map(str, digits)) or "0") * 10**tens * (-1 if sign else 1)
        least, most = INTS[field.type]
        if not least <= found <= most:
            raise Refused("out of range")
        return found

    def real(self, value: Any) -> float:
        if isinstance(value, str) and not isinstance(value, Number) and value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        if not isinstance(value, str) or not NUMBER.fullmatch(value):
            raise Refused("no number")
        if math.isinf(float(value)):
            raise Refused("out of range")
        return float(value)

    def data(self, field: FieldDescriptor, value: Any) -> bytes:
        if not isinstance(value, str) or isinstance(value, Number):
            raise Refused("no string")
        if field.name in ID_BYTES:
            if not re.fullmatch(r"([0-9a-fA-F]{2})*", value):
                raise Refused("no hex")
            return bytes.fromhex(value)
        bare = value.rstrip("=")
        if not BASE64.fullmatch(value) or len(bare) % 4 == 1:
            raise Refused("no base64")
        if bare != value and len(value) % 4:
            raise Refused("base64 with wrong padding")
        return base64.urlsafe_b64decode(bare.replace("+", "-").replace("/", "_") + "=" * (-len(bare) % 4))

    def text(self, value: Any) -> str:
        if not isinstance(value, str) or isinstance(value, Number):
            raise Refused("no string")
        if not is_text(value):
            self.all_text = False
            return "?"
        return value

    def scalar(self, field: FieldDescriptor, value: Any) -> Any:
        if field.type == FieldDescriptor.TYPE_STRING:
            return self.text(value)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self.data(field, value)
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return self.real(value)
        if field.type == FieldDescriptor.TYPE_BOOL:
            if not isinstance(value, bool):
                raise Refused("no bool")
            return value
        return self.integer(field, value)

    def one(self, message: Any, field: FieldDescriptor, value: Any) -> None:
        if field.message_type:
            getattr(message, field.name).SetInParent()
            self.message(getattr(message, field.name), value)
        else:
            setattr(message, field.name, self.scalar(field, value))

    def many(self, message: Any, field: FieldDescriptor, value: Any) -> None:
        if not isinstance(value, list) or isinstance(value, Object):
            raise Refused("no array")
        for item in value:
            if field.message_type:
                self.message(getattr(message, field.name).add(), item)
            else:
                getattr(message, field.name).append(self.scalar(field, item))

    def message(self, message: Any, value: Any) -> None:
        if not isinstance(value, Object):
            raise Refused("no object")
        fields = {f.json_name: f for f in message.DESCRIPTOR.fields if not f.name.endswith("strindex")}
        seen: set[str] = set()
        oneofs: set[str] = set()
        for name, item in value:
            field = fields.get(name)
            if field is None:
                continue
            if name in seen:
                raise Refused("a name twice")
            seen.add(name)
            if item is None:
                continue
            oneof = field.containing_oneof
            if oneof and not oneof.name.startswith("_"):
                if oneof.name in oneofs:
                    raise Refused("two of a oneof")
                oneofs.add(oneof.name)
            (self.many if field.is_repeated else self.one)(message, field, item)


def read_json(signal: str, text: bytes) -> tuple[Any, bool]:
    """The request, and whether all its text is UTF-8 (else it holds a question mark)."""
    try:
        loose = codecs.decode(text, "utf-8", "surrogateescape")
        value = json.loads(loose, object_pairs_hook=Object, parse_float=Number, parse_int=Number,
                           parse_constant=constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Refused(str(error)) from error
    reader = Reader()
    made = REQUESTS[signal]()
    reader.message(made, value)
    return made, reader.all_text
