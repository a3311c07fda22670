#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fault campaign: every fault of docs/design/faults.md against a real waybilld under load.

Prints the fault table: case, what was injected, what was seen. Run it as root: it then has a mount
namespace of its own, so that file systems it makes for cases end with it. Who is not root skips those
cases, and that is a failure, but for --fast.

Usage: campaign.py [--fast] [--only TEXT ...] [--list] [--junit FILE]     exit code 0: all cases held
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from trial import CASES, Broken, Case, Trial  # noqa: E402

NAMESPACE = "WAYBILL_CAMPAIGN_NAMESPACE"
WIDTHS = (30, 54)


def load_cases() -> list[Case]:
    for path in sorted((HERE / "cases").glob("*.py")):
        importlib.import_module(f"cases.{path.stem}")
    return CASES


def run(case: Case) -> tuple[bool, str, float]:
    started, good, said = time.monotonic(), False, ""
    trial: Trial | None = None
    try:
        if case.trial:
            trial = Trial(case.config, case.journal, case.talkers, case.pause_s)
            said = case.run(trial)
            trial.end()
            if trial.facts:
                said += f"; {trial.facts['span']} spans, {trial.facts['settled']} delegations: 0 lost, 0 doubled"
        else:
            with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as folder:
                said = case.run(pathlib.Path(folder))
        good = True
    except (Broken, TimeoutError) as error:
        said = str(error)
    except Exception as error:  # noqa: BLE001: the campaign goes on
        said = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    if trial is not None:
        try:
            trial.close(good)
        except AssertionError as error:
            good, said = False, str(error)
        if not good:
            said += f" (kept: {trial.sidecar.base})"
    return good, said, time.monotonic() - started


def wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def print_row(verdict: str, *cells: str) -> None:
    columns = [wrap(cell, width) for cell, width in zip(cells, (*WIDTHS, 78), strict=True)]
    for i in range(max(map(len, columns))):
        row = [column[i] if i < len(column) else "" for column in columns]
        print(f"{verdict if i == 0 else '':6} {row[0]:{WIDTHS[0]}} {row[1]:{WIDTHS[1]}} {row[2]}".rstrip())
    sys.stdout.flush()


def write_junit(path: str, rows: list[tuple[Case, bool, str, float]], skipped: list[Case]) -> None:
    suite = xml.Element("testsuite", name="faults", tests=str(len(rows) + len(skipped)))
    for case in skipped:
        element = xml.SubElement(suite, "testcase", name=case.name, classname="faults")
        xml.SubElement(element, "skipped", message="needs root")
    for case, good, said, took in rows:
        element = xml.SubElement(suite, "testcase", name=case.name, classname="faults", time=f"{took:.1f}")
        xml.SubElement(element, "system-out").text = f"{case.injected}\n{said}"
        if not good:
            xml.SubElement(element, "failure", message=said[:200])
    xml.ElementTree(suite).write(path)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--fast", action="store_true", help="the cases of the core tier")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="cases with TEXT in their name")
    parser.add_argument("--list", action="store_true", help="say which cases there are")
    parser.add_argument("--junit", metavar="FILE")
    return parser.parse_args()


def verdict(ran: int, failed: int, skipped: int, fast: bool) -> int:
    """The exit code: a campaign that left cases out has not held them."""
    return 1 if failed or not ran or (skipped and not fast) else 0


def main() -> int:
    options = parse()
    cases = [one for one in load_cases() if (one.fast or not options.fast) and
             (not options.only or any(text in one.name for text in options.only))]
    if options.list:
        for one in cases:
            print_row("fast" if one.fast else "", one.name, one.injected, "")
        return 0
    if os.geteuid() == 0 and NAMESPACE not in os.environ:
        os.environ[NAMESPACE] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    rows = []
    skipped = [one for one in cases if one.root and os.geteuid() != 0]
    print_row("", "case", "injected", "outcome")
    for one in skipped:
        print_row("skip", one.name, one.injected, "needs root")
    for one in (one for one in cases if one not in skipped):
        good, said, took = run(one)
        rows.append((one, good, said, took))
        print_row("ok" if good else "FAILED", one.name, one.injected, f"{said} [{took:.1f} s]")
    if options.junit:
        write_junit(options.junit, rows, skipped)
    failed = sum(not good for _, good, _, _ in rows)
    print(f"{len(rows) - failed} of {len(rows)} cases held, {len(skipped)} skipped")
    if skipped and not options.fast:
        print(f"{len(skipped)} cases make file systems or control groups: run the campaign as root")
    return verdict(len(rows), failed, len(skipped), options.fast)


if __name__ == "__main__":
    sys.exit(main())
