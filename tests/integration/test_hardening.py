# SPDX-License-Identifier: Apache-2.0
"""What the compiler and linker were asked for is in the programs: read from their ELF headers."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
from waybill_testkit import ROOT, find_program, is_sanitized

BUILDS = {find_program("waybilld").parent} | {
    path.parent for path in ROOT.glob("build/release/bin/waybilld")
}
PROGRAMS = sorted(folder / name for folder in BUILDS for name in ("waybilld", "waybill"))


@pytest.fixture(params=PROGRAMS, ids=lambda path: "/".join(path.parts[-3:]))
def program(request) -> pathlib.Path:
    return request.param


def readelf(program: pathlib.Path, *what: str) -> str:
    return subprocess.run(
        ["readelf", "-W", *what, str(program)], capture_output=True, text=True, check=True
    ).stdout


def is_optimised(program: pathlib.Path) -> bool:
    cache = (program.parents[1] / "CMakeCache.txt").read_text()
    return re.search(r"^CMAKE_BUILD_TYPE:\w+=(\w+)", cache, re.M)[1] != "Debug"


def test_it_is_loaded_anywhere(program):
    assert re.search(r"Type:\s+DYN", readelf(program, "-h"))
    assert re.search(r"FLAGS_1\).*\bPIE\b", readelf(program, "-d"))


def test_its_tables_are_read_only_once_it_runs(program):
    assert "GNU_RELRO" in readelf(program, "-l")
    dynamic = readelf(program, "-d")
    assert "BIND_NOW" in dynamic and re.search(r"FLAGS_1\).*\bNOW\b", dynamic)


def test_no_memory_is_both_written_and_run(program):
    segments = re.findall(r"^\s+(\w+)\s+0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ (.{3})", readelf(program, "-l"), re.M)
    assert ("GNU_STACK", "RW ") in segments, segments
    assert all(not ("W" in flags and "E" in flags) for _, flags in segments)


def test_no_library_is_looked_for_in_places_of_the_build(program):
    assert not re.search(r"RPATH|RUNPATH", readelf(program, "-d"))


def test_stacks_are_guarded(program):
    assert "__stack_chk_fail" in readelf(program, "--dyn-syms")


def test_sizes_are_checked_in_optimised_builds(program):
    if is_optimised(program) and not is_sanitized(program):
        assert re.search(r"__(memcpy|snprintf|vsnprintf|read|pread64)_chk", readelf(program, "--dyn-syms"))


def test_jumps_land_where_jumps_may(program):
    """Our own functions are marked; whether the processor holds jumps to the marks, the C library's
    start-up objects decide, and Debian 12's do not."""
    if "X86-64" not in readelf(program, "-h"):
        return
    code = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", "--disassemble=main", str(program)],
        capture_output=True, text=True, check=True,
    ).stdout
    assert re.search(r"<main>:\n\s+\S+:\s+endbr64", code)
