# SPDX-License-Identifier: Apache-2.0
"""Work for a sidecar that faults are brought upon, and the account of it.

`Load` is a number of conversations at once: each records spans, delegates, accepts its own token,
finishes, settles. What the sidecar acknowledges is written to the `Oracle`, a file outside of it, and
synced there before it counts. A request without an answer is sent again with the same id, as every
client does. `count_lost` and `count_doubled` hold the store against the oracle:

    lost      acknowledged, and not in the store, or in an older state than was acknowledged
    doubled   one token accepted twice; a span that counted twice; a repeated request done twice
"""

from __future__ import annotations

import collections
import os
import pathlib
import random
import sqlite3
import threading
import time
from typing import Any

import waybill_testkit  # noqa: F401: puts client/python on the path

from waybill import _otlp, _wire, digest
from waybill._connection import Connection
from waybill._wire import Request, Status

TALKERS = 24
SPANS = 8
REPLAYS = 64
ANSWER_S = 120.0
PAUSE_S = 0.05
PUT_OFF_S = 1.0
SELF = "spiffe://kill.example/agent"
URL = "http://127.0.0.1:1"
SMALL_SEGMENTS = "segment_bytes: 64KiB"
CONFIG = f"""
self_ids: [{SELF}]
peers: [{{id: {SELF}, origins: ["{URL}"]}}]
trust: {{skew_s: 2, callbacks: true, policies: {{{SELF}: {{verdict: continue}}}}}}
journal: {{{SMALL_SEGMENTS}}}
token: {{expiry_s: 600}}
admin: {{listen: "127.0.0.1:0"}}
"""
KINDS = ("span", "delegated", "accepted", "finished", "settled")


class Oracle:
    """What was acknowledged: one line each, on the disk before it counts."""

    def __init__(self, path: pathlib.Path) -> None:
        self._file = open(path, "ab", buffering=0)
        self._path = path
        self._lock = threading.Lock()

    def note(self, kind: str, *found: bytes) -> None:
        lines = b"".join(f"{kind} {one.hex()}\n".encode() for one in found)
        with self._lock:
            self._file.write(lines)
            os.fsync(self._file.fileno())

    def read(self) -> dict[str, set[bytes]]:
        found: dict[str, set[bytes]] = {kind: set() for kind in KINDS}
        for line in self._path.read_text().splitlines():
            kind, text = line.split()
            if bytes.fromhex(text) in found[kind]:
                raise SystemExit(f"acknowledged twice to the oracle: {line}")
            found[kind].add(bytes.fromhex(text))
        return found


