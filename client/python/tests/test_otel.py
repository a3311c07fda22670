# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry beside Waybill: one tree, and the same bytes as OpenTelemetry's own exporter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("opentelemetry.sdk.trace")

from conftest import Store, walk  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402

import waybill  # noqa: E402
import waybill.otel  # noqa: E402
from waybill import _otlp  # noqa: E402


@pytest.fixture
def tracer(wb: waybill.Waybill) -> Iterator[trace.Tracer]:
    provider = TracerProvider(resource=Resource.create({"service.name": "plain otel"}))
    provider.add_span_processor(waybill.otel.AcceptanceProcessor())
    provider.add_span_processor(SimpleSpanProcessor(waybill.otel.SidecarExporter(wb)))
    yield provider.get_tracer("instrumentation", "1.2")
    provider.shutdown()


def test_plain_spans_become_children_of_the_acceptance(
    wb: waybill.Waybill, store: Store, tracer: trace.Tracer
) -> None:
    acceptance = wb.accept(method="SendMessage", message_id="in")
    with tracer.start_as_current_span("outside"):
        with waybill.otel.working(acceptance):
            with tracer.start_as_current_span("plain"):
                with wb.span("ours"):
                    with tracer.start_as_current_span("below ours"):
                        made = wb.delegate(
                            waybill.Target("http://127.0.0.1:1/"),
                            method="SendMessage",
                            message_id="m",
                        )
        with tracer.start_as_current_span("outside again"):
            pass
    wb.finish(acceptance, "ok")
    assert wb.flush()
    spans = {
        str(row["name"]): row
        for row in store.wait("SELECT * FROM spans WHERE name <> 'SendMessage'", count=5)
    }
    plain, ours, below = (spans[name] for name in ("plain", "ours", "below ours"))
    assert plain["parent_span_id"] == acceptance.context.span_id
    assert ours["parent_span_id"] == plain["span_id"] and below["parent_span_id"] == ours["span_id"]
    for row in (plain, ours, below):
        assert row["trace_id"] == acceptance.context.trace_id
        assert row["acceptance_id"] == acceptance.id
    assert plain["service"] == "plain otel" and ours["service"] == "agent"
    assert spans["outside again"]["parent_span_id"] == spans["outside"]["span_id"]
    assert spans["outside"]["acceptance_id"] is spans["outside again"]["acceptance_id"] is None
    row = store.one("SELECT * FROM delegations WHERE delegation_id = ?", made.id)
    assert row["parent_span_id"] == below["span_id"]


def test_a_delegation_under_a_plain_span_is_in_its_trace(
    wb: waybill.Waybill, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("planning") as span:
        made = wb.delegate(waybill.Target("http://x/"), method="SendMessage", message_id="m")
    assert int.from_bytes(made.context.trace_id, "big") == span.get_span_context().trace_id


def test_what_descends_from_a_remote_parent_leaves_the_claimed_trace(
    wb: waybill.Waybill, store: Store, tracer: trace.Tracer
) -> None:
    """An instrumented server's span and all below it, in batches of one, children first; not what
    is inside the acceptance, and not what the agent does on its own."""
    claimed = os.urandom(16)
    header = trace.SpanContext(
        int.from_bytes(claimed, "big"), 7, is_remote=True, trace_flags=trace.TraceFlags(1)
    )
    caller = trace.set_span_in_context(trace.NonRecordingSpan(header))
    with tracer.start_as_current_span("server", context=caller, kind=trace.SpanKind.SERVER):
        with tracer.start_as_current_span("middleware"):
            with wb.span("ours in between"):
                made = wb.delegate(
                    waybill.Target("http://x/"), method="SendMessage", message_id="from a claim"
                )
                with tracer.start_as_current_span("below ours too"):
                    assert wb.flush()
            acceptance = wb.accept(
                method="SendMessage",
                message_id="claimed",
                headers={"traceparent": f"00-{claimed.hex()}-0000000000000007-01"},
            )
            with acceptance.work(), tracer.start_as_current_span("work"):
                pass
        wb.finish(acceptance, "ok")
    with tracer.start_as_current_span("own"):
        pass
    assert wb.flush()
    names = ["server", "middleware", "ours in between", "below ours too", "work", "own"]
    spans = {
        str(row["name"]): row
        for row in store.wait(
            f"SELECT * FROM spans WHERE name IN ({','.join('?' * len(names))})", *names, count=6
        )
    }
    home = acceptance.context.trace_id
    assert home != claimed
    assert {spans[name]["trace_id"] for name in names[:5]} == {home}
    assert made.context.trace_id == home
    assert spans["server"]["parent_span_id"] is None
    assert spans["middleware"]["parent_span_id"] == spans["server"]["span_id"]
    assert spans["work"]["parent_span_id"] == acceptance.context.span_id
    assert claimed in spans["server"]["span"]  # type: ignore[operator]
    assert spans["own"]["trace_id"] not in (home, claimed)
    assert all(b"waybill.claimed\x12" not in row["span"] for row in spans.values())  # type: ignore[operator]


def test_a_plain_span_is_encoded_as_opentelemetry_does(tracer: trace.Tracer) -> None:
    """Read back by the OTLP definitions, as far as this machine has them; else by our own walk."""
    link = trace.Link(trace.SpanContext(5, 6, False), {"why": "x"})
    with pytest.raises(ValueError):
        with tracer.start_as_current_span(
            "n",
            kind=trace.SpanKind.CLIENT,
            attributes={"i": -1, "f": 0.5, "b": True, "l": ["a"]},
            links=[link],
        ) as span:
            span.add_event("e", {"k": 1}, timestamp=7)
            raise ValueError("x")
    fields = walk(waybill.otel.encode(span))  # type: ignore[arg-type]
    own = span.get_span_context()
    assert fields[1] == [own.trace_id.to_bytes(16, "big")]
    assert fields[2] == [own.span_id.to_bytes(8, "big")]
    assert fields[5] == [b"n"] and fields[6] == [3]
    assert fields[7][0] <= fields[8][0]  # type: ignore[operator]
    attributes = {walk(a)[1][0]: walk(walk(a)[2][0]) for a in fields[9]}
    assert attributes[b"i"] == {3: [(1 << 64) - 1]}
    assert attributes[b"b"] == {2: [1]}
    assert attributes[b"l"] == {5: [b"\x0a\x03\x0a\x01a"]}
    assert b"f" in attributes
    assert [walk(e)[2] for e in fields[11]] == [[b"e"], [b"exception"]]
    assert walk(fields[13][0])[1] == [(5).to_bytes(16, "big")]
    assert walk(fields[15][0])[3] == [_otlp.STATUS_ERROR]
    assert fields[16] == [0x100 | int(own.trace_flags)]


def test_the_package_itself_needs_nothing() -> None:
    """Imported with nothing but the standard library in reach, as a fresh interpreter would."""
    script = (
        "import sys; sys.path.insert(0, 'client/python'); import waybill, waybill.digest;"
        "others = ('a2a', 'google', 'opentelemetry', 'httpx');"
        "bad = [m for m in sys.modules if m.split('.')[0] in others];"
        "assert not bad, bad"
    )
    import waybill_testkit as kit

    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True, cwd=kit.ROOT)
