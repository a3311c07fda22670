# SPDX-License-Identifier: Apache-2.0
"""The one connection of a process to its sidecar.

Any thread submits a Request and gets a `concurrent.futures.Future` of the Reply at once; a single
daemon thread does all I/O. A future serves both worlds: `future.result()` in plain code,
`asyncio.wrap_future(future)` under asyncio, without a second implementation of anything.

Many requests are in flight on the one socket, matched by the 4-byte id of nng's protocol. Who waits
for what:

    submitted --greeted--> sent --reply OK, refused ...--> future
        ^                    |
        |  connection lost   |  reply FULL, UNAVAILABLE, TIMEOUT: again after retry_after_ms
        +--------------------+
    at its deadline, wherever it is: future fails with Unavailable

A lost connection loses nothing: every request that has no reply is sent again, byte for byte, with
the same 16-byte id inside, and the sidecar answers a repeat from its journal. A waiter that gives
up (a cancelled asyncio task) does not take its request back: what was handed over is delivered.

Bounds: `MAX_PENDING` requests and `MAX_PENDING_BYTES` of them; a reply above `MAX_REPLY_BYTES`, a
wrong handshake or bytes that are no message close the connection, which is then opened anew with
growing pauses for as long as somebody waits. With nobody waiting there is no reconnecting and no
timer: an idle agent costs no wake-up.

Fork: the child has neither the thread nor the right to the parent's replies. It drops its copy of
everything and opens its own connection at its first request; the parent's socket, and what is in
flight there, is untouched. poll(2) and not epoll, whose set would be shared with the parent. A fork
waits while a descriptor is being made or closed (`_no_fork`), or the child would keep a copy of it
that nobody knows of.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import os
import random
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future

from waybill import _sp, _wire
from waybill._wire import Reply, Request, Status
from waybill.errors import Unavailable, WireError

MAX_PENDING = 4096
MAX_PENDING_BYTES = 16 << 20
MAX_REPLY_BYTES = 4 << 20

_READ_BYTES = 64 << 10
_BACKOFF_FIRST_S, _BACKOFF_MAX_S = 0.01, 0.5
_HANDSHAKE_S = 0.2
_AGAIN = frozenset((Status.FULL, Status.UNAVAILABLE, Status.TIMEOUT))


class _Pending:
    __slots__ = ("frame", "future", "deadline", "resends", "request_id")

    def __init__(self, frame: bytes, deadline: float, request_id: bytes) -> None:
        self.frame = frame
        self.future: Future[Reply] = Future()
        self.deadline = deadline
        self.resends = 0
        self.request_id = request_id


class Connection:
    """path      of the sidecar's socket
    greeting  makes the request that is sent first on every new connection; its reply goes to
              `on_greeted`, on the I/O thread
    on_start  called when a process sends its first request"""

    def __init__(
        self,
        path: str,
        greeting: Callable[[], Request] | None = None,
        on_greeted: Callable[[Reply], None] | None = None,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self._on_start = on_start
        self._greeting = greeting
        self._on_greeted = on_greeted
        self._reset()
        _connections.add(self)

    def _reset(self) -> None:
        """A state without thread, socket or requests, as at birth and in a forked child."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._pending_bytes = 0
        self._due: list[tuple[float, int]] = []  # deadlines and resends: (time, nng id)
        self._fresh: list[int] = []  # submitted or to be sent again
        self._ids = itertools.count(random.getrandbits(30))
        self._thread: threading.Thread | None = None
        self._closing = False
        self._socket: socket.socket | None = None
        self._decoder: _sp.Decoder | None = None
        self._out = bytearray()
        self._open = False  # the peer is the sidecar, and we have been introduced
        self._hello_id = 0
        self._backoff_s = 0.0
        self._connect_at = 0.0
        self._trouble = ""
        self._wake_read, self._wake_write = -1, -1

    def after_fork_in_child(self) -> None:
        """Forget the parent's connection; closing our copies of its descriptors leaves it open."""
        inherited, ends = self._socket, (self._wake_read, self._wake_write)
        self._reset()
        if inherited is not None:
            inherited.close()
        for end in ends:
            if end >= 0:
                os.close(end)

    # -- any thread ------------------------------------------------------------------------------

    def submit(self, request: Request, timeout_s: float) -> Future[Reply]:
        """Send `request` until it is answered, at most for `timeout_s`.

        The future ends with a Reply of any status but FULL, UNAVAILABLE and TIMEOUT, which are
        tried again, or with Unavailable. Never blocks, never raises."""
        if self._pid != os.getpid():
            self.after_fork_in_child()
        body = _wire.encode(request)
        nng_id = next(self._ids) & 0x7FFFFFFF | _sp.FINAL
        entry = _Pending(_sp.frame(nng_id, body), time.monotonic() + timeout_s, request.id)
        with self._lock:
            refusal = self._admit(nng_id, entry)
            if not refusal:
                self._wake()
        if refusal:
            entry.future.set_exception(Unavailable(refusal))
        return entry.future

    def start(self) -> None:
        """Have the thread, which a process that is about to end could not start any more (Python
        3.12). It connects when there is something to send."""
        if self._pid != os.getpid():
            self.after_fork_in_child()
        with self._lock:
            if self._thread is None and not self._closing:
                self._start_thread()

    def _admit(self, nng_id: int, entry: _Pending) -> str:
        if self._closing:
            return "the client is closed"
        if (
            len(self._pending) >= MAX_PENDING
            or self._pending_bytes + len(entry.frame) > MAX_PENDING_BYTES
        ):
            return "too many requests wait for the sidecar"
        if self._thread is None and not self._start_thread():
            return "the interpreter is ending"
        self._pending[nng_id] = entry
        self._pending_bytes += len(entry.frame)
        self._fresh.append(nng_id)
        heapq.heappush(self._due, (entry.deadline, nng_id))
        return ""

    def _start_thread(self) -> bool:
        if self._wake_read < 0:
            with _no_fork:
                self._wake_read, self._wake_write = os.pipe()
            os.set_blocking(self._wake_read, False)
            os.set_blocking(self._wake_write, False)
        thread = threading.Thread(target=self._run, name="waybill-io", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        self._on_start()
        return True

    @property
    def idle(self) -> bool:
        """Whether no request waits for its reply."""
        return not self._pending

    @property
    def connected(self) -> bool:
        """Whether a sidecar is at the other end at this moment, as far as anybody has noticed."""
        return self._open

    def close(self, timeout_s: float = 1.0) -> None:
        """End the connection and its thread; requests without reply fail with Unavailable."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._closing = True
            thread = self._thread
            self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _wake(self) -> None:
        """With the lock held, so that the descriptor cannot be closed and mean another file."""
        if self._wake_write >= 0:
            with contextlib.suppress(BlockingIOError):  # full: the thread will wake anyway
                os.write(self._wake_write, b"\0")

    # -- the I/O thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                self._step()
            self._shake_hands()
        finally:
            self._hang_up("the client is closed")
            self._end()

    def _shake_hands(self) -> None:
        """Do not leave in the middle of the handshake, if we can help it: a listener of nng 1.5.2
        whose peer is gone by the time that it says its header accepts nobody any more."""
        if self._socket is None or self._decoder is None or self._decoder.greeted:
            return
        with contextlib.suppress(OSError):
            self._socket.settimeout(_HANDSHAKE_S)
            self._socket.sendall(self._out)
            self._socket.recv(_sp.HEADER_LEN)

    def _step(self) -> None:
        now = time.monotonic()
        self._expire(now)
        if self._socket is None and self._pending and now >= self._connect_at:
            self._connect(now)
        self._queue_fresh()
        readable, writable = self._poll(self._patience(now))
        if self._socket is not None and writable:
            self._write()
        if self._socket is not None and readable:
            self._read()

    def _patience(self, now: float) -> float | None:
        """How long nothing has to be done unless a descriptor says so."""
        times = [self._due[0][0]] if self._due else []
        if self._socket is None and self._pending:
            times.append(self._connect_at)
        return max(0.0, min(times) - now) if times else None

    def _poll(self, patience: float | None) -> tuple[bool, bool]:
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        if self._socket is not None:
            wants = select.POLLIN | (select.POLLOUT if self._out else 0)
            poller.register(self._socket, wants)
        events = dict(poller.poll(None if patience is None else patience * 1000 + 1))
        if events.pop(self._wake_read, 0):
            with contextlib.suppress(OSError):
                while len(os.read(self._wake_read, 4096)) == 4096:
                    pass
        got = next(iter(events.values()), 0)
        return bool(got & ~select.POLLOUT), bool(got & select.POLLOUT)

    def _connect(self, now: float) -> None:
        with _no_fork:  # connect to a Unix socket that does not block: no waiting here
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.setblocking(False)
            try:
                made.connect(self.path)
            except OSError as error:
                made.close()
                self._retry_later(now, f"{self.path}: {error.strerror or error}")
                return
            self._socket = made
        self._decoder = _sp.Decoder(MAX_REPLY_BYTES)
        self._out = bytearray(_sp.header())
        # Closed again before its first reply: pause as after a failed connect.
        self._connect_at = now + self._next_backoff()

    def _next_backoff(self) -> float:
        self._backoff_s = min(_BACKOFF_MAX_S, max(_BACKOFF_FIRST_S, self._backoff_s * 2))
        return self._backoff_s * random.uniform(0.75, 1.25)

    def _retry_later(self, now: float, trouble: str) -> None:
        self._trouble = trouble
        self._connect_at = now + self._next_backoff()

    def _hang_up(self, trouble: str) -> None:
        """Drop the connection; what has no reply will be sent again on the next one."""
        with _no_fork:
            if self._socket is not None:
                self._socket.close()
            self._socket = self._decoder = None
        self._open = False
        self._out = bytearray()
        self._trouble = trouble
        with self._lock:
            self._fresh = []

    def _greet(self) -> None:
        """The peer is the sidecar: introduce ourselves. What waits is sent after its answer, so
        that what it says of itself is known before anything depends on it."""
        if self._greeting is None:
            self._introduced()
            return
        self._hello_id = next(self._ids) & 0x7FFFFFFF | _sp.FINAL
        self._out += _sp.frame(self._hello_id, _wire.encode(self._greeting()))

    def _introduced(self) -> None:
        self._open = True
        resting = {nng_id for due, nng_id in self._due if self._rests(due, nng_id)}
        with self._lock:
            self._fresh = [nng_id for nng_id in self._pending if nng_id not in resting]

    def _rests(self, due: float, nng_id: int) -> bool:
        """Whether an entry of `_due` is a resend that the sidecar asked us to put off."""
        entry = self._pending.get(nng_id)
        return entry is not None and due < entry.deadline

    def _queue_fresh(self) -> None:
        if not self._open:
            return
        with self._lock:
            fresh, self._fresh = self._fresh, []
        for nng_id in fresh:
            entry = self._pending.get(nng_id)
            if entry is not None:
                self._out += entry.frame

    def _write(self) -> None:
        assert self._socket is not None
        try:
            del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError as error:
            self._hang_up(f"send: {error.strerror}")

    def _read(self) -> None:
        assert self._socket is not None and self._decoder is not None
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._hang_up(f"receive: {error.strerror or errno.errorcode.get(error.errno or 0)}")
            return
        if not data:
            self._hang_up("the sidecar closed the connection")
            return
        greeted = self._decoder.greeted
        try:
            for nng_id, body in self._decoder.feed(data):
                self._take(nng_id, _wire.decode(Reply, body))
        except WireError as error:
            self._hang_up(f"not a sidecar's answer: {error}")
            return
        if not greeted and self._decoder.greeted:
            self._greet()

    def _take(self, nng_id: int, reply: Reply) -> None:
        self._backoff_s = 0.0
        if nng_id == self._hello_id:
            if self._on_greeted is not None:
                self._on_greeted(reply)
            self._introduced()
            return
        entry = self._pending.get(nng_id)
        if entry is None:
            return  # answered twice, or after its deadline
        if reply.id != entry.request_id:
            # A sidecar that could not even read or pack says so without an id, never with OK.
            if reply.id or reply.status == Status.OK:
                reply = Reply(status=Status.CORRUPT, detail="a reply without the request's id")
        if reply.status in _AGAIN and self._put_off(nng_id, entry, reply):
            return
        self._forget(nng_id)
        if reply.status in _AGAIN:
            name = Status(reply.status).name.lower()
            detail = f"the sidecar is {name}: {reply.detail}"
            _fail(entry.future, Unavailable(detail, reply.retry_after_ms / 1000))
        elif entry.future.set_running_or_notify_cancel():
            entry.future.set_result(reply)

    def _put_off(self, nng_id: int, entry: _Pending, reply: Reply) -> bool:
        """Schedule a resend when the sidecar asked us to wait, unless its deadline comes first."""
        own = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2**entry.resends)
        again = time.monotonic() + max(own, reply.retry_after_ms / 1000)
        if again >= entry.deadline:
            return False
        entry.resends += 1
        with self._lock:
            heapq.heappush(self._due, (again, nng_id))
        return True

    def _expire(self, now: float) -> None:
        """Fail what is past its deadline, send again what was put off until now."""
        late: list[_Pending] = []
        with self._lock:
            if len(self._due) > 1024 + 4 * len(self._pending):
                self._due = [due for due in self._due if due[1] in self._pending]
                heapq.heapify(self._due)
            while self._due:
                due, nng_id = self._due[0]
                entry = self._pending.get(nng_id)
                if entry is not None and due > now:
                    break
                heapq.heappop(self._due)
                if entry is None:
                    continue  # answered since
                if now < entry.deadline:
                    self._fresh.append(nng_id)
                else:
                    late.append(self._pending.pop(nng_id))
                    self._pending_bytes -= len(entry.frame)
        for entry in late:
            detail = (
                f"no answer in time ({self._trouble})" if self._trouble else "no answer in time"
            )
            _fail(entry.future, Unavailable(detail))

    def _forget(self, nng_id: int) -> None:
        with self._lock:
            entry = self._pending.pop(nng_id)
            self._pending_bytes -= len(entry.frame)

    def _end(self) -> None:
        with self._lock:
            self._closing = True
            left = list(self._pending.values())
            self._pending.clear()
            self._pending_bytes = 0
            self._due.clear()
            with _no_fork:
                os.close(self._wake_read)
                os.close(self._wake_write)
                self._wake_read = self._wake_write = -1
        for entry in left:
            _fail(entry.future, Unavailable("the client is closed"))


def _fail(future: Future[Reply], error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()
_no_fork = threading.Lock()


def _after_fork_in_child() -> None:
    _no_fork.release()
    for connection in list(_connections):
        connection.after_fork_in_child()


os.register_at_fork(
    before=_no_fork.acquire,
    after_in_parent=_no_fork.release,
    after_in_child=_after_fork_in_child,
)
