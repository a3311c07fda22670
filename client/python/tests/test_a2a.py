# SPDX-License-Identifier: Apache-2.0
"""The hooks on real a2a-sdk agents over loopback HTTP, each side with its own sidecar."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("a2a.server.routes")
pytest.importorskip("uvicorn")

import httpx  # noqa: E402
from a2a.server.request_handlers import DefaultRequestHandler, LegacyRequestHandler  # noqa: E402
from a2a.types import (  # noqa: E402
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Part,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a_agents import Executor, asking, calling, card_of, serving  # noqa: E402
from conftest import Company  # noqa: E402

import waybill  # noqa: E402
import waybill.a2a  # noqa: E402
from waybill import client as waybill_client  # noqa: E402

HANDLERS = [DefaultRequestHandler, LegacyRequestHandler]
BINDINGS = ["JSONRPC", "HTTP+JSON"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The SDK logs what agents raise on purpose."""
    logging.getLogger("a2a").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("a2a").setLevel(logging.NOTSET)


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario(), 60))


async def send(client: Any, text: str, **fields: Any) -> list[Any]:
    return [event async for event in client.send_message(asking(text, **fields))]


def delegation(company: Company, message_id: str) -> dict[str, object]:
    """The row of a message's delegation, once it is closed."""
    return company.store.one(
        "SELECT * FROM delegations WHERE message_id = ? AND closed_ns IS NOT NULL", message_id
    )


def acceptance(company: Company, message_id: str) -> dict[str, object]:
    return company.store.one(
        "SELECT * FROM acceptances WHERE message_id = ? AND finished_ns IS NOT NULL", message_id
    )


async def ended(fetch: Callable[[], dict[str, object]]) -> dict[str, object]:
    return await asyncio.to_thread(fetch)


# -- refusals ------------------------------------------------------------------------------------


async def raw(port: int, path: str, message: dict[str, Any]) -> httpx.Response:
    body: dict[str, Any] = {"message": message}
    if path == "/rpc":
        body = {"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": body}
    async with httpx.AsyncClient() as http:
        return await http.post(
            f"http://127.0.0.1:{port}{path}", json=body, headers={"A2A-Version": "1.0"}
        )


FORGED = {
    "messageId": "forged",
    "role": "ROLE_USER",
    "parts": [{"text": "message"}],
    "metadata": {waybill.EXTENSION_URI: {"v": "1", "chain": ["a.b.c"], "salt": "A" * 22}},
}


@pytest.mark.parametrize("path", ["/rest/message:send", "/rest/message:stream"])
def test_a_forged_token_is_refused_over_http_json(path: str, company: Company) -> None:
    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb) as executor:
            response = await raw(company.b.port, path, FORGED)
            error = response.json()["error"]
            info = error["details"][0]
            assert response.status_code == error["code"] == 400
            assert (error["status"], error["message"]) == ("INVALID_ARGUMENT", "refused by Waybill")
            assert info["reason"] == "WAYBILL_MALFORMED" and info["domain"] == "w3id.org/waybill"
            assert (
                list(info["metadata"]) == ["ref"]
                and info["metadata"]["ref"] in company.b.sidecar.log()
            )
            assert executor.seen == []

    run(scenario)


def test_a_forged_token_is_refused_over_json_rpc(company: Company) -> None:
    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb) as executor:
            response = await raw(company.b.port, "/rpc", FORGED)
            answer = response.json()
            ref = answer["error"]["data"][0]["metadata"]["ref"]
            assert response.status_code == 200 and answer["id"] == 7
            assert answer["error"] == {
                "code": -32600,
                "message": "refused by Waybill",
                "data": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "WAYBILL_MALFORMED",
                        "domain": "w3id.org/waybill",
                        "metadata": {"ref": ref},
                    }
                ],
            }
            assert executor.seen == []

    run(scenario)


