# SPDX-License-Identifier: Apache-2.0
"""The process itself: signals, files taken away, two of a name, other versions, keys that are wrong."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import time

from load import CONFIG
from trial import Trial, case, demand
from waybill_testkit import ROOT, Sidecar, find_program, wait_until

OLD = "26d070b"  # the release before this one
EX_CONFIG = 78


@case("SIGTERM under load", fast=True)
def sigterm_under_load(trial: Trial) -> str:
    trial.begin()
    started = time.monotonic()
    code = trial.sidecar.stop(20)
    took = time.monotonic() - started
    demand(code == 0, f"exit code {code}")
    trial.sidecar.start()
    trial.work(20)
    return f"exit code 0 after {took:.1f} s; restarted"


@case("SIGTERM while the store is slow, then a second SIGTERM")
def second_sigterm(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("write", path="/store.db", delay_s=1.0):
        time.sleep(0.5)
        trial.sidecar.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        started = time.monotonic()
        code = trial.sidecar.stop(10)
        took = time.monotonic() - started
    demand(code == -signal.SIGTERM and took < 2, f"exit code {code} after {took:.1f} s")
    trial.sidecar.start()
    trial.work(20)
    return f"ended at once by the signal ({took:.2f} s); nothing lost"


@case("SIGSTOP for 3 s, then SIGCONT")
def stopped_and_continued(trial: Trial) -> str:
    trial.begin()
    trial.sidecar.process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    trial.sidecar.process.send_signal(signal.SIGCONT)
    trial.work(20)
    return trial.put_off()


@case("SIGHUP with a configuration file that is broken, then mended", fast=True)
def sighup_with_a_broken_file(trial: Trial) -> str:
    trial.begin()
    good = trial.sidecar.config_file.read_text()
    before = trial.report()["reload"]["generation"]
    trial.sidecar.config_file.write_text(good + "trust: {mode: [\n")
    trial.sidecar.process.send_signal(signal.SIGHUP)
    wait_until(lambda: trial.report()["reload"]["problems"], 10, "the problem said")
    problem = trial.report()["reload"]["problems"][0]
    demand(trial.report()["degraded"], "not said to be degraded")
    trial.work(20)
    trial.sidecar.config_file.write_text(good)
    trial.sidecar.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not trial.report()["reload"]["problems"], 10, "mended")
    after = trial.report()["reload"]["generation"]
    demand(after > before, "no new generation")
    return f"old one held, \"{problem}\"; mended by the next SIGHUP"


@case("a second waybilld on the same state directory", fast=True)
def two_on_one_directory(trial: Trial) -> str:
    trial.begin()
    second = subprocess.run(
        [str(find_program("waybilld")), "--name", "trial", "--config", str(trial.sidecar.config_file)],
        env=trial.sidecar.env | {"LD_PRELOAD": ""}, capture_output=True, text=True, timeout=20)
    demand(second.returncode not in (0, -6, -11), f"exit code {second.returncode}")
    demand(f"process {trial.sidecar.pid} has" in second.stderr, second.stderr[-200:])
    trial.work(20)
    return f"the second ended with exit code {second.returncode} and said why; the first went on"


@case("the run directory is removed")
def run_directory_removed(trial: Trial) -> str:
    trial.begin()
    shutil.rmtree(trial.sidecar.run_dir)
    try:
        wait_until(trial.sidecar.socket.exists, 10, "a new socket")
        made = "made again by itself"
    except TimeoutError:
        made = "not made again: connections of before go on, new ones need a restart"
    trial.work(20)
    if not trial.sidecar.status_file.exists():
        trial.load.rest()
        trial.sidecar.stop(20)
        trial.sidecar.start()
        trial.load.go_on()
    return made


def restart_and_recover(trial: Trial) -> str:
    """Onto a new journal. Tokens made before the loss, or within the skew after it, are refused; so it is not
    ready until then, and says so."""
    trial.sidecar.stop(20)
    trial.sidecar.extra_env["WAYBILL_TRUST_SKEW_S"] = "5"
    trial.sidecar.start()
    trial.load.abandon()
    said = trial.trouble("^recovering: tokens are refused until ", 5)
    wait_until(lambda: trial.get("/readyz")[0] == 200, 10, "the end of that")
    trial.begin_load()
    return said


@case("the journal's directory is removed under the running sidecar, then it is restarted")
def journal_removed(trial: Trial) -> str:
    trial.begin()
    trial.load.rest()
    wait_until(lambda: trial.exporter()["lag_frames"] < 8, 20, "delivered")
    time.sleep(1)
    shutil.rmtree(trial.sidecar.state_dir / "journal")
    reason = trial.trouble_after_a_request("removed|gone")
    recovers = restart_and_recover(trial)
    return f"readyz 503 \"{reason}\"; restarted with a new journal: 503 \"{recovers}\""


@case("the journal's files are removed, its directory stays")
def journal_files_removed(trial: Trial) -> str:
    trial.begin()
    trial.load.rest()
    wait_until(lambda: trial.exporter()["lag_frames"] < 8, 20, "delivered")
    time.sleep(1)
    for path in (trial.sidecar.state_dir / "journal").iterdir():
        if path.is_file():
            path.unlink()
    reason = trial.trouble_after_a_request("removed|gone")
    recovers = restart_and_recover(trial)
    return f"readyz 503 \"{reason}\"; restarted with a new journal: 503 \"{recovers}\""


@case("the journal's directory is moved away under the running sidecar, and back at its end")
def journal_moved(trial: Trial) -> str:
    trial.begin()
    trial.load.rest()
    journal = trial.sidecar.state_dir / "journal"
    journal.rename(journal.with_name("aside"))
    reason = trial.trouble_after_a_request("removed|gone")
    trial.sidecar.stop(20)
    journal.with_name("aside").rename(journal)
    trial.sidecar.start()
    trial.load.go_on()
    return f"readyz 503 \"{reason}\"; restarted on the old journal"


def old_program() -> pathlib.Path:
    """waybilld of the release before, built once from the repository's history."""
    folder = ROOT / "build" / f"old-{OLD}"
    program = folder / "build" / "release" / "bin" / "waybilld"
    if not program.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", OLD], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "x"], cwd=folder, input=archive.stdout, check=True)
        for step in (["cmake", "--preset", "release"],
                     ["cmake", "--build", "--preset", "release", "--target", "waybilld"]):
            subprocess.run(step, cwd=folder, check=True, capture_output=True)
    return program


