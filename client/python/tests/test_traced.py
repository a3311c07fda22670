# SPDX-License-Identifier: Apache-2.0
"""Decorators, life cycles as blocks, and where spans stand in tasks, threads and generators.

What needs no sidecar records into a list; what a sidecar must believe is read from its store."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import waybill_testkit as kit
from conftest import Store, walk

import waybill
from waybill import _context

TARGET = waybill.Target("http://127.0.0.1:1/rpc", name="nobody")


class Recorded:
    """The spans of a client without a sidecar, decoded."""

    def __init__(self, folder: object, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wb = waybill.Waybill(socket=f"{folder}/ipc.sock", name="alone")
        self._encoded: list[bytes] = []
        monkeypatch.setattr(self.wb, "record_encoded", self._encoded.append)

    @property
    def spans(self) -> list[dict[str, Any]]:
        """In the order of their ends."""
        return [self._read(walk(one)) for one in self._encoded]

    @staticmethod
    def _read(fields: dict[int, list[Any]]) -> dict[str, Any]:
        attributes = {}
        for pair in map(walk, fields.get(9, [])):
            value = walk(pair[2][0])
            attributes[pair[1][0].decode()] = next(iter(value.values()), [None])[0]  # type: ignore[attr-defined]
        status = walk(fields[15][0]) if 15 in fields else {}
        return {
            "name": fields[5][0].decode(),
            "id": fields[2][0],
            "parent": fields.get(4, [b""])[0],
            "attributes": attributes,
            "error": status.get(3) == [2],
            "message": status.get(2, [b""])[0],
        }

    @property
    def tree(self) -> dict[str, str]:
        """Each span's parent, by name; names must be unique."""
        names = {one["id"]: one["name"] for one in self.spans}
        assert len(set(names.values())) == len(names)
        return {one["name"]: names.get(one["parent"], "") for one in self.spans}


