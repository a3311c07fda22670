# SPDX-License-Identifier: Apache-2.0
"""The published vectors, four ways: C library, sidecar over its socket, command line, and a verifier
in Python that was written from docs/tokens.md alone. All must say what the file expects."""

from __future__ import annotations

import collections
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

import accept_host
import pytest
from reference import curve, digest, verifier
from reference.strict import b64url
from waybill_testkit import ROOT, find_program

from waybill import _wire
from waybill import digest as client_digest

Json = dict[str, Any]
FILE = pathlib.Path(__file__).with_name("token_v1.json")
VECTORS: Json = json.loads(FILE.read_text("ascii"))
CASES = {case["name"]: case for case in VECTORS["cases"]}

# Rows of section 17 of which one message can show something.
ROWS = {1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 22, 24}
# Row 6 is the list of digests, row 25 tests/integration; 20, 21 and 23 are about more than a message.


def lines(*command: Any) -> dict[str, Json]:
    """By case: what a program printed, an object a line."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return {answer.pop("name"): answer for answer in said}


def differing(said: dict[str, Json]) -> list[str]:
    assert set(said) == set(CASES)
    return [f"{name}: expected {case['expect']}, said {said[name]}"
            for name, case in CASES.items() if said[name] != case["expect"]]


# ---- the file ------------------------------------------------------------------------------------


def test_the_file_is_what_is_made():
    done = subprocess.run([sys.executable, FILE.with_name("make.py"), "--check"], timeout=60)
    assert done.returncode == 0


def test_the_file_has_the_published_shape():
    assert set(VECTORS) == {"version", "keys", "bundles", "digests", "cases"}
    assert VECTORS["version"] == 1
    for case in CASES.values():
        assert set(case) - {"row"} in ({"name", "now", "config", "state", "message", "expect", carrier}
                                       for carrier in ("carrier", "carrier_text"))
        assert set(case["config"]) == {"self_ids", "skew", "mode", "callbacks", "policies", "bundles",
                                       "own_keys", "revoked"}
        assert set(case["state"]) == {"replay", "owners", "tasks", "purged", "recovered",
                                      "replay_full", "rate_empty"}
        assert set(case["expect"]) - {"acceptance"} == {"verdict", "verified", "code", "class",
                                                        "warnings"}
        assert ("acceptance" in case["expect"]) == (case["expect"]["verdict"] == "DUPLICATE")


def names_in_header(prefix: str) -> list[str]:
    """The codes or warnings that the C code knows, from where it defines them."""
    text = (ROOT / "propagation" / "token.h").read_text()
    kind = "wb_token_code" if prefix == "WB_E_" else "wb_token_warning"
    body = re.search(rf"typedef enum {kind} {{(.*?)}} {kind};", text, re.S)
    assert body
    found = re.findall(rf"^\s*({prefix}[A-Z0-9_]+)\b", body[1], re.M)
    return [name for name in found if name != "WB_E_NONE"]


def test_every_code_of_the_header_has_a_vector(capsys):
    codes = names_in_header("WB_E_")
    rows = re.findall(r"CODE\(([A-Z]\w+),", (ROOT / "propagation" / "token_code.c").read_text())
    assert [f"WB_E_{row}" for row in rows] == codes
    covered = {case["expect"]["code"] for case in CASES.values()} - {None}
    with capsys.disabled():
        print(f"\ncodes in the header: {len(codes)}, covered: {len(covered & set(codes))}")
    assert covered == set(codes)
    assert {code: verifier.CLASS_OF[code] for code in codes} == verifier.CLASS_OF


def test_every_warning_verdict_and_row_has_a_vector():
    warnings = names_in_header("WB_W_")
    assert list(verifier.WARNINGS) == warnings
    assert {name for case in CASES.values() for name in case["expect"]["warnings"]} == set(warnings)
    outcomes = {(case["expect"]["verdict"], case["expect"]["verified"]) for case in CASES.values()}
    assert outcomes == {("CONTINUE", True), ("LINK", True), ("LINK", False), ("DUPLICATE", True),
                        ("REJECT", False)}
    assert {case["row"] for case in CASES.values() if "row" in case} == ROWS


def test_the_worked_example_is_there_byte_by_byte():
    text = (ROOT / "docs" / "tokens.md").read_text("utf-8")
    joined = "".join(text.split("## 19")[1].split())
    chain = CASES["example_chain"]["carrier"]
    assert len(chain["chain"]) == 2 and chain["salt"] == "EBESExQVFhcYGRobHB0eHw"
    for link, size in zip(chain["chain"], (786, 885)):
        assert len(link) == size and link in joined
        assert verifier.sha256_b64(link.encode()) in joined


# ---- four ways -----------------------------------------------------------------------------------


def test_the_reference_agrees():
    assert differing({name: verifier.run(case, VECTORS) for name, case in CASES.items()}) == []


def test_the_library_agrees():
    assert differing(lines(find_program("vector_verify"), FILE)) == []


def test_the_command_line_agrees():
    said = lines(find_program("waybill"), "token", "verify", "--vectors", FILE, "--json")
    assert all(answer.pop("agrees") for answer in said.values())
    assert differing(said) == []


def test_the_sidecar_agrees():
    assert differing(accept_host.answers(VECTORS, CASES.values())) == []


def test_every_refusal_tells_class_and_ref_only():
    """TOKENS section 17, row 25: for each code, what the agent could pass on to its peer."""
    by_code = {case["expect"]["code"]: case for case in CASES.values()
               if case["expect"]["verdict"] == "REJECT" and case["config"]["mode"] != "observe"}
    assert len(by_code) == len(names_in_header("WB_E_"))
    host = accept_host.Host(VECTORS)
    try:
        for code, case in by_code.items():
            host.open(case)
            assert host.accept(case)["code"] == code
            reply, told = host.reply, host.reply.accept
            assert told is not None
            assert reply.detail == "refused by Waybill"
            assert reply.wire_class == case["expect"]["class"]
            assert re.fullmatch("[0-9a-f]{16}", reply.ref)
            assert told == _wire.AcceptReply(verdict=told.verdict)
    finally:
        host.close()


def test_no_text_of_the_body_is_asked_for():
    """TOKENS section 17, row 21: what a client says of a message to delegate or accept it is ids, a
    digest and a salt, and no more than these; so no text of a body can reach token, log or store."""
    fields = {name for message in (_wire.Delegate, _wire.Accept)
              for name in message.__dataclass_fields__}
    words = {word for name in fields - {"body_digest"} for word in name.split("_")}
    assert "body_digest" in fields
    assert not words & {"part", "parts", "text", "body", "content", "data", "role"}


def test_the_command_line_sees_a_difference(tmp_path):
    changed = json.loads(FILE.read_text("ascii"))
    changed["cases"] = [case for case in changed["cases"] if case["name"].startswith("example")]
    changed["cases"][0]["expect"]["warnings"] = ["WB_W_TRACEPARENT"]
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed))
    program = find_program("waybill")
    done = subprocess.run([program, "token", "verify", "--vectors", path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.startswith('differs: {"name":"example_root"')
    assert done.stdout.endswith("2 cases, 1 agree\n")
    one = subprocess.run([program, "token", "verify", "--vectors", path, "--case", "example_chain"],
                         capture_output=True, text=True)
    assert (one.returncode, one.stdout) == (0, "1 cases, 1 agree\n")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version":2,"cases":[]}', '{"version":1,"cases":[{}]}',
                                  '{"version":1,"cases":[{"name":"x","config":{"self_ids":["x"]}}]}'])
def test_the_command_line_refuses_what_holds_no_vectors(tmp_path, text):
    path = tmp_path / "vectors.json"
    path.write_text(text)
    done = subprocess.run([find_program("waybill"), "token", "verify", "--vectors", path],
                          capture_output=True, text=True)
    assert done.returncode == 3 and done.stderr.startswith("waybill: vectors: ")


# ---- digests (section 6) -------------------------------------------------------------------------


@pytest.mark.parametrize("row", VECTORS["digests"], ids=lambda row: f"{row['name']}-{row['dialect']}")
def test_digests_agree(row):
    salt = b64url(row["salt"], 16)
    expected = b64url(row["bdg"], 32) if row["bdg"] else None
    try:
        found = digest.body_digest(row["parts"], salt, row["dialect"])
    except digest.NoDigest:
        found = None
    assert found == expected
    if row["dialect"] != "1.0":
        return
    try:
        assert client_digest.body_digest(salt, row["parts"]) == expected
    except client_digest.DigestError:
        assert expected is None


def test_a_body_has_one_digest_in_every_dialect():
    by_name: dict[str, set[str]] = {}
    for row in VECTORS["digests"]:
        by_name.setdefault(row["name"], set()).add(row["bdg"])
    in_three = [name for name in by_name
                if sum(row["name"] == name for row in VECTORS["digests"]) == 3]
    assert len(in_three) >= 24
    assert all(len(by_name[name]) == 1 for name in in_three)


# ---- another library's opinion ---------------------------------------------------------------------

# Keys that it takes and section 14 refuses (docs/vectors.md): of small order, where R and S were chosen
# to fit, and a mixed one whose other part [k]A happens to lose.
TAKEN_ELSEWHERE = {"point_a_order_1_0", "point_a_order_4_2", "point_a_order_8_3", "point_a_order_2_4",
                   "point_a_mixed_that_any_equation_holds_for"}


def joserfc_verifies(link: str, x: bytes) -> bool:
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import OKPKey

    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": verifier._b64(x)})
    registry = jws.JWSRegistry(algorithms=["EdDSA", "Ed25519"])
    try:
        jws.deserialize_compact(link, key, registry=registry)
    except (JoseError, ValueError):
        return False
    return True


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_another_jose_library_has_the_same_opinion_of_every_signature():
    seen, good = 0, 0
    for case in CASES.values():
        for link, token, key in verifier.signed_links(case, VECTORS):
            ours = curve.point_counts(token.signature[:32]) and curve.verify(
                token.signature, token.signed, key.x)
            assert joserfc_verifies(link, key.x) == ours, case["name"]
            seen, good = seen + 1, good + ours
    assert seen > 400 and 40 < seen - good


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_another_jose_library_takes_exactly_the_documented_bad_keys():
    taken = set()
    for name, case in CASES.items():
        if not name.startswith("point_a_") or name == "point_a_refuses_the_whole_bundle":
            continue
        (bundle,) = case["config"]["bundles"]
        (jwk,) = VECTORS["bundles"][bundle]["keys"]
        x = b64url(jwk["x"], 32)
        assert x is not None and not curve.point_counts(x)
        if joserfc_verifies(case["carrier"]["chain"][0], x):
            taken.add(name)
    assert taken == TAKEN_ELSEWHERE
    page = (ROOT / "docs" / "vectors.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in TAKEN_ELSEWHERE)


# ---- threat 1: every byte counts -------------------------------------------------------------------


def digest_by_client(text: str) -> str | None:
    """The digest of the child's message that a client makes with the salt that it finds."""
    try:
        salt = b64url(json.loads(text)["salt"], 16)
    except (ValueError, KeyError, TypeError):
        return None
    return verifier._b64(digest.body_digest([{"text": "Find it"}], salt, "1.0")) if salt else None


def test_no_flipped_byte_of_a_carrier_continues_over_the_socket():
    """TOKENS section 17, row 1: all positions; tests/unit/a2a/carrier_flip_test.c has all bits."""
    case = CASES["example_chain"]
    text = json.dumps(case["carrier"], separators=(",", ":"))
    host = accept_host.Host(VECTORS)
    verdicts: collections.Counter[str] = collections.Counter()
    try:
        host.open(case)
        for at in range(len(text)):
            flipped = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]
            message = {**case["message"], "bdg": digest_by_client(flipped)}
            verdicts[host.accept({**case, "message": message}, flipped)["verdict"]] += 1
        assert host.accept(case)["verdict"] == "CONTINUE"
    finally:
        host.close()
    assert set(verdicts) <= {"REJECT", "LINK"} and verdicts.total() == len(text)
    assert verdicts["LINK"] < 200  # a name or key id that became another's: unverified
