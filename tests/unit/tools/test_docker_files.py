# SPDX-License-Identifier: Apache-2.0
"""What can be said of the container files without an engine: tests/docker runs them in one."""

import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from waybill_testkit import find_program  # noqa: E402

AGENTS = ["planner", "researcher", "writer"]


def lines_of(file):
    return {line for line in (ROOT / file).read_text("utf-8").splitlines() if line and line[0] != "#"}


def services():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]


def test_the_agents_packages_are_those_that_the_demo_is_tested_with():
    assert lines_of("docker/demo/requirements.txt") <= lines_of("tools/requirements.txt")


@pytest.mark.parametrize("agent", AGENTS)
def test_a_sidecar_s_configuration_is_one(agent, tmp_path):
    """But for the secret, which is there when the stack is up."""
    text = (ROOT / "docker/config" / f"{agent}.yaml").read_text("utf-8")
    secret, file = tmp_path / "postgres", tmp_path / "waybill.yaml"
    secret.touch(0o600)
    assert text.count("/var/lib/waybill/secrets/postgres") == 1
    file.write_text(text.replace("/var/lib/waybill/secrets/postgres", str(secret)))
    done = subprocess.run([str(find_program("waybilld")), "--name", agent, "--config", str(file), "--check"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "type: postgres" in done.stdout


def test_the_overlay_s_exporters_are_a_configuration():
    overlay = yaml.safe_load((ROOT / "docker/docker-compose.otel.yml").read_text("utf-8"))
    for agent in AGENTS:
        text = overlay["services"][f"{agent}-waybill"]["environment"]["WAYBILL_EXPORTERS"]
        done = subprocess.run([str(find_program("waybilld")), "--name", agent, "--check"],
                              env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "WAYBILL_EXPORTERS": text},
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "jaeger:" in done.stdout and "markers: true" in done.stdout


@pytest.mark.parametrize("agent", AGENTS)
def test_agent_and_sidecar_share_the_socket_alone(agent):
    theirs, ours = services()[agent], services()[f"{agent}-waybill"]
    assert theirs["volumes"] == [f"{agent}-socket:/run/waybill:ro"]
    assert f"{agent}-state:/var/lib/waybill" in ours["volumes"]
    assert theirs["user"] != ours["user"] and ours["network_mode"] == f"service:{agent}"


def test_nothing_in_the_stack_has_more_than_it_needs():
    for name, service in services().items():
        assert "privileged" not in service, name
        assert not re.search(r"password\s*[:=]\s*\S", str(service), re.IGNORECASE), name
        if name != "postgres":
            assert service["read_only"] and "no-new-privileges:true" in service["security_opt"], name


def test_images_name_the_versions_that_the_tests_stand_in_for():
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    import docker_engine
    texts = [(ROOT / file).read_text("utf-8") for file in ("docker-compose.yml", "docker/docker-compose.otel.yml",
                                                           "docker/Dockerfile", "docker/agent.Dockerfile")]
    assert f"${{POSTGRES_IMAGE:-{docker_engine.POSTGRES}}}" in texts[0]
    assert f"${{JAEGER_IMAGE:-{docker_engine.JAEGER}}}" in texts[1]
    assert all(f"ARG DEBIAN={docker_engine.DEBIAN}\n" in text for text in texts[2:])
