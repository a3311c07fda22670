# SPDX-License-Identifier: Apache-2.0
"""`waybill run` and `waybill exec`: a command behaves as if they were not there, and its span, its signals
and the sidecar beside it are as docs/run.md says. Real processes, a real terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from typing import Iterator

import pytest
from running import Place, a_place
from waybill_testkit import Sidecar, find_program, wait_until

USAGE, OWN_FAILURE, NOT_EXECUTABLE, NOT_FOUND = 2, 125, 126, 127
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# Says which signals it gets, one a line, so many.
LISTENER = """
import os, signal, sys
heard = [getattr(signal, "SIG" + n) for n in "INT HUP QUIT USR1 USR2 WINCH TERM".split()]
signal.pthread_sigmask(signal.SIG_BLOCK, heard)
os.write(1, b"ready\\n")
for _ in range(int(sys.argv[1])):
    os.write(1, (signal.Signals(signal.sigwait(heard)).name + "\\n").encode())
"""


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made


# -- exit codes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["run", "exec"])
@pytest.mark.parametrize(
    "command, code",
    [
        (["nosuchprogram"], NOT_FOUND),
        (["/nonexistent/program"], NOT_FOUND),
        (["/etc/passwd"], NOT_EXECUTABLE),
        (["/"], NOT_EXECUTABLE),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -9 $$"], 128 + 9),
        (["sh", "-c", "kill -TERM $$"], 128 + 15),
        (["true"], 0),
    ],
)
def test_the_exit_code_is_the_commands(place: Place, verb: str, command: list[str], code: int) -> None:
    done = place.waybill(verb, "--", *command)
    assert done.returncode == code
    assert done.stdout == ""
    if code in (NOT_FOUND, NOT_EXECUTABLE):
        assert done.stderr.startswith(f"waybill: {verb}: {command[0]}: ")


@pytest.mark.parametrize("verb", ["run", "exec"])
@pytest.mark.parametrize(
    "line, why",
    [
        ([], "an argument is missing: COMMAND"),
        (["--"], "an argument is missing: COMMAND"),
        (["--unknown", "--", "true"], "unknown option --unknown"),
        (["--attr", "novalue", "--", "true"], "--attr is KEY=VALUE, not novalue"),
        (["--attr", "=x", "--", "true"], "--attr is KEY=VALUE, not =x"),
        (["--attr=a=b"] * 33 + ["--", "true"], "--attr may be said 32 times at most"),
        (["--json", "--", "true"], "standard output is the command's"),
    ],
)
def test_a_wrong_line_is_refused_before_anything_runs(
    place: Place, verb: str, line: list[str], why: str
) -> None:
    done = place.waybill(verb, *line)
    assert done.returncode == USAGE and why in done.stderr
    assert place.sidecar_pid() is None


def test_what_stands_behind_the_command_is_its_own(place: Place) -> None:
    done = place.waybill("run", "--", "echo", "--name", "x", "--help", "--", "--json")
    assert done.stdout == "--name x --help -- --json\n"


# -- the span ---------------------------------------------------------------------------------------


def test_the_span_says_what_the_conventions_ask_for_and_no_secrets(place: Place) -> None:
    done = place.waybill("run", "--attr", "step=1", "--attr", "url=a=b", "--", "sh", "-c",
                         "echo $PASSWORD; exit 4", "hunter2", PASSWORD="hunter3")  # fmt: skip
    assert done.returncode == 4 and done.stdout == "hunter3\n"
    span = place.spans()["sh"]
    assert (span["kind"], span["status"], span["span_type"]) == ("client", "error", "execution")
    assert span["service"] == "default" and span["parent_span_id"] is None
    found = place.attributes(span)
    assert found["process.exit.code"] == 4 and found["error.type"] == "4"
    assert found["process.command"] == "sh" and found["process.pid"] > 1
    assert found["process.executable.path"].startswith("/")
    assert found["step"] == "1" and found["url"] == "a=b"
    store = (place.base / "data" / "waybill" / "store.db").read_bytes()
    assert b"hunter" not in store


def test_arguments_are_recorded_on_demand_whatever_bytes_they_have(place: Place) -> None:
    odd = os.fsdecode(b"caf\xe9\xff")
    done = place.waybill("run", "--args", "--span-name", "named", "--", "true", "-n", odd, "ü")
    assert done.returncode == 0
    assert place.attributes(place.spans()["named"])["process.command_args"] == [
        "true", "-n", "caf??", "ü",
    ]  # fmt: skip


def test_a_signal_and_a_missing_program_are_errors_by_name(place: Place) -> None:
    place.run("sh", "-c", "kill -KILL $$")
    place.run("nosuchprogram")
    spans = place.spans()
    assert spans["sh"]["error_type"] == "SIGKILL"
    assert spans["nosuchprogram"]["error_type"] == "ENOENT"


def test_a_traceparent_in_its_own_environment_is_the_parent(place: Place) -> None:
    done = place.run("sh", "-c", "echo $TRACEPARENT,$TRACESTATE", TRACEPARENT=PARENT, TRACESTATE="v=1")
    span = place.spans()["sh"]
    assert span["trace_id"].hex() == PARENT[3:35] and span["parent_span_id"].hex() == PARENT[36:52]
    assert done.stdout == f"00-{PARENT[3:35]}-{span['span_id'].hex()}-01,v=1\n"


@pytest.mark.parametrize("broken", ["", "nonsense", PARENT.upper(), "00-" + "0" * 32 + PARENT[35:]])
def test_a_broken_traceparent_starts_a_new_trace(place: Place, broken: str) -> None:
    done = place.run("sh", "-c", "echo $TRACEPARENT,$TRACESTATE", TRACEPARENT=broken, TRACESTATE="v=1")
    span = place.spans()["sh"]
    assert span["parent_span_id"] is None and span["trace_id"].hex() != PARENT[3:35]
    assert done.stdout == f"00-{span['trace_id'].hex()}-{span['span_id'].hex()}-03,\n"


def test_the_command_finds_its_sidecar_in_its_environment(place: Place) -> None:
    show = "echo $WAYBILL_NAME $WAYBILL_SOCKET $OTEL_SERVICE_NAME; test -S $WAYBILL_SOCKET"
    done = place.waybill("run", "--name", "planner", "--", "sh", "-c", show)
    assert done.returncode == 0
    assert done.stdout == f"planner {place.base}/run/waybill/planner/ipc.sock planner\n"
    done = place.waybill("run", "--name", "planner", "--", "sh", "-c", show, OTEL_SERVICE_NAME="mine")
    assert done.stdout.endswith(" mine\n")


def test_a_run_below_a_run_may_have_another_sidecar(place: Place) -> None:
    inner = "waybill run --name inner -- sh -c 'echo $WAYBILL_NAME $WAYBILL_SOCKET'"
    done = place.waybill("run", "--name", "outer", "--", "sh", "-c", inner)
    assert done.stdout == f"inner {place.base}/run/waybill/inner/ipc.sock\n", done.stderr
    same = place.waybill("run", "--name", "outer", "--", "waybill", "run", "--verbose", "--", "true")
    assert "using sidecar outer" in same.stderr


def test_the_command_starts_with_the_signals_that_we_were_given(place: Place) -> None:
    """Neither blocked nor ignored, SIGPIPE above all, which the command line itself ignores."""
    done = place.run("cat", "/proc/self/status")
    masks = dict(re.findall(r"^Sig(Blk|Ign):\s+(\S+)$", done.stdout, re.M))
    assert masks == {"Blk": "0" * 16, "Ign": "0" * 16}


# -- exec -------------------------------------------------------------------------------------------


def test_steps_of_a_script_are_a_tree_below_the_run(place: Place) -> None:
    script = place.script("job.sh", """
        waybill exec --span-name fetch -- sh -c 'waybill exec --span-name parse -- true' || exit 9
        waybill exec --span-name store --attr rows=12 -- sh -c 'exit 5'
        test $? = 5 || exit 9
        """)  # fmt: skip
    done = place.waybill("run", "--span-name", "job", "--", "sh", script)
    assert done.returncode == 0 and done.stderr == ""
    spans = place.spans()
    assert {name: span["parent_span_id"] for name, span in spans.items()} == {
        "job": None,
        "fetch": spans["job"]["span_id"],
        "parse": spans["fetch"]["span_id"],
        "store": spans["job"]["span_id"],
    }
    assert len({span["trace_id"] for span in spans.values()}) == 1
    assert (spans["store"]["status"], spans["fetch"]["status"]) == ("error", "unset")


def test_a_step_without_a_sidecar_runs_and_says_nothing(place: Place) -> None:
    step = ["--", "sh", "-c", "echo $TRACEPARENT; exit 6"]
    done = place.waybill("exec", *step, TRACEPARENT=PARENT)
    assert (done.returncode, done.stdout, done.stderr) == (6, PARENT + "\n", "")
    assert place.sidecar_pid() is None
    told = place.waybill("exec", "--verbose", *step)
    assert told.returncode == 6 and "no sidecar, so the command runs untraced" in told.stderr


# -- the sidecar ------------------------------------------------------------------------------------


def test_a_sidecar_of_its_own_is_gone_afterwards(place: Place) -> None:
    done = place.waybill("run", "--verbose", "--", "waybill", "status")
    assert done.returncode == 0 and "started sidecar default" in done.stderr
    assert place.sidecar_pid() is None
    assert '"stopped"' in (place.base / "run/waybill/default/sidecar.log").read_text("utf-8")


def test_a_sidecar_that_runs_is_used_and_left_alone() -> None:
    with Sidecar("agent") as sidecar:
        assert sidecar.cli("run", "--", "echo", "2") == "2\n"
        assert sidecar.running and sidecar.status()["pid"] == sidecar.pid
        sidecar.cli("exec", "--", "true")
        sidecar.stop()
        listed = json.loads(sidecar.cli("trace", "list", "--json"))
        assert sorted(trace["root_name"] for trace in listed) == ["echo", "true"]


def test_the_last_of_two_runs_ends_the_sidecar(place: Place) -> None:
    wait = "echo ready; while [ ! -e $0 ]; do sleep 0.02; done; exit 0"
    first = place.start("run", "--span-name", "first", "--", "sh", "-c", wait, str(place.base / "a"))
    assert first.stdout.readline() == "ready\n"
    second = place.start("run", "--span-name", "second", "--", "sh", "-c", wait, str(place.base / "b"))
    assert second.stdout.readline() == "ready\n"
    pid = place.sidecar_pid()
    (place.base / "a").touch()
    assert first.wait(20) == 0
    assert place.sidecar_pid() == pid is not None
    (place.base / "b").touch()
    assert second.wait(20) == 0
    assert place.sidecar_pid() is None
    assert sorted(place.spans()) == ["first", "second"]


def test_runs_at_the_same_moment_share_one_sidecar_and_lose_nothing(place: Place) -> None:
    runs = [place.start("run", "--span-name", f"r{i}", "--", "sleep", "0.1") for i in range(6)]
    for run in runs:
        _, said = run.communicate(timeout=60)
        assert (run.returncode, said) == (0, "")
    assert sorted(place.spans()) == [f"r{i}" for i in range(6)]
    assert place.sidecar_pid() is None


def test_what_a_killed_run_left_is_used_and_ended_by_the_next(place: Place) -> None:
    run = place.start("run", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert run.stdout.readline() == "ready\n"
    pid = place.sidecar_pid()
    run.kill()
    run.wait()
    assert place.sidecar_pid() == pid is not None
    done = place.waybill("run", "--verbose", "--", "true")
    assert "using sidecar default" in done.stderr
    assert place.sidecar_pid() is None


def test_a_sidecar_that_is_killed_comes_back_and_nothing_is_lost(place: Place) -> None:
    script = place.script("job.sh", """
        waybill exec --span-name before -- true
        kill -9 $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' $XDG_RUNTIME_DIR/waybill/default/status.json)
        for i in $(seq 500); do waybill status >/dev/null 2>&1 && break; sleep 0.02; done
        waybill exec --span-name after -- true
        """)  # fmt: skip
    done = place.waybill("run", "--span-name", "job", "--", "sh", script)
    assert done.returncode == 0
    assert "the sidecar ended, and is started again" in done.stderr
    assert sorted(place.spans()) == ["after", "before", "job"]
    assert place.sidecar_pid() is None


def test_a_sidecar_that_is_killed_last_of_all_still_takes_the_span(place: Place) -> None:
    kill = """kill -9 $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' $XDG_RUNTIME_DIR/waybill/default/status.json)"""
    done = place.run("sh", "-c", kill)
    assert done.returncode == 0 and sorted(place.spans()) == ["sh"]


