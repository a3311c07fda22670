# SPDX-License-Identifier: Apache-2.0
"""The client with a real sidecar beside it: away, killed, restarted, shared, forked."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable

import pytest
import waybill_testkit as kit
from conftest import Company, Store

import waybill
from waybill import _sp, client
from waybill.digest import body_digest

TARGET = waybill.Target("http://127.0.0.1:1/rpc", name="nobody")


def delegate(wb: waybill.Waybill, message_id: str = "m", **more: object) -> waybill.Delegation:
    return wb.delegate(TARGET, method="SendMessage", message_id=message_id, **more)  # type: ignore[arg-type]


# -- refusals ------------------------------------------------------------------------------------


def test_what_the_sidecar_cannot_read_is_an_error_with_its_reason(wb: waybill.Waybill) -> None:
    with pytest.raises(waybill.WaybillError, match="message_id"):
        delegate(wb, message_id="x" * 129)
    with pytest.raises(waybill.WaybillError, match="outcome"):
        wb.finish(b"a" * 16, "done")


def test_an_unknown_delegation_or_acceptance_is_not_found(wb: waybill.Waybill) -> None:
    for call in (
        lambda: wb.observe(b"x" * 16, task_state="TASK_STATE_WORKING"),
        lambda: wb.settle(b"x" * 16, "completed"),
        lambda: wb.finish(b"x" * 16, "ok"),
    ):
        with pytest.raises(waybill.NotFound):
            call()


def test_arguments_of_a_wrong_shape_are_refused_here(wb: waybill.Waybill) -> None:
    with pytest.raises(ValueError):
        delegate(wb, body_digest=b"x")
    with pytest.raises(ValueError):
        delegate(wb, salt=b"x" * 15)
    with pytest.raises(ValueError):
        wb.settle(b"short", "completed")
    with pytest.raises(ValueError):
        wb.span("x", type="thing")
    with pytest.raises(ValueError):
        wb.span("x", kind="thing")
    with pytest.raises(ValueError):
        waybill.Waybill(on_unavailable="maybe")


def test_a_refused_token_tells_class_and_reference_only(company: Company) -> None:
    with pytest.raises(waybill.Refused) as caught:
        company.b.wb.accept(carrier='{"v":"1"}', method="SendMessage", message_id="m")
    assert caught.value.wire_class == "malformed"
    assert len(caught.value.ref) == 16 and int(caught.value.ref, 16) >= 0
    assert caught.value.ref in company.b.sidecar.log()


# -- the sidecar is away -------------------------------------------------------------------------


@pytest.fixture
def alone(folder: object) -> waybill.Waybill:
    return waybill.Waybill(socket=f"{folder}/ipc.sock", name="alone")


@pytest.mark.on_time
def test_a_delegation_goes_unsigned_within_a_second_then_at_once(alone: waybill.Waybill) -> None:
    began = time.monotonic()
    first = delegate(alone)
    assert 0.9 < time.monotonic() - began < 1.3
    began = time.monotonic()
    second = delegate(alone)
    accepted = alone.accept(method="SendMessage", message_id="m")
    assert time.monotonic() - began < 0.05
    assert first.local and not first.signed and first.unsigned_reason == "unavailable"
    assert waybill.SpanContext.parse(first.headers["traceparent"]) is not None
    assert first.id != second.id
    assert accepted.local and not accepted.verified and accepted.verdict == waybill.Verdict.LINK
    assert alone.stats.unsigned_delegations == 2 and alone.stats.unverified_acceptances == 1


@pytest.mark.on_time
def test_an_unverified_acceptance_never_joins_the_claimed_trace(alone: waybill.Waybill) -> None:
    claimed = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    accepted = alone.accept(method="SendMessage", message_id="m", traceparent=claimed)
    assert accepted.context.trace_id.hex() not in claimed


@pytest.mark.on_time
def test_telling_does_not_wait_for_a_sidecar_that_is_away(alone: waybill.Waybill) -> None:
    delegation = delegate(alone)
    began = time.monotonic()
    assert alone.settle(delegation, "completed") == ""
    assert alone.settle(b"x" * 16, "completed") == ""
    assert alone.finish(b"x" * 16, "ok") is False
    assert time.monotonic() - began < 0.1
    assert alone.stats.unconfirmed == 2


@pytest.mark.on_time
def test_fail_means_fail(folder: object) -> None:
    wb = waybill.Waybill(socket=f"{folder}/ipc.sock", on_unavailable="fail")
    with pytest.raises(waybill.Unavailable):
        delegate(wb)
    with pytest.raises(waybill.Unavailable):
        wb.accept(method="SendMessage", message_id="m")


@pytest.mark.on_time
def test_the_environment_can_say_fail(folder: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_DELEGATE_ON_UNAVAILABLE", "fail")
    with pytest.raises(waybill.Unavailable):
        delegate(waybill.Waybill(socket=f"{folder}/ipc.sock"))


def test_who_enforces_lets_nothing_in_while_its_sidecar_is_away(
    sidecars: Callable[..., kit.Sidecar], monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = sidecars("strict", config="trust: {mode: enforce}\n")
    wb = waybill.Waybill(socket=sidecar.socket)
    with pytest.raises(waybill.Refused):
        wb.accept(method="SendMessage", message_id="m")
    sidecar.kill9()
    monkeypatch.setattr(client, "CALL_S", 0.2)
    with pytest.raises(waybill.Unavailable):
        wb.accept(method="SendMessage", message_id="m")
    assert delegate(wb).local


def test_spans_never_wait_for_a_sidecar_that_is_away(alone: waybill.Waybill) -> None:
    slow = 0
    for i in range(30_000):
        began = time.perf_counter()
        with alone.span("x", attributes={"i": i}):
            pass
        slow += time.perf_counter() - began > 0.005
    # A scheduler may hold any one of them; the buffer must not.
    assert slow < 300
    stats = alone.stats
    assert stats.spans_buffered == 20_000 and stats.spans_dropped == 10_000


def test_when_the_sidecar_comes_what_waits_is_delivered_and_the_breaker_closes(
    sidecars: Callable[..., kit.Sidecar], monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = sidecars("late")
    sidecar.stop()
    wb = waybill.Waybill(socket=sidecar.socket, name="late")
    with monkeypatch.context() as patch, wb.span("early"):
        patch.setattr(client, "CALL_S", 0.2)
        assert delegate(wb).local
    sidecar.start()
    kit.wait_until(lambda: wb.stats.spans_buffered == 0)
    assert not delegate(wb).local
    assert wb.stats.spans_acknowledged == 2
    rows = Store(sidecar.store).wait("SELECT name, span_type FROM spans ORDER BY name", count=2)
    assert [row["name"] for row in rows] == ["SendMessage", "early"]
    assert rows[0]["span_type"] == "delegation"


def test_a_full_or_stopping_sidecar_closes_no_agent(
    wb: waybill.Waybill, sidecar: kit.Sidecar
) -> None:
    stop, failures = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            try:
                delegate(wb, os.urandom(4).hex())
            except waybill.WaybillError as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    sidecar.restart()
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


# -- killed and restarted ------------------------------------------------------------------------


def test_requests_in_hand_at_a_kill_are_answered_after_the_restart(
    sidecar: kit.Sidecar, wb: waybill.Waybill, store: Store
) -> None:
    made: list[waybill.Delegation] = []
    asked: list[int] = []
    unanswered: list[int] = []
    stop = threading.Event()

    async def one(n: int) -> None:
        while not stop.is_set():
            asked.append(n)
            made.append(
                await wb.adelegate(TARGET, method="SendMessage", message_id=f"{n}-{len(asked)}")
            )

    async def main() -> None:
        await asyncio.gather(*(one(n) for n in range(64)))

    def kill() -> None:
        for _ in range(3):
            kit.wait_until(lambda: len(made) > 100 * (len(unanswered) + 1))
            sidecar.kill9()
            unanswered.append(len(asked) - len(made))
            sidecar.start()
        stop.set()

    killer = threading.Thread(target=kill)
    killer.start()
    asyncio.run(main())
    killer.join()
    assert sum(unanswered) > 64
    assert len(made) == len(asked) and not any(one.local for one in made)
    rows = store.wait("SELECT delegation_id FROM delegations", count=len(made))
    assert {row["delegation_id"] for row in rows} == {one.id for one in made}
    assert len(rows) == len(made)


def test_a_settled_delegation_and_a_finished_acceptance_survive_the_sidecar_s_death(
    sidecar: kit.Sidecar, wb: waybill.Waybill, store: Store
) -> None:
    delegation = delegate(wb)
    acceptance = wb.accept(method="SendMessage", message_id="in")
    sidecar.kill9()
    assert wb.settle(delegation, "failed", error_type="timeout") == ""
    assert wb.finish(acceptance, "ok") is False
    sidecar.start()
    row = store.one("SELECT state, error_type FROM delegations WHERE closed_ns IS NOT NULL")
    assert row == {"state": "failed", "error_type": "timeout"}
    store.one("SELECT outcome FROM acceptances WHERE outcome = 'ok'")


def test_no_span_is_lost_or_doubled_over_three_kills(
    sidecar: kit.Sidecar, wb: waybill.Waybill, store: Store
) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with wb.span("busy"):
                pass
            time.sleep(0.0005)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        time.sleep(0.3)
        sidecar.kill9()
        sidecar.start()
    stop.set()
    thread.join()
    assert wb.flush(10)
    stats = wb.stats
    assert stats.spans_dropped == stats.spans_rejected == 0
    assert stats.spans_acknowledged == stats.spans_recorded > 100
    rows = store.wait("SELECT span_id FROM spans", count=stats.spans_recorded)
    assert len(rows) == stats.spans_recorded


def test_an_agent_that_dies_in_the_middle_of_a_message_harms_nobody(
    sidecar: kit.Sidecar, wb: waybill.Waybill
) -> None:
    whole = _sp.header() + _sp.frame(_sp.FINAL | 1, b"x" * 1000)
    for cut in (0, 1, 7, 8, 9, 16, 17, 20, 500):
        with socket.socket(socket.AF_UNIX) as dying:
            dying.connect(str(sidecar.socket))
            dying.sendall(whole[:cut])
    assert wb.status()["healthy"] is True
    assert not delegate(wb).local


# -- many at once --------------------------------------------------------------------------------


def test_sixty_four_tasks_delegate_and_settle_at_once(wb: waybill.Waybill, store: Store) -> None:
    async def one(i: int) -> bytes:
        made = await wb.adelegate(TARGET, method="SendMessage", message_id=f"{i}")
        assert (
            await wb.aobserve(made, task_state="TASK_STATE_WORKING", task_id=f"t{i}") == "in_flight"
        )
        assert await wb.asettle(made, "completed", task_id=f"t{i}") == "completed"
        return made.id

    async def main() -> list[bytes]:
        return await asyncio.gather(*(one(i) for i in range(64)))

    ids = asyncio.run(main())
    rows = store.wait("SELECT * FROM delegations WHERE state = 'completed'", count=64)
    assert {(row["delegation_id"], row["message_id"], row["task_id"]) for row in rows} == {
        (id, f"{i}", f"t{i}") for i, id in enumerate(ids)
    }


def test_what_a_cancelled_task_had_opened_is_closed(wb: waybill.Waybill, store: Store) -> None:
    async def main() -> None:
        opening = [
            asyncio.ensure_future(wb.adelegate(TARGET, method="SendMessage", message_id=f"{i}"))
            for i in range(20)
        ] + [
            asyncio.ensure_future(wb.aaccept(method="SendMessage", message_id=f"{i}"))
            for i in range(20)
        ]
        await asyncio.sleep(0)
        for one in opening:
            one.cancel()
        await asyncio.wait(opening)

    asyncio.run(main())
    kit.wait_until(lambda: wb.status()["delegations"]["open"] == 0)
    kit.wait_until(lambda: wb.status()["acceptances"]["open"] == 0)
    store.wait("SELECT 1 FROM delegations WHERE state = 'canceled'")
    store.wait("SELECT 1 FROM acceptances WHERE outcome = 'canceled'")


def test_sixteen_threads_delegate_and_settle_at_once(wb: waybill.Waybill, store: Store) -> None:
    def work(n: int) -> None:
        for i in range(10):
            wb.settle(delegate(wb, f"{n}-{i}"), "answered")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.wait("SELECT 1 FROM delegations WHERE state = 'answered'", count=160)


# -- spans ---------------------------------------------------------------------------------------


def test_spans_nest_and_carry_what_was_set(wb: waybill.Waybill, store: Store) -> None:
    with wb.span("outer", type="agent", kind="server") as outer:
        with pytest.raises(KeyError), wb.span("inner", type="tool_call") as inner:
            inner.set_attribute("k", [1, 2.5, "x", True, {"n": None}])
            inner.add_event("seen", {"n": 1})
            raise KeyError("gone")
    assert waybill.current_span() is None
    assert wb.flush()
    rows = store.wait("SELECT * FROM spans ORDER BY name", count=2)
    assert [row["name"] for row in rows] == ["inner", "outer"]
    assert rows[0]["parent_span_id"] == rows[1]["span_id"] == outer.context.span_id
    assert rows[0]["trace_id"] == rows[1]["trace_id"] == outer.context.trace_id
    assert (rows[0]["span_type"], rows[1]["kind"]) == ("tool_call", "server")
    assert (rows[0]["status"], rows[0]["error_type"]) == ("error", "KeyError")
    assert rows[0]["service"] == "agent"


def test_work_inside_an_acceptance_belongs_to_it(wb: waybill.Waybill, store: Store) -> None:
    acceptance = wb.accept(method="SendMessage", message_id="in")
    with acceptance.work():
        assert waybill.current_acceptance() is acceptance
        with wb.span("work") as span:
            inner = delegate(wb, "under a span")
        outer = delegate(wb, "under none")
    assert waybill.current_acceptance() is None
    wb.finish(acceptance, "ok")
    assert wb.flush()
    row = store.one("SELECT * FROM spans WHERE name = 'work'")
    assert row["acceptance_id"] == acceptance.id
    assert row["parent_span_id"] == acceptance.context.span_id
    assert row["trace_id"] == acceptance.context.trace_id
    for made, parent in ((inner, span.context), (outer, acceptance.context)):
        row = store.one("SELECT * FROM delegations WHERE delegation_id = ?", made.id)
        assert row["parent_acceptance"] == acceptance.id
        assert row["parent_span_id"] == parent.span_id
        assert row["trace_id"] == acceptance.context.trace_id == made.context.trace_id


def test_contexts_of_tasks_do_not_mix(wb: waybill.Waybill) -> None:
    async def one() -> None:
        acceptance = await wb.aaccept(method="SendMessage", message_id="m")
        with acceptance.work():
            await asyncio.sleep(0.001)
            with wb.span("x") as span:
                await asyncio.sleep(0.001)
                assert span.parent == acceptance.context
            assert waybill.current_acceptance() is acceptance

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(64)))

    asyncio.run(main())


def test_a_signed_delegation_is_accepted_by_its_peer(company: Company) -> None:
    salt, parts = os.urandom(16), [{"text": "find it"}]
    target = waybill.Target(f"http://127.0.0.1:{company.b.port}/rpc")
    facts = {
        "method": "SendMessage",
        "message_id": "signed",
        "body_digest": body_digest(salt, parts),
    }
    made = company.a.wb.delegate(target, salt=salt, **facts)
    assert made.signed and made.unsigned_reason == ""
    taken = company.b.wb.accept(
        carrier=made.carrier, traceparent=made.headers["traceparent"], **facts
    )
    assert taken.verdict == waybill.Verdict.CONTINUE and taken.verified
    assert taken.issuer == company.a.id
    assert taken.context.trace_id == made.context.trace_id
    with pytest.raises(waybill.Refused) as caught:
        company.b.wb.accept(carrier=made.carrier, **facts)
    assert caught.value.wire_class == "replayed"
    lenient = waybill.Waybill(company.b.wb.socket, "b", on_duplicate="pass")
    again = lenient.accept(carrier=made.carrier, **facts)
    assert again.verdict == waybill.Verdict.DUPLICATE and again.id == taken.id
    assert again.context.trace_id == taken.context.trace_id
    with again.work():
        handed_on = lenient.delegate(TARGET, method="SendMessage", message_id="of a duplicate")
    assert handed_on.unsigned_reason == "no_peer" and handed_on.id != made.id
    assert (
        lenient.finish(again, "error") is False
    )  # it has nothing to say about the first one's work
    lenient.close()
    company.b.wb.finish(taken, "ok")
    company.a.wb.settle(made, "answered")
    row = company.store.one(
        "SELECT * FROM acceptances WHERE message_id = 'signed' AND finished_ns IS NOT NULL"
    )
    assert row["outcome"] == "ok"
    row = company.store.one("SELECT * FROM delegations WHERE message_id = 'of a duplicate'")
    assert row["parent_acceptance"] is None


# -- fork and exit -------------------------------------------------------------------------------


def test_a_forked_worker_traces_on_its_own(wb: waybill.Waybill, store: Store) -> None:
    with wb.span("parent's"):
        pass

    def child() -> None:
        with wb.span("child's"):
            made = delegate(wb, "child's")
            assert not made.local
            assert wb.settle(made, "answered") == "answered"

    worker = multiprocessing.get_context("fork").Process(target=child)
    worker.start()
    worker.join(20)
    assert worker.exitcode == 0
    wb.settle(delegate(wb, "parent's"), "answered")
    assert wb.flush()
    rows = store.wait(
        "SELECT name FROM spans WHERE span_type IS NULL OR span_type <> 'delegation'", count=2
    )
    assert sorted(str(row["name"]) for row in rows) == ["child's", "parent's"]
    rows = store.wait("SELECT message_id FROM delegations", count=2)
    assert sorted(str(row["message_id"]) for row in rows) == ["child's", "parent's"]


SCRIPT = """
import os, signal, sys, time, waybill
wb = waybill.default()
with wb.span("said before the end"):
    pass
{end}
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [("", 0), ("sys.exit(3)", 3), ("raise RuntimeError('x')", 1)],
    ids=["returns", "exits", "raises"],
)
def test_what_was_recorded_is_delivered_at_exit(
    end: str, code: int, sidecar: kit.Sidecar, store: Store
) -> None:
    script = textwrap.dedent(SCRIPT).format(end=end)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=kit.agent_env(sidecar),
        timeout=20,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == code, done.stderr
    store.one("SELECT 1 FROM spans WHERE name = 'said before the end'")