@pytest.fixture
def recorded(folder: object, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    return Recorded(folder, monkeypatch)


def of(recorded: Recorded, name: str) -> dict[str, Any]:
    found = [one for one in recorded.spans if one["name"] == name]
    assert len(found) == 1, recorded.spans
    return found[0]


# -- the decorator: refusals ---------------------------------------------------------------------


def test_a_wrong_decoration_is_an_error_where_it_is_written(recorded: Recorded) -> None:
    wb = recorded.wb

    def known(a: int) -> None: ...

    with pytest.raises(TypeError, match="parentheses"):
        wb.traced(known)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list"):
        wb.traced(arguments="a")
    with pytest.raises(ValueError, match="no parameter b"):
        wb.traced(arguments=["a", "b"])(known)
    with pytest.raises(ValueError, match="span type"):
        wb.traced(type="thing")
    with pytest.raises(ValueError, match="span kind"):
        wb.traced(kind="thing")
    with pytest.raises(TypeError, match="a class"):
        wb.traced()(Recorded)
    with pytest.raises(TypeError, match="classmethod"):
        wb.traced()(classmethod(known))  # type: ignore[type-var, arg-type]


def test_a_call_with_wrong_arguments_fails_as_without_the_decorator(recorded: Recorded) -> None:
    @recorded.wb.traced(arguments=["a"])
    def f(a: int) -> int:
        return a

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        f()  # type: ignore[call-arg]


# -- the decorator: functions --------------------------------------------------------------------


def test_a_function_s_call_is_a_span_with_its_name_type_and_attributes(recorded: Recorded) -> None:
    @recorded.wb.traced(type="tool_call", attributes={"engine": "x"})
    def search(query: str, limit: int = 3) -> str:
        """Find it."""
        with recorded.wb.span("inside"):
            return query * limit

    assert search("ab") == "ababab"
    assert search.__name__ == "search" and search.__doc__ == "Find it."
    assert list(inspect.signature(search).parameters) == ["query", "limit"]
    assert recorded.tree == {"inside": "search", "search": ""}
    found = of(recorded, "search")["attributes"]
    assert found == {"engine": b"x", "waybill.span.type": b"tool_call"}


def test_each_call_is_a_span_of_its_own_also_a_recursive_one(recorded: Recorded) -> None:
    @recorded.wb.traced()
    def down(n: int) -> int:
        return n and down(n - 1)

    down(3)
    spans = recorded.spans
    assert len({one["id"] for one in spans}) == 4
    assert [one["parent"] for one in spans[:3]] == [one["id"] for one in spans[1:]]


def test_names_say_the_class_and_may_be_given(recorded: Recorded) -> None:
    wb = recorded.wb

    class Agent:
        @wb.traced()
        def ask(self) -> int:
            return 1

        @staticmethod
        @wb.traced()
        def static() -> int:
            return 2

        @classmethod
        @wb.traced("of the class")
        def made(cls) -> int:
            return 3

    assert (Agent().ask(), Agent.static(), Agent.made()) == (1, 2, 3)
    assert list(recorded.tree) == ["Agent.ask", "Agent.static", "of the class"]


def test_arguments_are_attributes_only_if_asked_and_as_they_were_at_the_call(
    recorded: Recorded,
) -> None:
    class Shy:
        def __str__(self) -> str:
            raise RuntimeError("not for you")

    @recorded.wb.traced(arguments=["query", "seen", "shy", "rest", "limit"])
    def search(
        query: str, secret: str, seen: list[str], shy: Shy, *rest: int, limit: int = 7
    ) -> None:
        seen.append("later")

    search("q", "token", ["now"], Shy(), 1, 2)
    assert of(recorded, "search")["attributes"] == {
        "query": b"q",
        "seen": b"['now']",
        "shy": b"<Shy>",
        "rest": b"(1, 2)",
        "limit": 7,
    }


def test_an_exception_is_recorded_and_goes_on(recorded: Recorded) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    @recorded.wb.traced()
    def fails(error: Exception) -> None:
        raise error

    @recorded.wb.traced()
    async def afails(error: Exception) -> None:
        raise error

    with pytest.raises(KeyError):
        fails(KeyError("gone"))
    with pytest.raises(OSError):
        asyncio.run(afails(OSError("gone too")))
    with pytest.raises(Mute):
        fails(Mute())
    first, second, third = recorded.spans
    assert first["error"] and first["attributes"]["error.type"] == b"KeyError"
    assert second["error"] and second["message"] == b"gone too"
    assert third["error"] and third["message"] == b"<Mute>"


def test_a_cancelled_coroutine_ends_its_span(recorded: Recorded) -> None:
    @recorded.wb.traced()
    async def waits() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert of(recorded, "waits")["attributes"]["error.type"].endswith(b"CancelledError")


# -- the decorator: generators -------------------------------------------------------------------


def test_the_wrapper_is_of_the_function_s_kind(recorded: Recorded) -> None:
    def plain() -> None: ...
    async def coroutine() -> None: ...
    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        yield 1

    for one in (plain, coroutine, generator, async_generator):
        made = recorded.wb.traced()(one)
        for kind in ("iscoroutinefunction", "isgeneratorfunction", "isasyncgenfunction"):
            assert getattr(inspect, kind)(made) == getattr(inspect, kind)(one), (one, kind)


def test_a_generator_s_span_is_current_in_its_body_and_never_in_its_consumer(
    recorded: Recorded,
) -> None:
    wb = recorded.wb

    @wb.traced()
    def pages() -> Iterator[int]:
        with wb.span("left open over a yield"):
            yield 1
            with wb.span("after the first step"):
                yield 2
        with wb.span("at the end"):
            pass

    with wb.span("consumer") as consumer:
        for page in pages():
            assert waybill.current_span() == consumer.context
            with wb.span(f"use of {page}"):
                pass
    assert waybill.current_span() is None
    assert recorded.tree == {
        "use of 1": "consumer",
        "use of 2": "consumer",
        "after the first step": "left open over a yield",
        "left open over a yield": "pages",
        "at the end": "pages",
        "pages": "consumer",
        "consumer": "",
    }


def test_two_generators_in_turn_keep_their_places(recorded: Recorded) -> None:
    wb = recorded.wb

    @wb.traced()
    def one() -> Iterator[int]:
        for i in range(3):
            with wb.span(f"one {i}"):
                yield i

    @wb.traced()
    def two() -> Iterator[int]:
        for i in range(3):
            with wb.span(f"two {i}"):
                yield i

    assert list(zip(one(), two(), strict=True)) == [(0, 0), (1, 1), (2, 2)]
    tree = recorded.tree
    assert all(tree[f"{name} {i}"] == name for name in ("one", "two") for i in range(3))
    assert tree["one"] == tree["two"] == ""


def test_a_generator_takes_what_is_sent_and_thrown_and_returns(recorded: Recorded) -> None:
    @recorded.wb.traced()
    def talks() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError as error:
            yield f"caught {error.args[0]}"
        return "result"

    @recorded.wb.traced()
    def outer() -> Any:
        return (yield from talks())

    steps = outer()
    assert next(steps) == "first"
    assert steps.send("sent") == "sent"
    assert steps.throw(KeyError("k")) == "caught k"
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "result"
    assert recorded.tree == {"talks": "outer", "outer": ""}
    assert not any(one["error"] for one in recorded.spans)


@pytest.mark.parametrize("how", ["close", "drop", "fail"])
def test_a_generator_that_is_left_early_ends_its_span(how: str, recorded: Recorded) -> None:
    cleaned = []

    @recorded.wb.traced()
    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
                if how == "fail":
                    raise OSError("broke")
        finally:
            cleaned.append(waybill.current_span())

    steps = endless()
    assert next(steps) == 1 and recorded.spans == []
    if how == "close":
        steps.close()  # type: ignore[attr-defined]
    elif how == "drop":
        del steps
    else:
        with pytest.raises(OSError):
            next(steps)
    found = of(recorded, "endless")
    assert found["error"] == (how == "fail")
    assert cleaned[0] is not None and cleaned[0].span_id == found["id"]


def test_an_async_generator_keeps_its_place_over_yields_and_awaits(recorded: Recorded) -> None:
    wb = recorded.wb

    @wb.traced()
    async def stream(name: str) -> AsyncIterator[str]:
        with wb.span(f"{name} open"):
            for i in range(3):
                await asyncio.sleep(0)
                with wb.span(f"{name} {i}"):
                    await asyncio.sleep(0)
                    yield f"{name} {i}"

    async def consume(name: str) -> None:
        with wb.span(f"consumer {name}") as mine:
            async for item in stream(name):
                assert waybill.current_span() == mine.context
                await asyncio.sleep(0)
                with wb.span(f"use of {item}"):
                    pass

    async def main() -> None:
        await asyncio.gather(consume("a"), consume("b"))

    asyncio.run(main())
    names = {one["id"]: one["name"] for one in recorded.spans}
    parents = {one["name"]: names.get(one["parent"], "") for one in recorded.spans}
    for name in "ab":
        assert all(parents[f"{name} {i}"] == f"{name} open" for i in range(3))
        assert parents[f"{name} open"] == "stream"
        assert all(parents[f"use of {name} {i}"] == f"consumer {name}" for i in range(3))
    assert sorted(names[one["parent"]] for one in recorded.spans if one["name"] == "stream") == [
        "consumer a",
        "consumer b",
    ]


def test_an_async_generator_takes_what_is_sent_thrown_and_closed(recorded: Recorded) -> None:
    seen: list[Any] = []

    @recorded.wb.traced()
    async def talks() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"
        try:
            yield "last"
        finally:
            await asyncio.sleep(0)
            seen.append(waybill.current_span())

    async def main() -> None:
        steps = talks()
        assert await steps.asend(None) == "first"
        assert await steps.asend("sent") == "sent"
        assert await steps.athrow(KeyError("k")) == "caught"
        assert await steps.asend(None) == "last"
        await steps.aclose()
        with pytest.raises(StopAsyncIteration):
            await steps.asend(None)

    asyncio.run(main())
    found = of(recorded, "talks")
    assert not found["error"] and seen[0].span_id == found["id"]


def test_a_task_cancelled_in_an_async_generator_s_await_ends_its_span(recorded: Recorded) -> None:
    @recorded.wb.traced()
    async def stuck() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(60)
        yield 2

    async def consume() -> None:
        async for _ in stuck():
            pass

    async def main() -> None:
        task = asyncio.create_task(consume())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert of(recorded, "stuck")["attributes"]["error.type"].endswith(b"CancelledError")


# -- where code stands ---------------------------------------------------------------------------


def test_tasks_inherit_where_they_were_made_and_do_not_mix(recorded: Recorded) -> None:
    wb = recorded.wb

    async def work(n: int) -> None:
        with wb.span(f"task {n}"):
            await asyncio.sleep(0.001 * (n % 7))
            with wb.span(f"step {n}"):
                await asyncio.sleep(0)

    async def main() -> None:
        with wb.span("all"):
            await asyncio.gather(*(work(n) for n in range(200)))

    asyncio.run(main())
    tree = recorded.tree
    assert len(tree) == 401
    assert all(tree[f"task {n}"] == "all" and tree[f"step {n}"] == f"task {n}" for n in range(200))


def test_a_pool_s_threads_know_nothing_unless_the_context_is_carried(recorded: Recorded) -> None:
    wb = recorded.wb
    together = threading.Barrier(4)

    def work(n: int) -> int:
        with wb.span(f"work {n}"):
            together.wait(10)  # four calls of the one wrapped function are inside at once
            return n

    with concurrent.futures.ThreadPoolExecutor(4) as pool, wb.span("around"):
        assert list(pool.map(waybill.in_context(work), range(4))) == [0, 1, 2, 3]
        assert sorted(pool.map(work, range(4, 8))) == [4, 5, 6, 7]
        assert pool.submit(waybill.current_span).result() is None
    tree = recorded.tree
    assert all(tree[f"work {n}"] == "around" for n in range(4))
    assert all(tree[f"work {n}"] == "" for n in range(4, 8))


def test_threads_copies_and_to_thread_carry_the_acceptance_too(wb: waybill.Waybill) -> None:
    acceptance = wb.accept(method="SendMessage", message_id="m")
    seen: list[object] = []

    def look() -> None:
        seen.append(waybill.current_acceptance())

    async def main() -> None:
        await asyncio.to_thread(look)
        await asyncio.get_running_loop().run_in_executor(None, waybill.in_context(look))

    with wb.finishing(acceptance):
        asyncio.run(main())
        thread = threading.Thread(target=waybill.in_context(look))
        thread.start()
        thread.join()
        contextvars.copy_context().run(look)
        later = waybill.in_context(look)
    later()
    assert seen == [acceptance] * 5 and waybill.current_acceptance() is None


def test_opentelemetry_s_current_span_follows_into_generators_and_threads(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    bridged = pytest.importorskip("waybill._otel_bridge")
    monkeypatch.setattr(_context, "bridge", bridged._Bridge())

    def there() -> int:
        return int(trace.get_current_span().get_span_context().span_id)

    @recorded.wb.traced()
    def steps() -> Iterator[int]:
        with recorded.wb.span("in") as inner:
            yield there()
            assert there() == int.from_bytes(inner.context.span_id, "big")

    with recorded.wb.span("out") as outer:
        mine = int.from_bytes(outer.context.span_id, "big")
        for seen in steps():
            assert seen != mine == there()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(waybill.in_context(there)).result() == mine
    assert recorded.tree == {"in": "steps", "steps": "out", "out": ""}


# -- life cycles ---------------------------------------------------------------------------------


def delegated(wb: waybill.Waybill, message_id: str) -> waybill.Delegation:
    return wb.delegate(TARGET, method="SendMessage", message_id=message_id)


def settled(store: Store, made: waybill.Delegation) -> tuple[object, object, object]:
    row = store.one(
        "SELECT state, error_type, task_id FROM delegations WHERE delegation_id = ?"
        " AND closed_ns IS NOT NULL",
        made.id,
    )
    return row["state"], row["error_type"], row["task_id"]


def test_every_way_out_of_a_block_settles(wb: waybill.Waybill, store: Store) -> None:
    plain, task, own, failed, canceled = (delegated(wb, f"{n}") for n in range(5))
    with wb.settling(plain):
        pass
    with wb.settling(task) as end:
        end.task_state, end.task_id = "TASK_STATE_COMPLETED", "t"
    with pytest.raises(OSError), wb.settling(own) as end:
        end.outcome = "rejected"
        raise OSError("after it was said")
    with pytest.raises(OSError), wb.settling(failed):
        raise OSError("no route")
    with pytest.raises(KeyboardInterrupt), wb.settling(canceled):
        raise KeyboardInterrupt
    assert settled(store, plain) == ("answered", None, None)
    assert settled(store, task) == ("completed", None, "t")
    assert settled(store, own)[:2] == ("rejected", None)
    assert settled(store, failed)[:2] == ("failed", "OSError")
    assert settled(store, canceled)[:2] == ("canceled", "KeyboardInterrupt")


def test_a_task_that_goes_on_is_observed_and_stays_open(wb: waybill.Waybill, store: Store) -> None:
    made = delegated(wb, "m")
    with wb.settling(made) as end:
        end.task_state, end.task_id = "TASK_STATE_WORKING", "t"
    assert wb.status()["delegations"]["open"] == 1
    assert wb.settle(made, "completed") == "completed"
    assert settled(store, made) == ("completed", None, "t")


def test_coroutines_settle_and_finish_the_same_way(wb: waybill.Waybill, store: Store) -> None:
    async def one(message_id: str, error: BaseException | None = None) -> waybill.Delegation:
        made = await wb.adelegate(TARGET, method="SendMessage", message_id=message_id)
        acceptance = await wb.aaccept(method="SendMessage", message_id=message_id)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            async with wb.finishing(acceptance), wb.settling(made):
                assert waybill.current_acceptance() is acceptance
                if error is not None:
                    raise error
        assert waybill.current_acceptance() is None
        return made

    async def main() -> tuple[waybill.Delegation, ...]:
        return await asyncio.gather(
            one("fine"), one("broken", OSError()), one("gone", asyncio.CancelledError())
        )

    made = asyncio.run(main())
    assert [settled(store, each)[0] for each in made] == ["answered", "failed", "canceled"]
    rows = store.wait("SELECT message_id, outcome FROM acceptances WHERE outcome <> ''", count=3)
    assert {row["message_id"]: row["outcome"] for row in rows} == {
        "fine": "ok",
        "broken": "error",
        "gone": "canceled",
    }


def test_every_way_out_of_a_block_finishes(wb: waybill.Waybill, store: Store) -> None:
    said: dict[str, Callable[[waybill.Finishing], None]] = {
        "ok": lambda end: None,
        "interrupted": lambda end: setattr(end, "task_state", "TASK_STATE_INPUT_REQUIRED"),
        "rejected": lambda end: setattr(end, "outcome", "rejected"),
        "error": lambda end: [][0],
    }
    for message_id, do in said.items():
        acceptance = wb.accept(method="SendMessage", message_id=message_id)
        try:
            with wb.finishing(acceptance) as end:
                do(end)
        except IndexError:
            pass
    rows = store.wait("SELECT message_id, outcome FROM acceptances WHERE outcome <> ''", count=4)
    assert {row["message_id"]: row["outcome"] for row in rows} == {each: each for each in said}


def test_what_the_telling_meets_never_hides_what_the_block_raised(
    wb: waybill.Waybill,
) -> None:
    made = delegated(wb, "m")
    unknown = waybill.Delegation(os.urandom(16), "", made.context)
    with pytest.raises(OSError), wb.settling(unknown):
        raise OSError
    with pytest.raises(waybill.NotFound), wb.settling(unknown):
        pass


def test_the_life_cycle_of_a_message_survives_a_restart_inside(
    sidecar: kit.Sidecar, wb: waybill.Waybill, store: Store
) -> None:
    made = delegated(wb, "m")
    with wb.finishing(wb.accept(method="SendMessage", message_id="in")), wb.settling(made):
        sidecar.kill9()
        sidecar.start()
    assert settled(store, made)[0] == "answered"
    store.one("SELECT 1 FROM acceptances WHERE outcome = 'ok'")
