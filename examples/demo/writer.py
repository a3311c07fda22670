# SPDX-License-Identifier: Apache-2.0
"""writer: takes a task at once, works on it for seconds, asks researcher for facts on the way. Its own
spans come from OpenTelemetry's SDK, which two lines tie to Waybill.

Usage: writer.py PORT RESEARCHER_URL
"""

from __future__ import annotations

import asyncio

import waybill.a2a
import waybill.otel
from a2a.helpers import get_stream_response_text, new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from common import argument, connect, make_card, make_handler, request_of, say, serve

OUTLINE_S = 2.5  # long enough to look at the open delegation, and to lose a sidecar meanwhile

provider = TracerProvider(resource=Resource.create({"service.name": "writer"}))
provider.add_span_processor(waybill.otel.AcceptanceProcessor())
provider.add_span_processor(SimpleSpanProcessor(waybill.otel.SidecarExporter()))
tracer = provider.get_tracer("writer")


class Writer(AgentExecutor):
    def __init__(self, researcher_url: str) -> None:
        self._researcher_url = researcher_url

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        task = context.current_task or new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        topic = context.get_user_input().split()[-1]
        with tracer.start_as_current_span("outline", attributes={"topic": topic}):
            await asyncio.sleep(OUTLINE_S)
        facts = await self._facts(topic)
        with tracer.start_as_current_span("write"):
            report = f"Report on {topic}\n" + "\n".join(f"- {fact}" for fact in facts)
        await updater.add_artifact([new_text_part(report)], name="report.md")
        await updater.complete()

    async def _facts(self, topic: str) -> list[str]:
        """Ask researcher: a delegation under the one that we work on."""
        facts = []
        async with connect(self._researcher_url) as client:
            client = waybill.a2a.traced(client)
            async for event in client.send_message(request_of(f"How often is it said: {topic}")):
                facts.append(get_stream_response_text(event))
        say("facts", count=len(facts))
        return [fact for fact in facts if fact]

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


def main() -> None:
    port = int(argument(1))
    card = make_card("writer", port, "Writes short reports", [waybill.a2a.extension()])
    handler = waybill.a2a.guarded(make_handler(Writer(argument(2)), card))
    asyncio.run(serve(handler, card, port))


if __name__ == "__main__":
    main()
