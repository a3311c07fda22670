# SPDX-License-Identifier: Apache-2.0
"""A machine for pages that make users and write below /etc: this one, with /etc, /run, /var and
/usr/local/bin replaced by copies that only a mount namespace of its own sees. Only root can make one."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

from waybill_testkit import find_program

FOLDERS = ("etc", "run", "var", "usr/local/bin")


class NoMachine(RuntimeError):
    """This system makes no mount namespaces, or not for this user."""


class Machine:
    """home    an empty folder to keep its parts in; removed by whoever made it, after close"""

    def __init__(self, home: pathlib.Path) -> None:
        self._fill(home)
        mounts = "".join(f"mount --bind {home / folder} /{folder} && " for folder in FOLDERS)
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{mounts} echo there && cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if said != "there\n":
            self.close()
            raise NoMachine(f"no mount namespace: {said.strip()}")

    @staticmethod
    def _fill(home: pathlib.Path) -> None:
        subprocess.run(["cp", "-a", "/etc", str(home / "etc")], check=True)
        for folder in ("run", "var/lib", "var/log", "var/mail", "var/tmp", "usr/local/bin"):
            (home / folder).mkdir(parents=True)
        (home / "var/run").symlink_to("/run")
        for name in ("waybilld", "waybill"):
            shutil.copy(find_program(name), home / "usr/local/bin" / name)

    def enter(self) -> list[str]:
        """The words before a command that is to run there, in the root: a home is closed to other users."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--wd=/"]

    def close(self) -> None:
        for stream in (self._holder.stdin, self._holder.stdout):
            if stream is not None:
                stream.close()  # `cat` ends, and with the last process the mounts
        self._holder.wait(10)
