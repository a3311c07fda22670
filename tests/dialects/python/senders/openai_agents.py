# SPDX-License-Identifier: Apache-2.0
"""openinference-instrumentation-openai-agents: an agent of openai-agents with its tool, over the Responses API. The
SDK's own tracing is processed by the instrumentation instead of being sent to its vendor."""

import asyncio
import time

from agents import Agent, OpenAIResponsesModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI
from openinference.instrumentation import using_session, using_user
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

import scenes

OpenAIAgentsInstrumentor().instrument(tracer_provider=scenes.setup_otel())


@function_tool
def lookup_tide(harbour: str) -> str:
    """The next high water of a harbour."""
    return scenes.lookup_tide(harbour)


model = OpenAIResponsesModel(model=scenes.ASKED["chat"], openai_client=scenes.client(AsyncOpenAI))
agent = Agent(name=scenes.FACTS["agent"], instructions=scenes.FACTS["system"], model=model, tools=[lookup_tide])
config = RunConfig(workflow_name=scenes.FACTS["workflow"], group_id=scenes.FACTS["session"])


async def ask(scene, wanted=None):
    with using_session(scenes.FACTS["session"]), using_user(scenes.FACTS["user"]):
        found = (await Runner.run(agent, scenes.SCENES[scene]["prompt"], run_config=config)).final_output
    assert wanted is None or found == scenes.SCENES[wanted]["text"], found


async def main():
    for scene, wanted in (("chat", "chat"), ("tool", "tool-answer"), ("cached", "cached")):
        await ask(scene, wanted)
        time.sleep(scenes.PAUSE_S)
    for scene in ("refused", "broken"):
        with scenes.expected_error(scene):
            await ask(scene)
        time.sleep(scenes.PAUSE_S)


asyncio.run(main())
scenes.report()
