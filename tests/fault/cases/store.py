# SPDX-License-Identifier: Apache-2.0
"""The far side: a store that is locked, slow, gone, full, read-only, damaged; an exporter that is stuck
for ever beside others; a record that no store takes."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import time
from typing import Iterator

from trial import Trial, case, demand
from waybill_testkit import wait_until

STORE = "/store.db"


@contextlib.contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Somebody else writes to the store, and does not come to an end."""
    holder = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
    finally:
        holder.close()


@contextlib.contextmanager
def filled(filler: pathlib.Path) -> Iterator[int]:
    """No room is left on the file system; the size of what took it."""
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            demand(error.errno == errno.ENOSPC, str(error))
    try:
        yield filler.stat().st_size
    finally:
        filler.unlink()


def caught_up(trial: Trial) -> float:
    """Seconds until all is delivered."""
    started = time.monotonic()
    wait_until(lambda: trial.exporter()["lag_frames"] < 64, 30, "the store has caught up")
    return time.monotonic() - started


def outage(trial: Trial, pattern: str, fault: contextlib.AbstractContextManager[object]) -> str:
    """The store does not take anything: said within seconds, work goes on, all of it arrives."""
    with fault:
        started = time.monotonic()
        reason = trial.delivery_trouble(pattern)
        said_s = time.monotonic() - started
        trial.work(40)
        demand(trial.get("/readyz")[0] == 200, "not ready, though the journal takes work")
        demand(trial.report()["degraded"], "not said to be degraded")
        behind = trial.exporter()["lag_frames"]
    trial.work(10)
    return (f"said after {said_s:.1f} s: \"{reason}\"; degraded, work went on; {behind} frames behind, "
            f"caught up {caught_up(trial):.1f} s after")


@case("another process holds the store's lock", fast=True)
def store_locked(trial: Trial) -> str:
    trial.begin()
    return outage(trial, "lock|busy", locked(trial.sidecar.store))


@case("each write to the store takes 20 ms")
def store_slow(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("write", path=STORE, delay_s=0.02) as fault:
        trial.work(150)
        hits, behind = fault.hits, trial.exporter()["lag_frames"]
    return f"{hits} slow writes, {behind} frames behind; caught up {caught_up(trial):.1f} s after"


@case("the store's file is moved away while it is open")
def store_gone(trial: Trial) -> str:
    trial.begin()
    caught_up(trial)
    aside = trial.sidecar.base / "aside"
    aside.mkdir()
    for path in trial.sidecar.store.parent.glob("store.db*"):
        path.rename(aside / path.name)
    trial.work(40)
    wait_until(trial.sidecar.store.exists, 15, "a store again")
    trial.parts = [aside / "store.db"]
    return "a new store was made; both together hold all"


@case("EROFS on every open, write and resize of the store: read-only file system")
def store_read_only(trial: Trial) -> str:
    trial.begin()
    return outage(trial, "read|write|disk|I/O|open", trial.weather.fault(
        "open", "write", "resize", path=STORE, error=errno.EROFS))


@case("ENOSPC on every write to the store")
def store_disk_full(trial: Trial) -> str:
    trial.begin()
    return outage(trial, "full|disk|I/O", trial.weather.fault(
        "write", "resize", path=STORE, error=errno.ENOSPC))


@case("the store on a tmpfs of 12 MiB, filled by somebody else, then freed", root=True)
def store_filled_and_freed(trial: Trial) -> str:
    home = trial.sidecar.data_home
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "none", str(home)], check=True)
    trial.begin()
    with filled(home / "filler") as size:
        reason = trial.delivery_trouble("full|disk|I/O", within_s=30)
        trial.work(40)
        demand(trial.get("/readyz")[0] == 200, "not ready, though the journal takes work")
        demand(trial.report()["degraded"], "not said to be degraded")
        behind = trial.exporter()["lag_frames"]
    trial.work(10)
    return (f"{size >> 10} KiB filled; \"{reason}\"; degraded, work went on; {behind} frames behind, "
            f"caught up {caught_up(trial):.1f} s after there was room")


@case("EIO on every sync of the store")
def store_sync_fails(trial: Trial) -> str:
    trial.begin()
    return outage(trial, "disk|I/O", trial.weather.fault("sync", path=STORE, error=errno.EIO))


