# SPDX-License-Identifier: Apache-2.0
"""An exporter whose endpoint leads back to its own sidecar: refused where it can be known, broken where not."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from typing import Any, Iterator

import pytest
from otlp_http import Wire, port_of, stored_names, traces
from test_delivery import exporter
from waybill_testkit import Sidecar, find_program, free_port, wait_until

ADMIN = "admin: {listen: 127.0.0.1:0}\ndrain_timeout_ms: 500\n"


def check(tmp_path: Any, config: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "c.yaml"
    path.write_text(config)
    return subprocess.run([str(find_program("waybilld")), "--check", "--config", str(path)],
                          capture_output=True, text=True, timeout=30, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})


def config(http: str, grpc: str, **keys: Any) -> str:
    exporters = {"a": {"type": "otlp", **keys}}
    return (ADMIN + f"otlp: {{http: {{listen: '{http}'}}, grpc: {{listen: '{grpc}'}}}}\n"
            f"exporters: {json.dumps(exporters)}\n")


def send(port: int, name: str) -> int:
    with Wire(port) as wire:
        return wire.post("/v1/traces", traces([name]).SerializeToString()).code


@contextlib.contextmanager
def forwarder(port: int) -> Iterator[int]:
    """A port that leads to `port`, as a container runtime maps one: nobody can see that from the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.mark.parametrize("listen, endpoint", [
    ("127.0.0.1:{p}", "http://127.0.0.1:{p}"),
    ("127.0.0.1:{p}", "https://localhost:{p}/base"),
    ("[::1]:{p}", "http://[::1]:{p}"),
    ("[::1]:{p}", "http://localhost:{p}"),
    ("127.0.0.1:{p}", "http://0.0.0.0:{p}"),
])
def test_an_endpoint_that_is_ours_is_refused(tmp_path, listen, endpoint):
    port = free_port()
    where, to = listen.format(p=port), endpoint.format(p=port)
    for text in (config(where, "off", endpoint=to),
                 config("off", where, endpoint=to.removesuffix("/base"), protocol="grpc"),
                 config(where, "off", endpoint="http://192.0.2.1:4318", logs_endpoint=to)):
        done = check(tmp_path, text)
        assert done.returncode == 78, done.stdout
        assert "exporters.a: endpoint of " in done.stderr and "this sidecar's own otlp." in done.stderr


def test_the_start_refuses_it_too_and_one_beside_it_is_fine(tmp_path):
    port, other = free_port(), free_port()
    sidecar = Sidecar("loop", config=config(f"127.0.0.1:{port}", "off", endpoint=f"http://localhost:{port}"))
    sidecar.start(wait=False)
    assert sidecar.process.wait(20) == 78
    assert "this sidecar's own otlp.http.listen" in sidecar.log()
    sidecar.close()
    fine = check(tmp_path, config(f"127.0.0.1:{port}", "off", endpoint=f"http://localhost:{other}"))
    assert fine.returncode == 0, fine.stderr


def test_a_default_port_is_left_to_the_exporter_that_sends_there():
    text = ADMIN + ("exporters: {a: {type: otlp, endpoint: 'http://127.0.0.1:4318', signals: [traces]},"
                    " b: {type: otlp, endpoint: 'http://localhost:4317', protocol: grpc, signals: [traces]}}\n")
    with Sidecar("leaves", config=text) as sidecar:
        ports = sidecar.status()["ports"]
        assert ports["otlp_http"] != 4318 and ports["otlp_grpc"] != 4317
        assert sidecar.log().count("otlp.port_left") == 2


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_a_loop_that_nobody_could_know_of_is_broken_and_said(protocol):
    http, grpc = free_port(), free_port()
    with forwarder(grpc if protocol == "grpc" else http) as port:
        text = config(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", endpoint=f"http://127.0.0.1:{port}",
                      protocol=protocol, signals=["traces"])
        with Sidecar("loop", config=text) as sidecar:
            sidecar.refusals_expected = True
            assert send(port_of(sidecar), "once") == 200
            last = wait_until(lambda: exporter(sidecar, "a")["last_error"], 20, "an error")
            assert "leads back here" in last
            report = json.loads(sidecar.cli("status", "--json", check=False))["report"]
            by_name = {r["receiver"]: r for r in report["otlp"]}
            own = by_name["grpc" if protocol == "grpc" else "http"]
            assert own["refused"]["loop"] >= 1
            assert sum(r["requests"] for r in report["otlp"]) - own["refused"]["loop"] <= 1
            one = exporter(sidecar, "a")
            assert one["parked_records"] == 0 and one["lag_frames"] > 0  # kept for the right endpoint
            assert "otlp.loop" in sidecar.log()
            said = sidecar.cli("doctor", check=False)
            assert "leads back to this sidecar" in said and "fail" in said
            wait_until(lambda: stored_names(sidecar) == ["once"], 20, "stored, once")
