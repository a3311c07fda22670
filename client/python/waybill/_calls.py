# SPDX-License-Identifier: Apache-2.0
"""One definition for each call, two ways to wait for it.

A `Call` is a request on its way and what to make of its answer. `blocking` turns a function that
returns one into a function that returns the result; `awaiting` into a coroutine function. Both keep
the arguments' names and types, so `delegate` and `adelegate` cannot drift apart.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import functools
from concurrent.futures import Future
from typing import Awaitable, Callable, Generic, ParamSpec, TypeVar

from waybill._wire import Reply, Status
from waybill.errors import Denied, NotFound, Refused, Unavailable, WaybillError

P = ParamSpec("P")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Call(Generic[T]):
    """future  of the reply; None: there is nothing to send
    then    makes the result of the reply, or of the reason why there is none in time
    wait_s  how long to wait; None: the connection's own deadline. The request is sent on after it.
    """

    future: Future[Reply] | None
    then: Callable[[Reply | Unavailable], T]
    wait_s: float | None = None


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


def awaiting(begin: Callable[P, Call[T]]) -> Callable[P, Awaitable[T]]:
    """The form for coroutines."""

    @functools.wraps(begin)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        begun = begin(*args, **kwargs)
        answer: Reply | Unavailable
        if begun.future is None:
            return begun.then(_NOTHING)
        try:
            answer = await asyncio.wait_for(asyncio.wrap_future(begun.future), begun.wait_s)
        except asyncio.TimeoutError:
            answer = _LATE
        except Unavailable as error:
            answer = error
        return begun.then(answer)

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
