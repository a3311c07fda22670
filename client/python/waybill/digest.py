# SPDX-License-Identifier: Apache-2.0
"""The body digest of TOKENS.md section 6: what a token says about the message's content.

    bdg = SHA-256("waybill-bdg-v1" 00 | salt[16] | per part in order:
                  kind byte | F(content) | F(filename) | F(mediaType))
    F(x) = length of x as u64 big-endian | x

    kind 1 text, 3 url   the string's UTF-8
    kind 2 raw           the decoded bytes
    kind 4 data          RFC 8785 form of the value, numbers rounded to doubles first
    kind 0               none of these, or several: RFC 8785 form of the whole part,
                         file name and media type empty

Both sides of a hop must come to the same bytes although protobuf, two JSON dialects and several
programming languages lie between them; so it hashes meaning, not wire bytes. RFC 8785 (JCS) is
implemented here: member names in order of their UTF-16 units, ES6 number format, the short escapes.

A2A 0.3 writes no file name and no media type beside text and data, so towards a peer that speaks it
both count as absent there (`dialect="0.3"`). The message in hand is of 1.0 all the same: the SDK
translates it on its way out, and what arrives back into 1.0.

A part of which that cannot be said (bad base64; in `data` a repeated name, an unpaired surrogate, a
number beyond doubles) has no digest: `DigestError`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SALT_LEN = 16
DIGEST_LEN = 32
MAX_DEPTH = 128  # levels of arrays and objects in one value; as in core/jcs.h
_DOMAIN = b"waybill-bdg-v1\0"
_KINDS = {"text": 1, "raw": 2, "url": 3, "data": 4}
_BARE_IN = {"1.0": (), "0.3": ("text", "data")}  # no file name, no media type in that dialect

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_TO_ESCAPE = re.compile(r'["\\\x00-\x1f]')


class DigestError(ValueError):
    """A part has no digest; the message gets no token."""


# -- RFC 8785 ------------------------------------------------------------------------------------


def canonical(value: Any) -> str:
    """The RFC 8785 text of a JSON value: None, bool, int, float, str, lists and dicts of these.
    Raises DigestError for what has none."""
    try:
        text = _canonical(value, 0)
        text.encode("utf-8")
    except RecursionError:
        raise DigestError("nested too deep") from None
    except UnicodeEncodeError:
        raise DigestError("an unpaired surrogate") from None
    return text


def _canonical(value: Any, depth: int) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (int, float)):
        return _number(value)
    depth += 1
    if depth > MAX_DEPTH:
        raise DigestError("nested too deep")
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: _utf16(member[0]))
        return "{" + ",".join(f"{_string(k)}:{_canonical(v, depth)}" for k, v in members) + "}"
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return "[" + ",".join(_canonical(item, depth) for item in value) + "]"
    raise DigestError(f"{type(value).__name__} is no JSON value")


def _utf16(name: Any) -> bytes:
    if not isinstance(name, str):
        raise DigestError("a member's name is no string")
    return name.encode("utf-16-be")


def _string(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        char = match.group()
        return _ESCAPES.get(char) or f"\\u{ord(char):04x}"

    return '"' + _TO_ESCAPE.sub(escape, text) + '"'


def _number(value: int | float) -> str:
    """ECMAScript's Number::toString. Python's repr gives the same shortest digits; only the places
    where it changes to exponents differ."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DigestError("a number beyond doubles")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = digits[:1] + ("." + digits[1:] if count > 1 else "")
    return f"{sign}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def parse_json(text: str | bytes) -> Any:
    """The JSON value of `text`, with repeated names, NaN and numbers beyond doubles refused."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            raise DigestError("a repeated name")
        return value

    def constant(name: str) -> Any:
        raise DigestError(f"{name} is no JSON")

    try:
        if isinstance(text, (bytes, bytearray)):
            text = bytes(text).decode("utf-8")
        return json.loads(
            text,
            object_pairs_hook=members,
            parse_constant=constant,
            parse_int=float,
            parse_float=float,
        )
    except RecursionError:
        raise DigestError("nested too deep") from None
    except DigestError:
        raise
    except ValueError as error:
        raise DigestError(f"not JSON: {error}") from None


# -- parts ---------------------------------------------------------------------------------------


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(8, "big") + content


def _utf8(text: Any) -> bytes:
    if not isinstance(text, str):
        raise DigestError("not a string")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise DigestError("an unpaired surrogate") from None


def _entry(kind: int, content: bytes, filename: str = "", media_type: str = "") -> bytes:
    return bytes((kind,)) + _sized(content) + _sized(_utf8(filename)) + _sized(_utf8(media_type))


def _base64(text: Any) -> bytes:
    """ProtoJSON takes the standard and the URL alphabet, padded or not."""
    plain = _utf8(text).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise DigestError(f"bad base64: {error}") from None


def part_from_json(part: Mapping[str, Any], dialect: str = "1.0") -> bytes:
    """The hashed bytes of a part of A2A 1.0's JSON, as parsed by `parse_json` or `json.loads`, when
    it travels in `dialect`."""
    if not isinstance(part, Mapping):
        raise DigestError("a part is no object")
    # In ProtoJSON null means absent, but `data` holds any value, null too.
    present = [k for k in _KINDS if k in part and (k == "data" or part[k] is not None)]
    if len(present) != 1:
        return _entry(0, canonical(part).encode("utf-8"))
    name = present[0]
    if name == "data":
        content = canonical(part["data"]).encode("utf-8")
    elif name == "raw":
        content = _base64(part["raw"])
    else:
        content = _utf8(part[name])
    if name in _BARE_IN[dialect]:
        return _entry(_KINDS[name], content)
    filename, media_type = part.get("filename"), part.get("mediaType", part.get("media_type"))
    return _entry(
        _KINDS[name],
        content,
        "" if filename is None else filename,
        "" if media_type is None else media_type,
    )


def part_from_proto(part: Any, dialect: str = "1.0") -> bytes:
    """The hashed bytes of an a2a-sdk 1.x `Part`, which is a protobuf message, when it travels in
    `dialect`."""
    name = part.WhichOneof("content")
    if name is None:
        from google.protobuf import json_format  # a2a-sdk brings it

        return _entry(0, canonical(json_format.MessageToDict(part)).encode("utf-8"))
    value = getattr(part, name)
    if name == "data":
        content = canonical(struct_value(value)).encode("utf-8")
    elif name == "raw":
        content = bytes(value)
    else:
        content = _utf8(value)
    if name in _BARE_IN[dialect]:
        return _entry(_KINDS[name], content)
    return _entry(_KINDS[name], content, part.filename, part.media_type)


def struct_value(value: Any) -> Any:
    """A google.protobuf.Value as a JSON value."""
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "struct_value":
        return {name: struct_value(item) for name, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [struct_value(item) for item in value.list_value.values]
    return getattr(value, kind)


# -- the digest ----------------------------------------------------------------------------------


def hashed_bytes(salt: bytes, parts: Iterable[Any], dialect: str = "1.0") -> bytes:
    """What `body_digest` hashes. `parts`: JSON dicts of A2A 1.0, or a2a-sdk 1.x Parts, or a mix.
    `dialect`: "1.0" or "0.3", in which they travel or travelled."""
    if len(salt) != SALT_LEN:
        raise DigestError(f"a salt of {len(salt)} bytes")
    hashed = [_DOMAIN, salt]
    for part in parts:
        try:
            from_proto = hasattr(part, "WhichOneof")
            entry = part_from_proto if from_proto else part_from_json
            hashed.append(entry(part, dialect))
        except RecursionError:
            raise DigestError("nested too deep") from None
    return b"".join(hashed)


def body_digest(salt: bytes, parts: Iterable[Any], dialect: str = "1.0") -> bytes:
    """The 32 bytes of `bdg`. Raises DigestError."""
    return hashlib.sha256(hashed_bytes(salt, parts, dialect)).digest()


def b64url(data: bytes) -> str:
    """RFC 4648 section 5, unpadded."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
