# SPDX-License-Identifier: Apache-2.0
"""Cases through the sidecar's own parts: files as an operator lays them, state as a journal holds it,
an Accept over the real socket. tests/support/accept_host.c is the other side.

A client learns class and `ref` of a refusal, no more; its code and warnings are looked up in the log,
under that `ref`. What was accepted is read from the acceptance's row.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from reference.strict import b64url
from waybill_testkit import find_program

from waybill import _sp, _wire

Json = dict[str, Any]
REQUESTS = 1 << 20
VERDICTS = {1: "CONTINUE", 2: "LINK", 3: "DUPLICATE", 4: "REJECT"}


def _hex(text: str) -> str:
    raw = b64url(text)
    assert raw is not None
    return raw.hex()


def carrier_text(case: Json) -> str:
    if "carrier_text" in case:
        return str(case["carrier_text"])
    return "" if case["carrier"] is None else json.dumps(case["carrier"])


class Host:
    """One process of accept_host, opened on one situation after the other."""

    def __init__(self, vectors: Json) -> None:
        self._vectors = vectors
        fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._base = pathlib.Path(tempfile.mkdtemp(prefix="wb-", dir=fast))
        self._log = open(self._base / "log", "w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [find_program("accept_host"), self._base / "ipc.sock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, text=True, bufsize=1)
        self._socket: socket.socket | None = None
        self._open = 0
        self.reply = _wire.Reply()  # the last one
        self._requests = 0

    def close(self) -> None:
        """End the program, which must say that all went well: sanitizers do it by their exit code."""
        self._hang_up()
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        code = self._process.wait(timeout=60)
        self._log.seek(0)
        said = self._log.read()[-2000:]
        self._log.close()
        shutil.rmtree(self._base)
        assert code == 0, said

    def _ask(self, line: str) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(line + "\n")
        answer = self._process.stdout.readline()
        if not answer:
            self._log.seek(0)
            raise AssertionError(f"accept_host ended at {line}: {self._log.read()[-2000:]}")
        return answer.strip()

    # -- a situation -----------------------------------------------------------------------------

    def open(self, case: Json) -> None:
        """Start the parts for the configuration, clock and state of `case`."""
        self._ask("close")
        shutil.rmtree(self._base / str(self._open), ignore_errors=True)
        self._open += 1
        folder = self._base / str(self._open)
        for name in (folder, folder / "keys", folder / "trust.d"):
            name.mkdir(mode=0o700)
        self._lay_keys(folder, case["config"])
        (folder / "config.yaml").write_text(json.dumps(_configuration(case["config"])))
        (folder / "state").write_text("".join(line + "\n" for line in _state(case)))
        assert self._ask(f"open {folder} {case['now']}") == "open"
        if self._socket is None:
            self._connect(self._base / "ipc.sock")

    def _lay_keys(self, folder: pathlib.Path, config: Json) -> None:
        key = self._vectors["keys"][config["own_keys"][0]]
        seed = _b64(bytes.fromhex(key["seed"]))
        _write(folder / "keys" / "current.key", f"waybill-sk-v1:{key['kid']}:{seed}\n", 0o600)
        for name in config["bundles"]:
            bundle = {"wb_bundles": [self._vectors["bundles"][name]]}
            _write(folder / "trust.d" / f"{name}.bundle.json", json.dumps(bundle), 0o644)
        if config["revoked"]:
            lines = "".join(line + "\n" for line in config["revoked"])
            _write(folder / "trust.d" / "revoked.txt", lines, 0o644)

    # -- a message -------------------------------------------------------------------------------

    def _connect(self, path: pathlib.Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._socket.sendall(_sp.header())
        self._decoder = _sp.Decoder(REQUESTS)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _request(self, accept: _wire.Accept) -> _wire.Reply:
        assert self._socket is not None
        self._requests += 1
        body = _wire.encode(_wire.Request(id=os.urandom(16), protocol=1, accept=accept))
        self._socket.sendall(_sp.frame(_sp.FINAL | self._requests, body))
        while True:
            data = self._socket.recv(REQUESTS)
            assert data, "the sidecar closed the connection"
            for number, reply in self._decoder.feed(data):
                assert number == _sp.FINAL | self._requests
                return _wire.decode(_wire.Reply, reply)

    def accept(self, case: Json, carrier: str | None = None) -> Json:
        """What the sidecar says of the case's message, as `expect` would put it."""
        message = case["message"]
        digest = b64url(message["bdg"]) if message["bdg"] is not None else b""
        accept = _wire.Accept(
            acceptance_id=os.urandom(16), carrier=carrier_text(case) if carrier is None else carrier,
            traceparent=message.get("traceparent", ""), method=message["method"],
            message_id=message["messageId"], context_id=message.get("contextId", ""),
            task_id=message.get("taskId", ""), body_digest=digest or b"", peer=message["peer"])
        reply = self.reply = self._request(accept)
        assert reply.accept is not None, reply
        verdict = VERDICTS[reply.accept.verdict]
        if reply.status == _wire.Status.OK:
            row = json.loads(self._ask(f"row {accept.acceptance_id.hex()}"))
            assert VERDICTS[row["verdict"]] == verdict and row["verified"] == reply.accept.verified
            assert row["warnings"] == reply.accept.warnings
            return {"verdict": verdict, "verified": row["verified"], "code": row["code"] or None,
                    "class": reply.wire_class or None, "warnings": row["warnings"]}
        assert reply.status == _wire.Status.DENIED, reply
        assert reply.detail == "refused by Waybill", reply.detail
        said = self._refusal(reply.ref)
        assert said["class"] == reply.wire_class
        answer = {"verdict": verdict, "verified": reply.accept.verified,
                  "code": said["code"] or None, "class": reply.wire_class,
                  "warnings": said["warnings"].split()}
        if verdict == "DUPLICATE":
            answer["acceptance"] = reply.accept.acceptance_id.hex()
        return answer

    def _refusal(self, ref: str) -> Json:
        """The line of the log that is known by `ref`. It was written before the reply."""
        with open(self._log.name, encoding="utf-8") as log:
            log.seek(max(0, os.path.getsize(self._log.name) - 16384))
            for line in reversed(log.readlines()):
                if f'"{ref}"' in line:
                    return dict(json.loads(line))
        raise AssertionError(f"no line in the log for {ref}")


