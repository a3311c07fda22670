# SPDX-License-Identifier: Apache-2.0
"""docker/kubernetes/waybill.yaml, run as a kubelet would run it: the pod comes up with the users, volumes
and probes of the file, the agent delegates through its sidecar, and the end is a drain."""

import json
import os
import subprocess
import time

import pytest

from peers import peer
from pod import Pod, documents_of
from waybill_testkit import ROOT, find_program, wait_until

FILE = ROOT / "docker/kubernetes/waybill.yaml"
IDLE = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"
ASK = """
import json, os, waybill, waybill.digest
from a2a.types.a2a_pb2 import Part
salt = os.urandom(waybill.digest.SALT_LEN)
wb = waybill.default()
with wb.span("ask", type="session") as span:
    d = wb.delegate(waybill.Target(url="http://writer:9102/", declares=True, name="writer"), method="SendMessage",
                    message_id="m-1", salt=salt, body_digest=waybill.digest.body_digest(salt, [Part(text="x")]))
    wb.settle(d, "answered")
print(json.dumps({"trace_id": span.context.trace_id.hex(), "signed": bool(d.carrier), "why": d.unsigned_reason}))
wb.close()
"""


@pytest.fixture(scope="module")
def images(engine):
    for service in ("keys", "planner"):  # both images of the compose file
        engine.compose("build", "-q", service)
    return {"registry.example/waybill:0.1.0": "waybill:local", "registry.example/planner:1.0.0":
            "waybill-demo-agent:local", "pause": "debian:bookworm-slim"}


@pytest.fixture(scope="module")
def keys(engine, images, tmp_path_factory):
    """As the head of the file says: made elsewhere by the command line, and put into a Secret."""
    folder = tmp_path_factory.mktemp("keys")
    os.chown(folder, 10002, 10002)
    made = """
        waybill key new --state-dir /made/planner --id spiffe://example.org/planner
        waybill key new --state-dir /made/writer --id spiffe://example.org/writer
        waybill trust bundle --state-dir /made/writer --id spiffe://example.org/writer >/made/writer.json
        waybill trust add /made/writer.json --state-dir /made/planner"""
    engine.docker("run", "--rm", "--network", "none", "-v", f"{folder}:/made", "--entrypoint", "/bin/sh",
                  "waybill:local", "-euc", made)
    trust = {file.name: file.read_text("utf-8") for file in (folder / "planner/trust.d").iterdir()}
    return (folder / "planner/keys/current.key").read_bytes(), trust


@pytest.fixture
def pod(engine, images, keys):
    key, trust = keys
    with Pod(engine, documents_of(FILE), images=images, config_maps={"team-trust": trust},
             secrets={"planner-waybill-keys": {"current.key": key}}, command=["python", "-c", IDLE]) as found:
        yield found


@pytest.mark.parametrize("version", ["1.29", "1.30"])
def test_files_pass_the_schemas_of_the_api(version, tmp_path):
    """And a field that there is not is noticed, where an API server would drop it without a word."""
    files = sorted((ROOT / "docker/kubernetes").glob("*.yaml"))
    command = [str(peer("kubectl-validate")), "--version", version]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.count("OK") == len(files), done.stdout + done.stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILE.read_text("utf-8").replace("restartPolicy: Always", "restartPolicies: Always"), "utf-8")
    done = subprocess.run([*command, str(wrong)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "initContainers[1].restartPolicies" in done.stderr


def test_its_configuration_is_one(tmp_path):
    config = tmp_path / "planner.yaml"
    config.write_text(next(each for each in documents_of(FILE) if each["kind"] == "ConfigMap")["data"]["planner.yaml"])
    done = subprocess.run([str(find_program("waybilld")), "--name", "planner", "--config", str(config), "--check"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def status_of(pod):
    return json.loads(pod.run("waybilld", "waybill", "--json", "status"))["report"]


def test_the_sidecar_is_ready_before_the_agent_starts_and_isolated_from_it(pod):
    report = status_of(pod)
    assert report["isolation"] == "uid", report["isolation_because"]
    assert report["sandbox"]["landlock"] and report["sandbox"]["seccomp"]
    assert report["trust"]["issuers"] == 1 and report["trust"]["faulty_files"] == 0
    assert report["agent_id"] == "spiffe://example.org/planner"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert pod.probe(pod.container("waybilld"), probe) == 200
    assert pod.run("agent", "id", "-u").strip() == "10001"
    assert pod.run("waybilld", "id", "-u").strip() == "10002"


def test_the_agent_delegates_and_sends_otlp_through_it(pod):
    said = json.loads(pod.run("agent", "python", "-c", ASK))
    assert said["signed"], said["why"]
    # the collector of the file does not exist here: records wait, the sidecar stays ready and alive
    wait_until(lambda: status_of(pod)["exporters"][0]["state"] == "backoff", 30, "collector: away")
    assert status_of(pod)["healthy"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert pod.probe(pod.container("waybilld"), probe) == 200


def test_the_agent_sees_the_socket_and_nothing_else_of_its_sidecar(pod):
    assert pod.run("agent", "ls", "/run/waybill/planner").split() == ["ipc.sock", "status.json"]
    for path in ("/var/lib/waybill", "/etc/waybill"):
        assert pod.engine.try_docker("exec", f"{pod.name}-agent", "ls", path).returncode != 0


def test_its_end_is_a_drain_within_the_grace_period(pod):
    pod.run("agent", "python", "-c", ASK)
    began = time.monotonic()
    assert pod.end()["waybilld"] == 0
    assert time.monotonic() - began < pod.spec["terminationGracePeriodSeconds"]
