# SPDX-License-Identifier: Apache-2.0
"""One definition for each call, three ways to wait for it.

A `Call` is a request on its way and what to make of its answer. `blocking` turns a function that
returns one into a function that returns the result; `awaiting` into one that returns a coroutine;
`posting` into one that does not wait. All keep the arguments' names and types, so `delegate` and
`adelegate` cannot drift apart. In each form the request is handed over when the function is called:
a coroutine that is cancelled before its first step has still said what it had to say.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, ParamSpec, TypeVar

from waybill._wire import Reply, Status
from waybill.errors import Denied, NotFound, Refused, Unavailable, WaybillError

P = ParamSpec("P")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Call(Generic[T]):
    """future     of the reply; None: there is nothing to send
    then       makes the result of the reply, or of the reason why there is none in time
    wait_s     how long to wait; None: the connection's own deadline. The request is sent on after
               it.
    abandoned  what to do when a reply of status OK came after the coroutine that waited for it was
               cancelled: nobody else knows of what it opened
    """

    future: Future[Reply] | None
    then: Callable[[Reply | Unavailable], T]
    wait_s: float | None = None
    abandoned: Callable[[], None] | None = None


_LATE = Unavailable("not confirmed in time")
_NOTHING = Unavailable("nothing to send")


def blocking(begin: Callable[P, Call[T]]) -> Callable[P, T]:
    """The form for threads."""

    @functools.wraps(begin)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        begun = begin(*args, **kwargs)
        answer: Reply | Unavailable
        if begun.future is None:
            return begun.then(_NOTHING)
        try:
            answer = begun.future.result(begun.wait_s)
        except concurrent.futures.TimeoutError:
            answer = _LATE
        except Unavailable as error:
            answer = error
        return begun.then(answer)

    return call


def awaiting(begin: Callable[P, Call[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The form for coroutines."""

    @functools.wraps(begin)
    def call(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return _answer(begin(*args, **kwargs))

    return call


async def _answer(begun: Call[T]) -> T:
    answer: Reply | Unavailable
    if begun.future is None:
        return begun.then(_NOTHING)
    waiting = asyncio.wrap_future(begun.future)
    if begun.abandoned is not None:
        waiting = asyncio.shield(waiting)
    try:
        answer = await asyncio.wait_for(waiting, begun.wait_s)
    except asyncio.TimeoutError:
        answer = _LATE
    except Unavailable as error:
        answer = error
    except asyncio.CancelledError:
        if begun.abandoned is not None:
            begun.future.add_done_callback(functools.partial(_abandon, begun.abandoned))
        raise
    return begun.then(answer)


def _abandon(abandoned: Callable[[], None], future: Future[Reply]) -> None:
    if not future.cancelled() and future.exception() is None:
        if future.result().status == Status.OK:
            abandoned()


def posting(begin: Callable[P, Call[T]]) -> Callable[P, None]:
    """The form for code that is on its way out: sent, not waited for."""

    @functools.wraps(begin)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        begin(*args, **kwargs)

    return call


def check(reply: Reply) -> None:
    """Raise what a status other than OK means."""
    if reply.status == Status.OK:
        return
    if reply.wire_class:
        raise Refused(reply.wire_class, reply.ref)
    if reply.status == Status.DENIED:
        raise Denied(reply.detail or "denied")
    if reply.status == Status.NOT_FOUND:
        raise NotFound(reply.detail or "not found")
    try:
        name = Status(reply.status).name.lower()
    except ValueError:
        name = f"status {reply.status}"
    raise WaybillError(f"{name}: {reply.detail}")
