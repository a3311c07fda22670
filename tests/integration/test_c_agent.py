# SPDX-License-Identifier: Apache-2.0
"""The example agent in C, alone beside real sidecars: good messages, bad ones, and its end.

Its place between agents in Python is the demo's (tests/demo)."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from typing import Any, Iterator

import c_agent
import pytest
import waybill
import waybill.digest
from waybill_testkit import Sidecar, free_port, wait_until

CALLER = "spiffe://c.example/caller"
CALLED = "spiffe://c.example/called"
NEXT = "spiffe://c.example/next"
MIB = 1024 * 1024
REFUSED = "type.googleapis.com/google.rpc.ErrorInfo"
GOOD = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "three small words"}]}


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> pathlib.Path:
    prefix = tmp_path_factory.mktemp("c_agent") / "prefix"
    c_agent.install_client(prefix)
    return c_agent.build_by_pkg_config(prefix, prefix / "proofreader")


class Running:
    """The agent as a process, and calls to it."""

    def __init__(self, program: pathlib.Path, env: dict[str, str], *args: str) -> None:
        self.process = subprocess.Popen([str(program), *args], env=env, text=True, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.port = int(self.url.rsplit(":", 1)[1].strip("/"))

    def http(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def call(self, body: bytes, version: str = "1.0", **headers: str) -> dict[str, Any]:
        sent = {"A2A-Version": version, "Content-Type": "application/json", **headers}
        status, text = self.http("POST", "/", body, sent)
        assert status == 200
        return dict(json.loads(text))

    def send(self, message: Any, method: str = "SendMessage", **headers: str) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"message": message}}
        return self.call(json.dumps(body).encode(), **headers)

    def end(self) -> str:
        """SIGTERM; returns what it complained of."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, said
        assert "Sanitizer" not in said and "runtime error" not in said
        return said


@contextlib.contextmanager
def running(program: pathlib.Path, env: dict[str, str], *args: str) -> Iterator[Running]:
    agent = Running(program, env, *args)
    try:
        yield agent
        if agent.process.poll() is None:
            agent.end()
    finally:
        if agent.process.poll() is None:
            agent.process.kill()
            agent.process.communicate()


def env_of(sidecar: Sidecar) -> dict[str, str]:
    return {**sidecar.env, "WAYBILL_SOCKET": str(sidecar.socket)}


@pytest.fixture(scope="module")
def alone(program, tmp_path_factory) -> Iterator[Running]:
    """Without a sidecar: it works on."""
    env = {**os.environ, "WAYBILL_SOCKET": str(tmp_path_factory.mktemp("none") / "none.sock")}
    with running(program, env) as agent:
        yield agent


def test_a_message_is_answered_by_a_message_with_the_calls_id(alone):
    answer = alone.send({**GOOD, "contextId": "c1"})
    message = answer["result"]["message"]
    assert answer["id"] == 7 and answer["jsonrpc"] == "2.0"
    assert message["parts"] == [{"text": "3 words, and nobody to ask"}]
    assert message["role"] == "ROLE_AGENT" and message["contextId"] == "c1" and message["messageId"]


@pytest.mark.parametrize(
    "body,code",
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"{} trailing", -32700),
        (b"[" * 100_000, -32700),
        (b'{"a":1}\0', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"x":"\\u0000"}}', -32700),
        (b"null", -32600),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"SendMessage"}]', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"SendMessage"}', -32600),
        (b'{"jsonrpc":"2.0","method":"SendMessage"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"SendMessage"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"message/send"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"SendStreamingMessage"}', -32004),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"t"}}', -32001),
        (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage"}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":[]}', -32602),
    ],
)
def test_a_bad_call_gets_its_json_rpc_error(alone, body, code):
    answer = alone.call(body)
    assert answer["error"]["code"] == code and answer["error"]["message"]
    assert "result" not in answer and "id" in answer


@pytest.mark.parametrize(
    "change,code",
    [
        ({"messageId": ""}, -32602),
        ({"messageId": 5}, -32602),
        ({"parts": []}, -32602),
        ({"parts": {"text": "no list"}}, -32602),
        ({"taskId": "t1"}, -32001),
    ],
)
def test_a_bad_message_gets_its_json_rpc_error(alone, change, code):
    assert alone.send({**GOOD, **change})["error"]["code"] == code


