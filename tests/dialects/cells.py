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
  capture of the package: else the field is wrong after all. What was looked for is kept with the cell and printed
  below the matrix; `python tests/dialects/evidence.py FOLDER VALUE` looks it up in kept exports again.
- A count that is a difference (input without the cache) needs both its numbers. Where one was not told, what is
  left of the sum is expected: nothing may be subtracted that was not told, and no count may be made up.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Callable, Iterator

from evidence import Evidence, leaves, pairs, value_of
from provider import FACTS, Exchange
from runs import Run

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
SURROUNDINGS = {"session.id": "session", "user.id": "user", "agent.name": "agent", "workflow.name": "workflow",
                "agent.id": "agent_id", "agent.version": "agent_version", "agent.description": "agent_description",
                "prompt.template": "prompt_template"}
COST_KEYS = r"^(operation\.cost|gen_ai\.usage\.cost|llm\.cost\.total)$"
FIRST_KEYS = r"first_(chunk|token)$|msToFirstChunk$|completion_start_time$"
FINISH_KEYS = "(finish|stop)_?[rR]easons?"
TYPE_KEYS = r"\btool(\.call)?\.type$"
MICROS = 1_000_000
REASONS_SHOWN = 3
NO_CALL = {"time_to_first_chunk_s": "nothing was streamed", "tool.type": "no span of a tool",
           "finish_reasons": "the API that was called has none"}


@dataclasses.dataclass
class Cell:
    """One field of one call: `ok`, `n/a`, or what came and what should have."""

    scenario: str
    field: str
    verdict: str
    got: Any = None
    expected: Any = None
    elsewhere: bool = False  # n/a, but its bytes are somewhere in the package's capture
    sought: str = ""         # what was looked for in what was captured


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
    return {"tokens.input": fresh, "tokens.cache_read": cached, "tokens.cache_write": written,
            "tokens.reasoning": reasoning, "tokens.output": None if output is None else output - (reasoning or 0),
            "tokens.total": total}


def form_of(exchange: Exchange, seen: Evidence) -> str | None:
    """Whether the input that was told has the cache's part in it. None: there was none, or it was not told."""
    usage = exchange.usage
    parts = [usage[name] for name in ("cached", "written") if usage.get(name) and seen.number(usage[name])]
    whole = usage["input"] + (usage["cached"] + usage["written"] if "messages" in exchange.path else 0)
    return None if not parts else "inclusive" if seen.number(whole) else "exclusive"


def total_of(got: dict[str, Any]) -> int | None:
    """What a store says was used: the sum of the buckets; without any, the total that a package told alone."""
    buckets = [got[FIELDS[field]] for field in COUNTS if FIELDS[field] in got]
    return sum(buckets) if buckets else got.get(FIELDS["tokens.total"])


