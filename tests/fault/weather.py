# SPDX-License-Identifier: Apache-2.0
"""Steers the faults that tests/support/fault_shim.c brings into a running program.

    weather = Weather(folder)
    sidecar = Sidecar(env=weather.env)
    with weather.fault("write", path="/journal/", error=errno.ENOSPC):
        ...                              # every write below a folder of that name fails
    weather.clock(+3600)                 # the wall clock, in seconds from now on

The layout is the one at the head of the C file."""

from __future__ import annotations

import contextlib
import mmap
import pathlib
import struct
from typing import Iterator

from waybill_testkit import find_program

MAGIC = b"WBFAULT1"
RULES, RULE_AT, RULE = 16, 16, struct.Struct("<IIiIqqIIQ128s")
OPERATIONS = {"open": 1, "write": 2, "sync": 4, "rename": 8, "resize": 16, "accept": 32, "alloc": 64,
              "unlink": 128, "read": 256, "send": 512}


class Rule:
    """A fault in force."""

    def __init__(self, weather: Weather, slot: int) -> None:
        self._weather, self._slot = weather, slot

    @property
    def hits(self) -> int:
        """Calls that it has hit."""
        return int(RULE.unpack_from(self._weather.map, RULE_AT + self._slot * RULE.size)[8])

    def end(self) -> None:
        struct.pack_into("<I", self._weather.map, RULE_AT + self._slot * RULE.size, 0)


class Weather:
    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "weather"
        self.path.write_bytes(MAGIC.ljust(RULE_AT + RULES * RULE.size, b"\0"))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self._used = 0
        self.env = {"LD_PRELOAD": str(find_program("fault_shim.so")), "WAYBILL_FAULTS": str(self.path)}

    def rule(self, *operations: str, path: str = "", error: int = 0, halve: bool = False,
             skip: int = 0, times: int = -1, delay_s: float = 0.0) -> Rule:
        """error    errno; 0: the call is made
        halve    half of what was to be written is written
        skip     calls left alone first; times: calls hit then, -1: all"""
        slot, at = self._used, RULE_AT + self._used * RULE.size
        self._used += 1
        if self._used > RULES:
            raise RuntimeError("no rule left")
        RULE.pack_into(self.map, at, 0, sum(OPERATIONS[one] for one in operations), error, halve, skip,
                       times, int(delay_s * 1e6), 0, 0, path.encode())
        struct.pack_into("<I", self.map, at, 1)
        return Rule(self, slot)

    def reuse(self) -> None:
        """All rules so far are over."""
        self.map[RULE_AT:] = bytes(RULES * RULE.size)
        self._used = 0

    @contextlib.contextmanager
    def fault(self, *operations: str, **how: object) -> Iterator[Rule]:
        made = self.rule(*operations, **how)  # type: ignore[arg-type]
        try:
            yield made
        finally:
            made.end()

    def clock(self, seconds: float) -> None:
        struct.pack_into("<q", self.map, 8, int(seconds * 1_000_000_000))
