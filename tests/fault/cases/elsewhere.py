# SPDX-License-Identifier: Apache-2.0
"""Faults that programs of their own bring: run here, in bounded time, and what they print is the row."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import subprocess
import sys

from trial import case, demand
from waybill_testkit import ROOT, find_program

DELEGATION = "tests/integration/test_delegation.py"


def output_of(*command: object, within_s: float = 300.0, **env: str) -> str:
    """Of a program that must end with exit code 0."""
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=os.environ | env, capture_output=True,
                          text=True, timeout=within_s)
    demand(done.returncode == 0, f"exit code {done.returncode}: {(done.stdout + done.stderr)[-300:]}")
    return done.stdout


def numbers(pattern: str, text: str) -> list[tuple[int, ...]]:
    found = [tuple(map(int, one.groups())) for one in re.finditer(pattern, text)]
    demand(found, f"no count in {text[-300:]!r}")
    return found


@case("each byte of a journal and of a snapshot flipped, then started", trial=False)
def bytes_flipped_in_segments(folder: pathlib.Path) -> str:
    said = output_of(find_program("journal_flip_test"))
    runs = numbers(r"flip: (\d+) bytes, (\d+) starts, .*: (\d+) counted lost, (\d+) cut as torn, "
                   r"(\d+) bytes outside of frames, (\d+) wrong", said)
    (snapshot, rows), = numbers(r"flip: (\d+) bytes of a snapshot, (\d+) rows lost", said)
    starts, lost, torn, outside, wrong = (sum(column) for column in list(zip(*runs))[1:])
    demand(wrong == 0 and rows == 0, said)
    demand(lost + torn + outside == starts, f"{starts} flips, {lost + torn + outside} accounted for")
    return (f"{starts} flips: {lost} frames counted lost, {torn} cut as torn, {outside} outside of frames, "
            f"{wrong} wrong; {snapshot} flips of a snapshot, {rows} rows lost")


@case("each bit of each byte of a valid carrier of two links flipped, each byte replaced", trial=False,
      fast=True)
def bytes_flipped_in_a_carrier(folder: pathlib.Path) -> str:
    said = output_of(find_program("a2a_carrier_flip_test"))
    runs = numbers(r"flip: carrier of (\d+) bytes, changed in (\d+) ways, (\d+) accepted", said)
    size, ways, accepted = runs[0][0], sum(run[1] for run in runs), sum(run[2] for run in runs)
    demand(ways >= 9 * size and accepted == 0, said)
    return f"{size} bytes, {ways} changed carriers, {accepted} verified or continued"


@case("power cuts at any call of the model disk, any subset of unsynced sectors and names lost", trial=False)
def power_cuts(folder: pathlib.Path) -> str:
    said = output_of(find_program("model_disk_test"), within_s=600)
    runs = numbers(r"model disk: (\d+) crash points, (\d+) lost, (\d+) doubled", said)
    points, lost, doubled = map(sum, zip(*runs))
    demand(points >= 10_000 and lost == 0 and doubled == 0, said)
    trims = sum(run[0] for run in numbers(r"(\d+) trims", said))
    planted = len(re.findall(r"found with seed", said))
    return (f"{points} points, {trims} trims: {lost} lost, {doubled} doubled; each of {planted} planted "
            f"faults (a sync left out, an answer too early) found")


@case("tokens: expired, early, re-aimed, truncated, flipped, alg and version swapped, S >= L, small order, "
      "over-long, two faults at once: every published vector", trial=False, fast=True)
def tokens_of_every_kind(folder: pathlib.Path) -> str:
    said = output_of(find_program("waybill"), "token", "verify", "--json", "--vectors",
                     "tests/vectors/token_v1.json")
    rows = [json.loads(line) for line in said.splitlines() if '"agrees"' in line]
    agree = sum(row["agrees"] for row in rows)
    verdicts = collections.Counter(row["verdict"] for row in rows)
    codes = {row["code"] for row in rows if row["code"]}
    passed = [row["name"] for row in rows if row["code"] and row["verdict"] == "CONTINUE"]
    demand(agree == len(rows) > 0, f"{len(rows)} cases, {agree} agree")
    demand(not passed, f"continued in spite of a code: {passed[:3]}")
    counted = ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items()))
    return f"{len(rows)} cases, {agree} agree: {counted}; {len(codes)} codes of their own"


def tests_of(file: str, *names: str) -> str:
    said = output_of(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs",
                     *(f"{file}::{name}" for name in names))
    passed = int(re.findall(r"(\d+) passed", said)[0])
    demand(passed >= len(names) and "skipped" not in said, said[-300:])
    return f"{passed} tests of {file} held"


@case("one acceptance hands 1 000 tasks on, a tenth of them asked for again", trial=False)
def fan_out_of_a_thousand(folder: pathlib.Path) -> str:
    return tests_of(DELEGATION, "test_a_thousand_children_of_one_acceptance_are_a_thousand_delegations",
                    "test_a_hundred_children_at_once_get_no_more_than_the_grant_also_across_kill_9")


@case("cycles A -> B -> A, and A -> B -> C -> A; a chain deeper than mxd", trial=False)
def cycles_and_depth(folder: pathlib.Path) -> str:
    return tests_of(DELEGATION, "test_a_task_that_comes_back_to_an_agent_above_it_goes_without_a_token",
                    "test_with_callbacks_a_chain_may_come_back_until_it_is_sealed",
                    "test_a_root_that_may_not_go_deeper_seals_its_chain")
