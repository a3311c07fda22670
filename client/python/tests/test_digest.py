# SPDX-License-Identifier: Apache-2.0
"""The body digest of TOKENS.md section 6 and the RFC 8785 form below it."""

from __future__ import annotations

import json
import math
import random
import struct

import pytest

from waybill import digest
from waybill.digest import DigestError

SALT = bytes(range(16))


@pytest.mark.parametrize(
    "part",
    [
        {"raw": "A"},
        {"raw": "AQ=I"},
        {"raw": "A*ID"},
        {"raw": 5},
        {"text": 5},
        {"text": "\ud800"},
        {"text": "x", "filename": "\udfff"},
        {"text": "x", "filename": False},
        {"text": "x", "mediaType": []},
        {"data": float("nan")},
        {"data": {"a": math.inf}},
        {"data": 10**400},
        {"data": ["\ud800"]},
        {"data": {"\udc00": 1}},
        {"data": {1: 2}},
        {"data": {1, 2}},
        "text",
        None,
    ],
)
def test_a_part_without_a_digest_is_refused(part: object) -> None:
    with pytest.raises(DigestError):
        digest.body_digest(SALT, [part])


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        "[NaN]",
        "[Infinity]",
        "{",
        "",
        "\ufeff{}",
        b"\xff",
        "[" * 100_000,
        "nul",
    ],
)
def test_json_that_means_different_things_is_refused(text: str | bytes) -> None:
    with pytest.raises(DigestError):
        digest.parse_json(text)


@pytest.mark.parametrize("text", ["1e400", '{"a":' + "9" * 400 + "}", '"\\ud800"', '{"\\udc00":1}'])
def test_json_that_parses_but_has_no_canonical_form_is_refused(text: str) -> None:
    value = digest.parse_json(text)
    with pytest.raises(DigestError):
        digest.canonical(value)


def test_nesting_beyond_the_limit_is_refused() -> None:
    deepest = "[" * digest.MAX_DEPTH + "]" * digest.MAX_DEPTH
    assert digest.canonical(json.loads(deepest)) == deepest
    with pytest.raises(DigestError):
        digest.canonical([json.loads(deepest)])


def test_nesting_beyond_the_stack_is_refused() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(DigestError):
        digest.canonical(value)


@pytest.mark.parametrize("salt", [b"", SALT[:15], SALT + b"\0"])
def test_a_salt_has_sixteen_bytes(salt: bytes) -> None:
    with pytest.raises(DigestError):
        digest.body_digest(salt, [])


EXAMPLE = (
    "77617962696c6c2d6264672d763100000102030405060708090a0b0c0d0e0f0100000000000000024869000000000000"
    "00000000000000000000020000000000000003010203000000000000000561"
    "2e62696e00000000000000000400000000000000107b2261223a22c3a9222c2262223a317d"
    "00000000000000000000000000000000"
)
PARTS = [{"text": "Hi"}, {"raw": "AQID", "filename": "a.bin"}, {"data": {"b": 1.0, "a": "é"}}]


def test_the_example_of_the_specification_to_the_byte() -> None:
    hashed = digest.hashed_bytes(SALT, PARTS)
    assert len(hashed) == 132
    assert hashed.hex() == EXAMPLE
    assert digest.b64url(digest.body_digest(SALT, PARTS)) == (
        "mPrPf8oygCYGJaUIyY-kDG8m08as9joGxEta4gYTIPM"
    )


def test_the_example_of_the_child_token() -> None:
    made = digest.body_digest(bytes(range(16, 32)), [{"text": "Find it"}])
    assert digest.b64url(made) == "na3s7IAwkCNg3s-fp0OOAN_8MDpRvdTF9znQwyCKzac"


@pytest.mark.parametrize(
    "changed",
    [
        [{"text": "Hj"}, *PARTS[1:]],
        [PARTS[0], {"raw": "AQIC", "filename": "a.bin"}, PARTS[2]],
        [PARTS[0], {"raw": "AQID", "filename": "b.bin"}, PARTS[2]],
        [PARTS[0], {"raw": "AQID", "filename": "a.bin", "mediaType": "x"}, PARTS[2]],
        [PARTS[1], PARTS[0], PARTS[2]],
        PARTS[:2],
        [{"url": "Hi"}, *PARTS[1:]],
        [*PARTS[:2], {"data": {"b": 1.0, "a": "e"}}],
    ],
)
def test_any_change_of_a_part_changes_the_digest(changed: list[object]) -> None:
    assert digest.body_digest(SALT, changed) != digest.body_digest(SALT, PARTS)


def test_what_two_dialects_write_alike_has_one_digest() -> None:
    one = digest.body_digest(SALT, [{"raw": "_-8=", "text": None}, {"data": None}])
    assert one == digest.body_digest(SALT, [{"raw": "/+8"}, {"data": None, "url": None}])


def test_a_part_of_no_kind_or_several_is_hashed_whole() -> None:
    for part in ({"metadata": {"a": 1}}, {"text": "a", "url": "b"}, {}):
        hashed = digest.hashed_bytes(SALT, [part])
        whole = digest.canonical(part).encode()
        assert hashed[31:] == b"\0" + len(whole).to_bytes(8, "big") + whole + b"\0" * 16


# RFC 8785 appendix B
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_of_the_rfc(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert digest.canonical(number) == text


def test_a_number_s_text_is_the_same_number() -> None:
    rng = random.Random(11)
    for _ in range(20_000):
        (number,) = struct.unpack("<d", rng.randbytes(8))
        if math.isfinite(number):
            assert float(digest.canonical(number)) == number
        small = rng.randrange(-(10**18), 10**18) / 10 ** rng.randrange(25)
        assert float(digest.canonical(small)) == small


def test_integers_are_rounded_to_doubles_first() -> None:
    assert digest.canonical(9007199254740993) == "9007199254740992"
    assert digest.canonical(digest.parse_json("9007199254740993")) == "9007199254740992"


def test_members_are_ordered_by_utf16_units() -> None:
    # RFC 8785 section 3.2.3
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    names = list(json.loads(digest.canonical(value)))
    assert names == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_strings_have_the_short_escapes() -> None:
    assert digest.canonical('\u20ac$\u000f\nA\'B"\\"/\x7f') == '"€$\\u000f\\nA\'B\\"\\\\\\"/\x7f"'


def test_protobuf_parts_have_the_digest_of_their_json() -> None:
    a2a_pb2 = pytest.importorskip("a2a.types.a2a_pb2")
    from google.protobuf import json_format

    parts = [
        *PARTS,
        {"text": ""},
        {"text": "x", "filename": "n", "mediaType": "text/plain"},
        {"url": "https://example.org/ä", "mediaType": "image/png"},
        {"data": None},
        {"data": [1, 2.5, -0.0, 1e300, True, None, "é", {"z": [], "a": {}}]},
        {"raw": ""},
        {"metadata": {"k": 5}, "filename": "f"},
    ]
    for part in parts:
        proto = json_format.ParseDict(part, a2a_pb2.Part())
        assert digest.hashed_bytes(SALT, [proto]) == digest.hashed_bytes(SALT, [part]), part


def test_a_protobuf_number_that_json_lacks_is_refused() -> None:
    a2a_pb2 = pytest.importorskip("a2a.types.a2a_pb2")
    part = a2a_pb2.Part()
    part.data.number_value = math.nan
    with pytest.raises(DigestError):
        digest.body_digest(SALT, [part])
