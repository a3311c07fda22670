# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's context as waybill/_context.py needs it. Uses its API only; an agent may have
that without the SDK."""

from __future__ import annotations

from typing import Any

from opentelemetry import baggage as otel_baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace import NonRecordingSpan, TraceFlags, TraceState
from opentelemetry.trace import SpanContext as OtelSpanContext

from waybill import _context
from waybill._context import SpanContext
from waybill.spans import CLAIMED

_baggage = W3CBaggagePropagator()


def is_claimed(span: trace.Span) -> bool:
    """Whether it descends from a remote parent: a span of OpenTelemetry's says so if waybill.otel's
    processor marked it; what we attached is known by its address."""
    attributes = getattr(span, "attributes", None)
    if attributes is not None:
        return bool(attributes.get(CLAIMED))
    ours = _context.innermost_own()
    found = span.get_span_context().span_id.to_bytes(8, "big")
    return ours is not None and ours.claimed and ours.span_id == found


class _Bridge:
    def current(self) -> SpanContext | None:
        span = trace.get_current_span()
        found = span.get_span_context()
        if not found.is_valid:
            return None
        return SpanContext(
            found.trace_id.to_bytes(16, "big"),
            found.span_id.to_bytes(8, "big"),
            int(found.trace_flags) & 0xFF,
            found.trace_state.to_header(),
            found.is_remote,
            is_claimed(span),
        )

    def attach(self, context: SpanContext, baggage: str | None) -> Any:
        made = OtelSpanContext(
            trace_id=int.from_bytes(context.trace_id, "big"),
            span_id=int.from_bytes(context.span_id, "big"),
            is_remote=context.remote,
            trace_flags=TraceFlags(context.flags & 0xFF),
            trace_state=TraceState.from_header([context.tracestate])
            if context.tracestate
            else None,
        )
        where = trace.set_span_in_context(NonRecordingSpan(made))
        if baggage is not None:
            # Whatever the request's instrumentation took from the headers has not passed a border.
            where = _baggage.extract({"baggage": baggage}, otel_baggage.clear(where))
        return otel_context.attach(where)

    def baggage(self, accepted: str) -> str:
        """OpenTelemetry decodes and encodes anew, and knows no properties: so the text that came is
        kept as long as it still says the same."""
        had = _baggage.extract({"baggage": accepted}, otel_baggage.clear())
        if otel_baggage.get_all() == otel_baggage.get_all(had):
            return accepted
        carrier: dict[str, str] = {}
        _baggage.inject(carrier)
        return carrier.get("baggage", "")

    def detach(self, token: Any) -> None:
        otel_context.detach(token)


def connect() -> None:
    """Keep the two contexts in step from here on; idempotent."""
    if _context.bridge is None:
        _context.bridge = _Bridge()


connect()
