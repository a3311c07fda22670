# SPDX-License-Identifier: Apache-2.0
"""The demo: real A2A agents, one signed and verified trace. ./demo.sh is the way in.

Acts, one line of narration each:
    0  without Waybill: an agent with plain OpenTelemetry joins a trace that a stranger made up
    1  planner asks researcher (a stream), proofreader (in C; a message) and writer (a task, polled);
       the last two ask researcher: depth 2
    2  the open delegation is seen; writer's sidecar is killed with -9 and started again
    3  an outsider with an unknown key: linked, in a trace of its own
    4  an attacker forges, replays, re-aims and widens: refused, and told next to nothing
    5  one stitched tree
At the end checker.py, which shares no code with Waybill, verifies what the store holds. Its verdict is
the exit code.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from backends import STORES, Backends
from stage import HERE, IDS, DemoFailed, Stage

CHECK_S = 10.0
MARKER_S = 2.2  # the first is due a second after the delegation began, and writer works for 2.5 s
PLANTS = {"missing-key": "writer", "missing-key-c": "proofreader", "no-restart": ""}


class Demo:
    def __init__(self, stage: Stage, options: argparse.Namespace) -> None:
        self.stage = stage
        self.options = options
        self.out = sys.stderr if options.json else sys.stdout
        self.report: dict[str, Any] = {"attacks": [], "store": stage.store,
                                       "jaeger": stage.backends.jaeger_url}

    def tell(self, act: int, text: str) -> None:
        print(f"{act} | {text}", file=self.out, flush=True)

    def cli(self, *args: str, of: str = "planner") -> str:
        return self.stage.sidecars[of].cli(*args)

    # -- the acts --------------------------------------------------------------------------------

    def open(self) -> None:
        """Start everybody; the servers start side by side."""
        stage = self.stage
        if PLANTS.get(self.options.plant):
            stage.take_key_away(PLANTS[self.options.plant], "planner")
        port = {name: str(number) for name, number in stage.ports.items()}
        stage.start_sidecars()
        proofreader = [str(stage.build_c_agent()), "--port", port["proofreader"], "--agent-id",
                       IDS["proofreader"], "--next", stage.url("researcher")]
        self.plain = stage.start("plain_agent.py", port["plain"])
        servers = [
            self.plain,
            stage.start("researcher.py", port["researcher"], sidecar="researcher"),
            stage.start_program("proofreader", proofreader, "proofreader"),
            stage.start("writer.py", port["writer"], stage.url("researcher"), sidecar="writer"),
            stage.start("attacker.py", "serve", port["attacker"]),
        ]
        for server in servers:
            server.expect("ready")

    def act0(self) -> None:
        forged = os.urandom(16).hex()
        traceparent = f"00-{forged}-{os.urandom(8).hex()}-01"
        attacker = self.stage.start("attacker.py", "forge-trace", self.stage.url("plain"), traceparent)
        joined = self.plain.expect("joined")
        attacker.wait()
        if joined["trace_id"] != forged:
            raise DemoFailed("the plain agent did not join the forged trace")
        self.tell(0, f"without Waybill: plain OpenTelemetry joins trace {forged[:8]}…, which a stranger "
                  f"made up (its span {joined['span_id']})")
        self.plain.end()

    def act1(self) -> None:
        stage = self.stage
        self.planner = stage.start("planner.py", "report", stage.url("researcher"),
                                   stage.url("proofreader"), stage.url("writer"), sidecar="planner")
        self.trace_id = self.planner.expect("began")["trace_id"]
        found = self.planner.expect("researched")
        read = self.planner.expect("proofread")
        self.report["trace_id"] = self.trace_id
        self.tell(1, f"planner asks researcher over A2A: {found['events']} events streamed, "
                  f"\"{found['answer']}\"; proofreader, an agent in C, which asks researcher again: "
                  f"\"{read['answer']}\"; then writer, whose task it polls")

    def act2(self) -> None:
        self.planner.expect("writing")
        rows = self.open_delegations()
        self.report["open_seen"] = rows
        marked = self.see_markers()
        sidecar = self.stage.sidecars["writer"]
        sidecar.kill9()
        self.report["killed_ns"] = time.time_ns()
        then = "and left dead"
        if self.options.plant != "no-restart":
            sidecar.start()
            then = "and started again"
        done = self.planner.expect("written")
        self.planner.wait()
        seen = ", ".join(f"{r['sidecar']} -> {r['target_name']} {r['state']}" for r in rows) or "none"
        self.tell(2, f"`waybill delegations` shows it open: {seen}{marked}; writer's sidecar is killed with -9 "
                  f"{then}; the task ends: {done['state']}")

    def open_delegations(self) -> list[Any]:
        """As the command line shows them, once the store has what each sidecar knows by now."""
        deadline = time.monotonic() + 2
        while True:
            rows = json.loads(self.cli("--json", "delegations", "--open"))
            rows = [row for row in rows if row.get("trace_id") == self.trace_id]
            if [row["target_name"] for row in rows] == ["writer"] or time.monotonic() >= deadline:
                return rows
            time.sleep(0.05)

    def see_markers(self) -> str:
        """Jaeger knows finished spans only; a mark below the open delegation's span stands for it."""
        if not self.stage.backends.jaeger_url:
            return ""
        deadline = time.monotonic() + MARKER_S
        while not (seen := self.stage.backends.markers(self.trace_id)) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.report["markers_seen"] = seen
        return f", and so does Jaeger ({seen} marks)"

    def act3(self) -> None:
        outsider = self.stage.start("outsider.py", self.stage.url("researcher"), sidecar="outsider")
        self.report["outsider_trace_id"] = outsider.expect("began")["trace_id"]
        answered = outsider.expect("answered")
        outsider.wait()
        self.tell(3, f"an outsider with an unknown key is answered ({answered['answer']}), in a trace of "
                  "researcher's own, linked")

    def act4(self) -> None:
        stage = self.stage
        errand = stage.start("planner.py", "errand", stage.url("attacker"), sidecar="planner")
        self.report["errand_trace_id"] = errand.expect("began")["trace_id"]
        errand.expect("handed")
        errand.wait()
        attacker = stage.start("attacker.py", "attack", stage.url("researcher"), str(stage.seed),
                               str(stage.wire))
        for _ in range(4):
            self.report["attacks"].append(attacker.expect("attacked"))
        attacker.wait()
        codes = ", ".join(f"{a['trick']} {self.code_of(a)}" for a in self.report["attacks"])
        self.tell(4, f"an attacker is refused, told a class and a reference only; the log has: {codes}")

    def code_of(self, attack: dict[str, Any]) -> str:
        """What the victim's own log says about it."""
        for line in self.stage.sidecars["researcher"].log().splitlines():
            if attack["message_id"] in line and "code=" in line:
                return line.split('code="')[1].split('"')[0]
        return "nothing"

    def act5(self) -> None:
        tree = self.cli("trace", "show", self.trace_id)
        self.tell(5, f"one tree of everything, stitched from four sidecars: trace {self.trace_id}")
        if self.options.json:
            print(self.cli("--json", "trace", "show", self.trace_id), end="")
        else:
            print(tree, end="")

    # -- the verdict -----------------------------------------------------------------------------

    def check(self) -> bool:
        """checker.py's verdict; what was acknowledged last may still be on its way to the store."""
        stage = self.stage
        self.report["keys"] = {IDS[name]: key for name, key in stage.keys.items()}
        self.report["logs"] = {name: str(s.log_file) for name, s in stage.sidecars.items()}
        self.report["trust"] = {name: str(s.state_dir / "trust.d") for name, s in stage.sidecars.items()}
        file = stage.folder / "report.json"
        file.write_text(json.dumps(self.report, indent=1))
        deadline = time.monotonic() + CHECK_S
        while True:
            done = subprocess.run([sys.executable, str(HERE / "checker.py"), str(file)],
                                  capture_output=True, text=True)
            if done.returncode == 0 or time.monotonic() >= deadline:
                break
            time.sleep(0.3)
        print((done.stdout + done.stderr).strip(), file=self.out)
        return done.returncode == 0

    def play(self) -> bool:
        self.open()
        self.act0()
        self.act1()
        self.act2()
        self.act3()
        self.act4()
        good = self.check()
        self.act5()
        return good


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./demo.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("--store", choices=STORES, default="sqlite",
                        help="postgres: a server of the demo's own (default: sqlite)")
    parser.add_argument("--jaeger", action="store_true",
                        help="also to a Jaeger of the demo's own (the first time it is built: minutes, and Go)")
    parser.add_argument("--json", action="store_true", help="print the tree as JSON, the rest to stderr")
    parser.add_argument("--keep", action="store_true", help="leave all running, say what to try")
    parser.add_argument("--folder", type=pathlib.Path, help="work in this new folder and leave it there")
    parser.add_argument("--plant", choices=PLANTS, help="break something: the demo must fail")
    options = parser.parse_args()
    if options.keep and (options.jaeger or options.store != "sqlite"):
        parser.error("--keep goes with SQLite and without Jaeger: the demo's own servers end with it")
    return options


