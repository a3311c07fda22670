# SPDX-License-Identifier: Apache-2.0
"""Spans of agents as instrumentations write them, and what OpenTelemetry's conventions say that they measure: worked
out here from what was sent, to hold /metrics and OTLP against."""

from __future__ import annotations

import bisect
import dataclasses
import os
from collections import defaultdict
from typing import Any, Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START_NS = 1_796_040_000_000_000_000
CALL_S = [0.01 * 2**i for i in range(14)]
AGENT_S = [0.1 * 2**i for i in range(13)]
WORKFLOW_S = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]
TOKENS = [4**i for i in range(14)]
BOUNDS = {
    "gen_ai.client.operation.duration": CALL_S, "gen_ai.client.operation.time_to_first_chunk": CALL_S,
    "gen_ai.client.inference.duration": CALL_S, "gen_ai.client.inference.time_to_first_chunk": CALL_S,
    "gen_ai.execute_tool.duration": CALL_S, "gen_ai.invoke_agent.duration": AGENT_S,
    "gen_ai.invoke_workflow.duration": WORKFLOW_S, "gen_ai.client.token.usage": TOKENS,
    "gen_ai.client.inference.operation.input_tokens": TOKENS,
    "gen_ai.client.inference.operation.output_tokens": TOKENS,
}  # fmt: skip
CALL = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model",
        "server.address", "server.port")  # fmt: skip
ERROR = "error.type"


@dataclasses.dataclass
class Sent:
    """One span. `failed` sets its status."""

    operation: str
    duration_ms: int
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    failed: bool = False

    def all(self) -> dict[str, Any]:
        return {"gen_ai.operation.name": self.operation, **self.attributes}


MODEL = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06",
         "server.address": "api.openai.com", "server.port": 443}  # fmt: skip
CLAUDE = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude", "gen_ai.response.model": "claude"}
USED = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 64}
CACHED = {"gen_ai.usage.input_tokens": 4097, "gen_ai.usage.output_tokens": 300,
          "gen_ai.usage.cache_read.input_tokens": 4000, "gen_ai.usage.cache_write.input_tokens": 50,
          "gen_ai.usage.reasoning.output_tokens": 200}  # fmt: skip
PLANNER, SEARCH = {"gen_ai.agent.name": "planner"}, {"gen_ai.tool.name": "search", "gen_ai.tool.type": "function"}
A_DAY_OF_WORK = [
    Sent("chat", 250, MODEL | USED),
    Sent("chat", 1280, MODEL | CACHED | {"gen_ai.response.time_to_first_chunk": 0.125}),  # on a bound
    Sent("chat", 90_000, CLAUDE | CACHED),  # behind the last one
    Sent("chat", 20, MODEL | {"error.type": "timeout"}, failed=True),
    Sent("chat", 21, MODEL, failed=True),
    Sent("text_completion", 300, MODEL | USED),
    Sent("embeddings", 35, {"gen_ai.request.model": "embed", "gen_ai.usage.input_tokens": 16}),
    Sent("retrieval", 12, {"gen_ai.data_source.id": "docs"}),
    Sent("execute_tool", 40, SEARCH | PLANNER),
    Sent("execute_tool", 41, SEARCH | PLANNER | {"error.type": "tool_error"}, failed=True),
    Sent("invoke_agent", 2000, PLANNER | {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 9999}),
    Sent("invoke_agent", 3000, PLANNER),
    Sent("invoke_agent", 1, PLANNER | {"error.type": "ValueError"}, failed=True),
    Sent("invoke_agent", 100, {"gen_ai.agent.name": 'the "other" one\\'}),
    Sent("create_agent", 5, PLANNER),
    Sent("invoke_workflow", 61_000, {"gen_ai.workflow.name": "nightly"}),
    Sent("plan", 7, PLANNER),  # nothing of these two
    Sent("create_memory", 9),
]


def request(sent: Iterable[Sent]) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "planner"
    scope = resource.scope_spans.add()
    for each in sent:
        span = scope.spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name=each.operation, kind=3,
                               start_time_unix_nano=START_NS,
                               end_time_unix_nano=START_NS + each.duration_ms * 1_000_000)  # fmt: skip
        if each.failed:
            span.status.code = 2
        for key, value in each.all().items():
            to = span.attributes.add(key=key).value
            if isinstance(value, str):
                to.string_value = value
            elif isinstance(value, int):
                to.int_value = value
            else:
                to.double_value = value
    return message


@dataclasses.dataclass
class Expected:
    """A series: of a counter `total` alone."""

    total: float = 0
    count: int = 0
    buckets: list[int] = dataclasses.field(default_factory=list)


Series = dict[tuple[str, frozenset[tuple[str, Any]]], Expected]


