# SPDX-License-Identifier: Apache-2.0
"""The stage of the demo: folders, sidecars, keys, trust, and the agents as processes.

Each agent has its own waybilld with its own folders and key. All sidecars write to one store. Below
the demo's folder:

    NAME/        run, state and configuration of NAME's sidecar, and its log
    data/        the shared store
    c_agent/     libwaybill, installed, and the agent in C, built against that
    wire/        what was overheard between the agents
    *.log        what the agents said
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import stat
import subprocess
import sys
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "support"))

from backends import Backends  # noqa: E402
from c_agent import build_by_pkg_config, install_client  # noqa: E402
from waybill_testkit import Sidecar, agent_env, find_program, free_port  # noqa: E402

LINE_S = 20.0
DOMAIN = "spiffe://demo.example"
IDS = {
    "planner": f"{DOMAIN}/planner",
    "researcher": f"{DOMAIN}/researcher",
    "proofreader": f"{DOMAIN}/proofreader",
    "writer": f"{DOMAIN}/writer",
    "attacker": f"{DOMAIN}/attacker",
    "outsider": "spiffe://elsewhere.example/outsider",
}
# who makes tokens for whom, and who believes whose key
PEERS = {
    "planner": ["researcher", "proofreader", "writer", "attacker"],
    "proofreader": ["researcher"],
    "writer": ["researcher"],
    "researcher": [],
    "outsider": ["researcher"],
}
TRUST = {
    "planner": [],
    "researcher": ["planner", "proofreader", "writer", "attacker"],
    "proofreader": ["planner"],
    "writer": ["planner"],
    "outsider": [],
}


class DemoFailed(Exception):
    """Something on the stage did not do what the act needs."""


class Agent:
    """A process that says JSON lines. They go to a file, so that it can outlive the demo."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], said: pathlib.Path) -> None:
        self.name = name
        self.process = process
        self._said = open(said, encoding="utf-8")
        self._begun = ""

    def expect(self, event: str, timeout_s: float = LINE_S) -> dict[str, Any]:
        """Skip lines until `event` is said."""
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self.process.poll() is not None
            self._begun += self._said.readline()  # it may be in the middle of a line
            if self._begun.endswith("\n"):
                found, self._begun = json.loads(self._begun), ""
                if found["event"] == event:
                    return dict(found)
            elif ended:
                raise DemoFailed(f"{self.name} ended without saying {event!r}")
            elif time.monotonic() >= deadline:
                raise DemoFailed(f"{self.name} did not say {event!r} in {timeout_s} s")
            else:
                time.sleep(0.01)

    def wait(self, timeout_s: float = LINE_S) -> None:
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"{self.name} did not end in {timeout_s} s") from None
        if code != 0:
            raise DemoFailed(f"{self.name} ended with exit code {code}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Stage:
    def __init__(self, folder: pathlib.Path, backends: Backends) -> None:
        self.folder = folder
        self.backends = backends
        self.wire = folder / "wire"
        self.wire.mkdir()
        self.ports = {name: free_port() for name in (*IDS, "plain")}
        self.agents: list[Agent] = []
        self.sidecars = {name: self._sidecar(name) for name in PEERS}
        self.seed = folder / "attacker.seed"
        self.keys: dict[str, str] = {}

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def store(self) -> str:
        """The file, or the URL."""
        return self.backends.store_url or str(self.sidecars["planner"].store)

    # -- sidecars and keys -----------------------------------------------------------------------

    def _sidecar(self, name: str) -> Sidecar:
        peers = [{"id": IDS[peer], "origins": [self.url(peer)]} for peer in PEERS[name]]
        # No OTLP in: whatever on this machine sends to 4317 and 4318 is no part of the demo.
        off = {"http": {"listen": "off"}, "grpc": {"listen": "off"}}
        config = {"self_ids": [IDS[name]], "peers": peers, "otlp": off, **self.backends.config}
        base = self.folder / name
        base.mkdir()
        # JSON is YAML too
        return Sidecar(name, base=base, data_home=self.folder / "data", config=json.dumps(config),
                       env=self.backends.env)

    def prepare(self) -> None:
        """A key for everybody, and everybody's trust directory, before any sidecar starts."""
        keys = self.keys
        for name, sidecar in self.sidecars.items():
            sidecar.cli("key", "new")
            shown = json.loads(sidecar.cli("key", "show", "--json", "--id", IDS[name]))
            keys[name] = shown["keys"][0]["x"]
        key = Ed25519PrivateKey.generate()
        self.seed.touch(mode=0o600)
        self.seed.write_text(key.private_bytes_raw().hex())
        keys["attacker"] = b64(key.public_key().public_bytes_raw())
        for name, believed in TRUST.items():
            for other in believed:
                self.sidecars[name].cli("trust", "add", "--id", IDS[other], keys[other])

    def take_key_away(self, name: str, other: str) -> None:
        """Make `name` forget the key of `other`."""
        for file in (self.sidecars[name].state_dir / "trust.d").glob("*.json"):
            if json.loads(file.read_text("utf-8"))["wb_iss"] == IDS[other]:
                file.unlink()

    def start_sidecars(self) -> None:
        for sidecar in self.sidecars.values():
            sidecar.start(wait=False)
        for sidecar in self.sidecars.values():
            sidecar.wait_ready()

    # -- agents ----------------------------------------------------------------------------------

    def build_c_agent(self) -> pathlib.Path:
        prefix = self.folder / "c_agent"
        install_client(prefix)
        return build_by_pkg_config(prefix, prefix / "proofreader")

    def start(self, script: str, *args: str, sidecar: str | None = None) -> Agent:
        """Start an agent in Python. sidecar: whose it stands beside."""
        command = [sys.executable, str(HERE / script), *args]
        return self.start_program(pathlib.Path(script).stem, command, sidecar)

    def start_program(self, name: str, command: list[str], sidecar: str | None) -> Agent:
        env = agent_env(self.sidecars[sidecar]) if sidecar else dict(os.environ)
        env.update(WIRE_DIR=str(self.wire), PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1")
        number = len(self.agents) + 1
        said, log = self.folder / f"{number}-{name}.out", self.folder / f"{number}-{name}.log"
        with open(said, "wb") as out, open(log, "wb") as err:
            process = subprocess.Popen(command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=err)
        agent = Agent(name, process, said)
        self.agents.append(agent)
        return agent

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        for agent in self.agents:
            agent.end()
        for sidecar in self.sidecars.values():
            sidecar.close()
        self.backends.close()

    def leave_running(self) -> list[str]:
        """Write a script that ends everything; returns the commands to show."""
        pids = [agent.process.pid for agent in self.agents if agent.process.poll() is None]
        pids += [sidecar.pid for sidecar in self.sidecars.values() if sidecar.running]
        planner = self.sidecars["planner"]
        exports = [f"export {key}='{value}'" for key, value in planner.env.items()
                   if key.startswith(("XDG_", "WAYBILL_"))]
        _script(self.folder / "waybill", [*exports, f'exec "{find_program("waybill")}" "$@"'])
        _script(self.folder / "stop", [f"kill {' '.join(map(str, pids))}"])
        return [str(self.folder / "waybill"), str(self.folder / "stop")]


def _script(path: pathlib.Path, lines: list[str]) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
