# SPDX-License-Identifier: Apache-2.0
"""Descriptors and memory that are refused."""

from __future__ import annotations

import contextlib
import errno
import pathlib
import resource
import socket
import time

from load import CONFIG
from trial import Trial, case, demand
from waybill_testkit import Sidecar
from weather import Weather


@case("RLIMIT_NOFILE of 64, and clients that take all of them")
def descriptors_used_up(trial: Trial) -> str:
    trial.begin()
    resource.prlimit(trial.sidecar.pid, resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        for _ in range(200):
            client = socket.socket(socket.AF_UNIX)
            held.append(client)
            client.settimeout(1)
            with contextlib.suppress(OSError):
                client.connect(str(trial.sidecar.socket))
        trial.work(20)
    finally:
        for client in held:
            client.close()
    return "those that were connected were served"


@case("EMFILE on every open and accept")
def no_more_descriptors(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("open", "accept", error=errno.EMFILE) as fault:
        time.sleep(3)
        code, said = trial.get("/readyz")
        demand(not (trial.stands_still() and code == 200), "ready, while requests are refused")
        hits = fault.hits
    demand(hits > 0, "no open and no accept was hit")
    trial.work(20)
    return f"{hits} opens and accepts failed; readyz {code} \"{said}\"; {trial.put_off()}"


@case("every 50th allocation fails for 3 s", fast=True)
def allocations_fail_now_and_then(trial: Trial) -> str:
    trial.begin()
    hits, end = 0, time.monotonic() + 3
    while time.monotonic() < end:
        with trial.weather.fault("alloc", error=errno.ENOMEM, skip=49, times=1) as fault:
            time.sleep(0.02)
            hits += fault.hits
        trial.weather.reuse()
    demand(trial.sidecar.running, f"ended: {trial.sidecar.log()[-300:]}")
    demand(hits > 0, "no allocation was hit")
    trial.work(20)
    return f"{hits} allocations failed; {trial.put_off()}"


@case("every allocation fails for 1 s")
def no_memory_at_all(trial: Trial) -> str:
    trial.begin()
    with trial.weather.fault("alloc", error=errno.ENOMEM) as fault:
        time.sleep(1)
        hits = fault.hits
    demand(trial.sidecar.running, f"ended: {trial.sidecar.log()[-300:]}")
    demand(hits > 0, "no allocation was hit")
    trial.work(20)
    return f"{hits} allocations failed; {trial.put_off()}"


@case("start-up with the n-th allocation failing, for each n until it starts undisturbed", trial=False)
def allocation_sweep_at_start(folder: pathlib.Path) -> str:
    sidecar = Sidecar("sweep", base=folder, config=CONFIG)
    sidecar.start()
    sidecar.stop()
    weather = Weather(folder)
    sidecar.extra_env |= weather.env
    try:
        refused = started = died = hung = 0
        n = 0
        while True:
            weather.reuse()
            before = len(sidecar.log())
            fault = weather.rule("alloc", error=errno.ENOMEM, skip=n, times=1)
            try:
                sidecar.start(timeout_s=30)
                started += 1
                code = sidecar.stop()
            except RuntimeError:
                code = sidecar.process.wait()
                refused += 1
            hung += "start.hangs" in sidecar.log()[before:]
            if code < 0 and "event=\"ready\"" not in sidecar.log()[before:]:
                died += 1  # where nng 1.5.2 and libseccomp initialise; nothing was acknowledged yet
            else:
                demand(code in (0, 1, 78), f"allocation {n}: exit code {code}: {sidecar.log()[-300:]}")
            if fault.hits == 0:
                break
            n += 1 + n // 40
    finally:
        sidecar.kill9()  # one that hangs, and is the failure
    demand(died <= 40, f"{died} starts ended by a signal")
    return (f"to allocation {n}: {refused} starts refused in order, {started} went on without it; of those "
            f"refused {died} by a crash and {hung} by the watch over the start, where nng and libseccomp initialise")
