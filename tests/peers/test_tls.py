# SPDX-License-Identifier: Apache-2.0
"""TLS with the Collector, whose TLS is Go's: both sides show a certificate of one authority, or one side a
certificate and the other a bearer. A backend of another authority, or one that asks for a certificate which
the sidecar does not have, gets nothing."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import wiring
from peers import Collector, sdk_send, telemetrygen
from waybill_testkit import wait_until

COUNT = 60
PROTOCOLS = ["http/protobuf", "grpc"]


class Authority:
    """A certificate authority and what it signs, as PEM files."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.cert = self.make(name, self.key, is_authority=True)
        self.file = self.write("ca.pem", self.cert.public_bytes(serialization.Encoding.PEM))

    def write(self, name, data):
        path = self.folder / f"{self.name}-{name}"
        path.write_bytes(data)
        path.chmod(0o600)
        return str(path)

    def make(self, name, key, is_authority=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if is_authority else self.cert.subject
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(hours=1))
                   .not_valid_after(now + datetime.timedelta(hours=2))
                   .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True))
        if not is_authority:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = (builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
                       .add_extension(x509.ExtendedKeyUsage(uses), critical=False))
        return builder.sign(self.key, hashes.SHA256())

    def pair(self, name):
        """Files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        cert = self.make(name, key).public_bytes(serialization.Encoding.PEM)
        return {"cert_file": self.write(f"{name}.pem", cert), "key_file": self.write(f"{name}.key", pem)}


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
    tls_in = {**ours.pair("collector"), "client_ca_file": ours.file}
    with Collector(backend.http_url, tls_in=tls_in) as collector:
        tls = {"ca_file": ours.file, **ours.pair("sidecar")}
        with wiring.Wired({"collector": exporter_to(collector, protocol, tls)}) as wired:
            sdk_send("python", "traces", "grpc", http_url=wired.http_url, grpc_target=wired.grpc_target,
                     count=COUNT, tag="mtls")
            stored, delivered = wiring.settled(wired, backend, "traces", "py-mtls", COUNT)
    wiring.note(f"to collector {protocol}, mutual TLS", COUNT, stored, delivered)
    assert delivered == COUNT


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_out_to_one_of_another_authority_sends_nothing(backend, ours, strangers, protocol):
    backend.clear()
    with Collector(backend.http_url, tls_in=strangers.pair("collector")) as collector:
        with wiring.Wired({"collector": exporter_to(collector, protocol, {"ca_file": ours.file})}) as wired:
            sdk_send("python", "traces", "grpc", http_url=wired.http_url, grpc_target=wired.grpc_target,
                     count=COUNT, tag="stranger")
            wait_until(lambda: wired.exporter("collector")["state"] == "backoff", 30, "an attempt that failed")
            assert "certificate" in wired.exporter("collector")["last_error"].lower()
            assert backend.items["traces"] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_out_without_the_certificate_that_is_asked_for_sends_nothing(backend, ours, protocol):
    backend.clear()
    tls_in = {**ours.pair("collector"), "client_ca_file": ours.file}
    with Collector(backend.http_url, tls_in=tls_in) as collector:
        with wiring.Wired({"collector": exporter_to(collector, protocol, {"ca_file": ours.file})}) as wired:
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
    otlp = {"tls": {**ours.pair("sidecar"), "client_ca_file": ours.file}}
    with wired_with_tls(backend, otlp) as wired:
        to = wired.grpc_target if protocol == "grpc" else f"https://127.0.0.1:{wired.http_port}"
        with Collector(to, protocol, tls_out={"ca_file": ours.file, **ours.pair("collector")}) as collector:
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
    with wired_with_tls(backend, {"tls": ours.pair("sidecar"), "bearer_file": str(bearer)}) as wired:
        to = wired.grpc_target if protocol == "grpc" else f"https://127.0.0.1:{wired.http_port}"
        headers = {"Authorization": f"Bearer {bearer.read_text().strip()}"}
        with Collector(to, protocol, tls_out={"ca_file": ours.file}, headers=headers) as collector:
            telemetrygen("traces", collector.grpc_target, http=False, count=COUNT, service="in-bearer")
            stored, delivered = wiring.settled(wired, backend, "traces", "in-bearer", 2 * COUNT)
    wiring.note(f"collector {protocol}, TLS and bearer", 2 * COUNT, stored, delivered)
    assert (stored, delivered) == (2 * COUNT, 2 * COUNT)
