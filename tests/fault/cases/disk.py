# SPDX-License-Identifier: Apache-2.0
"""The journal's disk."""

from __future__ import annotations

import errno
import subprocess
import time

from trial import Trial, case, demand

JOURNAL = "/journal"


def refused_then_back(trial: Trial, pattern: str, rule: object, hold_s: float = 1.5) -> str:
    """While the fault holds: refused, with a reason, never falsely healthy. Then back by itself."""
    with rule as fault:  # type: ignore[attr-defined]
        reason = trial.trouble(pattern)
        time.sleep(hold_s)
        demand(trial.stands_still(), "requests went through a disk that fails")
        demand(trial.get("/readyz")[0] == 503, "ready, while requests are refused")
        hits = fault.hits
    started = time.monotonic()
    trial.work(20)
    trial.well()
    return (f"{hits} calls failed; readyz 503 \"{reason}\"; {trial.put_off()}; back by itself after "
            f"{time.monotonic() - started:.1f} s")


@case("ENOSPC on every write to the journal", fast=True)
def disk_full_on_append(trial: Trial) -> str:
    trial.begin()
    return refused_then_back(trial, "disk|journal", trial.weather.fault(
        "write", "resize", path=JOURNAL, error=errno.ENOSPC))


@case("ENOSPC on every fdatasync and fsync of the journal")
def disk_full_on_sync(trial: Trial) -> str:
    trial.begin()
    return refused_then_back(trial, "disk|journal", trial.weather.fault(
        "sync", path=JOURNAL, error=errno.ENOSPC))


@case("ENOSPC on every rename in the journal's folder: no segment, no snapshot")
def disk_full_on_rename(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("rename", path=JOURNAL, error=errno.ENOSPC) as fault:
        time.sleep(2)
        refusing = trial.stands_still()
        code, text = trial.get("/readyz")
        demand(not (refusing and code == 200), "ready, while requests are refused")
        hits = fault.hits
        demand(hits > 0, "nothing was renamed")
    trial.work(20)
    trial.well()
    return f"{hits} renames failed; readyz {code} \"{text}\"; {trial.put_off()}"


@case("state on a tmpfs of 6 MiB, filled by somebody else, then freed", fast=True, root=True,
      journal="segment_bytes: 256KiB, limit_bytes: 4MiB")
def disk_really_full(trial: Trial) -> str:
    home = trial.sidecar.state_home
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "none", str(home)], check=True)
    trial.begin()
    filler = home / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            demand(error.errno == errno.ENOSPC, str(error))
    reason = trial.trouble("full|space|disk", 60)
    filled = filler.stat().st_size
    demand(trial.get("/readyz")[0] == 503, "ready on a full disk")
    filler.unlink()
    started = time.monotonic()
    trial.work(20)
    trial.well()
    return (f"{filled >> 10} KiB filled; readyz 503 \"{reason}\"; {trial.put_off()}; back by itself "
            f"after {time.monotonic() - started:.1f} s")


@case("EIO on one fdatasync of the journal", fast=True)
def one_sync_fails(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("sync", path=JOURNAL, error=errno.EIO, times=1) as fault:
        trial.work(40)
        demand(fault.hits == 1, "no sync was hit")
    failed = trial.report()["journal"]["failed_syncs"]
    demand(failed >= 1, "not counted")
    return f"failed_syncs {failed}; {trial.put_off()}"


@case("EIO on every sync of the journal, kill -9, restart on a good disk")
def syncs_fail_for_good(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("sync", path=JOURNAL, error=errno.EIO):
        reason = trial.trouble("disk|journal")
        time.sleep(1)
        trial.sidecar.kill9()
    trial.sidecar.start(timeout_s=30)
    trial.work(20)
    return f"readyz 503 \"{reason}\"; {trial.put_off()}; restarted"


@case("EIO on one write to the journal")
def one_write_fails(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("write", path=JOURNAL, error=errno.EIO, times=1) as fault:
        trial.work(40)
        demand(fault.hits == 1, "no write was hit")
    return f"{trial.put_off()}"


@case("every write to the journal stops halfway; 50 are interrupted")
def short_writes(trial: Trial) -> str:
    trial.begin()
    with (trial.weather.fault("write", path=JOURNAL, error=errno.EINTR, times=50) as interrupted,
          trial.weather.fault("write", path=JOURNAL, halve=True) as halved):
        trial.work(80)
        demand(halved.hits > 0 and interrupted.hits > 0, "no write was hit")
        return f"{halved.hits} short, {interrupted.hits} interrupted; {trial.put_off()}"


@case("each fdatasync of the journal takes 100 ms")
def slow_sync(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("sync", path=JOURNAL, delay_s=0.1):
        started = time.monotonic()
        trial.work(12)
        took = time.monotonic() - started
    return f"12 conversations of 5 commits in {took:.1f} s; {trial.put_off()}"


@case("unlink in the journal's folder fails: what was trimmed stays")
def unlink_fails(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("unlink", path=JOURNAL, error=errno.EIO) as fault:
        trial.work(200)
        hits = fault.hits
    trial.work(40)
    return f"{hits} unlinks failed; {trial.put_off()}"
