# SPDX-License-Identifier: Apache-2.0
"""Makes tests/support importable, and with it the Python client; prints the table of what was counted."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import wiring  # noqa: E402  puts client/python on the path, too
from otlp_backend import OtlpBackend  # noqa: E402


@pytest.fixture(scope="module")
def backend():
    with OtlpBackend() as found:
        yield found
    assert found.faults == []


def pytest_terminal_summary(terminalreporter):
    if not wiring.TABLE:
        return
    terminalreporter.section("items, counted by their number")
    width = max(len(row[0]) for row in wiring.TABLE)
    terminalreporter.write_line(f"{'from and over':{width}}  {'sent':>6} {'stored':>6} {'delivered':>9}")
    for what, sent, stored, delivered in wiring.TABLE:
        terminalreporter.write_line(f"{what:{width}}  {sent:6} {stored:>6} {delivered:9}")
