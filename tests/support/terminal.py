# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of its own: what it draws, how large its window is, what is typed.

`Terminal` is the terminal's other end: a pseudo-terminal whose mode and window size can be read and
set, and whose output is kept. It interprets nothing; tests look for what was written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Any

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """One program with standard input, output and error on a pseudo-terminal.

    stdout   a file or pipe for its standard output instead, as in `program > file`
    """

    def __init__(
        self,
        args: Sequence[str | os.PathLike[str]],
        env: Mapping[str, str],
        *,
        rows: int = 24,
        columns: int = 80,
        stdout: int | None = None,
        cwd: pathlib.Path | None = None,
    ) -> None:
        self.master, slave = pty.openpty()
        self.text = ""
        self.resize(rows, columns, tell=False)
        self.mode_before = termios.tcgetattr(self.master)
        self.process = subprocess.Popen(
            [str(arg) for arg in args],
            env={"TERM": "xterm-256color", **env},
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def resize(self, rows: int, columns: int, tell: bool = True) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def mode(self) -> list[Any]:
        return termios.tcgetattr(self.master)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self, timeout_s: float) -> str:
        """What comes within the time, and at once when something came; also kept in `text`."""
        ready, _, _ = select.select([self.master], [], [], timeout_s)
        if not ready:
            return ""
        try:
            new = os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # the last program on it has ended
            return ""
        self.text += new
        return new

    def wait_for(self, text: str, timeout_s: float = 10.0, after: int = 0) -> int:
        """Read until `text` was written behind the first `after` characters; where it ends."""
        deadline = time.monotonic() + timeout_s
        while text not in self.text[after:]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {text!r} in {self.text[after:]!r}")
            self.read(0.1)
        return self.text.index(text, after) + len(text)

    def end(self, timeout_s: float = 10.0) -> int:
        """Wait for its end; returns the exit code, negative: the signal."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"it did not end: {self.text[-2000:]!r}")
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
