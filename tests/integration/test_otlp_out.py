# SPDX-License-Identifier: Apache-2.0
"""Real sidecars that send to real OTLP servers: in all protocols, through outages and refusals, with
credentials, out of the sandbox."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
from typing import Any

import pytest
from agents import a_delegate
from otlp_backend import Answer, OtlpBackend
from test_delivery import Plain, exporter
from waybill_testkit import Sidecar, find_program, wait_until

from waybill import _otlp, _wire
from waybill._wire import Status

ADMIN = "admin: {listen: 127.0.0.1:0}\ndrain_timeout_ms: 500\n"  # some far sides stay away
OTLP_OFF = "otlp: {http: {listen: 'off'}, grpc: {listen: 'off'}}\n"


def config(**exporters: dict[str, Any]) -> str:
    """JSON is YAML."""
    each = {name: {"type": "otlp", **keys} for name, keys in exporters.items()}
    return ADMIN + OTLP_OFF + f"exporters: {json.dumps(each)}\n"


def named(*names: str) -> _wire.Record:
    fields = _otlp.resource({"service.name": "test"}), _otlp.scope("test")
    now = time.time_ns()
    spans = [_otlp.span(trace_id=os.urandom(16), span_id=os.urandom(8), name=name, kind=1,
                        start_ns=now, end_ns=now + 1, attrs={}) for name in names]
    return _wire.Record(traces=_otlp.export_request([(*fields, span) for span in spans]))


def tell(sidecar: Sidecar, *records: _wire.Record) -> None:
    asker = Plain(sidecar)
    for each in records:
        assert asker.ask(record=each).status == Status.OK
    asker.close()


def names_at(backend: OtlpBackend) -> list[str]:
    return sorted(item.name for item in backend.items["traces"])


def log_of(sidecar: Sidecar) -> str:
    return sidecar.log_file.read_text()


def error_at(sidecar: Sidecar, name: str = "out") -> str:
    return exporter(sidecar, name)["last_error"] or ""


# ---- protocols -----------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_spans_arrive_as_they_were_recorded(protocol: str, compression: str) -> None:
    with OtlpBackend() as backend:
        endpoint = f"http://{backend.grpc_target}" if protocol == "grpc" else backend.http_url
        text = config(out={"endpoint": endpoint.replace("127.0.0.1", "localhost"),
                           "protocol": protocol, "compression": compression,
                           "headers": ["x-team=blue"]})
        with Sidecar("out", config=text) as sidecar:
            tell(sidecar, *[named(f"span {i}") for i in range(50)])
            backend.wait_for("traces", 50)
            wait_until(lambda: exporter(sidecar, "out")["lag_bytes"] == 0, 10, "caught up")
            assert names_at(backend) == sorted(f"span {i}" for i in range(50))
            assert exporter(sidecar, "out")["type"] == "otlp"
        for request in backend.requests:
            assert request.protocol == protocol
            assert request.headers["x-team"] == "blue"
            assert request.headers["user-agent"].startswith("OTel-OTLP-Exporter-C/")
            if protocol != "grpc":
                assert request.headers.get("content-encoding", "none") == compression
        assert not backend.faults


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_a_nul_in_a_text_arrives(protocol: str) -> None:
    with OtlpBackend() as backend:
        endpoint = f"http://{backend.grpc_target}" if protocol == "grpc" else backend.http_url
        with Sidecar("nul", config=config(out={"endpoint": endpoint, "protocol": protocol})) as sidecar:
            tell(sidecar, named("a\0b"))
            backend.wait_for("traces", 1)
        assert names_at(backend) == ["a\0b"] and not backend.faults


def test_delegations_go_out_as_log_records_in_their_trace() -> None:
    with OtlpBackend() as backend:
        text = config(out={"endpoint": backend.http_url})
        with Sidecar("client", config=text) as sidecar:
            asker = Plain(sidecar)
            reply = asker.ask(delegate=a_delegate("http://127.0.0.1:9"))
            assert reply.status == Status.OK
            (opened,) = backend.wait_for("logs", 1)
            assert opened.proto.event_name == "waybill.delegation.opened"
            assert opened.attributes["waybill.delegation.state"] == "sent"
            assert len(opened.proto.trace_id) == 16 and len(opened.proto.span_id) == 8
            assert opened.resource["service.name"] == "client"
            asker.close()


def test_a_backend_gets_what_its_signals_say() -> None:
    with OtlpBackend() as backend:
        text = config(out={"endpoint": backend.http_url, "signals": ["traces"]})
        with Sidecar("client", config=text) as sidecar:
            asker = Plain(sidecar)
            assert asker.ask(delegate=a_delegate("http://127.0.0.1:9")).status == Status.OK
            asker.close()
            tell(sidecar, named("the span"))
            backend.wait_for("traces", 1)
            wait_until(lambda: exporter(sidecar, "out")["lag_bytes"] == 0, 10, "caught up")
        assert {request.signal for request in backend.requests} == {"traces"}


# ---- outages and refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_one_backend_is_away_and_the_other_goes_on(protocol: str) -> None:
    with OtlpBackend() as near, OtlpBackend() as far:
        keys = {name: {"protocol": protocol, "when_full": "backpressure",
                       "endpoint": f"http://{each.grpc_target}" if protocol == "grpc" else each.http_url}
                for name, each in (("near", near), ("far", far))}
        with Sidecar("two", config=config(**keys)) as sidecar:
            tell(sidecar, named("before"))
            far.wait_for("traces", 1)
            far.stop()
            tell(sidecar, *[named(f"during {i}") for i in range(20)])
            near.wait_for("traces", 21)
            wait_until(lambda: exporter(sidecar, "far")["state"] == "backoff", 10, "far is away")
            wait_until(lambda: "nobody takes connections" in error_at(sidecar, "far"), 10, "it says so")
            far.start()
            far.wait_for("traces", 21)
            wait_until(lambda: exporter(sidecar, "far")["lag_bytes"] == 0, 10, "caught up")
        for backend in (near, far):
            assert len(backend.items["traces"]) == 21
            assert len(set(names_at(backend))) == 21


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_bad_span_is_set_aside_alone(protocol: str) -> None:
    with OtlpBackend() as backend:
        backend.refused_span = "bad"
        endpoint = f"http://{backend.grpc_target}" if protocol == "grpc" else backend.http_url
        with Sidecar("bad", config=config(out={"endpoint": endpoint, "protocol": protocol})) as sidecar:
            tell(sidecar, named("a", "b"), named("c", "bad", "d", "e"), named("f"))
            backend.wait_for("traces", 6)
            wait_until(lambda: exporter(sidecar, "out")["parked_records"] == 1, 10, "it is parked")
            wait_until(lambda: exporter(sidecar, "out")["lag_bytes"] == 0, 10, "caught up")
            parked = (sidecar.state_dir / "parked" / "out.parked").read_text().splitlines()
            assert len(parked) == 1
            assert b"bad".hex() in json.loads(parked[0])["payload_hex"]
        assert names_at(backend) == ["a", "b", "c", "d", "e", "f"]


def test_missing_credentials_park_nothing() -> None:
    allowed = False

    def answer(_request: Any) -> Answer | None:
        return None if allowed else Answer(http=401)

    with OtlpBackend(answer=answer) as backend:
        with Sidecar("in", config=config(out={"endpoint": backend.http_url})) as sidecar:
            tell(sidecar, named("kept"))
            wait_until(lambda: "bearer_file" in error_at(sidecar), 10, "it says so")
            allowed = True
            backend.wait_for("traces", 1)
            assert exporter(sidecar, "out")["parked_records"] == 0


def test_a_partial_success_is_counted_and_said() -> None:
    with OtlpBackend() as backend:
        backend.script(Answer(rejected=2, message="too old"))
        with Sidecar("part", config=config(out={"endpoint": backend.http_url})) as sidecar:
            tell(sidecar, named("a", "b", "c"))
            wait_until(lambda: exporter(sidecar, "out")["dropped_records"] == 2, 10, "counted")
            wait_until(lambda: "delivery.dropped" in log_of(sidecar), 10, "said")


def test_no_more_can_be_rejected_than_was_sent() -> None:
    with OtlpBackend() as backend:
        backend.script(Answer(rejected=10**12, message="all of them"))
        with Sidecar("liar", config=config(out={"endpoint": backend.http_url})) as sidecar:
            tell(sidecar, named("a", "b", "c"))
            wait_until(lambda: exporter(sidecar, "out")["dropped_records"] == 3, 10, "counted")


def test_what_a_far_side_says_beside_its_yes_is_said() -> None:
    with OtlpBackend() as backend:
        backend.script(Answer(message="this version is old"))
        with Sidecar("warned", config=config(out={"endpoint": backend.http_url})) as sidecar:
            tell(sidecar, named("a"))
            wait_until(lambda: "delivery.advice" in log_of(sidecar), 10, "said")
            assert "this version is old" in log_of(sidecar)
            assert exporter(sidecar, "out")["dropped_records"] == 0


# ---- credentials ---------------------------------------------------------------------------------


def secret(folder: pathlib.Path, name: str, text: str) -> pathlib.Path:
    """Replaced as orchestrators do it: a new file under the old name."""
    new = folder / f".{name}.new"
    new.write_text(text)
    new.chmod(0o600)
    new.rename(folder / name)
    return folder / name


def test_a_token_is_taken_from_its_file_and_again_when_that_is_replaced(tmp_path: pathlib.Path) -> None:
    token = secret(tmp_path, "token", "first\n")
    headers = secret(tmp_path, "headers", "# for the vendor\nx-key=abc\n\nx-set: d e\n")
    with OtlpBackend() as backend:
        text = config(out={"endpoint": backend.http_url, "bearer_file": str(token),
                           "headers_file": str(headers)})
        with Sidecar("token", config=text) as sidecar:
            tell(sidecar, named("one"))
            backend.wait_for("traces", 1)
            secret(tmp_path, "token", "second\n")
            tell(sidecar, named("two"))
            backend.wait_for("traces", 2)
            assert "first" not in log_of(sidecar) and "second" not in log_of(sidecar)
    sent = [request.headers for request in backend.requests]
    assert sent[0]["authorization"] == "Bearer first"
    assert sent[-1]["authorization"] == "Bearer second"
    assert sent[0]["x-key"] == "abc" and sent[0]["x-set"] == "d e"


def test_a_password_goes_as_basic(tmp_path: pathlib.Path) -> None:
    with OtlpBackend() as backend:
        text = config(out={"endpoint": f"http://{backend.grpc_target}", "protocol": "grpc",
                           "basic_file": str(secret(tmp_path, "basic", "user:pass word"))})
        with Sidecar("basic", config=text) as sidecar:
            tell(sidecar, named("one"))
            backend.wait_for("traces", 1)
    assert backend.requests[0].headers["authorization"] == "Basic dXNlcjpwYXNzIHdvcmQ="


def start_fails(text: str, *, env: dict[str, str] | None = None) -> str:
    sidecar = Sidecar("no", config=text, env=env)
    try:
        for args in (["--check"], []):
            done = subprocess.run(
                [find_program("waybilld"), "--name", "no", "--config", str(sidecar.config_file), *args],
                env={**os.environ, "XDG_RUNTIME_DIR": str(sidecar.runtime_home),
                     "XDG_STATE_HOME": str(sidecar.state_home),
                     "XDG_DATA_HOME": str(sidecar.data_home), **(env or {})},
                capture_output=True, text=True, timeout=30)
            if args:
                checked = done.returncode
        assert done.returncode == 78
        return f"{checked} {done.stderr}"
    finally:
        sidecar.close()


def test_settings_that_can_never_work_stop_the_start(tmp_path: pathlib.Path) -> None:
    said = start_fails(config(out={}))
    assert said.startswith("78 ") and "exporters.out: no endpoint for traces" in said
    said = start_fails(config(out={"endpoint": "localhost:4318"}))
    assert said.startswith("78 ") and "http://" in said
    open_file = tmp_path / "token"
    open_file.write_text("secret-word")
    open_file.chmod(0o644)
    said = start_fails(config(out={"endpoint": "http://localhost", "bearer_file": str(open_file)}))
    assert "bearer_file" in said and "secret-word" not in said


def test_variables_count_where_it_is_asked_for() -> None:
    with OtlpBackend() as backend:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{backend.http_url}/nowhere",
               "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{backend.http_url}/v1/traces",
               "OTEL_EXPORTER_OTLP_HEADERS": "x-from=the%20variable"}
        text = config(out={"env": True, "signals": ["traces"]})
        with Sidecar("env", config=text, env=env) as sidecar:
            tell(sidecar, named("one"))
            backend.wait_for("traces", 1)
    assert backend.requests[0].headers["x-from"] == "the variable"


class Proxy(http.server.ThreadingHTTPServer):
    """It answers by itself, and keeps what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *exc: Any) -> None:
        self.shutdown()
        super().__exit__(*exc)