def test_a_token_for_another_agent_is_unauthenticated(company: Company) -> None:
    """What a sends to b, an attacker brings to c."""

    async def scenario() -> None:
        caught: list[dict[str, Any]] = []

        async def steal(request: httpx.Request) -> None:
            if b"waybill" in request.content:
                caught.append(json.loads(request.content)["params"]["message"])

        async with serving(company.b.port, None, agent_id=company.b.id):
            async with calling(company.b.port, company.a.wb, streaming=False) as client:
                client._transport.httpx_client.event_hooks["request"].append(steal)
                await send(client, "message")
        assert len(caught) == 1
        async with serving(company.c.port, company.c.wb) as executor:
            response = await raw(company.c.port, "/rest/message:send", caught[0])
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == "Waybill"
            assert response.json()["error"]["details"][0]["reason"] == "WAYBILL_UNAUTHENTICATED"
            assert executor.seen == []

    run(scenario)


def test_a_message_that_comes_twice_is_refused_the_second_time(company: Company) -> None:
    async def scenario() -> None:
        sent: list[dict[str, Any]] = []

        async def keep(request: httpx.Request) -> None:
            if request.method == "POST":
                sent.append(json.loads(request.content)["params"]["message"])

        async with serving(company.b.port, company.b.wb, agent_id=company.b.id) as executor:
            async with calling(company.b.port, company.a.wb, streaming=False) as client:
                client._transport.httpx_client.event_hooks["request"].append(keep)
                await send(client, "message")
            response = await raw(company.b.port, "/rest/message:send", sent[0])
            assert response.status_code == 409
            assert response.json()["error"]["details"][0]["reason"] == "WAYBILL_REPLAYED"
            sent[0]["parts"] = [{"text": "another"}]
            response = await raw(company.b.port, "/rest/message:send", sent[0])
            assert response.status_code == 401
            assert [seen.text for seen in executor.seen] == ["message"]

    run(scenario)


class _Adds:
    """An interceptor that adds to every message."""

    async def before(self, args: Any) -> None:
        if args.method.startswith("send_message"):
            args.input.message.parts.append(Part(text="added on the way"))

    async def after(self, args: Any) -> None:
        return


def test_the_digest_covers_what_other_interceptors_made_of_the_message(company: Company) -> None:
    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id) as executor:
            async with calling(company.b.port, company.a.wb) as client:
                await client.add_interceptor(_Adds())
                await send(client, "", message_id="added to")
            assert executor.seen[0].text == "\nadded on the way"

    run(scenario)
    assert acceptance(company, "added to")["verdict"] == "continue"


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("streaming", [True, False])
def test_a_refused_delegation_is_closed_as_rejected(
    binding: str, streaming: bool, company: Company
) -> None:
    """The body is changed behind the hook's back, as somebody on the way might."""
    message_id = f"rejected-{binding}-{streaming}"

    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id) as executor:
            async with calling(
                company.b.port, company.a.wb, binding=binding, streaming=streaming
            ) as client:
                await send(client, "message")
                await client.add_interceptor(_Adds())
                with pytest.raises(Exception, match="refused by Waybill|HTTP Error 401"):
                    await send(client, "message", message_id=message_id)
            assert len(executor.seen) == 1

    run(scenario)
    row = delegation(company, message_id)
    assert row["state"] == "rejected"
    assert row["error_type"] == ("-32600" if binding == "JSONRPC" else "401")


