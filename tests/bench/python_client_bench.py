#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the Python client costs an agent, beside a real sidecar: one JSON line for each figure, with the
keys that the C benches write.

    python_span      the agent's thread in `with wb.span(...)` of a type and six attributes
    python_traced    the same in a call of a `@wb.traced()` function that does nothing
    python_record    spans a second from one thread until all are on the sidecar's disk
    python_delegate  delegate and settle, one after the other, from one thread
    python_tasks     delegations a second, opened and settled by 32 tasks of asyncio

The sidecar is that of $WAYBILL_BIN_DIR, else of build/bench or build/release. Nothing is judged: Python
on one machine says little about another.

Usage: tests/bench/python_client_bench.py [--short]
"""

import asyncio
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import waybill_testkit as kit

import waybill

TARGET = waybill.Target("http://127.0.0.1:1/rpc", name="nobody")
SHORT = "--short" in sys.argv
ATTRIBUTES = {
    "llm.model": "some-model",
    "llm.tokens.in": 812,
    "llm.tokens.out": 96,
    "llm.temperature": 0.2,
    "cache.hit": False,
    "prompt.id": "b1946ac92492d2347c6235b4d2611184",
}


def optimised_programs():
    """The folder of a sidecar that is worth measuring."""
    for preset in ("bench", "release"):
        if (ROOT / "build" / preset / "bin" / "waybilld").exists():
            return str(ROOT / "build" / preset / "bin")
    raise SystemExit("bench: no build/bench or build/release: cmake --preset release && cmake --build --preset release")


def of_git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return "unknown"


def say(name, unit, value, samples, p50=0.0, p99=0.0):
    commit = os.environ.get("WAYBILL_COMMIT") or of_git("rev-parse", "--short", "HEAD")
    print(json.dumps({
        "bench": "python_client", "date": datetime.date.today().isoformat(), "cpus": os.cpu_count(),
        "name": name, "unit": unit, "value": float(f"{value:.4g}"), "p50_ns": p50, "p99_ns": p99,
        "samples": samples, "ratio": 0, "bound": "at most", "limit": 0, "verdict": "none", "excuse": "",
        "commit": commit or "unknown", "cpu": processor(), "load": round(os.getloadavg()[0], 2),
    }), flush=True)


def each(wb, once, count, warm_up=500):
    """The median and the 99th percentile of single calls, in ns. The buffer never fills."""
    took = []
    for i in range(count + warm_up):
        if i % 5000 == 0:
            assert wb.flush(60)
        start = time.perf_counter_ns()
        once()
        took.append(time.perf_counter_ns() - start)
    took = sorted(took[warm_up:])
    return float(took[len(took) // 2]), float(took[-1 - len(took) // 100])


def spans(wb):
    def span():
        with wb.span("answer", type="llm_call", attributes=ATTRIBUTES):
            pass

    @wb.traced()
    def nothing():
        pass

    count = 2000 if SHORT else 50_000
    for name, once in (("python_span", span), ("python_traced", nothing)):
        p50, p99 = each(wb, once, count)
        say(name, "ns", p50, count, p50, p99)

    start, rounds = time.perf_counter(), 2 if SHORT else 20
    for _ in range(rounds):
        for _ in range(5000):
            span()
        assert wb.flush(60)
    say("python_record", "spans/s", rounds * 5000 / (time.perf_counter() - start), rounds * 5000)
    assert wb.stats.spans_dropped == wb.stats.spans_rejected == 0


def delegations(wb):
    count = 100 if SHORT else 2000

    def one():
        wb.settle(wb.delegate(TARGET, method="SendMessage", message_id=os.urandom(8).hex()), "answered")

    p50, p99 = each(wb, one, count, 20)
    say("python_delegate", "ns", p50, count, p50, p99)

    async def task():
        for _ in range(count // 10):
            made = await wb.adelegate(TARGET, method="SendMessage", message_id=os.urandom(8).hex())
            await wb.asettle(made, "answered")

    async def tasks():
        await asyncio.gather(*(task() for _ in range(32)))

    start = time.perf_counter()
    asyncio.run(tasks())
    made = 32 * (count // 10)
    say("python_tasks", "delegations/s", made / (time.perf_counter() - start), made)
    assert wb.stats.unsigned_delegations == wb.stats.unconfirmed == 0


def main():
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    os.environ.setdefault("WAYBILL_BIN_DIR", optimised_programs())
    waybill.client.CALL_S = 60.0  # a stalled machine makes a large figure, and not one of something else
    with kit.Sidecar("bench") as sidecar, waybill.Waybill(sidecar.socket, "bench") as wb:
        spans(wb)
        delegations(wb)


if __name__ == "__main__":
    main()