def test_a_sidecar_that_cannot_start_is_said_with_its_reason_and_the_command_runs(place: Place) -> None:
    bad = place.script("bad.yaml", "journal:\n  nosuchkey: 1\n")
    line = ["--config", bad, "--", "sh", "-c", "echo $TRACEPARENT,ran; exit 7"]
    done = place.waybill("run", *line, TRACEPARENT=PARENT)
    assert (done.returncode, done.stdout) == (7, PARENT + ",ran\n")
    assert "no sidecar, so the command runs untraced: " in done.stderr and "nosuchkey" in done.stderr
    required = place.waybill("run", "--require", *line)
    assert (required.returncode, required.stdout) == (OWN_FAILURE, "")
    assert "no sidecar, so the command was not run: " in required.stderr
    nowhere = place.waybill("run", "--", "echo", "ran", XDG_RUNTIME_DIR="/proc/nowhere")
    assert (nowhere.returncode, nowhere.stdout) == (0, "ran\n")
    assert "cannot make directory /proc/nowhere" in nowhere.stderr


def test_the_sidecars_program_is_looked_for_beside_ours_then_in_the_path(place: Place) -> None:
    alone = place.base / "bin"
    alone.mkdir()
    shutil.copy(find_program("waybill"), alone / "waybill")
    line = [str(alone / "waybill"), "run", "--verbose", "--", "echo", "ran"]
    found = subprocess.run(line, env=place.env, capture_output=True, text=True, timeout=30)
    assert found.returncode == 0 and "started sidecar default" in found.stderr
    assert "share/waybill/python is not beside this program" in found.stderr
    env = {**place.env, "PATH": "/usr/bin:/bin"}
    missing = subprocess.run(line, env=env, capture_output=True, text=True, timeout=30)
    assert (missing.returncode, missing.stdout) == (0, "ran\n")
    assert "waybilld: cannot be executed: No such file or directory" in missing.stderr


