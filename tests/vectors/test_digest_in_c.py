# SPDX-License-Identifier: Apache-2.0
"""The body digest of the C client, through tests/support/digest_feed.c: the published digests in every
dialect, and random bodies and numbers against the two implementations in Python."""

from __future__ import annotations

import json
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
from typing import Any

import pytest
from digests import REST, RPC, part_03
from reference import digest
from reference.strict import b64url
from waybill_testkit import find_program

from waybill import digest as client_digest

FILE = pathlib.Path(__file__).with_name("token_v1.json")
DIGESTS: list[dict[str, Any]] = json.loads(FILE.read_text("ascii"))["digests"]
WORDS = {"1.0": "1.0", RPC: "rpc", REST: "http"}
SALT = bytes(range(16))
DOUBLES = 100_000

Request = tuple[str, str, bytes]


def answers(requests: list[Request], env: dict[str, str] | None = None) -> list[str | None]:
    """One for each: the digest in hex or the canonical form, None where there is none."""
    sent = b"".join(f"{word} {salt} {len(text)}\n".encode() + text for word, salt, text in requests)
    done = subprocess.run([find_program("digest_feed")], input=sent, capture_output=True, timeout=300,
                          env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    lines = done.stdout.decode("utf-8").split("\n")[:-1]
    assert len(lines) == len(requests)
    assert all(line.startswith(("= ", "! malformed: ")) for line in lines)
    return [line[2:] if line[0] == "=" else None for line in lines]


def of_parts(text: str | bytes, dialect: str = "1.0", salt: bytes = SALT) -> Request:
    return WORDS[dialect], salt.hex(), text if isinstance(text, bytes) else text.encode()


def of_value(text: str | bytes) -> Request:
    return "canonical", "-", text if isinstance(text, bytes) else text.encode()


def by_client(text: str | bytes) -> str | None:
    try:
        return client_digest.body_digest(SALT, client_digest.parse_json(text)).hex()
    except client_digest.DigestError:
        return None


def form_by_client(text: str | bytes) -> str | None:
    try:
        return client_digest.canonical(client_digest.parse_json(text))
    except client_digest.DigestError:
        return None


def by_reference(parts: list[Any], dialect: str) -> str | None:
    try:
        return digest.body_digest(parts, SALT, dialect).hex()
    except ValueError:
        return None


def test_every_published_digest_comes_out_in_its_dialect():
    requests, expected = [], []
    for row in DIGESTS:
        salt, bdg = b64url(row["salt"], 16), row["bdg"] and b64url(row["bdg"], 32)
        assert salt
        requests.append(of_parts(json.dumps(row["parts"]), row["dialect"], salt))
        expected.append(bdg and bdg.hex())
    assert len(requests) == 94 and expected.count(None) == 3
    got = answers(requests)
    assert [row for row, a, b in zip(DIGESTS, got, expected) if a != b] == []


# ---- numbers -------------------------------------------------------------------------------------


def doubles() -> list[float]:
    """Of every size: random bits, subnormals, powers of two and their neighbours, short decimals."""
    rng = random.Random(8785)
    found = [math.ldexp(1, n) for n in range(-1074, 1024)]
    found += [math.nextafter(x, to) for x in found for to in (0, math.inf)]
    found += [float(f"1e{n}") for n in range(-323, 309)]
    while len(found) < DOUBLES:
        kind = rng.randrange(4)
        bits = rng.getrandbits(64) if kind else rng.getrandbits(52)  # the latter subnormal
        (value,) = struct.unpack("<d", struct.pack("<Q", bits))
        if kind == 2:
            value = rng.randrange(10**17) / 10 ** rng.randrange(25)
        if kind == 3:
            value = float(f"{rng.randrange(10**5)}e{rng.randrange(-320, 300)}")
        if math.isfinite(value):
            found.append(value)
    return found


def in_lots(values: list[float], size: int = 1000) -> list[list[float]]:
    return [values[i : i + size] for i in range(0, len(values), size)]


def text_of(lot: list[float]) -> str:
    """More digits than a double has, so that the shortest ones have to be found."""
    return "[" + ",".join(f"{value:.25e}" for value in lot) + "]"


def test_a_hundred_thousand_doubles_are_written_as_python_s_repr_has_them():
    values = doubles()
    assert sum(0 < abs(value) < 2.3e-308 for value in values) > 10_000
    assert len(values) >= DOUBLES
    lots = in_lots(values)
    forms = answers([of_value(text_of(lot)) for lot in lots])
    for lot, form in zip(lots, forms):
        assert form is not None
        texts = form[1:-1].split(",")
        for value, text in zip(lot, texts, strict=True):
            assert text == client_digest.canonical(value) and float(text) == value


def comma_locale(folder: pathlib.Path) -> dict[str, str]:
    """An environment whose decimal point is a comma."""
    name = "de_DE.UTF-8"
    compiler = shutil.which("localedef")
    if not compiler:
        pytest.skip("no localedef here")
    # 1: with warnings
    made = subprocess.run([compiler, "-i", "de_DE", "-f", "UTF-8", folder / name], capture_output=True)
    if made.returncode not in (0, 1) or not (folder / name / "LC_NUMERIC").exists():
        pytest.skip("no sources of locales here")
    env = {"LOCPATH": str(folder), "LC_ALL": name}
    said = subprocess.run(["printf", "%.1f", "1"], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], **env}).stdout
    assert said == "1,0"
    return env


