# SPDX-License-Identifier: Apache-2.0
"""Servers that load the agent and then fork: gunicorn under load, and forks at bad moments."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import waybill_testkit as kit
from conftest import Store

import waybill

TARGET = waybill.Target("http://127.0.0.1:1/", name="nobody")
HERE = pathlib.Path(__file__).resolve().parent


# -- gunicorn ------------------------------------------------------------------------------------


class Server:
    """A gunicorn with two workers and clients that ask it all the time."""

    def __init__(self, sidecar: kit.Sidecar, folder: pathlib.Path, *options: str) -> None:
        self.port = kit.free_port()
        self.log = folder / "gunicorn.log"
        self.answers: list[dict[str, Any]] = []
        self.unanswered: list[OSError | http.client.HTTPException] = []
        self._stop = threading.Event()
        self._sent = 0
        env = kit.agent_env(sidecar)
        env["PYTHONPATH"] = f"{HERE}{os.pathsep}{env['PYTHONPATH']}"
        command = f"-m gunicorn -c python:prefork_app --preload --bind 127.0.0.1:{self.port}"
        command += f" --no-control-socket --workers 2 --graceful-timeout 20 --log-file {self.log}"
        self.process = subprocess.Popen(
            [sys.executable, *command.split(), *options, "prefork_app:app"], env=env, cwd=folder
        )

    def ask(self, path: str, timeout_s: float = 20) -> dict[str, Any]:
        self._sent += 1
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            line.request("GET", f"{path}?{threading.get_ident()}-{self._sent}")
            return dict(json.loads(line.getresponse().read()))
        finally:
            line.close()

    def _ask_on(self, path: str) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(self.ask(path))
            except (OSError, http.client.HTTPException) as error:
                self.unanswered.append(error)
                time.sleep(0.01)

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._ask_on, args=(path,)) for path in ("/ack", "/work") * 2
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
            assert not any(thread.is_alive() for thread in threads)

    def answers_at_all(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError):
            return bool(self.ask("/work"))
        return False

    def acknowledged(self, pid: int) -> Iterator[dict[str, Any]]:
        return (one for one in self.answers if one["pid"] == pid and one["acknowledged"])

    def pids(self, since: int = 0) -> set[int]:
        return {answer["pid"] for answer in self.answers[since:]}

    def wait_for(self, condition: Callable[[set[int]], bool], what: str) -> set[int]:
        """The pids that answer from now on, once they satisfy `condition`."""
        since = len(self.answers)
        kit.wait_until(lambda: condition(self.pids(since)), 30, what)
        return self.pids(since)

    def close(self) -> None:
        """Also of a test that failed: the master ends its workers, or they it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def serve(sidecar: kit.Sidecar, folder: pathlib.Path) -> Iterator[Callable[..., Server]]:
    pytest.importorskip("gunicorn")
    made: list[Server] = []

    def start(*options: str) -> Server:
        made.append(Server(sidecar, folder, *options))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.mark.parametrize("workers", ["sync", "gthread"])
def test_preloaded_workers_lose_nothing_that_was_acknowledged(
    workers: str, serve: Callable[..., Server], store: Store
) -> None:
    server = serve("--worker-class", workers, "--threads", "1" if workers == "sync" else "4")
    kit.wait_until(server.answers_at_all, 20, "gunicorn answers")
    with server.load():
        first = server.wait_for(lambda pids: len(pids) == 2, "both workers answer")
        killed = min(first)
        kit.wait_until(lambda: any(server.acknowledged(killed)), 20, "there is something to lose")
        os.kill(killed, signal.SIGKILL)
        second = server.wait_for(lambda pids: len(pids - first) == 1, "another worker answers")
        server.process.send_signal(signal.SIGHUP)
        old = first | second
        server.wait_for(lambda pids: len(pids - old) == 2, "two new workers answer")
        while server.wait_for(lambda pids: len(pids - old) == 2, "the old ones end") & old:
            pass
        kit.wait_until(lambda: len(server.answers) > 50, 30, "a few more answers")
    server.process.terminate()
    assert server.process.wait(30) == 0, server.log.read_text()

    answers = server.answers
    assert len(server.unanswered) < 20, server.unanswered
    assert not any(answer["local"] for answer in answers)
    safe = [one for one in answers if one["pid"] != killed] + list(server.acknowledged(killed))
    spans = {bytes.fromhex(span) for answer in safe for span in answer["spans"]}
    kit.wait_until(lambda: not spans - column(store, "span_id", "spans"), 10, "every span is there")
    made = {bytes.fromhex(answer["delegation"]) for answer in answers}
    said = "delegations WHERE state = 'answered'"
    kit.wait_until(lambda: not made - column(store, "delegation_id", said), 10, "and delegation")
    last = "SELECT 1 FROM spans WHERE name = 'master''s last'"
    kit.wait_until(lambda: store.rows(last), 10, "the master's last")
    names = [row["name"] for row in store.rows("SELECT name FROM spans")]
    assert names.count("preload") == names.count("master's last") == 1

    sockets = {(answer["pid"], answer["socket"]) for answer in answers}
    assert len(sockets) == len(server.pids()) >= 5  # one for each worker, all the time
    assert not any(answer["holds master's"] for answer in answers)


def column(store: Store, name: str, table: str) -> set[object]:
    return {row[name] for row in store.rows(f"SELECT {name} FROM {table}")}


# -- forks at bad moments ------------------------------------------------------------------------


