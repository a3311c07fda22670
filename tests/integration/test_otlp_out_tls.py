# SPDX-License-Identifier: Apache-2.0
"""OTLP out over TLS, in HTTP and gRPC: what is not the backend that was meant gets nothing, and all of it is
there for the one that is."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from authority import Authority, Issued
from otlp_backend import OtlpBackend, ServerTls
from test_delivery import exporter
from test_otlp_out import config, error_at, log_of, named, names_at, start_fails, tell
from waybill_testkit import Sidecar, free_port, wait_until

PROTOCOLS = ["http/protobuf", "grpc"]


def server(issued: Issued, client_ca: pathlib.Path | None = None, **ports: int) -> OtlpBackend:
    return OtlpBackend(tls=ServerTls(issued.cert, issued.key, client_ca), **ports)


def out(protocol: str, port: int, *, host: str = "localhost", **tls: Any) -> str:
    return config(out={"endpoint": f"https://{host}:{port}", "protocol": protocol,
                       "tls": {key: value if isinstance(value, bool) else str(value) for key, value in tls.items()}})


def wait_caught_up(sidecar: Sidecar) -> None:
    wait_until(lambda: exporter(sidecar, "out")["lag_bytes"] == 0, 10, "caught up")


class Case:
    """One port at which a backend can be run that is not the one that is meant, and then the one that is."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.port = free_port()
        key = "grpc_port" if protocol == "grpc" else "http_port"
        self.ports = {key: self.port}


def assert_kept_and_said(case: Case, wrong: OtlpBackend, right: OtlpBackend, said: list[str], **tls: Any) -> None:
    """From `wrong` nothing is taken and the error says `said`; once it is `right`, all is there, once."""
    with Sidecar("tls", config=out(case.protocol, case.port, **tls)) as sidecar:
        with wrong:
            tell(sidecar, named("one"), named("two", "three"))
            wait_until(lambda: bool(error_at(sidecar)), 10, "an error")
            assert said[0] in error_at(sidecar)
            found = exporter(sidecar, "out")
            assert all(word in found["last_error"] for word in said), found["last_error"]
            assert found["lag_frames"] > 0 and found["dropped_records"] + found["parked_records"] == 0
            (line,) = [each for each in log_of(sidecar).splitlines() if "delivery.unavailable" in each]
            assert 'exporter="out"' in line and said[0] in line
            doctor = sidecar.cli("doctor", check=False)
            assert any("out" in each and said[0] in each for each in doctor.splitlines()), doctor
            assert not wrong.requests and not wrong.faults
        with right:
            right.wait_for("traces", 3)
            wait_caught_up(sidecar)
            assert names_at(right) == ["one", "three", "two"]
            found = exporter(sidecar, "out")
            assert found["dropped_records"] + found["parked_records"] == 0 and found["last_error"] is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_our_authority_is_believed(protocol: str, tmp_path: pathlib.Path) -> None:
    ours = Authority(tmp_path)
    with server(ours.issue("server")) as backend:
        port = backend.grpc_port if protocol == "grpc" else backend.http_port
        with Sidecar("tls", config=out(protocol, port, ca_file=ours.file)) as sidecar:
            tell(sidecar, *[named(f"span {i}") for i in range(20)])
            backend.wait_for("traces", 20)
            wait_caught_up(sidecar)
    assert len(set(names_at(backend))) == len(names_at(backend)) == 20
    assert {request.protocol for request in backend.requests} == {protocol}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrong", ["a stranger's", "expired", "of another name"])
