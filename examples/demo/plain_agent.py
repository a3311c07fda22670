# SPDX-License-Identifier: Apache-2.0
"""An agent with plain OpenTelemetry and no Waybill: it joins whatever trace a caller names.

Usage: plain_agent.py PORT
"""

from __future__ import annotations

import asyncio

from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id

from common import argument, make_card, make_handler, say, serve

trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("plain-agent")


class Plain(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        headers = context.call_context.state.get("headers", {})
        parent = propagate.extract(headers)
        with tracer.start_as_current_span("work", context=parent) as span:
            found = span.get_span_context()
            above = getattr(span, "parent", None)
            say(
                "joined",
                trace_id=format_trace_id(found.trace_id),
                span_id=format_span_id(found.span_id),
                parent=format_span_id(above.span_id) if above else "",
            )
            await event_queue.enqueue_event(new_text_message("done"))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


def main() -> None:
    port = int(argument(1))
    card = make_card("plain", port, "Trusts every traceparent", [])
    asyncio.run(serve(make_handler(Plain(), card), card, port))


if __name__ == "__main__":
    main()