def test_exit_without_a_sidecar_is_bounded(sidecar: kit.Sidecar) -> None:
    sidecar.kill9()
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", SCRIPT.format(end="")],
        env=kit.agent_env(sidecar),
        timeout=20,
        check=True,
    )
    assert time.monotonic() - began < 4


def test_an_agent_killed_while_it_works_leaves_the_sidecar_well(
    sidecar: kit.Sidecar, wb: waybill.Waybill
) -> None:
    script = """
    import waybill
    wb = waybill.default()
    print("go", flush=True)
    i = 0
    while True:
        i += 1
        with wb.span("busy"):
            wb.delegate(waybill.Target("http://x/"), method="SendMessage", message_id=str(i))
    """
    for _ in range(5):
        agent = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=kit.agent_env(sidecar),
            stdout=subprocess.PIPE,
        )
        assert agent.stdout is not None and agent.stdout.readline() == b"go\n"
        time.sleep(0.05)
        agent.send_signal(signal.SIGKILL)
        agent.wait()
        agent.stdout.close()
    assert wb.status()["healthy"] is True


def test_the_default_socket_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYBILL_SOCKET", "WAYBILL_NAME", "OTEL_SERVICE_NAME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert waybill.default_socket() == "/run/waybill/default/ipc.sock"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "svc")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/x")
    assert waybill.default_socket() == "/x/waybill/svc/ipc.sock"
    monkeypatch.setenv("WAYBILL_NAME", "own")
    assert waybill.default_socket() == "/x/waybill/own/ipc.sock"
    monkeypatch.setenv("WAYBILL_SOCKET", "/s")
    assert waybill.default_socket() == "/s"
    assert waybill.default_socket("named") == "/x/waybill/named/ipc.sock"
