# SPDX-License-Identifier: Apache-2.0
"""A model provider on the loopback address that writes down what it sent.

It speaks the part of OpenAI's API that the instrumented clients use (POST chat/completions, also streamed,
responses, embeddings) and Anthropic's POST v1/messages. What it answers is decided by the question: each
scenario of scenarios.json has its own, and the last one that the request's body holds is meant. A request that
holds a tool's result is the second half of the scenario `tool`.

Nothing here knows of telemetry. `Provider.exchanges` is what every expected cell of the matrix is made of:
what was asked and what was answered, and when. An answer takes WAIT_S, so that a span around it has a width
that its time can be looked up in.
"""

from __future__ import annotations

import dataclasses
import http.server
import json
import pathlib
import secrets
import threading
import time
from typing import Any, Iterator

FACTS: dict[str, Any] = json.loads((pathlib.Path(__file__).parent / "scenarios.json").read_text("utf-8"))
WAIT_S = 0.03


@dataclasses.dataclass
class Exchange:
    """One request and its answer, as they went over the wire."""

    scenario: str
    path: str
    asked: dict[str, Any]
    started_ns: int
    ended_ns: int = 0
    status: int = 200
    response_id: str = ""
    model: str = ""
    text: str = ""
    finish: str = ""
    tool_call_id: str = ""
    service_tier: str = ""
    usage: dict[str, int] = dataclasses.field(default_factory=dict)  # input output cached written reasoning
    error: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def streamed(self) -> bool:
        return bool(self.asked.get("stream"))


def scenario_of(body: str) -> str:
    """The scenario whose question comes last in a request."""
    places = {name: body.rfind(json.dumps(each["prompt"])[1:-1])
              for name, each in FACTS["scenarios"].items() if "prompt" in each}
    name = max(places, key=lambda key: places[key])
    if places[name] < 0:
        raise ValueError("a request of no scenario")
    return "tool-answer" if name == "tool" and FACTS["tool"]["result"] in body else name


def usage_of(scenario: str) -> dict[str, int]:
    of = FACTS["scenarios"][scenario]
    return {"input": of["prompt_tokens"], "output": of.get("completion_tokens", 0),
            "cached": of.get("cached_tokens", 0), "written": of.get("written_tokens", 0),
            "reasoning": of.get("reasoning_tokens", 0)}


# ---- OpenAI --------------------------------------------------------------------------------------