def _b64(data: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _write(path: pathlib.Path, text: str, mode: int) -> None:
    path.write_text(text)
    path.chmod(mode)


def _configuration(config: Json) -> Json:
    """What the case's `config` is in a configuration file; JSON is YAML."""
    return {
        "self_ids": config["self_ids"],
        "trust": {"mode": config["mode"], "callbacks": config["callbacks"],
                  "skew_s": config["skew"], "policies": config["policies"]},
        "journal": {"segment_bytes": 262144, "limit_bytes": 1048576},
    }


def _state(case: Json) -> Iterator[str]:
    state = case["state"]
    if state["purged"]:
        yield f"purged {state['purged']}"
    if state["recovered"]:
        yield f"recovered {state['recovered']}"
    for row in state["replay"]:
        yield (f"replay {row['iss']} {_hex(row['jti'])} {_hex(row['hash'])} {row['acceptance']}"
               f" {case['now'] + 600}")
    for tid, owner in state["owners"].items():
        yield f"owner {tid} {owner}"
    for task, owner in state["tasks"].items():
        yield f"task {task} {owner['sub']} {owner['iss']}"
    if state["replay_full"]:
        yield "full"
    if state["rate_empty"]:
        yield f"poor {case['message']['peer']}"


def _situation(case: Json) -> str:
    facts = json.dumps([case["config"], case["state"], case["now"]], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()


def answers(vectors: Json, cases: Iterable[Json]) -> dict[str, Json]:
    """By name. Cases of one situation share the parts, up to the one that changes their state."""
    said: dict[str, Json] = {}
    host = Host(vectors)
    with contextlib.closing(host):
        open_for = ""
        for case in sorted(cases, key=lambda case: (_situation(case), case["expect"]["verified"])):
            if _situation(case) != open_for:
                host.open(case)
                open_for = _situation(case)
            said[case["name"]] = host.accept(case)
            if said[case["name"]]["verified"]:
                open_for = ""
    return said