@pytest.mark.parametrize("asked_for", [False, True])
def test_a_proxy_of_the_environment_is_used_where_it_is_asked_for(asked_for: bool) -> None:
    with OtlpBackend() as backend, Proxy() as proxy:
        env = {"http_proxy": f"http://127.0.0.1:{proxy.server_address[1]}", "no_proxy": ""}
        text = config(out={"endpoint": backend.http_url, "proxy_from_env": asked_for})
        with Sidecar("proxy", config=text, env=env) as sidecar:
            tell(sidecar, named("one"))
            wait_until(lambda: len(proxy.asked) + len(backend.items["traces"]) == 1, 10, "it is there")
        assert proxy.asked == ([f"{backend.http_url}/v1/traces"] if asked_for else [])


def test_names_that_do_not_resolve_are_said() -> None:
    text = config(out={"endpoint": "http://no-such-host.invalid:4318"})
    with Sidecar("dns", config=text) as sidecar:
        tell(sidecar, named("one"))
        wait_until(lambda: "DNS" in error_at(sidecar), 30, "it says so")


# ---- what a backend repeats ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401])
def test_credentials_that_a_backend_repeats_are_not_repeated(tmp_path: pathlib.Path, status: int) -> None:
    """Of headers, and of the query, where some have their key."""
    bearer, basic, headers = "SECRETBEARER77", "user:SECRETBASIC77", "x-key=SECRETHEADER77"
    for name, text in (("bearer", bearer), ("basic", basic), ("headers", headers)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)

    def answer(request: Any) -> Answer:
        return Answer(http=status, message=f"no: {request.headers['authorization']} {request.headers['x-key']} "
                                           "/v1/traces?a=b&api_key=SECRETQUERY77 of SECRETQUERY77")

    for key in ("bearer", "basic"):
        with OtlpBackend(answer=answer) as backend:
            text = config(out={"traces_endpoint": f"{backend.http_url}/v1/traces?a=b&api_key=SECRETQUERY77",
                               "endpoint": backend.http_url, f"{key}_file": str(tmp_path / key),
                               "headers_file": str(tmp_path / "headers"), "signals": ["traces"]})
            with Sidecar("out", config=text) as sidecar:
                tell(sidecar, named("x"))
                wait_until(lambda: "no: " in log_of(sidecar), 10, "what it said")
                said = log_of(sidecar) + error_at(sidecar) + sidecar.cli("doctor", check=False)
                for file in sidecar.state_dir.glob("parked/*"):
                    said += file.read_text()
        assert "no: B" in said and "***" in said
        assert "SECRET" not in said and "U0VDUkVU" not in said


# ---- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http/protobuf", "grpc", "postgres"])
def test_a_send_in_hand_does_not_outlive_the_drain(kind: str) -> None:
    """A far side that takes the connection and says nothing, for less than the 50 s that a send may take."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        out = ({"type": "postgres", "url": f"postgres://u@127.0.0.1:{port}/d?sslmode=disable", "connect_timeout": "50s"}
               if kind == "postgres" else
               {"type": "otlp", "endpoint": f"http://127.0.0.1:{port}", "protocol": kind, "timeout": "50s"})
        with Sidecar("end", config=ADMIN + OTLP_OFF + f"exporters: {json.dumps({'out': out})}\n") as sidecar:
            tell(sidecar, named("x"))
            silent.settimeout(20)
            connection, _ = silent.accept()  # it is in the middle of it
            assert sidecar.stop(timeout_s=25) == 0
            connection.close()
