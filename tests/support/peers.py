# SPDX-License-Identifier: Apache-2.0
"""Real servers and senders that Waybill talks to, each in a throw-away folder and on ports of its own:
Jaeger, the OpenTelemetry Collector, telemetrygen, OpenTelemetry's SDKs for Python and Node.

``tools/build-peers`` builds them; what is not in its cache is built when it is first asked for. A server
has answered when ``start`` returns, and is ended by its process id.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Mapping, Sequence

from waybill_testkit import ROOT, free_port, wait_until

START_S = 40.0  # a busy machine
END_S = 10.0
SEND_S = 120.0
PEERS = ROOT / "tests" / "peers"


@functools.lru_cache(maxsize=None)
def peer(name: str) -> pathlib.Path:
    """The built peer. What building says goes to standard error."""
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "build-peers"), name],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"tools/build-peers {name} ended with {done.returncode}")
    return pathlib.Path(done.stdout.split(maxsplit=1)[1].strip())


def clean_env(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would steer an SDK or a collector."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "WAYBILL_"))}
    return {**kept, **(more or {})}


def fetch_json(url: str, timeout_s: float = 10.0) -> Any:
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return json.load(answer)


def answers(url: str) -> bool:
    """Whether there is an HTTP server, whatever it says; with https, one that opens its port."""
    if url.startswith("https:"):
        where = urllib.parse.urlsplit(url)
        with contextlib.suppress(OSError), socket.create_connection((where.hostname, where.port), 1):
            return True
        return False
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


class Server:
    """A program in a folder of its own. `probe` is a URL that it answers once it is up."""

    name = "server"

    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"wb-{self.name}-", dir="/tmp"))
        self.log_file = self.folder / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def probe(self) -> str:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return clean_env()

    def start(self) -> "Server":
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(), cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def up() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at start:\n{self.log()[-4000:]}")
            return answers(self.probe)

        wait_until(up, START_S, f"{self.name}: an answer")
        return self

    def check(self) -> None:
        """That it has not ended by itself since it was started."""
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself, {self.process.returncode}:\n{self.log()[-4000:]}")

    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill9(self) -> None:
        self.stop(signal.SIGKILL)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Any:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_exc: object) -> None:
        self.close()


# ---- Jaeger --------------------------------------------------------------------------------------


class Jaeger(Server):
    """Jaeger 1 all-in-one, in memory."""

    name = "jaeger"

    def __init__(self) -> None:
        super().__init__()
        self.http_port, self.grpc_port, self.query_port = free_port(), free_port(), free_port()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def probe(self) -> str:
        return f"http://127.0.0.1:{self.query_port}/api/services"

    def environment(self) -> dict[str, str]:
        # Its own queries would be traced too, and go to whoever has 4317 here.
        return clean_env({"COLLECTOR_OTLP_ENABLED": "true", "SPAN_STORAGE_TYPE": "memory",
                          "OTEL_TRACES_SAMPLER": "always_off"})

    def command(self) -> list[str]:
        ports = {
            "collector.otlp.http.host-port": self.http_port,
            "collector.otlp.grpc.host-port": self.grpc_port,
            "query.http-server.host-port": self.query_port,
        }
        # everything else that it opens goes to ports that nobody asks for
        for flag in ("query.grpc-server.host-port", "admin.http.host-port", "http-server.host-port",
                     "collector.grpc-server.host-port", "collector.http-server.host-port",
                     "processor.jaeger-binary.server-host-port", "processor.jaeger-compact.server-host-port",
                     "processor.zipkin-compact.server-host-port"):
            ports[flag] = free_port()
        return [str(peer("jaeger")), *(f"--{flag}=127.0.0.1:{port}" for flag, port in ports.items())]

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """All that it has of a trace; an empty list while it knows none."""
        try:
            found = fetch_json(f"http://127.0.0.1:{self.query_port}/api/traces/{trace_id}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return [span for trace in found["data"] for span in trace["spans"]]

    def services(self) -> list[str]:
        return list(fetch_json(self.probe)["data"] or [])

    def traces_of(self, service: str, limit: int = 1000) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"service": service, "limit": limit, "lookback": "2h"})
        return list(fetch_json(f"http://127.0.0.1:{self.query_port}/api/traces?{query}")["data"])


class Jaeger2(Jaeger):
    """Jaeger 2: a collector with Jaeger's storage and query; in memory."""

    name = "jaeger2"

    def environment(self) -> dict[str, str]:
        return clean_env()

    def command(self) -> list[str]:
        config = {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
                "telemetry": {"metrics": {"level": "none"}},
            },
            "extensions": {
                "jaeger_query": {"storage": {"traces": "memory"},
                                 "http": {"endpoint": f"127.0.0.1:{self.query_port}"},
                                 "grpc": {"endpoint": f"127.0.0.1:{free_port()}"}},
                "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100000}}}},
            },
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.http_port}"},
                                                 "grpc": {"endpoint": self.grpc_target}}}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        }
        file = self.folder / "jaeger.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        return [str(peer("jaeger2")), "--config", str(file)]


