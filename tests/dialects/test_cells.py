# SPDX-License-Identifier: Apache-2.0
"""The judge itself: a store that says what was sent is right in every cell; change any one value, or take it
away, and a cell is wrong. What was captured of nowhere is n/a; what was captured elsewhere is not."""

import json

import cells
import pytest
from evidence import Evidence
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from provider import FACTS, Exchange, usage_of
from runs import Run

TRACE = b"t" * 16
FIRST_NS = 1_700_000_000_000_000_000
MS = 1_000_000
TOOL = FACTS["tool"]
CHAT, CACHED = FACTS["models"]["chat"], FACTS["scenarios"]["cached"]
MESSAGES = [{"role": "system", "content": FACTS["system"]}, {"role": "user", "content": CACHED["prompt"]}]


def exchange(**more):
    asked = {"model": CHAT["asked"], "messages": MESSAGES, "stream": True, **more.pop("asked", {})}
    return Exchange(**{"scenario": "cached", "path": "/v1/chat/completions", "asked": asked,
                       "started_ns": FIRST_NS + 5 * MS, "ended_ns": FIRST_NS + 90 * MS, "response_id": "chatcmpl-1",
                       "model": CHAT["answered"], "text": CACHED["text"], "finish": "stop", "service_tier": "default",
                       "usage": usage_of("cached"), **more})


def came(sent, took_ms=100, name="any name", **more):
    """A span as an instrumentation may have sent it, in words that no dialect has."""
    span = Span(trace_id=TRACE, span_id=b"s" * 8, name=name, start_time_unix_nano=FIRST_NS,
                end_time_unix_nano=FIRST_NS + took_ms * MS, **more)
    for key, value in sent.items():
        kind = {int: "int_value", float: "double_value", str: "string_value"}[type(value)]
        setattr(span.attributes.add(key=key).value, kind, value)
    return span


USAGE = usage_of("cached")
SENT = {
    "their.session": FACTS["session"], "their.user": FACTS["user"], "their.agent": FACTS["agent"],
    "their.workflow": FACTS["workflow"],
    "their.asked": CHAT["asked"], "their.answered": CHAT["answered"], "their.maker": "OpenAI",
    "their.input": USAGE["input"], "their.cached": USAGE["cached"], "their.output": str(USAGE["output"]),
    "their.reasoning": float(USAGE["reasoning"]), "gen_ai.usage.cost": 0.25, "their.time_to_first_chunk": 0.04,
    "their.prompt": json.dumps(MESSAGES), "their.answer": CACHED["text"], "their.finish_reason": "stop",
    "their.id": "chatcmpl-1", "their.service_tier": "default",
}
STORED = {
    "waybill.span.type": "llm_call", "gen_ai.operation.name": "chat",
    "session.id": FACTS["session"], "user.id": FACTS["user"],
    "gen_ai.agent.name": FACTS["agent"], "gen_ai.workflow.name": FACTS["workflow"],
    "gen_ai.request.model": CHAT["asked"], "gen_ai.response.model": CHAT["answered"], "gen_ai.provider.name": "openai",
    "waybill.tokens.input": 29010, "waybill.tokens.cache_read": 12007, "waybill.tokens.output": 8006,
    "waybill.tokens.reasoning": 5003, "waybill.tokens.form": "inclusive",
    "waybill.cost.reported.total_micros": 250_000, "gen_ai.response.time_to_first_chunk": 0.04,
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": CACHED["prompt"]}]}]),
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": FACTS["system"]}]),
    "gen_ai.output.messages": json.dumps([{"role": "assistant",
                                           "parts": [{"type": "text", "content": CACHED["text"]}]}]),
    "gen_ai.response.finish_reasons": ["stop"], "gen_ai.response.id": "chatcmpl-1",
    "openai.response.service_tier": "default",
}


def judged(sent, stored, more_spans=(), **changed):
    span = came(sent)
    run = Run([exchange(**changed)], [span, *more_spans], [], {(span.trace_id, span.span_id): stored}, {}, {})
    return cells.Judge(run).all()


def verdicts(sent, stored, **more):
    return cells.folded(judged(sent, stored, **more))


def test_a_store_that_says_what_was_sent_is_right():
    found = judged(SENT, STORED)
    assert cells.wrong(found) == []
    assert {field for field, verdict in cells.folded(found).items() if verdict == cells.OK} == {
        *(field for field, key in cells.FIELDS.items() if key in STORED), "tokens.total", "tokens, summed"}


