# SPDX-License-Identifier: Apache-2.0
"""The cells of the matrix: what a store should say of a run, and what it says.

What is expected comes from the provider (provider.py: what it was asked, what it answered) and from what the
sender set by its package's documented calls (scenarios.json: session, user, agent, workflow). It never comes
from a table of attribute names: this file knows the canonical names alone.

A value that no attribute, event or log record carries cannot be in the store. `Evidence` looks its bytes up in
what was captured: a number as protobuf's varint, as a double or in digits, a text as a whole word, in JSON too.

- A cell is judged by what was captured of its own span: of a call of a model that span, those below it, and their
  log records; for what the sender set around it, the spans above it as well.
- Where it is not there, the cell is n/a. Where it is n/a in all scenarios, it must be nowhere in the whole
  capture of the package: else the field is wrong after all.
- A count that is a difference (input without the cache) needs both its numbers. Where one was not told, what is
  left of the sum is expected: nothing may be subtracted that was not told, and no count may be made up.
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
COUNTS = {"tokens.cache_read": "cached", "tokens.cache_write": "written", "tokens.reasoning": "reasoning",
          "tokens.input": "input", "tokens.output": "output"}
COST_KEYS = r"^(operation\.cost|gen_ai\.usage\.cost|llm\.cost\.total)$"
FIRST_KEYS = r"first_(chunk|token)$|msToFirstChunk$|completion_start_time$"
MICROS = 1_000_000


@dataclasses.dataclass
class Cell:
    """One field of one call: `ok`, `n/a`, or what came and what should have."""

    scenario: str
    field: str
    verdict: str
    got: Any = None
    expected: Any = None
    elsewhere: bool = False  # n/a, but its bytes are somewhere in the package's capture


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


def pairs(node: Any) -> Iterator[tuple[str, Any]]:
    """All keys of a tree with their values."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield str(key), value
        yield from pairs(value)


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
        self._spans, self.logs = spans, logs
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
        return [each for each in self.spans if any(span is above for above in self.above(each))]

    def call_span(self, exchange: Exchange) -> Any:
        """The innermost span that was open while the provider thought. An instrumentation may lose it:
        @arizeai/openinference-instrumentation-openai does, where the call fails."""
        then = exchange.started_ns + int(WAIT_S * 5e8)
        open_then = [span for span in self.spans if span.start_time_unix_nano <= then <= span.end_time_unix_nano
                     and not is_http_alone(span)]
        inner = [span for span in open_then if not any(self.parent(each) is span for each in open_then)]
        found = max(inner, key=lambda span: span.start_time_unix_nano, default=None)
        if found is not None:
            tells = Evidence([found], []).text
            if any(tells(FACTS[name]) for name in ("agent", "workflow")) and not any(map(tells, {exchange.asked["model"], exchange.model} - {""})):
                return None  # it is what the sender put around the call
        return found

    def tool_spans(self) -> list[Any]:
        """What ran between the two halves of the tool's scenario, the innermost first; then what is told of the
        tool below the call that asked for it."""
        halves = {each.scenario: each for each in self.exchanges}
        calls = [self.call_span(halves[half]) for half in ("tool", "tool-answer") if half in halves]
        if len(calls) < 2 or None in calls:
            return []
        first, second = halves["tool"].ended_ns, halves["tool-answer"].started_ns
        slack = 2_000_000  # clocks of two processes
        between = [span for span in self.spans
                   if first - slack <= span.start_time_unix_nano and span.end_time_unix_nano <= second + slack
                   and not any(call is each for each in [span, *self.above(span)] for call in calls)]
        between.sort(key=lambda span: -span.start_time_unix_nano)
        return between[:1] + [span for span in self.below(calls[0]) if not is_http_alone(span)]

    def evidence(self, spans: list[Any]) -> Evidence:
        """Of spans and their log records."""
        ids = {self.id(each) for each in spans}
        return Evidence(spans, [record for record in self.logs if (record.trace_id, record.span_id) in ids])

    def whole(self) -> Evidence:
        return Evidence(self.spans, self.logs)

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
    complete = fresh is not None and (output is not None or not usage["output"])
    total = sum(each or 0 for each in (fresh, cached, written, output)) if complete else None
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
    def texts(part: Any) -> Iterator[Any]:
        if isinstance(part, dict):
            for key in ("content", "text", "response", "result"):
                yield from texts(part[key]) if key in part else ()
        elif isinstance(part, list):
            for each in part:
                yield from texts(each)
        else:
            yield part

    messages = [each for each in parsed(value) or [] if isinstance(each, dict)] if isinstance(parsed(value), list) else []
    return [found for message in messages if not role or message.get("role") == role
            for found in texts(message.get("parts", message))]


