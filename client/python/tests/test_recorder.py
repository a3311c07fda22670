# SPDX-License-Identifier: Apache-2.0
"""The span buffer: what it must never do to the agent, and when a span may leave it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import waybill_testkit as kit

from waybill import _recorder, _wire
from waybill._recorder import Recorder
from waybill._wire import Reply, Request, Status
from waybill.errors import Unavailable


class Line:
    """The connection's end of the buffer, answered by hand."""

    def __init__(self) -> None:
        self.sent: list[tuple[Request, Future[Reply]]] = []

    def submit(self, request: Request, timeout_s: float) -> Future[Reply]:
        future: Future[Reply] = Future()
        self.sent.append((request, future))
        return future

    def wait(self, count: int) -> tuple[Request, Future[Reply]]:
        kit.wait_until(lambda: len(self.sent) >= count)
        return self.sent[count - 1]


def ok(request: Request, rejected: int = 0) -> Reply:
    return Reply(id=request.id, record=_wire.RecordReply(rejected_spans=rejected))


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def recorder(line: Line) -> Iterator[Recorder]:
    made = Recorder(line.submit, max_spans=100, max_bytes=100_000)
    yield made
    made.close()
    for request, future in line.sent:
        if not future.done():
            future.set_result(ok(request))


def fill(recorder: Recorder, count: int, size: int = 10) -> int:
    return sum(recorder.add(b"r", b"s", b"x" * size) for _ in range(count))


def test_beyond_its_bound_of_spans_it_drops_and_counts(recorder: Recorder, line: Line) -> None:
    assert fill(recorder, 130) == 100
    assert recorder.stats.dropped == 30 and recorder.buffered == 100
    request, future = line.wait(1)
    assert request.record is not None and request.record.dropped_spans == 30
    future.set_result(ok(request))
    kit.wait_until(lambda: recorder.buffered == 0)
    assert fill(recorder, 1) == 1
    second, _ = line.wait(2)
    assert second.record is not None and second.record.dropped_spans == 0


def test_beyond_its_bound_of_bytes_it_drops_and_counts(recorder: Recorder) -> None:
    assert fill(recorder, 50, size=4000) == 24
    assert recorder.stats.dropped == 26


def test_a_held_lock_costs_five_milliseconds_and_no_span(recorder: Recorder, line: Line) -> None:
    assert fill(recorder, 1) == 1
    with recorder._lock:
        began = time.monotonic()
        assert fill(recorder, 2) == 2
        assert 0.008 <= time.monotonic() - began < 0.1
        assert recorder.buffered == 3 and recorder.stats.dropped == 0
    request, future = line.wait(1)
    future.set_result(ok(request))
    assert recorder.flush(5) and recorder.stats.acknowledged == 3


def test_what_is_laid_aside_has_bounds_too(
    recorder: Recorder, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recorder, "MAX_WAIT_S", 0)
    with recorder._lock:
        assert fill(recorder, _recorder.MAX_ASIDE + 5) == _recorder.MAX_ASIDE
        assert recorder.stats.dropped == 5
    assert not recorder.flush(0)
    assert recorder.buffered == 100  # the buffer's own bound
    assert recorder.stats.recorded == _recorder.MAX_ASIDE + 5 == 100 + recorder.stats.dropped


