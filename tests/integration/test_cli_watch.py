# SPDX-License-Identifier: Apache-2.0
"""What keeps looking: `tail`, `delegations --watch`, and `agents`, on stores that change under them."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator

import pytest
from agents import Asker, a_delegate, agent_id, an_accept, company, origin
from cli_store import FAILURE, USAGE, YES, change, clean_env, copy_of, filled_store, read, trace_id, waybill
from terminal import ENTER, LEAVE, Terminal
from waybill_testkit import Sidecar, find_program, is_sanitized, wait_until

from waybill._wire import Finish, Settle
from waybill.spans import TYPES


@pytest.fixture(scope="module")
def filled():
    with filled_store() as path:
        yield path


@pytest.fixture
def store(filled, tmp_path):
    return copy_of(filled, tmp_path / "store.db")


class Follower:
    """A `waybill` that prints lines; they are read as they come."""

    def __init__(self, store: pathlib.Path, *args: str) -> None:
        self.process = subprocess.Popen(
            [str(find_program("waybill")), "--store", str(store), *args],
            env=clean_env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(file, lines: list[str]) -> None:
        for line in file:
            lines.append(line.rstrip("\n"))

    def rows(self) -> list[dict]:
        return [json.loads(line) for line in list(self.lines)]

    def wait_for(self, n: int, timeout_s: float = 10.0) -> None:
        wait_until(lambda: len(self.lines) >= n, timeout_s, f"{n} lines, not {self.lines} {self.errors}")

    def begun(self) -> "Follower":
        """With `tail -n 1`: what is written from now on is new to it."""
        self.wait_for(1)
        self.lines.clear()
        return self

    def catches_interrupts(self) -> bool:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        return bool(caught & 1 << (signal.SIGINT - 1))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(10)
        for reader in self.readers:
            reader.join(10)
        return code

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for reader in self.readers:
            reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()


def span(n: int, *, name: str = "new", started_ns: int = 1, sidecar: int = 1, seq: int = 10**6, status: str = "ok",
         span_type: str | None = None, trace: int = 9) -> tuple[str, tuple]:
    return (
        "INSERT INTO spans (trace_id, span_id, name, kind, started_ns, ended_ns, status, span_type, sidecar_id, seq,"
        " span) VALUES (?, ?, ?, 'internal', ?, ?, ?, ?, ?, ?, x'')",
        (bytes.fromhex(trace_id(trace)), n.to_bytes(8, "big"), name, started_ns, started_ns + 5, status, span_type,
         sidecar, seq),
    )


def delegation(n: int, version: int, seq: int, state: str = "in_flight", sidecar: int = 1) -> tuple[str, tuple]:
    """As the exporter writes it: the row is replaced."""
    return (
        "INSERT OR REPLACE INTO delegations (delegation_id, version, state, trace_id, span_id, trace_flags,"
        " target_name, opened_ns, updated_ns, late_answer, chain, depth, sidecar_id, seq)"
        " VALUES (?, ?, ?, ?, ?, 1, 'writer', 1, 2, 0, '[]', 0, ?, ?)",
        (n.to_bytes(16, "big"), version, state, bytes.fromhex(trace_id(9)), n.to_bytes(8, "big"), sidecar, seq),
    )


# ---- tail: refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [["tail", "extra"], ["tail", "--trace", "XYZ"], ["tail", "--trace", "0" * 33], ["tail", "-n", "-1"],
     ["tail", "--status", "fine"], ["tail", "--lines", "1000001"], ["agents", "--limit", "0"], ["agents", "x"],
     ["top", "--interval", "1ms"], ["top", "extra"]],
)
def test_a_wrong_command_line_is_2(store, args):
    done = waybill("--store", str(store), *args)
    assert done.returncode == USAGE and done.stdout == "" and "--help" in done.stderr


def spoil(store: pathlib.Path, how: str) -> None:
    if how == "newer":
        with contextlib.closing(sqlite3.connect(store)) as db:
            db.execute("PRAGMA user_version = 99")
    elif how == "older":
        with contextlib.closing(sqlite3.connect(store)) as db:
            db.execute("PRAGMA user_version = 1")
    else:
        store.write_bytes(b"this is no database " * 1000)


@pytest.mark.parametrize("how, says", [("newer", "newer Waybill"), ("older", "migrates it"),
                                       ("broken", "not a database")])
@pytest.mark.parametrize("verb", [["tail"], ["agents"], ["delegations", "--watch"], ["trace", "export", "--all"]])
def test_a_store_that_cannot_be_read_is_an_error_at_once(store, how, says, verb):
    spoil(store, how)
    done = waybill("--store", str(store), *verb)
    assert done.returncode == FAILURE and says in done.stderr and done.stdout == ""


def test_a_store_locked_by_another_is_an_error_in_time(store):
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        done = waybill("--store", str(store), "agents")
    assert done.returncode == FAILURE and "locked" in done.stderr


# ---- tail: what is new -------------------------------------------------------------------------


def test_it_begins_with_the_spans_that_arrived_last_and_ends_by_ctrl_c_with_0(store):
    with Follower(store, "tail", "--json", "-n", "3") as tail:
        tail.wait_for(3)
        assert [row["span_id"] for row in tail.rows()] == [f"{1000 + n:016x}" for n in (297, 298, 299)]
        assert tail.rows()[0]["type"] == "span" and tail.rows()[0]["agent_id"].endswith("/planner")
        time.sleep(0.5)
        assert tail.interrupt() == YES
    assert len(tail.lines) == 3 and tail.errors == []


def test_spans_are_shown_in_order_of_arrival_however_old_they_are(store):
    with Follower(store, "tail", "--json", "-n", "1") as tail:
        tail.begun()
        change(store, span(1, started_ns=2**62))
        change(store, span(2, started_ns=1), span(3, started_ns=0))
        tail.wait_for(3)
        change(store, span(4, started_ns=5))
        tail.wait_for(4)
        assert [int(row["span_id"], 16) for row in tail.rows()] == [1, 2, 3, 4]
        assert tail.interrupt() == YES


def test_each_change_of_a_delegation_is_shown_once(store):
    with Follower(store, "tail", "--json", "-n", "1") as tail:
        tail.begun()
        change(store, delegation(77, 1, 10**6, "sent"))
        tail.wait_for(1)
        change(store, delegation(77, 2, 10**6 + 1), delegation(78, 1, 10**6 + 1, "sent"))
        tail.wait_for(3)
        change(store, span(1))  # something else changes
        tail.wait_for(4)
        time.sleep(0.5)
        tail.interrupt()
    seen = [(row["type"], row.get("state")) for row in tail.rows()]
    assert seen[0] == ("delegation", "sent") and seen[3] == ("span", None)
    assert sorted(seen[1:3]) == [("delegation", "in_flight"), ("delegation", "sent")]


def test_a_frame_that_arrives_in_two_transactions_is_shown_whole(store):
    with Follower(store, "tail", "--json", "-n", "1") as tail:
        tail.begun()
        change(store, delegation(80, 1, 10**6), delegation(90, 1, 10**6))
        tail.wait_for(2)
        change(store, delegation(70, 1, 10**6), delegation(95, 1, 10**6))
        tail.wait_for(4)
        time.sleep(0.5)
        tail.interrupt()
    assert sorted(int(row["delegation_id"], 16) for row in tail.rows()) == [70, 80, 90, 95]


def test_another_journals_changes_are_not_hidden_by_a_lower_frame(store):
    with Follower(store, "tail", "--json", "-n", "1") as tail:
        tail.begun()
        change(store, delegation(80, 1, 10**6, sidecar=1))
        tail.wait_for(1)
        change(store, delegation(81, 1, 500, sidecar=2))  # what it had was frame 5 or so
        tail.wait_for(2)
        tail.interrupt()


def test_filters(store):
    everything = read_tail(store, "-n", "1000")
    assert len(everything) == 317
    assert len(read_tail(store, "-n", "1000", "--agent", "researcher")) == 2
    assert len(read_tail(store, "-n", "1000", "--agent", "spiffe://waybill.local/host/writer")) == 10
    assert {row["trace_id"] for row in read_tail(store, "-n", "1000", "--trace", trace_id(4))} == {trace_id(4)}
    assert {row["status"] for row in read_tail(store, "-n", "1000", "--status", "error")} == {"error"}
    change(store, span(1, span_type="llm_call"), delegation(77, 1, 10**6), delegation(78, 1, 10**6, "lost"))
    assert [row["name"] for row in read_tail(store, "-n", "1000", "--type", "llm_call")] == ["new"]
    with Follower(store, "tail", "--json", "--type", "delegation", "--status", "lost") as tail:
        versions = itertools.count(1)

        def begun():
            n = next(versions)
            change(store, delegation(79, n, 10**6 + n, "lost"))
            return tail.lines

        wait_until(begun, 10, "a first row")
        change(store, delegation(77, 2, 2 * 10**6), delegation(78, 2, 2 * 10**6, "lost"), span(2))
        wait_until(lambda: int(tail.rows()[-1]["delegation_id"], 16) == 78, 10, "the last row")
        tail.interrupt()
    assert {row["state"] for row in tail.rows()} == {"lost"}
    assert {int(row["delegation_id"], 16) for row in tail.rows()} == {78, 79}


def test_a_type_that_no_row_can_have_is_refused_with_all_there_are(store):
    done = waybill("--store", str(store), "tail", "--type", "bogus")
    assert (done.returncode, done.stdout) == (USAGE, "")
    listed = done.stderr.split("not one of ")[1].split(";")[0]
    assert set(listed.split(", ")) == {"span", "log", "delegation", "acceptance"} | TYPES


def read_tail(store: pathlib.Path, *args: str) -> list[dict]:
    """What it shows of what is there. The first read is finished before an interrupt counts."""
    with Follower(store, "tail", "--json", *args) as tail:
        wait_until(tail.catches_interrupts, 10, "its start")
        assert tail.interrupt() == YES
    return tail.rows()


def test_text_lines_are_one_a_row_and_harmless(store):
    change(store, span(1, name="\x1b]0;owned\x07\nforged \u202e", status="error"), delegation(77, 1, 10**6))
    with Follower(store, "tail", "-n", "1") as tail:
        tail.wait_for(1)
        change(store, delegation(77, 2, 10**6 + 1, "completed"))
        tail.wait_for(2)
        tail.interrupt()
    assert "\\u{1b}]0;owned\\u{7}\\u{a}forged \\u{202e}" in tail.lines[0] and "error" in tail.lines[0]
    assert "planner -> writer  completed" in tail.lines[1]


def test_the_memory_of_a_tail_is_bounded_however_much_there_is(store):
    change(store, ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000)"
                   " INSERT INTO spans (trace_id, span_id, name, kind, started_ns, ended_ns, status, sidecar_id, seq,"
                   " span) SELECT x'" + trace_id(9) + "', CAST(printf('%08d', i) AS BLOB), ?, 'internal', i, i, 'ok',"
                   " 1, 1000 + i, x'' FROM n", ("n" * 2000,)))
    args = [str(find_program("waybill")), "--store", str(store), "tail", "-n", "100000"]
    process = subprocess.Popen(args, env=clean_env(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    lines, most = 0, 0
    for _ in process.stdout:  # 31 MB in all
        lines += 1
        if lines == 15317:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            most = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
            process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert (process.wait(10), lines) == (YES, 15317)
    assert most < 20_000 or is_sanitized(find_program("waybill"))  # KiB


# ---- tail: the store comes and goes ------------------------------------------------------------


@contextlib.contextmanager
def put_in_place(new: pathlib.Path, store: pathlib.Path, write: tuple) -> Iterator[None]:
    """Another file in the store's place, its log's too, which somebody writes to from then on."""
    for end in ("-wal", "-shm"):
        pathlib.Path(f"{store}{end}").unlink(missing_ok=True)
    os.rename(new, store)
    with contextlib.closing(sqlite3.connect(store, timeout=20)) as db:
        with db:
            db.execute(*write)
        yield


def test_a_store_that_is_replaced_shows_nothing_twice_and_nothing_late(filled, store, tmp_path):
    with Follower(store, "tail", "--json", "-n", "2") as tail:
        tail.wait_for(2)
        change(store, span(1), delegation(77, 1, 10**6))
        tail.wait_for(4)
        new = copy_of(store, tmp_path / "new.db")
        change(new, delegation(77, 2, 10**6 + 1))
        with put_in_place(new, store, write=span(2, seq=10**6 + 1)):
            tail.wait_for(6)
        empty = copy_of(filled, tmp_path / "empty.db")  # as after a loss: sidecars go on in an empty one
        change(empty, "DELETE FROM spans", "DELETE FROM delegations", "DELETE FROM acceptances",
               span(3, seq=10**6 + 2), delegation(78, 1, 10**6 + 2))
        with put_in_place(empty, store, write=span(4, seq=10**6 + 3)):
            tail.wait_for(9)
            assert pathlib.Path(f"{store}-wal").exists()  # not removed as the old file's
            assert len(rows_of(store)[0]) == 2
        tail.interrupt()
    rows = [(row["type"], int(row.get("delegation_id") or row["span_id"], 16)) for row in tail.rows()[2:]]
    assert sorted(rows[:2]) == [("delegation", 77), ("span", 1)]
    assert sorted(rows[2:4]) == [("delegation", 77), ("span", 2)]
    assert sorted(rows[4:]) == [("delegation", 78), ("span", 3), ("span", 4)]


def test_a_store_that_goes_away_is_waited_for(store, tmp_path):
    with Follower(store, "tail", "--json", "-n", "1") as tail:
        tail.begun()
        os.rename(store, tmp_path / "away.db")
        wait_until(lambda: any("waiting for it" in line for line in tail.errors), 10, "words about it")
        time.sleep(0.5)
        os.rename(tmp_path / "away.db", store)
        wait_until(lambda: any("it is back" in line for line in tail.errors), 10, "words about it")
        change(store, span(1))
        tail.wait_for(1)
        assert tail.interrupt() == YES
    assert len(tail.errors) == 2 and len(tail.lines) == 1


def test_a_store_that_is_locked_meanwhile_is_waited_for(store):
    with Follower(store, "tail", "--json", "-n", "1") as tail:
        tail.begun()
        with contextlib.closing(sqlite3.connect(store, isolation_level=None, timeout=20)) as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute(*span(1))
            time.sleep(0.5)
            assert tail.lines == []
            db.execute("COMMIT")
        tail.wait_for(1)
        assert tail.interrupt() == YES


def test_a_tail_whose_reader_left_ends(store):
    process = subprocess.Popen(
        [str(find_program("waybill")), "--store", str(store), "tail", "-n", "300"], env=clean_env(),
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )
    process.stdout.readline()
    process.stdout.close()

    def ended():
        change(store, span(time.monotonic_ns()))
        return process.poll() is not None

    wait_until(ended, 10, "its end")


def test_a_tail_that_nobody_reads_still_ends_by_ctrl_c_with_0(store):
    args = [str(find_program("waybill")), "--store", str(store), "--json", "tail", "-n", "1000"]
    process = subprocess.Popen(args, env=clean_env(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def is_stuck():
        waiting = fcntl.ioctl(process.stdout, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(waiting, sys.byteorder) >= 60_000

    try:
        wait_until(is_stuck, 10, "a full pipe")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == YES
    finally:
        process.kill()
        process.stdout.close()


@pytest.mark.parametrize("verb", [["--json", "delegations", "--watch"], ["--json", "top", "--interval", "100ms"]])
def test_what_is_written_when_ctrl_c_comes_is_no_error(store, verb):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 64):
            pass
    os.set_blocking(writer, True)
    process = subprocess.Popen([str(find_program("waybill")), "--store", str(store), *verb], env=clean_env(),
                               stdout=writer, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(1)  # it waits for room by then, and if not the signal comes before
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == YES, process.stderr.read()
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.stderr.close()
        os.close(reader)
        os.close(writer)


def test_a_terminal_that_cannot_draw_gets_lines(store):
    args = [find_program("waybill"), "--store", store, "delegations", "--watch"]
    with Terminal(args, clean_env(TERM="dumb")) as terminal:
        terminal.wait_for('"state":"in_flight"')
        terminal.type("\x03")
        assert terminal.end() == YES
        assert "\x1b" not in terminal.text


# ---- with real sidecars ------------------------------------------------------------------------


def rows_of(store: pathlib.Path) -> tuple[set[str], dict[str, int]]:
    """Ids of spans, and versions of delegations and acceptances; nothing until the store is made."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            spans = {row[0].lower() for row in db.execute("SELECT hex(span_id) FROM spans")}
            rows = db.execute("SELECT hex(delegation_id), version FROM delegations UNION ALL"
                              " SELECT hex(acceptance_id), version FROM acceptances")
            return spans, {row[0].lower(): row[1] for row in rows}
    except sqlite3.OperationalError:
        return set(), {}