@case("upgrade: the journal of the release before, full of undelivered work")
def upgrade(trial: Trial) -> str:
    new = trial.sidecar.program
    trial.sidecar.program = old_program()
    trial.sidecar.start()
    with trial.weather.fault("write", path="/store.db", delay_s=5.0):
        trial.begin_load()
        trial.work(40)
        trial.sidecar.kill9()
    trial.sidecar.program = new
    trial.sidecar.start(timeout_s=30)
    report = trial.report()
    demand(report["journal"]["lost_frames"] == 0, "frames lost")
    trial.work(20)
    return f"read: {report['journal']['durable_seq']} frames, none lost; {trial.put_off()}"


@case("downgrade: this version's journal under the release before, and back")
def downgrade(trial: Trial) -> str:
    trial.begin()
    new = trial.sidecar.program
    trial.load.rest()
    trial.sidecar.kill9()
    journal = trial.sidecar.state_dir / "journal"
    before = {path.name: path.read_bytes() for path in sorted(journal.iterdir()) if path.is_file()}
    trial.sidecar.program = old_program()
    try:
        trial.sidecar.start()
        code, said = trial.sidecar.stop(30), "taken over"
    except RuntimeError:
        code, said = trial.sidecar.process.wait(), "refused"
        after = {path.name: path.read_bytes() for path in sorted(journal.iterdir()) if path.is_file()}
        demand(code == EX_CONFIG and after == before, f"exit code {code}, journal touched")
    trial.sidecar.program = new
    trial.sidecar.start(timeout_s=30)
    trial.load.go_on()
    trial.work(20)
    return f"{said} by the old one, exit code {code}; then the new one went on"


@case("keys/current.key missing its mode, empty, of another id, a directory, a dangling link", fast=True,
      trial=False)
def wrong_keys(folder: pathlib.Path) -> str:
    seen = []
    for name, spoil in (
        ("open to others", lambda key: key.chmod(0o644)),
        ("empty", lambda key: key.write_bytes(b"")),
        ("of another id", lambda key: key.write_text(
            key.read_text().replace(key.read_text().split(":")[1], "A" * 43))),
        ("a directory", lambda key: (key.unlink(), key.mkdir())),
        ("a dangling link", lambda key: (key.unlink(), key.symlink_to("nothing"))),
        ("linked twice", lambda key: os.link(key, key.with_name("copy"))),
    ):
        sidecar = Sidecar("keys", base=folder, config=CONFIG)
        sidecar.start()
        sidecar.stop()
        spoil(sidecar.state_dir / "keys" / "current.key")
        try:
            sidecar.start()
            sidecar.stop()
            demand(False, f"started with a key that is {name}")
        except RuntimeError:
            code = sidecar.process.wait()
        demand(code == EX_CONFIG, f"{name}: exit code {code}")
        demand("current.key" in sidecar.log(), f"{name}: does not say which file")
        seen.append(name)
        shutil.rmtree(sidecar.state_dir)
    return f"exit code 78 and the file named: {', '.join(seen)}"


@case("state directory on a read-only file system", trial=False, root=True)
def read_only_state(folder: pathlib.Path) -> str:
    sidecar = Sidecar("readonly", base=folder, config=CONFIG)
    sidecar.start()
    sidecar.stop()
    home = str(sidecar.state_home)
    subprocess.run(["mount", "--bind", home, home], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", home], check=True)
    try:
        sidecar.start()
        sidecar.stop()
        demand(False, "started")
    except RuntimeError:
        code = sidecar.process.wait()
    finally:
        subprocess.run(["umount", home], check=True)
    demand(code in (1, EX_CONFIG), f"exit code {code}")
    last = sidecar.log().strip().splitlines()[-1]
    demand("ead-only" in last, last)
    sidecar.start()
    sidecar.stop()
    return f"exit code {code}, said why; starts again when writable"
