# SPDX-License-Identifier: Apache-2.0
"""`trust policy`, and what `doctor` says about modes, keys and trust; both against real sidecars."""

from __future__ import annotations

import json
import os
import subprocess
import time

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
from waybill_testkit import Sidecar, find_program, wait_until

from waybill import _wire
from waybill._wire import Status

NAMES = ["a", "b"]
PARTNER = "https://partner.example/agent"


def cli(sidecar, *args):
    return subprocess.run(
        [str(find_program("waybill")), *args],
        env=sidecar.env,
        capture_output=True,
        text=True,
        timeout=30,
    )


def checks(sidecar, *args):
    done = cli(sidecar, "doctor", "--json", *args)
    return json.loads(done.stdout)


@pytest.fixture
def pair():
    with company(NAMES) as sidecars:
        yield sidecars


@pytest.fixture
def ask(pair):
    askers = {name: Asker(sidecar) for name, sidecar in pair.items()}
    yield {name: asker.ask for name, asker in askers.items()}
    for asker in askers.values():
        asker.close()


def test_a_policy_says_where_each_field_comes_from(pair, ask):
    b = pair["b"]
    entry = f"{{'{PARTNER}': {{verdict: continue, mode: enforce}}}}"
    b.config_file.write_text(config_of(NAMES, "b") + f"trust: {{mode: observe, policies: {entry}}}\n")
    assert ask["b"](reload=_wire.Reload()).status == Status.OK
    [partner] = json.loads(b.cli("trust", "policy", PARTNER, "--json"))
    assert partner == {
        "agent_id": PARTNER,
        "verdict": {"value": "continue", "from": "entry"},
        "chain": {"value": "leaf", "from": "default"},
        "mode": {"value": "enforce", "from": "entry"},
        "require": {"value": "true", "from": "trust.mode"},
        "carry": {"value": "false", "from": "default"},
    }
    listed = {p["agent_id"]: p for p in json.loads(b.cli("trust", "policy", "--json"))}
    assert set(listed) == {PARTNER, agent_id("a")}  # an entry, a key
    colleague = listed[agent_id("a")]
    assert colleague["verdict"] == {"value": "continue", "from": "own trust domain"}
    assert colleague["mode"] == {"value": "observe", "from": "trust.mode"}
    assert "continue (own trust domain)" in b.cli("trust", "policy")
    [stranger] = json.loads(b.cli("trust", "policy", "https://nobody.example/x", "--json"))
    assert stranger["verdict"] == {"value": "link", "from": "default"}
    assert cli(b, "trust", "policy", "nobody").returncode == 2
    b.stop()
    done = cli(b, "trust", "policy")
    assert done.returncode == 3 and "--check" in done.stderr


def forged(carrier):
    value = json.loads(carrier)
    head, payload, signature = value["chain"][-1].split(".")
    raw = bytearray(unb64url(signature))
    raw[40] ^= 1
    value["chain"][-1] = f"{head}.{payload}.{b64url(bytes(raw))}"
    return json.dumps(value)


def held_back(sidecar):
    found = [c for c in checks(sidecar) if c["check"] in ("link", "enforce")]
    return {(c["check"], c["result"]): c for c in found}


def test_doctor_names_who_holds_back_the_next_mode(pair, ask):
    b = pair["b"]
    clean = held_back(b)
    assert list(clean) == [("enforce", "ok")]
    assert "nothing holds back enforce" in clean[("enforce", "ok")]["detail"]

    for _ in range(3):
        asked = a_delegate(origin(NAMES, "b"))
        assert ask["b"](accept=an_accept(asked, "", peer="192.0.2.1")).status == Status.OK
    [file] = (b.state_dir / "trust.d").glob("*.json")
    file.unlink()
    b.cli("reload")
    asked = a_delegate(origin(NAMES, "b"))
    carrier = ask["a"](delegate=asked).delegate.carrier
    assert ask["b"](accept=an_accept(asked, carrier, peer="192.0.2.2")).status == Status.OK

    def both():
        lines = [c["detail"] for c in checks(b) if c["check"] == "enforce"]
        missing = [x for x in lines if "192.0.2.1" in x and "WB_E_MISSING, 3 times" in x]
        unknown = [x for x in lines if "192.0.2.2" in x and "WB_E_ISS_UNKNOWN, 1 times" in x]
        return missing and unknown and agent_id("a") in unknown[0]

    wait_until(both, 10, "the store's rows")
    assert cli(b, "doctor", "--strict").returncode == 1
    todo = [c["todo"] for c in checks(b) if "192.0.2.2" in c["detail"]]
    assert "waybill trust add" in todo[0]


def test_doctor_tells_what_observe_let_pass(pair, ask):
    b = pair["b"]
    b.config_file.write_text(config_of(NAMES, "b") + "trust: {mode: observe}\n")
    b.cli("reload")
    asked = a_delegate(origin(NAMES, "b"))
    carrier = ask["a"](delegate=asked).delegate.carrier
    reply = ask["b"](accept=an_accept(asked, forged(carrier), peer="192.0.2.3"))
    assert reply.accept.pass_
    found = wait_until(lambda: held_back(b).get(("link", "warn")), 10, "the record")
    assert "WB_E_SIG" in found["detail"] and agent_id("a") in found["detail"]


def test_doctor_looks_at_keys_and_trust(pair):
    b = pair["b"]
    b.cli("key", "rotate")
    [file] = (b.state_dir / "trust.d").glob("*.json")
    bundle = json.loads(file.read_text())
    bundle["keys"][0]["wb_exp"] = int(time.time()) + 3600
    file.write_text(json.dumps(bundle))
    b.cli("reload")
    found = checks(b)
    assert any(c["check"] == "next key" and "may sign from" in c["detail"] for c in found)
    assert any(c["check"] == "trust" and "its last key ends" in c["detail"] for c in found)
    revoked = b.state_dir / "trust.d" / "revoked.txt"
    revoked.write_text("nonsense\n")
    revoked.chmod(0o600)
    assert any(c["check"] == "revoked" and c["result"] == "fail" for c in checks(b))


def test_commands_find_a_state_directory_and_store_that_were_configured(tmp_path):
    config = f"state_dir: {tmp_path}/elsewhere\nstore: {{sqlite: {{path: {tmp_path}/s.db}}}}\n"
    config += "admin: {listen: 127.0.0.1:0}\n"
    os.chmod(tmp_path, 0o700)
    with Sidecar("x", config=config) as sidecar:
        shown = json.loads(sidecar.cli("key", "show", "--json"))
        assert shown["file"].startswith(f"{tmp_path}/elsewhere/keys")
        status = json.loads(sidecar.cli("status", "--json"))
        assert status["state_dir"] == f"{tmp_path}/elsewhere"
        assert status["store"] == f"{tmp_path}/s.db"
        chosen = json.loads(sidecar.cli("status", "--json", "--store", f"{tmp_path}/other.db"))
        assert chosen["store"] == f"{tmp_path}/other.db"
