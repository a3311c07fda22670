# SPDX-License-Identifier: Apache-2.0
"""`@wb.traced()`: each call of a function is a span.

A plain function and a coroutine just run inside `with wb.span(...)`. A generator cannot: between
two steps its consumer runs, which must not find the generator's span current, while the generator
must find everything again at the next step, also the spans that it left open over a `yield`. So its
body lives in a copy of the context that it was first stepped in, and every step is run there. The
body of an async generator awaits, too; each of its awaits is driven the same way.

The wrapper is of the function's own kind, so that `inspect` and frameworks see what they saw.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar, cast

from waybill._otlp import text
from waybill.spans import Span

F = TypeVar("F", bound=Callable[..., Any])

_SCALARS = (str, bool, int, float, bytes, type(None))


def decorator(
    open_span: Callable[[str, dict[str, Any]], Span], name: str | None, arguments: Iterable[str]
) -> Callable[[F], F]:
    """open_span  makes a span of a name and the attributes of one call"""
    if callable(name):
        raise TypeError("write @wb.traced(), with parentheses")
    if isinstance(arguments, str):
        raise TypeError("arguments is a list of parameters' names")
    wanted = tuple(arguments)

    def wrap(function: F) -> F:
        if isinstance(function, type) or not callable(function):
            what = "a class" if isinstance(function, type) else type(function).__name__
            raise TypeError(f"traced is for functions, not for {what}; put it next to the `def`")
        called = name or _name_of(function)
        read = _reader(function, wanted)
        return cast(F, _wrapped(function, lambda a, k: open_span(called, read(a, k))))

    return wrap


def _name_of(function: Callable[..., Any]) -> str:
    """`search`, `Agent.search`; of a nested function what stands behind the functions around it."""
    found = getattr(function, "__qualname__", "") or type(function).__name__
    return str(found).rpartition("<locals>.")[2]


def _reader(
    function: Callable[..., Any], wanted: tuple[str, ...]
) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """What makes attributes of a call's arguments: scalars as they are, all else as its text at
    the time of the call."""
    if not wanted:
        return lambda args, kwargs: {}
    signature = inspect.signature(function)
    unknown = [one for one in wanted if one not in signature.parameters]
    if unknown:
        raise ValueError(f"{_name_of(function)} has no parameter {', '.join(unknown)}")

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return {}  # the call itself will say it
        bound.apply_defaults()
        values = {one: bound.arguments[one] for one in wanted}
        return {
            one: value if isinstance(value, _SCALARS) else text(value)
            for one, value in values.items()
        }

    return read


_Open = Callable[[tuple[Any, ...], dict[str, Any]], Span]


def _wrapped(function: Callable[..., Any], open_span: _Open) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with open_span(args, kwargs):
                return await function(*args, **kwargs)

        return coroutine

    if inspect.isgeneratorfunction(function):

        def whole(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Any, Any, Any]:
            with open_span(args, kwargs):
                return (yield from function(*args, **kwargs))

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _stepped(contextvars.copy_context(), whole(args, kwargs)))

        return generator

    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            context = contextvars.copy_context()
            with _entered(context, context.run(open_span, args, kwargs)):
                body = function(*args, **kwargs)
                step = body.asend(None)
                while True:
                    try:
                        item = await _InContext(context, step)
                    except StopAsyncIteration:
                        return
                    try:
                        step = body.asend((yield item))
                    except GeneratorExit:
                        await _InContext(context, body.aclose())
                        raise
                    except BaseException as error:
                        step = body.athrow(error)

        return async_generator

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with open_span(args, kwargs):
            return function(*args, **kwargs)

    return plain


def _stepped(
    context: contextvars.Context, body: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """What `yield from body` does, each step inside `context`."""
    step: Callable[[Any], Any] = body.send
    given: Any = None
    while True:
        try:
            item = context.run(step, given)
        except StopIteration as end:
            return end.value
        try:
            step, given = body.send, (yield item)
        except GeneratorExit:
            context.run(body.close)
            raise
        except BaseException as error:
            step, given = body.throw, error


class _InContext:
    """`await` of something, each step of it inside `context`."""

    def __init__(self, context: contextvars.Context, awaited: Awaitable[Any]) -> None:
        self._context, self._awaited = context, awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        return _stepped(self._context, cast(Any, self._awaited.__await__()))


@contextlib.contextmanager
def _entered(context: contextvars.Context, span: Span) -> Iterator[None]:
    """`with span`, inside `context`."""
    context.run(span.__enter__)
    try:
        yield
    except BaseException as error:
        context.run(span.__exit__, type(error), error, error.__traceback__)
        raise
    context.run(span.__exit__, None, None, None)
