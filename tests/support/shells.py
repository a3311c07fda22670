# SPDX-License-Identifier: Apache-2.0
"""Interactive bash and zsh on a terminal of their own, to see what they offer when Tab is pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import pty
import shlex
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence

from waybill_testkit import wait_until

ALL_MATCHES = b"\x18a"  # Ctrl-X a: put in everything that fits, in both shells
LINE_START, LINE_END = b"\x01", b"\x05"

BASH = ("bash", "--norc", "--noprofile", "-i")
BASH_SETUP = r"""bind '"\C-xa": insert-completions'; bind 'set enable-bracketed-paste off'"""
ZSH = ("zsh", "-f", "-i")
ZSH_SETUP = r"""
unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D
zle -C all-matches complete-word _generic; bindkey '^Xa' all-matches
zstyle ':completion:all-matches::::' completer _all_matches _complete; zstyle ':completion:all-matches:*' insert true
"""


class Shell:
    """One shell; `folder` is its own."""

    def __init__(self, master: int, folder: pathlib.Path) -> None:
        self._master = master
        self._answer = folder / ".answer"
        self._done = folder / ".done"

    def _type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def run(self, command: str) -> None:
        """Run one line to its end."""
        self._type(command.encode() + f"; : >{shlex.quote(str(self._done))}\n".encode())
        wait_until(self._done.exists, 20)
        self._done.unlink()

    def offers(self, line: str) -> list[str]:
        """The words that may stand where `line` ends, sorted; [] if there are none."""
        before = LINE_START + b"printf '%s\\n' " + LINE_END
        self._type(line.encode() + ALL_MATCHES + before)
        self.run(f" >{shlex.quote(str(self._answer))}")
        typed = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
        words = self._answer.read_text().splitlines()[len(typed) - 1 :]
        return sorted(set(words) - {typed[-1]})


def _drain(master: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(master, 65536):
            pass


@contextlib.contextmanager
def shell(
    kind: str, folder: pathlib.Path, env: dict[str, str], setup: Sequence[str] = (), fpath: str = ""
) -> Iterator[Shell]:
    """`kind` is "bash" or "zsh"; `setup` are lines that are run in it first; `fpath` is a directory of
    functions for zsh."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 4000, 0, 0))
    command, own = (BASH, BASH_SETUP) if kind == "bash" else (ZSH, ZSH_SETUP)
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=folder,
        start_new_session=True,
        env={**env, "TERM": "vt100", "HOME": str(folder), "ZDOTDIR": str(folder)},
    )
    os.close(slave)
    reader = threading.Thread(target=_drain, args=(master,), daemon=True)
    reader.start()
    it = Shell(master, folder)
    try:
        if fpath:
            it.run(f"fpath=({shlex.quote(fpath)} $fpath)")
        for line in [*own.strip().splitlines(), *setup]:
            it.run(line)
        yield it
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        os.close(master)
