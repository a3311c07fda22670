# SPDX-License-Identifier: Apache-2.0
"""Section 6 of docs/tokens.md: the same body in three dialects has one digest."""

from __future__ import annotations

from typing import Any

from builder import BDG_1, PARTS_1, PARTS_2, SALT_1, b64
from reference import digest

RPC, REST = "0.3 JSON-RPC", "0.3 HTTP+JSON"


def part_03(part: dict[str, Any], dialect: str) -> dict[str, Any]:
    """A part of A2A 1.0 as the dialect writes it."""
    raw, url = ("bytes", "uri") if dialect == RPC else ("fileWithBytes", "fileWithUri")
    kind = {"kind": "file"} if dialect == RPC else {}
    names = {new: part[old] for old, new in (("filename", "name"), ("mediaType", "mimeType")) if old in part}
    if "text" in part:
        return ({"kind": "text"} if dialect == RPC else {}) | {"text": part["text"]}
    if "raw" in part:
        return {**kind, "file": {raw: part["raw"], **names}}
    if "url" in part:
        return {**kind, "file": {url: part["url"], **names}}
    data = part["data"]
    compat = not isinstance(data, dict)
    value = {"value": data} if compat else data
    made: dict[str, Any] = {"kind": "data", "data": value} if dialect == RPC else {"data": {"data": value}}
    return {**made, "metadata": {"data_part_compat": True}} if compat else made


BODIES: dict[str, list[dict[str, Any]]] = {
    "example": PARTS_1, "example_child": PARTS_2, "no_parts": [],
    "text_empty": [{"text": ""}], "text_unicode": [{"text": "Grüße, 世界 \U0001f600 \u007f\n"}],
    "text_two": [{"text": "a"}, {"text": "b"}], "text_joined": [{"text": "ab"}],
    "raw_empty": [{"raw": ""}], "raw_padded": [{"raw": "AQ=="}],
    "raw_named": [{"raw": "AAECAwQFBgcICQ==", "filename": "ä.bin", "mediaType": "application/octet-stream"}],
    "raw_plus_slash": [{"raw": "+/+/"}],
    "url": [{"url": "https://example.org/a?b=c#d"}],
    "url_named": [{"url": "https://example.org/x", "filename": "x", "mediaType": "text/html"}],
    "name_is_not_type": [{"raw": "AQID", "filename": "text/html"}],
    "type_is_not_name": [{"raw": "AQID", "mediaType": "text/html"}],
    "data_empty": [{"data": {}}],
    "data_order": [{"data": {"b": 1, "a": 2, "aa": 3, "": 4}}],
    "data_utf16_order": [{"data": {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "\r": 4, "1": 5, "\u0080": 6}}],
    "data_escapes": [{"data": {"x": "\u0001\u001f\"\\/\b\f\n\r\t\u007f\u2028é"}}],
    "data_numbers": [{"data": {"n": [0, -0.0, 1.0, -1, 1e21, 1e20, 123456789012345680000, 1e-6, 1e-7, 0.1,
                                     1.5, 5e-324, 1.7976931348623157e308, 333333333.33333329, 4.50,
                                     2e-3, 1e23, 9007199254740993]}}],
    "data_nested": [{"data": {"a": [True, False, None, {"b": [[]]}]}}],
    "data_null": [{"data": None}], "data_string": [{"data": "x"}], "data_number": [{"data": 1.0}],
    "data_array": [{"data": [1, {"b": 1, "a": 2}]}], "data_false": [{"data": False}],
}


def made() -> list[dict[str, Any]]:
    """The `digests` of the vectors."""
    out = []

    def add(name: str, dialect: str, parts: list[Any], salt: bytes = SALT_1) -> None:
        try:
            found: str | None = b64(digest.body_digest(parts, salt, dialect))
        except digest.NoDigest:
            found = None
        out.append({"name": name, "dialect": dialect, "parts": parts, "salt": b64(salt), "bdg": found})

    for name, parts in BODIES.items():
        add(name, "1.0", parts)
        for dialect in (RPC, REST):
            add(name, dialect, [part_03(part, dialect) for part in parts])
    add("other_salt", "1.0", PARTS_1, SALT_1[::-1])
    add("text_with_media_type", "1.0", [{"text": "<b>", "mediaType": "text/html"}])
    add("data_with_filename", "1.0", [{"data": {"a": 1}, "filename": "a.json"}])
    add("no_content", "1.0", [{"filename": "x", "mediaType": "text/plain"}])
    add("two_contents", "1.0", [{"text": "a", "raw": "AQID"}])
    add("unknown_content", "1.0", [{"video": {"b": 2, "a": 1.0}}])
    add("unknown_content", RPC, [{"kind": "video", "video": "x"}])
    add("two_contents", RPC, [{"kind": "text", "text": "a", "data": {}}])
    add("file_with_both", RPC, [{"kind": "file", "file": {"bytes": "AQID", "uri": "https://example.org/"}}])
    add("data_compat_false", RPC, [{"kind": "data", "data": {"value": 1}, "metadata": {"data_part_compat": False}}])
    add("data_compat_not_bool", RPC, [{"kind": "data", "data": {"value": 1}, "metadata": {"data_part_compat": "true"}}])
    add("raw_padded_or_not", "1.0", [{"raw": "AQ"}])
    add("raw_url_alphabet", "1.0", [{"raw": "-_-_"}])
    add("bad_base64", "1.0", [{"raw": "A*=="}])
    add("bad_base64_length", "1.0", [{"raw": "AQIDA"}])
    add("bad_base64", RPC, [{"kind": "file", "file": {"bytes": "A*=="}}])
    example = [row["bdg"] for row in out if row["name"] == "example"]
    assert example == [BDG_1] * 3, example
    return out
