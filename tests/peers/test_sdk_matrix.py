# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's SDKs for Python and Node, in all their protocols, against a real sidecar: what they sent
is what is stored and what is delivered, item by item. Metrics are not stored, they pass through."""

import pytest

import wiring
from peers import sdk_send

COUNT = 150  # three exports of at most 64


@pytest.fixture(scope="module")
def wired(backend):
    with wiring.sidecar_to(backend) as found:
        yield found


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
@pytest.mark.parametrize("language", ["python", "node"])
def test_sent_is_stored_is_delivered(wired, backend, language, protocol, signal, gzip):
    tag = f"{protocol.replace('/', '-')}-{signal}-{'gzip' if gzip else 'plain'}"
    service = f"{'py' if language == 'python' else 'node'}-{tag}"
    said = sdk_send(language, signal, protocol, http_url=wired.http_url, grpc_target=wired.grpc_target,
                    count=COUNT, tag=tag, gzip=gzip)
    assert (said["failure"], said["stderr"]) == (0, "")
    stored, delivered = wiring.settled(wired, backend, signal, service, COUNT)
    wiring.note(f"{language} {protocol}{' gzip' if gzip else ''} {signal}", COUNT, stored, delivered)
    items = wiring.items_of(backend, signal, service)
    assert wiring.numbers_of(items) == {number: 1 for number in range(COUNT)}
    assert stored in (None, COUNT) and delivered == COUNT
    for item in items:
        check_item(item, signal, tag)


def check_item(item, signal, tag):
    """What the sender wrote is what the backend reads."""
    number = item.attributes["peer.number"]
    assert item.attributes["peer.tag"] == tag
    assert item.scope == "peers"
    if signal == "traces":
        assert item.name == f"span {number}"
        event = item.proto.events[0]
        found = {pair.key: pair.value for pair in event.attributes}
        assert [each.string_value for each in found["peer.list"].array_value.values] == ["a", "b"]
        assert (found["peer.ratio"].double_value, found["peer.yes"].bool_value) == (0.5, True)
        assert 0 < item.proto.start_time_unix_nano <= item.proto.end_time_unix_nano
    elif signal == "logs":
        assert item.name == f"log {number}" and item.proto.severity_number == 9
    elif number % 2:
        assert item.name == "peer.count" and (item.proto.as_int or item.proto.as_double) == number
    else:
        assert item.name == "peer.sizes" and (item.proto.count, item.proto.sum) == (1, number)
