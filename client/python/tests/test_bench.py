# SPDX-License-Identifier: Apache-2.0
"""The client's bench measures what it says; how long anything took is nobody's business here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import waybill_testkit as kit
from conftest import program

pytestmark = pytest.mark.package


def test_the_bench_writes_a_line_for_each_of_its_figures() -> None:
    bench = kit.ROOT / "tests" / "bench" / "python_client_bench.py"
    done = subprocess.run(
        [sys.executable, str(bench), "--short"],
        env={**os.environ, "WAYBILL_BIN_DIR": str(program("waybilld").parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    described = bench.read_text().partition("    python_span")[2].partition("\n\n")[0]
    assert {row["name"] for row in rows} == {
        word for word in ("python_span " + described).split() if word.startswith("python_")
    }
    assert all(row["value"] > 0 and row["samples"] > 0 for row in rows)
