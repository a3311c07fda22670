# SPDX-License-Identifier: Apache-2.0
"""The contract of exporters, and what only OTLP does, against a real OTLP server in three protocols."""

from __future__ import annotations

import pytest
from contract_run import count, run_contract
from otlp_backend import OtlpBackend, control


def answer(backend: OtlpBackend, line: str) -> str:
    verb, _, rest = line.partition(" ")
    if verb in ("away", "back"):
        backend.stop()
    if verb == "back":
        backend.start()
    elif verb == "clear":
        backend.clear()
    elif verb == "script":
        control(backend, "/_control/script", rest.encode())
    elif verb != "away":
        return count(backend, verb)
    return "ok"


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_the_contract_holds(protocol: str) -> None:
    with OtlpBackend() as backend:
        endpoint = f"http://{backend.grpc_target}" if protocol == "grpc" else backend.http_url
        done = run_contract(endpoint, protocol, lambda line: answer(backend, line), scripted=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not backend.faults
