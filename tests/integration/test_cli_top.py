# SPDX-License-Identifier: Apache-2.0
"""`top` over real sidecars that work, die, hang and come back."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

import pytest
from agents import Asker, a_delegate
from cli_store import NO, YES, clean_env, waybill
from terminal import ENTER, LEAVE, Terminal
from waybill_testkit import Sidecar, find_program, wait_until

NAMES = ("alpha", "beta")


@pytest.fixture(scope="module")
def two():
    """Two sidecars of one user: their run directories lie side by side."""
    with tempfile.TemporaryDirectory(prefix="wb-top-", dir="/tmp") as base, contextlib.ExitStack() as stack:
        made = {}
        for name in NAMES:
            sidecar = Sidecar(name, base=base, config="admin: {listen: 127.0.0.1:0}\n")
            stack.callback(sidecar.close)
            made[name] = sidecar.start()
        yield made


def env_of(two) -> dict[str, str]:
    env = dict(two["alpha"].env)
    env.pop("WAYBILL_NAME")
    env["LANG"] = "C.UTF-8"
    return env


class Work(threading.Thread):
    """Delegations of one sidecar until the block ends."""

    def __init__(self, sidecar: Sidecar) -> None:
        super().__init__(daemon=True)
        self.asker, self.over = Asker(sidecar), threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.asker.ask(delegate=a_delegate("http://127.0.0.1:1"))
            self.over.wait(0.01)

    def __enter__(self) -> "Work":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.over.set()
        self.join(10)
        self.asker.close()


class Looks:
    """`top --json` in the background; looks are taken one by one."""

    def __init__(self, env: dict[str, str], *args: str) -> None:
        self.process = subprocess.Popen(
            [str(find_program("waybill")), "top", "--json", "--interval", "300ms", *args],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )

    def next(self) -> dict[str, dict]:
        line = self.process.stdout.readline()
        return {s["name"]: s for s in json.loads(line)["sidecars"]}

    def until(self, condition, what: str) -> dict[str, dict]:
        for _ in range(40):
            look = self.next()
            if condition(look):
                return look
        raise TimeoutError(f"never {what}: {look}")

    def __enter__(self) -> "Looks":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_nothing_runs_is_1():
    with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as home:
        env = clean_env(XDG_RUNTIME_DIR=home)
        done = waybill("top", "--once", "--interval", "100ms", env=env)
        assert done.returncode == NO and "no sidecar runs here" in done.stdout
        done = waybill("top", "--once", "--interval", "100ms", "--json", "--name", "nobody", env=env)
        assert done.returncode == NO
        (nobody,) = json.loads(done.stdout)["sidecars"]
        assert nobody["running"] is False and "no sidecar named nobody" in nobody["reason"]


def test_once_tells_rates_of_an_interval_for_all_or_for_one(two):
    with Work(two["alpha"]):
        done = waybill("top", "--once", "--interval", "500ms", "--json", env=env_of(two))
        text = waybill("top", "--once", "--interval", "200ms", env=env_of(two)).stdout
        one = waybill("top", "--once", "--interval", "200ms", "--json", "--name", "beta", env=env_of(two))
    assert done.returncode == YES, done.stderr
    alpha, beta = json.loads(done.stdout)["sidecars"]
    assert (alpha["name"], beta["name"]) == NAMES and alpha["running"] and beta["running"]
    assert 5 < alpha["per_second"]["delegations"] < 200 and beta["per_second"]["delegations"] == 0
    assert alpha["totals"]["delegations"] >= 0.4 * alpha["per_second"]["delegations"]
    assert alpha["open_delegations"] > 0 and alpha["pid"] == two["alpha"].pid
    assert 0 < alpha["journal_used_bytes"] < alpha["journal_limit_bytes"]
    (exporter,) = alpha["exporters"]
    assert exporter["name"] == "sqlite" and exporter["sent_records"] > 0 and exporter["records_per_second"] > 0
    lines = text.splitlines()
    assert lines[2].split()[:4] == ["SIDECAR", "STATE", "UP", "SPANS/S"]
    assert re.match(r"alpha +running ", lines[3]) and re.match(r"beta +running ", lines[4])
    assert any(re.match(r"alpha +sqlite ", line) for line in lines)
    assert [s["name"] for s in json.loads(one.stdout)["sidecars"]] == ["beta"]


def test_lag_is_shown_while_the_store_is_locked(two):
    import sqlite3

    with Work(two["beta"]):
        wait_until(lambda: two["beta"].store.exists(), 10, "the store")
        with contextlib.closing(sqlite3.connect(two["beta"].store, isolation_level=None, timeout=20)) as db:
            db.execute("BEGIN IMMEDIATE")
            with Looks(env_of(two)) as looks:
                look = looks.until(lambda now: now["beta"]["exporters"][0]["lag_ms"] > 500, "late")
            db.execute("ROLLBACK")
    exporter = look["beta"]["exporters"][0]
    assert exporter["lag_frames"] > 0 and exporter["lag_bytes"] > 0


def test_it_goes_on_while_sidecars_die_hang_and_come_back(two):
    alpha, beta = two["alpha"], two["beta"]
    with Looks(env_of(two)) as looks:
        assert all(s["per_second"] is not None for s in looks.next().values())
        os.kill(beta.pid, signal.SIGSTOP)
        try:
            look = looks.until(lambda now: not now["beta"]["running"], "silent")
            assert look["alpha"]["running"] and "no answer in time" in look["beta"]["reason"]
        finally:
            os.kill(beta.pid, signal.SIGCONT)
        looks.until(lambda now: now["beta"]["running"], "back")
        beta.kill9()
        look = looks.until(lambda now: not now["beta"]["running"], "dead")
        assert "is gone but left" in look["beta"]["reason"] and look["alpha"]["running"]
        beta.start()
        look = looks.until(lambda now: now["beta"]["running"], "restarted")
        assert look["beta"]["per_second"] is None  # no earlier look at this process
        look = looks.next()
        assert look["beta"]["per_second"]["delegations"] == 0 and look["beta"]["totals"]["delegations"] == 0
        alpha.stop()
        looks.until(lambda now: "alpha" not in now, "stopped")
        alpha.start()
        looks.until(lambda now: "alpha" in now and now["alpha"]["running"], "started")


def test_the_screen_is_drawn_resized_and_given_back(two):
    args = [find_program("waybill"), "top", "--interval", "200ms"]
    with Terminal(args, env_of(two), rows=40, columns=200) as terminal:
        at = terminal.wait_for(ENTER)
        at = terminal.wait_for("beta", after=at)
        assert "2 running" in terminal.text
        with Work(two["alpha"]):
            terminal.wait_for("out, 0 in", after=at)
            time.sleep(0.5)
            terminal.read(0.1)
        at = len(terminal.text)
        terminal.resize(3, 60)
        terminal.wait_for("q ends", after=at)
        time.sleep(0.3)
        while terminal.read(0.05):
            pass
        last = terminal.text[terminal.text.rindex("\x1b[H"):]
        assert last.count("\n") == 2, "no more rows than there are"
        terminal.type("q")
        assert terminal.end() == YES
        assert terminal.text.endswith(LEAVE) and terminal.mode() == terminal.mode_before


def test_a_run_directory_with_a_hostile_status_file_harms_nothing(two):
    folder = pathlib.Path(two["alpha"].run_dir).parent / "evil"
    folder.mkdir(mode=0o700)
    status = folder / "status.json"
    try:
        for text in ("{", "x" * 5_000_000, '{"name":"\\u001b[2J","pid":1,"ports":{"admin":1}}', ""):
            status.write_text(text)
            done = waybill("top", "--once", "--interval", "100ms", env=env_of(two))
            assert done.returncode == YES and re.search(r"^evil +silent", done.stdout, re.M), done.stdout
            assert "\x1b" not in done.stdout
    finally:
        status.unlink()
        folder.rmdir()


def test_ctrl_c_ends_with_0(two):
    process = subprocess.Popen(
        [str(find_program("waybill")), "top", "--interval", "100ms"], env=env_of(two), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == YES
