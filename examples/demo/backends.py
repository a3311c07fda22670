# SPDX-License-Identifier: Apache-2.0
"""Where the demo's sidecars send to: SQLite by default, or a Postgres of the demo's own, and Jaeger beside
it. All of them are real servers on loopback that this process starts and ends."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import sys
import urllib.request
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "support"))

STORES = ("sqlite", "postgres")


class Backends:
    """`store`: one of STORES. `config` and `env` are for every sidecar and its command line."""

    def __init__(self, store: str = "sqlite", jaeger: bool = False) -> None:
        self.config: dict[str, Any] = {}
        self.env: dict[str, str] = {}
        self.store_url: str | None = None
        self.jaeger_url: str | None = None
        self._open = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            if store == "postgres":
                self._start_postgres()
            if jaeger:
                self._start_jaeger()
            undo.pop_all()

    def _start_postgres(self) -> None:
        from postgres import Cluster  # tests/support: only who asks for it needs it
        from waybill_testkit import find_program

        database = self._open.enter_context(self._open.enter_context(Cluster()).database("demo"))
        migrate = [str(find_program("waybill")), "store", "migrate", "--store", database.owner]
        done = subprocess.run(migrate, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(migrate[1:])}: {done.stderr}")
        self.store_url = database.reader
        self.config["store"] = {"type": "postgres", "postgres": {"url": database.writer}}
        self.env["WAYBILL_STORE"] = database.reader

    def _start_jaeger(self) -> None:
        from peers import Jaeger

        server = self._open.enter_context(Jaeger())
        self.jaeger_url = f"http://127.0.0.1:{server.query_port}"
        self.config["exporters"] = {
            "jaeger": {"type": "otlp", "endpoint": server.http_url, "signals": ["traces"], "markers": True}
        }

    def markers(self, trace_id: str) -> int:
        """How many marks of open delegations Jaeger shows in that trace."""
        try:
            with urllib.request.urlopen(f"{self.jaeger_url}/api/traces/{trace_id}", timeout=5) as answer:
                found = json.load(answer)
        except OSError:  # 404 while it knows none
            return 0
        return sum(tag["key"] == "waybill.marker" for trace in found["data"] for span in trace["spans"]
                   for tag in span["tags"])

    def close(self) -> None:
        self._open.close()
