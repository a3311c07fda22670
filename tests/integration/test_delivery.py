# SPDX-License-Identifier: Apache-2.0
"""Several exporters, far sides that are away, and a journal that fills: what real sidecars do."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import socket
import sqlite3
import struct
import subprocess
import tarfile
import time
import urllib.error
import urllib.request

import pytest
from agents import a_delegate, an_accept, company, origin
from waybill_testkit import Sidecar, free_port, wait_until

from waybill import _otlp, _wire
from waybill._wire import Status, Verdict


class Plain:
    """One connection that shows every reply, also those that a client waits and asks again for."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(sidecar.socket))
        self._socket.sendall(b"\0SP\0\0\x30\0\0")
        assert self._read(8) == b"\0SP\0\0\x31\0\0"

    def _read(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            more = self._socket.recv(size - len(got))
            assert more, "closed"
            got += more
        return got

    def ask(self, **body) -> _wire.Reply:
        request = _wire.encode(_wire.Request(id=os.urandom(16), protocol=1, **body))
        head = struct.pack(">QI", 4 + len(request), 0x80000001)
        self._socket.sendall(b"\1" + head + request)
        (size,) = struct.unpack(">Q", self._read(9)[1:])
        return _wire.decode(_wire.Reply, self._read(size)[4:])

    def close(self) -> None:
        self._socket.close()


def record(count: int = 1, size: int = 100) -> _wire.Record:
    """A batch of finished spans, each about `size` bytes larger than it must be."""
    fields = _otlp.resource({"service.name": "test"}), _otlp.scope("test")
    now = time.time_ns()
    spans = [
        _otlp.span(
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
            name="work",
            kind=1,
            start_ns=now,
            end_ns=now + 1,
            attrs={"pad": "x" * size},
        )
        for _ in range(count)
    ]
    return _wire.Record(traces=_otlp.export_request([(*fields, span) for span in spans]))


def report(sidecar: Sidecar) -> dict:
    port = sidecar.status()["ports"]["admin"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status") as answer:
        return json.loads(answer.read())


def exporter(sidecar: Sidecar, name: str) -> dict:
    return next(e for e in report(sidecar)["exporters"] if e["name"] == name)


def rows(path: os.PathLike[str] | str) -> int:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM spans").fetchone()[0]
    except sqlite3.OperationalError:
        return -1


def test_each_exporter_has_its_own_cursor_and_goes_on_with_it_after_a_restart():
    with Sidecar("many", config="admin: {listen: 127.0.0.1:0}\n") as sidecar:
        second = sidecar.base / "second.db"
        text = sidecar.config_file.read_text()
        asker = Plain(sidecar)
        assert asker.ask(record=record(3)).status == Status.OK
        asker.close()
        wait_until(lambda: rows(sidecar.store) == 3, 10, "the first three")
        sidecar.config_file.write_text(text + f"exporters: {{second: {{path: {second}}}}}\n")
        sidecar.restart()
        wait_until(lambda: rows(second) == 3, 10, "what the journal still holds")
        asker = Plain(sidecar)
        assert asker.ask(record=record(2)).status == Status.OK
        for path in (sidecar.store, second):
            wait_until(lambda: rows(path) == 5, 10, f"five in {path}")
        caught_up = ("lag_frames", "lag_bytes", "parked_records", "dropped_records")
        for name in ("sqlite", "second"):
            wait_until(lambda: exporter(sidecar, name)["lag_bytes"] == 0, 10, f"{name} caught up")
            assert [exporter(sidecar, name)[key] for key in caught_up] == [0, 0, 0, 0]
        asker.close()


SMALL = """admin: {listen: 127.0.0.1:0}
journal: {segment_bytes: 256KiB, limit_bytes: 2MiB}
"""


def lock_store(path):
    """Hold the store's write lock, as another process that hangs would."""
    db = sqlite3.connect(path, isolation_level=None, timeout=20)
    db.execute("BEGIN IMMEDIATE")
    return db


def fill(asker, size=20_000, attempts=400):
    """Record until refused; returns how many were taken and the refusal."""
    for taken in range(attempts):
        reply = asker.ask(record=record(1, size))
        if reply.status != Status.OK:
            return taken, reply
    raise AssertionError("never full")


def readyz(sidecar: Sidecar) -> tuple[int, str]:
    port = sidecar.status()["ports"]["admin"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_a_full_journal_says_so_and_who_holds_it_back_and_goes_on_by_itself():
    with Sidecar("full", config=SMALL) as sidecar:
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        wait_until(lambda: rows(sidecar.store) == 1, 10, "a store")
        asked = [a_delegate("http://127.0.0.1:1") for _ in range(20)]
        for one in asked:
            assert asker.ask(delegate=one).status == Status.OK
        db = lock_store(sidecar.store)
        taken, refused = fill(asker)
        assert refused.status == Status.FULL and refused.retry_after_ms == 1000
        assert "limit" in refused.detail
        code, text = readyz(sidecar)
        assert code == 503 and text.startswith("full: the journal has reached journal.limit_bytes")
        assert "exporter sqlite holds it back" in text
        assert asker.ask(delegate=a_delegate("http://127.0.0.1:1")).status == Status.FULL
        counted = json.loads(sidecar.cli("status", "--json", check=False))["report"]["counters"]
        assert counted["spans_accepted"] == 1 + taken  # not what was refused
        assert counted["delegations_signed"] + counted["delegations_unsigned"] == 20
        for one in asked:  # what was begun is ended
            settle = _wire.Settle(delegation_id=one.delegation_id, outcome="completed")
            reply = asker.ask(settle=settle)
            assert reply.status == Status.OK, reply.detail
        db.execute("ROLLBACK")
        db.close()
        wait_until(lambda: readyz(sidecar)[0] == 200, 40, "room again")
        assert asker.ask(record=record()).status == Status.OK
        wait_until(lambda: rows(sidecar.store) == taken + 2 + 20, 30, "all of it, once")
        asker.close()


def test_a_start_at_a_full_journal_and_a_locked_store_works():
    with Sidecar("again", config=SMALL) as sidecar:
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        wait_until(lambda: rows(sidecar.store) == 1, 10, "a store")
        db = lock_store(sidecar.store)
        taken, _ = fill(asker)
        asker.close()
        sidecar.kill9()
        sidecar.start()
        asker = Plain(sidecar)
        again, refused = fill(asker)
        assert refused.status == Status.FULL
        db.execute("ROLLBACK")
        db.close()
        wait_until(lambda: rows(sidecar.store) == 1 + taken + again, 40, "all of it, once")
        asker.close()


@pytest.fixture
def small_disk(tmp_path_factory):
    """A file system of 12 MiB, for whoever may mount one."""
    folder = tmp_path_factory.mktemp("disk")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "none", str(folder)],
        capture_output=True,
    )
    if made.returncode != 0:
        pytest.skip("cannot mount a file system of its own")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def fill_disk(folder):
    """Somebody else takes all that is left; returns the file to remove."""
    path = folder / "else"
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError:
                    break
    return path


def test_a_full_disk_refuses_new_work_ends_old_work_and_survives_kill_9(small_disk):
    config = f"""state_dir: {small_disk}/state
admin: {{listen: 127.0.0.1:0}}
journal: {{segment_bytes: 512KiB, limit_bytes: 8MiB}}
"""
    with Sidecar("disk", config=config) as sidecar:
        asker = Plain(sidecar)
        asked = [a_delegate("http://127.0.0.1:1") for _ in range(10)]
        for one in asked:
            assert asker.ask(delegate=one).status == Status.OK
        wait_until(lambda: rows(sidecar.store) == 0, 10, "a store")
        other = fill_disk(small_disk)
        taken, refused = fill(asker)
        assert refused.status == Status.FULL and "disk is full" in refused.detail
        wait_until(lambda: exporter(sidecar, "sqlite")["lag_bytes"] < 256 << 10, 10, "a good store")
        db = lock_store(sidecar.store)
        settle = _wire.Settle(delegation_id=asked.pop().delegation_id, outcome="completed")
        assert asker.ask(settle=settle).status == Status.OK
        assert 0 < exporter(sidecar, "sqlite")["lag_bytes"] < 512 << 10
        code, text = readyz(sidecar)
        assert code == 503 and text.startswith("full: the journal's disk has no room")
        assert text.endswith("no room; make room there")  # the exporter holds back less than a segment
        db.execute("ROLLBACK")
        db.close()
        asker.close()
        for _ in range(4):
            sidecar.kill9()
            sidecar.start()
        asker = Plain(sidecar)
        for one in asked:
            settle = _wire.Settle(delegation_id=one.delegation_id, outcome="completed")
            assert asker.ask(settle=settle).status == Status.OK
        other.unlink()
        wait_until(lambda: asker.ask(record=record()).status == Status.OK, 20, "room again")
        wait_until(lambda: rows(sidecar.store) == taken + 10 + 1, 20, "all of it, once")
        assert readyz(sidecar)[0] == 200
        asker.close()


SMALL = """admin: {listen: 127.0.0.1:0}
journal: {segment_bytes: 256KiB, limit_bytes: 4MiB}
"""


@contextlib.contextmanager
def a_second_store(name, exporter_name, settings="", base=SMALL):
    """A sidecar with a further SQLite exporter of these settings, which has one record; its file, a client,
    and what the configuration has of it."""
    with Sidecar(name, config=base) as sidecar:
        path = sidecar.base / f"{exporter_name}.db"
        more = f"exporters: {{{exporter_name}: {{path: {path}{settings}}}}}\n"
        sidecar.config_file.write_text(base + more)
        sidecar.restart()
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        wait_until(lambda: rows(path) == 1, 10, "a second store")
        yield sidecar, path, asker, more


def test_an_exporter_that_is_stuck_for_ever_costs_itself_its_oldest_and_nobody_else():
    settings = ", when_full: drop_oldest, max_lag_bytes: 1MiB"
    with a_second_store("drops", "stuck", settings) as (sidecar, stuck, asker, _):
        db = lock_store(stuck)
        sent = 1
        deadline = time.monotonic() + 60
        while exporter(sidecar, "stuck")["dropped_by_cause"]["lag"] < 100:
            assert time.monotonic() < deadline
            for _ in range(20):
                reply = asker.ask(record=record(1, 10_000))
                assert reply.status == Status.OK, reply.detail  # never full for the others
                sent += 1
            time.sleep(0.05)
        assert readyz(sidecar)[0] == 200
        wait_until(lambda: rows(sidecar.store) == sent, 20, "all of it in the other store")
        before = exporter(sidecar, "stuck")["dropped_by_cause"]["lag"]
        time.sleep(1.2)  # the cursor's commit
        asker.close()
        sidecar.kill9()
        sidecar.start()
        assert exporter(sidecar, "stuck")["dropped_by_cause"]["lag"] >= before
        db.execute("ROLLBACK")
        db.close()
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        asker.close()
        wait_until(lambda: exporter(sidecar, "stuck")["lag_bytes"] == 0, 30, "the rest")
        end = exporter(sidecar, "stuck")
        assert rows(stuck) + end["dropped_by_cause"]["lag"] == sent + 1  # each is there or counted
        assert end["dropped_last_ns"] > 0
        wait_until(lambda: rows(sidecar.store) == sent + 1, 20, "the last one in the other store")
        assert "delivery.frames_missing" not in sidecar.log()  # given up is not damaged


def test_what_is_given_up_while_it_is_being_sent_is_counted_whatever_happens_then():
    settings = ", when_full: drop_oldest, max_lag_bytes: 1MiB"
    with a_second_store("undecided", "stuck", settings) as (sidecar, stuck, asker, _):
        db = lock_store(stuck)
        sent = 1

        def skipped(cursor: int) -> bool:
            nonlocal sent
            for _ in range(5):
                assert asker.ask(record=record(1, 10_000)).status == Status.OK
                sent += 1
            return exporter(sidecar, "stuck")["cursor"] > cursor

        def state():
            now = exporter(sidecar, "stuck")
            return now["dropped_by_cause"]["lag"], now["failed_sends"], now["cursor"]

        wait_until(lambda: skipped(5), 20, "the first skip, behind what is in hand")
        counted, failed, cursor = state()
        wait_until(lambda: state()[0] > counted, 20, "what was in hand is given up")
        # Now what is left is in hand, all of it, and the next skip ends in its middle.
        wait_until(lambda: state()[1] > failed + 1, 20, "a send of it")
        wait_until(lambda: skipped(cursor), 20, "the second skip")
        time.sleep(1.2)  # the cursor's commit
        asker.close()
        sidecar.kill9()
        db.execute("ROLLBACK")
        db.close()
        sidecar.start()
        wait_until(lambda: exporter(sidecar, "stuck")["lag_bytes"] == 0, 30, "the rest")
        assert rows(stuck) + state()[0] == sent  # each is there or counted
        assert "undecided=" in sidecar.log()


def test_a_name_that_left_the_configuration_is_kept_said_and_forgotten_when_told():
    base = "admin: {listen: 127.0.0.1:0}\n"
    with Sidecar("names", config=base) as sidecar:
        second = sidecar.base / "second.db"
        sidecar.config_file.write_text(base + f"exporters: {{second: {{path: {second}}}}}\n")
        sidecar.restart()
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        asker.close()
        wait_until(lambda: rows(second) == 1, 10, "a second store")
        assert report(sidecar)["unconfigured_exporters"] == []
        with pytest.raises(RuntimeError, match="is configured"):
            sidecar.cli("exporter", "forget", "second")
        sidecar.config_file.write_text(base)
        sidecar.restart()
        (kept,) = report(sidecar)["unconfigured_exporters"]
        assert kept["name"] == "second" and kept["cursor"] > 0
        assert "second is not configured" in sidecar.cli("status")
        told = json.loads(sidecar.cli("exporter", "forget", "second", "--json"))
        assert told == {"forgotten": "second", "cursor": kept["cursor"], "dropped_records": 0}
        assert report(sidecar)["unconfigured_exporters"] == []
        with pytest.raises(RuntimeError, match="knows no exporter"):
            sidecar.cli("exporter", "forget", "second")
        sidecar.kill9()
        with pytest.raises(RuntimeError, match="the running sidecar forgets: start it"):
            sidecar.cli("exporter", "forget", "second")
        sidecar.start()
        assert report(sidecar)["unconfigured_exporters"] == []


def outrun(sidecar, asker, cursor):
    """Records until the journal has let go frames above that place."""

    def is_taken():
        status = asker.ask(record=record(1, 10_000)).status
        assert status in (Status.OK, Status.FULL)  # the store may be behind for a moment
        return status == Status.OK

    for sent in range(400):
        wait_until(is_taken, 20, "room in the journal")
        if sent % 20 == 0 and report(sidecar)["journal"]["first_seq"] > cursor + 1:
            return
    raise AssertionError("the journal lets nothing go")


def test_what_the_journal_let_go_meanwhile_is_said_to_an_exporter_that_comes_back():
    with a_second_store("back", "second") as (sidecar, _, asker, more):
        asker.close()
        sidecar.config_file.write_text(SMALL)
        sidecar.restart()
        asker = Plain(sidecar)
        (kept,) = report(sidecar)["unconfigured_exporters"]
        outrun(sidecar, asker, kept["cursor"])
        asker.close()
        assert "delivery.gap" not in sidecar.log()
        sidecar.config_file.write_text(SMALL + more)
        sidecar.restart()
        assert "delivery.gap" in sidecar.log() and "exporter=second" in sidecar.log().replace('"', "")
        wait_until(lambda: exporter(sidecar, "second")["lag_bytes"] == 0, 20, "what is there")
        assert "delivery.frames_missing" not in sidecar.log()  # it is the same frames


def test_an_exporter_that_never_delivered_has_a_place_that_is_kept():
    never = f"exporters: {{never: {{type: otlp, endpoint: 'http://127.0.0.1:{free_port()}'}}}}\n"
    with Sidecar("never", config=SMALL + never) as sidecar:
        before = report(sidecar)["journal"]["durable_seq"]
        asker = Plain(sidecar)
        for _ in range(3):
            assert asker.ask(record=record()).status == Status.OK
        asker.close()
        sidecar.config_file.write_text(SMALL)
        sidecar.restart()
        (kept,) = report(sidecar)["unconfigured_exporters"]
        assert kept["name"] == "never" and kept["cursor"] <= before
        assert f"never is not configured; its place at frame {kept['cursor']} is kept" in sidecar.cli("status")
        asker = Plain(sidecar)
        outrun(sidecar, asker, kept["cursor"])
        asker.close()
        first = report(sidecar)["journal"]["first_seq"]
        sidecar.config_file.write_text(SMALL + never)
        sidecar.restart()
        (said,) = [line for line in sidecar.log().replace('"', "").splitlines() if "delivery.gap" in line]
        assert "exporter=never" in said and int(re.search(r"frames=(\d+)", said)[1]) >= first - 1 - kept["cursor"]


def test_a_frame_that_is_damaged_before_it_is_sent_is_said():
    whole = "admin: {listen: 127.0.0.1:0}\n"  # one large segment
    with a_second_store("rot", "second", base=whole) as (sidecar, second, asker, _):
        db = lock_store(second)
        for _ in range(40):
            assert asker.ask(record=record(1, 100_000)).status == Status.OK
        asker.close()
        (segment,) = (sidecar.state_dir / "journal").glob("segment-*")
        with open(segment, "r+b") as file:  # the first of them may be in hand (1 MiB), the last one is the end
            file.seek(3_000_000)
            file.write(b"\xff" * 64)
        db.execute("ROLLBACK")
        db.close()
        wait_until(lambda: "delivery.frames_missing" in sidecar.log(), 30, "the exporter says so")
        wait_until(lambda: exporter(sidecar, "second")["lag_frames"] == 0, 30, "the rest")
        assert rows(second) == 40  # of 41


# ---- one store in every kind of trouble -----------------------------------------------------------


def lock(store, disk):
    db = lock_store(store)
    return lambda: (db.execute("ROLLBACK"), db.close())


def take_file(store, disk):
    kept = {path: path.read_bytes() for path in store.parent.glob("store.db*")}
    for path in kept:
        path.unlink()
    (store.parent).chmod(0o700)
    store.mkdir()  # so that no new one can be made in its place

    def give_back():
        store.rmdir()
        for path, data in kept.items():
            path.write_bytes(data)

    return give_back


def take_folder(store, disk):
    aside = store.parent.with_name("aside")
    store.parent.rename(aside)
    store.parent.write_text("in the way")

    def give_back():
        store.parent.unlink()
        aside.rename(store.parent)

    return give_back


def fill_up(store, disk):
    other = fill_disk(disk)
    return other.unlink


def corrupt(store, disk):
    whole = store.read_bytes()
    for path in store.parent.glob("store.db-*"):
        path.unlink()
    store.write_bytes(b"this is no database " * 4096)
    return lambda: (
        [path.unlink() for path in store.parent.glob("store.db-*")],
        store.write_bytes(whole),
    )


TROUBLES = {
    "locked": (lock, ("locked",)),
    "file gone": (take_file, ("unable to open", "not a regular file", "removed", "directory")),
    "folder gone": (take_folder, ("not a directory", "unable to open", "removed", "exists")),
    "disk full": (fill_up, ("full", "no space")),
    "corrupt": (corrupt, ("not a database", "malformed", "removed or replaced")),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_store_in_trouble_is_said_within_seconds_and_gets_all_of_it_once(trouble, small_disk):
    begin, reasons = TROUBLES[trouble]
    store = small_disk / "data" / "store.db"
    store.parent.mkdir(mode=0o700)
    config = f"admin: {{listen: 127.0.0.1:0}}\nstore: {{sqlite: {{path: {store}}}}}\n"
    with Sidecar("trouble", config=config) as sidecar:
        asker = Plain(sidecar)
        assert asker.ask(record=record(3)).status == Status.OK
        wait_until(lambda: rows(store) == 3, 10, "a store")
        time.sleep(0.3)
        with sqlite3.connect(store) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        end = begin(store, small_disk)
        sent = 3
        try:
            for _ in range(30):
                assert asker.ask(record=record(2, 3000)).status == Status.OK
                sent += 2

            def said():
                error = exporter(sidecar, "sqlite")["last_error"]
                return error and any(reason in error.lower() for reason in reasons) and error

            wait_until(said, 6, f"a reason: {exporter(sidecar, 'sqlite')['last_error']}")
            assert exporter(sidecar, "sqlite")["state"] in ("backoff", "sending")
        finally:
            end()
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: rows(store) == sent, 20)
        assert rows(store) == sent, exporter(sidecar, "sqlite")  # all of it, once
        wait_until(lambda: exporter(sidecar, "sqlite")["last_error"] is None, 5, "well again")
        asker.close()


def test_a_store_that_cannot_be_written_is_said_and_used_once_it_can(small_disk):
    store = small_disk / "data" / "store.db"
    store.parent.mkdir(mode=0o700)
    config = f"admin: {{listen: 127.0.0.1:0}}\nstore: {{sqlite: {{path: {store}}}}}\n"
    with Sidecar("readonly", config=config) as sidecar:
        asker = Plain(sidecar)
        assert asker.ask(record=record(3)).status == Status.OK
        wait_until(lambda: rows(store) == 3, 10, "a store")
        asker.close()
        sidecar.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        sidecar.start()
        asker = Plain(sidecar)
        assert asker.ask(record=record(2)).status == Status.OK

        def said():
            error = exporter(sidecar, "sqlite")["last_error"]
            return error and ("readonly" in error or "ead-only" in error)

        wait_until(said, 6, f"a reason: {exporter(sidecar, 'sqlite')['last_error']}")
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        wait_until(lambda: rows(store) == 5, 20, "all of it, once")
        asker.close()


def test_a_removed_socket_is_said():
    with Sidecar("away", config="admin: {listen: 127.0.0.1:0}\n") as sidecar:
        asker = Plain(sidecar)
        port = sidecar.status()["ports"]["admin"]
        for path in sidecar.run_dir.iterdir():
            path.unlink()
        sidecar.run_dir.rmdir()

        def said():
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").close()
                return False
            return "ipc.socket_removed" in sidecar.log()

        wait_until(said, 5, "that it was removed")
        assert asker.ask(record=record()).status == Status.OK  # who is connected goes on
        asker.close()


def test_a_journal_of_the_first_release_is_taken_over():
    """41 frames in three segments: 11 spans delivered, 25 not, 4 delegations open; killed."""
    config = """admin: {listen: 127.0.0.1:0}
journal: {segment_bytes: 64KiB, limit_bytes: 1MiB}
"""
    with contextlib.closing(Sidecar("old", config=config)) as sidecar:
        sidecar.state_dir.mkdir(parents=True, mode=0o700)
        with tarfile.open(pathlib.Path(__file__).parent / "journal_0.1.tar.xz") as old:
            old.extractall(sidecar.state_dir, filter="data")
        (sidecar.state_dir / "journal").chmod(0o700)
        sidecar.start()
        found = report(sidecar)
        assert found["journal"]["lost_frames"] == 0 and found["recovered_s"] == 0
        assert found["journal"]["reserve_whole"] is True
        assert found["delegations"]["kept"] == 5
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        asker.close()
        wait_until(lambda: rows(sidecar.store) >= 25 + 1 + 4, 20, "what was not delivered")
        assert sidecar.stop() == 0


def test_a_journal_of_a_newer_release_is_refused_and_left_untouched():
    with contextlib.closing(Sidecar("newer", config=SMALL)) as sidecar:
        sidecar.start()
        asker = Plain(sidecar)
        fill_to = [asker.ask(record=record(1, 20_000)).status for _ in range(5)]
        assert fill_to == [Status.OK] * 5
        asker.close()
        sidecar.kill9()
        journal = sidecar.state_dir / "journal"
        segment = sorted(journal.glob("segment-*"))[-1]
        with open(segment, "r+b") as file:  # both headers say version 2, with a good CRC
            head = bytearray(file.read(512))
            head[8:12] = struct.pack("<I", 2)
            head[508:] = struct.pack("<I", crc32c(bytes(head[:508])))
            for at in (0, 4096):
                file.seek(at)
                file.write(head)
        before = {path.name: path.read_bytes() for path in journal.iterdir()}
        sidecar.start(wait=False)
        assert sidecar.process.wait(10) == 78
        assert "newer version" in sidecar.log()
        after = {path.name: path.read_bytes() for path in journal.iterdir()}
        before.pop("lock"), after.pop("lock")
        assert after == before


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("loss", ["journal", "segments", "snapshots and first", "newest"])
def test_whatever_part_of_the_journal_is_lost_tokens_of_before_are_refused(loss):
    names = ["a", "b"]
    small = "journal: {segment_bytes: 64KiB, limit_bytes: 2MiB}\n"
    with company(names, small) as two:
        a, b = Plain(two["a"]), Plain(two["b"])
        asked = a_delegate(origin(names, "b"))
        carrier = a.ask(delegate=asked).delegate.carrier
        assert b.ask(accept=an_accept(asked, carrier)).accept.verdict == Verdict.CONTINUE
        unused = a_delegate(origin(names, "b"))
        unused_carrier = a.ask(delegate=unused).delegate.carrier
        for _ in range(40):  # some segments, and snapshots
            assert b.ask(record=record(1, 8000)).status == Status.OK
        journal = two["b"].state_dir / "journal"
        if loss == "snapshots and first":
            wait_until(lambda: list(journal.glob("snapshot-*")), 20, "a snapshot")
        b.close()
        two["b"].kill9()
        segments = sorted(journal.glob("segment-*"))
        if loss == "journal":
            gone = list(journal.iterdir())
        elif loss == "segments":
            gone = segments
        elif loss == "newest":
            gone = []
            for at in (0, 4096):  # both headers: who knows what was in it
                with open(segments[-1], "r+b") as file:
                    file.seek(at)
                    file.write(b"\xff" * 512)
        else:
            gone = [*journal.glob("snapshot-*"), segments[0]]
        for path in gone:
            path.unlink()
        two["b"].start()
        assert report(two["b"])["recovered_s"] > 0
        b = Plain(two["b"])
        for one, token in ((asked, carrier), (unused, unused_carrier)):
            reply = b.ask(accept=an_accept(one, token))
            assert reply.accept.verdict != Verdict.CONTINUE, loss
        a.close()
        b.close()
