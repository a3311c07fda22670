# SPDX-License-Identifier: Apache-2.0
"""Every row of the map of dialects (sidecar/pipeline/semconv-map.csv), through a sidecar: a span that says one
thing in the words of one convention has the attribute of the canonical model in the store."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import subprocess
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_http import port_of, post
from waybill_testkit import Sidecar, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "sidecar" / "pipeline"
CONFIG = "admin: {listen: 127.0.0.1:0}\notlp: {http: {listen: 127.0.0.1:0}}\nnormalise: {enabled: true}\n"
START_NS = 1_796_040_000_000_000_000  # 2026-11-30T12:00:00Z


def rows(name: str) -> list[dict[str, str]]:
    with (PIPELINE / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


FIELDS = {row["canonical_field"]: row for row in rows("canonical-fields.csv")}
MAP = rows("semconv-map.csv")
# A word of each dialect, and the operation that it means.
WORDS = {
    "operation": ("text_completion", "text_completion"), "openinference": ("EMBEDDING", "embeddings"),
    "traceloop": ("agent", "invoke_agent"), "request_type": ("embedding", "embeddings"),
    "agentops": ("llm", "chat"), "vercel": ("ai.embed.doEmbed", "embeddings"),
    "langfuse": ("retriever", "retrieval"), "mcp": ("tools/call", "execute_tool"), "a2a": ("SendMessage", None),
}
# What makes a span one of those that a row speaks of.
CONTEXT = {
    "agent": ("gen_ai.operation.name", "invoke_agent"), "tool": ("gen_ai.operation.name", "execute_tool"),
    "llm": ("gen_ai.operation.name", "chat"), "workflow": ("gen_ai.operation.name", "invoke_workflow"),
    "agentops_session": ("agentops.span.kind", "session"),
    "agentops_agent": ("agentops.span.kind", "agent"), "agentops_tool": ("agentops.span.kind", "tool"),
}
# What a span's name says of spans like these, and what makes a span one of them.
NAMES = {"root_chain": "openinference.span.kind", "agent": "langfuse.observation.type", "tool": "langfuse.observation.type",
         "langfuse_openai": "langfuse.observation.type", "langfuse_embeddings": "langfuse.observation.type"}
KINDS = {"root_chain": "CHAIN", "langfuse_openai": "generation", "langfuse_embeddings": "generation"}
USAGE = {"tokens.input": "input", "tokens.output": "output", "tokens.cache_read": "input_cached_tokens",
         "tokens.cache_write": "input_cache_creation_5m", "tokens.reasoning": "output_reasoning_tokens"}


def said(row: dict[str, str], place: int) -> tuple[Any, Any]:
    """What the row's attribute is given, and what the field then is."""
    field, rule = row["canonical_field"], row["rule"]
    text = f"said by row {place}"
    simple: dict[str, tuple[Any, Any]] = {
        "text": (text, text), "any": (text, text), "count": (7, 7), "usd": (0.5, 500_000), "list": ("stop", ["stop"]),
        "provider": ("OpenAI", "openai"), "seconds": (1.5, 1.5), "ms": (1500.0, 1.5), "resource": (text, text),
        "since_start": ('"2026-11-30T12:00:01.5Z"', 1.5), "flat": (text, text), "status_message": (text, text),
        "event": (text, text), "span_name": (text, text), "http_status": (f"Error code: 404 - {text}", "404"),
        "arguments": (json.dumps({"args": [], "kwargs": {"at": text}}), compact({"at": text})),
        "tools": (json.dumps({"tools": [{"type": "function", "function": {"name": text}}]}),
                  compact([{"type": "function", "name": text}])),
        "messages": (text, messages(field, text)),
        "answer": (text, messages(field, text, "reasoning" if "reasoning" in row["source_attribute"] else "text")),
        "usage": (json.dumps({USAGE.get(field, "total"): 7}), 7),
        "cost": (json.dumps({field.rpartition(".")[2]: 0.5}), 500_000),
    }
    if rule.startswith("member_"):
        return json.dumps({"other": 1, rule.removeprefix("member_"): text}), text
    if rule == "span_name" and row["when"].startswith("langfuse_"):
        return ("OpenAI.embeddings", "embeddings") if field == "operation" else ("AzureOpenAI.chat", "azure.ai.openai")
    if row["source_attribute"] == "ai.response.toolCalls":
        return (json.dumps([{"toolCallId": "c1", "toolName": text, "input": {}}]),
                compact([{"role": "assistant",
                          "parts": [{"type": "tool_call", "id": "c1", "name": text, "arguments": {}}]}]))
    return WORDS[rule] if rule in WORDS else simple[rule]


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def messages(field: str, text: str, kind: str = "text") -> str:
    """One message of the model's shape."""
    role = "user" if field == "messages.input" else "assistant"
    return compact([{"role": role, "parts": [{"type": kind, "content": text}]}])


def put(owner: Any, key: str, value: Any) -> None:
    attribute = owner.attributes.add(key=key)
    if isinstance(value, str):
        attribute.value.string_value = value
    elif isinstance(value, int):
        attribute.value.int_value = value
    else:
        attribute.value.double_value = value


