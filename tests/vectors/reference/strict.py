# SPDX-License-Identifier: Apache-2.0
"""Section 3 of docs/tokens.md: base64url and JSON, each value with one spelling only."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

NOLIM = 2**53 - 1
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Fault(Exception):
    """A check failed; `code` is that of section 8."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def b64url(text: str | bytes, length: int | None = None) -> bytes | None:
    """The bytes that `text` spells, or None. `length`: how many they must be."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) % 4 == 1 or any(byte not in ALPHABET for byte in raw):
        return None
    value = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    if base64.urlsafe_b64encode(value).rstrip(b"=") != raw:
        return None  # unused low bits that are not 0
    return value if length is None or len(value) == length else None


class Limits(NamedTuple):
    depth: int
    members: int
    elements: int
    string: int
    any_number: bool  # every RFC 8259 number; else the plain integers of section 3


TOKEN = Limits(depth=3, members=40, elements=40, string=255, any_number=False)
ANY = Limits(depth=100, members=1 << 30, elements=1 << 30, string=1 << 30, any_number=True)

_SPACE = " \t\n\r"
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NUMBER = set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.")


def read_object(raw: bytes, limits: Limits) -> dict[str, Any]:
    """One JSON object and nothing else. Raises Fault with the code of the leftmost fault."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Fault("WB_E_UTF8") from None
    if text.startswith("\ufeff"):
        raise Fault("WB_E_UTF8")
    return _Reader(text, limits).whole()


class _Reader:
    def __init__(self, text: str, limits: Limits) -> None:
        self.text, self.limits, self.at = text, limits, 0

    def whole(self) -> dict[str, Any]:
        self.space()
        if self.peek() != "{":
            raise Fault("WB_E_JSON")
        value = self.container(1)
        self.space()
        if self.peek():
            raise Fault("WB_E_JSON")
        return value

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def space(self) -> None:
        while self.peek() and self.peek() in _SPACE:
            self.at += 1

    def value(self, depth: int) -> Any:
        first = self.peek()
        if first and first in "{[":
            return self.container(depth + 1)
        if first == '"':
            return self.string()
        if first and first in "0123456789+-.":
            return self.number()
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        raise Fault("WB_E_JSON")

    def container(self, depth: int) -> Any:
        if depth > self.limits.depth:
            raise Fault("WB_E_DEPTH_JSON")
        close = "}" if self.peek() == "{" else "]"
        self.at += 1
        members: dict[str, Any] = {}
        elements: list[Any] = []
        self.space()
        while self.peek() != close:
            self.member(members, depth) if close == "}" else self.element(elements, depth)
            self.space()
            if self.peek() == ",":
                self.at += 1
                self.space()
                if self.peek() == close:
                    raise Fault("WB_E_JSON")
            elif self.peek() != close:
                raise Fault("WB_E_JSON")
        self.at += 1
        return members if close == "}" else elements

    def member(self, members: dict[str, Any], depth: int) -> None:
        if self.peek() != '"':
            raise Fault("WB_E_JSON")
        if len(members) == self.limits.members:
            raise Fault("WB_E_SIZE")
        name = self.string()
        if name in members:
            raise Fault("WB_E_JSON_DUP")
        self.space()
        if self.peek() != ":":
            raise Fault("WB_E_JSON")
        self.at += 1
        self.space()
        members[name] = self.value(depth)

    def element(self, elements: list[Any], depth: int) -> None:
        if not self.peek() or self.peek() not in '"{[tfn0123456789+-.':
            raise Fault("WB_E_JSON")
        if len(elements) == self.limits.elements:
            raise Fault("WB_E_SIZE")
        elements.append(self.value(depth))

    def string(self) -> str:
        self.at += 1
        out, size = [], 0
        while self.peek() != '"':
            char = self.peek()
            if not char or char < " ":
                raise Fault("WB_E_JSON")
            self.at += 1
            out.append(self.escape() if char == "\\" else char)
            size += len(out[-1].encode())
            if size > self.limits.string:
                raise Fault("WB_E_SIZE")
        self.at += 1
        return "".join(out)

    def escape(self) -> str:
        char = self.peek()
        self.at += 1
        if char == "u":
            return self.unicode()
        if char and char in _SHORT:
            return _SHORT[char]
        raise Fault("WB_E_JSON")

    def unicode(self) -> str:
        high = self.hex4()
        if high == 0 or 0xDC00 <= high < 0xE000:
            raise Fault("WB_E_UTF8")
        if not 0xD800 <= high < 0xDC00:
            return chr(high)
        if not self.text.startswith("\\u", self.at):
            raise Fault("WB_E_UTF8")
        self.at += 2
        low = self.hex4()
        if not 0xDC00 <= low < 0xE000:
            raise Fault("WB_E_UTF8")
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)

    def hex4(self) -> int:
        digits = self.text[self.at : self.at + 4]
        if len(digits) < 4 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise Fault("WB_E_JSON")
        self.at += 4
        return int(digits, 16)

    def number(self) -> int | float:
        start = self.at
        while self.peek() and self.peek() in _NUMBER:
            self.at += 1
        text = self.text[start : self.at]
        plain = text.isdigit() and (text == "0" or text[0] != "0")
        if plain and int(text) <= NOLIM:
            return int(text)
        if self.limits.any_number and _rfc8259(text):
            return float(text)
        raise Fault("WB_E_NUM")


def _rfc8259(text: str) -> bool:
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, dot, fraction = mantissa.removeprefix("-").partition(".")
    if "e" in text.lower() and not exponent.removeprefix("-").removeprefix("+").isdigit():
        return False
    if dot and not fraction.isdigit():
        return False
    return whole.isdigit() and (whole == "0" or whole[0] != "0")
