# SPDX-License-Identifier: Apache-2.0
"""The image by itself: what is in it, and that it needs nothing but its two folders."""

import json
import pathlib
import uuid

import pytest

from docker_engine import BUILD_S
from waybill_testkit import ROOT, wait_until

IMAGE = "waybill:local"


@pytest.fixture(scope="module")
def image(engine):
    engine.docker("build", "-q", "-f", str(ROOT / "docker/Dockerfile"), "-t", IMAGE, str(ROOT), timeout_s=BUILD_S)
    return IMAGE


@pytest.fixture
def sidecar(engine, image):
    """Read-only, without a capability, without a network but loopback."""
    name = f"waybill-{uuid.uuid4().hex[:8]}"
    engine.docker("run", "-d", "--name", name, "--read-only", "--cap-drop", "ALL", "--network", "none",
                  "--security-opt", "no-new-privileges:true", "-v", f"{name}-state:/var/lib/waybill",
                  "-v", f"{name}-run:/run/waybill", "-e", "WAYBILL_NAME=alone", image)
    yield name
    engine.docker("rm", "-f", name)
    engine.docker("volume", "rm", f"{name}-state", f"{name}-run")


def status_of(engine, name):
    done = engine.try_docker("exec", name, "waybill", "--json", "status")
    return json.loads(done.stdout)["report"] if done.returncode == 0 else None


def test_it_runs_as_nobody_s_agent_and_is_labelled(engine, image):
    found = engine.inspect(image)["Config"]
    assert found["User"] == "10002:10002" and found["Entrypoint"] == ["waybilld"]
    assert found["Healthcheck"]["Test"] == ["CMD", "waybill", "status"]
    assert found["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    version = (ROOT / "CMakeLists.txt").read_text().split("project(waybill VERSION ")[1].split()[0]
    assert found["Labels"]["org.opencontainers.image.version"] == version


def test_its_packages_are_what_its_programs_are_linked_with(engine, image):
    """And nothing to build with: no compiler, no Python, no header."""
    inside = engine.docker("run", "--rm", "--entrypoint", "sh", image, "-c",
                           "for p in /usr/bin/waybill /usr/bin/waybilld; do ldd $p; done; ls /usr/include /usr/bin")
    assert "not found" not in inside
    names = inside.split()
    assert not {"gcc", "cc", "python3", "cmake", "curl", "git"} & set(names)
    base = int(engine.inspect("debian:bookworm-slim")["Size"])
    assert int(engine.inspect(image)["Size"]) - base < 40 << 20


def test_both_programs_are_there(engine, image):
    for program in ("waybill", "waybilld"):
        said = engine.docker("run", "--rm", "--network", "none", "--entrypoint", program, image, "--version")
        assert said.startswith(program)


def test_it_runs_read_only_and_becomes_healthy(engine, sidecar):
    wait_until(lambda: engine.inspect(sidecar)["State"]["Health"]["Status"] == "healthy", 60, "healthy")
    report = status_of(engine, sidecar)
    assert report["healthy"] and report["sandbox"]["landlock"] and report["sandbox"]["seccomp"]


def test_state_outlives_the_container_and_a_stop_is_clean(engine, image, sidecar):
    key = wait_until(lambda: status_of(engine, sidecar), 30, "an answer")["key_id"]
    engine.docker("stop", "-t", "20", sidecar)
    assert engine.inspect(sidecar)["State"]["ExitCode"] == 0
    engine.docker("start", sidecar)
    assert wait_until(lambda: status_of(engine, sidecar), 30, "an answer")["key_id"] == key


def test_without_a_writable_folder_it_says_what_is_missing(engine, image):
    done = engine.try_docker("run", "--rm", "--read-only", "--network", "none", image)
    assert done.returncode == 78 and "/run/waybill" in done.stderr


def test_context_has_no_build_folder_and_no_tests(engine):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert not {"build", "tests", ".git"} & {pathlib.PurePath(name).parts[0] for name in kept}
    assert all((ROOT / name).exists() for name in kept)
