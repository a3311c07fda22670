# SPDX-License-Identifier: Apache-2.0
"""What a page takes for granted before its first command, and what its placeholders stand for.

A scene never changes what a page says but for two things: its fixed ports become free ones, and its
placeholders (KEY_ID, REF ...) become what the last output of a command here was.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import sys
import tempfile

from machine import Machine
from shell import Terminal, commands

from pages import ROOT
from waybill_testkit import CLIENT, find_program, free_port


@dataclasses.dataclass(frozen=True)
class Scene:
    """before        commands that are run first, silently
    machine       on a machine of its own, as root: the page makes users
    placeholders  word: command that prints what it stands for, run when the word is first met"""

    before: str = ""
    machine: bool = False
    placeholders: dict[str, str] = dataclasses.field(default_factory=dict)


def started(*names: str) -> str:
    """Sidecars of a team, each with an id in one domain; they answer when the commands are done."""
    lines = []
    for name in names:
        lines += [
            f"printf 'self_ids: [spiffe://example.org/{name}]\\nadmin: {{listen: 127.0.0.1:0}}\\n' >{name}.yaml",
            f"waybilld --name {name} --config {name}.yaml 2>{name}.log &",
        ]
    for name in names:
        lines.append(f"for i in $(seq 100); do waybill status --name {name} >/dev/null 2>&1 && break; sleep 0.1; done")
        lines.append(f"waybill status --name {name} >/dev/null")
    return "\n".join(lines) + "\n"


KEY_OF_PLANNER = "waybill key show --name planner --json | python -c 'import json, sys; print(json.load(sys.stdin)[\"keys\"][0][\"kid\"])'"
STORE = 'mkdir -p "$XDG_DATA_HOME/waybill"\n"$STORE_FILL" "$XDG_DATA_HOME/waybill/store.db"\n'
LAST_TRACE = "waybill trace list --json | python -c 'import json, sys; print(json.load(sys.stdin)[0][\"trace_id\"])'"
SOME_TOKEN = (
    "python -c 'import json; cases = json.load(open(\"tests/vectors/token_v1.json\"))[\"cases\"];"
    " print(next(c[\"carrier\"][\"chain\"][0] for c in cases if c[\"expect\"][\"verdict\"] == \"CONTINUE\"))'"
)
PARTNER = (
    "waybill key new --state-dir partner >/dev/null\n"
    "waybill key show --state-dir partner --json --id https://partner.example/agent >theirs.json\n"
)

SCENES = {
    "examples/c_agent/README.md": Scene(
        before='mkdir build\nln -s "$(dirname "$(dirname "$(command -v waybilld)")")" build/release\n'
    ),
    "docs/security.md": Scene(before="useradd --no-create-home planner\n", machine=True),
    "docs/cli.md": Scene(before=started("a", "b") + STORE + PARTNER + "echo 'print(1)' >agent.py\n"),
    "docs/troubleshooting.md": Scene(before=started("planner") + STORE),
    "docs/otlp.md": Scene(before=started("planner")),
    "docs/metrics.md": Scene(before=started("planner")),
    "docs/upgrade.md": Scene(before=started("planner") + STORE),
    "docs/watching.md": Scene(before="export LC_ALL=C.UTF-8\n" + started("planner", "writer") + STORE),
    "README.md": Scene(
        before=started("writer") + STORE + "export WAYBILL_NAME=planner\n",
        placeholders={"ID": LAST_TRACE, "TOKEN": SOME_TOKEN},
    ),
    "docs/trust.md": Scene(
        before=started("planner", "writer") + PARTNER,
        placeholders={"KEY_ID": KEY_OF_PLANNER, "AGENT_ID": "echo https://partner.example/agent"},
    ),
}


class Reader:
    """Somebody who works through one page."""

    def __init__(self, page: str) -> None:
        self.scene = SCENES.get(page, Scene())
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="wb-docs-", dir="/tmp"))
        self.work = self.home / "waybill"
        self.work.mkdir()
        for entry in ROOT.iterdir():  # a fresh clone, whose files nobody changes
            if entry.name not in (".git", "build"):
                (self.work / entry.name).symlink_to(entry)
        self.env = self._environment()
        self._terminals: list[Terminal] = []
        self._found: dict[str, str] = {}
        self._ports: dict[str, str] = {}
        self._running: dict[str, Terminal] = {}
        self._machine: Machine | None = None
        try:
            self._machine = Machine(self.home / "machine") if self.scene.machine else None
            self.shell = self.open()
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Make what the page takes for granted."""
        for command in commands(self.scene.before):
            code, said = self.shell.run(command)
            if code != 0:
                raise ValueError(f"what the page takes for granted does not work: {command}: {said}")

    def go_on(self, script: str, ready: str, instead_of: str | None) -> None:
        """What runs in a terminal of its own until it is stopped, or the page ends."""
        if instead_of:
            self._running.pop(instead_of).close()
        terminal = self.open()
        terminal.run_until(self.fill_in(script).strip(), ready)
        self._running[script.strip().splitlines()[-1]] = terminal

    def _environment(self) -> dict[str, str]:
        env = {
            key: value for key, value in os.environ.items()
            if not key.startswith(("WAYBILL_", "OTEL_", "XDG_", "PYTHON"))
        }
        runtime = self.home / "run"
        runtime.mkdir(mode=0o700)
        if self.scene.machine:
            (self.home / "machine").mkdir()
            return {**env, "HOME": str(self.home), "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        programs = find_program("waybilld").parent
        interpreter = pathlib.Path(sys.executable).parent
        return {
            **env,
            "HOME": str(self.home),
            "PATH": f"{programs}:{interpreter}:{env.get('PATH', '')}",
            "STORE_FILL": str(find_program("store_fill")),
            "PYTHONPATH": str(CLIENT),  # what `pip install` of a page would have done
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_STATE_HOME": str(self.home / ".local" / "state"),
            "XDG_DATA_HOME": str(self.home / ".local" / "share"),
        }

    def open(self) -> Terminal:
        before = self._machine.enter() if self._machine else None
        terminal = Terminal(self.env, self.work, before)
        self._terminals.append(terminal)
        return terminal

    def close(self) -> None:
        for terminal in reversed(self._terminals):
            terminal.close()
        if self._machine:
            self._machine.close()
        shutil.rmtree(self.home)  # links into the repository go as links

    def put(self, name: str, text: str) -> None:
        path = self.work / name
        if path.is_symlink():
            raise ValueError(f"{name} is a file of the repository")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.fill_in(text), "utf-8")

    def fill_in(self, text: str) -> str:
        """`text` with this reader's ports and placeholders."""
        for port in re.findall(r"(?<=127\.0\.0\.1:)(9\d{3})\b|\b(91\d\d)\b", text):
            self._ports.setdefault(port[0] or port[1], str(free_port()))
        for port, free in self._ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        for word, command in self.scene.placeholders.items():
            if not re.search(rf"\b{word}\b", text):
                continue
            if word not in self._found:
                code, said = self.shell.run(command)
                if code != 0 or not said:
                    raise ValueError(f"{word}: {command}: exit code {code}, {said!r}")
                self._found[word] = said
            text = re.sub(rf"\b{word}\b", self._found[word], text)
        return text

