# SPDX-License-Identifier: Apache-2.0
"""Run real Waybill programs in throw-away folders, for tests, the demo and whoever reproduces a bug.

A ``Sidecar`` is one ``waybilld`` with its own run, state, data and configuration folders below one
temporary folder, so that any number of them live side by side and none of them sees the caller's
own. It is started and killed like the real thing: ``kill9`` leaves whatever a power cut of the
process would leave, and ``start`` afterwards is a restart on the same state.

Everything here is the standard library. Sockets below ``/tmp`` on purpose: a path of ``AF_UNIX``
may hold 107 bytes, and pytest's own temporary folders come close to that.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, Iterator, Mapping, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT = ROOT / "client" / "python"
_handed_out: set[int] = set()  # by free_port


class NotBuilt(RuntimeError):
    """The program asked for is in no build folder."""


def find_program(name: str) -> pathlib.Path:
    """The path of a built program: ``$WAYBILL_BIN_DIR/name`` if that is set, else the newest
    ``build/*/bin/name``. Raises NotBuilt."""
    folder = os.environ.get("WAYBILL_BIN_DIR")
    if folder:
        found = [pathlib.Path(folder) / name]
    else:
        found = sorted(ROOT.glob(f"build/*/bin/{name}"), key=lambda path: path.stat().st_mtime)
    found = [path for path in found if os.access(path, os.X_OK)]
    if not found:
        raise NotBuilt(f"{name} is not built; run cmake --preset dev && cmake --build --preset dev")
    return found[-1]


def is_sanitized(program: str | os.PathLike[str]) -> bool:
    """Whether a built program carries a sanitizer, which has its own idea of memory and of time."""
    code = pathlib.Path(program).read_bytes()
    return b"__asan_init" in code or b"__tsan_init" in code


def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago, and that this process did not hand
    out before. It lies below the range out of which the kernel serves outgoing connections: else one of
    those could take it before the server that it is for is up."""
    first_outgoing = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10240, max(first_outgoing, 12288)), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _handed_out:
                _handed_out.add(port)
                return port
    raise RuntimeError("no free TCP port on 127.0.0.1")


def wait_until(condition: Any, timeout_s: float = 5.0, what: str = "condition") -> Any:
    """Poll `condition` until it is true; returns its value. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what} did not come true within {timeout_s} s")
        time.sleep(0.01)


