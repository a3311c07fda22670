# SPDX-License-Identifier: Apache-2.0
"""The cells of the matrix: what a store should say of a run, and what it says.

What is expected comes from the provider (provider.py: what it was asked, what it answered) and from what the
sender set by its package's documented calls (scenarios.json: session, user, agent, workflow). It never comes
from a table of attribute names: this file knows the canonical names alone.

A value that no attribute, event or log record of a call carries cannot be in the store. `Evidence` looks its
bytes up in what was captured of the call, of the spans above it and below it, and of their log records: a
number as protobuf's varint, as a double or in digits, a text as it is. Only where it is not there a cell is n/a.
A count that is a difference (input without the cache) needs both its numbers; where one is missing, what is
left of the sum is expected: nothing may be subtracted that was not told.
"""

from __future__ import annotations

import dataclasses
import json
import re
import struct
from typing import Any, Callable, Iterable, Iterator

from provider import FACTS, WAIT_S, Exchange

TOOL = FACTS["tool"]
FIELDS = {  # canonical field: its key in the store
    "span.type": "waybill.span.type", "operation": "gen_ai.operation.name",
    "agent.name": "gen_ai.agent.name", "agent.id": "gen_ai.agent.id", "agent.version": "gen_ai.agent.version",
    "agent.description": "gen_ai.agent.description",
    "session.id": "session.id", "user.id": "user.id", "workflow.name": "gen_ai.workflow.name",
    "model.requested": "gen_ai.request.model", "model.response": "gen_ai.response.model",
    "provider": "gen_ai.provider.name",
    "tokens.input": "waybill.tokens.input", "tokens.output": "waybill.tokens.output",
    "tokens.cache_read": "waybill.tokens.cache_read", "tokens.cache_write": "waybill.tokens.cache_write",
    "tokens.reasoning": "waybill.tokens.reasoning", "tokens.total": "waybill.tokens.total",
    "tokens.form": "waybill.tokens.form", "tokens, summed": "",
    "cost.total": "waybill.cost.reported.total_micros",
    "tool.name": "gen_ai.tool.name", "tool.call.id": "gen_ai.tool.call.id",
    "tool.args": "gen_ai.tool.call.arguments", "tool.result": "gen_ai.tool.call.result",
    "tool.type": "gen_ai.tool.type", "tool.definitions": "gen_ai.tool.definitions",
    "messages.input": "gen_ai.input.messages", "messages.output": "gen_ai.output.messages",
    "messages.system": "gen_ai.system_instructions",
    "finish_reasons": "gen_ai.response.finish_reasons", "response.id": "gen_ai.response.id",
    "time_to_first_chunk_s": "gen_ai.response.time_to_first_chunk", "service_tier": "openai.response.service_tier",
    "error.type": "error.type", "error.message": "error.message",
    "prompt.template": "waybill.prompt.template",
}
OK, NOT_SENT = "ok", "n/a"
MICROS = 1_000_000


@dataclasses.dataclass
class Cell:
    """One field of one call: `ok`, `n/a`, or what came and what should have."""

    scenario: str
    field: str
    verdict: str
    got: Any = None
    expected: Any = None