class Team:
    """planner hands work to writer, who takes it."""

    def __init__(self, sidecars: dict[str, Sidecar]) -> None:
        self.url = origin(TEAM, "writer")
        self.planner, self.writer = Asker(sidecars["planner"]), Asker(sidecars["writer"])

    def work(self, settle: bool) -> None:
        delegate = a_delegate(self.url)
        carrier = self.planner.ask(delegate=delegate).delegate.carrier
        accept = an_accept(delegate, carrier)
        self.writer.ask(accept=accept)
        if settle:
            self.writer.ask(finish=Finish(acceptance_id=accept.acceptance_id, outcome="ok"))
            self.planner.ask(settle=Settle(delegation_id=delegate.delegation_id, outcome="completed"))

    def close(self) -> None:
        self.planner.close()
        self.writer.close()


TEAM = ["planner", "writer"]


def test_a_tail_of_working_sidecars_misses_nothing_and_repeats_nothing():
    with company(TEAM) as sidecars, contextlib.closing(Team(sidecars)) as team:
        store = sidecars["planner"].store
        team.work(settle=True)
        wait_until(lambda: len(rows_of(store)[0]) == 2, 10, "the spans of both sides")
        with Follower(store, "tail", "--json", "-n", "1") as tail:
            tail.begun()
            old_spans, known = rows_of(store)
            for n in range(40):
                team.work(settle=n % 4 != 3)
            wait_until(lambda: len(rows_of(store)[0]) == 62 and len(rows_of(store)[1]) == 82, 20, "all rows")
            spans, changed = rows_of(store)

            def complete():
                return {row["span_id"] for row in tail.rows() if row["type"] == "span"} >= spans - old_spans

            wait_until(complete, 20, "all spans")
            time.sleep(0.6)
            spans, changed = rows_of(store)
            tail.interrupt()
        agents = {a["name"]: a for a in read(store, "agents", "--since", "1h")}
    rows = tail.rows()
    shown = [row["span_id"] for row in rows if row["type"] == "span"]
    assert len(shown) == len(set(shown)) and set(shown) == spans - old_spans
    versions: dict[str, list[int]] = {}
    for row in rows:
        if row["type"] != "span":
            versions.setdefault(row.get("delegation_id") or row["acceptance_id"], []).append(row["version"])
    assert all(v == sorted(set(v)) for v in versions.values())
    assert {key: v[-1] for key, v in versions.items()} | known == changed | known
    assert {row["type"] for row in rows} == {"span", "delegation", "acceptance"}
    planner, writer = agents["planner"], agents["writer"]
    assert (planner["delegation_count"], planner["open_delegation_count"]) == (41, 10)
    assert (writer["acceptance_count"], writer["unverified_count"]) == (41, 0)
    assert planner["agent_id"] == agent_id("planner")