def key_of(row: dict[str, str]) -> str:
    """Of a flattened array its first item's content."""
    key = row["source_attribute"]
    if row["rule"] != "flat":
        return key
    leaf = "tool.json_schema" if "json_schema" in key else "name" if "tool" in row["canonical_field"] else "content"
    leaf = "message.content" if ".message." in key else leaf
    return key.split("<i>")[0] + "0." + leaf


def fill(span: Span, resource: Any, row: dict[str, str], value: Any) -> None:
    field, rule = row["canonical_field"], row["rule"]
    if rule in ("status_message", "http_status"):
        span.status.code, span.status.message = 2, value
    elif rule == "event":
        span.status.code = 2
        put(span.events.add(name="exception", time_unix_nano=START_NS), "exception.type", value)
    elif rule == "span_name":
        span.name = value
        put(span, NAMES[row["when"]], KINDS.get(row["when"], row["when"]))
    elif rule == "resource":
        put(resource, row["source_attribute"], value)
    else:
        put(span, key_of(row), value)
    if rule not in ("span_name", *WORDS) and row["when"]:
        put(span, *CONTEXT[row["when"]])
    elif field.startswith("tokens.") and row["source_attribute"] != "gen_ai.operation.name":
        put(span, *CONTEXT["llm"])


@pytest.fixture(scope="module")
def stored() -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """The attributes of each row's span and of its resource, by the row's place in the map."""
    request = ExportTraceServiceRequest()
    trace = os.urandom(16)
    for place, row in enumerate(MAP):
        if row["rule"] == "none":
            continue
        group = request.resource_spans.add()
        span = group.scope_spans.add().spans.add(
            trace_id=trace, span_id=(place + 1).to_bytes(8, "big"), name=f"row {place}", kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=START_NS, end_time_unix_nano=START_NS + 1)
        fill(span, group.resource, row, said(row, place)[0])
    spans = sum(1 for row in MAP if row["rule"] != "none")
    with Sidecar("model", config=CONFIG) as sidecar:
        assert post(port_of(sidecar), "/v1/traces", request.SerializeToString()).code == 200

        def whole() -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
            found: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
            if not sidecar.store.exists():
                return found
            for line in sidecar.cli("trace", "export", "--all", check=False).splitlines():
                for group in json.loads(line)["resourceSpans"]:
                    for scope in group["scopeSpans"]:
                        for span in scope["spans"]:
                            found[int(span["spanId"], 16) - 1] = (flat(span), flat(group.get("resource", {})))
            return found if len(found) == spans else {}

        found: dict[int, tuple[dict[str, Any], dict[str, Any]]] = wait_until(whole, 20, "all spans in the store")
        return found


def flat(owner: dict[str, Any]) -> dict[str, Any]:
    def value(any_value: dict[str, Any]) -> Any:
        kind, content = next(iter(any_value.items()))
        if kind == "intValue":
            return int(content)
        return [value(item) for item in content.get("values", [])] if kind == "arrayValue" else content

    return {pair["key"]: value(pair["value"]) for pair in owner.get("attributes", [])}


@pytest.mark.parametrize("place", [place for place, row in enumerate(MAP) if row["rule"] != "none"],
                         ids=lambda place: f"{place}-{MAP[place]['source_convention']}-{MAP[place]['canonical_field']}")
def test_a_row_says_its_field(stored, place):
    row = MAP[place]
    span, resource = stored[place]
    attribute, (given, expected) = FIELDS[row["canonical_field"]]["attribute"], said(row, place)
    if row["rule"] == "a2a":
        assert span["waybill.span.type"] == "delegation"
    elif row["rule"] == "resource":
        assert resource[attribute] == expected
    elif row["rule"] == "flat":
        assert expected in span[attribute]
    elif row["source_attribute"] == attribute:
        assert span[attribute] == (expected if row["rule"] == "provider" else given)
    else:
        assert span[attribute] == expected
    if row["source_attribute"] in span and row["source_attribute"] != attribute:
        assert span[row["source_attribute"]] == given


def test_every_field_and_every_row_is_accounted_for():
    assert {row["canonical_field"] for row in MAP} == set(FIELDS)
    assert len({row["attribute"] for row in FIELDS.values()}) == len(FIELDS)
    for row in MAP:
        assert (row["rule"] == "none") == (row["source_attribute"] == "(none)"), row


def test_the_page_has_the_table():
    made = subprocess.run([ROOT / "tools" / "make-semconv-table", "--page", PIPELINE / "canonical-fields.csv",
                           PIPELINE / "semconv-map.csv"], capture_output=True, text=True, check=True).stdout
    page = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    assert page[page.index("### operation"):] == made, "docs/model.md: put what the tool prints behind its last heading"


def test_every_span_has_a_type(stored):
    types = {"session", "agent", "llm_call", "tool_call", "embedding", "retrieval", "workflow", "delegation", "execution",
             "event", "error"}
    assert all(span["waybill.span.type"] in types for span, _ in stored.values())
