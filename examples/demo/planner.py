# SPDX-License-Identifier: Apache-2.0
"""planner: has a report made. It asks researcher, listening to the stream, proofreader, whether that holds,
and writer, polling its task.

Usage: planner.py report RESEARCHER_URL PROOFREADER_URL WRITER_URL    the main job
       planner.py errand CONTRACTOR_URL                               hands a small, limited errand to a
                                                                      contractor
       planner.py brief RESEARCHER_URL WRITER_URL                     the main job without a proofreader
"""

from __future__ import annotations

import asyncio
import json
import os

import waybill
import waybill.a2a
import waybill.digest
from a2a.client.client import Client
from a2a.helpers import get_stream_response_text
from a2a.types.a2a_pb2 import GetTaskRequest, SendMessageRequest, Task, TaskState

from common import argument, connect, request_of, say

POLL_S = 0.2
SUBJECT = "warranty"
ERRAND_LIMITS = waybill.Limits(currency="USD", cost_micros=50_000, tokens=1000, work_ms=10_000)

wb = waybill.default()


async def research(url: str) -> str:
    """A stream: every finding is heard as it is made."""
    async with connect(url) as client:
        client = waybill.a2a.traced(client)
        texts = []
        async for event in client.send_message(request_of(f"How often is it said: {SUBJECT}")):
            texts.append(get_stream_response_text(event))
        say("researched", events=len(texts), answer=texts[-1])
    return texts[-1]


async def proofread(url: str, claim: str) -> None:
    """A message that is answered by a message."""
    async with connect(url) as client:
        client = waybill.a2a.traced(client)
        async for event in client.send_message(request_of(claim)):
            say("proofread", answer=get_stream_response_text(event))


async def finished(client: Client, task: Task) -> Task:
    """Poll until the task is over."""
    while task.status.state in (
        TaskState.TASK_STATE_SUBMITTED,
        TaskState.TASK_STATE_WORKING,
    ):
        await asyncio.sleep(POLL_S)
        task = await client.get_task(GetTaskRequest(id=task.id))
    return task


async def write(url: str) -> None:
    """A task that goes on after the answer: look at it until it is over."""
    async with connect(url, polling=True) as client:
        client = waybill.a2a.traced(client)
        async for event in client.send_message(request_of(f"Write a report on {SUBJECT}")):
            say("writing", task=event.task.id)
            task = await finished(client, event.task)
            state = TaskState.Name(task.status.state)
            say("written", state=state, artifacts=[a.name for a in task.artifacts])


async def report(researcher_url: str, proofreader_url: str | None, writer_url: str) -> None:
    with wb.span("make a report", type="session") as span:
        say("began", trace_id=span.context.trace_id.hex())
        claim = await research(researcher_url)
        if proofreader_url:
            await proofread(proofreader_url, claim)
        await write(writer_url)


async def errand(url: str) -> None:
    """The same by hand, as code without the SDK's hooks would do it, because it asks for limits."""
    request = request_of("Please look after the plants")
    message = request.message
    message.message_id = os.urandom(16).hex()
    salt = os.urandom(waybill.digest.SALT_LEN)
    with wb.span("hand out an errand", type="session") as span:
        delegation = await wb.adelegate(
            waybill.Target(url=url, declares=True, name="contractor"),
            method="SendMessage",
            message_id=message.message_id,
            body_digest=waybill.digest.body_digest(salt, message.parts),
            salt=salt,
            ask=ERRAND_LIMITS,
        )
        say("began", trace_id=span.context.trace_id.hex())
        await deliver(url, request, delegation)


async def deliver(url: str, request: SendMessageRequest, delegation: waybill.Delegation) -> None:
    carrier = json.loads(delegation.carrier)
    request.message.metadata.update({waybill.EXTENSION_URI: carrier})
    outcome = "failed"
    try:
        async with connect(url, polling=True) as client:
            async for _ in client.send_message(request):
                outcome = "answered"
    finally:
        await wb.asettle(delegation, outcome)
        say("handed", outcome=outcome)


async def main() -> None:
    if argument(1) == "report":
        await report(argument(2), argument(3), argument(4))
    elif argument(1) == "brief":
        await report(argument(2), None, argument(3))
    else:
        await errand(argument(2))
    wb.close()


if __name__ == "__main__":
    asyncio.run(main())
