# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's context as waybill/_context.py needs it. Uses its API only; an agent may have
that without the SDK."""

from __future__ import annotations

from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, TraceFlags, TraceState
from opentelemetry.trace import SpanContext as OtelSpanContext

from waybill import _context
from waybill._context import SpanContext


class _Bridge:
    def current(self) -> SpanContext | None:
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return SpanContext(
            found.trace_id.to_bytes(16, "big"),
            found.span_id.to_bytes(8, "big"),
            int(found.trace_flags) & 0xFF,
            found.trace_state.to_header(),
            found.is_remote,
        )

    def attach(self, context: SpanContext) -> Any:
        made = OtelSpanContext(
            trace_id=int.from_bytes(context.trace_id, "big"),
            span_id=int.from_bytes(context.span_id, "big"),
            is_remote=context.remote,
            trace_flags=TraceFlags(context.flags & 0xFF),
            trace_state=TraceState.from_header([context.tracestate])
            if context.tracestate
            else None,
        )
        return otel_context.attach(trace.set_span_in_context(NonRecordingSpan(made)))

    def detach(self, token: Any) -> None:
        otel_context.detach(token)


def connect() -> None:
    """Keep the two contexts in step from here on; idempotent."""
    if _context.bridge is None:
        _context.bridge = _Bridge()


connect()
