# SPDX-License-Identifier: Apache-2.0
"""TLS with the Collector, whose TLS is Go's: both sides show a certificate of one authority, or one side a
certificate and the other a bearer. A backend of another authority, or one that asks for a certificate which
the sidecar does not have, gets nothing."""

import datetime
import ipaddress

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import wiring
from authority import Authority
from peers import Collector, sdk_send, telemetrygen
from waybill_testkit import wait_until

COUNT = 60
PROTOCOLS = ["http/protobuf", "grpc"]
BOTH = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("strangers"), "strangers")


def exporter_to(collector, protocol, tls):
    endpoint = f"https://{collector.grpc_target}" if protocol == "grpc" else collector.http_url
    return {"type": "otlp", "endpoint": endpoint, "protocol": protocol, "tls": tls}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_out_with_certificates_of_both_sides(backend, ours, protocol):
    backend.clear()
    tls_in = {**ours.issue("collector", uses=BOTH).settings(), "client_ca_file": str(ours.file)}
    with Collector(backend.http_url, tls_in=tls_in) as collector:
        tls = {"ca_file": str(ours.file), **ours.issue("sidecar", uses=BOTH).settings()}
        with wiring.Wired({"collector": exporter_to(collector, protocol, tls)}) as wired:
            sdk_send("python", "traces", "grpc", http_url=wired.http_url, grpc_target=wired.grpc_target,
                     count=COUNT, tag="mtls")
            stored, delivered = wiring.settled(wired, backend, "traces", "py-mtls", COUNT)
    wiring.note(f"to collector {protocol}, mutual TLS", COUNT, stored, delivered)
    assert delivered == COUNT


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_out_to_one_of_another_authority_sends_nothing(backend, ours, strangers, protocol):
    backend.clear()
    with Collector(backend.http_url, tls_in=strangers.issue("collector", uses=BOTH).settings()) as collector:
        with wiring.Wired({"collector": exporter_to(collector, protocol, {"ca_file": str(ours.file)})}) as wired:
            sdk_send("python", "traces", "grpc", http_url=wired.http_url, grpc_target=wired.grpc_target,
                     count=COUNT, tag="stranger")
            wait_until(lambda: wired.exporter("collector")["state"] == "backoff", 30, "an attempt that failed")
            assert "certificate" in wired.exporter("collector")["last_error"].lower()
            assert backend.items["traces"] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_out_without_the_certificate_that_is_asked_for_sends_nothing(backend, ours, protocol):
    backend.clear()
    tls_in = {**ours.issue("collector", uses=BOTH).settings(), "client_ca_file": str(ours.file)}
    with Collector(backend.http_url, tls_in=tls_in) as collector:
        with wiring.Wired({"collector": exporter_to(collector, protocol, {"ca_file": str(ours.file)})}) as wired:
            sdk_send("python", "traces", "grpc", http_url=wired.http_url, grpc_target=wired.grpc_target,
                     count=COUNT, tag="nameless")
            wait_until(lambda: wired.exporter("collector")["state"] == "backoff", 30, "an attempt that failed")
            assert backend.items["traces"] == []


def wired_with_tls(backend, otlp):
    exporter = wiring.otlp_exporter("http/protobuf", http_url=backend.http_url, grpc_target=backend.grpc_target)
    return wiring.Wired({"backend": exporter}, extra_otlp=otlp)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_in_with_certificates_of_both_sides(backend, ours, protocol):
    backend.clear()
    otlp = {"tls": {**ours.issue("sidecar", uses=BOTH).settings(), "client_ca_file": str(ours.file)}}
    with wired_with_tls(backend, otlp) as wired:
        to = wired.grpc_target if protocol == "grpc" else f"https://127.0.0.1:{wired.http_port}"
        with Collector(to, protocol, tls_out={"ca_file": str(ours.file), **ours.issue("collector", uses=BOTH).settings()}) as collector:
            telemetrygen("traces", collector.grpc_target, http=False, count=COUNT, service="in-mtls")
            stored, delivered = wiring.settled(wired, backend, "traces", "in-mtls", 2 * COUNT)
    wiring.note(f"collector {protocol}, mutual TLS", 2 * COUNT, stored, delivered)
    assert (stored, delivered) == (2 * COUNT, 2 * COUNT)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_in_with_a_certificate_and_a_bearer(backend, ours, tmp_path, protocol):
    backend.clear()
    bearer = tmp_path / "bearer"
    bearer.write_text("a-long-enough-secret-0123456789abcdef\n")
    bearer.chmod(0o600)
    with wired_with_tls(backend, {"tls": ours.issue("sidecar", uses=BOTH).settings(), "bearer_file": str(bearer)}) as wired:
        to = wired.grpc_target if protocol == "grpc" else f"https://127.0.0.1:{wired.http_port}"
        headers = {"Authorization": f"Bearer {bearer.read_text().strip()}"}
        with Collector(to, protocol, tls_out={"ca_file": str(ours.file)}, headers=headers) as collector:
            telemetrygen("traces", collector.grpc_target, http=False, count=COUNT, service="in-bearer")
            stored, delivered = wiring.settled(wired, backend, "traces", "in-bearer", 2 * COUNT)
    wiring.note(f"collector {protocol}, TLS and bearer", 2 * COUNT, stored, delivered)
    assert (stored, delivered) == (2 * COUNT, 2 * COUNT)
