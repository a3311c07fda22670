# SPDX-License-Identifier: Apache-2.0
"""The contract of exporters with the OpenTelemetry Collector as the far side, in three protocols. What it
took is counted in the backend behind it."""

import time

import pytest
from contract_run import count, run_contract
from peers import Collector


def settled(backend, what):
    """The Collector hands on a moment later: until nothing has come for half a second."""
    last, since = count(backend, what), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.02)
        now = count(backend, what)
        if now != last:
            last, since = now, time.monotonic()
    return last


def answer(backend, collector, verb):
    if verb == "away":
        collector.stop()
    elif verb == "back":
        if collector.process is None:
            collector.start()
    elif verb == "clear":
        settled(backend, "all_spans")
        backend.clear()
    else:
        return settled(backend, verb)
    return "ok"


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_the_contract_holds_with_the_collector(backend, protocol):
    backend.clear()
    with Collector(backend.http_url) as collector:
        endpoint = f"http://{collector.grpc_target}" if protocol == "grpc" else collector.http_url
        done = run_contract(endpoint, protocol, lambda verb: answer(backend, collector, verb),
                            scripted=False)
    assert done.returncode == 0, done.stdout + done.stderr
