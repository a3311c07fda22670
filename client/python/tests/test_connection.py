# SPDX-License-Identifier: Apache-2.0
"""The connection against real nng, and against peers that break the rules on a bare socket."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
import waybill_testkit as kit
from conftest import program, request

from waybill import _connection, _sp, _wire
from waybill._connection import Connection
from waybill.errors import Unavailable


@pytest.fixture
def path(folder: pathlib.Path) -> str:
    return str(folder / "ipc.sock")


@pytest.fixture
def connect(path: str) -> Iterator[Callable[..., Connection]]:
    made: list[Connection] = []

    def open_one(**options: object) -> Connection:
        made.append(Connection(path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield open_one
    for connection in made:
        connection.close()


@pytest.fixture
def echo(path: str) -> Iterator[object]:
    """An nng REP server with 64 contexts that answers out of order, within 20 ms."""
    program("nng_echo")
    with kit.helper("nng_echo", f"ipc://{path}", "64", "20", ready="ready") as process:
        yield process


class Peer:
    """A listener that plays a script for each connection: `scripts` in order, the last repeated."""

    def __init__(self, path: str, *scripts: Callable[[Peer, socket.socket], None]) -> None:
        self.seen: list[bytes] = []  # every request body, in order
        self.connections = 0
        self._scripts = list(scripts)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            with connection:
                try:
                    script(self, connection)
                except OSError:
                    pass

    def greet(self, connection: socket.socket) -> None:
        connection.sendall(_sp.header(_sp.PROTOCOL_REP))
        assert read(connection, _sp.HEADER_LEN) == _sp.header()

    def request(self, connection: socket.socket) -> tuple[int, _wire.Request]:
        head = read(connection, _sp.FRAME_LEN)
        body = read(connection, int.from_bytes(head[1:], "big"))
        self.seen.append(body[4:])
        return int.from_bytes(body[:4], "big"), _wire.decode(_wire.Request, body[4:])

    def answer(self, connection: socket.socket, **fields: object) -> None:
        nng_id, asked = self.request(connection)
        reply = _wire.Reply(**{"id": asked.id, **fields})  # type: ignore[arg-type]
        connection.sendall(_sp.frame(nng_id, _wire.encode(reply)))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        got = connection.recv(count - len(data))
        if not got:
            raise OSError("closed")
        data += got
    return data


@pytest.fixture
def peer(path: str) -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def listen(*scripts: Callable[[Peer, socket.socket], None]) -> Peer:
        made.append(Peer(path, *scripts))
        return made[-1]

    yield listen
    for one in made:
        one.close()


def good(peer: Peer, connection: socket.socket) -> None:
    peer.greet(connection)
    while True:
        peer.answer(connection)


def outcome(future: Future[_wire.Reply], within_s: float = 5.0) -> _wire.Reply:
    return future.result(within_s)


# -- nobody there, or not a sidecar --------------------------------------------------------------


def test_without_a_sidecar_a_request_fails_at_its_deadline(
    connect: Callable[..., Connection],
) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="No such file"):
        outcome(connect().submit(request(), 0.2))
    assert 0.2 <= time.monotonic() - began < 0.6


def test_submitting_never_waits(connect: Callable[..., Connection]) -> None:
    connection = connect()
    connection.submit(request(), 1)
    began = time.monotonic()
    futures = [connection.submit(request(), 1) for _ in range(100)]
    assert time.monotonic() - began < 0.1
    assert not any(future.done() for future in futures)


@pytest.mark.parametrize(
    "script",
    [
        lambda peer, c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n") or c.recv(100),
        lambda peer, c: c.sendall(_sp.header(_sp.PROTOCOL_REQ)) or c.recv(100),
        lambda peer, c: c.sendall(_sp.header(_sp.PROTOCOL_REP)[:5]) or c.recv(8),
        lambda peer, c: None,
    ],
    ids=["http", "a REQ socket", "half a handshake", "closes at once"],
)
def test_a_peer_that_is_no_sidecar_learns_nothing(
    script: Callable[[Peer, socket.socket], None],
    peer: Callable[..., Peer],
    connect: Callable[..., Connection],
) -> None:
    other = peer(script)
    with pytest.raises(Unavailable):
        outcome(connect().submit(request(), 0.3))
    assert other.connections >= 1
    assert other.seen == []


def test_it_does_not_hammer_a_peer_that_closes(
    peer: Callable[..., Peer], connect: Callable[..., Connection]
) -> None:
    other = peer(lambda peer, c: peer.greet(c))
    with pytest.raises(Unavailable):
        outcome(connect().submit(request(), 1.0))
    assert 2 <= other.connections <= 12


def test_a_silent_peer_costs_no_more_than_the_deadline(
    peer: Callable[..., Peer], connect: Callable[..., Connection]
) -> None:
    def silent(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        while connection.recv(4096):
            pass

    peer(silent)
    with pytest.raises(Unavailable, match="no answer in time"):
        outcome(connect().submit(request(), 0.2))


# -- bad answers, then good ones: the same request again -----------------------------------------


def half_reply(peer: Peer, connection: socket.socket) -> None:
    peer.greet(connection)
    nng_id, asked = peer.request(connection)
    whole = _sp.frame(nng_id, _wire.encode(_wire.Reply(id=asked.id)))
    connection.sendall(whole[: len(whole) // 2])


def oversize_reply(peer: Peer, connection: socket.socket) -> None:
    peer.greet(connection)
    peer.request(connection)
    connection.sendall(b"\1" + (_connection.MAX_REPLY_BYTES + 5).to_bytes(8, "big"))
    connection.recv(1)


def garbage_reply(peer: Peer, connection: socket.socket) -> None:
    peer.greet(connection)
    nng_id, _ = peer.request(connection)
    connection.sendall(_sp.frame(nng_id, b"\x0a\xff\xff\xff\xff\x0f"))
    connection.recv(1)


def no_reply(peer: Peer, connection: socket.socket) -> None:
    peer.greet(connection)
    peer.request(connection)


@pytest.mark.parametrize("bad", [half_reply, oversize_reply, garbage_reply, no_reply])
def test_after_a_bad_reply_the_same_request_is_sent_again(
    bad: Callable[[Peer, socket.socket], None],
    peer: Callable[..., Peer],
    connect: Callable[..., Connection],
) -> None:
    other = peer(bad, good)
    asked = request()
    assert outcome(connect().submit(asked, 5)).id == asked.id
    assert len(other.seen) == 2 and other.seen[0] == other.seen[1]
    assert _wire.decode(_wire.Request, other.seen[1]).id == asked.id


@pytest.mark.parametrize("reply", [{"id": b"x" * 16}, {"id": b""}])
def test_an_ok_without_the_request_s_id_is_no_ok(
    reply: dict[str, object], peer: Callable[..., Peer], connect: Callable[..., Connection]
) -> None:
    def wrong(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        while True:
            peer.answer(connection, **reply)

    peer(wrong)
    assert outcome(connect().submit(request(), 5)).status == _wire.Status.CORRUPT


def test_full_is_tried_again_when_the_sidecar_said(
    peer: Callable[..., Peer], connect: Callable[..., Connection]
) -> None:
    def full_twice(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        for _ in range(2):
            peer.answer(connection, status=_wire.Status.FULL, retry_after_ms=150)
        while True:
            peer.answer(connection)

    other = peer(full_twice)
    began = time.monotonic()
    assert outcome(connect().submit(request(), 5)).status == _wire.Status.OK
    assert time.monotonic() - began >= 0.3
    assert len(set(other.seen)) == 1 and len(other.seen) == 3


def test_a_refusal_to_wait_for_is_told_at_once(
    peer: Callable[..., Peer], connect: Callable[..., Connection]
) -> None:
    def away(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        while True:
            peer.answer(connection, status=_wire.Status.UNAVAILABLE, retry_after_ms=60_000)

    peer(away)
    with pytest.raises(Unavailable) as caught:
        outcome(connect().submit(request(), 5), 1)
    assert caught.value.retry_after_s == 60


# -- real nng ------------------------------------------------------------------------------------


def test_nng_answers_each_request_with_its_own_reply(
    echo: object, connect: Callable[..., Connection]
) -> None:
    connection = connect()
    asked = [request() for _ in range(500)]
    futures = [connection.submit(one, 5) for one in asked]
    assert [outcome(future).id for future in futures] == [one.id for one in asked]
    assert connection.idle and connection.connected


def test_a_message_of_megabytes_passes(echo: object, connect: Callable[..., Connection]) -> None:
    big = request(status=_wire.StatusRequest())
    big.id = b"i" * (3 << 20)
    assert outcome(connect().submit(big, 5)).id == big.id


def test_sixty_four_threads_share_a_connection(
    echo: object, connect: Callable[..., Connection]
) -> None:
    connection, wrong = connect(), []

    def work() -> None:
        for _ in range(20):
            asked = request()
            if connection.submit(asked, 5).result().id != asked.id:
                wrong.append(asked)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_sixty_four_tasks_share_a_connection(
    echo: object, connect: Callable[..., Connection]
) -> None:
    connection = connect()

    async def work() -> None:
        for _ in range(20):
            asked = request()
            assert (await asyncio.wrap_future(connection.submit(asked, 5))).id == asked.id

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(64)))

    asyncio.run(main())


def test_a_cancelled_waiter_harms_nobody(echo: object, connect: Callable[..., Connection]) -> None:
    connection = connect()

    async def main() -> None:
        waiting = [
            asyncio.ensure_future(asyncio.wrap_future(connection.submit(request(), 5)))
            for _ in range(50)
        ]
        await asyncio.sleep(0)
        cancelled = sum(one.cancel() for one in waiting[::2])
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert cancelled > 0  # a few may have been answered already
        assert sum(isinstance(one, asyncio.CancelledError) for one in done) == cancelled
        assert sum(isinstance(one, _wire.Reply) for one in done) == 50 - cancelled

    asyncio.run(main())
    kit.wait_until(lambda: connection.idle)


def test_a_server_killed_with_requests_in_hand_answers_them_after_its_restart(
    path: str, connect: Callable[..., Connection]
) -> None:
    program("nng_echo")
    connection = connect()
    asked = [request() for _ in range(100)]
    with kit.helper("nng_echo", f"ipc://{path}", "4", "500", ready="ready") as first:
        futures = [connection.submit(one, 20) for one in asked]
        kit.wait_until(lambda: any(future.done() for future in futures))
        first.kill()
        first.wait()
        assert not all(future.done() for future in futures)
        os.unlink(path)
        with kit.helper("nng_echo", f"ipc://{path}", "64", "5", ready="ready"):
            assert [outcome(f, 10).id for f in futures] == [one.id for one in asked]


# -- ends ----------------------------------------------------------------------------------------


def test_closing_fails_what_waits_and_refuses_what_comes(
    connect: Callable[..., Connection],
) -> None:
    connection = connect()
    waiting = connection.submit(request(), 60)
    connection.close()
    for future in (waiting, connection.submit(request(), 60)):
        with pytest.raises(Unavailable, match="closed"):
            outcome(future, 1)


def test_the_number_of_waiting_requests_is_bounded(
    connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "MAX_PENDING", 10)
    connection = connect()
    futures = [connection.submit(request(), 60) for _ in range(11)]
    with pytest.raises(Unavailable, match="too many"):
        outcome(futures[10], 1)
    assert not any(future.done() for future in futures[:10])


def test_deadlines_of_answered_requests_do_not_pile_up(
    echo: object, connect: Callable[..., Connection]
) -> None:
    connection = connect()
    for _ in range(30):
        for future in [connection.submit(request(), 600) for _ in range(200)]:
            outcome(future)
    kit.wait_until(
        lambda: connection.submit(request(), 5).result() and len(connection._due) <= 1100
    )


# -- fork ----------------------------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child; its exit code, 0 if it raised nothing."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(20)
    if child.is_alive():
        child.kill()
        return -1
    return child.exitcode or 0


def test_a_forked_child_has_its_own_connection_and_the_parent_keeps_its_own(
    echo: object, connect: Callable[..., Connection]
) -> None:
    connection = connect()
    outcome(connection.submit(request(), 5))
    inode = os.fstat(connection._socket.fileno()).st_ino  # type: ignore[union-attr]
    in_flight = [request() for _ in range(50)]
    futures = [connection.submit(one, 5) for one in in_flight]

    def child() -> None:
        assert connection.idle and not connection.connected
        asked = [request() for _ in range(50)]
        replies = [outcome(connection.submit(one, 5)) for one in asked]
        assert [reply.id for reply in replies] == [one.id for one in asked]
        assert os.fstat(connection._socket.fileno()).st_ino != inode  # type: ignore[union-attr]

    assert in_child(child) == 0
    assert [outcome(future).id for future in futures] == [one.id for one in in_flight]
    assert os.fstat(connection._socket.fileno()).st_ino == inode  # type: ignore[union-attr]


def test_children_of_children_work_too(echo: object, connect: Callable[..., Connection]) -> None:
    connection = connect()
    outcome(connection.submit(request(), 5))

    def grandchild() -> None:
        outcome(connection.submit(request(), 5))

    def child() -> None:
        outcome(connection.submit(request(), 5))
        assert in_child(grandchild) == 0
        outcome(connection.submit(request(), 5))

    assert in_child(child) == 0
    outcome(connection.submit(request(), 5))


def test_forking_while_other_threads_submit_leaves_no_lock_held(
    echo: object, connect: Callable[..., Connection]
) -> None:
    connection, stop = connect(), threading.Event()

    def busy() -> None:
        while not stop.is_set():
            outcome(connection.submit(request(), 5))

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert in_child(lambda: outcome(connection.submit(request(), 5)) and None) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