def test_a_sidecar_that_is_not_ours_and_goes_for_good_costs_the_span_alone() -> None:
    with Sidecar("agent") as sidecar:
        done = subprocess.run(
            [str(find_program("waybill")), "run", "--", "sh", "-c", f"kill -9 {sidecar.pid}; exit 3"],
            env=sidecar.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 3
        assert done.stderr.startswith("waybill: run: the command's span is lost: ")
        assert not sidecar.running


def test_places_on_the_command_line_hold_for_the_sidecar_too(place: Place) -> None:
    done = place.waybill("--state-dir", str(place.base / "elsewhere"), "--store",
                         str(place.base / "my.db"), "run", "--", "true")  # fmt: skip
    assert done.returncode == 0
    assert (place.base / "elsewhere" / "journal").is_dir() and (place.base / "my.db").exists()
    assert not (place.base / "data" / "waybill").exists()


# -- signals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_each_signal_that_is_sent_reaches_the_command_once(place: Place, verb: str) -> None:
    names = ["SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTERM"]
    run = place.start(verb, "--", sys.executable, "-c", LISTENER, str(len(names)))
    assert run.stdout.readline() == "ready\n"
    for name in names:
        run.send_signal(getattr(signal, name))
        assert run.stdout.readline() == name + "\n"
    assert run.wait(20) == 0 and run.stdout.read() == ""


def test_a_command_that_a_signal_ends_gives_its_number(place: Place) -> None:
    run = place.start("run", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert run.stdout.readline() == "ready\n"
    run.terminate()
    assert run.wait(20) == 128 + signal.SIGTERM
    assert place.spans()["sh"]["error_type"] == "SIGTERM" and place.sidecar_pid() is None


class Terminal:
    """A program on a terminal of its own, as the leader of its session."""

    def __init__(self, *argv: str, env: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python's own habit is not a shell's
            os.execve(argv[0], list(argv), env)
        self.said = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str, timeout_s: float = 20.0) -> None:
        """Read until `text` came, and forget what was before and with it."""
        deadline = time.monotonic() + timeout_s
        while text not in self.said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"no {text!r} in {self.said!r}")
            try:
                self.said += os.read(self.fd, 4096).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(f"it ended without {text!r}: {self.said!r}") from None
        self.said = self.said.split(text, 1)[1]

    def prompt(self) -> None:
        """Wait until the shell reads its next line: what is typed while it changes modes may be lost."""
        self.expect("prompt> ")
        wait_until(lambda: not termios.tcgetattr(self.fd)[3] & termios.ICANON, 20, "readline")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGHUP)
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def jobs_of(session: int) -> list[tuple[int, str]]:
    """Process and state (proc(5)) of all in that session but the leader."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and int(stat.parent.name) != session:
                found.append((int(stat.parent.name), state))
    return found


@pytest.fixture
def shell(place: Place) -> Iterator[Terminal]:
    env = {**place.env, "PS1": "prompt> ", "HISTFILE": "", "TERM": "dumb"}
    terminal = Terminal("/bin/bash", "--norc", "--noprofile", "-i", env=env)
    try:
        terminal.prompt()
        terminal.type("bind 'set enable-bracketed-paste off' 2>/dev/null; stty -echo\n")
        terminal.prompt()
        yield terminal
    finally:
        terminal.close()


def test_the_command_owns_the_terminal_and_ctrl_z_and_fg_work(place: Place, shell: Terminal) -> None:
    shell.type("waybill run --span-name t -- sh -c 'echo re''ady; read line; echo got:$line; exit 3'\n")
    shell.expect("ready")
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.prompt()
    # The shell looks at waybill alone. Until the command has stopped too it may still take what is typed.
    wait_until(lambda: {state for pid, state in jobs_of(shell.pid)} == {"T"}, 20, "all of the job")
    shell.type("fg\n")
    shell.expect("read line")  # bash says what it continues
    shell.type("hello\n")
    shell.expect("got:hello")
    shell.prompt()
    shell.type("echo code:$?\n")
    shell.expect("code:3")
    assert place.spans()["t"]["status"] == "error"


def test_ctrl_c_reaches_the_command_once_and_not_the_sidecar(place: Place, shell: Terminal) -> None:
    listener = place.script("listener.py", LISTENER)
    shell.type(f"waybill run --span-name t -- {sys.executable} {listener} 2; echo code:$?\n")
    shell.expect("ready")
    pid = place.sidecar_pid()
    shell.type("\x03")
    shell.expect("SIGINT")
    time.sleep(0.3)  # a second one would come now, and end it
    assert place.sidecar_pid() == pid is not None
    shell.type("\x1c")
    shell.expect("SIGQUIT")
    shell.expect("code:0")
    assert place.spans()["t"]["status"] == "unset" and place.sidecar_pid() is None


def test_a_command_that_stops_itself_gives_the_prompt_back(place: Place, shell: Terminal) -> None:
    stop = "import os, signal; os.kill(os.getpid(), signal.SIGTSTP); print('go' + 'es on')"
    shell.type(f'waybill run -- {sys.executable} -c "{stop}"\n')
    shell.expect("Stopped")
    shell.prompt()
    shell.type("fg\n")
    shell.expect("goes on")
    shell.prompt()


def test_in_a_pipeline_it_is_one_job_with_its_neighbours(place: Place, shell: Terminal) -> None:
    shell.type("waybill run -- yes | head -2 | waybill run -- cat; echo codes:${PIPESTATUS[*]}\n")
    shell.expect("y\r\ny\r\n")
    shell.expect(f"codes:{128 + signal.SIGPIPE} 0 0")


# -- the drain --------------------------------------------------------------------------------------


AGENT = """
import os, waybill
wb = waybill.default()
for i in range(3000):
    with wb.span(f"s{i}"):
        pass
