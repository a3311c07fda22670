# SPDX-License-Identifier: Apache-2.0
"""A Docker engine of the tests' own, with images that stand in for those that a registry would give.

``dockerd`` runs with a data folder below ``build/docker``, which stays (its layers save minutes), and with
socket, containers and volumes that go when the engine is closed. No image is pulled. Under the names that
the project's files use are

    debian:bookworm-slim              Debian's minimal system by debootstrap, as apt has it here
    postgres:15-bookworm              Debian's PostgreSQL 15 with an entrypoint that takes the same variables
    jaegertracing/all-in-one:1.68.0   Jaeger 1.62 out of tools/build-peers

so that Dockerfiles and compose files run unchanged. For root.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any, Mapping, Sequence

from peers import peer
from waybill_testkit import ROOT, wait_until

DATA = ROOT / "build" / "docker"
STAND_INS = ROOT / "tests" / "docker"
DEBIAN, POSTGRES, JAEGER = "debian:bookworm-slim", "postgres:15-bookworm", "jaegertracing/all-in-one:1.68.0"
BUILD_S, COMMAND_S = 1800, 300
CA_INSIDE = "/usr/local/share/build-ca.crt"


class EngineError(RuntimeError):
    pass


class Engine:
    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wb-docker-", dir="/tmp"))
        self.socket = self.folder / "docker.sock"
        self.log_file = self.folder / "dockerd.log"
        self.process: subprocess.Popen[bytes] | None = None

    # -- its life --------------------------------------------------------------------------------

    def start(self) -> "Engine":
        (DATA / "data").mkdir(parents=True, exist_ok=True)
        command = ["dockerd", "--data-root", str(DATA / "data"), "--exec-root", str(self.folder / "exec"),
                   "--pidfile", str(self.folder / "pid"), "-H", f"unix://{self.socket}",
                   "--storage-driver", "overlay2", "--log-level", "warn"]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def up() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise EngineError(f"dockerd ended at start:\n{self.log_file.read_text()[-4000:]}")
            return self.try_docker("version").returncode == 0

        wait_until(up, 60, "dockerd: an answer")
        self.clear()
        self.docker("image", "prune", "-f", "--filter", "until=72h")  # layers of builds that nobody repeats
        return self

    def clear(self) -> None:
        """No container, no volume, no network of before."""
        containers = self.docker("ps", "-aq").split()
        if containers:
            self.docker("rm", "-f", *containers)
        volumes = self.docker("volume", "ls", "-q").split()
        if volumes:
            self.docker("volume", "rm", "-f", *volumes)
        self.docker("network", "prune", "-f")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(EngineError, subprocess.TimeoutExpired):
                self.clear()
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Engine":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # -- commands --------------------------------------------------------------------------------

    @property
    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("DOCKER_", "COMPOSE_", "WAYBILL_", "OTEL_"))}
        # the classic builder: the other one is a plugin that Debian 12 does not have
        return {**kept, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0",
                "COMPOSE_DOCKER_CLI_BUILD": "0", "COMPOSE_PROJECT_NAME": "waybill"}

    def try_docker(self, *args: str, timeout_s: float = COMMAND_S,
                   stdin: Any = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", *args], env=self.env, stdin=stdin, capture_output=True, text=True,
                              errors="replace", timeout=timeout_s)

    def docker(self, *args: str, timeout_s: float = COMMAND_S) -> str:
        """Its standard output. Raises EngineError with what it said."""
        return self._checked(self.try_docker(*args, timeout_s=timeout_s), f"docker {' '.join(args[:4])}")

    def compose(self, *args: str, env: Mapping[str, str] | None = None, timeout_s: float = BUILD_S,
                program: str = "docker-compose") -> str:
        done = subprocess.run([program, "--ansi", "never", *args], env={**self.env, **(env or {})}, cwd=ROOT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=timeout_s)
        return self._checked(done, f"docker-compose {' '.join(args)}")

    @staticmethod
    def _checked(done: subprocess.CompletedProcess[str], what: str) -> str:
        if done.returncode:
            raise EngineError(f"{what} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}")
        return done.stdout

    def inspect(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.docker("inspect", name))[0])

    def has_image(self, name: str) -> bool:
        return self.try_docker("image", "inspect", name).returncode == 0

    def build(self, tag: str, folder: pathlib.Path, dockerfile: str = "Dockerfile",
              args: Sequence[str] = ()) -> None:
        self.docker("build", "-q", "-t", tag, "-f", str(folder / dockerfile), *args, str(folder),
                    timeout_s=BUILD_S)

    # -- images ----------------------------------------------------------------------------------

    def make_stand_ins(self) -> None:
        if not self.has_image(DEBIAN):
            self._make_debian()
        if not self.has_image(POSTGRES):
            self.build(POSTGRES, STAND_INS / "postgres")
        if not self.has_image(JAEGER):
            self._make_jaeger()

    def _make_debian(self) -> None:
        root = self.folder / "debian"
        done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(root)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_S)
        self._checked(done, "debootstrap")
        changes = self._as_apt_is_here(root)
        with subprocess.Popen(["tar", "-C", str(root), "--exclude=./var/cache/apt/archives/*.deb", "-c", "."],
                              stdout=subprocess.PIPE) as tar:
            done = self.try_docker("import", *changes, "-", DEBIAN, stdin=tar.stdout, timeout_s=BUILD_S)
        self._checked(done, "docker import")
        shutil.rmtree(root)

    @staticmethod
    def _as_apt_is_here(root: pathlib.Path) -> list[str]:
        """Packages come from where this machine gets them, as builds in a container must, too."""
        for folder in ("sources.list.d", "apt.conf.d"):
            for file in pathlib.Path("/etc/apt", folder).iterdir():
                if folder == "apt.conf.d" or file.name.startswith("debian"):
                    shutil.copy(file, root / "etc" / "apt" / folder)
        if (root / "etc/apt/sources.list.d/debian.sources").exists():
            (root / "etc/apt/sources.list").unlink(missing_ok=True)
        elif pathlib.Path("/etc/apt/sources.list").exists():
            shutil.copy("/etc/apt/sources.list", root / "etc/apt/sources.list")
        authorities = os.environ.get("PIP_CERT")
        if not authorities:
            return []
        shutil.copy(authorities, f"{root}{CA_INSIDE}")
        return ["--change", f"ENV PIP_CERT={CA_INSIDE}"]

    def _make_jaeger(self) -> None:
        folder = self.folder / "jaeger"
        folder.mkdir()
        shutil.copy(peer("jaeger"), folder / "all-in-one")
        (folder / "Dockerfile").write_text(
            "FROM scratch\nCOPY all-in-one /all-in-one\nUSER 10001\nEXPOSE 4317 4318 16686\n"
            'ENTRYPOINT ["/all-in-one"]\n')
        self.build(JAEGER, folder)
        shutil.rmtree(folder)
