# SPDX-License-Identifier: Apache-2.0
"""Where the running code stands: under which span, and inside which acceptance.

Two context variables, so that threads, asyncio tasks and callbacks each see their own. If
OpenTelemetry is in the process, its context is kept in step through `bridge`, which
waybill/_otel_bridge.py sets: what we open is current there, and a span opened there is the parent
of what we open next. Without that, one agent with both would grow two trees.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import os
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

TRACE_FLAGS_NEW = 0x03  # sampled; random trace id (W3C Trace Context Level 2)
_FLAGS_KNOWN = 0x03  # all others are sent as 0

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
"""A request's headers; as pairs, a name may come more than once."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclasses.dataclass(frozen=True)
class SpanContext:
    """One span's address. trace_id has 16 bytes, span_id 8.

    remote   it is another process's, as a request claimed
    claimed  it descends from such a one within this process, and no acceptance came between: the
             sidecar moves it out of the caller's trace"""

    trace_id: bytes
    span_id: bytes
    flags: int = TRACE_FLAGS_NEW
    tracestate: str = ""
    remote: bool = False
    claimed: bool = False

    @property
    def traceparent(self) -> str:
        """The W3C header that makes it another process's parent."""
        return f"00-{self.trace_id.hex()}-{self.span_id.hex()}-{self.flags & _FLAGS_KNOWN:02x}"

    @classmethod
    def parse(cls, traceparent: str, tracestate: str = "") -> SpanContext | None:
        """The context of W3C headers; None if the traceparent is no valid one."""
        found = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
        if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
            return None
        trace_id, span_id = bytes.fromhex(found[2]), bytes.fromhex(found[3])
        if not any(trace_id) or not any(span_id):
            return None
        return cls(trace_id, span_id, int(found[4], 16) & _FLAGS_KNOWN, tracestate, remote=True)


def header_values(headers: Headers, name: str) -> list[str]:
    """The values of every header of that name, in order and untouched. `name` is lower case."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [value for key, value in pairs if key.lower() == name]


class Bridge(Protocol):
    """The other tracing library's context."""

    def current(self) -> SpanContext | None: ...

    def attach(self, context: SpanContext, baggage: str | None) -> Any:
        """Make `context` current there, and `baggage` all the baggage there is; None: as it was."""

    def baggage(self, accepted: str) -> str:
        """The header for what is current there; `accepted` itself if nothing was changed."""

    def detach(self, token: Any) -> None: ...


bridge: Bridge | None = None

process = object()
"""Another one in a forked child: what was begun before the fork is the parent's to end."""

_span: contextvars.ContextVar[SpanContext | None] = contextvars.ContextVar(
    "waybill_span", default=None
)
_acceptance: contextvars.ContextVar[Any] = contextvars.ContextVar(
    "waybill_acceptance", default=None
)


def find_bridge() -> None:
    """Connect with OpenTelemetry if this process uses it; it is never imported on our account."""
    if bridge is None and "opentelemetry.trace" in sys.modules:
        with contextlib.suppress(ImportError):
            import waybill._otel_bridge  # noqa: F401  (sets `bridge`)


def current_span() -> SpanContext | None:
    """The innermost open span of this task or thread, ours or OpenTelemetry's."""
    if bridge is not None:
        found = bridge.current()
        if found is not None:
            return found
    return _span.get()


@functools.lru_cache(maxsize=8)
def _parsed(traceparent: str, tracestate: str) -> SpanContext | None:
    found = SpanContext.parse(traceparent, tracestate)
    # Not remote: the environment is set by whoever starts a process, and not by a peer.
    return dataclasses.replace(found, remote=False) if found is not None else None


def process_parent() -> SpanContext | None:
    """The span that this process was started in, which TRACEPARENT names: the parent of what would
    be a root."""
    env = os.environ
    return _parsed(env.get("TRACEPARENT", ""), env.get("TRACESTATE", ""))


def innermost_own() -> SpanContext | None:
    """The innermost span that we opened, whatever OpenTelemetry opened below it."""
    return _span.get()


def current_acceptance() -> Any:
    """The acceptance that this task or thread works on, or None."""
    return _acceptance.get()


def current_baggage(acceptance: Any) -> str:
    """The baggage header that goes along with what `acceptance`, or None, delegates."""
    accepted: str = acceptance.baggage if acceptance is not None else ""
    if bridge is None or acceptance is not _acceptance.get():
        return accepted
    return bridge.baggage(accepted)


@contextlib.contextmanager
def inside(context: SpanContext, acceptance: Any = None) -> Iterator[None]:
    """Make `context` the current span, and `acceptance`, if given, the current acceptance."""
    span_token = _span.set(context)
    acceptance_token = _acceptance.set(acceptance) if acceptance is not None else None
    other = bridge
    baggage = acceptance.baggage if acceptance is not None else None
    other_token = other.attach(context, baggage) if other is not None else None
    try:
        yield
    finally:
        if other is not None:
            other.detach(other_token)
        # A generator may be closed from another context than the one that opened it; there is
        # nothing to restore then, since that other context never saw our value.
        with contextlib.suppress(ValueError):
            if acceptance_token is not None:
                _acceptance.reset(acceptance_token)
            _span.reset(span_token)


def in_context(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, which will run where this line stands, whichever thread calls it: under the same
    span, inside the same acceptance, with all context variables as they are now.

        pool.submit(waybill.in_context(search), query)
        threading.Thread(target=waybill.in_context(work)).start()

    May be called by many threads at once. asyncio.to_thread and asyncio's tasks do this by
    themselves; a pool's submit and map, loop.run_in_executor and threads do not."""
    context = contextvars.copy_context()

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        # One context cannot be entered twice at a time, so each call has a copy.
        return context.copy().run(function, *args, **kwargs)

    return call


def new_id(length: int) -> bytes:
    """Random bytes that are not all zero."""
    while True:
        made = os.urandom(length)
        if any(made):
            return made


def new_span_id() -> bytes:
    """Eight random bytes; not a secret, so without a system call for each span. (Python seeds
    `random` anew in a forked child.)"""
    return (random.getrandbits(64) or 1).to_bytes(8, "big")


def _after_fork_in_child() -> None:
    global process
    process = object()


os.register_at_fork(after_in_child=_after_fork_in_child)