class Sidecar:
    """One ``waybilld``, its folders and its life.

    name     the instance's ``--name``
    base     folder to live in; made below /tmp, and removed by ``close``, if absent. Sidecars that
             shall share one store share ``data_home``.
    config   text of a YAML configuration file, or None: zero configuration
    env      further environment variables
    args     further arguments
    user     uid to run as, with folders of its own; only root can. `group`, else `user`, is its
             group, `groups` are further ones
    """

    def __init__(
        self,
        name: str = "agent",
        *,
        base: str | os.PathLike[str] | None = None,
        data_home: str | os.PathLike[str] | None = None,
        config: str | None = None,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        program: str | os.PathLike[str] | None = None,
        user: int | None = None,
        group: int | None = None,
        groups: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._owns_base = base is None
        self.base = pathlib.Path(base or tempfile.mkdtemp(prefix="wb-", dir="/tmp"))
        self.runtime_home = self.base / "run"
        self.state_home = self.base / "state"
        self.data_home = pathlib.Path(data_home) if data_home else self.base / "data"
        self.config_home = self.base / "config"
        for folder in (self.runtime_home, self.state_home, self.data_home, self.config_home):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.args = list(args)
        self.config_file: pathlib.Path | None = None
        if config is not None:
            self.config_file = self.config_home / f"{name}.yaml"
            self.config_file.write_text(config, encoding="utf-8")
            self.args += ["--config", str(self.config_file)]
        self.extra_env = dict(env or {})
        self.program = pathlib.Path(program) if program else None
        self.identity: dict[str, Any] = {}
        if user is not None:
            self._become(user, user if group is None else group, groups)
        self.process: subprocess.Popen[bytes] | None = None
        self.log_file = self.base / f"{name}.log"
        self.refusals_expected = False

    def _become(self, user: int, group: int, groups: Sequence[int]) -> None:
        """Everything below `base` belongs to `user`, who reaches it and a copy of the program."""
        self.identity = {"user": user, "group": group, "extra_groups": list(groups)}
        shutil.copy(self.program or find_program("waybilld"), self.base / "waybilld")
        self.program = self.base / "waybilld"
        self.base.chmod(0o711)
        for folder in (self.runtime_home, self.state_home, self.data_home, self.config_home):
            os.chown(folder, user, group)
        self.runtime_home.chmod(0o711)
        if self.config_file:
            os.chown(self.config_file, user, group)
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):  # reports go to the log
            options = os.environ.get(name, "").split(":")
            self.extra_env[name] = ":".join(o for o in options if not o.startswith("log_path="))

    # -- where things are ------------------------------------------------------------------------

    @property
    def run_dir(self) -> pathlib.Path:
        return self.runtime_home / "waybill" / self.name

    @property
    def state_dir(self) -> pathlib.Path:
        return self.state_home / "waybill" / self.name

    @property
    def socket(self) -> pathlib.Path:
        return self.run_dir / "ipc.sock"

    @property
    def status_file(self) -> pathlib.Path:
        return self.run_dir / "status.json"

    @property
    def store(self) -> pathlib.Path:
        return self.data_home / "waybill" / "store.db"

    @property
    def env(self) -> dict[str, str]:
        """The environment of the sidecar, of its command line and of an agent beside it."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("WAYBILL_", "OTEL_", "XDG_")) or key == "WAYBILL_BIN_DIR"
        }
        return {
            **inherited,
            "XDG_RUNTIME_DIR": str(self.runtime_home),
            "XDG_STATE_HOME": str(self.state_home),
            "XDG_DATA_HOME": str(self.data_home),
            "XDG_CONFIG_HOME": str(self.config_home),
            "WAYBILL_NAME": self.name,
            **self.extra_env,
        }

    # -- its life --------------------------------------------------------------------------------

    def start(self, wait: bool = True, timeout_s: float = 10.0) -> "Sidecar":
        """Start, or start again on the same state. Returns once it answers, unless `wait` is false."""
        if self.running:
            raise RuntimeError(f"sidecar {self.name} runs already")
        program = self.program or find_program("waybilld")
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [str(program), "--name", self.name, *self.args],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self.identity,
            )
        if wait:
            self.wait_ready(timeout_s)
        return self

    def wait_ready(self, timeout_s: float = 10.0) -> None:
        """Return once the sidecar of this process takes connections and has said where it listens."""

        def ready() -> bool:
            if not self.running:
                raise RuntimeError(f"sidecar {self.name} ended at start:\n{self.log()}")
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                if self.status().get("pid") != self.pid:
                    return False
                if self.identity:
                    return True  # the socket, which is there by now, may not be for us
                # The whole handshake: nng 1.5.2 takes a peer that leaves before its end badly.
                probe.settimeout(1)
                probe.connect(str(self.socket))
                probe.sendall(b"\0SP\0\0\x30\0\0")
                return probe.recv(8) == b"\0SP\0\0\x31\0\0"
            return False

        wait_until(ready, timeout_s, f"sidecar {self.name}: ready")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError(f"sidecar {self.name} was never started")
        return self.process.pid

    def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM: drain and end. Returns the exit code."""
        return self._end(signal.SIGTERM, timeout_s)

    def kill9(self) -> None:
        """SIGKILL: nothing is flushed, nothing is said."""
        self._end(signal.SIGKILL, 10.0)

    def restart(self) -> "Sidecar":
        self.stop()
        return self.start()

    def _end(self, how: signal.Signals, timeout_s: float) -> int:
        if self.process is None:
            return 0
        if self.running:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise TimeoutError(f"sidecar {self.name} did not end in {timeout_s} s:\n{self.log()}")

    def close(self) -> None:
        """End it whatever its state, and remove the folders that it made. Raises AssertionError if in
        its whole life a sanitizer had something to say, or the sandbox refused a system call
        (``refusals_expected`` of a test that provokes that)."""
        if self.running:
            with contextlib.suppress(TimeoutError):
                self.stop()
        said = self.log()
        if "Sanitizer:" in said or "runtime error:" in said:
            raise AssertionError(f"sidecar {self.name}, in {self.base}:\n{said[-20000:]}")
        if "sandbox.refused" in said and not self.refusals_expected:
            line = next(line for line in said.splitlines() if "sandbox.refused" in line)
            raise AssertionError(f"sidecar {self.name}, in {self.base}: {line}")
        if self._owns_base:
            shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self) -> "Sidecar":
        return self if self.running else self.start()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # -- what it says ----------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """status.json; an empty dict while there is none."""
        try:
            return dict(json.loads(self.status_file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def log(self) -> str:
        try:
            return self.log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def cli(self, *args: str, check: bool = True, timeout_s: float = 30.0) -> str:
        """Run ``waybill ARGS`` in this sidecar's environment; returns its standard output."""
        done = subprocess.run(
            [str(find_program("waybill")), *args],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            text=True,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"waybill {' '.join(args)}: {done.returncode}\n{done.stderr}")
        return done.stdout


def agent_env(sidecar: Sidecar) -> dict[str, str]:
    """The environment of a Python agent beside `sidecar`: its socket, and our client importable."""
    env = sidecar.env
    env["WAYBILL_SOCKET"] = str(sidecar.socket)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CLIENT), env.get("PYTHONPATH", "")]))
    return env


@contextlib.contextmanager
def helper(name: str, *args: str, ready: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a built test helper (``build/*/bin/NAME``) until the block ends. With `ready`, return once
    it has printed a line that starts with it."""
    process = subprocess.Popen(
        [str(find_program(name)), *args], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    try:
        if ready is not None:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith(ready):
                raise RuntimeError(f"{name} said {line!r} and not {ready!r}")
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stdin):
            if stream is not None:
                stream.close()


if str(CLIENT) not in sys.path:
    sys.path.insert(0, str(CLIENT))
