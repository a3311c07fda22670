# SPDX-License-Identifier: Apache-2.0
"""traceloop-sdk and opentelemetry-instrumentation-openai as they were in June 2025: the names before the new ones,
messages flattened into keys with numbers. Session and user are association properties."""

import os

os.environ.update(TRACELOOP_TELEMETRY="false", TRACELOOP_METRICS_ENABLED="false")


import scenes
from traceloop.sdk import Instruments, Traceloop
from traceloop.sdk.decorators import agent, tool, workflow

Traceloop.init(app_name="harbour", api_endpoint=scenes.OTLP, api_key="none", disable_batch=True,
               instruments={Instruments.OPENAI}, traceloop_sync_enabled=False, should_enrich_metrics=False)
Traceloop.set_association_properties({"session_id": scenes.FACTS["session"], "user_id": scenes.FACTS["user"]})
Traceloop.set_prompt(scenes.FACTS["prompt_template"], {"question": "any"}, 3)


class Around:
    """The decorators take functions; a scenario's work goes in as one."""

    @staticmethod
    @workflow(name=scenes.FACTS["workflow"])
    def run(work):
        return Around.as_agent(work)

    @staticmethod
    @agent(name=scenes.FACTS["agent"])
    def as_agent(work):
        return work()


@tool(name=scenes.TOOL["name"])
def lookup_tide(harbour: str) -> str:
    return scenes.lookup_tide(harbour)


scenes.openai_scenes(scenes.client(), scenes.nothing, scenes.calling(lookup_tide),
                     within=Around.run)
scenes.report()
