# SPDX-License-Identifier: Apache-2.0
"""telemetrygen, the Collector's own load generator in Go, over HTTP and gRPC."""

import collections
import re

import pytest

import wiring
from peers import telemetrygen

COUNT = 200


@pytest.fixture(scope="module")
def wired(backend):
    with wiring.sidecar_to(backend, "grpc") as found:
        yield found


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
@pytest.mark.parametrize("http", [True, False], ids=["http", "grpc"])
def test_sent_is_stored_is_delivered(wired, backend, http, signal):
    service = f"gen-{'http' if http else 'grpc'}-{signal}"
    target = wired.http_url.removeprefix("http://") if http else wired.grpc_target
    said = telemetrygen(signal, target, http=http, count=COUNT, service=service)
    assert not re.search(r"\t(WARN|ERROR|FATAL)\t", said), said
    sent = 2 * COUNT if signal == "traces" else COUNT  # a trace of it is two spans
    stored, delivered = wiring.settled(wired, backend, signal, service, sent)
    wiring.note(f"telemetrygen {'http/protobuf' if http else 'grpc'} {signal}", sent, stored, delivered)
    assert stored in (None, sent) and delivered == sent
    if signal == "traces":
        items = wiring.items_of(backend, signal, service)
        times = collections.Counter((item.trace_id, item.span_id) for item in items)
        assert set(times.values()) == {1} and len({item.trace_id for item in items}) == COUNT