# ---- the Collector -------------------------------------------------------------------------------


class Collector(Server):
    """The OpenTelemetry Collector: OTLP in, OTLP out to `to`, for all three signals.

    to          base URL of an OTLP/HTTP backend, or host:port of one that speaks gRPC
    protocol    "http/protobuf", "http/json" or "grpc", of the way out
    tls_in      {"cert_file", "key_file", "client_ca_file"} of its receivers
    tls_out     {"ca_file", "cert_file", "key_file"} of its way out
    headers     of its way out
    """

    name = "otelcol"

    def __init__(self, to: str | None, protocol: str = "http/protobuf", *, compression: str = "gzip",
                 tls_in: Mapping[str, str] | None = None, tls_out: Mapping[str, str] | None = None,
                 headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._tls_in, self._tls_out, self._headers = tls_in, tls_out, headers
        self.http_port, self.grpc_port = free_port(), free_port()
        self._to, self._protocol, self._compression = to, protocol, compression

    @property
    def http_url(self) -> str:
        return f"{'https' if self._tls_in else 'http'}://127.0.0.1:{self.http_port}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def probe(self) -> str:
        return f"{self.http_url}/v1/traces"

    def exporter(self) -> tuple[str, dict[str, Any]]:
        if self._to is None:
            return "debug", {"verbosity": "basic"}
        queue: dict[str, Any] = {"enabled": True, "num_consumers": 4, "queue_size": 100000}
        retry = {"enabled": True, "initial_interval": "100ms", "max_interval": "500ms"}
        common = {"compression": self._compression, "sending_queue": queue, "retry_on_failure": retry,
                  "headers": dict(self._headers or {}), "tls": dict(self._tls_out or {"insecure": True})}
        if self._protocol == "grpc":
            return "otlp", {"endpoint": self._to, **common}
        encoding = "json" if self._protocol == "http/json" else "proto"
        return "otlphttp", {"endpoint": self._to, "encoding": encoding, **common}

    def config(self) -> dict[str, Any]:
        name, exporter = self.exporter()
        pipeline = {"receivers": ["otlp"], "exporters": [name]}
        tls = {"tls": dict(self._tls_in)} if self._tls_in else {}
        return {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.http_port}", **tls},
                                                 "grpc": {"endpoint": self.grpc_target, **tls}}}},
            "exporters": {name: exporter},
            "service": {"pipelines": {signal: pipeline for signal in ("traces", "logs", "metrics")},
                        "telemetry": {"metrics": {"level": "none"}}},
        }

    def command(self) -> list[str]:
        file = self.folder / "otelcol.yaml"
        file.write_text(json.dumps(self.config(), indent=1))  # JSON is YAML
        return [str(peer("otelcol")), "--config", str(file)]


# ---- senders -------------------------------------------------------------------------------------


def run_sender(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(command), env=dict(env), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=SEND_S)


def sdk_send(language: str, signal_name: str, protocol: str, *, http_url: str, grpc_target: str, count: int,
             tag: str, gzip: bool = False, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Send `count` numbered items with an SDK; what its exporter says of it (tests/peers/*/send.*)."""
    endpoint = http_url
    if protocol == "grpc":
        endpoint = f"http://{grpc_target}" if language == "node" else grpc_target
    if language == "python":
        command = [str(peer("python")), str(PEERS / "python" / "send.py")]
    else:
        command = ["node", str(PEERS / "node" / "send.js")]
    more = dict(env or {})
    if language == "node":
        more["PEERS_NODE_MODULES"] = str(peer("node"))
    done = run_sender([*command, signal_name, protocol, endpoint, str(count), tag, *(["gzip"] if gzip else [])],
                      clean_env(more))
    if done.returncode:
        raise RuntimeError(f"{language} sender ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return {**json.loads(done.stdout), "stderr": done.stderr}


def telemetrygen(signal_name: str, target: str, *, http: bool, count: int, service: str,
                 more: Sequence[str] = ()) -> str:
    """`count` traces (of two spans), logs or metrics; returns what it said. Target: host:port."""
    command = [str(peer("telemetrygen")), signal_name, "--otlp-insecure", "--otlp-endpoint", target,
               f"--{signal_name}", str(count), "--service", service, "--rate", "0", "--workers", "1"]
    if http:
        command += ["--otlp-http"]
    done = run_sender([*command, *more], clean_env())
    if done.returncode:
        raise RuntimeError(f"telemetrygen ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout + done.stderr
