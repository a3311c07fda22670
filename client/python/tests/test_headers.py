# SPDX-License-Identifier: Apache-2.0
"""W3C headers between real a2a-sdk agents, and what the client does with them by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from conftest import Company

import waybill
from waybill import _context, digest

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLAIMED = f"00-{TRACE}-{SPAN}-01"
OTHER = CLAIMED.replace(SPAN, "1" * 16)
VENDORS = "ot=th:fd70a4;rv:6e6d1a75832a2f,vendor=1"


def inside(flags: int = 1, tracestate: str = VENDORS) -> Any:
    context = waybill.SpanContext(bytes.fromhex(TRACE), bytes.fromhex(SPAN), flags, tracestate)
    return _context.inside(context)


# -- without a sidecar -----------------------------------------------------------------------------


@pytest.fixture
def alone(folder: object) -> Iterator[waybill.Waybill]:
    made = waybill.Waybill(socket=f"{folder}/ipc.sock", name="alone")
    made._breaker_until = float("inf")  # known to be away: not waited for
    yield made


@pytest.mark.parametrize(
    "text",
    [
        "",
        CLAIMED[:-1],
        CLAIMED + "-",
        CLAIMED.upper(),
        "ff" + CLAIMED[2:],
        CLAIMED.replace(TRACE, "0" * 32),
        CLAIMED.replace(SPAN, "0" * 16),
        CLAIMED + "\n",
        "\u00a0" + CLAIMED,
        "01" + CLAIMED[2:] + "x",
        CLAIMED.replace("-01", "-0g"),
        f"{CLAIMED},{CLAIMED}",
    ],
)
def test_a_defective_traceparent_is_none(text: str) -> None:
    assert waybill.SpanContext.parse(text) is None


def test_a_good_traceparent_is_sent_on_as_version_00_with_known_flags() -> None:
    found = waybill.SpanContext.parse(f" cc-{TRACE}-{SPAN}-fd-more\t")
    assert found is not None and found.traceparent == f"00-{TRACE}-{SPAN}-01"
    assert waybill.SpanContext(found.trace_id, found.span_id, 0xFF).traceparent.endswith("-03")


def claimed_links(wb: waybill.Waybill, monkeypatch: pytest.MonkeyPatch, headers: Any) -> Any:
    seen: list[Any] = []
    monkeypatch.setattr(wb, "_mark", lambda *_a, **more: seen.append(more["links"]))
    wb.accept(method="SendMessage", message_id="m", headers=headers)
    return seen[0]


def test_two_traceparents_claim_nothing(
    alone: waybill.Waybill, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = {"TraceParent": CLAIMED, "x": "y"}
    (link,) = claimed_links(alone, monkeypatch, once)
    assert link.traceparent == CLAIMED
    twice = [("traceparent", CLAIMED), ("TRACEPARENT", OTHER)]
    assert claimed_links(alone, monkeypatch, twice) == ()


def test_what_goes_on_without_the_sidecar_is_plain_w3c_without_baggage(
    alone: waybill.Waybill,
) -> None:
    with inside():
        made = alone.delegate(
            waybill.Target("http://x"), method="SendMessage", message_id="m", baggage="a=1"
        )
    assert made.local and made.headers == {
        "traceparent": f"00-{TRACE}-{made.context.span_id.hex()}-01",
        "tracestate": VENDORS,
    }
    accepted = alone.accept(
        method="SendMessage", message_id="m", headers={"traceparent": CLAIMED, "baggage": "a=1"}
    )
    assert accepted.baggage == "" and accepted.context.tracestate == ""


# -- between agents --------------------------------------------------------------------------------


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario(), 60))


async def post(port: int, path: str, message: dict[str, Any], headers: list[Any]) -> Any:
    httpx = pytest.importorskip("httpx")
    body: dict[str, Any] = {"message": message}
    if path == "/rpc":
        body = {"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": body}
    async with httpx.AsyncClient() as http:
        return await http.post(
            f"http://127.0.0.1:{port}{path}", json=body, headers=[("A2A-Version", "1.0"), *headers]
        )


def test_headers_go_through_the_sdk_both_ways(company: Company) -> None:
    agents = pytest.importorskip("a2a_agents")

    async def scenario() -> None:
        from a2a.client.client import ClientCallContext

        call = ClientCallContext(
            service_parameters={"Baggage": "tier=gold;ttl=1, broken member", "traceparent": OTHER}
        )
        async with agents.serving(company.b.port, company.b.wb) as executor:
            async with agents.calling(company.b.port, company.a.wb) as client:
                with inside():
                    events = client.send_message(agents.asking("message"), context=call)
                    assert [event async for event in events]
        (seen,) = executor.seen
        accepted = seen.acceptance
        assert accepted.verified and accepted.context.trace_id.hex() == TRACE
        assert accepted.warnings == ()
        assert accepted.context.flags == 1
        assert accepted.context.tracestate == f"wb={accepted.id.hex()},{VENDORS}"
        assert accepted.baggage == "tier=gold;ttl=1"
        assert call.service_parameters["traceparent"] == OTHER  # the caller's own is untouched
        with accepted.work():
            made = await company.b.wb.adelegate(
                waybill.Target(f"http://127.0.0.1:{company.c.port}/"),
                method="SendMessage",
                message_id="onward",
            )
        assert made.headers == {
            "traceparent": f"00-{TRACE}-{made.context.span_id.hex()}-01",
            "tracestate": f"wb=d:{made.id.hex()},{VENDORS}",
            "baggage": "tier=gold;ttl=1",
        }

    run(scenario)


@pytest.mark.parametrize("path", ["/rpc", "/rest/message:send"])
def test_headers_that_come_twice_are_seen_twice(company: Company, path: str) -> None:
    agents = pytest.importorskip("a2a_agents")
    parts = pytest.importorskip("a2a.types").Part

    async def scenario() -> None:
        async with agents.serving(company.b.port, company.b.wb) as executor:
            for number, twice in enumerate((False, True)):
                salt = _context.new_id(16)
                message_id = f"twice-{path}-{number}"
                made = await company.a.wb.adelegate(
                    waybill.Target(f"http://127.0.0.1:{company.b.port}/"),
                    method="SendMessage",
                    message_id=message_id,
                    body_digest=digest.body_digest(salt, [parts(text="message")]),
                    salt=salt,
                )
                headers = [
                    ("Traceparent", made.headers["traceparent"]),
                    ("tracestate", "first=1"),
                    ("TraceState", "second=2"),
                    ("baggage", "a=1"),
                    ("baggage", "b=2"),
                ]
                if twice:
                    headers.append(("traceparent", made.headers["traceparent"]))
                message = {
                    "messageId": message_id,
                    "role": "ROLE_USER",
                    "parts": [{"text": "message"}],
                    "metadata": {waybill.EXTENSION_URI: json.loads(made.carrier)},
                }
                response = await post(company.b.port, path, message, headers)
                assert response.status_code == 200, response.text
                accepted = executor.seen[-1].acceptance
                behind = "" if twice else ",first=1,second=2"
                assert accepted.verified
                assert accepted.context.tracestate == f"wb={accepted.id.hex()}{behind}"
                assert accepted.baggage == "a=1,b=2"

    run(scenario)


# -- OpenTelemetry's baggage ---------------------------------------------------------------------


def onward(wb: waybill.Waybill, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a delegation made here asks to send along."""
    asked: list[Any] = []
    ask = wb._ask
    monkeypatch.setattr(wb, "_ask", lambda request: asked.append(request) or ask(request))
    wb.delegate(waybill.Target("http://x"), method="SendMessage", message_id="m")
    monkeypatch.undo()
    return list(asked[0].delegate.baggage)