# -- the calling side ----------------------------------------------------------------------------


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "send"])
def test_every_way_out_settles_and_finishes(
    handler: Any, binding: str, streaming: bool, company: Company
) -> None:
    expected = {
        "message": ("answered", "ok", None),
        "task": ("completed", "ok", "TASK_STATE_COMPLETED"),
        "fail": ("failed", "error", "TASK_STATE_FAILED"),
        "reject": ("rejected", "rejected", "TASK_STATE_REJECTED"),
        "boom": ("failed", "error", "TASK_STATE_FAILED"),
        "crash": ("failed", "error", "TASK_STATE_FAILED"),
    }
    prefix = f"{handler.__name__}-{binding}-{streaming}-"

    async def scenario() -> None:
        async with serving(
            company.b.port, company.b.wb, agent_id=company.b.id, handler_class=handler
        ) as executor:
            async with calling(
                company.b.port, company.a.wb, binding=binding, streaming=streaming
            ) as client:
                for text in expected:
                    request = asking(text, message_id=prefix + text)
                    before = request.SerializeToString()
                    try:
                        async for _ in client.send_message(request):
                            pass
                    except Exception:
                        assert text in ("boom", "crash")
                    assert request.SerializeToString() == before
                assert client.tracked == {}
            for text, seen in zip(expected, executor.seen, strict=True):
                assert seen.text == text
                assert seen.metadata == {} and seen.extensions == [waybill.EXTENSION_URI]
                assert seen.acceptance.verified and seen.acceptance.issuer == company.a.id

    run(scenario)
    for text, (state, outcome, task_state) in expected.items():
        mine, theirs = delegation(company, prefix + text), acceptance(company, prefix + text)
        assert mine["state"] == state, text
        assert theirs["outcome"] == outcome, text
        assert theirs["verdict"] == "continue" and theirs["trace_id"] == mine["trace_id"]
        assert theirs["parent_span_id"] == mine["span_id"]
        assert theirs["task_state"] == task_state
        assert json.loads(str(mine["chain"])) == json.loads(str(theirs["chain"])) != []
        if text == "boom" or text == "crash":
            assert theirs["error_type"] == "RuntimeError"
            assert mine["error_type"] in ("-32603", "500", "a2a.client.errors.A2AClientError")


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_task_that_is_polled_to_its_end(handler: Any, company: Company) -> None:
    message_id = f"polled-{handler.__name__}"

    async def scenario() -> None:
        async with serving(
            company.b.port, company.b.wb, agent_id=company.b.id, handler_class=handler
        ):
            async with calling(
                company.b.port, company.a.wb, streaming=False, polling=True
            ) as client:
                (event,) = await send(client, "slow", message_id=message_id)
                assert event.task.status.state < TaskState.TASK_STATE_COMPLETED
                task_id = event.task.id
                assert list(client.tracked) == [task_id]
                row = await ended(
                    lambda: company.store.one(
                        "SELECT state, task_id FROM delegations"
                        " WHERE message_id = ? AND state <> 'sent'",
                        message_id,
                    )
                )
                assert row == {"state": "in_flight", "task_id": task_id}
                open_work = company.store.rows(
                    "SELECT 1 FROM acceptances WHERE message_id = ? AND finished_ns IS NULL",
                    message_id,
                )
                assert open_work
                while True:
                    task = await client.get_task(GetTaskRequest(id=task_id))
                    if task.status.state == TaskState.TASK_STATE_COMPLETED:
                        break
                    await asyncio.sleep(0.05)
                assert client.tracked == {}
                assert not task.history or not dict(task.history[0].metadata)

    run(scenario)
    mine, theirs = delegation(company, message_id), acceptance(company, message_id)
    assert mine["state"] == "completed" and mine["task_id"] == theirs["task_id"]
    assert int(str(theirs["finished_ns"])) <= int(str(mine["closed_ns"]))


def test_open_delegations_are_taken_up_again_after_a_restart(company: Company) -> None:
    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id):
            async with calling(
                company.b.port, company.a.wb, streaming=False, polling=True
            ) as client:
                await send(client, "task", message_id="carried over")
                kept = client.tracked
            async with calling(company.b.port, company.a.wb, streaming=False) as client:
                for task_id, delegation_id in kept.items():
                    client.track(task_id, delegation_id)
                await asyncio.sleep(0.2)
                await client.list_tasks(ListTasksRequest())
                assert client.tracked == {}

    run(scenario)
    assert delegation(company, "carried over")["state"] == "completed"


