# SPDX-License-Identifier: Apache-2.0
"""A real A2A agent on the official SDK for the tests: it does what the message's text says."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from a2a.client import ClientConfig, create_client
from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import (
    create_agent_card_routes,
    create_jsonrpc_routes,
    create_rest_routes,
)
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
    Role,
    SendMessageRequest,
    Task,
    TaskState,
    TaskStatus,
)
from starlette.applications import Starlette

import waybill
import waybill.a2a


@dataclasses.dataclass
class Seen:
    """What the agent's code saw of one message."""

    text: str
    acceptance: Any
    span: Any
    metadata: dict[str, Any]
    extensions: list[str]


class Executor(AgentExecutor):
    """message  answers with a Message
    task     a task that works for a moment and completes
    slow     the same, for half a second
    hang     a task that never ends
    ask      a task that needs input
    fail     a task that fails by itself; reject: is rejected
    boom     raises before there is a task; crash: after
    stop     a task that is left working
    quiet    cancels without a word, when it hangs
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.on_event: Any = None  # called with (state, executor) right after an event was let out

    async def execute(self, context: Any, event_queue: Any) -> None:
        text = context.get_user_input()
        self.seen.append(
            Seen(
                text,
                waybill.current_acceptance(),
                waybill.current_span(),
                dict(context.message.metadata),
                list(context.message.extensions),
            )
        )
        if text == "message":
            await event_queue.enqueue_event(new_text_message("pong"))
            return
        if text == "boom":
            raise RuntimeError("boom")
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        if context.current_task is None:
            await event_queue.enqueue_event(
                Task(
                    id=context.task_id,
                    context_id=context.context_id,
                    status=TaskStatus(state=TaskState.TASK_STATE_SUBMITTED),
                    history=[context.message],
                )
            )
        await updater.start_work()
        if text == "ask":
            await updater.requires_input()
        elif text == "fail":
            await updater.failed()
        elif text == "reject":
            await updater.reject()
        elif text == "crash":
            raise RuntimeError("crash")
        elif text != "stop":
            await asyncio.sleep({"slow": 0.5, "hang": 60, "quiet": 60}.get(text, 0.02))
            await updater.complete()

    async def cancel(self, context: Any, event_queue: Any) -> None:
        if self.seen[-1].text != "quiet":
            await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card_of(
    name: str, port: int, agent_id: str = "", version: str = "1.0", grpc_port: int = 0
) -> AgentCard:
    places = [("JSONRPC", f"{port}/rpc"), ("HTTP+JSON", f"{port}/rest")]
    if grpc_port:
        places.append(("GRPC", str(grpc_port)))
    return AgentCard(
        name=name,
        description="does what it is told",
        version="1",
        capabilities=AgentCapabilities(
            streaming=True, extensions=[waybill.a2a.extension(agent_id)] if agent_id else []
        ),
        supported_interfaces=[
            AgentInterface(
                url=f"http://127.0.0.1:{place}",
                protocol_binding=binding,
                protocol_version=version,
            )
            for binding, place in places
        ],
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="s", name="s", description="s", tags=["t"])],
    )


@contextlib.asynccontextmanager
async def serving(
    port: int,
    wb: waybill.Waybill | None,
    *,
    agent_id: str = "",
    handler_class: Any = DefaultRequestHandler,
    executor: AgentExecutor | None = None,
    wrap: Any = None,
    version: str = "1.0",
    grpc_port: int = 0,
) -> AsyncIterator[Executor]:
    """An agent on `port`, guarded unless `wb` is None. `wrap` changes the SDK's handler first.
    `version`: of A2A, that its card names; `grpc_port`: serves gRPC there too."""
    executor = executor or Executor()
    old = version == "0.3"
    card = card_of("agent", port, agent_id, version, grpc_port)
    handler = handler_class(executor, InMemoryTaskStore(), card)
    if wrap is not None:
        handler = wrap(handler)
    if wb is not None:
        handler = waybill.a2a.guarded(handler, wb)
    app = Starlette(
        routes=[
            *create_agent_card_routes(card),
            *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=old),
            *create_rest_routes(handler, path_prefix="/rest", enable_v0_3_compat=old),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    rpc_server = await _serve_grpc(handler, grpc_port, old) if grpc_port else None
    try:
        yield executor  # type: ignore[misc]
    finally:
        if rpc_server is not None:
            await rpc_server.stop(None)
        server.should_exit = server.force_exit = True
        await running
        if hasattr(handler, "aclose"):
            await handler.aclose()


async def _serve_grpc(handler: Any, port: int, old: bool) -> Any:
    import grpc

    server = grpc.aio.server()
    if old:
        from a2a.compat.v0_3 import a2a_v0_3_pb2_grpc
        from a2a.compat.v0_3.grpc_handler import CompatGrpcHandler

        a2a_v0_3_pb2_grpc.add_A2AServiceServicer_to_server(CompatGrpcHandler(handler), server)
    else:
        from a2a.server.request_handlers import GrpcHandler
        from a2a.types import a2a_pb2_grpc

        a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(handler), server)
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    await server.start()
    return server


def grpc_channel(url: str) -> Any:
    import grpc

    return grpc.aio.insecure_channel(url.removeprefix("http://"))


@contextlib.asynccontextmanager
async def calling(
    port: int,
    wb: waybill.Waybill | None,
    *,
    binding: str = "JSONRPC",
    card: AgentCard | None = None,
    **options: Any,
) -> AsyncIterator[Any]:
    """A client of the agent on `port`, traced unless `wb` is None. `card`: as known beforehand,
    else it is fetched."""
    async with httpx.AsyncClient(timeout=10) as http:
        client = await create_client(
            card or f"http://127.0.0.1:{port}",
            ClientConfig(supported_protocol_bindings=[binding], httpx_client=http, **options),
        )
        yield waybill.a2a.traced(client, wb) if wb is not None else client


def asking(text: str, **fields: Any) -> SendMessageRequest:
    return SendMessageRequest(
        message=Message(role=Role.ROLE_USER, parts=[Part(text=text)], **fields)
    )
