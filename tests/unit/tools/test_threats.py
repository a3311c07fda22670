# SPDX-License-Identifier: Apache-2.0
"""docs/design/threats.md names tests that exist, and has every row of the threat table."""

import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "design" / "threats.md").read_text("utf-8")
ROWS = {int(row[0]): row[1:] for row in
        re.findall(r"^\| (\d+) \| ([^|]*) \| ([^|]*) \| ([^|]*) ?\|$", PAGE, re.M)}
TABLE = (ROOT / "docs" / "tokens.md").read_text("utf-8").split("## 17")[1].split("## 18")[0]
THREATS = {int(number): name for number, name in re.findall(r"^\| (\d+) \| ([^|]*) \|", TABLE, re.M)}
NAMED = sorted(set(re.findall(r"`([\w./-]+)::(\w+)`", PAGE)))


@functools.cache
def text_of(file):
    return (ROOT / file).read_text("utf-8")


def defines(file, name):
    if file.endswith(".json"):
        return f'"name":"{name}"' in text_of(file)
    start = r"static void " if file.endswith(".c") else r"def "
    return re.search(rf"^\s*(?:async )?{start}{name}\(", text_of(file), re.M) is not None


def test_every_threat_has_its_row():
    assert len(THREATS) == 25
    assert {number: row[0] for number, row in ROWS.items()} == THREATS


def test_every_row_has_a_test_or_says_what_is_missing():
    assert [number for number, (_, tests, missing) in ROWS.items()
            if "::" not in tests and not missing.strip()] == []


@pytest.mark.parametrize("file,name", NAMED, ids=[name for _, name in NAMED])
def test_every_named_test_exists(file, name):
    assert defines(file, name)


def test_the_code_refers_to_sections_that_are_there():
    page = text_of("docs/tokens.md")
    there = {int(number) for number in re.findall(r"^## (\d+) ", page, re.M)}
    assert there == set(range(1, 20))
    files = [path for folder in ("core", "propagation", "a2a", "sidecar", "cli", "proto", "client", "tests")
             for path in (ROOT / folder).rglob("*") if path.suffix in (".c", ".h", ".py", ".proto")]
    named = {(path.name, int(number)) for path in files for number in
             re.findall(r"TOKENS(?:\.md)?,? sections? (\d+)", path.read_text("utf-8"))}
    assert len(named) > 50
    assert {(name, number) for name, number in named if number not in there} == set()
