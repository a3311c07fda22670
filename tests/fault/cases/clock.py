# SPDX-License-Identifier: Apache-2.0
"""Wall clocks that jump while the sidecar runs. Only its own clock jumps: the agent's spans keep theirs."""

from __future__ import annotations

import time

from trial import Trial, case, demand

HOUR, YEAR_2106, YEAR_2262 = 3600, 4_294_967_296, 9_223_372_036


def jump(trial: Trial, seconds: float) -> str:
    """Work goes on behind the jump, no token of before is accepted again, and none is minted that could
    not be verified; then back."""
    trial.begin()
    trial.load.rest()
    taken = trial.load.newest()
    trial.weather.clock(seconds)
    again = [trial.load.accept_again(facts) for facts in taken]
    demand(all(not one for one in again), f"{sum(map(bool, again))} tokens were accepted a second time")
    trial.load.go_on()
    trial.work(40)
    demand(trial.get("/readyz")[0] == 200, "not ready")
    trial.load.rest()
    trial.weather.clock(0)
    again = [trial.load.accept_again(facts) for facts in taken]
    demand(all(not one for one in again), "after the way back a token was accepted a second time")
    trial.load.go_on()
    return f"{len(taken)} old tokens refused before and after; work went on"


@case("the wall clock one hour ahead, then back", fast=True)
def clock_an_hour_ahead(trial: Trial) -> str:
    return jump(trial, HOUR)


@case("the wall clock one hour behind, then right again", fast=True)
def clock_an_hour_behind(trial: Trial) -> str:
    return jump(trial, -HOUR)


@case("the wall clock in 2106: seconds no longer fit 32 bits")
def clock_in_2106(trial: Trial) -> str:
    return jump(trial, YEAR_2106 + 60 - time.time())


@case("the wall clock a day before 2262-04-11: nanoseconds still fit 63 bits")
def clock_in_2262(trial: Trial) -> str:
    return jump(trial, YEAR_2262 - 2 * 86400 - time.time())


@case("the wall clock behind 2262-04-11: nanoseconds no longer fit 63 bits")
def clock_beyond_2262(trial: Trial) -> str:
    trial.begin()
    trial.load.rest()
    trial.weather.clock(YEAR_2262 + 86400 - time.time())
    trial.load.go_on()
    time.sleep(2)
    demand(trial.sidecar.running, f"ended: {trial.sidecar.log()[-300:]}")
    code, said = trial.get("/readyz")
    trial.load.rest()
    trial.weather.clock(0)
    trial.load.go_on()
    return f"runs on, readyz {code} \"{said}\""


@case("the wall clock jumps to and fro, 200 times")
def clock_jitters(trial: Trial) -> str:
    trial.begin()
    for i in range(200):
        trial.weather.clock((-1) ** i * (i % 7) * 0.12)
        time.sleep(0.01)
    trial.weather.clock(0)
    trial.work(20)
    return trial.put_off()
