# SPDX-License-Identifier: Apache-2.0
"""Jaeger, release 1 and 2, as a backend: each span once, found by its query API; delegations are seen in
flight by their markers, and once by their own span."""

import collections
import json
import time

import pytest
import waybill

import wiring
from peers import Jaeger, Jaeger2, sdk_send
from waybill_testkit import wait_until

COUNT = 120


@pytest.fixture(scope="module", params=[Jaeger, Jaeger2], ids=["jaeger1", "jaeger2"])
def jaeger(request):
    with request.param() as found:
        yield found


def exporter_to(jaeger, protocol="http/protobuf"):
    return wiring.otlp_exporter(protocol, http_url=jaeger.http_url, grpc_target=jaeger.grpc_target,
                                signals=["traces"], markers=True)


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_each_span_once(jaeger, protocol):
    service = f"py-{protocol.replace('/', '-')}"
    with wiring.Wired({"jaeger": exporter_to(jaeger, protocol)}) as wired:
        sdk_send("python", "traces", "http/protobuf", http_url=wired.http_url, grpc_target=wired.grpc_target,
                 count=COUNT, tag=service.removeprefix("py-"))
        wait_until(lambda: len(jaeger.traces_of(service)) >= COUNT, 30, f"{jaeger.name}: {COUNT} traces")
        wait_until(lambda: wired.stored("traces", service) >= COUNT, 30, "the store")
        stored = wired.stored("traces", service)
    spans = [span for trace in jaeger.traces_of(service) for span in trace["spans"]]
    numbers = collections.Counter(tag["value"] for span in spans for tag in span["tags"]
                                  if tag["key"] == "peer.number")
    wiring.note(f"python to {jaeger.name} {protocol}", COUNT, stored, len(spans))
    assert numbers == {number: 1 for number in range(COUNT)} and stored == COUNT


def is_marker(span):
    return any(tag["key"].startswith("waybill.marker") for tag in span["tags"])


def test_a_delegation_is_seen_while_it_is_in_flight(jaeger):
    with wiring.Wired({"jaeger": exporter_to(jaeger)}) as wired:
        client = waybill.Waybill(str(wired.sidecar.socket))
        try:
            target = waybill.Target(url="http://127.0.0.1:9/", declares=True, name="slow")
            with client.span("ask", type="session") as span:
                trace_id = span.context.trace_id.hex()
                delegation = client.delegate(target, method="SendMessage", message_id="m-1")
                markers = wait_until(lambda: [each for each in jaeger.spans(trace_id) if is_marker(each)], 20,
                                     "a marker")
                own = delegation.context.span_id.hex()
                assert {ref["spanID"] for each in markers for ref in each["references"]} == {own}
                assert all(each["duration"] == 0 for each in markers)
                assert own not in {each["spanID"] for each in jaeger.spans(trace_id)}
                client.settle(delegation, "answered")
            wait_until(lambda: {own, span.context.span_id.hex()} <= {
                each["spanID"] for each in jaeger.spans(trace_id)}, 20, "the spans themselves")
        finally:
            client.close()
        time.sleep(0.5)  # nothing comes after it
        spans = [each for each in jaeger.spans(trace_id) if not is_marker(each)]
        assert len(spans) == 2 and len({each["spanID"] for each in spans}) == 2
        settled = next(each for each in spans if each["spanID"] == own)
        assert settled["duration"] >= 1_000_000  # microseconds: it was in flight for longer than a second


def test_what_is_sent_again_after_a_kill_is_the_same_span(jaeger):
    """Between an answer and the note of it a kill repeats spans. Jaeger 2 shows equal spans once; Jaeger 1
    shows them as often as they came."""
    service = "py-killed"
    with wiring.Wired({"jaeger": exporter_to(jaeger)}) as wired:
        for _ in range(4):
            sdk_send("python", "traces", "http/protobuf", http_url=wired.http_url, grpc_target=wired.grpc_target,
                     count=30, tag="killed")
            wired.sidecar.kill9()
            wired.sidecar.start()
        wait_until(lambda: len(jaeger.traces_of(service)) >= 120, 30, f"{jaeger.name}: 120 traces")
        wait_until(lambda: wired.stored("traces", service) >= 120, 30, "the store")
        assert wired.stored("traces", service) == 120
    for trace in jaeger.traces_of(service):
        seen = {json.dumps({key: value for key, value in span.items() if key not in ("processID", "warnings")},
                           sort_keys=True) for span in trace["spans"]}
        assert len(seen) == 1
        assert len(trace["spans"]) == 1 or jaeger.name == "jaeger"