def parsed(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def messages_of(value: Any) -> list[dict[str, Any]]:
    """Canonical messages, or system parts: JSON; none if it is something else."""
    found = parsed(value)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def texts_of(value: Any, role: str | None = None) -> list[Any]:
    """What canonical messages ([{role, parts}]) or system parts hold: texts, and results of tools."""
    def texts(part: Any) -> Iterator[Any]:
        if isinstance(part, dict):
            for key in ("content", "text", "response", "result"):
                yield from texts(part[key]) if key in part else ()
        elif isinstance(part, list):
            for each in part:
                yield from texts(each)
        else:
            yield part

    return [found for message in messages_of(value) if not role or message.get("role") == role
            for found in texts(message.get("parts", message if "role" not in message else []))]


def tool_calls_of(value: Any) -> list[tuple[Any, Any, Any]]:
    """Name, id and arguments of the calls in canonical messages."""
    parts = [part for message in messages_of(value) for part in message.get("parts", [])]
    return [(part.get("name"), part.get("id"), parsed(part.get("arguments"))) for part in parts
            if part.get("type") == "tool_call"]


Right = Callable[[Any], bool]


@dataclasses.dataclass(frozen=True)
class Sent:
    """Whether something was sent: what is looked for, in words, and how. `literal` is in no byte of a capture
    that it was not sent in."""

    what: str
    test: Callable[[Evidence], bool]
    literal: str = ""

    def __call__(self, seen: Evidence) -> bool:
        return self.test(seen)


always = Sent("anything", lambda _seen: True)


def text(of: str) -> Sent:
    if not of:
        return Sent("the provider sends none", lambda _seen: False)
    return Sent(repr(of), lambda seen: seen.text(of), of)


def number(of: int) -> Sent:
    return Sent(str(of), lambda seen: seen.number(of)) if of else Sent("none was used", lambda _seen: False)


ARGUMENTS = Sent(json.dumps(TOOL["arguments"]), Evidence.arguments)


def keys(pattern: str) -> Sent:
    return Sent(f"a key like /{pattern}/", lambda seen: bool(seen.keys(pattern)))


def once(wanted: Any) -> Right:
    return lambda value: value.count(wanted) == 1


def word_under(word: str, keys: str) -> Sent:
    """A word too common to be looked up alone: as the value of such a key; in JSON and in log records, too."""
    in_json = re.compile(rf'({keys})\\*": *\[?\\*"{word}\\*"')

    def sent(seen: Evidence) -> bool:
        bodies = [found for record in seen.logs for key, found in pairs(value_of(record.body))
                  if re.search(keys, key)]
        return (any(word in leaves(parsed(value)) for value in [*seen.keys(keys), *bodies])
                or any(isinstance(value, str) and in_json.search(value) for value in seen.values))

    return Sent(f"{word!r} at a key like /{keys}/", sent)


def made_by(maker: str) -> Sent:
    """A provider's name as a value or as a span's name, with what its part is: "openai.chat"."""
    name = re.compile(rf"{maker}([./-].*)?", re.I)
    return Sent(f"a value or name {maker!r}", lambda seen: any(isinstance(each, str) and name.fullmatch(each)
                                                               for each in [*seen.values, *seen.names]))


def first_chunk() -> Sent:
    found = keys(FIRST_KEYS)
    return Sent(f"{found.what}, or an event", lambda seen: found(seen) or any("First Token" in each
                                                                             for each in seen.names))


@dataclasses.dataclass
class Call:
    """A call of a model: what the provider knows of it, its span, what was captured, what the store has."""

    exchange: Exchange
    span: Any
    seen: Evidence
    got: dict[str, Any]

    @property
    def scene(self) -> str:
        return self.exchange.scenario


class Judge:
    """Judges the spans of a run, cell by cell."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cells: list[Cell] = []
        self._whole = run.whole()

    def all(self) -> list[Cell]:
        for exchange in self.run.exchanges:
            span = self.run.call_span(exchange)
            if span is not None:
                seen = self.run.evidence([span, *self.run.below(span)])
                self.call(Call(exchange, span, seen, self.run.attributes(span)))
            else:
                self.without_span(exchange)
        self.surrounding_spans()
        self.tool()
        self.sum()
        return self.cells

    def without_span(self, exchange: Exchange) -> None:
        """Then nothing may have been told of the call anywhere."""
        told = exchange.response_id or exchange.error.get("message", "")
        if told and self._whole.text(told):
            self.cell(exchange.scenario, "span.type", self._whole, always, "no span", "a span of the call")
        if exchange.error:
            self.cell(exchange.scenario, "error.message", self._whole, text(told), None, told)
            self.cell(exchange.scenario, "error.type", self._whole, text(exchange.error["code"]), None,
                      exchange.error["code"])

    def cell(self, scene: str, field: str, seen: Evidence, sent: Sent, got: Any, expected: Any,
             right: Right | None = None) -> None:
        """`right`: by default that it is equal."""
        if not sent(seen):
            elsewhere = sent(self._whole) or self.run.has_bytes(sent.literal)
            self.cells.append(Cell(scene, field, NOT_SENT, got, expected, elsewhere, sent.what))
            return
        fits = right(got) if right and got is not None else got == expected
        self.cells.append(Cell(scene, field, OK if fits else "wrong", got, expected, sought=sent.what))

    def of(self, call: Call, field: str, expected: Any, sent: Sent, right: Right | None = None) -> None:
        """A cell whose value is an attribute of the call's span."""
        self.cell(call.scene, field, call.seen, sent, call.got.get(FIELDS[field]), expected, right)

    # -- a call of a model -------------------------------------------------------------------------

    def call(self, call: Call) -> None:
        exchange = call.exchange
        embedding = exchange.path.endswith("/embeddings")
        self.of(call, "span.type", "embedding" if embedding else "llm_call", always)
        self.of(call, "operation", "embeddings" if embedding else "chat", always)
        self.of(call, "model.requested", exchange.asked["model"], text(exchange.asked["model"]))
        maker = "anthropic" if "messages" in exchange.path else "openai"
        self.of(call, "provider", maker, made_by(maker))
        self.surroundings(call)
        if exchange.error:
            self.error(call)
            return
        self.of(call, "model.response", exchange.model, text(exchange.model))
        self.tokens(call)
        costs = call.seen.keys(COST_KEYS)
        self.of(call, "cost.total", costs and round(costs[0] * MICROS), keys(COST_KEYS))
        if not embedding:
            self.answer(call)
            self.messages(call)
        if exchange.streamed:
            took_s = (call.span.end_time_unix_nano - call.span.start_time_unix_nano) / 1e9
            self.of(call, "time_to_first_chunk_s", f"above 0, at most {took_s:.3f}",
                    first_chunk(), lambda value: 0 < value <= took_s)

    def surroundings(self, call: Call) -> None:
        """What the sender set: on the call, or on a span above it."""
        seen = self.run.evidence([call.span, *self.run.below(call.span), *self.run.above(call.span)])
        for field, name in SURROUNDINGS.items():
            found, expected = self.run.up(call.span, FIELDS[field]), FACTS[name]
            got = expected if expected in found else next(iter(found), None)
            self.cell(call.scene, field, seen, text(expected), got, expected)

    def tokens(self, call: Call) -> None:
        if not call.exchange.usage:
            return
        expected = tokens_of(call.exchange, call.seen)
        total = expected.pop("tokens.total")
        self.cell(call.scene, "tokens.total", call.seen, Sent("its parts", lambda _seen: total is not None),
                  total_of(call.got), total)
        for field, value in expected.items():
            got = call.got.get(FIELDS[field])
            if value is not None:
                self.of(call, field, value, always)
            elif got in (None, 0) or call.seen.number(got):
                # not told; or some packages tell another number than was sent
                count = call.exchange.usage.get(COUNTS.get(field, ""), 0)
                self.of(call, field, count, number(count))
            else:
                self.of(call, field, "nothing: it was made up", always)
        form = form_of(call.exchange, call.seen)
        parts = [str(each) for each in (call.exchange.usage.get("cached"), call.exchange.usage.get("written")) if each]
        self.of(call, "tokens.form", form, Sent(" or ".join(parts) or "no cache was used",
                                                lambda _seen: form is not None))

    def answer(self, call: Call) -> None:
        exchange = call.exchange
        self.of(call, "response.id", exchange.response_id, text(exchange.response_id))
        self.of(call, "service_tier", exchange.service_tier, word_under(exchange.service_tier, "service_tier"))
        if exchange.finish:
            reasons = [exchange.finish]
            got = reasons if self.in_records(call, *reasons) else call.got.get(FIELDS["finish_reasons"])
            self.cell(call.scene, "finish_reasons", call.seen, word_under(exchange.finish, FINISH_KEYS), got, reasons)

    def error(self, call: Call) -> None:
        exchange = call.exchange
        names = [*self.run.caught.get(call.scene, []), str(exchange.status),
                 exchange.error["type"], exchange.error["code"]]

        def told(seen: Evidence) -> list[str]:
            """Names that are a value by themselves, or a word of any text. A number may be any number there: of an
            HTTP status it is told that it is one."""
            values = {str(each) for each in seen.values}
            status = re.escape(str(exchange.status))
            said = bool(seen.find(rf"(^|\0|Error code: |Error: ){status}(?!\w)"))
            return [name for name in names if name in values
                    or (said if name.isdigit() else seen.find(rf"(?<![\w.]){re.escape(name)}(?!\w)"))]

        self.of(call, "error.type", told(call.seen), Sent(" or ".join(names), lambda seen: bool(told(seen))),
                lambda value: value in names)
        message = exchange.error["message"]
        self.of(call, "error.message", message, text(message), lambda value: message in str(value))

    # -- its messages ------------------------------------------------------------------------------

    def in_records(self, call: Call, *texts: str) -> bool:
        """Old instrumentations send content as log records, which the store joins to their span."""
        records = b"".join(self.run.records.get(self.run.id(call.span), []))
        return bool(records) and all(each.encode() in records for each in texts)

    def content(self, call: Call, field: str, wanted: str, found: list[Any]) -> None:
        """A text that has to be among those of the messages."""
        got = [wanted] if self.in_records(call, wanted) else found
        self.cell(call.scene, field, call.seen, text(wanted), got, wanted, once(wanted))

    def messages(self, call: Call) -> None:
        asked, exchange = call.exchange.asked, call.exchange
        value = call.got.get(FIELDS["messages.input"])
        system = next((each["content"] for each in asked.get("messages", []) if each["role"] == "system"), None)
        system = system or asked.get("system") or asked.get("instructions")  # Anthropic, Responses
        if system:
            placed = texts_of(call.got.get(FIELDS["messages.system"])) or texts_of(value, "system")
            self.content(call, "messages.system", system, placed)
        question = FACTS["scenarios"][call.scene.removesuffix("-answer")]["prompt"]
        self.content(call, "messages.input", question, texts_of(value, "user"))
        if call.scene == "tool-answer":
            results = texts_of(value, "tool") + texts_of(value, "user")  # Anthropic has them in a user's message
            self.content(call, "messages.input", TOOL["result"], results)
            if not Evidence(self.run.tool_spans(), []).text(TOOL["result"]):
                self.content(call, "tool.result", TOOL["result"], results)
        if exchange.tool_call_id:
            self.called(call)
        else:
            self.content(call, "messages.output", exchange.text, texts_of(call.got.get(FIELDS["messages.output"])))

    def called(self, call: Call) -> None:
        """The answer that asks for the tool: its call is a part of the message. What the tool's own spans do not
        tell of it, or if there are none, the store has here."""
        call_id = call.exchange.tool_call_id
        wanted = (TOOL["name"], call_id, TOOL["arguments"])
        recorded = self.in_records(call, TOOL["name"], call_id)
        calls = [wanted] if recorded else tool_calls_of(call.got.get(FIELDS["messages.output"]))
        own, tool = self.run.evidence([call.span]), Evidence(self.run.tool_spans(), [])
        both = Sent(f"{call_id} and {ARGUMENTS.what}", lambda seen: seen.text(call_id) and seen.arguments())
        self.cell(call.scene, "messages.output", own, both, calls, [wanted])
        for place, (field, sent) in enumerate((("tool.name", text(TOOL["name"])), ("tool.call.id", text(call_id)),
                                               ("tool.args", ARGUMENTS))):
            if not sent(tool):
                self.cell(call.scene, field, own, sent, [each[place] for each in calls], [wanted[place]])
        told, key = [TOOL["name"], TOOL["description"]], FIELDS["tool.definitions"]
        got = told if self.in_records(call, *told) else call.got.get(key)
        as_it_came = any(pair.key == key for pair in call.span.attributes)  # the package's own shape stays
        self.cell(call.scene, "tool.definitions", call.seen, text(TOOL["description"]), got, told,
                  lambda value: all(each in str(value) for each in told) if as_it_came or got is told
                  else [[each.get("name"), each.get("description")] for each in messages_of(value)
                        if isinstance(each.get("parameters"), dict)] == [told])

    # -- other spans -------------------------------------------------------------------------------

    def surrounding_spans(self) -> None:
        """Of the first call: the nearest span above it that tells the agent is the agent's; one of those that
        tell the workflow is the workflow's."""
        call = next((span for span in map(self.run.call_span, self.run.exchanges) if span is not None), None)
        above = self.run.above(call) if call is not None else []

        def telling(fact: str) -> list[dict[str, Any]]:
            return [self.run.attributes(span) for span in above if Evidence([span], []).text(FACTS[fact])]

        for got in telling("agent")[:1]:
            wanted = {"span.type": "agent", "operation": "invoke_agent", "agent.name": FACTS["agent"]}
            for field, expected in wanted.items():
                self.cell("agent span", field, self._whole, always, got.get(FIELDS[field]), expected)
        types = {got.get(FIELDS["span.type"]) for got in telling("workflow")}
        if types:
            kinds = {"workflow", "session"}  # AgentOps' session is what it calls the workflow's span
            self.cell("workflow span", "span.type", self._whole, always, types, kinds,
                      lambda value: bool(kinds & value))

    def tool(self) -> None:
        """The tool's own span, and what is told of it below the call."""
        spans, calls = self.run.tool_spans(), {each.scenario: each for each in self.run.exchanges}
        if not spans:
            return
        seen, call_id = self.run.evidence(spans), calls["tool"].tool_call_id
        for field, expected in (("span.type", "tool_call"), ("operation", "execute_tool")):
            self.cell("tool span", field, seen, always, self.run.attributes(spans[0]).get(FIELDS[field]), expected)
        for field, expected, sent in (
                ("tool.name", TOOL["name"], text(TOOL["name"])),
                ("tool.call.id", call_id, text(call_id)),
                ("tool.args", TOOL["arguments"], ARGUMENTS),
                ("tool.result", TOOL["result"], text(TOOL["result"])),
                ("tool.type", "function", Sent(f"'function' at a key like /{TYPE_KEYS}/",
                                               lambda seen: "function" in seen.keys(TYPE_KEYS)))):
            found = [parsed(got[FIELDS[field]]) for got in map(self.run.attributes, spans) if FIELDS[field] in got]
            got = expected if expected in found else next(iter(found), None)
            self.cell("tool span", field, seen, sent, got, expected)

    def sum(self) -> None:
        """Over all calls of models, each count once: the spans above them may repeat it. Where a package did not
        tell a call's counts as they were sent, the call's own span counts."""
        expected = 0
        for exchange in self.run.exchanges:
            span = self.run.call_span(exchange)
            if span is not None and exchange.usage:
                told = tokens_of(exchange, self.run.evidence([span, *self.run.below(span)]))["tokens.total"]
                expected += (total_of(self.run.attributes(span)) or 0) if told is None else told
        got = sum(total_of(found) or 0 for found in self.run.stored.values()
                  if found.get(FIELDS["span.type"]) in ("llm_call", "embedding"))
        self.cell("all", "tokens, summed", self._whole, Sent("any count", lambda _seen: expected > 0), got, expected)


def folded(cells: list[Cell]) -> dict[str, str]:
    """One verdict for each field: wrong where one is wrong; n/a where none was sent, in no scenario, nowhere."""
    found = {}
    for field in FIELDS:
        own = [cell for cell in cells if cell.field == field]
        verdicts = {cell.verdict for cell in own}
        lost = verdicts == {NOT_SENT} and any(cell.elsewhere for cell in own)
        found[field] = "wrong" if "wrong" in verdicts or lost else OK if OK in verdicts else NOT_SENT
    return found


def reasons(cells: list[Cell]) -> dict[str, str]:
    """Why a field is n/a: what was looked for in all that was captured, and is not there."""
    found = {}
    for field, verdict in folded(cells).items():
        if verdict == NOT_SENT:
            sought = list(dict.fromkeys(cell.sought for cell in cells if cell.field == field))
            more = [f"and {len(sought) - REASONS_SHOWN} more"] if len(sought) > REASONS_SHOWN else []
            found[field] = ", ".join(sought[:REASONS_SHOWN] + more) or NO_CALL.get(field, "no call that could have it")
    return found


def wrong(cells: list[Cell]) -> list[str]:
    """A line for each wrong cell."""
    verdicts = folded(cells)
    lines = [f"{cell.scenario:12} {cell.field:22} got {cell.got!r:.300}, expected {cell.expected!r:.300}"
             for cell in cells if cell.verdict == "wrong"]
    told = {cell.field for cell in cells if cell.verdict == "wrong"}
    lost = [cell for cell in cells if cell.elsewhere and verdicts[cell.field] == "wrong" and cell.field not in told]
    return lines + [f"{cell.scenario:12} {cell.field:22} is not with its span, but {cell.expected!r:.300} was captured"
                    for cell in lost]