@pytest.mark.parametrize("key", STORED)
@pytest.mark.parametrize("how", ["missing", "changed"])
def test_each_value_that_is_missing_or_changed_is_seen(key, how):
    stored = dict(STORED)
    if how == "missing":
        del stored[key]
    else:
        value = stored[key]
        stored[key] = value + 1 if isinstance(value, (int, float)) else "another"
    field = next(field for field, own in cells.FIELDS.items() if own == key)
    assert verdicts(SENT, stored)[field] == "wrong"


@pytest.mark.parametrize("told, field", [
    ("their.session", "session.id"), ("their.user", "user.id"), ("their.agent", "agent.name"),
    ("their.workflow", "workflow.name"),
    ("their.answered", "model.response"), ("their.id", "response.id"), ("their.service_tier", "service_tier"),
    ("their.finish_reason", "finish_reasons"), ("gen_ai.usage.cost", "cost.total"), ("their.answer", "messages.output"),
    ("their.time_to_first_chunk", "time_to_first_chunk_s")])
def test_what_was_not_sent_is_no_fault(told, field):
    sent = {key: value for key, value in SENT.items() if key != told}
    stored = {key: value for key, value in STORED.items() if key != cells.FIELDS[field]}
    found = judged(sent, stored)
    assert cells.wrong(found) == [] and cells.folded(found)[field] == cells.NOT_SENT


def test_what_was_sent_with_another_span_only_is_a_fault():
    sent = {key: value for key, value in SENT.items() if key != "their.answered"}
    stored = {key: value for key, value in STORED.items() if key != "gen_ai.response.model"}
    other = came({"their.answered": SENT["their.answered"]})
    other.span_id = b"o" * 8
    other.start_time_unix_nano, other.end_time_unix_nano = FIRST_NS - 9 * MS, FIRST_NS - 8 * MS
    found = judged(sent, stored, more_spans=[other])
    assert cells.folded(found)["model.response"] == "wrong" and "was captured" in cells.wrong(found)[0]


def test_a_call_without_a_span_may_be_told_of_nowhere():
    """An instrumentation may lose a call; but what it tells of it elsewhere has to be with a span."""
    late = {"started_ns": FIRST_NS + 500 * MS, "ended_ns": FIRST_NS + 590 * MS}
    for lost in ({"response_id": ""}, {"response_id": "chatcmpl-2"},
                 {"response_id": "", "error": {"type": "t", "code": "c", "message": "It fell."}, "status": 500}):
        assert cells.wrong(judged(SENT, STORED, **lost, **late)) == [], lost
    assert "span.type" in cells.wrong(judged(SENT, STORED, **late))[0]
    told = {**SENT, "their.trouble": "It fell."}
    fell = {"response_id": "", "error": {"type": "t", "code": "c", "message": "It fell."}, "status": 500}
    assert cells.wrong(judged(told, STORED, **fell, **late)) != []


def test_a_text_counts_once():
    twice = [{"role": "assistant", "parts": [{"type": "text", "content": CACHED["text"]}] * 2}]
    assert verdicts(SENT, {**STORED, "gen_ai.output.messages": json.dumps(twice)})["messages.output"] == "wrong"


def test_bytes_that_no_span_carries_are_no_reason_for_nothing():
    """Not of a resource either: n/a is for what was exported nowhere."""
    sent = {key: value for key, value in SENT.items() if key != "their.user"}
    stored = {key: value for key, value in STORED.items() if key != "user.id"}
    span = came(sent)
    for raw, verdict in ((b"..", cells.NOT_SENT), (f"J{FACTS['user']}J".encode(), "wrong")):
        run = Run([exchange()], [span], [], {(span.trace_id, span.span_id): stored}, {}, {}, raw)
        found = cells.Judge(run).all()
        assert cells.folded(found)["user.id"] == verdict
        assert (FACTS["user"] in cells.reasons(found).get("user.id", "")) == (verdict == cells.NOT_SENT)


@pytest.mark.parametrize("status, said, told", [
    (404, "Error code: 404 - none", True), (404, "Error: 404 None", True), (404, "404", True),
    (404, "The page of 404", False), (404, "Error code: 4040", False)])
def test_a_status_in_a_message_is_told_where_it_is_said_to_be_one(status, said, told):
    fell = {"error": {"type": "t", "code": "c", "message": "none"}, "status": status, "response_id": ""}
    found = judged({**SENT, "their.trouble": said}, {**STORED, "error.message": "none"}, **fell)
    assert ("wrong" if told else cells.NOT_SENT) == cells.folded(found)["error.type"]