@pytest.mark.parametrize("leave", ["break", "cancel", "close"])
def test_who_stops_listening_leaves_the_delegation_detached(leave: str, company: Company) -> None:
    message_id = f"left-{leave}"

    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id):
            async with calling(company.b.port, company.a.wb) as client:

                async def listen() -> str:
                    stream = client.send_message(asking("slow", message_id=message_id))
                    async for event in stream:
                        if leave == "break":
                            await stream.aclose()
                        if leave != "cancel":
                            return str(event.task.id)
                    return ""

                listener = asyncio.create_task(listen())
                if leave == "cancel":
                    await asyncio.sleep(0.2)
                    listener.cancel()
                await asyncio.wait([listener])
                del listener
                row = await ended(
                    lambda: company.store.one(
                        "SELECT task_id, event FROM delegations"
                        " WHERE message_id = ? AND state = 'detached'",
                        message_id,
                    )
                )
                assert row["event"] == "stream_broken"
                (task_id,) = client.tracked
                assert row["task_id"] == task_id
                events = [e async for e in client.subscribe(SubscribeToTaskRequest(id=task_id))]
                assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
                assert client.tracked == {}

    run(scenario)
    assert delegation(company, message_id)["state"] == "completed"
    assert acceptance(company, message_id)["outcome"] == "ok"


def test_a_stream_that_breaks_is_detached_and_an_unreachable_agent_failed(company: Company) -> None:
    async def scenario() -> None:
        async with calling_through_a_cut(company, after_bytes=900) as client:
            with pytest.raises(Exception, match="[Nn]etwork|incomplete"):
                await send(client, "slow", message_id="cut")
        row = await ended(
            lambda: company.store.one(
                "SELECT * FROM delegations WHERE message_id = 'cut' AND state = 'detached'"
            )
        )
        assert row["event"] == "stream_broken" and row["task_id"]

    run(scenario)


class calling_through_a_cut:
    """A client of b whose connection is cut after so many bytes of an answer."""

    def __init__(self, company: Company, after_bytes: int) -> None:
        self._company, self._after = company, after_bytes

    async def __aenter__(self) -> Any:
        company = self._company
        self._serving = serving(company.b.port, company.b.wb, agent_id=company.b.id)
        await self._serving.__aenter__()
        self._calling = calling(company.b.port, company.a.wb)
        client = await self._calling.__aenter__()
        self._proxy = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        port = self._proxy.sockets[0].getsockname()[1]
        client._transport.url = f"http://127.0.0.1:{port}/rpc"
        # The token's audience follows the configured origin, so the target stays b's.
        client._client._card.supported_interfaces[0].url = f"http://127.0.0.1:{company.b.port}/rpc"
        return client

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._company.b.port)

        async def pump() -> None:
            while data := await reader.read(65536):
                up_writer.write(data)

        pumping = asyncio.create_task(pump())
        left = self._after
        while left > 0 and (data := await up_reader.read(65536)):
            writer.write(data[:left])
            await writer.drain()
            left -= len(data)
        pumping.cancel()
        writer.transport.abort() if left <= 0 else writer.close()
        up_writer.close()

    async def __aexit__(self, *exc: Any) -> None:
        self._proxy.close()
        await self._calling.__aexit__(*exc)
        await self._serving.__aexit__(*exc)


def test_an_agent_that_is_not_there_is_a_failed_delegation(company: Company) -> None:
    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id):
            async with calling(company.b.port, company.a.wb) as client:
                pass
        async with httpx.AsyncClient() as http:
            client._transport.httpx_client = http
            with pytest.raises(Exception, match="Network"):
                await send(client, "task", message_id="nobody")

    run(scenario)
    row = delegation(company, "nobody")
    assert row["state"] == "failed" and row["error_type"] == "httpx.ConnectError"


