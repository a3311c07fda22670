# SPDX-License-Identifier: Apache-2.0
"""Little memory, little processor time."""

from __future__ import annotations

import collections
import os
import sqlite3
import time

from cases.store import locked
from control_group import control_group
from trial import Trial, case, demand
from waybill_testkit import ROOT, wait_until

from waybill import _otlp, _wire

MIB = 1 << 20
MEMORY, BACKLOG, BATCH = 32 * MIB, 1_000_000, 1000
READY_S = 3.0  # beside other work of the machine
SHARE, ANSWER_S = 0.05, 2.0


def shipped() -> os.PathLike[str] | None:
    """The release build, which the limits are promised for, if there is one."""
    program = ROOT / "build" / "release" / "bin" / "waybilld"
    return program if program.exists() else None


def peak_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


class Backlog:
    """Records of BATCH spans each under one trace id of their own; the ids of those acknowledged are synced
    to a file."""

    def __init__(self, trial: Trial) -> None:
        self._trial, self._mark = trial, os.urandom(16)
        resource, scope, now = _otlp.resource({"service.name": "backlog"}), _otlp.scope("backlog"), time.time_ns()
        self._template = _otlp.export_request([
            (resource, scope, _otlp.span(trace_id=self._mark, span_id=(i + 1).to_bytes(8, "big"), name="backlog",
                                         kind=1, start_ns=now, end_ns=now + 1, attrs={}))
            for i in range(BATCH)])
        self._path = trial.sidecar.base / "backlog"

    def fill(self, spans: int) -> None:
        with open(self._path, "ab", buffering=0) as file:
            for _ in range(spans // BATCH):
                trace_id = os.urandom(16)
                said = self._trial.load.ask(
                    record=_wire.Record(traces=self._template.replace(self._mark, trace_id))).record
                demand(said is not None and said.accepted_spans == BATCH, f"record: {said}")
                file.write(trace_id)
                os.fsync(file.fileno())

    def missing(self) -> tuple[int, int]:
        """Spans that were acknowledged and are not stored; spans that are stored more than once."""
        acked = self._path.read_bytes()
        db = sqlite3.connect(f"file:{self._trial.sidecar.store}?mode=ro", uri=True)
        stored = collections.Counter(
            dict(db.execute("SELECT trace_id, count(*) FROM spans WHERE name = 'backlog' GROUP BY trace_id")))
        db.close()
        ids = [acked[at: at + 16] for at in range(0, len(acked), 16)]
        return (sum(BATCH - min(stored[one], BATCH) for one in ids),
                sum(max(n - BATCH, 0) for n in stored.values()))


@case("a control group of 32 MiB; a million spans wait while the store is locked; kill -9; then all is delivered",
      root=True, journal="segment_bytes: 4MiB")
def backlog_in_32_mib(trial: Trial) -> str:
    with control_group("backlog") as group:
        group.limit_memory(MEMORY)
        trial.sidecar.program = group.wrapper(trial.sidecar.base / "limited", shipped())
        trial.begin()
        trial.load.rest()
        with locked(trial.sidecar.store):
            backlog, started = Backlog(trial), time.monotonic()
            backlog.fill(BACKLOG)
            filled_s, lag = time.monotonic() - started, trial.exporter()
            demand(lag["lag_frames"] * BATCH >= BACKLOG, f"only {lag['lag_frames']} frames wait")
            peak = peak_kib(trial.sidecar.pid)
            trial.sidecar.kill9()
            started = time.monotonic()
            trial.sidecar.start(timeout_s=60)
            ready_s = time.monotonic() - started
        demand(ready_s < READY_S, f"ready after {ready_s:.1f} s")
        started = time.monotonic()
        trial.load.go_on()
        trial.work(10)
        wait_until(lambda: trial.exporter()["lag_frames"] < 64, 240, "all is delivered")
        delivered_s = time.monotonic() - started
        peak = max(peak, peak_kib(trial.sidecar.pid))
        demand(group.killed() == 0, f"the kernel killed {group.killed()} times")
        lost, doubled = backlog.missing()
        demand(lost == 0 and doubled == 0, f"of the backlog {lost} lost, {doubled} doubled")
    return (f"{lag['lag_bytes'] // MIB} MiB waited (taken in {filled_s:.0f} s); ready {ready_s:.1f} s after kill -9; "
            f"delivered in {delivered_s:.0f} s beside new work; 0 lost, 0 doubled; VmHWM {peak // 1024} MiB, "
            f"nothing killed")


@case("a control group with 5 % of one processor, for 10 s under load", root=True)
def five_percent_of_a_processor(trial: Trial) -> str:
    with control_group("share") as group:
        trial.sidecar.program = group.wrapper(trial.sidecar.base / "limited", shipped())
        trial.begin()
        group.limit_cpu(SHARE)
        before, end, worst, asked = trial.load.done, time.monotonic() + 10, 0.0, 0
        while time.monotonic() < end:
            started = time.monotonic()
            code, said = trial.get("/readyz")
            worst, asked = max(worst, time.monotonic() - started), asked + 1
            demand(code == 200, f"/readyz: {code} {said}")
            time.sleep(0.1)
        through = trial.load.done - before
        group.limit_cpu(None)
    demand(through > 0, "no conversation got through")
    demand(worst < ANSWER_S, f"/readyz took {worst:.1f} s")
    return (f"{through} conversations got through; {asked} times asked, /readyz took {worst:.2f} s at worst and "
            f"said 200; {trial.put_off()}")