os.write(1, b"done")
"""


def test_the_spans_of_an_agent_that_ends_are_all_in_the_store(place: Place) -> None:
    """3000 spans just before the end; their parent is the run's span, though the agent has no word
    of it."""
    agent = place.script("agent.py", AGENT)
    client = str(find_program("waybill").parents[1] / "share/waybill/python/lib")
    done = place.run(sys.executable, agent, PYTHONPATH=client)
    assert (done.returncode, done.stdout) == (0, "done")
    spans = place.spans()
    (root,) = (span for span in spans.values() if span["parent_span_id"] is None)
    assert len(spans) == 3001
    assert {s["parent_span_id"] for s in spans.values() if s is not root} == {root["span_id"]}
    assert {s["trace_id"] for s in spans.values()} == {root["trace_id"]}


def test_a_second_signal_ends_a_drain_that_cannot_succeed(place: Place) -> None:
    """Nothing acknowledged is lost: the next sidecar delivers it from the journal."""
    config = place.script("c.yaml", "drain_timeout_ms: 600000\n")
    done = place.waybill("run", "--config", config, "--", "true")
    assert done.returncode == 0 and len(place.rows("SELECT 1 FROM spans")) == 1
    store = place.base / "data" / "waybill" / "store.db"
    lock = "import sqlite3,sys,time; d=sqlite3.connect(sys.argv[1]); d.execute('BEGIN EXCLUSIVE'); " \
        "print('locked', flush=True); time.sleep(60)"  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", lock, str(store)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "locked\n"
            run = place.start("run", "--config", config, "--span-name", "late", "--", "echo", "ready")
            assert run.stdout.readline() == "ready\n"
            log = place.base / "run/waybill/default/sidecar.log"
            wait_until(lambda: '"drain"' in log.read_text("utf-8"), 20, "the drain")
            run.send_signal(signal.SIGINT)
            assert run.wait(20) == 0
            assert place.sidecar_pid() is None
        finally:
            holder.kill()
    assert place.waybill("run", "--", "true").returncode == 0
    assert [r["name"] for r in place.rows("SELECT name FROM spans ORDER BY started_ns")] == [
        "true", "late", "true",
    ]  # fmt: skip
