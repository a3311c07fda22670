# SPDX-License-Identifier: Apache-2.0
"""A Debian of its own in a folder, with systemd as its first process, for tests that install packages.

Its mounts, processes, host name and control groups are those of namespaces that end with its first
process, so nothing of it is left behind however a test ends; the network is the host's. Only the kernel's
settings would be shared: /proc/sys and /sys are read-only in it, as in a container. For root."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence

# What a machine of Debian has and the smallest root has not; python3 is for the agents of the tests.
PACKAGES = "systemd,dbus,python3"
DEBOOTSTRAP_S, APT_S, BOOT_S, COMMAND_S = 600, 300, 60, 60
DEVICES = "null zero full random urandom tty"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}

ENTER = """
set -e
echo $$ >{group}/cgroup.procs
exec unshare --mount --propagation private --pid --cgroup --uts --ipc --fork --kill-child=KILL sh -c "$1"
"""
MOUNT = f"""
set -e
mount --bind {{root}} {{root}}
cd {{root}}
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for name in {DEVICES}; do touch dev/$name && mount --bind /dev/$name dev/$name; done
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx && ln -s /proc/self/fd dev/fd
"""
BOOT = MOUNT + """
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
hostname waybill-test
exec chroot . env -i container=test /lib/systemd/systemd --unit=multi-user.target --log-target=null
"""


class Missing(RuntimeError):
    """What this machine lacks."""


def control_groups() -> pathlib.Path:
    """Where version 2 of the control groups is mounted, alone or beside version 1."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(where)
    raise Missing("cgroup2 is not mounted: systemd cannot run in the throw-away root")


def debian_sources() -> str:
    """The host's sources of Debian itself; others are nobody's business here."""
    found = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    kept = [path for path in found if path.is_file() and "debian-archive-keyring" in path.read_text()]
    kept = kept or [path for path in found[:1] if path.is_file()]
    if not kept:
        raise Missing("no apt source of Debian in /etc/apt")
    return kept[0].as_posix()


def mirror_and_suite(path: str) -> tuple[str, str]:
    for line in pathlib.Path(path).read_text().splitlines():
        words = [word for word in line.split() if not word.startswith("[") and not word.endswith("]")]
        if words[:1] == ["deb"]:
            return words[1], words[2]
        if words[:1] == ["URIs:"]:
            uri = words[1]
        if words[:1] == ["Suites:"]:
            return uri, words[1]
    raise Missing(f"{path}: no source of Debian in it")


