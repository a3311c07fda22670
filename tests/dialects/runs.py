# SPDX-License-Identifier: Apache-2.0
"""One package's run, and which of its spans is which.

Spans are told apart by when they were open and by what lies below what, since every package has other names for
them: what was open while the provider thought is a call of a model, what ran between the two halves of the tool's
scenario is the tool's."""

from __future__ import annotations

import re
from typing import Any

from evidence import Evidence
from provider import FACTS, WAIT_S, Exchange


def is_http_alone(span: Any) -> bool:
    """A span of an HTTP client, which knows nothing of models."""
    keys = {pair.key for pair in span.attributes}
    return bool(keys & {"http.method", "http.request.method"}) and not any(key.startswith("gen_ai.") for key in keys)


class Run:
    """One package's run: what the provider sent, what was captured, what the store has.

    stored     (trace id, span id): attributes, of the store's spans
    records    (trace id, span id): the store's log records that name this span, as bytes
    caught     scenario: names under which the sender saw its error
    raw        all that was exported, as it came
    """

    def __init__(self, exchanges: list[Exchange], spans: list[Any], logs: list[Any],
                 stored: dict[Any, dict[str, Any]], records: dict[Any, list[bytes]],
                 caught: dict[str, list[str]], raw: bytes = b"") -> None:
        self.exchanges, self.spans, self.logs = exchanges, spans, logs
        self.stored, self.records, self.caught = stored, records, caught
        self.raw = raw
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
        if found is None:
            return None
        tells = Evidence([found], []).text
        models = {exchange.asked["model"], exchange.model} - {""}
        put_around = any(tells(FACTS[name]) for name in ("agent", "workflow")) and not any(map(tells, models))
        return None if put_around else found

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

    def has_bytes(self, text: str) -> bool:
        """In the bytes of all that was exported, also of resources, scopes and keys. An asked model's name is also the
        beginning of an answered one's."""
        return bool(text) and re.search(re.escape(text.encode()) + rb"(?!-)", self.raw) is not None

    def whole(self) -> Evidence:
        return Evidence(self.spans, self.logs)

    def attributes(self, span: Any) -> dict[str, Any]:
        return self.stored.get(self.id(span), {})

    def up(self, span: Any, key: str) -> list[Any]:
        """Values of a key in the store, of a span and those above it."""
        return [found[key] for found in map(self.attributes, [span, *self.above(span)]) if key in found]
