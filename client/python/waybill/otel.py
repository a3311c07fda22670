# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry beside Waybill: one tree, whoever opened the spans.

The two contexts are one (waybill/_otel_bridge.py): an acceptance or span of ours is the current
span for OpenTelemetry's instrumentation, so what httpx or an LLM library opens inside an acceptance
becomes a child of its SERVER span; and a delegation made under an OpenTelemetry span is shown below
that span. `working` does that for code that stands outside of the hooks.

    AcceptanceProcessor  stamps `waybill.acceptance.id` on every span that starts inside one, and
                         `waybill.claimed` below a remote parent
    SidecarExporter      hands finished spans to the sidecar, through the client's bounded buffer

A span that two exporters of one client see is handed over once: a program may have added one
itself, and stand below `waybill run`, which adds another.

The exporter answers SUCCESS once a span is in that buffer: from there on it is sent until the
sidecar has synced it, and an OpenTelemetry processor that waited for that would hold its own queue
meanwhile. `force_flush` waits for the sidecar's acknowledgement.

Of reference facts that matter here: SDKs leave the sampled bit out of exported flags, so nothing is
filtered by it; times are Unix nanoseconds already; kind is one below OTLP's number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from waybill import _context, _otel_bridge, _otel_start, _otlp
from waybill.client import Waybill, default
from waybill.model import Acceptance
from waybill.spans import CLAIMED

__all__ = ["AcceptanceProcessor", "ConfiguredExporter", "SidecarExporter", "encode", "working"]


def working(acceptance: Acceptance) -> contextlib.AbstractContextManager[None]:
    """`with working(acceptance):` attaches its context as OpenTelemetry's current one, and makes it
    the parent of delegations."""
    _otel_bridge.connect()
    return acceptance.work()


class AcceptanceProcessor(SpanProcessor):
    """Stamps the acceptance that the code works on, and marks what descends from a remote parent
    (the server span of an instrumented HTTP library, and what is below it): the sidecar moves such
    spans out of a trace that a caller only claims. Add it before the exporting processors."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        acceptance = _context.current_acceptance()
        if acceptance is not None:
            span.set_attribute("waybill.acceptance.id", acceptance.id.hex())
        parent = trace.get_current_span(parent_context)
        if parent.get_span_context().is_remote or _otel_bridge.is_claimed(parent):
            span.set_attribute(CLAIMED, True)


class SidecarExporter(SpanExporter):
    """client  default: waybill.default()"""

    def __init__(self, client: Waybill | None = None) -> None:
        self._client = client or default()
        self._mark = f"_waybill_{id(self._client)}"
        self._resource: tuple[Resource | None, bytes] = (None, b"")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        kept = [self._record(span) for span in spans if self._is_first(span)]
        return SpanExportResult.SUCCESS if all(kept) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._client.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        self._client.flush()

    def _is_first(self, span: ReadableSpan) -> bool:
        """All processors of a provider are given the same object; setdefault is one step."""
        ours = object()
        return span.__dict__.setdefault(self._mark, ours) is ours

    def _resource_field(self, resource: Resource) -> bytes:
        """A provider has one resource, so it is encoded once."""
        known, field = self._resource
        if known is not resource:
            field = _otlp.resource(dict(resource.attributes))
            self._resource = (resource, field)
        return field

    def _record(self, span: ReadableSpan) -> bool:
        scope = span.instrumentation_scope
        return self._client.record_encoded(
            encode(span),
            _otlp.scope(scope.name, scope.version or "") if scope else None,
            self._resource_field(span.resource),
        )


class ConfiguredExporter(SidecarExporter):
    """What OTEL_TRACES_EXPORTER=waybill stands for: the SDK's configuration adds the exporter, and
    this the rest, to the provider that it has just set."""

    def __init__(self) -> None:
        super().__init__()
        _otel_start.attach(trace.get_tracer_provider())


def encode(span: ReadableSpan) -> bytes:
    """A finished OpenTelemetry span as OTLP."""
    own, parent = span.get_span_context(), span.parent
    if own is None:
        raise ValueError("a span without context")
    return _otlp.span(
        trace_id=own.trace_id.to_bytes(16, "big"),
        span_id=own.span_id.to_bytes(8, "big"),
        name=span.name,
        kind=span.kind.value + 1,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or span.start_time or 0,
        parent_span_id=parent.span_id.to_bytes(8, "big") if parent else b"",
        parent_remote=bool(parent and parent.is_remote),
        flags=int(own.trace_flags),
        tracestate=own.trace_state.to_header(),
        attrs=span.attributes,
        events=[(e.timestamp, e.name, e.attributes or {}) for e in span.events],
        links=[
            (
                link.context.trace_id.to_bytes(16, "big"),
                link.context.span_id.to_bytes(8, "big"),
                link.context.trace_state.to_header(),
                link.attributes or {},
            )
            for link in span.links
        ],
        status={"OK": _otlp.STATUS_OK, "ERROR": _otlp.STATUS_ERROR}.get(
            span.status.status_code.name, 0
        ),
        status_message=span.status.description or "",
    )