class Root:
    def __init__(self) -> None:
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="wb-root-"))
        self.base.chmod(0o755)
        self.path = self.base / "root"
        self._group = control_groups() / self.base.name
        self._unshare: subprocess.Popen[bytes] | None = None
        self._init = 0

    # ---- making and ending it

    def make(self) -> None:
        """The smallest Debian, from where the host gets its packages, with the host's way to get there."""
        source = debian_sources()
        mirror, suite = mirror_and_suite(source)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(self.path), mirror]
        # Its mounts are its own, too: it may be killed half-way.
        self._host(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL",
                    *command], DEBOOTSTRAP_S)
        for old in (self.path / "etc/apt").glob("sources.list*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        kind = pathlib.Path(source).suffix.lstrip(".") or "list"
        folder = self.path / "etc/apt/sources.list.d"
        folder.mkdir()
        shutil.copy(source, folder / f"host.{kind}")
        said = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
        access = [line for line in said.splitlines() if line.startswith("Acquire::")]
        quiet = ['APT::Get::Assume-Yes "true";', 'APT::Install-Recommends "false";', 'Dpkg::Use-Pty "false";']
        (self.path / "etc/apt/apt.conf.d/90host").write_text("\n".join([*access, *quiet]) + "\n")
        shutil.copy("/etc/resolv.conf", self.path / "etc/resolv.conf")
        # What runs by the clock, apt's own upgrades above all, would come between a test's steps.
        (self.path / "etc/systemd/system/timers.target").symlink_to("/dev/null")

    def boot(self) -> None:
        self._group.mkdir()
        self._unshare = subprocess.Popen(
            ["sh", "-c", ENTER.format(group=self._group), "sh", BOOT.format(root=self.path)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + BOOT_S
        while time.monotonic() < end:
            self._init = self._init or self._child()
            if self._init and self.run(["systemctl", "is-system-running"], check=False).stdout.strip() == "running":
                return
            if self._unshare.poll() is not None:
                raise RuntimeError("the root's first process ended while it started")
            time.sleep(0.2)
        raise RuntimeError(self.run(["systemctl", "list-units", "--failed", "--plain"], check=False).stdout)

    def _child(self) -> int:
        assert self._unshare
        pid = self._unshare.pid
        words = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        name = pathlib.Path(f"/proc/{words[0]}/comm").read_text().strip() if words else ""
        return int(words[0]) if name == "systemd" else 0

    def halt(self) -> None:
        """End every process of it, and with them its mounts."""
        if not self._unshare:
            return
        if self._init:
            os.kill(self._init, signal.SIGKILL)  # the first of its namespace: the others go with it
        self._unshare.kill()
        self._unshare.wait()
        self._unshare, self._init = None, 0
        end = time.monotonic() + COMMAND_S
        while self._group.exists() and time.monotonic() < end:
            for folder in sorted(self._group.rglob("*/"), reverse=True):
                self._rmdir(folder)
            self._rmdir(self._group)

    @staticmethod
    def _rmdir(folder: pathlib.Path) -> None:
        try:
            folder.rmdir()
        except OSError:  # its processes are still ending
            time.sleep(0.01)

    def remove(self) -> None:
        self.halt()
        mounts = pathlib.Path("/proc/self/mounts").read_text()
        assert str(self.base) not in mounts, "something is mounted below: not removed"
        assert not self._group.exists(), f"{self._group} is still in use"
        shutil.rmtree(self.base)

    # ---- using it

    def run(self, command: Sequence[str], *, user: str = "root", check: bool = True, timeout: int = COMMAND_S,
            env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command in the running root. check: raise RuntimeError with what it said when it fails."""
        words = ["nsenter", f"--target={self._init}", "--mount", "--pid", "--ipc", "--uts", "--root", "--wd"]
        return self._host(words + self._as(user, command), timeout, check, env)

    def chroot(self, command: Sequence[str], timeout: int = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """A command in the root while it is not running: a machine without systemd at work."""
        script = MOUNT.format(root=self.path) + 'exec chroot . "$@"'
        words = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "sh", "-c"]
        return self._host([*words, script, "sh", *command], timeout)

    def apt(self, *words: str, check: bool = True) -> str:
        done = self.run(["apt-get", "-q", *words], timeout=APT_S, check=check)
        return done.stdout + done.stderr

    def type(self, commands: str, folder: str = "/") -> str:
        """Lines of a page, as an administrator types them in a folder; each must succeed."""
        done = self.run(["sh", "-ec", f"cd {folder}\n{commands}"], timeout=APT_S)
        return done.stdout + done.stderr

    @staticmethod
    def _as(user: str, command: Sequence[str]) -> list[str]:
        if user == "root":
            return list(command)
        return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]

    @staticmethod
    def _host(command: Sequence[str], timeout: int, check: bool = True,
              env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        proxies = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                              env={**ENVIRONMENT, **proxies, **(env or {})})
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def files(self) -> set[str]:
        """All names in it, but for what apt, dpkg, Python and the journal keep of their own accord."""
        own = ("proc", "sys", "dev", "run", "tmp", "var/cache", "var/log", "var/lib/apt", "var/lib/dpkg",
               "var/lib/systemd", "var/backups", "var/tmp")
        found = set()
        for folder, folders, names in os.walk(self.path):
            here = os.path.relpath(folder, self.path)
            folders[:] = [name for name in folders
                          if os.path.normpath(os.path.join(here, name)) not in own and name != "__pycache__"]
            found |= {os.path.normpath(os.path.join(here, name)) for name in [*folders, *names]}
        return found
