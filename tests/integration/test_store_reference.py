# SPDX-License-Identifier: Apache-2.0
"""docs/store.md names every table and column that the migrations make, and no others."""

from __future__ import annotations

import pathlib
import re
import sqlite3

ROOT = pathlib.Path(__file__).resolve().parents[2]


def documented() -> dict[str, set[str]]:
    tables: dict[str, set[str]] = {}
    names: list[str] = []
    for line in (ROOT / "docs" / "store.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            names = re.findall(r"\w+", line[3:].replace("(view)", ""))
            for name in names:
                tables[name] = set()
        elif line.startswith("| `") and names:
            for name in names:
                tables[name] |= set(re.findall(r"`(\w+)`", line.split("|")[1]))
    return tables


def migrated() -> dict[str, set[str]]:
    db = sqlite3.connect(":memory:")
    for path in sorted((ROOT / "store" / "sqlite").glob("[0-9]*.sql")):
        db.executescript(path.read_text(encoding="utf-8"))
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
    return {
        table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        for table in tables
        if not table.startswith("sqlite_")
    }


def test_the_reference_and_the_schema_agree():
    reference, schema = documented(), migrated()
    both = {"resources", "scopes"}  # one section for the two
    assert reference.keys() == schema.keys()
    for table in schema.keys() - both:
        assert reference[table] == schema[table], table
    assert reference["resources"] == schema["resources"] | schema["scopes"]
