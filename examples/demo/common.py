# SPDX-License-Identifier: Apache-2.0
"""What the demo's agents have in common: a card, a server, a client, and lines that tell the stage.

An agent talks to the stage (run.py) in JSON lines on its standard output. Every agent also has an ear
on its wire: with WIRE_DIR set, the body of each request is written there, as anybody could who sits on
a hop without TLS. The attacker lives off that. In a container (docker-compose.yml) DEMO_LISTEN is the
address to listen at, and DEMO_NAME the host's name in the agent's card.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import sys
from typing import Any, AsyncIterator

import httpx
import uvicorn
from a2a.client.client import Client, ClientConfig
from a2a.client.client_factory import ClientFactory
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentExtension,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
    Role,
    SendMessageRequest,
)
from starlette.applications import Starlette


def say(event: str, **facts: Any) -> None:
    """One line for the stage."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def argument(number: int) -> str:
    if len(sys.argv) <= number:
        sys.exit(f"usage: see examples/demo/run.py, which starts {sys.argv[0]}")
    return sys.argv[number]


def make_card(name: str, port: int, job: str, extensions: list[AgentExtension]) -> AgentCard:
    url = f"http://{os.environ.get('DEMO_NAME', '127.0.0.1')}:{port}/"
    return AgentCard(
        name=name,
        description=job,
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(streaming=True, extensions=extensions),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id=name, name=name, description=job, tags=["demo"])],
    )


def make_handler(executor: AgentExecutor, card: AgentCard) -> DefaultRequestHandler:
    return DefaultRequestHandler(executor, InMemoryTaskStore(), card)


class Ear:
    """ASGI middleware: writes down what passes on the wire."""

    def __init__(self, app: Any, agent: str, folder: pathlib.Path) -> None:
        self._app = app
        self._agent = agent
        self._folder = folder
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = bytearray()

        async def hear() -> Any:
            message = await receive()
            if message["type"] == "http.request":
                body.extend(message.get("body", b""))
                if not message.get("more_body") and body:
                    file = self._folder / f"{self._agent}-{next(self._numbers):03}.json"
                    file.write_bytes(bytes(body))
                    body.clear()
            return message

        await self._app(scope, hear, send)


async def serve(handler: RequestHandler, card: AgentCard, port: int) -> None:
    """Serve until the process is told to end; says "ready" once the port is open."""
    app: Any = Starlette(
        routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/")]
    )
    wire = os.environ.get("WIRE_DIR")
    if wire:
        app = Ear(app, card.name, pathlib.Path(wire))
    host = os.environ.get("DEMO_LISTEN", "127.0.0.1")
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    started = server.startup

    async def startup(sockets: Any = None) -> None:
        await started(sockets)
        say("ready", port=port)

    server.startup = startup  # type: ignore[method-assign]
    await server.serve()


@contextlib.asynccontextmanager
async def connect(url: str, *, polling: bool = False) -> AsyncIterator[Client]:
    """An SDK client for the agent whose card is at `url`. polling: ask for a task and look at it
    from time to time, instead of listening to a stream."""
    async with httpx.AsyncClient(timeout=30) as http:
        config = ClientConfig(httpx_client=http, streaming=not polling, polling=polling)
        yield await ClientFactory(config).create_from_url(url)


def request_of(text: str) -> SendMessageRequest:
    """A message of the user; the SDK's hook fills the message id."""
    return SendMessageRequest(message=Message(role=Role.ROLE_USER, parts=[Part(text=text)]))
