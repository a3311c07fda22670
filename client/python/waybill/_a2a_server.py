# SPDX-License-Identifier: Apache-2.0
"""The called side's hook: a wrapper of a2a-sdk's RequestHandler, and of its executor's EventQueue.

    message arrives   carrier out of the message, digest, Accept at the sidecar
       refused        RefusedByWaybill; the agent's code never sees the message
       passed         the handler goes on, with the acceptance in context variables and in
                      ServerCallContext.state
    work              AgentExecutor.execute stands inside the acceptance
    answer            Finish at the sidecar, confirmed or given up on, *before* the Message or the
                      terminal state can be seen by anybody: stream, poll, push or store

The last line decides where to stand. A task outlives its request (return_immediately, a client that
leaves), so watching what `on_message_send` returns is not enough; but everything that an agent says
goes through the EventQueue that `execute` is given. So `execute` and `cancel` of the handler's
`agent_executor` are wrapped, on that object: both of the SDK's handlers look them up there for
every request, and one of them keeps a second reference to it. The wrapper hands on a queue that
says Finish before it lets a final event through.

Ways out of `execute`, each of which finishes exactly once:
    a final event        ok, error, canceled, rejected, by its state; Message: ok
    INPUT_REQUIRED       interrupted: before anybody can answer it, the sidecar knows whose task it
                         is, and the answer is the next turn, with an acceptance of its own
    an exception         error with error.type, before the SDK can write FAILED
    cancellation         canceled, before the SDK can write CANCELED
    return without any   interrupted: AUTH_REQUIRED, or an agent that just stopped
A request that never gets as far (the task does not exist, the queue is shut) finishes as error.

The acceptance travels in ServerCallContext.state too, because which request's context variables an
executor's task has differs between the SDK's handlers. A handler without `agent_executor` is
watched at its edges: what it returns and streams, and what later polls return.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Any

from a2a.server.context import ServerCallContext
from a2a.server.events.event_queue import Event, EventQueue
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import InternalError

from waybill import _a2a_errors, _a2a_request, _context, spans
from waybill._a2a_message import body_digest, state_name, take_carrier
from waybill._states import FINISHED
from waybill.client import Waybill
from waybill.errors import Refused, WaybillError
from waybill.model import Acceptance

MAX_OPEN = 4096
STATE_KEY = "waybill.acceptance"

_logger = logging.getLogger("waybill.a2a")


class _Work:
    """One acceptance until it is finished, which happens once whoever asks for it and how often."""

    def __init__(self, client: Waybill, acceptance: Acceptance, task_id: str) -> None:
        self._client = client
        self.acceptance = acceptance
        self.task_id = self._named_task_id = task_id
        self.started = False
        self.state = ""
        self._finishing: asyncio.Future[None] | None = None

    async def finish(self, outcome: str, state: str = "", error_type: str = "") -> None:
        """Returns once the sidecar knows, or after the time that is allowed for that. A cancelled
        caller leaves the telling alone."""
        if self._finishing is None:
            said = self._client.afinish(
                self.acceptance,
                outcome,
                task_state=state,
                error_type=error_type,
                task_id=self.task_id,
            )
            self._finishing = asyncio.ensure_future(self._guard(said))
        await asyncio.shield(self._finishing)

    async def _guard(self, said: Any) -> None:
        """A sidecar that does not know the acceptance is no reason to withhold the answer."""
        try:
            await said
        except WaybillError as error:
            _logger.warning("acceptance %s: %s", self.acceptance.id.hex(), error)

    async def saw(self, event: Any) -> None:
        """An event is about to leave: finish first, if it is the last."""
        if isinstance(event, Message):
            self.task_id = self._named_task_id  # the SDK's id is of a task that never came to be
            await self.finish("ok")
            return
        if not isinstance(event, (Task, TaskStatusUpdateEvent)):
            return
        self.task_id = (event.id if isinstance(event, Task) else event.task_id) or self.task_id
        self.state = state_name(event.status.state) or self.state
        if self.state in FINISHED:
            await self.finish(FINISHED[self.state], self.state)

    @property
    def finished(self) -> bool:
        return self._finishing is not None

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Code of the block stands in the acceptance; not entered twice, or spans in between would
        lose their children."""
        if _context.current_acceptance() is self.acceptance:
            return contextlib.nullcontext()
        return self.acceptance.work()


class GuardedQueue(EventQueue):
    """The executor's queue: what is final waits until the acceptance is finished."""

    def __init__(self, queue: EventQueue, work: _Work) -> None:
        self._queue = queue
        self._work = work

    async def enqueue_event(self, event: Event) -> None:
        await self._work.saw(event)
        await self._queue.enqueue_event(event)

    def __getattr__(self, name: str) -> Any:
        if name == "_queue":
            raise AttributeError(name)
        return getattr(self._queue, name)