def show_what_to_try(demo: Demo) -> None:
    waybill, stop = demo.stage.leave_running()
    print(f"\nAll is left running. Try:\n    {waybill} trace list\n"
          f"    {waybill} trace show {demo.trace_id}\n    {waybill} delegations\n"
          f"and end it with:\n    {stop}", file=demo.out)


def perform(stage: Stage, options: argparse.Namespace) -> bool:
    """Play, and say how it went."""
    started = time.monotonic()
    demo = Demo(stage, options)
    try:
        stage.prepare()
        good = demo.play()
    except (DemoFailed, RuntimeError, TimeoutError, OSError) as error:
        print(f"demo: FAILED: {error}", file=demo.out)
        options.keep = False
        return False
    took = time.monotonic() - started
    print(f"demo: {'passed' if good else 'FAILED'}, {took:.1f} s", file=demo.out)
    if options.keep:
        show_what_to_try(demo)
    return good


def clear_away(stage: Stage, options: argparse.Namespace, good: bool) -> None:
    stage.close()
    if options.folder:
        shutil.copytree(stage.folder, options.folder, ignore=shutil.ignore_patterns("ipc.sock"))
    if good or options.folder:
        shutil.rmtree(stage.folder, ignore_errors=True)
    else:
        print(f"logs, journals and store: {stage.folder}", file=sys.stderr)


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # below /tmp: a socket's path may have 107 bytes
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _frame: sys.exit(128 + number))
    try:
        backends = Backends(options.store, options.jaeger)
    except (RuntimeError, TimeoutError, OSError) as error:
        print(f"demo: FAILED: {error}", file=sys.stderr)
        return 1
    good, stage = False, Stage(pathlib.Path(tempfile.mkdtemp(prefix="wb-demo-", dir="/tmp")), backends)
    try:
        good = perform(stage, options)
    finally:
        if not (good and options.keep):
            clear_away(stage, options, good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
