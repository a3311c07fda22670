# SPDX-License-Identifier: Apache-2.0
"""Run tests/contract/otlp_contract.c against a backend: its control is a port here."""

from __future__ import annotations

import os
import pathlib
import socketserver
import subprocess
import threading
from typing import Callable

from otlp_backend import OtlpBackend
from waybill_testkit import find_program


class Control(socketserver.ThreadingTCPServer):
    """Takes a line, answers one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: Callable[[str], str]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(answer(line.decode().strip()).encode() + b"\n")

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        super().__exit__(*exc)


def count(backend: OtlpBackend, what: str) -> str:
    """What the control's "spans", "all_spans" and "delegations" ask for."""
    if what == "spans":
        return str(len({(item.trace_id, item.span_id) for item in backend.items["traces"]}))
    if what == "all_spans":
        return str(len(backend.items["traces"]))
    if what == "delegations":
        return str(len({item.attributes["waybill.delegation.id"] for item in backend.items["logs"]
                        if "waybill.delegation.id" in item.attributes}))
    return "unknown"


def run_contract(endpoint: str, protocol: str, answer: Callable[[str], str], *,
                 scripted: bool) -> subprocess.CompletedProcess[str]:
    """`answer` is the control. Scripted: it also knows "script"."""
    with Control(answer) as control:
        env = {**os.environ,
               "WAYBILL_CONTRACT_ENDPOINT": endpoint,
               "WAYBILL_CONTRACT_PROTOCOL": protocol,
               "WAYBILL_CONTRACT_CONTROL": str(control.server_address[1]),
               **({"WAYBILL_CONTRACT_SCRIPTED": "1"} if scripted else {})}
        return subprocess.run([pathlib.Path(find_program("otlp_contract"))], env=env,
                              capture_output=True, text=True, timeout=240)
