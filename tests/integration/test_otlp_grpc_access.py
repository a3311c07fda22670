# SPDX-License-Identifier: Apache-2.0
"""Who may send OTLP over gRPC, plain and over TLS. What the configuration refuses is in test_otlp_access.py."""

from __future__ import annotations

import json
import socket
import ssl

import grpc
import pytest
from authority import Pki
from otlp_grpc import PREFACE, SETTINGS, TRACES, Http2, call, fields, frame, message, port_of, read_all
from otlp_http import stored_names, traces
from test_otlp_access import STRANGER, TOKEN, bearer_file, own_address
from users import as_user, needs_root
from waybill_testkit import Sidecar, wait_until

OK, DENIED = 0, 16


def config_of(listen: str, more: str = "") -> str:
    return f"otlp:\n  http: {{listen: 'off'}}\n  grpc: {{listen: '{listen}'}}\n{more}"


def send(port: int, name: str, *, host: str = "127.0.0.1", **more: str) -> int | None:
    with Http2(port, host) as client:
        return client.post(message(traces([name]).SerializeToString()), fields(**more)).grpc


@needs_root
def test_another_user_needs_the_bearer(tmp_path):
    config = config_of("127.0.0.1:0", f"  bearer_file: {bearer_file(tmp_path)}\n")
    with Sidecar("owned", config=config) as sidecar:
        port = port_of(sidecar)
        assert send(port, "own") == OK
        assert as_user(STRANGER, lambda: send(port, "other")) == DENIED
        assert as_user(STRANGER, lambda: send(port, "with", authorization=f"Bearer {TOKEN}")) == OK
        for wrong in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", f"Basic {TOKEN}", TOKEN):
            assert as_user(STRANGER, lambda wrong=wrong: send(port, "x", authorization=wrong)) == DENIED
        wait_until(lambda: set(stored_names(sidecar)) == {"own", "with"}, 20, "stored")
        assert "otlp.denied" in sidecar.log()
        assert f"peer_uid=\"{STRANGER}\"" in sidecar.log()


@needs_root
def test_who_may_not_send_learns_nothing_else():
    with Sidecar("mute", config=config_of("127.0.0.1:0")) as sidecar:
        port = port_of(sidecar)

        def ask() -> list:
            with Http2(port) as client:
                asked = [fields("/a.B/C"), fields(grpc_encoding="br"), fields(grpc_timeout="x")]
                return [client.post(message(b"x" * 100), one).grpc for one in asked]

        assert as_user(STRANGER, ask) == [DENIED] * 3


@needs_root
def test_strangers_cannot_take_all_places():
    with Sidecar("places", config=config_of("127.0.0.1:0")) as sidecar:
        port = port_of(sidecar)

        def crowd() -> int:
            clients = [Http2(port) for _ in range(300)]
            return sum(client.post(message(b"")).grpc == DENIED for client in clients)

        assert as_user(STRANGER, crowd) <= 32
        assert send(port, "agent") == OK


def test_beyond_loopback_everybody_needs_the_bearer(tmp_path):
    config = config_of("0.0.0.0:0", f"  bearer_file: {bearer_file(tmp_path)}\n")
    with Sidecar("far", config=config) as sidecar:
        port, host = port_of(sidecar), own_address()
        assert send(port, "near") == OK
        assert send(port, "far", host=host) == DENIED
        assert send(port, "far", host=host, authorization=f"Bearer {TOKEN}") == OK


def test_a_browser_needs_the_bearer_whoever_runs_it(tmp_path):
    config = config_of("127.0.0.1:0", f"  bearer_file: {bearer_file(tmp_path)}\n")
    with Sidecar("web", config=config) as sidecar:
        port = port_of(sidecar)
        assert send(port, "page", origin="http://evil.example") == DENIED
        assert send(port, "page", origin="http://localhost", authorization=f"Bearer {TOKEN}") == OK


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def secure(pki, tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    more = (
        f"  bearer_file: {bearer_file(folder)}\n"
        f"  tls: {json.dumps(pki.issued['server'].settings() | {'client_ca_file': str(pki.ours.file)})}\n"
    )
    with Sidecar("tls", config=config_of("0.0.0.0:0", more)) as one:
        yield one


def credentials(pki: Pki, client: str | None) -> grpc.ChannelCredentials:
    chain, key = (file.read_bytes() for file in pki.issued[client]) if client else (None, None)
    return grpc.ssl_channel_credentials(pki.ours.file.read_bytes(), key, chain)


def send_tls(port, pki, client, host="127.0.0.1", size=0, **more) -> grpc.StatusCode:
    options = [("grpc.ssl_target_name_override", "127.0.0.1"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"{host}:{port}", credentials(pki, client), options=options) as where:
        body = traces([f"tls {client}"], pad=size).SerializeToString()
        return call(where, TRACES, body, metadata=list(more.items())).code


def test_tls_with_a_clients_certificate_or_the_bearer(pki, secure):
    port, host = port_of(secure), own_address()
    code = grpc.StatusCode
    assert send_tls(port, pki, None) == code.OK  # loopback, and our user
    assert send_tls(port, pki, None, host) == code.UNAUTHENTICATED
    assert send_tls(port, pki, "client", host) == code.OK
    assert send_tls(port, pki, "of_a_client", host) == code.OK
    for name in ("stranger", "of_a_server", "expired"):
        assert send_tls(port, pki, name, host) == code.UNAUTHENTICATED
    assert send_tls(port, pki, None, host, authorization=f"Bearer {TOKEN}") == code.OK
    assert "(TLS)" in secure.cli("status")


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_large_requests_pass_through_tls(pki, secure, compression):
    assert send_tls(port_of(secure), pki, None, size=7 * 1024 * 1024) == grpc.StatusCode.OK


def test_the_python_sdk_delivers_over_tls(pki, secure):
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(
        f"https://127.0.0.1:{port_of(secure)}", credentials=credentials(pki, "client"), timeout=20
    )
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    names = [f"over tls {i}" for i in range(500)]
    for name in names:
        with provider.get_tracer("test").start_as_current_span(name):
            pass
    provider.shutdown()
    wait_until(lambda: set(names) <= set(stored_names(secure)), 20, "stored")


def hello(port: int, alpn: list[str], most=None) -> str | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if most:
        context.maximum_version = most
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain) as client:
            client.sendall(PREFACE + frame(SETTINGS, 0, 0))
            return client.selected_alpn_protocol() if client.recv(100) else None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_is_for_http2_and_no_older_than_1_2(secure):
    port = port_of(secure)
    assert hello(port, ["http/1.1", "h2"]) == "h2"
    assert hello(port, ["h2"], ssl.TLSVersion.TLSv1_2) == "h2"
    for alpn, most in ((["http/1.1"], None), ([], None), (["h2"], ssl.TLSVersion.TLSv1_1)):
        try:
            assert hello(port, alpn, most) is None
        except (OSError, ssl.SSLError):
            pass
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(PREFACE + frame(SETTINGS, 0, 0))
        assert len(read_all(plain)) < 20  # an alert at most
    assert hello(port, ["h2"]) == "h2"


def test_handshakes_that_end_early_leave_nothing_behind(pki, secure):
    port = port_of(secure)
    for cut in (1, 5, 6, 100, 200):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 400)[:cut])
    assert send_tls(port, pki, "client") == grpc.StatusCode.OK
    wait_until(lambda: secure.stop() == 0, 20, "an end in order")
    secure.start()
