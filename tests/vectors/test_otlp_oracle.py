# SPDX-License-Identifier: Apache-2.0
"""Waybill's readers of OTLP, through tests/support/otlp_feed.c, against the Python classes of
opentelemetry-proto: random requests of the three signals in protobuf and in JSON, good and bad."""

from __future__ import annotations

import copy
import json
import pathlib
import random
import struct
import subprocess
from typing import Any

import pytest
from otlp_random import BAD_TEXT, ID_BYTES, NOT_UTF8, REQUESTS, dump, message, plain, wire
from otlp_reference import Refused, read_json
from waybill_testkit import find_program

SIGNALS = ["traces", "logs", "metrics"]
ROUNDS = 1500
SAMPLES = pathlib.Path(__file__).with_name("otlp_json")
ITEMS = {"traces": ("scope_spans", "spans"), "logs": ("scope_logs", "log_records"),
         "metrics": ("scope_metrics", "metrics")}

Answer = tuple[bytes, int, int]


def feed(requests: list[tuple[str, str, bytes]]) -> list[Answer | str]:
    sent = b"".join(f"{what} {signal} {len(body)}\n".encode() + body for what, signal, body in requests)
    done = subprocess.run([find_program("otlp_feed")], input=sent, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    answers: list[Answer | str] = []
    out, at = done.stdout, 0
    while at < len(out):
        end = out.index(b"\n", at)
        line = out[at:end].decode("ascii")
        at = end + 1
        if line[0] == "!":
            answers.append(line[2:])
            continue
        size, accepted, rejected = map(int, line[2:].split())
        answers.append((out[at:at + size], accepted, rejected))
        at += size
    assert len(answers) == len(requests)
    return answers


def parsed(signal: str, body: bytes) -> Any:
    made = REQUESTS[signal]()
    made.ParseFromString(body)
    return made


def same(a: Any, b: Any) -> bool:
    """Also where there is a NaN."""
    return a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True)


# ---- what the walk has to leave out, said a second time ------------------------------------------


def is_good(part: Any) -> bool:
    for field, value in part.ListFields():
        for each in value if field.is_repeated else [value]:
            if field.message_type and not is_good(each):
                return False
            if isinstance(each, str) and BAD_TEXT in each:
                return False
            if field.name in ID_BYTES and len(each) not in (0, ID_BYTES[field.name]):
                return False
    if part.DESCRIPTOR.name == "Span":
        return any(part.trace_id) and any(part.span_id)
    return True


def is_good_head(group: Any, head: str) -> bool:
    return BAD_TEXT not in group.schema_url and is_good(getattr(group, head))


def points_of(item: Any) -> int:
    if item.DESCRIPTOR.name != "Metric":
        return 1
    return sum(len(value.data_points) for field, value in item.ListFields() if field.containing_oneof)


def judged(request: Any, signal: str) -> tuple[Any, int, int]:
    """What is left of the request, and how many spans, records or points were taken and left out."""
    scopes, items = ITEMS[signal]
    taken = left_out = 0
    rest = copy.deepcopy(request)
    resources = getattr(rest, "resource_" + scopes.split("_")[1])
    for i in reversed(range(len(resources))):
        good_resource = is_good_head(resources[i], "resource")
        groups, emptied = getattr(resources[i], scopes), 0
        before = len(groups)
        for j in reversed(range(len(groups))):
            good = good_resource and is_good_head(groups[j], "scope")
            bad = [k for k, item in enumerate(getattr(groups[j], items)) if not (good and is_good(item))]
            for k in reversed(bad):
                left_out += points_of(getattr(groups[j], items)[k])
                del getattr(groups[j], items)[k]
            taken += sum(map(points_of, getattr(groups[j], items)))
            if not good or (bad and not getattr(groups[j], items)):
                del groups[j]
                emptied += 1
        if not good_resource or (emptied and emptied == before):
            del resources[i]
    return rest, taken, left_out


# ---- the journal's payload, read by its published layout -----------------------------------------


def body_of(payload: bytes, signal: str) -> tuple[bytes, list[bytes]]:
    if signal == "metrics":
        return payload, []
    row = {"traces": 80, "logs": 72}[signal]
    magic, count, scopes, resources, length = struct.unpack_from("<4s4I", payload)
    assert magic == {"traces": b"WSB1", "logs": b"WLB1"}[signal]
    rows = 32 + 8 * resources + 12 * scopes
    assert len(payload) == rows + row * count + length
    return payload[-length or len(payload):], [payload[rows + row * i:rows + row * (i + 1)] for i in range(count)]


def assert_log_rows(rows: list[bytes], body: bytes, request: Any) -> None:
    logs = [(i, log) for i, group in enumerate(g for r in request.resource_logs for g in r.scope_logs)
            for log in group.log_records]
    assert len(rows) == len(logs)
    last_scope = -1
    for row, (_, log) in zip(rows, logs):
        trace, span, time, observed, flags, scope, at, size, name_at, name_size, severity = struct.unpack_from(
            "<16s8sQQIIIIIIB", row)
        assert trace == (log.trace_id or bytes(16)) and span == (log.span_id or bytes(8))
        assert (time, observed, flags) == (log.time_unix_nano, log.observed_time_unix_nano, log.flags)
        assert severity == (log.severity_number if 0 <= log.severity_number <= 24 else 0)
        assert body[name_at:name_at + name_size] == log.event_name.encode()
        again = type(log)()
        again.ParseFromString(body[at:at + size])
        assert same(again, log) and scope >= last_scope
        last_scope = scope


