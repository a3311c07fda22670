# SPDX-License-Identifier: Apache-2.0
"""What a refused side learns, what the refusing side can look up, and what each trust mode refuses."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import time
import urllib.request

import pytest
from agents import (
    Asker,
    a_delegate,
    agent_id,
    an_accept,
    b64url,
    company,
    config_of,
    origin,
    unb64url,
)
from waybill_testkit import find_program, wait_until

from waybill import _wire
from waybill._wire import Status, Verdict

NAMES = ["a", "b"]


@pytest.fixture(scope="module")
def pair():
    with company(NAMES) as sidecars:
        yield sidecars


@pytest.fixture
def ask(pair):
    askers = {name: Asker(sidecar) for name, sidecar in pair.items()}
    yield {name: asker.ask for name, asker in askers.items()}
    for asker in askers.values():
        asker.close()


def report(sidecar):
    port = sidecar.status()["ports"]["admin"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        return json.load(answer)


def cli(sidecar, *args):
    return subprocess.run(
        [str(find_program("waybill")), *args],
        env=sidecar.env,
        capture_output=True,
        text=True,
        timeout=30,
    )


def why(sidecar, ref):
    """The record comes a moment after the reply."""

    def found():
        done = cli(sidecar, "token", "why", ref, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    return wait_until(found, 5, f"the record of {ref}")


def message(ask, limits=None):
    asked = a_delegate(origin(NAMES, "b"), ask=limits)
    return asked, ask["a"](delegate=asked).delegate.carrier


def forged(carrier):
    """The same chain, its last signature of another message."""
    value = json.loads(carrier)
    head, payload, signature = value["chain"][-1].split(".")
    raw = bytearray(unb64url(signature))
    raw[40] ^= 1
    value["chain"][-1] = f"{head}.{payload}.{b64url(bytes(raw))}"
    return json.dumps(value)


def test_a_rejected_token_is_explained(pair, ask):
    asked, carrier = message(ask)
    reply = ask["b"](accept=an_accept(asked, forged(carrier), peer="192.0.2.7"))
    assert reply.status == Status.DENIED and reply.wire_class == "unauthenticated"
    assert len(reply.ref) == 16 and reply.detail == "refused by Waybill"
    told = why(pair["b"], reply.ref)
    assert told["kind"] == "reject" and told["code"] == "WB_E_SIG" and told["step"] == "12"
    assert told["class"] == "unauthenticated" and told["mode"] == "link"
    assert told["claimed_issuer"] == agent_id("a") and told["peer"] == "192.0.2.7"
    assert told["claimed_key_id"] == report(pair["a"])["key_id"]
    assert told["message_id"] == asked.message_id
    assert abs(told["time_ns"] / 1e9 - time.time()) < 60
    counted = cli(pair["b"], "status").stdout
    assert re.search(r"^  refused +[1-9]\d*, and \d+ shown twice: .*WB_E_\w+ [1-9]", counted, re.M), counted
    text = cli(pair["b"], "token", "why", reply.ref.upper()).stdout
    assert "WB_E_SIG" in text and told["meaning"] in text and told["remedy"] in text
    file = pair["b"].state_dir / "refusals.ring"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_duplicate_is_explained(pair, ask):
    asked, carrier = message(ask)
    assert ask["b"](accept=an_accept(asked, carrier)).accept.verdict == Verdict.CONTINUE
    reply = ask["b"](accept=an_accept(asked, carrier))
    assert reply.accept.verdict == Verdict.DUPLICATE and reply.wire_class == "replayed"
    told = why(pair["b"], reply.ref)
    assert told["kind"] == "duplicate" and told["code"] is None and told["step"] == "15"


def test_a_denied_delegation_is_explained(pair, ask):
    asked, carrier = message(ask, _wire.Limits(cost_micros=1000))
    taken = ask["b"](accept=an_accept(asked, carrier)).accept
    more = a_delegate(
        origin(NAMES, "a"),
        parent_acceptance=taken.acceptance_id,
        ask=_wire.Limits(cost_micros=1001),
    )
    reply = ask["b"](delegate=more)
    assert reply.status == Status.DENIED and "1000" in reply.detail
    told = why(pair["b"], reply.ref)
    assert told["kind"] == "delegate" and told["claimed_issuer"] == agent_id("a")
    assert told["detail"] == reply.detail and told["message_id"] == more.message_id


def test_what_a_stranger_wrote_moves_no_cursor(pair, ask):
    asked, carrier = message(ask)
    nasty = "m\x1b[2J\x1b]0;gotcha\x07\u202e\r\n"
    reply = ask["b"](accept=an_accept(asked, carrier, message_id=nasty, peer="\x9b31m"))
    told = why(pair["b"], reply.ref)
    assert told["code"] == "WB_E_BIND_MSG" and told["message_id"] == nasty
    shown = cli(pair["b"], "token", "why", reply.ref).stdout
    assert not set(shown) & set("\x1b\x07\u202e\r\x9b")


def test_an_unknown_ref_says_where_to_ask(pair):
    done = cli(pair["b"], "token", "why", "0123456789abcdef")
    assert done.returncode == 1 and "on the side that refused" in done.stderr
    assert cli(pair["b"], "token", "why", "0123456789abcde").returncode == 2
    assert cli(pair["b"], "token", "why").returncode == 2
    done = cli(pair["b"], "token", "why", "0123456789abcdef", "--state-dir", "/tmp/wb-no-such")
    assert done.returncode == 1


def test_refusals_are_explained_after_kill_9_and_without_a_sidecar(pair, ask):
    asked, carrier = message(ask)
    ref = ask["b"](accept=an_accept(asked, forged(carrier))).ref
    why(pair["b"], ref)
    pair["b"].kill9()
    try:
        assert why(pair["b"], ref)["code"] == "WB_E_SIG"
        with open(pair["b"].state_dir / "refusals.ring", "r+b") as file:  # a torn slot, and rubbish
            file.seek(0, os.SEEK_END)
            file.write(b"x" * 1500)
        assert why(pair["b"], ref)["code"] == "WB_E_SIG"
    finally:
        pair["b"].start()
    assert why(pair["b"], ref)["code"] == "WB_E_SIG"


def test_each_ref_of_a_burst_is_explained(pair, ask):
    refs = [
        ask["b"](accept=an_accept(asked, "{}", peer="198.51.100.77")).ref
        for asked in [message(ask)[0]] * 500
    ]
    assert len(set(refs)) == 500
    why(pair["b"], refs[-1])
    for ref in refs[::20]:
        assert why(pair["b"], ref)["code"] == "WB_E_CARRIER"
    kept = (pair["b"].state_dir / "refusals.ring").read_bytes()
    assert [ref for ref in refs if bytes.fromhex(ref) not in kept] == []


def test_an_unknown_ref_says_that_refs_were_not_kept(pair, ask):
    asked, _ = message(ask)
    for _ in range(1500):
        ask["b"](accept=an_accept(asked, "{}", peer="198.51.100.78"))
    counters = report(pair["b"])["counters"]
    assert counters["refusals_not_kept"] > 0
    assert abs(counters["refusals_last_not_kept_ns"] / 1e9 - time.time()) < 60
    done = cli(pair["b"], "token", "why", "0123456789abcdef")
    assert done.returncode == 1
    assert f"{counters['refusals_not_kept']} were not kept since" in done.stderr


def test_a_file_of_refusals_that_somebody_removed_is_said(pair, ask):
    sidecar = pair["b"]
    (sidecar.state_dir / "refusals.ring").unlink()
    wait_until(lambda: report(sidecar)["counters"]["refusals_file_gone"], 5, "noticing")
    asked, _ = message(ask)
    ref = ask["b"](accept=an_accept(asked, "{}", peer="198.51.100.80")).ref
    advice = cli(sidecar, "doctor").stdout
    assert "refusals.ring was removed" in advice
    told = cli(sidecar, "token", "why", ref)
    assert told.returncode == 1 and "somebody removed refusals.ring" in told.stderr
    assert "restart the sidecar" in told.stderr
    other = cli(sidecar, "token", "why", ref, "--state-dir", "/tmp/wb-no-such").stderr
    assert "there is no refusals.ring in /tmp/wb-no-such" in other  # of that one nobody knows
    for said in (advice, told.stderr, other):
        assert "ever recorded" not in said
    sidecar.stop()
    sidecar.start()
    ask["b"] = Asker(sidecar).ask
    why(sidecar, ask["b"](accept=an_accept(asked, "{}", peer="198.51.100.80")).ref)


def test_a_flood_is_counted_not_logged_line_by_line(pair, ask):
    before = report(pair["b"])["counters"]["refused_by_code"].get("WB_E_CARRIER", 0)
    asked, _ = message(ask)
    log_before = len(pair["b"].log().splitlines())
    for _ in range(300):
        assert ask["b"](accept=an_accept(asked, "{}", peer="198.51.100.9")).status == Status.DENIED
    counters = report(pair["b"])["counters"]
    assert counters["refused_by_code"]["WB_E_CARRIER"] == before + 300
    wait_until(lambda: "refusals.held_back" in pair["b"].log(), 5, "the count of lines held back")
    assert len(pair["b"].log().splitlines()) - log_before < 100
    shown = json.loads(cli(pair["b"], "status", "--json").stdout)["report"]
    assert shown["counters"]["refused_by_code"]["WB_E_CARRIER"] == before + 300


def test_an_empty_bucket_refuses_its_peer_and_no_other(pair, ask):
    b = pair["b"]
    b.config_file.write_text(config_of(NAMES, "b") + "trust: {rate_per_s: 1, rate_burst: 3}\n")
    assert ask["b"](reload=_wire.Reload()).status == Status.OK
    try:

        def flood():
            asked, carrier = message(ask)
            reply = ask["b"](accept=an_accept(asked, forged(carrier), peer="203.0.113.5:99"))
            return why(b, reply.ref)["code"], reply.wire_class

        codes = [flood() for _ in range(5)]
        assert codes[:3] == [("WB_E_SIG", "unauthenticated")] * 3
        assert ("WB_E_RATE", "refused") in codes[3:]
        asked, carrier = message(ask)
        good = ask["b"](accept=an_accept(asked, carrier, peer="203.0.113.6"))
        assert good.accept.verdict == Verdict.CONTINUE
    finally:
        b.config_file.write_text(config_of(NAMES, "b"))
        ask["b"](reload=_wire.Reload())


# -- trust modes ---------------------------------------------------------------------------------

MODES = ["observe", "link", "enforce"]
CASES = ["valid", "missing", "unknown_issuer", "unknown_key", "bad_signature"]
# (verdict, verified, pass, code) by mode and case; None: denied with that class
OUTCOMES = {
    "observe": {
        "valid": (Verdict.CONTINUE, True, True, ""),
        "missing": (Verdict.LINK, False, True, "WB_E_MISSING"),
        "unknown_issuer": (Verdict.LINK, False, True, "WB_E_ISS_UNKNOWN"),
        "unknown_key": (Verdict.LINK, False, True, "WB_E_KEY_UNKNOWN"),
        "bad_signature": (Verdict.REJECT, False, True, "WB_E_SIG"),
    },
    "link": {
        "valid": (Verdict.CONTINUE, True, True, ""),
        "missing": (Verdict.LINK, False, True, "WB_E_MISSING"),
        "unknown_issuer": (Verdict.LINK, False, True, "WB_E_ISS_UNKNOWN"),
        "unknown_key": (Verdict.LINK, False, True, "WB_E_KEY_UNKNOWN"),
        "bad_signature": (None, "unauthenticated", "WB_E_SIG"),
    },
    "enforce": {
        "valid": (Verdict.CONTINUE, True, True, ""),
        "missing": (None, "refused", "WB_E_MISSING"),
        "unknown_issuer": (None, "unauthenticated", "WB_E_ISS_UNKNOWN"),
        "unknown_key": (None, "unauthenticated", "WB_E_KEY_UNKNOWN"),
        "bad_signature": (None, "unauthenticated", "WB_E_SIG"),
    },
}


@pytest.mark.parametrize("where", ["trust.mode", "policy"])
@pytest.mark.parametrize("mode", MODES)
def test_each_mode_treats_each_message_as_it_says(mode, where):
    """One real sidecar per issuer: `a` is trusted, `stranger` is not, `a2` signs as a with another key."""
    names = ["a", "b", "stranger"]
    with company(names) as sidecars:
        b = sidecars["b"]
        ids = [agent_id("a"), agent_id("stranger")]
        if where == "trust.mode":
            extra = f"trust: {{mode: {mode}}}\n"
        else:  # the general mode is another, and the entries decide
            other = "enforce" if mode != "enforce" else "observe"
            entries = ", ".join(f"'{issuer}': {{mode: {mode}}}" for issuer in ids)
            extra = f"trust: {{mode: {other}, policies: {{{entries}}}}}\n"
        b.config_file.write_text(config_of(names, "b", extra))
        for file in (b.state_dir / "trust.d").glob("*.json"):
            if json.loads(file.read_text())["wb_iss"] == agent_id("stranger"):
                file.unlink()
        assert b.cli("reload")
        askers = {name: Asker(sidecars[name]) for name in names}

        def made_by(name):
            asked = a_delegate(origin(names, "b"))
            return asked, askers[name].ask(delegate=asked).delegate.carrier

        # A second ring for `a`, after b learnt the first one's key.
        messages = {"valid": made_by("a"), "unknown_issuer": made_by("stranger")}
        asked, carrier = made_by("a")
        messages["bad_signature"] = (asked, forged(carrier))
        messages["missing"] = (a_delegate(origin(names, "b")), "")
        sidecars["a"].stop()
        (sidecars["a"].state_dir / "keys" / "current.key").unlink()
        sidecars["a"].start()
        askers["a"].close()
        askers["a"] = Asker(sidecars["a"])
        messages["unknown_key"] = made_by("a")
        for case in CASES:
            asked, carrier = messages[case]
            # the transport authenticated `a`: whose policy holds for a message without token
            accept = an_accept(asked, carrier, peer=agent_id("a"))
            reply = askers["b"].ask(accept=accept)
            wanted = OUTCOMES[mode][case]
            if wanted[0] is None:
                assert reply.status == Status.DENIED, (mode, case, reply)
                assert reply.wire_class == wanted[1], (mode, case)
                told = why(b, reply.ref)
                assert (told["kind"], told["code"], told["mode"]) == ("reject", wanted[2], mode)
                continue
            assert reply.status == Status.OK, (mode, case, reply.detail)
            got = reply.accept
            assert (got.verdict, got.verified, got.pass_) == wanted[:3], (mode, case)
            if wanted[0] == Verdict.REJECT:
                assert why(b, reply.ref)["kind"] == "passed"
        for asker in askers.values():
            asker.close()
