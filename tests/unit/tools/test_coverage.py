# SPDX-License-Identifier: Apache-2.0
"""tools/coverage: the list of parsers is whole, and what is missing, in it or in the counts, is red."""

import importlib.machinery
import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
loader = importlib.machinery.SourceFileLoader("coverage_tool", str(ROOT / "tools" / "coverage"))
spec = importlib.util.spec_from_loader("coverage_tool", loader)
coverage = importlib.util.module_from_spec(spec)
sys.modules["coverage_tool"] = coverage  # dataclasses look their module up
loader.exec_module(coverage)


def test_every_fuzz_target_has_its_parser_and_every_parser_its_target():
    assert coverage.faults_of_list(coverage.PARSERS) == []


def tree(root, targets=("x",), corpus=True):
    (root / "core").mkdir()
    (root / "core" / "x.c").write_text("static int one(int a,\n               int b)\n{\n    f(a);\n}\n")
    for target in targets:
        folder = root / "tests" / "fuzz" / "corpus" / f"{target}_fuzz"
        folder.mkdir(parents=True)
        (root / "tests" / "fuzz" / f"{target}_fuzz.c").write_text("")
        if corpus:
            (folder / "one").write_text("1")
    return root


@pytest.mark.parametrize(
    "parsers, says",
    [
        ({}, "tests/fuzz/x_fuzz.c: no parser of the list is its"),
        ({"core/x.c": ["x", "y"]}, "y: no such fuzz target"),
        ({"core/x.c": ["x"], "core/y.c": ["x"]}, "core/y.c: no such file"),
        ({"core/x.c": ["x"], "core/x.c:one": []}, "core/x.c:one: has no fuzz target"),
        ({"core/x.c:two": ["x"]}, "core/x.c:two: no function two"),
    ],
)
def test_a_list_with_a_hole_is_red(tmp_path, parsers, says):
    assert says in coverage.faults_of_list(parsers, tree(tmp_path))


def test_an_empty_corpus_is_red(tmp_path):
    faults = coverage.faults_of_list({"core/x.c": ["x"]}, tree(tmp_path, corpus=False))
    assert faults == ["tests/fuzz/corpus/x_fuzz: empty"]


def test_a_part_of_a_file_is_the_lines_of_its_functions(tmp_path):
    root = tree(tmp_path)
    assert coverage.faults_of_list({"core/x.c:one": ["x"]}, root) == []
    counts = {n: n for n in range(1, 9)}
    assert sorted(coverage.wanted_lines("core/x.c:one", counts, root)) == [1, 2, 3, 4, 5]
    assert coverage.wanted_lines("core/x.c", counts, root) == counts


def row(name, covered, by_corpus=90):
    return coverage.Row(name, 100, covered, by_corpus, list(range(covered, 100)))


@pytest.mark.parametrize(
    "rows, says",
    [
        ([row("a", 95), row("b", 95)], []),
        ([row("a", 95), row("b", 94)], ["total: 94.5% of lines"]),
        ([row("a", 100), row("b", 90)], []),
        ([row("a", 100)] * 3 + [row("b", 89)], ["b: 89.0% of lines"]),
        ([row("a", 100, 49)], ["a: its fuzz corpora run 49.0%"]),
        ([row("a", 0)], ["total: 0.0%", "a: 0.0%"]),
        ([coverage.Row("a", 0, 0, 0, [])], ["total: 0.0%", "a: 0.0%", "a: its fuzz"]),  # not built
    ],
)
def test_too_little_is_red(rows, says):
    faults = coverage.faults_of_rows(rows)
    assert len(faults) == len(says)
    assert all(fault.startswith(begin) for fault, begin in zip(faults, says))


def test_missing_lines_are_told_as_ranges():
    assert coverage.ranges([1, 2, 3, 7, 9, 10]) == "1-3 7 9-10"
