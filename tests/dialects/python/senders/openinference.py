# SPDX-License-Identifier: Apache-2.0
"""openinference-instrumentation-openai, with openinference-instrumentation for the session, the user, the
agent and the tool."""

import contextlib

from openinference.instrumentation import TracerProvider, using_prompt_template, using_session, using_user
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import scenes

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{scenes.OTLP}/v1/traces")))
trace.set_tracer_provider(provider)
tracer = provider.get_tracer("harbour")
OpenAIInstrumentor().instrument(tracer_provider=provider)


@contextlib.contextmanager
def around(scene):
    template = using_prompt_template(template=scenes.FACTS["prompt_template"], version="3",
                                     variables={"question": scenes.SCENES[scene]["prompt"]})
    with using_session(scenes.FACTS["session"]), using_user(scenes.FACTS["user"]), template:
        with tracer.start_as_current_span(scenes.FACTS["workflow"], openinference_span_kind="chain"):
            with tracer.start_as_current_span(f"{scene} by the agent", openinference_span_kind="agent",
                                              attributes={"agent.name": scenes.FACTS["agent"]}) as span:
                span.set_input(scenes.SCENES[scene]["prompt"])
                yield


@tracer.tool
def lookup_tide(harbour: str) -> str:
    """The next high water of a harbour."""
    return scenes.lookup_tide(harbour)


scenes.openai_scenes(scenes.client(), around, scenes.calling(lookup_tide))
scenes.report()