def forked(work: Callable[[], None]) -> Callable[[], int]:
    """Fork here and now; the child does `work` and ends. What is returned waits for its exit code:
    0 if it raised nothing, -9 if it had to be killed because it hung."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    return lambda: exit_code(pid)


def exit_code(pid: int) -> int:
    for _ in range(2000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def one_round(wb: waybill.Waybill, name: str) -> None:
    """A span and a delegation that the sidecar has acknowledged."""
    with wb.span(name):
        made = wb.delegate(TARGET, method="SendMessage", message_id=name)
        assert not made.local
        assert wb.settle(made, "answered") == "answered"
    assert wb.flush(10)


def test_a_request_in_flight_at_the_fork_is_the_parent_s_alone(
    sidecar: kit.Sidecar, wb: waybill.Waybill, store: Store
) -> None:
    wb.status()
    os.kill(sidecar.pid, signal.SIGSTOP)
    try:
        made: list[waybill.Delegation] = []
        asking = threading.Thread(
            target=lambda: made.append(
                wb.delegate(TARGET, method="SendMessage", message_id="parent's")
            )
        )
        with wb.span("parent's"):
            pass
        asking.start()
        kit.wait_until(lambda: not wb._connection.idle)
        time.sleep(0.05)  # and the bytes are on their way

        def child() -> None:
            assert wb._connection.idle and wb.stats.spans_buffered == 0
            one_round(wb, "child's")

        wait = forked(child)
    finally:
        os.kill(sidecar.pid, signal.SIGCONT)
    assert wait() == 0
    asking.join(20)
    assert len(made) == 1 and not made[0].local
    assert wb.flush(10) and wb.settle(made[0], "answered") == "answered"
    rows = store.wait("SELECT message_id FROM delegations WHERE state = 'answered'", count=2)
    assert sorted(str(row["message_id"]) for row in rows) == ["child's", "parent's"]
    rows = store.wait("SELECT name FROM spans WHERE name <> 'SendMessage'", count=2)
    assert sorted(str(row["name"]) for row in rows) == ["child's", "parent's"]


def test_what_is_open_at_a_fork_from_a_thread_is_ended_by_the_parent_alone(
    wb: waybill.Waybill, store: Store
) -> None:
    wb.status()
    made = wb.delegate(TARGET, method="SendMessage", message_id="m")
    acceptance = wb.accept(method="SendMessage", message_id="in")
    codes: list[int] = []

    def work() -> None:
        pid = -1
        try:
            finishing = wb.finishing(acceptance)
            with finishing, wb.settling(made), wb.span("parent's") as outer:
                pid = os.fork()
                if pid == 0:
                    with wb.span("child's") as own:
                        assert own.parent == outer.context
                    raise SystemExit  # out of the parent's blocks, as code that forks deep inside
                codes.append(exit_code(pid))
                report = wb.status()
                assert report["delegations"]["open"] == report["acceptances"]["open"] == 1
        except SystemExit:
            assert waybill.current_acceptance() is None and wb.flush(10)
            os._exit(0)
        finally:
            if pid == 0:
                os._exit(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert codes == [0] and wb.flush(10)
    parent = store.one("SELECT span_id, status FROM spans WHERE name = 'parent''s'")
    child = store.one("SELECT parent_span_id FROM spans WHERE name = 'child''s'")
    assert child["parent_span_id"] == parent["span_id"] and parent["status"] != "error"
    store.one("SELECT 1 FROM delegations WHERE state = 'answered'")
    store.one("SELECT 1 FROM acceptances WHERE outcome = 'ok'")


def test_forks_while_other_threads_are_busy_hang_nobody(wb: waybill.Waybill, store: Store) -> None:
    stop, failures = threading.Event(), []

    def busy(n: int) -> None:
        try:
            for i in itertools.count():
                if stop.is_set():
                    return
                one_round(wb, f"thread {n} {i}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=busy, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for i in range(15):
            assert forked(lambda i=i: one_round(wb, f"child {i}"))() == 0  # type: ignore[misc]
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not failures
    rows = store.wait("SELECT name FROM spans WHERE name LIKE 'child %'", count=15)
    assert sorted(str(row["name"]) for row in rows) == sorted(f"child {i}" for i in range(15))


def test_a_fork_while_connections_come_and_go_leaves_the_child_none_of_them(
    sidecar: kit.Sidecar, folder: pathlib.Path
) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    def count() -> None:
        (folder / "count").write_text(str(descriptors()))

    assert forked(count)() == 0
    in_a_child = int((folder / "count").read_text())
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            with waybill.Waybill(socket=sidecar.socket) as client:
                client.status()

    def child() -> None:
        assert descriptors() == in_a_child

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert [forked(child)() for _ in range(100)] == [0] * 100
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


def test_a_child_forked_by_a_running_event_loop_starts_its_own(
    wb: waybill.Waybill, store: Store
) -> None:
    async def one(name: str) -> None:
        made = await wb.adelegate(TARGET, method="SendMessage", message_id=name)
        assert not made.local and await wb.asettle(made, "answered") == "answered"

    def child() -> None:
        def main() -> None:
            asyncio.run(one("child's"))

        thread = threading.Thread(target=main)  # this thread's loop is the parent's
        thread.start()
        thread.join(20)
        assert not thread.is_alive()

    async def main() -> int:
        await one("before")
        asking = asyncio.create_task(one("during"))
        await asyncio.sleep(0)
        wait = forked(child)
        await asking
        return await asyncio.to_thread(wait)

    assert asyncio.run(main()) == 0
    rows = store.wait("SELECT message_id FROM delegations WHERE state = 'answered'", count=3)
    assert {row["message_id"] for row in rows} == {"before", "during", "child's"}