@pytest.mark.parametrize(
    ("handler", "text"),
    # The older handler takes the canceled state from the agent only.
    [
        (DefaultRequestHandler, "hang"),
        (DefaultRequestHandler, "quiet"),
        (LegacyRequestHandler, "hang"),
    ],
)
def test_a_cancelled_task_is_canceled_on_both_sides(
    handler: Any, text: str, company: Company
) -> None:
    message_id = f"cancel-{handler.__name__}-{text}"

    async def scenario() -> None:
        async with serving(
            company.b.port, company.b.wb, agent_id=company.b.id, handler_class=handler
        ):
            async with calling(
                company.b.port, company.a.wb, streaming=False, polling=True
            ) as client:
                (event,) = await send(client, text, message_id=message_id)
                await asyncio.sleep(0.1)
                task = await client.cancel_task(CancelTaskRequest(id=event.task.id))
                assert task.status.state == TaskState.TASK_STATE_CANCELED
                assert client.tracked == {}

    run(scenario)
    assert delegation(company, message_id)["state"] == "canceled"
    assert acceptance(company, message_id)["outcome"] == "canceled"


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("binding", BINDINGS)
def test_a_conversation_is_one_delegation_with_an_acceptance_for_each_message(
    streaming: bool, binding: str, company: Company
) -> None:
    names = [f"turn-{n}-{streaming}-{binding}" for n in range(1, 4)]

    async def asks(client: Any, message_id: str, **fields: Any) -> dict[str, object]:
        await send(client, "ask", message_id=message_id, **fields)
        return await ended(
            lambda: company.store.one(
                "SELECT * FROM delegations WHERE message_id = ? AND state LIKE 'waiting%'",
                message_id,
            )
        )

    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id) as executor:
            async with calling(
                company.b.port, company.a.wb, streaming=streaming, binding=binding
            ) as client:
                row = await asks(client, names[0])
                assert row["state"] == "waiting_input" and row["turns"] == 1
                task = {"task_id": row["task_id"], "context_id": row["context_id"]}
                again = await asks(client, names[1], **task)
                assert again["delegation_id"] == row["delegation_id"] and again["turns"] == 2
                await send(client, "task", message_id=names[2], **task)
                assert client.tracked == {}
            assert [seen.text for seen in executor.seen] == ["ask", "ask", "task"]
            assert len({seen.acceptance.id for seen in executor.seen}) == 3

    run(scenario)
    row = delegation(company, names[2])
    assert (row["state"], row["turns"]) == ("completed", 3)
    accepted = [acceptance(company, name) for name in names]
    assert [one["outcome"] for one in accepted] == ["interrupted", "interrupted", "ok"]
    assert {one["verdict"] for one in accepted} == {"continue"}
    assert {one["trace_id"] for one in accepted} == {row["trace_id"]}
    assert {one["parent_span_id"] for one in accepted} == {row["span_id"]}
    assert company.store.rows("SELECT * FROM delegations WHERE message_id = ?", names[0]) == []


def test_a_task_waits_on_if_the_next_message_never_gets_there(company: Company) -> None:
    async def scenario() -> bytes:
        async with calling_after_ask() as (client, row):
            with pytest.raises(Exception):  # noqa: B017  (each transport has its own)
                await send(client, "task", message_id="into the void", task_id=row["task_id"])
            assert client.tracked == {row["task_id"]: bytes(row["delegation_id"]).hex()}
            return bytes(row["delegation_id"])

    @contextlib.asynccontextmanager
    async def calling_after_ask() -> AsyncIterator[Any]:
        async with contextlib.AsyncExitStack() as stack:
            agent = contextlib.AsyncExitStack()
            await agent.enter_async_context(
                serving(company.b.port, company.b.wb, agent_id=company.b.id)
            )
            client = await stack.enter_async_context(
                calling(company.b.port, company.a.wb, streaming=False)
            )
            await send(client, "ask", message_id="before the void")
            row = await ended(
                lambda: company.store.one(
                    "SELECT * FROM delegations WHERE message_id = 'before the void'"
                    " AND state = 'waiting_input'"
                )
            )
            await agent.aclose()
            yield client, row

    delegation_id = run(scenario)
    row = company.store.one(
        "SELECT * FROM delegations WHERE delegation_id = ? AND turns = 2"
        " AND state = 'waiting_input'",
        delegation_id,
    )
    assert row["closed_ns"] is None and row["message_id"] == "into the void"


def test_a_task_that_is_left_working_finishes_as_interrupted(company: Company) -> None:
    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id):
            async with calling(company.b.port, company.a.wb, streaming=False) as client:
                await send(client, "stop", message_id="left working")

    run(scenario)
    row = acceptance(company, "left working")
    assert (row["outcome"], row["task_state"]) == ("interrupted", "TASK_STATE_WORKING")


