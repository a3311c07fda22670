# SPDX-License-Identifier: Apache-2.0
"""A control group for a sidecar: what it may have of memory and processor time. Version 1 or 2 of the
kernel's interface, whichever is mounted; for root."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from typing import Iterator

from waybill_testkit import find_program

ROOT = pathlib.Path("/sys/fs/cgroup")
PERIOD_US = 100_000


class ControlGroup:
    def __init__(self, name: str) -> None:
        self._is_v2 = (ROOT / "cgroup.controllers").exists()
        self._memory, self._cpu = (
            (ROOT / name, ROOT / name) if self._is_v2 else (ROOT / "memory" / name, ROOT / "cpu" / name))
        if self._is_v2:
            (ROOT / "cgroup.subtree_control").write_text("+memory +cpu")
        for folder in {self._memory, self._cpu}:
            folder.mkdir()

    def limit_memory(self, size: int) -> None:
        if self._is_v2:
            (self._memory / "memory.max").write_text(str(size))
            with contextlib.suppress(OSError):  # a kernel without swap
                (self._memory / "memory.swap.max").write_text("0")
        else:
            (self._memory / "memory.limit_in_bytes").write_text(str(size))
            with contextlib.suppress(OSError):
                (self._memory / "memory.swappiness").write_text("0")

    def limit_cpu(self, share: float | None) -> None:
        """Of one processor; None: no limit."""
        quota = None if share is None else int(share * PERIOD_US)
        if self._is_v2:
            (self._cpu / "cpu.max").write_text(f"{quota or 'max'} {PERIOD_US}")
        else:
            (self._cpu / "cpu.cfs_quota_us").write_text(str(quota or -1))

    def killed(self) -> int:
        """Processes that the kernel has killed for want of memory."""
        file = "memory.events" if self._is_v2 else "memory.oom_control"
        lines = (self._memory / file).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def wrapper(self, path: pathlib.Path, program: str | os.PathLike[str] | None = None) -> pathlib.Path:
        """A program at `path` that becomes `program`, else waybilld, from its first instruction in this group."""
        enter = "".join(f"echo $$ > {folder}/cgroup.procs\n" for folder in sorted({self._memory, self._cpu}))
        path.write_text(f"#!/bin/sh\n{enter}exec {program or find_program('waybilld')} \"$@\"\n")
        path.chmod(0o755)
        return path

    def remove(self) -> None:
        """Whoever is still in it goes on without limits."""
        for folder in {self._memory, self._cpu}:
            for pid in (folder / "cgroup.procs").read_text().split():
                (folder.parent / "cgroup.procs").write_text(pid)
            for _ in range(50):  # the kernel lets go of the last process a little later
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.1)


@contextlib.contextmanager
def control_group(name: str) -> Iterator[ControlGroup]:
    group = ControlGroup(f"{name}-{os.getpid()}")
    try:
        yield group
    finally:
        group.remove()
