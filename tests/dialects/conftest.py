# SPDX-License-Identifier: Apache-2.0
"""Makes tests/support and this folder importable; prints the matrix."""

import pathlib
import sys
import textwrap

WIDTH = 110
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import cells  # noqa: E402
import rig  # noqa: E402


def pytest_terminal_summary(terminalreporter):
    if not rig.JUDGED:
        return
    names = list(rig.JUDGED)
    folded = {name: cells.folded(rig.JUDGED[name]) for name in names}
    write = terminalreporter.write_line
    terminalreporter.section("package x canonical field")
    for number, name in enumerate(names):
        write(f"{number + 1:3}  {name}: {rig.versions(name)}")
    width = max(map(len, cells.FIELDS))
    write(f"{'':{width}}  " + " ".join(f"{number + 1:>5}" for number in range(len(names))))
    for field in cells.FIELDS:
        write(f"{field:{width}}  " + " ".join(f"{folded[name][field]:>5}" for name in names))
    write("n/a, and what was looked for in all that was captured of the package:")
    for name in names:
        why = cells.reasons(rig.JUDGED[name])
        write(f"{name}:")
        for line in textwrap.wrap(" | ".join(f"{field}: {sought}" for field, sought in why.items()), WIDTH,
                                  break_long_words=False, break_on_hyphens=False):
            write(f"    {line}")
    verdicts = [folded[name][field] for name in names for field in cells.FIELDS]
    write(", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("ok", "wrong", "n/a")))