@case("the store's first pages are overwritten while stopped; later the good copy is put back")
def store_damaged(trial: Trial) -> str:
    trial.begin()
    trial.load.rest()
    trial.sidecar.stop(30)
    kept = trial.sidecar.base / "kept.db"
    shutil.copy(trial.sidecar.store, kept)
    with open(trial.sidecar.store, "r+b") as file:
        file.write(os.urandom(8192))
    trial.sidecar.start()
    trial.load.go_on()
    reason = trial.delivery_trouble("database|malformed|corrupt|not a")
    trial.work(40)
    for path in trial.sidecar.store.parent.glob("store.db-*"):
        path.unlink()
    kept.replace(trial.sidecar.store)
    return f"said: \"{reason}\"; work went on; caught up {caught_up(trial):.1f} s after the copy was back"


@case("a span that the store refuses for ever (a trigger aborts its insert)", fast=True)
def poison_record(trial: Trial) -> str:
    trial.begin()
    caught_up(trial)
    with contextlib.closing(sqlite3.connect(trial.sidecar.store, timeout=30)) as db:
        db.execute("CREATE TRIGGER poison BEFORE INSERT ON spans WHEN NEW.name = 'poison'"
                   " BEGIN SELECT RAISE(ABORT, 'poison'); END")
    trial.load.record_one("poison")
    trial.work(40)
    wait_until(lambda: trial.exporter()["parked_records"] >= 1, 20, "parked")
    parked = trial.exporter()["parked_records"]
    demand(parked == 1, f"{parked} parked for one")
    with contextlib.closing(sqlite3.connect(trial.sidecar.store, timeout=30)) as db:
        db.execute("DROP TRIGGER poison")
    files = len(list((trial.sidecar.state_dir / "parked").rglob("*")))
    return f"1 record parked ({files} files), the others went on"


def rate(trial: Trial, name: str, seconds: float) -> float:
    """Records per second that an exporter delivers."""
    before, started = trial.exporter(name)["sent_records"], time.monotonic()
    time.sleep(seconds)
    return float(trial.exporter(name)["sent_records"] - before) / (time.monotonic() - started)


ROUNDS, ROUND_S = 6, 2.0


def stuck(trial: Trial, other: pathlib.Path) -> tuple[float, float, str]:
    """A round: what the good store gets while the other one is well, and while it is stuck."""
    free = rate(trial, "sqlite", ROUND_S)
    with locked(other):
        reason = trial.delivery_trouble("lock|busy", "other")
        beside = rate(trial, "sqlite", ROUND_S)
    wait_until(lambda: trial.exporter("other")["lag_frames"] < 256, 60, "the other one has caught up")
    return free, beside, reason


@case("one of two stores is locked for ever; backpressure; talkers that never pause",
      config="exporters: {other: {path: OTHER}}\n", journal="segment_bytes: 1MiB", talkers=16, pause_s=0.0)
def exporter_stuck(trial: Trial) -> str:
    other = trial.sidecar.base / "other.db"
    trial.begin()
    wait_until(other.exists, 10, "the other store")
    rounds = [stuck(trial, other) for _ in range(ROUNDS)]
    free, beside = (statistics.median(one[i] for one in rounds) for i in (0, 1))
    paired = statistics.median(one[1] / one[0] for one in rounds)
    numbers = ", ".join(f"{one[0]:.0f}/{one[1]:.0f}" for one in rounds)
    demand(paired >= 0.95, f"records/s free/beside it: {numbers}; paired {paired:.3f}")
    trial.also = [other]
    return (f"\"{rounds[0][2]}\"; the good store got {free:.0f} records/s before, {beside:.0f} beside it "
            f"(medians of {ROUNDS} rounds of {ROUND_S:.0f} s; paired {100 * paired:.0f} %; {numbers})")


@case("one of two stores is locked for ever; drop_oldest beyond 1 MiB",
      config="exporters: {other: {path: OTHER, when_full: drop_oldest, max_lag_bytes: 1MiB}}\n",
      journal="segment_bytes: 64KiB, limit_bytes: 16MiB")
def exporter_stuck_drops(trial: Trial) -> str:
    other = trial.sidecar.base / "other.db"
    trial.begin()
    wait_until(other.exists, 10, "the other store")
    with locked(other):
        wait_until(lambda: trial.exporter("other")["dropped_records"] > 0, 60, "drops counted")
        trial.work(60)
        code, text = trial.get("/readyz")
        demand(code == 200, f"a drop_oldest exporter stops work: {text}")
        demand(trial.report()["degraded"], "dropping is not said")
        lag = trial.exporter("other")["lag_bytes"]
    demand(lag <= 2 << 20, f"{lag} bytes behind, allowed is 1 MiB")
    dropped = trial.exporter("other")["dropped_records"]
    return f"{dropped} records dropped and counted, {lag >> 10} KiB behind, work never stopped"
