#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a unit test's program again and again, each time with another allocation failing.

    oom_sweep.py PROGRAM [ARGS ...]

The program is one of an AddressSanitizer build, linked with tests/support/oom.c. Whatever its tests
say of the failure, it must not crash, hang, or lose memory; a test that walks on without what it had not
got says only that. Up to $WAYBILL_OOM_POINTS allocations (default 60; 0: all of them), the first ones
and then evenly spread, fail singly and, at every third, with all that follow, and $WAYBILL_OOM_SECONDS
(default 15) are spent on it. Exit code 0: nothing found; 1: findings, printed.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

LEAST_TIMEOUT_S, PATIENCE = 20.0, 10
TROUBLE = ("Sanitizer", "runtime error:", "Test failed with exception", "assertion failed")
ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:handle_abort=1:allow_user_segv_handler=0:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}
FRAME = re.compile(r"^ *#([0-9]+) .* in (\S+) (/\S+?):([0-9]+)", re.M)
SELF = ("tests/support/oom.c", "core/status.c")  # who is asked is above them
NULL = re.compile("null pointer|unknown address 0x0{9,}[0-9a-f]{1,3} |the zero page")


def frames(report: str) -> list[str]:
    """A report's first stack, innermost first, as FILE:LINE, without frames that only pass on."""
    found: list[str] = []
    last = -1
    for number, _, path, line in FRAME.findall(report):
        if int(number) <= last:
            break
        last = int(number)
        if not path.endswith(SELF):
            found.append(f"{path}:{line}")
    return found


def calls_of_the_test(stack: list[str]) -> list[str]:
    return [frame for frame in stack if "/tests/" in frame]


def asked_itself(said: str) -> bool:
    """Whether a program ended over memory that its test asked for itself, or by the test's own assertion."""
    if "detected memory leaks" in said:
        leaks = re.split(r"(?=^Direct leak of)", said, flags=re.M)[1:]
        return bool(leaks) and all("/tests/" in (frames(leak) or ["?"])[0] for leak in leaks)
    return bool(calls_of_the_test(frames(said)[:1])) and ("ABRT" in said or bool(NULL.search(said)))


def walked_on(said: str) -> bool:
    """Whether a null pointer was met after the call whose allocation failed had returned to the test: it
    had been told, and did not look. The stack of the failure stands first."""
    where = calls_of_the_test(frames(said))
    cut = said.find("runtime error:") if "runtime error:" in said else said.find("ERROR: ")
    return bool(NULL.search(said)) and cut >= 0 and calls_of_the_test(frames(said[cut:])) != where


def run(command: list[str], timeout_s: float, **how: object) -> tuple[str | None, str]:
    """What went wrong, None if nothing did, and all that the program said. `how` becomes WAYBILL_OOM_*."""
    env = {**os.environ, **ENV, **{f"WAYBILL_OOM_{name.upper()}": str(value)
                                   for name, value in how.items() if value is not False}}
    try:
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        return f"hangs, {timeout_s:.0f} s", (error.stdout or b"").decode("utf-8", "replace")
    said = done.stdout.decode("utf-8", "replace")
    found = next((word for word in TROUBLE if word in said), None)
    if found is None:
        return (f"ends by signal {-done.returncode}" if done.returncode < 0 else None), said
    if asked_itself(said):
        return None, said
    if NULL.search(said) and "stack" not in how:
        return run(command, timeout_s, stack=1, **how)
    return (None if "stack" in how and walked_on(said) else f"says {found!r}"), said


def points(count: int, most: int) -> list[int]:
    """The first third of `most` one by one, the rest spread."""
    if most <= 0 or count <= most:
        return list(range(1, count + 1))
    first = most // 3
    rest = most - first
    return sorted({*range(1, first + 1), *(first + 1 + i * (count - first - 1) // max(rest - 1, 1)
                                           for i in range(rest))})


def sweep(command: list[str], report: pathlib.Path) -> int:
    started = time.monotonic()
    trouble, said = run(command, 300.0, at=0, report=report)
    if trouble or not report.exists():
        print(f"{said}\nwithout any failure: {trouble or 'no count; not linked with oom.c?'}")
        return 1
    timeout_s = max(LEAST_TIMEOUT_S, PATIENCE * (time.monotonic() - started))
    end = time.monotonic() + float(os.environ.get("WAYBILL_OOM_SECONDS", "15"))
    count, runs, findings = int(report.read_text()), 0, 0
    wanted = [(at, lasting) for at in points(count, int(os.environ.get("WAYBILL_OOM_POINTS", "60")))
              for lasting in ((False, True) if at % 3 == 1 else (False,))]
    for at, lasting in wanted:
        if runs and time.monotonic() > end:
            break
        runs += 1
        trouble, said = run(command, timeout_s, at=at, lasting=lasting, report=report)
        if trouble:
            findings += 1
            print(f"{said}\n^^^ allocation {at}{' and all that follow' if lasting else ''}: {trouble}")
    cut = f" of {len(wanted)} that were to be, time is up" if runs < len(wanted) else ""
    print(f"{count} allocations, {runs} runs{cut}, {findings} findings")
    return 1 if findings else 0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="wb-oom-", dir="/tmp") as folder:
        return sweep(sys.argv[1:], pathlib.Path(folder) / "count")


if __name__ == "__main__":
    sys.exit(main())
