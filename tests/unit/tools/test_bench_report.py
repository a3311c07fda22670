# SPDX-License-Identifier: Apache-2.0
"""The page of numbers is what the benches said, all of it, and a red figure is seen."""

import importlib.machinery
import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
RESULTS = ROOT / "docs" / "performance.jsonl"
REPORT = ROOT / "tests" / "bench" / "report"


def report(*arguments):
    return subprocess.run([sys.executable, REPORT, *arguments], capture_output=True, text=True)


def figure(**more):
    row = json.loads(RESULTS.read_text("utf-8").splitlines()[0])
    return {**row, "verdict": "ok", "excuse": "", **more}


def write(tmp_path, *rows):
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_the_page_is_what_the_script_makes_of_the_stored_lines():
    said = report(RESULTS)
    assert said.returncode == 0, said.stderr
    assert said.stdout == (ROOT / "docs" / "performance.md").read_text("utf-8")


def test_every_bench_has_its_figures_on_the_page():
    measured = {json.loads(line)["bench"] for line in RESULTS.read_text("utf-8").splitlines()}
    programs = [p for p in (ROOT / "tests/bench").glob("*_bench.c") if "int main(" in p.read_text("utf-8")]
    programs += (ROOT / "tests/bench").glob("*_bench.py")
    assert measured == {path.stem.removesuffix("_bench") for path in programs}


def test_every_figure_has_the_command_that_makes_it():
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    for section in re.split(r"(?m)^## (?=\w+$)", page)[1:]:
        assert f"`tests/bench/run {section.splitlines()[0]}`" in section


@pytest.mark.parametrize(("row", "said"), [
    ({"verdict": "over"}, "over it: `a`."),
    ({"verdict": "disturbed"}, "over it: `a`."),
    ({"verdict": "excused", "excuse": "2026-11-29: a reason"}, "none is over it without a reason"),
    ({"verdict": "ok"}, "none is over it without a reason"),
])
def test_what_is_over_its_limit_is_said_first(row, said, tmp_path):
    path = write(tmp_path, figure(name="a", limit=5.0, **row))
    assert said in report(path).stdout
    if row["verdict"] != "ok":
        assert row["verdict"] in report("--table", path).stdout


def test_an_excuse_is_shown_with_its_reason(tmp_path):
    path = write(tmp_path, figure(name="a", limit=5.0, verdict="excused", excuse="2026-11-29: a reason"))
    assert "excused: 2026-11-29: a reason" in report(path).stdout
    assert "excused: 2026-11-29: a reason" in report("--table", path).stdout


def test_the_sizing_table_is_rate_times_time_times_bytes(tmp_path):
    path = write(tmp_path, figure(name="journal_bytes", value=1000.0), figure(name="store_bytes", value=900.0))
    lines = report("--sizing", path).stdout.splitlines()
    assert lines[2].split()[:4] == ["span/s", "1", "h", "away"]
    assert lines[3].split() == ["10", "34", "MiB", "275", "MiB", "824", "MiB", "2.4", "GiB"]


def test_the_span_of_the_sizing_table_is_the_benches_span():
    header = (ROOT / "tests/support/otlp_sample.h").read_text("utf-8")
    loader = importlib.machinery.SourceFileLoader("bench_report", str(REPORT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_report", loader))
    loader.exec_module(module)
    assert f"WB_SAMPLE_SPAN_BYTES = {module.SPAN_BYTES}," in header


@pytest.mark.parametrize("arguments", [[], ["--table"], ["a", "b"], ["--nonsense"], ["/nowhere/results"]])
def test_a_wrong_command_line_is_no_page(arguments):
    said = report(*arguments)
    assert said.returncode != 0 and said.stdout == ""
