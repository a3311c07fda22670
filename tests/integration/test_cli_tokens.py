# SPDX-License-Identifier: Apache-2.0
"""`waybill key`, `trust` and `token`: the real program, with tokens signed by another library."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import time
from typing import Any

import pytest
from nacl.signing import SigningKey
from waybill_testkit import find_program

URI = "https://w3id.org/waybill/a2a/v1"
A, B, C = (f"spiffe://example.org/{name}" for name in "abc")
NOW = 1767225603
DIGEST = "na3s7IAwkCNg3s-fp0OOAN_8MDpRvdTF9znQwyCKzac"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A signing key that Waybill's code never touched."""

    def __init__(self, first: int) -> None:
        self.signer = SigningKey(bytes(range(first, first + 32)))
        self.x = b64(bytes(self.signer.verify_key))
        canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'
        self.kid = b64(hashlib.sha256(canonical.encode()).digest())

    def token(self, **claims: Any) -> str:
        header = {"alg": "Ed25519", "typ": "waybill-trace+jwt", "kid": self.kid}
        signed = ".".join(b64(json.dumps(part, separators=(",", ":")).encode())
                          for part in (header, claims))
        return f"{signed}.{b64(self.signer.sign(signed.encode()).signature)}"


KEY_A, KEY_B = Key(0x00), Key(0x20)


def claims(**more: Any) -> dict[str, Any]:
    """The root of TOKENS section 19, or what `more` makes of it, in the order of section 5."""
    made = {"ver": 1, "iss": A, "sub": A, "aud": B, "jti": "oKGio6SlpqeoqaqrrK2urw",
            "iat": 1767225600, "exp": 1767225720, "dln": 1767229200,
            "tid": "0af7651916cd43dd8448eb211c80319c", "psid": "b7ad6b7169203331", "tfl": 3,
            "dep": 0, "mxd": 4,
            "lim": {"cur": "USD", "cost": 500000, "tok": 200000, "ms": 600000},
            "bnd": {"mth": "SendMessage", "mid": "msg-1", "bdg": DIGEST}}
    made.update(more)
    return made


ROOT = KEY_A.token(**claims())
CHILD_CLAIMS = claims(iss=B, aud=C, jti="sLGys7S1tre4ubq7vL2-vw", iat=1767225602, exp=1767225722,
                      dln=1767228600, dep=1, pth=b64(hashlib.sha256(ROOT.encode()).digest()),
                      bnd={"mth": "SendStreamingMessage", "mid": "msg-2", "ctx": "ctx-7",
                           "bdg": DIGEST})
CHILD = KEY_B.token(**CHILD_CLAIMS)


