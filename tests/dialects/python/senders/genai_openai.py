# SPDX-License-Identifier: Apache-2.0
"""opentelemetry-instrumentation-genai-openai, OpenTelemetry's newest: content on the span. The workflow, the
agent and the tool come from opentelemetry-util-genai, which hands the conversation's id down; users it knows
none of."""

import contextlib
import json
import os

os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"

from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.util.genai.handler import TelemetryHandler

import scenes

provider = scenes.setup_otel()
OpenAIInstrumentor().instrument()
handler = TelemetryHandler(tracer_provider=provider, instrumentation_scope_name="harbour")


@contextlib.contextmanager
def around(_scene):
    with handler.workflow(scenes.FACTS["workflow"], conversation_id=scenes.FACTS["session"]):
        with handler.invoke_local_agent(agent_name=scenes.FACTS["agent"], request_model=scenes.ASKED["chat"]) as agent:
            agent.agent_id, agent.agent_version = scenes.FACTS["agent_id"], scenes.FACTS["agent_version"]
            agent.agent_description = scenes.FACTS["agent_description"]
            yield


def call(wanted):
    with handler.tool(wanted.function.name, tool_type="function", agent_name=scenes.FACTS["agent"]) as tool:
        tool.tool_call_id = wanted.id
        tool.arguments = wanted.function.arguments
        tool.tool_result = scenes.lookup_tide(**json.loads(wanted.function.arguments))
        return tool.tool_result


scenes.openai_scenes(scenes.client(), around, call)
scenes.report()