# ---- agents ------------------------------------------------------------------------------------


def test_agents_are_listed_with_what_they_did(store):
    agents = {a["name"]: a for a in read(store, "agents")}
    assert set(agents) == {"planner", "writer", "researcher"}
    planner, writer, researcher = (agents[name] for name in ("planner", "writer", "researcher"))
    assert (planner["trace_count"], planner["span_count"], planner["error_count"]) == (6, 305, 2)
    assert (planner["delegation_count"], planner["open_delegation_count"]) == (3, 1)
    assert (writer["delegation_count"], writer["acceptance_count"], writer["unverified_count"]) == (1, 2, 0)
    assert (researcher["acceptance_count"], researcher["unverified_count"]) == (2, 1)
    change(store, "UPDATE delegations SET state = 'rejected' WHERE state = 'canceled'",
           "UPDATE delegations SET state = 'lost', closed_ns = 1 WHERE closed_ns IS NULL",
           "INSERT INTO sidecars SELECT 9, x'99999999999999999999999999999999', agent_id, 'planner-new', '9.9',"
           " isolation, first_seen_ns + 5, last_seen_ns + 1 FROM sidecars WHERE name = 'planner'",
           "INSERT INTO trace_parts VALUES (x'" + trace_id(1) + "', 9, 10, 10, 0, 0, 1, 1)")
    first_seen_ns = planner["first_seen_ns"]
    planner = read(store, "agents", "--limit", "1")[0]
    assert planner["first_seen_ns"] == first_seen_ns
    assert (planner["name"], planner["version"], planner["sidecar_count"]) == ("planner-new", "9.9", 2)
    assert (planner["rejected_count"], planner["failed_count"], planner["span_count"]) == (1, 1, 315)
    text = waybill("--store", str(store), "agents").stdout.splitlines()
    assert text[0].split()[:6] == ["AGENT", "SEEN", "TRACES", "SPANS", "ERRORS", "OUT"]
    assert "12 (3.8%)" in text[1]