class Cli:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.program = find_program("waybill")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder),
                    "XDG_STATE_HOME": str(folder / "state"),
                    "XDG_RUNTIME_DIR": str(folder / "run"),
                    "XDG_DATA_HOME": str(folder / "data")}

    def __call__(self, *args: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run([self.program, *args], input=stdin, env=self.env, timeout=20,
                              capture_output=True, text=True)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        assert (code in (0, 1)) or done.stderr.startswith("waybill: ")
        self.said = done.stderr
        return done.stdout

    def json(self, *args: str, stdin: str = "", code: int = 0) -> Any:
        return json.loads(self(*args, "--json", stdin=stdin, code=code))


@pytest.fixture
def cli(tmp_path):
    return Cli(tmp_path)


@pytest.fixture
def trusting(cli):
    """An instance that believes A and B."""
    cli("trust", "add", "--id", A, KEY_A.x)
    cli("trust", "add", "--id", B, f"{KEY_B.kid}:{KEY_B.x}")
    return cli


def verify(cli, *args, code=0, chain=f"{ROOT}\n{CHILD}\n"):
    return cli.json("token", "verify", "--audience", C, "--now", str(NOW), *args, stdin=chain,
                    code=code)


def test_a_key_is_made_once_and_shown(cli):
    cli("key", "show", code=1)
    shown = cli.json("key", "new", "--name", "planner")
    file = pathlib.Path(shown["file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert shown == cli.json("key", "show", "--name", "planner")
    before = file.read_bytes()
    cli("key", "new", "--name", "planner", code=1)
    assert file.read_bytes() == before
    prefix, kid, seed = file.read_text().strip().split(":")
    assert (prefix, kid) == ("waybill-sk-v1", shown["keys"][0]["kid"])
    pad = "=" * (-len(seed) % 4)
    key = SigningKey(base64.urlsafe_b64decode(seed + pad))
    assert b64(bytes(key.verify_key)) == shown["keys"][0]["x"]
    text = cli("key", "show", "--name", "planner")
    assert kid in text and seed not in text and seed not in json.dumps(shown)


def test_the_agent_id_is_the_default_the_running_sidecars_or_the_one_said(cli):
    default = cli.json("key", "new")["wb_iss"]
    assert re.fullmatch(r"spiffe://waybill\.local/[a-z0-9.-]+/default", default)
    run = cli.folder / "run" / "waybill" / "default"
    run.mkdir(parents=True)
    (run / "status.json").write_text(json.dumps({"agent_id": A, "ports": {"admin": 1}}))
    assert cli.json("key", "show")["wb_iss"] == A
    assert cli.json("key", "show", "--id", B)["wb_iss"] == B
    cli("key", "show", "--id", "Planner", code=2)


def test_a_key_open_to_others_is_not_shown(cli):
    file = pathlib.Path(cli.json("key", "new")["file"])
    file.chmod(0o644)
    cli("key", "show", code=3)
    assert "chmod 600" in cli.said


def test_one_instance_trusts_what_another_shows(cli):
    cli("key", "new", "--name", "a")
    shown = cli("key", "show", "--json", "--name", "a")
    added = cli.json("trust", "add", "-", "--name", "b", stdin=shown)
    assert [entry["added"] for entry in added] == [True]
    issuers = cli.json("trust", "list", "--name", "b")["issuers"]
    assert [issuer["issuer"] for issuer in issuers] == [json.loads(shown)["wb_iss"]]
    assert issuers[0]["keys"][0]["kid"] == json.loads(shown)["keys"][0]["kid"]
    cli("trust", "add", "-", "--name", "b", stdin=shown, code=1)  # known already
    assert cli.json("trust", "list", "--name", "c")["issuers"] == []


@pytest.mark.parametrize("args, code", [
    (("--id", A, "short"), 3),  # no such file
    (("--id", A, "short" * 10), 1),
    (("--id", A, KEY_A.x[:-1] + "_"), 1),            # another spelling of the last bits
    (("--id", A, b64(bytes([1] + [0] * 31))), 1),    # the identity
    (("--id", A, f"{KEY_B.kid}:{KEY_A.x}"), 1),
    (("--id", A, "{}"), 1),
    (("--id", A, json.dumps({"wb_iss": B, "keys": []})), 1),
    ((json.dumps({"wb_iss": A, "keys": [{"kty": "OKP", "d": "x"}]}),), 1),
    ((KEY_A.x,), 2),
    (("--id", "planner", KEY_A.x), 2),
    (("--id", A), 2),
    (("--id", A, KEY_A.x, "more"), 2),
    (("--id", A, "--not-after", "soon", KEY_A.x), 2),
    (("--unknown", KEY_A.x), 2),
])
def test_what_is_no_key_is_not_trusted(cli, args, code):
    cli("trust", "add", *args, code=code)
    assert cli.json("trust", "list")["issuers"] == []


def test_a_key_that_begins_with_a_dash_is_a_key(cli):
    key = next(key for key in map(Key, range(224)) if key.x.startswith("-"))
    cli("trust", "add", "--id", A, key.x)
    assert key.kid in cli("trust", "list")


def test_a_faulty_trust_file_is_listed_as_one(trusting):
    folder = pathlib.Path(trusting.json("trust", "list")["directory"])
    (folder / "x.bundle.json").write_text("{")
    listed = trusting.json("trust", "list", code=1)
    assert [problem["file"] for problem in listed["problems"]] == ["x.bundle.json"]
    assert len(listed["issuers"]) == 2
    trusting("trust", "list", code=1)
    assert "x.bundle.json" in trusting.said


def test_a_window_bounds_when_a_key_may_sign(cli):
    cli("trust", "add", "--id", A, "--not-before", str(NOW), KEY_A.x)
    cli("trust", "add", "--id", B, "--not-after", str(NOW), KEY_B.x)
    keys = {issuer["issuer"]: issuer["keys"][0] for issuer in cli.json("trust", "list")["issuers"]}
    assert (keys[A]["not_before"], keys[A]["not_after"]) == (NOW, None)
    assert (keys[B]["not_before"], keys[B]["not_after"]) == (None, NOW)
    assert verify(cli, code=1)["code"] == "WB_E_CHAIN_SIG"


def test_inspect_shows_what_is_said_and_believes_nothing(cli):
    shown = cli.json("token", "inspect", CHILD)
    token, = shown["tokens"]
    assert shown["verified"] is False
    assert token["hash"] == b64(hashlib.sha256(CHILD.encode()).digest())
    assert token["bytes"] == len(CHILD) and token["kid"] == KEY_B.kid and token["code"] is None
    for name in ("iss", "sub", "aud", "jti", "iat", "exp", "dln", "tid", "psid", "dep", "pth", "lim"):
        assert token["claims"][name] == CHILD_CLAIMS[name], name
    assert token["claims"]["bnd"]["ctx"] == "ctx-7" and token["claims"]["bnd"]["tsk"] is None
    assert "nothing was verified" in cli("token", "inspect", CHILD)


@pytest.mark.parametrize("text", [
    f"{ROOT}\n{CHILD}", f"  {ROOT} {CHILD}  ", json.dumps([ROOT, CHILD]),
    json.dumps({"v": "1", "chain": [ROOT, CHILD], "salt": "x"}),
    json.dumps({URI: {"v": 1.0, "chain": [ROOT, CHILD]}}),
    json.dumps({"messageId": "m", "parts": [{"text": "Hi"}],
                "metadata": {URI: {"chain": [ROOT, CHILD]}}}),
])
def test_tokens_are_found_in_what_is_around_them(cli, text, tmp_path):
    file = tmp_path / "given"
    file.write_text(text)
    for shown in (cli.json("token", "inspect", stdin=text),
                  cli.json("token", "inspect", "-", stdin=text),
                  cli.json("token", "inspect", str(file))):
        assert [token["claims"]["aud"] for token in shown["tokens"]] == [B, C]


@pytest.mark.parametrize("text, codes", [
    ("x" * 50, ["WB_E_SYNTAX"]),
    (f"{ROOT} e30=.e30.AAAA", [None, "WB_E_B64"]),
    (ROOT + "A", ["WB_E_B64"]),
    (KEY_A.token(**claims(aud="https://Example.org")), ["WB_E_CLAIM_RANGE"]),
    (json.dumps([1, ROOT]), ["WB_E_SYNTAX", None]),
])
def test_what_is_no_token_is_named(cli, text, codes):
    shown = cli.json("token", "inspect", text, code=1)
    assert [token["code"] for token in shown["tokens"]] == codes


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"chain":{}}', '{"a":1,"a":2}'])
def test_json_without_tokens_is_refused(cli, text):
    cli("token", "inspect", stdin=text, code=1)


def test_input_beyond_its_limit_is_refused(cli):
    cli("token", "inspect", stdin="A" * 300_000, code=3)
    assert "256 KiB" in cli.said


def test_hostile_text_stays_on_its_line(cli):
    token = KEY_A.token(**claims(bnd={"mth": "SendMessage", "mid": "a\u202eb';--", "bdg": DIGEST}))
    text = cli("token", "inspect", token)
    assert "\u202e" not in text and "\\u{202e}" in text and "';--" in text
    assert cli.json("token", "inspect", token)["tokens"][0]["claims"]["bnd"]["mid"] == "a\u202eb';--"


def test_a_good_chain_continues_and_says_what_was_not_checked(trusting):
    answer = verify(trusting)
    assert (answer["verdict"], answer["verified"], answer["proven"]) == ("CONTINUE", True, True)
    assert answer["code"] is None and answer["warnings"] == []
    assert len(answer["unchecked"]) == 5
    facts = ["--method", "SendStreamingMessage", "--message-id", "msg-2", "--context-id", "ctx-7",
             "--task-id", "", "--digest", DIGEST]
    assert verify(trusting, *facts)["unchecked"] == []
    text = trusting("token", "verify", "--audience", C, "--now", str(NOW), stdin=f"{ROOT}\n{CHILD}")
    assert text.startswith("CONTINUE, verified\n") and "not checked: method" in text


@pytest.mark.parametrize("args, expected", [
    (["--method", "SendMessage"], "WB_E_BIND_METHOD"),
    (["--message-id", "msg-3"], "WB_E_BIND_MSG"),
    (["--task-id", "task-1"], "WB_E_BIND_TASK"),
    (["--context-id", ""], "WB_E_BIND_CTX"),
    (["--digest", b64(bytes(32))], "WB_E_BIND_BODY"),
    (["--now", str(1767225722 + 60)], "WB_E_EXPIRED"),
    (["--now", str(1767225722), "--skew", "0"], "WB_E_EXPIRED"),
    (["--audience", B], "WB_E_AUD"),
])
def test_each_fact_is_held_against_the_token(trusting, args, expected):
    answer = verify(trusting, *args, code=1)
    assert (answer["verdict"], answer["code"]) == ("REJECT", expected)


def test_a_forged_chain_is_refused(trusting):
    forged = KEY_A.token(**CHILD_CLAIMS)
    answer = verify(trusting, chain=f"{ROOT} {forged}", code=1)
    assert (answer["verdict"], answer["verified"]) == ("LINK", False)
    assert answer["code"] == "WB_E_KEY_UNKNOWN"
    wide = KEY_B.token(**{**CHILD_CLAIMS, "lim": {"cur": "USD", "cost": 500001, "tok": 1, "ms": 1}})
    assert verify(trusting, chain=f"{ROOT} {wide}", code=1)["code"] == "WB_E_ATT_LIM"
    bent = CHILD[:-4] + ("A" if CHILD[-4] != "A" else "B") + CHILD[-3:]
    assert verify(trusting, chain=f"{ROOT} {bent}", code=1)["code"].startswith("WB_E_SIG")


def test_nobody_is_trusted_at_first(cli):
    answer = verify(cli, code=1)
    assert (answer["verdict"], answer["code"]) == ("LINK", "WB_E_ISS_UNKNOWN")


def test_an_unknown_ancestor_gives_a_link_with_a_warning(cli):
    cli("trust", "add", "--id", B, KEY_B.x)
    answer = verify(cli)
    assert (answer["verdict"], answer["verified"], answer["proven"]) == ("LINK", True, False)
    assert answer["warnings"] == ["WB_W_CHAIN_UNVERIFIED"]


def test_the_header_of_another_trace_is_a_warning(trusting):
    answer = verify(trusting, "--traceparent", f"00-{'1' * 32}-{'2' * 16}-01")
    assert answer["warnings"] == ["WB_W_TRACEPARENT"]


@pytest.mark.parametrize("args", [
    ["--now", "today"], ["--skew", "301"], ["--digest", "x"], ["--audience", "C"],
    ["--message-id"], ["--nonsense"], ["one", "two"],
])
def test_a_wrong_command_line_is_told_apart(cli, args):
    cli("token", "verify", *args, code=2)


def test_the_default_audience_is_the_instance_itself(cli):
    own = cli.json("key", "new")["wb_iss"]
    cli("trust", "add", "--id", A, KEY_A.x)
    now = int(time.time())
    token = KEY_A.token(**claims(aud=own, iat=now, exp=now + 120, dln=now + 3600))
    answer = cli.json("token", "verify", token)
    assert (answer["verdict"], answer["audience"]) == ("LINK", own)  # another trust domain


@pytest.mark.parametrize("verb", ["key new", "key show", "key rotate", "key retire", "trust add",
                                  "trust remove", "trust revoke", "trust list", "trust bundle",
                                  "token inspect", "token verify"])
def test_every_verb_explains_itself(cli, verb):
    text = cli(*verb.split(), "--help")
    assert text.startswith(f"Usage: waybill {verb}")
    own = text.split("Global options")[0]
    assert max(map(len, own.splitlines())) <= 80
