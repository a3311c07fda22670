# SPDX-License-Identifier: Apache-2.0
"""The OpenTelemetry Collector on either side: as the one that sends to a sidecar, and as its backend, over
three protocols; killed and started again while a sidecar delivers to it."""

import re
import signal
import time

import pytest
import waybill
import yaml

import wiring
from measured import A_DAY_OF_WORK, expected, in_otlp, request, same
from otlp_backend import OtlpBackend
from otlp_http import post
from peers import Collector, sdk_send, telemetrygen
from waybill_testkit import ROOT, wait_until

COUNT = 200
PROTOCOLS = ["http/protobuf", "http/json", "grpc"]
SIGNALS = ["traces", "logs", "metrics"]


class DurableCollector(Collector):
    """With the configuration of docs/backends.md that keeps what it acknowledged in a file, but for
    addresses, the folder and shorter waits."""

    def config(self):
        page = (ROOT / "docs" / "backends.md").read_text("utf-8")
        found = yaml.safe_load(re.search(r"^```yaml not-run: tests/peers/test_collector.py.*?\n(.*?)^```", page,
                                         re.M | re.S)[1])
        own = super().config()
        found["receivers"] = own["receivers"]
        found["service"]["telemetry"] = own["service"]["telemetry"]
        found["extensions"]["file_storage"]["directory"] = str(self.folder / "storage")
        (exporter,), (usual,) = found["exporters"].values(), own["exporters"].values()
        exporter["endpoint"] = usual["endpoint"]
        exporter["retry_on_failure"] = {**usual["retry_on_failure"], **exporter["retry_on_failure"]}
        return found