def test_numbers_do_not_depend_on_the_locale(tmp_path):
    env = comma_locale(tmp_path)
    lot = doubles()[:: DOUBLES // 1000]
    (form,) = answers([of_value(text_of(lot))], env)
    assert form == client_digest.canonical(lot)


# ---- random bodies -------------------------------------------------------------------------------

CHARS = "aZ09 \t\n\r\b\f\x00\x01\x1f\"\\/\x7f\x80é€דּ\ue000\uffff\U00010000😀\U0010ffff"
NAMES = ("", "a", "b", "aa", "é", "דּ", "😀", "\ue000", "\r", "10", "9", "text", "data", "value", "kind")
SCALARS = ("null", "true", "false", "0", "-0", "-0.0", "1e400", "-1e999", "1E5", "0.1e-7", "123.456",
           "9007199254740993", "5e-324", "1e21", "1e-400", "100000000000000000000", "2.5")
BASE64 = ("", "AQID", "AQ==", "AQ", "AQI=", "AQI", "-_-_", "+/+/", "A", "AQIDA", "A*==", "AQ=I", "AQ ID",
          "====", "AR==", "QUJD\n", "AQID\x00", "é")


def any_text(rng: random.Random) -> str:
    return "".join(rng.choice(CHARS) for _ in range(rng.randrange(6)))


def quoted(rng: random.Random, text: str) -> str:
    """JSON has more than one way to write a string."""
    made = json.dumps(text, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1:
        made = made[:-1] + rng.choice(("\\/", "\\u0041", "\\u00E9", "\\uD83D\\uDE00")) + '"'
    return made


def spaced(rng: random.Random) -> str:
    return rng.choice(("", "", "", " ", "\n\t"))


def any_value(rng: random.Random, depth: int = 0, faults: bool = True) -> str:
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return rng.choice([x for x in SCALARS if faults or "e400" not in x and "e999" not in x])
    if kind == 2:
        return repr(rng.uniform(-1, 1) * 10 ** rng.randrange(-30, 30))
    if kind < 5:
        broken = faults and rng.random() < 0.03
        return '"\\ud800"' if broken else quoted(rng, any_text(rng))
    items = [any_value(rng, depth + 1, faults) for _ in range(rng.randrange(5))]
    if kind == 5:
        return "[" + (spaced(rng) + ",").join(items) + spaced(rng) + "]"
    if rng.random() < (0.97 if faults else 1):
        names = rng.sample(NAMES, len(items))
    else:
        names = [rng.choice(NAMES[:3]) for _ in items]
    members = [spaced(rng) + quoted(rng, name) + spaced(rng) + ":" + item for name, item in zip(names, items)]
    return "{" + ",".join(members) + spaced(rng) + "}"


def any_member(rng: random.Random, name: str) -> str:
    if rng.random() < 0.08:
        return rng.choice(("null", "5", "false", "[]", "{}", '""'))
    if name == "data":
        return any_value(rng)
    if name == "metadata":
        return any_value(rng, faults=False)
    return json.dumps(rng.choice(BASE64)) if name == "raw" else quoted(rng, any_text(rng))


def any_part(rng: random.Random) -> str:
    if rng.random() < 0.02:
        return any_value(rng, faults=False)
    names = [rng.choice(("text", "raw", "url", "data"))]
    names += [name for name in ("filename", "mediaType", "media_type", "metadata", "x") if rng.random() < 0.2]
    names += [name for name in ("text", "raw", "url", "data") if rng.random() < 0.04]
    names = list(dict.fromkeys(names[rng.random() < 0.05 :]))
    rng.shuffle(names)
    return "{" + ",".join(f'"{name}":{spaced(rng)}{any_member(rng, name)}' for name in names) + "}"


def any_parts(rng: random.Random) -> str:
    return "[" + ",".join(any_part(rng) for _ in range(rng.randrange(4))) + "]" + spaced(rng)


def test_random_parts_have_the_python_client_s_digest_or_none():
    rng = random.Random(1)
    texts = [any_parts(rng) for _ in range(6000)]
    expected = [by_client(text) for text in texts]
    assert 1000 < expected.count(None) < 4000
    got = answers([of_parts(text) for text in texts])
    assert [text for text, a, b in zip(texts, got, expected) if a != b] == []


def test_broken_parts_are_refused_by_both():
    """Any byte of a text changed, lost or doubled: mostly no JSON, and now and then other JSON."""
    rng = random.Random(2)
    texts = []
    for _ in range(4000):
        text = bytearray(any_parts(rng).encode())
        at = rng.randrange(len(text))
        text[at : at + rng.randrange(2)] = rng.choice((b"", rng.randbytes(1), text[at : at + 1] * 2, b"}"))
        texts.append(bytes(text))
    expected = [by_client(text) for text in texts]
    assert 1000 < expected.count(None) < 4000
    got = answers([of_parts(text) for text in texts])
    # Half a surrogate pair where nothing is hashed: C refuses the text, Python does not see it.
    differing = [text for text, a, b in zip(texts, got, expected) if a != b]
    assert [text for text in differing if b"\\u" not in text] == [] and len(differing) < 10


def test_random_values_have_the_python_client_s_form_or_none():
    rng = random.Random(3)
    texts = [any_value(rng) for _ in range(6000)]
    expected = [form_by_client(text) for text in texts]
    assert 500 < expected.count(None) < 3000
    got = answers([of_value(text) for text in texts])
    assert [text for text, a, b in zip(texts, got, expected) if a != b] == []


def part_of(rng: random.Random) -> dict[str, Any]:
    """One that 1.0 and 0.3 can both say."""
    name = rng.choice(("text", "raw", "url", "data"))
    part: dict[str, Any] = {name: json.loads(any_member(rng, name)) if name != "raw" else rng.choice(BASE64)}
    if name in ("text", "url") and not isinstance(part[name], str):
        part[name] = any_text(rng)
    if name in ("raw", "url"):
        part |= {key: any_text(rng) for key in ("filename", "mediaType") if rng.random() < 0.3}
    return part


@pytest.mark.parametrize("dialect", [RPC, REST])
def test_random_parts_of_0_3_have_the_reference_s_digest_and_that_of_1_0(dialect):
    rng = random.Random(4)
    bodies = [[part_of(rng) for _ in range(rng.randrange(3))] for _ in range(3000)]
    old = [[part_03(part, dialect) for part in body] for body in bodies]
    expected = [by_reference(body, dialect) for body in old]
    assert 300 < expected.count(None) < 2000
    texts = [json.dumps(body, allow_nan=True).replace("Infinity", "1e999") for body in old]
    got = answers([of_parts(text, dialect) for text in texts])
    assert [text for text, a, b in zip(texts, got, expected) if a != b] == []
    in_1_0 = [json.dumps(body).replace("Infinity", "1e999") for body in bodies]
    assert answers([of_parts(text) for text in in_1_0]) == got


# ---- limits --------------------------------------------------------------------------------------


def test_both_have_one_limit_of_depth():
    deepest = "[" * client_digest.MAX_DEPTH + "]" * client_digest.MAX_DEPTH
    for value, taken in ((deepest, True), (f"[{deepest}]", False)):
        (form, sent) = answers([of_value(value), of_parts('[{"data":' + value + "}]")])
        assert (form is not None) == (sent is not None) == taken
        assert form == form_by_client(value) and sent == by_client('[{"data":' + value + "}]")
    assert answers([of_value("[" * 100_000)]) == [None]


def test_half_a_surrogate_pair_is_refused_wherever_it_is():
    """The one text that the C client refuses and the Python client may not have a look at."""
    text = '[{"text":"a","metadata":{"x":"\\ud800"}}]'
    assert by_client(text) is not None
    assert answers([of_parts(text)]) == [None]