def test_a_span_that_is_laid_aside_is_sent_without_another_one(
    recorder: Recorder, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fill(recorder, 1) == 1
    request, future = line.wait(1)
    future.set_result(ok(request))
    kit.wait_until(lambda: recorder.buffered == 0)
    time.sleep(0.05)  # the thread sleeps, with nothing to wake for
    recorder._lay_aside((b"r", b"s", b"x"))
    line.wait(2)


def test_a_span_stays_until_the_sidecar_said_ok(recorder: Recorder, line: Line) -> None:
    fill(recorder, 3)
    request, future = line.wait(1)
    time.sleep(0.05)
    assert recorder.buffered == 3 and recorder.stats.acknowledged == 0
    future.set_result(ok(request))
    kit.wait_until(lambda: recorder.buffered == 0)
    assert recorder.stats.acknowledged == 3


def test_without_an_answer_the_same_batch_is_sent_again(recorder: Recorder, line: Line) -> None:
    fill(recorder, 3)
    first, future = line.wait(1)
    future.set_exception(Unavailable("away"))
    second, future = line.wait(2)
    assert second is first and recorder.buffered == 3
    future.set_result(ok(second))
    kit.wait_until(lambda: recorder.buffered == 0)


def test_a_batch_that_will_never_be_taken_is_dropped_and_counted(
    recorder: Recorder, line: Line
) -> None:
    fill(recorder, 3)
    request, future = line.wait(1)
    future.set_result(Reply(id=request.id, status=Status.MALFORMED))
    kit.wait_until(lambda: recorder.buffered == 0)
    assert (recorder.stats.acknowledged, recorder.stats.rejected) == (0, 3)


def test_spans_that_the_sidecar_rejected_are_counted(recorder: Recorder, line: Line) -> None:
    fill(recorder, 3)
    request, future = line.wait(1)
    future.set_result(ok(request, rejected=2))
    kit.wait_until(lambda: recorder.buffered == 0)
    assert (recorder.stats.acknowledged, recorder.stats.rejected) == (1, 2)


def test_it_sends_a_little_after_200_ms_and_much_at_once(recorder: Recorder, line: Line) -> None:
    began = time.monotonic()
    fill(recorder, 1)
    request, future = line.wait(1)
    assert 0.15 < time.monotonic() - began < 0.5
    future.set_result(ok(request))
    kit.wait_until(lambda: recorder.buffered == 0)
    recorder.batch_bytes = 1000
    began = time.monotonic()
    fill(recorder, 20, size=100)
    line.wait(2)
    assert time.monotonic() - began < 0.15


def test_a_batch_keeps_below_its_bound(recorder: Recorder, line: Line) -> None:
    recorder.batch_bytes = 1000
    fill(recorder, 20, size=300)
    for count in range(1, 8):
        request, future = line.wait(count)
        assert request.record is not None and len(request.record.traces) < 1100
        future.set_result(ok(request))
    kit.wait_until(lambda: recorder.buffered == 0)


def test_flush_waits_for_the_acknowledgement_and_not_longer(recorder: Recorder, line: Line) -> None:
    fill(recorder, 3)
    began = time.monotonic()
    assert not recorder.flush(0.1)
    assert 0.1 <= time.monotonic() - began < 0.3
    request, future = line.wait(1)
    threading.Timer(0.05, future.set_result, [ok(request)]).start()
    assert recorder.flush(2.0)
    assert recorder.flush(0.0)


def test_flush_does_not_wait_for_spans_that_come_after(recorder: Recorder, line: Line) -> None:
    fill(recorder, 1)
    done = threading.Event()
    threading.Thread(target=lambda: recorder.flush(5) and done.set(), daemon=True).start()
    request, future = line.wait(1)
    fill(recorder, 5)
    future.set_result(ok(request))
    assert done.wait(1)


def test_adding_is_fast_while_the_sidecar_is_away(recorder: Recorder) -> None:
    slowest = 0.0
    for _ in range(5000):
        began = time.perf_counter()
        recorder.add(b"", b"", b"x" * 100)
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 0.05  # 5 ms is ours; the rest is the machine's scheduler


def test_a_forked_child_does_not_send_the_parent_s_spans(recorder: Recorder, line: Line) -> None:
    fill(recorder, 5)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, bytes((recorder.buffered, recorder.stats.recorded)))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 10) == b"\0\0"
    os.close(reader)
    os.close(writer)
    assert recorder.buffered == 5


def test_a_batch_is_one_export_request_grouped_by_origin() -> None:
    trace = pytest.importorskip("google.protobuf.descriptor_pb2")
    assert trace is not None
    from waybill import _otlp

    spans = [(b"\x0a\x00", b"\x0a\x00", b"\x2a\x01a"), (b"\x0a\x00", b"\x0a\x00", b"\x2a\x01b")]
    assert _otlp.export_request(spans) == bytes.fromhex("0a100a00120c0a0012032a016112032a0162")


def test_bounds_are_the_documented_ones() -> None:
    assert (_recorder.MAX_SPANS, _recorder.MAX_BYTES) == (20_000, 8 << 20)
    assert (_recorder.FLUSH_S, _recorder.MAX_WAIT_S) == (0.2, 0.005)
