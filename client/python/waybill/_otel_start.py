# SPDX-License-Identifier: Apache-2.0
"""Plain OpenTelemetry to the sidecar, without a line changed in the program.

There are three ways in which a program comes to its TracerProvider, and one function for each:

    on_api         it uses the API. If it sets a provider of its own, ours are added to that one's
                   processors as it becomes the global one (`attach`); its own exporters go on as
                   before. If it sets none, its spans would go nowhere; then they come to a provider
                   that is ours alone and is never made the global one: the program may still set
                   its own, and what asks for the global one sees what it always saw.
    on_instrument  `opentelemetry-instrument` is about to start it. That hides our sitecustomize, so
                   here the environment has to say it: OTEL_TRACES_EXPORTER=waybill, the entry point
                   that leads to waybill.otel.ConfiguredExporter, unless an exporter was chosen; and
                   that there are no metrics and logs, where their exporter is not installed.

`tracer_provider` is an entry point for who asks for it by name.

A span goes to the sidecar once, whichever of them see it (waybill.otel.SidecarExporter).

`attach` also makes the environment's TRACEPARENT the parent of what would become a root. The SDK
has no place for that: a processor comes too late, and a context that is attached at the start is
only the main thread's. So it is done where the SDK looks for a parent, in its Tracer. What answers
somebody from outside (kind SERVER or CONSUMER), and what is given a context of its own, is left as
it is.

Spans are handed over as they end, and not by a BatchSpanProcessor: the client batches already,
drops nothing below 20 000 spans, and a process that is killed has then lost a fifth of a second
and not five seconds.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from waybill import _context

_NAME = "waybill"
_DISTRO = "opentelemetry.distro:OpenTelemetryDistro"
_lock = threading.RLock()  # our own provider is attached while it is made
_attached: weakref.WeakSet[Any] = weakref.WeakSet()
_without_provider: Any = None


# -- what the program's imports call --------------------------------------------------------------


def on_api(trace: ModuleType, _lib: str) -> None:
    """After `import opentelemetry.trace`: see what becomes the global provider, and serve those
    who wait for one that never comes."""
    set_provider = trace.set_tracer_provider

    @functools.wraps(set_provider)
    def set_tracer_provider(tracer_provider: Any) -> None:
        set_provider(tracer_provider)
        if trace.get_tracer_provider() is tracer_provider:
            attach(tracer_provider)

    trace.set_tracer_provider = set_tracer_provider  # type: ignore[attr-defined]
    _serve_proxies(trace)


def on_instrument(_module: ModuleType, lib: str) -> None:
    """In the process that becomes the program: its environment, so it tells it where we are."""
    os.environ.setdefault("OTEL_TRACES_EXPORTER", _NAME)
    _leave_out_what_is_missing()
    if lib in sys.path:
        had = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, had), lib])


def _leave_out_what_is_missing() -> None:
    """OpenTelemetry's own distro sends metrics and logs by OTLP too, unless told otherwise. Where
    that exporter is not installed its set-up would fail as a whole, and no span be made."""
    distros = [found.value for found in entry_points(group="opentelemetry_distro")]
    if distros != [_DISTRO] or os.environ.get("OTEL_PYTHON_DISTRO", "distro") != "distro":
        return  # another one has defaults of its own
    for signal in ("metrics", "logs"):
        variable = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
        protocol = (
            os.environ.get(variable) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "grpc"
        )
        name = "otlp_proto_http" if protocol.startswith("http") else "otlp_proto_grpc"
        if not entry_points(group=f"opentelemetry_{signal}_exporter", name=name):
            os.environ.setdefault(f"OTEL_{signal.upper()}_EXPORTER", "none")


def _serve_proxies(trace: ModuleType) -> None:
    """The tracers that the API gives out while there is no provider do nothing until there is one.
    Ours do the same, but for that nothing: then they use `_own_provider`."""
    get_tracer = trace.ProxyTracerProvider.get_tracer

    class Tracer(trace.ProxyTracer):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._waybill_scope = args, kwargs
            self._waybill_tracer: Any = None

        @property
        def _tracer(self) -> Any:
            if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
                return super()._tracer
            if self._waybill_tracer is None:
                provider = _own_provider()
                if provider is None:
                    return super()._tracer
                args, kwargs = self._waybill_scope
                self._waybill_tracer = provider.get_tracer(*args, **kwargs)
            return self._waybill_tracer

    @functools.wraps(get_tracer)
    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = get_tracer(self, *args, **kwargs)
        return Tracer(*args, **kwargs) if type(found) is trace.ProxyTracer else found

    trace.ProxyTracerProvider.get_tracer = get


def _own_provider() -> Any:
    """For a program that sets no provider; None if it has no SDK, and so could have none."""
    global _without_provider
    with _lock:
        if _without_provider is None:
            try:
                _without_provider = tracer_provider()
            except ImportError:
                _without_provider = False
    return _without_provider or None


# -- entry points ---------------------------------------------------------------------------------


def tracer_provider() -> Any:
    """OTEL_PYTHON_TRACER_PROVIDER=waybill: the SDK's, resource from OTEL_*, to the sidecar."""
    from opentelemetry.sdk.trace import TracerProvider

    made = TracerProvider()
    attach(made)
    return made


# -- any provider of the SDK ----------------------------------------------------------------------


def attach(provider: Any) -> None:
    """Send the spans of `provider` to the sidecar as well. What is no provider of the SDK's kind
    has no place for that, and is left alone."""
    add = getattr(provider, "add_span_processor", None)
    with _lock:
        if add is None or provider in _attached:
            return
        _attached.add(provider)
    from opentelemetry.sdk.trace import Tracer
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    from waybill import otel

    add(otel.AcceptanceProcessor())
    add(SimpleSpanProcessor(otel.SidecarExporter()))
    _adopt_roots(Tracer)


def _adopt_roots(tracer: Any) -> None:
    found = _context.process_parent()
    original = tracer.start_span
    if found is None or hasattr(original, "waybill_parent"):
        return
    from opentelemetry import trace

    parent = trace.NonRecordingSpan(
        trace.SpanContext(
            int.from_bytes(found.trace_id, "big"),
            int.from_bytes(found.span_id, "big"),
            is_remote=found.remote,
            trace_flags=trace.TraceFlags(found.flags),
            trace_state=trace.TraceState.from_header([found.tracestate])
            if found.tracestate
            else None,
        )
    )
    from_outside = (trace.SpanKind.SERVER, trace.SpanKind.CONSUMER)

    @functools.wraps(original)
    def start_span(
        self: Any,
        name: str,
        context: Any = None,
        kind: Any = trace.SpanKind.INTERNAL,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if context is None and kind not in from_outside:
            if not trace.get_current_span().get_span_context().is_valid:
                context = trace.set_span_in_context(parent)
        return original(self, name, context, kind, *args, **kwargs)

    start_span.waybill_parent = found  # type: ignore[attr-defined]
    tracer.start_span = start_span