# ---- values of OTLP ------------------------------------------------------------------------------


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def attributes_of(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from leaves(each)
    else:
        yield node


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def texts_in(message: Any) -> Iterator[str]:
    """Every text of a protobuf message, but for keys."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if field.message_type:
                yield from texts_in(each)
            elif isinstance(each, str) and field.name != "key":
                yield each


class Evidence:
    """What was captured of one call: may a value be expected?"""

    def __init__(self, spans: list[Any], logs: list[Any]) -> None:
        self._bytes = b"\0\0".join(each.SerializeToString() for each in [*spans, *logs])
        self._texts = "\0".join(text for each in [*spans, *logs] for text in texts_in(each))
        self._spans = spans
        self.values = [each for span in spans for each in leaves(attributes_of(span.attributes))]
        self.values += [each for record in logs for each in leaves([attributes_of(record.attributes), value_of(record.body)])]

    def text(self, text: str) -> bool:
        """As a whole word: an asked model's name begins an answered one's. In JSON in a string, too."""
        forms = {text, json.dumps(text)[1:-1], json.dumps(json.dumps(text)[1:-1])[1:-1]}
        return any(re.search(rf"(?<![\w-]){re.escape(form)}(?![\w-])", self._texts) for form in forms)

    def number(self, number: int) -> bool:
        as_int, as_double = b"\x18" + varint(number), b"\x21" + struct.pack("<d", number)
        return (as_int in self._bytes or as_double in self._bytes
                or re.search(rf"(?<![\d.]){number}(?![\d.])", self._texts) is not None)

    def arguments(self) -> bool:
        name, value = next(iter(TOOL["arguments"].items()))
        return re.search(name.encode() + rb".{1,12}?" + value.encode(), self._bytes, re.S) is not None  # a list of pairs, too

    def keys(self, pattern: str) -> list[Any]:
        """Values of all attributes whose key is like that."""
        return [value for span in self._spans for key, value in attributes_of(span.attributes).items() if re.search(pattern, key)]


# ---- which span is which -------------------------------------------------------------------------


def is_http_alone(span: Any) -> bool:
    """A span of an HTTP client, which knows nothing of models."""
    keys = {pair.key for pair in span.attributes}
    return bool(keys & {"http.method", "http.request.method"}) and not any(key.startswith("gen_ai.") for key in keys)


class Run:
    """One package's run: what the provider sent, what was captured, what the store has.

    stored     (trace id, span id): attributes, of the store's spans
    records    (trace id, span id): the store's log records that name this span, as bytes
    caught     scenario: names under which the sender saw its error
    """

    def __init__(self, exchanges: list[Exchange], spans: list[Any], logs: list[Any], stored: dict[Any, dict[str, Any]],
                 records: dict[Any, list[bytes]], caught: dict[str, list[str]]) -> None:
        self.exchanges, self.spans, self.logs = exchanges, spans, logs
        self.stored, self.records, self.caught = stored, records, caught
        self._by_id = {self.id(span): span for span in spans}

    @staticmethod
    def id(span: Any) -> tuple[bytes, bytes]:
        return span.trace_id, span.span_id

    def parent(self, span: Any) -> Any:
        return self._by_id.get((span.trace_id, span.parent_span_id))

    def above(self, span: Any) -> list[Any]:
        found = []
        while (span := self.parent(span)) is not None:
            found.append(span)
        return found

    def below(self, span: Any) -> list[Any]:
        return [each for each in self.spans if span in self.above(each)]

    def call_span(self, exchange: Exchange) -> Any:
        """The innermost span that was open while the provider thought, but for those of an HTTP client."""
        then = exchange.started_ns + int(WAIT_S * 5e8)
        open_then = [span for span in self.spans if span.start_time_unix_nano <= then <= span.end_time_unix_nano
                     and not is_http_alone(span)]
        inner = [span for span in open_then if not any(self.parent(each) is span for each in open_then)]
        return max(inner, key=lambda span: span.start_time_unix_nano, default=None)

    def tool_span(self) -> Any:
        """What ran between the two halves of the tool's scenario, and is not a part of a call."""
        halves = {each.scenario: each for each in self.exchanges}
        if not {"tool", "tool-answer"} <= set(halves):
            return None
        first, second = halves["tool"].ended_ns, halves["tool-answer"].started_ns
        calls = [self.call_span(halves[half]) for half in ("tool", "tool-answer")]
        slack = 2_000_000  # clocks of two processes
        found = [span for span in self.spans
                 if first - slack <= span.start_time_unix_nano and span.end_time_unix_nano <= second + slack
                 and span not in calls and not any(call in self.above(span) for call in calls)]
        return max(found, key=lambda span: span.start_time_unix_nano, default=None)

    def evidence(self, span: Any) -> Evidence:
        spans = [span, *self.above(span), *self.below(span)]
        ids = {self.id(each) for each in spans}
        return Evidence(spans, [record for record in self.logs if (record.trace_id, record.span_id) in ids])

    def attributes(self, span: Any) -> dict[str, Any]:
        return self.stored.get(self.id(span), {})

    def up(self, span: Any, key: str) -> list[Any]:
        """Values of a key in the store, of a span and those above it."""
        return [found[key] for found in map(self.attributes, [span, *self.above(span)]) if key in found]


# ---- what is expected ----------------------------------------------------------------------------


def tokens_of(exchange: Exchange, seen: Evidence) -> dict[str, int | None]:
    """Disjoint counts, made of the numbers that were told. None: nobody can know it."""
    usage = exchange.usage
    apart = "messages" in exchange.path  # Anthropic counts the cache apart

    def told(name: str) -> int | None:
        return usage[name] if usage.get(name) and seen.number(usage[name]) else None

    cached, written, reasoning = told("cached"), told("written"), told("reasoning")
    whole = usage["input"] + (usage["cached"] + usage["written"] if apart else 0)
    rest = whole - usage["cached"] - usage["written"]
    fresh = (whole - (cached or 0) - (written or 0) if seen.number(whole) else rest if seen.number(rest) else None)
    output = told("output")
    if output is None and usage["output"] and seen.number(usage["output"] - usage["reasoning"]) and reasoning:
        output = usage["output"]
    parts = [fresh, output]
    total = sum(each or 0 for each in (fresh, cached, written, output)) if any(each is not None for each in parts) else None
    return {"tokens.input": fresh, "tokens.cache_read": cached, "tokens.cache_write": written, "tokens.reasoning": reasoning,
            "tokens.output": None if output is None else output - (reasoning or 0), "tokens.total": total}


def parsed(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def texts_of(value: Any, role: str | None = None) -> list[Any]:
    """Contents of canonical messages, or of canonical system parts: text parts and results of tools."""
    found: list[Any] = []
    for message in parsed(value) or []:
        if not isinstance(message, dict):
            return []
        if role and message.get("role") != role:
            continue
        for part in message.get("parts", [message] if "content" in message else []):
            found.append(part.get("content", part.get("response", part.get("result"))))
    return found


def tool_calls_of(value: Any) -> list[dict[str, Any]]:
    return [part for message in parsed(value) or [] if isinstance(message, dict)
            for part in message.get("parts", []) if part.get("type") == "tool_call"]


def same_json(got: Any, expected: Any) -> bool:
    return bool(parsed(got) == parsed(expected))


class Judge:
    """Judges the spans of a run, cell by cell."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cells: list[Cell] = []

    def cell(self, scenario: str, field: str, sent: bool, got: Any, expected: Any,
             right: Callable[[Any], bool] | None = None) -> None:
        """`sent`: its bytes were captured. `right`: by default that it is equal."""
        fits = right(got) if right and got is not None else got == expected
        verdict = OK if sent and fits else NOT_SENT if not sent else "wrong"
        self.cells.append(Cell(scenario, field, verdict, got, expected))

    def all(self) -> list[Cell]:
        for exchange in self.run.exchanges:
            span = self.run.call_span(exchange)
            if span is None:
                self.cell(exchange.scenario, "span.type", True, "no span at all", "a span of the call")
                continue
            self.call(exchange, span)
        self.surrounding_spans()
        self.tool()
        self.sum()
        return self.cells

    def call(self, exchange: Exchange, span: Any) -> None:
        seen, got, scene = self.run.evidence(span), self.run.attributes(span), exchange.scenario
        embedding = exchange.path.endswith("/embeddings")

        def field(name: str, expected: Any, sent: bool, right: Callable[[Any], bool] | None = None) -> None:
            self.cell(scene, name, sent, got.get(FIELDS[name]), expected, right)

        field("span.type", "embedding" if embedding else "llm_call", True)
        field("operation", "embeddings" if embedding else "chat", True)
        field("model.requested", exchange.asked["model"], seen.text(exchange.asked["model"]))
        maker = "anthropic" if "messages" in exchange.path else "openai"
        field("provider", maker, any(isinstance(each, str) and re.fullmatch(rf"{maker}([./].*)?", each, re.I) for each in seen.values))
        self.surroundings(scene, span, seen)
        if exchange.error:
            self.error(exchange, span, seen, got)
            return
        field("model.response", exchange.model, seen.text(exchange.model))
        if exchange.response_id:
            field("response.id", exchange.response_id, seen.text(exchange.response_id))
        if exchange.service_tier and not embedding:
            own = [value for value in seen.keys("service_tier") if value == exchange.service_tier]
            within = [value for value in seen.values if isinstance(value, str)
                      and re.search(rf'service_tier\\*"?: *\\*"{exchange.service_tier}', value)]
            field("service_tier", exchange.service_tier, bool(own or within))
        self.tokens(exchange, seen, got)
        costs = [value for value in seen.keys(r"^(operation\.cost|gen_ai\.usage\.cost|llm\.cost\.total)$")]
        field("cost.total", costs and round(costs[0] * MICROS), bool(costs))
        if exchange.finish:
            self.finish(exchange, span, seen, got)
        if not embedding:
            self.messages(exchange, span, seen, got)
        if exchange.streamed:
            took_s = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
            told = seen.keys(r"first_(chunk|token)$|msToFirstChunk$|completion_start_time$")
            field("time_to_first_chunk_s", f"above 0, at most {took_s:.3f}", bool(told), lambda value: 0 < value <= took_s)

    def surroundings(self, scene: str, span: Any, seen: Evidence) -> None:
        """What the sender set: on the call, or on a span above it."""
        for field, name in (("session.id", "session"), ("user.id", "user"), ("agent.name", "agent"), ("workflow.name", "workflow"),
                            ("agent.id", "agent_id"), ("agent.version", "agent_version"),
                            ("agent.description", "agent_description"), ("prompt.template", "prompt_template")):
            found = self.run.up(span, FIELDS[field])
            expected = FACTS[name]
            self.cell(scene, field, seen.text(expected), expected if expected in found else (found or [None])[0], expected)

    def surrounding_spans(self) -> None:
        """Of the first call: the nearest span above it that tells the agent is the agent's; one of those that
        tell the workflow is the workflow's."""
        call = next((span for span in map(self.run.call_span, self.run.exchanges) if span is not None), None)
        above = self.run.above(call) if call is not None else []

        def telling(fact: str) -> list[dict[str, Any]]:
            return [self.run.attributes(span) for span in above if Evidence([span], []).text(FACTS[fact])]

        for got in telling("agent")[:1]:
            self.cell("agent span", "span.type", True, got.get(FIELDS["span.type"]), "agent")
            self.cell("agent span", "operation", True, got.get(FIELDS["operation"]), "invoke_agent")
            self.cell("agent span", "agent.name", True, got.get(FIELDS["agent.name"]), FACTS["agent"])
        types = [got.get(FIELDS["span.type"]) for got in telling("workflow")]
        if types:
            kinds = {"workflow", "session"}  # AgentOps' session is what it calls the workflow's span
            self.cell("workflow span", "span.type", True, types, kinds, lambda value: bool(kinds & set(value)))

    def tokens(self, exchange: Exchange, seen: Evidence, got: dict[str, Any]) -> None:
        if not exchange.usage:
            return
        expected = tokens_of(exchange, seen)
        for field, value in expected.items():
            found = got.get(FIELDS[field])
            if value is not None:
                self.cell(exchange.scenario, field, True, found, value)
            else:  # a count that nobody told may be missing or 0; anything else was made up
                self.cell(exchange.scenario, field, found not in (None, 0), found, None)
        if expected["tokens.total"] is not None:
            self.cell(exchange.scenario, "tokens.form", True, got.get(FIELDS["tokens.form"]), "inclusive or exclusive",
                      lambda value: value in ("inclusive", "exclusive"))

    def finish(self, exchange: Exchange, span: Any, seen: Evidence, got: dict[str, Any]) -> None:
        reason = exchange.finish
        named = [value for value in seen.values if value == reason or isinstance(value, str)
                 and re.search(rf'(finish|stop)_?[rR]eason\\*"?: *\\*"{reason}\\*"', value)]
        named += [value for value in seen.keys("finish_?[rR]eason") if parsed(value) == reason]
        found = got.get(FIELDS["finish_reasons"])
        if found is None and self.in_records(span, [reason]):
            found = [reason]
        self.cell(exchange.scenario, "finish_reasons", bool(named), found, [reason])

    def in_records(self, span: Any, texts: list[str]) -> bool:
        """Old instrumentations send content as log records, which the store joins to their span."""
        records = b"".join(self.run.records.get(self.run.id(span), []))
        return all(text.encode() in records for text in texts)

    def messages(self, exchange: Exchange, span: Any, seen: Evidence, got: dict[str, Any]) -> None:
        scene = exchange.scenario
        asked = exchange.asked.get("messages", [])
        system = ([each["content"] for each in asked if each["role"] == "system"]
                  or [exchange.asked.get("system"), exchange.asked.get("instructions")])
        system = [each for each in system if each and seen.text(each)]
        placed = texts_of(got.get(FIELDS["messages.system"])) + texts_of(got.get(FIELDS["messages.input"]), "system")
        recorded = self.in_records(span, system)
        self.cell(scene, "messages.system", bool(system), system if recorded else placed, system,
                  lambda value: all(each in value for each in system))
        wanted = [("user", question) for question in [FACTS["scenarios"][scene.removesuffix("-answer")]["prompt"]]]
        if scene == "tool-answer":
            wanted.append(("tool", TOOL["result"]))
        wanted = [(role, text) for role, text in wanted if seen.text(text)]
        value = got.get(FIELDS["messages.input"])
        found = [(role, text) for role, text in wanted if text in texts_of(value, role) or self.in_records(span, [text])]
        if scene == "tool-answer" and ("tool", TOOL["result"]) not in found and TOOL["result"] in texts_of(value, "user"):
            found.append(("tool", TOOL["result"]))  # Anthropic's results of tools are a user's parts
        self.cell(scene, "messages.input", bool(wanted), found or value, wanted)
        value = got.get(FIELDS["messages.output"])
        if exchange.tool_call_id:
            self.called(exchange, span, seen, value)
            definitions = bool(exchange.asked.get("tools")) and seen.text(TOOL["description"]) and bool(seen.keys("tool|function|input|parameters"))
            self.cell(scene, "tool.definitions", definitions, got.get(FIELDS["tool.definitions"]), TOOL["description"],
                      lambda text: TOOL["name"] in str(text) and TOOL["description"] in str(text))
        else:
            recorded = self.in_records(span, [exchange.text])
            self.cell(scene, "messages.output", seen.text(exchange.text), [exchange.text] if recorded else texts_of(value) or value,
                      [exchange.text])

    def called(self, exchange: Exchange, span: Any, seen: Evidence, value: Any) -> None:
        """The answer that asks for the tool: its call is a part of the message."""
        calls = [(part.get("name"), part.get("id"), parsed(part.get("arguments"))) for part in tool_calls_of(value)]
        wanted = [(TOOL["name"], exchange.tool_call_id, TOOL["arguments"])]
        own = Evidence([span], [record for record in self.run.logs if (record.trace_id, record.span_id) == self.run.id(span)])
        recorded = self.in_records(span, [TOOL["name"], exchange.tool_call_id])
        self.cell(exchange.scenario, "messages.output", own.text(exchange.tool_call_id) and own.arguments(),
                  wanted if recorded else calls or value, wanted)

    def error(self, exchange: Exchange, span: Any, seen: Evidence, got: dict[str, Any]) -> None:
        names = [*self.run.caught.get(exchange.scenario, []), str(exchange.status), exchange.error["type"], exchange.error["code"]]
        names = [name for name in names if seen.text(name) or name.isdigit() and seen.number(int(name))]
        self.cell(exchange.scenario, "error.type", bool(names), got.get(FIELDS["error.type"]), names, lambda value: value in names)
        message = exchange.error["message"]
        self.cell(exchange.scenario, "error.message", seen.text(message), got.get(FIELDS["error.message"]), message,
                  lambda value: message in str(value))

    def tool(self) -> None:
        """The tool's own span; a package that has none has the tool in its messages alone."""
        calls = {each.scenario: each for each in self.run.exchanges}
        span = self.run.tool_span()
        if span is None or "tool" not in calls:
            return
        seen, got = Evidence([span, *self.run.below(span)], []), self.run.attributes(span)
        for field, expected, sent, right in (
                ("span.type", "tool_call", True, None),
                ("operation", "execute_tool", True, None),
                ("tool.name", TOOL["name"], seen.text(TOOL["name"]), None),
                ("tool.call.id", calls["tool"].tool_call_id, seen.text(calls["tool"].tool_call_id), None),
                ("tool.args", TOOL["arguments"], seen.arguments(), lambda value: same_json(value, TOOL["arguments"])),
                ("tool.result", TOOL["result"], seen.text(TOOL["result"]), lambda value: parsed(value) == TOOL["result"]),
                ("tool.type", "function", "function" in seen.keys("type$"), None)):
            self.cell("tool span", field, sent, got.get(FIELDS[field]), expected, right)

    def sum(self) -> None:
        """Over all calls of models, each count once: the spans above them may repeat it."""
        expected = 0
        for exchange in self.run.exchanges:
            span = self.run.call_span(exchange)
            if span is not None and exchange.usage:
                expected += tokens_of(exchange, self.run.evidence(span))["tokens.total"] or 0
        got = sum(found.get(FIELDS["tokens.total"], 0) for found in self.run.stored.values()
                  if found.get(FIELDS["span.type"]) in ("llm_call", "embedding"))
        self.cell("all", "tokens, summed", expected > 0, got, expected)


def folded(cells: list[Cell]) -> dict[str, str]:
    """One verdict for each field: wrong where one is wrong, n/a where none was sent."""
    by_field: dict[str, list[str]] = {}
    for cell in cells:
        by_field.setdefault(cell.field, []).append(cell.verdict)
    return {field: "wrong" if "wrong" in (found := by_field.get(field, [])) else OK if OK in found else NOT_SENT for field in FIELDS}