def tool_calls_of(value: Any) -> list[dict[str, Any]]:
    return [part for message in parsed(value) or [] if isinstance(message, dict)
            for part in message.get("parts", []) if part.get("type") == "tool_call"]


Sent = Callable[[Evidence], bool]


def always(_seen: Evidence) -> bool:
    return True


def text(of: str | None) -> Sent:
    return lambda seen: bool(of) and seen.text(str(of))


def named(of: str, keys: str) -> Sent:
    """A word too common to be looked up alone: as the value of such a key, in JSON too."""
    def sent(seen: Evidence) -> bool:
        return (any(of in leaves(parsed(value)) for value in seen.keys(keys))
                or any(isinstance(value, str) and re.search(rf'({keys})\\*": *\[?\\*"{of}\\*"', value) for value in seen.values)
                or any(of in leaves(found) for record in seen.logs for key, found in pairs(value_of(record.body)) if re.search(keys, key)))
    return sent


class Judge:
    """Judges the spans of a run, cell by cell."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cells: list[Cell] = []
        self._whole = run.whole()

    def cell(self, scenario: str, field: str, seen: Evidence, sent: Sent, got: Any, expected: Any,
             right: Callable[[Any], bool] | None = None) -> None:
        """`right`: by default that it is equal."""
        if not sent(seen):
            self.cells.append(Cell(scenario, field, NOT_SENT, got, expected, sent(self._whole)))
            return
        fits = right(got) if right and got is not None else got == expected
        self.cells.append(Cell(scenario, field, OK if fits else "wrong", got, expected))

    def all(self) -> list[Cell]:
        for exchange in self.run.exchanges:
            span = self.run.call_span(exchange)
            if span is not None:
                self.call(exchange, span)
            elif any(map(self._whole.text, filter(None, [exchange.response_id]))):
                self.cell(exchange.scenario, "span.type", self._whole, always, "no span of its time", "a span of the call")
        self.surrounding_spans()
        self.tool()
        self.sum()
        return self.cells

    def call(self, exchange: Exchange, span: Any) -> None:
        scene, got = exchange.scenario, self.run.attributes(span)
        seen = self.run.evidence([span, *self.run.below(span)])
        embedding = exchange.path.endswith("/embeddings")

        def field(name: str, expected: Any, sent: Sent, right: Callable[[Any], bool] | None = None) -> None:
            self.cell(scene, name, seen, sent, got.get(FIELDS[name]), expected, right)

        field("span.type", "embedding" if embedding else "llm_call", always)
        field("operation", "embeddings" if embedding else "chat", always)
        field("model.requested", exchange.asked["model"], text(exchange.asked["model"]))
        maker = "anthropic" if "messages" in exchange.path else "openai"
        field("provider", maker, lambda seen: any(isinstance(each, str) and re.fullmatch(rf"{maker}([./].*)?", each, re.I)
                                                  for each in seen.values))
        self.surroundings(scene, span)
        if exchange.error:
            self.error(exchange, seen, got)
            return
        field("model.response", exchange.model, text(exchange.model))
        if exchange.response_id:
            field("response.id", exchange.response_id, text(exchange.response_id))
        if exchange.service_tier and not embedding:
            field("service_tier", exchange.service_tier, named(exchange.service_tier, "service_tier"))
        self.tokens(exchange, seen, got)
        costs = seen.keys(COST_KEYS)
        field("cost.total", costs and round(costs[0] * MICROS), lambda seen: bool(seen.keys(COST_KEYS)))
        if exchange.finish:
            self.finish(exchange, span, seen, got)
        if not embedding:
            self.messages(exchange, span, seen, got)
        if exchange.streamed:
            took_s = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
            field("time_to_first_chunk_s", f"above 0, at most {took_s:.3f}", lambda seen: bool(seen.keys(FIRST_KEYS)),
                  lambda value: 0 < value <= took_s)

    def surroundings(self, scene: str, span: Any) -> None:
        """What the sender set: on the call, or on a span above it."""
        seen = self.run.evidence([span, *self.run.below(span), *self.run.above(span)])
        for field, name in (("session.id", "session"), ("user.id", "user"), ("agent.name", "agent"), ("workflow.name", "workflow"),
                            ("agent.id", "agent_id"), ("agent.version", "agent_version"),
                            ("agent.description", "agent_description"), ("prompt.template", "prompt_template")):
            found, expected = self.run.up(span, FIELDS[field]), FACTS[name]
            self.cell(scene, field, seen, text(expected), expected if expected in found else (found or [None])[0], expected)

    def surrounding_spans(self) -> None:
        """Of the first call: the nearest span above it that tells the agent is the agent's; one of those that
        tell the workflow is the workflow's."""
        call = next((span for span in map(self.run.call_span, self.run.exchanges) if span is not None), None)
        above = self.run.above(call) if call is not None else []

        def telling(fact: str) -> list[dict[str, Any]]:
            return [self.run.attributes(span) for span in above if Evidence([span], []).text(FACTS[fact])]

        for got in telling("agent")[:1]:
            for field, expected in (("span.type", "agent"), ("operation", "invoke_agent"), ("agent.name", FACTS["agent"])):
                self.cell("agent span", field, self._whole, always, got.get(FIELDS[field]), expected)
        types = [got.get(FIELDS["span.type"]) for got in telling("workflow")]
        if types:
            kinds = {"workflow", "session"}  # AgentOps' session is what it calls the workflow's span
            self.cell("workflow span", "span.type", self._whole, always, types, kinds, lambda value: bool(kinds & set(value)))

    def tokens(self, exchange: Exchange, seen: Evidence, got: dict[str, Any]) -> None:
        if not exchange.usage:
            return
        expected = tokens_of(exchange, seen)
        buckets = [field for field in expected if field != "tokens.total"]
        for field, value in expected.items():
            found = got.get(FIELDS[field])
            if value is not None:
                self.cell(exchange.scenario, field, seen, always, found, value)
            elif found not in (None, 0) and not (field == "tokens.total" and found == sum(got.get(FIELDS[each], 0) for each in buckets)
                                                 or seen.number(found)):  # some packages tell a count that was not sent
                self.cell(exchange.scenario, field, seen, always, found, "nothing: it was made up")
            else:
                number = exchange.usage.get(COUNTS.get(field, ""), 0)
                self.cell(exchange.scenario, field, seen, lambda seen, number=number: bool(number) and seen.number(number), found, number)
        if expected["tokens.total"] is not None:
            self.cell(exchange.scenario, "tokens.form", seen, always, got.get(FIELDS["tokens.form"]), "inclusive or exclusive",
                      lambda value: value in ("inclusive", "exclusive"))

    def finish(self, exchange: Exchange, span: Any, seen: Evidence, got: dict[str, Any]) -> None:
        found = got.get(FIELDS["finish_reasons"])
        if found is None and self.in_records(span, [exchange.finish]):
            found = [exchange.finish]
        self.cell(exchange.scenario, "finish_reasons", seen, named(exchange.finish, "(finish|stop)_?[rR]easons?"), found, [exchange.finish])

    def in_records(self, span: Any, texts: list[str]) -> bool:
        """Old instrumentations send content as log records, which the store joins to their span."""
        records = b"".join(self.run.records.get(self.run.id(span), []))
        return bool(records) and all(each.encode() in records for each in texts)

    def messages(self, exchange: Exchange, span: Any, seen: Evidence, got: dict[str, Any]) -> None:
        scene, asked = exchange.scenario, exchange.asked.get("messages", [])
        system = next((each["content"] for each in asked if each["role"] == "system"), None)
        system = system or exchange.asked.get("system") or exchange.asked.get("instructions")
        if system:
            placed = texts_of(got.get(FIELDS["messages.system"])) + texts_of(got.get(FIELDS["messages.input"]), "system")
            self.cell(scene, "messages.system", seen, text(system), [system] if self.in_records(span, [system]) else placed, system,
                      lambda value: system in value)
        value = got.get(FIELDS["messages.input"])
        question = FACTS["scenarios"][scene.removesuffix("-answer")]["prompt"]
        self.cell(scene, "messages.input", seen, text(question),
                  [question] if self.in_records(span, [question]) else texts_of(value, "user") or value, question, lambda value: question in value)
        if scene == "tool-answer":  # Anthropic's results of tools are a user's parts
            results = texts_of(value, "tool") + texts_of(value, "user")
            found = [TOOL["result"]] if self.in_records(span, [TOOL["result"]]) else results or value
            self.cell(scene, "messages.input", seen, text(TOOL["result"]), found, TOOL["result"], lambda value: TOOL["result"] in value)
            if not text(TOOL["result"])(Evidence(self.run.tool_spans(), [])):
                self.cell(scene, "tool.result", seen, text(TOOL["result"]), found, TOOL["result"], lambda value: TOOL["result"] in value)
        value = got.get(FIELDS["messages.output"])
        if exchange.tool_call_id:
            self.called(exchange, span, seen, got)
        else:
            self.cell(scene, "messages.output", seen, text(exchange.text),
                      [exchange.text] if self.in_records(span, [exchange.text]) else texts_of(value) or value, [exchange.text])

    def called(self, exchange: Exchange, span: Any, seen: Evidence, got: dict[str, Any]) -> None:
        """The answer that asks for the tool: its call is a part of the message. Where the tool's own spans do not
        tell a part of it, or where there are none, this is where the store has it."""
        scene, value = exchange.scenario, got.get(FIELDS["messages.output"])
        calls = [(part.get("name"), part.get("id"), parsed(part.get("arguments"))) for part in tool_calls_of(value)]
        wanted = (TOOL["name"], exchange.tool_call_id, TOOL["arguments"])
        if self.in_records(span, [TOOL["name"], exchange.tool_call_id]):
            calls = [wanted]
        own = self.run.evidence([span])
        self.cell(scene, "messages.output", own, lambda seen: seen.text(exchange.tool_call_id) and seen.arguments(), calls or value, [wanted])
        tool = Evidence(self.run.tool_spans(), [])
        for field, place, sent in (("tool.name", 0, text(TOOL["name"])), ("tool.call.id", 1, text(exchange.tool_call_id)),
                                   ("tool.args", 2, Evidence.arguments)):
            if not sent(tool):
                self.cell(scene, field, own, sent, [call[place] for call in calls], [wanted[place]])
        self.cell(scene, "tool.definitions", seen, text(TOOL["description"]), got.get(FIELDS["tool.definitions"]), TOOL["description"],
                  lambda value: TOOL["name"] in str(value) and TOOL["description"] in str(value))

    def error(self, exchange: Exchange, seen: Evidence, got: dict[str, Any]) -> None:
        names = [*self.run.caught.get(exchange.scenario, []), str(exchange.status), exchange.error["type"], exchange.error["code"]]

        def told(seen: Evidence) -> list[str]:
            return [name for name in names if seen.text(name) or name.isdigit() and seen.number(int(name))]

        self.cell(exchange.scenario, "error.type", seen, lambda seen: bool(told(seen)), got.get(FIELDS["error.type"]), told(seen),
                  lambda value: value in names)
        message = exchange.error["message"]
        self.cell(exchange.scenario, "error.message", seen, text(message), got.get(FIELDS["error.message"]), message,
                  lambda value: message in str(value))

    def tool(self) -> None:
        """The tool's own span, and what is told of it below the call."""
        spans, calls = self.run.tool_spans(), {each.scenario: each for each in self.run.exchanges}
        if not spans:
            return
        seen, call_id = self.run.evidence(spans), calls["tool"].tool_call_id
        for field, expected in (("span.type", "tool_call"), ("operation", "execute_tool")):
            self.cell("tool span", field, seen, always, self.run.attributes(spans[0]).get(FIELDS[field]), expected)
        for field, expected, sent, right in (
                ("tool.name", TOOL["name"], text(TOOL["name"]), None),
                ("tool.call.id", call_id, text(call_id), None),
                ("tool.args", TOOL["arguments"], Evidence.arguments, lambda value: parsed(value) == TOOL["arguments"]),
                ("tool.result", TOOL["result"], text(TOOL["result"]), lambda value: parsed(value) == TOOL["result"]),
                ("tool.type", "function", lambda seen: "function" in seen.keys(r"\btool(\.call)?\.type$"), None)):
            found = [got[FIELDS[field]] for got in map(self.run.attributes, spans) if FIELDS[field] in got]
            good = [value for value in found if (right(value) if right else value == expected)]
            self.cell("tool span", field, seen, sent, (good or found or [None])[0], expected, right)

    def sum(self) -> None:
        """Over all calls of models, each count once: the spans above them may repeat it. Where a package did not
        tell a call's counts as they were sent, the call's own span counts."""
        expected = 0
        for exchange in self.run.exchanges:
            span = self.run.call_span(exchange)
            if span is not None and exchange.usage:
                told = tokens_of(exchange, self.run.evidence([span, *self.run.below(span)]))["tokens.total"]
                expected += self.run.attributes(span).get(FIELDS["tokens.total"], 0) if told is None else told
        got = sum(found.get(FIELDS["tokens.total"], 0) for found in self.run.stored.values()
                  if found.get(FIELDS["span.type"]) in ("llm_call", "embedding"))
        self.cell("all", "tokens, summed", self._whole, lambda _seen: expected > 0, got, expected)


def folded(cells: list[Cell]) -> dict[str, str]:
    """One verdict for each field: wrong where one is wrong; n/a where none was sent, in no scenario, nowhere."""
    found = {}
    for field in FIELDS:
        own = [cell for cell in cells if cell.field == field]
        verdicts = {cell.verdict for cell in own}
        lost = verdicts == {NOT_SENT} and any(cell.elsewhere for cell in own)
        found[field] = "wrong" if "wrong" in verdicts or lost else OK if OK in verdicts else NOT_SENT
    return found


def wrong(cells: list[Cell]) -> list[str]:
    """A line for each wrong cell."""
    verdicts = folded(cells)
    lines = [f"{cell.scenario:12} {cell.field:22} got {cell.got!r:.300}, expected {cell.expected!r:.300}"
             for cell in cells if cell.verdict == "wrong"]
    lines += [f"{cell.scenario:12} {cell.field:22} is not with its span, but {cell.expected!r:.300} was captured" for cell in cells
              if cell.elsewhere and verdicts[cell.field] == "wrong" and not any(each.field == cell.field and each.verdict == "wrong" for each in cells)]
    return lines