@pytest.mark.parametrize("odd", [[None], [5], [{"text": 7}], [{"data": {"a": 1}}], [{"raw": "%%"}]])
def test_parts_without_text_are_no_words(alone, odd):
    assert alone.send({**GOOD, "parts": odd})["result"]["message"]["parts"][0]["text"].startswith("0 words")


@pytest.mark.parametrize("version", ["", "0.3", "2.0"])
def test_another_version_of_a2a_is_refused(alone, version):
    assert alone.call(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage"}).encode(),
                      version)["error"]["code"] == -32009


def test_a_body_is_taken_up_to_its_limit_and_no_further(alone):
    room = MIB - len(json.dumps({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": {
        **GOOD, "parts": [{"text": ""}]}}}))
    assert "result" in alone.send({**GOOD, "parts": [{"text": "x" * room}]})
    status, text = alone.http("POST", "/", b"x" * (MIB + 1), {"A2A-Version": "1.0"})
    assert status == 413 and json.loads(text)["error"]["code"] == -32600


def test_a_body_without_end_is_cut_off(alone):
    with socket.create_connection(("127.0.0.1", alone.port), timeout=20) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        with pytest.raises(OSError):
            for _ in range(1000):
                peer.sendall(b"x" * 65536)
    assert "result" in alone.send(GOOD)


@pytest.mark.parametrize(
    "method,path,status",
    [("GET", "/", 405), ("PUT", "/", 405), ("POST", "/.well-known/agent-card.json", 405),
     ("GET", "/other", 404), ("POST", "/other", 404), ("GET", "/.well-known/agent-card.json", 200)],
)
def test_paths_and_methods(alone, method, path, status):
    assert alone.http(method, path)[0] == status