def expected(sent: Iterable[Sent], names: str = "v1.41") -> Series:
    found: Series = defaultdict(Expected)

    def series(name: str, span: Sent, keys: Iterable[str], **more: Any) -> Expected:
        has = {key: value for key, value in span.all().items() if key in keys}
        if span.failed and ERROR in keys:
            has.setdefault(ERROR, "_OTHER")
        return found[name, frozenset((has | more).items())]

    def observe(name: str, value: float | None, span: Sent, keys: Iterable[str], **more: Any) -> None:
        if value is None:
            return
        to, bounds = series(name, span, keys, **more), BOUNDS[name]
        to.buckets = to.buckets or [0] * (len(bounds) + 1)
        to.buckets[bisect.bisect_left([round(b, 9) for b in bounds], value)] += 1
        to.count += 1
        to.total += value

    for span in sent:
        seconds, has = span.duration_ms / 1000, span.all().get
        model = span.operation in ("chat", "text_completion")
        if span.operation in ("retrieval", "create_agent", "embeddings") or (model and names != "latest"):
            observe("gen_ai.client.operation.duration", seconds, span, (*CALL, ERROR))
        used = {"input": has("gen_ai.usage.input_tokens"), "output": has("gen_ai.usage.output_tokens")}
        first = has("gen_ai.response.time_to_first_chunk")
        if (model or span.operation == "embeddings") and names != "latest":
            for kind, value in used.items():
                observe("gen_ai.client.token.usage", value, span, CALL, **{"gen_ai.token.type": kind})
            observe("gen_ai.client.operation.time_to_first_chunk", first, span, CALL)
        if (model or span.operation == "embeddings") and names != "v1.41":
            parts = [f"{kind}_tokens" for kind in used]
            parts += ["cache_read.input_tokens", "cache_write.input_tokens", "reasoning.output_tokens"]
            for part in parts:
                if (value := has(f"gen_ai.usage.{part}")) is not None:
                    name = f"gen_ai.client.inference.usage.{part}"
                    series(name, span, CALL, **{"gen_ai.token.modality": "unknown"}).total += value
            for kind, value in used.items():
                observe(f"gen_ai.client.inference.operation.{kind}_tokens", value, span, (*CALL, ERROR))
        if model and names != "v1.41":
            observe("gen_ai.client.inference.duration", seconds, span, (*CALL, ERROR))
            observe("gen_ai.client.inference.time_to_first_chunk", first, span, CALL)
        if span.operation == "execute_tool":
            keys = ("gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.agent.name", ERROR)
            observe("gen_ai.execute_tool.duration", seconds, span, keys)
        if span.operation == "invoke_agent":
            keys = ("gen_ai.agent.name", "gen_ai.request.model", ERROR)
            observe("gen_ai.invoke_agent.duration", seconds, span, keys)
            agent = ("gen_ai.agent.name",)
            series("waybill.agent.operations", span, agent, outcome="success").total += not span.failed
            if span.failed:
                series("waybill.agent.operations", span, (*agent, ERROR), outcome="error").total += 1
        if span.operation == "invoke_workflow":
            observe("gen_ai.invoke_workflow.duration", seconds, span, ("gen_ai.workflow.name", ERROR))
    return found


def in_prometheus(series: Series) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample that /metrics must have of them, by OpenTelemetry's rules for Prometheus."""
    samples = {}
    for (name, labels), has in series.items():
        family = name.replace(".", "_")
        family += "_seconds" if BOUNDS.get(name, TOKENS) is not TOKENS else "" if name in BOUNDS else "_total"
        at = frozenset((key.replace(".", "_"), str(value)) for key, value in labels)
        if name not in BOUNDS:
            samples[family, at] = has.total
            continue
        for i, bound in enumerate([*BOUNDS[name], float("inf")]):
            le = "+Inf" if bound == float("inf") else str(float(round(bound, 9)))
            samples[family + "_bucket", at | {("le", le)}] = sum(has.buckets[: i + 1])
        samples[family + "_count", at] = has.count
        samples[family + "_sum", at] = has.total
    return samples


def in_otlp(points: Iterable[Any]) -> Series:
    """The newest of each series among data points as tests/support/otlp_backend.py has them."""
    found: Series = {}
    for item in points:
        point = item.proto
        at = (item.name, frozenset(item.attributes.items()))
        if point.DESCRIPTOR.name == "HistogramDataPoint":
            assert [round(b, 9) for b in point.explicit_bounds] == [round(b, 9) for b in BOUNDS[item.name]], item.name
            found[at] = Expected(point.sum, point.count, list(point.bucket_counts))
        else:
            found[at] = Expected(point.as_int)
    return found


def same(a: Series, b: Series) -> bool:
    return a.keys() == b.keys() and all(
        abs(a[key].total - b[key].total) < 1e-6 and (a[key].count, a[key].buckets) == (b[key].count, b[key].buckets)
        for key in a
    )
