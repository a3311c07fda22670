# SPDX-License-Identifier: Apache-2.0
"""What every sender that uses OpenAI's client does, so that they differ in their instrumentation alone.

A sender says how its package makes a tool's span and what it puts around a scenario; all else is here.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import time
from typing import Any, Callable, ContextManager

FACTS: dict[str, Any] = json.loads((pathlib.Path(__file__).parents[1] / "scenarios.json").read_text("utf-8"))
SCENES, TOOL = FACTS["scenarios"], FACTS["tool"]
ASKED = {kind: names["asked"] for kind, names in FACTS["models"].items()}
PROVIDER, OTLP = os.environ["DIALECTS_PROVIDER"], os.environ["DIALECTS_OTLP"]
PAUSE_S = 0.05  # between scenarios: a span belongs to one of them by its time
TOOLS = [{"type": "function", "function": {key: TOOL[key] for key in ("name", "description", "parameters")}}]

Around = Callable[[str], ContextManager[Any]]
caught: dict[str, list[str]] = {}


def lookup_tide(harbour: str) -> str:
    """The next high water of a harbour."""
    assert harbour == TOOL["arguments"]["harbour"]
    return str(TOOL["result"])


def report() -> None:
    """What the test is told: under which names an error was seen."""
    print(json.dumps({"caught": caught}))


@contextlib.contextmanager
def expected_error(scene: str) -> Any:
    try:
        yield
    except Exception as error:
        kind = type(error)
        caught[scene] = [kind.__name__, f"{kind.__module__}.{kind.__qualname__}"]
    else:
        raise AssertionError(f"{scene}: no error")


def nothing(_scene: str) -> ContextManager[Any]:
    return contextlib.nullcontext()


def setup_otel(logs: bool = False, processors: tuple[Any, ...] = ()) -> Any:
    """OpenTelemetry's SDK, with an exporter that sends what ends at once; the tracer provider."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    resource = Resource.create({"service.name": "harbour"})
    provider = TracerProvider(resource=resource)
    for processor in processors:
        provider.add_span_processor(processor)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{OTLP}/v1/traces")))
    trace.set_tracer_provider(provider)
    if logs:
        from opentelemetry._logs import set_logger_provider
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

        logger = LoggerProvider(resource=resource)
        logger.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{OTLP}/v1/logs")))
        set_logger_provider(logger)
    return provider


def client(make: Any = None) -> Any:
    if make is None:
        from openai import OpenAI as make
    return make(api_key="sk-not-a-key", base_url=f"{PROVIDER}/v1", max_retries=0)


def question(scene: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": FACTS["system"]}, {"role": "user", "content": SCENES[scene]["prompt"]}]


def ask(openai: Any, scene: str) -> str:
    found = openai.chat.completions.create(model=ASKED["chat"], messages=question(scene))
    return str(found.choices[0].message.content)


def ask_streamed(openai: Any, scene: str) -> str:
    parts = openai.chat.completions.create(model=ASKED["chat"], messages=question(scene), stream=True,
                                           stream_options={"include_usage": True})
    return "".join(part.choices[0].delta.content or "" for part in parts if part.choices)


def ask_with_tool(openai: Any, call: Callable[[Any], str]) -> str:
    """The model asks for the tool, and gets what it says."""
    messages = question("tool")
    message = openai.chat.completions.create(model=ASKED["chat"], messages=messages, tools=TOOLS).choices[0].message
    wanted = message.tool_calls[0]
    messages.append({"role": "assistant", "content": message.content,
                     "tool_calls": [{"id": wanted.id, "type": "function", "function": {
                         "name": wanted.function.name, "arguments": wanted.function.arguments}}]})
    messages.append({"role": "tool", "tool_call_id": wanted.id, "content": call(wanted)})
    found = openai.chat.completions.create(model=ASKED["chat"], messages=messages, tools=TOOLS)
    return str(found.choices[0].message.content)


def calling(tool: Callable[..., str]) -> Callable[[Any], str]:
    """A tool as a function of what the model asked for."""
    return lambda wanted: tool(**json.loads(wanted.function.arguments))


def openai_scenes(openai: Any, around: Around = nothing, call: Callable[[Any], str] = calling(lookup_tide),
                  within: Callable[[Callable[[], Any]], Any] | None = None) -> None:
    """around   what a scenario runs in, as a context manager
    call     the tool, as the package wants it called
    within   what runs a scenario's work, for packages that have decorators only"""

    def scene(name: str, work: Callable[[], Any], wanted: str | None = None) -> None:
        with around(name):
            found = within(work) if within else work()
        assert wanted is None or found == wanted, (name, found)
        time.sleep(PAUSE_S)

    def fails(name: str) -> None:
        with expected_error(name):
            ask(openai, name)

    scene("chat", lambda: ask(openai, "chat"), SCENES["chat"]["text"])
    scene("stream", lambda: ask_streamed(openai, "stream"), SCENES["stream"]["text"])
    scene("tool", lambda: ask_with_tool(openai, call), SCENES["tool-answer"]["text"])
    scene("cached", lambda: ask(openai, "cached"), SCENES["cached"]["text"])
    scene("embed", lambda: openai.embeddings.create(model=ASKED["embedding"], input=SCENES["embed"]["prompt"]))
    scene("refused", lambda: fails("refused"))
    scene("broken", lambda: fails("broken"))


# ---- Anthropic's client --------------------------------------------------------------------------

CLAUDE_TOOLS = [{"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}]


def claude_client(**more: Any) -> Any:
    """Without the spans that it makes itself, if nothing else is said."""
    from anthropic import Anthropic
    return Anthropic(**{"api_key": "sk-ant-not-a-key", "base_url": PROVIDER, "max_retries": 0,
                        "open_telemetry": False, **more})


def claude_ask(claude: Any, scene: str, **more: Any) -> Any:
    messages = more.pop("messages", None) or [{"role": "user", "content": SCENES[scene]["prompt"]}]
    return claude.messages.create(model=ASKED["claude"], max_tokens=512, system=FACTS["system"], messages=messages,
                                  **more)


def claude_scenes(claude: Any, around: Around = nothing) -> None:
    """Its cache is written and read in one scenario; it has no embeddings."""
    def fails(name: str) -> None:
        with expected_error(name):
            claude_ask(claude, name)

    with around("chat"):
        assert claude_ask(claude, "chat").content[0].text == SCENES["chat"]["text"]
    time.sleep(PAUSE_S)
    with around("stream"):
        events = claude_ask(claude, "stream", stream=True)
        text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
        assert text == SCENES["stream"]["text"], text
    time.sleep(PAUSE_S)
    with around("tool"):
        wanted = claude_ask(claude, "tool", tools=CLAUDE_TOOLS).content[0]
        use = {"type": "tool_use", "id": wanted.id, "name": wanted.name, "input": wanted.input}
        result = {"type": "tool_result", "tool_use_id": wanted.id, "content": lookup_tide(**wanted.input)}
        messages = [{"role": "user", "content": SCENES["tool"]["prompt"]},
                    {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        answer = claude_ask(claude, "tool", tools=CLAUDE_TOOLS, messages=messages)
        assert answer.content[0].text == SCENES["tool-answer"]["text"]
    time.sleep(PAUSE_S)
    with around("written"):
        assert claude_ask(claude, "written").content[0].text == SCENES["written"]["text"]
    for name in ("refused", "broken"):
        time.sleep(PAUSE_S)
        with around(name):
            fails(name)