def test_the_card_declares_the_extension_and_the_agents_id(program, tmp_path):
    env = {**os.environ, "WAYBILL_SOCKET": str(tmp_path / "none.sock")}
    with running(program, env, "--agent-id", CALLED) as agent:
        card = json.loads(agent.http("GET", "/.well-known/agent-card.json")[1])
        assert card["supportedInterfaces"] == [
            {"url": agent.url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        ]
        (extension,) = card["capabilities"]["extensions"]
        assert extension["uri"] == waybill.EXTENSION_URI and extension["required"] is False
        assert extension["params"] == {"agent_id": CALLED}


def test_a_taken_port_and_wrong_options_are_said(program, alone):
    done = subprocess.run([str(program), "--port", str(alone.port)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and str(alone.port) in done.stderr
    for wrong in (["--port", "x"], ["--port", "65536"], ["--what"], ["more"]):
        assert subprocess.run([str(program), *wrong], capture_output=True, timeout=20).returncode == 2


# ---- with sidecars -------------------------------------------------------------------------------


class World:
    """A caller's sidecar and the agent's, which believes it. `answers` of the next agent, which writes
    down what it hears."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.heard: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.answer: Any = {"result": {"message": {"messageId": "a", "parts": [{"text": "claim: 1"}]}}}
        self.status, self.delay_s = 200, 0.0
        self.ports = {"called": free_port(), "next": free_port()}
        self.sidecars = {
            "caller": self.sidecar(folder, "caller", CALLER, CALLED, "called"),
            "called": self.sidecar(folder, "called", CALLED, NEXT, "next"),
        }
        caller, called = self.sidecars.values()
        for sidecar, name in ((caller, CALLER), (called, CALLED)):
            sidecar.cli("key", "new")
        shown = json.loads(caller.cli("key", "show", "--json", "--id", CALLER))
        called.cli("trust", "add", "--id", CALLER, shown["keys"][0]["x"])

    def sidecar(self, folder: pathlib.Path, name: str, own: str, peer: str, port: str) -> Sidecar:
        origin = f"http://127.0.0.1:{self.ports[port]}"
        config = {"self_ids": [own], "peers": [{"id": peer, "origins": [origin]}]}
        return Sidecar(name, data_home=folder / "data", config=json.dumps(config))

    def signed(self, client: waybill.Waybill, text: str) -> dict[str, Any]:
        """A message with a token of the caller's, and its headers."""
        salt, parts = os.urandom(16), [{"text": text}]
        message_id = os.urandom(8).hex()
        delegation = client.delegate(
            waybill.Target(url=f"http://127.0.0.1:{self.ports['called']}/", declares=True),
            method="SendMessage", message_id=message_id, salt=salt,
            body_digest=waybill.digest.body_digest(salt, parts))
        assert delegation.carrier, delegation
        return {"messageId": message_id, "role": "ROLE_USER", "parts": parts,
                "metadata": {waybill.EXTENSION_URI: json.loads(delegation.carrier)},
                "extensions": [waybill.EXTENSION_URI]}

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Nothing, while the store is still being made."""
        store = f"file:{self.sidecars['called'].store}?mode=ro"
        with contextlib.suppress(sqlite3.OperationalError):
            with contextlib.closing(sqlite3.connect(store, uri=True)) as db:
                db.row_factory = sqlite3.Row
                return [dict(row) for row in db.execute(query)]
        return []


def next_agent(world: World) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self, status: int, body: Any) -> None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(raw)

        def do_GET(self) -> None:
            self.reply(200, {
                "name": "next", "capabilities": {"extensions": [{"uri": waybill.EXTENSION_URI}]},
                "supportedInterfaces": [{"url": f"http://127.0.0.1:{world.ports['next']}/a2a",
                                         "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            world.heard.append((dict(self.headers), body))
            time.sleep(world.delay_s)
            self.reply(world.status, world.answer)

        def log_message(self, *_args: Any) -> None:
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", world.ports["next"]), Handler)


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    made = World(tmp_path)
    server = next_agent(made)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        for sidecar in made.sidecars.values():
            sidecar.start()
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for sidecar in made.sidecars.values():
            sidecar.close()


@pytest.fixture
def client(world) -> Iterator[waybill.Waybill]:
    caller = waybill.Waybill(socket=str(world.sidecars["caller"].socket))
    yield caller
    caller.close()


def agent_in(world: World, program: pathlib.Path, *args: str):
    return running(program, env_of(world.sidecars["called"]), "--port", str(world.ports["called"]),
                   "--agent-id", CALLED, *args)


def next_url(world: World) -> str:
    return f"http://127.0.0.1:{world.ports['next']}/"


def test_a_token_is_verified_passed_on_as_a_chain_and_finished(world, client, program):
    with agent_in(world, program, "--next", next_url(world)) as agent:
        answer = agent.send(world.signed(client, "claim: 1"))
        assert answer["result"]["message"]["parts"] == [{"text": "confirmed, 2 words: claim: 1"}]
        assert waybill.EXTENSION_URI not in json.dumps(answer)
    ((headers, call),) = world.heard
    message = call["params"]["message"]
    assert len(message["metadata"][waybill.EXTENSION_URI]["chain"]) == 2
    assert message["extensions"] == [waybill.EXTENSION_URI] == [headers["A2A-Extensions"]]
    assert headers["A2A-Version"] == "1.0" and headers["traceparent"]
    wait_until(lambda: world.rows("SELECT * FROM acceptances WHERE finished_ns IS NOT NULL"), 10)
    (accepted,) = world.rows("SELECT * FROM acceptances")
    assert (accepted["verdict"], accepted["verified"], accepted["outcome"]) == ("continue", 1, "ok")
    wait_until(lambda: world.rows("SELECT * FROM delegations WHERE depth = 1 AND state = 'answered'"), 10)
    assert {"proofread", "count words"} <= {row["name"] for row in world.rows("SELECT * FROM spans")}


@pytest.mark.parametrize("plant", ["text", "message_id", "signature", "replay", "salt"])
def test_a_token_that_does_not_fit_is_refused_with_class_and_ref_alone(world, client, program, plant):
    with agent_in(world, program) as agent:
        message = world.signed(client, "pay 10")
        carrier = message["metadata"][waybill.EXTENSION_URI]
        if plant == "text":
            message["parts"] = [{"text": "pay 1000"}]
        elif plant == "message_id":
            message["messageId"] = "another"
        elif plant == "signature":
            head, body, tail = carrier["chain"][0].split(".")
            carrier["chain"][0] = f"{head}.{body}.{'B' if tail[0] == 'A' else 'A'}{tail[1:]}"
        elif plant == "salt":
            carrier["salt"] = "no salt"
        else:
            assert "result" in agent.send(message)
        error = agent.send(message)["error"]
        said = agent.end()
    assert error["code"] == -32600 and error["message"] == "refused by Waybill"
    (detail,) = error["data"]
    assert set(detail) == {"@type", "reason", "domain", "metadata"} and detail["@type"] == REFUSED
    assert detail["domain"] == "w3id.org/waybill" and set(detail["metadata"]) == {"ref"}
    assert detail["reason"] in ("WAYBILL_UNAUTHENTICATED", "WAYBILL_MALFORMED", "WAYBILL_REPLAYED")
    ref = detail["metadata"]["ref"]
    assert len(ref) == 16 and ref in said and "WB_E_" not in json.dumps(error)
    assert ref in world.sidecars["called"].log()


@pytest.mark.parametrize(
    "answer,status,state,says",
    [
        ({"result": {"task": {"id": "t", "status": {"state": "TASK_STATE_COMPLETED", "message": {
            "parts": [{"text": "claim: 1"}]}}}}}, 200, "completed", "confirmed"),
        ({"result": {"task": {"id": "t", "status": {"state": "TASK_STATE_FAILED"}}}}, 200, "failed", "FAILED"),
        ({"result": {"task": {"id": "t", "status": {"state": "TASK_STATE_INPUT_REQUIRED"}}}}, 200,
         "waiting_input", "INPUT_REQUIRED"),
        ({"error": {"code": -32600, "message": "refused by Waybill"}}, 200, "rejected", "refused"),
        ({"error": {"code": -32603, "message": "broken"}}, 200, "failed", "broken"),
        ({"result": {}}, 200, "failed", "not_a2a"),
        (b"no json", 200, "failed", "not_a2a"),
        ({}, 503, "failed", "503"),
        (b"x" * (MIB + 1), 200, "failed", "answer_too_large"),
    ],
)
def test_the_delegation_is_settled_by_what_came_back(world, client, program, answer, status, state, says):
    world.answer, world.status = answer, status
    with agent_in(world, program, "--next", next_url(world)) as agent:
        got = agent.send(world.signed(client, "claim: 1"))
        assert says in json.dumps(got)
        assert ("error" in got) == (says != "confirmed")
    wait_until(lambda: world.rows(f"SELECT * FROM delegations WHERE depth = 1 AND state = '{state}'"), 10)
    outcome = "ok" if says == "confirmed" else "error"
    wait_until(lambda: world.rows(f"SELECT * FROM acceptances WHERE outcome = '{outcome}'"), 10)


def test_sigterm_lets_the_running_request_end_and_takes_no_more(world, client, program):
    world.delay_s = 1.0
    with agent_in(world, program, "--next", next_url(world)) as agent:
        message, got = world.signed(client, "claim: 1"), []
        caller = threading.Thread(target=lambda: got.append(agent.send(message)))
        caller.start()
        wait_until(lambda: world.heard, 10)
        agent.end()
        caller.join()
        with pytest.raises(OSError):
            agent.send(GOOD)
    assert "confirmed" in json.dumps(got)
    wait_until(lambda: world.rows("SELECT * FROM acceptances WHERE outcome = 'ok'"), 10)
    wait_until(lambda: world.rows("SELECT * FROM spans WHERE name = 'proofread'"), 10)


def test_an_unsigned_message_gets_a_trace_of_its_own_whatever_its_headers_claim(world, program):
    claimed = os.urandom(16).hex()
    with agent_in(world, program) as agent:
        assert "result" in agent.send(GOOD, traceparent=f"00-{claimed}-{os.urandom(8).hex()}-01")
    wait_until(lambda: world.rows("SELECT * FROM acceptances WHERE outcome = 'ok'"), 10)
    assert claimed not in {row["trace_id"].hex() for row in world.rows("SELECT * FROM spans")}
