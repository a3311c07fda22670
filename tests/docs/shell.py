# SPDX-License-Identifier: Apache-2.0
"""A reader at a terminal: one bash for all of a page's commands, in a home that is thrown away.

Commands go to bash one by one, so that a failure names its command, and what a command changes
(directory, variables, jobs in the background) is there for the next one, as it is for the reader. A block
that runs until the reader stops it ("terminal") gets a bash of its own. Everything that was started ends
with the page: each bash leads a process group, which is killed as a whole.
"""

from __future__ import annotations

import os
import pathlib
import queue
import re
import secrets
import signal
import subprocess
import threading
import time

MARK = "waybill-docs-" + secrets.token_hex(8)
LIMIT_S = 60.0


class Failed(AssertionError):
    """A command did not do what its page says."""


class Terminal:
    """A bash and what it has said so far."""

    def __init__(self, env: dict[str, str], cwd: pathlib.Path, before: list[str] | None = None) -> None:
        self._scripts = cwd / f".commands-{secrets.token_hex(4)}"
        self._scripts.mkdir()
        self.process = subprocess.Popen(
            [*(before or []), "bash", "--norc", "--noprofile"], cwd=cwd, env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, text=True,
            errors="replace", bufsize=1,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _next(self, deadline: float, what: str) -> str | None:
        try:
            return self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError(f"{what}: not within {LIMIT_S:.0f} s") from None

    def _write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of one command, which reads nothing from the terminal. What it says on
        standard error comes behind the rest: a program that writes to no terminal keeps no order."""
        script, errors = self._scripts / "command", self._scripts / "errors"
        script.write_text(command + "\n")
        self._write(f". '{script}' </dev/null 2>'{errors}'\nprintf '\\n%s %d\\n' {MARK} $?\n")
        said, deadline = [], time.monotonic() + LIMIT_S
        while True:
            line = self._next(deadline, command)
            if line is None:
                raise Failed(f"{command}: the shell ended\n{''.join(said)}")
            if line.startswith(MARK):
                errors_said = errors.read_text("utf-8", "replace")
                return int(line.split()[1]), f"{''.join(said).strip()}\n{errors_said}".strip("\n")
            said.append(line)

    def run_until(self, command: str, ready: str) -> None:
        """Start what goes on by itself; return once it has said `ready`."""
        self._write(command + "\n")
        said, deadline = [], time.monotonic() + LIMIT_S
        while True:
            try:
                line = self._next(deadline, command)
            except TimeoutError:
                line = None
            if line is None:
                raise Failed(f"{command}: did not say {ready!r}, but\n{''.join(said)}")
            said.append(line)
            if ready in line:
                return

    def close(self) -> None:
        """End the shell and whatever it started: politely, then not."""
        group = self.process.pid
        for how, patience_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(group, how)
            except ProcessLookupError:
                break
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline and group_lives(group):
                time.sleep(0.02)
        self.process.wait()
        self._reader.join(5)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


def group_lives(group: int) -> bool:
    """Whether a process of the group runs. Dead ones that nobody has asked for yet do not count: their
    parent may be a process 1 that takes its time."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def commands(script: str) -> list[str]:
    """A block's commands, each whole: continued lines, loops and here-documents stay together."""
    found, pending = [], ""
    for line in script.splitlines():
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        pending += line + "\n"
        done = subprocess.run(["bash", "-n"], input=pending, capture_output=True, text=True)
        if done.returncode == 0 and not done.stderr and not re.search(r"\\\n\Z", pending):
            found.append(pending.rstrip("\n"))
            pending = ""
    if pending:
        raise Failed(f"not a whole command: {pending}")
    return found


def transcript(text: str) -> list[tuple[str, str]]:
    """The commands of a console block ("$ " begins one, "> " goes on) with the output shown."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif not found:
            raise Failed(f"a console block begins with a command, not with {line!r}")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1] = (found[-1][0] + "\n" + line[2:], "")
        else:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


def matches(shown: str, said: str) -> bool:
    """Whether `said` is what the page shows. "..." is anything on a line; alone on a line, any lines.
    Runs of spaces are alike, since columns are as wide as what is in them."""
    pattern = ""
    for line in shown.strip("\n").splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
            continue
        words = re.split(r"\s+", line.strip())
        parts = [".*?".join(re.escape(p) for p in word.split("...")) for word in words]
        pattern += r"\s+".join(parts) + r"\n"
    plain = "".join(re.sub(r"[ \t]+", " ", line).strip() + "\n" for line in said.strip("\n").splitlines())
    return re.fullmatch(pattern, plain) is not None
