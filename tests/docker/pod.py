# SPDX-License-Identifier: Apache-2.0
"""A pod, as the kubelet would run it, out of a Deployment's own file, in a Docker engine: its volumes with
the owners and modes that the kubelet gives them, init containers one by one, a native sidecar awaited by its
startup probe, containers, and the end in the reverse order. No more of Kubernetes than that.

What differs: one network namespace by `--network container:`; mounts of volumes by bind mounts.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from typing import Any, Mapping

import yaml

from docker_engine import Engine
from waybill_testkit import wait_until


class Pod:
    """deployment   its template is run
    images       of the file's image names, which no registry here has, to those of the engine
    config_maps  name to its data; secrets likewise, but bytes
    command      what the agent's container runs instead of its image's own
    """

    def __init__(self, engine: Engine, documents: list[dict[str, Any]], *, images: Mapping[str, str],
                 config_maps: Mapping[str, Mapping[str, str]], secrets: Mapping[str, Mapping[str, bytes]],
                 command: list[str]) -> None:
        self.engine = engine
        deployment = next(each for each in documents if each["kind"] == "Deployment")
        maps = {each["metadata"]["name"]: each["data"] for each in documents if each["kind"] == "ConfigMap"}
        self.spec = deployment["spec"]["template"]["spec"]
        self.images, self.secrets, self.command = images, secrets, command
        self.config_maps = {**maps, **config_maps}
        self.name = f"pod-{uuid.uuid4().hex[:8]}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wb-pod-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.started: list[str] = []

    # -- volumes ---------------------------------------------------------------------------------

    def volume(self, name: str) -> pathlib.Path:
        return self.folder / "volumes" / name

    def make_volumes(self) -> None:
        for volume in self.spec["volumes"]:
            path = self.volume(volume["name"])
            path.mkdir(parents=True)
            path.chmod(0o777)  # as the root of every volume that the kubelet makes
            if "emptyDir" in volume:
                if volume["emptyDir"].get("medium") == "Memory":
                    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777,size=4m", "tmpfs", str(path)], check=True)
            elif "configMap" in volume:
                data = self.config_maps[volume["configMap"]["name"]]
                self.lay_down(path, {name: text.encode() for name, text in data.items()}, 0o644)
            else:
                secret = volume["secret"]
                self.lay_down(path, self.secrets[secret["secretName"]], secret.get("defaultMode", 0o644))

    @staticmethod
    def lay_down(path: pathlib.Path, files: Mapping[str, bytes], mode: int) -> None:
        """The kubelet's way: a folder with a date, a link to it, links through that."""
        dated = path / "..2026_11_30_00_00_00.1"
        dated.mkdir(mode=0o755)
        for name, data in files.items():
            (dated / name).write_bytes(data)
            (dated / name).chmod(mode)
            (path / name).symlink_to(f"..data/{name}")
        (path / "..data").symlink_to(dated.name)

    def mounts_of(self, container: Mapping[str, Any]) -> list[str]:
        found = []
        for mount in container.get("volumeMounts", []):
            source = self.volume(mount["name"]) / mount.get("subPath", "")
            if not source.exists():
                raise RuntimeError(f"{container['name']}: {source} is not there")
            read_only = ":ro" if mount.get("readOnly") else ""
            found += ["-v", f"{source}:{mount['mountPath']}{read_only}"]
        return found

    # -- containers ------------------------------------------------------------------------------

    def start(self, container: Mapping[str, Any], *, detached: bool) -> str:
        security, pod = container["securityContext"], self.spec["securityContext"]
        name = f"{self.name}-{container['name']}"
        options = ["--name", name, "--network", f"container:{self.name}", "--user",
                   f"{security['runAsUser']}:{security['runAsGroup']}"]
        options += [word for group in pod.get("supplementalGroups", []) for word in ("--group-add", str(group))]
        options += ["--read-only"] if security["readOnlyRootFilesystem"] else []
        options += ["--security-opt", "no-new-privileges:true"] if not security["allowPrivilegeEscalation"] else []
        options += [word for each in security["capabilities"]["drop"] for word in ("--cap-drop", each)]
        options += [word for each in container.get("env", []) for word in ("-e", f"{each['name']}={each['value']}")]
        memory = container["resources"]["limits"]["memory"].replace("Mi", "m")
        options += ["--memory", memory, "-d" if detached else "--rm", *self.mounts_of(container)]
        command = [*container.get("command", []), *container.get("args", [])]
        if container["name"] == "agent":
            command = self.command
        if container.get("command") or container["name"] == "agent":
            options += ["--entrypoint", command.pop(0)]
        self.engine.docker("run", *options, self.images[container["image"]], *command)
        if detached:
            self.started.append(name)
        return name

    def __enter__(self) -> "Pod":
        try:
            self.up()
        except BaseException:
            self.close()
            raise
        return self

    def up(self) -> None:
        self.make_volumes()
        pause = self.images["pause"]
        self.engine.docker("run", "-d", "--name", self.name, "--entrypoint", "sleep", pause, "3600")
        self.address = self.engine.inspect(self.name)["NetworkSettings"]["IPAddress"]
        for container in self.spec["initContainers"]:
            is_sidecar = container.get("restartPolicy") == "Always"
            name = self.start(container, detached=is_sidecar)
            if is_sidecar:
                self.await_start(container, name)
        for container in self.spec["containers"]:
            self.start(container, detached=True)

    def await_start(self, container: Mapping[str, Any], name: str) -> None:
        probe = container["startupProbe"]
        allowed_s = probe["periodSeconds"] * probe["failureThreshold"]

        def up() -> bool:
            if not self.engine.inspect(name)["State"]["Running"]:
                raise RuntimeError(f"{name} ended: {self.engine.try_docker('logs', name).stderr[-3000:]}")
            return self.probe(container, "startupProbe") == 200

        wait_until(up, allowed_s, f"{name}: its startup probe")

    def probe(self, container: Mapping[str, Any], which: str) -> int:
        """The HTTP status that a probe gets, from outside the pod, as the kubelet asks; 0: no answer."""
        get = container[which]["httpGet"]
        port = next(each["containerPort"] for each in container["ports"] if each["name"] == get["port"])
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port}{get['path']}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def container(self, name: str) -> dict[str, Any]:
        return next(each for each in [*self.spec["initContainers"], *self.spec["containers"]]
                    if each["name"] == name)

    def run(self, container: str, *command: str) -> str:
        return self.engine.docker("exec", f"{self.name}-{container}", *command)

    def end(self) -> dict[str, int]:
        """The agent first, then the sidecar, within the grace period. Returns the exit codes."""
        deadline = time.monotonic() + self.spec["terminationGracePeriodSeconds"]
        codes = {}
        for name in reversed(self.started):
            left = max(1, int(deadline - time.monotonic()))
            self.engine.docker("stop", "-t", str(left), name)
            codes[name.removeprefix(f"{self.name}-")] = self.engine.inspect(name)["State"]["ExitCode"]
        return codes

    def close(self) -> None:
        for name in [*reversed(self.started), self.name]:
            self.engine.try_docker("rm", "-f", name)
        for volume in self.spec["volumes"]:
            if volume.get("emptyDir", {}).get("medium") == "Memory":
                subprocess.run(["umount", str(self.volume(volume["name"]))], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, *_exc: object) -> None:
        self.close()


def documents_of(*files: pathlib.Path) -> list[dict[str, Any]]:
    return [document for file in files for document in yaml.safe_load_all(file.read_text("utf-8"))]
