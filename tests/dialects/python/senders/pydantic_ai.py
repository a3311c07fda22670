# SPDX-License-Identifier: Apache-2.0
"""pydantic-ai-slim with its own instrumentation, as it comes: an agent, its tool and its model. A conversation
has an id; users it knows none of."""

import time

from pydantic_ai import Agent, Embedder
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import scenes
from openai import AsyncOpenAI

settings = InstrumentationSettings(tracer_provider=scenes.setup_otel())
Agent.instrument_all(settings)
provider = OpenAIProvider(openai_client=scenes.client(AsyncOpenAI))
agent = Agent(OpenAIChatModel(scenes.ASKED["chat"], provider=provider), name=scenes.FACTS["agent"],
              instructions=scenes.FACTS["system"], retries=0)


@agent.tool_plain
def lookup_tide(harbour: str) -> str:
    """The next high water of a harbour."""
    return scenes.lookup_tide(harbour)


def ask(scene, wanted=None):
    found = agent.run_sync(scenes.SCENES[scene]["prompt"], conversation_id=scenes.FACTS["session"]).output
    assert wanted is None or found == scenes.SCENES[wanted]["text"], found


async def ask_streamed(scene):
    async with agent.run_stream(scenes.SCENES[scene]["prompt"], conversation_id=scenes.FACTS["session"]) as run:
        assert await run.get_output() == scenes.SCENES[scene]["text"]


import asyncio

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
ask("chat", "chat")
time.sleep(scenes.PAUSE_S)
loop.run_until_complete(ask_streamed("stream"))
time.sleep(scenes.PAUSE_S)
ask("tool", "tool-answer")
time.sleep(scenes.PAUSE_S)
ask("cached", "cached")
time.sleep(scenes.PAUSE_S)
embedder = Embedder(OpenAIEmbeddingModel(scenes.ASKED["embedding"], provider=provider), instrument=settings)
loop.run_until_complete(embedder.embed_query(scenes.SCENES["embed"]["prompt"]))
for scene in ("refused", "broken"):
    time.sleep(scenes.PAUSE_S)
    with scenes.expected_error(scene):
        ask(scene)
scenes.report()