# -- the called side -----------------------------------------------------------------------------


def test_finish_comes_before_anybody_can_see_the_end(company: Company) -> None:
    """The task is read in a tight loop while the agent ends; whenever it shows the end, the sidecar
    has the Finish already."""

    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id):
            async with calling(
                company.b.port, company.a.wb, streaming=False, polling=True
            ) as traced:
                (event,) = await send(traced, "task", message_id="in order")
            async with calling(company.b.port, None, streaming=False) as plain:
                while True:
                    task = await plain.get_task(GetTaskRequest(id=event.task.id))
                    if task.status.state == TaskState.TASK_STATE_COMPLETED:
                        break
            status = await company.b.wb.astatus()
            assert status["acceptances"]["open"] == 0

    run(scenario)


def test_work_and_delegations_of_the_agent_belong_to_the_acceptance(company: Company) -> None:
    """a asks b, whose code asks c: one trace, a chain of two."""

    class Relay(Executor):
        async def execute(self, context: Any, event_queue: Any) -> None:
            with company.b.wb.span("relay", type="tool_call"):
                async with calling(company.c.port, company.b.wb) as client:
                    await send(client, "message", message_id="second hop")
            await super().execute(context, event_queue)

    async def scenario() -> None:
        async with serving(company.c.port, company.c.wb, agent_id=company.c.id):
            async with serving(
                company.b.port, company.b.wb, agent_id=company.b.id, executor=Relay()
            ):
                async with calling(company.b.port, company.a.wb) as client:
                    with company.a.wb.span("plan", type="agent") as plan:
                        await send(client, "task", message_id="first hop")
                    return plan

    plan = run(scenario)
    company.a.wb.flush()
    company.b.wb.flush()
    one, two = delegation(company, "first hop"), delegation(company, "second hop")
    work = acceptance(company, "first hop")
    relay = company.store.one("SELECT * FROM spans WHERE name = 'relay'")
    last = acceptance(company, "second hop")
    trace = plan.context.trace_id
    assert {one["trace_id"], two["trace_id"], work["trace_id"], last["trace_id"]} == {trace}
    assert one["parent_span_id"] == plan.context.span_id
    assert work["parent_span_id"] == one["span_id"]
    assert (
        relay["parent_span_id"] == work["span_id"]
        and relay["acceptance_id"] == work["acceptance_id"]
    )
    assert (
        two["parent_acceptance"] == work["acceptance_id"]
        and two["parent_span_id"] == relay["span_id"]
    )
    assert last["parent_span_id"] == two["span_id"] and last["verdict"] == "continue"
    assert len(json.loads(str(last["chain"]))) == 2 and last["depth"] == 1


def test_thirty_two_messages_at_once_keep_their_acceptances_apart(company: Company) -> None:
    async def scenario() -> list[Any]:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id) as executor:
            async with calling(company.b.port, company.a.wb) as client:
                await asyncio.gather(*(send(client, "task") for _ in range(32)))
                assert client.tracked == {}
            return executor.seen

    seen = run(scenario)
    assert len({one.acceptance.id for one in seen}) == len(seen) == 32
    for one in seen:
        assert one.span.trace_id == one.acceptance.context.trace_id


def test_a_handler_without_an_executor_is_watched_at_its_edges(company: Company) -> None:
    class Hidden:
        """The SDK's handler with its executor out of reach."""

        def __init__(self, handler: Any) -> None:
            self._inner = handler

        def __getattr__(self, name: str) -> Any:
            if name == "agent_executor":
                raise AttributeError(name)
            return getattr(self._inner, name)

    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id, wrap=Hidden):
            async with calling(company.b.port, company.a.wb, streaming=False) as client:
                for text in ("message", "task", "boom"):
                    try:
                        await send(client, text, message_id=f"edge-{text}")
                    except Exception:
                        assert text == "boom"
            async with calling(company.b.port, company.a.wb) as client:
                await send(client, "task", message_id="edge-stream")
            async with calling(
                company.b.port, company.a.wb, streaming=False, polling=True
            ) as client:
                (event,) = await send(client, "task", message_id="edge-poll")
                await asyncio.sleep(0.2)
                await client.get_task(GetTaskRequest(id=event.task.id))

    run(scenario)
    for name, outcome in (
        ("message", "ok"),
        ("task", "ok"),
        ("boom", "error"),
        ("stream", "ok"),
        ("poll", "ok"),
    ):
        assert acceptance(company, f"edge-{name}")["outcome"] == outcome, name


