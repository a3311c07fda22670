# SPDX-License-Identifier: Apache-2.0
"""The command line on a store with known traces (tests/support/store_fill.c), for tests of what reads."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from waybill_testkit import find_program

YES, NO, USAGE, FAILURE = range(4)


def trace_id(n: int) -> str:
    return f"{n:032x}"


@contextlib.contextmanager
def filled_store() -> Iterator[pathlib.Path]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wb-cli-", dir="/tmp"))
    path = folder / "store.db"
    subprocess.run([str(find_program("store_fill")), str(path)], check=True)
    yield path
    shutil.rmtree(folder)


def clean_env(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WAYBILL_", "OTEL_", "XDG_", "LC_"))}
    kept.update({"XDG_RUNTIME_DIR": "/nonexistent", "LANG": "C.UTF-8", "HOME": "/nonexistent", **more})
    return kept


def waybill(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(find_program("waybill")), *args],
        env=env or clean_env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


def read(store: pathlib.Path, *args: str) -> Any:
    done = waybill("--store", str(store), "--json", *args)
    assert done.returncode == YES, done.stderr
    return json.loads(done.stdout)


def copy_of(store: pathlib.Path, to: pathlib.Path) -> pathlib.Path:
    """A whole copy, whatever is in its WAL."""
    with contextlib.closing(sqlite3.connect(store)) as db, contextlib.closing(sqlite3.connect(to)) as copy:
        db.backup(copy)
    return to


def change(store: pathlib.Path, *statements: tuple[str, tuple[Any, ...]] | str) -> None:
    """Run statements in one transaction, as a sidecar would."""
    with contextlib.closing(sqlite3.connect(store, timeout=20)) as db, db:
        for statement in statements:
            if isinstance(statement, str):
                db.execute(statement)
            else:
                db.execute(*statement)
