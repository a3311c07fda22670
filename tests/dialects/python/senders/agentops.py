# SPDX-License-Identifier: Apache-2.0
"""agentops: its instrumentation of OpenAI's client and its decorators. Its session is the trace; it documents
no user."""

import os

os.environ.update(AGENTOPS_ENV_DATA_OPT_OUT="true", AGENTOPS_LOGGING_TO_FILE="false", AGENTOPS_LOG_LEVEL="WARNING")

import agentops
import scenes
from agentops.sdk.decorators import agent, tool

agentops.init(api_key="00000000-0000-0000-0000-000000000000", endpoint=scenes.OTLP, app_url=scenes.OTLP,
              exporter_endpoint=f"{scenes.OTLP}/v1/traces", auto_start_session=False, log_session_replay_url=False)


@agent(name=scenes.FACTS["agent"])
class Agent:
    def run(self, work):
        return work()


@tool(name=scenes.TOOL["name"])
def lookup_tide(harbour: str) -> str:
    return scenes.lookup_tide(harbour)


def within(work):
    trace = agentops.start_trace(scenes.FACTS["workflow"])
    try:
        return Agent().run(work)
    finally:
        agentops.end_trace(trace, "Success")


scenes.openai_scenes(scenes.client(), scenes.nothing, scenes.calling(lookup_tide),
                     within=within)
agentops.sdk.core.tracer.shutdown()
scenes.report()
