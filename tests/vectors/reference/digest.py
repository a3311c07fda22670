# SPDX-License-Identifier: Apache-2.0
"""Section 6 of docs/tokens.md: the digest of a message's body, from the JSON of three dialects."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from typing import Any

DIALECTS = ("1.0", "0.3 JSON-RPC", "0.3 HTTP+JSON")


class NoDigest(ValueError):
    """The part cannot be told by one sequence of bytes."""


def body_digest(parts: list[Any], salt: bytes, dialect: str) -> bytes:
    hashed = b"waybill-bdg-v1\0" + salt
    for part in parts:
        kind, content, filename, media = _part(part, dialect)
        hashed += bytes([kind]) + _sized(content) + _sized(filename.encode())
        hashed += _sized(media.encode())
    return hashlib.sha256(hashed).digest()


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(8, "big") + content


def _part(part: dict[str, Any], dialect: str) -> tuple[int, bytes, str, str]:
    found = _contents(part, dialect)
    if len(found) != 1:
        return 0, canonical(part).encode(), "", ""
    kind, value, filename, media = found[0]
    if kind in (1, 3):
        return kind, value.encode(), filename, media
    if kind == 4:
        return kind, canonical(value).encode(), filename, media
    return kind, _decoded(value), filename, media


def _decoded(text: str) -> bytes:
    """Base64 as ProtoJSON takes it: either alphabet, padded or not."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise NoDigest("bad base64") from None


def _contents(part: dict[str, Any], dialect: str) -> list[tuple[int, Any, str, str]]:
    """(kind, content, filename, mediaType) of each kind of content that the part has."""
    if dialect == "1.0":
        names = (part.get("filename", ""), part.get("mediaType", ""))
        kinds = (("text", 1), ("raw", 2), ("url", 3), ("data", 4))
        return [(kind, part[name], *names) for name, kind in kinds if name in part]
    found: list[tuple[int, Any, str, str]] = []
    if "text" in part:
        found.append((1, part["text"], "", ""))
    raw, url = ("bytes", "uri") if dialect == "0.3 JSON-RPC" else ("fileWithBytes", "fileWithUri")
    file = part.get("file", {})
    names = (file.get("name", ""), file.get("mimeType", ""))
    found += [(kind, file[name], *names) for name, kind in ((raw, 2), (url, 3)) if name in file]
    if "data" in part:
        data = part["data"] if dialect == "0.3 JSON-RPC" else part["data"]["data"]
        if part.get("metadata", {}).get("data_part_compat") is True:
            data = data["value"]
        found.append((4, data, "", ""))
    return found


def canonical(value: Any) -> str:
    """RFC 8785."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_string(n)}:{canonical(value[n])}" for n in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _number(float(value))


def _string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NoDigest("an unpaired surrogate") from None
    return json.dumps(text, ensure_ascii=False)


def _number(number: float) -> str:
    """ECMA-262, Number::toString: k digits that stand for 0.digits * 10^n."""
    if not math.isfinite(number):
        raise NoDigest("a number beyond doubles")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, exponent = f"{abs(number)!r}e0".split("e")[:2]
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    n = len(whole) + int(exponent) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    k = len(digits)
    if k <= n <= 21:
        return sign + digits + "0" * (n - k)
    if 0 < n <= 21:
        return f"{sign}{digits[:n]}.{digits[n:]}"
    if -6 < n <= 0:
        return f"{sign}0.{'0' * -n}{digits}"
    point = "." + digits[1:] if k > 1 else ""
    return f"{sign}{digits[0]}{point}e{n - 1:+d}"