def to(protocol, server):
    return server.grpc_target if protocol == "grpc" else server.http_url


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_as_sender(backend, protocol):
    """telemetrygen -> Collector -> sidecar -> backend."""
    backend.clear()
    with wiring.sidecar_to(backend) as wired, Collector(to(protocol, wired), protocol) as collector:
        for kind in SIGNALS:
            service = f"through-{kind}"
            telemetrygen(kind, collector.grpc_target, http=False, count=COUNT, service=service)
            sent = 2 * COUNT if kind == "traces" else COUNT
            stored, delivered = wiring.settled(wired, backend, kind, service, sent)
            wiring.note(f"collector {protocol} {kind}", sent, stored, delivered)
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
            for kind in SIGNALS:
                tag = f"behind-{kind}"
                sdk_send("python", kind, "http/protobuf", http_url=wired.http_url,
                         grpc_target=wired.grpc_target, count=COUNT, tag=tag)
                stored, delivered = wiring.settled(wired, backend, kind, f"py-{tag}", COUNT)
                wiring.note(f"to collector {protocol} {compression} {kind}", COUNT, stored, delivered)
                items = wiring.items_of(backend, kind, f"py-{tag}")
                assert wiring.numbers_of(items) == {number: 1 for number in range(COUNT)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_measured_of_spans_arrives(backend, protocol):
    """spans -> sidecar, which measures them -> Collector -> backend: cumulative histograms that the Collector takes."""
    backend.clear()
    with Collector(backend.http_url) as collector:
        exporter = wiring.otlp_exporter(protocol, http_url=collector.http_url, grpc_target=collector.grpc_target)
        with wiring.Wired({"collector": exporter}, normalise={"enabled": True}, metrics={"interval_s": 1}) as wired:
            answer = post(wired.http_port, "/v1/traces", request(A_DAY_OF_WORK).SerializeToString())
            assert answer.code == 200
            wanted = expected(A_DAY_OF_WORK)
            wait_until(lambda: same(in_otlp(wiring.items_of(backend, "metrics", "peer")), wanted), wiring.SETTLE_S, "it")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_killed_and_started_again_nothing_is_lost(protocol):
    """The Collector's queue is a file, so that what it acknowledged outlives its kill; what it had not
    acknowledged, the sidecar sends again. So all is there, and some of it may be there twice. What is behind
    it is slow: some of what it acknowledged is still its own when it is killed. That happens when it has
    started, never while it starts (docs/backends.md says why)."""
    rounds, each = 6, 100
    with OtlpBackend(delay_s=0.3) as backend, DurableCollector(backend.http_url) as collector:
        exporter = wiring.otlp_exporter(protocol, http_url=collector.http_url, grpc_target=collector.grpc_target,
                                        when_full="backpressure")
        with wiring.Wired({"collector": exporter}) as wired:
            for number in range(rounds):
                if number % 2:
                    collector.check()
                    collector.kill9()
                sdk_send("python", "traces", "http/protobuf", http_url=wired.http_url,
                         grpc_target=wired.grpc_target, count=each, tag=f"round-{number}")
                if number % 2:
                    time.sleep(0.3)  # it finds nobody there
                    collector.start()
            for number in range(rounds):
                service = f"py-round-{number}"
                stored, _ = wiring.settled(wired, backend, "traces", service, each, by=collector)
                items = wiring.items_of(backend, "traces", service)
                wiring.note(f"collector killed, {protocol}, round {number}", each, stored,
                            wiring.unique("traces", items))
                assert set(wiring.numbers_of(items)) == set(range(each)) and stored == each
            said = wired.exporter("collector")
            assert said["dropped_records"] == 0 and said["parked_records"] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_that_hangs_is_asked_again_when_it_goes_on(backend, protocol):
    """Frozen, it takes connections and answers nothing: each attempt ends at its time, and nothing is lost."""
    backend.clear()
    with Collector(backend.http_url) as collector:
        exporter = wiring.otlp_exporter(protocol, http_url=collector.http_url, grpc_target=collector.grpc_target,
                                        timeout="1s")
        with wiring.Wired({"collector": exporter}) as wired:
            collector.process.send_signal(signal.SIGSTOP)
            try:
                sdk_send("node", "traces", "grpc", http_url=wired.http_url, grpc_target=wired.grpc_target,
                         count=COUNT, tag="frozen")
                wait_until(lambda: wired.exporter("collector")["state"] == "backoff", 30, "an attempt that failed")
                assert wiring.items_of(backend, "traces", "node-frozen") == []
            finally:
                collector.process.send_signal(signal.SIGCONT)
            stored, _ = wiring.settled(wired, backend, "traces", "node-frozen", COUNT)
            items = wiring.items_of(backend, "traces", "node-frozen")
            wiring.note(f"collector frozen, {protocol}", COUNT, stored, wiring.unique("traces", items))
            assert set(wiring.numbers_of(items)) == set(range(COUNT)) and stored == COUNT


def test_delegations_are_log_records_behind_it(backend):
    """Opened and closed, once each, with the ids of the span that the delegation becomes."""
    backend.clear()
    with Collector(backend.http_url) as collector:
        exporter = wiring.otlp_exporter("grpc", http_url="", grpc_target=collector.grpc_target)
        with wiring.Wired({"collector": exporter}) as wired:
            client = waybill.Waybill(str(wired.sidecar.socket))
            try:
                target = waybill.Target(url="http://127.0.0.1:9/", declares=True, name="other")
                delegation = client.delegate(target, method="SendMessage", message_id="m-1")
                client.settle(delegation, "answered")
            finally:
                client.close()
            records = backend.wait_for("logs", 2, 30)
            span = backend.wait_for("traces", 1, 30)[0]
    assert [record.name for record in records] == ["waybill.delegation.opened", "waybill.delegation.closed"]
    for record in records:
        assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)
    assert len(backend.items["traces"]) == 1 and len(backend.items["logs"]) == 2


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
            wait_until(lambda: wired.exporter("gone")["state"] == "backoff", 30, "an attempt that failed")
            wait_until(lambda: wired.exporter("there")["lag_frames"] == 0, 30, "no lag of the other")
    finally:
        gone.close()