def openai_usage(usage: dict[str, int]) -> dict[str, Any]:
    return {"prompt_tokens": usage["input"], "completion_tokens": usage["output"],
            "total_tokens": usage["input"] + usage["output"],
            "prompt_tokens_details": {"cached_tokens": usage["cached"], "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": usage["reasoning"], "audio_tokens": 0,
                                          "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}


def tool_call(exchange: Exchange) -> dict[str, Any]:
    return {"id": exchange.tool_call_id, "type": "function",
            "function": {"name": FACTS["tool"]["name"], "arguments": json.dumps(FACTS["tool"]["arguments"])}}


def fill_chat(exchange: Exchange) -> None:
    exchange.response_id = f"chatcmpl-{secrets.token_hex(12)}"
    exchange.model = FACTS["models"]["chat"]["answered"]
    exchange.service_tier = "default"
    exchange.usage = usage_of(exchange.scenario)
    if exchange.scenario == "tool":
        exchange.tool_call_id, exchange.finish = f"call_{secrets.token_hex(12)}", "tool_calls"
    else:
        exchange.text, exchange.finish = FACTS["scenarios"][exchange.scenario]["text"], "stop"


def chat(exchange: Exchange) -> dict[str, Any]:
    fill_chat(exchange)
    message: dict[str, Any] = {"role": "assistant", "content": exchange.text or None, "refusal": None,
                               "annotations": []}
    if exchange.tool_call_id:
        message["tool_calls"] = [tool_call(exchange)]
    return {"id": exchange.response_id, "object": "chat.completion", "created": int(time.time()),
            "model": exchange.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": exchange.finish}],
            "usage": openai_usage(exchange.usage), "service_tier": exchange.service_tier,
            "system_fingerprint": "fp_1f2e3d4c5b"}


def chat_chunks(exchange: Exchange) -> Iterator[str]:
    """Word by word; the counts come in a last chunk without a choice, where they were asked for."""
    fill_chat(exchange)
    head = {"id": exchange.response_id, "object": "chat.completion.chunk", "created": int(time.time()),
            "model": exchange.model, "service_tier": exchange.service_tier, "system_fingerprint": "fp_1f2e3d4c5b"}
    counted = bool((exchange.asked.get("stream_options") or {}).get("include_usage"))
    more = {"usage": None} if counted else {}
    if not counted:
        exchange.usage = {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return json.dumps({**head, "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    if exchange.tool_call_id:
        yield chunk({"tool_calls": [{"index": 0, **tool_call(exchange)}]})
    for word in exchange.text.split(" ") if exchange.text else []:
        time.sleep(0.002)
        yield chunk({"content": word if exchange.text.startswith(word) else f" {word}"})
    yield chunk({}, exchange.finish)
    if counted:
        yield json.dumps({**head, "choices": [], "usage": openai_usage(exchange.usage)})
    yield "[DONE]"


def embeddings(exchange: Exchange) -> dict[str, Any]:
    exchange.model = FACTS["models"]["embedding"]["answered"]
    exchange.usage = usage_of("embed")
    asked = exchange.asked["input"]
    vector: Any = [0.25, -0.5, 0.75, 1.0]
    if exchange.asked.get("encoding_format") == "base64":
        vector = "AACAPgAAAL8AAEA/AACAPw=="  # the same, as little-endian floats
    return {"object": "list", "model": exchange.model,
            "data": [{"object": "embedding", "index": i, "embedding": vector}
                     for i in range(1 if isinstance(asked, str) else len(asked))],
            "usage": {"prompt_tokens": exchange.usage["input"], "total_tokens": exchange.usage["input"]}}


def responses(exchange: Exchange) -> dict[str, Any]:
    fill_chat(exchange)
    exchange.response_id = f"resp_{secrets.token_hex(24)}"
    exchange.finish = ""  # this API has none
    if exchange.tool_call_id:
        output = [{"type": "function_call", "id": f"fc_{secrets.token_hex(24)}", "call_id": exchange.tool_call_id,
                   **tool_call(exchange)["function"], "status": "completed"}]
    else:
        output = [{"type": "message", "id": f"msg_{secrets.token_hex(24)}", "status": "completed",
                   "role": "assistant",
                   "content": [{"type": "output_text", "text": exchange.text, "annotations": []}]}]
    usage = exchange.usage
    return {"id": exchange.response_id, "object": "response", "created_at": int(time.time()), "status": "completed",
            "error": None, "incomplete_details": None, "instructions": exchange.asked.get("instructions"),
            "max_output_tokens": None, "model": exchange.model, "output": output, "parallel_tool_calls": True,
            "previous_response_id": None, "reasoning": {"effort": None, "summary": None}, "store": True,
            "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
            "tools": exchange.asked.get("tools") or [], "top_p": 1.0, "truncation": "disabled",
            "service_tier": exchange.service_tier, "user": None, "metadata": {},
            "usage": {"input_tokens": usage["input"], "input_tokens_details": {"cached_tokens": usage["cached"]},
                      "output_tokens": usage["output"],
                      "output_tokens_details": {"reasoning_tokens": usage["reasoning"]},
                      "total_tokens": usage["input"] + usage["output"]}}


# ---- Anthropic -----------------------------------------------------------------------------------


def messages(exchange: Exchange) -> dict[str, Any]:
    """Its count of the input leaves out what the cache read and wrote."""
    exchange.response_id = f"msg_{secrets.token_hex(12)}"
    exchange.model = FACTS["models"]["claude"]["answered"]
    exchange.usage = usage_of(exchange.scenario)
    exchange.service_tier = "standard"
    if exchange.scenario == "tool":
        exchange.tool_call_id, exchange.finish = f"toolu_{secrets.token_hex(12)}", "tool_use"
        content = [{"type": "tool_use", "id": exchange.tool_call_id, "name": FACTS["tool"]["name"],
                    "input": FACTS["tool"]["arguments"]}]
    else:
        exchange.text, exchange.finish = FACTS["scenarios"][exchange.scenario]["text"], "end_turn"
        content = [{"type": "text", "text": exchange.text, "citations": None}]
    usage = exchange.usage
    usage["reasoning"] = 0  # it gives no such count
    return {"id": exchange.response_id, "type": "message", "role": "assistant", "model": exchange.model,
            "content": content,
            "stop_reason": exchange.finish, "stop_sequence": None,
            "usage": {"input_tokens": usage["input"], "output_tokens": usage["output"],
                      "cache_read_input_tokens": usage["cached"], "cache_creation_input_tokens": usage["written"],
                      "service_tier": exchange.service_tier}}


def message_events(exchange: Exchange) -> Iterator[str]:
    whole = messages(exchange)
    usage = whole["usage"]
    start = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            events.append({"type": "content_block_start", "index": index,
                           "content_block": {"type": "text", "text": ""}})
            events += [{"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": part}}
                       for part in (exchange.text[:9], exchange.text[9:])]
        else:
            events.append({"type": "content_block_start", "index": index, "content_block": {**block, "input": {}}})
            events.append({"type": "content_block_delta", "index": index,
                           "delta": {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": exchange.finish, "stop_sequence": None},
                   "usage": {"output_tokens": usage["output_tokens"]}})
    events.append({"type": "message_stop"})
    for event in events:
        time.sleep(0.002)
        yield f"{event['type']}\n{json.dumps(event)}"


# ---- the server ----------------------------------------------------------------------------------

WHOLE = {"chat/completions": chat, "embeddings": embeddings, "responses": responses, "messages": messages}
STREAMED = {"chat/completions": chat_chunks, "messages": message_events}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        started_ns = time.time_ns()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        kind = self.path.partition("/v1/")[2].partition("?")[0]
        try:
            exchange = Exchange(scenario_of(body), self.path, json.loads(body), started_ns)
            answer = (STREAMED if exchange.streamed else WHOLE)[kind]
        except (ValueError, KeyError) as error:
            self.server.faults.append(f"POST {self.path}: {error!r}: {body[:400]}")
            return self.whole(400, {"error": {"message": f"no scenario: {error!r}", "type": "test"}})
        time.sleep(WAIT_S)
        of = FACTS["scenarios"][exchange.scenario]
        if "status" in of:
            exchange.status, exchange.error = of["status"], {key: of[key] for key in ("type", "code", "message")}
            error = {"message": of["message"], "type": of["type"], "param": None, "code": of["code"]}
            exchange.ended_ns = time.time_ns()
            self.server.exchanges.append(exchange)
            more = {"type": "error"} if kind == "messages" else {}
            return self.whole(exchange.status, {**more, "error": error})
        if exchange.streamed:
            self.streamed(kind, answer(exchange))
        else:
            found = answer(exchange)
            exchange.ended_ns = time.time_ns()
            self.whole(200, found)
        exchange.ended_ns = exchange.ended_ns or time.time_ns()
        self.server.exchanges.append(exchange)

    def do_GET(self) -> None:
        self.server.faults.append(f"GET {self.path}")
        self.whole(404, {"error": {"message": "nothing to get here", "type": "test"}})

    def whole(self, status: int, found: dict[str, Any]) -> None:
        data = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def streamed(self, kind: str, chunks: Iterator[str]) -> None:
        """Server-sent events, in chunked transfer coding."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            name, _, data = chunk.rpartition("\n")
            event = (f"event: {name}\n" if name else "") + f"data: {data}\n\n"
            self.wfile.write(f"{len(event.encode()):x}\r\n{event}\r\n".encode())
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.exchanges: list[Exchange] = []
        self.faults: list[str] = []  # requests that belong to no scenario


class Provider:
    """The server, and the thread that it runs in."""

    def __init__(self) -> None:
        self._server = Server()
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def exchanges(self) -> list[Exchange]:
        return sorted(self._server.exchanges, key=lambda each: each.started_ns)

    @property
    def faults(self) -> list[str]:
        return self._server.faults

    def __enter__(self) -> "Provider":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
