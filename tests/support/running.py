# SPDX-License-Identifier: Apache-2.0
"""A place of its own for `waybill run` and `waybill exec`: folders, environment, and what the store has
when they are through."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from typing import Any, Iterator

from waybill_testkit import find_program, wait_until


class Place:
    """Folders below `base`, which is short enough for sockets; `close` removes them and ends a sidecar
    that is still there. Processes that `start` made are ended by it too."""

    def __init__(self) -> None:
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="wbr-", dir="/tmp"))
        for name in ("run", "state", "data"):
            (self.base / name).mkdir(mode=0o700)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WAYBILL_", "OTEL_", "XDG_"))}
        for name in ("TRACEPARENT", "TRACESTATE", "PYTHONPATH"):
            kept.pop(name, None)
        self.env = {
            **kept,
            "XDG_RUNTIME_DIR": str(self.base / "run"),
            "XDG_STATE_HOME": str(self.base / "state"),
            "XDG_DATA_HOME": str(self.base / "data"),
            "PATH": f"{find_program('waybill').parent}:{kept['PATH']}",
        }
        self._started: list[subprocess.Popen[str]] = []

    # -- programs ------------------------------------------------------------------------------------

    def waybill(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(find_program("waybill")), *args],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.waybill("run", "--", *command, **env)

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        """`waybill ARGS` beside us; its standard output is a pipe."""
        process = subprocess.Popen(
            [str(find_program("waybill")), *args],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def script(self, name: str, text: str) -> str:
        path = self.base / name
        path.write_text(text, "utf-8")
        return str(path)

    # -- the sidecar ---------------------------------------------------------------------------------

    def sidecar_pid(self, name: str = "default") -> int | None:
        """Of status.json, if that process lives."""
        with contextlib.suppress(OSError, ValueError):
            file = self.base / "run" / "waybill" / name / "status.json"
            pid = int(json.loads(file.read_text("utf-8"))["pid"])
            os.kill(pid, 0)
            return pid
        return None

    # -- what was recorded ---------------------------------------------------------------------------

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        store = self.base / "data" / "waybill" / "store.db"
        if not store.exists() or store.stat().st_size == 0:
            return []
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'spans'").fetchone():
                return []  # it is being made
            return [dict(row) for row in db.execute(query, values)]

    def spans(self) -> dict[str, dict[str, Any]]:
        """By name, which must be one span's alone."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows("SELECT * FROM spans"):
            assert row["name"] not in found, row["name"]
            found[row["name"]] = row
        return found

    def attributes(self, span: dict[str, Any]) -> dict[str, Any]:
        """Of a span that is the root in its trace."""
        shown = self.waybill("trace", "show", "--json", span["trace_id"].hex())
        assert shown.returncode == 0, shown.stderr
        (root,) = json.loads(shown.stdout)["children"]
        assert root["span_id"] == span["span_id"].hex()
        return dict(root["attributes"])

    def close(self) -> None:
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it ran
            process.communicate()
        for folder in (self.base / "run" / "waybill").glob("*"):
            pid = self.sidecar_pid(folder.name)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(TimeoutError):
                    wait_until(lambda: self.sidecar_pid(folder.name) is None)
        shutil.rmtree(self.base, ignore_errors=True)


@contextlib.contextmanager
def a_place() -> Iterator[Place]:
    made = Place()
    try:
        yield made
    finally:
        made.close()
