# SPDX-License-Identifier: Apache-2.0
"""What a span's values become on the wire, odd ones first."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import walk

from waybill import _otlp


def span(**more: Any) -> dict[int, list[Any]]:
    fields: dict[str, Any] = {
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "name": "n",
        "kind": 1,
        "start_ns": 5,
        "end_ns": 9,
    }
    return walk(_otlp.span(**{**fields, **more}))


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (None, {}),
        ("", {1: [b""]}),
        ("é", {1: ["é".encode()]}),
        ("\ud800", {1: [b"?"]}),
        (True, {2: [1]}),
        (False, {2: [0]}),
        (0, {3: [0]}),
        (-1, {3: [(1 << 64) - 1]}),
        ((1 << 63) - 1, {3: [(1 << 63) - 1]}),
        (1 << 63, {1: [b"9223372036854775808"]}),
        (0.5, {4: [0x3FE0000000000000]}),
        ([1, "a"], {5: [b"\x0a\x02\x18\x01\x0a\x03\x0a\x01a"]}),
        ({}, {6: [b""]}),
        (b"\xff", {7: [b"\xff"]}),
        ({1, 2}, {1: [b"{1, 2}"]}),
    ],
)
def test_a_value_is_written_as_what_it_is(value: Any, fields: dict[int, list[Any]]) -> None:
    assert walk(_otlp.any_value(value)) == fields


def test_nesting_ends_as_text() -> None:
    value: Any = "deep"
    for _ in range(100):
        value = [value]
    assert b"deep" in _otlp.any_value(value)
    looped: list[Any] = []
    looped.append(looped)
    assert len(_otlp.any_value(looped)) < 1000


def test_long_strings_are_cut_and_many_attributes_dropped_and_counted() -> None:
    fields = span(attrs={"long": "x" * 300_000, **{f"k{i}": i for i in range(200)}})
    assert len(fields[9]) == _otlp.MAX_ATTRIBUTES and fields[10] == [201 - _otlp.MAX_ATTRIBUTES]
    assert len(walk(walk(fields[9][0])[2][0])[1][0]) == _otlp.MAX_STRING


def test_a_span_never_ends_before_it_began() -> None:
    assert span(start_ns=9, end_ns=5)[8] == [9]


def test_a_parent_is_there_or_not_and_remote_or_not() -> None:
    assert 4 not in span() and span()[16] == [0x100]
    fields = span(parent_span_id=b"p" * 8, parent_remote=True, flags=3, tracestate="wb=1")
    assert fields[4] == [b"p" * 8] and fields[16] == [0x303] and fields[3] == [b"wb=1"]
