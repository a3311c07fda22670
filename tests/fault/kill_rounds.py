# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments under load: nothing that was acknowledged may be lost or doubled.

One waybilld with small segments, so that rolls, snapshots and trimming happen all the time, works off
the load of load.py. It is killed with -9, at a random moment, and started again, while the
conversations go on. After the last round it drains and ends, and the store is held against the oracle.

Usage: kill_rounds.py [--rounds N] [--seed N]      exit code 0: 0 lost, 0 doubled
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import random
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from load import CONFIG, Load, Oracle, count_doubled, count_lost  # noqa: E402
from waybill_testkit import Sidecar  # noqa: E402

LEAST_UNANSWERED = 0.8
LEAST_ROLLS = 10  # one in so many rounds finds a snapshot half made; a sanitizer makes them rare
# Killed eight times a second the sidecar keeps what it has, but hardly gets to deliver: it may catch
# its breath now and then.
REST_EVERY, REST_S = 20, 1.5


# ---- the rounds ----------------------------------------------------------------------------------


def play(sidecar: Sidecar, rounds: int, chance: random.Random) -> tuple[Load, Oracle, int, set[str]]:
    """Load, oracle, rounds killed with requests unanswered, journal files seen."""
    oracle = Oracle(sidecar.base / "oracle")
    sidecar.start()
    load = Load(str(sidecar.socket), oracle)
    load.start()
    unanswered, files = 0, set()
    try:
        for number in range(rounds):
            time.sleep(REST_S if number % REST_EVERY == REST_EVERY - 1 else chance.uniform(0.005, 0.25))
            if not sidecar.running:
                load.troubles.append(f"waybilld ended by itself: {sidecar.stop()}")
            if load.troubles:
                break
            sidecar.kill9()
            unanswered += load.waiting > 0
            files |= {path.name for path in (sidecar.state_dir / "journal").iterdir()}
            sidecar.start(timeout_s=30)
    except (RuntimeError, TimeoutError) as error:
        load.troubles.append(f"start: exit code {sidecar.stop()}: {error}")
    if not sidecar.running:
        with contextlib.suppress(RuntimeError, TimeoutError):
            sidecar.start(timeout_s=30)
    load.end()
    return load, oracle, unanswered, files


def judge(sidecar: Sidecar, load: Load, oracle: Oracle) -> bool:
    acknowledged = oracle.read()
    db = sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True)
    lost, doubled = count_lost([db], acknowledged), count_doubled(db)
    db.close()
    print("acknowledged: " + ", ".join(f"{len(found)} {kind}" for kind, found in acknowledged.items()))
    print(f"{sum(lost.values())} lost, {sum(doubled.values())} doubled")
    for what, counts in (("lost", lost), ("doubled", doubled)):
        for kind, count in counts.items():
            if count:
                print(f"    {what}: {count} {kind}")
    for trouble in load.troubles[:5]:
        print(f"    refused: {trouble}")
    enough = all(acknowledged.values())
    return enough and not load.troubles and not any(lost.values()) and not any(doubled.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    started = time.monotonic()
    sidecar = Sidecar("kill", config=CONFIG)
    load, oracle, unanswered, files = play(sidecar, options.rounds, random.Random(options.seed))
    code = sidecar.stop(timeout_s=60)
    kinds = {kind: sum(name.startswith(kind) for name in files) for kind in ("segment", "snapshot")}
    print(f"{options.rounds} rounds (seed {options.seed}), {unanswered} with requests unanswered, "
          f"{kinds['segment']} segments and {kinds['snapshot']} snapshots seen at kills, "
          f"{time.monotonic() - started:.1f} s, exit code after draining {code}")
    good = judge(sidecar, load, oracle) and code == 0
    if min(kinds.values()) < options.rounds // LEAST_ROLLS:
        print("too few rolls or snapshots happened")
        good = False
    if unanswered < LEAST_UNANSWERED * options.rounds:
        print(f"too few rounds had requests unanswered: {unanswered} of {options.rounds}")
        good = False
    if good:
        sidecar.close()
    else:
        print(f"kept: {sidecar.base}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