class Load:
    """The conversations.

    The connection sends again by itself what is answered FULL, UNAVAILABLE or TIMEOUT.

    patient   so does the load with NO_MEMORY, and it counts requests that waited a second or more in
              `put_off`
    pause_s   of a talker between two conversations"""

    def __init__(self, socket: str, oracle: Oracle, *, talkers: int = TALKERS, patient: bool = False,
                 pause_s: float = 0.0) -> None:
        self._connection = Connection(socket)
        self._oracle = oracle
        self._patient, self._pause_s = patient, pause_s
        self.put_off = 0
        self.done = 0  # conversations
        self._lock = threading.Lock()
        self._resource = _otlp.resource({"service.name": "kill"})
        self._scope = _otlp.scope("kill")
        self._ending = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._newest: collections.deque[tuple[dict[str, Any], bytes]] = collections.deque(maxlen=REPLAYS)
        self.waiting = 0
        self.talking = 0
        self.troubles: list[str] = []
        self._threads = [threading.Thread(target=self._talk) for _ in range(talkers)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._replay()
        self._connection.close()

    def rest(self) -> None:
        """Return when every conversation has come to its end; `go_on` starts new ones."""
        self._going.clear()
        end = time.monotonic() + ANSWER_S
        while self.talking and time.monotonic() < end:
            time.sleep(0.01)

    def go_on(self) -> None:
        self._going.set()

    def record_one(self, name: str) -> None:
        """One span of that name, beside the conversations, and not in the oracle."""
        self._record([name], note=False)

    def poke(self) -> None:
        """One request, whatever becomes of it."""
        self._connection.submit(Request(id=os.urandom(16), protocol=1, record=_wire.Record(
            traces=self._export(["poke"])[0])), 1.0)

    def abandon(self) -> None:
        """Give up: nobody will answer."""
        self._ending.set()
        self._connection.close()

    def _replay(self) -> None:
        """The newest tokens once more, under new ids: each was accepted before, whatever was killed."""
        for facts, first in self._newest:
            said = self.ask(accept=_wire.Accept(acceptance_id=os.urandom(16), **facts), refused=True)
            found = said.accept
            if self._patient and said.wire_class == "stale":
                continue  # the clock has jumped meanwhile
            if not found or found.verdict != _wire.Verdict.DUPLICATE or found.acceptance_id != first:
                self.troubles.append(f"a token was accepted twice: {said}")

    def newest(self) -> list[dict[str, Any]]:
        """What was accepted last: the facts of an Accept, without its id."""
        return [facts for facts, _ in self._newest]

    def accept_again(self, facts: dict[str, Any]) -> bool:
        """Whether a token goes through once more."""
        said = self.ask(accept=_wire.Accept(acceptance_id=os.urandom(16), **facts), refused=True)
        return said.status == Status.OK

    def ask(self, refused: bool = False, **body: Any) -> _wire.Reply:
        """refused: a refusal is an answer too."""
        request = Request(id=os.urandom(16), protocol=1, **body)
        end = time.monotonic() + ANSWER_S
        reply = self._send(request)
        while self._patient and reply.status == Status.NO_MEMORY and time.monotonic() < end:
            time.sleep(PAUSE_S)
            reply = self._send(request)
        if reply.status != Status.OK and not refused:
            raise RuntimeError(f"{next(iter(body))}: {reply.status} {reply.detail}")
        return reply

    def _send(self, request: Request) -> _wire.Reply:
        started = time.monotonic()
        with self._lock:
            self.waiting += 1
        try:
            return self._connection.submit(request, ANSWER_S).result(ANSWER_S + 5)
        finally:
            with self._lock:
                self.waiting -= 1
                self.put_off += time.monotonic() - started >= PUT_OFF_S

    def _talk(self) -> None:
        while not self._ending.is_set():
            if not self._going.wait(0.05):
                continue
            with self._lock:
                self.talking += 1
            try:
                self._record(["load"] * SPANS)
                self._hand_over()
                self.done += 1
            except Exception as error:  # noqa: BLE001: whatever it is, the rounds have failed
                self.troubles.append(f"{type(error).__name__}: {error}")
                return
            finally:
                with self._lock:
                    self.talking -= 1
            self._ending.wait(self._pause_s)

    def _export(self, names: list[str]) -> tuple[bytes, list[bytes]]:
        """OTLP for spans of these names, and their ids: trace id and span id."""
        trace_id, now = os.urandom(16), time.time_ns()
        ids = [os.urandom(8) for _ in names]
        spans = [
            (self._resource, self._scope,
             _otlp.span(trace_id=trace_id, span_id=span_id, name=name, kind=1, start_ns=now,
                        end_ns=now + 1, attrs={"text": "x" * random.randrange(400)}))
            for name, span_id in zip(names, ids, strict=True)
        ]
        return _otlp.export_request(spans), [trace_id + span_id for span_id in ids]

    def _record(self, names: list[str], note: bool = True) -> None:
        traces, ids = self._export(names)
        said = self.ask(record=_wire.Record(traces=traces)).record
        if said is None or said.accepted_spans != len(ids):
            raise RuntimeError(f"record: {said}")
        if note:
            self._oracle.note("span", *ids)

    def _hand_over(self) -> None:
        """One delegation from its first to its last day."""
        delegation_id, salt, message_id = os.urandom(16), os.urandom(16), os.urandom(8).hex()
        facts: dict[str, Any] = {
            "method": "SendMessage", "message_id": message_id,
            "body_digest": digest.body_digest(salt, [{"text": message_id}]),
        }
        made = self.ask(delegate=_wire.Delegate(
            delegation_id=delegation_id, target_url=URL, salt=salt, trace_flags=1, **facts)).delegate
        self._oracle.note("delegated", delegation_id)
        if made is None or not made.carrier:
            raise RuntimeError(f"delegate: unsigned: {made}")
        facts |= {"carrier": made.carrier, "traceparent": made.traceparent}
        accepted = self.ask(accept=_wire.Accept(acceptance_id=os.urandom(16), **facts)).accept
        if accepted is None or accepted.verdict != _wire.Verdict.CONTINUE:
            raise RuntimeError(f"accept: {accepted}")
        self._oracle.note("accepted", accepted.acceptance_id)
        self._newest.append((facts, accepted.acceptance_id))
        self.ask(finish=_wire.Finish(acceptance_id=accepted.acceptance_id, outcome="ok"))
        self._oracle.note("finished", accepted.acceptance_id)
        self.ask(settle=_wire.Settle(delegation_id=delegation_id, outcome="answered"))
        self._oracle.note("settled", delegation_id)


# ---- what the store holds ------------------------------------------------------------------------


Stores = list[sqlite3.Connection]  # one, or several that hold different parts


def ids(stores: Stores, query: str) -> set[bytes]:
    return {b"".join(row) for db in stores for row in db.execute(query)}


def count_lost(stores: Stores, oracle: dict[str, set[bytes]]) -> dict[str, int]:
    stored = {
        "span": ids(stores, "SELECT trace_id, span_id FROM spans"),
        "delegated": ids(stores, "SELECT delegation_id FROM delegations"),
        "accepted": ids(stores, "SELECT acceptance_id FROM acceptances WHERE verdict = 'continue'"),
        "finished": ids(stores, "SELECT acceptance_id FROM acceptances WHERE outcome = 'ok'"),
        "settled": ids(stores, "SELECT delegation_id FROM delegations WHERE state = 'answered'"),
        "server span": ids(stores, "SELECT trace_id, span_id FROM spans WHERE kind = 'server'"),
        "client span": ids(stores, "SELECT trace_id, span_id FROM spans WHERE kind = 'client'"),
    }
    wanted = {
        **oracle,
        "server span": ids(stores, "SELECT trace_id, span_id FROM acceptances WHERE outcome = 'ok'"),
        "client span": ids(stores, "SELECT trace_id, span_id FROM delegations WHERE closed_ns > 0"),
    }
    return {kind: len(found - stored[kind]) for kind, found in wanted.items()}


def count_doubled(db: sqlite3.Connection) -> dict[str, int]:
    """The primary keys of the store keep ids single; doubling shows in what is added up, and in one
    token under two ids."""
    twice = "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) n FROM {} GROUP BY {})"
    added = "SELECT (SELECT sum({}) FROM trace_parts) - (SELECT count(*) FROM {})"
    return {
        "acceptances of a token": db.execute(
            twice.format("acceptances WHERE length(token_hash) > 0", "token_hash")).fetchone()[0],
        "delegations of a message": db.execute(twice.format("delegations", "message_id")).fetchone()[0],
        "spans counted": abs(db.execute(added.format("span_count", "spans")).fetchone()[0]),
        "delegations counted":
            abs(db.execute(added.format("delegation_count", "delegations")).fetchone()[0]),
        "acceptances counted":
            abs(db.execute(added.format("acceptance_count", "acceptances")).fetchone()[0]),
    }
