# SPDX-License-Identifier: Apache-2.0
"""The OpenTelemetry Collector on either side: as the one that sends to a sidecar, and as its backend, over
three protocols; killed and started again while a sidecar delivers to it."""

import time

import pytest

import wiring
from peers import Collector, sdk_send, telemetrygen
from waybill_testkit import wait_until

COUNT = 200
PROTOCOLS = ["http/protobuf", "http/json", "grpc"]
SIGNALS = ["traces", "logs", "metrics"]


def to(protocol, server):
    return server.grpc_target if protocol == "grpc" else server.http_url


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_as_sender(backend, protocol):
    """telemetrygen -> Collector -> sidecar -> backend."""
    backend.clear()
    with wiring.sidecar_to(backend) as wired, Collector(to(protocol, wired), protocol) as collector:
        for signal in SIGNALS:
            service = f"through-{signal}"
            telemetrygen(signal, collector.grpc_target, http=False, count=COUNT, service=service)
            sent = 2 * COUNT if signal == "traces" else COUNT
            stored, delivered = wiring.settled(wired, backend, signal, service, sent)
            wiring.note(f"collector {protocol} {signal}", sent, stored, delivered)
            assert stored in (None, sent) and delivered == sent


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_as_backend(backend, protocol, compression):
    """SDK -> sidecar -> Collector -> backend."""
    backend.clear()
    with Collector(backend.http_url) as collector:
        exporter = wiring.otlp_exporter(protocol, http_url=collector.http_url, grpc_target=collector.grpc_target,
                                        compression=compression)
        with wiring.Wired({"collector": exporter}) as wired:
            for signal in SIGNALS:
                tag = f"behind-{signal}"
                sdk_send("python", signal, "http/protobuf", http_url=wired.http_url,
                         grpc_target=wired.grpc_target, count=COUNT, tag=tag)
                stored, delivered = wiring.settled(wired, backend, signal, f"py-{tag}", COUNT)
                wiring.note(f"to collector {protocol} {compression} {signal}", COUNT, stored, delivered)
                items = wiring.items_of(backend, signal, f"py-{tag}")
                assert wiring.numbers_of(items) == {number: 1 for number in range(COUNT)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_killed_and_started_again_nothing_is_lost(backend, protocol):
    """The Collector's queue is a file, so that what it acknowledged outlives its kill; what it had not
    acknowledged, the sidecar sends again. So all is there, and some of it may be there twice."""
    backend.clear()
    rounds, each = 6, 100
    with Collector(backend.http_url, storage=True) as collector:
        exporter = wiring.otlp_exporter(protocol, http_url=collector.http_url, grpc_target=collector.grpc_target,
                                        when_full="backpressure")
        with wiring.Wired({"collector": exporter}) as wired:
            for number in range(rounds):
                if number % 2:
                    collector.kill9()
                sdk_send("python", "traces", "http/protobuf", http_url=wired.http_url,
                         grpc_target=wired.grpc_target, count=each, tag=f"round-{number}")
                if number % 2:
                    time.sleep(0.3)  # it finds nobody there
                    collector.start()
            for number in range(rounds):
                service = f"py-round-{number}"
                stored, _ = wiring.settled(wired, backend, "traces", service, each)
                items = wiring.items_of(backend, "traces", service)
                unique = len({item.span_id for item in items})
                wiring.note(f"collector killed, {protocol}, round {number}", each, stored, unique)
                assert set(wiring.numbers_of(items)) == set(range(each)) and stored == each
            said = wired.exporter("collector")
            assert said["dropped_records"] == 0 and said["parked_records"] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_that_is_away_stops_no_other(backend, protocol):
    """Two ways out; one leads to where nobody is."""
    backend.clear()
    gone = Collector(None)
    try:
        ways = {"gone": wiring.otlp_exporter(protocol, http_url=gone.http_url, grpc_target=gone.grpc_target),
                "there": wiring.otlp_exporter(protocol, http_url=backend.http_url,
                                              grpc_target=backend.grpc_target)}
        with wiring.Wired(ways) as wired:
            sdk_send("python", "traces", "grpc", http_url=wired.http_url, grpc_target=wired.grpc_target,
                     count=COUNT, tag="one-away")
            stored, delivered = wiring.settled(wired, backend, "traces", "py-one-away", COUNT)
            assert (stored, delivered) == (COUNT, COUNT)
            assert wired.exporter("gone")["state"] == "backoff"
            wait_until(lambda: wired.exporter("there")["lag_frames"] == 0, 30, "no lag of the other")
    finally:
        gone.close()