def test_since_counts_what_was_done_and_who_was_seen_within_it(store):
    hour = {a["name"]: a for a in read(store, "agents", "--since", "1h")}
    assert set(hour) == {"planner", "writer", "researcher"}  # they delivered just now
    assert all(a["span_count"] == a["delegation_count"] == a["acceptance_count"] == 0 for a in hour.values())
    change(store, "UPDATE sidecars SET last_seen_ns = 5 WHERE name = 'writer'")
    assert {a["name"] for a in read(store, "agents", "--since", "1h")} == {"planner", "researcher"}


# ---- delegations --watch -----------------------------------------------------------------------


@contextlib.contextmanager
def screen(store: pathlib.Path, *args: str, **more) -> Iterator[Terminal]:
    command = [find_program("waybill"), "--store", store, *args]
    with Terminal(command, clean_env(), **more) as terminal:
        terminal.wait_for(ENTER)
        yield terminal


def test_a_watch_on_a_terminal_draws_changes_and_gives_the_screen_back(store):
    with screen(store, "delegations", "--watch", "--open") as terminal:
        at = terminal.wait_for("1 open delegations")
        assert "in_flight" in terminal.text
        change(store, "UPDATE delegations SET state = 'waiting_input', version = 9 WHERE closed_ns IS NULL")
        terminal.wait_for("waiting_input", after=at)
        assert terminal.mode() != terminal.mode_before
        terminal.type("xq")
        assert terminal.end() == YES
        assert terminal.text.endswith(LEAVE) and terminal.mode() == terminal.mode_before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_watch_and_give_the_screen_back(store, number):
    with screen(store, "delegations", "--watch") as terminal:
        terminal.wait_for("q ends")
        terminal.process.send_signal(number)
        assert terminal.end() == YES
        assert terminal.text.endswith(LEAVE) and terminal.mode() == terminal.mode_before


