# SPDX-License-Identifier: Apache-2.0
"""Keys change hands while agents work: rotations under load, old tokens, revocation, withdrawal."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.request

import pytest
from agents import Asker, a_delegate, an_accept, company, origin
from waybill_testkit import find_program, wait_until

from waybill._wire import Status, Verdict

NAMES = ["a", "b"]


@pytest.fixture
def pair():
    with company(NAMES) as sidecars:
        yield sidecars


def cli(sidecar, *args, stdin=""):
    done = subprocess.run([str(find_program("waybill")), *args], env=sidecar.env, input=stdin,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout


def key_id(sidecar):
    port = sidecar.status()["ports"]["admin"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        return json.load(answer)["key_id"]


def publish(sender, receiver):
    cli(receiver, "trust", "add", "-", stdin=cli(sender, "trust", "bundle"))


def rotate(sender, receiver):
    """As an operator does it, but for the ten minutes of waiting."""
    made = json.loads(cli(sender, "key", "rotate", "--json"))
    assert made["step"] == "made_next"
    publish(sender, receiver)
    old = time.time() - 601
    os.utime(sender.state_dir / "keys" / "next.key", (old, old))
    promoted = json.loads(cli(sender, "key", "rotate", "--json"))
    assert promoted["step"] == "promoted" and promoted["current"] == made["next"]
    wait_until(lambda: key_id(sender) == promoted["current"], 5, "the new key")
    publish(sender, receiver)
    return promoted


class Work:
    """Delegates from a to b and accepts there, in threads, until it is told to stop."""

    def __init__(self, pair, threads=3):
        self.pair, self.verdicts, self.kids, self.failed = pair, [], set(), []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self):
        a, b = Asker(self.pair["a"]), Asker(self.pair["b"])
        try:
            while not self.stopping.is_set():
                asked = a_delegate(origin(NAMES, "b"))
                reply = a.ask(delegate=asked)
                assert reply.status == Status.OK and reply.delegate.carrier, reply
                reply = b.ask(accept=an_accept(asked, reply.delegate.carrier))
                assert reply.status == Status.OK, (reply.wire_class, reply.detail)
                self.verdicts.append((reply.accept.verdict, reply.accept.verified))
        except Exception as error:  # noqa: BLE001: told by the test
            self.failed.append(error)
        finally:
            a.close()
            b.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_exc):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def more(self, count=30):
        """Wait until so many more messages went through."""
        before = len(self.verdicts)
        wait_until(lambda: self.failed or len(self.verdicts) >= before + count, 20, "work")
        assert not self.failed, self.failed


def test_two_rotations_under_load_lose_no_delegation(pair):
    a, b = pair["a"], pair["b"]
    first = key_id(a)
    with Work(pair) as work:
        work.more()
        second = rotate(a, b)
        assert second["retired"] == first
        work.more()
        third = rotate(a, b)
        assert third["retired"] == second["current"]
        work.more()
    assert not work.failed
    assert set(work.verdicts) == {(Verdict.CONTINUE, True)}
    shown = json.loads(cli(a, "key", "show", "--json"))["keys"]
    assert {key["kid"]: key["role"] for key in shown} == {
        third["current"]: "current", second["current"]: "retired", first: "retired"}


def one_token(pair):
    asked = a_delegate(origin(NAMES, "b"))
    a = Asker(pair["a"])
    carrier = a.ask(delegate=asked).delegate.carrier
    a.close()
    return asked, carrier


def offer(pair, asked, carrier):
    b = Asker(pair["b"])
    reply = b.ask(accept=an_accept(asked, carrier))
    b.close()
    return (reply.accept.verdict if reply.status == Status.OK else Verdict.REJECT), reply.wire_class


def audit(sidecar, carrier, now):
    """What `token verify` says of a token on a day when only its signature can be asked about."""
    done = subprocess.run(
        [str(find_program("waybill")), "token", "verify", "--json", "--now", str(now)],
        env=sidecar.env, input="\n".join(json.loads(carrier)["chain"]), capture_output=True,
        text=True, timeout=30)
    return json.loads(done.stdout)


def test_what_the_old_key_signed_still_counts(pair):
    asked, carrier = one_token(pair)
    signed = int(time.time())
    retired = rotate(pair["a"], pair["b"])["retired"]
    assert offer(pair, asked, carrier)[0] == Verdict.CONTINUE
    # An hour later the token itself is over; put the clock back to when it was not: it verifies.
    later = audit(pair["b"], carrier, signed)
    assert later["verdict"] == "CONTINUE" and later["verified"] is True
    # A key dropped for good takes that with it.
    cli(pair["a"], "key", "retire", "--drop", retired)
    publish(pair["a"], pair["b"])
    assert audit(pair["b"], carrier, signed)["code"] == "WB_E_KEY_UNKNOWN"


def test_tokens_of_the_last_hour_still_audit_after_the_key_s_own_end(pair):
    """A stored token, verified at its own time, with a key whose published end (`wb_exp`) is past by
    now. No clock is turned: what moves is the end that the bundle says."""
    asked, carrier = one_token(pair)
    signed = int(time.time())
    retired = rotate(pair["a"], pair["b"])["retired"]
    line = next((pair["a"].state_dir / "keys" / "retired").glob(f"{retired}*")).read_text()
    assert line.split(":")[1] == retired
    bundle = json.loads(cli(pair["a"], "trust", "bundle"))
    old = next(key for key in bundle["keys"] if key["kid"] == retired)
    assert old["wb_exp"] > signed
    # An hour later that end is past; here it is moved to the token's own second but two.
    old["wb_exp"] = signed + 2
    cli(pair["b"], "trust", "add", "-", stdin=json.dumps(bundle))
    wait_until(lambda: time.time() > old["wb_exp"] + 1, 10, "the key's end")
    stored = audit(pair["b"], carrier, signed)
    assert stored["verdict"] == "CONTINUE" and stored["verified"] is True, stored
    # The end does count: for a token that was signed behind it.
    old["wb_exp"] = signed - 5
    cli(pair["b"], "trust", "add", "-", stdin=json.dumps(bundle))
    assert audit(pair["b"], carrier, signed)["code"] == "WB_E_KEY_TIME"


def test_a_stolen_key_stops_at_the_next_accept(pair):
    asked, carrier = one_token(pair)
    stolen = key_id(pair["a"])
    cli(pair["b"], "trust", "revoke", "kid", stolen)  # asks the running sidecar to reload
    assert offer(pair, asked, carrier) == (Verdict.REJECT, "unauthenticated")
    fresh = json.loads(cli(pair["a"], "key", "rotate", "--force", "--json"))
    assert fresh["retired"] == stolen
    wait_until(lambda: key_id(pair["a"]) == fresh["current"], 5, "the new key")
    publish(pair["a"], pair["b"])
    assert offer(pair, *one_token(pair))[0] == Verdict.CONTINUE


@pytest.mark.parametrize("gone", ["revoked.txt", "trust.d"])
def test_a_further_revocation_lifts_none_that_the_sidecar_holds_to(pair, gone):
    b, trust = pair["b"], pair["b"].state_dir / "trust.d"
    asked, carrier = one_token(pair)
    cli(b, "trust", "revoke", "kid", key_id(pair["a"]))
    kept = (trust / "revoked.txt").read_text()
    if gone == "trust.d":
        trust.rename(b.state_dir / "away")
    else:
        (trust / gone).unlink()
    another = ("trust", "revoke", "iss", "spiffe://x.example/y")
    done = subprocess.run([str(find_program("waybill")), *another], env=b.env,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 3 and done.stdout == "", done
    assert "holds to its 1 revocations" in done.stderr and "lay the file down" in done.stderr
    assert not (trust / "revoked.txt").exists()
    assert offer(pair, asked, carrier) == (Verdict.REJECT, "unauthenticated")
    listed = subprocess.run([str(find_program("waybill")), "trust", "list", "--json"], env=b.env,
                            capture_output=True, text=True, timeout=30)
    [problem] = json.loads(listed.stdout)["problems"]
    assert listed.returncode == 1 and problem["file"] == "revoked.txt", listed
    assert "holds to its 1 revocations" in problem["reason"]

    if gone == "trust.d":
        trust.rmdir()
        (b.state_dir / "away").rename(trust)
    else:
        (trust / "revoked.txt").write_text(kept)
    cli(b, *another)
    assert len(json.loads(cli(b, "trust", "list", "--json"))["revoked"]) == 2
    assert offer(pair, asked, carrier) == (Verdict.REJECT, "unauthenticated")


def test_a_withdrawn_next_key_never_signs(pair):
    a = pair["a"]
    current = key_id(a)
    made = json.loads(cli(a, "key", "rotate", "--json"))["next"]
    cli(a, "key", "retire", made)
    assert not (a.state_dir / "keys" / "next.key").exists()
    again = json.loads(cli(a, "key", "rotate", "--json"))
    assert again["step"] == "made_next" and again["next"] != made and again["current"] == current
    assert key_id(a) == current


def test_mounted_keys_are_swapped_while_the_agent_works(pair):
    """A secret in Kubernetes: ..data turns to a generation in which the next key is the current one."""
    a, b = pair["a"], pair["b"]
    keys = a.state_dir / "keys"
    made = json.loads(cli(a, "key", "rotate", "--json"))
    publish(a, b)
    current, following = ((keys / name).read_text() for name in ("current.key", "next.key"))
    public = {key["kid"]: key["x"] for key in json.loads(cli(a, "key", "show", "--json"))["keys"]}
    line = f"waybill-pk-v1:{made['current']}:{public[made['current']]}:0:{int(time.time()) + 900}\n"
    for name, files in (("one", {"current.key": current, "next.key": following}),
                        ("two", {"current.key": following, f"{made['current']}.pub": line})):
        folder = keys / f"..{name}"
        folder.mkdir(mode=0o755)
        for file, text in files.items():
            (folder / file).write_text(text)
            (folder / file).chmod(0o440)
    (keys / "..two" / "retired").mkdir(mode=0o755)
    (keys / "..two" / f"{made['current']}.pub").rename(
        keys / "..two" / "retired" / f"{made['current']}.pub")
    with Work(pair) as work:
        work.more()
        os.symlink("..one", keys / "..data")
        os.symlink("..data/retired", keys / "retired")
        for name in ("current.key", "next.key"):
            os.symlink(f"..data/{name}", keys / f"..{name}")
            os.rename(keys / f"..{name}", keys / name)
        work.more()
        os.symlink("..two", keys / "..tmp")
        os.rename(keys / "..tmp", keys / "..data")
        wait_until(lambda: key_id(a) == made["next"], 5, "the swapped key")
        work.more()
    assert not work.failed
    assert set(work.verdicts) == {(Verdict.CONTINUE, True)}