# ---- protobuf ------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_good_request_is_kept_byte_for_byte(signal):
    rng = random.Random(f"good {signal}")
    made = [message(rng, signal) for _ in range(ROUNDS)]
    made = [each for each in made if judged(each, signal)[2] == 0]
    assert len(made) > ROUNDS // 2
    for request, answer in zip(made, feed([("walk", signal, each.SerializeToString()) for each in made])):
        assert isinstance(answer, tuple), answer
        body, rows = body_of(answer[0], signal)
        assert body == request.SerializeToString()
        assert answer[1:] == (judged(request, signal)[1], 0)
        if signal == "logs":
            assert_log_rows(rows, body, request)


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_no_backend_could_take_is_left_out_and_the_rest_stays(signal):
    rng = random.Random(f"hostile {signal}")
    made = [message(rng, signal, hostile=True) for _ in range(ROUNDS)]
    rejected = 0
    for request, answer in zip(made, feed([("walk", signal, wire(each)) for each in made])):
        assert isinstance(answer, tuple), answer
        rest, taken, left_out = judged(request, signal)
        body, rows = body_of(answer[0], signal)
        assert answer[1:] == (taken, left_out)
        assert same(parsed(signal, body), rest)
        if signal == "logs":
            assert_log_rows(rows, body, rest)
        rejected += left_out
    assert rejected > ROUNDS // 10


@pytest.mark.parametrize("signal", SIGNALS)
def test_no_byte_that_protobuf_refuses_is_taken(signal):
    """Cut off and changed requests: what the walk takes, the generated classes parse, to the same."""
    rng = random.Random(f"broken {signal}")
    bodies = []
    for _ in range(ROUNDS):
        body = bytearray(message(rng, signal).SerializeToString())
        for _ in range(rng.randint(1, 3)):
            if body and rng.random() < 0.8:
                body[rng.randrange(len(body))] = rng.randrange(256)
            elif body:
                del body[rng.randrange(len(body)):]
        bodies.append(bytes(body))
    taken = 0
    for body, answer in zip(bodies, feed([("walk", signal, each) for each in bodies])):
        if isinstance(answer, str) or answer[2] > 0:
            continue
        taken += 1
        parsed(signal, body_of(answer[0], signal)[0])
    assert ROUNDS // 20 < taken < ROUNDS


# ---- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", SIGNALS)
def test_json_says_what_protobuf_says(signal):
    rng = random.Random(f"json {signal}")
    made = [message(rng, signal) for _ in range(ROUNDS)]
    texts = [dump(each, rng) for each in made]
    for request, text, answer in zip(made, texts, feed([("json", signal, text) for text in texts])):
        assert isinstance(answer, tuple), (answer, text)
        assert same(parsed(signal, answer[0]), request), text


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_what_sdks_write_is_taken_whole(path):
    """Bodies in the manner of the Node SDK's exporters and of the specification's examples."""
    signal = path.stem.split("_")[0]
    want, is_text = read_json(signal, path.read_bytes())
    [made] = feed([("json", signal, path.read_bytes())])
    assert isinstance(made, tuple), made
    assert is_text and same(parsed(signal, made[0]), want)
    [walked] = feed([("walk", signal, made[0])])
    assert isinstance(walked, tuple) and walked[1] >= 1 and walked[2] == 0


def mutated(rng: random.Random, text: bytes) -> bytes:
    """A few changes that leave it nearly JSON."""
    out = bytearray(text)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(out) or 1)
        how = rng.randrange(5)
        if how == 0 and out:
            out[at] = rng.choice(b'"\\{}[],:0123456789.-+eEnulltrue \n\x00\x1f\xffaA')
        elif how == 1:
            del out[at:at + rng.randint(1, 4)]
        elif how == 2:
            out[at:at] = rng.choice([b"null", b'"', b"1", b"{}", b",", b"\\ud800", b"\\n", b"e5", b".0", b"-"])
        elif how == 3:
            other = rng.randrange(len(out) or 1)
            out[at:at] = out[other:other + rng.randint(1, 40)]
        else:
            del out[at:]
    return bytes(out) or b" "


@pytest.mark.parametrize("signal", SIGNALS)
def test_json_is_read_as_a_second_reader_reads_it(signal):
    """Changed texts: both take the same ones, to the same message."""
    rng = random.Random(f"mutated {signal}")
    texts = []
    while len(texts) < 2 * ROUNDS:
        text = dump(message(rng, signal), rng)
        if len(text) < 4000:
            texts += [mutated(rng, text) for _ in range(4)]
    taken = 0
    for text, answer in zip(texts, feed([("json", signal, text) for text in texts])):
        try:
            want, is_text = read_json(signal, text)
        except Refused as refused:
            assert isinstance(answer, str), (refused, text)
            continue
        assert isinstance(answer, tuple), (answer, text)
        taken += 1
        if is_text:
            assert same(parsed(signal, answer[0]), want), text
    assert len(texts) // 20 < taken < len(texts)


def test_text_that_is_not_utf8_costs_its_span_alone():
    rng = random.Random(7)
    for bad in (NOT_UTF8, b"\\ud800", b"\\udc00\\ud800", b"\xc3("):
        request = REQUESTS["traces"]()
        spans = request.resource_spans.add().scope_spans.add().spans
        for name in ("good", BAD_TEXT, "good"):
            spans.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8), name=name)
        text = json.dumps(plain(request)).encode().replace(BAD_TEXT.encode(), bad)
        [made] = feed([("json", "traces", text)])
        assert isinstance(made, tuple), made
        [walked] = feed([("walk", "traces", made[0])])
        assert walked[1:] == (2, 1)