def test_a_stranger_without_a_token_is_linked(company: Company) -> None:
    claimed = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb) as executor:
            body = {
                "message": {
                    "messageId": "stranger",
                    "role": "ROLE_USER",
                    "parts": [{"text": "message"}],
                }
            }
            async with httpx.AsyncClient() as http:
                response = await http.post(
                    f"http://127.0.0.1:{company.b.port}/rest/message:send",
                    json=body,
                    headers={"A2A-Version": "1.0", "traceparent": claimed},
                )
            assert response.status_code == 200
            assert not executor.seen[0].acceptance.verified

    run(scenario)
    row = acceptance(company, "stranger")
    assert row["verdict"] == "link" and row["code"] == "WB_E_MISSING"
    assert row["link_trace_id"] == bytes.fromhex(claimed[3:35]) != row["trace_id"]


def test_no_carrier_goes_to_a_peer_that_is_not_known(folder: Any, company: Company) -> None:
    """b without a card's declaration on a port that a has not configured."""
    import waybill_testkit as kit

    port = kit.free_port()

    async def scenario() -> None:
        bodies: list[bytes] = []
        headers: list[httpx.Headers] = []

        async def keep(request: httpx.Request) -> None:
            if request.method == "POST":
                bodies.append(request.content)
                headers.append(request.headers)

        async with serving(port, None):
            async with calling(port, company.a.wb, streaming=False) as client:
                client._transport.httpx_client.event_hooks["request"].append(keep)
                await send(client, "message", message_id="unknown peer")
        assert b"waybill" not in bodies[0] and "a2a-extensions" not in headers[0]
        assert waybill.SpanContext.parse(headers[0]["traceparent"]) is not None

    run(scenario)
    row = delegation(company, "unknown peer")
    assert row["state"] == "answered" and row["unsigned_reason"] == "no_peer"


def test_the_caller_s_own_headers_and_context_survive(company: Company) -> None:
    from a2a.client.client import ClientCallContext

    async def scenario() -> None:
        headers: list[httpx.Headers] = []

        async def keep(request: httpx.Request) -> None:
            if request.method == "POST":
                headers.append(request.headers)

        async with serving(company.b.port, company.b.wb, agent_id=company.b.id):
            async with calling(company.b.port, company.a.wb, streaming=False) as client:
                client._transport.httpx_client.event_hooks["request"].append(keep)
                given = ClientCallContext(
                    service_parameters={
                        "Authorization": "Bearer x",
                        "A2A-Extensions": "urn:other",
                        "Traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
                    }
                )
                async for _ in client.send_message(asking("message"), context=given):
                    pass
                assert given.service_parameters is not None
                assert given.service_parameters["A2A-Extensions"] == "urn:other"
        assert headers[0]["authorization"] == "Bearer x"
        assert headers[0]["a2a-extensions"] == f"{waybill.EXTENSION_URI},urn:other"
        assert len(headers[0].get_list("traceparent")) == 1
        assert "1" * 32 not in headers[0]["traceparent"]

    run(scenario)


# -- without sidecars ----------------------------------------------------------------------------


def test_without_sidecars_agents_talk_as_if_there_was_no_waybill(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waybill_client, "CALL_S", 0.3)
    import waybill_testkit as kit

    port = kit.free_port()
    a = waybill.Waybill(socket=f"{folder}/a.sock", name="a")
    b = waybill.Waybill(socket=f"{folder}/b.sock", name="b")

    async def scenario() -> Any:
        async with serving(port, b, agent_id="spiffe://example.org/b") as executor:
            async with calling(port, a) as client:
                events = await send(client, "task")
                assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
                with pytest.raises(Exception, match="boom"):
                    await send(client, "boom")
            return executor.seen

    seen = run(scenario)
    assert all(one.acceptance.local and one.metadata == {} for one in seen)
    assert a.stats.unsigned_delegations == b.stats.unverified_acceptances == 2


