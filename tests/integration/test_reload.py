# SPDX-License-Identifier: Apache-2.0
"""What a running sidecar takes over from its files, when, and what it keeps when a file is broken."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request

import pytest
from agents import (
    Asker,
    a_delegate,
    agent_id,
    an_accept,
    company,
    config_of,
    origin,
)
from waybill_testkit import find_program, wait_until

from waybill import _wire
from waybill._wire import Status, Verdict

NAMES = ["a", "b"]


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


def report(sidecar):
    port = sidecar.status()["ports"]["admin"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        return json.load(answer)


def generation(sidecar):
    return report(sidecar)["reload"]["generation"]


def verdict(ask, **more):
    """Of one fresh delegation from a to b: (verdict, verified, class)."""
    asked = a_delegate(origin(NAMES, "b"))
    carrier = ask["a"](delegate=asked).delegate.carrier
    reply = ask["b"](accept=an_accept(asked, carrier, **more))
    if reply.status == Status.DENIED:
        return Verdict.REJECT, False, reply.wire_class
    assert reply.status == Status.OK, reply.detail
    return reply.accept.verdict, reply.accept.verified, reply.wire_class


CONTINUED = (Verdict.CONTINUE, True, "")
UNVERIFIED = (Verdict.LINK, False, "")


def cli(sidecar, *args):
    return subprocess.run(
        [str(find_program("waybill")), *args],
        env=sidecar.env,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_changed_trust_directory_is_noticed_within_a_moment(pair, ask):
    assert verdict(ask) == CONTINUED
    [file] = (pair["b"].state_dir / "trust.d").glob("*.json")
    text = file.read_text()
    began = time.monotonic()
    file.unlink()
    wait_until(lambda: verdict(ask) == UNVERIFIED, 5, "the removed key")
    assert time.monotonic() - began < 3
    file.write_text(text)  # in place, as an editor or cp does
    wait_until(lambda: verdict(ask) == CONTINUED, 5, "the key that came back")
    assert report(pair["b"])["reload"]["problems"] == []


def test_a_mounted_secret_is_followed_when_its_link_is_swapped(pair, ask):
    folder = pair["b"].state_dir / "trust.d"
    [file] = folder.glob("*.json")
    text = file.read_text()
    for stage, content in (("one", text), ("two", text.replace('"keys": [', '"keys": [],"was":['))):
        (folder / f"..{stage}").mkdir(mode=0o700)
        (folder / f"..{stage}" / file.name).write_text(content)
    os.symlink("..one", folder / "..data")
    file.unlink()
    os.symlink(f"..data/{file.name}", file)
    before = generation(pair["b"])
    wait_until(lambda: generation(pair["b"]) > before, 5, "the mounted directory")
    assert verdict(ask) == CONTINUED
    os.symlink("..two", folder / "..tmp")
    os.rename(folder / "..tmp", folder / "..data")
    refused = (Verdict.REJECT, False, "unauthenticated")  # an empty key set revokes the issuer
    wait_until(lambda: verdict(ask) == refused, 5, "the swapped link")


@pytest.mark.parametrize("how", ["SIGHUP", "ipc", "cli"])
def test_policies_and_peers_are_read_again(pair, ask, how):
    b = pair["b"]
    b.config_file.write_text(
        config_of(NAMES, "b")
        + f"trust: {{policies: {{'{agent_id('a')}': {{verdict: link}}}}}}\n"
        + "workers: 3\n"
    )
    before = generation(b)
    if how == "SIGHUP":
        os.kill(b.pid, signal.SIGHUP)
        wait_until(lambda: generation(b) > before, 5, "the reload")
    elif how == "ipc":
        reply = ask["b"](reload=_wire.Reload())
        assert reply.status == Status.OK, reply.detail
        assert reply.reload.generation == before + 1
        assert reply.reload.key_id == report(b)["key_id"]
        assert reply.reload.needs_restart == ["workers"] and reply.reload.problems == []
    else:
        told = json.loads(b.cli("reload", "--json"))
        assert told["generation"] == before + 1 and told["needs_restart"] == ["workers"]
    assert verdict(ask) == (Verdict.LINK, True, "")
    assert report(b)["reload"]["needs_restart"] == ["workers"]
    assert 'event="reload.needs_restart"' in b.log() and 'key="workers"' in b.log()

    b.config_file.write_text(config_of(["b"], "b"))  # knows nobody, and no policies
    assert ask["b"](reload=_wire.Reload()).reload.needs_restart == []
    assert verdict(ask) == CONTINUED
    asked = a_delegate(origin(NAMES, "a"))
    assert ask["b"](delegate=asked).delegate.carrier == ""
    b.config_file.write_text(config_of(NAMES, "b"))
    ask["b"](reload=_wire.Reload())
    assert ask["b"](delegate=a_delegate(origin(NAMES, "a"))).delegate.carrier != ""


def broken_config(b):
    b.config_file.write_text("trust: {mode: perhaps}\n")
    return "config", lambda: b.config_file.write_text(config_of(NAMES, "b"))


def broken_key(b):
    file = b.state_dir / "keys" / "current.key"
    file.chmod(0o644)
    return "keys", lambda: file.chmod(0o600)


def broken_trust(b):
    [file] = (b.state_dir / "trust.d").glob("*.json")
    text = file.read_text()
    file.write_text(text[:-2])
    return "trust", lambda: file.write_text(text)


def broken_list(b):
    file = b.state_dir / "trust.d" / "revoked.txt"
    file.write_text("kid nonsense 1\n")
    file.chmod(0o600)
    return "revoked", file.unlink


@pytest.mark.parametrize("breaks", [broken_config, broken_key, broken_trust, broken_list])
def test_a_broken_file_keeps_what_it_said_before(pair, ask, breaks):
    b = pair["b"]
    part, mend = breaks(b)
    before = generation(b)
    os.kill(b.pid, signal.SIGHUP)
    wait_until(lambda: generation(b) > before, 5, "the reload")
    assert verdict(ask) == CONTINUED
    assert ask["b"](delegate=a_delegate(origin(NAMES, "a"))).delegate.carrier != ""
    said = report(b)
    assert [p.split(":")[0] for p in said["reload"]["problems"]] == [part]
    assert said["healthy"] is True and said["degraded"] is True
    done = cli(b, "reload")
    assert done.returncode == 1 and f"left out: {part}: " in done.stdout
    assert "what was there before holds in its place" in done.stdout
    assert "degraded" in cli(b, "status").stdout
    advice = cli(b, "doctor")
    assert f"left out: {part}: " in advice.stdout
    assert "what was there before holds in its place" in advice.stdout
    mend()
    ask["b"](reload=_wire.Reload())
    said = report(b)
    assert said["reload"]["problems"] == [] and said["degraded"] is False
    assert verdict(ask) == CONTINUED


def test_a_start_has_no_file_of_before_to_keep(pair):
    b = pair["b"]
    b.stop()
    broken_list(b)
    b.start(wait=False)
    assert b.process.wait(10) == 78
    assert "revoked.txt" in b.log()


def test_what_was_broken_at_the_start_is_not_said_to_hold(pair, ask):
    b = pair["b"]
    b.stop()
    _, mend = broken_trust(b)
    b.start()
    with contextlib.closing(Asker(b)) as asker:
        ask["b"] = asker.ask
        assert verdict(ask) == UNVERIFIED
        for done in (cli(b, "doctor"), cli(b, "status"), cli(b, "reload")):
            assert "nothing holds in its place: its issuer is a stranger" in done.stdout
            assert "before holds" not in done.stdout
        mend()
        assert cli(b, "reload").returncode == 0
        assert verdict(ask) == CONTINUED


def test_reload_without_a_sidecar_says_so(pair):
    pair["b"].stop()
    done = cli(pair["b"], "reload")
    assert done.returncode == 3 and "when it starts" in done.stderr


def test_a_revoked_key_stops_at_the_next_accept(pair, ask):
    assert verdict(ask) == CONTINUED
    kid = report(pair["a"])["key_id"]
    file = pair["b"].state_dir / "trust.d" / "revoked.txt"
    file.write_text(f"kid {kid} {int(time.time()) - 1}\n")
    file.chmod(0o600)
    assert ask["b"](reload=_wire.Reload()).status == Status.OK
    assert verdict(ask) == (Verdict.REJECT, False, "unauthenticated")
    assert report(pair["b"])["counters"]["refused_by_code"] == {"WB_E_KEY_REVOKED": 1}


def test_requests_under_way_are_judged_by_one_world(pair, ask):
    """Reloads without end beside delegations: each reply is of one world or the other, none is lost."""
    stop = threading.Event()

    def churn():
        asker = Asker(pair["b"])
        while not stop.is_set():
            assert asker.ask(reload=_wire.Reload()).status == Status.OK
        asker.close()

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        assert [verdict(ask) for _ in range(50)] == [CONTINUED] * 50
    finally:
        stop.set()
        churning.join()
    assert generation(pair["b"]) > 5


def test_a_verb_whose_change_was_not_taken_over_says_so(pair, ask):
    b = pair["b"]
    revoked = b.state_dir / "trust.d" / "revoked.txt"
    done = cli(b, "trust", "revoke", "iss", "spiffe://example.org/first")
    assert done.returncode == 0, done.stderr
    broken = b.state_dir / "trust.d" / "broken.bundle.json"
    broken.write_text("{")
    done = cli(b, "trust", "revoke", "iss", "spiffe://example.org/second")
    assert done.returncode == 4, done.stderr
    assert "left files out" in done.stderr and "second" in revoked.read_text()


def test_what_was_left_out_is_read_again_without_a_change_and_said_once(pair, ask):
    b = pair["b"]
    (b.state_dir / "trust.d" / "broken.bundle.json").write_text("{")
    wait_until(lambda: report(b)["reload"]["problems"], 5, "the problem")
    before = generation(b)
    wait_until(lambda: generation(b) >= before + 2, 10, "two retries")
    assert b.log().count("trust.file_refused") == 1
