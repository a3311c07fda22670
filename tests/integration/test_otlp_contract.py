# SPDX-License-Identifier: Apache-2.0
"""The contract of exporters, and what only OTLP does, against a real OTLP server in three protocols."""

from __future__ import annotations

import os
import pathlib
import socketserver
import subprocess
import threading
from typing import Any

import pytest
from otlp_backend import OtlpBackend, control

PROTOCOLS = ["http/protobuf", "http/json", "grpc"]


def answer_line(backend: OtlpBackend, line: str) -> str:
    verb, _, rest = line.partition(" ")
    if verb == "away":
        backend.stop()
    elif verb == "back":
        backend.stop()
        backend.start()
    elif verb == "clear":
        backend.clear()
    elif verb == "script":
        control(backend, "/_control/script", rest.encode())
    elif verb == "spans":
        return str(len({(item.trace_id, item.span_id) for item in backend.items["traces"]}))
    elif verb == "all_spans":
        return str(len(backend.items["traces"]))
    elif verb == "delegations":
        return str(len({item.attributes["waybill.delegation.id"] for item in backend.items["logs"]
                        if "waybill.delegation.id" in item.attributes}))
    else:
        return "unknown"
    return "ok"


class Control(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, backend: OtlpBackend) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(answer_line(backend, line.decode().strip()).encode() + b"\n")

        super().__init__(("127.0.0.1", 0), Handler)


def run_contract(backend: OtlpBackend, protocol: str, bin_dir: pathlib.Path) -> subprocess.CompletedProcess[str]:
    endpoint = f"http://{backend.grpc_target}" if protocol == "grpc" else backend.http_url
    with Control(backend) as listener:
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        env: dict[str, Any] = {**os.environ,
                               "WAYBILL_CONTRACT_ENDPOINT": endpoint,
                               "WAYBILL_CONTRACT_PROTOCOL": protocol,
                               "WAYBILL_CONTRACT_CONTROL": str(listener.server_address[1]),
                               "WAYBILL_CONTRACT_SCRIPTED": "1"}
        done = subprocess.run([bin_dir / "otlp_contract"], env=env, capture_output=True, text=True,
                              timeout=240)
        listener.shutdown()
    return done


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_contract_holds(protocol: str) -> None:
    with OtlpBackend() as backend:
        done = run_contract(backend, protocol, pathlib.Path(os.environ["WAYBILL_BIN_DIR"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout + done.stderr
    assert not backend.faults