@pytest.mark.parametrize("value", [
    "plain text", json.dumps([{"role": "user", "content": CACHED["prompt"]}]),
    json.dumps({"messages": [{"role": "user", "parts": [{"type": "text", "content": CACHED["prompt"]}]}]})])
def test_messages_have_one_shape(value):
    assert verdicts(SENT, {**STORED, "gen_ai.input.messages": value})["messages.input"] == "wrong"


def test_nothing_is_subtracted_that_was_not_told():
    """Without the cache's count the input is what came; and nobody may make one up."""
    sent = {key: value for key, value in SENT.items() if key not in ("their.cached", "their.reasoning")}
    whole = {**STORED, "waybill.tokens.input": 41017, "waybill.tokens.output": 13009}
    del whole["waybill.tokens.cache_read"], whole["waybill.tokens.reasoning"], whole["waybill.tokens.form"]
    assert cells.wrong(judged(sent, whole)) == []
    made_up = verdicts(sent, {**whole, "waybill.tokens.input": 29010, "waybill.tokens.cache_read": 12007})
    assert made_up["tokens.input"] == made_up["tokens.cache_read"] == "wrong"


def test_a_count_that_a_package_tells_wrongly_is_not_ours():
    """opentelemetry-instrumentation-anthropic counts one token of a stream's output too many."""
    sent = {key: value for key, value in SENT.items() if key not in ("their.reasoning",)}
    sent["their.output"] = 13010
    stored = {**STORED, "waybill.tokens.output": 13010}
    del stored["waybill.tokens.reasoning"]
    assert cells.wrong(judged(sent, stored)) == []
    assert verdicts(sent, {**stored, "waybill.tokens.output": 13011})["tokens.output"] == "wrong"


def test_anthropic_counts_the_cache_apart():
    usage = usage_of("written")
    claude = {"path": "/v1/messages", "scenario": "written", "usage": {**usage, "reasoning": 0}}
    buckets = {"waybill.tokens.input": 14009, "waybill.tokens.cache_read": 12503, "waybill.tokens.cache_write": 9011,
               "waybill.tokens.output": 10103}
    stored = {**{key: value for key, value in STORED.items() if not key.startswith("waybill.tokens")}, **buckets}
    for came_as, form in ((14009, "exclusive"), (35523, "inclusive")):  # apart, or added by the instrumentation
        stored["waybill.tokens.form"] = form
        sent = {**SENT, "their.input": came_as, "their.cached": 12503, "their.written": 9011, "their.output": 10103}
        found = {cell.field: cell.verdict for cell in judged(sent, stored, **claude)
                 if cell.field.startswith("tokens")}
        assert "wrong" not in found.values(), (came_as, found)


def test_counts_of_a_span_above_are_not_summed():
    outer = came({"their.input": USAGE["input"]}, took_ms=200)
    outer.span_id, outer.start_time_unix_nano = b"o" * 8, FIRST_NS - 5 * MS
    span = came(SENT, parent_span_id=b"o" * 8)
    for kind, verdict in (("agent", cells.OK), ("llm_call", "wrong")):
        outer_has = {"waybill.span.type": kind, "waybill.tokens.input": 41017}
        stored = {(TRACE, b"s" * 8): STORED, (TRACE, b"o" * 8): outer_has}
        found = cells.folded(cells.Judge(Run([exchange()], [outer, span], [], stored, {}, {})).all())
        assert found["tokens, summed"] == verdict


def test_a_number_is_found_in_all_its_forms_and_not_in_another():
    for form in (12007, 12007.0, "12007", '{"cached_tokens":12007}'):
        assert Evidence([came({"their.count": form})], []).number(12007), form
    for form in (112007, 120070, "120071", 12007.5):
        assert not Evidence([came({"their.count": form})], []).number(12007), form


def test_a_text_is_found_as_a_word_and_in_json():
    for form in ("gpt-4o-mini", '{"model":"gpt-4o-mini"}'):
        assert Evidence([came({"their.model": form})], []).text("gpt-4o-mini"), form
    assert not Evidence([came({"their.model": "gpt-4o-mini-2024-07-18"})], []).text("gpt-4o-mini")
    quoted = json.dumps(json.dumps('say "aye"'))
    assert Evidence([came({"their.text": quoted})], []).text('say "aye"')
