# SPDX-License-Identifier: Apache-2.0
"""Spans, the plain way: `with wb.span("search", type="tool_call") as span: ...`.

A span is the child of whatever span is open around it (ours or OpenTelemetry's), else of the
acceptance that the code works on, else the root of a new trace. Inside an acceptance it carries
`waybill.acceptance.id`. An exception that leaves the block ends it with status error and
`error.type`; it is never swallowed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from waybill import _context, _otlp
from waybill._context import SpanContext

MAX_EVENTS = 128
CLAIMED = "waybill.claimed"  # told to the sidecar, which takes it away
TYPES = frozenset(
    "session agent llm_call tool_call embedding retrieval workflow delegation execution event"
    " error".split()
)


class Span:
    """One span, open from `with` to the end of the block. Not for several threads at once."""

    def __init__(
        self,
        record: Any,
        name: str,
        *,
        type: str | None = None,
        kind: str = "internal",
        attributes: Mapping[str, Any] | None = None,
        links: tuple[SpanContext, ...] = (),
        context: SpanContext | None = None,
        parent: SpanContext | None = None,
    ) -> None:
        """record   takes the encoded span when it ends
        context  the span's own address, if it has one already; else it gets one below `parent`,
                 which by default is where the running code stands"""
        check(type, kind)
        self.name = name
        self.attributes: dict[str, Any] = dict(attributes or {})
        if type is not None:
            self.attributes["waybill.span.type"] = type
        self._record = record
        self._kind = _otlp.KINDS[kind]
        self._links = links
        self._events: list[tuple[int, str, Mapping[str, Any]]] = []
        self._status, self._status_message = _otlp.STATUS_UNSET, ""
        acceptance = _context.current_acceptance()
        if acceptance is not None:
            self.attributes.setdefault("waybill.acceptance.id", acceptance.id.hex())
        if parent is None and context is None:
            parent = _context.current_span() or (acceptance.context if acceptance else None)
            if parent is None and kind not in ("server", "consumer"):
                parent = _context.process_parent()
        self.parent = parent
        self.context = context or _below(parent)
        if self.context.claimed:
            self.attributes[CLAIMED] = True
        self._start_ns = time.time_ns()
        self._start_mono = time.monotonic_ns()
        self._ended = False
        self._process = _context.process
        self._inside: contextlib.AbstractContextManager[None] | None = None

    def set_attribute(self, key: str, value: Any) -> None:
        """Beyond 128 attributes of a span the rest is dropped, and counted in the span."""
        self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """`set_attribute` for each of them."""
        self.attributes.update(attributes)

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Note that something happened now; beyond 128 it is not kept."""
        if len(self._events) < MAX_EVENTS:
            self._events.append((self._now_ns(), name, dict(attributes or {})))

    def set_ok(self) -> None:
        """Say that it went well, which a span without a status leaves open."""
        self._status = _otlp.STATUS_OK

    def set_error(self, error_type: str, message: str = "") -> None:
        """Say that it failed: a short name of what went wrong, and a text for people."""
        self._status, self._status_message = _otlp.STATUS_ERROR, message
        self.attributes["error.type"] = error_type

    def _now_ns(self) -> int:
        # The wall clock dates a span, the monotonic one measures it.
        return self._start_ns + time.monotonic_ns() - self._start_mono

    def end(self) -> None:
        """Hand the span over; the second call does nothing. `with` does this. In a process that was
        forked while the span was open it does nothing either: the span is the parent's."""
        if self._ended or self._process is not _context.process:
            return
        self._ended = True
        parent = self.parent
        self._record(
            _otlp.span(
                trace_id=self.context.trace_id,
                span_id=self.context.span_id,
                name=self.name,
                kind=self._kind,
                start_ns=self._start_ns,
                end_ns=self._now_ns(),
                parent_span_id=parent.span_id if parent else b"",
                parent_remote=bool(parent and parent.remote),
                flags=self.context.flags,
                tracestate=self.context.tracestate,
                attrs=self.attributes,
                events=self._events,
                links=[(c.trace_id, c.span_id, c.tracestate, {}) for c in self._links],
                status=self._status,
                status_message=self._status_message,
            )
        )

    def __enter__(self) -> Span:
        self._inside = _context.inside(self.context)
        self._inside.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._inside is not None
        self._inside.__exit__(None, None, None)
        if exc is not None and not isinstance(exc, GeneratorExit):
            self.set_error(error_type(exc), _otlp.text(exc)[:500])
        self.end()


def check(type: str | None, kind: str) -> None:
    """Raise ValueError unless both are such words."""
    if type is not None and type not in TYPES:
        raise ValueError(f"no span type {type!r}; one of {', '.join(sorted(TYPES))}")
    if kind not in _otlp.KINDS:
        raise ValueError(f"no span kind {kind!r}; one of {', '.join(_otlp.KINDS)}")


def error_type(error: BaseException) -> str:
    """`error.type` of an exception: its class, with its module unless that is builtins."""
    cls = type(error)
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _below(parent: SpanContext | None) -> SpanContext:
    if parent is None:
        return SpanContext(_context.new_id(16), _context.new_span_id())
    return SpanContext(
        parent.trace_id,
        _context.new_span_id(),
        parent.flags,
        parent.tracestate,
        remote=False,
        claimed=parent.remote or parent.claimed,
    )
