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