class GuardedHandler(RequestHandler):
    """A RequestHandler that verifies before it passes on; see `waybill.a2a.guarded`."""

    def __init__(self, handler: RequestHandler, waybill: Waybill) -> None:
        self._handler = handler
        self.waybill = waybill
        self._open: OrderedDict[str, _Work] = OrderedDict()
        self._armed = self._wrap_executor()
        _a2a_errors.install()
        _a2a_request.install()

    def __getattr__(self, name: str) -> Any:
        if name == "_handler":
            raise AttributeError(name)
        return getattr(self._handler, name)

    # -- the executor ----------------------------------------------------------------------------

    def _wrap_executor(self) -> bool:
        """Whether the handler's executor could be wrapped."""
        executor: Any = getattr(self._handler, "agent_executor", None)
        if executor is None:
            return False
        execute, cancel = executor.execute, executor.cancel

        async def guarded_execute(context: Any, event_queue: EventQueue) -> None:
            work = _work_of(context.call_context)
            if work is None or work.started:
                await execute(context, event_queue)
            else:
                await self._execute(execute, work, context, event_queue)

        async def guarded_cancel(context: Any, event_queue: EventQueue) -> None:
            work = self._open.get(context.task_id or "")
            await cancel(context, GuardedQueue(event_queue, work) if work else event_queue)

        try:
            executor.execute, executor.cancel = guarded_execute, guarded_cancel
        except AttributeError:  # slots
            return False
        return True

    async def _execute(
        self, execute: Any, work: _Work, context: Any, event_queue: EventQueue
    ) -> None:
        work.started = True
        work.task_id = context.task_id or work.task_id
        self._keep(work)
        try:
            with work.inside():
                await execute(context, GuardedQueue(event_queue, work))
        except asyncio.CancelledError:
            await work.finish("canceled", "TASK_STATE_CANCELED")
            raise
        except BaseException as error:
            await work.finish("error", "TASK_STATE_FAILED", spans.error_type(error))
            raise
        else:
            await work.finish("interrupted", work.state)
        finally:
            if self._open.get(context.task_id) is work:
                del self._open[context.task_id]

    def _keep(self, work: _Work) -> None:
        if not work.task_id:
            return
        self._open[work.task_id] = work
        self._open.move_to_end(work.task_id)
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)  # stays open at the sidecar, until its deadline

    # -- messages --------------------------------------------------------------------------------

    async def _admit(
        self, params: SendMessageRequest, context: ServerCallContext, method: str
    ) -> _Work:
        """The acceptance of an arrived message. Raises what the peer is told if there is none."""
        message = params.message
        carrier = take_carrier(message)
        try:
            acceptance = await self.waybill.aaccept(
                carrier=carrier.text,
                headers=_a2a_request.headers_of(context),
                method=method,
                message_id=message.message_id,
                context_id=message.context_id,
                task_id=message.task_id,
                body_digest=body_digest(message, carrier.salt),
                peer=_a2a_request.peer_of(context),
            )
        except Refused as refused:
            _logger.warning(
                "message %s: %s, ref %s", message.message_id, refused.wire_class, refused.ref
            )
            raise _a2a_errors.refusal(refused) from None
        except WaybillError as error:
            _logger.error("message %s was not verified: %s", message.message_id, error)
            raise InternalError("the message could not be verified") from None
        work = _Work(self.waybill, acceptance, message.task_id)
        context.state[STATE_KEY] = work
        return work

    async def _left(self, work: _Work, error: BaseException) -> None:
        """The handler raised. An executor that runs, or will run, finishes by itself."""
        if work.started:
            return
        if isinstance(error, Exception):
            await work.finish("error", error_type=spans.error_type(error))
        else:
            await work.finish("canceled")

    async def _answered(self, work: _Work, answer: Any) -> None:
        await work.saw(answer)
        if not work.finished and not self._armed:
            self._keep(work)  # the task goes on; polls will tell
        elif not work.started:
            await work.finish("interrupted", work.state)

    async def on_message_send(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> Task | Message:
        work = await self._admit(params, context, "SendMessage")
        try:
            with work.inside():
                answer = await self._handler.on_message_send(params, context)
        except BaseException as error:
            await self._left(work, error)
            raise
        await self._answered(work, answer)
        return answer

    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        work = await self._admit(params, context, "SendStreamingMessage")
        stream = self._handler.on_message_send_stream(params, context)
        try:
            while True:
                # Each step may run in another task: enter and leave within it.
                with work.inside():
                    try:
                        event = await stream.__anext__()
                    except StopAsyncIteration:
                        break
                await work.saw(event)
                yield event
        except BaseException as error:
            await self._left(work, error)
            raise
        finally:
            await stream.aclose()
        if not work.started:
            await work.finish("interrupted", work.state)

    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event, None]:
        stream = self._handler.on_subscribe_to_task(params, context)
        try:
            async for event in stream:
                work = self._open.get(params.id)
                if work is not None:
                    await work.saw(event)
                yield event
        finally:
            await stream.aclose()

    # -- tasks -----------------------------------------------------------------------------------

    async def _seen(self, task: Any) -> None:
        work = self._open.get(task.id) if isinstance(task, Task) else None
        if work is not None:
            await work.saw(task)
            if work.finished:
                self._open.pop(task.id, None)

    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        task = await self._handler.on_get_task(params, context)
        await self._seen(task)
        return task

    async def on_list_tasks(
        self, params: ListTasksRequest, context: ServerCallContext
    ) -> ListTasksResponse:
        page = await self._handler.on_list_tasks(params, context)
        for task in page.tasks:
            await self._seen(task)
        return page

    async def on_cancel_task(
        self, params: CancelTaskRequest, context: ServerCallContext
    ) -> Task | None:
        task = await self._handler.on_cancel_task(params, context)
        await self._seen(task)
        return task

    # -- the rest is passed on -------------------------------------------------------------------

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        return await self._handler.on_create_task_push_notification_config(params, context)

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        return await self._handler.on_get_task_push_notification_config(params, context)

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        return await self._handler.on_list_task_push_notification_configs(params, context)

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        await self._handler.on_delete_task_push_notification_config(params, context)

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        return await self._handler.on_get_extended_agent_card(params, context)


def _work_of(context: ServerCallContext) -> _Work | None:
    found = context.state.get(STATE_KEY)
    return found if isinstance(found, _Work) else None
