# SPDX-License-Identifier: Apache-2.0
"""The buffer between the agent's spans and the sidecar.

The agent's side is `add`: take a lock that is only ever held for a few list operations, append,
return. It never waits for the sidecar; if the buffer is at its bound, the span is dropped and
counted, and the next acknowledged Record tells the sidecar how many were.

On a busy machine the lock's holder may not run for a while. Whoever does not get it within
`MAX_WAIT_S` lays the span on a side list, whose append needs no lock, and who next holds the lock
takes it over. Only if the thread was at that moment about to sleep does such a span wait for the
next span, flush or exit.

The other side is one daemon thread that sends a batch when there is enough for one or `FLUSH_S`
after the first span arrived, one batch at a time. **A span leaves the buffer when the Reply said
OK**, which the sidecar says after its fdatasync, and not before: a batch that gets no answer stays,
with its request id, and is sent again until it gets one. So the bound counts what is in flight too.

A batch that the sidecar will never take (malformed, too large) is dropped and counted as rejected:
waiting for another answer would stop all that follows.

Fork: the child's buffer is empty. What is in it belongs to the parent, who sends it.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future

from waybill import _context, _otlp, _wire
from waybill._wire import Reply, Request, Status
from waybill.errors import Unavailable

FLUSH_S = 0.2
MAX_WAIT_S = 0.005
BATCH_SPANS = 1000
BATCH_BYTES = 512 << 10
MAX_SPANS = 20_000
MAX_BYTES = 8 << 20
MAX_ASIDE = 1000

_ANSWER_S = 3600.0
_OVERHEAD = 64  # list slot, tuple and bytes header of one span
_Entry = tuple[bytes, bytes, bytes]  # resource, scope, span


@dataclasses.dataclass
class RecorderStats:
    """Spans since the process began (in a forked child: since the fork)."""

    recorded: int = 0
    acknowledged: int = 0
    rejected: int = 0  # by the sidecar
    dropped: int = 0  # here, because the buffer was full


class Recorder:
    """submit    sends a Request and gives a future of its Reply (Connection.submit)
    on_start  called when a process records its first span"""

    def __init__(
        self,
        submit: Callable[[Request, float], Future[Reply]],
        on_start: Callable[[], None] = lambda: None,
        max_spans: int = MAX_SPANS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._submit = submit
        self._on_start = on_start
        self._max_spans, self._max_bytes = max_spans, max_bytes
        self.batch_bytes = BATCH_BYTES
        self._reset()
        _recorders.add(self)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._spans: list[_Entry] = []
        self._aside: collections.deque[_Entry] = collections.deque()
        self._bytes = 0
        self._dropped_unsaid = 0
        self._first_at = 0.0
        self._flushing = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self.stats = RecorderStats()

    def after_fork_in_child(self) -> None:
        self._reset()

    # -- the agent's side ------------------------------------------------------------------------

    def add(self, resource: bytes, scope: bytes, span: bytes) -> bool:
        """Hand over one encoded span. False: it was dropped. Returns within MAX_WAIT_S."""
        if self._pid != os.getpid():
            self.after_fork_in_child()
        entry = (resource, scope, span)
        if not self._lock.acquire(timeout=MAX_WAIT_S):
            return self._lay_aside(entry)
        try:
            self._take_over()
            return self._keep(entry)
        finally:
            self._lock.release()

    def _keep(self, entry: _Entry) -> bool:
        """With the lock held."""
        size = len(entry[2]) + _OVERHEAD
        self.stats.recorded += 1
        full = len(self._spans) >= self._max_spans or self._bytes + size > self._max_bytes
        if self._closed or full or not self._ensure_thread():
            self._drop(1)
            return False
        if not self._spans:
            self._first_at = time.monotonic()
            self._changed.notify()
        self._spans.append(entry)
        self._bytes += size
        if self._bytes >= self.batch_bytes or len(self._spans) >= BATCH_SPANS:
            self._changed.notify()
        return True

    def _lay_aside(self, entry: _Entry) -> bool:
        if len(self._aside) >= MAX_ASIDE:
            self.stats.recorded += 1
            self._drop(1)
            return False
        self._aside.append(entry)
        if self._lock.acquire(blocking=False):  # free again: nobody else may come to take it over
            self._take_over()
            self._lock.release()
        return True

    def _take_over(self) -> None:
        """Bring in what was laid aside. With the lock held."""
        while self._aside:
            self._keep(self._aside.popleft())

    def _drop(self, count: int) -> None:
        self._dropped_unsaid += count
        self.stats.dropped += count

    def _ensure_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="waybill-spans", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending
                return False
            self._thread = thread
            self._on_start()
        return True

    @property
    def buffered(self) -> int:
        """Spans without acknowledgement."""
        return len(self._spans) + len(self._aside)

    def flush(self, timeout_s: float) -> bool:
        """Send what is buffered now; true once all of it is acknowledged, false at the timeout."""
        if self._pid != os.getpid():
            self.after_fork_in_child()
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._take_over()
            goal = self._settled + len(self._spans)
            self._flushing += 1
            self._changed.notify_all()
            try:
                while self._settled < goal:
                    left = deadline - time.monotonic()
                    if left <= 0 or self._thread is None:
                        return False
                    self._changed.wait(left)
                return True
            finally:
                self._flushing -= 1

    def hurry(self) -> None:
        """Send what is buffered now, without waiting for it."""
        if self.buffered and self._lock.acquire(timeout=MAX_WAIT_S):
            self._take_over()
            self._first_at = 0.0
            self._changed.notify_all()
            self._lock.release()

    @property
    def _settled(self) -> int:
        return self.stats.acknowledged + self.stats.rejected

    def close(self) -> None:
        """Take no more spans and let the thread end; what is not acknowledged is lost."""
        with self._lock:
            self._take_over()
            self._closed = True
            self._changed.notify_all()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._lock:
                self._take_over()
                while not self._due():
                    if self._closed and not self._spans:
                        return
                    self._changed.wait(self._patience())
                    self._take_over()
                waiting = self._spans[:BATCH_SPANS]
                dropped = self._dropped_unsaid
            self._send(self._fitting(waiting), dropped)
            if self._closed:
                return

    def _due(self) -> bool:
        if not self._spans:
            return False
        return bool(
            self._flushing
            or self._closed
            or len(self._spans) >= BATCH_SPANS
            or self._bytes >= self.batch_bytes
            or time.monotonic() >= self._first_at + FLUSH_S
        )

    def _patience(self) -> float | None:
        return max(0.0, self._first_at + FLUSH_S - time.monotonic()) if self._spans else None

    def _fitting(self, waiting: list[_Entry]) -> list[_Entry]:
        """The first of them, as many as one message takes and at least one."""
        size = 0
        for count, (_, _, span) in enumerate(waiting):
            size += len(span)
            if count and size > self.batch_bytes:
                return waiting[:count]
        return waiting

    def _send(self, batch: list[_Entry], dropped: int) -> None:
        """Returns when the batch has its answer. What costs time is done without the lock: the
        agent's threads wait for it."""
        request = Request(
            id=_context.new_id(16),
            protocol=_wire.PROTOCOL,
            record=_wire.Record(traces=_otlp.export_request(batch), dropped_spans=dropped),
        )
        size = sum(len(span) + _OVERHEAD for _, _, span in batch)
        reply: Reply | None = None
        while reply is None:
            try:
                reply = self._submit(request, _ANSWER_S).result()
            except Unavailable:
                if self._closed:
                    return
                time.sleep(FLUSH_S)
        rejected = len(batch)
        if reply.status == Status.OK:
            rejected = min(len(batch), reply.record.rejected_spans if reply.record else 0)
        with self._lock:
            del self._spans[: len(batch)]
            self._bytes -= size
            self._first_at = time.monotonic()
            if reply.status == Status.OK:
                self._dropped_unsaid -= dropped
            self.stats.rejected += rejected
            self.stats.acknowledged += len(batch) - rejected
            self._changed.notify_all()


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for recorder in list(_recorders):
        recorder.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