def test_accepted_baggage_is_opentelemetrys_and_a_strangers_is_not(
    alone: waybill.Waybill, monkeypatch: pytest.MonkeyPatch
) -> None:
    baggage = pytest.importorskip("opentelemetry.baggage")
    otel_context = pytest.importorskip("opentelemetry.context")
    import waybill.otel

    assert waybill.otel
    accepted = waybill.Acceptance(
        id=b"a" * 16,
        verdict=waybill.Verdict.CONTINUE,
        verified=True,
        context=waybill.SpanContext(b"t" * 16, b"s" * 8),
        baggage="tier=gold;ttl=1,note=a%20b",
    )
    stranger = otel_context.attach(baggage.set_baggage("smuggled", "1"))
    try:
        assert onward(alone, monkeypatch) == ["smuggled=1"]  # the agent's own, for all we know
        with accepted.work():
            assert baggage.get_all() == {"tier": "gold;ttl=1", "note": "a b"}
            assert onward(alone, monkeypatch) == ["tier=gold;ttl=1,note=a%20b"]  # as it came
            inner = otel_context.attach(baggage.set_baggage("own", "x"))
            assert "own=x" in onward(alone, monkeypatch)[0]
            otel_context.detach(inner)
        assert baggage.get_all() == {"smuggled": "1"}
    finally:
        otel_context.detach(stranger)
