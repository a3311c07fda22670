# SPDX-License-Identifier: Apache-2.0
"""One message through every binding of A2A 1.0 and 0.3: the digest that the caller signed is the
one that the called side makes of what arrived (TOKENS.md section 17, row 6)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("a2a.server.routes")
pytest.importorskip("grpc")

import grpc  # noqa: E402
from a2a.helpers import new_text_message  # noqa: E402
from a2a.types import Message, Part, Role, SendMessageRequest  # noqa: E402
from a2a_agents import Executor, calling, card_of, grpc_channel, serving  # noqa: E402
from conftest import Company  # noqa: E402
from google.protobuf.struct_pb2 import Value  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402

import waybill  # noqa: E402
from waybill import digest  # noqa: E402
from waybill._a2a_client import _dialect  # noqa: E402

DIALECTS = [
    (binding, version) for binding in ("JSONRPC", "HTTP+JSON", "GRPC") for version in ("1.0", "0.3")
]


def data(value: Any) -> Value:
    made = Value()
    if value is None:
        made.null_value = 0  # type: ignore[assignment]
    elif isinstance(value, bool):
        made.bool_value = value
    elif isinstance(value, (int, float)):
        made.number_value = value
    elif isinstance(value, str):
        made.string_value = value
    elif isinstance(value, list):
        made.list_value.values.extend(data(item) for item in value)
    else:
        for name, item in value.items():
            made.struct_value.fields[name].CopyFrom(data(item))
    return made


# What survives a hop through protobuf and JSON, and where the dialects differ.
PARTS = {
    "text": [Part(text="Grüße, \u2028 \U0001f600 \"'\\ \n")],
    "text with a type": [Part(text="# a", filename="a.md", media_type="text/markdown")],
    "empty text": [Part(text="")],
    "raw": [Part(raw=bytes(range(256)), filename="a.bin", media_type="application/octet-stream")],
    "raw without a name": [Part(raw=b"\xfb\xff")],
    "empty raw": [Part(raw=b"")],
    "url": [Part(url="https://example.org/ü?a=b&c", filename="ü", media_type="image/png")],
    "object": [Part(data=data({"b": 1.0, "a": "é", "": [None, True, 1e21, 1e-7, -0.0, 0.1]}))],
    "object with a type": [Part(data=data({"x": 1}), filename="x.json", media_type="a/b")],
    "list": [Part(data=data([1, [2, {"value": 3}]]))],
    "number": [Part(data=data(9007199254740993))],
    "string": [Part(data=data("a"))],
    "bool": [Part(data=data(False))],
    "null": [Part(data=data(None))],
    "several": [Part(text="a"), Part(raw=b"b"), Part(url="https://c"), Part(data=data({"d": 1}))],
}


class Answering(Executor):
    """Answers whatever comes."""

    async def execute(self, context: Any, event_queue: Any) -> None:
        self.seen.append(context.message)
        await event_queue.enqueue_event(new_text_message("pong"))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.getLogger("a2a").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("a2a").setLevel(logging.NOTSET)


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario(), 60))


def message_of(parts: list[Part]) -> SendMessageRequest:
    return SendMessageRequest(
        message=Message(role=Role.ROLE_USER, message_id=str(uuid.uuid4()), parts=parts)
    )


@pytest.mark.parametrize(("binding", "version"), DIALECTS)
def test_every_kind_of_part_keeps_its_digest(binding: str, version: str, company: Company) -> None:
    grpc_port = company.b.grpc_port
    sent: dict[str, str] = {}

    async def scenario() -> list[Any]:
        async with (
            serving(
                company.b.port,
                company.b.wb,
                version=version,
                grpc_port=grpc_port,
                executor=Answering(),
            ) as executor,
            calling(
                company.b.port,
                company.a.wb,
                binding=binding,
                card=card_of("agent", company.b.port, "", version, grpc_port),
                grpc_channel_factory=grpc_channel,
            ) as client,
        ):
            assert _dialect(client._client) == version
            for name, parts in PARTS.items():
                request = message_of(parts)
                sent[name] = request.message.message_id
                async for _ in client.send_message(request):
                    pass
            return list(executor.seen)

    seen = run(scenario)
    assert len(seen) == len(PARTS)
    for name, message_id in sent.items():
        row = company.store.one("SELECT * FROM acceptances WHERE message_id = ?", message_id)
        assert (row["verdict"], row["code"]) == ("continue", None), name
        assert row["peer"] == "127.0.0.1"
        opened = company.store.one("SELECT * FROM delegations WHERE message_id = ?", message_id)
        assert opened["body_digest"] == row["body_digest"], name


def test_the_old_dialect_does_lose_what_the_new_one_carries() -> None:
    """Or the test above would prove nothing of it."""
    salt = bytes(16)
    for name in ("text with a type", "object with a type"):
        assert digest.body_digest(salt, PARTS[name]) != digest.body_digest(salt, PARTS[name], "0.3")
    for name in ("raw", "url", "text", "list"):
        assert digest.body_digest(salt, PARTS[name]) == digest.body_digest(salt, PARTS[name], "0.3")


@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_a_refusal_over_grpc_has_class_and_ref_only(version: str, company: Company) -> None:
    grpc_port = company.b.grpc_port

    async def scenario() -> Any:
        from a2a.compat.v0_3 import a2a_v0_3_pb2, a2a_v0_3_pb2_grpc
        from a2a.types import a2a_pb2_grpc

        forged = message_of([Part(text="message")])
        forged.message.metadata.update(
            {waybill.EXTENSION_URI: {"v": "1", "chain": ["a.b.c"], "salt": "A" * 22}}
        )
        async with serving(
            company.b.port, company.b.wb, version=version, grpc_port=grpc_port
        ) as executor:
            channel = grpc_channel(f"http://127.0.0.1:{grpc_port}")
            try:
                if version == "1.0":
                    await a2a_pb2_grpc.A2AServiceStub(channel).SendMessage(forged)
                else:
                    old = a2a_v0_3_pb2.SendMessageRequest()
                    old.request.message_id = "forged"
                    old.request.metadata.CopyFrom(forged.message.metadata)
                    await a2a_v0_3_pb2_grpc.A2AServiceStub(channel).SendMessage(old)
            except grpc.aio.AioRpcError as error:
                assert not executor.seen
                return error
            finally:
                await channel.close()
        return None

    error = run(scenario)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "WB_E" not in str(error.details())
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert len(status.details) == 1
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("WAYBILL_MALFORMED", "w3id.org/waybill")
    assert list(info.metadata) == ["ref"]
    assert len(info.metadata["ref"]) == 16