def test_ctrl_z_gives_the_screen_back_until_it_goes_on(store):
    with screen(store, "delegations", "--watch") as terminal:
        at = terminal.wait_for("q ends")
        terminal.process.send_signal(signal.SIGTSTP)
        at = terminal.wait_for(LEAVE, after=at)
        wait_until(lambda: pathlib.Path(f"/proc/{terminal.process.pid}/stat").read_text().split()[2] == "T", 5, "its stop")
        assert terminal.mode() == terminal.mode_before
        terminal.process.send_signal(signal.SIGCONT)
        at = terminal.wait_for(ENTER, after=at)
        terminal.wait_for("q ends", after=at)
        terminal.type("q")
        assert terminal.end() == YES


def test_a_watch_draws_what_fits_and_again_when_the_window_changes(store):
    change(store, *[delegation(100 + n, 1, 10**6 + n) for n in range(40)])
    with screen(store, "delegations", "--watch", rows=10) as terminal:
        at = terminal.wait_for("7 delegations")
        terminal.resize(30, 80)
        terminal.wait_for("27 delegations", after=at, timeout_s=5)
        terminal.type("q")
        assert terminal.end() == YES


def test_a_watch_waits_for_a_store_that_went_away(store, tmp_path):
    with screen(store, "delegations", "--watch") as terminal:
        at = terminal.wait_for("4 delegations")
        os.rename(store, tmp_path / "away.db")
        at = terminal.wait_for("waiting for it", after=at)
        os.rename(tmp_path / "away.db", store)
        terminal.wait_for("4 delegations", after=at)
        terminal.type("q")
        assert terminal.end() == YES


def test_watch_as_lines_ends_by_ctrl_c_with_0(store):
    with Follower(store, "delegations", "--watch") as watch:
        watch.wait_for(4)
        assert watch.interrupt() == YES
    assert [row["state"] for row in watch.rows()] == ["completed", "answered", "in_flight", "canceled"]