def test_fail_keeps_messages_in_and_out(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waybill_client, "CALL_S", 0.2)
    import waybill_testkit as kit

    port = kit.free_port()
    strict = waybill.Waybill(socket=f"{folder}/s.sock", on_unavailable="fail")

    async def scenario() -> None:
        async with serving(port, strict) as executor:
            async with calling(port, strict) as client:
                with pytest.raises(waybill.Unavailable):
                    await send(client, "message")
            response = await raw(port, "/rpc", FORGED)
            assert response.json()["error"]["code"] == -32603
            assert executor.seen == []

    run(scenario)


def test_a_killed_sidecar_does_not_stop_the_work_nor_lose_its_end(company: Company) -> None:
    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id):
            async with calling(company.b.port, company.a.wb) as client:
                ask = asyncio.create_task(send(client, "slow", message_id="under fire"))
                await asyncio.sleep(0.25)
                await asyncio.to_thread(company.b.sidecar.kill9)
                await asyncio.to_thread(company.b.sidecar.start)
                events = await ask
                assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED

    run(scenario)
    assert delegation(company, "under fire")["state"] == "completed"
    assert acceptance(company, "under fire")["outcome"] == "ok"


def forms_of(text: str) -> list[bytes]:
    """As it is, and inside of base64url, whatever stands before it."""
    data = text.encode()
    return [data, *(base64.urlsafe_b64encode(bytes(n) + data)[4:-4] for n in range(3))]


def holders(company: Company, text: str) -> list[str]:
    """Where a text stands: files of the sidecars (journal, store, log, refusals, status), and what
    their ports say."""
    folder, forms = company.a.sidecar.base, forms_of(text)
    held = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    for agent in (company.a, company.b, company.c):
        port = agent.sidecar.status()["ports"]["admin"]
        for page in ("status", "metrics"):
            held[f"{agent.sidecar.name}: /{page}"] = httpx.get(
                f"http://127.0.0.1:{port}/{page}"
            ).content
    return sorted(name for name, data in held.items() if any(form in data for form in forms))


def test_no_text_of_a_body_is_kept_anywhere(company: Company) -> None:
    """TOKENS section 17, row 21: in a message that is accepted and answered with it, one that is
    refused, and one without a token."""
    secret, message_id = "a very private sentence 4711", "message-that-may-be-kept"
    forged = {**FORGED, "messageId": "forged-that-may-be-kept", "parts": [{"text": secret}]}

    async def scenario() -> None:
        async with serving(company.b.port, company.b.wb, agent_id=company.b.id) as executor:
            async with calling(company.b.port, company.a.wb) as client:
                answer = await send(client, secret, message_id=message_id)
            assert secret in str(answer) and executor.seen[0].text == secret
            assert (await raw(company.b.port, "/rest/message:send", forged)).status_code == 400
            bare = {key: forged[key] for key in ("role", "parts")}
            said = await raw(
                company.b.port, "/rest/message:send", {**bare, "messageId": "no-token"}
            )
            assert said.status_code == 200
            assert len(executor.seen) == 2

    run(scenario)
    delegation(company, message_id)
    acceptance(company, message_id)
    kept = holders(company, message_id)  # so it is looked for where such things are
    assert any("journal" in name for name in kept) and any("store.db" in name for name in kept), (
        kept
    )
    assert holders(company, secret) == []


def test_the_card_s_extension_names_the_agent() -> None:
    card = card_of("x", 1, "spiffe://example.org/x")
    (extension,) = card.capabilities.extensions
    assert extension.uri == waybill.EXTENSION_URI and not extension.required
    assert dict(extension.params) == {"agent_id": "spiffe://example.org/x"}