def test_another_certificate_gets_nothing(protocol: str, wrong: str, tmp_path: pathlib.Path) -> None:
    ours = Authority(tmp_path)
    issued, said = {
        "a stranger's": (Authority(tmp_path, "strangers").issue("server"),
                         ["nobody known signed its certificate", "set tls.ca_file"]),
        "expired": (ours.issue("old", days=-1), ["its certificate has expired", "renew it"]),
        "of another name": (ours.issue("other", host="elsewhere.example"),
                            ["its certificate has another name", "endpoint", "localhost"]),
    }[wrong]
    case = Case(protocol)
    assert_kept_and_said(case, server(issued, **case.ports), server(ours.issue("server"), **case.ports), said,
                         ca_file=ours.file)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_ca_file_an_authority_of_ones_own_is_unknown_unless_told_otherwise(
        protocol: str, tmp_path: pathlib.Path) -> None:
    with server(Authority(tmp_path).issue("server")) as backend:
        port = backend.grpc_port if protocol == "grpc" else backend.http_port
        with Sidecar("safe", config=out(protocol, port)) as sidecar:
            tell(sidecar, named("one"))
            wait_until(lambda: "set tls.ca_file" in error_at(sidecar), 10, "refused")
            assert "exporter.unverified" not in log_of(sidecar)
        assert not backend.requests
        with Sidecar("unsafe", config=out(protocol, port, insecure_skip_verify=True)) as sidecar:
            assert "exporter.unverified" in log_of(sidecar)
            tell(sidecar, named("two"))
            backend.wait_for("traces", 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_certificate_of_ours_is_shown_to_who_asks_for_it(protocol: str, tmp_path: pathlib.Path) -> None:
    ours = Authority(tmp_path)
    mine = ours.issue("client")
    with server(ours.issue("server"), client_ca=ours.file) as backend:
        port = backend.grpc_port if protocol == "grpc" else backend.http_port
        text = out(protocol, port, ca_file=ours.file, cert_file=mine.cert, key_file=mine.key)
        with Sidecar("mutual", config=text) as sidecar:
            tell(sidecar, named("one"))
            backend.wait_for("traces", 1)
            wait_caught_up(sidecar)
    assert names_at(backend) == ["one"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("shown", ["none", "a stranger's"])
def test_who_asks_for_a_certificate_and_gets_none_takes_nothing(protocol: str, shown: str,
                                                                tmp_path: pathlib.Path) -> None:
    ours = Authority(tmp_path)
    case = Case(protocol)
    issued = ours.issue("server")
    theirs = Authority(tmp_path, "strangers").issue("client")
    tls: dict[str, Any] = {"ca_file": ours.file}
    if shown != "none":
        tls |= {"cert_file": theirs.cert, "key_file": theirs.key}
    assert_kept_and_said(case, server(issued, ours.file, **case.ports), server(issued, **case.ports),
                         ["tls.cert_file"], **tls)


@pytest.mark.parametrize("shown", ["none", "ours"])
def test_http_at_a_grpc_server_that_breaks_off_may_be_either(shown: str, tmp_path: pathlib.Path) -> None:
    """grpc-core does not say why it closes, and a server that wants a certificate may not: both are said."""
    ours = Authority(tmp_path)
    mine = ours.issue("client")
    tls = {"cert_file": mine.cert, "key_file": mine.key} if shown == "ours" else {}
    with server(ours.issue("server")) as backend:
        with Sidecar("swap", config=out("http/protobuf", backend.grpc_port, ca_file=ours.file, **tls)) as sidecar:
            tell(sidecar, named("one"))
            wait_until(lambda: bool(error_at(sidecar)), 10, "an error")
            assert "it broke off: another protocol (mostly 4317 is grpc), or it " in error_at(sidecar)
            assert "tls.cert_file" in error_at(sidecar)


def test_a_grpc_server_that_names_the_protocol_is_believed(tmp_path: pathlib.Path) -> None:
    ours = Authority(tmp_path)
    issued = ours.issue("server")
    port = free_port()
    far = ("admin: {listen: 127.0.0.1:0}\n"
           f"otlp: {{http: {{listen: 'off'}}, grpc: {{listen: '127.0.0.1:{port}'}}, "
           f"tls: {{cert_file: {issued.cert}, key_file: {issued.key}}}}}\n")
    with Sidecar("far", config=far), Sidecar("swap", config=out("http/protobuf", port, ca_file=ours.file)) as sidecar:
        tell(sidecar, named("one"))
        wait_until(lambda: bool(error_at(sidecar)), 10, "an error")
        assert "it speaks another protocol: mostly 4317 is grpc" in error_at(sidecar)
        assert "cert_file" not in error_at(sidecar)


def test_tls_without_https_stops_the_start(tmp_path: pathlib.Path) -> None:
    ours = Authority(tmp_path)
    mine = ours.issue("client")
    for tls in ({"ca_file": str(ours.file)}, {"insecure_skip_verify": True},
                {"cert_file": str(mine.cert), "key_file": str(mine.key)}):
        for protocol in PROTOCOLS:
            said = start_fails(config(out={"endpoint": "http://localhost:4317", "protocol": protocol, "tls": tls}))
            assert said.startswith("78 ") and f"exporters.out: tls.{next(iter(tls))}: " in said
            assert "https://" in said


def test_files_that_are_no_use_stop_the_start(tmp_path: pathlib.Path) -> None:
    ours = Authority(tmp_path)
    mine = ours.issue("client")
    mine.key.chmod(0o644)
    for tls, why in (({"ca_file": "/nope"}, "tls.ca_file: /nope: No such file"),
                     ({"cert_file": "/nope"}, "tls.cert_file: /nope: No such file"),
                     ({"cert_file": str(mine.cert), "key_file": str(mine.key)}, "tls.key_file: others can read")):
        said = start_fails(config(out={"endpoint": "https://localhost:4317", "tls": tls}))
        assert said.startswith("78 ") and f"exporters.out: {why}" in said
